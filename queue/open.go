package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"maragu.dev/goqite"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// version is the schema's version. An owner upgrades a file of an earlier one.
const version = 6

// appID marks the file as sumbi's own (pragma application_id): "sumb".
const appID = 0x73756d62

// smallFile is the size up to which the whole file is checked at each start; it takes about a tenth of a second.
const smallFile = 16 << 20

// newest is how many rows of a kind a start looks through at most, so that it takes no longer in a large file.
const newest = 10_000

// Mode says what a process wants of the file.
type Mode int

// The modes of opening.
const (
	Owner Mode = iota // drains it; one process at a time; makes the file if there is none
	Guest             // reads it and makes short writes beside the owner; the file must be there
)

// ErrLocked says that another process drains the file.
var ErrLocked = errors.New("another sumbi process works on this state file")

// FileError is a state file that cannot be used. Its text is one sentence that says what to do.
type FileError struct {
	Path string
	Text string
	Err  error

	busy bool // it may be had later
}

func (e *FileError) Error() string {
	kind := "state file "
	if e.Path == hidden || IsPostgres(e.Path) {
		kind = "state "
	}
	return fmt.Sprintf("%s%s: %s", kind, e.Path, e.Text)
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Open opens the state file at path; schema is the text of schema.sql. Errors are *FileError or ErrLocked.
func Open(ctx context.Context, path, schema string, mode Mode) (*Store, error) {
	s := &file{Store: newStore(mode)}
	s.engine = s
	s.path, s.health.walLimit, s.queues = path, walLimit, map[string]*goqite.Queue{}
	if err := s.find(); err != nil {
		return nil, err
	}
	if mode == Owner {
		if err := s.lock(); err != nil {
			return nil, err
		}
	}
	if err := s.open(ctx, schema); err != nil {
		if s.health.excused {
			s.blameless() // what was in flight is still so
		}
		_ = s.closeAll()
		return nil, err
	}
	return s.Store, nil
}

// find refuses what cannot be a state file, and settles on the file's real name: one file has one lock, whatever it is called.
func (s *file) find() error {
	info, err := os.Stat(s.path)
	switch {
	case err == nil && info.IsDir():
		return &FileError{Path: s.path, Text: "is a directory; name a file"}
	case errors.Is(err, os.ErrNotExist) && !s.owner:
		return &FileError{Path: s.path, Text: "does not exist yet; `sumbi run PIPELINE` or `sumbi serve` makes it", Err: err}
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return &FileError{Path: s.path, Text: "cannot be looked at: " + err.Error(), Err: err}
	}
	if real, err := filepath.EvalSymlinks(s.path); err == nil {
		s.path = real
	}
	return looksRight(s.path)
}

// newStore returns what a store has whatever its engine.
func newStore(mode Mode) *Store {
	return &Store{owner: mode == Owner, Now: time.Now, wakes: map[string]chan struct{}{}, changed: make(chan struct{})}
}

// looksRight refuses what is no SQLite file, and a log that belongs to another one, before SQLite touches it.
func looksRight(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &FileError{Path: path, Text: "cannot be read: " + err.Error(), Err: err}
	}
	defer f.Close()
	head := make([]byte, 20)
	n, _ := f.Read(head)
	if n > 0 && string(head[:min(n, 16)]) != "SQLite format 3\x00" {
		return &FileError{Path: path, Text: "is not a SQLite file or is damaged; restore a copy or name another file with --state"}
	}
	// A copy has no log of its own. SQLite would write the pages of the one that lies there over it.
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 && n == len(head) && head[18] == noLog {
		return &FileError{Path: path, Text: fmt.Sprintf("is a copy, but beside it lies the log of the file that was there before; remove %[1]s-wal and %[1]s-shm, then start again", path)}
	}
	return nil
}

// noLog is byte 18 of a SQLite file that keeps no write-ahead log, as `sumbi backup` writes it. With one it is 2.
const noLog = 1

func (s *file) lock() error {
	before, err := os.Stat(s.path + ".lock")
	s.health.excused = err == nil && before.Size() == 0
	l := flock.New(s.path+".lock", flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return &FileError{Path: s.path, Text: "its directory cannot be written: " + short(err) + "; make it writable or name another file with --state", Err: err}
	}
	if !ok {
		return ErrLocked
	}
	s.unlock = func() { _ = l.Unlock() }
	_ = os.WriteFile(s.path+".lock", []byte(inUse), 0o600) // without room for it the next start is too lenient, that is all
	return nil
}

func short(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func (s *file) open(ctx context.Context, schema string) error {
	abs, err := filepath.Abs(s.path)
	if err != nil {
		return &FileError{Path: s.path, Text: err.Error(), Err: err}
	}
	if f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		if s.owner || !errors.Is(err, os.ErrPermission) {
			return &FileError{Path: s.path, Text: "cannot be written: " + short(err) + "; make it writable or name another file with --state", Err: err}
		}
	} else {
		_ = f.Close()
	}
	s.dsn = func(extra ...string) string {
		q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "foreign_keys(1)"}, extra...), "_txlock": {"immediate"}, "mode": {"rw"}}
		return "file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + q.Encode()
	}
	s.read = openDB(s.dsn("query_only(1)", "cache_size(-4000)"))
	s.read.SetMaxOpenConns(4)
	// What is read whole passes through once: a cache would only hold memory, and so would the connection afterwards.
	s.scan = openDB(s.dsn("query_only(1)", "cache_size(-500)"))
	s.scan.SetMaxOpenConns(2)
	s.scan.SetConnMaxIdleTime(10 * time.Second)
	have, err := s.look(ctx)
	if err != nil {
		return s.explain(err)
	}
	// A damaged file is refused before anything is written to it.
	if info, err := os.Stat(abs); err == nil && s.owner && have > 0 {
		if err := s.examine(ctx, info.Size()); err != nil {
			return s.explain(err)
		}
	}
	s.write.db = openDB(s.dsn("journal_mode(wal)", "synchronous(full)", "temp_store(memory)", fmt.Sprintf("journal_size_limit(%d)", walLimit), "cache_size(-8000)"))
	s.write.db.SetMaxOpenConns(1)
	if s.write.conn, err = s.write.db.Conn(ctx); err != nil {
		return s.explain(err)
	}
	switch have {
	case version:
	case 0:
		err = s.create(ctx, schema)
	default:
		err = s.upgrade(ctx, schema, have)
	}
	if err != nil {
		return s.explain(err)
	}
	if err := s.readTerms(ctx); err != nil {
		return s.explain(err)
	}
	if !s.owner {
		return nil
	}
	s.sweep()
	if err := s.recover(ctx); err != nil {
		return s.explain(err)
	}
	return s.know()
}

// look returns the schema that the file has, 0 for an empty one, and refuses what this process cannot use. The reading
// connection leaves the file as it is; the writing one would turn it to WAL.
func (s *file) look(ctx context.Context) (have int, err error) {
	var app, tables int
	if err := one(ctx, s.read, `select (select user_version from pragma_user_version), (select application_id from pragma_application_id), (select count(*) from sqlite_schema)`, nil, &have, &app, &tables); err != nil {
		return 0, err
	}
	switch {
	case have == version && app == appID:
		return have, nil
	case tables == 0 && !s.owner:
		return 0, &FileError{Path: s.path, Text: "is empty; `sumbi run PIPELINE` or `sumbi serve` fills it"}
	case tables == 0:
		return 0, nil
	case app != appID:
		return 0, &FileError{Path: s.path, Text: "belongs to another program; name another file with --state"}
	case have > version:
		return 0, &FileError{Path: s.path, Text: fmt.Sprintf("was written by a newer sumbi (schema %d, this one knows %d); install that version or a later one", have, version)}
	case have < 1:
		return 0, &FileError{Path: s.path, Text: fmt.Sprintf("has schema %d, which no sumbi writes; restore a copy or name another file with --state", have)}
	case !s.owner:
		return 0, &FileError{Path: s.path, Text: fmt.Sprintf("was written by an earlier sumbi (schema %d, this one writes %d); the next `sumbi run PIPELINE` or `sumbi serve` upgrades it", have, version)}
	}
	return have, nil
}

// create makes the schema.
func (s *file) create(ctx context.Context, schema string) error {
	t, err := s.write.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, fmt.Sprintf("%s\n; pragma application_id = %d; pragma user_version = %d;", schema, appID, version)); err != nil {
		return err
	}
	return t.Commit()
}

// recover makes everything ready again that was in flight when the last process ended, and forgets what only it knew.
func (s *file) recover(ctx context.Context) error {
	return s.Tx(ctx, func(tx *Tx) error {
		n, err := tx.exec(`update goqite set timeout = ? where id in (select message from job where taken_at is not null)`, stamp(tx.now))
		if err != nil {
			return err
		}
		s.freed = n > 0
		// Nothing in goqite lies further ahead, unless the clock was set back. What is delayed there was sent lately.
		if _, err := tx.exec(`update goqite set timeout = ? where timeout > ? and rowid > (select max(rowid) from goqite) - ?`, stamp(tx.now), stamp(tx.now.Add(near+time.Second)), newest); err != nil {
			return err
		}
		// What waited long is looked at anew: a person may have started this process because the reason is gone.
		if s.later, err = tx.hasten(newest); err != nil {
			return err
		}
		if err := errors.Join(tx.excuse(), tx.recoverFrom("")); err != nil {
			return err
		}
		if _, err := tx.exec(`update job set taken_at = null, alone = 0 where taken_at is not null`); err != nil {
			return err
		}
		if _, err := tx.exec(`delete from lane_stop`); err != nil {
			return err
		}
		return errors.Join(tx.begun(), tx.clean())
	})
}

// lostText are the jobs in flight of a process that is gone. Its one value names the process; over a file there was only one.
var lostText = text2{sqlite: `taken_at is not null and ? = ''`, postgres: `taken_at is not null and coalesce(taken_by, '') = ?`}

// recoverFrom settles what a process has left in flight.
func (tx *Tx) recoverFrom(process string) error {
	// Booked first: a suspect is in flight no longer once it was judged.
	return errors.Join(tx.bookLost(process), tx.suspect(process))
}

// suspect judges the job that was the only one in flight when the process ended. That may have been its doing or chance: while
// it rests the others show which. A job that ended every process it ran in alone, over a while, is dead.
func (tx *Tx) suspect(process string) error {
	rows, err := list(tx.ctx, tx.tx, `update job set died = died + 1, alone = 0, run = run + 1 where `+lostText.in(tx.s)+` and alone = 1 and state = 'live' returning died, `+jobColumns, []any{process}, func(r *sql.Rows) (suspect, error) {
		var s suspect
		err := r.Scan(append([]any{&s.died}, jobFields(&s.Job)...)...)
		return s, err
	})
	if err != nil {
		return err
	}
	for _, j := range rows {
		cause := fmt.Errorf("the process ended %d times while this job ran, %d of them while it ran alone", j.lost, j.died)
		if err := tx.story(j.Job, cause); err != nil {
			return err
		}
		if j.died >= diedLimit {
			if err := tx.bury(j.Job, cause); err != nil {
				return err
			}
			tx.s.graves = append(tx.s.graves, j.Job)
			continue
		}
		j.At = tx.now.Add(firstRest << (2 * (j.died - 1)))
		if err := tx.send(j.Job); err != nil {
			return err
		}
	}
	return nil
}

type suspect struct {
	Job
	died int
}

// hasten makes up to n jobs due that wait for later, unless they rest, and reports whether there may be more.
func (tx *Tx) hasten(n int) (more bool, err error) {
	done, err := tx.exec(`update job set due = ? where id in (select id from job where state = 'live' and message is null and due > ? and died = 0 order by due limit ?)`, stamp(tx.now), stamp(tx.now), n)
	return done == int64(n), err
}

// Clean removes what is kept for a time only.
func (s *Store) Clean(ctx context.Context) error {
	return s.Tx(ctx, func(tx *Tx) error { return tx.clean() })
}

func (tx *Tx) clean() error {
	month, week, day := stamp(tx.now.AddDate(0, 0, -30)), stamp(tx.now.AddDate(0, 0, -7)), stamp(tx.now.AddDate(0, 0, -1))
	// Of lists of one record some fail in every turn, and the next turn asks again.
	if _, err := tx.exec(`delete from job_error where at < ? or (at < ? and kind = 'page' and key like 'page:%:%:%/%')`, month, day); err != nil {
		return err
	}
	if _, err := tx.exec(`delete from job where state = 'dead' and due < ?`, month); err != nil {
		return err
	}
	_, err := tx.exec(`delete from webhook where at < ?`, week)
	return err
}

// sweep removes what a process that was killed left half written.
func (s *file) sweep() {
	for _, pattern := range []string{"upload-*.jsonl", "*.part"} {
		left, _ := filepath.Glob(filepath.Join(s.spool(), pattern)) // the pattern is good
		for _, f := range left {
			_ = os.Remove(f)
		}
	}
}

func (s *file) spool() string { return strings.TrimSuffix(s.path, filepath.Ext(s.path)) + "-spool" }

// Check runs the database's own check of all that is stored, if it has one.
func (s *Store) Check(ctx context.Context) error { return s.engine.check(ctx) }

func (s *file) check(ctx context.Context) error { return s.pragma(ctx, `pragma quick_check(1)`) }

// Close ends the use of the state.
func (s *Store) Close() error { return s.engine.close() }

func (s *file) close() error {
	s.rest()
	return s.closeAll()
}

func (s *file) closeAll() error {
	var errs []error
	if s.write.conn != nil {
		errs = append(errs, s.write.conn.Close())
	}
	if s.watching != nil {
		errs = append(errs, s.watching.Close())
	}
	for _, db := range []*sql.DB{s.read, s.scan, s.write.db} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.unlock != nil {
		s.unlock()
	}
	return errors.Join(errs...)
}

// SpoolDir returns the directory beside the state file for what is too large for one commit, and makes it.
func (s *Store) SpoolDir() (string, error) {
	dir := s.engine.spool()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &FileError{Path: dir, Text: "cannot be made: " + short(err), Err: err}
	}
	return dir, nil
}

func (s *Store) explain(err error) error { return s.engine.explain(err) }

func (s *file) explain(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	say := func(t string) error { return &FileError{Path: s.path, Text: t, Err: err} }
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return say("the disk is full; make room and start again, nothing is lost")
	case sqlite3.SQLITE_READONLY:
		return say("cannot be written; make the file and its directory writable or name another file with --state")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return say("is damaged (" + e.Error() + "); restore a copy or name another file with --state")
	case sqlite3.SQLITE_CANTOPEN:
		return say("cannot be opened; check that its directory exists and is writable")
	case sqlite3.SQLITE_IOERR:
		return say("the disk does not answer as it should (" + e.Error() + "); nothing that was committed is lost")
	case sqlite3.SQLITE_BUSY:
		return &FileError{Path: s.path, Text: "is busy: another program has held it for more than 5 seconds", Err: err, busy: true}
	}
	return err
}

// Fatal reports whether err means that the file cannot be used any further.
func Fatal(err error) bool {
	e, ok := errors.AsType[*FileError](err)
	return ok && !e.busy
}

// busy reports that the state cannot be used now, and may be later.
func busy(err error) bool {
	e, ok := errors.AsType[*FileError](err)
	return ok && e.busy
}

// Exclude keeps every other process from draining the file until release is called, and takes no part in the work itself. The error
// is ErrLocked while another process drains it. A database that several machines share cannot be kept from them: there Exclude
// only looks whether one works.
func (s *Store) Exclude(ctx context.Context) (release func(), err error) {
	if s.pg != nil {
		ms, err := s.Machines(ctx)
		if err == nil && len(ms) > 0 {
			err = ErrLocked
		}
		return func() {}, err
	}
	l := flock.New(s.path+".lock", flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, &FileError{Path: s.path, Text: "its directory cannot be written: " + short(err) + "; make it writable or name another file with --state", Err: err}
	}
	if !ok {
		return nil, ErrLocked
	}
	return func() { _ = l.Unlock() }, nil
}

// Workers counts the processes that drain the state, this one included.
func (s *Store) Workers(ctx context.Context) (int, error) {
	if s.pg != nil {
		ms, err := s.Machines(ctx)
		return len(ms), err
	}
	if s.owner {
		return 1, nil
	}
	l := flock.New(s.path + ".lock")
	ok, err := l.TryLock()
	if !ok || err != nil {
		return 1, err
	}
	return 0, l.Unlock()
}
