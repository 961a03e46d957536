package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// every makes the pipeline due again and again.
func every(d time.Duration) func(p *jobs.Pipeline) {
	return func(p *jobs.Pipeline) {
		p.Spec = fmt.Sprint(d, p.FullEvery)
		p.Next = func(now time.Time) time.Time { return now.Add(d) }
	}
}

// began returns when each run was asked for, in seconds from the start of the world.
func (w *world) began() string {
	var all []string
	for at := range strings.Lines(w.query(`select asked_at from run order by id`)) {
		asked, err := time.Parse(time.RFC3339, strings.TrimSpace(at))
		if err != nil {
			w.tb.Error(err)
		}
		all = append(all, fmt.Sprint(int(asked.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Second).Seconds())))
	}
	return strings.Join(all, " ")
}

func TestSchedule(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = every(8 * time.Second)
		w.feed.put("mat", "posts", posts(1, 2))
		w.serve(20 * time.Second) // one that never ran runs at once
		equal(t, "runs", w.began(), "0 8 16")
		w.is(`select distinct state from v_runs`, "done")
		equal(t, "each asked once", w.feed.calls()["mat/posts"], 3)

		// What was missed while the process was down is one run.
		time.Sleep(30 * time.Second)
		w.serve(5 * time.Second)
		equal(t, "runs", w.began(), "0 8 16 50")

		// A process that comes back before its time waits for it.
		w.serve(2 * time.Second)
		equal(t, "runs", w.began(), "0 8 16 50")
		w.serve(2 * time.Second)
		equal(t, "runs", w.began(), "0 8 16 50 58")
	})
}

// A run that takes longer than the schedule is not joined by another.
func TestOneRunAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = every(4 * time.Second)
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.model.took = 10 * time.Second
		most := "0"
		w.model.fault = func(string, bool) error {
			most = max(most, w.query(`select count(*) from run where state <> 'done'`))
			return nil
		}
		w.serve(17 * time.Second)
		equal(t, "at the same time", most, "1")
		equal(t, "runs", w.began(), "0 12 16")
		equal(t, "sizes", w.model.sizes(), "1")
	})
}

func TestChangedSchedule(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = every(time.Hour)
		w.serve(4 * time.Second)
		equal(t, "runs", w.began(), "0")
		w.tune = every(8 * time.Second)
		w.serve(10 * time.Second)
		equal(t, "after the change", w.began(), "0 12")
		w.tune = func(p *jobs.Pipeline) { p.Spec = "by hand" }
		w.serve(10 * time.Second)
		equal(t, "by hand only", w.began(), "0 12")
		w.is(`select coalesce(next_at, 'never') from schedule`, "never")
	})
}

// A turn that was reckoned by a clock which was set back since comes as if the clock had always been right.
func TestTurnOfAClockThatWasSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = every(20 * time.Second)
		w.serve(4 * time.Second)
		equal(t, "runs", w.began(), "0")
		w.exec(`update schedule set next_at = '2009-01-01T00:00:00.000Z'`)
		w.serve(30 * time.Second)
		equal(t, "runs", w.began(), "0 24")
	})
}

// A turn that has been taken is not taken again when the clock is set back across its moment. A clock that was further ahead than
// one turn holds up none.
func TestClockSetBackAcrossATurn(t *testing.T) {
	const turns = 3 * time.Minute
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		runs  string // in seconds of the clock
	}{
		{"across one", 90 * time.Second, "90 180 360"},
		{"across three", 2*turns + 90*time.Second, "450 540 180 360"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.tune = func(p *jobs.Pipeline) {
					p.Spec = "*/3 * * * *"
					p.Next = func(now time.Time) time.Time { return now.Truncate(turns).Add(turns) }
				}
				w.feed.put("mat", "posts", posts(1, 2))
				ahead := tt.ahead
				on := func(until time.Duration) {
					w.boot()
					w.store.Now = func() time.Time { return time.Now().Add(ahead) }
					w.serveOn(until - w.store.Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
				}
				on(ahead.Truncate(turns) + turns + 20*time.Second) // a little beyond a turn
				ahead = 0
				on(2*turns + 20*time.Second)
				equal(t, "runs", w.began(), tt.runs)
			})
		})
	}
}

// Now and then a scheduled run walks whole lists; one that names its accounts does not.
func TestFullEvery(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = func(p *jobs.Pipeline) {
			p.FullEvery = 18 * time.Second
			every(8 * time.Second)(p)
		}
		w.feed.put("mat", "posts", posts(1, 9))
		w.serve(44 * time.Second)
		w.is(`select what from v_runs order by run`, "new only\nnew only\nnew only\nwhole lists\nnew only\nnew only")
	})
}

// Accounts are read anew for each run; those that are no longer named are left alone.
func TestAccountsAreReadAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var accounts atomic.Pointer[[]string]
		accounts.Store(&[]string{"하나", "둘"})
		w.tune = func(p *jobs.Pipeline) {
			every(8 * time.Second)(p)
			p.Targets = func() ([]string, error) { return *accounts.Load(), nil }
		}
		for _, a := range []string{"하나", "둘", "셋"} {
			w.feed.put(a, "posts", posts(1, 1))
		}
		w.boot()
		time.AfterFunc(4*time.Second, func() { accounts.Store(&[]string{"둘", "셋"}) })
		w.serveOn(12 * time.Second)
		c := w.feed.calls()
		if c["하나/posts"] != 1 || c["둘/posts"] != 2 || c["셋/posts"] != 1 {
			t.Errorf("asked %v", c)
		}
	})
}

// Accounts that cannot be read stop the run with a sentence; the same run goes on when they can.
func TestAccountsUnreadable(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := filepath.Join(w.dir, "accounts.txt")
		w.tune = func(p *jobs.Pipeline) {
			p.Targets = func() ([]string, error) {
				b, err := os.ReadFile(path)
				if err != nil {
					return nil, fmt.Errorf("accounts_file: %w", err)
				}
				return strings.Fields(string(b)), nil
			}
		}
		w.feed.put("mat", "posts", posts(1, 2))
		for range 2 {
			_, err := w.try(false)
			stopped, ok := errors.AsType[*jobs.StoppedError](err)
			if !ok || !strings.HasPrefix(stopped.Reason, "accounts_file: open "+path) {
				t.Fatalf("got %v", err)
			}
			w.is(`select state, pages from v_runs`, "stopped|0")
		}
		if err := os.WriteFile(path, []byte("mat\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.is(`select run, state, pages, note from v_runs`, "1|done|2|")
		equal(t, "posts", w.stored(), "p2 p1")

		// A process that serves tries again by itself.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.boot()
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		time.AfterFunc(30*time.Second, func() {
			if err := os.WriteFile(path, []byte("mat\n"), 0o600); err != nil {
				t.Error(err)
			}
		})
		w.serveOn(65 * time.Second)
		w.is(`select state from v_runs order by run`, "done\ndone")
	})
}

// A lane that waits for a person stops the run with its sentence once nothing else can be done; the next start goes on.
func TestStoppedLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"mat", "other"}
		w.feed.put("mat", "posts", naming(posts(1, 4)))
		w.feed.put("other", "posts", naming(posts(21, 2)))
		subscribed := false
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.NeedsHuman, adapters.ReasonPlan), q.Cursor == "p2" && !subscribed
		}
		w.tune = func(p *jobs.Pipeline) { p.Ask.MaxWait = 10 * time.Second }
		_, err := w.try(false)
		stopped, ok := errors.AsType[*jobs.StoppedError](err)
		if !ok || stopped.Reason != "instagram: the upstream says plan" {
			t.Fatalf("got %v", err)
		}
		w.is(`select lane, reason from lane_stop`, "instagram|instagram: the upstream says plan")
		w.is(`select state, note from v_runs`, "stopped|instagram: the upstream says plan")

		// A second run in the same process says the same at once, and does not hang.
		if _, err = w.again(false); err == nil {
			t.Error("it ran")
		}
		// Nor does the next one while nobody has acted.
		if _, err = w.try(false); err == nil {
			t.Error("it ran")
		}
		subscribed = true
		w.run()
		w.is(`select run, state, note from v_runs`, "1|done|")
		equal(t, "places", len(w.sink.keys()), 6)
		w.is(`select count(*) from lane_stop`, "0")
	})
}

// The same engine goes on with a run that was stopped when its cause is gone.
func TestStoppedRunInTheSameEngine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 2))
		broken := true
		w.tune = func(p *jobs.Pipeline) {
			p.Targets = func() ([]string, error) {
				if broken {
					return nil, errors.New("accounts_file: no such file")
				}
				return w.accounts, nil
			}
		}
		if _, err := w.try(false); err == nil {
			t.Fatal("it ran")
		}
		if _, err := w.again(false); err == nil {
			t.Fatal("it ran")
		}
		broken = false
		if _, err := w.again(false); err != nil {
			t.Errorf("got %v", err)
		}
		w.is(`select run, state from v_runs`, "1|done")
	})
}

// A quota that is used up for longer than anybody waits ends a run that somebody waits for; a short one does not.
func TestHeldLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 2))
		var until time.Time
		w.wire = func(e *jobs.Engine) {
			e.Held = func(lane string) (time.Time, string) {
				if lane != "instagram" {
					return time.Time{}, ""
				}
				return until, "monthly quota"
			}
			e.Lanes[0].Gate = gate(func() error {
				if left := time.Until(until); left > 0 {
					return &adapters.Error{Kind: adapters.Throttled, After: left, Reason: adapters.ReasonQuota, Err: errors.New("monthly quota")}
				}
				return nil
			})
		}
		until = time.Now().Add(100 * time.Hour)
		_, err := w.try(false)
		stopped, ok := errors.AsType[*jobs.StoppedError](err)
		if !ok || !strings.HasPrefix(stopped.Reason, "instagram: monthly quota until 2000-01-05") {
			t.Fatalf("got %v", err)
		}
		until = time.Now().Add(6 * time.Second)
		r := w.run()
		if r.Ended.Before(until) {
			t.Errorf("ended at %v, held until %v", r.Ended, until)
		}
		w.is(`select run, state from v_runs`, "1|done")
	})
}

type gate func() error

func (g gate) Permit(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, g()
}

// A job of a pipeline that is no longer configured waits with a sentence and stops nobody else.
func TestUnknownPipeline(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.boot()
		w.tx(func(tx *queue.Tx) error {
			_, err := tx.Add(queue.Job{Pipeline: "옛것", Lane: "naver", Kind: queue.KindMatch, Key: "match:old"})
			return err
		})
		if _, err := w.again(false); err != nil {
			t.Fatal(err)
		}
		equal(t, "places", len(w.sink.keys()), 1)
		w.is(`select key, state, err from job`, `match:old|live|pipeline "옛것" is not configured; put it back or drop its jobs`)
		w.is(`select count(*) from lane_stop`, "0")
	})
}
