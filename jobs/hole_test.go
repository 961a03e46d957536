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

// saga is what happens to one list over several runs, most of which are cut.
type saga struct {
	Size int
	Runs []chapter
}

// chapter is one run and what happened before it.
type chapter struct {
	News    int   // posts that appear before it
	Pins    []int // which are pinned during it
	Shown   int   // hidden posts that are shown again before it, in the middle of the list
	Vanish  []int // positions of posts that are deleted before it
	Whole   bool  // it walks whole lists
	Cut     cut
	At      int         // the call of this run from which on it is cut
	Arrive  map[int]int // after the n-th call so many new posts appear
	Deleted map[int]int // after the n-th call the post at this position is deleted
}

type cut string

const (
	cutNot     cut = "not"
	cutDead    cut = "dead page"
	cutGone    cut = "gone"
	cutPrivate cut = "private"
	cutCursor  cut = "cursor refused"
	cutCrash   cut = "crash"
	cutEmpty   cut = "empty"
	cutCircle  cut = "circle"
)

func drawSaga(t *rapid.T) saga {
	s := saga{Size: rapid.IntRange(2, 4).Draw(t, "size")}
	for i := range rapid.IntRange(3, 7).Draw(t, "runs") {
		c := chapter{
			News:    rapid.IntRange(0, 9).Draw(t, "news"),
			Pins:    rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 0, 2, rapid.ID).Draw(t, "pins"),
			Shown:   rapid.IntRange(0, 1).Draw(t, "shown"),
			Vanish:  rapid.SliceOfN(rapid.IntRange(0, 20), 0, 2).Draw(t, "vanish"),
			Whole:   rapid.IntRange(0, 3).Draw(t, "whole") == 0,
			Cut:     rapid.SampledFrom([]cut{cutNot, cutDead, cutDead, cutGone, cutPrivate, cutCursor, cutCrash, cutEmpty, cutCircle}).Draw(t, "cut"),
			At:      rapid.IntRange(1, 6).Draw(t, "at"),
			Arrive:  rapid.MapOfN(rapid.IntRange(1, 5), rapid.IntRange(1, 3), 0, 2).Draw(t, "arrive"),
			Deleted: rapid.MapOfN(rapid.IntRange(1, 5), rapid.IntRange(0, 20), 0, 1).Draw(t, "deleted"),
		}
		if c.Cut == cutEmpty && (i == 0 || s.Runs[i-1].Cut == cutEmpty) {
			c.Cut = cutDead // an empty list at first, and twice the same end, is what it says
		}
		s.Runs = append(s.Runs, c)
	}
	return s
}

// A list whose walk counts as ended has no hole, however many walks before were cut, wherever they were cut, and whatever
// became of the list in between. A run over whole lists that was cut is made good as a whole.
func TestNoHole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := empty(); err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSaga(rt)
		n++
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, dir)
			w.files = n * 100
			defer w.close()
			l := &longList{w: w, size: s.Size}
			wrong = l.play(s)
		})
		if wrong != "" {
			rt.Fatalf("%s\n%+v", wrong, s)
		}
	})
}

// longList is a list that changes under the walks. Its pages are cut by post, not by position.
type longList struct {
	w     *world
	size  int
	clock int // grows with everything that happens
	posts []*listed
	calls int // of the run
	begun int // when the run began
	whole int // when the last whole run began
}

type listed struct {
	n      int // its place in time
	since  int // when it appeared
	late   bool
	hidden bool
	gone   bool
	pinned bool
}

func (l *longList) news(n int) {
	l.clock++
	for range n {
		i := len(l.posts) + 1
		l.posts = append(l.posts, &listed{n: i, since: l.clock, hidden: i%4 == 0})
	}
}

// show lets n hidden posts be seen.
func (l *longList) show(n int) {
	l.clock++
	for _, p := range l.posts {
		if n > 0 && p.hidden && !p.gone {
			p.hidden, p.late, p.since = false, true, l.clock
			n--
		}
	}
}

// remove deletes the post at a position, unless it is the only one: an empty list has an end of its own.
func (l *longList) remove(at int) {
	if seen := l.seen(); at < len(seen) && len(seen) > 1 {
		seen[at].gone = true
	}
}

// seen is the list as people see it: the pinned, then the newest first.
func (l *longList) seen() []*listed {
	var pins, rest []*listed
	for _, p := range slices.Backward(l.posts) {
		switch {
		case p.hidden || p.gone:
		case p.pinned:
			pins = append(pins, p)
		default:
			rest = append(rest, p)
		}
	}
	return slices.Concat(pins, rest)
}

func (l *longList) page(c adapters.Cursor) adapters.Page {
	seen := l.seen()
	from := 0
	var last int
	if _, err := fmt.Sscanf(string(c), "pin %d", &last); err == nil {
		for from < len(seen) && seen[from].pinned && seen[from].n >= last {
			from++
		}
	} else if _, err := fmt.Sscanf(string(c), "after %d", &last); err == nil {
		for from < len(seen) && (seen[from].pinned || seen[from].n >= last) {
			from++
		}
	}
	to := min(from+l.size, len(seen))
	var ps []post
	for _, p := range seen[from:to] {
		ps = append(ps, post{key: fmt.Sprintf("p%d", p.n), at: posts(p.n, 1)[0].at, pinned: p.pinned, caption: "🍜"})
	}
	pg := page("mat", ps...)
	if to < len(seen) {
		pg.Next = adapters.Cursor(fmt.Sprintf("after %d", seen[to-1].n))
		if seen[to-1].pinned {
			pg.Next = adapters.Cursor(fmt.Sprintf("pin %d", seen[to-1].n))
		}
	}
	return pg
}

// answer is one call in a run that goes like c.
func (l *longList) answer(q adapters.Query, c chapter) (adapters.Page, error) {
	l.calls++
	if l.calls >= c.At {
		switch c.Cut {
		case cutDead:
			return adapters.Page{}, refuse(adapters.Temporary, "trouble")
		case cutGone:
			return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonGone)
		case cutPrivate:
			return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonPrivate)
		case cutCursor:
			if q.Cursor != "" {
				return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonCursor)
			}
		case cutCrash:
			if l.calls == c.At {
				return adapters.Page{}, l.w.crash()
			}
		case cutEmpty:
			if q.Cursor == "" {
				return adapters.Page{}, nil
			}
			base, _, _ := strings.Cut(string(q.Cursor), "~")
			return adapters.Page{Next: adapters.Cursor(fmt.Sprintf("%s~%d", base, l.calls))}, nil
		}
	}
	pg := l.page(q.Cursor)
	if c.Cut == cutCircle && l.calls >= c.At && q.Cursor != "" {
		pg.Next = q.Cursor
	}
	l.news(c.Arrive[l.calls])
	if at, ok := c.Deleted[l.calls]; ok {
		l.remove(at)
	}
	return pg, nil
}

// run lets a run go through and says what is wrong after it.
func (l *longList) run(c chapter) string {
	l.news(c.News)
	l.show(c.Shown)
	for _, at := range c.Vanish {
		l.remove(at)
	}
	for _, p := range l.posts {
		p.pinned = slices.Contains(c.Pins, p.n)
	}
	l.clock++
	l.calls, l.begun = 0, l.clock
	if c.Whole {
		l.whole = l.clock
	}
	l.w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
		if q.List != "posts" {
			return adapters.Page{}, nil, false
		}
		pg, err := l.answer(q, c)
		return pg, err, true
	}
	before := l.mark()
	l.through(c.Whole)
	walk := l.w.walk("mat", "posts")
	if !strings.HasPrefix(walk, "idle") && l.mark() != before {
		return fmt.Sprintf("the mark moved from %s to %s, walk %s", before, l.mark(), walk)
	}
	if !strings.HasPrefix(walk, "idle") || walk == "idle none" {
		return "" // a list that has never shown anything is walked whole by whoever comes next
	}
	have := strings.Fields(l.w.stored())
	for _, p := range l.seen() {
		owed := p.since < l.begun && (!p.late || p.since < l.whole)
		if owed && !slices.Contains(have, fmt.Sprintf("p%d", p.n)) {
			return fmt.Sprintf("p%d is missing, walk %s, gaps %q", p.n, walk, l.w.query(`select * from v_gaps`))
		}
	}
	return ""
}

func (l *longList) mark() string {
	return l.w.query(`select coalesce(mark, '') from walk where list = 'posts'`)
}

// through is a run in the process that there is, and in further ones if that dies.
func (l *longList) through(whole bool) {
	l.w.tb.Helper()
	if _, err := l.w.again(whole); err != nil {
		l.w.tb.Error(err)
	}
	if l.w.dead.Load() {
		l.w.runThrough() // it ends in a process that lives
	}
}

func (l *longList) play(s saga) string {
	l.w.boot()
	for i, c := range s.Runs {
		if wrong := l.run(c); wrong != "" {
			return fmt.Sprintf("after run %d: %s", i+1, wrong)
		}
	}
	for _, whole := range []bool{false, true} {
		if wrong := l.run(chapter{Whole: whole, Cut: cutNot}); wrong != "" {
			return fmt.Sprintf("at last, whole %v: %s", whole, wrong)
		}
		if walk := l.w.walk("mat", "posts"); !strings.HasPrefix(walk, "idle") {
			return fmt.Sprintf("at last, whole %v: walk %s", whole, walk)
		}
	}
	if gaps := l.w.query(`select * from v_gaps`); gaps != "" {
		return "at last: " + gaps
	}
	return ""
}
