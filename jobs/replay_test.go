package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
)

// archive is a Source whose items can be read again. now is how captions are read today.
type archive struct {
	*feed
	now func(list, caption string) string
}

type item struct{ Key, Account, Caption, At string }

func (a *archive) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	pg, err := a.feed.Fetch(ctx, q)
	for i, r := range pg.Records {
		var p struct{ Account, Caption string }
		if err := json.Unmarshal(r.Data, &p); err != nil {
			return pg, err
		}
		raw, err := json.Marshal(item{r.Key, p.Account, p.Caption, r.Time.Format(time.RFC3339)})
		if err != nil {
			return pg, err
		}
		pg.Records[i].Raw = raw
	}
	return pg, err
}

func (a *archive) Normalise(list string, raw json.RawMessage) (adapters.Record, error) {
	var it item
	if err := json.Unmarshal(raw, &it); err != nil {
		return adapters.Record{}, err
	}
	at, err := time.Parse(time.RFC3339, it.At)
	if err != nil {
		return adapters.Record{}, err
	}
	if a.now != nil {
		it.Caption = a.now(list, it.Caption)
	}
	pg := page(it.Account, post{key: it.Key, at: at, caption: it.Caption})
	return pg.Records[0], nil
}

// archived lets the world's source keep items.
func (w *world) archived() *archive {
	a := &archive{feed: w.feed}
	w.tune = func(p *jobs.Pipeline) { p.Source = a }
	return a
}

// replay replays in a new process, and fails the test when anybody is called.
func (w *world) replay(what func(*jobs.Engine) func(context.Context, string, func(jobs.Replayed)) (jobs.Replayed, error), want jobs.Replayed) {
	w.tb.Helper()
	w.boot()
	w.feed.calls()
	w.naver.queries()
	calls := w.query(`select coalesce(sum(n), 0) from usage`)
	w.dead.Store(true) // whoever is called answers with an error
	got, err := what(w.engine)(context.Background(), pipeline, nil)
	w.dead.Store(false)
	if err != nil {
		w.tb.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.tb.Errorf("replay (-want +got):\n%s", diff)
	}
	if len(w.feed.calls()) > 0 || len(w.naver.queries()) > 0 || w.query(`select coalesce(sum(n), 0) from usage`) != calls {
		w.tb.Error("a replay called somebody")
	}
}

var (
	records = func(e *jobs.Engine) func(context.Context, string, func(jobs.Replayed)) (jobs.Replayed, error) {
		return e.ReplayRecords
	}
	extractions = func(e *jobs.Engine) func(context.Context, string, func(jobs.Replayed)) (jobs.Replayed, error) {
		return e.ReplayExtractions
	}
)

func TestReplayRecords(t *testing.T) {
	t.Run("nothing changed", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.archived()
			w.feed.put("mat", "posts", naming(posts(1, 20)))
			w.run()
			before := w.query(`select * from v_posts`) + w.query(`select * from v_mentions`)
			w.replay(records, jobs.Replayed{Looked: 20})
			equal(t, "state", w.query(`select * from v_posts`)+w.query(`select * from v_mentions`), before)
			w.is(`select count(*) from job`, "0")
			w.is(`select count(*) from outbox`, "0")
		})
	})
	t.Run("captions are read better", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a := w.archived()
			w.feed.put("mat", "posts", naming(posts(1, 9)))
			w.run()
			asked := w.model.count("create")
			a.now = func(_, caption string) string {
				switch {
				case strings.Contains(caption, "p3식당"):
					return "[새식당] 다녀왔어요" // nobody has asked about it
				case strings.Contains(caption, "p4식당"):
					return "[p5식당] 다녀왔어요" // the answer is known
				case strings.Contains(caption, "p6식당"):
					return "🍜" // names nothing any more
				}
				return caption
			}
			w.replay(records, jobs.Replayed{Looked: 9, Changed: 3})
			w.is(`select post, state from v_posts where state <> 'done' order by post`, "p3|asked\np4|matching\np6|skipped")
			w.is(`select name, state from v_mentions where post in ('p3', 'p4', 'p6') order by post`, "p3식당|place\np5식당|waiting")
			w.is(`select kind from job where kind <> 'deliver' order by kind`, "batch\nmatch")
			w.replay(records, jobs.Replayed{Looked: 9}) // once more does nothing more
			w.run()
			equal(t, "batches", w.model.count("create")-asked, 1)
			w.is(`select name, mentions from v_places where name in ('p3식당', 'p4식당', 'p5식당', 'p6식당', '새식당') order by name`, "p5식당|2\n새식당|1")
			if keys := strings.Join(w.sink.keys(), " "); len(w.sink.keys()) != 7 {
				t.Errorf("delivered %s", keys)
			}
		})
	})
	t.Run("places are told", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a := w.archived()
			w.feed.put("mat", "posts", naming(posts(1, 3)))
			w.run()
			a.now = func(_, caption string) string {
				if strings.Contains(caption, "p2식당") {
					return " " + caption // the same question, but another text
				}
				return caption
			}
			w.replay(records, jobs.Replayed{Looked: 3, Changed: 1})
			w.is(`select p.name from outbox o join place p on p.id = o.key`, "p2식당")
			w.is(`select count(*) from question`, "3")
		})
	})
	t.Run("the list says what it is", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a := w.archived()
			one := naming(posts(1, 1))
			w.feed.put("mat", "posts", one)
			w.feed.put("mat", "reels", one)
			w.run()
			a.now = func(list, caption string) string {
				if list == "posts" {
					return caption + "!"
				}
				return caption // as one of its lists reads it still
			}
			w.replay(records, jobs.Replayed{Looked: 1})
		})
	})
}

func TestReplayLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.archived()
		w.feed.put("mat", "posts", naming(posts(1, 12)))
		w.feed.size = 12
		w.run()
		w.query(`update record set raw = null where key = 'p1'`)
		w.query(`update record set raw = substr(raw, 1, 9) where key in ('p2', 'p3')`)
		w.query(`update record set raw = (select x.raw from record x where x.key = 'p5') where key = 'p4'`)
		w.replay(records, jobs.Replayed{Looked: 12, Left: map[string]int{
			"no item was kept": 1, "the kept item cannot be read": 2, "the kept item is read as another record now": 1,
		}})
		w.tune = nil
		w.replay(records, jobs.Replayed{Looked: 12, Left: map[string]int{"the source cannot read kept items": 12}})
		w.is(`select count(*) from v_posts where state = 'done'`, "12")
	})
}

// A replay that is broken off begins again, and nothing is done twice.
func TestReplayBrokenOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.archived()
		w.feed.put("mat", "posts", posts(1, 1200))
		w.feed.size = 400
		w.run()
		a.now = func(_, caption string) string { return caption + caption }
		w.boot()
		ctx, cancel := context.WithCancel(context.Background())
		done, err := w.engine.ReplayRecords(ctx, pipeline, func(jobs.Replayed) { cancel() })
		if !errors.Is(err, context.Canceled) || done.Looked != 500 {
			t.Errorf("%+v, %v", done, err)
		}
		w.replay(records, jobs.Replayed{Looked: 1200, Changed: 700})
		w.is(`select count(*), count(distinct caption) from v_posts`, "1200|1")
	})
}

func TestReplayExtractions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 8)))
		w.run()
		before := w.query(`select * from v_mentions order by post`)
		w.replay(extractions, jobs.Replayed{Looked: 8})
		equal(t, "decisions", w.query(`select * from v_mentions order by post`), before)
		w.is(`select count(*) from outbox`, "0")

		of := func(post string) string { return ` where record = (select id from record where key = '` + post + `')` }
		place := w.query(`select place from mention` + of("p2"))
		// As an older matcher may have decided: none, another place, the same for less.
		w.query(`update mention set state = 'none', place = null, score = 0.1, reason = null` + of("p1"))
		w.query(`update mention set place = (select place from mention` + of("p3") + `)` + of("p2"))
		w.query(`update mention set score = 0.5` + of("p4"))
		// Not to be decided: waiting, dropped, no longer remembered.
		w.query(`update mention set state = 'waiting', place = null, decided_at = null` + of("p5"))
		w.query(`insert into wording (text) values ('dropped by hand')`)
		w.query(`update mention set state = 'none', place = null, reason = (select id from wording where text = 'dropped by hand')` + of("p6"))
		w.query(`delete from search where query like '%p7식당'`)
		w.replay(extractions, jobs.Replayed{Looked: 8, Changed: 2, Redone: 1, Left: map[string]int{
			"not matched yet, a run does it": 1, "decided by hand": 1, "not all of its searches are remembered": 1,
		}})
		w.is(`select post, name, state from v_mentions where state <> 'place' order by post`, "p5|p5식당|waiting\np6|p6식당|none")
		equal(t, "place of p2", w.query(`select place from mention`+of("p2")), place)
		w.is(`select count(*) from v_mentions m join v_places p using (place) where m.name = p.name`, "6")
		w.is(`select count(*) from outbox`, "4") // of p1, p2, p3 and p4

		w.replay(extractions, jobs.Replayed{Looked: 8, Left: map[string]int{
			"not matched yet, a run does it": 1, "decided by hand": 1, "not all of its searches are remembered": 1,
		}})
		time.Sleep(25 * time.Hour) // longer than answers are remembered
		w.replay(extractions, jobs.Replayed{Looked: 8, Left: map[string]int{
			"not matched yet, a run does it": 1, "decided by hand": 1, "not all of its searches are remembered": 6,
		}})
		w.tune = func(p *jobs.Pipeline) { p.Find.OwnOnly = true }
		w.replay(extractions, jobs.Replayed{Looked: 8, Left: map[string]int{
			"not matched yet, a run does it": 1, "decided by hand": 1, "not all of its searches are remembered": 6,
		}})
	})
}

func TestReplayUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = func(p *jobs.Pipeline) { p.Find = nil }
		w.boot()
		if _, err := w.engine.ReplayExtractions(t.Context(), pipeline, nil); err == nil || !strings.Contains(err.Error(), "searches no places") {
			t.Error(err)
		}
		for _, f := range []func(context.Context, string, func(jobs.Replayed)) (jobs.Replayed, error){w.engine.ReplayRecords, w.engine.ReplayExtractions} {
			if _, err := f(t.Context(), "없는 일", nil); err == nil {
				t.Error("a pipeline that is not configured")
			}
		}
	})
}
