package rest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// sleep waits for d, or until changed is closed.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bell wakes everybody who listens.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBell() *bell { return &bell{ch: make(chan struct{})} }

func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

// line lets those who wait for a call go one after the other. Only the first looks at the clock; a crowd that wakes for
// each call would cost more with every one who waits.
type line struct {
	mu      sync.Mutex
	taken   bool // somebody is first
	waiting []chan struct{}
}

// join returns a channel that is closed when it is the caller's turn, and how many are ahead. Whoever joins leaves.
func (q *line) join() (turn chan struct{}, ahead int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	turn = make(chan struct{})
	if !q.taken {
		q.taken = true
		close(turn)
		return turn, 0
	}
	q.waiting = append(q.waiting, turn)
	return turn, len(q.waiting)
}

// leave gives the turn to the next, or the place up.
func (q *line) leave(turn chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-turn:
		if len(q.waiting) == 0 {
			q.taken = false
			return
		}
		close(q.waiting[0])
		q.waiting = slices.Delete(q.waiting, 0, 1)
	default:
		if i := slices.Index(q.waiting, turn); i >= 0 {
			q.waiting = slices.Delete(q.waiting, i, i+1)
		}
	}
}

// stopwatch adds up the time between start and stop.
type stopwatch struct {
	mu    sync.Mutex
	since time.Time // zero while it stands
	total time.Duration
}

func (s *stopwatch) start(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}

func (s *stopwatch) stop(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		s.total += now.Sub(s.since)
		s.since = time.Time{}
	}
}

func (s *stopwatch) read(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return s.total
	}
	return s.total + now.Sub(s.since)
}
