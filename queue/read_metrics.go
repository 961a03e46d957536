package queue

import (
	"context"
	"database/sql"
	"time"
)

// Figure is how many rows of a kind are in a state. What the figure is not about is "".
type Figure struct {
	What     string // account, batch, dead, gap, lane_stop, mention, outbox, place, question, record, run
	Pipeline string
	State    string // of outbox the sink, of record the stream, of dead job or question
	N        int64
}

// Figures counts what is in the state. It reads indexes and small tables alone, so that it takes no longer for what the rows
// hold: some hundredths of a second over 100,000 posts.
func (s *Store) Figures(ctx context.Context) ([]Figure, error) {
	fs, err := list(ctx, s.read, `select 'account' as what, pipeline, state, count(*) from target group by pipeline, state
		union all select 'account', pipeline, 'silent', count(*) from target where state = 'ok' and silent_since is not null group by pipeline
		union all select 'batch', pipeline, state, count(*) from batch group by pipeline, state
		union all select 'dead', pipeline, 'job', count(*) from job where state = 'dead' group by pipeline
		union all select 'dead', pipeline, 'question', count(*) from question where state = 'dead' group by pipeline
		union all select 'gap', pipeline, '', count(*) from v_gaps where state <> 'walking' group by pipeline
		union all select 'lane_stop', '', lane, 1 from lane_stop
		union all select 'mention', '', 'none', (select count(*) from mention) - (select count(*) from mention where place is not null)
			- (select count(*) from mention where state = 'review') - (select count(*) from mention where state = 'waiting')
		union all select 'mention', '', 'place', count(*) from mention where place is not null
		union all select 'mention', '', 'review', count(*) from mention where state = 'review'
		union all select 'mention', '', 'waiting', count(*) from mention where state = 'waiting'
		union all select 'outbox', '', sink, count(*) from outbox group by sink
		union all select 'place', '', '', count(*) from place
		union all select 'question', pipeline, 'waiting', count(*) from question where state = 'waiting' group by pipeline
		union all select 'question', pipeline, 'sent', sum(lines - answered - failed) from batch where state not in ('done', 'refused') group by pipeline
		union all select 'record', '', stream, count(*) from record group by stream
		union all select 'run', pipeline, state, count(*) from run group by pipeline, state
		order by 1, 2, 3`, nil, func(r *sql.Rows) (f Figure, err error) {
		return f, r.Scan(&f.What, &f.Pipeline, &f.State, &f.N)
	})
	return fs, s.explain(err)
}

// RunTimes are when a pipeline ran. Zero: never, or not known.
type RunTimes struct {
	Pipeline string
	Started  time.Time // the newest run
	Done     time.Time // the end of the newest run that has ended
	Next     time.Time
	Sent     time.Time // the oldest batch whose answers are not there
}

// RunTimes returns when each pipeline that has a schedule or a run ran.
func (s *Store) RunTimes(ctx context.Context) ([]RunTimes, error) {
	ts, err := list(ctx, s.read, `select p.pipeline,
			(select max(started_at) from run r where r.pipeline = p.pipeline),
			(select max(ended_at) from run r where r.pipeline = p.pipeline and r.state = 'done'),
			(select next_at from schedule c where c.pipeline = p.pipeline),
			(select min(sent_at) from batch b where b.pipeline = p.pipeline and b.state = 'running')
		from (select pipeline from schedule union select pipeline from run) p order by p.pipeline`, nil, func(r *sql.Rows) (t RunTimes, err error) {
		return t, r.Scan(&t.Pipeline, instant{&t.Started}, instant{&t.Done}, instant{&t.Next}, instant{&t.Sent})
	})
	return ts, s.explain(err)
}

// Size is the size of the state in bytes.
func (s *Store) Size(ctx context.Context) (n int64, err error) {
	err = one(ctx, s.read, `select `+sizeText.in(s), nil, &n)
	return n, s.explain(err)
}

// OutboxSince returns since when the oldest of what each sink has yet to be told waits; sinks that were told everything are not there.
func (s *Store) OutboxSince(ctx context.Context) (map[string]time.Time, error) {
	since := map[string]time.Time{}
	err := s.each(ctx, `select sink, min(at) from outbox group by sink`, nil, func(r *sql.Rows) error {
		var sink string
		var at time.Time
		err := r.Scan(&sink, instant{&at})
		since[sink] = at
		return err
	})
	return since, err
}
