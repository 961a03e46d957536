package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"maragu.dev/goqite"
)

// file is the engine over one SQLite file: goqite carries the ids of what is ready, and one process drains them.
type file struct {
	*Store
	watching *sql.Conn
	version  int64     // of the data, as that connection has seen it
	wall     time.Time // what the clock showed at the last look
	looked   time.Time // when that was, by the monotonic one
}

// work gives each lane its workers.
func (f *file) work(ctx, hard context.Context, w *Worker, fail context.CancelCauseFunc, wg *sync.WaitGroup) {
	if !f.health.sound.Load() {
		wg.Go(func() { f.care(ctx, w, fail) })
	}
	for _, l := range w.Lanes {
		f.queueHeld(l.Name, l.hold())
		wg.Go(func() { f.lane(ctx, hard, w, l, fail) })
	}
}

// sooner is nil: goqite is told ahead.
func (*file) sooner() <-chan struct{} { return nil }

// near is how far ahead a job is handed to goqite; what is due later waits in its row, where it costs nothing.
const near = 2 * time.Second

// mark is the message of a job until it has one: none while it is due later.
func (*file) mark(at, now time.Time) any {
	if at.Sub(now) <= near {
		return ""
	}
	return nil
}

// announce puts a job's id into goqite if it is due soon, at its priority, and takes it out otherwise.
func (f *file) announce(tx *Tx, j Job) (string, error) {
	q := f.queue(j.Lane)
	wait := max(j.At.Sub(tx.now), 0)
	message := j.message
	switch {
	case wait > near:
		if err := f.withdraw(tx, j); err != nil {
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
	return message, nil
}

// withdraw takes a job's message out of goqite.
func (f *file) withdraw(tx *Tx, j Job) error {
	if j.message == "" {
		return nil
	}
	return f.queue(j.Lane).DeleteTx(tx.ctx, tx.goq, goqite.ID(j.message))
}

// extend hides the message of a taken job for as long again.
func (f *file) extend(tx *Tx, j Job, hold time.Duration) error {
	return f.queue(j.Lane).ExtendTx(tx.ctx, tx.goq, goqite.ID(j.message), hold)
}

func (f *file) queue(lane string) *goqite.Queue { return f.queueHeld(lane, 0) }

// queueHeld returns the lane's goqite queue; hold is how long a taken job stays hidden, known once the lane works.
func (f *file) queueHeld(lane string, hold time.Duration) *goqite.Queue {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queues[lane]
	if q == nil || hold > 0 {
		q = goqite.New(goqite.NewOpts{DB: f.write.db, Name: lane, Timeout: hold, MaxReceive: 1 << 40})
		f.queues[lane] = q
	}
	return q
}

// promoteChunk is how many jobs one commit hands to goqite.
const promoteChunk = 500

// promote hands to goqite what has become due soon, and returns when the next job is due; zero when none waits.
func (f *file) promote(ctx context.Context) (next time.Time, err error) {
	const waits = `from job where state = 'live' and message is null and taken_at is null`
	for {
		until := f.Now().Add(near)
		if err := one(ctx, f.read, `select min(due) `+waits, nil, instant{&next}); err != nil || next.IsZero() || next.After(until) {
			return next, f.explain(err)
		}
		err := f.Tx(ctx, func(tx *Tx) error {
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
func (f *file) ready(ctx context.Context, lane string, n int) (ok bool, next time.Time, err error) {
	now := stamp(f.Now())
	err = one(ctx, f.read, `select exists (select 1 from goqite where queue = ? and timeout <= ? limit 1 offset ?)`, []any{lane, now, n}, &ok)
	if err != nil || ok {
		return ok, next, f.explain(err)
	}
	err = one(ctx, f.read, `select min(timeout) from goqite where queue = ? and timeout > ?`, []any{lane, now}, instant{&next})
	return false, next, f.explain(err)
}

// take hands out up to n of the lane's best jobs, best first. paced says that each is a call under the lane's limits, which
// then know when the last one was, however the process ends.
func (f *file) take(ctx context.Context, lane string, n int, paced bool) (jobs []Job, err error) {
	err = f.transact(ctx, light, nil, func(tx *Tx) error {
		q := f.queue(lane)
		for len(jobs) < n {
			some, err := receive(tx, q, n-len(jobs))
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
func receive(tx *Tx, q *goqite.Queue, n int) ([]Job, error) {
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
