package queue

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// apart is what this process has set apart for what is under way and not in the books yet, in micro-dollars by run.
type apart struct {
	mu    sync.Mutex
	runs  map[int64]int64
	stale map[int64]bool // runs of which the database may know another sum; none over a file
}

// all adds up what is set apart.
func (a *apart) all() (sum int64) {
	for _, n := range a.runs {
		sum += n
	}
	return sum
}

func (a *apart) add(run, n int64) {
	if a.runs == nil {
		a.runs, a.stale = map[int64]int64{}, map[int64]bool{}
	}
	if a.runs[run] += n; a.runs[run] == 0 {
		delete(a.runs, run)
	}
}

// SetApart sets cost apart, in micro-dollars, for work of a pipeline, when allowed agrees in view of what its open run and this
// month have spent by now. Nobody sets anything apart meanwhile, on whichever machine. free is called when the cost is in the
// books; it is nil when allowed did not agree.
func (s *Store) SetApart(ctx context.Context, pipeline string, cost int64, allowed func(run int64, ofRun, ofMonth Spent) bool) (free func(), err error) {
	a := &s.apart
	a.mu.Lock()
	defer a.mu.Unlock()
	var run int64
	if s.pg != nil {
		run, err = s.pg.setApart(ctx, pipeline, cost, allowed)
	} else {
		var ofRun, ofMonth Spent
		if run, ofRun, ofMonth, err = s.spending(ctx, s.read, pipeline); err == nil && !allowed(run, ofRun, ofMonth) {
			err = errNotAllowed
		}
	}
	if errors.Is(err, errNotAllowed) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain(err)
	}
	a.add(run, cost)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.add(run, -cost)
		if s.pg != nil {
			a.stale[run] = true
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
			defer cancel()
			_ = s.pg.writeApart(ctx) // or the next one does
		}
	}, nil
}

var errNotAllowed = errors.New("not allowed")

const (
	// lockApart is that of whoever sets something apart.
	lockApart = lockMigration + 1
	// saveTimeout bounds a statement after which nobody waits.
	saveTimeout = 5 * time.Second
)

// setApart writes this machine's sum, with cost added.
func (c *cluster) setApart(ctx context.Context, pipeline string, cost int64, allowed func(run int64, ofRun, ofMonth Spent) bool) (run int64, err error) {
	t, err := c.write.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, err
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, `select pg_advisory_xact_lock(?)`, lockApart); err != nil {
		return 0, err
	}
	run, ofRun, ofMonth, err := c.spending(ctx, t, pipeline)
	if err != nil {
		return run, err
	}
	if !allowed(run, ofRun, ofMonth) {
		return run, errNotAllowed
	}
	if _, err := t.ExecContext(ctx, putApart, c.machine, run, c.apart.runs[run]+cost); err != nil {
		return run, err
	}
	err = t.Commit()
	if err != nil { // whether it is written nobody knows
		c.apart.add(run, 0)
		c.apart.stale[run] = true
	}
	return run, err
}

const putApart = `insert into apart (machine, run, micro_usd) values (?, ?, ?) on conflict (machine, run) do update set micro_usd = excluded.micro_usd`

// writeApart tells the database what it may not know; the sums are locked.
func (c *cluster) writeApart(ctx context.Context) error {
	a := &c.apart
	for _, run := range slices.Sorted(maps.Keys(a.stale)) {
		var err error
		if n := a.runs[run]; n > 0 {
			_, err = c.write.db.ExecContext(ctx, putApart, c.machine, run, n)
		} else {
			_, err = c.write.db.ExecContext(ctx, `delete from apart where machine = ? and run = ?`, c.machine, run)
		}
		if err != nil {
			return err
		}
		delete(a.stale, run)
	}
	return nil
}

// freshApart tells the database what it may not know.
func (c *cluster) freshApart(ctx context.Context) error {
	c.apart.mu.Lock()
	defer c.apart.mu.Unlock()
	return c.explain(c.writeApart(ctx))
}
