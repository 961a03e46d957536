package queue_test

import (
	"testing"
	"time"

	"sumbi/queue"
)

func TestReprioritize(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	job := func(key string, priority int, at time.Time) queue.Job {
		j := pageJob(key)
		j.Priority, j.At = priority, at
		return j
	}
	add(t, s, job("김밥", 9, time.Time{}), job("국밥", 5, time.Time{}), job("냉면", 3, time.Time{}), job("내일", 1, time.Now().Add(time.Hour)))
	flying := take(t, s)
	same(t, "taken first", flying.Key, "김밥")
	within(t, s, func(tx *queue.Tx) error {
		for key, p := range map[string]int{"김밥": 1, "냉면": 7, "내일": 99, "없음": 5} {
			if err := tx.Reprioritize(key, p); err != nil {
				return err
			}
		}
		return nil
	})
	// What is in flight and what is due later stay where they are; there is one message for each that is due.
	rows(t, s, `select key, priority, taken_at is not null, message is not null from job order by key`, "국밥|5|0|1", "김밥|9|1|1", "내일|99|0|0", "냉면|7|0|1")
	rows(t, s, `select count(*) from goqite`, "3")
	same(t, "now the best", take(t, s).Key, "냉면")
	same(t, "then", take(t, s).Key, "국밥")
	nothing(t, s)
}

func TestSiblings(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "김밥", "posts", "reels", "stories")
	begin(t, s, "국밥", "posts", "reels")
	within(t, s, func(tx *queue.Tx) error {
		walks[2].State = queue.WalkIdle
		if err := tx.Advance(&walks[2]); err != nil {
			return err
		}
		got, err := tx.Siblings(walks[0])
		same(t, "siblings under way", got, []queue.Walk{walks[1]})
		return err
	})
}
