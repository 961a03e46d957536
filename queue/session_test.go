package queue_test

import (
	"fmt"
	"testing"
	"time"

	"sumbi/queue"
)

// TestSessions remembers three sessions at most, each until it ends or is ended.
func TestSessions(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(5)
	known := func() (all []string) {
		for i := range 9 {
			ends, err := s.SessionEnds(t.Context(), fmt.Sprint("h", i))
			check(t, err)
			if !ends.IsZero() {
				all = append(all, fmt.Sprint(i, " ", ends.Sub(now)))
			}
		}
		return all
	}
	for i := range 5 {
		within(t, s, func(tx *queue.Tx) error {
			return tx.AddSession(fmt.Sprint("h", i), now, now.Add(time.Duration(i+1)*time.Hour), 3)
		})
	}
	same(t, "the last three", known(), []string{"2 3h0m0s", "3 4h0m0s", "4 5h0m0s"})
	within(t, s, func(tx *queue.Tx) error { return tx.EndSession("h3") })
	same(t, "one was ended", known(), []string{"2 3h0m0s", "4 5h0m0s"})
	within(t, s, func(tx *queue.Tx) error { return tx.AddSession("h5", now.Add(3*time.Hour), now.Add(6*time.Hour), 3) })
	same(t, "one is over", known(), []string{"4 5h0m0s", "5 6h0m0s"})
}
