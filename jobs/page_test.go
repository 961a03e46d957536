package jobs_test

import "testing"

func TestFirstRun(t *testing.T) {
	bubble(t, func(w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 8)))
		w.run()
		equal(t, "posts", w.stored(), "p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p8")
		equal(t, "places", len(w.sink.keys()), 8)
		w.is(`select state, pages, new_posts from v_runs`, "done|4|8")
	})
}
