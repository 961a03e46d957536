package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"sumbi/adapters"
)

// story is what happens to one feed over two runs.
type story struct {
	Posts   int
	Size    int
	Offsets bool
	Pins    []int       // positions that are pinned; they stand first
	Insert  map[int]int // after the n-th call so many new posts appear
	Empty   map[int]int // before the n-th call's page so many empty ones, naming the same place under another name
	Crash   map[int]int // the n-th call: 1 the process dies before the page arrives, 2 after
	Refuse  map[int]bool
}

func drawStory(t *rapid.T) story {
	calls := func(name string, to int) map[int]int {
		return rapid.MapOfN(rapid.IntRange(1, 12), rapid.IntRange(1, to), 0, 3).Draw(t, name)
	}
	s := story{
		Posts:   rapid.IntRange(0, 24).Draw(t, "posts"),
		Size:    rapid.IntRange(2, 5).Draw(t, "size"),
		Offsets: rapid.Bool().Draw(t, "offsets"),
		Pins:    rapid.SliceOfNDistinct(rapid.IntRange(0, 23), 0, 3, rapid.ID).Draw(t, "pins"),
		Insert:  calls("insert", 4),
		Empty:   calls("empty", 2),
		Crash:   calls("crash", 2),
		Refuse:  map[int]bool{},
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(2, 8), 0, 2, rapid.ID).Draw(t, "refuse") {
		s.Refuse[n] = true
	}
	return s
}

// Whatever happens on the way, after two runs every post that was there throughout is stored, and the mark is right.
func TestEveryPostIsStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := empty(); err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawStory(rt)
		n++
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, dir)
			w.files = n * 100
			defer w.close()
			wrong = s.play(w)
		})
		if wrong != "" {
			rt.Fatalf("%s\n%+v", wrong, s)
		}
	})
}

func (s story) play(w *world) string {
	var pins, rest []post
	for i, p := range posts(1, s.Posts) {
		if slices.Contains(s.Pins, i) {
			pins = append(pins, pin(p))
		} else {
			rest = append(rest, p)
		}
	}
	w.feed.size, w.feed.offsets = s.Size, s.Offsets
	w.feed.put("mat", "posts", pins, rest)
	next, calls := s.Posts+1, 0
	room := 2 * s.Size                                                   // three pages shifted in one walk would look like a circle
	hollow, was := map[adapters.Cursor]int{}, map[adapters.Cursor]bool{} // three in a row would be an end
	w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
		if q.List != "posts" {
			return adapters.Page{}, nil, false
		}
		calls++
		base, _, _ := strings.Cut(string(q.Cursor), "~")
		here := adapters.Cursor(base)
		if s.Crash[calls] == 1 {
			return adapters.Page{}, w.crash(), true
		}
		if s.Refuse[calls] && q.Cursor != "" {
			return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonCursor), true
		}
		if n := s.Empty[calls]; n > 0 && !was[here] {
			hollow[here], was[here] = n, true
		}
		if hollow[here] > 0 {
			hollow[here]--
			return adapters.Page{Next: adapters.Cursor(fmt.Sprintf("%s~%d", base, calls))}, nil, true
		}
		w.feed.mu.Lock()
		pg := w.feed.page(adapters.Query{List: q.List, Target: q.Target, Cursor: here})
		for range min(s.Insert[calls], room) {
			room--
			rest = slices.Concat(posts(next, 1), rest)
			next++
		}
		w.feed.lists["mat/posts"] = slices.Concat(pins, rest)
		w.feed.mu.Unlock()
		if s.Crash[calls] == 2 {
			return adapters.Page{}, w.crash(), true
		}
		return pg, nil, true
	}
	there := s.Posts
	for run := range 2 {
		w.runThrough()
		if run == 0 {
			there = next - 1
		}
		// What was there before the last run began must be there now.
		have := strings.Fields(w.stored())
		want := s.Posts
		if run == 1 {
			want = there
		}
		for i := 1; i <= want; i++ {
			if !slices.Contains(have, fmt.Sprintf("p%d", i)) {
				return fmt.Sprintf("after run %d: p%d of %d is missing, walk %s", run+1, i, want, w.walk("mat", "posts"))
			}
		}
	}
	s.Insert, s.Empty, s.Crash, s.Refuse = nil, nil, nil, nil
	w.runThrough()
	newest := "none"
	for _, p := range rest {
		newest = p.key
		break
	}
	if got := w.walk("mat", "posts"); got != "idle "+newest {
		return fmt.Sprintf("at last: walk %s, newest %s", got, newest)
	}
	return ""
}
