package velog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/rest"
	"sumbi/adapters/velog"
	"sumbi/sim"
)

// published are the keys of what the owner sees of the posts of a user.
func (w *world) published(username string) (keys []string) {
	for _, p := range w.velog.Posts(username) {
		if !p.Temp && !p.Removed {
			keys = append(keys, p.ID)
		}
	}
	return keys
}

func TestSource(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{velog.DialectV2, velog.DialectV3} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 1, Posts: 200}})
			u := w.velog.Users()[0]
			adaptertest.Source(t, adaptertest.SourceOptions{
				Upstream: w.s.Handler(),
				Open: func(o rest.Options) adapters.Source {
					o.Upstream, o.Classify, o.Limits = "velog", velog.Classify, []*rest.Limit{velog.Limit(0, nil)}
					base := o.BaseURL
					o.BaseURL = base + sim.VelogV2Path
					v2 := rest.New(o)
					o.BaseURL = base + sim.VelogV3Path
					return velog.New(velog.Options{V2: v2, V3: rest.New(o), Posts: dialect, Now: w.velog.Now})
				},
				Query:   adapters.Query{List: velog.ListPosts, Target: u.Username, Credential: session(u)},
				Keys:    w.published(u.Username),
				Secrets: []string{u.AccessToken, u.RefreshToken, u.AccessToken[len(u.AccessToken)-20:], u.RefreshToken[len(u.RefreshToken)-20:]},
			})
		})
	}
}

func TestPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 1, Posts: 200}})
	u := w.velog.Users()[0]
	recs, pages := walk(t, w.source(sim.VelogV2Path, velog.Options{}), adapters.Query{List: velog.ListPosts, Target: "@" + u.Username, Credential: session(u)})
	truth := w.velog.Posts(u.Username)
	byID := map[string]sim.VelogPost{}
	for _, p := range truth {
		byID[p.ID] = p
	}
	if want := len(w.published(u.Username))/49 + 2; len(recs) != len(w.published(u.Username)) || pages > want {
		t.Errorf("%d posts on %d pages, want %d on %d at most", len(recs), pages, len(w.published(u.Username)), want)
	}
	private := 0
	for _, r := range recs {
		var p velog.Post
		if err := json.Unmarshal(r.Data, &p); err != nil {
			t.Fatal(err)
		}
		is := byID[r.Key]
		if !r.Time.Equal(is.ReleasedAt) || r.Owner != "@"+u.Username || r.Stream != velog.StreamPost || p.Title != is.Title || p.URL != "https://velog.io/@"+u.Username+"/"+is.Slug || *p.Private != is.Private || p.Likes == nil {
			t.Errorf("record %+v %s, the truth is %+v", r, r.Data, is)
		}
		if is.Private {
			private++
		}
	}
	if private == 0 {
		t.Error("there is no private post")
	}
}

// TestOneInstant has posts of one instant at every border of a page, more of them than one.
func TestOneInstant(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{velog.DialectV2, velog.DialectV3} {
		for _, n := range []int{0, 1, 2, 49, 50, 51, 99, 100, 149, 151} {
			for _, same := range []int{1, 2, 7, 49} { // posts of one instant
				l := newList(n, same)
				s := scripted(t, l.script(dialect), velog.Options{Posts: dialect})
				recs, _ := walk(t, s, adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()})
				var got []string
				for _, r := range recs {
					got = append(got, r.Key)
				}
				if diff := cmp.Diff(l.keys(), got); diff != "" {
					t.Errorf("%s, %d posts, %d of an instant (-want +got):\n%s", dialect, n, same, diff)
				}
			}
		}
	}
	l := newList(120, 60)
	s := scripted(t, l.script(velog.DialectV2), velog.Options{Posts: velog.DialectV2})
	_, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()})
	if e := adapters.Classify(err); e == nil || e.Kind != adapters.Permanent || e.Reason != "" {
		t.Errorf("a page of one instant: %v", err)
	}
}

// list is a server of posts that is asked as the real ones are.
type list struct {
	posts []map[string]any
	odd   func(page int, posts []map[string]any) []map[string]any // changes a page
	asked int
}

func newList(n, same int) *list {
	l := &list{posts: []map[string]any{}}
	for i := range n {
		at := start.Add(-time.Duration(i/same) * time.Minute).Format("2006-01-02T15:04:05.000Z")
		l.posts = append(l.posts, map[string]any{"id": fmt.Sprintf("p%03d", i), "title": "글", "url_slug": "글", "released_at": at, "updated_at": at})
	}
	return l
}

func (l *list) keys() (all []string) {
	for _, p := range l.posts {
		all = append(all, p["id"].(string))
	}
	return all
}

func (l *list) script(dialect string) *script {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(l.page(r.Header.Get(headerCursor)))
	})
	user := says(200, `{"data":{"currentUser":{"id":"`+userID+`","username":"example"}}}`)
	if dialect == velog.DialectV2 {
		return &script{v2: h, v3: user}
	}
	return &script{v2: says(500, ""), v3: user, v3Posts: h}
}

func (l *list) page(after string) map[string]any {
	l.asked++
	posts := l.posts
	for _, p := range l.posts {
		if p["id"] == after {
			posts = slices.DeleteFunc(slices.Clone(l.posts), func(o map[string]any) bool { return o["released_at"].(string) >= p["released_at"].(string) })
		}
	}
	posts = posts[:min(50, len(posts))]
	if l.odd != nil {
		posts = l.odd(l.asked, slices.Clone(posts))
	}
	return map[string]any{"data": map[string]any{"posts": posts}}
}

func TestListsThatRepeat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		odd  func(l *list) func(page int, posts []map[string]any) []map[string]any
	}{
		{"first page again", func(l *list) func(int, []map[string]any) []map[string]any {
			return func(int, []map[string]any) []map[string]any { return l.posts[:50] }
		}},
		{"a post twice on a page", func(*list) func(int, []map[string]any) []map[string]any {
			return func(page int, posts []map[string]any) []map[string]any {
				if page == 2 {
					posts[7] = posts[9]
				}
				return posts
			}
		}},
		{"a post of the page before", func(l *list) func(int, []map[string]any) []map[string]any {
			return func(page int, posts []map[string]any) []map[string]any {
				if page == 2 {
					posts[20] = l.posts[3]
				}
				return posts
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newList(150, 1)
			l.odd = tt.odd(l)
			s := scripted(t, l.script(velog.DialectV2), velog.Options{Posts: velog.DialectV2})
			q := adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()}
			p, err := s.Fetch(t.Context(), q)
			if err != nil || p.Next == "" {
				t.Fatalf("first page: %v", err)
			}
			q.Cursor = p.Next
			_, err = s.Fetch(t.Context(), q)
			if e := adapters.Classify(err); e == nil || e.Kind != adapters.Permanent || e.Reason != adapters.ReasonCursor {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAnEmptyPageIsNoEnd checks that a page which had to show posts again is not believed when it shows none.
func TestAnEmptyPageIsNoEnd(t *testing.T) {
	t.Parallel()
	l := newList(120, 1)
	l.odd = func(asked int, posts []map[string]any) []map[string]any {
		if asked == 2 {
			return posts[:0]
		}
		return posts
	}
	s := scripted(t, l.script(velog.DialectV3), velog.Options{})
	q := adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()}
	p, err := s.Fetch(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.Cursor = p.Next
	_, err = s.Fetch(t.Context(), q)
	if e := adapters.Classify(err); e == nil || e.Kind != adapters.Temporary || e.Reason != adapters.ReasonInvalid {
		t.Errorf("got %v", err)
	}
	if recs, _ := walk(t, s, q); len(recs) != 70 {
		t.Errorf("%d posts behind the first page, want 70", len(recs))
	}
}

func TestCursorOfARemovedPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 1, Posts: 200}})
	u := w.velog.Users()[0]
	s := w.source(sim.VelogV2Path, velog.Options{})
	q := adapters.Query{List: velog.ListPosts, Target: u.Username, Credential: session(u)}
	p, err := s.Fetch(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ After string }
	if err := json.Unmarshal([]byte(p.Next), &at); err != nil {
		t.Fatal(err)
	}
	if err := w.velog.Remove(at.After); err != nil {
		t.Fatal(err)
	}
	q.Cursor, q.Credential = p.Next, *p.Credential
	_, err = s.Fetch(t.Context(), q)
	if e := adapters.Classify(err); e == nil || e.Reason != adapters.ReasonCursor {
		t.Errorf("got %v", err)
	}
	for _, c := range []adapters.Cursor{"x", "{}", `{"page":2}`, `{"page":-1,"after":"a","at":"2026-11-20T00:00:00Z"}`} {
		q.Cursor = c
		_, err = s.Fetch(t.Context(), q)
		if e := adapters.Classify(err); e == nil || e.Reason != adapters.ReasonCursor {
			t.Errorf("%s: got %v", c, err)
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	l := newList(6000, 1)
	s := scripted(t, l.script(velog.DialectV3), velog.Options{})
	q := adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()}
	for {
		p, err := s.Fetch(t.Context(), q)
		if err != nil {
			if e := adapters.Classify(err); e.Kind != adapters.Permanent || e.Reason != "" {
				t.Errorf("got %v", err)
			}
			break
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			t.Fatal("the list came to an end")
		}
	}
	if l.asked != velog.MaxPages {
		t.Errorf("%d pages were asked for, want %d", l.asked, velog.MaxPages)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	n := func(i int64) *int64 { return &i }
	for _, tt := range []struct {
		name, body string
		header     string // Age
		want       velog.Stats
		at         time.Time
	}{
		{"before November 2023", sample(t, "res_getstats_200_before_2023-11-22.json"), "", velog.Stats{Post: postID, Total: n(37), Days: []velog.Day{{"2023-11-16", 5}, {"2023-11-14", 32}}}, start},
		{"since", sample(t, "res_getstats_200_since_2023-11-22.json"), "", velog.Stats{Post: postID, Total: n(37), Days: []velog.Day{}}, start},
		{"nobody came", `{"data":{"getStats":{"total":0,"count_by_day":[]}}}`, "", velog.Stats{Post: postID, Total: n(0), Days: []velog.Day{}}, start},
		{"unknown", `{"data":{"getStats":{"total":null,"count_by_day":null}}}`, "", velog.Stats{Post: postID, Days: []velog.Day{}}, start},
		{"odd days", `{"data":{"getStats":{"total":1,"count_by_day":[{"count":1,"day":"2023-11-15T15:00:00.000Z"},{"count":2,"day":"2023-11-16T00:00:00.000Z"},{"count":null,"day":"2023-11-14"},{"count":3,"day":"어제"},{"count":4,"day":"2023-11-13"}]}}}`, "", velog.Stats{Post: postID, Total: n(1), Days: []velog.Day{{"2023-11-16", 1}, {"2023-11-13", 4}}}, start},
		{"kept in a cache", sample(t, "res_getstats_200_since_2023-11-22.json"), "840", velog.Stats{Post: postID, Total: n(37), Days: []velog.Day{}}, start.Add(-14 * time.Minute)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := &script{v2: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.header != "" {
					w.Header().Set("Age", tt.header)
				}
				says(200, tt.body).ServeHTTP(w, r)
			})}
			s := scripted(t, up, velog.Options{})
			p, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: "example", ID: userID, Of: postID, Credential: believed()})
			if err != nil {
				t.Fatal(err)
			}
			r := p.Records[0]
			var got velog.Stats
			if err := json.Unmarshal(r.Data, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if r.Key != postID || r.Stream != velog.StreamStats || !r.Time.Equal(tt.at) || p.Next != "" || p.Credential != nil || p.ID != userID || p.Name != "example" {
				t.Errorf("page %+v", p)
			}
			if diff := cmp.Diff([]string{"v2 GetStats"}, up.sent); diff != "" {
				t.Error(diff)
			}
			if want := "access_token=" + believed().Values[velog.AccessToken]; up.cookies[0] != want {
				t.Errorf("cookies are %q, want the access token only", up.cookies[0])
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	alive := says(200, sample(t, "res_current_user_v3_200.json"))
	ended := says(200, sample(t, "res_current_user_v3_anonymous_200.json"))
	html := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(502)
		_, _ = w.Write([]byte("<html><h1>502 Bad Gateway</h1></html>"))
	})
	problem := func(code, message string) string {
		return fmt.Sprintf(`{"errors":[{"message":%q,"extensions":{"code":%q,"exception":{"query":"select secret","parameters":["x"]}}}],"data":null}`, message, code)
	}
	const forbidden = "select"
	for _, tt := range []struct {
		name   string
		v2, v3 http.Handler
		kind   adapters.Kind
		reason string
		after  time.Duration
		sent   []string
		text   string
	}{
		{"too slow", says(200, sample(t, "res_getstats_error_57014.json")), alive, adapters.Temporary, adapters.ReasonSlow, 2 * time.Hour, []string{"v2 GetStats"}, "57014"},
		{"too slow with 500", says(500, sample(t, "res_getstats_error_57014.json")), alive, adapters.Temporary, adapters.ReasonSlow, 2 * time.Hour, []string{"v2 GetStats"}, "57014"},
		{"post is gone", says(200, sample(t, "res_getstats_error_not_found.json")), alive, adapters.Permanent, adapters.ReasonGone, 0, []string{"v2 GetStats"}, "not found"},
		{"not yours, alive", says(200, sample(t, "res_getstats_error_not_yours.json")), alive, adapters.Permanent, adapters.ReasonPrivate, 0, []string{"v2 GetStats", "v3 currentUser"}, "is not this user's any more"},
		{"not yours, perhaps ended", says(200, sample(t, "res_getstats_error_not_yours.json")), ended, adapters.Temporary, adapters.ReasonInvalid, 10 * time.Minute, []string{"v2 GetStats", "v3 currentUser"}, "if it still says so after 1h0m0s"},
		{"not yours, cleared", says(200, sample(t, "res_getstats_error_not_yours.json")), says(200, sample(t, "res_current_user_v3_anonymous_200.json"), cleared("access_token"), cleared("refresh_token")), adapters.NeedsHuman, adapters.ReasonLogin, 0, []string{"v2 GetStats", "v3 currentUser"}, "log in again"},
		{"not yours, who knows", says(200, sample(t, "res_getstats_error_not_yours.json")), html, adapters.Temporary, "", 0, []string{"v2 GetStats", "v3 currentUser"}, "502"},
		{"401", says(401, `{"message":"Unauthorized"}`), alive, adapters.Permanent, adapters.ReasonPrivate, 0, []string{"v2 GetStats", "v3 currentUser"}, ""},
		{"401 from both", says(401, ""), says(401, ""), adapters.Unauthorized, adapters.ReasonKey, 0, []string{"v2 GetStats", "v3 currentUser"}, ""},
		{"internal", says(200, problem("INTERNAL_SERVER_ERROR", "select count(id) from post_reads failed")), alive, adapters.Temporary, adapters.ReasonFailed, 0, []string{"v2 GetStats"}, "INTERNAL_SERVER_ERROR"},
		{"no code", says(200, `{"errors":[{"message":"select 1"}],"data":null}`), alive, adapters.Temporary, adapters.ReasonFailed, 0, []string{"v2 GetStats"}, ""},
		{"odd code", says(200, `{"errors":[{"message":"x","extensions":{"code":7,"exception":"57014"}}],"data":null}`), alive, adapters.Temporary, adapters.ReasonFailed, 0, []string{"v2 GetStats"}, ""},
		{"validation", says(400, problem("GRAPHQL_VALIDATION_FAILED", `Cannot query field "getStats" on type "Query".`)), alive, adapters.Permanent, "", 0, []string{"v2 GetStats"}, "Cannot query field"},
		{"bad request", says(200, problem("BAD_REQUEST", "Max limit is 100")), alive, adapters.Permanent, "", 0, []string{"v2 GetStats"}, "Max limit is 100"},
		{"invalid cursor", says(200, problem("", "invalid cursor")), alive, adapters.Permanent, adapters.ReasonCursor, 0, []string{"v2 GetStats"}, "invalid cursor"},
		{"html 502", html, alive, adapters.Temporary, "", 0, []string{"v2 GetStats"}, "502"},
		{"html 403", says(403, "<html>blocked</html>"), alive, adapters.Throttled, adapters.ReasonRate, 10 * time.Minute, []string{"v2 GetStats"}, "403"},
		{"html 200", says(200, "<html>점검 중</html>"), alive, adapters.Temporary, adapters.ReasonInvalid, 0, []string{"v2 GetStats"}, ""},
		{"nothing", says(200, `{"data":{"getStats":null}}`), alive, adapters.Temporary, adapters.ReasonFailed, 0, []string{"v2 GetStats"}, ""},
		{"no data", says(200, `{"data":null}`), alive, adapters.Temporary, adapters.ReasonInvalid, 0, []string{"v2 GetStats"}, ""},
		{"other types", says(200, `{"data":{"getStats":"select"}}`), alive, adapters.Temporary, adapters.ReasonInvalid, 0, []string{"v2 GetStats"}, ""},
		{"500 with SQL", says(500, `{"message":"select * from users"}`), alive, adapters.Temporary, "", 0, []string{"v2 GetStats"}, "500"},
		{"wrong path", says(404, `{"message":"Route POST:/graphq not found"}`), alive, adapters.NeedsHuman, adapters.ReasonPath, 0, []string{"v2 GetStats"}, "base URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := &script{v2: tt.v2, v3: tt.v3}
			s := scripted(t, up, velog.Options{Slow: 2 * time.Hour})
			have := believed()
			began := time.Now()
			p, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: "example", Of: postID, Credential: have})
			took := time.Since(began) // of a pause as much may have passed
			e := adapters.Classify(err)
			if e == nil {
				t.Fatalf("no error, but %+v", p)
			}
			if e.Kind != tt.kind || e.Reason != tt.reason || e.After > tt.after || e.After < tt.after-took || e.Upstream != "velog" {
				t.Errorf("got %v %q after %s of %q (%v), want %v %q after %s", e.Kind, e.Reason, e.After, e.Upstream, err, tt.kind, tt.reason, tt.after)
			}
			if diff := cmp.Diff(tt.sent, up.sent); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if text := fmt.Sprintf("%v %+v", err, err); !strings.Contains(text, tt.text) || strings.Contains(text, forbidden) || holds(text, have) {
				t.Errorf("the error says: %s", text)
			}
			if kept := strings.Contains(tt.text, "still says so") && tt.kind == adapters.Temporary; (p.Credential != nil) != kept || len(p.Records) > 0 {
				t.Errorf("the page holds something: %+v", p)
			}
		})
	}
}

// holds says whether a text holds a token of a session or its signature.
func holds(text string, c adapters.Credential) bool {
	for _, name := range []string{velog.AccessToken, velog.RefreshToken} {
		if v := c.Values[name]; strings.Contains(text, v) || strings.Contains(text, v[strings.LastIndexByte(v, '.')+1:]) {
			return true
		}
	}
	return false
}

// TestErrorsOfThePostsOfV3 has the statuses of the newer server.
func TestErrorsOfThePostsOfV3(t *testing.T) {
	t.Parallel()
	body := func(message string) string {
		return fmt.Sprintf(`{"data":{"posts":null},"errors":[{"message":%q,"locations":[],"path":["posts"],"extensions":{}}]}`, message)
	}
	for _, tt := range []struct {
		status int
		body   string
		kind   adapters.Kind
		reason string
	}{
		{400, body("Max limit is 100"), adapters.Permanent, ""},
		{400, body("invalid cursor"), adapters.Permanent, adapters.ReasonCursor},
		{401, body("Not logged in"), adapters.Permanent, ""}, // currentUser says that it is
		{403, body("No permission"), adapters.Permanent, ""},
		{404, body("Not found"), adapters.Permanent, adapters.ReasonGone},
		{409, body("Invalid tag name"), adapters.Permanent, ""},
		{500, body("Invalid `prisma.post.findMany()` select"), adapters.Temporary, adapters.ReasonFailed},
		{504, "<html>", adapters.Temporary, ""},
	} {
		up := &script{v3: says(200, sample(t, "res_current_user_v3_200.json")), v3Posts: says(tt.status, tt.body)}
		_, err := scripted(t, up, velog.Options{}).Fetch(t.Context(), adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()})
		e := adapters.Classify(err)
		if e == nil || e.Kind != tt.kind || e.Reason != tt.reason || strings.Contains(err.Error(), "select") {
			t.Errorf("%d %s: got %v", tt.status, tt.body, err)
		}
		if n := len(up.sent); n != 2 {
			t.Errorf("%d %s: %d calls: %v", tt.status, tt.body, n, up.sent)
		}
	}
}

// TestFailureOfTheCurrentUser checks that velog is taken to be away when it fails at what comes before everything else.
func TestFailureOfTheCurrentUser(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 500} {
		up := &script{v3: says(status, `{"data":null,"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`)}
		_, err := scripted(t, up, velog.Options{}).Fetch(t.Context(), adapters.Query{List: velog.ListPosts, Target: "example", Credential: believed()})
		if e := adapters.Classify(err); e == nil || e.Kind != adapters.Temporary || e.Reason != "" || e.Upstream != "velog" || len(up.sent) != 1 {
			t.Errorf("%d: got %+v after %v", status, e, up.sent)
		}
	}
}

func TestWrongQueries(t *testing.T) {
	t.Parallel()
	up := &script{}
	s := scripted(t, up, velog.Options{})
	foreign := believed()
	foreign.Values[velog.UserID] = otherID
	mixed := believed()
	mixed.Values[velog.RefreshToken] = token("refresh_token", otherID, start.Add(600*time.Hour))
	swapped := believed()
	swapped.Values[velog.AccessToken], swapped.Values[velog.RefreshToken] = swapped.Values[velog.RefreshToken], swapped.Values[velog.AccessToken]
	half := believed()
	delete(half.Values, velog.RefreshToken)
	broken := believed()
	broken.Values[velog.AccessToken] += "\r\nX: y"
	for _, tt := range []struct {
		name string
		q    adapters.Query
		kind adapters.Kind
	}{
		{"unknown list", adapters.Query{List: "reels", Credential: believed()}, adapters.Permanent},
		{"statistics of nothing", adapters.Query{List: velog.ListStats, Credential: believed()}, adapters.Permanent},
		{"no session", adapters.Query{List: velog.ListPosts}, adapters.NeedsHuman},
		{"half a session", adapters.Query{List: velog.ListPosts, Credential: half}, adapters.NeedsHuman},
		{"another user's session", adapters.Query{List: velog.ListPosts, Credential: foreign}, adapters.NeedsHuman},
		{"another user is asked for", adapters.Query{List: velog.ListStats, Of: postID, ID: otherID, Credential: believed()}, adapters.NeedsHuman},
		{"tokens of two users", adapters.Query{List: velog.ListPosts, Credential: mixed}, adapters.NeedsHuman},
		{"tokens in each other's place", adapters.Query{List: velog.ListPosts, Credential: swapped}, adapters.NeedsHuman},
		{"no token", adapters.Query{List: velog.ListPosts, Credential: broken}, adapters.NeedsHuman},
	} {
		_, err := s.Fetch(t.Context(), tt.q)
		e := adapters.Classify(err)
		if e == nil || e.Kind != tt.kind || (tt.kind == adapters.NeedsHuman && e.Reason != adapters.ReasonLogin) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if tt.kind == adapters.NeedsHuman && tt.q.ID == "" {
			if got, err := s.Authenticate(t.Context(), "example", tt.q.Credential); err == nil || len(got.Values) > 0 {
				t.Errorf("%s: authenticated: %v", tt.name, err)
			}
		}
	}
	if len(up.sent) > 0 {
		t.Errorf("calls were made: %v", up.sent)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	c := rest.New(rest.Options{Upstream: "velog", BaseURL: "http://127.0.0.1:1"})
	for _, o := range []velog.Options{{}, {V2: c}, {V2: c, V3: c, Posts: "v4"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", o)
				}
			}()
			velog.New(o)
		}()
	}
	if _, err := velog.New(velog.Options{V2: c, V3: c}).Authenticate(t.Context(), "example", believed()); !errors.As(err, new(*adapters.Error)) || adapters.Classify(err).Reason != adapters.ReasonUnreachable {
		t.Errorf("got %v", err)
	}
}

// TestReach asks without a session.
func TestReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{})
	if err := w.source(sim.VelogV2Path, velog.Options{}).Reach(t.Context()); err != nil {
		t.Errorf("velog answers, and yet: %v", err)
	}
	if n := w.velog.Stats().All.CurrentUser; n != 1 {
		t.Errorf("%d calls", n)
	}
	tests := map[string]struct {
		status int
		body   string
		kind   adapters.Kind
		reason string
	}{
		"moved":       {404, "nicht da", adapters.NeedsHuman, adapters.ReasonPath},
		"down":        {503, "", adapters.Temporary, ""},
		"no GraphQL":  {200, "<html>", adapters.Temporary, adapters.ReasonInvalid},
		"of somebody": {200, `{"data":{"currentUser":{"id":"` + userID + `","username":"example"}}}`, adapters.Temporary, adapters.ReasonInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Cookie") != "" {
					t.Errorf("it sent %q", r.Header.Get("Cookie"))
				}
				rw.WriteHeader(tt.status)
				_, _ = rw.Write([]byte(tt.body))
			}))
			t.Cleanup(srv.Close)
			err := source(t, srv.URL, srv.URL, velog.Options{}).Reach(t.Context())
			if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != tt.kind || e.Reason != tt.reason {
				t.Errorf("got %v", err)
			}
		})
	}
}
