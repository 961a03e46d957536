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

// mostLooks is how many limits are tried for a wait that is as short as thought; then any wait is taken.
const mostLooks = 3

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
	return context.WithValue(ctx, permitKey{c}, p), func() { p.release(ctx, c) }, nil
}

func (p *permit) release(ctx context.Context, c *Client) {
	p.mu.Lock()
	s := p.slot
	p.slot = nil
	p.mu.Unlock()
	if s != nil {
		c.metrics.permit(c.upstream, permitReturned)
		s.limit.regime.giveBack(ctx, s)
	}
}

// admit returns the slot of the next request of ctx.
func (c *Client) admit(ctx context.Context) (*slot, error) {
	p, ok := ctx.Value(permitKey{c}).(*permit)
	if !ok {
		s, err := c.draw(ctx, c.limits, c.timeout)
		if err != nil {
			return nil, err
		}
		return s, c.stray(ctx, s.limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.slot; s != nil {
		p.slot = nil
		if !s.limit.barred() {
			p.bound = true
			return s, nil
		}
		c.metrics.permit(c.upstream, permitReturned)
		s.limit.regime.giveBack(ctx, s)
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
	return s, c.stray(ctx, s.limit)
}

func (c *Client) stray(ctx context.Context, l *Limit) error {
	if err := l.regime.stray(ctx); err != nil {
		return c.fail(&adapters.Error{Kind: adapters.Temporary, Err: err})
	}
	return nil
}

// draw takes a call from the limit that is free first; whoever came first is served first. A wait longer than patience, or
// beyond the deadline of ctx, is refused at once as Throttled unless patience is forever.
func (c *Client) draw(ctx context.Context, limits []*Limit, patience time.Duration) (*slot, error) {
	began := time.Now()
	s, err := c.stand(ctx, limits, patience)
	if err != nil {
		c.metrics.permit(c.upstream, permitRefused)
		return nil, err
	}
	c.metrics.permit(c.upstream, permitGranted)
	c.metrics.waited(c.upstream, time.Since(began))
	return s, nil
}

// stand is draw from the line's end to its head.
func (c *Client) stand(ctx context.Context, limits []*Limit, patience time.Duration) (*slot, error) {
	q := c.lineOf(limits)
	turn, ahead := q.join()
	defer q.leave(turn)
	if patience == forever {
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return c.take(ctx, limits, forever)
	}
	began := time.Now()
	giveUp := time.NewTimer(patience)
	defer giveUp.Stop()
	for mine := false; !mine; ahead = 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed := c.changed.listen() // before looking, so that no change is missed
		select {
		case <-turn:
			mine = true
			continue
		default:
		}
		best, a, _, err := c.look(ctx, limits)
		if err != nil {
			return nil, err
		}
		a.wait += behind(limits, ahead)
		if a.wait > patience-time.Since(began) || beyond(ctx, a.wait) {
			return nil, c.tooLong(best, a)
		}
		select {
		case <-turn:
			mine = true
		case <-changed:
		case <-giveUp.C:
			return nil, c.tooLong(best, a)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.take(ctx, limits, patience-time.Since(began))
}

// take is draw for the first in line.
func (c *Client) take(ctx context.Context, limits []*Limit, patience time.Duration) (*slot, error) {
	for tries := 1; ; tries++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed := c.changed.listen()
		best, a, next, err := c.look(ctx, limits)
		if err != nil {
			return nil, err
		}
		if a.wait == 0 || a.booking {
			most := patience
			if tries <= mostLooks {
				most = min(most, next)
			}
			if a, err = best.regime.ask(ctx, true, most); err != nil {
				return nil, c.failed(ctx, err)
			}
			if a.slot == nil && a.booking && most < patience {
				continue // another limit may be free before this one
			}
		}
		switch {
		case a.slot != nil:
			return a.slot, nil
		case a.wait == 0 || a.stopped:
			continue // somebody else was faster
		}
		if patience != forever && (a.wait > patience || beyond(ctx, a.wait)) {
			return nil, c.tooLong(best, a)
		}
		began := time.Now()
		held := a.reason != "" && len(limits) == len(c.limits)
		if held {
			c.held.start(began)
		}
		if a.again > 0 {
			a.wait = min(a.wait, a.again)
		}
		err = sleep(ctx, a.wait, changed)
		if held {
			c.held.stop(time.Now())
		}
		if err != nil {
			return nil, err
		}
		if patience != forever {
			patience -= time.Since(began)
		}
	}
}

// look returns the limit that is free first, and when the next one is.
func (c *Client) look(ctx context.Context, limits []*Limit) (*Limit, answer, time.Duration, error) {
	best, a, next, err := soonest(ctx, limits)
	switch {
	case err != nil:
		return nil, a, 0, c.failed(ctx, err)
	case best == nil:
		return nil, a, 0, c.allStopped(limits)
	}
	return best, a, next, nil
}

// failed classifies an error of the memory.
func (c *Client) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.fail(&adapters.Error{Kind: adapters.Temporary, Err: err})
}

// lineOf returns the line for one of limits. Clients that share a limit share its line.
func (c *Client) lineOf(limits []*Limit) *line {
	if len(limits) == 1 {
		return limits[0].line
	}
	return c.line
}

// behind is how long so many who came earlier will take.
func behind(limits []*Limit, ahead int) time.Duration {
	perSecond := 0.0
	for _, l := range limits {
		_, pace, stopped := l.rates()
		switch {
		case stopped:
		case pace == 0:
			return 0
		default:
			perSecond += pace
		}
	}
	if ahead == 0 || perSecond == 0 {
		return 0
	}
	return time.Duration(float64(ahead) / perSecond * float64(time.Second))
}

// soonest returns the limit with the least wait, nil when all are stopped, and the wait of the next one.
func soonest(ctx context.Context, limits []*Limit) (best *Limit, least answer, next time.Duration, err error) {
	next = forever
	for _, l := range limits {
		a, err := l.regime.ask(ctx, false, 0)
		switch {
		case err != nil:
			return nil, answer{}, 0, err
		case a.stopped:
		case best == nil || a.wait < least.wait:
			if best != nil {
				next = least.wait
			}
			best, least = l, a
		default:
			next = min(next, a.wait)
		}
	}
	return best, least, next, nil
}

func (c *Client) tooLong(l *Limit, a answer) error { return c.fail(tooLong(l, a)) }

func tooLong(l *Limit, a answer) *adapters.Error {
	reason := a.reason
	if reason == "" {
		reason = adapters.ReasonRate
	}
	return &adapters.Error{
		Kind: adapters.Throttled, After: a.wait, Reason: reason,
		Err: fmt.Errorf("limit %s is free in %s (%s)", l.o.Name, a.wait.Round(time.Millisecond), reason),
	}
}

func (c *Client) allStopped(limits []*Limit) error { return c.fail(allStopped(limits)) }

func allStopped(limits []*Limit) *adapters.Error {
	whys := make([]string, len(limits))
	for i, l := range limits {
		whys[i] = l.o.Name + ": " + l.stopCause()
	}
	return &adapters.Error{
		Kind: adapters.NeedsHuman, Reason: limits[0].info().Reason,
		Err: errors.New("stopped until the next start: " + strings.Join(whys, "; ")),
	}
}

func beyond(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < wait
}
