package jobs_test

import (
	"strings"
	"testing"

	"sumbi/adapters"
)

func TestEmptyPages(t *testing.T) {
	// empties answers n times without a record before the page that was asked for, naming itself differently each time.
	empties := func(w *world, at string, n int) {
		left := map[string]int{}
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			base, _, _ := strings.Cut(string(q.Cursor), "~")
			if q.List != "posts" || base != at {
				return adapters.Page{}, nil, false
			}
			if left[base]++; left[base] <= n {
				return adapters.Page{Next: adapters.Cursor(base + strings.Repeat("~", left[base]))}, nil, true
			}
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			return w.feed.page(adapters.Query{List: q.List, Target: q.Target, Cursor: adapters.Cursor(base)}), nil, true
		}
	}
	t.Run("asked on", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 6))
			empties(w, "p4", 2)
			w.run()
			equal(t, "posts", w.stored(), "p6 p5 p4 p3 p2 p1")
			equal(t, "walk", w.walk("mat", "posts"), "idle p6")
			equal(t, "pages", w.feed.calls()["mat/posts"], 4)
		})
	})
	t.Run("the first page", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 3))
			empties(w, "", 2)
			w.run()
			equal(t, "posts", w.stored(), "p3 p2 p1")
			equal(t, "walk", w.walk("mat", "posts"), "idle p3")
		})
	})
	t.Run("three in a row, twice at one place", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 6))
			empties(w, "p4", 99)
			w.run()
			equal(t, "first", w.walk("mat", "posts"), "unfinished none three empty pages in a row")
			equal(t, "pages", w.feed.calls()["mat/posts"], 4)
			empties(w, "p4", 99)
			w.run()
			equal(t, "second", w.walk("mat", "posts"), "idle p6")
			equal(t, "pages", w.feed.calls()["mat/posts"], 4)
		})
	})
	t.Run("three in a row, at different places", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 9))
			empties(w, "p7", 99)
			w.run()
			equal(t, "first", w.walk("mat", "posts"), "unfinished none three empty pages in a row")
			empties(w, "p4", 99)
			w.run()
			equal(t, "second", w.walk("mat", "posts"), "unfinished none three empty pages in a row")
			w.feed.script = nil
			w.run()
			equal(t, "third", w.walk("mat", "posts"), "idle p9")
			equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		})
	})
	t.Run("no post at all", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			empties(w, "", 99)
			w.run()
			equal(t, "first", w.walk("mat", "posts"), "unfinished none three empty pages in a row")
			empties(w, "", 99)
			w.run()
			equal(t, "second", w.walk("mat", "posts"), "idle none")
		})
	})
}

// A page that names itself as the next one.
func TestRepeatedToken(t *testing.T) {
	repeat := func(w *world, n int) {
		left := n
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			if q.Cursor != "p7" || left == 0 {
				return adapters.Page{}, nil, false
			}
			left--
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			pg.Next = q.Cursor
			return pg, nil, true
		}
	}
	for _, tt := range []struct {
		name  string
		times int
		walk  string
		pages int
		posts string
	}{
		{"three times", 3, "idle p12", 7, "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1"},
		{"for ever", -1, "unfinished none the upstream names the same page as the next one again and again", 6, "p12 p11 p10 p9 p8 p7 p6 p5 p4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", posts(1, 12))
				repeat(w, tt.times)
				w.run()
				equal(t, "walk", w.walk("mat", "posts"), tt.walk)
				equal(t, "pages", w.feed.calls()["mat/posts"], tt.pages)
				equal(t, "posts", w.stored(), tt.posts)
			})
		})
	}
}

// Tokens that lead in a circle end the walk unfinished, not never.
func TestCircle(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			if q.Cursor != "p7" {
				return adapters.Page{}, nil, false
			}
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			pg.Next = "p10" // back to the page before
			return pg, nil, true
		}
		w.run()
		equal(t, "walk", w.walk("mat", "posts"), "unfinished none the upstream shows pages of this walk again")
		if n := w.feed.calls()["mat/posts"]; n > 8 {
			t.Errorf("%d pages", n)
		}
	})
}

func TestRefusedCursor(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 18))
			refused := 0
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				if q.Cursor == "p4" && refused == 0 {
					refused++
					return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonCursor), true
				}
				return adapters.Page{}, nil, false
			}
			w.run()
			equal(t, "cursors", w.feed.cursors("posts"), ",p16,p13,p10,p7,p4,,p16,p13,p10,p7,p4")
			equal(t, "walk", w.walk("mat", "posts"), "idle p18")
			equal(t, "posts", strings.Count(w.stored(), "p"), 18)
		})
	})
	t.Run("always", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 6))
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonCursor), q.Cursor != ""
			}
			w.run()
			equal(t, "walk", w.walk("mat", "posts"), "unfinished none the upstream refuses its own page tokens: instagram: the upstream says cursor")
			equal(t, "pages", w.feed.calls()["mat/posts"], 8)
		})
	})
	t.Run("gone behind the first page", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.feed.put("mat", "posts", posts(1, 6))
			said := false
			w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
				if q.Cursor == "" || said {
					return adapters.Page{}, nil, false
				}
				said = true
				return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonGone), true
			}
			w.run()
			equal(t, "walk", w.walk("mat", "posts"), "idle p6")
			w.is(`select state, misses from v_accounts`, "ok|0")
		})
	})
}
