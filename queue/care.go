package queue

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// What the file itself remembers of its health, in meta.
const (
	metaRunning = "running" // since when a process drains it; no row: the last one closed it
	metaDamage  = "damage"  // what a check has found
)

// walLimit is the size of the write-ahead log above which it is emptied at the cost of a short pause. SQLite begins it anew by
// itself whenever no reader is in its way.
const walLimit = 64 << 20

// health is what an owner knows of its file.
type health struct {
	self, wal os.FileInfo // the files that this process has opened
	sound     atomic.Bool // all of it has been checked, or the process before closed it in order
	excused   bool        // the process before ended because of the file, and no job was its cause
	walLimit  int64
	walNext   time.Time // no other attempt to empty the log before
}

// Damage returns what a check has found, "" when nothing is known to be wrong.
func (s *Store) Damage(ctx context.Context) (string, error) { return s.Meta(ctx, metaDamage) }

// examine checks, before anything is written, what a start can check in no time: the newest rows, or the whole file when it is
// small or was found damaged.
func (s *file) examine(ctx context.Context, size int64) error {
	damage, err := s.Damage(ctx)
	if err != nil {
		return err
	}
	if size <= smallFile || damage != "" {
		s.health.sound.Store(true)
		return s.check(ctx)
	}
	// An earlier schema has not all of them.
	tables, err := list(ctx, s.read, `select name from sqlite_schema where type = 'table'
		and name in ('record', 'question', 'batch', 'mention', 'place', 'candidate', 'job', 'walk', 'run')`, nil, scanText)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := list(ctx, s.read, `select * from `+table+` order by rowid desc limit 100`, nil, scanAll); err != nil {
			return err
		}
	}
	return nil
}

// scanAll reads a row whole.
func scanAll(r *sql.Rows) (struct{}, error) {
	names, err := r.Columns()
	if err != nil {
		return struct{}{}, err
	}
	vals := make([]any, len(names))
	for i := range vals {
		vals[i] = new(any)
	}
	return struct{}{}, r.Scan(vals...)
}

// begun notes in the file that a process drains it. A note that was there already says that the one before did not close it.
func (tx *Tx) begun() error {
	before, err := tx.Meta(metaRunning)
	if err != nil {
		return err
	}
	if before == "" {
		tx.s.health.sound.Store(true)
	}
	if _, err := tx.exec(`delete from meta where key = ?`, metaDamage); err != nil {
		return err
	}
	return tx.SetMeta(metaRunning, stamp(tx.now))
}

// inUse is what the lock file says until an end for the file's own sake, which empties it: that takes no room on a full disk.
const inUse = "in use, or ended by a kill\n"

// blameless notes that the process ends because of the file, so that what is in flight is not suspected.
func (s *file) blameless() { _ = os.Truncate(s.path+".lock", 0) }

// excuse takes back what counts against the jobs that were in flight when the file failed.
func (tx *Tx) excuse() error {
	if !tx.s.health.excused {
		return nil
	}
	_, err := tx.exec(`update job set lost = case when lost > 0 then lost - 1 else 0 end, alone = 0 where taken_at is not null`)
	return err
}

// rest leaves a file that the next start need not check, and an empty log. It writes only what fits.
func (s *file) rest() {
	if !s.owner || !s.health.sound.Load() || s.write.conn == nil || s.present() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// An error changes nothing: then the next start checks.
	if _, err := s.write.conn.ExecContext(ctx, `delete from meta where key = ?`, metaRunning); err == nil {
		_, _ = s.write.conn.ExecContext(ctx, `pragma wal_checkpoint(truncate)`)
	}
}

// know remembers which files this process has opened.
func (s *file) know() (err error) {
	if s.health.self, err = os.Stat(s.path); err != nil {
		return err
	}
	s.health.wal, err = os.Stat(s.path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// present returns a FileError when the file that this process works on is no longer the one of that name: what it wrote would
// go with it.
func (s *file) present() error {
	for tail, known := range map[string]os.FileInfo{"": s.health.self, "-wal": s.health.wal} {
		if known == nil {
			continue
		}
		now, err := os.Stat(s.path + tail)
		if errors.Is(err, os.ErrNotExist) || (err == nil && !os.SameFile(now, known)) {
			return &FileError{Path: s.path + tail, Text: "was removed or replaced while sumbi worked on it; put back the file or its last copy, then start again", Err: err}
		}
	}
	return nil
}

// checkSlowly checks the whole file table by table, and rests between them so that the work goes on.
func (s *file) checkSlowly(ctx context.Context) error {
	tables, err := list(ctx, s.read, `select name from sqlite_schema where type = 'table' and rootpage > 0 order by rowid`, nil, scanText)
	if err != nil {
		return s.explain(err)
	}
	for _, t := range tables {
		began := time.Now()
		if err := s.pragma(ctx, `pragma quick_check("`+strings.ReplaceAll(t, `"`, `""`)+`")`); err != nil {
			return err
		}
		sleep(ctx, time.Since(began))
	}
	return ctx.Err()
}

// check runs one of SQLite's own checks and returns its first finding.
func (s *file) pragma(ctx context.Context, pragma string) error {
	var res string
	if err := one(ctx, s.read, pragma, nil, &res); err != nil {
		return s.explain(err)
	}
	if res != "ok" {
		return &FileError{Path: s.path, Text: "is damaged (" + strings.Join(strings.Fields(res), " ") + "); restore a copy"}
	}
	return nil
}

// care checks a file that the process before did not close, while the work goes on. A finding is noted for `sumbi status` and
// ends the work.
func (s *file) care(ctx context.Context, w *Worker, fail context.CancelCauseFunc) {
	began := time.Now()
	err := s.checkSlowly(ctx)
	switch {
	case err == nil:
		s.health.sound.Store(true)
		w.Log.Info("the state file is sound; the process before had not closed it", "dur", time.Since(began).Round(time.Millisecond))
	case ctx.Err() != nil:
	case Fatal(err):
		_ = s.Tx(ctx, func(tx *Tx) error { return tx.SetMeta(metaDamage, err.Error()) })
		fail(err)
	default:
		w.trouble(err, fail)
	}
}

// tend looks after the files: are they still there, does the log stay small, has another process written.
func (s *file) tend(ctx context.Context, w *Worker) (changed bool, err error) {
	if err := errors.Join(s.present(), s.shorten(ctx, w), s.setBack(ctx, w)); err != nil {
		return false, err
	}
	if s.watching == nil { // the version is told to a connection
		if s.watching, err = s.read.Conn(ctx); err != nil {
			return false, err
		}
	}
	var version int64
	if err := one(ctx, s.watching, `pragma data_version`, nil, &version); err != nil {
		return false, s.explain(err)
	}
	changed = version != s.version
	s.version = version
	return changed, nil
}

// setBack makes due what waits for an instant of a clock that was set back since the last look, as it may be when the machine
// learns the time only after its start: else it waited for as long as the clock was ahead.
func (s *file) setBack(ctx context.Context, w *Worker) error {
	wall, looked := s.Now().Round(0), time.Now()
	by := looked.Sub(s.looked) - wall.Sub(s.wall)
	if s.wall.IsZero() || by <= near {
		s.wall, s.looked = wall, looked
		return nil
	}
	err := s.Tx(ctx, func(tx *Tx) (err error) {
		if _, err := tx.exec(`update goqite set timeout = ? where timeout > ? and id not in (select message from job where taken_at is not null and message is not null)`, stamp(tx.now), stamp(tx.now)); err != nil {
			return err
		}
		if _, err := tx.exec(`update walk set rest_until = ? where rest_until > ?`, stamp(tx.now), stamp(tx.now)); err != nil {
			return err
		}
		if _, err := tx.exec(`update target set tried_at = ? where tried_at > ?`, stamp(tx.now), stamp(tx.now)); err != nil {
			return err
		}
		s.later, err = tx.hasten(newest)
		return err
	})
	if err != nil {
		return err // the next look sees the step again
	}
	s.wall, s.looked = wall, looked
	w.Log.Warn("the clock was set back; what waits is looked at anew", "by", by.Round(time.Second))
	return nil
}

// shorten empties a log that has grown long.
func (s *file) shorten(ctx context.Context, w *Worker) error {
	info, err := os.Stat(s.path + "-wal")
	if err != nil || info.Size() <= s.health.walLimit || time.Now().Before(s.health.walNext) {
		return nil
	}
	emptied, err := s.emptyLog(ctx)
	if err != nil {
		return err
	}
	if !emptied {
		s.health.walNext = time.Now().Add(walPause)
		w.Log.Warn("the state file's log cannot be emptied while another program reads the file; it grows until that program ends", "bytes", info.Size())
	}
	return nil
}

// walPause is how long to wait after somebody was in the way of emptying the log.
const walPause = 30 * time.Second

// emptyLog brings all of the log into the file and cuts it to nothing; false when a reader was in the way.
func (s *file) emptyLog(ctx context.Context) (bool, error) {
	// Another connection: the writer's may be in a transaction. Whoever writes waits meanwhile.
	db := openDB(s.dsn("busy_timeout(1000)"))
	defer db.Close()
	var busy, frames, done int
	err := one(ctx, db, `pragma wal_checkpoint(truncate)`, nil, &busy, &frames, &done)
	return busy == 0, s.explain(err)
}

// SpoolError turns an error about a file in SpoolDir into a FileError where the disk is the reason: no repetition helps then.
func (s *Store) SpoolError(err error) error {
	for _, e := range []struct {
		errno syscall.Errno
		text  string
	}{
		{syscall.ENOSPC, "the disk is full; make room and start again, nothing is lost"},
		{syscall.EDQUOT, "the quota of the disk is used up; make room and start again, nothing is lost"},
		{syscall.EROFS, "cannot be written; make its disk writable and start again, nothing is lost"},
		{syscall.EIO, "the disk does not answer as it should; nothing that was committed is lost"},
	} {
		if errors.Is(err, e.errno) {
			return &FileError{Path: s.engine.spool(), Text: e.text, Err: err}
		}
	}
	return err
}
