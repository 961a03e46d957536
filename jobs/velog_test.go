package jobs_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/rest"
	"sumbi/adapters/velog"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/pgtest"
	"sumbi/sim"
)

// seoul is the zone of days.
var seoul = time.FixedZone("KST", 9*60*60)

// inMemory serves requests without a network, so that they take no time in a bubble.
type inMemory struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	m.h.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// watched is the adapter, and whose lists were asked for.
type watched struct {
	*velog.Source
	mu     sync.Mutex
	turns  []string
	slow   bool                                                                       // the lists of posts take the upstream too long
	stats  int                                                                        // statistics that were asked for
	before func(q adapters.Query) error                                               // may be nil
	after  func(q adapters.Query, pg adapters.Page, err error) (adapters.Page, error) // may be nil
}

func (s *watched) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	if q.List == velog.ListPosts && q.Cursor == "" {
		s.mu.Lock()
		s.turns = append(s.turns, q.Target)
		s.mu.Unlock()
		if s.slow {
			return adapters.Page{}, &adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonSlow, After: time.Hour, Err: errors.New("57014")}
		}
	}
	if q.List == velog.ListStats {
		s.mu.Lock()
		s.stats++
		s.mu.Unlock()
	}
	if s.before != nil {
		if err := s.before(q); err != nil {
			return adapters.Page{}, err
		}
	}
	pg, err := s.Source.Fetch(ctx, q)
	if s.after != nil {
		return s.after(q, pg, err)
	}
	return pg, err
}

// velogWorld is a world whose upstream is velog: the adapter over the imitation.
type velogWorld struct {
	*world
	sim     *sim.Velog
	server  *sim.Server
	source  *watched
	pace    time.Duration // Pipeline.Pause
	every   time.Duration
	workers int
	only    []string

	identity string      // of the sink
	knows    func() bool // whether velog knows anybody just now; nil: it does
}

func newVelogWorld(t *testing.T, w *world, o sim.Options) *velogWorld {
	t.Helper()
	o.Velog.Now = time.Now
	v := &velogWorld{world: w, server: sim.New(o)}
	v.sim = v.server.Velog()
	client := func(path string) *rest.Client {
		cl := rest.New(rest.Options{Upstream: "velog", BaseURL: "http://velog.test" + path, Classify: velog.Classify, Transport: inMemory{http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if path == sim.VelogV3Path && v.knows != nil && !v.knows() {
				rw.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(rw, `{"data":{"currentUser":null}}`)
				return
			}
			v.server.Handler().ServeHTTP(rw, r)
		})}})
		t.Cleanup(func() { _ = cl.Close(context.Background()) })
		return cl
	}
	v.source = &watched{Source: velog.New(velog.Options{V2: client(sim.VelogCDNPath), V3: client(sim.VelogV3Path), Slow: 20 * time.Minute})}
	w.wire = func(e *jobs.Engine) {
		if err := e.Store.SetKey(context.Background(), bytes.Repeat([]byte{7}, 32), nil); err != nil {
			t.Error(err)
		}
		p := &jobs.Pipeline{Name: "velog", Lane: "velog", Source: v.source, Pause: v.pace, Only: v.only, Targets: jobs.Users(context.Background(), e.Store, "velog", v.only)}
		if v.every > 0 {
			p.Spec, p.Next = "every", func(t time.Time) time.Time { return t.Add(v.every) }
		}
		to := jobs.VelogSink(e.Store, "mongo", "velog", 0, w.sink)
		to.Identity = v.identity
		p.Sinks = []jobs.Sink{to}
		e.Pipelines = []*jobs.Pipeline{jobs.Velog(p, 0)}
		e.Lanes = []queue.Lane{
			{Name: "velog", Workers: cmp.Or(v.workers, 8), Deadline: time.Minute, Attempts: 3, Backoff: queue.Backoff{Base: 10 * time.Millisecond, Cap: 50 * time.Millisecond}},
			{Name: "mongo", Workers: 1, Deadline: time.Minute},
		}
	}
	w.boot()
	return v
}

// handIn hands the session of a user in, as a person does.
func (v *velogWorld) handIn(u sim.VelogUser) error {
	got, err := v.engine.HandIn(context.Background(), v.engine.Pipelines[0], "", "access_token="+u.AccessToken+"; refresh_token="+u.RefreshToken)
	if err == nil && got != u.Username {
		err = fmt.Errorf("stored for %s, want %s", got, u.Username)
	}
	return err
}

func (v *velogWorld) everybody() {
	v.tb.Helper()
	for _, u := range v.sim.Users() {
		if err := v.handIn(u); err != nil {
			v.tb.Fatalf("%s: %v", u.Username, err)
		}
	}
}

// turn runs the pipeline once over all who are due.
func (v *velogWorld) turn(targets ...string) queue.Run {
	v.tb.Helper()
	ctx, cancel := v.context()
	defer cancel()
	var r queue.Run
	v.tx(func(tx *queue.Tx) (err error) {
		r, _, err = tx.AskRun("velog", false, targets)
		return err
	})
	r, err := v.engine.RunOnce(ctx, r.ID)
	if err != nil || (r.State != queue.RunDone && !v.dead.Load()) {
		v.tb.Fatalf("run %d is %s: %v\n%s", r.ID, r.State, err, v.query(`select kind, coalesce(key, ''), state, attempt, due, coalesce(err, '') from job`))
	}
	return r
}

// until sleeps till an hour of Korea on a day, counted from the first.
func (v *velogWorld) until(day, hour, minute int) {
	t := time.Date(2000, 1, 1+day, hour, minute, 0, 0, seoul)
	time.Sleep(time.Until(t))
}

// user is what the sink has of a user.
func (v *velogWorld) user(name string) (d jobs.UserDocument) {
	v.tb.Helper()
	v.sink.mu.Lock()
	defer v.sink.mu.Unlock()
	if err := json.Unmarshal([]byte(cmp.Or(v.sink.docs[name], "{}")), &d); err != nil {
		v.tb.Error(err)
	}
	return d
}

func show(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// monthSize is how large the month is, and at which minutes after 22:00 is looked: fifty users with sixty posts take a quarter of
// an hour.
func monthSize() (users, posts int, minutes []int) {
	if os.Getenv("SUMBI_MONTH") == "full" {
		return 50, 60, []int{5, 45, 85, 115}
	}
	if pgtest.Wanted() {
		return 6, 2, []int{5, 35, 65, 95}
	}
	return 6, monthPosts, []int{5, 35, 65, 95}
}

// TestVelogMonth plays a month: statistics fail, sessions are renewed, two end, a list of posts vanishes for days, on one day
// nobody looks, and on one nobody views anything. The days that come out are those of the truth.
func TestVelogMonth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const (
			days    = 30
			quiet   = 9  // nobody views anything
			away    = 15 // nobody looks
			vanish  = 19 // a list shows nothing for two days
			ends    = 5  // two sessions
			returns = 8  // one of the two
		)
		users, posts, minutes := monthSize()
		w.limit = 3 * time.Hour
		v := newVelogWorld(t, w, sim.Options{
			Seed: 3, Velog: sim.VelogOptions{Users: users, Posts: posts, QuietDays: []int{quiet}},
			Faults: sim.Faults{Velog: sim.VelogFaults{Timeout: sim.Fault{Rate: 0.05}, Internal: sim.Fault{Rate: 0.05}}},
		})
		v.until(0, 22, 5)
		all := v.sim.Users() // their sessions are of the first instant
		v.everybody()
		dead, gone, writes := []string{all[3].Username, all[4].Username}, all[5].Username, 0
		born := map[string]string{}
		look := func(day int) {
			began, before := time.Now(), len(v.sink.writes)
			v.turn()
			// Of the posts, those that have changed were written, and no other one.
			changed := strings.Fields(v.query(`select distinct key from record where fetched_at >= ? order by key`, began.UTC().Format("2006-01-02T15:04:05.000Z")))
			var wrote []string
			for _, k := range v.sink.writes[before:] {
				if !slices.ContainsFunc(all, func(u sim.VelogUser) bool { return u.Username == k }) {
					wrote = append(wrote, k)
				}
			}
			writes += len(wrote)
			slices.Sort(wrote)
			wrote = slices.Compact(wrote)
			if d := gocmp.Diff(changed, wrote); d != "" && (len(changed) > 0 || len(wrote) > 0) {
				t.Errorf("day %d: posts written (-changed +written):\n%s", day, d)
			}
		}
		for _, minute := range minutes {
			v.until(0, 22, minute)
			look(0)
		}
		for day := 1; day <= days; day++ {
			switch day {
			case ends:
				for _, u := range dead {
					if err := v.sim.Kill(u); err != nil {
						t.Fatal(err)
					}
				}
			case returns:
				u, err := v.sim.Login(dead[0])
				if err != nil {
					t.Fatal(err)
				}
				if err := v.handIn(u); err != nil {
					t.Fatal(err)
				}
			case vanish, vanish + 2:
				if err := v.sim.Vanish(gone, day == vanish); err != nil {
					t.Fatal(err)
				}
			case 12:
				v.until(day, 9, 0)
				p, err := v.sim.Publish(all[0].Username)
				if err != nil {
					t.Fatal(err)
				}
				born[p.ID] = p.ReleasedAt.In(seoul).Format(time.DateOnly)
			case away:
				continue
			}
			if users < 10 {
				v.until(day, 10, 0)
				look(day)
			}
			for _, minute := range minutes {
				v.until(day, 22, minute)
				look(day)
			}
			if day == 17 { // another process goes on
				v.boot()
			}
		}
		st := v.sim.Stats()
		t.Logf("%d users, %d posts: %d requests, %d of %d statistics failed, %d sessions renewed, %d documents of posts written", users, len(strings.Fields(v.query(`select key from record where stream = 'velog_post'`))),
			st.All.Requests, st.All.Failed, st.All.Stats, st.All.Renewed, writes)
		if st.All.Foreign != 0 {
			t.Errorf("%d calls with a session of somebody else", st.All.Foreign)
		}
		// Where a list is left alone, the statistics of several posts are on their way when the first one tells.
		if st.All.Dead < 2 || st.All.Dead > 2*8 || st.All.DeadAgain != 0 {
			t.Errorf("%d calls with sessions that had ended, %d of them when that was known; want one or, at once, a few a user, and 0", st.All.Dead, st.All.DeadAgain)
		}
		if st.All.Renewed < users || st.All.Failed*20 < st.All.Stats {
			t.Errorf("nothing went wrong: %+v", st.All)
		}
		today := time.Now().In(seoul).Format(time.DateOnly)
		unknown, untold, compared, wrong := 0, 0, 0, 0
		for i, u := range all {
			doc := v.user(u.Username)
			if (doc.TokenDeadSince != nil) != (u.Username == dead[1]) {
				t.Errorf("%s: token dead since %v", u.Username, doc.TokenDeadSince)
			}
			if u.Username == dead[1] {
				continue
			}
			for _, p := range v.sim.Posts(u.Username) {
				if p.Temp {
					continue
				}
				got := map[string]jobs.Day{}
				for _, d := range v.postDays(p.ID, today) {
					got[d.Day] = d
				}
				truth := v.sim.Truth(p.ID)
				for k, want := range truth {
					if want.Day <= "2000-01-01" || want.Day > today {
						continue
					}
					missed := want.Day == "2000-01-16" || want.Day == "2000-01-17"
					if u.Username == dead[0] && want.Day >= "2000-01-06" && want.Day <= "2000-01-09" {
						missed = true
					}
					// The upstream may have failed at every look that tells how far a day had come.
					if !missed && (!toldAtEnd(want) || k > 0 && !toldAtEnd(truth[k-1])) {
						missed = true
						untold++
					}
					compared++
					d := got[want.Day]
					if missed && d.Views == nil {
						unknown++
						continue
					}
					if d.Views == nil || *d.Views != want.Views {
						if wrong++; wrong < 10 {
							t.Errorf("%s %s on %s: %s views, want %d", u.Username, p.ID, want.Day, show(d.Views), want.Views)
						}
						continue
					}
					if missed {
						continue
					}
					if before := k - 1; before >= 0 && truth[before].Day > "2000-01-01" && (d.Likes == nil || *d.Likes != want.Likes-truth[before].Likes) {
						// The list of one vanished, and with it the likes.
						if u.Username == gone && want.Day >= "2000-01-20" && want.Day <= "2000-01-22" && d.Likes == nil {
							continue
						}
						if wrong++; wrong < 10 {
							t.Errorf("%s %s on %s: %s likes more, want %d", u.Username, p.ID, want.Day, show(d.Likes), want.Likes-truth[before].Likes)
						}
					}
				}
			}
			if i != 1 && doc.Posts == 0 {
				t.Errorf("%s has no posts", u.Username)
			}
		}
		if compared == 0 || unknown == 0 || untold*100 > compared {
			t.Errorf("compared %d days, %d unknown, of %d the upstream did not tell", compared, unknown, untold)
		}
		t.Logf("%d days compared, %d unknown, of %d the upstream did not tell", compared, unknown, untold)
		w.is(`select count(*) from record where gone_at is not null`, "0")
	})
}

// TestVelogKnowsNobody lets velog forget everybody for a while, without ending a session: nobody has to log in again.
func TestVelogKnowsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 7, Velog: sim.VelogOptions{Users: 20, Posts: 3}})
		v.everybody()
		v.turn()
		for _, outage := range []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Minute} {
			began := time.Now()
			v.knows = func() bool { return time.Since(began) >= outage }
			for range 5 {
				v.turn()
				time.Sleep(12 * time.Minute)
			}
			v.knows = nil
			w.is(`select count(*) from credential where dead_at is not null`, "0")
		}
		for _, u := range v.sim.Users() {
			if d := v.user(u.Username); !strings.HasPrefix(d.Result, "posts listed; statistics of ") {
				t.Errorf("%s: %s", u.Username, d.Result)
			}
		}
		if st := v.sim.Stats().All; st.Dead != 0 {
			t.Errorf("velog saw %d calls with sessions that had ended", st.Dead)
		}
		v.knows = func() bool { return false }
		for range 8 {
			v.turn()
			time.Sleep(12 * time.Minute)
		}
		w.is(`select count(*) from credential where dead_at is null`, "0")
	})
}

// toldAtEnd reports whether the upstream has told statistics near enough to the end of a day.
func toldAtEnd(d sim.VelogDay) bool {
	end := queue.DayBegins(d.Day).AddDate(0, 0, 1)
	return !d.Told.IsZero() && end.Sub(d.Told) <= jobs.AtMidnight
}

// postDays is the series of a post up to a day, as the page shows it.
func (v *velogWorld) postDays(id, last string) []jobs.Day {
	v.tb.Helper()
	d, err := jobs.VelogPost(context.Background(), v.store, id, jobs.Span{First: "2000-01-01", Last: last, Today: last})
	if err != nil {
		v.tb.Fatal(err)
	}
	return d.Days
}

// TestVelogBelievesOnlyVelog checks that a log-in which names another user is refused, however it is forged.
func TestVelogBelievesOnlyVelog(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 5, Velog: sim.VelogOptions{Users: 3, Posts: 3}})
		all := v.sim.Users()
		if err := v.handIn(all[0]); err != nil {
			t.Fatal(err)
		}
		victim, thief := all[0], all[2]
		rewrite := func(token string) string {
			parts := strings.Split(token, ".")
			body, err := base64.RawURLEncoding.DecodeString(parts[1])
			if err != nil {
				t.Fatal(err)
			}
			parts[1] = base64.RawURLEncoding.EncodeToString(bytes.ReplaceAll(body, []byte(thief.ID), []byte(victim.ID)))
			return strings.Join(parts, ".")
		}
		for name, u := range map[string]sim.VelogUser{
			"both name the victim":    {AccessToken: rewrite(thief.AccessToken), RefreshToken: rewrite(thief.RefreshToken)},
			"the access token does":   {AccessToken: rewrite(thief.AccessToken), RefreshToken: thief.RefreshToken},
			"the refresh token does":  {AccessToken: thief.AccessToken, RefreshToken: rewrite(thief.RefreshToken)},
			"the victim's and one's":  {AccessToken: rewrite(thief.AccessToken), RefreshToken: victim.RefreshToken},
			"no tokens":               {AccessToken: "가", RefreshToken: "나"},
			"a session that is ended": {AccessToken: all[1].AccessToken, RefreshToken: all[1].RefreshToken},
		} {
			if name == "a session that is ended" {
				if err := v.sim.Kill(all[1].Username); err != nil {
					t.Fatal(err)
				}
			}
			u.Username = victim.Username
			before := w.query(`select target, uid, rev from credential`)
			got, err := v.engine.HandIn(t.Context(), v.engine.Pipelines[0], "", "access_token="+u.AccessToken+"; refresh_token="+u.RefreshToken)
			if name == "the victim's and one's" && err == nil && got == victim.Username {
				continue // the victim's own refresh token is good; velog has renewed it
			}
			if err == nil {
				t.Errorf("%s: stored for %s", name, got)
			} else if strings.Contains(err.Error(), u.AccessToken) || strings.Contains(err.Error(), u.RefreshToken) {
				t.Errorf("%s: the error shows a token: %v", name, err)
			}
			equal(t, name, w.query(`select target, uid, rev from credential`), before)
		}
		// Whose it is to be can be said, and another one's is refused.
		if _, err := v.engine.HandIn(t.Context(), v.engine.Pipelines[0], victim.Username, "access_token="+thief.AccessToken+"; refresh_token="+thief.RefreshToken); err == nil {
			t.Error("the log-in of somebody else is taken")
		}
		v.only = []string{victim.Username}
		w.boot()
		if err := v.handIn(thief); err == nil {
			t.Error("the log-in of somebody whom the configuration does not name is taken")
		}
		w.is(`select count(*) from credential`, "1")
	})
}

// TestVelogTurns checks when users have their turns: the newest first, each 10 to 15 minutes after the last, with a result in words.
func TestVelogTurns(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 6, Velog: sim.VelogOptions{Users: 4, Posts: 3}})
		v.every, v.pace, v.workers = 5*time.Minute, 10*time.Minute, 1
		w.boot()
		for i, u := range v.sim.Users() {
			if i < 3 {
				if err := v.handIn(u); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Hour)
		defer cancel()
		if err := v.engine.Serve(ctx); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		if turns := v.source.turns; len(turns) < 3 || turns[0] != v.sim.Users()[2].Username {
			t.Errorf("turns: %v, want the newest, %s, first", turns[:min(len(turns), 6)], v.sim.Users()[2].Username)
		}
		runs := w.query(`select count(*) from run`)
		n := v.sim.Stats().Users[v.sim.Users()[0].ID].CurrentUser - 2 // handing in asks twice
		if n < 3*60/15 || n > 3*60/10+1 {
			t.Errorf("%d turns of a user in three hours (%s runs), want one every 10 to 15 minutes", n, runs)
		}
		for _, line := range strings.Split(w.query(`select note from target order by target`), "\n") {
			if !strings.HasPrefix(line, "posts listed; statistics of ") {
				t.Errorf("result: %q", line)
			}
		}
	})
}

// TestVelogRestingPosts checks that the statistics of a user go on while the list of his posts is left alone.
func TestVelogRestingPosts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 6, Velog: sim.VelogOptions{Users: 1, Posts: 3}})
		v.everybody()
		v.turn()
		each := v.source.stats
		if each == 0 {
			t.Fatal("no statistics were asked for")
		}
		for i, step := range []struct {
			slow  bool
			turns int // lists of posts asked for until then
			note  string
		}{
			{true, 2, "posts NOT listed: %"},
			{true, 2, "posts NOT listed, they are left alone for a while: %"},
			{true, 2, "posts NOT listed, they are left alone for a while: %"},
			{false, 3, "posts listed; %"},
		} {
			v.source.slow = step.slow
			if !step.slow {
				time.Sleep(time.Hour)
			}
			time.Sleep(10 * time.Minute)
			before := v.source.stats
			v.turn()
			if n := v.source.stats - before; n != each || len(v.source.turns) != step.turns {
				t.Errorf("turn %d: %d statistics and %d lists of posts in all, want %d and %d", i, n, len(v.source.turns), each, step.turns)
			}
			w.is(`select count(*) from target where note like '`+step.note+fmt.Sprintf("statistics of %d read'", each), "1")
		}
	})
}

// TestVelogRefusedLogin has one user's log-in refused in a way that says nothing of its end: the tries are counted, and the others
// have their turns.
func TestVelogRefusedLogin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 8, Velog: sim.VelogOptions{Users: 3, Posts: 3}})
		v.everybody()
		all, tries := v.sim.Users(), 0
		v.source.before = func(q adapters.Query) error {
			if q.Target != all[0].Username {
				return nil
			}
			v.source.mu.Lock()
			defer v.source.mu.Unlock()
			if tries++; tries > 50 {
				return &adapters.Error{Kind: adapters.Permanent, Err: errors.New("it is asked for ever")}
			}
			return &adapters.Error{Kind: adapters.Unauthorized, Reason: adapters.ReasonKey, Upstream: "velog", Err: errors.New("401")}
		}
		v.turn()
		if tries != 3 {
			t.Errorf("%d tries, want 3", tries)
		}
		if d := v.user(all[0].Username); !strings.HasPrefix(d.Result, "posts NOT listed: ") || d.TokenDeadSince != nil {
			t.Errorf("result %q, dead since %v", d.Result, d.TokenDeadSince)
		}
		if d := v.user(all[2].Username); !strings.HasPrefix(d.Result, "posts listed; ") {
			t.Errorf("another user's result: %q", d.Result)
		}
	})
}

// TestVelogFailuresKeepNobody lets velog fail at the statistics of some posts, or of all, or not be reached for any, or fail at
// the lists of posts: users have their turns all the same, and runs end.
func TestVelogFailuresKeepNobody(t *testing.T) {
	one := &adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonFailed, Upstream: "velog", Err: errors.New("INTERNAL_SERVER_ERROR")}
	away := &adapters.Error{Kind: adapters.Temporary, Upstream: "velog", Err: errors.New("502")}
	unreached := &adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonUnreachable, Upstream: "velog", Err: errors.New("no such host")}
	hours, most := 2, 6
	if pgtest.Wanted() { // an hour takes most of a minute
		hours, most = 1, 2
	}
	for i, tt := range []struct {
		name   string
		list   string
		broken int // of those lists
		err    *adapters.Error
	}{
		{"four posts fail", velog.ListStats, 4, one},
		{"all posts meet a gateway", velog.ListStats, 100, away},
		{"all posts fail", velog.ListStats, 100, one},
		{"four posts meet a gateway", velog.ListStats, 4, away},
		{"no host", velog.ListStats, 100, unreached},
		{"lists of posts fail", velog.ListPosts, 100, one},
	} {
		if i == most {
			break
		}
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.limit = 24 * time.Hour
				v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 3, Posts: 6}})
				v.every, v.pace = 5*time.Minute, 10*time.Minute
				broken := map[string]bool{}
				v.source.after = func(q adapters.Query, pg adapters.Page, err error) (adapters.Page, error) {
					v.source.mu.Lock()
					defer v.source.mu.Unlock()
					if key := q.Target + q.Of; err == nil && q.List == tt.list && (broken[key] || len(broken) < tt.broken) {
						broken[key] = true
						return adapters.Page{}, tt.err
					}
					return pg, err
				}
				w.boot()
				v.engine.Lanes[0].Backoff = queue.Backoff{} // as usual
				v.everybody()
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(hours)*time.Hour)
				defer cancel()
				if err := v.engine.Serve(ctx); err != nil {
					t.Fatal(err)
				}
				n := map[string]int{}
				for _, u := range v.source.turns {
					n[u]++
				}
				for _, u := range v.sim.Users() {
					if n[u.Username] < hours*60/15-1 {
						t.Errorf("%s had %d turns in %d hours, want one every 10 to 15 minutes", u.Username, n[u.Username], hours)
					}
				}
				if done := v.runs(); done < hours*60/15-1 {
					t.Errorf("%d runs have ended in %d hours", done, hours)
				}
				if note := w.query(`select note from target where note like '%failed and keep%' or note like 'posts NOT%' limit 1`); !strings.Contains(note, tt.err.Err.Error()) {
					t.Errorf("the result does not say why: %q", note)
				}
			})
		})
	}
}

// TestVelogOutageOfAnotherProcess checks that statistics which can be read are read, whatever another machine or an earlier process
// has met, and that those left because of an outage of one's own are not taken for such that velog does not give any more.
func TestVelogOutageOfAnotherProcess(t *testing.T) {
	unreached := &adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonUnreachable, Upstream: "velog", Err: errors.New("no such host")}
	for name, failure := range map[string]*adapters.Error{"of another": nil, "of one's own": unreached} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.limit = time.Hour
				v := newVelogWorld(t, w, sim.Options{Seed: 6, Velog: sim.VelogOptions{Users: 1, Posts: 20}})
				v.workers = 1
				w.boot()
				told := false
				v.source.before = func(q adapters.Query) error {
					if q.List != velog.ListStats {
						return nil
					}
					if failure != nil {
						return failure
					}
					if !told {
						told = true
						w.exec(`insert into outage (upstream, since, next_at, reason, jobs) values ('velog', '1999-12-01T00:00:00.000Z', '1999-12-01T00:10:00.000Z', '502', 3)`)
					}
					time.Sleep(2 * time.Second)
					return nil
				}
				v.everybody()
				v.turn()
				if left := w.query(`select count(*) from walk where list like '%/%' and state = 'unfinished'`); (left == "0") != (failure == nil) {
					t.Errorf("%s lists are left", left)
				}
				w.is(`select count(*) from walk where note like '%does not answer%' and cuts > 0`, "0")
			})
		})
	}
}

// TestTurnAfterAClockThatWasAhead checks that a user whose last turn was of a clock that was ahead has the next one all the same.
func TestTurnAfterAClockThatWasAhead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 6, Velog: sim.VelogOptions{Users: 2, Posts: 2}})
		v.pace = 10 * time.Minute
		w.boot()
		v.everybody()
		all := v.sim.Users()
		w.exec(`insert into target (pipeline, target, tried_at) values ('velog', '` + all[0].Username + `', '2009-01-01T00:00:00.000Z')
			on conflict (pipeline, target) do update set tried_at = excluded.tried_at`)
		w.exec(`update target set state = 'gone', misses = 9, tried_at = '2009-01-01T00:00:00.000Z' where target = '` + all[1].Username + `'`)
		v.turn()
		if len(v.source.turns) != 2 {
			t.Errorf("turns: %v, want both", v.source.turns)
		}
	})
}

// runs is how many runs have ended.
func (v *velogWorld) runs() int {
	n, err := strconv.Atoi(v.query(`select count(*) from run where state = 'done'`))
	if err != nil {
		v.tb.Fatal(err)
	}
	return n
}

// TestVelogHandInStands hands a new log-in in while a call with the old one meets its end: the new one stands.
func TestVelogHandInStands(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 2}})
		v.everybody()
		u, once := v.sim.Users()[0], sync.Once{}
		v.source.after = func(_ adapters.Query, pg adapters.Page, err error) (adapters.Page, error) {
			once.Do(func() {
				time.Sleep(time.Second)
				next, lerr := v.sim.Login(u.Username)
				if herr := errors.Join(lerr, v.handIn(next)); herr != nil {
					t.Error(herr)
				}
				pg = adapters.Page{Credential: &adapters.Credential{Values: map[string]string{"access_token": "옛 것"}}}
				err = &adapters.Error{Kind: adapters.NeedsHuman, Reason: adapters.ReasonLogin, Upstream: "velog", Err: errors.New("끝났다")}
			})
			return pg, err
		}
		v.turn()
		w.is(`select count(*) from credential where dead_at is not null`, "0")
		v.turn()
		if d := v.user(u.Username); !strings.HasPrefix(d.Result, "posts listed; ") {
			t.Errorf("result: %q", d.Result)
		}
	})
}

// TestVelogGone has a user found gone in three turns: he is asked again after a day, and at once when he hands a log-in in.
func TestVelogGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 10, Velog: sim.VelogOptions{Users: 1, Posts: 2}})
		v.everybody()
		u, calls, gone := v.sim.Users()[0], 0, true
		v.source.before = func(adapters.Query) error {
			calls++
			if !gone {
				return nil
			}
			return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "velog", Err: errors.New("없다")}
		}
		for _, step := range []struct {
			name  string
			wait  time.Duration
			calls int
		}{
			{"first", 0, 1},
			{"second", time.Hour, 2},
			{"third", time.Hour, 3},
			{"let alone", time.Hour, 3},
			{"after a day", 24 * time.Hour, 4},
			{"let alone again", time.Hour, 4},
		} {
			time.Sleep(step.wait)
			v.turn()
			if calls != step.calls {
				t.Errorf("%s: %d calls, want %d", step.name, calls, step.calls)
			}
		}
		gone = false
		next, err := v.sim.Login(u.Username)
		if err := errors.Join(err, v.handIn(next)); err != nil {
			t.Fatal(err)
		}
		v.turn()
		if d := v.user(u.Username); !strings.HasPrefix(d.Result, "posts listed; ") {
			t.Errorf("result after a new log-in: %q", d.Result)
		}
	})
}

// TestVelogSinkHearsOfUsers changes the database: it is told of the users, too, and of a log-in that is handed in.
func TestVelogSinkHearsOfUsers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 11, Velog: sim.VelogOptions{Users: 2, Posts: 2}})
		v.everybody()
		v.turn()
		u := v.sim.Users()[1].Username
		told := func() bool {
			return slices.Contains(strings.Fields(w.query(`select key from outbox where stream = 'velog_user'`)), u)
		}
		if told() {
			t.Fatal("it is to be told already")
		}
		next, err := v.sim.Login(u)
		if err := errors.Join(err, v.handIn(next)); err != nil {
			t.Fatal(err)
		}
		if !told() {
			t.Error("nobody is told of a log-in")
		}
		v.turn()
		v.sink.mu.Lock()
		clear(v.sink.docs)
		v.sink.mu.Unlock()
		v.identity = "another server"
		w.boot()
		v.turn("nobody")
		if d := v.user(u); d.ID != u || d.Posts == 0 {
			t.Errorf("the other server has of the user: %+v", d)
		}
	})
}

// TestHandInRepeatsNothing gives what is secret in the place of a name.
func TestHandInRepeatsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 12, Velog: sim.VelogOptions{Users: 2, Posts: 2}})
		u := v.sim.Users()[0]
		for _, want := range []string{u.AccessToken, "access_token=" + u.AccessToken, "a b"} {
			_, err := v.engine.HandIn(t.Context(), v.engine.Pipelines[0], want, "access_token="+u.AccessToken+"; refresh_token="+u.RefreshToken)
			if err == nil || strings.Contains(err.Error(), want) {
				t.Errorf("%.12q: %v", want, err)
			}
		}
		w.is(`select count(*) from credential`, "0")
		if _, err := v.engine.HandIn(t.Context(), v.engine.Pipelines[0], "@"+u.Username, "access_token="+u.AccessToken+"; refresh_token="+u.RefreshToken); err != nil {
			t.Error(err)
		}
	})
}

// TestVelogStill buries a log-in while another step is between two calls: no further call is made with it.
func TestVelogStill(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 13, Velog: sim.VelogOptions{Users: 1, Posts: 2}})
		v.everybody()
		u, once := v.sim.Users()[0], sync.Once{}
		v.source.before = func(q adapters.Query) error {
			once.Do(func() {
				if err := q.Still(t.Context()); err != nil {
					t.Errorf("a log-in that stands: %v", err)
				}
				v.tx(func(tx *queue.Tx) error {
					l, err := tx.Login("velog", u.Username)
					if err != nil {
						return err
					}
					_, err = tx.BuryLogin(l, "끝났다")
					return err
				})
			})
			return q.Still(t.Context())
		}
		before := v.sim.Stats().All.Requests
		v.turn()
		if n := v.sim.Stats().All.Requests - before; n != 0 {
			t.Errorf("%d calls with a log-in that has ended", n)
		}
		if d := v.user(u.Username); d.TokenDeadSince == nil {
			t.Errorf("the user: %+v", d)
		}
	})
}
