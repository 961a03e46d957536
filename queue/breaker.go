package queue

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sumbi/adapters"
)

// When an upstream is taken to be away.
const (
	rowLimit   = 5  // failures in a row, nothing else between
	jobsLimit  = 3  // different jobs among them: then it is not the fault of a job
	outageLong = 24 // times the patience of its lane that an outage spares attempts; more are a fault of the jobs after all
)

// Outage is an upstream that does not answer as it should.
type Outage struct {
	Upstream string
	Since    time.Time // the first failure of the row
	Next     time.Time // of the next look
	Reason   string    // the last failure
	Jobs     int       // different jobs that failed in the row, as far as it matters
}

// breaker keeps an upstream that is away from being hammered: one probe at a time, at growing pauses, until one is answered.
type breaker struct {
	name    string
	backoff Backoff       // between probes
	long    time.Duration // of an outage that spares attempts

	mu       sync.Mutex
	row      int            // failures in a row
	jobs     map[int64]bool // that failed in it, as far as it matters
	first    time.Time      // failure of the row
	met      time.Time      // the first failure of the row that this process met
	answered time.Time      // the newest answer of the upstream
	asked    time.Time      // until then it asks to be left alone, by what it has said since
	open     bool
	outage   Outage // while open
	pause    time.Duration
	probe    time.Time     // a probe is out, at most until then
	changed  chan struct{} // closed when a probe may go earlier than was said

	saving sync.Mutex
}

// verdict is what a failure means for the job that met it.
type verdict struct {
	upstream bool      // an upstream failed, not we
	free     bool      // it is no attempt
	early    bool      // the upstream has said that it is away until later,
	asked    time.Time // until then
	at       time.Time // not before; zero leaves it to the back-off
	answered time.Time // the newest answer of that upstream; zero: none in this process
}

// breaker returns the breaker of an upstream; l is the lane that asks for it first.
func (w *Worker) breaker(upstream string, l Lane) *breaker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.breakers == nil {
		w.breakers = map[string]*breaker{}
	}
	b := w.breakers[upstream]
	if b == nil {
		for _, own := range w.Lanes {
			if own.Name == upstream {
				l = own
			}
		}
		b = &breaker{name: upstream, backoff: l.Backoff.whole(), long: outageLong * l.patience(), jobs: map[int64]bool{}, changed: make(chan struct{})}
		w.breakers[upstream] = b
	}
	return b
}

// patience is how long a job goes on beyond its attempts while its upstream answers nobody else either: one that fails alone
// and one that meets an outage look the same.
func (l Lane) patience() time.Duration {
	return time.Duration(max(l.Attempts, 1)) * l.Backoff.whole().Cap
}

// judge lets the breakers learn from the end of a step; err is nil when it went well.
func (w *Worker) judge(ctx context.Context, l Lane, j Job, err error, m *adapters.Meter) (v verdict, news error) {
	now := w.Store.Now()
	calls := m.Calls()
	if err == nil {
		if l.Gate == nil {
			calls = map[string]int{l.Name: 1} // its calls are not counted
		}
		for up := range calls {
			if b := w.breaker(up, l); b.answer(now) {
				news = w.saveOutage(ctx, b)
				w.Log.Info("upstream answers again", "upstream", up)
			}
		}
		return v, news
	}
	e := adapters.Classify(err)
	if e.Upstream == "" {
		return v, nil
	}
	b := w.breaker(e.Upstream, l)
	if e.Kind != adapters.Temporary || e.Reason == adapters.ReasonFailed {
		// It has spoken, unless it was not asked at all.
		if calls[e.Upstream] > 0 && b.answer(now) {
			news = w.saveOutage(ctx, b)
		}
		return v, news
	}
	v, changed := b.fail(now, j.ID, e)
	if changed {
		news = w.saveOutage(ctx, b)
	}
	return v, news
}

// fail counts a failure; changed says that the outage is another one now.
func (b *breaker) fail(now time.Time, job int64, e *adapters.Error) (v verdict, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.row == 0 && !b.open {
		b.first = now
	}
	if b.row == 0 {
		b.met = now
	}
	b.row++
	if len(b.jobs) < jobsLimit {
		b.jobs[job] = true
	}
	if e.After > mostAfter && e.After < mostAsked && now.Add(e.After).After(b.asked) {
		b.asked = now.Add(e.After)
	}
	unreachable, early := e.Reason == adapters.ReasonUnreachable, now.Before(b.asked)
	switch {
	case !b.open && (unreachable || early || b.row >= rowLimit):
		b.open, b.outage, b.pause = true, Outage{Upstream: b.name, Since: b.first}, b.backoff.Base
		changed = true
	case b.open && !now.Before(b.outage.Next): // what was on its way when the last pause began says nothing new
		b.pause = min(2*max(b.pause, b.backoff.Base), b.backoff.Cap)
		changed = true
	}
	if changed {
		b.probe = time.Time{}
		b.outage.Next = now.Add(b.pause/2 + time.Duration(rand.Int64N(int64(b.pause/2)+1)))
		// One or two that are told so may be at fault themselves, and keep nobody else for as long.
		if look := now.Add(min(b.asked.Sub(now), mostAfter)); early && len(b.jobs) >= jobsLimit && look.After(b.outage.Next) {
			b.outage.Next = look
		}
		b.outage.Reason, b.outage.Jobs = e.Error(), max(b.outage.Jobs, len(b.jobs))
		b.ring()
	}
	v = verdict{upstream: true, free: unreachable, early: early, asked: b.asked, answered: b.answered}
	if b.open {
		v.free = v.free || (len(b.jobs) >= jobsLimit && now.Sub(b.outage.Since) < b.long)
		// Behind the next probe, so that others have their turn at it.
		v.at = b.outage.Next.Add(b.pause/8 + time.Millisecond)
	}
	return v, changed
}

// answer ends a row of failures; it reports whether an outage ended with it.
func (b *breaker) answer(now time.Time) (ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ended = b.open
	b.row, b.open, b.outage, b.pause, b.probe, b.answered, b.asked = 0, false, Outage{}, 0, time.Time{}, now, time.Time{}
	clear(b.jobs)
	if ended {
		b.ring()
	}
	return ended
}

func (b *breaker) ring() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// may says whether a call may go now, and whether it is a probe, which must be ended or is forgotten after lease. Otherwise it
// says when to ask again.
func (b *breaker) may(now time.Time, lease time.Duration) (ok, probe bool, again time.Time, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return true, false, again, nil
	case now.Before(b.probe):
		return false, false, b.probe, b.changed
	case now.Before(b.outage.Next):
		return false, false, b.outage.Next, b.changed
	}
	b.probe = now.Add(lease)
	return true, true, again, nil
}

// back ends a probe, whatever came of it.
func (b *breaker) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.probe.IsZero() {
		b.probe = time.Time{}
		b.ring()
	}
}

func (b *breaker) away() (o Outage, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage, b.open
}

// Away returns the outage of an upstream that this process has met itself, and since when it has; false when there is none, or
// only one that another process has told of.
func (w *Worker) Away(upstream string) (o Outage, away bool) {
	w.mu.Lock()
	b := w.breakers[upstream]
	w.mu.Unlock()
	if b == nil {
		return o, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o = b.outage
	o.Since = b.met
	return o, b.open && b.row > 0
}

// Admit says whether a step may call an upstream that is not its lane's own. While that is away all but a probe are told
// when to come again.
func (w *Worker) Admit(ctx context.Context, upstream string) error {
	w.mu.Lock()
	b := w.breakers[upstream]
	w.mu.Unlock()
	if b == nil {
		return nil
	}
	lease := time.Minute
	if d, ok := ctx.Deadline(); ok {
		lease = time.Until(d)
	}
	ok, _, again, _ := b.may(w.Store.Now(), lease)
	if ok {
		return nil
	}
	return &adapters.Error{
		Kind: adapters.Throttled, After: max(again.Sub(w.Store.Now()), time.Second), Reason: adapters.ReasonUnreachable, Upstream: upstream,
		Err: errors.New("it does not answer; `sumbi status` says since when"),
	}
}

// pass waits until the breaker of the lane's upstream lets a call go. back ends the probe, if it is one.
func (r *laneRun) pass(ctx context.Context) (probe bool, back func(), ok bool) {
	for {
		if r.Stopped(r.Name) != "" {
			return false, nil, false
		}
		ok, probe, again, changed := r.breaker.may(r.Store.Now(), r.Lane.hold())
		switch {
		case probe:
			return true, sync.OnceFunc(r.breaker.back), true
		case ok:
			return false, func() {}, true
		}
		r.book.wait(lostOutage)
		t := time.NewTimer(max(again.Sub(r.Store.Now()), time.Millisecond))
		select {
		case <-ctx.Done():
			t.Stop()
			return false, nil, false
		case <-changed:
			t.Stop()
		case <-t.C:
		}
		r.book.waited()
	}
}

// saveOutage writes down what a breaker knows just now.
func (w *Worker) saveOutage(ctx context.Context, b *breaker) error {
	b.saving.Lock()
	defer b.saving.Unlock()
	o, open := b.away()
	if open {
		w.Log.Warn("upstream does not answer", "upstream", o.Upstream, "since", o.Since, "next", o.Next, "err", o.Reason)
	}
	return w.Store.Tx(ctx, func(tx *Tx) error {
		if !open {
			_, err := tx.exec(`delete from outage where upstream = ?`, b.name)
			return err
		}
		_, err := tx.exec(`insert into outage (upstream, since, next_at, reason, jobs) values (?, ?, ?, ?, ?)
			on conflict (upstream) do update set since = excluded.since, next_at = excluded.next_at, reason = excluded.reason, jobs = excluded.jobs`,
			o.Upstream, stamp(o.Since), stamp(o.Next), o.Reason, o.Jobs)
		return err
	})
}

// recall takes over the outages that the process before has seen; each upstream is probed at once.
func (w *Worker) recall(ctx context.Context) error {
	all, err := w.Store.Outages(ctx)
	if err != nil {
		return err
	}
	for _, o := range all {
		if !slices.ContainsFunc(w.Lanes, func(l Lane) bool { return l.Name == o.Upstream }) {
			if err := w.Store.Tx(ctx, func(tx *Tx) error {
				_, err := tx.exec(`delete from outage where upstream = ?`, o.Upstream)
				return err
			}); err != nil {
				return err
			}
			continue
		}
		b := w.breaker(o.Upstream, Lane{})
		b.open, b.first, b.outage = true, o.Since, o
		b.outage.Next = time.Time{}
		for i := range o.Jobs {
			b.jobs[int64(-1-i)] = true // which they were does not matter
		}
	}
	return nil
}

// Outages lists the upstreams that do not answer.
func (s *Store) Outages(ctx context.Context) ([]Outage, error) {
	os, err := list(ctx, s.read, `select upstream, since, next_at, reason, jobs from outage order by upstream`, nil, func(r *sql.Rows) (Outage, error) {
		var o Outage
		err := r.Scan(&o.Upstream, instant{&o.Since}, instant{&o.Next}, &o.Reason, &o.Jobs)
		return o, err
	})
	return os, s.explain(err)
}
