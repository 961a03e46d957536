package queue

import (
	"context"
	"sync"
	"time"
)

// engine carries what is ready to those who work. The jobs themselves are rows of the state, the same on every engine; so are
// their fences, their stories and everything that follows from them.
type engine interface {
	// transact runs f in one transaction that is written as a whole or not at all. j is the job that it ends, nil for none.
	transact(ctx context.Context, w weight, j *Job, f func(tx *Tx) error) error

	// mark is what is written into the row of a job that is due at a moment, before it is announced; nil while it waits there.
	mark(at, now time.Time) any
	// announce makes a job known when it is due and returns its message; "" when it waits in its row.
	announce(tx *Tx, j Job) (message string, err error)
	// withdraw takes back what was announced.
	withdraw(tx *Tx, j Job) error
	// extend begins the time anew for which a taken job is held.
	extend(tx *Tx, j Job, hold time.Duration) error
	// promote announces what has become due, and returns when the next job will be; zero when none waits.
	promote(ctx context.Context) (next time.Time, err error)
	// ready reports whether the lane has more than n jobs that can be taken now, else when the next one can be.
	ready(ctx context.Context, lane string, n int) (ok bool, next time.Time, err error)
	// take hands out up to n of the lane's best jobs, best first. paced says that each is a call under the lane's limits.
	take(ctx context.Context, lane string, n int, paced bool) ([]Job, error)

	// work drains the lanes until ctx ends. Steps in flight go on until hard ends.
	work(ctx, hard context.Context, w *Worker, fail context.CancelCauseFunc, wg *sync.WaitGroup)
	// tend looks after the state once in a while, and tells whether somebody else may have changed it.
	tend(ctx context.Context, w *Worker) (changed bool, err error)

	// explain turns what the database says into one sentence for people; other errors pass through.
	explain(err error) error
	check(ctx context.Context) error
	// fit returns nil when the state answers and this process works on it.
	fit(ctx context.Context) error
	backup(ctx context.Context, to string, replace bool) (size int64, err error)
	close() error
	spool() string // directory of this process
	// blameless notes that the process ends because of the database, so that what is in flight is not suspected.
	blameless()
	// sooner says that a job has become due before promote said that one would; nil when that does not happen.
	sooner() <-chan struct{}
}
