package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// A sink that is down for long holds up nothing else; when it is back it is told everything once.
func TestSinkDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		start := time.Now()
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		tries := 0
		w.sink.fault = func([]adapters.Record) error {
			tries++
			if time.Since(start) < 15*time.Second {
				return &adapters.Error{Kind: adapters.Temporary, After: time.Second, Upstream: "mongo", Err: errors.New("connection refused")}
			}
			return nil
		}
		w.boot()
		var matched time.Duration
		go func() {
			for matched == 0 {
				time.Sleep(time.Second)
				if w.query(`select count(*) from v_mentions where state = 'place'`) == "3" {
					matched = time.Since(start)
				}
			}
		}()
		r, err := w.again(false)
		if err != nil {
			t.Fatal(err)
		}
		if matched > 5*time.Second || tries < 8 {
			t.Errorf("all matched after %v, %d tries", matched, tries)
		}
		if took := r.Ended.Sub(start); took < 15*time.Second {
			t.Errorf("the run ended after %v, before its places were delivered", took)
		}
		equal(t, "places", len(w.sink.keys()), 3)
		equal(t, "written", len(w.sink.writes), 3)
		w.is(`select count(*) from outbox`, "0")
		w.is(`select count(*) from v_dead`, "0")
		if n := w.query(`select count(*) from job_error where kind = 'deliver'`); n == "0" {
			t.Error("nothing is told of the trouble")
		}
	})
}

// A place that changes while it is being written is written again.
func TestChangedWhileDelivered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		changed := false
		w.sink.during = func() {
			if changed {
				return
			}
			changed = true
			w.tx(func(tx *queue.Tx) error {
				return tx.Deliver("mongo", "places", w.query(`select id from place`), pipeline)
			})
		}
		w.run()
		equal(t, "writes", len(w.sink.writes), 2)
		w.is(`select count(*) from outbox`, "0")
	})
}

// A crash after the sink has taken a batch and before the file knows: the same batch comes again, under the same name.
func TestCrashWhileDelivering(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		crashed := false
		w.sink.during = func() {
			if !crashed {
				crashed = true
				_ = w.crash()
			}
		}
		w.run()
		first := slices.Clone(w.sink.writes)
		w.runThrough()
		if diff := cmp.Diff(first, w.sink.writes[len(first):min(2*len(first), len(w.sink.writes))]); diff != "" {
			t.Error(diff)
		}
		equal(t, "the batch's name", w.sink.names[1], w.sink.names[0])
		equal(t, "places", len(w.sink.keys()), 1)
	})
}

// What a sink is told comes in batches of a bounded size, each under a name of its own.
func TestDeliveryInParts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const n = 510
		w.boot()
		w.tx(func(tx *queue.Tx) error {
			if _, err := tx.AddSink(pipeline, "mongo", ""); err != nil {
				return err
			}
			for i := range n {
				if err := tx.Deliver("mongo", "places", fmt.Sprintf("place-%03d", i), pipeline); err != nil {
					return err
				}
			}
			return nil
		})
		most := 0
		w.sink.fault = func(recs []adapters.Record) error {
			most = max(most, len(recs))
			return nil
		}
		w.accounts = nil
		w.run()
		equal(t, "told", len(w.sink.writes), n)
		equal(t, "at most", most, 500)
		equal(t, "batches", len(w.sink.names), 2)
		if w.sink.names[0] == w.sink.names[1] {
			t.Errorf("two batches of the name %s", w.sink.names[0])
		}
	})
}

// What a sink is told in one step is bounded in bytes, too: it is all held in memory. The rest comes at once.
func TestDeliveryOfLargeRecords(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const mb = 1 << 20
		sizes := slices.Concat(slices.Repeat([]int{mb}, 12), []int{9 * mb}, slices.Repeat([]int{mb}, 5))
		w.tune = func(p *jobs.Pipeline) {
			p.Sinks[0].Document = func(_ context.Context, stream, key string) (adapters.Record, error) {
				n, err := strconv.Atoi(strings.TrimPrefix(key, "place-"))
				return adapters.Record{Stream: stream, Key: key, Data: bytes.Repeat([]byte("1"), sizes[n])}, err
			}
		}
		w.boot()
		w.tx(func(tx *queue.Tx) error {
			if _, err := tx.AddSink(pipeline, "mongo", ""); err != nil {
				return err
			}
			for i := range sizes {
				if err := tx.Deliver("mongo", "places", fmt.Sprintf("place-%02d", i), pipeline); err != nil {
					return err
				}
			}
			return nil
		})
		start := time.Now()
		var parts []int
		var took time.Duration
		w.sink.fault = func(recs []adapters.Record) error {
			parts, took = append(parts, len(recs)), time.Since(start)
			return nil
		}
		w.accounts = nil
		w.run()
		equal(t, "told", len(w.sink.writes), len(sizes))
		if want := []int{8, 5, 5}; !slices.Equal(parts, want) {
			t.Errorf("records of each step: %v, want %v: it ends with the one that fills it", parts, want)
		}
		if took > time.Second {
			t.Errorf("the last step came after %v", took)
		}
		w.is(`select count(*) from outbox`, "0")
	})
}

// A place that nobody names any more is deleted at the sink, and one that is named again comes back.
func TestLastMentionLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := posts(1, 1), posts(2, 1)
		a[0].caption, b[0].caption = "[을지면옥] 하나", "[을지면옥] 둘"
		w.feed.put("mat", "posts", b, a)
		w.run()
		key := w.sink.keys()[0]
		mentions := func() (n int) {
			var d jobs.PlaceDocument
			if doc, ok := w.sink.docs[key]; ok {
				if err := json.Unmarshal([]byte(doc), &d); err != nil {
					t.Fatal(err)
				}
				n = len(d.Mentions)
			}
			return n
		}
		equal(t, "mentions", mentions(), 2)

		b[0].caption = "이제 아무것도 없어요"
		w.feed.put("mat", "posts", b, a)
		w.run()
		equal(t, "mentions", mentions(), 1)

		a[0].caption = "🍜"
		w.feed.put("mat", "posts", b, a)
		w.run()
		equal(t, "places", len(w.sink.keys()), 0)
		equal(t, "the last word", w.sink.writes[len(w.sink.writes)-1], "-"+key)
		w.is(`select count(*) from place`, "0")

		b[0].caption = "[을지면옥] 다시 열었어요"
		w.feed.put("mat", "posts", b, a)
		w.run()
		equal(t, "mentions", mentions(), 1)
	})
}

// A sink that is new is told of every place there is; one that was away is told of what it has missed.
func TestSinkComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.tune = func(p *jobs.Pipeline) { p.Sinks = nil }
		w.run()
		equal(t, "told", len(w.sink.writes), 0)
		w.tune = nil
		w.run()
		equal(t, "places", len(w.sink.keys()), 2)

		w.sink.fault = func([]adapters.Record) error { return &adapters.Error{After: time.Second, Err: errors.New("down")} }
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		if _, err := w.attemptFor(4 * time.Second); err != nil {
			t.Fatal(err)
		}
		w.is(`select count(*) from outbox`, "1")
		w.tune = func(p *jobs.Pipeline) { p.Sinks = nil }
		w.wire = func(e *jobs.Engine) { e.Lanes = e.Lanes[:3] }
		w.run()
		w.is(`select count(*) from outbox`, "1")
		w.is(`select state from v_runs order by run desc limit 1`, "done")
		w.tune, w.wire, w.sink.fault = nil, nil, nil
		w.run()
		w.is(`select count(*) from outbox`, "0")
		equal(t, "places", len(w.sink.keys()), 3)
	})
}

// A record that the sink will never take stops no other.
func TestRefusedRecord(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.sink.fault = func(recs []adapters.Record) error {
			var bad []string
			for _, r := range recs {
				if strings.Contains(string(r.Data), "p2식당") {
					bad = append(bad, r.Key)
				}
			}
			if bad == nil {
				return nil
			}
			return refusedKeys(bad)
		}
		w.run()
		w.is(`select count(*) from outbox`, "0")
		if n := w.query(`select count(*) from job_error where err like '%too large%'`); n == "0" {
			t.Error("nothing is told of the trouble")
		}
	})
}

type refusedKeys []string

func (r refusedKeys) Error() string  { return "document too large" }
func (r refusedKeys) Keys() []string { return r }
