package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"sumbi/adapters"
)

// errShutdown marks a job that was let go because the process stops. It is no attempt.
var errShutdown = errors.New("the process stopped")

// poll is how often a lane looks for work that nobody announced: delayed jobs and those of other processes.
const poll = time.Second

// Gate lets a lane start a call. Permit waits for the credential that is free first and returns a context that carries
// the permission; the function gives back a permission that was not used. Its error stops the lane when a person is needed.
type Gate interface {
	Permit(ctx context.Context) (context.Context, func(), error)
}

// Lane is one upstream: its own queue and its own bound of work in flight.
type Lane struct {
	Name     string
	Workers  int           // steps in flight: rate × latency, not the number of processors
	Deadline time.Duration // of one step; a taken job stays hidden for Deadline / 0.8
	Attempts int           // a job is dead after so many failed ones; 0 = never
	Backoff  Backoff
	Gate     Gate // nil = no limit
}

// hold is how long a taken job stays hidden.
func (l Lane) hold() time.Duration { return l.Deadline * 10 / 8 }

// Worker drains a store.
type Worker struct {
	Store    *Store
	Lanes    []Lane
	Handlers map[Kind]Handler
	Log      *slog.Logger
	Grace    time.Duration // how long a stop waits for steps in flight before it cancels them

	mu      sync.Mutex
	running int
	stopped map[string]string
}

// Run works until ctx is cancelled, then takes nothing new and waits Grace for what is in flight. It returns an error
// only when the state file cannot be used any further.
func (w *Worker) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	w.mu.Lock()
	w.stopped = map[string]string{}
	w.mu.Unlock()
	if err := w.tellGraves(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, l := range w.Lanes {
		w.Store.queueHeld(l.Name, l.hold())
		wg.Go(func() { w.lane(ctx, hard, l, fail) })
	}
	wg.Go(func() { w.promote(ctx, fail) })
	<-ctx.Done()
	grace := time.AfterFunc(w.Grace, cut)
	defer grace.Stop()
	wg.Wait()
	if err := context.Cause(ctx); Fatal(err) {
		return err
	}
	return nil
}

// tellGraves tells of the jobs that were buried while the file was opened.
func (w *Worker) tellGraves(ctx context.Context) error {
	for _, j := range w.Store.graves {
		err := w.Store.Tx(ctx, func(tx *Tx) error {
			if w.Store.Buried == nil {
				return nil
			}
			return w.Store.Buried(tx, j, errors.New("the process ended while this job ran alone"))
		})
		if err != nil {
			return err
		}
	}
	w.Store.graves = nil
	return nil
}

func (w *Worker) promote(ctx context.Context, fail context.CancelCauseFunc) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if err := w.Store.promote(ctx); err != nil && ctx.Err() == nil {
			w.trouble(err, fail)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// trouble ends the work when the file is at fault; anything else is only reported.
func (w *Worker) trouble(err error, fail context.CancelCauseFunc) {
	if Fatal(err) {
		fail(err)
		return
	}
	w.Log.Error("state file", "err", err)
}

func (w *Worker) lane(ctx, hard context.Context, l Lane, fail context.CancelCauseFunc) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, max(l.Workers, 1))
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !w.wait(ctx, l, fail) {
			return
		}
		// The permit comes first, the job second: so the best job is chosen at the last moment.
		pctx, release := ctx, func() {}
		if l.Gate != nil {
			var err error
			if pctx, release, err = l.Gate.Permit(ctx); err != nil {
				if ctx.Err() != nil {
					return
				}
				if k := adapters.Classify(err).Kind; k == adapters.NeedsHuman || k == adapters.Unauthorized {
					w.stop(ctx, l.Name, err)
					return
				}
				w.Log.Warn("permit", "lane", l.Name, "err", err)
				<-slots
				sleep(ctx, poll)
				continue
			}
		}
		j, ok, err := w.Store.take(ctx, l.Name)
		if err != nil || !ok {
			release()
			<-slots
			if err != nil && ctx.Err() == nil {
				w.trouble(err, fail)
				sleep(ctx, poll)
			}
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			w.step(context.WithoutCancel(pctx), ctx, hard, release, l, j, fail)
		})
		if w.Stopped(l.Name) != "" {
			return
		}
	}
}

// wait blocks until the lane has something to take; false when the work ends.
func (w *Worker) wait(ctx context.Context, l Lane, fail context.CancelCauseFunc) bool {
	wake := w.Store.wakeChan(l.Name)
	for {
		if w.Stopped(l.Name) != "" {
			return false
		}
		ok, next, err := w.Store.ready(ctx, l.Name)
		if ok {
			return true
		}
		if err != nil && ctx.Err() == nil {
			w.trouble(err, fail)
		}
		d := poll
		if !next.IsZero() {
			d = min(d, max(next.Sub(w.Store.Now()), time.Millisecond))
		}
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-wake:
			t.Stop()
		case <-t.C:
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// step runs one job from its handler to its commit. ctx carries the permit and outlives the soft stop.
func (w *Worker) step(ctx, soft, hard context.Context, release func(), l Lane, j Job, fail context.CancelCauseFunc) {
	leave, mine := w.hold(ctx, l, j, fail)
	defer leave()
	if !mine {
		release()
		return
	}
	meter := &adapters.Meter{}
	ctx, cancel := context.WithTimeout(adapters.WithMeter(ctx, meter), l.Deadline)
	defer cancel()
	defer context.AfterFunc(hard, cancel)()
	start := time.Now()
	commit, err := w.call(ctx, j)
	release()

	// What the step has learnt is written even if the process is stopping.
	end, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if err == nil {
		err = w.Store.finish(end, j, commit, meter)
	} else if hard.Err() != nil {
		err = fmt.Errorf("%w: %w", errShutdown, err)
	}
	log := w.Log.With("pipeline", j.Pipeline, "kind", string(j.Kind), "job", j.ID, "key", j.Key, "attempt", j.Attempt+1, "dur", time.Since(start).Round(time.Millisecond))
	switch {
	case err == nil:
		log.Debug("step")
		return
	case errors.Is(err, ErrStale):
		log.Warn("step came too late", "err", err)
		// What it worked on has moved on; if the job itself is still this worker's, it looks again.
		err = &adapters.Error{Kind: adapters.Throttled, Err: err}
	case Fatal(err):
		fail(err)
		return
	}
	if err := w.Store.putBack(end, l, j, err, meter); err != nil && !errors.Is(err, ErrStale) {
		w.trouble(err, fail)
		return
	}
	e := adapters.Classify(err)
	switch {
	case errors.Is(err, ErrStale):
	case errors.Is(err, errShutdown):
		log.Info("step put back, the process stops")
	case e.Kind == adapters.NeedsHuman || e.Kind == adapters.Unauthorized:
		log.Error("step needs a person", "err", err)
		// The gate knows whether its own upstream has another credential; anybody else's trouble stops the lane here.
		if l.Gate == nil || e.Upstream != l.Name {
			w.stop(end, l.Name, err)
		}
	default:
		log.Warn("step failed", "err", err)
	}
}

// hold lets ordinary steps run side by side and one that keeps ending the process run alone. The wait is not taken from the
// job's time; false says that somebody else has the job by now. The function returned ends the step either way.
func (w *Worker) hold(ctx context.Context, l Lane, j Job, fail context.CancelCauseFunc) (done func(), mine bool) {
	w.count(+1)
	lone, unlock := j.lost > lostLimit, w.Store.alone.RUnlock
	switch {
	case lone:
		w.Store.alone.Lock()
		unlock = w.Store.alone.Unlock
	case w.Store.alone.TryRLock():
		mine = true
	default:
		w.Store.alone.RLock()
	}
	if !mine {
		var err error
		if mine, err = w.Store.renew(ctx, j, lone, l.hold()); err != nil {
			w.trouble(err, fail)
		}
	}
	return func() { unlock(); w.count(-1) }, mine
}

func (w *Worker) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running += n
}

// Running returns how many steps are in flight.
func (w *Worker) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// call runs the handler.
func (w *Worker) call(ctx context.Context, j Job) (c Commit, err error) {
	h := w.Handlers[j.Kind]
	if h == nil {
		return nil, fmt.Errorf("no handler for jobs of kind %q", j.Kind)
	}
	err = contain(func() (err error) {
		c, err = h(ctx, j)
		return err
	})
	return c, err
}

// contain turns a panic of f into an error with its stack.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// stop ends a lane until the process starts again; the others go on.
func (w *Worker) stop(ctx context.Context, lane string, why error) {
	w.mu.Lock()
	_, before := w.stopped[lane]
	if !before {
		w.stopped[lane] = why.Error()
	}
	w.mu.Unlock()
	if before {
		return
	}
	w.Log.Error("lane stopped", "lane", lane, "err", why)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := w.Store.Tx(ctx, func(tx *Tx) error {
		_, err := tx.exec(`insert into lane_stop (lane, at, reason) values (?, ?, ?) on conflict (lane) do update set at = excluded.at, reason = excluded.reason`, lane, stamp(tx.now), why.Error())
		return err
	})
	if err != nil {
		w.Log.Error("state file", "err", err)
	}
}

// Stopped returns why a lane waits for a person, or "".
func (w *Worker) Stopped(lane string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped[lane]
}

// StoppedLanes returns every lane that waits for a person, with the reason.
func (w *Worker) StoppedLanes() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]string, len(w.stopped))
	for k, v := range w.stopped {
		out[k] = v
	}
	return out
}
