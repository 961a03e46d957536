package adapters

import (
	"context"
	"maps"
	"sync"
)

// A Meter counts the requests that one step of work made, by upstream. The engine puts it into the context of a
// handler and adds what it read to the books in the transaction that ends the step.
type Meter struct {
	mu     sync.Mutex
	calls  map[string]int
	booked []func()
}

type meterKey struct{}

// WithMeter returns a context that carries m.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// CountCall adds one request of upstream to the meter in ctx, if there is one.
func CountCall(ctx context.Context, upstream string) {
	m, ok := ctx.Value(meterKey{}).(*Meter)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = map[string]int{}
	}
	m.calls[upstream]++
}

// Calls returns the requests counted so far.
func (m *Meter) Calls() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.calls)
}

// WhenBooked runs f once what the meter in ctx has counted is in the books, or cannot come there any more. Without a meter
// f runs when ctx ends.
func WhenBooked(ctx context.Context, f func()) {
	m, ok := ctx.Value(meterKey{}).(*Meter)
	if !ok {
		context.AfterFunc(ctx, f)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.booked = append(m.booked, f)
}

// Booked runs what waits for the books. Whoever made the meter calls it at the end of the step, however that ends.
func (m *Meter) Booked() {
	m.mu.Lock()
	fs := m.booked
	m.booked = nil
	m.mu.Unlock()
	for _, f := range fs {
		f()
	}
}
