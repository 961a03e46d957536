package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"sumbi/adapters"
	"sumbi/queue"
)

// What goes to a sink in one step: at most so many records, and no further one once they have so many bytes, because all are
// held in memory until the sink has them.
const (
	deliverSize  = 500
	deliverBytes = 8 << 20
)

// deliver tells a sink what is in its outbox. What changes meanwhile stays there and goes next time.
func (e *Engine) deliver(ctx context.Context, j queue.Job) (queue.Commit, error) {
	p, err := e.pipeline(j.Pipeline)
	if err != nil {
		return nil, err
	}
	var sink *Sink
	for i := range p.Sinks {
		if p.Sinks[i].Name == j.Lane {
			sink = &p.Sinks[i]
		}
	}
	if sink == nil {
		return nil, leftOver("pipeline %s no longer delivers to %s; drop its jobs", p.Name, j.Lane)
	}
	outs, err := e.Store.Outbox(ctx, sink.Name, deliverSize)
	if err != nil {
		return nil, err
	}
	if len(outs) == 0 {
		return delivered(sink.Name, nil), nil
	}
	var recs []adapters.Record
	for i, size := 0, 0; i < len(outs) && size < deliverBytes; i++ {
		rec, err := sink.Document(ctx, outs[i].Stream, outs[i].Key)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", outs[i].Stream, outs[i].Key, err)
		}
		recs = append(recs, rec)
		size += len(rec.Data)
	}
	outs = outs[:len(recs)] // the rest comes at once
	if err := sink.Sink.Write(ctx, batchName(j, recs), recs); err != nil {
		refused, ok := errors.AsType[refusal](err)
		if !ok {
			return nil, err
		}
		// The others are written. What the sink will never take stays in the file and is offered again when it changes.
		e.Log.Error("sink refused records", "pipeline", p.Name, "sink", sink.Name, "keys", refused.Keys(), "err", err)
		return func(tx *queue.Tx) error {
			if err := tx.Complain(err); err != nil {
				return err
			}
			return delivered(sink.Name, outs)(tx)
		}, nil
	}
	return delivered(sink.Name, outs), nil
}

// batchName names what a sink is told in one step: when the step is repeated the same records have the same name.
func batchName(j queue.Job, recs []adapters.Record) string {
	h := sha256.New()
	for _, r := range recs {
		fmt.Fprintf(h, "%q %q %d\n%s\n", r.Stream, r.Key, len(r.Data), r.Data)
	}
	return fmt.Sprintf("%s/%d/%x", j.Pipeline, j.ID, h.Sum(nil)[:8])
}

// refusal is an error of a sink that will never take some records, and has taken all others.
type refusal interface {
	error
	Keys() []string
}

func delivered(sink string, outs []queue.Out) queue.Commit {
	return func(tx *queue.Tx) error {
		left, err := tx.Delivered(sink, outs)
		if err == nil && left > 0 {
			tx.Again(0)
		}
		return err
	}
}
