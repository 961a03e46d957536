package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sumbi/queue"
)

// TestBackupBesideAWriter checks that a copy is one moment of the file: every commit writes the same number in two places.
func TestBackupBesideAWriter(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("비행 중"))
	take(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	wrote, ended := make(chan int, 1), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			err := s.Tx(ctx, func(tx *queue.Tx) error {
				return errors.Join(tx.SetMeta("가", fmt.Sprint(n)), tx.SetMeta(fmt.Sprintf("쪽 %d", n), "떡볶이"), tx.SetMeta("나", fmt.Sprint(n)))
			})
			if err != nil {
				ended <- err
				return
			}
			select {
			case wrote <- n:
			default:
			}
		}
	}()
	for range 2 {
		<-wrote
		<-wrote
		to := filepath.Join(t.TempDir(), "사본.db")
		size, err := open(t, s.Where(), queue.Guest).Backup(t.Context(), to, false)
		check(t, err)
		info, err := os.Stat(to)
		check(t, err)
		if info.Size() != size || size == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("size %d, told %d, mode %v", info.Size(), size, info.Mode())
		}
		left(t, filepath.Dir(to), "사본.db")
		c := open(t, to, queue.Owner)
		check(t, c.Check(t.Context()))
		rows(t, c, `select a.value = b.value, (select count(*) from meta where key like '쪽%') = a.value + 1 from meta a, meta b where a.key = '가' and b.key = '나'`, "1|1")
		if j := take(t, c); j.Key != "비행 중" {
			t.Errorf("took %q", j.Key)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRestoreBesideAnOldLog checks that a copy is not mixed with what a killed process had left in the log of its own file.
func TestRestoreBesideAnOldLog(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	within(t, s, note2("식당", "옛날 국밥"))
	copied := filepath.Join(t.TempDir(), "사본.db")
	_, err := s.Backup(t.Context(), copied, false)
	check(t, err)
	within(t, s, note2("식당", "새 국밥"))
	killed := copyFile(t, s.Path(), t.TempDir())
	b, err := os.ReadFile(copied)
	check(t, err)
	check(t, os.WriteFile(killed, b, 0o600))
	for _, mode := range []queue.Mode{queue.Owner, queue.Guest} {
		if _, err = queue.Open(t.Context(), killed, schema, mode); !queue.Fatal(err) {
			t.Fatalf("opened beside another file's log: %v", err)
		}
		sentence(t, err.Error(), killed, "is a copy", killed+"-wal", killed+"-shm")
	}
	check(t, os.Remove(killed+"-wal"))
	meta(t, open(t, killed, queue.Owner), "식당", "옛날 국밥")
}

// left checks what a directory holds.
func left(t *testing.T, dir string, want ...string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	check(t, err)
	var got []string
	for _, e := range es {
		got = append(got, e.Name())
	}
	same(t, "files", got, want)
}

// TestBackupRefuses checks that a copy which cannot be made says why, leaves no half file and touches nothing.
func TestBackupRefuses(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	dir := t.TempDir()
	there := filepath.Join(dir, "있다.db")
	check(t, os.WriteFile(there, []byte("오래된 사본"), 0o600))
	link := filepath.Join(dir, "링크.db")
	check(t, os.Symlink(s.Path(), link))
	tests := []struct {
		name, file string
		replace    bool
		want       []string
	}{
		{"taken", there, false, []string{"is there already", "--force"}},
		{"directory", dir, true, []string{"is no file"}},
		{"no directory", filepath.Join(dir, "없다", "사본.db"), false, []string{"cannot be written", "no such file or directory"}},
		{"the file itself", s.Path(), true, []string{"belongs to the state file itself"}},
		{"its log", s.Path() + "-wal", true, []string{"belongs to the state file itself"}},
		{"its lock", s.Path() + ".lock", true, []string{"belongs to the state file itself"}},
		{"a link to it", link, true, []string{"belongs to the state file itself"}},
	}
	for _, tt := range tests {
		_, err := s.Backup(t.Context(), tt.file, tt.replace)
		if _, ok := errors.AsType[*queue.BackupError](err); !ok {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		sentence(t, err.Error(), append(tt.want, tt.file)...)
	}
	left(t, dir, "링크.db", "있다.db")
	b, err := os.ReadFile(there)
	check(t, err)
	same(t, "what was there", string(b), "오래된 사본")

	_, err = s.Backup(t.Context(), there, true)
	check(t, err)
	check(t, open(t, there, queue.Guest).Check(t.Context()))
}

// TestBackupOfADamagedFile checks that a copy is not made of what is no longer whole, and that an older one stays.
func TestBackupOfADamagedFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := large(t)
	spoil(t, path, 0.5)
	s := open(t, path, queue.Guest)
	dir := t.TempDir()
	to := filepath.Join(dir, "사본.db")
	check(t, os.WriteFile(to, []byte("오래된 사본"), 0o600))
	_, err := s.Backup(t.Context(), to, true)
	if !queue.Fatal(err) {
		t.Fatalf("got %v", err)
	}
	sentence(t, err.Error(), "is damaged", "restore a copy")
	left(t, dir, "사본.db")
	b, err := os.ReadFile(to)
	check(t, err)
	same(t, "what was there", string(b), "오래된 사본")
}
