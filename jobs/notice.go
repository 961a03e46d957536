package jobs

import (
	"context"
	"fmt"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// How a person is told of trouble.
const (
	lookEvery = time.Minute      // between two looks at what stands
	gather    = 30 * time.Second // so long after its beginning at the earliest: what comes together is one message
	tellEvery = 10 * time.Minute // between two messages
	tellPause = time.Hour        // the longest pause after one that could not be sent
	tellFor   = 24 * time.Hour   // what could not be told for so long is given up

	longOutage = time.Hour // an upstream that is away for less is nobody's business
)

// tell tells of trouble until ctx ends. Trouble with the file is for others to report.
func (e *Engine) tell(ctx context.Context) {
	pause := lookEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		err := e.tellOnce(ctx, gather)
		switch {
		case err == nil:
			pause = lookEvery
		case ctx.Err() == nil:
			pause = min(2*pause, tellPause)
			e.Log.Warn("nobody could be told of trouble; it is tried again", "err", err, "pause", pause)
		}
	}
}

// tellOnce tells in one message what nobody was told of yet, unless all of it is younger than age. At age 0 it is the only
// chance, and taken.
func (e *Engine) tellOnce(ctx context.Context, age time.Duration) error {
	if first, err := e.Store.First(ctx); err != nil || !first {
		return err // another machine tells
	}
	stand, err := e.Store.Notices(ctx)
	if err != nil {
		return err
	}
	waits, err := e.waits(ctx)
	if err != nil {
		return err
	}
	stand = append(stand, waits...)
	untold, last, err := e.Store.KeepNotices(ctx, stand)
	if err != nil {
		return err
	}
	now := e.Store.Now()
	due := age == 0
	var news []adapters.Notice
	for _, n := range untold {
		old := now.Sub(n.At)
		if old < tellFor {
			news = append(news, n)
			due = due || old >= age
		}
	}
	if len(news) == 0 || !due || (age > 0 && now.Sub(last) < tellEvery) {
		return nil
	}
	if err := e.Notify(ctx, news); err != nil {
		return err
	}
	return e.Store.Tx(context.WithoutCancel(ctx), func(tx *queue.Tx) error { return tx.Told(news) })
}

// waits are the troubles that time or money makes: work that waits for a budget, upstreams that are away for long, and what of
// records cannot be read any more.
func (e *Engine) waits(ctx context.Context) (ns []adapters.Notice, err error) {
	budgets, err := BudgetWaits(ctx, e.Store)
	if err != nil {
		return nil, err
	}
	for _, b := range budgets {
		ns = append(ns, adapters.Notice{Key: "budget:" + b.Pipeline, Event: "budget", Pipeline: b.Pipeline, Text: b.Pipeline + " waits: " + b.Reason})
	}
	lists, err := e.Store.BrokenLists(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		ns = append(ns, BrokenLists(l))
	}
	outages, err := e.Store.Outages(ctx)
	for _, o := range outages {
		// One that nobody has asked for long, because no job needs it, may be back.
		if o.Next.Sub(o.Since) > longOutage && e.Store.Now().Sub(o.Next) < longOutage {
			ns = append(ns, adapters.Notice{Key: "outage:" + o.Upstream, Event: "outage", Text: o.Upstream + " has not answered for more than an hour: " + o.Reason})
		}
	}
	return ns, err
}

// BrokenLists is the trouble of lists of one record each most of which cannot be read any more.
func BrokenLists(l queue.RecordLists) adapters.Notice {
	return adapters.Notice{
		Key: "lists:" + l.Pipeline + ":" + l.List, Event: "gap", Pipeline: l.Pipeline,
		Text: fmt.Sprintf("the %s of %d of %d records of %s could not be read in several runs in a row: %s", l.List, l.Failing, l.Failing+l.Read, l.Pipeline, l.Note),
	}
}
