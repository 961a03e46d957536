package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// How often a walk bears with an upstream that does not get on before it ends unfinished.
const (
	maxEmpties  = 3 // pages in a row without a record, each naming a next one
	maxRepeats  = 3 // further askings of a page whose answer names itself as the next
	maxKnown    = 3 // pages in a row that this walk has seen already
	maxRestarts = 3 // returns to the first page because a cursor was refused
)

// pageCalls is how many requests a page may take: behind a refusal the profile is looked at, and at the head of a list the
// account is first asked for by its id.
func pageCalls(w queue.Walk, whom queue.Target) int64 {
	if w.Cursor == "" && whom.ID != "" && whom.Name == "" {
		return 3
	}
	return 2
}

type pageArgs struct {
	Walk int64 `json:"walk"`
}

func pageKey(w queue.Walk) string { return "page:" + w.Pipeline + ":" + w.Target + ":" + w.List }

func (p *Pipeline) pageJob(w queue.Walk, priority int) queue.Job {
	return queue.Job{Pipeline: p.Name, Lane: p.Lane, Kind: queue.KindPage, Key: pageKey(w), Args: args(pageArgs{w.ID}), Priority: priority}
}

// page fetches one page of a walk.
func (e *Engine) page(ctx context.Context, j queue.Job) (queue.Commit, error) {
	p, err := e.pipeline(j.Pipeline)
	if err != nil {
		return nil, err
	}
	a, err := readArgs[pageArgs](j)
	if err != nil {
		return nil, err
	}
	w, err := e.Store.Walk(ctx, a.Walk)
	if err != nil {
		return nil, err
	}
	// A dead page that was given new life goes on in the walk that it left unfinished.
	if w.State == queue.WalkUnfinished {
		w.State = queue.WalkWalking
	}
	if w.State != queue.WalkWalking {
		return nil, nil
	}
	whom, err := e.Store.Target(ctx, w.Pipeline, w.Target)
	if err != nil {
		return nil, err
	}
	if err := e.affordCalls(ctx, p.Name, p.Lane, pageCalls(w, whom)); err != nil {
		return nil, err
	}
	q := adapters.Query{Target: w.Target, ID: whom.ID, ByID: whom.Name != "", Cursor: w.Cursor, Since: w.Mark}
	q.List, q.Of = w.Of()
	s, why, err := e.session(ctx, p, j, w, &q)
	if err != nil {
		return nil, err
	}
	if why != "" {
		leave(&w, why)
		return p.ended(w), nil
	}
	start := time.Now()
	pg, err := p.Source.Fetch(ctx, q)
	if err != nil {
		commit, err := e.pageFailed(p, w, s, pg.Credential, err)
		return e.settle(ctx, j, s, pg.Credential, commit, err)
	}
	took := time.Since(start)
	packed, err := e.packer.Pack(ctx, e.Store, pg.Records)
	for _, d := range e.packer.Damaged() {
		e.Log.Warn("items that were kept earlier cannot be read any more; the crawl goes on, what it keeps now can be", "err", d)
	}
	if err != nil {
		return e.settle(ctx, j, s, pg.Credential, nil, err)
	}
	return func(tx *queue.Tx) error {
		if err := s.keep(tx, pg.Credential); err != nil {
			return err
		}
		all, err := tx.PutPacked(w, packed)
		if err != nil {
			return err
		}
		known, err := tx.Target(w.Pipeline, w.Target)
		if err != nil {
			return err
		}
		if q.Of == "" { // what belongs to a record says nothing about the target
			if err := tx.SeeTarget(w.Pipeline, w.Target, pg.Total); err != nil {
				return err
			}
		}
		if err := nameTarget(tx, w, known, pg); err != nil {
			return err
		}
		turn(&w, pg, all)
		if err := tx.Advance(&w); err != nil {
			return err
		}
		if p.Saved != nil {
			if err := p.Saved(tx, all); err != nil {
				return err
			}
		}
		if known.Total == 0 && pg.Total > 0 {
			if err := p.recount(tx, w, pg.Total); err != nil {
				return err
			}
		}
		fresh, changed := 0, 0
		for _, r := range all {
			switch {
			case q.Of != "": // it belongs to a post and is none
			case r.New:
				fresh++
			case r.Changed:
				changed++
			}
		}
		// The figures of the run are everybody's, so they are held for as short as can be.
		if err := tx.Count(w.Run, 1, fresh, changed, took); err != nil {
			return err
		}
		return p.goOn(tx, w, cmp.Or(pg.Total, known.Total))
	}, nil
}

// nameTarget keeps by which id the upstream knows a target, and under which name it goes when it was renamed.
func nameTarget(tx *queue.Tx, w queue.Walk, known queue.Target, pg adapters.Page) error {
	name := pg.Name
	switch {
	case name == w.Target:
		name = ""
	case name == pg.ID && known.Name != "": // this page does not say the name
		name = known.Name
	}
	if pg.ID == "" || pg.Name == "" || (pg.ID == known.ID && name == known.Name) {
		return nil
	}
	return tx.NameTarget(w.Pipeline, w.Target, pg.ID, name)
}

// turn moves a walk by one page. all are the page's records as the file knows them. A walk ends cleanly when the upstream
// has no more, or when no unpinned record of the page is new to the list and none is newer than the mark. New is what no walk that
// ended cleanly has shown: a walk that was cut in the middle has seen the top of the list, but not what lies below.
func turn(w *queue.Walk, pg adapters.Page, all []queue.Stored) {
	w.Pages++
	w.Rest = time.Time{}
	unpinned, fresh, seen := 0, false, true
	newest := pg.Newest
	for _, r := range all {
		seen = seen && r.Again
		if r.Pinned {
			continue
		}
		unpinned++
		fresh = fresh || r.Here
		w.LastKey = r.Key
		if r.Time.After(newest) {
			newest = r.Time
		}
		if w.Oldest.IsZero() || r.Time.Before(w.Oldest) {
			w.Oldest = r.Time
		}
	}
	if newest.After(w.Newest) {
		w.Newest = newest
	}
	asked := w.Cursor
	w.Cursor = pg.Next
	switch {
	// Nothing at all of a list that had something: perhaps nobody looked. Twice is what it is.
	case pg.Next == "" && w.LastKey == "" && len(all) == 0 && !w.Mark.IsZero():
		if w.EndKey == nothing {
			w.State, w.Cursor, w.Note, w.Cuts, w.EndKey = queue.WalkIdle, "", "", 0, ""
			return
		}
		leave(w, "the upstream shows nothing of a list that had something")
		w.EndKey = nothing
		return
	case pg.Next == "":
		w.EndKey = ""
		end(w)
		return
	// A page of nothing but pins says nothing about what is behind it.
	case unpinned > 0 && !w.Whole && !w.Mark.IsZero() && !fresh && !newest.After(w.Mark):
		w.EndKey = ""
		end(w)
		return
	case pg.Next == asked:
		if w.Repeats++; w.Repeats > maxRepeats {
			leave(w, "the upstream names the same page as the next one again and again")
		}
		return
	case len(all) == 0:
		w.Repeats = 0
		if w.Empties++; w.Empties < maxEmpties {
			return
		}
		// Twice at the same place is the end of the list; once may be a hiccup.
		here := "after " + w.LastKey
		if w.EndKey == here {
			end(w)
			return
		}
		leave(w, "three empty pages in a row")
		w.EndKey = here
		return
	}
	w.Repeats, w.Empties = 0, 0
	if !seen {
		w.Known = min(w.Known, 0)
		return
	}
	if w.Known++; w.Known >= maxKnown {
		leave(w, "the upstream shows pages of this walk again")
	}
}

// nothing is where a walk ended that saw no record.
const nothing = "before everything"

// end closes a walk that has seen everything: only here the mark moves.
func end(w *queue.Walk) {
	if w.Mark.IsZero() || w.Whole {
		w.Expected = w.Pages
	}
	if w.Newest.After(w.Mark) {
		w.Mark = w.Newest
	}
	w.State, w.Cursor, w.Note, w.Clean = queue.WalkIdle, "", "", w.Run
	w.Cuts = 0
}

// leave closes a walk that has not seen everything. The mark stays, so that the next walk comes by again.
func leave(w *queue.Walk, why string) {
	w.State, w.Note, w.EndKey = queue.WalkUnfinished, why, ""
	w.Cuts++
}

// addPage adds the next page of a walk, with the priority of what is known of its target.
func (p *Pipeline) addPage(tx *queue.Tx, w queue.Walk) (added bool, err error) {
	known, err := tx.Target(w.Pipeline, w.Target)
	if err != nil {
		return false, err
	}
	return tx.Add(p.pageJob(w, p.left(w, known.Total)))
}

// goOn adds the next page of a walk that goes on, and notes the end of the crawl when it was the last.
func (p *Pipeline) goOn(tx *queue.Tx, w queue.Walk, total int) error {
	if w.State == queue.WalkWalking {
		added, err := tx.Add(p.pageJob(w, p.left(w, total)))
		if err == nil && !added {
			err = fmt.Errorf("walk %s %s has a page job already", w.Target, w.List)
		}
		return err
	}
	return p.walkEnded(tx, w)
}

// ended writes that a walk has ended, and what follows from it.
func (p *Pipeline) ended(w queue.Walk) queue.Commit {
	return func(tx *queue.Tx) error {
		if err := tx.Advance(&w); err != nil {
			return err
		}
		return p.walkEnded(tx, w)
	}
}

// walkEnded ends the crawl of the run when it was the last walk. A walk that ended cleanly leaves nothing of earlier failures to be
// done.
func (p *Pipeline) walkEnded(tx *queue.Tx, w queue.Walk) error {
	if w.State == queue.WalkIdle {
		if err := tx.DropDead(pageKey(w)); err != nil {
			return err
		}
		if _, record := w.Of(); record == "" {
			if err := p.lookBack(tx, w); err != nil {
				return err
			}
		}
	}
	if p.Ended != nil {
		if err := p.Ended(tx, w); err != nil {
			return err
		}
	}
	return p.crawled(tx, w.Run)
}

// crawled lets the batch go when every walk of a run has ended, and none is to begin.
func (p *Pipeline) crawled(tx *queue.Tx, run int64) error {
	crawled, err := tx.CrawledRun(run)
	if err != nil || !crawled {
		return err
	}
	return tx.Hurry(formKey(p.Name))
}

// pageFailed decides what a refusal means for the walk; what the engine decides passes through.
func (e *Engine) pageFailed(p *Pipeline, w queue.Walk, s *session, renewed *adapters.Credential, err error) (queue.Commit, error) {
	c := adapters.Classify(err)
	switch {
	case s.used && c.Kind == adapters.NeedsHuman && c.Reason == adapters.ReasonLogin:
		// It concerns this target alone, whose lists end here.
		e.Log.Error("a log-in is not accepted any more", "pipeline", p.Name, "target", w.Target, "err", err)
		leave(&w, err.Error())
		return func(tx *queue.Tx) error {
			tx.InVain(queue.WasteFailed)
			if err := s.bury(tx, renewed, w.Note); err != nil {
				return err
			}
			return p.ended(w)(tx)
		}, nil
	case s.used && c.Kind == adapters.Unauthorized:
		// It was the target's own log-in that was refused: that is no trouble of the upstream's, and it is not asked for ever.
		return nil, &adapters.Error{Kind: adapters.Temporary, Reason: c.Reason, After: c.After, Err: err}
	case c.Kind == adapters.Temporary && p.Patience > 0 && c.After > p.Patience:
		leave(&w, err.Error())
		w.Rest = e.Store.Now().Add(c.After)
		return func(tx *queue.Tx) error {
			tx.InVain(queue.WasteFailed)
			return p.ended(w)(tx)
		}, nil
	case c.Kind != adapters.Permanent:
		return nil, err
	case c.Reason == adapters.ReasonCursor || (w.Cursor != "" && c.Reason == adapters.ReasonGone):
		w.Cursor, w.Note = "", "began again: "+err.Error()
		// Going back shows pages of this walk again; that is no sign of a loop.
		w.Known, w.Repeats, w.Empties = -w.Pages, 0, 0
		if w.Restarts++; w.Restarts > maxRestarts {
			leave(&w, "the upstream refuses its own page tokens: "+err.Error())
		}
		return func(tx *queue.Tx) error {
			tx.InVain(queue.WasteFailed)
			if err := tx.Advance(&w); err != nil {
				return err
			}
			known, err := tx.Target(w.Pipeline, w.Target)
			if err != nil {
				return err
			}
			return p.goOn(tx, w, known.Total)
		}, nil
	case c.Reason == adapters.ReasonGone || c.Reason == adapters.ReasonPrivate:
		w.State, w.Cursor, w.Note, w.EndKey = queue.WalkGone, "", err.Error(), ""
		if c.Reason == adapters.ReasonPrivate {
			w.State = queue.WalkPrivate
			if _, record := w.Of(); record != "" { // the target shows itself, and yet this could not be read
				w.Cuts++
			}
		}
		return func(tx *queue.Tx) error {
			if _, record := w.Of(); record == "" {
				if err := tx.MissTarget(w, w.State, err.Error()); err != nil {
					return err
				}
			}
			return p.ended(w)(tx)
		}, nil
	}
	return nil, err
}

// pageBuried leaves the walk of a dead page unfinished, so that its run can end and the next one comes by again.
func (p *Pipeline) pageBuried(tx *queue.Tx, j queue.Job, cause error) error {
	a, err := readArgs[pageArgs](j)
	if err != nil {
		return nil
	}
	w, err := tx.Walk(a.Walk)
	if errors.Is(err, queue.ErrNotFound) || (err == nil && w.State != queue.WalkWalking) {
		return nil
	}
	if err != nil {
		return err
	}
	leave(&w, "a page could not be had: "+cause.Error())
	if _, record := w.Of(); record != "" { // one of many, and a later run asks again: the note says all that a dead job would
		if err := tx.DropDead(j.Key); err != nil {
			return err
		}
	}
	return p.ended(w)(tx)
}
