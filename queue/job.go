package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"maragu.dev/goqite"

	"sumbi/adapters"
)

// near is how far ahead a job is handed to goqite; what is due later waits in its row, where it costs nothing.
const near = 2 * time.Second

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

// Handler does one step: it calls the network, may read the state, and writes only in the Commit it returns. ctx is
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
	// What goes to goqite at once never enters the index of what waits in its row.
	err := tx.one(`insert into job (pipeline, lane, kind, key, args, priority, message, due, created_at) values (?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?)
		on conflict do nothing returning id`,
		[]any{j.Pipeline, j.Lane, j.Kind, j.Key, string(j.Args), j.Priority, tx.soon(j.At), stamp(j.At), stamp(tx.now)}, &j.ID)
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
		if err := tx.unsend(*before); err != nil {
			return err
		}
		j.message = ""
	}
	message, err := tx.post(j)
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

// soon is the message of a job until it has one: none while it is due later.
func (tx *Tx) soon(at time.Time) any {
	if at.Sub(tx.now) <= near {
		return ""
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

// send puts a job's id into goqite if it is due soon, and writes down where it is.
func (tx *Tx) send(j Job) error {
	message, err := tx.post(j)
	if err != nil {
		return err
	}
	_, err = tx.exec(`update job set message = nullif(?, ''), due = ?, taken_at = null where id = ?`, message, stamp(j.At), j.ID)
	return err
}

// post puts a job's id into goqite if it is due soon, at its priority, and takes it out otherwise. It returns the message.
func (tx *Tx) post(j Job) (string, error) {
	q := tx.s.queue(j.Lane)
	wait := max(j.At.Sub(tx.now), 0)
	message := j.message
	switch {
	case wait > near:
		if err := tx.unsend(j); err != nil {
			return "", err
		}
		message = ""
	case message != "":
		// The message stays; goqite itself has no word for another priority.
		now := time.Now()
		n, err := tx.exec(`update goqite set timeout = ?, priority = ?, created = ? where id = ?`, stamp(now.Add(wait)), j.Priority, stamp(now), message)
		if err != nil {
			return "", err
		}
		if n > 0 {
			break
		}
		fallthrough
	default:
		id, err := q.SendAndGetIDTx(tx.ctx, tx.goq, goqite.Message{Body: strconv.AppendInt(nil, j.ID, 10), Delay: wait, Priority: j.Priority})
		if err != nil {
			return "", err
		}
		message = string(id)
	}
	if message != "" {
		tx.wake[j.Lane] = true
	}
	return message, nil
}

// unsend takes a job's message out of goqite.
func (tx *Tx) unsend(j Job) error {
	if j.message == "" {
		return nil
	}
	return tx.s.queue(j.Lane).DeleteTx(tx.ctx, tx.goq, goqite.ID(j.message))
}

func (s *Store) queue(lane string) *goqite.Queue { return s.queueHeld(lane, 0) }

// queueHeld returns the lane's goqite queue; hold is how long a taken job stays hidden, known once the lane works.
func (s *Store) queueHeld(lane string, hold time.Duration) *goqite.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[lane]
	if q == nil || hold > 0 {
		q = goqite.New(goqite.NewOpts{DB: s.write.db, Name: lane, Timeout: hold, MaxReceive: 1 << 40})
		s.queues[lane] = q
	}
	return q
}

// promoteChunk is how many jobs one commit hands to goqite.
const promoteChunk = 500

// promote hands to goqite what has become due soon, and returns when the next job is due; zero when none waits.
func (s *Store) promote(ctx context.Context) (next time.Time, err error) {
	const waits = `from job where state = 'live' and message is null and taken_at is null`
	for {
		until := s.Now().Add(near)
		if err := one(ctx, s.read, `select min(due) `+waits, nil, instant{&next}); err != nil || next.IsZero() || next.After(until) {
			return next, s.explain(err)
		}
		err := s.Tx(ctx, func(tx *Tx) error {
			rows, err := list(tx.ctx, tx.tx, `select `+jobColumns+` `+waits+` and due <= ? order by due limit ?`, []any{stamp(until), promoteChunk}, scanJob)
			if err != nil {
				return err
			}
			for _, j := range rows {
				if err := tx.send(j); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return next, err
		}
	}
}

// ready reports whether the lane has more than n jobs that can be taken now, else when the next one can be.
func (s *Store) ready(ctx context.Context, lane string, n int) (ok bool, next time.Time, err error) {
	now := stamp(s.Now())
	err = one(ctx, s.read, `select exists (select 1 from goqite where queue = ? and timeout <= ? limit 1 offset ?)`, []any{lane, now, n}, &ok)
	if err != nil || ok {
		return ok, next, s.explain(err)
	}
	err = one(ctx, s.read, `select min(timeout) from goqite where queue = ? and timeout > ?`, []any{lane, now}, instant{&next})
	return false, next, s.explain(err)
}

// take hands out up to n of the lane's best jobs, best first. paced says that each is a call under the lane's limits, which
// then know when the last one was, however the process ends.
func (s *Store) take(ctx context.Context, lane string, n int, paced bool) (jobs []Job, err error) {
	err = s.inTx(ctx, light, nil, func(tx *Tx) error {
		q := s.queue(lane)
		for len(jobs) < n {
			some, err := tx.receive(q, n-len(jobs))
			if err != nil || len(some) == 0 {
				return err
			}
			jobs = append(jobs, some...)
			if !paced {
				continue
			}
			if _, err := tx.exec(`update upstream_limit set last_call = ? where name > ? and name < ?`, stamp(tx.now), lane+"/", lane+"0"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// receive takes up to n messages and returns their jobs. It returns none only when there is no message left.
func (tx *Tx) receive(q *goqite.Queue, n int) ([]Job, error) {
	for {
		var order []string // of the messages: as goqite gave them out
		type taken struct {
			ID      int64  `json:"id"`
			Message string `json:"message"`
		}
		var all []taken
		for len(all) < n {
			m, err := q.ReceiveTx(tx.ctx, tx.goq)
			if err != nil {
				return nil, err
			}
			if m == nil {
				break
			}
			id, err := strconv.ParseInt(string(m.Body), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("message %s is no job id: %w", m.ID, err)
			}
			all, order = append(all, taken{id, string(m.ID)}), append(order, string(m.ID))
		}
		if len(all) == 0 {
			return nil, nil
		}
		b, err := json.Marshal(all)
		if err != nil {
			return nil, err
		}
		jobs, err := list(tx.ctx, tx.tx, `update job set run = run + 1, lost = lost + 1, taken_at = ?, message = m.value ->> 'message'
			from json_each(?) m where job.id = m.value ->> 'id' and state = 'live' returning `+jobColumns, []any{stamp(tx.now), string(b)}, scanJob)
		if err != nil {
			return nil, err
		}
		// A message without a job is of no use.
		for _, m := range order {
			if !slices.ContainsFunc(jobs, func(j Job) bool { return j.message == m }) {
				if err := q.DeleteTx(tx.ctx, tx.goq, goqite.ID(m)); err != nil {
					return nil, err
				}
			}
		}
		if len(jobs) > 0 {
			slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(slices.Index(order, a.message), slices.Index(order, b.message)) })
			return jobs, nil
		}
	}
}

// renew begins the hold of a taken job anew and notes whether it runs alone; false when somebody else has it now.
func (s *Store) renew(ctx context.Context, j Job, alone bool, hold time.Duration) (mine bool, err error) {
	err = s.Tx(ctx, func(tx *Tx) error {
		n, err := tx.exec(`update job set alone = ? where id = ? and run = ? and state = 'live'`, alone, j.ID, j.run)
		if err != nil || n == 0 {
			return err
		}
		mine = true
		return s.queue(j.Lane).ExtendTx(tx.ctx, tx.goq, goqite.ID(j.message), hold)
	})
	return mine && err == nil, err
}

// finish ends a job in one transaction with everything that follows from it.
func (s *Store) finish(ctx context.Context, j Job, commit Commit, m *adapters.Meter) error {
	return s.inTx(ctx, full, &j, func(tx *Tx) error {
		var hurried bool
		err := tx.one(`select hurried from job where id = ? and run = ? and state = 'live'`, []any{j.ID, j.run}, &hurried)
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
			if err := tx.unsend(j); err != nil {
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

// putBack returns a job that did not come to its end: later, or dead.
func (s *Store) putBack(ctx context.Context, l Lane, j Job, cause error, m *adapters.Meter, v verdict) error {
	e := adapters.Classify(cause)
	return s.inTx(ctx, full, &j, func(tx *Tx) error {
		var before string
		err := tx.one(`select coalesce(err, '') from job where id = ? and run = ? and state = 'live'`, []any{j.ID, j.run}, &before)
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
		if err := tx.BookCalls(j.Pipeline, m, wasteOf(cause)); err != nil {
			return err
		}
		if errors.Is(cause, errShutdown) {
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
		if v.free {
			j.At = tx.now.Add(e.After)
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
		j.At = tx.now.Add(max(e.After, l.Backoff.delay(j.Attempt-1)))
		if v.at.After(j.At) {
			j.At = v.at
		}
		return tx.send(j)
	})
}

// wasteOf says what the calls of a step were that ended with an error.
func wasteOf(cause error) Waste {
	if errors.Is(cause, errShutdown) || errors.Is(cause, ErrStale) {
		return WasteRepeated
	}
	switch adapters.Classify(cause).Kind {
	case adapters.Throttled, adapters.Unauthorized, adapters.NeedsHuman:
		return WasteRefused
	default:
		return WasteFailed
	}
}

// spared says that a job which has used up its attempts goes on: its upstream has answered nobody since the job began to
// fail, and that is not long ago.
func (tx *Tx) spared(l Lane, j Job, v verdict) (bool, error) {
	if !v.upstream {
		return false, nil
	}
	var first time.Time
	if err := tx.one(`select min(at) from job_error where job = ? and at >= ?`, []any{j.ID, j.created}, instant{&first}); err != nil {
		return false, err
	}
	return !v.answered.After(first) && tx.now.Sub(first) < l.patience(), nil
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

// bury makes a job dead: it leaves goqite and frees its key.
func (tx *Tx) bury(j Job, cause error) error {
	if err := tx.unsend(j); err != nil {
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
	err := tx.one(`select state, taken_at is not null, `+jobColumns+` from job where id = ?`, []any{id}, append([]any{&state, &taken}, jobFields(&j)...)...)
	if errors.Is(err, ErrNotFound) {
		return missing(fmt.Sprintf("there is no job %d; `sumbi jobs list` shows them", id))
	}
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("job %d is running", id)
	}
	if state == "dead" && j.Key != "" {
		var other int64
		switch err := tx.one(`select id from job where key = ? and state = 'live'`, []any{j.Key}, &other); {
		case err == nil:
			return fmt.Errorf("job %d cannot live again: job %d already does the same work; drop this one", id, other)
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
	return tx.unsend(j)
}
