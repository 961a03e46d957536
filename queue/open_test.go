package queue_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sumbi/queue"
)

func TestOpenAgain(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "맛집 상태.db")
	s := open(t, path, queue.Owner)
	within(t, s, note2("냉면", "평양"))
	if !s.Owner() || s.Unclean() || s.Path() != path {
		t.Errorf("owner %v, unclean %v, path %q", s.Owner(), s.Unclean(), s.Path())
	}
	rows(t, s, `select * from pragma_journal_mode`, "wal")
	check(t, s.Close())

	s = open(t, path, queue.Owner)
	meta(t, s, "냉면", "평양")
	if s.Unclean() {
		t.Error("a file that was closed counts as unclean")
	}
	check(t, s.Check(t.Context()))
	check(t, s.Ping(t.Context()))
}

func note2(key, value string) func(tx *queue.Tx) error {
	return func(tx *queue.Tx) error { return tx.SetMeta(key, value) }
}

func TestExclude(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	owner := fresh(t)
	guest := open(t, owner.Path(), queue.Guest)
	if _, err := guest.Exclude(t.Context()); !errors.Is(err, queue.ErrLocked) {
		t.Errorf("beside an owner: %v, want ErrLocked", err)
	}
	check(t, owner.Close())
	release, err := guest.Exclude(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	within(t, guest, note2("손님", "왔다")) // who keeps others away may still write
	if _, err := queue.Open(t.Context(), guest.Path(), schema, queue.Owner); !errors.Is(err, queue.ErrLocked) {
		t.Errorf("an owner is let in: %v", err)
	}
	release()
	again := open(t, guest.Path(), queue.Owner)
	if again.Unclean() {
		t.Error("the file counts as unclean")
	}
}

func TestOneOwnerAndGuests(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	owner := fresh(t)
	if _, err := queue.Open(t.Context(), owner.Path(), schema, queue.Owner); !errors.Is(err, queue.ErrLocked) {
		t.Errorf("second owner: %v, want ErrLocked", err)
	}
	guest := open(t, owner.Path(), queue.Guest)
	if n, err := guest.Workers(t.Context()); err != nil || n != 1 {
		t.Errorf("beside an owner: %d work, %v", n, err)
	}
	if guest.Owner() {
		t.Error("a guest may drain the file")
	}
	within(t, guest, note2("손님", "왔다"))
	meta(t, owner, "손님", "왔다")
	within(t, owner, note2("주인", "있다"))
	meta(t, guest, "주인", "있다")
	add(t, guest, pageJob("ig:을지로:posts"))
	if j := take(t, owner); j.Key != "ig:을지로:posts" {
		t.Errorf("the owner took %q", j.Key)
	}
	// A guest comes while a job is in flight and leaves it there.
	open(t, owner.Path(), queue.Guest)
	nothing(t, owner)

	check(t, owner.Close())
	if n, err := guest.Workers(t.Context()); err != nil || n != 0 {
		t.Errorf("without an owner: %d work, %v", n, err)
	}
	open(t, owner.Path(), queue.Owner)
}

func TestOpenEmptyFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sumbi.db")
	check(t, os.WriteFile(path, nil, 0o600))
	within(t, open(t, path, queue.Owner), note2("k", "v"))
}

// TestOpenRefuses checks that a file which cannot be used is named in one sentence and left as it was.
func TestOpenRefuses(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	ours := func(t *testing.T, path string) []byte {
		s := open(t, path, queue.Owner)
		_, ws := begin(t, s, "을지로골목", "posts")
		for i := range 40 {
			put(t, s, ws[0], post(fmt.Sprint(i), "평양냉면 한 그릇", 1))
		}
		check(t, s.Close())
		b, err := os.ReadFile(path)
		check(t, err)
		return b
	}
	write := func(t *testing.T, path string, b []byte) { check(t, os.WriteFile(path, b, 0o600)) }
	both := []queue.Mode{queue.Owner, queue.Guest}
	tests := []struct {
		name  string
		modes []queue.Mode
		make  func(t *testing.T, path string)
		want  []string
	}{
		{"directory", both, func(t *testing.T, path string) { check(t, os.Mkdir(path, 0o700)) }, []string{"is a directory; name a file"}},
		{"missing", []queue.Mode{queue.Guest}, func(*testing.T, string) {}, []string{"does not exist yet", "sumbi run PIPELINE"}},
		{"empty", []queue.Mode{queue.Guest}, func(t *testing.T, path string) { write(t, path, nil) }, []string{"is empty", "sumbi run PIPELINE"}},
		{"text", both, func(t *testing.T, path string) {
			write(t, path, []byte("평양냉면 맛집 목록입니다. 아주 맛있어요."))
		}, []string{"is not a SQLite file or is damaged", "--state"}},
		{"short", both, func(t *testing.T, path string) { write(t, path, template[:9]) }, []string{"is not a SQLite file or is damaged"}},
		{"only a header", both, func(t *testing.T, path string) { write(t, path, template[:60]) }, []string{"is damaged", "restore a copy"}},
		{"broken page size", both, func(t *testing.T, path string) {
			b := ours(t, path)
			b[16], b[17] = 0xff, 0xff
			write(t, path, b)
		}, []string{"is damaged", "restore a copy"}},
		{"broken first page", both, func(t *testing.T, path string) {
			b := ours(t, path)
			for i := 100; i < 200; i++ {
				b[i] = 0xff
			}
			write(t, path, b)
		}, []string{"is damaged", "restore a copy"}},
		{"truncated", both, func(t *testing.T, path string) {
			b := ours(t, path)
			write(t, path, b[:len(b)/2])
		}, []string{"is damaged", "restore a copy"}},
		{"newer", both, func(t *testing.T, path string) {
			ours(t, path)
			raw(t, path, `pragma user_version = 99`)
		}, []string{"newer sumbi", "schema 99", "this one knows 6"}},
		{"older", []queue.Mode{queue.Guest}, func(t *testing.T, path string) {
			ours(t, path)
			raw(t, path, `pragma user_version = 1`)
		}, []string{"earlier sumbi", "schema 1", "upgrades it"}},
		{"of no version", both, func(t *testing.T, path string) {
			ours(t, path)
			raw(t, path, `pragma user_version = -4`)
		}, []string{"schema -4", "no sumbi writes"}},
		{"of another program", both, func(t *testing.T, path string) {
			raw(t, path, `create table 메뉴 (이름 text)`, `insert into 메뉴 values ('육개장')`)
		}, []string{"belongs to another program", "--state"}},
		{"of another program with our version", both, func(t *testing.T, path string) {
			raw(t, path, `create table 메뉴 (이름 text)`, `pragma user_version = 4`)
		}, []string{"belongs to another program"}},
	}
	for _, tt := range tests {
		for _, mode := range tt.modes {
			t.Run(fmt.Sprintf("%s/%v", tt.name, map[queue.Mode]string{queue.Owner: "owner", queue.Guest: "guest"}[mode]), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "sumbi.db")
				tt.make(t, path)
				before := hash(t, path)
				s, err := queue.Open(t.Context(), path, schema, mode)
				if err == nil {
					s.Close()
					t.Fatal("opened")
				}
				fe, ok := errors.AsType[*queue.FileError](err)
				if !ok || fe.Path != path || !queue.Fatal(err) {
					t.Fatalf("%v (%T) is no FileError about %s", err, err, path)
				}
				sentence(t, err.Error(), append(tt.want, path)...)
				if after := hash(t, path); after != before {
					t.Errorf("the file was changed: %s, was %s", after, before)
				}
				for _, tail := range []string{"-wal", "-shm", "-journal"} {
					if _, err := os.Stat(path + tail); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("%s was left behind", filepath.Base(path+tail))
					}
				}
			})
		}
	}
}

func TestOpenWithoutDirectory(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	file := filepath.Join(t.TempDir(), "파일")
	check(t, os.WriteFile(file, nil, 0o600))
	for name, path := range map[string]string{"no directory": filepath.Join(t.TempDir(), "없음", "sumbi.db"), "file for a directory": filepath.Join(file, "sumbi.db")} {
		_, err := queue.Open(t.Context(), path, schema, queue.Owner)
		if !queue.Fatal(err) {
			t.Fatalf("%s: %v", name, err)
		}
		sentence(t, err.Error(), path)
	}
}

// TestCheckFindsDamage checks a page that opening the file does not read.
func TestCheckFindsDamage(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	for i := range 60 {
		put(t, s, ws[0], post(fmt.Sprint(i), "육개장이 얼큰하다", 1))
	}
	check(t, s.Close())
	b, err := os.ReadFile(s.Path())
	check(t, err)
	for i := len(b) - 4096; i < len(b); i++ {
		b[i] = 0xff
	}
	check(t, os.WriteFile(s.Path(), b, 0o600))
	before := hash(t, s.Path())
	_, err = queue.Open(t.Context(), s.Path(), schema, queue.Owner)
	guest := open(t, s.Where(), queue.Guest)
	for _, err := range []error{err, guest.Check(t.Context())} {
		if !queue.Fatal(err) {
			t.Fatalf("got %v", err)
		}
		sentence(t, err.Error(), "is damaged", "restore a copy")
	}
	if after := hash(t, s.Path()); after != before {
		t.Error("the file was changed")
	}
}

func TestSpoolDir(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	dir, err := s.SpoolDir()
	check(t, err)
	info, err := os.Stat(dir)
	check(t, err)
	if !info.IsDir() || filepath.Dir(dir) != filepath.Dir(s.Path()) || info.Mode().Perm() != 0o700 {
		t.Errorf("%s, mode %v", dir, info.Mode())
	}
}

// raw changes a file as another program would.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	for _, st := range statements {
		_, err := db.ExecContext(context.Background(), st)
		check(t, err)
	}
}

func hash(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return "unreadable"
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}
