package jobs_test

import (
	"slices"
	"testing"

	"sumbi/adapters"
)

// A walk that was cut between two late records has shown the upper one. The next walk must not take it for a sign that the
// lower one was seen as well.
func TestCutBetweenLateRecords(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := posts(1, 9)
		w.feed.put("mat", "posts", slices.Delete(slices.Delete(slices.Clone(all), 4, 5), 2, 3)) // without p7 and p5
		w.run()
		w.feed.put("mat", "posts", all)
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.List == "posts" && q.Cursor != ""
		}
		w.run()
		broken = false
		w.run()
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		// Once seen to the end it costs one page a list again.
		before := len(w.feed.asked)
		w.run()
		if n := len(w.feed.asked) - before; n > 2 {
			t.Errorf("%d pages for nothing new in two lists", n)
		}
	})
}

// A walk of a whole list that was cut is owed: an ordinary run makes it good, once.
func TestWholeWalkIsOwed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := posts(1, 12)
		w.feed.put("mat", "posts", slices.Delete(slices.Clone(all), 10, 11)) // without p2
		w.run()
		w.feed.put("mat", "posts", all)
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.Cursor == "p7"
		}
		w.whole()
		w.run()
		w.is(`select list, state, runs from v_gaps`, "posts|unfinished|2")
		broken = false
		w.run()
		equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		w.is(`select count(*) from v_gaps`, "0")
		w.feed.calls()
		w.run()
		equal(t, "pages when nothing is owed", w.feed.calls()["mat/posts"], 1)
	})
}

// An account that was away in the middle of an unfinished walk still has its gap.
func TestGoneWithAGap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 3))
		w.run()
		w.feed.put("mat", "posts", posts(1, 12))
		for _, why := range []error{refuse(adapters.Temporary, "trouble"), refuse(adapters.Permanent, adapters.ReasonGone), refuse(adapters.Permanent, adapters.ReasonPrivate)} {
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				from := "p10"
				if adapters.Classify(why).Kind == adapters.Permanent {
					from = ""
				}
				return adapters.Page{}, why, q.List == "posts" && string(q.Cursor) == from
			}
			w.run()
		}
		w.is(`select state, unfinished_to, runs from v_gaps`, "private|1999-01-01T03:00:00.000Z|1")
		w.feed.script = nil
		w.run()
		equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		w.is(`select count(*) from v_gaps`, "0")
	})
}

// Nothing at all of a list that had something is no sign that everything was deleted: the mark stays. Twice in a row is
// what it is; the records stay all the same.
func TestEmptyAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 6))
		w.run()
		w.feed.put("mat", "posts")
		w.run()
		equal(t, "once", w.walk("mat", "posts"), "unfinished p6 the upstream shows nothing of a list that had something")
		w.feed.put("mat", "posts", posts(1, 9))
		w.run()
		equal(t, "back", w.walk("mat", "posts"), "idle p9")
		w.feed.put("mat", "posts")
		w.run()
		w.run()
		equal(t, "twice", w.walk("mat", "posts"), "idle p9")
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		w.is(`select state, misses from v_accounts`, "ok|0")
		w.feed.put("mat", "posts", posts(1, 20))
		w.run()
		equal(t, "after all", w.walk("mat", "posts"), "idle p20")
		w.is(`select count(*) from record`, "20")
	})
}

// Two ends at the same place count only one after the other.
func TestSameEndNotInARow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 9))
		hollow := func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{Next: q.Cursor + "~"}, nil, q.List == "posts" && q.Cursor != ""
		}
		for _, script := range []func(q adapters.Query) (adapters.Page, error, bool){hollow, func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), q.List == "posts"
		}, hollow} {
			w.feed.script = script
			w.run()
		}
		equal(t, "walk", w.walk("mat", "posts"), "unfinished none three empty pages in a row")
	})
}
