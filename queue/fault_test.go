package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"
)

// Fault makes statements of the writing connection fail.
type Fault struct {
	mu    sync.Mutex
	left  int // statements that still succeed
	cause error
	hit   bool
}

// FailFrom lets the n-th statement from now on fail, and every later one, with cause.
func (s *Store) FailFrom(n int, cause error) *Fault {
	f := &Fault{left: 1 << 30, cause: cause} // opening does not fail
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	check(s.write.conn.Close())
	check(s.write.db.Close())
	s.write.db = sql.OpenDB(faulty{connector{dsn: s.dsn("journal_mode(wal)", "temp_store(memory)"), driver: &sqlite.Driver{}}, f})
	s.write.db.SetMaxOpenConns(1)
	var err error
	s.write.conn, err = s.write.db.Conn(context.Background())
	check(err)
	check(s.NoSync())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n - 1
	return f
}

// Lift lets everything succeed again; it reports whether something failed.
func (f *Fault) Lift() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cause = nil
	return f.hit
}

// next is the fault of the next statement.
func (f *Fault) next() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left >= 0 || f.cause == nil {
		return nil
	}
	f.hit = true
	return f.cause
}

type faulty struct {
	connector
	fault *Fault
}

// Connect implements driver.Connector.
func (c faulty) Connect(ctx context.Context) (driver.Conn, error) {
	n, err := c.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{n.(*conn), c.fault}, nil
}

type faultyConn struct {
	*conn
	fault *Fault
}

// ExecContext implements driver.ExecerContext.
func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.fault.next(); err != nil && !strings.HasPrefix(query, "rollback") {
		return nil, err
	}
	return c.conn.ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.fault.next(); err != nil {
		return nil, err
	}
	return c.conn.QueryContext(ctx, query, args)
}

// BeginTx implements driver.ConnBeginTx.
func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.fault.next(); err != nil {
		return nil, err
	}
	t, err := c.conn.BeginTx(ctx, o)
	return faultyTx{t, c.fault}, err
}

type faultyTx struct {
	driver.Tx
	fault *Fault
}

// Commit implements driver.Tx.
func (t faultyTx) Commit() error {
	if err := t.fault.next(); err != nil {
		_ = t.Rollback()
		return err
	}
	return t.Tx.Commit()
}

// SQLiteError returns what SQLite says to the last of some statements.
func SQLiteError(t testing.TB, statements ...string) error {
	t.Helper()
	db := openDB(":memory:")
	defer db.Close()
	db.SetMaxOpenConns(1)
	var err error
	for _, text := range statements {
		_, err = db.ExecContext(t.Context(), text)
	}
	if err == nil {
		t.Fatal("SQLite has no complaint")
	}
	return err
}
