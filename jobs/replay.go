package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sumbi/adapters"
	"sumbi/queue"
)

// Normaliser is what a Source may be besides: it reads the Raw of an earlier record again, as list showed it then, by what it
// knows today. It makes no request.
type Normaliser interface {
	Normalise(list string, raw json.RawMessage) (adapters.Record, error)
}

// Replayed is what a replay saw and did.
type Replayed struct {
	Looked  int            // records or mentions
	Changed int            // records whose data, or mentions whose state or place are others now
	Redone  int            // mentions whose place is the same, for another score or reason
	Left    map[string]int // what was left as it was, by why
}

func (r *Replayed) leave(why string) {
	if r.Left == nil {
		r.Left = map[string]int{}
	}
	r.Left[why]++
}

// Why something is left as it was.
const (
	leftNoRaw     = "no item was kept"
	leftDamaged   = "the kept item cannot be read"
	leftUnknown   = "the source cannot read kept items"
	leftOther     = "the kept item is read as another record now"
	leftWaiting   = "not matched yet, a run does it"
	leftByHand    = "decided by hand"
	leftSearches  = "not all of its searches are remembered"
	leftUnmatched = "its fields cannot be read"
)

// ReplayRecords reads the raw item of every record again, stores what comes out different, and lets the pipeline look at each
// record as after a page: new questions wait for a run, answers that are known become mentions at once. It calls nobody. To
// break it off and begin again does no harm. seen is told how far it is; it may be nil.
func (e *Engine) ReplayRecords(ctx context.Context, pipeline string, seen func(Replayed)) (Replayed, error) {
	var done Replayed
	p, err := e.pipeline(pipeline)
	if err != nil {
		return done, err
	}
	if p.Ask == nil {
		return done, fmt.Errorf("pipeline %s asks nobody about its records: there is nothing to replay", p.Name)
	}
	for after := int64(0); ; {
		recs, err := e.Store.RawRecords(ctx, p.Name, after, chunk)
		if err != nil || len(recs) == 0 {
			return done, err
		}
		after = recs[len(recs)-1].ID
		all, changed := make([]queue.Stored, len(recs)), []queue.Stored{}
		for i, r := range recs {
			now, err := e.renewed(ctx, p, r, &done)
			if err != nil {
				return done, err
			}
			all[i] = now
			if now.Changed {
				changed = append(changed, now)
			}
		}
		err = e.Store.Tx(ctx, func(tx *queue.Tx) error {
			for _, r := range changed {
				if err := tx.Renew(r); err != nil {
					return err
				}
			}
			if p.Saved == nil {
				return nil
			}
			return p.Saved(tx, all)
		})
		if err != nil {
			return done, err
		}
		done.Looked, done.Changed = done.Looked+len(recs), done.Changed+len(changed)
		if seen != nil {
			seen(done)
		}
	}
}

// renewed is a record as its raw item is read today.
func (e *Engine) renewed(ctx context.Context, p *Pipeline, r queue.RawRecord, done *Replayed) (queue.Stored, error) {
	st := r.Stored
	n, ok := p.Source.(Normaliser)
	switch {
	case !ok:
		done.leave(leftUnknown)
		return st, nil
	case r.Raw == nil:
		done.leave(leftNoRaw)
		return st, nil
	}
	raw, err := e.packer.Unpack(ctx, e.Store, r)
	if err != nil {
		if ctx.Err() != nil || queue.Fatal(err) {
			return st, err
		}
		e.Log.Warn("left as it was", "err", err)
		done.leave(leftDamaged)
		return st, nil
	}
	// What a record is may depend on the list that showed it. It is as it was if any of its lists still says so.
	var now *adapters.Record
	for _, list := range r.Lists {
		rec, err := n.Normalise(list, raw)
		switch {
		case err != nil:
			e.Log.Warn("left as it was", "record", r.Stream+" "+r.Key, "err", err)
			done.leave(leftDamaged)
			return st, nil
		case rec.Stream != r.Stream || rec.Key != r.Key:
			done.leave(leftOther)
			return st, nil
		case bytes.Equal(rec.Data, r.Data) && rec.Time.Equal(r.Time):
			return st, nil
		case now == nil:
			now = &rec
		}
	}
	if now != nil {
		st.Data, st.Time, st.Changed = now.Data, now.Time, true
	}
	return st, nil
}

// ReplayExtractions decides every mention of a pipeline again over the searches that are remembered. A mention whose searches
// are not all remembered keeps its decision. It calls nobody. To break it off and begin again does no harm. seen is told how
// far it is; it may be nil.
func (e *Engine) ReplayExtractions(ctx context.Context, pipeline string, seen func(Replayed)) (Replayed, error) {
	var done Replayed
	p, err := e.pipeline(pipeline)
	if err != nil {
		return done, err
	}
	if p.Find == nil {
		return done, fmt.Errorf("pipeline %s searches no places", p.Name)
	}
	for after := int64(0); ; {
		ms, err := e.Store.Mentions(ctx, p.Name, after, chunk)
		if err != nil || len(ms) == 0 {
			return done, err
		}
		after = ms[len(ms)-1].ID
		var anew []decision
		for _, m := range ms {
			d, differs, err := e.redecided(ctx, p.Find, m, &done)
			if err != nil {
				return done, err
			}
			if differs {
				anew = append(anew, d)
			}
		}
		done.Looked += len(ms)
		if len(anew) > 0 {
			err = e.Store.Tx(ctx, func(tx *queue.Tx) error {
				for _, d := range anew {
					if err := tx.Decide(d.m, d.place, p.Find.one()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return done, err
		}
		if seen != nil {
			seen(done)
		}
	}
}

type decision struct {
	m     queue.Mention
	place *queue.Place
}

// redecided decides a mention by what is remembered, and reports whether that differs from what was decided.
func (e *Engine) redecided(ctx context.Context, f *Find, m queue.Mention, done *Replayed) (d decision, differs bool, err error) {
	switch {
	case m.State == "waiting":
		done.leave(leftWaiting)
		return d, false, nil
	case m.Reason == errDropped.Error() || m.Label != 0:
		done.leave(leftByHand)
		return d, false, nil
	}
	mm, err := f.Mention(m)
	if err != nil {
		done.leave(leftUnmatched)
		return d, false, nil
	}
	s := matchStep{find: f, m: m, mm: mm}
	missing, _, err := s.recall(ctx, e)
	if err != nil {
		return d, false, err
	}
	if missing != nil {
		done.leave(leftSearches)
		return d, false, nil
	}
	d.m, d.place = s.choose()
	same := d.m.State == m.State
	if same && d.place != nil {
		if same, err = e.isPlace(ctx, f.one(), *d.place, m.Place); err != nil {
			return d, false, err
		}
	}
	switch {
	case !same:
		done.Changed++
	case d.m.Score != m.Score || d.m.Reason != m.Reason || (d.place != nil && d.place.ID != m.Found):
		done.Redone++
	default:
		return d, false, nil
	}
	return d, true, nil
}

// isPlace reports whether an entry is part of a place, or would be.
func (e *Engine) isPlace(ctx context.Context, one queue.One, entry queue.Place, place string) (bool, error) {
	of, err := e.Store.EntryOf(ctx, entry.ID)
	if err == nil || !errors.Is(err, queue.ErrNotFound) {
		return of == place, err
	}
	known, err := e.Store.PlaceRow(ctx, place)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil
	}
	return known.ID == entry.ID || one.Same(known, entry), err
}
