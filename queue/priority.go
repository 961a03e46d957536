package queue

import "fmt"

// Siblings returns the walks of the other lists of w's target that the same run walks.
func (tx *Tx) Siblings(w Walk) ([]Walk, error) {
	return list(tx.ctx, tx.tx, `select `+walkColumns+` from walk where pipeline = ? and target = ? and list <> ? and run = ? and state = 'walking'`,
		[]any{w.Pipeline, w.Target, w.List, w.Run}, scanWalk)
}

// Reprioritize gives the live job with this key another priority. A job that is in flight, dead or not there is left as it is.
func (tx *Tx) Reprioritize(key string, priority int) error {
	js, err := list(tx.ctx, tx.tx, `select `+jobColumns+` from job where key = ? and state = 'live' and taken_at is null and priority <> ?`+lockJobs.in(tx.s), []any{key, priority}, scanJob)
	if err != nil {
		return err
	}
	for _, j := range js {
		if _, err := tx.exec(`update job set priority = ? where id = ?`, priority, j.ID); err != nil {
			return fmt.Errorf("priority of job %d: %w", j.ID, err)
		}
		if j.message == "" {
			continue // goqite learns it when the job is due
		}
		j.Priority = priority
		if err := tx.send(j); err != nil {
			return err
		}
	}
	return nil
}
