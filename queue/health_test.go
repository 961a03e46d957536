package queue_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/queue"
)

// TestStuck wants a step that does not come back, and a worker that does not look at its state, to be told, and nothing else.
func TestStuck(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		h := func(context.Context, queue.Job) (queue.Commit, error) {
			if calls.Add(1) == 1 {
				time.Sleep(time.Hour) // deaf to its context
			}
			return func(*queue.Tx) error { return nil }, nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		w, stop := work(t, s, h, queue.Lane{Name: "인스타", Workers: 2})
		settle(10*time.Second + 3*time.Minute)
		if why := w.Stuck(time.Now()); why != "" || !w.Begun() {
			t.Errorf("begun %t, stuck after its deadline: %s", w.Begun(), why)
		}
		settle(time.Minute)
		if why := w.Stuck(time.Now()); !strings.Contains(why, "인스타") {
			t.Errorf("a step of a minute too much: %q", why)
		}
		settle(time.Hour)
		if why := w.Stuck(time.Now()); why != "" {
			t.Errorf("it has come back: %s", why)
		}
		if why := w.Stuck(time.Now().Add(time.Hour)); !strings.Contains(why, "looked at") {
			t.Errorf("an hour without a look: %q", why)
		}
		stop()
		if why := w.Stuck(time.Now().Add(time.Hour)); why != "" {
			t.Errorf("it has ended: %s", why)
		}
	})
}

func TestNotBegun(t *testing.T) {
	t.Parallel()
	w := &queue.Worker{}
	if w.Begun() || w.Stuck(time.Now().Add(time.Hour)) != "" {
		t.Error("a worker that nobody has set going has begun, or is stuck")
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, s.Where(), queue.Guest).Ready(t.Context()); err == nil {
		t.Error("who only looks is taken for one that works")
	}
	if server == nil {
		check(t, os.Rename(s.Path(), s.Path()+".weg"))
		if err := s.Ready(t.Context()); err == nil {
			t.Error("its file is gone")
		}
		check(t, os.Rename(s.Path()+".weg", s.Path()))
	} else {
		check(t, s.Exec(t.Context(), `delete from machine`))
		if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "heartbeats") {
			t.Errorf("the others take it for gone: %v", err)
		}
	}
	s.Close()
	if err := s.Ready(t.Context()); err == nil {
		t.Error("it is closed")
	}
}

func TestTimed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	n := 0
	s.Timed = func(took time.Duration) {
		if took <= 0 {
			t.Errorf("a commit in %s", took)
		}
		n++
	}
	check(t, s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.SetMeta("맛", "집") }))
	if err := s.Tx(t.Context(), func(*queue.Tx) error { return queue.ErrStale }); err == nil || n != 1 {
		t.Errorf("%d commits were timed, one was made", n)
	}
}

func TestRefusedJobs(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for i := range 2 {
		add(t, s, pageJob("ig:을지로골목:posts"))
		if i == 0 {
			check(t, s.Exec(t.Context(), `update job set state = 'dead'`))
		}
	}
	err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Revive(1) })
	if e, ok := errors.AsType[*queue.RefusedError](err); !ok || !strings.Contains(e.Reason, "job 2") {
		t.Errorf("a job whose work another one does: %v", err)
	}
}
