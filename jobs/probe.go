package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// Counter is a Source that can tell by one cheap call how many records a target has; 0 when the upstream does not say.
// A Permanent error with the reason gone or private says why there are none.
type Counter interface {
	Count(ctx context.Context, target string) (int, error)
}

// Probed is what became of asking for counts.
type Probed struct {
	Requests int
	Counted  int
	Gone     []string
	Private  []string
	Failed   []string // that did not answer, or not with a count
}

// Unmeasured returns those of targets that have a list whose length neither an earlier walk nor the upstream's count tells,
// and that a run would walk whole.
func Unmeasured(k queue.Known, lists, targets []string) []string {
	told := map[string]int{}
	for _, w := range k.Walks {
		if w.Expected > 0 || w.Total > 0 {
			told[w.Target]++
		}
	}
	var out []string
	for _, t := range targets {
		if told[t] < len(lists) && k.Targets[t].Total == 0 {
			out = append(out, t)
		}
	}
	return out
}

// probeTries is how often a target is asked that does not answer.
const probeTries = 3

// Probe asks the pipeline's source for the counts of targets, at the pace of its lane, and keeps them for the next run. What
// was learnt before an error is kept.
func (e *Engine) Probe(ctx context.Context, p *Pipeline, targets []string) (Probed, error) {
	var out Probed
	counter, ok := p.Source.(Counter)
	if !ok {
		return out, fmt.Errorf("the source of pipeline %s cannot tell how long a list is", p.Name)
	}
	i := slices.IndexFunc(e.Lanes, func(l queue.Lane) bool { return l.Name == p.Lane })
	if i < 0 {
		return out, fmt.Errorf("pipeline %s has no lane %q", p.Name, p.Lane)
	}
	lane := e.Lanes[i]
	if e.Held != nil {
		if until, why := e.Held(lane.Name); until.After(e.Store.Now().Add(time.Minute)) {
			return out, fmt.Errorf("%s: %s until %s", lane.Name, why, until.Format("2006-01-02 15:04 MST"))
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(max(lane.Workers, 1), len(targets)) {
		wg.Go(func() {
			for t := range next {
				n, calls, err := e.probe(ctx, lane, counter, t)
				mu.Lock()
				out.Requests += calls
				mu.Unlock()
				c := adapters.Classify(err)
				if c != nil && (c.Reason == adapters.ReasonBudget || c.Kind == adapters.NeedsHuman || c.Kind == adapters.Unauthorized || c.Reason == adapters.ReasonQuota) {
					cancel(err)
					continue
				}
				if err == nil {
					err = e.Store.Tx(ctx, func(tx *queue.Tx) error { return tx.SeeCount(p.Name, t, n) })
					if err != nil {
						cancel(err)
						continue
					}
				}
				mu.Lock()
				switch {
				case err == nil && n > 0:
					out.Counted++
				case c != nil && c.Reason == adapters.ReasonGone:
					out.Gone = append(out.Gone, t)
				case c != nil && c.Reason == adapters.ReasonPrivate:
					out.Private = append(out.Private, t)
				default:
					out.Failed = append(out.Failed, t)
				}
				mu.Unlock()
			}
		})
	}
	for _, t := range targets {
		select {
		case next <- t:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	for _, l := range [][]string{out.Gone, out.Private, out.Failed} {
		slices.Sort(l)
	}
	return out, context.Cause(ctx)
}

// probe asks for one count, and books the requests outside any run. What may pass is asked again; the lane's gate knows when.
func (e *Engine) probe(ctx context.Context, l queue.Lane, c Counter, target string) (n, calls int, err error) {
	for range probeTries {
		meter := &adapters.Meter{}
		n, err = e.probeOnce(adapters.WithMeter(ctx, meter), l, c, target)
		waste := queue.Waste("")
		k := adapters.Classify(err)
		if k != nil && k.Kind != adapters.Permanent {
			waste = queue.WasteFailed
		}
		for _, m := range meter.Calls() {
			calls += m
		}
		berr := e.Store.Tx(context.WithoutCancel(ctx), func(tx *queue.Tx) error { return tx.BookCalls("", meter, waste) })
		meter.Booked()
		if berr != nil {
			return n, calls, errors.Join(err, berr)
		}
		if k == nil || ctx.Err() != nil || (k.Kind != adapters.Temporary && k.Kind != adapters.Throttled) || k.Reason == adapters.ReasonQuota || k.Reason == adapters.ReasonBudget {
			return n, calls, err
		}
	}
	return 0, calls, err
}

func (e *Engine) probeOnce(ctx context.Context, l queue.Lane, c Counter, target string) (int, error) {
	if err := e.affordCalls(ctx, "", l.Name, 1); err != nil {
		return 0, err
	}
	ctx, done, err := permitted(ctx, l)
	if err != nil {
		return 0, err
	}
	defer done()
	return c.Count(ctx, target)
}

// permitted waits until a lane may make a call, which must end before the lane's deadline. done comes behind the call.
func permitted(ctx context.Context, l queue.Lane) (_ context.Context, done func(), err error) {
	done = func() {}
	if l.Gate != nil {
		if ctx, done, err = l.Gate.Permit(ctx); err != nil {
			return nil, nil, err
		}
	}
	if l.Deadline <= 0 {
		return ctx, done, nil
	}
	release := done
	ctx, cancel := context.WithTimeout(ctx, l.Deadline)
	return ctx, func() { cancel(); release() }, nil
}
