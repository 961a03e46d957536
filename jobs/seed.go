package jobs

import (
	"context"
	"maps"
	"slices"
	"time"

	"sumbi/queue"
)

// goneRuns is how many runs in a row must find an account gone before only runs over whole lists ask for it again:
// scrapers say "not found" when they are blocked, too.
const goneRuns = 3

// goneAgain is how long one that is gone is left alone by a pipeline every run of which is over whole lists.
const goneAgain = 24 * time.Hour

// seedChunk is how many accounts one commit sets going.
const seedChunk = 500

// seed gives every list of every account its walk. It can be repeated at any point.
func (e *Engine) seed(ctx context.Context, p *Pipeline, r queue.Run) error {
	targets, err := r.Targets, error(nil)
	switch {
	case !r.Seeded.IsZero():
	case len(targets) == 0:
		targets, err = p.Targets()
	case p.logsIn(): // people name a user by the name that he goes by now
		targets, err = Users(ctx, e.Store, p.Name, targets)()
	}
	if err != nil {
		return err
	}
	err = e.Store.Tx(ctx, func(tx *queue.Tx) error {
		sc, err := tx.Schedule(p.Name)
		if err != nil {
			return err
		}
		if p.Whole && !r.Whole {
			r.Whole = true
			if err := tx.WholeRun(r.ID); err != nil {
				return err
			}
		}
		if r.State == queue.RunAsked && r.Seeded.IsZero() && len(r.Targets) == 0 && !sc.Full.IsZero() && !sc.Full.After(tx.Now()) {
			r.Whole = true
			sc.Full = tx.Now().Add(p.FullEvery)
			if err := tx.SetSchedule(sc); err != nil {
				return err
			}
			if err := tx.WholeRun(r.ID); err != nil {
				return err
			}
		}
		if sc.Full.IsZero() && p.FullEvery > 0 {
			sc.Full = tx.Now().Add(p.FullEvery)
			if err := tx.SetSchedule(sc); err != nil {
				return err
			}
		}
		if p.Find != nil {
			if err := tx.ForgetSearches(slices.Max(append(slices.Collect(maps.Values(p.Find.Cache)), 0))); err != nil {
				return err
			}
		}
		return tx.StartRun(r.ID)
	})
	if err != nil {
		return err
	}
	if r.Seeded.IsZero() {
		for part := range slices.Chunk(targets, seedChunk) {
			if err := e.seedPart(ctx, p, r, part); err != nil {
				return err
			}
		}
	}
	return e.Store.Tx(ctx, func(tx *queue.Tx) error {
		// A walk under way without its job can only be the work of a hand in the file; it goes on all the same.
		lost, err := tx.Orphans(r.ID, pageKey)
		if err != nil {
			return err
		}
		for _, w := range lost {
			if _, err := p.addPage(tx, w); err != nil {
				return err
			}
		}
		if p.Ask != nil {
			more, err := tx.AnyWaiting(p.Name)
			if err != nil {
				return err
			}
			if more {
				if err := WantBatch(tx, p.Name); err != nil {
					return err
				}
			}
		}
		if err := tx.SeedRun(r.ID); err != nil {
			return err
		}
		return p.crawled(tx, r.ID)
	})
}

func (e *Engine) seedPart(ctx context.Context, p *Pipeline, r queue.Run, targets []string) error {
	return e.Store.Tx(ctx, func(tx *queue.Tx) error {
		for _, t := range targets {
			known, err := tx.Target(p.Name, t)
			if err != nil {
				return err
			}
			named, full := len(r.Targets) > 0, r.Whole && !p.Whole
			if known.State == queue.WalkGone && known.Misses >= goneRuns && !full && !named && (!p.Whole || within(tx.Now().Sub(known.Tried), goneAgain)) {
				continue
			}
			if !named && !full && within(tx.Now().Sub(known.Tried), p.Pause) {
				continue
			}
			if why, err := p.loggedOut(tx, t); err != nil || why != "" {
				if err == nil {
					err = tx.NoteTarget(p.Name, t, why)
				}
				if err != nil {
					return err
				}
				continue
			}
			if p.Pause > 0 || p.logsIn() {
				if err := tx.TryTarget(p.Name, t); err != nil {
					return err
				}
			}
			walks, err := tx.Begin(r, t, p.Lists)
			if err != nil {
				return err
			}
			if len(walks) == 0 && p.Rested != nil {
				if err := p.Rested(tx, r, t); err != nil {
					return err
				}
			}
			for _, w := range walks {
				if _, err := tx.Add(p.pageJob(w, p.left(w, known.Total))); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// within reports whether less than d has gone by since an instant, which was in the past: one of a clock that was ahead counts for
// nothing.
func within(since, d time.Duration) bool { return since >= 0 && since < d }
