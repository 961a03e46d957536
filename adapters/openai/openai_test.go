package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
)

const key = "sk-열쇠-0123456789"

// placeSchema is strict: every property is required, nothing else is allowed.
const placeSchema = `{
	"type": "object", "additionalProperties": false, "required": ["restaurants"],
	"properties": {"restaurants": {"type": "array", "items": {
		"type": "object", "additionalProperties": false, "required": ["name", "menu", "kind", "area"],
		"properties": {
			"name": {"type": "string"},
			"kind": {"type": "string", "enum": ["식당", "카페"]},
			"area": {"anyOf": [{"type": "string"}, {"type": "null"}]},
			"menu": {"type": "array", "items": {
				"type": "object", "additionalProperties": false, "required": ["name", "price"],
				"properties": {"name": {"type": "string"}, "price": {"type": ["integer", "null"]}}
			}}
		}
	}}}
}`

func newBatcher(t *testing.T, h http.HandlerFunc) *openai.Batcher {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return batcherAt(server.URL + "/v1")
}

func batcherAt(base string) *openai.Batcher {
	return openai.New(openai.Options{
		Client:     rest.New(openai.ClientOptions(base, openai.Limit(key, nil))),
		Model:      "gpt-5-mini",
		System:     "캡션에서 식당을 찾아라.",
		SchemaName: "places",
		Schema:     json.RawMessage(placeSchema),
	})
}

func readJSON[T any](t *testing.T, name string) T {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCreate(t *testing.T) {
	t.Parallel()
	bodies := readJSON[struct{ Bodies []json.RawMessage }](t, "batches.json").Bodies
	var got map[string]any
	b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/batches" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		if auth := r.Header.Get("Authorization"); auth != "Bearer "+key {
			t.Errorf("Authorization = %q", auth)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.Write(bodies[0])
	})
	batch, err := b.Create(t.Context(), "file-1", "맛집-0", 3)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h",
		"metadata":             map[string]any{"shard": "맛집-0", "app": "sumbi", "n": "3"},
		"output_expires_after": map[string]any{"anchor": "created_at", "seconds": 2592000.0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("request: %s", d)
	}
	if batch.ID != "batch_6780bb2f8f6c8190a6c0abfb8502bba6" || batch.State != adapters.BatchRunning {
		t.Errorf("batch = %+v", batch)
	}
}

func TestCreateErrors(t *testing.T) {
	t.Parallel()
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	const limit = `{"error":{"message":"Enqueued token limit reached for gpt-4.1 in organization org-x. Limit: 900,000 enqueued tokens.","code":"token_limit_exceeded"}}`
	tests := []struct {
		name   string
		answer http.HandlerFunc
		kind   adapters.Kind
		reason string
		limit  int64
	}{
		{"refused", say(400, `{"error":{"message":"잘못된 요청","type":"invalid_request_error"}}`), adapters.Permanent, "", 0},
		{"token limit as 400", say(400, limit), adapters.Throttled, adapters.ReasonTokenLimit, 900_000},
		{"token limit as 429", say(429, limit), adapters.Throttled, adapters.ReasonTokenLimit, 900_000},
		{"rate", say(429, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`), adapters.Throttled, adapters.ReasonRate, 0},
		{"key", say(401, `{}`), adapters.Unauthorized, adapters.ReasonKey, 0},
		{"too large", say(413, `{}`), adapters.Permanent, "", 0},
		{"server error", say(500, `{}`), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"bad gateway", say(502, `<html>`), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"unavailable", say(503, ``), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"request timeout", say(408, ``), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"no id", say(200, `{"object":"batch"}`), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"cut", say(200, `{"id":"batch_1","st`), adapters.Temporary, adapters.ReasonUnknown, 0},
		{"broken off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, adapters.Temporary, adapters.ReasonUnknown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			batch, err := newBatcher(t, tt.answer).Create(t.Context(), "file-1", "묶음", 1)
			e, ok := errors.AsType[*adapters.Error](err)
			if !ok {
				t.Fatalf("err = %v", err)
			}
			if e.Kind != tt.kind || e.Reason != tt.reason || e.Upstream != "openai" {
				t.Errorf("got %v %q of %q (%v), want %v %q", e.Kind, e.Reason, e.Upstream, e, tt.kind, tt.reason)
			}
			var got int64
			if len(batch.Problems) > 0 && batch.State == adapters.BatchRefused {
				got = batch.Problems[0].Limit
			}
			if got != tt.limit {
				t.Errorf("limit = %d, want %d", got, tt.limit)
			}
		})
	}
}

// A call that never left is not unknown: it may be repeated without looking for its batch.
func TestCreateNotSent(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1:1" // nobody listens there: no port of that kind is given to whoever asks for any
	_, err := batcherAt(base).Create(t.Context(), "file-1", "묶음", 1)
	if e := adapters.Classify(err); e == nil || e.Kind != adapters.Temporary || e.Reason == adapters.ReasonUnknown {
		t.Errorf("no connection: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = batcherAt(base).Create(ctx, "file-1", "묶음", 1)
	if e := adapters.Classify(err); !errors.Is(err, context.Canceled) || e.Reason == adapters.ReasonUnknown {
		t.Errorf("ended before the call: %v", err)
	}
}

func TestCreateCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newBatcher(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	_, err := b.Create(ctx, "file-1", "묶음", 1)
	if e := adapters.Classify(err); !errors.Is(err, context.Canceled) || e.Reason != adapters.ReasonUnknown {
		t.Errorf("ended in the middle: %v", err)
	}
}

func TestGetStates(t *testing.T) {
	t.Parallel()
	type fields = map[string]any
	recorded := readJSON[struct{ Bodies []fields }](t, "batches.json").Bodies
	problems := readJSON[struct{ Data []any }](t, "problems.json").Data
	const id = "batch_6780bb2f8f6c8190a6c0abfb8502bba6"
	created := time.Date(2025, 1, 10, 6, 16, 15, 0, time.UTC)
	batch := func(state adapters.BatchState, status string, total, completed int) adapters.Batch {
		return adapters.Batch{ID: id, State: state, Status: status, CreatedAt: created, Total: total, Completed: completed}
	}
	done := batch(adapters.BatchEnded, "completed", 3, 3)
	done.OutputFile = "file-GykDwPni5UjeQEo2wkgrh7"
	refused := batch(adapters.BatchRefused, "failed", 0, 0)
	refused.Problems = []adapters.Problem{
		{Code: "invalid_json_line", Message: "This line is not parseable as valid JSON.", Line: 2},
		{Code: "duplicate_custom_id", Message: "The custom_id 'xxx' for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch.", Line: 2},
		{Code: "token_limit_exceeded", Message: "Enqueued token limit reached for gpt-4.1 in organization org-REDACTED. Limit: 900,000 enqueued tokens. …", Limit: 900_000},
	}
	partly := batch(adapters.BatchEnded, "expired", 10, 1)
	partly.OutputFile, partly.ErrorFile = "file-o", "file-e"
	ran := batch(adapters.BatchEnded, "failed", 3, 1)
	ran.OutputFile = "file-o"

	edit := func(from fields, to fields) fields {
		out := fields{}
		for _, m := range []fields{from, to} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	counts := func(total, completed int) fields { return fields{"total": total, "completed": completed, "failed": 0} }
	tests := []struct {
		name string
		body fields
		want adapters.Batch
	}{
		{"validating", recorded[0], batch(adapters.BatchRunning, "validating", 0, 0)},
		{"in progress", recorded[1], batch(adapters.BatchRunning, "in_progress", 3, 0)},
		{"finalizing has no file yet", recorded[3], batch(adapters.BatchRunning, "finalizing", 3, 3)},
		{"completed", recorded[4], done},
		{"completed without any file", edit(recorded[4], fields{"output_file_id": nil}), batch(adapters.BatchEnded, "completed", 3, 3)},
		{"cancelling", edit(recorded[1], fields{"status": "cancelling"}), batch(adapters.BatchRunning, "cancelling", 3, 0)},
		{"cancelled", edit(recorded[1], fields{"status": "cancelled"}), batch(adapters.BatchEnded, "cancelled", 3, 0)},
		{"expired in part", edit(recorded[0], fields{
			"status": "expired", "request_counts": counts(10, 1), "output_file_id": "file-o", "error_file_id": "file-e",
		}), partly},
		{"refused", edit(recorded[0], fields{
			"status": "failed", "errors": fields{"object": "list", "data": problems},
		}), refused},
		{"failed after lines had run", edit(recorded[0], fields{
			"status": "failed", "request_counts": counts(3, 1), "output_file_id": "file-o",
		}), ran},
		{"a status of tomorrow", edit(recorded[0], fields{"status": "resting"}), batch(adapters.BatchRunning, "resting", 0, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
				if want := "/v1/batches/" + id; r.Method != http.MethodGet || r.URL.Path != want {
					t.Errorf("%s %s, want GET %s", r.Method, r.URL.Path, want)
				}
				json.NewEncoder(w).Encode(tt.body)
			})
			got, err := b.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGetStrangeAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `<html>점검 중</html>`, `{"id":"batch_1","sta`, `{}`, `{"id":"batch_2"}`} {
		b := newBatcher(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		_, err := b.Get(t.Context(), "batch_1")
		if e := adapters.Classify(err); e == nil || e.Kind != adapters.Temporary || e.Upstream != "openai" {
			t.Errorf("%q: err = %v", body, err)
		}
	}
	b := newBatcher(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("called %s", r.URL) })
	for _, id := range []string{"", "..", "batch_1/cancel", "batch_1?x=1", "batch 1"} {
		_, err := b.Get(t.Context(), id)
		if e := adapters.Classify(err); e == nil || e.Kind != adapters.Permanent {
			t.Errorf("id %q: err = %v", id, err)
		}
	}
}

// list serves batches newest first, two a page whatever was asked for.
func list(t *testing.T, batches []map[string]any) (http.HandlerFunc, *int) {
	calls := new(int)
	return func(w http.ResponseWriter, r *http.Request) {
		*calls++
		if r.URL.Path != "/v1/batches" || r.URL.Query().Get("limit") != "100" {
			t.Errorf("asked %s", r.URL)
		}
		from := 0
		if after := r.URL.Query().Get("after"); after != "" {
			from = 1 + slices.IndexFunc(batches, func(b map[string]any) bool { return b["id"] == after })
		}
		to := min(from+2, len(batches))
		json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": batches[from:to], "has_more": to < len(batches)})
	}, calls
}

func TestFind(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	var batches []map[string]any
	for i, shard := range []any{"새것", nil, "맛집", 7, "맛집", "옛것", "더 옛것"} {
		b := map[string]any{"id": fmt.Sprintf("batch_%d", i), "status": "in_progress", "created_at": noon.Add(-time.Duration(i) * time.Minute).Unix()}
		if shard != nil {
			b["metadata"] = map[string]any{"shard": shard}
		}
		batches = append(batches, b)
	}
	tests := []struct {
		name, shard string
		since       time.Time
		want        string
		calls       int
	}{
		{"on the first page", "새것", noon.Add(-time.Hour), "batch_0", 1},
		{"the newest of two", "맛집", noon.Add(-time.Hour), "batch_2", 2},
		{"on the last page", "더 옛것", noon.Add(-time.Hour), "batch_6", 4},
		{"nowhere", "없는 것", time.Time{}, "", 4},
		{"too old", "옛것", noon.Add(-4 * time.Minute), "", 3},
		{"exactly as old, in the middle of a second", "옛것", noon.Add(-5*time.Minute + 300*time.Millisecond), "batch_5", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, calls := list(t, batches)
			got, ok, err := newBatcher(t, h).Find(t.Context(), tt.shard, tt.since)
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != tt.want || ok != (tt.want != "") || *calls != tt.calls {
				t.Errorf("got %q, %v after %d calls; want %q after %d", got.ID, ok, *calls, tt.want, tt.calls)
			}
		})
	}
}

// "Not there" lets the caller create a second batch: it is never said of an answer that is no whole list.
func TestFindStrangeAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, `{}`, `null`, `{"error":{"message":"과부하"}}`, `{"object":"list","data":[{"id":"batch_1"`,
		`{"object":"list","data":[{"id":"batch_1","created_at":1800000000}],"has_more":true}`,
	} {
		b := newBatcher(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		_, ok, err := b.Find(t.Context(), "맛집", time.Time{})
		if e := adapters.Classify(err); ok || e == nil || e.Kind != adapters.Temporary {
			t.Errorf("%q: %v, %v", body, ok, err)
		}
	}
}

func TestNewPanics(t *testing.T) {
	t.Parallel()
	client := rest.New(openai.ClientOptions("http://127.0.0.1/v1"))
	for name, o := range map[string]openai.Options{
		"no client":       {Model: "m"},
		"no model":        {Client: client},
		"broken schema":   {Client: client, Model: "m", Schema: json.RawMessage(`{`)},
		"root no object":  {Client: client, Model: "m", Schema: json.RawMessage(`{"type":"array"}`)},
		"no schema, null": {Client: client, Model: "m", Schema: json.RawMessage(`null`)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			openai.New(o)
		}()
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{0: 2592000, time.Minute: 3600, 7 * 24 * time.Hour: 604800, 90 * 24 * time.Hour: 2592000} {
		var got struct {
			After struct{ Seconds int64 } `json:"output_expires_after"`
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			json.NewDecoder(r.Body).Decode(&got)
			io.WriteString(w, `{"id":"batch_1"}`)
		}))
		b := openai.New(openai.Options{Client: rest.New(openai.ClientOptions(server.URL)), Model: "m", Expires: d})
		if _, err := b.Create(t.Context(), "file-1", "묶음", 1); err != nil || got.After.Seconds != want {
			t.Errorf("%s: %d seconds, want %d (%v)", d, got.After.Seconds, want, err)
		}
		server.Close()
	}
}

// No error shows the key, not even one that repeats what was sent.
func TestKeyStaysSecret(t *testing.T) {
	t.Parallel()
	b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":"Incorrect API key provided: %s"}}`, r.Header.Get("Authorization"))
	})
	_, err := b.Get(t.Context(), "batch_1")
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, b), key) {
		t.Errorf("err = %v", err)
	}
}
