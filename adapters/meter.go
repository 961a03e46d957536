package adapters

import (
	"context"
	"maps"
	"sync"
)

// A Meter counts the requests that one step of work made, by upstream. The engine puts it into the context of a
// handler and adds what it read to the books in the transaction that ends the step.
type Meter struct {
	mu    sync.Mutex
	calls map[string]int
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
