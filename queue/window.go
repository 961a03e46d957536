package queue

import (
	"context"
	"sync"
)

const (
	firstWindow   = 64 // steps of a lane before any was stored
	mostUnwritten = 32 // answers of a machine that wait to be stored before nothing more is asked for
)

// unwritten counts the answers of a machine that wait to be stored.
type unwritten struct {
	mu    sync.Mutex
	n     int
	full  bool          // it has reached the bound and is not half empty again
	times int           // that it became full
	freed chan struct{} // closed when there is room again
}

// storing counts an answer; the function returned ends that.
func (u *unwritten) storing() (stored func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n++; u.n == mostUnwritten && !u.full {
		u.full, u.times, u.freed = true, u.times+1, make(chan struct{})
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.n--; u.full && u.n <= mostUnwritten/2 {
			u.full = false
			close(u.freed)
		}
	}
}

// state returns how often it was full, and until when it is; nil: it is not.
func (u *unwritten) state() (times int, freed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.full {
		freed = u.freed
	}
	return u.times, freed
}

// window bounds the steps of a lane in one machine, those that wait for a permit and those in flight, to what the database
// takes in: an answer that waits too long to be stored is asked, and paid, for again. It begins small, grows where that is not
// enough, and halves when answers pile up.
type window struct {
	unwritten *unwritten

	mu           sync.Mutex
	size, inside int
	times        int           // that answers had piled up, at the last look
	freed        chan struct{} // takes one when there may be room
}

func newWindow(u *unwritten) *window {
	return &window{unwritten: u, size: firstWindow, freed: make(chan struct{}, 1)}
}

// enter waits for a place; false: ctx has ended before.
func (w *window) enter(ctx context.Context) bool {
	for {
		times, full := w.unwritten.state()
		if full != nil {
			select {
			case <-full:
				continue
			case <-ctx.Done():
				return false
			}
		}
		if w.take(times) {
			return true
		}
		select {
		case <-w.freed:
		case <-ctx.Done():
			return false
		}
	}
}

// take takes a place when there is one.
func (w *window) take(times int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if times > w.times {
		w.size, w.times = max(firstWindow, w.size/2), times
	}
	if w.inside >= w.size {
		return false
	}
	w.inside++
	w.wake() // there may be room for another one
	return true
}

// leave gives a place back. stored says that a step has ended in it.
func (w *window) leave(stored bool) {
	_, full := w.unwritten.state()
	w.mu.Lock()
	defer w.mu.Unlock()
	if stored && full == nil && w.inside >= w.size/2 {
		w.size++
	}
	w.inside--
	w.wake()
}

func (w *window) wake() {
	if w.inside < w.size {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
}
