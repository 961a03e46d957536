package queue

import "context"

// Effort is what the places of a run's mentions took to find.
type Effort struct {
	Matched int // mentions decided in the run, but for those that a person has decided
	Calls   int // searches that were made
	Answers int // searches whose answers the decisions used: made in the run, or remembered
}

// Effort reads what a run's mentions took.
func (s *Store) Effort(ctx context.Context, run int64) (e Effort, err error) {
	err = one(ctx, s.read, `select matched, searches, answers from v_runs where run = ?`, []any{run}, &e.Matched, &e.Calls, &e.Answers)
	return e, s.explain(err)
}
