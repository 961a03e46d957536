package kakao_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/kakao"
	"sumbi/adapters/rest"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const quota = -time.Second // stands for "until the next Korean day"
	tests := []struct {
		name       string
		status     int
		retryAfter string
		body       string
		kind       adapters.Kind
		reason     string
		after      time.Duration
		says       string
	}{
		{"key", 401, "", `{"errorType":"AccessDeniedError","message":"wrong appKey"}`, adapters.Unauthorized, adapters.ReasonKey, 0, "REST API key"},
		{"key, older", 401, "", `{"code":-401,"msg":"wrong appKey"}`, adapters.Unauthorized, adapters.ReasonKey, 0, "wrong appKey"},
		{"key, code alone", 400, "", `{"code":"-401"}`, adapters.Unauthorized, adapters.ReasonKey, 0, ""},
		{"map off", 403, "", `{"errorType":"NotAuthorizedError","message":"App(숨비) disabled OPEN_MAP_AND_LOCAL service."}`, adapters.NeedsHuman, adapters.ReasonPlan, 0, "switch Kakao Map on"},
		{"forbidden", 403, "", `{"errorType":"NotAuthorizedError","message":"ip mismatched"}`, adapters.NeedsHuman, adapters.ReasonPlan, 0, "ip mismatched"},
		{"parameter", 400, "", `{"errorType":"MissingParameter","message":"query parameter required"}`, adapters.Permanent, adapters.ReasonInvalid, 0, "query parameter"},
		{"quota as 400", 400, "", `{"code":-10,"msg":"API limit has been exceeded."}`, adapters.Throttled, adapters.ReasonQuota, quota, "limit"},
		{"quota as 429", 429, "", `{"code":-10,"msg":"API limit has been exceeded."}`, adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"quota with a header", 429, "5", `{"code":-10}`, adapters.Throttled, adapters.ReasonQuota, quota, ""},
		{"429 without a word", 429, "", ``, adapters.Throttled, adapters.ReasonRate, 30 * time.Second, ""},
		{"429 with a header", 429, "5", ``, adapters.Throttled, adapters.ReasonRate, 5 * time.Second, ""},
		{"path", 404, "", `{"errorType":"ResourceNotFound","message":"없음"}`, adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"no such method", 405, "", "", adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"switched off for good", 410, "", `<html>서비스 종료`, adapters.NeedsHuman, adapters.ReasonPath, 0, "base_url"},
		{"maintenance", 503, "", `{"code":-9798,"msg":"서비스 점검 중"}`, adapters.Temporary, "maintenance", 10 * time.Minute, "점검"},
		{"maintenance with a header", 503, "3600", `{"code":-9798}`, adapters.Temporary, "maintenance", time.Hour, ""},
		{"busy", 503, "7", ``, adapters.Temporary, "", 7 * time.Second, ""},
		{"internal", 500, "", `{"code":-1,"msg":"internal error"}`, adapters.Temporary, "", 0, "-1"},
		{"timeout inside", 504, "", `{"code":-603}`, adapters.Temporary, "", 0, ""},
		{"gateway HTML", 502, "", `<html>`, adapters.Temporary, "", 0, ""},
		{"mixed types", 400, "", `{"code":-10,"msg":["한도"]}`, adapters.Throttled, adapters.ReasonQuota, quota, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if tt.retryAfter != "" {
				h.Set("Retry-After", tt.retryAfter)
			}
			before := rest.UntilTomorrow(time.Now())
			e := kakao.Classify(tt.status, h, []byte(tt.body))
			if e == nil {
				t.Fatal("no reading")
			}
			if e.Kind != tt.kind || e.Reason != tt.reason || e.Upstream != "kakao" || !strings.Contains(e.Error(), tt.says) {
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
	for _, status := range []int{http.StatusFound, http.StatusRequestTimeout} {
		if e := kakao.Classify(status, http.Header{}, nil); e != nil {
			t.Errorf("%d is not Kakao's: %v", status, e)
		}
	}
}

// The bodies that were seen, by way of Find.
func TestFindErrors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		Errors []struct {
			Status int
			Body   json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &seen); err != nil {
		t.Fatal(err)
	}
	want := []adapters.Kind{adapters.NeedsHuman, adapters.Unauthorized, adapters.Unauthorized, adapters.Throttled}
	if len(seen.Errors) != len(want) {
		t.Fatalf("%d errors", len(seen.Errors))
	}
	for i, s := range seen.Errors {
		f := newFinder(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(s.Status)
			w.Write(s.Body)
			io.WriteString(w, " ")
		})
		_, err := f.Find(t.Context(), "국밥")
		e, ok := errors.AsType[*adapters.Error](err)
		if !ok || e.Kind != want[i] || strings.Contains(err.Error(), key.Reveal()) {
			t.Errorf("%s: %v, want %v", s.Body, err, want[i])
		}
	}
}

func TestQuotaEndsAtMidnight(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*60*60)
	for at, want := range map[string]time.Duration{
		"2026-11-20 15:30:00": 8*time.Hour + 30*time.Minute,
		"2026-11-20 08:59:59": 15*time.Hour + time.Second, // the day before, by UTC
		"2026-11-21 00:00:00": 10 * time.Minute,           // their clock may be behind ours
		"2026-11-21 00:10:00": 23*time.Hour + 50*time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			now, err := time.ParseInLocation(time.DateTime, at, seoul)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(now)) // the bubble's clock, not ours
			if e := kakao.Classify(400, http.Header{}, []byte(`{"code":-10}`)); e.After != want {
				t.Errorf("%s: after %s, want %s", at, e.After, want)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(400, []byte(`{"code":-10,"msg":"한도"}`))
	f.Add(403, []byte(`{"errorType":"NotAuthorizedError","message":null}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := kakao.Classify(status, http.Header{}, body)
		if e != nil && (e.Err == nil || e.Upstream != "kakao" || e.After < 0) {
			t.Errorf("%#v", e)
		}
	})
}
