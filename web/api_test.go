package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
)

// description is openapi.yaml as what JSON would be.
var description = sync.OnceValues(func() (map[string]any, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(web.OpenAPI(), &doc); err != nil {
		return nil, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
})

var schemas = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	doc, err := description()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c, c.AddResource("mem:///openapi.json", doc)
})

var compiling sync.Mutex // the compiler is not made for several at a time

// schemaOf is what the description says of an answer; nil when it says nothing of its body.
func schemaOf(t *testing.T, method, path string, status int) *jsonschema.Schema {
	t.Helper()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	responses := doc["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
	key := fmt.Sprint(status)
	switch r, ok := responses[key].(map[string]any); {
	case ok && r["content"] == nil:
		return nil
	case !ok && status < 400:
		t.Fatalf("%s %s answers %d, which is not described", method, path, status)
	}
	at := "/paths/" + strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1") + "/" + strings.ToLower(method) + "/responses/" + key + "/content/application~1json/schema"
	if status >= 400 {
		at = "/components/responses/Wrong/content/application~1json/schema"
	}
	c, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	compiling.Lock()
	defer compiling.Unlock()
	s, err := c.Compile("mem:///openapi.json#" + (&url.URL{Path: at}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asker asks for a route and holds the answer against the description.
type asker struct {
	*house
	seen map[string]bool // method, path and status that were answered
}

func newAsker(ho *house) *asker { return &asker{house: ho, seen: map[string]bool{}} }

// call asks for path with its {names} replaced by values in their order, and returns status and body.
func (a *asker) call(method, path string, values []string, rest, body string, change ...func(*http.Request)) (int, map[string]any, http.Header) {
	a.t.Helper()
	asked := path
	for _, v := range values {
		i, j := strings.Index(asked, "{"), strings.Index(asked, "}")
		asked = asked[:i] + url.PathEscape(v) + asked[j+1:]
	}
	if body != "" {
		change = append([]func(*http.Request){with("Content-Type", "application/json")}, change...)
	}
	r := a.ask(method, asked+rest, body, append([]func(*http.Request){bearer(token)}, change...)...)
	text := text(r)
	a.seen[fmt.Sprintf("%s %s %d", method, path, r.StatusCode)] = true
	s := schemaOf(a.t, method, path, r.StatusCode)
	if s == nil {
		if text != "" {
			a.t.Errorf("%s %s: a body where none is described: %s", method, asked, text)
		}
		return r.StatusCode, nil, r.Header
	}
	if got := r.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		a.t.Errorf("%s %s is %s", method, asked, got)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		a.t.Fatalf("%s %s is no JSON: %v\n%s", method, asked, err, text)
	}
	if err := s.Validate(v); err != nil {
		a.t.Errorf("%s %s%s is not as described: %v\n%.2000s", method, asked, rest, err, text)
	}
	return r.StatusCode, v.(map[string]any), r.Header
}

func (a *asker) get(path string, values []string, rest string) map[string]any {
	a.t.Helper()
	status, v, _ := a.call("GET", "/api/v1"+path, values, rest, "")
	if status != 200 {
		a.t.Fatalf("%s%s: %d %v", path, rest, status, v)
	}
	return v
}

func items(v map[string]any) (all []map[string]any) {
	for _, i := range v["items"].([]any) {
		all = append(all, i.(map[string]any))
	}
	return all
}

// acts gives a server a configuration of one pipeline.
func acts(s *web.Server) {
	s.Pipelines = []*jobs.Pipeline{{Name: "matzip"}}
	s.Account = func(pipeline, name string) (string, error) {
		if pipeline != "matzip" {
			return "", errors.New("another pipeline's accounts are not known")
		}
		if name = strings.TrimPrefix(name, "@"); strings.ContainsAny(name, " /") || name == "" {
			return "", errors.New("this is no account")
		}
		return name, nil
	}
}

func bigAsker(t *testing.T) *asker {
	t.Helper()
	s := bigtest.Open(t, postgres)
	ho := newHouse(t, token, func(w *web.Server) { w.Store = s }, acts)
	return newAsker(ho)
}

// TestDescriptionAndRoutes wants the description to name what is served, all of it, with the parameters that it takes.
func TestDescriptionAndRoutes(t *testing.T) {
	t.Parallel()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	parameters := doc["components"].(map[string]any)["parameters"].(map[string]any)
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			var query []string
			for _, p := range listOf(op.(map[string]any)["parameters"]) {
				p := p.(map[string]any)
				if ref, ok := p["$ref"].(string); ok {
					p = parameters[strings.TrimPrefix(ref, "#/components/parameters/")].(map[string]any)
				}
				if p["in"] == "query" {
					query = append(query, p["name"].(string))
				}
			}
			described[strings.ToUpper(method)+" "+path] = query
		}
	}
	if d := cmp.Diff(web.APIRoutes(), described); d != "" {
		t.Errorf("served and described (-served +described):\n%s", d)
	}
	ho := newHouse(t, token)
	if r := ho.ask("GET", "/openapi.yaml", "", bearer(token)); r.StatusCode != 200 || text(r) != string(web.OpenAPI()) || r.Header.Get("Content-Type") != "application/yaml; charset=utf-8" {
		t.Errorf("/openapi.yaml: %s %s", r.Status, r.Header.Get("Content-Type"))
	}
}

func listOf(v any) []any {
	l, _ := v.([]any)
	return l
}

// TestAPIReads asks for everything of a large state, and holds every answer against the description.
func TestAPIReads(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	st := a.get("/status", nil, "")
	if got, _ := st["places"].(json.Number).Int64(); got != bigtest.Places {
		t.Errorf("%d places", got)
	}
	if p := items(a.get("/pipelines", nil, ""))[0]; p["name"] != "matzip" || p["configured"] != true || p["currentRun"] == nil || p["lastRun"] == nil {
		t.Errorf("pipeline %v", p)
	}
	run := items(a.get("/runs", nil, "?pipeline=matzip&limit=1"))[0]
	a.get("/runs/{id}", []string{fmt.Sprint(run["id"])}, "")
	for _, state := range []string{"ready", "running", "waiting", "dead"} {
		for _, j := range items(a.get("/jobs", nil, "?limit=20&state="+state)) {
			if story := a.get("/jobs/{id}", []string{fmt.Sprint(j["id"])}, ""); j["state"] != state || story["id"] != j["id"] {
				t.Errorf("job %v is %v, not %s", story["id"], j["state"], state)
			}
		}
	}
	groups := items(a.get("/dead", nil, ""))
	for _, g := range groups {
		cause := url.Values{"cause": {g["cause"].(string)}, "limit": {"2"}}
		if g["what"] == "job" {
			cause.Set("state", "dead")
			if len(items(a.get("/jobs", nil, "?"+cause.Encode()))) == 0 {
				t.Errorf("no job behind %v", g)
			}
		} else if len(items(a.get("/dead/questions", nil, "?"+cause.Encode()))) == 0 {
			t.Errorf("no question behind %v", g)
		}
	}
	if len(groups) == 0 {
		t.Error("nothing was given up")
	}
	for _, state := range []string{"ok", "gone", "private", "silent", "renamed", "gap"} {
		for _, x := range items(a.get("/accounts", nil, "?limit=3&state="+state)) {
			a.get("/accounts/{pipeline}/{account}", []string{x["pipeline"].(string), x["account"].(string)}, "")
		}
	}
	for _, b := range items(a.get("/batches", nil, "?limit=5")) {
		a.get("/batches/{id}", []string{fmt.Sprint(b["id"])}, "")
	}
	reviews := items(a.get("/reviews", nil, "?limit=10"))
	for _, m := range reviews {
		if m["state"] != "review" || len(m["candidates"].([]any)) == 0 {
			t.Errorf("review %v", m)
		}
		a.get("/reviews/{mention}", []string{fmt.Sprint(m["id"])}, "")
		p := a.get("/posts/{stream}/{key}", []string{m["stream"].(string), m["post"].(string)}, "")
		if len(p["mentions"].([]any)) == 0 {
			t.Errorf("post %v names nothing", p["key"])
		}
	}
	a.get("/reviews", nil, "?all=true&post="+reviews[0]["post"].(string))
	seen := 0
	for _, m := range items(a.get("/reviews", nil, "?all=true&limit=50")) {
		if id, ok := m["place"].(string); ok {
			seen++
			p := a.get("/places/{id}", []string{id}, "?limit=1")
			for next := p["mentions"].(map[string]any)["next"]; next != nil && seen < 20; seen++ {
				next = a.get("/places/{id}", []string{id}, "?limit=1&after="+url.QueryEscape(next.(string)))["mentions"].(map[string]any)["next"]
			}
		}
	}
	if seen == 0 {
		t.Error("no place was looked at")
	}
}

// TestAPIFigures wants the API to say what the overview shows.
func TestAPIFigures(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	ho := newHouse(t, token, func(w *web.Server) {
		o := overviewOf(s)
		w.Store, w.Pipelines, w.Rates = s, o.Pipelines, o.Rates
	})
	a := newAsker(ho)
	if v := a.get("/status", nil, "")["refusedWebhooks"]; fmt.Sprint(v) != "map[n:0]" {
		t.Errorf("before a webhook was refused: %v", v)
	}
	for range 2 {
		ho.ask("POST", "/webhooks/openai", "batch_1", with("webhook-signature", "forged"))
	}
	st := a.get("/status", nil, "")
	want := map[string]any{
		"rates":           []any{map[string]any{"upstream": "instagram", "limit": json.Number("8"), "perSecond": json.Number("7.5")}},
		"refusedWebhooks": map[string]any{"n": json.Number("2"), "lastAt": "2026-11-20T12:00:00Z"},
	}
	for name, w := range want {
		if d := cmp.Diff(w, st[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	p := items(a.get("/pipelines", nil, ""))[0]
	run, err := s.LastRun(t.Context(), "matzip")
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Headway(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	walks, err := s.Reaches(t.Context(), "matzip")
	if err != nil {
		t.Fatal(err)
	}
	left := jobs.TimeLeft(ho.Pipelines[0], walks, run, 8)
	stages := []string{
		fmt.Sprint("pages ", run.Pages, " of ", run.Pages+left.Pages, " true"), fmt.Sprint("captions ", h.Answered, " of ", h.Answered+h.InBatch+h.Waiting, " false"),
		fmt.Sprint("restaurants ", h.Matched, " of ", h.Matched+h.Matching, " false"),
	}
	var got []string
	for _, x := range p["stages"].([]any) {
		x := x.(map[string]any)
		got = append(got, fmt.Sprint(x["what"], " ", x["done"], " of ", x["of"], " ", x["forecast"]))
	}
	if d := cmp.Diff(stages, got); d != "" {
		t.Errorf("stages (-want +got):\n%s", d)
	}
	if l, d := fmt.Sprint(p["crawlSecondsLeft"]), fmt.Sprint(p["toDeliver"]); l != fmt.Sprint(int(left.Bound.Round(time.Second).Seconds())) || d != fmt.Sprint(h.Outbox) || left.Bound == 0 || h.Outbox == 0 {
		t.Errorf("%s s are left, %s to deliver, want %s and %d", l, d, left.Bound, h.Outbox)
	}
	// What does not run, or is not configured here, is at no stage.
	ho.Pipelines = nil
	ho.Forget()
	if p := items(a.get("/pipelines", nil, ""))[0]; p["configured"] != false || len(p["stages"].([]any)) != 0 || p["toDeliver"] != nil {
		t.Errorf("not configured: %v", p)
	}
	ho = newHouse(t, token, acts)
	a = newAsker(ho)
	if p := items(a.get("/pipelines", nil, ""))[0]; p["currentRun"] != nil || len(p["stages"].([]any)) != 0 || fmt.Sprint(p["toDeliver"]) != "0" {
		t.Errorf("never run: %v", p)
	}
	a.call("POST", "/api/v1/runs", nil, "", `{"pipeline":"matzip"}`)
	if p := items(a.get("/pipelines", nil, ""))[0]; p["currentRun"] == nil || len(p["stages"].([]any)) != 1 {
		t.Errorf("just asked for: %v", p)
	}
}

// TestAPIPlaces filters places, and looks at each that is found whether it is one of those.
func TestAPIPlaces(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	first := items(a.get("/places", nil, "?limit=50"))
	one := a.get("/places/{id}", []string{first[20]["id"].(string)}, "")
	m := one["mentions"].(map[string]any)["items"].([]any)[0].(map[string]any)
	taken, err := time.Parse(time.RFC3339, m["takenAt"].(string))
	if err != nil {
		t.Fatal(err)
	}
	day := queue.Day(taken)
	account := m["account"].(string)
	area, _, _ := strings.Cut(one["roadAddress"].(string), " ")
	category, _, _ := strings.Cut(one["category"].(string), ">")
	for _, f := range []url.Values{
		{"name": {one["name"].(string)}},
		{"area": {area}, "account": {account}},
		{"category": {category}, "from": {day}, "to": {day}},
		{"account": {account}, "ad": {"true"}},
		{"account": {account}, "ad": {"false"}, "pipeline": {"matzip"}},
	} {
		f.Set("limit", "20")
		var found []map[string]any
		for v := a.get("/places", nil, "?"+f.Encode()); ; v = a.get("/places", nil, "?"+f.Encode()+"&after="+url.QueryEscape(v["next"].(string))) {
			if found = append(found, items(v)...); v["next"] == nil || len(found) > 0 {
				break
			}
		}
		if len(found) == 0 {
			t.Errorf("%v finds nothing", f)
		}
		for _, p := range found {
			whole := a.get("/places/{id}", []string{p["id"].(string)}, "?limit=200")
			var named []any
			for _, x := range whole["mentions"].(map[string]any)["items"].([]any) {
				x := x.(map[string]any)
				at, _ := time.Parse(time.RFC3339, x["takenAt"].(string))
				ad, _ := x["fields"].(map[string]any)["ad"].(bool)
				if (f.Get("account") == "" || x["account"] == account) && (f.Get("from") == "" || queue.Day(at) == day) && (f.Get("ad") == "" || fmt.Sprint(ad) == f.Get("ad")) {
					named = append(named, x)
				}
			}
			if !strings.Contains(p["name"].(string), f.Get("name")) || !strings.Contains(fmt.Sprint(p["roadAddress"], p["address"]), f.Get("area")) || !strings.Contains(fmt.Sprint(p["category"]), f.Get("category")) || len(named) == 0 {
				t.Errorf("%v finds %v, named by %d", f, p, len(named))
			}
		}
	}
	if found := items(a.get("/places", nil, "?account="+url.QueryEscape(account)+"&to=2000-01-01")); len(found) != 0 {
		t.Errorf("before all posts: %v", found)
	}
}

// TestAPIPages wants every list to come to its end, with nothing twice and nothing left out.
func TestAPIPages(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	account := items(a.get("/accounts", nil, "?limit=1&state=ok"))[0]["account"].(string)
	lists := map[string]string{
		"/runs": "id", "/batches": "id", "/jobs?state=dead": "id", "/accounts": "account", "/accounts?state=gap": "account",
		"/places?account=" + account: "id", "/places?ad=true&from=2026-11-01&to=2026-11-03": "id",
	}
	for path, key := range lists {
		whole := map[string]bool{}
		for _, limit := range []int{200, 7} {
			part, order := map[string]bool{}, []string{}
			after := ""
			for pages := 0; pages < 1000; pages++ {
				route, rest, _ := strings.Cut(path, "?")
				v := a.get(route, nil, fmt.Sprintf("?%s&limit=%d%s", rest, limit, after))
				for _, i := range items(v) {
					k := fmt.Sprint(i["pipeline"], " ", i[key])
					if part[k] {
						t.Errorf("%s shows %s twice", path, k)
					}
					part[k] = true
					order = append(order, k)
				}
				next, more := v["next"].(string)
				if !more {
					break
				}
				after = "&after=" + url.QueryEscape(next)
			}
			if limit == 200 {
				whole = part
			} else if d := cmp.Diff(whole, part); d != "" {
				t.Errorf("%s by 200 and by 7: %s", path, d)
			}
			if len(order) == 0 {
				t.Errorf("%s is empty", path)
			}
		}
	}
}

// TestAPIMistakes asks for what there is not, in every way.
func TestAPIMistakes(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, acts)
	a := newAsker(ho)
	values := map[string][]string{"limit": {"0", "-1", "201", "1e2", "x", "", "99999999999999999999", "１"}, "after": {"x", "-1", "0", "1.5", "' or 1=1 --", "99999999999999999999"}, "state": {"맛집", "DEAD", "dead "}, "kind": {"x"}, "all": {"1", "yes"}, "sort": {"x", "VIEWS"}, "ad": {"1", "맛"}, "from": {"2026-13-01", "2026-11-20T00:00:00Z", "", "어제"}, "to": {"20261120", "2026-02-30"}}
	for route, params := range web.APIRoutes() {
		method, path, _ := strings.Cut(route, " ")
		at := make([]string, strings.Count(path, "{"))
		for i := range at {
			at[i] = "1"
		}
		body := ""
		if method == "POST" {
			body = "{}"
		}
		bad := []string{"?unknown=1", "?limit=1&limit=1&x=y", "?%zz=1", "?;", "?LIMIT=1", "?" + url.QueryEscape("한글") + "=1"}
		for _, p := range params {
			bad = append(bad, "?"+p+"=1&"+p+"=1")
			for _, v := range values[p] {
				if p != "after" || !strings.Contains(path, "/accounts") && path != "/api/v1/places" || v == "x" && path != "/api/v1/places" {
					bad = append(bad, "?"+p+"="+url.QueryEscape(v))
				}
			}
		}
		for _, q := range bad {
			if status, v, _ := a.call(method, path, at, q, body); status != 400 {
				t.Errorf("%s%s: %d %v", route, q, status, v)
			}
		}
		for _, p := range []string{"x", "-1", "0", "1.5", "99999999999999999999", "' or 1=1 --", "..", "%00", "맛집", strings.Repeat("9", 3000)} {
			if len(at) == 0 || p == ".." {
				continue
			}
			at[len(at)-1] = p
			q := ""
			if slices.Contains(params, "cause") {
				q = "?cause=x"
			}
			if status, v, _ := a.call(method, path, at, q, body); status != 400 && status != 404 {
				t.Errorf("%s with %.20q: %d %v", route, p, status, v)
			}
		}
	}
	for _, path := range []string{"/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/runs", "/api/v1/nothing", "/api/v1/runs/", "/api/v1/jobs/1/retry/x"} {
		r := ho.ask("GET", path, "", bearer(token), browser)
		if b := text(r); r.StatusCode != 404 || path != "/api" && !strings.HasPrefix(b, `{"error":"`) {
			t.Errorf("%s: %s %s", path, r.Status, b)
		}
	}
	for _, m := range []string{"DELETE", "PUT", "PATCH", "POST"} {
		r := ho.ask(m, "/api/v1/status", "{}", bearer(token), with("Content-Type", "application/json"))
		if b := text(r); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" || !strings.HasPrefix(b, `{"error":"`) {
			t.Errorf("%s: %s %s %s", m, r.Status, r.Header.Get("Allow"), b)
		}
	}
}

// TestAPIBodies sends what is no request.
func TestAPIBodies(t *testing.T) {
	t.Parallel()
	a := newAsker(newHouse(t, token, acts))
	const path = "/api/v1/runs"
	for name, tt := range map[string]struct {
		body   string
		change []func(*http.Request)
		want   int
	}{
		"empty":               {"", nil, 400},
		"white":               {"  \n", nil, 400},
		"no object":           {`[]`, nil, 400},
		"null pipeline":       {`{"pipeline":null}`, nil, 404},
		"cut":                 {`{"pipeline":"matz`, nil, 400},
		"two":                 {`{"pipeline":"matzip"}{"pipeline":"matzip"}`, nil, 400},
		"unknown":             {`{"pipeline":"matzip","target":["x"]}`, nil, 400},
		"another type":        {`{"pipeline":"matzip","full":"yes"}`, nil, 400},
		"another pipeline":    {`{"pipeline":"맛집"}`, nil, 404},
		"no account":          {`{"pipeline":"matzip","accounts":["a b"]}`, nil, 400},
		"too many accounts":   {`{"pipeline":"matzip","accounts":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 201), ",") + `]}`, nil, 400},
		"too large":           {`{"pipeline":"` + strings.Repeat("x", 9000) + `"}`, nil, 413},
		"a form":              {`pipeline=matzip`, []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}, 415},
		"text":                {`{"pipeline":"matzip"}`, []func(*http.Request){with("Content-Type", "text/plain")}, 415},
		"no type":             {`{"pipeline":"matzip"}`, []func(*http.Request){with("Content-Type", "")}, 415},
		"another site":        {`{"pipeline":"matzip"}`, []func(*http.Request){with("Sec-Fetch-Site", "cross-site")}, 403},
		"another origin":      {`{"pipeline":"matzip"}`, []func(*http.Request){with("Origin", "https://evil.test")}, 403},
		"no token":            {`{"pipeline":"matzip"}`, []func(*http.Request){with("Authorization", "")}, 401},
		"a browser, no token": {`{"pipeline":"matzip"}`, []func(*http.Request){with("Authorization", ""), browser}, 401},
		"a wrong token":       {`{"pipeline":"matzip"}`, []func(*http.Request){bearer("들깨")}, 401},
	} {
		if status, v, h := a.call("POST", path, nil, "", tt.body, tt.change...); status != tt.want {
			t.Errorf("%s: %d %v, want %d", name, status, v, tt.want)
		} else if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, h)
		}
	}
	if runs, err := a.Store.OpenRuns(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("runs %+v, %v", runs, err)
	}
	for range web.FreeTries {
		a.call("GET", "/api/v1/status", nil, "", "", bearer("들깨"))
	}
	if status, _, h := a.call("GET", "/api/v1/status", nil, "", ""); status != 429 || h.Get("Retry-After") == "" {
		t.Errorf("after many wrong tokens: %d", status)
	}
}

// TestAPIRuns asks for runs.
func TestAPIRuns(t *testing.T) {
	t.Parallel()
	a := newAsker(newHouse(t, token, acts))
	const path = "/api/v1/runs"
	status, v, _ := a.call("POST", path, nil, "", `{"pipeline":"matzip","accounts":["@먹보","nike"],"full":true}`)
	if status != 201 || v["state"] != "asked" || v["full"] != true || fmt.Sprint(v["accounts"]) != "[먹보 nike]" {
		t.Fatalf("%d %v", status, v)
	}
	if again, w, _ := a.call("POST", path, nil, "", `{"pipeline":"matzip"}`); again != 200 || w["id"] != v["id"] {
		t.Errorf("again: %d %v", again, w)
	}
	if status, w, _ := a.call("POST", path, nil, "", `{"pipeline":"matzip","accounts":["adidas"]}`); status != 409 {
		t.Errorf("others while it runs: %d %v", status, w)
	}
	got := a.get("/runs/{id}", []string{fmt.Sprint(v["id"])}, "")
	if got["pipeline"] != "matzip" || fmt.Sprint(got["accounts"]) != "[먹보 nike]" {
		t.Errorf("read back: %v", got)
	}
}

// TestAPIJobs retries and drops.
func TestAPIJobs(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	dead := items(a.get("/jobs", nil, "?state=dead&limit=3"))
	id := func(i int) []string { return []string{fmt.Sprint(dead[i]["id"])} }
	if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/retry", id(0), "", ""); status != 204 {
		t.Fatalf("retry: %d %v", status, v)
	}
	if j := a.get("/jobs/{id}", id(0), ""); j["state"] == "dead" {
		t.Errorf("retried: %v", j)
	}
	if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/drop", id(1), "", "{}"); status != 204 {
		t.Fatalf("drop: %d %v", status, v)
	}
	if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/drop", id(1), "", ""); status != 404 {
		t.Errorf("dropped again: %d %v", status, v)
	}
	if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/drop", id(2), "", `{"force":true}`); status != 400 {
		t.Errorf("with more than is known: %d %v", status, v)
	}
	running := items(a.get("/jobs", nil, "?state=running&limit=1"))
	if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/retry", []string{fmt.Sprint(running[0]["id"])}, "", ""); status != 409 {
		t.Errorf("retry of what runs: %d %v", status, v)
	}
	for _, g := range items(a.get("/dead", nil, "")) {
		if g["what"] != "question" {
			continue
		}
		q := items(a.get("/dead/questions", nil, "?limit=1&cause="+url.QueryEscape(g["cause"].(string))))[0]
		if status, v, _ := a.call("POST", "/api/v1/jobs/{id}/retry", []string{q["id"].(string)}, "", ""); status != 204 {
			t.Errorf("retry of a question: %d %v", status, v)
		}
	}
}

// TestAPIReview decides, changes and takes back, and is not done by who has not seen the last decision.
func TestAPIReview(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	const path = "/api/v1/reviews/{mention}"
	m := items(a.get("/reviews", nil, "?limit=1&pipeline=matzip"))[0]
	at := []string{fmt.Sprint(m["id"])}
	decide := func(want int, body string) map[string]any {
		t.Helper()
		status, v, _ := a.call("POST", path, at, "", body)
		if status != want {
			t.Fatalf("%s: %d %v", body, status, v)
		}
		return v
	}
	decide(400, `{"decision":"place"}`)
	decide(400, `{"decision":"place","candidate":100}`)
	decide(400, `{"decision":"none","candidate":1}`)
	decide(400, `{"decision":"맛집"}`)
	decide(404, `{"decision":"undo"}`)
	if v := decide(409, `{"decision":"none","version":"other"}`); !strings.Contains(v["error"].(string), m["version"].(string)) {
		t.Errorf("told %v", v)
	}
	v := decide(200, fmt.Sprintf(`{"decision":"place","candidate":1,"version":%q,"by":" 미\u0007나\n"}`, m["version"]))
	if v["state"] != "place" || v["by"] != "미나" || v["candidates"].([]any)[0].(map[string]any)["taken"] != true || v["was"].(map[string]any)["state"] != "review" {
		t.Errorf("decided: %v", v)
	}
	decide(409, fmt.Sprintf(`{"decision":"none","version":%q}`, m["version"]))
	if v := decide(200, fmt.Sprintf(`{"decision":"none","version":%q}`, v["version"])); v["state"] != "none" {
		t.Errorf("changed: %v", v)
	}
	if v := decide(200, `{"decision":"undo"}`); v["state"] != "review" || v["was"] != nil {
		t.Errorf("taken back: %v", v)
	}
	if status, v, _ := a.call("POST", path, []string{"999999999"}, "", `{"decision":"none"}`); status != 404 {
		t.Errorf("a mention that is not there: %d %v", status, v)
	}
}

// TestAPITexts wants other people's texts to arrive as they are, and to be nothing but text on the way.
func TestAPITexts(t *testing.T) {
	t.Parallel()
	a := bigAsker(t)
	left := bigtest.Nasty()
	after := ""
	for pages := 0; len(left) > 0 && pages < 20; pages++ {
		r := a.ask("GET", "/api/v1/reviews?all=true"+after, "", bearer(token))
		body := text(r)
		if r.StatusCode != 200 || strings.ContainsAny(body, "<>&\u2028\u2029") || r.Header.Get("Content-Type") != "application/json; charset=utf-8" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%s %v: a browser could take it for HTML", r.Status, r.Header)
		}
		var v struct {
			Items []struct{ Caption string }
			Next  string
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		for _, m := range v.Items {
			left = slices.DeleteFunc(left, func(nasty string) bool { return strings.Contains(m.Caption, nasty) })
		}
		after = "&after=" + v.Next
	}
	if len(left) > 0 {
		t.Errorf("these did not arrive as they are: %q", left)
	}
}

// TestAPITags wants an answer to be sent again only when it has changed, and HEAD to say what GET says.
func TestAPITags(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, acts)
	const path = "/api/v1/runs"
	first := ho.ask("GET", path, "", bearer(token))
	tag := first.Header.Get("ETag")
	if tag == "" || first.Header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("%v", first.Header)
	}
	head := ho.ask("HEAD", path, "", bearer(token))
	for _, name := range []string{"ETag", "Content-Type", "Content-Length"} {
		if head.Header.Get(name) != first.Header.Get(name) || head.Header.Get(name) == "" {
			t.Errorf("%s of HEAD is %q, of GET %q", name, head.Header.Get(name), first.Header.Get(name))
		}
	}
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if r := ho.ask("GET", path, "", bearer(token), with("If-None-Match", known)); r.StatusCode != 304 || text(r) != "" {
			t.Errorf("with %s: %s", known, r.Status)
		}
	}
	if err := ho.Store.Tx(t.Context(), func(tx *queue.Tx) error { _, _, err := tx.AskRun("matzip", false, nil); return err }); err != nil {
		t.Fatal(err)
	}
	if r := ho.ask("GET", path, "", bearer(token), with("If-None-Match", tag)); r.StatusCode != 200 || r.Header.Get("ETag") == tag {
		t.Errorf("after a change: %s", r.Status)
	}
}

// TestAPIClosed tells nobody outside why the state cannot be read.
func TestAPIClosed(t *testing.T) {
	t.Parallel()
	a := newAsker(newHouse(t, token))
	a.Store.Close()
	for _, path := range []string{"/status", "/pipelines", "/runs", "/jobs", "/dead", "/accounts", "/batches", "/reviews"} {
		status, v, _ := a.call("GET", "/api/v1"+path, nil, "", "")
		if status != 503 || strings.Contains(fmt.Sprint(v), "sql") || strings.Contains(fmt.Sprint(v), t.TempDir()) {
			t.Errorf("%s: %d %v", path, status, v)
		}
	}
	if !strings.Contains(a.log.String(), "closed") {
		t.Errorf("the log does not say why:\n%s", &a.log)
	}
}

// TestAPIIsQuick measures each answer over the large state.
func TestAPIIsQuick(t *testing.T) {
	a := bigAsker(t)
	for _, path := range []string{"/status", "/pipelines", "/runs", "/jobs", "/jobs?state=dead", "/dead", "/accounts", "/batches", "/reviews?limit=20", "/accounts?state=gap", "/places?ad=true", "/places?to=2000-01-01", "/places?account=nobody"} {
		began := time.Now()
		if r := a.ask("GET", "/api/v1"+path, "", bearer(token)); r.StatusCode != 200 {
			t.Fatalf("%s: %s", path, r.Status)
		}
		t.Logf("%s: %s", path, time.Since(began).Round(time.Millisecond))
	}
}
