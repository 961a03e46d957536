// Package queue is the state of sumbi in one SQLite file: jobs, walks, records, batches, mentions, places and the outbox.
// It is the only package with SQL. goqite carries the ids of what is ready; the job itself is a row that people can read.
package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"maragu.dev/goqite"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// layout is RFC 3339 with milliseconds; in UTC its text order is the order in time.
const layout = "2006-01-02T15:04:05.000Z"

// Seoul is the zone of days.
var seoul = time.FixedZone("KST", 9*60*60)

// ErrStale says that somebody else has moved a job or a walk on: what was done in vain must not be written.
var ErrStale = errors.New("somebody else has gone on with this")

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

var errGuest = errors.New("this process does not work on the state")

// RefusedError says why something cannot be done as things stand. Nothing is wrong with the state.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// missing is an ErrNotFound that says what is missing and what to do.
type missing string

func (m missing) Error() string { return string(m) }

// Is makes errors.Is(err, ErrNotFound) true.
func (missing) Is(target error) bool { return target == ErrNotFound }

// Store is one state file. All methods are safe for concurrent use.
type Store struct {
	engine engine
	pg     *cluster // the engine over PostgreSQL; nil over a file
	write  writer   // the file has one
	read   *sql.DB
	scan   *sql.DB // reads what is read whole
	groups groups
	path   string
	dsn    func(pragmas ...string) string
	unlock func()
	owner  bool

	upgraded *Upgrade
	health   health
	vault    *vault // nil: there is no key

	// Now is the clock; tests replace it before they start anything.
	Now func() time.Time
	// Buried runs in the transaction that makes a job dead, so that what waited for the job learns of it. May be nil.
	Buried func(tx *Tx, j Job, cause error) error

	// Timed is told how long each commit took that was made, from the wish for it to its end. It must return at once. May be nil;
	// set before anything starts.
	Timed func(took time.Duration)

	// Separate gives every commit a transaction of its own, to measure what it brings to share one. Set before anything starts.
	Separate bool

	mu      sync.Mutex
	queues  map[string]*goqite.Queue
	wakes   map[string]chan struct{}
	changed chan struct{}
	freed   bool  // the process before did not stop in order
	later   bool  // more jobs wait for later than opening the file has made due
	graves  []Job // buried while the file was opened, before anybody could be told

	terms atomic.Pointer[Terms]
	apart apart

	spots atomic.Bool // every entry with an address has its spot

	alone sync.RWMutex // held for writing by a job that must run alone
}

// Path returns the file's path.
func (s *Store) Path() string { return s.path }

// Owner reports whether this process may drain the file.
func (s *Store) Owner() bool { return s.owner }

// Tx is one transaction. Everything in it happens at one moment, Now.
type Tx struct {
	tx       *sql.Conn // in the transaction
	goq      *sql.Tx   // the same, as goqite wants it
	s        *Store
	ctx      context.Context
	asked    context.Context // the caller's own
	now      time.Time
	job      *Job // the one that this commit is about
	ends     bool // it ends the job
	again    *time.Duration
	followed bool  // a job with its key follows it
	wasted   Waste // what the calls of the step were, when they were in vain
	lost     error // why the transaction is no more
	wake     map[string]bool
	told     map[string]int // how many jobs of a lane the commit makes ready
	due      time.Time      // when the first of those is that it leaves for later
}

// Commit runs in the transaction that completes a job.
type Commit func(tx *Tx) error

// Now is the moment of the transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// Tx runs f in a transaction outside any job: the ticker, a webhook, the command line. It commits unless f returns an error.
// f may run in another goroutine, together with others; it must not call Tx itself.
func (s *Store) Tx(ctx context.Context, f func(tx *Tx) error) error {
	return s.transact(ctx, nil, f)
}

// transact commits f; j is the job that it ends, nil for none.
func (s *Store) transact(ctx context.Context, j *Job, f func(tx *Tx) error) error {
	if s.Timed == nil {
		return s.engine.transact(ctx, full, j, f)
	}
	began := time.Now()
	err := s.engine.transact(ctx, full, j, f)
	if err == nil {
		s.Timed(time.Since(began))
	}
	return err
}

func (tx *Tx) exec(query string, args ...any) (int64, error) {
	if tx.lost != nil {
		return 0, tx.lost
	}
	r, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, tx.failed(err)
	}
	return r.RowsAffected()
}

// failed remembers an error at which SQLite takes the whole transaction back. What came after it would be written for good,
// whatever becomes of the rest.
func (tx *Tx) failed(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT:
			tx.lost = err
		}
	}
	return err
}

// one scans a single row; ErrNotFound when there is none.
func (tx *Tx) one(query string, args []any, dest ...any) error {
	if tx.lost != nil {
		return tx.lost
	}
	return tx.failed(one(tx.ctx, tx.tx, query, args, dest...))
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func one(ctx context.Context, q querier, query string, args []any, dest ...any) error {
	err := q.QueryRowContext(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// list collects rows through scan.
func list[T any](ctx context.Context, q querier, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Changed returns a channel that is closed at the next commit of this process.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) signal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) wakeChan(lane string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.wakes[lane]
	if c == nil {
		c = make(chan struct{}, 1)
		s.wakes[lane] = c
	}
	return c
}

func (s *Store) wakeLane(lane string) {
	select {
	case s.wakeChan(lane) <- struct{}{}:
	default:
	}
}

// Meta reads one remembered value; "" when there is none.
func (s *Store) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := one(ctx, s.read, `select value from meta where key = ?`, []any{key}, &v)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return v, err
}

// Meta is Store.Meta within the transaction.
func (tx *Tx) Meta(key string) (string, error) {
	var v string
	err := tx.one(`select value from meta where key = ?`, []any{key}, &v)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return v, err
}

// SetMeta remembers one value.
func (tx *Tx) SetMeta(key, value string) error {
	_, err := tx.exec(`insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value`, key, value)
	return err
}

// DropMeta forgets what is kept under a key.
func (tx *Tx) DropMeta(key string) error {
	_, err := tx.exec(`delete from meta where key = ?`, key)
	return err
}

func text(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(layout)
}

func stamp(t time.Time) string { return t.UTC().Format(layout) }

// instant scans a nullable instant.
type instant struct{ t *time.Time }

func (i instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*i.t = time.Time{}
		return nil
	case string:
		if v == "" {
			*i.t = time.Time{}
			return nil
		}
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return fmt.Errorf("instant %q in the state file: %w", v, err)
		}
		*i.t = t
		return nil
	default:
		return fmt.Errorf("instant of type %T in the state file", v)
	}
}

// milliseconds scans a duration.
type milliseconds struct{ d *time.Duration }

func (m milliseconds) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("duration of type %T in the state file", v)
	}
	*m.d = time.Duration(n) * time.Millisecond
	return nil
}

// Day returns the Korean day of t.
func Day(t time.Time) string { return t.In(seoul).Format(time.DateOnly) }

// DayBegins returns when a Korean day begins; zero when day is none.
func DayBegins(day string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, day, seoul)
	if err != nil {
		return time.Time{}
	}
	return t
}
