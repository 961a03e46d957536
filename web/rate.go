package web

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"sumbi/queue"
)

// rates is how fast the upstreams are called: by this process, or where several machines share a state, by all of them.
func (s *Server) rates(ctx context.Context) ([]Rate, error) {
	if s.Rates == nil {
		return nil, nil
	}
	all := s.Rates()
	if !s.Store.Shared() {
		return all, nil
	}
	s.together.mu.Lock() // before the counts and the clock are read: a look sees nothing older than the one before it
	defer s.together.mu.Unlock()
	limits, err := s.Store.Limits(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Store.Now()
	for i, r := range all {
		if r.Limit > 0 { // what has no limit is not counted together
			all[i].Seconds = s.together.seconds(now, r, limits)
		}
	}
	return all, nil
}

// together follows what the machines call together by the counts of their common limits.
type together struct {
	mu    sync.Mutex
	known map[string]*followed // by upstream
}

type followed struct {
	at      int64          // the second of the last look, since 1970
	used    map[string]int // calls of the day, by limit and day
	seconds []int
}

// seconds counts what was called since the last look, evenly over that time. Before the first look, and after a gap that is
// longer than what is shown, there is only what this process knows of itself. A clock that went back begins anew with the next
// second. The caller holds mu.
func (t *together) seconds(now time.Time, r Rate, limits []queue.Limit) []int {
	used := map[string]int{}
	for _, l := range limits {
		if name, _, _ := strings.Cut(l.Name, "/"); name == r.Upstream {
			used[l.Name+" "+l.Day] = l.Used
		}
	}
	second := now.Unix()
	f := t.known[r.Upstream]
	if f == nil || max(second-f.at, f.at-second) > int64(len(f.seconds)) {
		if t.known == nil {
			t.known = map[string]*followed{}
		}
		t.known[r.Upstream] = &followed{at: second, used: used, seconds: r.Seconds}
		return r.Seconds
	}
	gone := int(second - f.at)
	if gone <= 0 {
		f.at = second
		return f.seconds
	}
	calls := 0
	for limit, n := range used {
		calls += max(0, n-f.used[limit])
	}
	seconds := append([]int(nil), f.seconds[gone:]...)
	for i := range gone {
		seconds = append(seconds, calls*(i+1)/gone-calls*i/gone)
	}
	f.at, f.used, f.seconds = second, used, seconds
	return seconds
}

// Rate is how fast an upstream is called.
type Rate struct {
	Upstream string
	Limit    float64 // calls a second that are allowed, over all credentials; 0 unlimited
	Seconds  []int   // calls that left in each of the last whole seconds, the oldest first
}

func limitOf(rates []Rate, upstream string) float64 {
	for _, r := range rates {
		if r.Upstream == upstream {
			return r.Limit
		}
	}
	return 0
}

// paceOf is how many calls a second an upstream had in the last minute, or since it was called in it; 0 none.
func paceOf(rates []Rate, upstream string) float64 {
	for _, r := range rates {
		if r.Upstream != upstream {
			continue
		}
		last := r.Seconds[max(0, len(r.Seconds)-60):]
		first := slices.IndexFunc(last, func(n int) bool { return n > 0 })
		if first < 0 {
			return 0
		}
		calls := 0
		for _, n := range last[first:] {
			calls += n
		}
		return float64(calls) / float64(len(last)-first)
	}
	return 0
}

// The chart of a rate: so many units wide and high, a point for so many seconds, each the mean of the seconds around it.
const (
	chartWidth, chartHeight = 300, 60
	chartStep               = 2
	chartMean               = 5
	speedMean               = 10 // seconds of the figure beside it
)

// speed is a rate as it is drawn.
type speed struct {
	Rate
	Now   float64 // calls a second
	Top   float64 // what the upper edge means
	Line  string  // points
	Area  string
	Bound float64 // height of the limit; 0 none
}

func newSpeed(r Rate) speed {
	s := speed{Rate: r, Top: 1}
	means := sliding(r.Seconds, chartMean)
	for _, m := range means {
		s.Top = max(s.Top, m)
	}
	s.Top = max(s.Top, r.Limit) * 1.15
	n := len(r.Seconds)
	for _, c := range r.Seconds[max(0, n-speedMean):] {
		s.Now += float64(c)
	}
	s.Now /= float64(max(min(n, speedMean), 1))
	y := func(v float64) float64 { return math.Round((chartHeight-v/s.Top*chartHeight)*10) / 10 }
	if r.Limit > 0 {
		s.Bound = y(r.Limit)
	}
	var b strings.Builder
	for i := max(n-1, 0) % chartStep; i < n; i += chartStep {
		x := chartWidth - (n-1-i)*chartWidth/max(n-1, 1)
		fmt.Fprintf(&b, "%d,%g ", x, y(means[i]))
	}
	s.Line = strings.TrimSpace(b.String())
	if s.Line != "" {
		first, _, _ := strings.Cut(s.Line, ",")
		s.Area = fmt.Sprintf("%s,%d %s %d,%d", first, chartHeight, s.Line, chartWidth, chartHeight)
	}
	return s
}

// sliding returns for each value the mean of it and those before it, n in all.
func sliding(values []int, n int) []float64 {
	means := make([]float64, len(values))
	sum := 0
	for i, v := range values {
		sum += v
		if i >= n {
			sum -= values[i-n]
		}
		means[i] = float64(sum) / float64(min(i+1, n))
	}
	return means
}
