package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sumbi/adapters"
)

// lostLimit is how often a job may be handed out without an end before it is run alone.
const lostLimit = 20

// A job that runs alone is dead when the process has ended diedLimit times meanwhile. After each it rests, first for firstRest,
// then four times as long: kills that come closer together than one step takes must not meet it again and again.
const (
	diedLimit = 5
	firstRest = 15 * time.Second
)

// Kind names what a job does.
type Kind string

// The kinds of job.
const (
	KindPage    Kind = "page"
	KindBatch   Kind = "batch"
	KindMatch   Kind = "match"
	KindDeliver Kind = "deliver"
)

// Job is one piece of work.
type Job struct {
	ID       int64
	Pipeline string
	Lane     string // the upstream whose pace it follows
	Kind     Kind
	Key      string // at most one live job per key; "" = free
	Args     json.RawMessage
	Priority int       // the highest goes first
	At       time.Time // not before; zero = now
	Attempt  int       // failed attempts so far

	run, lost int
	hurried   bool
	message   string
	created   string
}

// Handler does one step: it calls the network, may read the state, and writes only in the Commit it returns, but for what Store.Note
// writes. ctx is
// valid until the commit is over. The error is the instruction: see adapters.Error.
type Handler func(ctx context.Context, j Job) (Commit, error)

const jobColumns = `id, pipeline, lane, kind, coalesce(key, ''), args, priority, attempt, run, lost, hurried, coalesce(message, ''), due, created_at`

func scanJob(r *sql.Rows) (Job, error) {
	var j Job
	err := r.Scan(jobFields(&j)...)
	return j, err
}

func jobFields(j *Job) []any {
	return []any{&j.ID, &j.Pipeline, &j.Lane, &j.Kind, &j.Key, (*[]byte)(&j.Args), &j.Priority, &j.Attempt, &j.run, &j.lost, &j.hurried, &j.message, instant{&j.At}, &j.created}
}

// Add adds a job unless a live one holds its key; it reports whether it did. In the commit that ends a job, a job with the
// same key follows it and takes its row.
func (tx *Tx) Add(j Job) (bool, error) {
	if j.At.IsZero() {
		j.At = tx.now
	}
	if len(j.Args) == 0 {
		j.Args = json.RawMessage("{}")
	}
	if tx.ends && j.Key != "" && j.Key == tx.job.Key {
		if tx.followed {
			return false, nil
		}
		tx.followed = true
		return true, tx.follow(j)
	}
	// What is announced at once never enters the index of what waits in its row.
	err := tx.one(`insert into job (pipeline, lane, kind, key, args, priority, message, due, created_at) values (?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?)
		on conflict do nothing returning id`,
		[]any{j.Pipeline, j.Lane, j.Kind, j.Key, string(j.Args), j.Priority, tx.s.engine.mark(j.At, tx.now), stamp(j.At), stamp(tx.now)}, &j.ID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("add %s job %s: %w", j.Kind, j.Key, err)
	}
	return true, tx.send(j)
}

// follow makes the job that this commit ends into j: for a list that goes page by page that is a fraction of the work of
// taking one row and one message away and making others.
func (tx *Tx) follow(j Job) error {
	before := tx.job
	j.ID, j.message = before.ID, before.message
	if j.Lane != before.Lane {
		if err := tx.s.engine.withdraw(tx, *before); err != nil {
			return err
		}
		j.message = ""
	}
	message, err := tx.announce(j)
	if err != nil {
		return err
	}
	if _, err := tx.exec(`update job set pipeline = ?, lane = ?, kind = ?, args = ?, priority = ?, attempt = 0, run = run + 1, lost = 0, died = 0, alone = 0, hurried = 0, err = null,
		message = nullif(?, ''), due = ?, taken_at = null, created_at = ? where id = ?`,
		j.Pipeline, j.Lane, j.Kind, string(j.Args), j.Priority, message, stamp(j.At), stamp(tx.now), j.ID); err != nil {
		return fmt.Errorf("add %s job %s: %w", j.Kind, j.Key, err)
	}
	return nil
}

// Again says, within the commit of a job, that the job is not over: it comes back after d. That is no attempt.
func (tx *Tx) Again(d time.Duration) {
	d = max(d, 0)
	tx.again = &d
}

// Hurry makes the live job with this key due now. One that is in flight comes back at once when it says Again.
func (tx *Tx) Hurry(key string) error {
	// Between two looks it could come back to where the first one looked.
	if _, err := list(tx.ctx, tx.tx, `select id from job where key = ? and state = 'live'`+lockJobs.in(tx.s), []any{key}, scanID); err != nil {
		return err
	}
	rows, err := list(tx.ctx, tx.tx, `select `+jobColumns+` from job where key = ? and state = 'live' and taken_at is null`, []any{key}, scanJob)
	if err != nil {
		return err
	}
	for _, j := range rows {
		j.At = tx.now
		if err := tx.send(j); err != nil {
			return err
		}
	}
	_, err = tx.exec(`update job set hurried = 1 where key = ? and state = 'live' and taken_at is not null`, key)
	return err
}

// announce makes a job known that is due soon, at its priority, and takes it back otherwise. It returns its message, "" when it
// waits in its row.
func (tx *Tx) announce(j Job) (string, error) {
	message, err := tx.s.engine.announce(tx, j)
	if message != "" && err == nil {
		tx.wake[j.Lane] = true
	}
	return message, err
}

// send announces a job that is due soon, and writes down where it is.
func (tx *Tx) send(j Job) error {
	message, err := tx.announce(j)
	if err != nil {
		return err
	}
	_, err = tx.exec(`update job set message = nullif(?, ''), due = ?, taken_at = null where id = ?`, message, stamp(j.At), j.ID)
	return err
}

// renew begins the hold of a taken job anew and notes whether it runs alone; false when somebody else has it now.
func (s *Store) renew(ctx context.Context, j Job, alone bool, hold time.Duration) (mine bool, err error) {
	err = s.Tx(ctx, func(tx *Tx) error {
		n, err := tx.exec(`update job set alone = ? where id = ? and run = ? and state = 'live'`, alone, j.ID, j.run)
		if err != nil || n == 0 {
			return err
		}
		mine = true
		return s.engine.extend(tx, j, hold)
	})
	return mine && err == nil, err
}

// finish ends a job in one transaction with everything that follows from it.
func (s *Store) finish(ctx context.Context, j Job, commit Commit, m *adapters.Meter) error {
	return s.transact(ctx, &j, func(tx *Tx) error {
		var hurried bool
		err := tx.one(`select hurried from job where id = ? and run = ? and state = 'live'`+lockJobs.in(tx.s), []any{j.ID, j.run}, &hurried)
		if errors.Is(err, ErrNotFound) {
			return ErrStale
		}
		if err != nil {
			return err
		}
		tx.ends = true
		if commit != nil {
			if err := contain(func() error { return commit(tx) }); err != nil {
				return err
			}
		}
		if err := tx.BookCalls(j.Pipeline, m, tx.wasted); err != nil {
			return err
		}
		switch {
		case tx.followed:
			return nil
		case tx.again == nil:
			if err := tx.s.engine.withdraw(tx, j); err != nil {
				return err
			}
			_, err := tx.exec(`delete from job where id = ?`, j.ID)
			return err
		}
		j.At = tx.now.Add(*tx.again)
		if hurried {
			j.At = tx.now
		}
		if _, err := tx.exec(`update job set attempt = 0, run = run + 1, lost = 0, died = 0, alone = 0, hurried = 0, err = null where id = ?`, j.ID); err != nil {
			return err
		}
		return tx.send(j)
	})
}

// Note commits, in the middle of a step, what must be known before a call is made that cannot be undone. It returns ErrStale
// when the job is somebody else's by now: then the call must not be made.
func (s *Store) Note(ctx context.Context, j Job, f func(tx *Tx) error) error {
	return s.Tx(ctx, func(tx *Tx) error {
		err := tx.one(`select id from job where id = ? and run = ? and state = 'live'`+lockJobs.in(tx.s), []any{j.ID, j.run}, new(int64))
		if errors.Is(err, ErrNotFound) {
			return ErrStale
		}
		if err != nil {
			return err
		}
		return f(tx)
	})
}

// Backoff is how long a lane waits between attempts: full jitter below Base × 2ⁿ, never above Cap.
type Backoff struct{ Base, Cap time.Duration }

// whole has the defaults filled in.
func (b Backoff) whole() Backoff {
	if b.Base <= 0 {
		b.Base = time.Second
	}
	if b.Cap <= 0 {
		b.Cap = 5 * time.Minute
	}
	return b
}

func (b Backoff) delay(attempt int) time.Duration {
	b = b.whole()
	top := b.Cap
	if b.Base <= b.Cap>>attempt { // compared this way round nothing overflows
		top = b.Base << attempt
	}
	return time.Duration(rand.Int64N(int64(top) + 1))
}

// mostAfter is how long an upstream in trouble is left alone that asks for longer: what it says of its own repair is a guess,
// and a day's work may wait for it.
const mostAfter = time.Hour

// mostAsked is how long an upstream in trouble may ask to be left alone, and may go on asking, before that is taken for nonsense.
const mostAsked = 14 * 24 * time.Hour

// putBack returns a job that did not come to its end: later, or dead.
func (s *Store) putBack(ctx context.Context, l Lane, j Job, cause error, m *adapters.Meter, v verdict) error {
	e := adapters.Classify(cause)
	put := func(tx *Tx) error {
		var before string
		err := tx.one(`select coalesce(err, '') from job where id = ? and run = ? and state = 'live'`+lockJobs.in(tx.s), []any{j.ID, j.run}, &before)
		if errors.Is(err, ErrNotFound) {
			return ErrStale
		}
		if err != nil {
			return err
		}
		_, err = tx.exec(`update job set lost = 0, died = 0, alone = 0, hurried = 0, taken_at = null, err = ? where id = ?`, cause.Error(), j.ID)
		if err != nil {
			return err
		}
		if uncounted(cause) {
			j.At = tx.now
			return tx.send(j)
		}
		// The same thing said again is no news, and neither is a budget that each job of many meets.
		if e.Reason != adapters.ReasonBudget && (e.Kind != adapters.Throttled || before != cause.Error()) {
			if err := tx.story(j, cause); err != nil {
				return err
			}
		}
		switch e.Kind {
		case adapters.Throttled:
			after := max(e.After, time.Second)
			if l.Gate != nil && e.Upstream == l.Name {
				after = min(e.After, time.Minute) // the gate does the waiting, and knows when it is over
			}
			j.At = tx.now.Add(after)
			return tx.send(j)
		case adapters.Unauthorized, adapters.NeedsHuman:
			j.At = tx.now.Add(max(e.After, time.Second))
			return tx.send(j)
		case adapters.Permanent:
			return tx.bury(j, cause)
		}
		after, free := min(e.After, mostAfter), v.free
		if v.early && !free {
			if free, err = tx.early(j, v); err != nil {
				return err
			}
			if free {
				after = min(max(e.After, v.asked.Sub(tx.now)), mostAfter)
			}
		}
		if free {
			j.At = tx.now.Add(after)
			if v.at.After(j.At) {
				j.At = v.at
			}
			return tx.send(j)
		}
		j.Attempt++
		if l.Attempts > 0 && j.Attempt >= l.Attempts {
			spared, err := tx.spared(l, j, v)
			if err != nil || !spared {
				return errors.Join(err, tx.bury(j, cause))
			}
		}
		if _, err := tx.exec(`update job set attempt = ? where id = ?`, j.Attempt, j.ID); err != nil {
			return err
		}
		j.At = tx.now.Add(max(after, l.Backoff.delay(j.Attempt-1)))
		if v.at.After(j.At) {
			j.At = v.at
		}
		return tx.send(j)
	}
	return s.transact(ctx, &j, func(tx *Tx) error {
		if err := put(tx); err != nil {
			return err
		}
		// Last, as at the end of a step that went well: the books are everybody's.
		return tx.BookCalls(j.Pipeline, m, wasteOf(cause))
	})
}

// wasteOf says what the calls of a step were that ended with an error.
func wasteOf(cause error) Waste {
	if uncounted(cause) || errors.Is(cause, ErrStale) {
		return WasteRepeated
	}
	switch adapters.Classify(cause).Kind {
	case adapters.Throttled, adapters.Unauthorized, adapters.NeedsHuman:
		return WasteRefused
	default:
		return WasteFailed
	}
}

// A job has few errors, which are found by its number and then sorted. While PostgreSQL has no statistics it would rather walk
// those of all jobs in the order that is asked for.
const (
	storyBegan = `select min(at || '') from job_error where job = ? and at >= ?`
	storySpan  = `select min(at || ''), max(case when at < ? then at || '' end) from job_error where job = ? and at >= ?`
	storyName  = `select kind, coalesce(key, '') from job_error where job = ? order by id + 0 desc limit 1`
)

// spared says that a job which has used up its attempts goes on: its upstream has answered nobody since the job began to
// fail, and that is not long ago.
func (tx *Tx) spared(l Lane, j Job, v verdict) (bool, error) {
	if !v.upstream {
		return false, nil
	}
	var first time.Time
	if err := tx.one(storyBegan, []any{j.ID, j.created}, instant{&first}); err != nil {
		return false, err
	}
	return !v.answered.After(first) && tx.now.Sub(first) < l.patience(), nil
}

// early says that an upstream that has said until when it is away was looked at for nothing once more: it has answered nobody
// since this job failed before, and the job has not been failing for longer than is believed.
func (tx *Tx) early(j Job, v verdict) (bool, error) {
	var first, before time.Time
	if err := tx.one(storySpan, []any{stamp(tx.now), j.ID, j.created}, instant{&first}, instant{&before}); err != nil {
		return false, err
	}
	if before.IsZero() {
		before = tx.now
	}
	return !v.answered.After(before) && tx.now.Sub(first) < mostAsked, nil
}

// Complain notes in the story of the job that this commit ends what went wrong although the job goes on.
func (tx *Tx) Complain(cause error) error {
	if tx.job == nil {
		return nil
	}
	return tx.story(*tx.job, cause)
}

func (tx *Tx) story(j Job, cause error) error {
	_, err := tx.exec(`insert into job_error (job, kind, key, attempt, at, err) values (?, ?, nullif(?, ''), ?, ?, ?)`,
		j.ID, j.Kind, j.Key, j.Attempt+1, stamp(tx.now), cause.Error())
	return err
}

// bury makes a job dead: nobody is told of it any more, and its key is free.
func (tx *Tx) bury(j Job, cause error) error {
	if err := tx.s.engine.withdraw(tx, j); err != nil {
		return err
	}
	_, err := tx.exec(`update job set state = 'dead', message = null, taken_at = null, alone = 0, attempt = attempt + 1, due = ?, err = ? where id = ?`,
		stamp(tx.now), cause.Error(), j.ID)
	if err != nil || tx.s.Buried == nil {
		return err
	}
	return tx.s.Buried(tx, j, cause)
}

// Revive makes a dead job live again and a waiting one due now. The error says why it cannot.
func (tx *Tx) Revive(id int64) error {
	var j Job
	var state string
	var taken bool
	err := tx.one(`select state, taken_at is not null, `+jobColumns+` from job where id = ?`+lockJobs.in(tx.s), []any{id}, append([]any{&state, &taken}, jobFields(&j)...)...)
	if errors.Is(err, ErrNotFound) {
		return missing(fmt.Sprintf("there is no job %d; `sumbi jobs list` shows them", id))
	}
	if err != nil {
		return err
	}
	if taken {
		return refuse("job %d is running", id)
	}
	if state == "dead" && j.Key != "" {
		var other int64
		switch err := tx.one(`select id from job where key = ? and state = 'live'`, []any{j.Key}, &other); {
		case err == nil:
			return refuse("job %d cannot live again: job %d already does the same work; drop this one", id, other)
		case !errors.Is(err, ErrNotFound):
			return err
		}
	}
	if _, err := tx.exec(`update job set state = 'live', attempt = 0, lost = 0, died = 0 where id = ?`, id); err != nil {
		return err
	}
	j.At = tx.now
	return tx.send(j)
}

// Job reads one job; dead tells whether it was given up.
func (tx *Tx) Job(id int64) (j Job, dead bool, err error) {
	err = tx.one(`select state = 'dead', `+jobColumns+` from job where id = ?`, []any{id}, append([]any{&dead}, jobFields(&j)...)...)
	if errors.Is(err, ErrNotFound) {
		err = missing(fmt.Sprintf("there is no job %d; `sumbi jobs list` shows them", id))
	}
	return j, dead, err
}

// DropDead removes the dead jobs with this key: what they were about has been done since.
func (tx *Tx) DropDead(key string) error {
	_, err := tx.exec(`delete from job where key = ? and state = 'dead'`, key)
	return err
}

// Discard removes the job with this key that waits; false when there is none, or when it is running.
func (tx *Tx) Discard(key string) (bool, error) {
	var j Job
	err := tx.one(`delete from job where key = ? and state = 'live' and taken_at is null returning `+jobColumns, []any{key}, jobFields(&j)...)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, tx.s.engine.withdraw(tx, j)
}

// Drop removes a job for good, unless it is running.
func (tx *Tx) Drop(id int64) error {
	var j Job
	err := tx.one(`delete from job where id = ? and taken_at is null returning `+jobColumns, []any{id}, jobFields(&j)...)
	if errors.Is(err, ErrNotFound) {
		return missing(fmt.Sprintf("there is no job %d that waits; `sumbi jobs list` shows them", id))
	}
	if err != nil {
		return err
	}
	return tx.s.engine.withdraw(tx, j)
}
