package jobs

import (
	"context"

	"sumbi/queue"
)

// reroute lets mentions not wait for a finder whose quota is used up when another one may answer: their jobs go over to its
// lane. What only the first one can tell waits there.
func (e *Engine) reroute(ctx context.Context) error {
	for _, p := range e.Pipelines {
		if p.Find == nil || len(p.Find.Finders) < 2 || !e.resting(p.Find.Lane) {
			continue
		}
		to := e.free(p.Find)
		if to == "" {
			continue
		}
		waits, err := e.Store.Waits(ctx, p.Name, queue.KindMatch, p.Find.Lane)
		if err != nil {
			return err
		}
		if !waits {
			continue
		}
		moved := 0
		err = e.Store.Tx(ctx, func(tx *queue.Tx) (err error) {
			moved, err = tx.Reroute(p.Name, queue.KindMatch, p.Find.Lane, to, chunk)
			return err
		})
		if err != nil {
			return err
		}
		e.Log.Info("the other finder goes on alone", "pipeline", p.Name, "rests", p.Find.Lane, "finder", to, "mentions", moved)
	}
	return nil
}

// free returns a finder that can be asked now; "" when there is none.
func (e *Engine) free(f *Find) string {
	stopped := e.worker.StoppedLanes()
	for _, x := range f.Finders {
		if x.Name() != f.Lane && !e.resting(x.Name()) && stopped[x.Name()] == "" {
			return x.Name()
		}
	}
	return ""
}
