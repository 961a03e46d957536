package jobs_test

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// chain is one list of a made-up account, and how far a played crawl has come with it.
type chain struct {
	walk     queue.Walk
	account  *account
	pages    int // true
	priority int
	turn     int
	waits    bool
	took     float64 // seconds of its answers
}

type account struct {
	total  int // what the upstream says with a page of posts
	known  int // what has been said so far
	chains []*chain
}

// rule gives a list its priority.
type rule func(c *chain) int

var shape = jobs.Matzip(&jobs.Pipeline{Ask: &jobs.Ask{}, Find: &jobs.Find{}})

func first(*chain) int   { return 0 }
func truth(c *chain) int { return c.pages - c.walk.Pages }
func ours(c *chain) int  { return shape.Left(c.walk, c.account.known) }

type line []*chain

func (l line) Len() int      { return len(l) }
func (l line) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l line) Less(i, j int) bool {
	return cmp.Or(-cmp.Compare(l[i].priority, l[j].priority), cmp.Compare(l[i].turn, l[j].turn)) < 0
}
func (l *line) Push(x any) { *l = append(*l, x.(*chain)) }
func (l *line) Pop() any   { x := (*l)[len(*l)-1]; *l = (*l)[:len(*l)-1]; return x }

// play crawls the accounts at rate pages a second; an answer takes latency seconds, give or take the share jitter. It returns
// the time needed ÷ the true bound.
func play(rng *rand.Rand, accounts []*account, rate, latency, jitter float64, by rule) float64 {
	var ready line
	type answer struct {
		at float64
		c  *chain
	}
	var flying []answer
	turn, left := 0, 0
	add := func(c *chain) {
		turn++
		c.priority, c.turn, c.waits = by(c), turn, true
		heap.Push(&ready, c)
	}
	for _, a := range accounts {
		for _, c := range a.chains {
			add(c)
			left += c.pages
		}
	}
	bound, now, end := float64(left)/rate, 0.0, 0.0
	for left > 0 {
		for len(flying) > 0 && flying[0].at <= now {
			c := flying[0].c
			flying = flying[1:]
			c.walk.Pages++
			if fresh := c.account.known == 0 && c == c.account.chains[0]; fresh {
				c.account.known = c.account.total
				for _, o := range c.account.chains {
					if o != c && o.waits {
						o.priority = by(o)
					}
				}
				heap.Init(&ready)
			}
			if c.walk.Pages < c.pages {
				add(c)
			}
		}
		if len(ready) == 0 {
			now = flying[0].at
			continue
		}
		c := heap.Pop(&ready).(*chain)
		c.waits = false
		took := latency * (1 + jitter*(2*rng.Float64()-1))
		c.took += took
		end = max(end, now+took)
		bound = max(bound, c.took)
		a := answer{now + took, c}
		i, _ := slices.BinarySearchFunc(flying, a, func(x, y answer) int { return cmp.Compare(x.at, y.at) })
		flying = slices.Insert(flying, i, a)
		left--
		now += 1 / rate
	}
	return end / bound
}

// scaled makes n accounts with so many pages in all; the longest list has exactly longest. Reels are a part of the posts.
func scaled(rng *rand.Rand, n, pages, longest int) []*account {
	var all []*account
	var chains []*chain
	left := pages
	for i := range n {
		posts := min(max(int(math.Exp(rng.NormFloat64()*0.45)*float64(pages)/float64(n)*0.65), 1), longest-1)
		if i == n/2 {
			posts = longest
		}
		a := made(posts*12, max(int(float64(posts)*(0.3+0.4*rng.Float64())), 1))
		all = append(all, a)
		chains = append(chains, a.chains...)
		left -= a.chains[0].pages + a.chains[1].pages
	}
	for left != 0 {
		c := chains[rng.IntN(len(chains))]
		step := 1
		if left < 0 {
			step = -1
		}
		if next := c.pages + step; c.pages < longest && next > 0 && next < longest && (c != c.account.chains[1] || next <= c.account.chains[0].pages) {
			c.pages = next
			left -= step
			c.account.total = c.account.chains[0].pages * 12
		}
	}
	return all
}

// grown makes accounts with lognormal numbers of posts.
func grown(rng *rand.Rand, n int) []*account {
	var all []*account
	for range n {
		posts := max(int(600*math.Exp(rng.NormFloat64())), 12)
		all = append(all, made(posts, max(int(float64(posts)*(0.2+0.5*rng.Float64())/12), 1)))
	}
	return all
}

func made(posts, reelPages int) *account {
	a := &account{total: posts}
	for i, l := range shape.Lists {
		a.chains = append(a.chains, &chain{account: a, pages: []int{(posts + 11) / 12, reelPages}[i], walk: queue.Walk{List: l}})
	}
	return a
}

func TestLongestFirst(t *testing.T) {
	t.Parallel()
	type world struct {
		name          string
		make          func(rng *rand.Rand) []*account
		rate, latency float64
		seeds         int
		fresh, known  float64 // at most this × the bound, with lengths unknown and known
	}
	worlds := []world{
		{"80 lists, 1,200 pages", func(rng *rand.Rand) []*account { return scaled(rng, 40, 1200, 30) }, 80, 0.5, 5, 1.06, 1.04},
		{"80 lists, 316 pages", func(rng *rand.Rand) []*account { return scaled(rng, 40, 316, 8) }, 8, 5, 5, 1.16, 1.12},
		{"100 accounts", func(rng *rand.Rand) []*account { return grown(rng, 100) }, 8, 5, 3, 1.02, 1.01},
		{"1,000 accounts", func(rng *rand.Rand) []*account { return grown(rng, 1000) }, 8, 5, 1, 1.01, 1.01},
	}
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, jitter := range []float64{0, 0.4} {
				mean := func(by rule, known bool) float64 {
					sum := 0.0
					for seed := range uint64(w.seeds) {
						rng := rand.New(rand.NewPCG(seed, 7))
						accounts := w.make(rng)
						for _, a := range accounts {
							for _, c := range a.chains {
								if known {
									c.walk.Expected = c.pages
								}
							}
						}
						sum += play(rng, accounts, w.rate, w.latency, jitter, by)
					}
					return sum / float64(w.seeds)
				}
				fifo, fresh, known, exact := mean(first, false), mean(ours, false), mean(ours, true), mean(truth, false)
				t.Logf("latency ±%.0f %%: first come first served %.3f, ours on a new file %.3f, ours with known lengths %.3f, exact %.3f", jitter*100, fifo, fresh, known, exact)
				if fresh > w.fresh || known > w.known || known > exact*1.002 {
					t.Errorf("time ÷ bound with latency ±%.0f %%: %.3f on a new file (want ≤ %.2f), %.3f with known lengths (want ≤ %.2f and that of exact ones, %.3f)",
						jitter*100, fresh, w.fresh, known, w.known, exact)
				}
				if fifo < 1.05 {
					t.Errorf("first come first served needs only %.3f of the bound: this world tells nothing", fifo)
				}
			}
		})
	}
}

func TestLeft(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	const unknown = 1 << 20
	tests := []struct {
		name  string
		w     queue.Walk
		total int
		want  int
	}{
		{"nothing known", queue.Walk{List: "posts"}, 0, unknown},
		{"nothing known, the second list", queue.Walk{List: "reels"}, 0, unknown - 1},
		{"nothing known after three pages", queue.Walk{List: "posts", Pages: 3}, 0, unknown - 6},
		{"the count is a whole number of pages", queue.Walk{List: "posts", Pages: 1}, 24, 1},
		{"the last page is not full", queue.Walk{List: "posts", Pages: 1}, 25, 2},
		{"the count bounds every list", queue.Walk{List: "reels"}, 120, 10},
		{"the list has been walked before", queue.Walk{List: "reels", Pages: 2, Expected: 5}, 120, 3},
		{"longer than the last time", queue.Walk{List: "posts", Pages: 7, Expected: 5}, 120, 1},
		{"only what is new", queue.Walk{List: "posts", Mark: day(1), Expected: 50}, 600, 1},
		{"whole although it has a mark", queue.Walk{List: "posts", Mark: day(1), Expected: 50, Whole: true}, 600, 50},
		{"the mark is three times as far as seen", queue.Walk{List: "posts", Mark: day(2), Newest: day(18), Oldest: day(14), Pages: 2, Expected: 50}, 600, 6},
		{"never more than the whole list", queue.Walk{List: "posts", Mark: day(2), Newest: day(18), Oldest: day(17), Pages: 2, Expected: 10}, 600, 8},
		{"past the mark", queue.Walk{List: "posts", Mark: day(15), Newest: day(18), Oldest: day(14), Pages: 2, Expected: 10}, 600, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "pages left", shape.Left(tt.w, tt.total), tt.want)
		})
	}
}
