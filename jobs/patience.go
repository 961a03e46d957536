package jobs

import (
	"context"
	"fmt"
	"slices"

	"sumbi/queue"
)

// leaveChunk is how many lists one commit leaves.
const leaveChunk = 500

// leaveRecords leaves lists of records to a later run when nothing else of a run is to be read and their upstream has not answered
// for longer than the pipeline's patience: no target is to wait for them.
func (e *Engine) leaveRecords(ctx context.Context, p *Pipeline, r queue.Run) error {
	if p.Patience <= 0 || r.Seeded.IsZero() || !r.Crawled.IsZero() {
		return nil
	}
	outages, err := e.Store.Outages(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(outages, func(o queue.Outage) bool { return o.Upstream == p.Lane })
	if i < 0 || e.Store.Now().Sub(outages[i].Since) < p.Patience {
		return nil
	}
	walks, err := e.Store.OnlyRecords(ctx, r.ID, leaveChunk)
	if err != nil || len(walks) == 0 {
		return err
	}
	if first, err := e.Store.First(ctx); err != nil || !first {
		return err // another machine does it
	}
	why := fmt.Sprintf("%s does not answer: %s", p.Lane, outages[i].Reason)
	return e.Store.Tx(ctx, func(tx *queue.Tx) error {
		for _, w := range walks {
			// One that is in flight says itself what came of it.
			if waits, err := tx.Discard(pageKey(w)); err != nil || !waits {
				if err != nil {
					return err
				}
				continue
			}
			w, err := tx.Walk(w.ID)
			if err != nil {
				return err
			}
			leave(&w, why)
			if err := tx.Advance(&w); err != nil {
				return err
			}
			if err := p.walkEnded(tx, w); err != nil {
				return err
			}
		}
		return nil
	})
}
