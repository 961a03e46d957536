package queue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/queue"
)

// together runs fs so that all of them wait while another commit is under way, and returns what each got.
func together(t *testing.T, s *queue.Store, fs ...func(tx *queue.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	within(t, s, func(*queue.Tx) error {
		for i, f := range fs {
			wg.Go(func() { errs[i] = s.Tx(context.Background(), f) })
		}
		for s.Queued() < len(fs) {
			synctest.Wait()
		}
		return nil
	})
	wg.Wait()
	return errs
}

// TestGroup checks that commits that wait at the same time share a transaction and that one that fails harms no other.
func TestGroup(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		fs := make([]func(*queue.Tx) error, 20)
		for i := range fs {
			fs[i] = func(tx *queue.Tx) error {
				if _, err := tx.Add(pageJob(fmt.Sprint("목록", i))); err != nil {
					return err
				}
				if err := tx.SetMeta(fmt.Sprint("앞", i), "1"); err != nil {
					return err
				}
				if i%3 == 0 {
					return fmt.Errorf("국물 %d: %w", i, errSoup)
				}
				return tx.SetMeta(fmt.Sprint("뒤", i), "1")
			}
		}
		before := s.Transactions()
		errs := together(t, s, fs...)
		// The first commit was alone, and a failure at the head of a group begins the rest anew.
		if n := s.Transactions() - before; n > 3 {
			t.Errorf("%d transactions for %d commits", n, len(fs))
		}
		want := []string{}
		for i, err := range errs {
			if i%3 == 0 {
				if !errors.Is(err, errSoup) || err.Error() != fmt.Sprintf("국물 %d: %v", i, errSoup) {
					t.Errorf("commit %d: %v", i, err)
				}
				continue
			}
			check(t, err)
			want = append(want, strconv.Itoa(i))
		}
		slices.Sort(want)
		rows(t, s, `select substr(key, 2) from meta where key like '앞%' order by 1`, want...)
		rows(t, s, `select substr(key, 2) from meta where key like '뒤%' order by 1`, want...)
		rows(t, s, `select substr(key, 3) from job order by 1`, want...)
		rows(t, s, `select count(*) from goqite`, strconv.Itoa(len(want)))
	})
}

// TestFileIsHeld checks that an answer is stored when another program holds the file for longer than SQLite waits: it is not
// asked, and paid, for again.
func TestFileIsHeld(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	check(t, s.Exec(t.Context(), `pragma busy_timeout = 50`))
	other := open(t, s.Where(), queue.Guest)
	held, ended := make(chan struct{}), make(chan error, 1)
	var calls atomic.Int32
	add(t, s, pageJob("ig:을지로골목:posts"))
	work(t, s, func(context.Context, queue.Job) (queue.Commit, error) {
		if calls.Add(1) > 1 {
			return nil, nil
		}
		go func() {
			ended <- other.Tx(context.Background(), func(*queue.Tx) error {
				close(held)
				time.Sleep(500 * time.Millisecond)
				return nil
			})
		}()
		<-held
		return note("끝", "예"), nil
	}, queue.Lane{Name: "인스타"})
	check(t, <-ended)
	for n := 1; n > 0; {
		time.Sleep(5 * time.Millisecond)
		got, err := s.Rows(t.Context(), `select id from job`)
		check(t, err)
		n = len(got)
	}
	meta(t, s, "끝", "예")
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestGroupGone checks that a caller that has gone is not served, and that those behind it are.
func TestGroupGone(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var first, second error
		within(t, s, func(*queue.Tx) error {
			wg.Go(func() { first = s.Tx(gone, note("누구", "간 사람")) })
			synctest.Wait()
			wg.Go(func() { second = s.Tx(context.Background(), note("다음", "온 사람")) })
			synctest.Wait()
			leave()
			return nil
		})
		wg.Wait()
		if !errors.Is(first, context.Canceled) {
			t.Errorf("got %v, want canceled", first)
		}
		check(t, second)
		rows(t, s, `select key, value from meta where key <> 'running'`, "다음|온 사람")
	})
}

// TestGroupPanic checks that a panic comes out where it belongs.
func TestGroupPanic(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		var caught any
		throw := func(tx *queue.Tx) error {
			if err := tx.SetMeta("끓는", "1"); err != nil {
				return err
			}
			panic(errSoup)
		}
		var wg sync.WaitGroup
		var err error
		within(t, s, func(*queue.Tx) error {
			wg.Go(func() {
				defer func() { caught = recover() }()
				_ = s.Tx(context.Background(), throw)
			})
			synctest.Wait()
			wg.Go(func() { err = s.Tx(context.Background(), note("식은", "1")) })
			synctest.Wait()
			return nil
		})
		wg.Wait()
		if thrown, _ := caught.(error); !errors.Is(thrown, errSoup) {
			t.Errorf("caught %v", caught)
		}
		check(t, err)
		rows(t, s, `select key from meta where key <> 'running'`, "식은")
	})
}

// TestGroupRollsBackOnlyItself checks that what was written before a failed commit in its group is there afterwards.
func TestGroupRollsBackOnlyItself(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		errs := together(t, s,
			note("밥", "1"),
			func(tx *queue.Tx) error {
				for i := range 2000 { // more than the page cache forgives
					if err := tx.SetMeta(fmt.Sprint("국", i), "끓는다"); err != nil {
						return err
					}
				}
				return errSoup
			},
			note("김치", "1"),
		)
		check(t, errs[0])
		check(t, errs[2])
		if !errors.Is(errs[1], errSoup) {
			t.Errorf("got %v", errs[1])
		}
		rows(t, s, `select key from meta where key <> 'running' order by key`, "김치", "밥")
	})
}

// TestLightThenFull checks that what must survive a power cut does not go with a claim that need not.
func TestLightThenFull(t *testing.T) {
	fileOnly(t)
	path := filepath.Join(t.TempDir(), "sumbi.db")
	s, err := queue.Open(t.Context(), path, schema, queue.Owner) // with its disk
	check(t, err)
	defer s.Close()
	add(t, s, pageJob("하나"))
	mode := func() string { return s.Synchronous(t) }
	if got := mode(); got != "2" {
		t.Errorf("a commit ran with synchronous %s, want 2 (full)", got)
	}
	j := take(t, s)
	if got := mode(); got != "1" {
		t.Errorf("a claim ran with synchronous %s, want 1 (normal)", got)
	}
	check(t, s.Finish(t.Context(), j, note("둘", "1")))
	if got := mode(); got != "2" {
		t.Errorf("the end of a job ran with synchronous %s, want 2 (full)", got)
	}
}

// TestSwallowedError checks that a commit which does not heed that SQLite took its transaction back leaves nothing behind.
func TestSwallowedError(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	check(t, s.Exec(t.Context(), `pragma max_page_count = 1`)) // what the file has
	err := s.Tx(t.Context(), func(tx *queue.Tx) error {
		for i := range 2000 {
			_ = tx.SetMeta(fmt.Sprint("국", i), "끓는다 끓는다 끓는다 끓는다 끓는다 끓는다 끓는다")
		}
		return nil
	})
	if !queue.Fatal(err) {
		t.Errorf("got %v, want that the disk is full", err)
	}
	rows(t, s, `select count(*) from meta where key <> 'running'`, "0")
}
