package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// unknown is the error of a call of which nobody knows whether it took effect.
func unknown() error {
	return &adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonUnknown, Upstream: "openai", Err: errors.New("time-out")}
}

// once returns a fault that fails one call, before or after its effect.
func once(call string, effect bool, err func() error) func(string, bool) error {
	done := false
	return func(c string, e bool) error {
		if c != call || e != effect || done {
			return nil
		}
		done = true
		return err()
	}
}

// A moment is the state file and the upstream at one instant of a run.
type moment struct {
	what string
	path string
	m    *model
}

// moments watches a world and keeps every distinct moment between the choice of a batch's lines and the look at its id.
func moments(w *world) func() []moment {
	var mu sync.Mutex
	var all []moment
	seen := map[string]bool{}
	w.onNow = func() {
		mu.Lock()
		defer mu.Unlock()
		w.model.mu.Lock()
		what := w.query(`select state, shard <> '', input_file <> '', upstream_id, note from batch where state not in ('reading', 'done')`)
		upstream := fmt.Sprintf("%d files, %d batches", len(w.model.files), len(w.model.batches))
		w.model.mu.Unlock()
		what += ", " + upstream
		if seen[what] || strings.HasPrefix(what, ", ") {
			return
		}
		seen[what] = true
		w.model.mu.Lock() // nothing happens upstream between the two copies
		path := w.newPath()
		w.copyTo(path)
		w.model.mu.Unlock()
		all = append(all, moment{what, path, w.model.clone(w)})
	}
	w.onCreate = w.onNow
	return func() []moment {
		w.onNow, w.onCreate = nil, nil
		return all
	}
}

// Whatever instant of a batch's life the process dies at, the batch is never created a second time.
func TestNoSecondBatch(t *testing.T) {
	tests := []struct {
		name    string
		fault   func() func(string, bool) error
		moments int      // at least
		must    []string // state, shard, file, id, note; what the upstream has
	}{
		{"created, and nobody hears of it", func() func(string, bool) error { return once("create", true, unknown) }, 7, nil},
		{"all well", func() func(string, bool) error { return nil }, 6, []string{
			"chosen|0|0||, 0 files, 0 batches", "chosen|0|0||, 1 files, 0 batches", "uploaded|1|1||, 1 files, 0 batches",
			"creating|1|1||, 1 files, 0 batches", "creating|1|1||, 1 files, 1 batches", "running|1|1|batch_1|, 1 files, 1 batches",
		}},
		{"not created, and nobody hears of it", func() func(string, bool) error { return once("create", false, unknown) }, 7, nil},
		{"uploaded, and nobody hears of it", func() func(string, bool) error { return once("upload", true, unknown) }, 7, nil},
		{"a list that fails", func() func(string, bool) error {
			a, b := once("create", true, unknown), once("find", false, unknown)
			return func(c string, e bool) error { return errors.Join(a(c, e), b(c, e)) }
		}, 7, nil},
	}
	for _, tt := range tests[:min(len(tests), scenarios)] {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.tune = func(p *jobs.Pipeline) { p.Lists = []string{"posts"} }
				w.feed.put("mat", "posts", naming(posts(1, 2)))
				w.model.hidden = time.Second
				w.model.answer = func(string) string { return restaurants() }
				w.model.fault = tt.fault()
				collect := moments(w)
				w.run()
				all := collect()
				if len(all) < tt.moments {
					t.Errorf("only %d moments", len(all))
				}
				for _, must := range tt.must {
					if !slices.ContainsFunc(all, func(at moment) bool { return at.what == must }) {
						t.Errorf("no moment %s", must)
					}
				}
				all = append(all, moment{"the end", w.path, w.model})
				for _, at := range all {
					v := newWorld(t, w.dir)
					v.files = 1000
					v.path, v.model, v.feed.lists, v.tune = at.path, at.m.clone(v), w.feed.lists, w.tune
					if at.path == w.path {
						w.close()
					}
					v.run()
					if twice := v.model.paidTwice(); twice != nil {
						t.Errorf("%s: created twice: %v", at.what, twice)
					}
					for id, n := range v.model.ran {
						if n != 1 {
							t.Errorf("%s: line %s ran %d times", at.what, id, n)
						}
					}
					if got := v.query(`select state, count(*) from v_posts group by state`); got != "done|2" {
						t.Errorf("%s: posts %s", at.what, got)
					}
					v.close()
				}
			})
		})
	}
}

// However often the process dies, and whatever is not heard of meanwhile: every line runs once.
func TestCrashesNeverPayTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := empty(); err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		faults := rapid.MapOfN(rapid.IntRange(1, 24), rapid.IntRange(1, 3), 0, 5).Draw(rt, "faults")
		hidden := rapid.IntRange(0, 3).Draw(rt, "hidden")
		wrong, _ := livesThrough(t, dir, n, faults, hidden)
		if wrong != "" {
			rt.Fatalf("%s\nfaults %v, hidden %d half seconds", wrong, faults, hidden)
		}
	})
}

// livesThrough lets a run of two batches of one line meet faults at the k-th half of a call, before or after its effect: 1 the
// process dies, 2 the call fails and nobody knows, 3 it stops in order. It returns what is wrong in the end, and how many halves
// of calls there were. hidden is how many half seconds a new batch is missing from the list.
func livesThrough(t *testing.T, dir string, n int, faults map[int]int, hidden int) (wrong string, k int) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		defer w.close()
		w.files = n * 100
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.tune = func(p *jobs.Pipeline) { p.Ask.MaxLines, p.Lists = 1, []string{"posts"} }
		w.model.hidden = time.Duration(hidden) * time.Second / 2
		w.model.answer = func(string) string { return restaurants() }
		var mu sync.Mutex
		w.model.fault = func(string, bool) error {
			mu.Lock()
			defer mu.Unlock()
			k++
			switch faults[k] {
			case 1:
				return w.crash()
			case 2:
				return unknown()
			case 3:
				w.stop()
				return context.Canceled
			}
			return nil
		}
		done := false
		for range 10 {
			r, err := w.attempt()
			if err != nil {
				wrong = err.Error()
				return
			}
			if done = r; done {
				break
			}
		}
		for id, n := range w.model.ran {
			if n != 1 {
				wrong += fmt.Sprintf("line %s ran %d times; ", id, n)
			}
		}
		if got := w.query(`select state, count(*) from v_posts group by state`); !done || got != "done|2" {
			wrong += fmt.Sprintf("posts %s, done %v", got, done)
		}
	})
	return wrong, k
}

// Each single point of a batch's life at which the process may die, stop, or not hear of a call: every line runs once.
func TestEveryPointOfABatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := empty(); err != nil {
		t.Fatal(err)
	}
	n, step := 1000, 1
	if scenarios == 1 {
		step = 3 // each point takes a whole run, slowly under the detector
	}
	for point, last := 1, 1; point <= last; point += step {
		for what := 1; what <= min(3, scenarios); what++ {
			n++
			wrong, halves := livesThrough(t, dir, n, map[int]int{point: what}, 1)
			if wrong != "" {
				t.Errorf("fault %d at point %d: %s", what, point, wrong)
			}
			if point == 1 && what == 1 {
				last = min(halves, 12) // what comes after the answers of the first batch is the same again
			}
		}
	}
}

// A batch that was refused and goes again with the same lines is another batch: the first is never taken for it.
func TestSameLinesAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.model.refuse = func(b *fakeBatch) []adapters.Problem {
			if b.id == "batch_1" {
				return []adapters.Problem{{Code: "invalid_request", Message: "Cannot find file"}}
			}
			return nil
		}
		creates := 0
		w.model.fault = func(call string, effect bool) error {
			if call == "create" && !effect {
				if creates++; creates == 2 {
					return unknown()
				}
			}
			return nil
		}
		w.run()
		equal(t, "sizes", w.model.sizes(), "2 2")
		w.is(`select batch, state, upstream_id from v_batches order by batch`, "1|refused|batch_1\n2|done|batch_2")
		equal(t, "places", len(w.sink.keys()), 2)
	})
}

// What the process did not hear of is looked for before it is done again, and the list gets time to show it.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		name   string
		effect bool
		calls  string
	}{
		{"it was created", true, "upload create find find get"},
		{"it was not", false, "upload create find find create get"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", naming(posts(1, 1)))
				w.model.hidden = time.Second
				w.model.fault = once("create", tt.effect, unknown)
				w.run()
				calls := strings.Join(w.model.calls, " ")
				if !strings.HasPrefix(calls, tt.calls) {
					t.Errorf("calls: %s", calls)
				}
				equal(t, "sizes", w.model.sizes(), "1")
				w.is(`select state, note from v_batches`, "done|")
			})
		})
	}
}

// A call that took long before it took effect, and a webhook that comes too soon: the list gets its time all the same.
func TestSettleCountsFromTheLook(t *testing.T) {
	for _, hurry := range []bool{false, true} {
		t.Run(fmt.Sprintf("hurried %v", hurry), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", naming(posts(1, 1)))
				w.model.hidden = 1500 * time.Millisecond
				fail := once("create", true, unknown)
				w.model.fault = func(call string, effect bool) error {
					if call == "create" && !effect {
						time.Sleep(10 * time.Second)
					}
					if call == "find" && effect && hurry {
						time.AfterFunc(500*time.Millisecond, func() {
							w.tx(func(tx *queue.Tx) error { return tx.Hurry(jobs.BatchKey(1)) })
						})
					}
					return fail(call, effect)
				}
				w.run()
				equal(t, "sizes", w.model.sizes(), "1")
			})
		})
	}
}
