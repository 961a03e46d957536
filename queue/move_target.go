package queue

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// arrive opens where it is to be copied to.
func arrive(ctx context.Context, to Location, schema string) (target, error) {
	if to.File != "" {
		return arriveFile(ctx, to.File, schema)
	}
	return arriveDatabase(ctx, to.Database, schema)
}

// databaseTarget is an empty database. Tables and rows come with one transaction, and nobody else makes them meanwhile.
type databaseTarget struct {
	*cluster
	conn *sql.Conn
	raw  *pgx.Conn
	tx   *sql.Tx
}

func arriveDatabase(ctx context.Context, d Database, schema string) (_ *databaseTarget, err error) {
	c, err := connect(ctx, d, Guest)
	if err != nil {
		return nil, err
	}
	f := &databaseTarget{cluster: c}
	defer func() {
		if err != nil {
			err = c.explain(err)
			f.close()
		}
	}()
	if f.conn, err = c.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	if _, err := f.conn.ExecContext(ctx, `select pg_advisory_lock(?)`, lockMigration); err != nil {
		return nil, err
	}
	used, err := c.foreign(ctx)
	if err != nil {
		return nil, err
	}
	if used {
		return nil, &MoveError{Path: c.path, Text: "is not empty; name another database, or another schema in the address (?search_path=sumbi)"}
	}
	if err := c.riverTables(ctx); err != nil {
		return nil, err
	}
	if f.raw, err = pgxOf(f.conn); err != nil {
		return nil, err
	}
	// Below put nobody but pgx may use the connection, not even to roll back when ctx ends.
	if f.tx, err = f.conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		return nil, err
	}
	if _, err := f.tx.ExecContext(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil { // nor may the source be hurried
		return nil, err
	}
	return f, alterTo(ctx, within{f.raw}, 0, schema)
}

func (f *databaseTarget) rows() querier { return f.tx }

func (f *databaseTarget) put(ctx context.Context, t table, s *stream) error {
	if _, err := f.raw.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, s); err != nil {
		return err
	}
	_, err := f.raw.Exec(ctx, `analyze `+quoted(t.name)) // until autovacuum comes by, every plan would be a guess
	return err
}

func (f *databaseTarget) follow(ctx context.Context, t table, last int64) error {
	if last == 0 {
		return nil
	}
	_, err := f.tx.ExecContext(ctx, `select setval(pg_get_serial_sequence(?, ?), ?)`, quoted(t.name), t.id, last)
	return err
}

func (*databaseTarget) fit(s string) string { return postgresText(s) }

// nobody is the process that had in flight what was so in a file: the first machine takes it back from there as from one that
// is gone.
const nobody = "moved"

func (f *databaseTarget) commit(ctx context.Context) error {
	if _, err := f.tx.ExecContext(ctx, `update job set taken_by = ? where taken_at is not null`, nobody); err != nil {
		return err
	}
	return f.tx.Commit()
}

func (f *databaseTarget) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	letGo(f.conn, lockMigration)
	_ = f.cluster.close()
}

// fileTarget is a hidden file that gets its name once it is whole.
type fileTarget struct {
	*file
	part string
	tx   *sql.Tx
}

func arriveFile(ctx context.Context, path, schema string) (_ *fileTarget, err error) {
	say := func(text string, err error) error { return &MoveError{Path: path, Text: text, Err: err} }
	for _, tail := range []string{"", "-wal", "-journal"} {
		info, err := os.Lstat(path + tail)
		if err == nil && tail != "" && info.Mode().IsRegular() && info.Size() == 0 {
			continue // a log with nothing in it is of no file
		}
		if err == nil {
			return nil, &MoveError{Path: path + tail, Text: "is there already; name another file, or move that one away"}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, say("cannot be looked at: "+short(err)+"; name another file", err)
		}
	}
	f := &fileTarget{file: &file{Store: newStore(Owner)}}
	f.engine, f.path = f.file, path
	prefix := "." + filepath.Base(path) + ".move-"
	removeParts(filepath.Dir(path), prefix)
	part, err := os.CreateTemp(filepath.Dir(path), prefix+"*.part")
	if err != nil {
		return nil, say("cannot be written: "+short(err)+"; make its directory or name another file", err)
	}
	f.part = part.Name()
	defer func() {
		if err != nil {
			err = f.explain(err)
			f.close()
		}
	}()
	abs, err := filepath.Abs(f.part)
	if err := errors.Join(err, part.Close()); err != nil {
		return nil, say("cannot be written: "+short(err)+"; name another file", err)
	}
	// Until it has its name a crash leaves nothing that must be whole.
	q := url.Values{"_pragma": {"journal_mode(off)", "synchronous(off)", "temp_store(memory)", "locking_mode(exclusive)", "cache_size(-64000)"}, "mode": {"rw"}}
	f.write.db = openDB("file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + q.Encode())
	f.write.db.SetMaxOpenConns(1)
	if f.write.conn, err = f.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	if err := f.create(ctx, schema); err != nil {
		return nil, err
	}
	f.tx, err = f.write.conn.BeginTx(ctx, nil)
	return f, err
}

// removeParts removes what a move that was cut off has left: it is as large as the whole.
func removeParts(dir, prefix string) {
	entries, _ := os.ReadDir(dir) // where nothing can be listed nothing can be made either
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".part") {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func (f *fileTarget) rows() querier { return f.tx }

func (f *fileTarget) put(ctx context.Context, t table, s *stream) error {
	text := `insert into ` + quoted(t.name) + ` (` + t.list() + `) values (?` + strings.Repeat(", ?", len(t.columns)-1) + `)`
	for s.Next() {
		if _, err := f.tx.ExecContext(ctx, text, s.row...); err != nil {
			return err
		}
	}
	return s.err
}

func (f *fileTarget) follow(ctx context.Context, t table, last int64) error {
	if last == 0 || !t.never {
		return nil // the next number is one more than the highest
	}
	r, err := f.tx.ExecContext(ctx, `update sqlite_sequence set seq = ? where name = ?`, last, t.name)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = f.tx.ExecContext(ctx, `insert into sqlite_sequence (name, seq) values (?, ?)`, t.name, last)
	return err
}

func (*fileTarget) fit(s string) string { return s }

func (f *fileTarget) commit(ctx context.Context) error {
	say := func(text string, err error) error { return &MoveError{Path: f.path, Text: text, Err: err} }
	if err := errors.Join(f.tx.Commit(), f.write.conn.Close(), f.write.db.Close()); err != nil {
		return err
	}
	f.write.conn, f.write.db = nil, nil
	if err := intact(ctx, f.part); err != nil {
		return say("the copy is not good ("+err.Error()+"), so it was removed; try again on another disk", err)
	}
	if err := syncFile(f.part); err != nil {
		return say("cannot be written: "+short(err)+"; name another file", err)
	}
	switch err := os.Link(f.part, f.path); { // unlike a rename it takes no name away
	case errors.Is(err, os.ErrExist):
		return say("somebody has made it meanwhile; name another file", err)
	case err != nil: // not every file system has links
		if _, err := os.Lstat(f.path); err == nil {
			return say("somebody has made it meanwhile; name another file", nil)
		}
		if err := os.Rename(f.part, f.path); err != nil {
			return say("cannot be written: "+short(err)+"; name another file", err)
		}
	}
	return syncDir(filepath.Dir(f.path))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (f *fileTarget) explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
			return &MoveError{Path: f.path, Text: "there is no room for it or it cannot be written (" + e.Error() + "); make room or name a file on another disk, no half copy is left", Err: err}
		}
	}
	return f.file.explain(err)
}

func (f *fileTarget) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	_ = f.closeAll()
	for _, tail := range []string{"", "-journal"} {
		_ = os.Remove(f.part + tail) // it has another name once it is done
	}
}
