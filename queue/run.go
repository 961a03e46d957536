package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// RunState says where a run stands.
type RunState string

// The states of a run.
const (
	RunAsked   RunState = "asked"   // wanted; the process that drains the file starts it
	RunRunning RunState = "running" // under way
	RunStopped RunState = "stopped" // waits for a person or for the next start; it goes on where it was
	RunDone    RunState = "done"
)

// Run is one execution of a pipeline.
type Run struct {
	ID       int64
	Pipeline string
	State    RunState
	Whole    bool     // walks whole lists
	Targets  []string // only these; empty = all
	Asked    time.Time
	Started  time.Time
	Seeded   time.Time // every list has its walk
	Crawled  time.Time // every walk has ended
	Ended    time.Time
	Pages    int
	Fetch    time.Duration // what the upstream took for those pages, one after the other
	Fresh    int
	Changed  int
	Note     string
}

// Latency is how long the upstream took for a page; 0 when it was asked for none.
func (r Run) Latency() time.Duration {
	if r.Pages == 0 {
		return 0
	}
	return r.Fetch / time.Duration(r.Pages)
}

const runColumns = `id, pipeline, state, whole, coalesce(targets, ''), asked_at, started_at, seeded_at, crawled_at, ended_at, pages, fetch_ms, fresh, changed, note`

func runFields(r *Run, targets *string) []any {
	return []any{
		&r.ID, &r.Pipeline, &r.State, &r.Whole, targets,
		instant{&r.Asked},
		instant{&r.Started},
		instant{&r.Seeded},
		instant{&r.Crawled},
		instant{&r.Ended},
		&r.Pages,
		milliseconds{&r.Fetch},
		&r.Fresh, &r.Changed, &r.Note,
	}
}

func scanRun(rows *sql.Rows) (Run, error) {
	var r Run
	var targets string
	if err := rows.Scan(runFields(&r, &targets)...); err != nil {
		return r, err
	}
	if targets != "" {
		if err := json.Unmarshal([]byte(targets), &r.Targets); err != nil {
			return r, fmt.Errorf("targets of run %d: %w", r.ID, err)
		}
	}
	return r, nil
}

// AskRun asks for a run of a pipeline, or returns its unfinished one. Targets narrow a new run; asked of an unfinished
// one they must be nil. fresh reports that the run is new.
func (tx *Tx) AskRun(pipeline string, whole bool, targets []string) (r Run, fresh bool, err error) {
	open, err := list(tx.ctx, tx.tx, `select `+runColumns+` from run where pipeline = ? and state <> 'done'`, []any{pipeline}, scanRun)
	if err != nil {
		return r, false, err
	}
	if len(open) > 0 {
		return open[0], false, nil
	}
	var only any
	if len(targets) > 0 {
		b, err := json.Marshal(targets)
		if err != nil {
			return r, false, err
		}
		only = string(b)
	}
	r = Run{Pipeline: pipeline, State: RunAsked, Whole: whole, Targets: targets, Asked: tx.now}
	err = tx.one(`insert into run (pipeline, state, whole, targets, asked_at) values (?, 'asked', ?, ?, ?) returning id`, []any{pipeline, whole, only, stamp(tx.now)}, &r.ID)
	return r, true, err
}

// OpenRuns returns the unfinished runs, oldest first.
func (s *Store) OpenRuns(ctx context.Context) ([]Run, error) {
	rs, err := list(ctx, s.read, `select `+runColumns+` from run where state <> 'done' order by id`, nil, scanRun)
	return rs, s.explain(err)
}

// Run reads one run.
func (s *Store) Run(ctx context.Context, id int64) (Run, error) {
	rs, err := list(ctx, s.read, `select `+runColumns+` from run where id = ?`, []any{id}, scanRun)
	if err != nil {
		return Run{}, s.explain(err)
	}
	if len(rs) == 0 {
		return Run{}, ErrNotFound
	}
	return rs[0], nil
}

// LastRun returns the pipeline's newest run; ErrNotFound when it never ran.
func (s *Store) LastRun(ctx context.Context, pipeline string) (Run, error) {
	rs, err := list(ctx, s.read, `select `+runColumns+` from run where pipeline = ? order by id desc limit 1`, []any{pipeline}, scanRun)
	if err != nil {
		return Run{}, s.explain(err)
	}
	if len(rs) == 0 {
		return Run{}, ErrNotFound
	}
	return rs[0], nil
}

// StartRun marks a run as under way.
func (tx *Tx) StartRun(id int64) error {
	_, err := tx.exec(`update run set state = 'running', note = '', started_at = coalesce(started_at, ?) where id = ? and state <> 'done'`, stamp(tx.now), id)
	return err
}

// SeedRun notes that every list of a run has its walk.
func (tx *Tx) SeedRun(id int64) error {
	_, err := tx.exec(`update run set seeded_at = coalesce(seeded_at, ?) where id = ?`, stamp(tx.now), id)
	return err
}

// StopRun notes why a run cannot go on now.
func (tx *Tx) StopRun(id int64, why string) error {
	_, err := tx.exec(`update run set state = 'stopped', note = ? where id = ? and state <> 'done'`, why, id)
	return err
}

// CrawledRun notes the end of a run's crawl once every walk has ended; it reports whether that is so.
func (tx *Tx) CrawledRun(id int64) (bool, error) {
	// Of two last walks that end at the same time the later one must see the earlier one.
	if _, err := tx.exec(`update run set note = note where id = ?`, id); err != nil {
		return false, err
	}
	n, err := tx.exec(`update run set crawled_at = coalesce(crawled_at, ?) where id = ? and seeded_at is not null
		and not exists (select 1 from walk w where w.run = run.id and w.state = 'walking')`, stamp(tx.now), id)
	return n > 0, err
}

// EndRun ends a run whose crawl is over and whose pipeline has no live work left, deliveries included or not; it reports
// whether it did. The job that this commit ends does not count.
func (tx *Tx) EndRun(id int64, delivery bool) (bool, error) {
	var ending int64
	if tx.ends && !tx.followed {
		ending = tx.job.ID
	}
	n, err := tx.exec(`update run set state = 'done', ended_at = ? where id = ? and state <> 'done' and crawled_at is not null
		and not exists (select 1 from job j where j.pipeline = run.pipeline and j.state = 'live' and (? = 1 or j.kind <> 'deliver') and j.id <> ?)`, stamp(tx.now), id, delivery, ending)
	return n > 0, err
}

// Orphans returns the walks of a run that are under way without a live job, so that they can be set going again.
func (tx *Tx) Orphans(run int64, key func(Walk) string) ([]Walk, error) {
	walks, err := list(tx.ctx, tx.tx, `select `+walkColumns+` from walk where run = ? and state = 'walking'`, []any{run}, scanWalk)
	if err != nil {
		return nil, err
	}
	var lost []Walk
	for _, w := range walks {
		var one int
		err := tx.one(`select 1 from job where key = ? and state = 'live'`, []any{key(w)}, &one)
		if errors.Is(err, ErrNotFound) {
			lost = append(lost, w)
		} else if err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// Schedule is when a pipeline runs next.
type Schedule struct {
	Pipeline string
	Spec     string    // what Next was computed from
	Next     time.Time // zero: only by hand
	Full     time.Time // the first run after it walks whole lists; zero: never
}

// Schedule reads a pipeline's schedule; a zero one when there is none.
func (s *Store) Schedule(ctx context.Context, pipeline string) (Schedule, error) {
	sc, err := readSchedule(ctx, s.read, pipeline)
	return sc, s.explain(err)
}

// Schedule is Store.Schedule within the transaction.
func (tx *Tx) Schedule(pipeline string) (Schedule, error) {
	return readSchedule(tx.ctx, tx.tx, pipeline)
}

func readSchedule(ctx context.Context, q querier, pipeline string) (Schedule, error) {
	sc := Schedule{Pipeline: pipeline}
	err := one(ctx, q, `select spec, next_at, full_at from schedule where pipeline = ?`, []any{pipeline}, &sc.Spec, instant{&sc.Next}, instant{&sc.Full})
	if errors.Is(err, ErrNotFound) {
		return sc, nil
	}
	return sc, err
}

// SetSchedule stores a pipeline's schedule.
func (tx *Tx) SetSchedule(sc Schedule) error {
	_, err := tx.exec(`insert into schedule (pipeline, spec, next_at, full_at) values (?, ?, ?, ?)
		on conflict (pipeline) do update set spec = excluded.spec, next_at = excluded.next_at, full_at = excluded.full_at`,
		sc.Pipeline, sc.Spec, text(sc.Next), text(sc.Full))
	return err
}

// Schedules reads every pipeline's schedule.
func (s *Store) Schedules(ctx context.Context) ([]Schedule, error) {
	return list(ctx, s.read, `select pipeline, spec, next_at, full_at from schedule order by pipeline`, nil, func(r *sql.Rows) (Schedule, error) {
		var sc Schedule
		err := r.Scan(&sc.Pipeline, &sc.Spec, instant{&sc.Next}, instant{&sc.Full})
		return sc, err
	})
}

// WholeRun makes a run walk whole lists.
func (tx *Tx) WholeRun(id int64) error {
	_, err := tx.exec(`update run set whole = 1 where id = ?`, id)
	return err
}

// NeverRan reports whether the pipeline has had no run yet.
func (tx *Tx) NeverRan(pipeline string) (bool, error) {
	var some bool
	err := tx.one(`select exists (select 1 from run where pipeline = ?)`, []any{pipeline}, &some)
	return !some, err
}

// LiveLane is a lane in which a pipeline has live jobs.
type LiveLane struct {
	Lane     string
	Running  bool // some are in flight
	Forming  bool // there is nothing but jobs that gather a batch
	Delivers bool // the lane of a sink
	Broke    bool // all of them wait for a budget
}

// LiveLanes lists the lanes with live jobs of a pipeline. It takes no longer when there are a million of them.
func (s *Store) LiveLanes(ctx context.Context, pipeline string) ([]LiveLane, error) {
	const forming = `kind = 'batch' and key like 'batch:form:%'`
	ls, err := list(ctx, s.read, `with recursive l (lane) as (
			select min(lane) from job where pipeline = ? and state = 'live'
			union all select (select min(j.lane) from job j where j.pipeline = ? and j.state = 'live' and j.lane > l.lane) from l where l.lane is not null)
		select l.lane,
			exists (select 1 from job j `+takenIndex.in(s)+` where j.pipeline = ? and j.lane = l.lane and j.taken_at is not null),
			not exists (select 1 from job j where j.pipeline = ? and j.lane = l.lane and j.state = 'live' and not (`+forming+`)),
			(select j.kind = 'deliver' from job j where j.pipeline = ? and j.lane = l.lane and j.state = 'live' limit 1),
			not exists (select 1 from job j where j.pipeline = ? and j.lane = l.lane and j.state = 'live' and not (`+brokeJob+`))
		from l where l.lane is not null order by l.lane`, []any{pipeline, pipeline, pipeline, pipeline, pipeline, pipeline}, func(r *sql.Rows) (LiveLane, error) {
		var l LiveLane
		err := r.Scan(&l.Lane, &l.Running, &l.Forming, &l.Delivers, &l.Broke)
		return l, err
	})
	return ls, s.explain(err)
}
