package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/velog"
	"sumbi/jobs"
	"sumbi/sim"
)

// published are the ids of a user's posts that his list shows.
func (v *velogWorld) published(user string) (ids []string) {
	for _, p := range v.sim.Posts(user) {
		if !p.Temp && !p.Removed {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func (v *velogWorld) remove(ids ...string) {
	v.tb.Helper()
	for _, id := range ids {
		if err := v.sim.Remove(id); err != nil {
			v.tb.Fatal(err)
		}
	}
}

// TestVelogMostDeleted has a user delete most of his posts, or the only one: velog itself says so of each, so none stays.
func TestVelogMostDeleted(t *testing.T) {
	for _, c := range []struct {
		name        string
		posts, left int
		turns       int // until it is known: an empty list is believed the second time
	}{
		{"four of five", 5, 1, 1},
		{"the only one", 1, 0, 2},
		{"all", 4, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 1}})
				u := v.sim.Users()[0].Username
				v.everybody()
				v.remove(v.published(u)...)
				for range c.posts {
					if _, err := v.sim.Publish(u); err != nil {
						t.Fatal(err)
					}
				}
				v.turn()
				ids := v.published(u)
				v.remove(ids[c.left:]...)
				for range c.turns {
					time.Sleep(time.Hour)
					v.turn()
				}
				w.is(`select count(*) from record where gone_at is not null`, fmt.Sprint(c.posts-c.left))
				d := v.user(u)
				want := jobs.VelogResult{Listed: true, Read: c.left}.String()
				if d.Posts != c.left || d.Result != want {
					t.Errorf("%d posts are active, result %q; want %d, %q", d.Posts, d.Result, c.left, want)
				}
				if c.left == 0 && d.Views != nil {
					t.Errorf("%s views of no post", show(d.Views))
				}
				for _, p := range d.PostList {
					if p.Active != (len(ids[:c.left]) > 0 && p.ID == ids[0]) {
						t.Errorf("post %s is active: %v", p.ID, p.Active)
					}
				}
				before := v.source.stats
				const later = 6
				for range later {
					time.Sleep(time.Hour)
					v.turn()
				}
				if n := v.source.stats - before; n != later*c.left {
					t.Errorf("%d statistics in %d turns, want %d", n, later, later*c.left)
				}
			})
		})
	}
}

// TestVelogStaysUnlessBothSaySo has either the list or the statistics of posts speak for their end, but not both: all stay.
func TestVelogStaysUnlessBothSaySo(t *testing.T) {
	refusal := func(k adapters.Kind, reason string) error {
		return &adapters.Error{Kind: k, Reason: reason, Upstream: "velog", Err: errors.New("거절")}
	}
	gone := refusal(adapters.Permanent, adapters.ReasonGone)
	for _, c := range []struct {
		name   string
		listed bool // the list shows the posts
		list   error
		stats  error
	}{
		{name: "not found, and listed", listed: true, stats: gone},
		{name: "not found, and the list fails", list: refusal(adapters.Temporary, ""), stats: gone},
		{name: "not found, and the list is left alone", list: &adapters.Error{Kind: adapters.Temporary, After: 3 * time.Hour, Err: errors.New("느림")}, stats: gone},
		{name: "not listed, and read"},
		{name: "not listed, and not shown", stats: refusal(adapters.Permanent, adapters.ReasonPrivate)},
		{name: "not listed, and refused", stats: refusal(adapters.Unauthorized, adapters.ReasonKey)},
		{name: "not listed, and failed", stats: refusal(adapters.Temporary, "")},
		{name: "not listed, and not understood", stats: refusal(adapters.Permanent, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 4}})
				u := v.sim.Users()[0].Username
				v.everybody()
				v.turn()
				n := v.user(u).Posts
				if err := v.sim.Vanish(u, !c.listed); err != nil || n == 0 {
					t.Fatal(n, err)
				}
				v.source.before = func(q adapters.Query) error {
					if q.List == velog.ListStats {
						return c.stats
					}
					return c.list
				}
				for range 4 {
					time.Sleep(time.Hour)
					v.turn()
					w.is(`select count(*) from record where gone_at is not null`, "0")
					if d := v.user(u); d.Posts != n || c.stats != nil && !strings.Contains(d.Result, fmt.Sprintf("statistics of 0 read, %d failed and keep their last numbers", n)) {
						t.Errorf("%d posts are active, want %d; result %q", d.Posts, n, d.Result)
					}
				}
			})
		})
	}
}

// TestVelogTroubles lets old posts take velog too long and others fail each time: that is expected, so it stands in the user's result
// and nowhere else. A list of posts that fails is told.
func TestVelogTroubles(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 20, TooOld: 600 * 24 * time.Hour}})
		u := v.sim.Users()[0].Username
		v.everybody()
		broken := ""
		v.source.before = func(q adapters.Query) error {
			if q.List == velog.ListStats && (broken == "" || broken == q.Of) {
				broken = q.Of // the newest, which is not too old
				return &adapters.Error{Kind: adapters.Temporary, Upstream: "velog", Err: errors.New("INTERNAL_SERVER_ERROR")}
			}
			return nil
		}
		v.workers = 1
		w.boot()
		var r jobs.VelogResult
		for i := range 8 {
			time.Sleep(15 * time.Minute) // velog's slow ones rest for 20
			v.turn()
			var ok bool
			if r, ok = jobs.ReadVelogResult(v.user(u).Result); !ok || r.Failed == 0 {
				t.Fatalf("result %q", v.user(u).Result)
			}
			if n := r.Read + r.Failed + r.Resting; n != v.user(u).Posts {
				t.Errorf("turn %d: the result speaks of %d posts, want %d: %q", i, n, v.user(u).Posts, v.user(u).Result)
			}
			w.is(`select key from v_troubles`, "")
			w.is(`select list from v_gaps`, "")
			w.is(`select name from v_dead`, "")
		}
		if w.query(`select max(cuts) from walk`) < "3" || r.Resting == 0 && r.Failed < 2 {
			t.Errorf("nothing went wrong: %+v", r)
		}
		v.source.before = func(q adapters.Query) error {
			if q.List == velog.ListPosts {
				return &adapters.Error{Kind: adapters.Temporary, Upstream: "velog", Err: errors.New("INTERNAL_SERVER_ERROR")}
			}
			return nil
		}
		for range 2 {
			time.Sleep(15 * time.Minute)
			v.turn()
		}
		w.is(`select event from v_troubles order by event`, "dead\ngap\nrun")
		w.is(`select list, runs from v_gaps`, "posts|2")
	})
}

// TestVelogChangesItsAPI lets velog understand the question of the statistics no more: that is told, until it does again.
func TestVelogChangesItsAPI(t *testing.T) {
	for name, refused := range map[string]*adapters.Error{
		"the question is not understood": {Kind: adapters.Permanent, Upstream: "velog", Err: errors.New("GRAPHQL_VALIDATION_FAILED")},
		"every post is another's":        {Kind: adapters.Permanent, Reason: adapters.ReasonPrivate, Upstream: "velog", Err: errors.New("NO_PERMISSION")},
		"every post is unknown":          {Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "velog", Err: errors.New("NOT_FOUND")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 3, Posts: 5}})
				v.everybody()
				broken := false
				v.source.before = func(q adapters.Query) error {
					if broken && q.List == velog.ListStats {
						return refused
					}
					return nil
				}
				for i, step := range []struct {
					broken bool
					told   bool
				}{{false, false}, {true, false}, {true, true}, {true, true}, {false, false}} {
					broken = step.broken
					time.Sleep(15 * time.Minute)
					v.turn()
					all, err := v.store.BrokenLists(t.Context())
					if err != nil || (len(all) > 0) != step.told {
						t.Fatalf("turn %d: %+v, %v", i, all, err)
					}
					if !step.told {
						continue
					}
					n := jobs.BrokenLists(all[0])
					if n.Key != "lists:velog:stats" || n.Pipeline != "velog" || all[0].Read != 0 || !strings.Contains(n.Text, "could not be read in several runs in a row: ") || !strings.Contains(n.Text, refused.Err.Error()) {
						t.Errorf("turn %d: %+v", i, n)
					}
					p := &told{}
					p.wire(v.engine)
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
					v.engine.Tell(ctx)
					cancel()
					want := "lists:velog:stats"
					if i > 2 {
						want = "" // it was told
					}
					p.is(t, fmt.Sprintf("told after turn %d", i), strings.Fields(want)...)
				}
			})
		})
	}
}

// TestVelogResultStands looks at what came of a user's last turn while the next one goes on.
func TestVelogResultStands(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 3}})
		v.everybody()
		v.turn()
		note := w.query(`select note from target`)
		v.source.before = func(q adapters.Query) error {
			if q.List == velog.ListStats {
				w.is(`select note from target`, note)
			}
			return nil
		}
		if !strings.HasPrefix(note, "posts listed; ") {
			t.Fatalf("result %q", note)
		}
		time.Sleep(time.Hour)
		v.turn()
	})
}

// TestVelogSilence has a user log in who has written nothing for years: he is asked for, and nobody is told.
func TestVelogSilence(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := newVelogWorld(t, w, sim.Options{Seed: 9, Velog: sim.VelogOptions{Users: 1, Posts: 20}})
		v.everybody()
		v.source.after = func(q adapters.Query, pg adapters.Page, err error) (adapters.Page, error) {
			if q.List == velog.ListPosts {
				const years = 20 * 365 * 24 * time.Hour
				for i := range pg.Records {
					pg.Records[i].Time = pg.Records[i].Time.Add(-years)
				}
				pg.Newest = pg.Newest.Add(-years)
			}
			return pg, err
		}
		for range 2 {
			v.turn()
			w.is(`select key from v_troubles`, "")
			time.Sleep(time.Hour)
		}
	})
}
