package sim

import (
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

// meter counts the calls of one key of one upstream.
type meter struct {
	counted  []time.Time // arrivals that the limit looks at, of the last second
	arrivals []time.Time // all arrivals of the last second
	worst    int
	used     int
	period   string
}

// arrive judges a call that arrives now. period names the current quota period; a new one begins with an empty quota.
func (m *meter) arrive(now time.Time, perSecond, quota int, countRefused bool, period string) verdict {
	m.arrivals = append(lastSecond(m.arrivals, now), now)
	m.worst = max(m.worst, len(m.arrivals))
	m.counted = lastSecond(m.counted, now)
	if perSecond > 0 && len(m.counted) >= perSecond {
		if countRefused {
			m.counted = append(m.counted, now)
		}
		return tooFast
	}
	if m.period != period {
		m.period, m.used = period, 0
	}
	if quota > 0 && m.used >= quota {
		return usedUp
	}
	m.counted = append(m.counted, now)
	m.used++
	return pass
}

// lastSecond drops what is a second old or older.
func lastSecond(ts []time.Time, now time.Time) []time.Time {
	i := 0
	for i < len(ts) && now.Sub(ts[i]) >= time.Second {
		i++
	}
	return ts[:copy(ts, ts[i:])]
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
