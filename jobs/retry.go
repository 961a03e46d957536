package jobs

import (
	"context"
	"errors"
	"strconv"

	"sumbi/queue"
)

// Retry lets something dead live again, or what waits come at once: a job by its number, or a question by its id.
func Retry(tx *queue.Tx, id string) error {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		return tx.Revive(n)
	}
	pipeline, err := tx.ReviveQuestion(id)
	if err != nil {
		return err
	}
	return WantBatch(tx, pipeline)
}

// RetryDead lets everything that is dead live again, each in a commit of its own. It returns how many did.
func RetryDead(ctx context.Context, s *queue.Store) (n int, err error) {
	dead, err := s.DeadOnes(ctx, 1<<30)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, d := range dead {
		if err := s.Tx(ctx, func(tx *queue.Tx) error { return Retry(tx, d.ID) }); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
