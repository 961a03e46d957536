package queue

import (
	"context"
	"database/sql"
	"time"
)

// Reach is a walk with what its length can be told from.
type Reach struct {
	Walk
	Total int       // the upstream's own count for the whole target; 0 unknown
	Ended time.Time // when it was last walked to an end; zero: never
}

const reachColumns = walkColumns + `, ended_at, coalesce((select t.total from target t where t.pipeline = walk.pipeline and t.target = walk.target), 0)`

func scanReach(r *sql.Rows) (Reach, error) {
	var x Reach
	err := r.Scan(append(walkFields(&x.Walk), instant{&x.Ended}, &x.Total)...)
	return x, err
}

// Reaches returns the walks of a pipeline.
func (s *Store) Reaches(ctx context.Context, pipeline string) ([]Reach, error) {
	rs, err := list(ctx, s.read, `select `+reachColumns+` from walk where pipeline = ? order by id`, []any{pipeline}, scanReach)
	return rs, s.explain(err)
}

// Latency is how long a page took in the last run that fetched any; 0 when none did.
func (s *Store) Latency(ctx context.Context, pipeline string) (time.Duration, error) {
	rs, err := list(ctx, s.read, `select `+runColumns+` from run where pipeline = ? and pages > 0 order by id desc limit 1`, []any{pipeline}, scanRun)
	if err != nil || len(rs) == 0 {
		return 0, s.explain(err)
	}
	return rs[0].Latency(), nil
}

// Known is what the file knows of a pipeline, as far as a forecast needs it.
type Known struct {
	Walks    []Reach
	Targets  map[string]Target
	Open     *Run // the unfinished run; nil = none
	FullDue  bool // the next run over all targets walks whole lists
	Listed   int  // records in lists, a record in two lists counted twice
	Records  int
	Asked    int // questions ever asked
	Answered int
	Waiting  int // questions without an answer
	Mentions int
	Matching int            // mentions that wait to be searched
	Batches  int            // that came to an end
	Requests map[string]int // ever made, by upstream, in runs of this pipeline
	Input    int64          // tokens ever paid
	Output   int64
}

// Known reads what the file knows of a pipeline. It counts every row, which takes a while in a large file.
func (s *Store) Known(ctx context.Context, pipeline string) (Known, error) {
	k := Known{Targets: map[string]Target{}, Requests: map[string]int{}}
	err := s.known(ctx, pipeline, &k)
	return k, s.explain(err)
}

func (s *Store) known(ctx context.Context, pipeline string, k *Known) (err error) {
	if k.Walks, err = s.Reaches(ctx, pipeline); err != nil {
		return err
	}
	ts, err := list(ctx, s.read, `select target, state, misses, total from target where pipeline = ?`, []any{pipeline}, func(r *sql.Rows) (Target, error) {
		var t Target
		err := r.Scan(&t.Target, &t.State, &t.Misses, &t.Total)
		if t.State == "ok" {
			t.State = WalkIdle
		}
		return t, err
	})
	if err != nil {
		return err
	}
	for _, t := range ts {
		k.Targets[t.Target] = t
	}
	open, err := list(ctx, s.read, `select `+runColumns+` from run where pipeline = ? and state <> 'done'`, []any{pipeline}, scanRun)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		k.Open = &open[0]
	}
	sc, err := readSchedule(ctx, s.read, pipeline)
	if err != nil {
		return err
	}
	k.FullDue = !sc.Full.IsZero() && !sc.Full.After(s.Now())
	err = one(ctx, s.read, `select
		(select count(*) from listing l join walk w on w.id = l.walk where w.pipeline = ?),
		(select count(*) from record where pipeline = ?),
		(select count(*) from question where pipeline = ?),
		(select count(*) from question where pipeline = ? and state = 'answered'),
		(select count(*) from question where pipeline = ? and state in ('waiting', 'sent')),
		(select count(*) from mention where pipeline = ?),
		(select count(*) from mention where pipeline = ? and state = 'waiting'),
		(select count(*) from batch where pipeline = ? and state = 'done')`,
		[]any{pipeline, pipeline, pipeline, pipeline, pipeline, pipeline, pipeline, pipeline},
		&k.Listed, &k.Records, &k.Asked, &k.Answered, &k.Waiting, &k.Mentions, &k.Matching, &k.Batches)
	if err != nil {
		return err
	}
	type line struct {
		upstream, what string
		n              int64
	}
	used, err := list(ctx, s.read, `select u.upstream, u.what, sum(u.n) from usage u join run r on r.id = u.run where r.pipeline = ? group by u.upstream, u.what`, []any{pipeline}, func(r *sql.Rows) (line, error) {
		var l line
		err := r.Scan(&l.upstream, &l.what, &l.n)
		return l, err
	})
	for _, l := range used {
		switch l.what {
		case "request":
			k.Requests[l.upstream] = int(l.n)
		case "input_token":
			k.Input += l.n
		case "output_token":
			k.Output += l.n
		}
	}
	return err
}

// SeeCount notes the upstream's own count for a target that may be new to the file; 0 changes nothing.
func (tx *Tx) SeeCount(pipeline, target string, total int) error {
	if total <= 0 {
		return nil
	}
	_, err := tx.exec(`insert into target (pipeline, target, total, checked_at) values (?, ?, ?, ?)
		on conflict (pipeline, target) do update set total = excluded.total, checked_at = excluded.checked_at`, pipeline, target, total, stamp(tx.now))
	return err
}
