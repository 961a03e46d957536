package rest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"sumbi/adapters"
)

const forever = time.Duration(math.MaxInt64)

// permitKey is per client: a context may carry the permits of several upstreams.
type permitKey struct{ c *Client }

// permit is a slot on its way through a context.
type permit struct {
	mu    sync.Mutex
	limit *Limit // further requests stay with it
	slot  *slot  // nil once used or given back
	bound bool   // a request was made: the limit stays the same
}

// Permit waits for the credential that is free first and returns a context in which the first request of c goes without
// waiting; further ones draw from the same limit. The func gives the permit back when no request used it; it may be called
// at any time, also twice. The error is that of ctx, Temporary when the memory fails, or NeedsHuman when every
// credential is stopped.
func (c *Client) Permit(ctx context.Context) (context.Context, func(), error) {
	s, err := c.draw(ctx, c.limits, forever)
	if err != nil {
		return ctx, func() {}, err
	}
	p := &permit{limit: s.limit, slot: s}
	return context.WithValue(ctx, permitKey{c}, p), p.release, nil
}

func (p *permit) release() {
	p.mu.Lock()
	s := p.slot
	p.slot = nil
	p.mu.Unlock()
	if s != nil {
		s.limit.giveBack(s)
	}
}

// admit returns the limit under which the next request of ctx goes.
func (c *Client) admit(ctx context.Context) (*Limit, error) {
	p, ok := ctx.Value(permitKey{c}).(*permit)
	if !ok {
		s, err := c.draw(ctx, c.limits, c.timeout)
		if err != nil {
			return nil, err
		}
		return s.limit, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.slot; s != nil {
		p.slot = nil
		if !s.limit.barred() {
			p.bound = true
			return s.limit, nil
		}
		s.limit.giveBack(s)
	}
	among := c.limits
	if p.bound {
		among = []*Limit{p.limit}
	}
	s, err := c.draw(ctx, among, c.timeout)
	if err != nil {
		return nil, err
	}
	p.limit, p.bound = s.limit, true
	return s.limit, nil
}

// draw takes a call from the limit that is free first. A wait longer than patience, or beyond the deadline of ctx, is
// refused at once as Throttled unless patience is forever.
func (c *Client) draw(ctx context.Context, limits []*Limit, patience time.Duration) (*slot, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed := c.changed.listen() // before looking, so that no change is missed
		best, a, err := soonest(ctx, limits)
		if err == nil && best != nil && a.wait == 0 {
			a, err = best.ask(ctx, true)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, c.fail(&adapters.Error{Kind: adapters.Temporary, Err: err})
		case best == nil:
			return nil, c.allStopped(limits)
		case a.slot != nil:
			return a.slot, nil
		case a.wait == 0 || a.stopped:
			continue // somebody else was faster
		}
		if patience != forever && (a.wait > patience || beyond(ctx, a.wait)) {
			return nil, c.tooLong(best, a)
		}
		if err := sleep(ctx, a.wait, changed); err != nil {
			return nil, err
		}
	}
}

// soonest returns the limit with the least wait; nil when all are stopped.
func soonest(ctx context.Context, limits []*Limit) (*Limit, answer, error) {
	var best *Limit
	var least answer
	for _, l := range limits {
		a, err := l.ask(ctx, false)
		if err != nil {
			return nil, answer{}, err
		}
		if !a.stopped && (best == nil || a.wait < least.wait) {
			best, least = l, a
		}
	}
	return best, least, nil
}

func (c *Client) tooLong(l *Limit, a answer) error {
	reason := a.reason
	if reason == "" {
		reason = adapters.ReasonRate
	}
	return c.fail(&adapters.Error{
		Kind: adapters.Throttled, After: a.wait, Reason: reason,
		Err: fmt.Errorf("limit %s is free in %s (%s)", l.o.Name, a.wait.Round(time.Millisecond), reason),
	})
}

func (c *Client) allStopped(limits []*Limit) error {
	whys := make([]string, len(limits))
	for i, l := range limits {
		whys[i] = l.o.Name + ": " + l.stopCause()
	}
	return c.fail(&adapters.Error{
		Kind: adapters.NeedsHuman, Reason: limits[0].info().Reason,
		Err: errors.New("stopped until the next start: " + strings.Join(whys, "; ")),
	})
}

func beyond(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < wait
}

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
