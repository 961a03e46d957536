package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	velogPage  = 50               // posts of a page, whatever is asked for
	velogFresh = 15 * time.Minute // an answer of the cache
	velogStale = 15 * time.Minute // and then once more while it asks again
)

// velogKept is an answer in the cache.
type velogKept struct {
	at   time.Time
	body []byte
}

// velogError is an error of a resolver.
type velogError struct {
	code, text string
	status     int // of v3; v2 answers everything with 200
	exception  object
}

func (e *velogError) Error() string { return e.text }

func (s *Server) routeVelog() {
	v := s.velog
	g := gate{
		name: "velog", faults: &s.dice.faults.Velog.HTTPFaults, latency: v.o.Latency, perSecond: v.o.PerSecond, period: koreanDay,
		key: func(http.ResponseWriter, *http.Request) (string, bool) { return "velog", true },
		refuse: func(w http.ResponseWriter, _ *http.Request, _ verdict) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, "<html><head><title>429 Too Many Requests</title></head></html>")
		},
		broken: func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusInternalServerError, object{"statusCode": 500, "error": "Internal Server Error", "message": "Internal Server Error"})
		},
	}
	for _, server := range []string{"v2", "v3"} {
		s.mux.HandleFunc("POST /velog/"+server+"/graphql", s.through(g, func(w http.ResponseWriter, r *http.Request) { v.serve(w, r, server, false) }))
	}
	s.mux.HandleFunc("POST "+VelogCDNPath+"/graphql", s.through(g, func(w http.ResponseWriter, r *http.Request) { v.serve(w, r, "v2", true) }))
	s.mux.HandleFunc("/velog/", func(w http.ResponseWriter, r *http.Request) {
		s.stats.misdirected("velog")
		reply(w, http.StatusNotFound, object{"message": "Route " + r.Method + ":" + r.URL.Path + " not found", "error": "Not Found", "statusCode": 404})
	})
	s.mux.HandleFunc("GET /sim/velog", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, v.Stats()) })
	s.mux.HandleFunc("GET /sim/velog/users", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, v.Users()) })
	s.mux.HandleFunc("GET /sim/velog/posts", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, v.Posts(r.FormValue("user"))) })
	s.mux.HandleFunc("GET /sim/velog/truth", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, v.Truth(r.FormValue("post"))) })
	s.mux.HandleFunc("POST /sim/velog/{what}", v.control)
}

// control changes the world over HTTP.
func (v *Velog) control(w http.ResponseWriter, r *http.Request) {
	user, post := r.FormValue("user"), r.FormValue("post")
	var out any = object{}
	var err error
	switch r.PathValue("what") {
	case "advance":
		var d time.Duration
		if d, err = time.ParseDuration(r.FormValue("by")); err == nil {
			out = object{"now": v.Advance(d)}
		}
	case "login":
		out, err = v.Login(user)
	case "kill":
		err = v.Kill(user)
	case "delete":
		err = v.Delete(user)
	case "vanish":
		err = v.Vanish(user, r.FormValue("back") == "")
	case "rename":
		err = v.Rename(user, r.FormValue("to"))
	case "publish":
		out, err = v.Publish(user)
	case "remove":
		err = v.Remove(post)
	case "move":
		err = v.Move(post, r.FormValue("to"))
	default:
		err = errors.New("there is advance, login, kill, delete, vanish, rename, publish, remove and move")
	}
	if err != nil {
		reply(w, http.StatusBadRequest, object{"error": err.Error()})
		return
	}
	reply(w, http.StatusOK, out)
}

// serve answers one GraphQL request.
func (v *Velog) serve(w http.ResponseWriter, r *http.Request, server string, cached bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	status, out, call, extra := v.answer(w.Header(), r, server, body, cached)
	if extra > 0 && !sleep(r, extra) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out)
	v.tell(call)
}

// answer makes the answer and says how much longer it takes.
func (v *Velog) answer(h http.Header, r *http.Request, server string, body []byte, cached bool) (status int, out []byte, c *velogCall, extra time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h.Set("Date", v.now().Format(http.TimeFormat))
	var key string
	if cached {
		token := ""
		if ck, err := r.Cookie("access_token"); err == nil {
			token = ck.Value
		}
		key = token + "\n" + string(body)
		if kept, ok := v.cache[key]; ok && v.now().Sub(kept.at) < velogFresh+velogStale {
			return v.hit(h, r, key, kept, body)
		}
		h.Set("Gcdn-Cache", "MISS")
	}
	c = v.consume(server, r)
	status, out, good, extra := v.run(c, body)
	for _, line := range c.cookies {
		h.Add("Set-Cookie", line)
	}
	if cached && good {
		v.cache[key] = velogKept{v.now(), out}
	}
	return status, out, c, extra
}

// hit answers from the cache. One that is stale is renewed for the next who asks.
func (v *Velog) hit(h http.Header, r *http.Request, key string, kept velogKept, body []byte) (status int, out []byte, c *velogCall, extra time.Duration) {
	age := v.now().Sub(kept.at)
	h.Set("Gcdn-Cache", "HIT")
	h.Set("Age", strconv.Itoa(int(age/time.Second)))
	c = v.consume("v2", r)
	c.cookies, c.renewed, c.cleared = nil, false, false
	if age >= velogFresh {
		if _, fresh, good, _ := v.run(c, body); good {
			v.cache[key] = velogKept{v.now(), fresh}
		}
	} else {
		v.count(c, nil)
	}
	a, _ := v.read(c.access)
	if n := v.seen.users[a.UserID]; n != nil {
		n.Hits++
	}
	return http.StatusOK, kept.body, c, 0
}

// tell notes that an answer has told that a session has ended.
func (v *Velog) tell(c *velogCall) {
	if c == nil || c.server != "v3" || c.user != nil { // v2 does not tell
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen.told[c.access].IsZero() {
		v.seen.told[c.access] = v.now()
	}
}

// run resolves a request. good says that there was no error.
func (v *Velog) run(c *velogCall, body []byte) (status int, out []byte, good bool, extra time.Duration) {
	var req struct {
		Query     string `json:"query"`
		Variables object `json:"variables"`
	}
	invalid := func(code, text string) (int, []byte, bool, time.Duration) {
		v.count(c, nil)
		return http.StatusBadRequest, encoded(object{"errors": []object{{"message": text, "extensions": object{"code": code}}}}), false, 0
	}
	if json.Unmarshal(body, &req) != nil {
		return invalid("BAD_REQUEST", "POST body is not JSON")
	}
	fields, ok := parseQuery(req.Query, req.Variables)
	if !ok {
		return invalid("GRAPHQL_PARSE_FAILED", "Syntax Error")
	}
	if wrong := checkFields("Query"+strings.TrimPrefix(c.server, "v"), fields); wrong != "" {
		return invalid("GRAPHQL_VALIDATION_FAILED", wrong)
	}
	var whose []*velogUser
	for _, f := range fields {
		whose = append(whose, v.whose(f))
	}
	n := v.count(c, whose)
	status = http.StatusOK
	data := object{}
	var errs []object
	for _, f := range fields {
		value, took, err := v.resolve(c, n, f)
		extra += took
		data[f.name] = pick(value, f.sub)
		if err != nil {
			data[f.name] = nil
			ext := object{"code": err.code}
			if err.exception != nil {
				ext["exception"] = err.exception
			}
			errs = append(errs, object{"message": err.text, "locations": []object{{"line": 1, "column": 2}}, "path": []string{f.name}, "extensions": ext})
			if c.server == "v3" {
				status = cmp.Or(err.status, http.StatusInternalServerError)
			}
		}
	}
	answer := object{"data": data}
	if errs != nil {
		answer["errors"] = errs
	}
	return status, encoded(answer), errs == nil, extra
}

func encoded(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // texts, numbers and flags always encode
	return b.Bytes()
}

// whose is the user whose things a field asks for.
func (v *Velog) whose(f field) *velogUser {
	switch f.name {
	case "getStats":
		if p := v.posts[str(f.args["post_id"])]; p != nil {
			return p.user
		}
	case "posts":
		u, _ := v.named(str(postsArgs(f)["username"]))
		return u
	}
	return nil
}

// postsArgs are the arguments of posts, which v3 has within one.
func postsArgs(f field) object {
	switch in := f.args["input"].(type) {
	case object:
		return in
	case map[string]any:
		return in
	}
	return f.args
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func (v *Velog) resolve(c *velogCall, n *VelogCalls, f field) (value any, extra time.Duration, err *velogError) {
	switch f.name {
	case "posts":
		n.Posts++
		posts, err := v.list(c, postsArgs(f))
		return posts, 0, err
	case "getStats":
		n.Stats++
		return v.stats(c, n, str(f.args["post_id"]))
	case "restoreToken":
		if c.refresh == "" || c.user == nil {
			return nil, 0, &velogError{code: "UNAUTHORIZED", text: "Not logged in", status: http.StatusUnauthorized}
		}
		return nil, 0, nil
	default: // auth, currentUser
		n.CurrentUser++
		if c.user == nil || v.s.dice.hit(&v.s.dice.faults.Velog.LostUser) {
			return nil, 0, nil
		}
		return v.shown(c.user), 0, nil
	}
}

func (v *Velog) shown(u *velogUser) object {
	return object{"id": u.id, "username": u.username, "email": u.username + "@example.invalid", "profile": object{"thumbnail": nil, "display_name": u.username}, "__typename": "User"}
}

// list resolves posts.
func (v *Velog) list(c *velogCall, args object) ([]object, *velogError) {
	limit := 20
	if c.server == "v3" {
		limit = 10
	}
	if n, ok := args["limit"].(float64); ok {
		limit = int(n)
	}
	if limit > 100 {
		return nil, &velogError{code: "BAD_REQUEST", text: "Max limit is 100", status: http.StatusBadRequest}
	}
	username, cursor := str(args["username"]), str(args["cursor"])
	u, _ := v.named(username)
	if args["temp_only"] == true {
		if c.user == nil || u != c.user {
			return nil, &velogError{code: "NO_PERMISSION", text: "You have no permission to load temp posts", status: http.StatusForbidden}
		}
		return v.page(u.listed(true, true), limit), nil
	}
	var all []*velogPost
	switch {
	case u != nil && u.deleted, u == nil && username != "":
		return []object{}, nil
	case u != nil:
		all = u.listed(u == c.user, false)
		if u.vanished || v.s.dice.hit(&v.s.dice.faults.Velog.NoPosts) {
			all = nil
		}
		limit = min(limit, velogPage)
	default:
		for _, o := range v.users {
			all = append(all, o.listed(o == c.user, false)...)
		}
		slices.SortStableFunc(all, func(a, b *velogPost) int {
			return cmp.Or(b.ReleasedAt.Compare(a.ReleasedAt), strings.Compare(b.ID, a.ID))
		})
		if cursor != "" && v.posts[cursor] == nil {
			return nil, &velogError{code: "BAD_REQUEST", text: "invalid cursor", status: http.StatusBadRequest}
		}
	}
	// A cursor that is not known sets no bound.
	if p := v.posts[cursor]; p != nil && !p.Removed {
		all = slices.DeleteFunc(all, func(o *velogPost) bool { return !o.ReleasedAt.Before(p.ReleasedAt) })
	}
	return v.page(all, limit), nil
}

func (v *Velog) page(all []*velogPost, limit int) []object {
	out := []object{}
	for _, p := range all[:min(max(limit, 0), len(all))] {
		out = append(out, object{
			"id": p.ID, "title": p.Title, "short_description": p.summary, "thumbnail": nil, "url_slug": p.Slug,
			"released_at": p.ReleasedAt.Format("2006-01-02T15:04:05.000Z"), "updated_at": p.ReleasedAt.Format("2006-01-02T15:04:05.000Z"),
			"comments_count": p.popular % 4, "tags": p.tags, "is_private": p.Private, "is_temp": p.Temp, "likes": v.likes(p, v.now()),
			"views": v.views(p, v.now()), "user": v.shown(p.user), "__typename": "Post",
		})
	}
	return out
}

// stats resolves getStats.
func (v *Velog) stats(c *velogCall, n *VelogCalls, id string) (any, time.Duration, *velogError) {
	p := v.posts[id]
	if p == nil || p.Removed {
		return nil, 0, &velogError{code: "NOT_FOUND", text: "Post not found"}
	}
	if c.user == nil || p.user != c.user {
		return nil, 0, &velogError{code: "NO_PERMISSION", text: "This post is not yours"}
	}
	age := v.now().Sub(p.ReleasedAt)
	extra := time.Duration(float64(v.o.PerYear) * age.Hours() / (365 * 24))
	f := &v.s.dice.faults.Velog
	if (v.o.TooOld > 0 && age >= v.o.TooOld) || v.s.dice.befalls(&f.Timeout, "velog timeout "+id) {
		n.Failed++
		return nil, extra, tooSlow(id)
	}
	if v.s.dice.befalls(&f.Internal, "velog internal "+id) {
		n.Failed++
		return nil, extra, &velogError{code: "INTERNAL_SERVER_ERROR", text: "Connection terminated unexpectedly", exception: object{"query": velogSQL, "parameters": []string{id}}}
	}
	if p.told == nil {
		p.told = map[time.Time]time.Time{}
	}
	p.told[midnight(v.now())] = v.now()
	out := object{"total": v.views(p, v.now()), "count_by_day": []object{}, "__typename": "Stats"}
	if v.o.Series {
		out["count_by_day"] = v.series(p)
	}
	return out, extra, nil
}

// series is count_by_day as it was until November 2023: the days with a view, newest first, written as if they began in UTC.
func (v *Velog) series(p *velogPost) []object {
	days := []object{}
	today := midnight(v.now())
	for d := midnight(p.ReleasedAt); !d.After(today); d = d.AddDate(0, 0, 1) {
		n := v.viewsOn(p, d)
		if d.Equal(today) {
			n = v.soFar(p, d, v.now())
		}
		if n > 0 {
			days = append(days, object{"count": n, "day": d.Format(time.DateOnly) + "T00:00:00.000Z"})
		}
	}
	slices.Reverse(days)
	return days
}

const velogSQL = "select count(id) as count, date_trunc('day'::text, timezone('KST'::text, created_at)) as day from (\n select * from post_reads \n where fk_post_id = $1\n ) as t\n group by day\n order by day desc"

// tooSlow is the error of a statement that was cancelled, as the server shows it: with the statement.
func tooSlow(id string) *velogError {
	driver := object{"length": 104, "name": "error", "severity": "ERROR", "code": "57014", "file": "postgres.c", "line": "3124", "routine": "ProcessInterrupts"}
	ex := object{"query": velogSQL, "parameters": []string{id}, "driverError": driver}
	maps.Copy(ex, driver)
	delete(ex, "name")
	return &velogError{code: "INTERNAL_SERVER_ERROR", text: "canceling statement due to statement timeout", exception: ex}
}
