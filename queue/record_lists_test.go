package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sumbi/queue"
)

// TestRecordLists counts how the lists of one record each fare.
func TestRecordLists(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(5)
	s.Now = func() time.Time { return now }
	ls, err := s.RecordLists(t.Context())
	check(t, err)
	same(t, "none", len(ls), 0)
	names := []string{"posts"}
	for i := range 9 {
		names = append(names, fmt.Sprintf("stats/글%d", i))
	}
	_, walks := begin(t, s, "두부", names...)
	end := func(i int, state queue.WalkState, cuts int, note string, rest time.Time) {
		w := &walks[i]
		w.State, w.Cuts, w.Note, w.Rest = state, cuts, note, rest
		within(t, s, func(tx *queue.Tx) error { return tx.Advance(w) })
	}
	end(0, queue.WalkUnfinished, 9, "목록", time.Time{})
	for i := 1; i <= 3; i++ {
		end(i, queue.WalkIdle, 0, "", time.Time{})
	}
	end(4, queue.WalkUnfinished, 1, "한 번", time.Time{})
	end(5, queue.WalkUnfinished, 2, "두 번", now.Add(-time.Hour)) // it has rested, and failed in another way
	end(6, queue.WalkPrivate, 3, "남의 글", time.Time{})
	end(7, queue.WalkUnfinished, 4, "느림", now.Add(time.Hour))
	end(8, queue.WalkGone, 5, "없다", time.Time{})
	want := queue.RecordLists{Pipeline: "matzip", List: "stats", Read: 4, Failing: 2, Resting: 1, Note: "두 번"}
	ls, err = s.RecordLists(t.Context())
	check(t, err)
	same(t, "lists", ls, []queue.RecordLists{want})
	broken, err := s.BrokenLists(t.Context())
	check(t, err)
	same(t, "broken", len(broken), 0)
	for i := 1; i <= 3; i++ {
		end(i, queue.WalkUnfinished, 2, "두 번", time.Time{})
	}
	want.Read, want.Failing = 1, 5
	broken, err = s.BrokenLists(t.Context())
	check(t, err)
	same(t, "broken", broken, []queue.RecordLists{want})

	// A turn that has begun changes nothing of it; a day without one ends it.
	within(t, s, func(tx *queue.Tx) error {
		_, berr := tx.Begin(queue.Run{ID: 99, Pipeline: "matzip"}, "두부", names[1:4])
		return errors.Join(berr)
	})
	ls, err = s.RecordLists(t.Context())
	check(t, err)
	same(t, "while a turn goes on", ls[0].Failing, 5)
	now = now.Add(25 * time.Hour)
	ls, err = s.RecordLists(t.Context())
	check(t, err)
	same(t, "a day later", len(ls), 0)
}
