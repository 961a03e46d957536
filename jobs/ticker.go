package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sumbi/queue"
)

// beat is how often the ticker looks at the open runs; a commit makes it look at once. While there is none it looks when a
// schedule says so, and every minute.
const beat = time.Second

// longHold is how far a used-up quota may reach before a run that somebody waits for ends instead.
const longHold = 24 * time.Hour

// StoppedError says that a run cannot go on without a person. What was done stays done; the next run goes on from there.
type StoppedError struct{ Reason string }

func (e *StoppedError) Error() string { return e.Reason }

// Serve drains the file and runs the pipelines by their schedules until ctx ends.
func (e *Engine) Serve(ctx context.Context) error {
	return e.drain(ctx, func(ctx context.Context) error {
		if e.Notify == nil {
			return e.tick(ctx, true, 0)
		}
		ctx, cancel := context.WithCancel(ctx)
		told := make(chan struct{})
		go func() {
			defer close(told)
			e.tell(ctx)
		}()
		defer func() {
			cancel()
			<-told
		}()
		return e.tick(ctx, true, 0)
	})
}

// RunOnce drains the file until run id has ended, and returns it. It asks nobody's schedule. At its end it tells what
// nobody was told of yet.
func (e *Engine) RunOnce(ctx context.Context, id int64) (queue.Run, error) {
	err := e.drain(ctx, func(ctx context.Context) error { return e.tick(ctx, false, id) })
	if e.Notify != nil && ctx.Err() == nil && !queue.Fatal(err) {
		if terr := e.tellOnce(ctx, 0); terr != nil {
			e.Log.Warn("nobody could be told of trouble; the next run tries again", "err", terr)
		}
	}
	r, rerr := e.Store.Run(context.WithoutCancel(ctx), id)
	return r, errors.Join(err, rerr)
}

// drain works while f does. An end of f ends the work in order.
func (e *Engine) drain(ctx context.Context, f func(context.Context) error) error {
	e.Store.Buried = e.buried
	e.accounts, e.closed, e.settled, e.began = nil, nil, nil, e.Store.Now()
	e.tries = nil // whoever starts anew wants stopped runs tried at once
	if err := errors.Join(e.addSinks(ctx), e.tidy(ctx)); err != nil {
		if ctx.Err() != nil && !queue.Fatal(err) {
			return nil
		}
		return err
	}
	e.worker = &queue.Worker{Store: e.Store, Lanes: e.Lanes, Handlers: e.handlers(), Log: e.Log, Grace: e.Grace}
	e.pulse.begin(e.worker)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan error, 1)
	go func() {
		defer cancel()
		work <- e.worker.Run(ctx)
	}()
	err := f(ctx)
	ended := ctx.Err() != nil
	cancel()
	if werr := <-work; werr != nil {
		return werr
	}
	// An end in the middle of a look at the clock breaks off whatever it was just reading or writing.
	if _, stopped := errors.AsType[*StoppedError](err); ended && !stopped && !queue.Fatal(err) {
		return nil
	}
	return err
}

func (e *Engine) addSinks(ctx context.Context) error {
	for _, p := range e.Pipelines {
		sinks := map[string]string{}
		for _, s := range p.Sinks {
			sinks[s.Name] = s.Identity
		}
		err := e.Store.Tx(ctx, func(tx *queue.Tx) error {
			if err := tx.KeepSinks(p.Name, sinks); err != nil {
				return err
			}
			for _, s := range p.Sinks {
				fresh, err := tx.AddSink(p.Name, s.Name, s.Identity, s.Streams...)
				if err != nil {
					return err
				}
				if !fresh || p.Members == "" {
					continue
				}
				users, err := tx.Users(p.Name)
				if err != nil {
					return err
				}
				for _, u := range users { // they are no records
					if err := tx.Deliver(s.Name, p.Members, u, p.Name); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what pipelines keep for a time only.
func (e *Engine) tidy(ctx context.Context) error {
	for _, p := range e.Pipelines {
		if p.Tidy == nil {
			continue
		}
		if err := e.Store.Tx(ctx, p.Tidy); err != nil {
			return err
		}
	}
	return nil
}

// tick starts what is due, ends what is done, and returns when run only (if not 0) has ended or cannot go on.
func (e *Engine) tick(ctx context.Context, schedule bool, only int64) error {
	cleaned := e.Store.Now()
	defer e.pulse.rest()
	for {
		e.pulse.beat(0)
		if now := e.Store.Now(); now.Sub(cleaned) > 24*time.Hour {
			if err := errors.Join(e.Store.Clean(ctx), e.tidy(ctx)); err != nil && ctx.Err() == nil {
				return err
			}
			cleaned = now
		}
		changed := e.Store.Changed()
		next, err := e.round(ctx, schedule, only)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if only != 0 {
			r, err := e.Store.Run(ctx, only)
			if err != nil || r.State == queue.RunDone {
				return err
			}
			if r.State == queue.RunStopped {
				return &StoppedError{r.Note}
			}
		}
		e.pulse.beat(next)
		// A round a commit would be many; let them gather.
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(beat / 10):
			}
		case <-time.After(next):
		}
	}
}

// round looks once at the clock and at every open run, and says when to look again.
func (e *Engine) round(ctx context.Context, schedule bool, only int64) (next time.Duration, err error) {
	next = time.Minute
	if schedule {
		for _, p := range e.Pipelines {
			at, err := e.due(ctx, p)
			if err != nil {
				return beat, err
			}
			if !at.IsZero() {
				next = max(min(next, at.Sub(e.Store.Now())), time.Millisecond)
			}
		}
	}
	if err := e.resume(ctx); err != nil {
		return beat, err
	}
	if err := e.reroute(ctx); err != nil {
		return beat, err
	}
	runs, err := e.Store.OpenRuns(ctx)
	if err != nil {
		return beat, err
	}
	for _, r := range runs {
		p, err := e.pipeline(r.Pipeline)
		if err != nil || (only != 0 && r.ID != only) {
			continue
		}
		next = beat
		if err := e.follow(ctx, p, r, only != 0); err != nil {
			return beat, err
		}
	}
	return next, nil
}

// due asks for a run when the schedule says so, and returns when it says so next; zero is never. What was missed while the
// process was down is one run.
func (e *Engine) due(ctx context.Context, p *Pipeline) (time.Time, error) {
	known, err := e.Store.Schedule(ctx, p.Name)
	if err != nil {
		return known.Next, err
	}
	if now := e.Store.Now(); known.Spec == p.Spec && (known.Next.IsZero() || (known.Next.After(now) && !p.tooFar(known.Next, now))) {
		return known.Next, nil
	}
	err = e.Store.Tx(ctx, func(tx *queue.Tx) error {
		sc, err := tx.Schedule(p.Name)
		if err != nil {
			return err
		}
		now := tx.Now()
		if sc.Spec != p.Spec || p.tooFar(sc.Next, now) {
			sc.Spec, sc.Next = p.Spec, time.Time{}
			if p.Next != nil {
				sc.Next = p.Next(now)
			}
			// A pipeline that never ran does not wait for its first turn.
			if never, err := tx.NeverRan(p.Name); err != nil {
				return err
			} else if never && !sc.Next.IsZero() {
				sc.Next = now
			}
			if p.FullEvery == 0 {
				sc.Full = time.Time{}
			} else if next := now.Add(p.FullEvery); sc.Full.IsZero() || sc.Full.After(next) {
				sc.Full = next
			}
		}
		if !sc.Next.IsZero() && !sc.Next.After(now) {
			if _, _, err = tx.AskRun(p.Name, false, nil); err != nil {
				return err
			}
			sc.Next = p.Next(now)
		}
		known = sc
		return tx.SetSchedule(sc)
	})
	return known.Next, err
}

// clockSlack is by how much clocks may differ, or be set, that are taken for the same.
const clockSlack = time.Minute

// tooFar says that a turn was reckoned by a clock that was set back since: from now on, no schedule leads so far. The one behind
// the next turn is right all the same: the next turn has been taken, by the clock of then.
func (p *Pipeline) tooFar(next, now time.Time) bool {
	if p.Next == nil || next.IsZero() {
		return false
	}
	turn := p.Next(now.Add(clockSlack))
	return next.After(turn) && !next.Equal(p.Next(turn))
}

// follow moves one run on: start, seed, end, or say why it stands still. Delivery belongs to a run that somebody waits for;
// a scheduled one ends without it, so that a sink that is away for days keeps no run from its turn.
func (e *Engine) follow(ctx context.Context, p *Pipeline, r queue.Run, delivery bool) error {
	if r.State == queue.RunStopped {
		_, before := e.tries[r.ID]
		if !e.tryAgain(r.ID) {
			return nil
		}
		if why, _, err := e.standsStill(ctx, p, r); err != nil || (before && why != "") {
			return err
		}
	}
	// What an earlier process left is looked through once.
	if r.State != queue.RunRunning || r.Seeded.IsZero() || e.first(r.ID) {
		err := e.seed(ctx, p, r)
		if err != nil && ctx.Err() == nil && !queue.Fatal(err) {
			e.Log.Error("run cannot start", "pipeline", p.Name, "err", err)
			why := err.Error()
			return e.Store.Tx(ctx, func(tx *queue.Tx) error { return tx.StopRun(r.ID, why) })
		}
		return err
	}
	if err := e.account(ctx, p, r); err != nil {
		return err
	}
	if err := e.leaveRecords(ctx, p, r); err != nil {
		return err
	}
	why, lanes, err := e.standsStill(ctx, p, r)
	if err != nil {
		return err
	}
	// A look at the file first: a transaction a second would wake everybody who waits for news.
	if !r.Crawled.IsZero() && !slices.ContainsFunc(lanes, func(l queue.LiveLane) bool { return delivery || !l.Delivers }) {
		ended := false
		err := e.Store.Tx(ctx, func(tx *queue.Tx) (err error) {
			ended, err = tx.EndRun(r.ID, delivery)
			return err
		})
		if err != nil || ended {
			return err
		}
	}
	if why == "" {
		return nil
	}
	// What stops this machine need not stop the others.
	if first, err := e.Store.First(ctx); err != nil || !first {
		return err
	}
	return e.Store.Tx(ctx, func(tx *queue.Tx) error { return tx.StopRun(r.ID, why) })
}

// standsStill says why a run cannot go on, or "", and where it has work.
func (e *Engine) standsStill(ctx context.Context, p *Pipeline, r queue.Run) (why string, lanes []queue.LiveLane, err error) {
	if lanes, err = e.Store.LiveLanes(ctx, p.Name); err != nil {
		return "", nil, err
	}
	broke, err := e.outOf(ctx, p.Name, lanes)
	if err != nil {
		return "", nil, err
	}
	return e.stuck(lanes, r.Crawled.IsZero(), broke), lanes, nil
}

// first reports whether this process sees a run for the first time.
func (e *Engine) first(run int64) bool {
	if _, tried := e.tries[run]; tried {
		return false
	}
	return e.tryAgain(run)
}

// tryAgain lets a stopped run be looked at once per start, and then every minute: a budget comes back by itself, whatever else
// waits for a person.
func (e *Engine) tryAgain(run int64) bool {
	now := e.Store.Now()
	last, tried := e.tries[run]
	if tried && now.Sub(last) < time.Minute {
		return false
	}
	if e.tries == nil {
		e.tries = map[int64]time.Time{}
	}
	e.tries[run] = now
	return true
}

// stuck says why nothing in these lanes can go on without a person, or "" while something can. broke names the budget that
// is used up.
func (e *Engine) stuck(lanes []queue.LiveLane, crawling bool, broke string) string {
	stopped := e.worker.StoppedLanes()
	var why []string
	for _, l := range lanes {
		if l.Running {
			return ""
		}
		if reason := stopped[l.Lane]; reason != "" {
			why = append(why, reason)
			continue
		}
		if crawling && l.Forming {
			continue // a batch that waits for the end of the crawl
		}
		if l.Broke && broke != "" {
			if !slices.Contains(why, broke) {
				why = append(why, broke)
			}
			continue
		}
		if e.Held == nil {
			return ""
		}
		until, reason := e.Held(l.Lane)
		if !until.After(e.Store.Now().Add(longHold)) {
			return ""
		}
		why = append(why, fmt.Sprintf("%s: %s until %s", l.Lane, reason, until.Format("2006-01-02 15:04 MST")))
	}
	return strings.Join(why, "; ")
}
