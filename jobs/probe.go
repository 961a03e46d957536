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
	meter := &adapters.Meter{}
	ctx, cancel := context.WithCancelCause(adapters.WithMeter(ctx, meter))
	defer cancel(nil)
	next := make(chan string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(max(lane.Workers, 1), len(targets)) {
		wg.Go(func() {
			for t := range next {
				n, err := probe(ctx, lane, counter, t)
				c := adapters.Classify(err)
				if c != nil && (c.Kind == adapters.NeedsHuman || c.Kind == adapters.Unauthorized || c.Reason == adapters.ReasonQuota) {
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
	err := context.Cause(ctx)
	calls := meter.Calls()
	berr := e.Store.Tx(context.WithoutCancel(ctx), func(tx *queue.Tx) error {
		for up, n := range calls {
			out.Requests += n
			if err := tx.Book(p.Name, up, "request", int64(n), 0); err != nil {
				return err
			}
		}
		return nil
	})
	return out, errors.Join(err, berr)
}

// probe asks for one count. What may pass is asked again; the lane's gate knows when.
func probe(ctx context.Context, l queue.Lane, c Counter, target string) (n int, err error) {
	for range probeTries {
		n, err = probeOnce(ctx, l, c, target)
		if k := adapters.Classify(err); k == nil || ctx.Err() != nil || (k.Kind != adapters.Temporary && k.Kind != adapters.Throttled) || k.Reason == adapters.ReasonQuota {
			return n, err
		}
	}
	return 0, err
}

func probeOnce(ctx context.Context, l queue.Lane, c Counter, target string) (int, error) {
	if l.Gate != nil {
		permitted, release, err := l.Gate.Permit(ctx)
		if err != nil {
			return 0, err
		}
		defer release()
		ctx = permitted
	}
	if l.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.Deadline)
		defer cancel()
	}
	return c.Count(ctx, target)
}
