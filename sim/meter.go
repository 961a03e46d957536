package sim

import (
	"slices"
	"sync"
	"time"
)

// verdict is what a meter says to an arriving call.
type verdict int

const (
	pass verdict = iota
	tooFast
	usedUp
)

// remembered is how long arrivals are: calls are looked at later than they arrive, and not always in their order.
const remembered = 5 * time.Second

// meter counts the calls of one key of one upstream.
type meter struct {
	counted  []time.Time // arrivals that the limit looks at, the newest ones
	arrivals []time.Time // all arrivals, the newest ones
	worst    int
	used     int
	period   string
}

// arrive judges a call that arrived at now. period names the current quota period; a new one begins with an empty quota.
func (m *meter) arrive(now time.Time, perSecond, quota int, countRefused bool, period string) verdict {
	m.arrivals, _ = arrived(m.arrivals, now)
	m.worst = max(m.worst, busiest(m.arrivals, now))
	var i int
	m.counted, i = arrived(m.counted, now)
	if perSecond > 0 && busiest(m.counted, now) > perSecond {
		if !countRefused {
			m.counted = slices.Delete(m.counted, i, i+1)
		}
		return tooFast
	}
	if m.period != period {
		m.period, m.used = period, 0
	}
	if quota > 0 && m.used >= quota {
		m.counted = slices.Delete(m.counted, i, i+1)
		return usedUp
	}
	m.used++
	return pass
}

// arrived adds a call to the earlier ones, in the order of their arrival, and says where; what is long ago is dropped.
func arrived(ts []time.Time, at time.Time) ([]time.Time, int) {
	if old := after(ts, at.Add(-remembered)); old > len(ts)/2 {
		ts = ts[:copy(ts, ts[old:])]
	}
	i := after(ts, at)
	return slices.Insert(ts, i, at), i
}

// busiest is the most calls of any sliding second that the one at an instant belongs to.
func busiest(ts []time.Time, at time.Time) (most int) {
	for i := after(ts, at) - 1; i < len(ts) && ts[i].Sub(at) < time.Second; i++ {
		most = max(most, i+1-after(ts, ts[i].Add(-time.Second)))
	}
	return most
}

// after is the index of the first call after an instant.
func after(ts []time.Time, at time.Time) int {
	i, _ := slices.BinarySearchFunc(ts, at, func(t, at time.Time) int {
		if t.After(at) {
			return 1
		}
		return -1
	})
	return i
}

// meters holds one meter a key.
type meters struct {
	mu sync.Mutex
	m  map[string]*meter
}

// with calls f with the meter of a key while nobody else can touch it.
func (ms *meters) with(key string, f func(*meter)) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.m == nil {
		ms.m = map[string]*meter{}
	}
	if ms.m[key] == nil {
		ms.m[key] = &meter{}
	}
	f(ms.m[key])
}

// worst returns the most arrivals of any sliding second, by key.
func (ms *meters) worst() map[string]int {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	out := make(map[string]int, len(ms.m))
	for k, m := range ms.m {
		out[k] = m.worst
	}
	return out
}

// ResetQuotas gives every key its whole quota back.
func (s *Server) ResetQuotas() {
	s.meters.mu.Lock()
	defer s.meters.mu.Unlock()
	for _, m := range s.meters.m {
		m.used = 0
	}
}
