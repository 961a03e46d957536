package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sumbi/adapters"
)

// Shared is a Memory in which many processes have one limit together: they book their calls in its row, and what one of them
// learns holds for all. It is asked once a call, and never within a transaction of the caller. All instants in a row are of
// its own clock; the clocks of the processes do not matter. An error lets no call go.
type Shared interface {
	Memory
	// Reserve books the next call and returns its slot, or none when the row is stopped or held, its day is full, or the slot is
	// further away than b allows. It creates the row when there is none. A process has few slots that it has not used yet.
	Reserve(ctx context.Context, name string, b Booking) (Slot, Row, error)
	// Return takes back a slot that no call has used: it is no longer counted, and when nothing was booked behind it, it is
	// the next one again.
	Return(ctx context.Context, name string, s Slot) (Row, error)
	// Look reads the row, a zero one but for Now when there is none.
	Look(ctx context.Context, name string) (Row, error)
	// Learn lets f change the row, and creates it when there is none. Nobody else changes it meanwhile. It calls f at most once,
	// and when it returns no error, once. It is called after a refusal and a few times an hour.
	Learn(ctx context.Context, name string, f func(r *Row)) error
}

// Booking is a wish for a slot.
type Booking struct {
	Space  time.Duration // between the slot and the next one
	Lead   time.Duration // between now and the slot at least
	Most   time.Duration // between now and the slot at most; 0: any time
	PerDay int           // slots of one Korean day; 0: any number
}

// Slot is the instant for which a call is booked. The zero value is none.
type Slot struct {
	At    time.Time
	Space time.Duration // that it was booked with
}

// Row is the state of a limit that processes share.
type Row struct {
	LimitState
	Now   time.Time     // when it was read, by its own clock
	Due   time.Time     // the next slot, which may have passed
	Run   int           // slots that were booked one right behind the other, up to the newest
	Quiet time.Duration // how long no slot had been wanted before them
	Learnt
}

// Learnt is what refusals and announcements have taught besides the guard. Only Learn changes it, so it may be kept as one
// text.
type Learnt struct {
	Announced float64       `json:"announced,omitempty"` // calls a second that the upstream allows, when that is less than configured
	HeldAt    time.Time     `json:"held_at,omitzero"`    // the last refusal but for those of calls that were under way then
	Streak    int           `json:"streak,omitempty"`    // refusals in a row
	RefusedAt time.Time     `json:"refused_at,omitzero"` // when the call left that was refused at HeldAt, when it was for the rate
	Plain     bool          `json:"plain,omitempty"`     // that refusal was no accident
	Passed    bool          `json:"passed,omitempty"`    // a call behind it was accepted
	Step      time.Duration `json:"step,omitempty"`      // by which the last refusal widened the guard
	Wide      time.Duration `json:"wide,omitempty"`      // how long a refusal under a wide guard is believed
	Tried     bool          `json:"tried,omitempty"`     // one is no longer, to see whether it still holds
}

const (
	leastLead   = 10 * time.Millisecond  // from a permit to the instant of its call
	mostLead    = 500 * time.Millisecond // a call that needs longer is booked again
	slowLead    = 128                    // calls after which most of it is believed no longer
	lookAfter   = time.Second            // after a longer wait the row is read: the limit may be held meanwhile
	lookEarly   = 100 * time.Millisecond // before the end of that wait
	lookAgain   = 10 * time.Second       // how often a row that is held or stopped is read
	compares    = 8                      // times that the clocks are compared before the first call
	closeEnough = 2 * time.Millisecond   // unless they are known that well
	lateParts   = 4                      // a call may leave late by one of so many parts of the guard
)

// booked is what is known of a slot in a shared row.
type booked struct {
	slot    Slot
	run     int
	quiet   time.Duration
	granted time.Time // when the permit was
}

// offset is by how much the clock of this machine is ahead of the row's. Each answer was written between its question and its
// coming, so the offset lies between two bounds; what several answers have in common is nearer to it than the slowness of one.
type offset struct {
	here, there time.Time // one moment on both clocks, but for the offset
	least, most time.Duration
	at          time.Time // of the newest answer
}

// drift is by how much two clocks part at most, for each second.
const drift = 200 * time.Microsecond

// learn takes an answer in: when it was asked for, the row's clock in it, and when it came.
func (o *offset) learn(asked, row, came time.Time) {
	if o.here.IsZero() {
		o.here, o.there = asked, row
	}
	since := row.Sub(o.there)
	least, most := asked.Sub(o.here)-since, came.Sub(o.here)-since
	slack := time.Duration(came.Sub(o.at).Seconds() * float64(drift))
	if l, m := max(least, o.least-slack), min(most, o.most+slack); !o.at.IsZero() && l <= m {
		least, most = l, m
	} // else one of the clocks was set
	o.least, o.most, o.at = least, most, came
}

// unsure is by how much the offset may be another one.
func (o *offset) unsure() time.Duration { return (o.most - o.least) / 2 }

// local returns an instant of the row's clock as one of this machine's.
func (o *offset) local(t time.Time) time.Time {
	return o.here.Add(t.Sub(o.there) + (o.least+o.most)/2)
}

// joint is a limit that several processes have together. Its own mirror of the row is as old as its newest statement.
type joint struct {
	*Limit
	shared Shared
	bell   *bell

	loading chan struct{} // takes one of whoever makes the row this process's

	// The lock of Limit guards these, and no statement is made under it.
	last   Row       // as it was adopted
	at     time.Time // when that was
	lookAt time.Time // when to read it again while it is held or stopped
	clock  offset
	due    time.Time // the next slot, as far as is known
	lead   time.Duration
	back   time.Duration // that answers take to come
	stash  []*slot       // that could not be returned, to be used by this process
}

func newJoint(l *Limit, shared Shared) *joint {
	j := &joint{Limit: l, shared: shared, bell: newBell(), loading: make(chan struct{}, 1), lead: leastLead}
	l.attach(j.bell)
	return j
}

func (j *joint) ask(ctx context.Context, take bool, most time.Duration) (answer, error) {
	if err := j.load(ctx); err != nil {
		return answer{}, err
	}
	a, err := j.think(ctx)
	if err != nil || !take || !a.booking {
		return a, err
	}
	s, err := j.book(ctx, most)
	if err != nil {
		return answer{}, err
	}
	if s == nil {
		return j.think(ctx)
	}
	ok, err := j.await(ctx, s)
	if ok {
		return answer{slot: s}, nil
	}
	j.giveBack(ctx, s)
	return answer{}, err
}

// think says what is known without booking. A row that was held or stopped is read again now and then.
func (j *joint) think(ctx context.Context) (answer, error) {
	j.mu.Lock()
	now := time.Now()
	a := j.answer(now)
	look := !a.booking && !now.Before(j.lookAt)
	if look {
		j.lookAt = now.Add(lookAgain)
	}
	j.mu.Unlock()
	if !look {
		return a, nil
	}
	if err := j.look(ctx); err != nil {
		return answer{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.answer(time.Now()), nil
}

func (j *joint) answer(now time.Time) answer {
	if j.state.Stopped {
		return answer{stopped: true, reason: j.state.Reason}
	}
	if left := j.state.HeldUntil.Sub(now); left > 0 {
		return answer{wait: left, reason: j.state.Reason, again: lookAgain}
	}
	if left := j.full.Sub(now); left > 0 {
		return answer{wait: left, reason: adapters.ReasonQuota, again: lookAgain}
	}
	due := j.due
	if len(j.stash) > 0 && j.stash[0].at.Before(due) {
		due = j.stash[0].at
	}
	return answer{wait: max(0, due.Add(-j.lead).Sub(now)), booking: true}
}

// book takes a slot; nil when there is none within most from now.
func (j *joint) book(ctx context.Context, most time.Duration) (*slot, error) {
	j.mu.Lock()
	unsaved := j.unsaved
	j.mu.Unlock()
	if unsaved {
		if err := j.learn(ctx, func() {}); err != nil {
			return nil, err
		}
	}
	j.mu.Lock()
	b := Booking{PerDay: j.o.PerDay}
	if j.pace != nil {
		b.Space, b.Lead = j.space, j.lead+j.back
	}
	if most < forever-b.Lead {
		b.Most = max(1, most+b.Lead)
	}
	kept := j.unstash(time.Now())
	if kept != nil {
		b.Space, b.Lead, b.Most = 0, 0, 0 // only counted
	}
	j.mu.Unlock()
	asked := time.Now()
	got, row, err := j.shared.Reserve(ctx, j.o.Name, b)
	if err != nil {
		return nil, wrap("book", j.o.Name, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	j.adopt(row, asked, now)
	if back := now.Sub(j.clock.local(row.Now)); back <= mostLead { // else it was held up somewhere
		j.back = max(back, j.back-j.back/slowLead)
	}
	if got.At.IsZero() {
		return nil, nil
	}
	if kept != nil {
		return kept, nil
	}
	return &slot{limit: j.Limit, at: j.clock.local(got.At), booked: booked{slot: got, run: row.Run, quiet: row.Quiet}}, nil
}

// unstash returns the first slot that is kept and has not passed.
func (j *joint) unstash(now time.Time) *slot {
	for len(j.stash) > 0 {
		s := j.stash[0]
		j.stash = j.stash[1:]
		if s.at.After(now) {
			return s
		}
	}
	return nil
}

// await waits until it is time to prepare the call of s. It says whether the limit is still neither held nor stopped then.
func (j *joint) await(ctx context.Context, s *slot) (bool, error) {
	j.mu.Lock()
	until := s.at
	if j.pace != nil {
		until = until.Add(-j.lead)
	}
	j.mu.Unlock()
	if err := j.sleepUntil(ctx, until); err != nil {
		return false, err
	}
	if j.barred() {
		return false, nil
	}
	j.mu.Lock()
	s.granted = time.Now()
	j.mu.Unlock()
	return true, nil
}

// sleepUntil waits, at most until the limit is held or stopped. Towards the end of a long wait it reads the row.
func (j *joint) sleepUntil(ctx context.Context, until time.Time) error {
	if time.Until(until) > lookAfter {
		if err := j.doze(ctx, until.Add(-lookEarly)); err != nil {
			return err
		}
		if err := j.look(ctx); err != nil {
			return err
		}
	}
	return j.doze(ctx, until)
}

// doze waits, at most until the limit is held or stopped.
func (j *joint) doze(ctx context.Context, until time.Time) error {
	for {
		changed := j.bell.listen() // before looking, so that no change is missed
		left := time.Until(until)
		if left <= 0 || j.barred() {
			return ctx.Err()
		}
		if err := sleep(ctx, left, changed); err != nil {
			return err
		}
	}
}

func (j *joint) look(ctx context.Context) error {
	asked := time.Now()
	row, err := j.shared.Look(ctx, j.o.Name)
	if err != nil {
		return wrap("look at", j.o.Name, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.adopt(row, asked, time.Now())
	return nil
}

// giveBack returns s to the row. A slot behind which others have booked already is for the next call of this process, as
// long as it has not passed.
func (j *joint) giveBack(ctx context.Context, s *slot) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	asked := time.Now()
	row, err := j.shared.Return(ctx, j.o.Name, s.slot)
	if err != nil {
		return // it stays booked, and counted
	}
	j.mu.Lock()
	now := time.Now()
	j.adopt(row, asked, now)
	if s.at.After(now) && row.Due.After(s.slot.At) {
		i, _ := slices.BinarySearchFunc(j.stash, s.at, func(have *slot, at time.Time) int { return have.at.Compare(at) })
		j.stash = slices.Insert(j.stash, i, s)
	}
	j.mu.Unlock()
	j.ring()
}

// stray does nothing: the row knows of every call.
func (*joint) stray(context.Context) error { return nil }

// leave waits for the instant of the call. One that comes too late for it is booked again: others have the instants behind it.
func (j *joint) leave(ctx context.Context, t *trip) error {
	j.readied(t.slot)
	for {
		s := t.slot
		t.slot = nil
		if s == nil {
			var err error
			if s, err = j.bookAgain(ctx); err != nil {
				return err
			}
		}
		err := j.sleepUntil(ctx, s.at)
		if err == nil && j.departed(t, s) {
			return nil
		}
		j.giveBack(ctx, s)
		if err != nil {
			return classify(ctx, err)
		}
	}
}

// readied learns how long calls take from the permit until they could leave.
func (j *joint) readied(s *slot) {
	if s == nil || s.granted.IsZero() {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	took := time.Since(s.granted)
	s.granted = time.Time{}
	switch {
	case took > mostLead: // it had something else to do
	case took > j.lead:
		j.lead = min(took+took/4, 2*j.lead, mostLead) // one that was slow alone says little
	default:
		j.lead -= (j.lead - max(took, leastLead)) / slowLead
	}
}

// departed counts the call of t that leaves now in slot s, unless it may not.
func (j *joint) departed(t *trip, s *slot) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if j.barredAt(now) || (j.pace != nil && now.Sub(s.at) > j.guard.now/lateParts) {
		return false
	}
	t.left = departed{at: now, guard: j.guard.now}
	if j.pace != nil {
		calls := len(j.sent)
		t.left.paced = s.run > 1 || s.quiet <= j.space
		t.left.full = s.run > calls
		if s.quiet >= j.guard.second && s.run <= calls {
			t.left.prior = s.run - 1
		}
	}
	return true
}

// bookAgain takes another slot for a call that is under way. A hold that is worth waiting for is waited for.
func (j *joint) bookAgain(ctx context.Context) (*slot, error) {
	for {
		a, err := j.ask(ctx, true, forever)
		switch {
		case err != nil:
			return nil, classify(ctx, err)
		case a.slot != nil:
			return a.slot, nil
		case a.stopped:
			return nil, allStopped([]*Limit{j.Limit})
		case a.wait > longestGate*max(j.window(), time.Second), beyond(ctx, a.wait):
			return nil, tooLong(j.Limit, a)
		}
		if err := sleep(ctx, a.wait, nil); err != nil {
			return nil, err
		}
	}
}

func (j *joint) window() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.guard.second
}

// load makes the row that of this credential, once. What others have learnt with it holds; a stop is forgotten at the start of
// any process.
func (j *joint) load(ctx context.Context) error {
	if j.isLoaded() {
		return nil
	}
	select {
	case j.loading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-j.loading }()
	if j.isLoaded() { // by whoever was here before
		return nil
	}
	asked := time.Now()
	err := j.shared.Learn(ctx, j.o.Name, func(r *Row) {
		j.mu.Lock()
		defer j.mu.Unlock()
		key := fingerprint(j.o.Header)
		if r.Key != "" && r.Key != key {
			r.LimitState, r.Learnt = LimitState{Dirty: r.Dirty, LastCall: r.LastCall}, Learnt{}
		}
		if r.Stopped {
			r.Stopped, r.Reason = false, ""
		}
		if r.Due.IsZero() {
			r.Quiet = j.guard.second + j.guard.now
			r.Due = r.Now.Add(-r.Quiet)
			if r.Dirty || !r.LastCall.IsZero() { // a process that did not share it may have used it until now
				r.Due = r.Now.Add(r.Quiet)
			}
		}
		r.Key, r.Dirty, r.Stray = key, true, true
		j.adopt(*r, asked, time.Now())
		j.put(r)
	})
	if err != nil {
		return wrap("load", j.o.Name, err)
	}
	for range compares {
		j.mu.Lock()
		close := j.clock.unsure() <= closeEnough
		j.mu.Unlock()
		if close {
			break
		}
		if err := j.look(ctx); err != nil {
			return err
		}
	}
	j.mu.Lock()
	j.loaded = true
	j.mu.Unlock()
	return nil
}

func (j *joint) isLoaded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.loaded
}

// learn runs f on the newest row. When the row cannot be reached, what f does holds for this process all the same, and the
// row learns of it before the next call.
func (j *joint) learn(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	ran := false
	asked := time.Now()
	err := j.shared.Learn(ctx, j.o.Name, func(r *Row) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.adopt(*r, asked, time.Now())
		f()
		ran = true
		if !j.foreign(*r) {
			j.put(r)
		}
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil && !ran {
		f()
	}
	j.unsaved = err != nil
	return wrap("save", j.o.Name, err)
}

func (j *joint) tell(ctx context.Context, f func()) { _ = j.learn(ctx, f) }

// close leaves the row as it is, for others use it, but for what it does not know yet.
func (j *joint) close(ctx context.Context) error {
	j.mu.Lock()
	news := j.loaded && (j.unsaved || j.guard.now < j.known)
	j.mu.Unlock()
	if !news {
		return nil
	}
	return j.learn(ctx, func() {})
}

// foreign says whether r is that of another credential, with which a process was started since.
func (j *joint) foreign(r Row) bool { return r.Key != "" && r.Key != fingerprint(j.o.Header) }

// adopt makes the mirror what r says, which was asked for at a moment and came now, in instants of this machine's clock.
func (j *joint) adopt(r Row, asked, now time.Time) {
	j.clock.learn(asked, r.Now, now)
	if r.Now.Before(j.last.Now) {
		return // statements may overtake each other
	}
	before := j.last
	j.last, j.at, j.due = r, now, j.local(r.Due, r, now)
	j.ahead = r.Now.Sub(now.Round(0))
	j.state.Day, j.state.Used, j.used = r.Day, r.Used, r.Used
	j.full = time.Time{}
	if at := later(r.Due, r.Now); j.o.PerDay > 0 && r.Used >= j.o.PerDay && r.Day == koreanDay(at) {
		j.full = j.local(nextKoreanMidnight(at), r, now)
	}
	if j.foreign(r) {
		return
	}
	until := j.local(r.HeldUntil, r, now)
	if mine := j.unsaved && (j.state.Stopped || j.state.HeldUntil.After(until)); !mine {
		j.state.HeldUntil, j.state.Reason, j.state.Stopped = until, r.Reason, r.Stopped
		if j.cause = cmp.Or(j.cause, r.Reason); !r.Stopped {
			j.cause = ""
		}
		j.heldAt, j.streak = j.local(r.HeldAt, r, now), r.Streak
		j.refusal = refusal{at: j.local(r.RefusedAt, r, now), plain: r.Plain, passed: r.Passed}
	}
	if rate := j.obeyed(r.Announced); rate != j.perSecond {
		j.change(rate)
		if r.Announced > 0 {
			j.saidAt = now
		}
	}
	j.adoptGuard(r, before, now)
}

// adoptGuard takes the guard over, but for what this process has narrowed it since and the others do not know yet.
func (j *joint) adoptGuard(r, before Row, now time.Time) {
	if j.pace == nil {
		return
	}
	g := &j.guard
	if r.PerSecond != j.perSecond {
		if r.PerSecond == 0 && before.PerSecond == j.perSecond { // somebody had the row forget it
			*g, j.known = newGuard(g.calls, g.second, j.o.Guard), 0
			j.respace()
		}
		return
	}
	badAt := j.local(r.BadAt, r, now)
	if j.unsaved && g.badAt.After(badAt) {
		return
	}
	j.state.Refused = r.Refused
	if before.PerSecond == r.PerSecond && !r.HeldAt.Equal(before.HeldAt) {
		g.since = 0
	}
	if before.PerSecond != r.PerSecond || !r.BadAt.Equal(before.BadAt) {
		g.now = r.Guard
	}
	g.now, j.known = min(g.now, r.Guard), r.Guard
	g.bad, g.badAt, g.step, g.wide, g.tried = r.Bad, badAt, r.Step, max(r.Wide, wideFor), r.Tried
	j.respace()
}

// obeyed is the rate in force when an upstream announces a lower one; 0 is none.
func (j *joint) obeyed(announced float64) float64 {
	if announced <= 0 || (j.allowed > 0 && announced >= j.allowed) {
		return j.o.PerSecond
	}
	return announced
}

// put writes the mirror into r, from which it was adopted.
func (j *joint) put(r *Row) {
	row := func(t time.Time) time.Time { return shift(t, j.at, r.Now) }
	r.HeldUntil, r.Reason, r.Stopped = row(j.state.HeldUntil), j.state.Reason, j.state.Stopped
	r.HeldAt, r.Streak = row(j.heldAt), j.streak
	r.RefusedAt, r.Plain, r.Passed = row(j.refusal.at), j.refusal.plain, j.refusal.passed
	switch {
	case j.perSecond != j.o.PerSecond:
		r.Announced = j.perSecond
	case j.obeyed(r.Announced) != j.perSecond:
		r.Announced = 0
	}
	g := j.guard
	r.PerSecond, r.Guard, r.Bad, r.BadAt, r.Refused = j.perSecond, g.now, g.bad, row(g.badAt), j.state.Refused
	r.Step, r.Wide, r.Tried = g.step, g.wide, g.tried
	r.Due = later(r.Due, row(j.notBefore)) // the rate was unlimited until now
	j.notBefore = time.Time{}
	j.known, j.last = g.now, *r
}

// local turns an instant of r into one of this machine's clock, which showed now when r was read.
func (*joint) local(t time.Time, r Row, now time.Time) time.Time { return shift(t, r.Now, now) }

// shift returns the instant that is as far from to as t is from from. No instant stays none.
func shift(t, from, to time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return to.Add(t.Sub(from))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func wrap(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s limit %s: %w", doing, name, err)
}

// classify makes a failure of the memory Temporary.
func classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*adapters.Error](err); ok {
		return e
	}
	return &adapters.Error{Kind: adapters.Temporary, Err: err}
}
