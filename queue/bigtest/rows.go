package bigtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver of the state file
)

// writer adds rows to a file past the engine, in one transaction.
type writer struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

// rowsAtOnce is how many rows one statement adds.
const rowsAtOnce = 100

// table adds rows to one table.
type table struct {
	w       *writer
	name    string
	columns string
	width   int
	full    *sql.Stmt
	args    []any
}

func (w *writer) table(name, columns string) *table {
	return &table{w: w, name: name, columns: columns, width: strings.Count(columns, ",") + 1}
}

func (t *table) statement(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", t.width), ",") + ")"
	return "insert or rollback into " + t.name + " (" + t.columns + ") values " + strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
}

// add adds one row. The first error ends everything.
func (t *table) add(values ...any) {
	if t.w.err != nil {
		return
	}
	if len(values) != t.width {
		t.w.err = fmt.Errorf("%d values for the %d columns of %s", len(values), t.width, t.name)
		return
	}
	t.args = append(t.args, values...)
	if len(t.args) < t.width*rowsAtOnce {
		return
	}
	if t.full == nil {
		if t.full, t.w.err = t.w.tx.PrepareContext(t.w.ctx, t.statement(rowsAtOnce)); t.w.err != nil {
			return
		}
	}
	_, err := t.full.ExecContext(t.w.ctx, t.args...)
	t.end(err)
}

// flush adds what is left. It comes after the last row.
func (t *table) flush() {
	if t.w.err == nil && len(t.args) > 0 {
		_, err := t.w.tx.ExecContext(t.w.ctx, t.statement(len(t.args)/t.width), t.args...)
		t.end(err)
	}
	if t.full != nil {
		t.w.err = errors.Join(t.w.err, t.full.Close())
	}
}

func (t *table) end(err error) {
	t.args = t.args[:0]
	if err != nil {
		t.w.err = fmt.Errorf("%s: %w", t.name, err)
	}
}

// write lets f add rows to the state file at path.
func write(ctx context.Context, path string, f func(w *writer)) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)&_pragma=journal_mode(wal)&_pragma=temp_store(memory)&_pragma=cache_size(-256000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	w := &writer{ctx: ctx, tx: tx}
	f(w)
	if w.err != nil {
		return errors.Join(w.err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `pragma wal_checkpoint(truncate)`)
	return err
}
