package sim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/sim"
)

// client talks to a server under test.
type client struct {
	t    *testing.T
	s    *sim.Server
	base string
	http *http.Client
}

func start(t *testing.T, o sim.Options) *client {
	t.Helper()
	o.Seed = 7
	if o.BatchStep == 0 {
		o.BatchStep = time.Millisecond
	}
	s := sim.New(o)
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	t.Cleanup(s.Close)
	return &client{t, s, h.URL, http.DefaultClient}
}

// bubble runs f with a server whose time passes only while everybody waits, so that what must happen within a moment does, on
// whatever machine. Calls need no network there: no fault may break their connections.
func bubble(t *testing.T, o sim.Options, f func(t *testing.T, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Seed = 7
		s := sim.New(o)
		t.Cleanup(s.Close)
		f(t, &client{t, s, "http://sim.test", &http.Client{Transport: inMemory{s.Handler()}}})
	})
}

// inMemory serves requests without a network.
type inMemory struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.RequestURI = r.URL.RequestURI(); in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	m.h.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// answer is what came back; err is set when the connection broke, possibly after a part of the body.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	out := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("body is not an object: %v: %.200s", err, a.body)
	}
	return out
}

func (c *client) do(method, path string, header map[string]string, body io.Reader) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b, err}
}

func rapid(key string) map[string]string {
	return map[string]string{"X-RapidAPI-Key": key, "X-RapidAPI-Host": "instagram-scraper-api2.p.rapidapi.com"}
}

// insta asks for a page of a list, or for info.
func (c *client) insta(list, account, token string) answer {
	c.t.Helper()
	q := url.Values{"username_or_id_or_url": {account}}
	if token != "" {
		q.Set("pagination_token", token)
	}
	return c.do("GET", sim.InstagramPath+"/"+list+"?"+q.Encode(), rapid(sim.DefaultRapidAPIKey), nil)
}

type page struct {
	Data struct {
		Count int
		Items []map[string]any
		User  map[string]any
	}
	Token *string `json:"pagination_token"`
}

func (c *client) page(list, account, token string) page {
	c.t.Helper()
	a := c.insta(list, account, token)
	if a.status != 200 {
		c.t.Fatalf("%s of %s: status %d: %s", list, account, a.status, a.body)
	}
	var p page
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// walk follows a list to its end, as a tolerant client does.
func (c *client) walk(list, account string) (items []map[string]any, pages int) {
	c.t.Helper()
	token := ""
	for {
		p := c.page(list, account, token)
		pages++
		items = append(items, p.Data.Items...)
		if p.Token == nil || *p.Token == "" {
			return items, pages
		}
		if pages > 500 {
			c.t.Fatal("the list does not end")
		}
		token = *p.Token
	}
}

func pkOf(item map[string]any) string { return item["pk"].(json.Number).String() }

var bearer = map[string]string{"Authorization": "Bearer " + sim.DefaultOpenAIKey}

const schema = `{"type":"object","additionalProperties":false,"required":["restaurants"],"properties":{"restaurants":{"type":"array","items":{
"type":"object","additionalProperties":false,"required":["name","branch","address","area","phone","menu","ad","quote"],"properties":{
"name":{"type":"string"},"branch":{"type":["string","null"]},"address":{"type":["string","null"]},"area":{"type":["string","null"]},"phone":{"type":["string","null"]},
"menu":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["name","price"],"properties":{"name":{"type":"string"},"price":{"type":["integer","null"]}}}},
"ad":{"type":"boolean"},"quote":{"type":"string"}}}}}}`

// line makes a good request line; user is the content of the user message.
func line(id string, user any) string {
	return lineWith(id, user, schema)
}

func lineWith(id string, user any, schema string) string {
	b, err := json.Marshal(map[string]any{
		"custom_id": id, "method": "POST", "url": "/v1/chat/completions",
		"body": map[string]any{
			"model":    "gpt-5-mini",
			"messages": []any{map[string]any{"role": "system", "content": "맛집을 찾아라"}, map[string]any{"role": "user", "content": user}},
			"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{
				"name": "restaurants", "strict": true, "schema": json.RawMessage(schema),
			}},
		},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// upload sends a batch input and returns the answer.
func (c *client) upload(content string, fields ...string) answer {
	c.t.Helper()
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	_ = mw.WriteField("purpose", "batch")
	for i := 0; i+1 < len(fields); i += 2 {
		_ = mw.WriteField(fields[i], fields[i+1])
	}
	w, _ := mw.CreateFormFile("file", "shard.jsonl")
	_, _ = io.WriteString(w, content)
	_ = mw.Close()
	return c.do("POST", sim.OpenAIPath+"/files", map[string]string{"Authorization": bearer["Authorization"], "Content-Type": mw.FormDataContentType()}, &b)
}

func (c *client) file(content string) string {
	c.t.Helper()
	a := c.upload(content)
	if a.status != 200 {
		c.t.Fatalf("upload: %d %s", a.status, a.body)
	}
	return a.object(c.t)["id"].(string)
}

func (c *client) create(file, shard string) answer {
	c.t.Helper()
	return c.post("/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"shard":%q}}`, file, shard))
}

func (c *client) post(path, body string) answer {
	c.t.Helper()
	return c.do("POST", sim.OpenAIPath+path, bearer, strings.NewReader(body))
}

func (c *client) get(path string) answer {
	c.t.Helper()
	return c.do("GET", sim.OpenAIPath+path, bearer, nil)
}

// until polls a batch until it shows one of the states.
func (c *client) until(id string, states ...string) map[string]any {
	c.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		b := c.get("/batches/" + id).object(c.t)
		for _, s := range states {
			if b["status"] == s {
				return b
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	c.t.Fatalf("batch %s does not come to %v", id, states)
	return nil
}

// batch runs lines to the end and returns the batch.
func (c *client) batch(lines ...string) map[string]any {
	c.t.Helper()
	a := c.create(c.file(strings.Join(lines, "\n")+"\n"), "")
	if a.status != 200 {
		c.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return c.until(a.object(c.t)["id"].(string), "completed", "failed", "expired", "cancelled")
}

type outLine struct {
	CustomID string `json:"custom_id"`
	Response *struct {
		Status int `json:"status_code"`
		Body   struct {
			Choices []struct {
				Message struct {
					Content *string
					Refusal *string
				}
				FinishReason string `json:"finish_reason"`
			}
			Error *struct{ Message, Code string }
			Usage struct {
				Prompt     int64 `json:"prompt_tokens"`
				Completion int64 `json:"completion_tokens"`
			}
		}
	}
	Error *struct{ Code, Message string }
}

// results reads a results file by custom_id; fileID may be nil.
func (c *client) results(fileID any) map[string]outLine {
	c.t.Helper()
	out := map[string]outLine{}
	if fileID == nil {
		return out
	}
	a := c.get("/files/" + fileID.(string) + "/content")
	for l := range strings.Lines(string(a.body)) {
		var o outLine
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			c.t.Fatalf("results line: %v: %s", err, l)
		}
		out[o.CustomID] = o
	}
	return out
}

// captions returns some posts that have one, by id.
func (c *client) captions(n int) map[string]sim.Post {
	out := map[string]sim.Post{}
	for id, p := range c.s.Posts() {
		if p.Caption != "" && len(out) < n {
			out[id] = p
		}
	}
	return out
}
