package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// openDB opens a pool whose connections compile each text of SQL once: to parse a statement takes longer than to run it, and
// goqite's own come as text, too.
func openDB(dsn string) *sql.DB {
	return sql.OpenDB(connector{dsn: dsn, driver: &sqlite.Driver{}})
}

type connector struct {
	dsn    string
	driver *sqlite.Driver
}

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	n, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &conn{sqliteConn: n.(sqliteConn), stmts: map[string]*stmt{}}, nil
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// sqliteConn is what a connection of the driver can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn is a connection that keeps its statements.
type conn struct {
	sqliteConn
	stmts map[string]*stmt
}

type stmt struct {
	driver.Stmt
	busy bool // its rows are still being read
}

// take returns the statement of a query for one use; nil when it is in use.
func (c *conn) take(ctx context.Context, query string) (*stmt, error) {
	s := c.stmts[query]
	if s == nil {
		d, err := c.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		s = &stmt{Stmt: d}
		c.stmts[query] = s
	}
	if s.busy {
		return nil, nil
	}
	return s, nil
}

// ExecContext implements driver.ExecerContext. A pragma may take effect when it is compiled, so it is compiled each time.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if strings.HasPrefix(query, "pragma") {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	r, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rows{Rows: r, stmt: s}, nil
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

type rows struct {
	driver.Rows
	stmt *stmt
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	r.stmt.busy = false
	return r.Rows.Close()
}
