package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sumbi/queue"
)

// large makes a state file that a start does not check whole, as a process that was killed leaves it.
func large(t testing.TB) (path string) {
	t.Helper()
	b, err := largeFile()
	check(t, err)
	path = filepath.Join(t.TempDir(), "sumbi.db")
	check(t, os.WriteFile(path, b, 0o600))
	return path
}

// largeFile is made once: most of it is the kept items of a few records, the newest of which is the last page.
var largeFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sumbi.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		return nil, err
	}
	s, err := queue.Open(context.Background(), path, schema, queue.Owner)
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.Exec(context.Background(), `with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
		insert into record (stream, key, pipeline, target, at, data, question, fetched_at, raw)
		select 'post', 'p' || i, 'matzip', '을지로골목', '2025-03-01T00:00:00.000Z', '{}', 0, '2025-03-01T00:00:00.000Z', zeroblob(iif(i < 10, 2000000, 400)) from n`), s.Close())
	if err != nil {
		return nil, err
	}
	// An open file is one that nobody has closed.
	if s, err = queue.Open(context.Background(), path, schema, queue.Owner); err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Exec(context.Background(), `pragma wal_checkpoint(truncate)`); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// spoil overwrites four pages of a file, at a part of its length.
func spoil(t testing.TB, path string, part float64) {
	t.Helper()
	const page = 4096
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	info, err := f.Stat()
	check(t, err)
	if info.Size() <= 16<<20 {
		t.Fatalf("%d bytes are no large file", info.Size())
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 4*page), int64(float64(info.Size())*part)/page*page)
	check(t, errors.Join(err, f.Close()))
}

// ends waits for a worker with nothing to do and returns how it ended; nil after it was stopped because good came true.
func ends(t *testing.T, s *queue.Store, good func() bool) error {
	t.Helper()
	w := &queue.Worker{Store: s, Log: slog.New(slog.DiscardHandler), Grace: time.Second, Lanes: []queue.Lane{{Name: "인스타", Deadline: time.Minute}}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(5 * time.Millisecond):
			if good != nil && good() {
				good = nil
				cancel()
			}
		}
	}
}

// TestDamageIsFoundAfterAKill checks that a spoilt page in a large file ends the work of a process that starts after a kill,
// that status knows, and that the next start refuses the file.
func TestDamageIsFoundAfterAKill(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := large(t)
	spoil(t, path, 0.5)
	s := open(t, path, queue.Owner)
	err := ends(t, s, nil)
	if !queue.Fatal(err) {
		t.Fatalf("the work ended with %v", err)
	}
	sentence(t, err.Error(), "is damaged", "restore a copy", path)
	check(t, s.Close())

	guest := open(t, path, queue.Guest)
	damage, err := guest.Damage(t.Context())
	check(t, err)
	sentence(t, damage, "is damaged", "restore a copy")
	if _, err := queue.Open(t.Context(), path, schema, queue.Owner); !queue.Fatal(err) {
		t.Errorf("the next start: %v", err)
	}
}

// TestSoundAfterAKill checks that a good file is checked once after a kill, and not after an orderly end.
func TestSoundAfterAKill(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := large(t)
	s := open(t, path, queue.Owner)
	if s.Sound() {
		t.Fatal("a file that nobody closed counts as sound")
	}
	check(t, ends(t, s, s.Sound))
	check(t, s.Close())
	if s = open(t, path, queue.Owner); !s.Sound() {
		t.Error("a file that was closed is checked again")
	}
	check(t, s.Close())

	open(t, path, queue.Owner)
	cut := open(t, copyFile(t, path, t.TempDir()), queue.Owner)
	check(t, cut.Close()) // before anybody has checked it
	if cut = open(t, cut.Path(), queue.Owner); cut.Sound() {
		t.Error("the check was forgotten")
	}
}

// TestDamageThatWasMended checks that a note of damage goes with the damage.
func TestDamageThatWasMended(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	within(t, s, note2("damage", "is damaged"))
	check(t, s.Close())
	s = open(t, s.Where(), queue.Owner)
	damage, err := s.Damage(t.Context())
	check(t, err)
	same(t, "damage", damage, "")
}

// TestNewestRowsAreChecked checks that a start reads the newest rows of a large file even after an orderly end.
func TestNewestRowsAreChecked(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := large(t)
	s := open(t, path, queue.Owner)
	check(t, ends(t, s, s.Sound))
	check(t, s.Close())
	spoil(t, path, 0.997)
	_, err := queue.Open(t.Context(), path, schema, queue.Owner)
	if !queue.Fatal(err) {
		t.Fatalf("got %v", err)
	}
	sentence(t, err.Error(), "is damaged")
}

// TestRemovedFile checks that work ends when the files are taken away from under it.
func TestRemovedFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	tests := map[string]func(t *testing.T, path string){
		"removed":     func(t *testing.T, path string) { check(t, os.Remove(path)) },
		"moved":       func(t *testing.T, path string) { check(t, os.Rename(path, path+".옛것")) },
		"replaced":    func(t *testing.T, path string) { check(t, os.Rename(copyFile(t, path, t.TempDir()), path)) },
		"log removed": func(t *testing.T, path string) { check(t, os.Remove(path+"-wal")) },
	}
	for name, take := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			within(t, s, note2("물회", "속초"))
			take(t, s.Path())
			err := ends(t, s, nil)
			if !queue.Fatal(err) {
				t.Fatalf("the work ended with %v", err)
			}
			sentence(t, err.Error(), s.Path(), "removed or replaced", "start again")
			if _, err := os.Stat(s.Path()); name == "removed" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("an empty file is in its place: %v", err)
			}
		})
	}
}

// TestLogStaysSmall checks that a burst of writes beside readers that overlap for ever leaves a log of bounded size.
func TestLogStaysSmall(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	const limit = 256 << 10
	s.LimitLog(limit)
	ctx, cancel := context.WithCancel(t.Context())
	var ended []chan error
	guest := open(t, s.Where(), queue.Guest)
	for range 2 {
		e := make(chan error, 1)
		ended = append(ended, e)
		go func() {
			for ctx.Err() == nil {
				if _, err := guest.Rows(context.Background(), `select count(*), sum(length(value)) from meta`); err != nil {
					e <- err
					return
				}
			}
			e <- nil
		}()
	}
	big, most := strings.Repeat("곱창", 5_000), int64(0)
	for i := range 30 {
		within(t, s, note2(fmt.Sprint("쪽 ", i), big))
		check(t, s.Tend(ctx))
		info, err := os.Stat(s.Path() + "-wal")
		check(t, err)
		most = max(most, info.Size())
	}
	cancel()
	for _, e := range ended {
		check(t, <-e)
	}
	if most > 2*limit {
		t.Errorf("the log grew to %d bytes, limit %d", most, limit)
	}
	if err := s.Tend(t.Context()); err != nil {
		t.Error(err)
	}
	check(t, guest.Close())
	check(t, s.Close())
	if _, err := os.Stat(s.Path() + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is left: %v", err)
	}
}

// TestFilesArePrivate checks that nobody else may read what lies beside the state file.
func TestFilesArePrivate(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "sumbi.db"), queue.Owner)
	within(t, s, note2("물회", "속초"))
	_, err := s.Backup(t.Context(), filepath.Join(dir, "copy.db"), false)
	check(t, err)
	_, err = s.SpoolDir()
	check(t, err)
	es, err := os.ReadDir(dir)
	check(t, err)
	got := map[string]string{}
	for _, e := range es {
		info, err := e.Info()
		check(t, err)
		got[e.Name()] = info.Mode().String()
	}
	same(t, "modes", got, map[string]string{
		"sumbi.db": "-rw-------", "sumbi.db-wal": "-rw-------", "sumbi.db-shm": "-rw-------", "sumbi.db.lock": "-rw-------",
		"copy.db": "-rw-------", "sumbi-spool": "drwx------",
	})
}
