package instagram_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	const (
		notFound = `{"detail":"Not found"}`
		public   = `{"data":{"id":"1","username":"seoul.matzip","is_private":false,"media_count":30}}`
		private  = `{"data":{"id":"1","username":"seoul.matzip","is_private":true}}`
		noInfo   = `{"message":"Endpoint '/v1.2/info' does not exist"}`
		monthly  = `{"message":"You have exceeded the MONTHLY quota for Requests on your current plan, BASIC. Upgrade your plan at https://rapidapi.com/x"}`
	)
	st := adaptertest.Status
	for _, c := range []struct {
		name   string
		cursor adapters.Cursor
		answer http.Handler
		info   http.Handler // nil: must not be asked
		kind   adapters.Kind
		reason string
		after  time.Duration
	}{
		{name: "per second", answer: st(429, `{"message":"You have exceeded the rate limit per second for your plan, PRO, by the API provider"}`), kind: adapters.Throttled, reason: adapters.ReasonRate, after: time.Second},
		{name: "too many", answer: st(429, `{"message":"Too many requests"}`), kind: adapters.Throttled, reason: adapters.ReasonRate, after: time.Second},
		{name: "month", answer: st(429, monthly, "x-ratelimit-requests-reset", "1046073"), kind: adapters.Throttled, reason: adapters.ReasonQuota, after: 1046073 * time.Second},
		{name: "day", answer: st(429, strings.Replace(monthly, "MONTHLY", "DAILY", 1), "x-ratelimit-requests-reset", "60"), kind: adapters.Throttled, reason: adapters.ReasonQuota, after: time.Minute},
		{name: "month without reset", answer: st(429, monthly), kind: adapters.Throttled, reason: adapters.ReasonQuota, after: time.Hour},
		{name: "month with absurd reset", answer: st(429, monthly, "x-ratelimit-requests-reset", "1e99"), kind: adapters.Throttled, reason: adapters.ReasonQuota, after: 32 * 24 * time.Hour},
		{name: "not subscribed", answer: st(403, `{"message":"You are not subscribed to this API."}`), kind: adapters.NeedsHuman, reason: adapters.ReasonPlan},
		{name: "key", answer: st(401, `{"message":"Invalid API key."}`), kind: adapters.Unauthorized, reason: adapters.ReasonKey},
		{name: "path", answer: st(404, `{"message":"Endpoint '/v9/posts' does not exist"}`), kind: adapters.NeedsHuman, reason: adapters.ReasonPath},
		{name: "path with a cursor", cursor: "x", answer: st(404, `{"message":"Endpoint '/v9/posts' does not exist"}`), kind: adapters.NeedsHuman, reason: adapters.ReasonPath},
		{name: "gone", answer: st(404, notFound), info: st(404, notFound), kind: adapters.Permanent, reason: adapters.ReasonGone},
		{name: "gone, no info", answer: st(404, notFound), info: st(404, noInfo), kind: adapters.Permanent, reason: adapters.ReasonGone},
		{name: "gone, empty body", answer: st(404, ""), info: st(404, ""), kind: adapters.Permanent, reason: adapters.ReasonGone},
		{name: "private by text", answer: st(404, `{"detail":"Private account"}`), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "private by text, 403", answer: st(403, `{"error":"This account is private"}`), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "private by info", answer: st(404, notFound), info: st(200, private), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "private by the text of info", answer: st(404, notFound), info: st(404, `{"detail":"Private account"}`), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "false 404", answer: st(404, notFound), info: st(200, public), kind: adapters.Temporary},
		{name: "404, info fails", answer: st(404, notFound), info: st(502, "<html>"), kind: adapters.Temporary},
		{name: "404, info throttled", answer: st(404, notFound), info: st(429, ""), kind: adapters.Throttled, reason: adapters.ReasonRate, after: time.Second},
		{name: "private page", answer: st(200, `{"data":{"count":0,"items":[],"user":{"id":"1","is_private":true}},"pagination_token":null}`), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "bad request", answer: st(400, `{"detail":[{"loc":["query"],"msg":"잘못된 요청"}]}`), kind: adapters.Permanent},
		{name: "token 400", cursor: "x", answer: st(400, `{"detail":"Invalid pagination token"}`), kind: adapters.Permanent, reason: adapters.ReasonCursor},
		{name: "token 404", cursor: "x", answer: st(404, notFound), kind: adapters.Permanent, reason: adapters.ReasonCursor},
		{name: "token 422", cursor: "x", answer: st(422, ""), kind: adapters.Permanent, reason: adapters.ReasonCursor},
		{name: "token, 200", cursor: "x", answer: st(200, `{"detail":"Page not found"}`), kind: adapters.Permanent, reason: adapters.ReasonCursor},
		{name: "404 html", answer: st(404, "<!doctype html><title>404</title>"), kind: adapters.Temporary},
		{name: "403 html", answer: st(403, "<html>Just a moment</html>"), kind: adapters.Temporary},
		{name: "500", answer: st(500, `{"detail":"Internal Server Error"}`), kind: adapters.Temporary},
		{name: "200 with an error", answer: st(200, `{"detail":"Try again later"}`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "200 not found", answer: st(200, `{"data":null,"error":"User not found"}`), info: st(404, notFound), kind: adapters.Permanent, reason: adapters.ReasonGone},
		{name: "200 private", answer: st(200, `{"message":"Private account"}`), kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "200 without data", answer: st(200, `{}`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "items is null", answer: st(200, `{"data":{"items":null}}`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "items without ids", answer: st(200, `{"data":{"items":[{"taken_at":1},null,7]}}`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "an array", answer: st(200, `[]`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "two values", answer: st(200, `{"data":{"items":[]}} {}`), kind: adapters.Temporary, reason: adapters.ReasonInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			mux := http.NewServeMux()
			mux.Handle("/posts", c.answer)
			mux.HandleFunc("/info", func(w http.ResponseWriter, r *http.Request) {
				asked++
				if c.info == nil || r.FormValue("username_or_id_or_url") != "seoul.matzip" {
					t.Errorf("asked for the profile of %q", r.FormValue("username_or_id_or_url"))
					return
				}
				c.info.ServeHTTP(w, r)
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			s := open(rest.Options{BaseURL: server.URL, Transport: base})
			began := time.Now()
			_, err := s.Fetch(t.Context(), adapters.Query{List: "posts", Target: "seoul.matzip", Cursor: c.cursor})
			took := time.Since(began) // of a pause as much may have passed
			e := adapters.Classify(err)
			if e == nil {
				t.Fatal("no error")
			}
			if e.Kind != c.kind || e.Reason != c.reason || e.After > c.after || e.After < c.after-took || e.Upstream != "instagram" {
				t.Errorf("got %v, %q after %v from %q (%v), want %v, %q after %v", e.Kind, e.Reason, e.After, e.Upstream, err, c.kind, c.reason, c.after)
			}
			if c.info != nil && asked != 1 {
				t.Errorf("the profile was asked for %d times, want once", asked)
			}
		})
	}
}

func TestRefusedWithoutACall(t *testing.T) {
	t.Parallel()
	s := open(rest.Options{BaseURL: "http://127.0.0.1:1"})
	for _, q := range []adapters.Query{{List: "stories", Target: "seoul.matzip"}, {List: "posts", Target: "서울맛집"}, {List: "posts"}} {
		_, err := s.Fetch(t.Context(), q)
		if e := adapters.Classify(err); e == nil || e.Kind != adapters.Permanent {
			t.Errorf("%+v: got %v, want permanent", q, err)
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"seoul.matzip":    "seoul.matzip",
		" @Seoul_Matzip ": "seoul_matzip",
		"72741069431":     "72741069431",
		"https://www.instagram.com/Seoul.Matzip/":     "seoul.matzip",
		"https://instagram.com/seoul.matzip?igsh=abc": "seoul.matzip",
		"instagram.com/seoul.matzip/reels/":           "seoul.matzip",
		"http://m.instagram.com/@seoul.matzip#x":      "seoul.matzip",
	} {
		if got, err := instagram.Account(in); err != nil || got != want {
			t.Errorf("Account(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "@", "서울맛집", "seoul matzip", "seoul..matzip", ".seoul", "seoul.", strings.Repeat("a", 31),
		"https://www.instagram.com/", "https://www.instagram.com/p/DEIoI6poMKr/", "https://www.instagram.com/reel/DEIoI6poMKr/",
		"https://www.instagram.com/explore/tags/맛집/", "https://instagram.com.example/seoul", "https://naver.com/seoul", "a&b=c", "http://%zz",
	} {
		if got, err := instagram.Account(in); err == nil {
			t.Errorf("Account(%q) = %q, want an error", in, got)
		}
	}
}
