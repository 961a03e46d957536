package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

const (
	postsV2 = `query Posts($cursor: ID, $username: String, $limit: Int) { posts(cursor: $cursor, username: $username, limit: $limit) { id released_at is_private likes __typename } }`
	postsV3 = `query velogPosts($input: GetPostsInput!) { posts(input: $input) { id title user { id username } } }`
	statsV2 = `query GetStats($post_id: ID!) { getStats(post_id: $post_id) { total count_by_day { count day } } }`
	userV3  = `query currentUser { currentUser { id username email profile { thumbnail } } }`
	authV2  = `query { auth { id } }`
)

var velogStart = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // noon in Korea

// graphql asks one of velog's servers with the cookies given.
func (c *client) graphql(path, cookie, query string, variables any) answer {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"operationName": "x", "query": query, "variables": variables})
	if err != nil {
		c.t.Fatal(err)
	}
	h := map[string]string{"Content-Type": "application/json"}
	if cookie != "" {
		h["Cookie"] = cookie
	}
	return c.do("POST", path+"/graphql", h, strings.NewReader(string(body)))
}

func both(u sim.VelogUser) string {
	return "access_token=" + u.AccessToken + "; refresh_token=" + u.RefreshToken
}

// tokens are the cookies that an answer sets, by name; a name may come several times.
func tokens(a answer) map[string][]string {
	out := map[string][]string{}
	for _, ck := range (&http.Response{Header: a.header}).Cookies() {
		out[ck.Name] = append(out[ck.Name], ck.Value)
	}
	return out
}

func velog(t *testing.T, o sim.Options) (*client, *sim.Velog) {
	t.Helper()
	o.Epoch = velogStart
	c := start(t, o)
	return c, c.s.Velog()
}

// ids are those of a list of posts in an answer.
func ids(t *testing.T, a answer) (all []string) {
	t.Helper()
	var out struct {
		Data struct{ Posts []struct{ ID string } }
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	for _, p := range out.Data.Posts {
		all = append(all, p.ID)
	}
	return all
}

func TestVelogIsTheSameForASeed(t *testing.T) {
	t.Parallel()
	_, a := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 4, Posts: 30}})
	_, b := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 4, Posts: 30}})
	if diff := cmp.Diff(a.Users(), b.Users()); diff != "" {
		t.Error(diff)
	}
	a.Advance(40 * 24 * time.Hour)
	b.Advance(40 * 24 * time.Hour)
	for _, u := range a.Users() {
		for _, p := range a.Posts(u.Username) {
			if diff := cmp.Diff(a.Truth(p.ID), b.Truth(p.ID)); diff != "" {
				t.Fatalf("%s: %s", p.ID, diff)
			}
		}
	}
}

func TestVelogPosts(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 1, Posts: 200}})
	u := v.Users()[0]
	var public, own []string
	for _, p := range v.Posts(u.Username) {
		if p.Temp {
			continue
		}
		own = append(own, p.ID)
		if !p.Private {
			public = append(public, p.ID)
		}
	}
	if len(own) <= 100 || len(own) == len(public) {
		t.Fatalf("%d posts, %d of them public: too few to test with", len(own), len(public))
	}
	vars := map[string]any{"username": u.Username, "limit": 100}
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, vars)); !slices.Equal(got, own[:50]) {
		t.Errorf("the first page has %d posts, want the first 50", len(got))
	}
	if got := ids(t, c.graphql(sim.VelogV2Path, "", postsV2, vars)); !slices.Equal(got, public[:50]) {
		t.Error("somebody else sees other posts than the first 50 public ones")
	}
	// The second of the two posts of one instant at the border is not shown again.
	vars["cursor"] = own[49]
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, vars)); slices.Contains(got, own[50]) || got[0] != own[51] {
		t.Error("the post behind the border was not lost")
	}
	vars["cursor"] = "00000000-0000-4000-8000-000000000000"
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, vars)); !slices.Equal(got, own[:50]) {
		t.Error("an unknown cursor does not begin again")
	}
	if err := v.Remove(own[10]); err != nil {
		t.Fatal(err)
	}
	vars["cursor"] = own[10]
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, vars)); got[0] != own[0] {
		t.Error("the cursor of a removed post does not begin again")
	}
	v3 := func(input map[string]any) answer {
		return c.graphql(sim.VelogV3Path, both(u), postsV3, map[string]any{"input": input})
	}
	if got := ids(t, v3(map[string]any{"username": u.Username, "cursor": ""})); len(got) != 10 {
		t.Errorf("v3 gives %d posts by itself, want 10", len(got))
	}
	if a := v3(map[string]any{"username": u.Username, "limit": 101}); a.status != 400 || !strings.Contains(string(a.body), "Max limit is 100") {
		t.Errorf("v3 with a limit of 101: %d %s", a.status, a.body)
	}
	if a := c.graphql(sim.VelogV2Path, both(u), postsV2, map[string]any{"username": u.Username, "limit": 101}); a.status != 200 || !strings.Contains(string(a.body), `"code":"BAD_REQUEST"`) {
		t.Errorf("v2 with a limit of 101: %d %s", a.status, a.body)
	}
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, map[string]any{"username": "nobody"})); len(got) != 0 {
		t.Errorf("nobody has %d posts", len(got))
	}
	if err := v.Vanish(u.Username, true); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, v3(map[string]any{"username": u.Username})); len(got) != 0 {
		t.Errorf("a list that has vanished has %d posts", len(got))
	}
}

func TestVelogValidates(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{})
	u := v.Users()[0]
	for _, tt := range []struct{ name, path, query, want string }{
		{"statistics on v3", sim.VelogV3Path, statsV2, `Cannot query field \"getStats\" on type \"Query\".`},
		{"current user on v2", sim.VelogV2Path, userV3, `Cannot query field \"currentUser\" on type \"Query\".`},
		{"unknown field", sim.VelogV2Path, `{ auth { password } }`, `Cannot query field \"password\" on type \"User\".`},
		{"no subfields", sim.VelogV2Path, `{ auth }`, `must have a selection of subfields`},
		{"half", sim.VelogV2Path, `{ auth { id }`, `GRAPHQL_PARSE_FAILED`},
		{"empty", sim.VelogV2Path, ``, `GRAPHQL_PARSE_FAILED`},
	} {
		a := c.graphql(tt.path, both(u), tt.query, nil)
		if a.status != 400 || !strings.Contains(string(a.body), tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, a.status, a.body, tt.want)
		}
	}
	if a := c.do("POST", "/velog/v4/graphql", nil, strings.NewReader("{}")); a.status != 404 {
		t.Errorf("a wrong path: %d", a.status)
	}
}

func TestVelogStats(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 2, Posts: 30, TooOld: 600 * 24 * time.Hour, QuietDays: []int{1}}})
	u, other := v.Users()[0], v.Users()[1]
	posts := v.Posts(u.Username)
	young, old := posts[0], posts[len(posts)-1]
	for _, p := range posts {
		if d := v.Truth(p.ID); d[len(d)-1].Total > 100 && p.ReleasedAt.After(velogStart.Add(-500*24*time.Hour)) {
			young = p
		}
		if p.ReleasedAt.Before(old.ReleasedAt) {
			old = p
		}
	}
	for _, tt := range []struct{ name, cookie, post, want string }{
		{"own", both(u), young.ID, `"count_by_day":[]`},
		{"too old", both(u), old.ID, `"code":"57014"`},
		{"too old, with the SQL", both(u), old.ID, `select count(id)`},
		{"foreign", both(other), young.ID, `"This post is not yours"`},
		{"anonymous", "", young.ID, `"NO_PERMISSION"`},
		{"unknown", both(u), "00000000-0000-4000-8000-000000000000", `"NOT_FOUND"`},
	} {
		a := c.graphql(sim.VelogV2Path, tt.cookie, statsV2, map[string]any{"post_id": tt.post})
		if a.status != 200 || !strings.Contains(string(a.body), tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, a.status, a.body, tt.want)
		}
	}
	if st := v.Stats(); st.Users[other.ID].Foreign != 1 || st.All.Foreign != 1 || st.All.Failed != 2 {
		t.Errorf("counted %+v", st.All)
	}
	// From a day to the next the total grows by what the truth says, whenever one looks after ten in the evening.
	total := func() (n int64) {
		a := c.graphql(sim.VelogV2Path, both(u), statsV2, map[string]any{"post_id": young.ID})
		if _, err := fmt.Sscanf(string(a.body[strings.Index(string(a.body), `"total":`):]), `"total":%d`, &n); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		return n
	}
	v.Advance(10*time.Hour + 30*time.Minute)
	last := total()
	for range 5 {
		v.Advance(24 * time.Hour)
		now := total()
		days := v.Truth(young.ID)
		today := days[len(days)-1]
		if now != today.Total || now-last != today.Views {
			t.Errorf("%s: total %d, before %d, the truth is %+v", today.Day, now, last, today)
		}
		if today.Day == "2026-11-21" && today.Views != 0 {
			t.Errorf("a quiet day has %d views", today.Views)
		}
		last = now
	}
	c2, v2 := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 2, Posts: 30, Series: true}})
	a := c2.graphql(sim.VelogV2Path, both(v2.Users()[0]), statsV2, map[string]any{"post_id": young.ID})
	var got struct {
		Data struct {
			GetStats struct {
				Total int64
				Days  []struct {
					Count int64
					Day   string
				} `json:"count_by_day"`
			}
		}
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, d := range got.Data.GetStats.Days {
		if !strings.HasSuffix(d.Day, "T00:00:00.000Z") || d.Count == 0 {
			t.Errorf("day %+v", d)
		}
		sum += d.Count
	}
	if sum == 0 || sum != got.Data.GetStats.Total {
		t.Errorf("the days have %d views, the total is %d", sum, got.Data.GetStats.Total)
	}
}

func TestVelogTokens(t *testing.T) {
	t.Parallel()
	type want struct {
		user    bool   // whether the session has a user
		cookies string // none, renewed, replaced (the refresh token too), cleared
	}
	for _, tt := range []struct {
		name    string
		path    string
		age     time.Duration
		kill    bool
		refresh bool // whether the refresh token is sent
		want    want
	}{
		{"young", sim.VelogV3Path, 23 * time.Hour, false, true, want{true, "none"}},
		{"30 minutes left", sim.VelogV3Path, 23*time.Hour + 30*time.Minute, false, true, want{true, "none"}},
		{"29 minutes left", sim.VelogV3Path, 23*time.Hour + 31*time.Minute, false, true, want{true, "renewed"}},
		{"29 minutes left, v2", sim.VelogV2Path, 23*time.Hour + 31*time.Minute, false, true, want{true, "renewed"}},
		{"29 minutes left, no refresh token", sim.VelogV3Path, 23*time.Hour + 31*time.Minute, false, false, want{true, "none"}},
		{"access token ran out", sim.VelogV3Path, 25 * time.Hour, false, true, want{true, "renewed"}},
		{"access token ran out, no refresh token", sim.VelogV3Path, 25 * time.Hour, false, false, want{false, "none"}},
		{"refresh token with 24 days left", sim.VelogV3Path, 6 * 24 * time.Hour, false, true, want{true, "renewed"}},
		{"refresh token with 22 days left", sim.VelogV3Path, 8 * 24 * time.Hour, false, true, want{true, "replaced"}},
		{"refresh token with 22 days left, v2", sim.VelogV2Path, 8 * 24 * time.Hour, false, true, want{true, "replaced"}},
		{"refresh token ran out", sim.VelogV3Path, 31 * 24 * time.Hour, false, true, want{false, "cleared"}},
		{"refresh token ran out, v2", sim.VelogV2Path, 31 * 24 * time.Hour, false, true, want{false, "none"}},
		{"killed", sim.VelogV3Path, time.Hour, true, true, want{false, "cleared"}},
		{"killed, v2", sim.VelogV2Path, time.Hour, true, true, want{false, "none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, v := velog(t, sim.Options{})
			u := v.Users()[0]
			v.Advance(tt.age)
			if tt.kill {
				if err := v.Kill(u.Username); err != nil {
					t.Fatal(err)
				}
			}
			cookie := "access_token=" + u.AccessToken
			if tt.refresh {
				cookie = both(u)
			}
			query := userV3
			if tt.path == sim.VelogV2Path {
				query = authV2
			}
			a := c.graphql(tt.path, cookie, query, nil)
			got := want{strings.Contains(string(a.body), u.ID), "none"}
			set := tokens(a)
			switch r := set["refresh_token"]; {
			case len(r) == 0:
			case r[0] == "":
				got.cookies = "cleared"
			case r[0] == u.RefreshToken:
				got.cookies = "renewed"
			default:
				got.cookies = "replaced"
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v: %s", got, tt.want, a.body)
			}
			if n := len(set["access_token"]); got.cookies == "renewed" && (n != 1) == (tt.path == sim.VelogV3Path) {
				t.Errorf("the access token is set %d times", n)
			}
			if got.cookies == "renewed" || got.cookies == "replaced" {
				fresh := sim.VelogUser{AccessToken: set["access_token"][0], RefreshToken: set["refresh_token"][0]}
				if again := c.graphql(tt.path, both(fresh), query, nil); !strings.Contains(string(again.body), u.ID) {
					t.Errorf("the new session is not accepted: %s", again.body)
				}
			}
			if st := v.Stats(); tt.kill && st.All.Dead != 1 {
				t.Errorf("counted %+v", st.All)
			}
		})
	}
}

func TestVelogCountsDeadCalls(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 3, Dead: 1}})
	u := v.Users()[2]
	post := map[string]any{"post_id": v.Posts(u.Username)[0].ID}
	access := "access_token=" + u.AccessToken
	c.graphql(sim.VelogV2Path, access, statsV2, post) // says nothing of the session
	c.graphql(sim.VelogV3Path, both(u), userV3, nil)  // tells
	if st := v.Stats().Users[u.ID]; st.Dead != 2 || st.DeadAgain != 0 || st.Cleared != 1 {
		t.Errorf("counted %+v", st)
	}
	c.graphql(sim.VelogV2Path, access, statsV2, post) // was on its way
	if st := v.Stats().Users[u.ID]; st.Dead != 3 || st.DeadAgain != 0 {
		t.Errorf("counted %+v", st)
	}
	v.Advance(2 * time.Second)
	c.graphql(sim.VelogV2Path, access, statsV2, post)
	if st := v.Stats().Users[u.ID]; st.DeadAgain != 1 {
		t.Errorf("counted %+v", st)
	}
	fresh, err := v.Login(u.Username)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.graphql(sim.VelogV3Path, both(fresh), userV3, nil); !strings.Contains(string(a.body), u.ID) {
		t.Errorf("a new session is not accepted: %s", a.body)
	}
	if n := v.Stats().Tokens[sim.VelogTokenID(u.AccessToken)]; n != 4 {
		t.Errorf("%d calls with the token, want 4", n)
	}
}

func TestVelogCache(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{Velog: sim.VelogOptions{Posts: 30}})
	u := v.Users()[0]
	post := v.Posts(u.Username)[0]
	for _, p := range v.Posts(u.Username) {
		if d := v.Truth(p.ID); d[len(d)-1].Views > 20 {
			post = p
		}
	}
	v.Advance(-3*time.Hour - 30*time.Minute) // half past eight in the morning: views are made
	v.Advance(24 * time.Hour)
	ask := func(cookie string) answer {
		return c.graphql(sim.VelogCDNPath, cookie, statsV2, map[string]any{"post_id": post.ID})
	}
	for _, step := range []struct {
		wait     time.Duration
		hit, age string
	}{
		{0, "MISS", ""},
		{14 * time.Minute, "HIT", "840"},
		{2 * time.Minute, "HIT", "960"}, // stale, and renewed behind it
		{time.Minute, "HIT", "60"},
		{31 * time.Minute, "MISS", ""},
	} {
		v.Advance(step.wait)
		a := ask(both(u))
		if got := a.header.Get("Gcdn-Cache"); got != step.hit || a.header.Get("Age") != step.age {
			t.Errorf("after %s: %s %s, want %s %s", step.wait, got, a.header.Get("Age"), step.hit, step.age)
		}
	}
	if a := ask("access_token=" + u.AccessToken); a.header.Get("Gcdn-Cache") != "HIT" {
		t.Error("the cache looks at more than the access token")
	}
	v.Advance(-time.Hour) // the token is due, the answer is kept
	fresh, err := v.Login(u.Username)
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(both(fresh)); a.header.Get("Gcdn-Cache") != "MISS" {
		t.Error("another token finds the answer of the first")
	}
	v.Advance(23*time.Hour + 40*time.Minute)
	if a := ask(both(fresh)); len(tokens(a)["access_token"]) == 0 {
		t.Error("a miss does not renew")
	}
	if a := ask(both(fresh)); a.header.Get("Gcdn-Cache") != "HIT" || len(tokens(a)) != 0 {
		t.Error("a hit renews")
	}
}

func TestVelogControl(t *testing.T) {
	t.Parallel()
	c, v := velog(t, sim.Options{})
	u := v.Users()[0]
	if a := c.do("POST", "/sim/velog/advance?by=36h", nil, nil); a.status != 200 || !v.Now().Equal(velogStart.Add(36*time.Hour)) {
		t.Errorf("%d %s, now %s", a.status, a.body, v.Now())
	}
	if a := c.do("POST", "/sim/velog/advance?by=tomorrow", nil, nil); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.do("POST", "/sim/velog/vanish?user="+u.Username, nil, nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := ids(t, c.graphql(sim.VelogV2Path, both(u), postsV2, map[string]any{"username": u.Username})); len(got) != 0 {
		t.Errorf("%d posts have not vanished", len(got))
	}
	for _, path := range []string{"/sim/velog", "/sim/velog/users", "/sim/velog/posts?user=" + u.Username, "/sim/velog/truth?post=" + v.Posts(u.Username)[0].ID} {
		if a := c.do("GET", path, nil, nil); a.status != 200 || !json.Valid(a.body) || len(a.body) < 10 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestVelogFaults(t *testing.T) {
	t.Parallel()
	var u sim.VelogUser
	var post string
	stats := func(c *client) answer {
		return c.graphql(sim.VelogV2Path, both(u), statsV2, map[string]any{"post_id": post})
	}
	user := func(c *client) answer { return c.graphql(sim.VelogV3Path, both(u), userV3, nil) }
	for _, tt := range []struct {
		name   string
		faults sim.VelogFaults
		age    time.Duration
		ask    func(c *client) answer
		status int
		want   string
		set    int // cookies
	}{
		{"timeout", sim.VelogFaults{Timeout: sim.Times(1)}, 0, stats, 200, `"57014"`, 0},
		{"internal", sim.VelogFaults{Internal: sim.Times(1)}, 0, stats, 200, `"INTERNAL_SERVER_ERROR"`, 0},
		{"no posts", sim.VelogFaults{NoPosts: sim.Times(1)}, 0, func(c *client) answer {
			return c.graphql(sim.VelogV2Path, both(u), postsV2, map[string]any{"username": u.Username})
		}, 200, `{"data":{"posts":[]}}`, 0},
		{"lost user", sim.VelogFaults{LostUser: sim.Times(1)}, 0, user, 200, `{"data":{"currentUser":null}}`, 0},
		{"no trouble", sim.VelogFaults{}, 25 * time.Hour, user, 200, `"username"`, 2},
		{"no cookie", sim.VelogFaults{NoCookie: sim.Times(1)}, 25 * time.Hour, user, 200, `"username"`, 0},
		{"half", sim.VelogFaults{HalfCookie: sim.Times(1)}, 25 * time.Hour, user, 200, `"username"`, 1},
		{"bad", sim.VelogFaults{BadCookie: sim.Times(1)}, 25 * time.Hour, user, 200, `"username"`, 2},
		{"html", sim.VelogFaults{HTTPFaults: sim.HTTPFaults{HTML502: sim.Times(1)}}, 0, user, 502, `<html>`, 0},
		{"throttled", sim.VelogFaults{HTTPFaults: sim.HTTPFaults{Throttle: sim.Times(1)}}, 0, user, 429, `<html>`, 0},
		{"500", sim.VelogFaults{HTTPFaults: sim.HTTPFaults{Error500: sim.Times(1)}}, 0, user, 500, `Internal Server Error`, 0},
	} {
		c, v := velog(t, sim.Options{Faults: sim.Faults{Velog: tt.faults}})
		u = v.Users()[0]
		post = v.Posts(u.Username)[0].ID
		v.Advance(tt.age)
		a := tt.ask(c)
		if set := len((&http.Response{Header: a.header}).Cookies()); a.status != tt.status || !strings.Contains(string(a.body), tt.want) || set != tt.set {
			t.Errorf("%s: %d with %d cookies: %s", tt.name, a.status, set, a.body)
		}
		if a := tt.ask(c); a.status != 200 || strings.Contains(string(a.body), `:null}}`) && tt.name == "lost user" {
			t.Errorf("%s, again: %d %s", tt.name, a.status, a.body)
		}
	}
	// Which statistics fail depends on the post and on how often it was asked for, not on the order.
	failing := func(reverse bool) (got []string) {
		c, v := velog(t, sim.Options{Velog: sim.VelogOptions{Users: 1, Posts: 60}, Faults: sim.Faults{Velog: sim.VelogFaults{Timeout: sim.Often(0.2)}}})
		u = v.Users()[0]
		posts := v.Posts(u.Username)
		if reverse {
			slices.Reverse(posts)
		}
		for _, p := range posts {
			if post = p.ID; strings.Contains(string(stats(c).body), "57014") {
				got = append(got, p.ID)
			}
		}
		slices.Sort(got)
		return got
	}
	a, b := failing(false), failing(true)
	if len(a) < 3 || !slices.Equal(a, b) {
		t.Errorf("%d posts fail, in the other order %d", len(a), len(b))
	}
}
