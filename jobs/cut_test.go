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
