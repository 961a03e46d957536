package naver_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/naver"
	"sumbi/adapters/rest"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	legacy := func(code, message string) string {
		return fmt.Sprintf(`{"errorMessage":%q,"errorCode":%q}`, message, code)
	}
	asXML := func(code, message string) string {
		return fmt.Sprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<result>\n <errorMessage>%s</errorMessage>\n <errorCode>%s</errorCode>\n</result>", message, code)
	}
	flat := func(code, message string) string { return fmt.Sprintf(`{"errorCode":%q,"message":%q}`, code, message) }
	nested := func(code, message string) string { return `{"error":` + flat(code, message) + `}` }
	const (
		quota = -time.Second // stands for "until the next Korean day"
		hint  = `dialect = "legacy"`
	)
	tests := []struct {
		name   string
		status int
		body   string
		kind   adapters.Kind
		reason string
		after  time.Duration
		says   string
	}{
		{"legacy: bad query", 400, legacy("SE01", "Incorrect query request (잘못된 쿼리요청입니다.)"), adapters.Permanent, adapters.ReasonInvalid, 0, "잘못된 쿼리"},
		{"legacy: display", 400, legacy("SE02", "Invalid display value"), adapters.NeedsHuman, adapters.ReasonPath, 0, "newer one"},
		{"legacy: start", 400, legacy("SE03", "Invalid start value"), adapters.NeedsHuman, adapters.ReasonPath, 0, "newer one"},
		{"legacy: sort", 400, legacy("SE04", "Invalid sort value"), adapters.NeedsHuman, adapters.ReasonPath, 0, "newer one"},
		{"legacy: encoding", 400, legacy("SE06", "Malformed encoding"), adapters.Permanent, adapters.ReasonInvalid, 0, "SE06"},
		{"legacy: key", 401, legacy("024", "Authentication failed (인증에 실패하였습니다.)"), adapters.Unauthorized, adapters.ReasonKey, 0, "NAVER_CLIENT_ID"},
		{"legacy: unknown client", 401, legacy("024", "Not Exist Client ID : Authentication failed. (인증에 실패했습니다.)"), adapters.Unauthorized, adapters.ReasonKey, 0, hint},
		{"hub: unknown client", 401, flat("200", "Not Exist Client ID"), adapters.Unauthorized, adapters.ReasonKey, 0, hint},
		{"legacy: search not switched on", 401, legacy("024", "요청한 API는 이 Application에서 활성화되어 있지 않습니다."), adapters.Unauthorized, adapters.ReasonPlan, 0, "Search API"},
		{"legacy: http", 403, "", adapters.NeedsHuman, adapters.ReasonPlan, 0, "https"},
		{"legacy: no such search", 404, legacy("SE05", "Invalid search api"), adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"no such method", 405, "", adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"switched off for good", 410, "<html>서비스 종료", adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"legacy: day used up", 429, legacy("010", "Query limit exceeded (허용된 쿼리를 초과하였습니다.)"), adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"legacy: per second", 429, legacy("012", "Rate limit exceeded (속도 제한을 초과했습니다.)"), adapters.Throttled, adapters.ReasonRate, time.Second, ""},
		{"legacy: system", 500, legacy("SE99", "System Error (시스템 에러)"), adapters.Temporary, "", 0, "시스템"},
		{"XML: day used up", 429, asXML("010", "Query limit exceeded"), adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"XML: key", 401, asXML("024", "Authentication failed (인증에 실패하였습니다.)"), adapters.Unauthorized, adapters.ReasonKey, 0, "인증"},
		{"XML: system", 500, asXML("SE99", "System Error"), adapters.Temporary, "", 0, ""},
		{"flat: key", 401, flat("200", "Authentication Failed"), adapters.Unauthorized, adapters.ReasonKey, 0, "NAVER_CLIENT_ID"},
		{"nested: not switched on", 401, nested("210", "Permission Denied"), adapters.Unauthorized, adapters.ReasonPlan, 0, "NAVER API HUB"},
		{"flat: not switched on", 401, flat("210", "Permission Denied"), adapters.Unauthorized, adapters.ReasonPlan, 0, ""},
		{"flat: not found", 404, flat("300", "Not Found Exception"), adapters.NeedsHuman, adapters.ReasonPath, 0, ""},
		{"nested: too large", 413, nested("430", "Request Entity Too Large"), adapters.Permanent, adapters.ReasonInvalid, 0, ""},
		{"flat: day", 429, flat("400", "Quota Exceeded"), adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"nested: day", 429, nested("400", "Quota Exceeded"), adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"code as number", 429, `{"errorCode":400,"message":"Quota Exceeded"}`, adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"flat: throttled", 429, flat("410", "Throttle Limited"), adapters.Throttled, adapters.ReasonRate, time.Second, ""},
		{"flat: rate", 429, flat("420", "Rate Limited"), adapters.Throttled, adapters.ReasonRate, time.Second, ""},
		{"nested: rate", 429, nested("420", "Rate Limited"), adapters.Throttled, adapters.ReasonRate, time.Second, ""},
		{"429 without a word", 429, "", adapters.Throttled, adapters.ReasonRate, time.Second, ""},
		{"code beside another error", 429, `{"errorCode":"400","error":"Too Many Requests"}`, adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"hub: endpoint", 503, flat("500", "Endpoint Error"), adapters.Temporary, "", 0, ""},
		{"hub: endpoint timeout", 504, nested("510", "Endpoint Timeout"), adapters.Temporary, "", 0, ""},
		{"hub: unknown", 500, flat("900", "Unexpected Error"), adapters.Temporary, "", 0, ""},
		{"gateway HTML", 502, "<html><body>Bad <b>Gateway", adapters.Temporary, "", 0, ""},
		{"400 without a word", 400, "", adapters.Permanent, adapters.ReasonInvalid, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := rest.UntilTomorrow(time.Now())
			e := naver.Classify(tt.status, http.Header{}, []byte(tt.body))
			if e == nil {
				t.Fatal("no reading")
			}
			if e.Kind != tt.kind || e.Reason != tt.reason || e.Upstream != "naver" || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("got %v %q: %v; want %v %q with %q", e.Kind, e.Reason, e, tt.kind, tt.reason, tt.says)
			}
			if tt.after != quota && e.After != tt.after {
				t.Errorf("after %s, want %s", e.After, tt.after)
			}
			// Midnight may pass between the two looks at the clock.
			if after := rest.UntilTomorrow(time.Now()); tt.after == quota && e.After != before && (e.After > before || e.After < after) && after <= before {
				t.Errorf("after %s, want until the next Korean day: %s to %s", e.After, after, before)
			}
		})
	}
	if e := naver.Classify(http.StatusTeapot, http.Header{}, nil); e != nil {
		t.Errorf("418 is not Naver's: %v", e)
	}
}

func TestQuotaEndsAtMidnight(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*60*60)
	for at, want := range map[string]time.Duration{
		"2026-11-20 15:30:00": 8*time.Hour + 30*time.Minute,
		"2026-11-20 08:59:59": 15*time.Hour + time.Second, // the day before, by UTC
		"2026-11-20 23:59:59": time.Second,
		"2026-11-21 00:00:00": 10 * time.Minute, // their clock may be behind ours
		"2026-11-21 00:10:00": 23*time.Hour + 50*time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			now, err := time.ParseInLocation(time.DateTime, at, seoul)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(now)) // the bubble's clock, not ours
			if e := naver.Classify(429, http.Header{}, []byte(`{"errorCode":"010"}`)); e.After != want {
				t.Errorf("%s: after %s, want %s", at, e.After, want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	h := http.Header{"Retry-After": {"30"}}
	for status, want := range map[int]time.Duration{429: 30 * time.Second, 503: 30 * time.Second, 400: 0} {
		if e := naver.Classify(status, h, nil); e.After != want {
			t.Errorf("%d: after %s, want %s", status, e.After, want)
		}
	}
}

// What Classify says reaches the caller of Find, without the key.
func TestFindErrors(t *testing.T) {
	t.Parallel()
	f := newFinder(t, naver.Hub, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":{"errorCode":"210","message":"Permission Denied `+r.Header.Get("X-NCP-APIGW-API-KEY")+`"}}`)
	})
	_, err := f.Find(t.Context(), "국밥")
	e, ok := errors.AsType[*adapters.Error](err)
	if !ok || e.Kind != adapters.Unauthorized || e.Reason != adapters.ReasonPlan || strings.Contains(err.Error(), secret.Reveal()) {
		t.Errorf("err = %v", err)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(429, []byte(`{"errorCode":"010","errorMessage":"초과"}`))
	f.Add(401, []byte(`{"error":{"errorCode":"210","error":{"error":null}}}`))
	f.Add(500, []byte(`<?xml version="1.0"?><result><errorCode>SE99</errorCode></result>`))
	f.Add(400, []byte(`<a><errorCode>&bogus;`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := naver.Classify(status, http.Header{}, body)
		if e != nil && (e.Err == nil || e.Upstream != "naver" || e.After < 0) {
			t.Errorf("%#v", e)
		}
	})
}
