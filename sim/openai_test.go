package sim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	good := line("1", "안녕")
	for _, tt := range []struct {
		name, content string
		fields        []string
		status        int
		body          string
	}{
		{"good", good, nil, 200, `"expires_at":null`},
		{"with expiry", good, []string{"expires_after[anchor]", "created_at", "expires_after[seconds]", "3600"}, 200, `"purpose":"batch"`},
		{"expiry too short", good, []string{"expires_after[anchor]", "created_at", "expires_after[seconds]", "60"}, 400, "expires_after"},
		{"empty", "", nil, 400, "Invalid file format"},
		{"not lines of JSON", "이것은 JSON이 아니다\n", nil, 400, "Invalid file format"},
		{"unknown purpose", good, []string{"purpose", "lunch"}, 400, "purpose"},
	} {
		wantStatus(tt.status, tt.body)(t, c.upload(tt.content, tt.fields...))
	}
	id := c.file(good + "\n")
	if o := c.get("/files/" + id).object(t); o["expires_at"] == nil || o["bytes"].(json.Number).String() != fmt.Sprint(len(good)+1) {
		t.Errorf("GET shows %v", o)
	}
	if a := c.get("/files/" + id + "/content"); string(a.body) != good+"\n" || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("content is not what was sent: %s", a.body)
	}
	if l := c.get("/files?purpose=batch&limit=1").object(t); l["first_id"] != id || l["has_more"] != true {
		t.Errorf("list: %v", l)
	}
	wantStatus(200, `"deleted":true`)(t, c.do("DELETE", sim.OpenAIPath+"/files/"+id, bearer, nil))
	wantStatus(404, "No such File object")(t, c.get("/files/"+id))
	wantStatus(401, "invalid_api_key")(t, c.do("GET", sim.OpenAIPath+"/files", map[string]string{"Authorization": "Bearer sk-wrong"}, nil))
	wantStatus(404, "Invalid URL")(t, c.get("/nowhere"))
}

func TestLargeFileGoesToDisk(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{MaxInputBytes: 5 << 20})
	content := line("1", strings.Repeat("맛", 2<<20)) + "\n"
	id := c.file(content)
	if got := c.get("/files/" + id + "/content"); string(got.body) != content {
		t.Error("the large file came back changed")
	}
	wantStatus(413, "larger than the 5242880 maximum for the gpt-5-mini model")(t, c.create(id, ""))
}

func TestBatchAnswersWithTheTruth(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 3, Posts: 60})
	posts := c.captions(80)
	var lines []string
	for id, p := range posts {
		var user any = p.Caption
		switch len(lines) % 3 {
		case 1:
			b, _ := json.Marshal(map[string]any{"caption": p.Caption, "location": nil})
			user = string(b)
		case 2:
			user = []any{map[string]any{"type": "text", "text": p.Caption}}
		}
		lines = append(lines, line(id, user))
	}
	lines = append(lines, line("unknown", "아무도 쓰지 않은 글"))
	b := c.batch(lines...)
	if b["status"] != "completed" || b["error_file_id"] != nil {
		t.Fatalf("batch: %v", b)
	}
	counts := b["request_counts"].(map[string]any)
	if fmt.Sprintf("%v %v %v", counts["total"], counts["completed"], counts["failed"]) != fmt.Sprint(len(lines), len(lines), 0) {
		t.Errorf("counts %v", counts)
	}
	out := c.results(b["output_file_id"])
	var in, outTokens int64
	for id, o := range out {
		var got struct {
			Restaurants []struct {
				Name, Quote                  string
				Branch, Address, Area, Phone *string
				Menu                         []struct {
					Name  string
					Price *int
				}
				Ad bool
			}
		}
		if err := json.Unmarshal([]byte(*o.Response.Body.Choices[0].Message.Content), &got); err != nil {
			t.Fatal(err)
		}
		in += o.Response.Body.Usage.Prompt
		outTokens += o.Response.Body.Usage.Completion
		if len(got.Restaurants) != len(posts[id].Mentions) {
			t.Fatalf("%s: %d restaurants, want %d", id, len(got.Restaurants), len(posts[id].Mentions))
		}
		for i, r := range got.Restaurants {
			m := posts[id].Mentions[i]
			deref := func(s *string) string {
				if s == nil {
					return ""
				}
				return *s
			}
			want := []string{m.Name, m.Branch, m.Address, m.Area, m.Phone, m.Quote}
			have := []string{r.Name, deref(r.Branch), deref(r.Address), deref(r.Area), deref(r.Phone), r.Quote}
			if d := cmp.Diff(want, have); d != "" || r.Ad != m.Ad || len(r.Menu) != len(m.Menu) {
				t.Errorf("%s: %s", id, d)
			}
			if r.Branch != nil && *r.Branch == "" {
				t.Errorf("%s: an empty branch is not null", id)
			}
		}
	}
	usage := b["usage"].(map[string]any)
	if fmt.Sprintf("%v %v", usage["input_tokens"], usage["output_tokens"]) != fmt.Sprint(in, outTokens) {
		t.Errorf("usage %v, lines say %d and %d", usage, in, outTokens)
	}
	st := c.s.Stats()
	if st.Lines != len(lines) || st.LinesAgain != 0 || st.UnknownCaptions != 1 {
		t.Errorf("stats: %d lines, %d again, %d unknown", st.Lines, st.LinesAgain, st.UnknownCaptions)
	}
	if got := slices.Collect(maps.Keys(out)); len(got) != len(lines) {
		t.Errorf("%d answers, want %d", len(got), len(lines))
	}
	c.batch(lines[0])
	if st := c.s.Stats(); st.LinesAgain != 1 {
		t.Errorf("%d lines again, want 1", st.LinesAgain)
	}
}

func TestBatchStates(t *testing.T) {
	t.Parallel()
	bubble(t, sim.Options{BatchStep: 500 * time.Millisecond}, func(t *testing.T, c *client) {
		b := c.create(c.file(line("1", "가")), "s1").object(t)
		if b["status"] != "validating" || b["expires_at"] == nil || b["output_file_id"] != nil || b["request_counts"].(map[string]any)["total"].(json.Number) != "0" {
			t.Errorf("new batch: %v", b)
		}
		id := b["id"].(string)
		if b := c.until(id, "in_progress"); b["request_counts"].(map[string]any)["total"].(json.Number) != "1" {
			t.Errorf("in progress: %v", b)
		}
		if b := c.until(id, "finalizing"); b["output_file_id"] != nil {
			t.Errorf("finalizing already has an output file")
		}
		wantStatus(409, "Cannot cancel a batch with status 'finalizing'.")(t, c.post("/batches/"+id+"/cancel", ""))
		if b := c.until(id, "completed"); b["output_file_id"] == nil || b["completed_at"] == nil {
			t.Errorf("completed: %v", b)
		}
		wantStatus(409, "Cannot cancel a batch with status 'completed'.")(t, c.post("/batches/"+id+"/cancel", ""))
		wantStatus(404, "No batch found")(t, c.get("/batches/batch_nobody"))
		wantStatus(404, "No batch found")(t, c.post("/batches/batch_nobody/cancel", ""))

		early := c.create(c.file(line("1", "가")), "s2").object(t)["id"].(string)
		wantStatus(200, `"status":"cancelling"`)(t, c.post("/batches/"+early+"/cancel", ""))
		if b := c.until(early, "cancelled"); b["output_file_id"] != nil || b["cancelled_at"] == nil {
			t.Errorf("cancelled while validating: %v", b)
		}
		wantStatus(200, `"status":"cancelled"`)(t, c.post("/batches/"+early+"/cancel", ""))

		running := c.create(c.file(line("1", "가")+"\n"+line("2", "나")), "s3").object(t)["id"].(string)
		c.until(running, "in_progress")
		wantStatus(200, `"status":"cancelling"`)(t, c.post("/batches/"+running+"/cancel", ""))
		b = c.until(running, "cancelled")
		all := c.results(b["output_file_id"])
		for id, o := range c.results(b["error_file_id"]) {
			if o.Response != nil || o.Error.Code != "batch_cancelled" {
				t.Errorf("error line %s: %+v", id, o)
			}
			all[id] = o
		}
		if len(all) != 2 {
			t.Errorf("%d of 2 lines are accounted for", len(all))
		}
	})
}

func TestCreateIsChecked(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	file := c.file(line("1", "가"))
	body := func(extra string) string {
		return fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"%s}`, file, extra)
	}
	many := `,"metadata":{`
	for i := range 17 {
		many += fmt.Sprintf(`%q:"v",`, fmt.Sprint(i))
	}
	many = strings.TrimSuffix(many, ",") + "}"
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"good", body(""), 200, `"status":"validating"`},
		{"metadata null", body(`,"metadata":null`), 200, `"metadata":null`},
		{"output expiry", body(`,"output_expires_after":{"anchor":"created_at","seconds":3600}`), 200, "batch_"},
		{"output expiry too long", body(`,"output_expires_after":{"anchor":"created_at","seconds":99999999}`), 400, "output_expires_after"},
		{"no file", `{"endpoint":"/v1/chat/completions","completion_window":"24h"}`, 400, "input_file_id"},
		{"endpoint", strings.Replace(body(""), "chat/completions", "chat/complete", 1), 400, `"param":"endpoint"`},
		{"window", strings.Replace(body(""), "24h", "1h", 1), 400, `"param":"completion_window"`},
		{"17 pairs", body(many), 400, "metadata"},
		{"long key", body(`,"metadata":{"` + strings.Repeat("k", 65) + `":"v"}`), 400, "metadata"},
		{"long value", body(`,"metadata":{"k":"` + strings.Repeat("값", 513) + `"}`), 400, "string_above_max_length"},
		{"longest value", body(`,"metadata":{"k":"` + strings.Repeat("값", 512) + `"}`), 200, "batch_"},
		{"array", body(`,"metadata":{"tags":[]}`), 400, "Invalid type for 'metadata.tags': expected a string, but got an array instead."},
		{"no JSON", "{", 400, "parse"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantStatus(tt.status, tt.want)(t, c.post("/batches", tt.body)) })
	}
}

func TestInputIsValidated(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{MaxLines: 3})
	good := line("1", "가")
	second := line("2", "나")
	swap := func(old, new string) string { return strings.Replace(second, old, new, 1) }
	for _, tt := range []struct {
		name, bad, code string
		param           any
	}{
		{"json", `{"custom_id":`, "invalid_json_line", nil},
		{"blank line", "", "invalid_json_line", nil},
		{"custom_id", swap(`"custom_id":"2",`, ``), "missing_required_parameter", "custom_id"},
		{"method", swap(`"method":"POST",`, ``), "missing_required_parameter", "method"},
		{"url", swap(`,"url":"/v1/chat/completions"`, ``), "missing_required_parameter", "url"},
		{"duplicate", good, "duplicate_custom_id", "custom_id"},
		{"two models", swap("gpt-5-mini", "gpt-5-nano"), "mismatched_model", "body.model"},
		{"another url", swap(`/v1/chat/completions`, `/v1/responses`), "invalid_url", "url"},
		{"unknown model", swap("gpt-5-mini", "haenyeo-1"), "model_not_found", "body.model"},
		{"no model", swap("gpt-5-mini", ""), "invalid_request", "body.model"},
		{"no messages", swap(`"messages":[`, `"m":[`), "invalid_request", "body.messages"},
		{"stream", swap(`"model"`, `"stream":true,"model"`), "streaming_unsupported", "body.stream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := c.batch(good, tt.bad, line("3", "다"))
			if b["status"] != "failed" || b["failed_at"] == nil {
				t.Fatalf("status %v", b["status"])
			}
			entry := b["errors"].(map[string]any)["data"].([]any)[0].(map[string]any)
			if entry["code"] != tt.code || entry["param"] != tt.param || entry["line"].(json.Number) != "2" {
				t.Errorf("entry %v, want %s %v in line 2", entry, tt.code, tt.param)
			}
		})
	}
	if b := c.until(c.create("file-nobody", "").object(t)["id"].(string), "failed"); !strings.Contains(fmt.Sprint(b["errors"]), "file_id") {
		t.Errorf("missing file: %v", b["errors"])
	}
	if b := c.batch(good, second, line("3", "다"), line("4", "라")); b["status"] != "failed" {
		t.Errorf("four lines of three: %v", b["status"])
	}
}

func TestEnqueuedTokens(t *testing.T) {
	t.Parallel()
	bubble(t, sim.Options{EnqueuedTokens: 1500, BatchStep: 150 * time.Millisecond}, func(t *testing.T, c *client) {
		one := line("1", strings.Repeat("밥", 900)) // about 1,100 tokens
		first := c.create(c.file(one), "").object(t)["id"].(string)
		c.until(first, "in_progress")
		second := c.create(c.file(one), "").object(t)["id"].(string)
		b := c.until(second, "failed")
		if m := fmt.Sprint(b["errors"]); !strings.Contains(m, "token_limit_exceeded") || !strings.Contains(m, "Limit: 1,500 enqueued tokens") {
			t.Errorf("errors %s", m)
		}
		c.until(first, "completed")
		c.until(c.create(c.file(one), "").object(t)["id"].(string), "completed")
	})
}

func TestStrictSchema(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	swap := func(old, new string) string { return strings.Replace(schema, old, new, 1) }
	bad := map[string]string{
		"required":   lineWith("required", "가", swap(`"branch",`, "")),
		"additional": lineWith("additional", "가", swap(`"additionalProperties":false,`, "")),
		"root":       lineWith("root", "가", `{"type":"array","items":{"type":"string"}}`),
		"default":    lineWith("default", "가", swap(`"name":{"type":"string"}`, `"name":{"type":"string","default":"x"}`)),
		"loose":      strings.Replace(line("loose", "가"), `"strict":true`, `"strict":false`, 1),
		"none":       strings.Replace(line("none", "가"), `"response_format"`, `"x"`, 1),
		"max_tokens": strings.Replace(line("max_tokens", "가"), `"model"`, `"max_tokens":9,"model"`, 1),
		"hot":        strings.Replace(line("hot", "가"), `"model"`, `"temperature":0,"model"`, 1),
	}
	lines := append(slices.Collect(maps.Values(bad)), line("good", "가"))
	b := c.batch(lines...)
	failed := c.results(b["error_file_id"])
	for name := range bad {
		if o, ok := failed[name]; !ok || o.Response.Status != 400 || o.Response.Body.Error == nil {
			t.Errorf("%s was not refused: %+v", name, o)
		}
	}
	if code := failed["required"].Response.Body.Error.Code; code != "invalid_json_schema" {
		t.Errorf("code %s", code)
	}
	if got := c.results(b["output_file_id"]); len(got) != 1 {
		t.Errorf("%d answers, want 1", len(got))
	}
}

func TestListOfBatches(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Faults: sim.Faults{OpenAI: sim.OpenAIFaults{HideFromList: sim.Fault{Skip: 5, Count: 1}}}})
	file := c.file(line("1", "가"))
	var ids []string
	for i := range 6 {
		ids = append(ids, c.create(file, fmt.Sprint(i%5)).object(t)["id"].(string))
	}
	visible := slices.Clone(ids[:5])
	slices.Reverse(visible)
	var got []string
	after := ""
	for range 5 {
		l := c.get("/batches?limit=2" + after).object(t)
		for _, b := range l["data"].([]any) {
			got = append(got, b.(map[string]any)["id"].(string))
		}
		if l["has_more"] == false {
			break
		}
		after = "&after=" + l["last_id"].(string)
	}
	if d := cmp.Diff(visible, got); d != "" {
		t.Error(d)
	}
	wantStatus(400, "limit")(t, c.get("/batches?limit=101"))
	wantStatus(200, ids[5])(t, c.get("/batches/"+ids[5]))
	if st := c.s.Stats(); st.Batches != 6 || st.BatchesAgain != 1 {
		t.Errorf("%d batches, %d again", st.Batches, st.BatchesAgain)
	}
}

func TestListDelay(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{ListDelay: time.Hour})
	id := c.create(c.file(line("1", "가")), "").object(t)["id"].(string)
	if l := c.get("/batches").object(t); len(l["data"].([]any)) != 0 {
		t.Errorf("the new batch is already listed")
	}
	c.until(id, "completed")
}
