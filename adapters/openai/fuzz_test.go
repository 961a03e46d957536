package openai_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

// says is a transport that answers everything alike.
type says struct {
	status int
	body   []byte
}

func (s says) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body)), Request: req}, nil
}

func told(status int, body []byte) *openai.Batcher {
	o := openai.ClientOptions("http://openai.test/v1")
	o.Transport = says{status, body}
	return openai.New(openai.Options{Client: rest.New(o), Model: "gpt-시험", SchemaName: "restaurants", Schema: json.RawMessage(`{"type":"object","properties":{"restaurants":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}}},"required":["restaurants"],"additionalProperties":false}`)})
}

// bearable fails the test for an error that would spoil a log: it is classified, of one line's length and valid UTF-8.
func bearable(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*adapters.Error](err)
	if !ok {
		t.Fatalf("not classified: %v", err)
	}
	if s := e.Error(); len(s) > 8<<10 || !utf8.ValidString(s) {
		t.Errorf("an error of %d bytes: %q", len(s), s[:min(len(s), 200)])
	}
	if e.After < 0 {
		t.Errorf("after %s", e.After)
	}
}

func FuzzAnswer(f *testing.F) {
	lines, err := os.ReadFile("testdata/lines.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		f.Add(bytes.TrimSpace(line))
	}
	f.Add([]byte(output(200, said(`{"restaurants":[{"name":"을지면옥"}]}`))))
	f.Add([]byte(output(200, `{"message":{"content":"[]"},"finish_reason":"length"}`)))
	f.Add([]byte(failedLine(429, `{"error":{"message":"천천히","code":429}}`)))
	f.Add([]byte(`{"custom_id":"1","response":{"status_code":200,"body":{"choices":[null],"usage":{"prompt_tokens":-1}}}}`))
	f.Add([]byte(`{"custom_id":"글","response":{"status_code":-1,"body":[]},"error":{"code":1,"message":{"a":"\ud800"}}}`))
	b := told(200, nil)
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := b.Answer(line)
		if err != nil {
			return
		}
		if a.ID == "" || a.InputTokens < 0 || a.OutputTokens < 0 || (a.Err == nil) != json.Valid(a.Body) {
			t.Fatalf("%+v", a)
		}
		if a.Err != nil {
			bearable(t, a.Err)
			return
		}
		var v struct{ Restaurants []struct{ Name *string } }
		if err := json.Unmarshal(a.Body, &v); err != nil || v.Restaurants == nil || len(a.Body) > len(line) || !utf8.Valid(a.Body) && utf8.Valid(line) {
			t.Errorf("accepted %s: %v", a.Body, err)
		}
	})
}

// FuzzCalls answers every call with the same bytes.
func FuzzCalls(f *testing.F) {
	for _, name := range []string{"batches.json", "errors.json", "problems.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		var seeds struct {
			Bodies []json.RawMessage
			Errors []struct {
				Status int
				Body   json.RawMessage
			}
		}
		if err := json.Unmarshal(data, &seeds); err != nil {
			f.Fatal(err)
		}
		for _, b := range seeds.Bodies {
			f.Add(200, []byte(b))
			f.Add(200, fmt.Appendf(nil, `{"object":"list","data":[%s],"has_more":true}`, b))
		}
		for _, e := range seeds.Errors {
			f.Add(e.Status, []byte(e.Body))
		}
	}
	f.Add(200, []byte(`{"id":"file-1","bytes":7}`))
	f.Add(200, []byte(`{"id":"batch_1","errors":{"data":[{"line":-5,"code":"token_limit_exceeded","message":"Limit: 99,999,999,999,999,999,999"}]},"created_at":-9e15,"request_counts":{"total":-1}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		// A refusal holds the client for a while, so each call has one of its own.
		ctx := t.Context()
		got, err := told(status, body).Get(ctx, "batch_1")
		reasonable(t, got, err)
		if err == nil && got.ID != "batch_1" {
			t.Errorf("asked for batch_1, got %q", got.ID)
		}
		got, err = told(status, body).Create(ctx, "file-1", "조각", 1)
		if err != nil && got.State == adapters.BatchRunning {
			t.Errorf("%v beside %+v", err, got)
		}
		reasonable(t, got, err)
		got, found, err := told(status, body).Find(ctx, "조각", time.Unix(0, 0))
		if found {
			reasonable(t, got, err)
		} else if err != nil {
			bearable(t, err)
		}
		id, err := told(status, body).Upload(ctx, "조각.jsonl", 3, strings.NewReader("{}\n"))
		if (err == nil) != (id != "") {
			t.Errorf("upload: %q, %v", id, err)
		}
		if err != nil {
			bearable(t, err)
		}
	})
}

func reasonable(t *testing.T, b adapters.Batch, err error) {
	t.Helper()
	if err != nil {
		bearable(t, err)
		return
	}
	switch b.State {
	case adapters.BatchRunning, adapters.BatchEnded, adapters.BatchRefused:
	default:
		t.Errorf("state %q", b.State)
	}
	if _, err := b.CreatedAt.MarshalJSON(); err != nil {
		t.Errorf("created at %v", err)
	}
	for _, p := range b.Problems {
		if p.Limit < 0 {
			t.Errorf("limit %d", p.Limit)
		}
	}
}

// FuzzWebhook signs what comes, and does not.
func FuzzWebhook(f *testing.F) {
	secret := adapters.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("숨비-웹훅")))
	f.Add("wh_1", int64(1750861210), "v1,Zm9yZ2Vk", []byte(`{"type":"batch.completed","data":{"id":"batch_1"}}`))
	f.Add("", int64(-1), "v1, v1,, v2,a", []byte(`{"type":1}`))
	f.Fuzz(func(t *testing.T, id string, seconds int64, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(seconds)}, "Webhook-Signature": {signature}}
		now := time.Unix(seconds, 0)
		if _, _, err := openai.VerifyWebhook(secret, h, body, now); err == nil {
			t.Fatal("a signature was guessed")
		}
		h.Set("Webhook-Signature", signature+" "+sim.Sign(secret.Reveal(), id, now, body))
		got, batch, err := openai.VerifyWebhook(secret, h, body, now)
		if err == nil && (got != id || id == "" || !json.Valid(body)) {
			t.Errorf("%q, %q for %s", got, batch, body)
		}
		if _, _, err := openai.VerifyWebhook(secret, h, body, now.Add(5*time.Minute+time.Second)); err == nil {
			t.Error("a stale one passed")
		}
		if _, _, err := openai.VerifyWebhook(secret, h, append(body, ' '), now); err == nil {
			t.Error("a changed one passed")
		}
	})
}
