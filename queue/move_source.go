package queue

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// leave opens where a state is to be copied from.
func leave(ctx context.Context, from Location) (source, error) {
	if from.File != "" {
		return leaveFile(ctx, from.File)
	}
	return leaveDatabase(ctx, from.Database)
}

// fileSource is a locked file. It is opened for reading only: not even its log is brought into it.
type fileSource struct {
	*file
	unsuspected bool
	conn, watch *sql.Conn
	tx          *sql.Tx
	version     int64 // of the data, before the first row was read
}

func leaveFile(ctx context.Context, path string) (_ *fileSource, err error) {
	f := &fileSource{file: &file{Store: newStore(Guest)}}
	f.engine, f.path = f.file, path
	if err := f.find(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = f.explain(err)
			f.close()
		}
	}()
	if err := f.hold(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)", "query_only(1)", "cache_size(-16000)"}, "mode": {"ro"}}
	f.read = openDB("file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + q.Encode())
	if _, err := f.look(ctx); err != nil {
		return nil, err
	}
	if err := f.check(ctx); err != nil {
		return nil, err
	}
	if f.watch, err = f.read.Conn(ctx); err != nil {
		return nil, err
	}
	if f.version, err = f.seen(ctx); err != nil {
		return nil, err
	}
	if f.conn, err = f.read.Conn(ctx); err != nil {
		return nil, err
	}
	f.tx, err = f.conn.BeginTx(ctx, nil)
	return f, err
}

// hold takes the owner's lock, and leaves what the lock file says.
func (f *fileSource) hold() error {
	name := f.path + ".lock"
	before, missing := os.Stat(name)
	f.unsuspected = missing == nil && before.Size() == 0
	l := flock.New(name, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return &FileError{Path: f.path, Text: "its directory cannot be written: " + short(err) + "; make it writable", Err: err}
	}
	if !ok {
		return ErrLocked
	}
	f.unlock = func() { _ = l.Unlock() }
	if missing != nil {
		return os.WriteFile(name, []byte(inUse), 0o600) // an empty one would excuse what was in flight
	}
	return nil
}

func (f *fileSource) seen(ctx context.Context) (version int64, err error) {
	return version, one(ctx, f.watch, `pragma data_version`, nil, &version)
}

func (f *fileSource) rows() querier { return f.tx }

func (f *fileSource) last(ctx context.Context, t table) (last int64, err error) {
	if err := one(ctx, f.tx, `select coalesce(max(`+quoted(t.id)+`), 0) from `+quoted(t.name), nil, &last); err != nil || !t.never {
		return last, err
	}
	var ever int64
	err = one(ctx, f.tx, `select coalesce(max(seq), 0) from sqlite_sequence where name = ?`, []any{t.name}, &ever)
	return max(last, ever), err
}

func (f *fileSource) excused() bool { return f.unsuspected }

func (f *fileSource) same(ctx context.Context) error {
	version, err := f.seen(ctx)
	if err != nil {
		return f.explain(err)
	}
	if version != f.version {
		return &MoveError{Path: f.path, Text: "somebody has changed it while it was copied; nothing was written, leave it alone and try again"}
	}
	return nil
}

func (f *fileSource) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	for _, c := range []*sql.Conn{f.conn, f.watch} {
		if c != nil {
			_ = c.Close()
		}
	}
	_ = f.closeAll()
}

// databaseSource is a database that no machine works on. Whoever wants to write there waits.
type databaseSource struct {
	*cluster
	conn *sql.Conn
	tx   *sql.Tx
}

func leaveDatabase(ctx context.Context, d Database) (_ *databaseSource, err error) {
	c, err := connect(ctx, d, Guest)
	if err != nil {
		return nil, err
	}
	f := &databaseSource{cluster: c}
	defer func() {
		if err != nil {
			err = c.explain(err)
			f.close()
		}
	}()
	have, _, err := c.version(ctx)
	switch {
	case err != nil:
		return nil, err
	case have == 0:
		return nil, &FileError{Path: c.path, Text: "holds no state; name the database that does in DATABASE_URL"}
	case have < version:
		return nil, &FileError{Path: c.path, Text: fmt.Sprintf("was written by an earlier sumbi (schema %d, this one writes %d); the next `sumbi run PIPELINE` or `sumbi serve` upgrades it", have, version)}
	case have > version:
		return nil, &FileError{Path: c.path, Text: fmt.Sprintf("was written by a newer sumbi (schema %d, this one knows %d); install that version or a later one", have, version)}
	}
	if err := c.look(ctx, c.write.db); err != nil {
		return nil, err
	}
	if f.conn, err = c.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	// The other side may take its time between two statements.
	if _, err := f.conn.ExecContext(ctx, `select pg_advisory_lock(?), set_config('idle_in_transaction_session_timeout', '0', false)`, lockWriters); err != nil {
		return nil, err
	}
	if err := f.same(ctx); err != nil {
		return nil, err
	}
	f.tx, err = f.conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	return f, err
}

func (f *databaseSource) rows() querier { return f.tx }

func (f *databaseSource) last(ctx context.Context, t table) (last int64, err error) {
	err = one(ctx, f.tx, `select coalesce(max(`+quoted(t.id)+`), 0) from `+quoted(t.name), nil, &last)
	if err != nil {
		return 0, err
	}
	var ever int64
	err = one(ctx, f.tx, `select coalesce(pg_sequence_last_value(pg_get_serial_sequence(?, ?)::regclass), 0)`, []any{quoted(t.name), t.id}, &ever)
	return max(last, ever), err
}

func (*databaseSource) excused() bool { return false }

func (f *databaseSource) same(ctx context.Context) error {
	type alive struct {
		host string
		seen time.Time
	}
	now := f.Now()
	all, err := list(ctx, f.read, `select host, seen_at from machine where seen_at >= ? order by seen_at desc`, []any{stamp(now.Add(-lostAfter))}, func(r *sql.Rows) (a alive, err error) {
		return a, r.Scan(&a.host, instant{&a.seen})
	})
	if err != nil || len(all) == 0 {
		return f.explain(err)
	}
	return &MoveError{Path: f.path, Text: fmt.Sprintf("%d processes work on it, one of them on %s; stop them all, and if they were killed wait %v", len(all), all[0].host, lostAfter)}
}

func (f *databaseSource) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	letGo(f.conn, lockWriters)
	_ = f.cluster.close()
}

// letGo returns a connection that holds an advisory lock.
func letGo(c *sql.Conn, lock int64) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = c.ExecContext(ctx, `select pg_advisory_unlock(?)`, lock) // the end of the process lets go, too
	_ = c.Close()
}
