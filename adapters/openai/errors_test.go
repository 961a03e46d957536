package openai_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/openai"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	body := func(code, typ, message string) string {
		b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": code, "type": typ, "message": message}})
		return string(b)
	}
	tests := []struct {
		name       string
		status     int
		retryAfter string
		body       string
		kind       adapters.Kind
		reason     string
		after      time.Duration
	}{
		{"wrong key", 401, "", body("invalid_api_key", "", "Incorrect API key"), adapters.Unauthorized, adapters.ReasonKey, 0},
		{"no quota", 429, "5", body("insufficient_quota", "insufficient_quota", ""), adapters.NeedsHuman, adapters.ReasonPlan, 0},
		{"no quota by type", 429, "", body("", "insufficient_quota", ""), adapters.NeedsHuman, adapters.ReasonPlan, 0},
		{"billing limit", 400, "", body("billing_hard_limit_reached", "", ""), adapters.NeedsHuman, adapters.ReasonPlan, 0},
		{"rate", 429, "7", body("rate_limit_exceeded", "requests", ""), adapters.Throttled, adapters.ReasonRate, 7 * time.Second},
		{"rate without body", 429, "", "", adapters.Throttled, adapters.ReasonRate, 0},
		{"rate in HTML", 429, "", "<html>천천히</html>", adapters.Throttled, adapters.ReasonRate, 0},
		{"token limit, 400", 400, "", body("token_limit_exceeded", "", ""), adapters.Throttled, adapters.ReasonTokenLimit, 0},
		{"token limit, 429", 429, "3", body("token_limit_exceeded", "", ""), adapters.Throttled, adapters.ReasonTokenLimit, 3 * time.Second},
		{"token limit by its text", 429, "", body("", "", "Enqueued token limit reached for gpt-4o"), adapters.Throttled, adapters.ReasonTokenLimit, 0},
		{"model, 404", 404, "", body("model_not_found", "", "The model '가' does not exist"), adapters.NeedsHuman, "model", 0},
		{"model, 403", 403, "", body("model_not_found", "", ""), adapters.NeedsHuman, "model", 0},
		{"forbidden", 403, "", body("unsupported_country_region_territory", "", ""), adapters.NeedsHuman, adapters.ReasonPlan, 0},
		{"no batch", 404, "", body("", "", "No batch found with id 'batch_1'."), adapters.Permanent, adapters.ReasonGone, 0},
		{"no file", 404, "", body("", "", "No such File object: file-1"), adapters.Permanent, adapters.ReasonGone, 0},
		{"no such path", 404, "", body("", "", "Invalid URL (GET /v2/batches)"), adapters.NeedsHuman, adapters.ReasonPath, 0},
		{"another server", 404, "", "404 page not found", adapters.NeedsHuman, adapters.ReasonPath, 0},
		{"conflict", 409, "", body("", "", "Cannot cancel a batch"), adapters.Permanent, "", 0},
		{"too large", 413, "", body("", "", "larger than the 209715200 maximum"), adapters.Permanent, "", 0},
		{"number as code", 400, "", `{"error":{"message":["a","b"],"code":12,"param":null}}`, adapters.Permanent, "", 0},
		{"server", 500, "", "", adapters.Temporary, "", 0},
		{"gateway HTML", 502, "", "<html>", adapters.Temporary, "", 0},
		{"busy", 503, "11", "", adapters.Temporary, "", 11 * time.Second},
		{"redirect", 302, "", "", adapters.NeedsHuman, adapters.ReasonPath, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if tt.retryAfter != "" {
				h.Set("Retry-After", tt.retryAfter)
			}
			e := openai.Classify(tt.status, h, []byte(tt.body))
			if e.Kind != tt.kind || e.Reason != tt.reason || e.After != tt.after {
				t.Errorf("got %v %q %s, want %v %q %s", e.Kind, e.Reason, e.After, tt.kind, tt.reason, tt.after)
			}
		})
	}
}

func TestClassifyRecorded(t *testing.T) {
	t.Parallel()
	recorded := readJSON[struct {
		Errors []struct {
			Request string
			Status  int
			Body    json.RawMessage
		}
	}](t, "errors.json").Errors
	if len(recorded) != 5 {
		t.Fatalf("%d errors", len(recorded))
	}
	for _, r := range recorded {
		e := openai.Classify(r.Status, http.Header{}, r.Body)
		if e.Kind != adapters.Permanent || !strings.Contains(e.Error(), "4") {
			t.Errorf("%s: %v %v", r.Request, e.Kind, e)
		}
		if gone := e.Reason == adapters.ReasonGone; gone != (r.Status == 404) {
			t.Errorf("%s: reason %q", r.Request, e.Reason)
		}
	}
}
