package queue_test

import (
	"context"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ctx := context.Background()
	k, err := s.Known(ctx, "matzip")
	check(t, err)
	same(t, "what an empty file knows", k, queue.Known{Targets: map[string]queue.Target{}, Requests: map[string]int{}})

	run, walks := begin(t, s, "김밥", "posts", "reels")
	put(t, s, walks[0], post("a", "[가] 다녀왔어요", 2), post("b", "[나] 다녀왔어요", 1))
	put(t, s, walks[1], post("b", "[나] 다녀왔어요", 1))
	within(t, s, func(tx *queue.Tx) error {
		walks[0].State, walks[0].Pages, walks[0].Expected = queue.WalkIdle, 3, 3
		if err := tx.Advance(&walks[0]); err != nil {
			return err
		}
		if _, _, err := tx.Ask("matzip", 1, "v1-a", "[가] 다녀왔어요"); err != nil {
			return err
		}
		for what, n := range map[string]int64{"request": 7, "input_token": 500, "output_token": 50} {
			if err := tx.Book(run.ID, "openai", what, n, 0); err != nil {
				return err
			}
		}
		if err := tx.Book(0, "naver", "request", 99, 0); err != nil {
			return err
		}
		if _, err := tx.Add(pageJob("page:matzip:김밥:reels")); err != nil {
			return err
		}
		if err := tx.SeeCount("matzip", "새집", 40); err != nil {
			return err
		}
		if err := tx.SeeCount("matzip", "모름", 0); err != nil {
			return err
		}
		return tx.SeeCount("matzip", "김밥", 36)
	})
	k, err = s.Known(ctx, "matzip")
	check(t, err)
	same(t, "targets", k.Targets, map[string]queue.Target{
		"김밥": {Target: "김밥", State: queue.WalkIdle, Total: 36},
		"새집": {Target: "새집", State: queue.WalkIdle, Total: 40},
	})
	same(t, "lists", len(k.Walks), 2)
	same(t, "posts", []any{k.Walks[0].Walk, k.Walks[0].Total, k.Walks[0].Ended.IsZero()}, []any{walks[0], 36, false})
	same(t, "reels", []any{k.Walks[1].Walk, k.Walks[1].Total, k.Walks[1].Ended.IsZero()}, []any{walks[1], 36, true})
	same(t, "open run", k.Open.ID, run.ID)
	k.Walks, k.Targets, k.Open = nil, nil, nil
	same(t, "figures", k, queue.Known{Listed: 3, Records: 2, Asked: 1, Waiting: 1, Requests: map[string]int{"openai": 7}, Input: 500, Output: 50})

	d, err := s.Latency(ctx, "matzip")
	check(t, err)
	same(t, "latency before any page", d, time.Duration(0))
	within(t, s, func(tx *queue.Tx) error { return tx.Count(run.ID, 4, 0, 0, 22*time.Second) })
	d, err = s.Latency(ctx, "matzip")
	check(t, err)
	same(t, "latency", d, 5500*time.Millisecond)
}

func TestFullIsDue(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, c := range []struct {
		ahead int
		want  bool
	}{{-1, true}, {1, false}} {
		within(t, s, func(tx *queue.Tx) error {
			return tx.SetSchedule(queue.Schedule{Pipeline: "matzip", Full: tx.Now().AddDate(0, 0, c.ahead)})
		})
		k, err := s.Known(context.Background(), "matzip")
		check(t, err)
		same(t, "whole lists are due", k.FullDue, c.want)
	}
}

func TestSeeCountKeepsTheState(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "김밥", "posts")
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.MissTarget(walks[0], queue.WalkGone, adapters.ReasonGone); err != nil {
			return err
		}
		return tx.SeeCount("matzip", "김밥", 12)
	})
	rows(t, s, `select target, state, misses, total from target`, "김밥|gone|1|12")
}
