package velog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/velog"
	"sumbi/sim"
)

func cleared(name string) string {
	return name + "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Domain=.velog.io"
}

// TestRotation lets an answer set cookies.
func TestRotation(t *testing.T) {
	t.Parallel()
	have := believed()
	day := start.Add(24 * time.Hour)
	newA, newR := token("access_token", userID, day), token("refresh_token", userID, start.Add(720*time.Hour))
	otherA, otherR := token("access_token", otherID, day), token("refresh_token", otherID, start.Add(720*time.Hour))
	upper := refresh("token_Id", start.Add(720*time.Hour))
	lower := refresh("token_id", start.Add(720*time.Hour))
	const domain = "; Domain=.velog.io"
	for _, tt := range []struct {
		name    string
		lines   []string
		access  string // taken; "" is the old one
		refresh string
		reason  string // of an error
	}{
		{"none", nil, "", "", ""},
		{"both", []string{cookie("access_token", newA, domain), cookie("refresh_token", newR, domain)}, newA, newR, ""},
		{"both, the refresh token as before", []string{cookie("access_token", newA, domain), cookie("refresh_token", have.Values[velog.RefreshToken], domain)}, newA, "", ""},
		{"equal to the old ones", []string{cookie("access_token", have.Values[velog.AccessToken], domain), cookie("refresh_token", have.Values[velog.RefreshToken], domain)}, "", "", ""},
		{"twice, as v2", []string{cookie("access_token", newA, domain), cookie("refresh_token", newR, domain), cookie("access_token", newA, ""), cookie("refresh_token", newR, "")}, newA, newR, ""},
		{"twice, the last counts", []string{cookie("access_token", otherA, domain), cookie("refresh_token", otherR, domain), cookie("access_token", newA, ""), cookie("refresh_token", newR, "")}, newA, newR, ""},
		{"one of two names cleared for the host, set for the domain", []string{cookie("access_token", newA, domain), cleared("access_token"), cookie("refresh_token", newR, domain)}, newA, newR, ""},
		{"token_Id", []string{cookie("access_token", newA, domain), cookie("refresh_token", upper, domain)}, newA, upper, ""},
		{"token_id", []string{cookie("access_token", newA, domain), cookie("refresh_token", lower, domain)}, newA, lower, ""},
		{"half", []string{cookie("access_token", newA, domain)}, "", "", ""},
		{"other half", []string{cookie("refresh_token", newR, domain)}, "", "", ""},
		{"half and an empty one", []string{cookie("access_token", newA, domain), cleared("refresh_token")}, "", "", ""},
		{"no tokens", []string{cookie("access_token", "undefined", domain), cookie("refresh_token", "undefined", domain)}, "", "", ""},
		{"in each other's place", []string{cookie("access_token", newR, domain), cookie("refresh_token", newA, domain)}, "", "", ""},
		{"of two users", []string{cookie("access_token", newA, domain), cookie("refresh_token", otherR, domain)}, "", "", ""},
		{"of another user", []string{cookie("access_token", otherA, domain), cookie("refresh_token", otherR, domain)}, "", "", adapters.ReasonInvalid},
		{"run out already", []string{cookie("access_token", token("access_token", userID, start.Add(-time.Hour)), domain), cookie("refresh_token", newR, domain)}, "", "", ""},
		{"other names", []string{cookie("ACCESS_TOKEN", newA, domain), cookie("session", "x", "")}, "", "", ""},
		{"cleared", []string{cleared("access_token"), cleared("refresh_token")}, "", "", adapters.ReasonLogin},
		{"cleared twice", []string{cleared("access_token"), cleared("refresh_token"), cleared("access_token"), cleared("refresh_token")}, "", "", adapters.ReasonLogin},
		{"cleared by age", []string{"access_token=x; Max-Age=0", "refresh_token=x; Max-Age=0"}, "", "", adapters.ReasonLogin},
		{"cleared by date", []string{"access_token=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "refresh_token=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "", "", adapters.ReasonLogin},
		{"one cleared", []string{cleared("access_token")}, "", "", ""},
		{"damaged", []string{"access_token", "=", "refresh_token=가", ";;;"}, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := &script{v2: says(200, sample(t, "res_getstats_200_since_2023-11-22.json"), tt.lines...)}
			p, err := scripted(t, up, velog.Options{}).Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: "example", Of: postID, Credential: have})
			if tt.reason != "" {
				if e := adapters.Classify(err); e == nil || e.Reason != tt.reason || p.Credential != nil || holds(err.Error(), have) || strings.Contains(err.Error(), "eyJ") {
					t.Errorf("got %v, credential %v", err, p.Credential)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.access == "" && tt.refresh == "" {
				if p.Credential != nil {
					t.Errorf("a new session: %v", p.Credential.Values)
				}
				return
			}
			want := maps.Clone(have.Values)
			want[velog.AccessToken] = tt.access
			if tt.refresh != "" {
				want[velog.RefreshToken] = tt.refresh
			}
			if p.Credential == nil {
				t.Fatal("the new session is not taken")
			}
			if diff := cmp.Diff(want, p.Credential.Values); diff != "" {
				t.Error(diff)
			}
			if want := day.Add(-29 * time.Minute); !p.Credential.Expires.Equal(want) {
				t.Errorf("due at %v, want %v", p.Credential.Expires, want)
			}
			if len(p.Records) != 1 {
				t.Errorf("%d records", len(p.Records))
			}
		})
	}
}

// TestDue lets the session be due before a page.
func TestDue(t *testing.T) {
	t.Parallel()
	newA, newR := token("access_token", userID, start.Add(24*time.Hour)), token("refresh_token", userID, start.Add(720*time.Hour))
	renews := []string{cookie("access_token", newA, ""), cookie("refresh_token", newR, "")}
	user := sample(t, "res_current_user_v3_200.json")
	stats := says(200, sample(t, "res_getstats_200_since_2023-11-22.json"))
	late := func(left time.Duration) adapters.Credential {
		c := believed()
		c.Values[velog.AccessToken] = token("access_token", userID, start.Add(left))
		c.Expires = start.Add(left - 29*time.Minute)
		return c
	}
	unknown := believed()
	unknown.Expires = time.Time{}
	for _, tt := range []struct {
		name   string
		have   adapters.Credential
		v2, v3 http.Handler
		sent   []string
		reason string
		due    time.Time // of what is stored; zero: nothing is
	}{
		{"not due", believed(), stats, nil, []string{"v2 GetStats"}, "", time.Time{}},
		{"due", late(10 * time.Minute), stats, says(200, user, renews...), []string{"v3 currentUser", "v2 GetStats"}, "", start.Add(24*time.Hour - 29*time.Minute)},
		{"ran out", late(-10 * time.Hour), stats, says(200, user, renews...), []string{"v3 currentUser", "v2 GetStats"}, "", start.Add(24*time.Hour - 29*time.Minute)},
		{"never asked", unknown, stats, says(200, user), []string{"v3 currentUser", "v2 GetStats"}, "", start.Add(20*time.Hour - 29*time.Minute)},
		{"not renewed", late(10 * time.Minute), stats, says(200, user), []string{"v3 currentUser"}, adapters.ReasonInvalid, start.Add(10*time.Minute - 29*time.Minute)},
		{"renewed for a quarter of an hour", late(10 * time.Minute), stats, says(200, user, cookie("access_token", token("access_token", userID, start.Add(15*time.Minute)), ""), renews[1]), []string{"v3 currentUser", "v2 GetStats"}, "", start.Add(7*time.Minute + 30*time.Second)},
		{"ran out, half of it renewed", late(-time.Minute), stats, says(200, user, renews[0]), []string{"v3 currentUser"}, adapters.ReasonInvalid, time.Time{}},
		{"not renewed, half of it", late(10 * time.Minute), stats, says(200, user, renews[0]), []string{"v3 currentUser", "v2 GetStats"}, "", time.Time{}},
		{"renewed, and then too slow", late(10 * time.Minute), says(200, sample(t, "res_getstats_error_57014.json")), says(200, user, renews...), []string{"v3 currentUser", "v2 GetStats"}, adapters.ReasonSlow, start.Add(24*time.Hour - 29*time.Minute)},
		{"renewed, and not yours", late(10 * time.Minute), says(200, sample(t, "res_getstats_error_not_yours.json")), says(200, user, renews...), []string{"v3 currentUser", "v2 GetStats"}, adapters.ReasonPrivate, start.Add(24*time.Hour - 29*time.Minute)},
		{"refused though not due, renewed", believed(), says(200, sample(t, "res_getstats_error_not_yours.json")), says(200, user, renews...), []string{"v2 GetStats", "v3 currentUser", "v2 GetStats"}, adapters.ReasonPrivate, start.Add(24*time.Hour - 29*time.Minute)},
		{"somebody else", late(10 * time.Minute), stats, says(200, strings.ReplaceAll(user, userID, otherID), renews...), []string{"v3 currentUser"}, adapters.ReasonLogin, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := &script{v2: tt.v2, v3: tt.v3}
			p, err := scripted(t, up, velog.Options{}).Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: "example", Of: postID, Credential: tt.have})
			if e := adapters.Classify(err); (e == nil) != (tt.reason == "") || (e != nil && e.Reason != tt.reason) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(tt.sent, up.sent); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			var due time.Time
			if p.Credential != nil {
				due = p.Credential.Expires
			}
			if !due.Equal(tt.due) {
				t.Errorf("what is stored is due at %v, want %v", due, tt.due)
			}
		})
	}
}

// TestDoubt asks whose session it is, again a while later, and again when an hour is over; what an answer leaves is what the next
// question is made with.
func TestDoubt(t *testing.T) {
	t.Parallel()
	user := sample(t, "res_current_user_v3_200.json")
	nobody := says(200, `{"data":{"currentUser":null}}`)
	refuses := func(status int, code string) http.Handler {
		return says(status, `{"data":{"currentUser":null},"errors":[{"message":"가나다","extensions":{"code":"`+code+`"}}]}`)
	}
	dated := func(h http.Handler, by time.Duration) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", start.Add(by).Format(http.TimeFormat))
			h.ServeHTTP(w, r)
		})
	}
	day := start.Add(24 * time.Hour)
	sets := []string{"access_token=" + token("access_token", userID, day), "refresh_token=" + token("refresh_token", userID, start.Add(720*time.Hour))}
	for i := range sets {
		sets[i] += "; Path=/; Expires=Sat, 21 Nov 2026 03:00:00 GMT"
	}
	const again, dead = adapters.ReasonInvalid, adapters.ReasonLogin
	for _, tt := range []struct {
		name          string
		left          time.Duration // of the access token
		first, second http.Handler
		want          [2]string // reasons
	}{
		{"no field", 20 * time.Hour, says(200, `{"data":{}}`), says(200, `{"data":{}}`), [2]string{again, again}},
		{"nobody, with life left", 20 * time.Hour, nobody, nobody, [2]string{again, dead}},
		{"nobody, and then the user", 20 * time.Hour, nobody, says(200, user), [2]string{again, ""}},
		{"nobody, without life", -time.Hour, nobody, nobody, [2]string{again, dead}},
		{"nobody, and then nobody with cleared cookies", 20 * time.Hour, nobody, says(200, `{"data":{"currentUser":null}}`, cleared("access_token"), cleared("refresh_token")), [2]string{again, dead}},
		{"nobody, odd cookies", -time.Hour, says(200, `{"data":{"currentUser":null}}`, "access_token=undefined", "refresh_token=undefined"), nobody, [2]string{again, dead}},
		{"nobody, cleared", 20 * time.Hour, says(200, `{"data":{"currentUser":null}}`, cleared("access_token"), cleared("refresh_token")), nil, [2]string{dead, ""}},
		{"not renewed", 10 * time.Minute, says(200, user), says(200, user), [2]string{again, dead}},
		{"unauthenticated", 20 * time.Hour, refuses(401, "UNAUTHENTICATED"), refuses(401, "UNAUTHENTICATED"), [2]string{again, dead}},
		{"forbidden", 20 * time.Hour, refuses(200, "FORBIDDEN"), refuses(200, "FORBIDDEN"), [2]string{again, dead}},
		{"no permission", 20 * time.Hour, refuses(200, "NO_PERMISSION"), says(200, user), [2]string{again, ""}},
		{"401 in nobody's words", 20 * time.Hour, says(401, "Unauthorized"), says(401, "Unauthorized"), [2]string{adapters.ReasonKey, adapters.ReasonKey}},
		{"not found", 20 * time.Hour, refuses(404, "NOT_FOUND"), refuses(404, "NOT_FOUND"), [2]string{again, again}},
		{"a clock a day ahead", 20 * time.Hour, dated(says(200, user), 24*time.Hour), dated(says(200, user), 24*time.Hour), [2]string{"", ""}},
		{"a clock a month ahead, renewed", 10 * time.Minute, dated(says(200, user, sets...), 720*time.Hour), dated(says(200, user), 720*time.Hour), [2]string{"", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			have := believed()
			have.Values[velog.AccessToken] = token("access_token", userID, start.Add(tt.left))
			have.Expires = time.Time{}
			up := &script{v2: says(200, sample(t, "res_getstats_200_since_2023-11-22.json"))}
			var now time.Time
			s := scripted(t, up, velog.Options{Now: func() time.Time { return now }})
			for _, ask := range []struct {
				after time.Duration
				v3    http.Handler
				want  string
			}{{0, tt.first, tt.want[0]}, {59 * time.Minute, tt.first, tt.want[0]}, {61 * time.Minute, tt.second, tt.want[1]}} {
				if ask.v3 == nil || tt.want[0] == dead && ask.after > 0 {
					continue
				}
				now, up.v3 = start.Add(ask.after), dated(ask.v3, ask.after)
				p, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: "example", Of: postID, Credential: have})
				e := adapters.Classify(err)
				if (e == nil) != (ask.want == "") || (e != nil && e.Reason != ask.want) {
					t.Fatalf("after %s: got %v, want reason %q", ask.after, err, ask.want)
				}
				if e != nil && e.Reason == again && (e.Kind != adapters.Temporary || e.After > 10*time.Minute) {
					t.Errorf("after %s: the error is %v, again after %s", ask.after, e.Kind, e.After)
				}
				if p.Credential != nil {
					have = *p.Credential
				}
			}
			for _, sent := range up.sent[:1] {
				if sent != "v3 currentUser" {
					t.Errorf("asked %v", up.sent)
				}
			}
		})
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 4, Dead: 1}})
	s := w.source(sim.VelogCDNPath, velog.Options{})
	users := w.velog.Users()
	me, other, dead := users[0], users[2], users[3]
	known := session(me)
	known.Values[velog.UserID], known.Values[velog.Username] = me.ID, "old-name"
	taken := session(other)
	taken.Values[velog.UserID] = me.ID
	forged := adapters.Credential{Values: map[string]string{
		velog.AccessToken: token("access_token", me.ID, start.Add(24*time.Hour)), velog.RefreshToken: token("refresh_token", me.ID, start.Add(600*time.Hour)),
	}}
	half := session(me)
	half.Values[velog.RefreshToken] = token("refresh_token", me.ID, start.Add(600*time.Hour))
	for _, tt := range []struct {
		name, target string
		have         adapters.Credential
		ok           bool
		kept         bool // what was handed in is returned with the error
	}{
		{"anybody", "", session(me), true, false},
		{"by name", me.Username, session(me), true, false},
		{"by name with @", "@" + me.Username, session(me), true, false},
		{"by id", me.ID, session(me), true, false},
		{"renamed", "old-name", known, true, false},
		{"no posts", users[1].Username, session(users[1]), true, false},
		{"another user's", me.Username, session(other), false, false},
		{"another user's, claimed to be mine", me.Username, taken, false, false},
		{"tokens that I wrote myself", me.Username, forged, false, true},
		{"a refresh token that I wrote myself", me.Username, half, false, true},
		{"ended", dead.Username, session(dead), false, true},
		{"of a name in capitals", strings.ToUpper(me.Username), session(me), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Authenticate(t.Context(), tt.target, tt.have)
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				if got.Values[velog.Username] == "" || got.Values[velog.UserID] == "" || !got.Expires.Equal(start.Add(24*time.Hour-29*time.Minute)) {
					t.Errorf("got %v due at %v", got.Values, got.Expires)
				}
				return
			}
			if e := adapters.Classify(err); e == nil || e.Kind != adapters.NeedsHuman || e.Reason != adapters.ReasonLogin {
				t.Errorf("got %v", err)
			}
			if kept := len(got.Values) > 0; kept != tt.kept {
				t.Errorf("what was handed in is kept: %v, want %v", kept, tt.kept)
			}
		})
	}
	if n := w.velog.Stats().All.Foreign; n != 0 {
		t.Errorf("%d calls for another user", n)
	}
}

// TestClaimsProveNothing has velog say that a session is another user's than its tokens name.
func TestClaimsProveNothing(t *testing.T) {
	t.Parallel()
	up := &script{v3: says(200, strings.ReplaceAll(sample(t, "res_current_user_v3_200.json"), userID, otherID))}
	s := scripted(t, up, velog.Options{})
	have := adapters.Credential{Values: map[string]string{velog.AccessToken: believed().Values[velog.AccessToken], velog.RefreshToken: believed().Values[velog.RefreshToken]}}
	for _, target := range []string{"", "example", otherID, userID} {
		got, err := s.Authenticate(t.Context(), target, have)
		if e := adapters.Classify(err); e == nil || e.Reason != adapters.ReasonLogin || len(got.Values) > 0 {
			t.Errorf("for %q: got %v, %v", target, got.Values, err)
		}
	}
}

// TestMonth lives a month with velog: sessions are renewed before they end, none is used for another user, and no call is made
// with one that has ended once that is known.
func TestMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 5, Posts: 12, Dead: 1}, Faults: sim.Faults{Velog: sim.VelogFaults{
		Timeout: sim.Often(0.1), Internal: sim.Often(0.02), BadCookie: sim.Often(0.1), HalfCookie: sim.Often(0.1),
	}}})
	s := w.source(sim.VelogCDNPath, velog.Options{})
	have := map[string]adapters.Credential{}
	for _, u := range w.velog.Users() {
		have[u.Username] = session(u)
	}
	killed := w.velog.Users()[0].Username
	ended := map[string]int{} // days on which the end of a session was met
	w.velog.Advance(10*time.Hour + 45*time.Minute)
	good, bad, damaged := 0, 0, 0
	for day := range 35 {
		if day == 20 {
			if err := w.velog.Kill(killed); err != nil {
				t.Fatal(err)
			}
		}
		for _, u := range w.velog.Users() {
			q := adapters.Query{List: velog.ListPosts, Target: u.Username, ID: u.ID, Credential: have[u.Username]}
			recs, ok := []adapters.Record(nil), ended[u.Username] == 0
			for ok {
				p, err := s.Fetch(t.Context(), q)
				if p.Credential != nil {
					q.Credential = *p.Credential
				}
				if err != nil && adapters.Classify(err).Reason == adapters.ReasonInvalid { // a renewal that was damaged
					damaged++
					continue
				}
				if err != nil {
					if adapters.Classify(err).Reason != adapters.ReasonLogin {
						t.Fatalf("day %d, %s: %v", day, u.Username, err)
					}
					ended[u.Username]++
					ok = false
				}
				recs = append(recs, p.Records...)
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
			for _, r := range recs {
				p, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListStats, Target: u.Username, ID: u.ID, Of: r.Key, Credential: q.Credential})
				if p.Credential != nil {
					q.Credential = *p.Credential
				}
				if err != nil {
					bad++
					if e := adapters.Classify(err); e.Kind != adapters.Temporary {
						t.Fatalf("day %d, %s: %v", day, u.Username, err)
					}
					continue
				}
				good++
				days := w.velog.Truth(r.Key)
				if want := fmt.Sprintf(`"total":%d,`, days[len(days)-1].Total); !strings.Contains(string(p.Records[0].Data), want) {
					t.Errorf("day %d: %s, the truth is %s", day, p.Records[0].Data, want)
				}
			}
			have[u.Username] = q.Credential
		}
		w.velog.Advance(24 * time.Hour)
	}
	all := w.velog.Stats().All
	t.Logf("%d statistics, %d failed, %d renewals damaged, %+v", good, bad, damaged, all)
	if len(ended) != 2 || ended[killed] != 1 || all.Dead != 2 || all.DeadAgain != 0 || all.Foreign != 0 || all.Renewed == 0 {
		t.Errorf("sessions that ended: %v, calls %+v", ended, all)
	}
}

// TestManyAtOnce uses one source for all users at the same time.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Echo: true, Velog: sim.VelogOptions{Users: 12, Posts: 8}, Faults: sim.Faults{Velog: sim.VelogFaults{HTTPFaults: sim.HTTPFaults{Error500: sim.Often(0.2)}}}})
	w.velog.Advance(30 * time.Hour) // all are due
	s := w.source(sim.VelogV2Path, velog.Options{})
	var wg sync.WaitGroup
	for _, u := range w.velog.Users() {
		for range 4 {
			wg.Go(func() {
				p, err := s.Fetch(t.Context(), adapters.Query{List: velog.ListPosts, Target: u.Username, ID: u.ID, Credential: session(u)})
				switch {
				case err != nil && (adapters.Classify(err).Kind != adapters.Temporary || holds(err.Error(), session(u))):
					t.Error(err)
				case err == nil && (p.ID != u.ID || p.Name != u.Username || p.Credential == nil || p.Credential.Values[velog.UserID] != u.ID):
					t.Errorf("%s got a page of %s", u.Username, p.Name)
				}
			})
		}
	}
	wg.Wait()
	if n := w.velog.Stats().All.Foreign; n != 0 {
		t.Errorf("%d calls for another user", n)
	}
}

// TestCache asks for statistics through the cache in front of the older server.
func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Velog: sim.VelogOptions{Users: 1}})
	s := w.source(sim.VelogCDNPath, velog.Options{})
	u := w.velog.Users()[0]
	c, err := s.Authenticate(t.Context(), u.Username, session(u))
	if err != nil {
		t.Fatal(err)
	}
	q := adapters.Query{List: velog.ListStats, Target: u.Username, ID: u.ID, Of: w.published(u.Username)[0], Credential: c}
	for _, step := range []struct {
		wait    time.Duration
		asOf    time.Duration // since the start
		renewed bool
	}{
		{0, 0, false},
		{10 * time.Minute, 0, false},
		{10 * time.Minute, 0, false}, // stale
		{time.Minute, 20 * time.Minute, false},
		{24 * time.Hour, 24*time.Hour + 21*time.Minute, true}, // the session is renewed at the other server
		{time.Minute, 24*time.Hour + 21*time.Minute, false},
	} {
		w.velog.Advance(step.wait)
		p, err := s.Fetch(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if at := p.Records[0].Time.Sub(start); at != step.asOf || (p.Credential != nil) != step.renewed {
			t.Errorf("after %s more: as of %s, renewed %v, want %s, %v", step.wait, at, p.Credential != nil, step.asOf, step.renewed)
		}
		if p.Credential != nil {
			q.Credential = *p.Credential
		}
	}
}

// TestStill stops before the second call when the session is not to be used any more.
func TestStill(t *testing.T) {
	t.Parallel()
	up := &script{v2: says(200, sample(t, "res_getstats_error_not_yours.json")), v3: says(200, sample(t, "res_current_user_v3_200.json"))}
	s := scripted(t, up, velog.Options{})
	gone := errors.New("끝났다")
	asked := 0
	q := adapters.Query{List: velog.ListStats, Target: "example", Of: postID, Credential: believed(), Still: func(context.Context) error {
		asked++
		return gone
	}}
	if _, err := s.Fetch(t.Context(), q); !errors.Is(err, gone) || asked != 1 {
		t.Errorf("got %v after %d questions", err, asked)
	}
	if diff := cmp.Diff([]string{"v2 GetStats"}, up.sent); diff != "" {
		t.Error(diff)
	}
}
