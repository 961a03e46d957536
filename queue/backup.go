package queue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// BackupError is a copy that could not be made. Its text is one sentence that says what to do.
type BackupError struct {
	Path string
	Text string
	Err  error
}

func (e *BackupError) Error() string { return fmt.Sprintf("backup %s: %s", e.Path, e.Text) }

// Unwrap returns the cause.
func (e *BackupError) Unwrap() error { return e.Err }

// Backup writes a copy of the state file as it is at one moment, while others work on it, and checks the copy. A file that is
// there is replaced only if replace says so, and only by a whole and good copy. It returns the size in bytes. Errors are
// *BackupError about the copy and *FileError about the state file.
func (s *Store) Backup(ctx context.Context, file string, replace bool) (size int64, err error) {
	return s.engine.backup(ctx, file, replace)
}

func (s *file) backup(ctx context.Context, file string, replace bool) (size int64, err error) {
	say := func(text string, err error) error { return &BackupError{Path: file, Text: text, Err: err} }
	if err := s.target(file, replace); err != nil {
		return 0, err
	}
	// Its mode is 0600 from the first byte on; SQLite fills an empty file.
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*.part")
	if err != nil {
		return 0, say("cannot be written: "+short(err)+"; make its directory or name another file", err)
	}
	defer func() {
		_ = tmp.Close()
		_ = os.Remove(tmp.Name()) // it has another name once it is done
	}()
	if err := s.copyTo(ctx, tmp.Name()); err != nil {
		// A number of a page that is far too large is a full disk to SQLite.
		if damage := s.check(ctx); Fatal(damage) {
			return 0, damage
		}
		if e, ok := errors.AsType[*sqlite.Error](err); ok {
			switch e.Code() & 0xff {
			case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
				return 0, say("there is no room for it or it cannot be written ("+e.Error()+"); make room or name a file on another disk, no half copy is left", err)
			}
		}
		return 0, s.explain(err)
	}
	if err := intact(ctx, tmp.Name()); err != nil {
		return 0, say("the copy is not good ("+err.Error()+"), so it was removed; check the state file with `sumbi doctor --offline`, then try again", err)
	}
	info, err := tmp.Stat()
	if err == nil {
		err = errors.Join(tmp.Sync(), os.Rename(tmp.Name(), file))
	}
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if err != nil {
		return 0, say("cannot be written: "+short(err)+"; name another file", err)
	}
	return info.Size(), nil
}

// target refuses a name that is taken, above all by the state file itself.
func (s *file) target(file string, replace bool) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &BackupError{Path: file, Text: "cannot be looked at: " + short(err) + "; name another file", Err: err}
	}
	for _, tail := range []string{"", "-wal", "-shm", ".lock"} {
		if own, err := os.Stat(s.path + tail); err == nil && os.SameFile(info, own) {
			return &BackupError{Path: file, Text: "belongs to the state file itself; name another file"}
		}
	}
	if !info.Mode().IsRegular() {
		return &BackupError{Path: file, Text: "is no file; name a file"}
	}
	if !replace {
		return &BackupError{Path: file, Text: "is there already; name another file or say --force"}
	}
	return nil
}

// copyTo reads one moment of the file. It needs a connection of its own: the readers' may write nowhere.
func (s *file) copyTo(ctx context.Context, file string) error {
	db := openDB(s.dsn("cache_size(-4000)"))
	defer db.Close()
	_, err := db.ExecContext(ctx, `vacuum into ?`, file)
	return err
}

// intact checks a file that nobody works on.
func intact(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db := openDB("file:" + (&url.URL{Path: abs}).EscapedPath() + "?mode=ro&immutable=1")
	defer db.Close()
	var res string
	if err := one(ctx, db, `pragma quick_check(1)`, nil, &res); err != nil {
		return err
	}
	if res != "ok" {
		return errors.New(res)
	}
	return nil
}

// syncDir makes a new name in a directory survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
