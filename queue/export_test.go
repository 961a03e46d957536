package queue

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"sumbi/adapters"
)

// LostLimit is how often a job may be handed out without an end before it is run alone.
const LostLimit = lostLimit

// ErrShutdown marks a job that was let go because the process stops.
var ErrShutdown = errShutdown

// Take hands out the lane's best job without a worker around it.
func (s *Store) Take(ctx context.Context, lane string) (Job, bool, error) {
	js, err := s.engine.take(ctx, lane, 1, true)
	if err != nil || len(js) == 0 {
		return Job{}, false, err
	}
	return js[0], true, nil
}

// Finish ends a job without a worker around it.
func (s *Store) Finish(ctx context.Context, j Job, c Commit) error {
	return s.finish(ctx, j, c, &adapters.Meter{})
}

// PutBack returns a job without a worker around it.
func (s *Store) PutBack(ctx context.Context, l Lane, j Job, cause error) error {
	return s.putBack(ctx, l, j, cause, &adapters.Meter{}, verdict{})
}

// Promote announces what has become due.
func (s *Store) Promote(ctx context.Context) error {
	_, err := s.engine.promote(ctx)
	return err
}

// Hold sets how long a taken job of the lane stays hidden.
func (s *Store) Hold(lane string, d time.Duration) {
	if s.pg != nil {
		s.pg.mu.Lock()
		defer s.pg.mu.Unlock()
		s.pg.holds[lane] = d
		return
	}
	s.engine.(*file).queueHeld(lane, d)
}

// Delay is the pause after the given number of failures before this one.
func (b Backoff) Delay(attempt int) time.Duration { return b.delay(attempt) }

// Lost is how often the job was handed out since its last orderly end.
func (j Job) Lost() int { return j.lost }

// Rows reads rows as text, columns parted by a bar, NULL as "-".
func (s *Store) Rows(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	all := []string{}
	for rows.Next() {
		vals := make([]any, len(names))
		for i := range vals {
			vals[i] = new(any)
		}
		if err := rows.Scan(vals...); err != nil {
			return nil, err
		}
		cells := make([]string, len(names))
		for i, v := range vals {
			cells[i] = "-"
			switch v := (*v.(*any)).(type) {
			case bool:
				cells[i] = "0"
				if v {
					cells[i] = "1"
				}
			case nil:
			default:
				cells[i] = fmt.Sprintf("%v", v)
			}
		}
		all = append(all, strings.Join(cells, "|"))
	}
	return all, rows.Err()
}

// Exec changes the file behind the store's back.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	if s.pg != nil {
		_, err := s.write.db.ExecContext(ctx, strings.ReplaceAll(blobText.ReplaceAllString(query, `'\x$1'::bytea`), ` as blob)`, ` as bytea)`), args...)
		return err
	}
	_, err := s.write.conn.ExecContext(ctx, query, args...)
	return err
}

// blobText is how SQLite writes bytes.
var blobText = regexp.MustCompile(`\bx'([0-9a-f]*)'`)

// Away says that an error is taken for a state that does not answer now: it is nobody's attempt.
func (s *Store) Away(err error) bool { return busy(s.explain(err)) }

// Where is what opens the same state again.
func (s *Store) Where() string {
	if s.pg != nil {
		return s.pg.pool.Config().ConnString()
	}
	return s.path
}

// Vanish makes the machine of a store on PostgreSQL one that is gone.
func (s *Store) Vanish(ctx context.Context) error {
	return s.Exec(ctx, `update machine set seen_at = '2000-01-01T00:00:00.000Z' where id = ?`, s.pg.machine)
}

// Reap looks for machines that are gone, and what is held too long.
func (s *Store) Reap(ctx context.Context) error {
	s.pg.mu.Lock()
	s.pg.next = time.Time{}
	s.pg.mu.Unlock()
	return s.pg.reap(ctx)
}

// NoSync leaves the disk to itself: no test cuts the power.
func (s *Store) NoSync() error {
	if s.pg != nil {
		return nil // the server's own settings
	}
	s.write.fixed = true
	return s.Exec(context.Background(), `pragma synchronous = off`)
}

// Queued returns how many commits wait for the next transaction.
func (s *Store) Queued() int {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	return len(s.groups.waiting[light]) + len(s.groups.waiting[full])
}

// Transactions returns how many transactions have been committed.
func (s *Store) Transactions() int64 { return s.groups.committed.Load() }

// Synchronous returns the pragma of that name as the writing connection has it.
func (s *Store) Synchronous(t interface{ Fatal(...any) }) (mode string) {
	if err := s.write.conn.QueryRowContext(context.Background(), `select synchronous from pragma_synchronous`).Scan(&mode); err != nil {
		t.Fatal(err)
	}
	return mode
}

// Sound reports whether the whole file is known to be whole.
func (s *Store) Sound() bool { return s.health.sound.Load() }

// LimitLog sets the size above which the log is emptied.
func (s *Store) LimitLog(bytes int64) { s.health.walLimit = bytes }

// Tend looks after the files once.
func (s *Store) Tend(ctx context.Context) error {
	s.health.walNext = time.Time{}
	_, err := s.engine.tend(ctx, &Worker{Store: s, Log: slog.New(slog.DiscardHandler)})
	return err
}

// Statements lets f be asked before each statement of the writing connection, also between two of one transaction.
func (s *Store) Statements(f func() error) error {
	return s.write.conn.Raw(func(c any) error {
		own := c.(*conn)
		own.sqliteConn = watched{own.sqliteConn, f}
		for text, st := range own.stmts {
			own.stmts[text] = &stmt{Stmt: watchedStmt{st.Stmt, f}}
		}
		return nil
	})
}

type watched struct {
	sqliteConn
	ask func() error
}

func (c watched) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.sqliteConn.PrepareContext(ctx, query)
	return watchedStmt{st, c.ask}, err
}

type watchedStmt struct {
	driver.Stmt
	ask func() error
}

func (st watchedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := st.ask(); err != nil {
		return nil, err
	}
	return st.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (st watchedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := st.ask(); err != nil {
		return nil, err
	}
	return st.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// Texts returns what the store reads by while f runs.
func (s *Store) Texts(ctx context.Context, f func() error) (texts []string, err error) {
	s.read.SetMaxOpenConns(1)
	known := map[string]bool{}
	for range 2 {
		c, err := s.read.Conn(ctx)
		if err != nil {
			return nil, err
		}
		err = c.Raw(func(c any) error {
			texts = nil
			for text := range c.(*conn).stmts {
				if !known[text] {
					texts = append(texts, text)
				}
				known[text] = true
			}
			return nil
		})
		if err := errors.Join(err, c.Close()); err != nil {
			return nil, err
		}
		if f != nil {
			if err := f(); err != nil {
				return nil, err
			}
			f = nil
		}
	}
	return texts, nil
}

// WaitingText finds the questions that go next.
const WaitingText = waitingText

// Details counts what is no post.
func Details(s *Store) string { return details(s) }

// Forget is how long a trouble must be over.
const Forget = forget

// MostFates is how many causes are kept of a batch.
const MostFates = mostFates

// Unclean reports whether the process before was ended in the middle of its work.
func (s *Store) Unclean() bool { return s.freed }

// Exec runs a statement within the transaction.
func (tx *Tx) Exec(query string, args ...any) error {
	_, err := tx.exec(query, args...)
	return err
}

// StoryTexts are the statements that read a job's errors; their first value is its number.
func StoryTexts() map[string][]any {
	return map[string][]any{storyBegan: {7, "2026"}, storyName: {7}}
}
