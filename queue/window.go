package queue

import (
	"context"
	"sync"
)

const (
	firstWindow   = 64 // steps in flight of a machine that has stored nothing yet
	mostUnwritten = 32 // answers that wait to be stored before nothing more is asked for
)

// window bounds the steps in flight of one machine to what the database takes in: an answer that waits too long to be stored
// is asked, and paid, for again. It begins small and grows with each step that did not have to wait.
type window struct {
	turn chan struct{} // one waits for room, the others for their turn

	mu                      sync.Mutex
	size, flying, unwritten int
	freed                   chan struct{} // closed when there may be room
}

func newWindow() *window {
	return &window{turn: make(chan struct{}, 1), size: firstWindow, freed: make(chan struct{})}
}

// enter takes a place when there is one.
func (w *window) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.room() {
		return false
	}
	w.flying++
	return true
}

func (w *window) room() bool { return w.flying < w.size && w.unwritten < mostUnwritten }

// leave gives a place back, after a step or because there was none.
func (w *window) leave(step bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	if step && w.unwritten < mostUnwritten/2 {
		w.size++
	}
	w.wake()
}

// storing counts an answer that waits to be stored; the function returned ends that.
func (w *window) storing() (stored func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unwritten++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unwritten--
		w.wake()
	}
}

func (w *window) wake() {
	if w.room() {
		close(w.freed)
		w.freed = make(chan struct{})
	}
}

// wait returns true once there is room, false when ctx ends before.
func (w *window) wait(ctx context.Context) bool {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return false
	}
	for {
		w.mu.Lock()
		room, freed := w.room(), w.freed
		w.mu.Unlock()
		if room {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}
