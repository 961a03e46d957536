package sim_test

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/sim"
)

func faulty(t *testing.T, f sim.OpenAIFaults) *client {
	t.Helper()
	return start(t, sim.Options{Accounts: 1, Posts: 10, Faults: sim.Faults{OpenAI: f, StallFor: time.Millisecond}})
}

func TestOpenAIHTTPFaults(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	common := func(f sim.HTTPFaults) sim.OpenAIFaults { return sim.OpenAIFaults{HTTPFaults: f} }
	for _, tt := range []struct {
		name   string
		faults sim.OpenAIFaults
		check  func(*testing.T, answer)
	}{
		{"429", common(sim.HTTPFaults{Throttle: once}), func(t *testing.T, a answer) {
			wantStatus(429, "rate_limit_exceeded")(t, a)
			if a.header.Get("Retry-After") != "" {
				t.Error("has a Retry-After")
			}
		}},
		{"429 with Retry-After", sim.OpenAIFaults{HTTPFaults: sim.HTTPFaults{Throttle: once}, RetryAfter: once}, func(t *testing.T, a answer) {
			wantStatus(429, "")(t, a)
			if a.header.Get("Retry-After") != "1" {
				t.Error("has no Retry-After")
			}
		}},
		{"money", sim.OpenAIFaults{QuotaSpent: once}, wantStatus(429, "insufficient_quota")},
		{"500", common(sim.HTTPFaults{Error500: once}), wantStatus(500, "server_error")},
		{"502", common(sim.HTTPFaults{HTML502: once}), wantStatus(502, "<html>")},
		{"cut", common(sim.HTTPFaults{Cut: once}), wantBroken},
		{"stall", common(sim.HTTPFaults{Stall: once}), wantBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t, tt.faults)
			tt.check(t, c.get("/batches"))
			wantStatus(200, `"object":"list"`)(t, c.get("/batches"))
		})
	}
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	for _, tt := range []struct {
		name           string
		faults         sim.OpenAIFaults
		upload         bool
		files, batches int
	}{
		{"upload cut", sim.OpenAIFaults{UploadCut: once}, true, 0, 0},
		{"upload lost", sim.OpenAIFaults{UploadLost: once}, true, 1, 0},
		{"create lost", sim.OpenAIFaults{CreateLost: once}, false, 1, 1},
		{"create stalls", sim.OpenAIFaults{CreateStall: once}, false, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t, tt.faults)
			if tt.upload {
				wantBroken(t, c.upload(line("1", strings.Repeat("가", 1000))))
			} else {
				wantBroken(t, c.create(c.file(line("1", "가")), "shard-1"))
			}
			if n := len(c.get("/files").object(t)["data"].([]any)); n < tt.files || tt.files == 0 && n > 0 {
				t.Errorf("%d files, want %d", n, tt.files)
			}
			list := c.get("/batches").object(t)["data"].([]any)
			if len(list) != tt.batches {
				t.Fatalf("%d batches, want %d", len(list), tt.batches)
			}
			if tt.batches > 0 && list[0].(map[string]any)["metadata"].(map[string]any)["shard"] != "shard-1" {
				t.Error("the batch cannot be found by its shard")
			}
		})
	}
	c := faulty(t, sim.OpenAIFaults{TokensAt429: once})
	wantStatus(429, "Enqueued token limit reached")(t, c.create(c.file(line("1", "가")), ""))
}

func TestBatchFaults(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	for _, tt := range []struct {
		name        string
		faults      sim.OpenAIFaults
		status      string
		output, bad int // lines in the files
		outputNull  bool
	}{
		{"none", sim.OpenAIFaults{}, "completed", 4, 0, false},
		{"jump", sim.OpenAIFaults{StateJump: once}, "completed", 4, 0, false},
		{"fails", sim.OpenAIFaults{BatchFails: once}, "failed", 0, 0, true},
		{"token limit", sim.OpenAIFaults{TokenLimit: once}, "failed", 0, 0, true},
		{"expires", sim.OpenAIFaults{Expires: once}, "expired", 2, 2, false},
		{"expires mute", sim.OpenAIFaults{ExpiresMute: once}, "expired", 2, 0, false},
		{"cancelled", sim.OpenAIFaults{Cancelled: once}, "cancelled", 2, 2, false},
		{"no output file", sim.OpenAIFaults{NoOutputFile: once}, "completed", 0, 0, true},
		{"no error file", sim.OpenAIFaults{NoErrorFile: once, LineError500: once}, "completed", 3, 0, false},
		{"line 500", sim.OpenAIFaults{LineError500: once}, "completed", 3, 1, false},
		{"line 429", sim.OpenAIFaults{LineError429: once}, "completed", 3, 1, false},
		{"line missing", sim.OpenAIFaults{LineMissing: once}, "completed", 3, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t, tt.faults)
			b := c.batch(line("1", "가"), line("2", "나"), line("3", "다"), line("4", "라"))
			if b["status"] != tt.status {
				t.Fatalf("status %v, want %s", b["status"], tt.status)
			}
			if (b["output_file_id"] == nil) != tt.outputNull {
				t.Errorf("output file %v", b["output_file_id"])
			}
			if n := len(c.results(b["output_file_id"])); n != tt.output {
				t.Errorf("%d lines of output, want %d", n, tt.output)
			}
			if n := len(c.results(b["error_file_id"])); n != tt.bad {
				t.Errorf("%d error lines, want %d", n, tt.bad)
			}
		})
	}
	c := faulty(t, sim.OpenAIFaults{Stuck: once})
	stuck := c.create(c.file(line("1", "가")), "").object(t)["id"].(string)
	c.batch(line("1", "가"))
	if b := c.get("/batches/" + stuck).object(t); b["status"] != "validating" {
		t.Errorf("the stuck batch is %v", b["status"])
	}
}

func TestLineFaults(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	caption := "" // of a post that names a restaurant, so that the answer has a length
	c := faulty(t, sim.OpenAIFaults{})
	for _, p := range c.s.Posts() {
		if len(p.Mentions) > 0 {
			caption = p.Caption
		}
	}
	for _, tt := range []struct {
		name   string
		faults sim.OpenAIFaults
		body   string // put before "model"
		check  func(outLine) bool
	}{
		{"refusal", sim.OpenAIFaults{Refusal: once}, "", func(o outLine) bool {
			m := o.Response.Body.Choices[0].Message
			return m.Content == nil && m.Refusal != nil
		}},
		{"length", sim.OpenAIFaults{Length: once}, "", cutShort},
		{"max_completion_tokens", sim.OpenAIFaults{}, `"max_completion_tokens":5,`, cutShort},
		{"content filter", sim.OpenAIFaults{ContentFilter: once}, "", func(o outLine) bool { return o.Response.Body.Choices[0].FinishReason == "content_filter" }},
		{"status 0", sim.OpenAIFaults{LineStatus0: once}, "", func(o outLine) bool { return o.Response.Status == 0 && o.Error == nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t, tt.faults)
			b := c.batch(strings.Replace(line("1", caption), `"model"`, tt.body+`"model"`, 1))
			if o := c.results(b["output_file_id"])["1"]; o.Response == nil || !tt.check(o) {
				t.Errorf("line %+v", o)
			}
		})
	}
}

func cutShort(o outLine) bool {
	c := o.Response.Body.Choices[0]
	return c.FinishReason == "length" && !json.Valid([]byte(*c.Message.Content))
}

func TestCutDownload(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]sim.OpenAIFaults{"broken": {CutDownload: sim.Times(1)}, "ended": {CutLine: sim.Times(1)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t, f)
			path := "/files/" + c.batch(line("1", "가"), line("2", "나"))["output_file_id"].(string) + "/content"
			cut := c.get(path)
			if (cut.err != nil) != (name == "broken") {
				t.Errorf("error %v", cut.err)
			}
			whole := c.get(path)
			if len(cut.body) >= len(whole.body) || !strings.HasPrefix(string(whole.body), string(cut.body)) {
				t.Errorf("%d bytes of %d", len(cut.body), len(whole.body))
			}
		})
	}
}

// delivery is one webhook as the receiver saw it.
type delivery struct {
	id, body  string
	age       time.Duration
	good, two bool
}

// receiver answers the first refuse deliveries with 500 and reports all.
func receiver(t *testing.T, refuse int) (string, <-chan delivery) {
	t.Helper()
	seen := make(chan delivery, 50)
	var left atomic.Int64
	left.Store(int64(refuse))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		unix, _ := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
		d := delivery{id: r.Header.Get("Webhook-Id"), body: string(b), age: time.Since(time.Unix(unix, 0))}
		want := sim.Sign(sim.DefaultWebhookSecret, d.id, time.Unix(unix, 0), b)
		signatures := strings.Fields(r.Header.Get("Webhook-Signature"))
		for _, s := range signatures {
			d.good = d.good || hmac.Equal([]byte(s), []byte(want))
		}
		d.two = len(signatures) == 2
		if left.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		seen <- d
	}))
	t.Cleanup(h.Close)
	return h.URL, seen
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	for _, tt := range []struct {
		name   string
		faults sim.OpenAIFaults
		refuse int
		want   int // deliveries
		check  func(ds []delivery) bool
	}{
		{"good", sim.OpenAIFaults{}, 0, 1, func(ds []delivery) bool { return ds[0].good && ds[0].age < time.Minute }},
		{"retried", sim.OpenAIFaults{}, 2, 3, func(ds []delivery) bool { return ds[0].id == ds[2].id && ds[2].good }},
		{"twice", sim.OpenAIFaults{WebhookTwice: once}, 0, 2, func(ds []delivery) bool { return ds[0].id == ds[1].id }},
		{"old", sim.OpenAIFaults{WebhookOld: once}, 0, 1, func(ds []delivery) bool { return ds[0].good && ds[0].age > 5*time.Minute }},
		{"bad signature", sim.OpenAIFaults{WebhookBadSignature: once}, 1, 2, func(ds []delivery) bool { return !ds[0].good && ds[1].good }},
		{"two signatures", sim.OpenAIFaults{WebhookTwoSigned: once}, 0, 1, func(ds []delivery) bool { return ds[0].good && ds[0].two }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, seen := receiver(t, tt.refuse)
			c := start(t, sim.Options{WebhookURL: url, WebhookRetry: time.Millisecond, Faults: sim.Faults{OpenAI: tt.faults}})
			b := c.batch(line("1", "가"))
			var ds []delivery
			for range tt.want {
				d := <-seen
				ds = append(ds, d)
				if !strings.Contains(d.body, fmt.Sprintf(`"data":{"id":%q}`, b["id"])) || !strings.Contains(d.body, `"type":"batch.completed"`) {
					t.Errorf("body %s", d.body)
				}
			}
			if !tt.check(ds) {
				t.Errorf("deliveries %+v", ds)
			}
		})
	}
}

func TestWebhookOfEveryEnd(t *testing.T) {
	t.Parallel()
	url, seen := receiver(t, 0)
	c := start(t, sim.Options{WebhookURL: url, BatchStep: 20 * time.Millisecond, Faults: sim.Faults{OpenAI: sim.OpenAIFaults{
		Expires: sim.Times(1), Stuck: sim.Fault{Skip: 2, Count: 1}, WebhookLost: sim.Fault{Skip: 3, Count: 1},
	}}})
	c.batch(line("1", "가"))                                                    // expires
	c.batch(line("1", "가"), "{")                                               // fails
	cancelled := c.create(c.file(line("1", "가")), "").object(t)["id"].(string) // does not end by itself
	c.post("/batches/"+cancelled+"/cancel", "")
	c.until(cancelled, "cancelled")
	types := map[string]bool{}
	for range 3 {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte((<-seen).body), &e); err != nil {
			t.Fatal(err)
		}
		types[e.Type] = true
	}
	for _, want := range []string{"batch.expired", "batch.failed", "batch.cancelled"} {
		if !types[want] {
			t.Errorf("no %s in %v", want, types)
		}
	}
	c.batch(line("1", "가")) // its event is lost
	select {
	case d := <-seen:
		t.Errorf("an event that should be lost came: %s", d.body)
	default:
	}
}

func TestWebhookBeforeTheBatchShowsIt(t *testing.T) {
	t.Parallel()
	url, seen := receiver(t, 0)
	// A busy machine has three seconds to look before the batch shows its end.
	c := start(t, sim.Options{WebhookURL: url, BatchStep: 3 * time.Second, Faults: sim.Faults{OpenAI: sim.OpenAIFaults{StateJump: sim.Times(1), WebhookEarly: sim.Times(1)}}})
	id := c.create(c.file(line("1", "가")), "").object(t)["id"].(string)
	<-seen
	if b := c.get("/batches/" + id).object(t); b["status"] != "finalizing" || b["output_file_id"] != nil {
		t.Errorf("the batch shows %v already", b["status"])
	}
	c.until(id, "completed")
}

func TestSignMatchesThePublishedVector(t *testing.T) {
	t.Parallel()
	// From openai-python, tests/lib/test_webhooks.py.
	body := `{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}`
	got := sim.Sign("whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=", "wh_685c059ae39c8190af8c71ed1022a24d", time.Unix(1750861210, 0), []byte(body))
	if want := "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
