package jobs_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// The kept items are an archive: a crawl goes on without what they have in common, and says so once.
func TestCrawlOutlivesADamagedDictionary(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.archived()
		var log bytes.Buffer
		w.wire = func(e *jobs.Engine) {
			e.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		}
		w.feed.size = 12
		w.feed.put("mat", "posts", posts(1, 12))
		w.run()
		w.exec(`update dictionary set body = ?`, []byte{0})
		w.feed.put("mat", "posts", posts(13, 24), posts(1, 12))
		w.run()
		w.feed.put("mat", "posts", posts(37, 12), posts(13, 24), posts(1, 12))
		w.run()
		equal(t, "warnings", strings.Count(log.String(), "dictionary 1"), 1)
		w.is(`select count(*) from record where raw is not null`, "48")
		w.is(`select id, stream from dictionary order by id`, "1|post\n2|post")
		w.replay(records, jobs.Replayed{Looked: 48, Left: map[string]int{"the kept item cannot be read": 12}})
	})
}

// An answer of the model or of a finder that is no JSON any more stops nothing but what is made of it.
func TestMalformedAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 6)))
		w.run()
		before := w.query(`select record, state, place from mention`)
		w.query(`update question set answer = '{"restaurants":[' where id = (select question from record where key = 'p1')`)
		w.query(`update search set answer = '[' where query like '%p2식당'`)
		w.replay(extractions, jobs.Replayed{Looked: 6, Left: map[string]int{"its fields cannot be read": 1, "not all of its searches are remembered": 1}})
		equal(t, "decisions", w.query(`select record, state, place from mention`), before)

		unread := map[string]bool{}
		err := w.store.Places(t.Context(), func(p queue.PlaceMentions) error {
			d, err := jobs.Document(p)
			if err != nil || d.MentionCount != 1 {
				t.Errorf("place %s: %+v, %v", p.Name, d, err)
				return nil
			}
			unread[d.Mentions[0].Post] = d.Mentions[0].Name == ""
			return nil
		})
		if err != nil || len(unread) != 6 {
			t.Errorf("places of %v, %v", unread, err)
		}
		for post, is := range unread {
			equal(t, "without a name: "+post, is, post == "p1")
		}

		// Who needs that search asks again.
		more := posts(7, 1)
		more[0].caption = "[p2식당] 또 다녀왔어요"
		w.feed.put("mat", "posts", more, naming(posts(1, 6)))
		w.naver.queries()
		w.run()
		if !slices.ContainsFunc(w.naver.queries(), func(q string) bool { return strings.Contains(q, "p2식당") }) {
			t.Error("the finder was not asked again")
		}
		w.is(`select name, mentions from v_places where name = 'p2식당'`, "p2식당|2")
	})
}

// A list that begins again, or whose page job is lost, waits behind the longer ones that are known.
func TestPriorityOfAListThatBeginsAgain(t *testing.T) {
	priorities := func(w *world) string {
		return w.query(`select priority from job where kind = 'page' and key = 'page:matzip:mat:posts'`)
	}
	total := func(w *world, q adapters.Query) adapters.Page {
		w.feed.mu.Lock()
		defer w.feed.mu.Unlock()
		pg := w.feed.page(q)
		pg.Total = 18
		return pg
	}
	t.Run("refused cursor", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 18))
			refused, got := false, ""
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				switch {
				case q.List == "posts" && q.Cursor == "p13" && !refused:
					refused = true
					return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonCursor), true
				case q.List == "posts" && q.Cursor == "" && refused && got == "":
					got = priorities(w)
				}
				return total(w, q), nil, true
			}
			w.run()
			equal(t, "priority", got, "4") // 18 posts are 6 pages, 2 were had
		})
	})
	t.Run("lost job", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 18))
			crashed, got := false, ""
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				switch {
				case q.List == "posts" && q.Cursor == "p13" && !crashed:
					crashed = true
					return adapters.Page{}, w.crash(), true
				case q.List == "posts" && q.Cursor == "p13" && got == "":
					got = priorities(w)
				}
				return total(w, q), nil, true
			}
			w.run()
			w.boot()
			w.query(`delete from job where kind = 'page'`)
			if !pgtest.Wanted() {
				w.query(`delete from goqite`)
			}
			w.runThrough()
			equal(t, "priority", got, "4")
			equal(t, "walk", w.walk("mat", "posts"), "idle p18")
		})
	})
}
