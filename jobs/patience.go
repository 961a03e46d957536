package jobs

import (
	"context"
	"fmt"

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
	// What another process has met says nothing of this one, and what nobody was asked about since the run began may be over.
	o, away := e.worker.Away(p.Lane)
	if !away || e.Store.Now().Sub(o.Since) < p.Patience || o.Next.Before(r.Seeded) {
		return nil
	}
	walks, err := e.Store.OnlyRecords(ctx, r.ID, e.Store.Now().Add(-p.Patience), leaveChunk) // nor is it away where one was just read
	if err != nil || len(walks) == 0 {
		return err
	}
	if first, err := e.Store.First(ctx); err != nil || !first {
		return err // another machine does it
	}
	why := fmt.Sprintf("%s does not answer: %s", p.Lane, o.Reason)
	return e.Store.Tx(ctx, func(tx *queue.Tx) error {
		for _, w := range walks {
			w, err := tx.Walk(w.ID)
			if err != nil {
				return err
			}
			if w.State != queue.WalkWalking || w.Run != r.ID {
				continue
			}
			// One that is in flight says itself what came of it.
			if waits, err := tx.Discard(pageKey(w)); err != nil || !waits {
				if err != nil {
					return err
				}
				continue
			}
			cuts := w.Cuts
			leave(&w, why)
			w.Cuts = cuts // it was not asked for
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
