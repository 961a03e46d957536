package jobs

import (
	"context"
	"time"

	"sumbi/queue"
)

// bookEvery is how often the account of a crawl is written down.
const bookEvery = 2 * time.Second

// booked is what of a lane's account is in the file already, and until when.
type booked struct {
	slots map[string]float64
	at    time.Time
}

// account writes down what became of the calls that the limit allowed while the run crawled. How many were made is in the
// books; the lane tells what others were lost to, and what nothing outside explains was lost by ourselves.
func (e *Engine) account(ctx context.Context, p *Pipeline, r queue.Run) error {
	at := e.Store.Now()
	if !r.Crawled.IsZero() {
		at = r.Crawled
	}
	last, begun := e.accounts[r.ID]
	now, limit := e.worker.Slots(p.Lane, at)
	switch {
	case limit <= 0, !begun && !at.After(e.began), !begun && e.closed[r.ID]:
		return nil
	case !begun && len(e.accounts) == 0:
		// While no run crawls nothing is booked, so all since then is this run's.
		last = booked{e.settled, r.Started}
		if e.began.After(last.at) {
			last.at = e.began
		}
	case !begun:
		last = booked{now, at}
	case r.Crawled.IsZero() && at.Sub(last.at) < bookEvery:
		return nil
	}
	if e.accounts == nil {
		e.accounts, e.closed = map[int64]booked{}, map[int64]bool{}
	}
	shared := len(e.accounts) > 1
	if e.accounts[r.ID] = (booked{now, at}); !r.Crawled.IsZero() {
		delete(e.accounts, r.ID)
		e.closed[r.ID] = true
	}
	if len(e.accounts) == 0 {
		e.settled = now
	}
	return e.Store.Tx(ctx, func(tx *queue.Tx) error {
		made, err := tx.UnbookedCalls(r.ID, p.Lane)
		if err != nil {
			return err
		}
		return tx.AddSlots(r.ID, p.Lane, split(last.slots, now, made, limit*at.Sub(last.at).Seconds(), shared))
	})
}

// split is a run's part of what has become of a lane's calls between two looks at its ledger: made of them are the run's own,
// and allowed were as many.
func split(before, now map[string]float64, made, allowed float64, shared bool) map[string]float64 {
	part := 1.0
	calls := now[queue.SlotCall] - before[queue.SlotCall]
	if shared && calls > 0 {
		part = min(made/calls, 1)
	}
	more := map[string]float64{queue.SlotCall: made}
	rest := allowed*part - made
	for what, n := range now {
		if what == queue.SlotCall {
			continue
		}
		more[what] = (n - before[what]) * part
		rest -= more[what]
	}
	// Calls are made when they leave and in the books when their answer is; in the end it adds up.
	more[queue.LostOwn] = rest
	return more
}
