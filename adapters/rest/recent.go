package rest

import (
	"sync"
	"time"
)

// recentSeconds is for how many seconds a client remembers how many requests left in each.
const recentSeconds = 300

// recent counts requests by the second in which they left.
type recent struct {
	mu     sync.Mutex
	newest int64 // the second that was counted last, since 1970
	counts [recentSeconds + 1]int
}

// move makes the second of now the newest one and forgets those that it pushes out. The caller holds mu.
func (r *recent) move(now time.Time) {
	second := now.Unix()
	for r.newest = max(r.newest, second-int64(len(r.counts))); r.newest < second; {
		r.newest++
		r.counts[r.newest%int64(len(r.counts))] = 0
	}
}

func (r *recent) count(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.move(now)
	r.counts[r.newest%int64(len(r.counts))]++
}

func (r *recent) read(now time.Time) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.move(now)
	all := make([]int, recentSeconds)
	for i := range all {
		all[i] = r.counts[(r.newest+int64(i)+1)%int64(len(r.counts))]
	}
	return all
}

// Recent returns how many requests left in each of the last 300 whole seconds, the oldest first.
func (c *Client) Recent() []int { return c.recent.read(time.Now()) }

// Upstream is the name of the upstream.
func (c *Client) Upstream() string { return c.upstream }
