package jobs

import (
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
