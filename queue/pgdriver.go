package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// openPool makes a pool of database/sql over the connections of p, which understands the statements of this package.
func openPool(p *pgxpool.Pool) *sql.DB {
	db := sql.OpenDB(pgConnector{stdlib.GetPoolConnector(p)})
	db.SetMaxIdleConns(0) // p keeps them
	return db
}

type pgConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	n, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &pgConn{Conn: n.(*stdlib.Conn)}, nil
}

// pgConn is a connection that is asked in the way of this package: `?` for each value, numbers for booleans.
type pgConn struct {
	*stdlib.Conn
	begun bool // a transaction; the connection goes back to its pool at the end of that
}

// BeginTx implements driver.ConnBeginTx.
func (c *pgConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	t, err := c.Conn.BeginTx(ctx, opts)
	c.begun = err == nil
	return t, err
}

// errLost says that a connection is gone within a transaction.
var errLost = fmt.Errorf("the connection was lost: %w", net.ErrClosed)

// lost keeps ErrBadConn from package sql within a transaction: it would close the connection at once, and wait for the end of
// the transaction, which waits for it.
func (c *pgConn) lost(err error) error {
	if c.begun && errors.Is(err, driver.ErrBadConn) {
		return errLost
	}
	return err
}

// ExecContext implements driver.ExecerContext.
func (c *pgConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.ExecContext(ctx, numbered(query), args)
	return r, c.lost(err)
}

// QueryContext implements driver.QueryerContext.
func (c *pgConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.Conn.QueryContext(ctx, numbered(query), args)
	return r, c.lost(err)
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *pgConn) CheckNamedValue(v *driver.NamedValue) error {
	value, err := driver.DefaultParameterConverter.ConvertValue(v.Value)
	if err != nil {
		return err
	}
	switch x := value.(type) {
	case bool:
		value = int64(0)
		if x {
			value = int64(1)
		}
	case string:
		value = postgresText(x)
	}
	v.Value = value
	return nil
}

// postgresText puts U+FFFD in the place of what PostgreSQL takes in no text: NUL, and what is no UTF-8.
func postgresText(s string) string {
	if strings.ContainsRune(s, 0) {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// numberedTexts remembers the translations; the texts of this package are few.
var numberedTexts sync.Map

// numbered puts $1, $2 and so on in the place of each `?` outside a literal.
func numbered(query string) string {
	if known, ok := numberedTexts.Load(query); ok {
		return known.(string)
	}
	var b strings.Builder
	n, literal := 0, false
	for i := range len(query) {
		switch c := query[i]; {
		case c == '\'':
			literal = !literal
			b.WriteByte(c)
		case c == '?' && !literal:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		default:
			b.WriteByte(c)
		}
	}
	numberedTexts.Store(query, b.String())
	return b.String()
}

// within is the transaction that a connection is in, as River wants it. Its end is the business of whoever began it.
type within struct{ c *pgx.Conn }

var _ pgx.Tx = within{}

// The methods of pgx.Tx, passed on to the connection.

func (w within) Begin(ctx context.Context) (pgx.Tx, error) {
	_, err := w.c.Exec(ctx, "savepoint river")
	return part{w}, err
}
func (within) Commit(context.Context) error   { return nil }
func (within) Rollback(context.Context) error { return nil }
func (within) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }
func (w within) Conn() *pgx.Conn              { return w.c }
func (w within) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return w.c.CopyFrom(ctx, table, columns, rows)
}

func (w within) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return w.c.SendBatch(ctx, b)
}

func (w within) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	return w.c.Prepare(ctx, name, query)
}

func (w within) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	return w.c.Exec(ctx, query, args...)
}

func (w within) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	return w.c.Query(ctx, query, args...)
}

func (w within) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	return w.c.QueryRow(ctx, query, args...)
}

// part is a piece of the transaction that can be taken back by itself.
type part struct{ within }

func (p part) Commit(ctx context.Context) error {
	_, err := p.c.Exec(ctx, "release savepoint river")
	return err
}

func (p part) Rollback(ctx context.Context) error {
	_, err := p.c.Exec(ctx, "rollback to savepoint river")
	return err
}

// pgxOf returns the connection of pgx below one of database/sql.
func pgxOf(c *sql.Conn) (conn *pgx.Conn, err error) {
	err = c.Raw(func(raw any) error {
		own, ok := raw.(*pgConn)
		if !ok {
			return errors.New("not a connection to PostgreSQL")
		}
		conn = own.Conn.Conn()
		return nil
	})
	return conn, err
}
