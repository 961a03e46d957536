package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/sim"
)

// cookies is the session of a user as a person hands it in.
func cookies(u sim.VelogUser) string {
	return "access_token=" + u.AccessToken + "; refresh_token=" + u.RefreshToken
}

// rename gives a user of velog another name.
func (v *velogWorld) rename(from, to string) {
	v.tb.Helper()
	if err := v.sim.Rename(from, to); err != nil {
		v.tb.Fatal(err)
	}
}

// login is a new session of a user.
func (v *velogWorld) login(name string) sim.VelogUser {
	v.tb.Helper()
	u, err := v.sim.Login(name)
	if err != nil {
		v.tb.Fatal(err)
	}
	return u
}

// hand hands a session in to the pipeline of that number; want is whose it is to be stored for.
func (v *velogWorld) hand(pipeline int, u sim.VelogUser, want string) {
	v.tb.Helper()
	if got, err := v.engine.HandIn(context.Background(), v.engine.Pipelines[pipeline], "", cookies(u)); err != nil || got != want {
		v.tb.Errorf("stored for %q, %v; want %q", got, err, want)
	}
}

// refused hands in a session that is not taken: the error is one sentence with those words and without a token, and nothing is
// changed.
func (v *velogWorld) refused(pipeline int, u sim.VelogUser, words ...string) {
	v.tb.Helper()
	const kept = `select pipeline, target, uid, rev, coalesce(dead_at, '') from credential order by 1, 2`
	const names = `select pipeline, target, uid, name from target order by 1, 2`
	before := v.query(kept) + "\n" + v.query(names)
	got, err := v.engine.HandIn(context.Background(), v.engine.Pipelines[pipeline], "", cookies(u))
	if err == nil {
		v.tb.Errorf("stored for %s", got)
		return
	}
	for _, w := range append(words, "; nothing was stored") {
		if !strings.Contains(err.Error(), w) {
			v.tb.Errorf("%q does not say %q", err, w)
		}
	}
	if text := err.Error(); strings.Contains(text, u.AccessToken) || strings.Contains(text, u.RefreshToken) || strings.Contains(text, "\n") {
		v.tb.Errorf("the error: %v", err)
	}
	equal(v.tb, "log-ins and targets", v.query(kept)+"\n"+v.query(names), before)
}

// logOut forgets the log-in of a target of the pipeline of that number.
func (v *velogWorld) logOut(pipeline int, target string) {
	v.tb.Helper()
	if err := jobs.LogOut(context.Background(), v.store, v.engine.Pipelines[pipeline], target); err != nil {
		v.tb.Fatal(err)
	}
}

// TestHandInUnderATakenName has another user of velog take the name of one who is known, with and without a log-out between.
func TestHandInUnderATakenName(t *testing.T) {
	for _, tt := range []struct {
		name   string
		turn   bool // the first one's posts were read
		logOut bool
		words  []string // of the refusal; none = the log-in is taken
	}{
		{"after a log-out", true, true, []string{"stored under the name", "change the name at velog", "database of its own"}},
		{"beside a log-in", true, false, []string{"stored under the name", "change the name at velog"}},
		{"before the first turn", false, false, []string{"has the log-in of another user", "sumbi logout velog "}},
		{"nothing is kept", false, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 5, Velog: sim.VelogOptions{Users: 3, Posts: 3}})
				first, next := v.sim.Users()[0], v.sim.Users()[2]
				v.hand(0, first, first.Username)
				if tt.turn {
					v.turn()
				}
				if tt.logOut {
					v.logOut(0, first.Username)
				}
				v.rename(first.Username, "떠난사람")
				v.rename(next.Username, first.Username)
				if tt.words == nil {
					v.hand(0, next, first.Username)
					v.turn()
					if d := v.user(first.Username); d.UserID != next.ID || d.Posts != published(v.sim.Posts(first.Username)) {
						t.Errorf("the next one's document: %+v", d)
					}
					return
				}
				v.refused(0, next, append(tt.words, first.ID, next.ID)...)
				// Whose name it was comes back to what was counted.
				time.Sleep(time.Hour)
				v.hand(0, v.login("떠난사람"), first.Username)
				v.turn()
				w.is(`select account, upstream_id, renamed_to from v_accounts`, first.Username+"|"+first.ID+"|떠난사람")
				if d := v.user(first.Username); d.UserID != first.ID || d.Posts != published(v.sim.Posts("떠난사람")) {
					t.Errorf("the first one's document: %+v", d)
				}
			})
		})
	}
}

func published(posts []sim.VelogPost) (n int) {
	for _, p := range posts {
		if !p.Temp {
			n++
		}
	}
	return n
}

// TestHandInOverAnothersLogin meets what an older version stored: the log-in of the next user under the name and over the posts of
// the first.
func TestHandInOverAnothersLogin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 5, Velog: sim.VelogOptions{Users: 3, Posts: 3}})
		first, next := v.sim.Users()[0], v.sim.Users()[2]
		v.hand(0, first, first.Username)
		v.turn()
		v.logOut(0, first.Username)
		v.rename(first.Username, "떠난사람")
		v.rename(next.Username, first.Username)
		v.tx(func(tx *queue.Tx) error {
			return tx.HandIn("velog", first.Username, next.ID, adapters.Credential{Values: map[string]string{"access_token": "나"}})
		})
		v.refused(0, next, "stored under the name")
		v.refused(0, v.login("떠난사람"), "`sumbi logout velog "+first.Username+"`")
		v.logOut(0, first.Username)
		v.hand(0, v.login("떠난사람"), first.Username)
	})
}

// TestHandInAfterARename has a user come back under another name after a log-out: what was counted goes on.
func TestHandInAfterARename(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 5, Velog: sim.VelogOptions{Users: 3, Posts: 3}})
		u := v.sim.Users()[0]
		v.hand(0, u, u.Username)
		v.turn()
		v.logOut(0, u.Username)
		v.rename(u.Username, "새이름")
		v.hand(0, v.login("새이름"), u.Username)
		w.is(`select account, upstream_id, renamed_to from v_accounts`, u.Username+"|"+u.ID+"|새이름")
		time.Sleep(time.Hour)
		v.turn()
		if d := v.user(u.Username); d.Posts == 0 || d.Posts != published(v.sim.Posts("새이름")) || !strings.HasPrefix(d.Result, "posts listed; ") {
			t.Errorf("the document: %+v", d)
		}
		w.is(`select count(*) from target`, "1")
		// And under the first one again.
		v.rename("새이름", u.Username)
		v.hand(0, v.login(u.Username), u.Username)
		w.is(`select account, renamed_to from v_accounts`, u.Username+"|")
	})
}

// TestNamedByTheNewName names a user in the configuration by the name that he goes by now.
func TestNamedByTheNewName(t *testing.T) {
	for _, tt := range []struct {
		name   string
		logOut bool
		seen   bool // a turn has told the new name before the configuration does
	}{{"a turn has told", false, true}, {"the log-in tells", false, false}, {"after a log-out", true, false}} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 31, Velog: sim.VelogOptions{Users: 3, Posts: 4}})
				u, stranger := v.sim.Users()[0], v.sim.Users()[2]
				v.only = []string{u.Username}
				w.boot()
				v.hand(0, u, u.Username)
				v.turn()
				if tt.logOut {
					v.logOut(0, u.Username)
				}
				v.rename(u.Username, "새이름")
				if tt.seen {
					time.Sleep(time.Hour)
					v.turn()
				}
				v.only = []string{"새이름"}
				w.boot()
				if tt.seen {
					if tt.logOut = true; len(v.source.turns) != 2 {
						t.Fatalf("turns: %v", v.source.turns)
					}
					time.Sleep(time.Hour)
					v.turn()
					equal(t, "turns", len(v.source.turns), 3)
					v.logOut(0, u.Username)
					time.Sleep(time.Hour)
					v.turn()
					w.is(`select target, note from target`, u.Username+"|it has no log-in; `sumbi login velog` takes one")
				}
				v.hand(0, v.login("새이름"), u.Username)
				before := len(v.source.turns)
				time.Sleep(time.Hour)
				v.turn()
				equal(t, "turns", strings.Join(v.source.turns[before:], " "), u.Username)
				w.is(`select count(*) from target`, "1")
				v.refused(0, stranger, stranger.Username+" is not among the users")
			})
		})
	}
}

// TestUsers names users by the names that they came with and go by now.
func TestUsers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 12, Velog: sim.VelogOptions{Users: 1, Posts: 1}})
		for i, u := range []string{"호두", "두부", "국밥"} {
			v.tx(func(tx *queue.Tx) error {
				return tx.HandIn("velog", u, fmt.Sprint("u-", i), adapters.Credential{Values: map[string]string{"access_token": "가"}})
			})
			time.Sleep(time.Second)
		}
		v.tx(func(tx *queue.Tx) error {
			return errors.Join(tx.NameTarget("velog", "호두", "u-0", "땅콩"), tx.NameTarget("velog", "국밥", "u-2", "두부"), tx.NameTarget("velog", "만두", "u-3", "왕만두"))
		})
		for _, tt := range []struct {
			named string
			want  string
		}{
			{"", "국밥 두부 호두"},
			{"호두 국밥", "국밥 호두"},
			{"땅콩 국밥", "국밥 호두"},
			{"땅콩 호두", "호두"},
			{"두부", "국밥 두부"}, // both went by that name
			{"왕만두", "만두"},
			{"왕만두 처음 땅콩", "호두 만두 처음"},
		} {
			got, err := jobs.Users(t.Context(), v.store, "velog", strings.Fields(tt.named))()
			if err != nil {
				t.Fatal(err)
			}
			equal(t, tt.named, strings.Join(got, " "), tt.want)
		}
	})
}

// second adds another pipeline over a lane to each new process.
func (v *velogWorld) second(lane string) {
	old := v.wire
	v.wire = func(e *jobs.Engine) {
		old(e)
		p := &jobs.Pipeline{Name: "둘째", Lane: lane, Source: v.source, Targets: jobs.Users(context.Background(), e.Store, "둘째", nil)}
		p.Sinks = []jobs.Sink{jobs.VelogSink(e.Store, "mongo/둘째", "둘째", 0, v.sink)}
		e.Pipelines = append(e.Pipelines, jobs.Velog(p, 0))
		e.Lanes = append(e.Lanes, queue.Lane{Name: "mongo/둘째", Workers: 1, Deadline: time.Minute})
	}
	v.boot()
}

// TestHandInOfAUserOfAnotherPipeline checks that one user, and one name, are of one pipeline.
func TestHandInOfAUserOfAnotherPipeline(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 3, Posts: 5}})
		v.second("velog")
		u, next := v.sim.Users()[0], v.sim.Users()[2]
		v.hand(0, u, u.Username)
		v.refused(1, v.login(u.Username), "pipeline velog has a log-in of this user, as "+u.Username, "`sumbi logout velog "+u.Username+"`")
		v.turn()
		posts := v.user(u.Username).Posts
		equal(t, "posts", posts, published(v.sim.Posts(u.Username)))
		v.rename(u.Username, "새이름")
		v.refused(1, v.login("새이름"), "pipeline velog has a log-in of this user, as "+u.Username)
		v.logOut(0, u.Username)
		v.refused(1, v.login("새이름"), "pipeline velog keeps what was counted of this user, as "+u.Username)
		v.rename(next.Username, u.Username)
		v.refused(1, next, "pipeline velog has another user under the name "+u.Username, "change the name at velog")
		equal(t, "posts", v.user(u.Username).Posts, posts)
		v.rename(u.Username, "다른이름")
		v.hand(1, next, "다른이름")
		v.hand(0, v.login("새이름"), u.Username)
	})
}

// TestHandInOfAUserOfTwoPipelines meets what an older version stored: a log-in of one user in two pipelines. One of them is to be
// forgotten.
func TestHandInOfAUserOfTwoPipelines(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 5}})
		v.second("velog")
		u := v.sim.Users()[0]
		v.hand(0, u, u.Username)
		v.turn()
		v.tx(func(tx *queue.Tx) error {
			return errors.Join(tx.HandIn("둘째", u.Username, u.ID, adapters.Credential{Values: map[string]string{"access_token": "나"}}), tx.NameTarget("둘째", u.Username, u.ID, ""))
		})
		v.refused(0, v.login(u.Username), "`sumbi logout 둘째 "+u.Username+"`")
		v.refused(1, v.login(u.Username), "`sumbi logout velog "+u.Username+"`")
		v.logOut(1, u.Username)
		v.refused(1, v.login(u.Username), "pipeline velog has a log-in of this user")
		v.hand(0, v.login(u.Username), u.Username)
	})
}

// TestHandInOfAnotherUpstream checks that ids and names are those of one upstream.
func TestHandInOfAnotherUpstream(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 5}})
		v.second("forge")
		u := v.sim.Users()[0]
		v.hand(0, u, u.Username)
		v.turn()
		v.hand(1, v.login(u.Username), u.Username)
	})
}

// TestMembers checks that a log-in is told in the stream that the pipeline names, and to nobody where it names none.
func TestMembers(t *testing.T) {
	for name, stream := range map[string]string{"named": "seller", "none": ""} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 11, Velog: sim.VelogOptions{Users: 1, Posts: 2}})
				old := w.wire
				w.wire = func(e *jobs.Engine) {
					old(e)
					p := e.Pipelines[0]
					p.Members, p.Ended = stream, nil
					p.Sinks[0].Document = func(_ context.Context, stream, key string) (adapters.Record, error) {
						return adapters.Record{Stream: stream, Key: stream + " " + key, Data: []byte(`{}`)}, nil
					}
				}
				w.boot()
				v.turn("nobody") // the sink is known from now on
				u := v.sim.Users()[0]
				told := func(what string) {
					t.Helper()
					got := slices.Compact(strings.Split(w.query(`select stream, key from outbox where stream not like '%_post' order by 1, 2`), "\n"))
					want := ""
					if stream != "" {
						want = stream + "|" + u.Username
					}
					equal(t, what, strings.Join(got, " "), want)
				}
				v.hand(0, u, u.Username)
				told("handed in")
				v.turn()
				w.is(`select count(*) from outbox`, "0")
				v.logOut(0, u.Username)
				told("logged out")
				v.turn()
				v.sink.mu.Lock()
				v.sink.writes = nil
				v.sink.mu.Unlock()
				v.identity = "another server"
				w.boot()
				v.turn("nobody")
				equal(t, "the new sink was told", slices.Contains(v.sink.writes, stream+" "+u.Username), stream != "")
			})
		})
	}
}

// TestRunByTheNewName asks for a run and a forecast of a user by the name that he goes by now.
func TestRunByTheNewName(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 31, Velog: sim.VelogOptions{Users: 3, Posts: 4}})
		first, other := v.sim.Users()[0], v.sim.Users()[2]
		v.hand(0, first, first.Username)
		v.hand(0, other, other.Username)
		v.turn()
		v.rename(first.Username, "새이름")
		time.Sleep(time.Hour)
		v.turn()
		before := len(v.source.turns)
		for _, name := range []string{"새이름", first.Username} {
			time.Sleep(time.Hour)
			v.turn(name)
			equal(t, name, strings.Join(v.source.turns[before:], " "), first.Username)
			before = len(v.source.turns)
			plan, err := jobs.PlanTurns(t.Context(), v.store, "velog", []string{name})
			if err != nil || plan.Users != 1 || len(plan.Without) > 0 {
				t.Errorf("plan of %s: %+v, %v", name, plan, err)
			}
		}
		w.is(`select count(*) from target`, "2")
	})
}
