package rest_test

import (
	"math"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"sumbi/adapters/rest"
)

// FuzzHeaders reads what an answer announces: never a wait or a rate that would stop a crawl for ever.
func FuzzHeaders(f *testing.F) {
	f.Add(`"burst";q=8;w=1`, "8, 100;w=60", "0", "86400", "120")
	f.Add("1e400;w=1", "NaN;w=1", "-0", "Inf", "Fri, 20 Nov 2026 12:00:00 GMT")
	f.Add(";;;w=1;q==", `"맛집";q=1;qu="bytes"`, "00", "1e308", "-1")
	f.Fuzz(func(t *testing.T, policy, limit, left, reset, retry string) {
		h := http.Header{
			"Ratelimit-Policy": {policy}, "X-Ratelimit-Limit": {limit, policy}, "Gncp-Gw-Ratelimit-Replenish-Rate": {limit}, "X-Ratelimit-Requests-Limit": {limit},
			"X-Ratelimit-Requests-Remaining": {left}, "X-Ratelimit-Requests-Reset": {reset}, "Retry-After": {retry},
		}
		a := rest.Announced(h)
		if a.PerSecond < 0 || math.IsNaN(a.PerSecond) || a.Quota < 0 || a.Quota > 32*24*time.Hour {
			t.Errorf("%+v", a)
		}
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		if d := rest.RetryAfter(h, now); d < 0 {
			t.Errorf("Retry-After %q is %s", retry, d)
		}
	})
}

func FuzzErrorAnswer(f *testing.F) {
	f.Add(429, []byte(`{"message":"Too many requests"}`))
	f.Add(502, []byte("<html>점검\xff\x00</html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		s := rest.Classify(status, http.Header{}, body).Error()
		if len(s) > 400 || !utf8.ValidString(s) {
			t.Errorf("%d bytes: %q", len(s), s)
		}
		for _, r := range s {
			if r < ' ' || r == 0x7f || r == 0x1b {
				t.Errorf("a terminal would obey %q", s)
			}
		}
	})
}
