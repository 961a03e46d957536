package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sumbi/queue"
)

// crawl is a short one: two lists of three pages, each page a record, a mention of its own and a job that follows it. Every
// commit counts itself, so that one that is lost or doubled shows.
const (
	crawlLists = 2
	crawlPages = 2
)

func seedCrawl(tx *queue.Tx) error {
	for l := range crawlLists {
		j := pageJob(fmt.Sprint("목록 ", l))
		j.Args = []byte("1")
		if _, err := tx.Add(j); err != nil {
			return err
		}
	}
	return nil
}

func crawlHandler(_ context.Context, j queue.Job) (queue.Commit, error) {
	return func(tx *queue.Tx) error {
		what := j.Key + " " + string(j.Args)
		if j.Kind == queue.KindMatch {
			what = j.Key
		}
		before, err := tx.Meta(what)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(before)
		if err := tx.SetMeta(what, fmt.Sprint(n+1)); err != nil || j.Kind == queue.KindMatch {
			return err
		}
		m := pageJob("찾기 " + what)
		m.Kind = queue.KindMatch
		if _, err := tx.Add(m); err != nil {
			return err
		}
		page, _ := strconv.Atoi(string(j.Args))
		if err := tx.SetMeta("글 "+what, strings.Repeat("순대국밥 ", 500)); err != nil || page == crawlPages {
			return err
		}
		next := pageJob(j.Key)
		next.Args = []byte(fmt.Sprint(page + 1))
		_, err = tx.Add(next)
		return err
	}, nil
}

// crawlUntil works until nothing is left or the file fails, and returns how it ended.
func crawlUntil(t testing.TB, s *queue.Store) error {
	t.Helper()
	w := &queue.Worker{
		Store: s, Log: slog.New(slog.DiscardHandler), Grace: time.Minute, Lanes: []queue.Lane{{Name: "인스타", Workers: 2, Deadline: time.Minute}},
		Handlers: map[queue.Kind]queue.Handler{queue.KindPage: crawlHandler, queue.KindMatch: crawlHandler},
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for {
		changed := s.Changed()
		left, err := s.Rows(context.Background(), `select count(*) from job`)
		check(t, err)
		if left[0] == "0" {
			cancel()
		}
		select {
		case err := <-ended:
			if err == nil && left[0] != "0" {
				return errors.New("not done within a minute")
			}
			return err
		case <-changed:
		}
	}
}

// crawledOnce checks that every commit of the crawl is there once.
func crawledOnce(t testing.TB, s *queue.Store) {
	t.Helper()
	var want []string
	for _, kind := range []string{"", "찾기 "} {
		for l := range crawlLists {
			for p := range crawlPages {
				want = append(want, fmt.Sprintf("%s목록 %d %d|1", kind, l, p+1))
			}
		}
	}
	rows(t, s, `select key, value from meta where key like '목록%' or key like '찾기%' order by key`, want...)
	rows(t, s, `select count(*) from job`, "0")
	rows(t, s, `select count(*) from goqite`, "0")
	check(t, s.Check(context.Background()))
}

// TestEveryStatementFails lets the n-th statement of the writing connection fail, and all that follow, for every n, as a full
// and as a read-only disk make them fail. The work must end with the reason, and the next start must do the rest: nothing lost, nothing twice.
func TestEveryStatementFails(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	tests := []struct {
		name  string
		cause error
		step  int
		want  string
	}{
		{"full", queue.SQLiteError(t, `pragma max_page_count = 1`, `create table 국 (물)`), 1, "the disk is full; make room and start again, nothing is lost"},
		{"read-only", queue.SQLiteError(t, `pragma query_only = 1`, `create table 국 (물)`), 3, "cannot be written; make the file and its directory writable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			step := tt.step
			if slow {
				step *= 15
			}
			for n := 1; ; n += step {
				path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
				check(t, os.WriteFile(path, template, 0o600))
				s := open(t, path, queue.Owner)
				within(t, s, seedCrawl)
				fault := s.FailFrom(n, tt.cause)
				err := crawlUntil(t, s)
				reached := fault.Lift()
				if reached && err == nil { // it came while the work, all done, was stopping
					crawledOnce(t, s)
				} else if reached {
					if !queue.Fatal(err) {
						t.Fatalf("statement %d: the work ended with %v", n, err)
					}
					sentence(t, err.Error(), path, tt.want)
				}
				check(t, s.Close())
				s = open(t, path, queue.Owner)
				check(t, crawlUntil(t, s))
				crawledOnce(t, s)
				check(t, s.Close())
				check(t, os.Remove(path))
				if !reached {
					if n < 20 {
						t.Errorf("only %d statements were written", n)
					}
					return
				}
			}
		})
	}
}

// TestFileMayNotGrow lets the file itself refuse to grow, at every size that it passes through.
func TestFileMayNotGrow(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	dir := t.TempDir()
	step := 1
	if slow {
		step = 4
	}
	for more := 0; ; more += step {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", more))
		check(t, os.WriteFile(path, template, 0o600))
		s := open(t, path, queue.Owner)
		within(t, s, seedCrawl)
		pages, err := s.Rows(t.Context(), `select page_count from pragma_page_count`)
		check(t, err)
		now, err := strconv.Atoi(pages[0])
		check(t, err)
		check(t, s.Exec(t.Context(), fmt.Sprintf(`pragma max_page_count = %d`, now+more)))
		err = crawlUntil(t, s)
		if err != nil {
			if !queue.Fatal(err) {
				t.Fatalf("%d more pages: the work ended with %v", more, err)
			}
			sentence(t, err.Error(), path, "the disk is full; make room and start again, nothing is lost")
		}
		check(t, s.Close())
		s = open(t, path, queue.Owner)
		check(t, crawlUntil(t, s))
		crawledOnce(t, s)
		check(t, s.Close())
		if err == nil {
			if more < 3 {
				t.Errorf("the file grew by %d pages only", more)
			}
			return
		}
	}
}

// TestFullDiskBlamesNoJob checks that a job which is in flight whenever the file fails is not taken for the cause.
func TestFullDiskBlamesNoJob(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("국밥"))
	full := queue.SQLiteError(t, `pragma max_page_count = 1`, `create table 국 (물)`)
	for range queue.LostLimit + 3 {
		w := &queue.Worker{
			Store: s, Log: slog.New(slog.DiscardHandler), Lanes: []queue.Lane{{Name: "인스타", Deadline: time.Minute}},
			Handlers: map[queue.Kind]queue.Handler{queue.KindPage: func(context.Context, queue.Job) (queue.Commit, error) {
				return func(tx *queue.Tx) error { return full }, nil
			}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := w.Run(ctx)
		cancel()
		if !queue.Fatal(err) {
			t.Fatalf("the work ended with %v", err)
		}
		check(t, s.Close())
		s = open(t, s.Where(), queue.Owner)
	}
	rows(t, s, `select state, lost from job`, "live|0")
}

// TestFullDiskBlamesNoJobLater checks that a start which fails while there is still no room leaves the excuse to the next one.
func TestFullDiskBlamesNoJobLater(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("국밥"))
	take(t, s)
	check(t, s.Exec(t.Context(), `update job set alone = 1`))
	check(t, s.Close())
	check(t, os.Truncate(s.Path()+".lock", 0)) // as an end for the file's own sake leaves it
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queue.Open(ctx, s.Path(), schema, queue.Owner); err == nil {
		t.Fatal("it was opened")
	}
	s = open(t, s.Where(), queue.Owner)
	rows(t, s, `select state, lost, died from job`, "live|0|0")
}
