package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sumbi/adapters"
)

// errShutdown marks a job that was let go because the process stops. It is no attempt.
var errShutdown = errors.New("the process stopped")

// errAway marks a job whose end could not be written because the database did not answer. It is no attempt either.
var errAway = errors.New("the state did not answer")

// uncounted says that a step came to nothing for a reason of ours.
func uncounted(err error) bool { return errors.Is(err, errShutdown) || errors.Is(err, errAway) }

// errUnknown stands for an end that says nothing about an upstream.
var errUnknown = errors.New("nothing is known of the upstream")

// poll is how often a worker looks for what nobody announced: jobs that have become due, and what other processes wrote.
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

// storeTime is how long what a step has learnt may take to be stored.
const storeTime = 30 * time.Second

// Worker drains a store.
type Worker struct {
	Store    *Store
	Lanes    []Lane
	Handlers map[Kind]Handler
	Log      *slog.Logger
	Grace    time.Duration // how long a stop waits for steps in flight before it cancels them

	mu       sync.Mutex
	running  int
	stopped  map[string]string
	refused  map[string]int // steps of a lane in a row that need a person
	ledgers  map[string]*ledger
	breakers map[string]*breaker

	pulse pulse
}

// Run works until ctx is cancelled, then takes nothing new and waits Grace for what is in flight. It returns an error
// only when the state file cannot be used any further.
func (w *Worker) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	w.mu.Lock()
	w.stopped, w.refused = map[string]string{}, map[string]int{}
	w.mu.Unlock()
	w.tellUpgrade()
	err := w.begin(ctx)
	for busy(err) && ctx.Err() == nil {
		w.Log.Warn("the work cannot begin yet", "err", err)
		sleep(ctx, poll)
		err = w.begin(ctx)
	}
	if err != nil {
		if ctx.Err() != nil && !Fatal(err) {
			return nil
		}
		return err
	}
	var wg sync.WaitGroup
	w.Store.engine.work(ctx, hard, w, fail, &wg)
	wg.Go(func() { w.watch(ctx, fail) })
	<-ctx.Done()
	grace := time.AfterFunc(w.Grace, cut)
	defer grace.Stop()
	wg.Wait()
	if err := context.Cause(ctx); Fatal(err) {
		w.Store.engine.blameless()
		return err
	}
	return nil
}

// tellUpgrade says what the opening of the file has changed.
func (w *Worker) tellUpgrade() {
	switch u := w.Store.Upgraded(); {
	case u == nil:
	case u.NoCopy != nil:
		w.Log.Warn("the state file was upgraded; no copy of it was made before", "from", u.From, "to", u.To, "err", u.NoCopy)
	default:
		w.Log.Info("the state file was upgraded; remove the copy when you need it no longer", "from", u.From, "to", u.To, "copy", u.Copy)
	}
}

// begin takes over what processes before have left to be known.
func (w *Worker) begin(ctx context.Context) error {
	if err := w.tellGraves(ctx); err != nil {
		return err
	}
	return w.recall(ctx)
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

// hasten makes due what opening the file has left for later, a piece at a time.
func (w *Worker) hasten(ctx context.Context) error {
	if !w.Store.later {
		return nil
	}
	return w.Store.Tx(ctx, func(tx *Tx) (err error) {
		w.Store.later, err = tx.hasten(newest)
		return err
	})
}

// watch wakes the lanes and whoever waits for news when the file was changed or a delayed job has become due. While nothing
// happens it asks for no more than the file's version.
func (w *Worker) watch(ctx context.Context, fail context.CancelCauseFunc) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	due, first, changed := time.Time{}, true, false
	defer w.pulse.rest()
	look := func() error {
		w.pulse.beat()
		news, err := w.Store.engine.tend(ctx, w)
		if err != nil {
			return err
		}
		changed = changed || news // until it has been dealt with
		if err := w.hasten(ctx); err != nil {
			return err
		}
		if !changed && (due.IsZero() || !w.Store.Now().Add(near).After(due)) {
			return nil
		}
		if due, err = w.Store.engine.promote(ctx); err != nil {
			return err
		}
		if changed && !first {
			w.Store.signal()
		}
		first, changed = false, false
		for _, l := range w.Lanes {
			w.Store.wakeLane(l.Name)
		}
		return nil
	}
	for {
		if err := look(); err != nil && ctx.Err() == nil {
			w.trouble(err, fail)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.Store.engine.sooner():
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

// forgetAfter is how long a step tries to put its job back while the database is away. Its time is over long before.
const forgetAfter = time.Hour

// claims is how many claims of a lane may be on their way at once: the pace must not wait for the disk.
const claims = 8

// laneRun is a lane at work.
type laneRun struct {
	*Worker
	Lane
	book    *ledger
	breaker *breaker
	slots   chan struct{}
	fail    context.CancelCauseFunc
	wg      sync.WaitGroup

	claiming atomic.Int32
	window   *window // of a machine; nil over a file
}

// lane works a lane until ctx ends.
func (s *Store) lane(ctx, hard context.Context, w *Worker, l Lane, fail context.CancelCauseFunc) {
	r := &laneRun{Worker: w, Lane: l, breaker: w.breaker(l.Name, l), slots: make(chan struct{}, max(l.Workers, 1)), fail: fail}
	r.book = w.ledger(l, r.breaker)
	defer r.wg.Wait()
	more := false // the last claim got all it asked for
	for w.Stopped(l.Name) == "" {
		r.book.wait(lostBusy)
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		r.book.waited()
		if l.Gate == nil {
			// Nothing holds the lane back: all free workers are served by one claim, which itself tells whether there is something.
			if !more && !r.wait(ctx) {
				return
			}
			probe, back, ok := r.pass(ctx)
			if !ok {
				return
			}
			n := 1
			if !probe {
				n += r.free()
			}
			more = r.claim(ctx, hard, ctx, n, func() {}, back) == n
			continue
		}
		if !r.wait(ctx) {
			return
		}
		_, back, ok := r.pass(ctx)
		if !ok {
			return
		}
		// The permit comes first, the job second: so the best job is chosen at the last moment.
		pctx, release, err := r.book.permit(ctx, l.Gate)
		if err != nil {
			back()
			if ctx.Err() != nil {
				return
			}
			if k := adapters.Classify(err).Kind; k == adapters.NeedsHuman || k == adapters.Unauthorized {
				w.stop(ctx, l.Name, err)
				return
			}
			if Fatal(err) { // the limit is kept in the file, too
				fail(err)
				return
			}
			w.Log.Warn("permit", "lane", l.Name, "err", err)
			<-r.slots
			sleep(ctx, poll)
			continue
		}
		r.claiming.Add(1)
		r.wg.Go(func() {
			defer w.Store.wakeLane(l.Name) // whoever waits for work has counted this claim
			defer r.claiming.Add(-1)
			r.book.taken(r.claim(ctx, hard, pctx, 1, release, back) > 0)
		})
	}
}

// free takes the slots of all free workers.
func (r *laneRun) free() (n int) {
	for {
		select {
		case r.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
}

// claim takes up to n jobs, for which as many slots are held, and sets them going under the permit in pctx. It returns how
// many there were. back is called when each has ended.
func (r *laneRun) claim(ctx, hard, pctx context.Context, n int, release, back func()) int {
	jobs, err := r.Store.engine.take(ctx, r.Name, n, r.book != nil)
	for range n - len(jobs) {
		<-r.slots
	}
	if len(jobs) == 0 {
		release()
		back()
		if err != nil && ctx.Err() == nil {
			r.trouble(err, r.fail)
			sleep(ctx, poll)
		}
	}
	for _, j := range jobs {
		r.wg.Go(func() {
			defer func() { <-r.slots }()
			defer back()
			r.step(context.WithoutCancel(pctx), ctx, hard, release, r.Lane, j, r.fail)
		})
	}
	return len(jobs)
}

// wait blocks until the lane has more to take than is being claimed already; false when the work ends.
func (r *laneRun) wait(ctx context.Context) bool {
	wake := r.Store.wakeChan(r.Name)
	for {
		if r.Stopped(r.Name) != "" {
			return false
		}
		ok, next, err := false, time.Time{}, error(nil)
		if n := int(r.claiming.Load()); n < claims {
			if ok, next, err = r.Store.engine.ready(ctx, r.Name, n); ok {
				return true
			}
		}
		if err != nil && ctx.Err() == nil {
			r.trouble(err, r.fail)
		}
		d := time.Minute // or until it is woken
		if err != nil {
			d = poll
		} else if !next.IsZero() {
			d = min(d, max(next.Sub(r.Store.Now()), time.Millisecond))
		}
		r.book.wait(r.book.idle(ctx))
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-wake:
			t.Stop()
		case <-t.C:
		}
		r.book.waited()
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
	defer meter.Booked()
	ctx, cancel := context.WithTimeout(adapters.WithMeter(ctx, meter), l.Deadline)
	defer cancel()
	defer context.AfterFunc(hard, cancel)()
	start := time.Now()
	returned := w.pulse.handle(l)
	commit, err := w.call(ctx, j)
	returned()
	release()
	if busy(err) {
		err = fmt.Errorf("%w: %w", errAway, err)
	}

	// What the step has learnt is written even if the process is stopping.
	end, done := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer done()
	// Whoever stands behind a commit that takes too long has not been heard either.
	unheard := func(err error) bool { return busy(err) || (err != nil && errors.Is(err, end.Err())) }
	if err == nil {
		if c := w.Store.pg; c != nil {
			defer c.unwritten.storing()()
		}
		if err = w.Store.finish(end, j, commit, meter); unheard(err) {
			err = fmt.Errorf("%w: %w", errAway, err)
		}
	} else if hard.Err() != nil {
		err = fmt.Errorf("%w: %w", errShutdown, err)
	}
	about := err
	if uncounted(err) || errors.Is(err, ErrStale) {
		about = errUnknown
	}
	v, saved := w.judge(end, l, j, about, meter)
	if saved != nil {
		w.trouble(saved, fail)
	}
	log := w.Log.With("pipeline", j.Pipeline, "kind", string(j.Kind), "job", j.ID, "key", j.Key, "attempt", j.Attempt+1, "dur", time.Since(start).Round(time.Millisecond))
	switch {
	case err == nil:
		w.refusals(l.Name, false)
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
	perr := w.Store.putBack(end, l, j, err, meter, v)
	for unheard(perr) && hard.Err() == nil && time.Since(start) < forgetAfter { // else the job would stay in flight
		sleep(hard, poll)
		perr = w.Store.putBack(context.WithoutCancel(end), l, j, err, meter, v)
	}
	switch {
	case errors.Is(perr, ErrStale): // somebody else has the job; the calls were made all the same
		perr = w.Store.Tx(context.WithoutCancel(end), func(tx *Tx) error { return tx.BookCalls(j.Pipeline, meter, WasteRepeated) })
		if perr != nil {
			w.trouble(perr, fail)
		}
	case perr != nil:
		w.trouble(perr, fail)
		return
	}
	e := adapters.Classify(err)
	switch {
	case errors.Is(err, ErrStale):
	case e.Reason == adapters.ReasonBudget:
		log.Debug("step waits for a budget", "err", err)
	case errors.Is(err, errShutdown):
		log.Info("step put back, the process stops")
	case errors.Is(err, errAway):
		log.Warn("step put back, its call is made again", "err", err)
	case e.Kind == adapters.NeedsHuman || e.Kind == adapters.Unauthorized:
		log.Error("step needs a person", "err", err)
		// The gate knows whether its own upstream has another credential; anybody else's trouble stops the lane here, and so does one
		// that the gate knows nothing of and lets through again and again.
		if n := w.refusals(l.Name, true); l.Gate == nil || e.Upstream != l.Name || n >= maxRefusals {
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

// maxRefusals is how many steps of a lane in a row may need a person while its gate lets further ones through.
const maxRefusals = 3

// refusals counts the steps of a lane in a row that need a person.
func (w *Worker) refusals(lane string, one bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !one {
		delete(w.refused, lane)
		return 0
	}
	w.refused[lane]++
	return w.refused[lane]
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
