package jobs

import (
	"context"

	"sumbi/queue"
)

// reroute lets mentions not wait for a finder whose quota is used up when another one may answer: the jobs in its lane go
// over to that one's. What only the first one can tell waits there.
func (e *Engine) reroute(ctx context.Context) error {
	for _, p := range e.Pipelines {
		if p.Find == nil || len(p.Find.Finders) < 2 {
			continue
		}
		to := e.free(p.Find)
		if to == "" {
			continue
		}
		for _, f := range p.Find.Finders {
			if f.Name() == to || !e.resting(f.Name()) {
				continue
			}
			if err := e.rerouteFrom(ctx, p, f.Name(), to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) rerouteFrom(ctx context.Context, p *Pipeline, from, to string) error {
	waits, err := e.Store.Waits(ctx, p.Name, queue.KindMatch, from)
	if err != nil || !waits {
		return err
	}
	moved := 0
	err = e.Store.Tx(ctx, func(tx *queue.Tx) (err error) {
		moved, err = tx.Reroute(p.Name, queue.KindMatch, from, to, chunk)
		return err
	})
	if err == nil {
		e.Log.Info("the other finder goes on alone", "pipeline", p.Name, "rests", from, "finder", to, "mentions", moved)
	}
	return err
}

// free returns the first finder that can be asked now; "" when there is none.
func (e *Engine) free(f *Find) string {
	stopped := e.worker.StoppedLanes()
	for _, x := range f.Finders {
		if !e.resting(x.Name()) && stopped[x.Name()] == "" {
			return x.Name()
		}
	}
	return ""
}
