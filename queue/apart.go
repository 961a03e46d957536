package queue

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// apart is what this process has set apart for what is under way and not in the books yet, in micro-dollars by run.
type apart struct {
	mu   sync.Mutex
	runs map[int64]int64 // over a file
	// Over PostgreSQL the state knows what was granted, and is told what has become free of it since the start: sums that only
	// grow, so that it does no harm to tell them twice.
	freed map[int64]int64
	last  int64 // the run of the newest
	tell  chan struct{}
}

// all adds up what is set apart; mu is held.
func (a *apart) all() (sum int64) {
	for _, n := range a.runs {
		sum += n
	}
	return sum
}

// SetApart sets cost apart, in micro-dollars, for work of a pipeline, unless with it the budget of its open run (0: none) or of
// the month is exceeded by what is spent, kept back and set apart by now, on whichever machine. free is called when the cost is
// in the books; it is nil when there is no room. It also returns what SetApart went by.
func (s *Store) SetApart(ctx context.Context, pipeline string, cost int64, t Terms) (free func(), run int64, ofRun, ofMonth Spent, err error) {
	if s.pg != nil {
		return s.pg.setApart(ctx, pipeline, cost, t)
	}
	a := &s.apart
	a.mu.Lock()
	defer a.mu.Unlock()
	run, ofRun, ofMonth, err = s.spending(ctx, s.read, pipeline)
	if err != nil || !t.Fit(run, ofRun, ofMonth, cost) {
		return nil, run, ofRun, ofMonth, s.explain(err)
	}
	add := func(n int64) {
		if a.runs == nil {
			a.runs = map[int64]int64{}
		}
		if a.runs[run] += n; a.runs[run] == 0 {
			delete(a.runs, run)
		}
	}
	add(cost)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		add(-cost)
	}, run, ofRun, ofMonth, nil
}

// Fit tells whether cost more fits into the budgets.
func (t Terms) Fit(run int64, ofRun, ofMonth Spent, cost int64) bool {
	return (t.Month <= 0 || ofMonth.All()+cost <= t.Month) && (t.Run <= 0 || run == 0 || ofRun.All()+cost <= t.Run)
}

// setApart asks the database in one statement: nobody else is granted anything before it is done.
func (c *cluster) setApart(ctx context.Context, pipeline string, cost int64, t Terms) (free func(), run int64, ofRun, ofMonth Spent, err error) {
	month := Day(c.Now())[:len("2006-01")]
	c.apart.mu.Lock()
	last, freed := c.apart.last, c.apart.freed[c.apart.last]
	c.apart.mu.Unlock()
	var granted bool
	err = one(ctx, c.quick, `select granted, open_run, run_booked, run_reserved, run_apart, month_booked, month_reserved, month_apart from set_apart(?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		[]any{c.machine, pipeline, cost, t.Run, t.Month, month + "-01", month + "-31", last, freed},
		&granted, &run, &ofRun.Booked, &ofRun.Reserved, &ofRun.Apart, &ofMonth.Booked, &ofMonth.Reserved, &ofMonth.Apart)
	if err != nil || !granted {
		return nil, run, ofRun, ofMonth, c.explain(err)
	}
	return func() {
		a := &c.apart
		a.mu.Lock()
		if a.freed == nil {
			a.freed = map[int64]int64{}
		}
		a.freed[run] += cost
		a.last = run
		a.mu.Unlock()
		if c.plain {
			c.tellFreed(map[int64]int64{})
			return
		}
		select {
		case a.tell <- struct{}{}:
		default:
		}
	}, run, ofRun, ofMonth, nil
}

// freeing tells the database what has become free, until the store is closed.
func (c *cluster) freeing() {
	again := time.NewTicker(heartbeat)
	defer again.Stop()
	told := map[int64]int64{}
	for {
		select {
		case <-c.done:
			return
		case <-c.apart.tell:
		case <-again.C: // what could not be told
		}
		c.tellFreed(told)
	}
}

// tellFreed tells the database what is not told.
func (c *cluster) tellFreed(told map[int64]int64) {
	c.apart.mu.Lock()
	freed := maps.Clone(c.apart.freed)
	c.apart.mu.Unlock()
	for _, run := range slices.Sorted(maps.Keys(freed)) {
		if freed[run] == told[run] {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), lostAfter)
		_, err := c.quick.ExecContext(ctx, `update apart set freed = greatest(freed, ?) where machine = ? and run = ?`, freed[run], c.machine, run)
		cancel()
		if err != nil {
			return
		}
		told[run] = freed[run]
	}
}
