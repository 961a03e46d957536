package jobs

import (
	"math"
	"slices"
	"time"

	"sumbi/queue"
)

// DefaultLatency is what an answer of a page is taken to need until it has been observed.
const DefaultLatency = 5 * time.Second

// Forecast is how long lists take by arithmetic: the pages of one list come one after the other, and all share one rate.
type Forecast struct {
	Pages    int
	Longest  int           // pages of the longest list
	Bound    time.Duration // no crawl is faster: pages ÷ rate, or the longest list × latency
	Ideal    time.Duration // the best that a schedule can do: the last answer is waited for, too
	Expected time.Duration // the longest list first, evenly paced
	Double   time.Duration // Expected at twice the rate
	Chained  bool          // the longest list sets the bound: a higher rate would not help
}

// Predict forecasts the crawl of lists with so many pages each, at rate calls a second (0 is unlimited) that take latency each.
func Predict(lists []int, rate float64, latency time.Duration) Forecast {
	var f Forecast
	for _, n := range lists {
		f.Pages += max(n, 0)
		f.Longest = max(f.Longest, n)
	}
	if f.Pages == 0 {
		return f
	}
	chain := time.Duration(f.Longest) * latency
	f.Bound, f.Ideal, f.Chained = chain, chain, true
	if rate > 0 {
		paced := seconds(float64(f.Pages) / rate)
		f.Chained = chain >= paced
		f.Bound, f.Ideal = max(chain, paced), max(chain, seconds(float64(f.Pages-1)/rate)+latency)
	}
	f.Expected, f.Double = schedule(lists, rate, latency), schedule(lists, 2*rate, latency)
	return f
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s, float64(math.MaxInt64/int64(time.Second))) * float64(time.Second))
}

// schedule plays the crawl: at every slot the list with most pages left goes next. Lists with equally many left are alike,
// so that counting them is enough; answers come in the order of their calls.
func schedule(lists []int, rate float64, latency time.Duration) time.Duration {
	most, left := 0, 0
	for _, n := range lists {
		most, left = max(most, n), left+max(n, 0)
	}
	if rate <= 0 || left == 0 {
		return time.Duration(most) * latency
	}
	type answer struct {
		at   time.Duration
		left int
	}
	ready := make([]int, most+1) // lists by how many pages they have left
	for _, n := range lists {
		ready[max(n, 0)]++
	}
	ready[0] = 0
	var flying []answer
	var now, end time.Duration
	space := seconds(1 / rate)
	for top := most; left > 0; left-- {
		for top > 0 && ready[top] == 0 {
			top--
		}
		if top == 0 {
			now = max(now, flying[0].at)
		}
		for len(flying) > 0 && flying[0].at <= now {
			n := flying[0].left
			flying = flying[1:]
			if n > 0 {
				ready[n]++
				top = max(top, n)
			}
		}
		for top > 0 && ready[top] == 0 {
			top--
		}
		if top == 0 { // what came back was at its end
			left++
			continue
		}
		ready[top]--
		end = now + latency
		flying = append(flying, answer{end, top - 1})
		now += space
	}
	return end
}

// TimeLeft forecasts the rest of a run's crawl by its critical path: the pages at the rate allowed, or the longest list.
// walks are all of the pipeline; perSecond 0 is unknown.
func TimeLeft(p *Pipeline, walks []queue.Reach, run queue.Run, perSecond float64) Forecast {
	lengths := NewLengths(walks, p.Lists, p.PageSize)
	var lists []int
	for _, w := range walks {
		if w.Run == run.ID && w.State == queue.WalkWalking {
			lists = append(lists, lengths.Left(w))
		}
	}
	latency := run.Latency()
	if latency == 0 {
		latency = DefaultLatency
	}
	return Predict(lists, perSecond, latency)
}

// Lengths tells how many pages lists have. It learns from the lists whose length is known what part of a target's count each
// of them shows.
type Lengths struct {
	lists  []string
	size   float64
	ends   map[string]time.Time // by target: its oldest record, where a list of it has just been walked whole
	share  map[string]float64   // pages of a list × size ÷ the target's count
	learnt map[string]bool
	mean   map[string]float64 // pages of a list whose length is known
}

// firstShare and otherShare are what part of the upstream's count the lists of a target show, as long as no list has been
// walked to its end: everything, and the half.
const firstShare, otherShare = 1.0, 0.5

// NewLengths learns from what is known. lists and size are those of the pipeline.
func NewLengths(known []queue.Reach, lists []string, size int) Lengths {
	l := Lengths{lists: lists, size: float64(max(size, 1)), ends: map[string]time.Time{}, share: map[string]float64{}, learnt: map[string]bool{}, mean: map[string]float64{}}
	items, totals, pages, n := map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, r := range known {
		if r.Expected == 0 {
			continue
		}
		if old, ok := l.ends[r.Target]; r.State == queue.WalkIdle && r.Pages == r.Expected && !r.Oldest.IsZero() && (!ok || r.Oldest.Before(old)) {
			l.ends[r.Target] = r.Oldest
		}
		pages[r.List] += float64(r.Expected)
		n[r.List]++
		if r.Total > 0 {
			items[r.List] += (float64(r.Expected) - 0.5) * l.size
			totals[r.List] += float64(r.Total)
		}
	}
	for i, name := range lists {
		l.share[name] = otherShare
		if i == 0 {
			l.share[name] = firstShare
		}
		if totals[name] > 0 {
			l.share[name], l.learnt[name] = min(items[name]/totals[name], 1), true
		}
	}
	for _, r := range known {
		if r.Expected == 0 && r.Total > 0 {
			whole, _ := l.whole(r, 0)
			pages[r.List] += whole
			n[r.List]++
		}
	}
	for name := range n {
		l.mean[name] = pages[name] / n[name]
	}
	return l
}

// whole returns how many pages the whole list has, and whether that is more than a guess.
func (l Lengths) whole(r queue.Reach, guess float64) (pages float64, known bool) {
	switch {
	case r.Expected > 0:
		return max(float64(r.Expected), float64(r.Pages)), true
	case r.Total > 0:
		items := float64(r.Total) * l.share[r.List]
		if slices.Index(l.lists, r.List) == 0 && l.share[r.List] == 1 {
			return max(math.Ceil(items/l.size), float64(r.Pages), 1), true
		}
		return max(items/l.size+0.5, float64(r.Pages), 1), true
	}
	if m := l.mean[r.List]; m > 0 {
		guess = m
	}
	return max(guess, float64(r.Pages)+1), false
}

// Left returns how many pages a walk that is under way still has, at least one.
func (l Lengths) Left(r queue.Reach) int {
	if !r.Whole && !r.Mark.IsZero() {
		return news(r.Walk)
	}
	n, known := l.whole(r, 0)
	if !known {
		n = 0
	}
	return max(int(math.Round(n))-r.Pages, l.toEnd(r), 1)
}

// toEnd tells by dates how many pages are left down to where another list of the target has ended; 0 when none has.
func (l Lengths) toEnd(r queue.Reach) int {
	seen, rest := r.Newest.Sub(r.Oldest), r.Oldest.Sub(l.ends[r.Target])
	if _, ok := l.ends[r.Target]; !ok || r.Expected > 0 || r.Pages == 0 || seen <= 0 || rest <= 0 {
		return 0
	}
	return int(math.Ceil(min(float64(r.Pages)*float64(rest)/float64(seen), float64(unknown))))
}
