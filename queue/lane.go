package queue

import "context"

// Waits reports whether a job of a kind waits in a lane.
func (s *Store) Waits(ctx context.Context, pipeline string, kind Kind, lane string) (waits bool, err error) {
	err = one(ctx, s.read, `select exists (select 1 from job where pipeline = ? and lane = ? and kind = ? and state = 'live' and taken_at is null)`, []any{pipeline, lane, string(kind)}, &waits)
	return waits, s.explain(err)
}

// Reroute hands up to n jobs of a kind that wait in one lane to another one, to come at once. It returns how many.
func (tx *Tx) Reroute(pipeline string, kind Kind, from, to string, n int) (int, error) {
	js, err := list(tx.ctx, tx.tx, `select `+jobColumns+` from job where pipeline = ? and lane = ? and kind = ? and state = 'live' and taken_at is null order by id limit ?`, []any{pipeline, from, string(kind), n}, scanJob)
	if err != nil {
		return 0, err
	}
	for _, j := range js {
		if err := tx.s.engine.withdraw(tx, j); err != nil {
			return 0, err
		}
		j.Lane, j.message, j.At = to, "", tx.now
		if _, err := tx.exec(`update job set lane = ?, message = null where id = ?`, to, j.ID); err != nil {
			return 0, err
		}
		if err := tx.send(j); err != nil {
			return 0, err
		}
	}
	return len(js), nil
}
