package web

import (
	"context"
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
