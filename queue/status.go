package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Progress is how far a run and its pipeline are.
type Progress struct {
	Run          Run
	Lists        int // walks of the run
	ListsLeft    int
	PagesLeft    int // expected, for the lists under way
	Posts        int // of the run's pipeline
	Waiting      int // questions that wait for a batch
	InBatch      int // questions in a batch
	Batches      int // batches under way
	BatchStatus  string
	Answered     int // questions answered since the run began
	Mentions     int // of the pipeline
	MentionsLeft int // still to be matched
	Places       int
	Outbox       int
	Dead         int // jobs and questions
	Requests     int // of the run
}

// Progress reads how far a run is.
func (s *Store) Progress(ctx context.Context, run int64) (Progress, error) {
	r, err := s.Run(ctx, run)
	if err != nil {
		return Progress{}, err
	}
	p := Progress{Run: r}
	pl := r.Pipeline
	err = one(ctx, s.read, `select
		(select count(*) from walk where run = ?),
		(select count(*) from walk where run = ? and state = 'walking'),
		(select coalesce(sum(case when priority < 1000000 then priority else 1 end), 0) from job where pipeline = ? and state = 'live' and kind = 'page'),
		(select count(*) from record where pipeline = ?) - (`+details(s)+` and exists (select 1 from record r where r.id = l.record and r.pipeline = ?)),
		(select count(*) from question where pipeline = ? and state = 'waiting'),
		(select count(*) from question where pipeline = ? and state = 'sent'),
		(select count(*) from batch where pipeline = ? and state not in ('done', 'refused')),
		coalesce((select group_concat(state || case when status <> '' then ' (' || status || ')' else '' end, ', ') from batch where pipeline = ? and state not in ('done', 'refused')), ''),
		(select count(*) from question where pipeline = ? and state = 'answered' and answered_at >= ?),
		(select count(*) from mention where pipeline = ?),
		(select count(*) from mention where pipeline = ? and state = 'waiting'),
		(select count(*) from place),
		(select count(*) from outbox where pipeline = ?),
		(select count(*) from job where pipeline = ? and state = 'dead') + (select count(*) from question where pipeline = ? and state = 'dead'),
		(select coalesce(sum(n), 0) from usage where run = ? and what = 'request')`,
		[]any{run, run, pl, pl, pl, pl, pl, pl, pl, pl, stamp(r.Asked), pl, pl, pl, pl, pl, run},
		&p.Lists, &p.ListsLeft, &p.PagesLeft, &p.Posts, &p.Waiting, &p.InBatch, &p.Batches, &p.BatchStatus, &p.Answered, &p.Mentions, &p.MentionsLeft, &p.Places, &p.Outbox, &p.Dead, &p.Requests)
	return p, s.explain(err)
}

// JobRow is a job as people read it.
type JobRow struct {
	ID       int64
	Pipeline string
	Lane     string
	Kind     string
	Key      string
	State    string // ready, running, waiting, dead
	Priority int
	Attempt  int
	Due      time.Time
	Taken    time.Time // in flight since; zero when it waits
	Err      string
	Args     string
	Created  time.Time
}

// Jobs lists jobs, the dead first, then by id. state and kind narrow the list when they are not "".
func (s *Store) Jobs(ctx context.Context, state, kind string, n int) ([]JobRow, error) {
	js, err := list(ctx, s.read, `select v.id, v.pipeline, v.lane, v.kind, coalesce(v.key, ''), v.state, v.priority, v.attempt, v.due, v.taken_at, coalesce(v.err, ''), j.args, v.created_at
		from v_jobs v join job j on j.id = v.id where (? = '' or v.state = ?) and (? = '' or v.kind = ?) order by v.state <> 'dead', v.id limit ?`,
		[]any{state, state, kind, kind, n}, scanJobRow)
	return js, s.explain(err)
}

func scanJobRow(r *sql.Rows) (JobRow, error) {
	var j JobRow
	err := r.Scan(&j.ID, &j.Pipeline, &j.Lane, &j.Kind, &j.Key, &j.State, &j.Priority, &j.Attempt, instant{&j.Due}, instant{&j.Taken}, &j.Err, &j.Args, instant{&j.Created})
	return j, err
}

// JobError is one thing that went wrong with a job.
type JobError struct {
	At      time.Time
	Attempt int
	Err     string
}

// Job reads one job and its story. A job that has succeeded since has only its story; ErrNotFound when it has none.
func (s *Store) Job(ctx context.Context, id int64) (JobRow, []JobError, error) {
	js, err := list(ctx, s.read, `select v.id, v.pipeline, v.lane, v.kind, coalesce(v.key, ''), v.state, v.priority, v.attempt, v.due, v.taken_at, coalesce(v.err, ''), j.args, v.created_at
		from v_jobs v join job j on j.id = v.id where v.id = ?`, []any{id}, scanJobRow)
	if err != nil {
		return JobRow{}, nil, s.explain(err)
	}
	story, err := list(ctx, s.read, `select at, attempt, err from job_error where job = ? order by id`, []any{id}, func(r *sql.Rows) (JobError, error) {
		var e JobError
		err := r.Scan(instant{&e.At}, &e.Attempt, &e.Err)
		return e, err
	})
	switch {
	case err != nil:
		return JobRow{}, nil, s.explain(err)
	case len(js) > 0:
		return js[0], story, nil
	case len(story) > 0:
		return JobRow{ID: id, State: "done"}, story, nil
	}
	return JobRow{}, nil, missing(fmt.Sprintf("there is no job %d; `sumbi jobs list` shows them", id))
}

// Count is how many jobs of a kind are in a state.
type Count struct {
	Lane, Kind, State string
	N                 int
}

// Counts counts jobs by lane, kind and state.
func (s *Store) Counts(ctx context.Context) ([]Count, error) {
	cs, err := list(ctx, s.read, `select lane, kind, state, count(*) from v_jobs group by lane, kind, state order by lane, kind, state`, nil, func(r *sql.Rows) (Count, error) {
		var c Count
		err := r.Scan(&c.Lane, &c.Kind, &c.State, &c.N)
		return c, err
	})
	return cs, s.explain(err)
}

// Stop is a lane that waits for a person.
type Stop struct {
	Lane   string
	At     time.Time
	Reason string
}

// Stops lists the lanes that wait for a person.
func (s *Store) Stops(ctx context.Context) ([]Stop, error) {
	st, err := list(ctx, s.read, `select lane, at, reason from lane_stop order by lane`, nil, func(r *sql.Rows) (Stop, error) {
		var x Stop
		err := r.Scan(&x.Lane, instant{&x.At}, &x.Reason)
		return x, err
	})
	return st, s.explain(err)
}

// Dead is something that was given up.
type Dead struct {
	What, ID, Pipeline, Name, Reason string
	Attempt                          int
	At                               time.Time
}

// DeadOnes lists what was given up, newest first.
func (s *Store) DeadOnes(ctx context.Context, n int) ([]Dead, error) {
	ds, err := list(ctx, s.read, `select what, id, pipeline, name, coalesce(reason, ''), attempt, at from v_dead order by at desc limit ?`, []any{n}, func(r *sql.Rows) (Dead, error) {
		var d Dead
		err := r.Scan(&d.What, &d.ID, &d.Pipeline, &d.Name, &d.Reason, &d.Attempt, instant{&d.At})
		return d, err
	})
	return ds, s.explain(err)
}

// details counts the records that nothing but lists of one record each have shown, as the statistics of a post: they belong to posts
// and are none.
func details(s *Store) string {
	return `select count(distinct l.record) from walk w ` + firstJoin.in(s) + ` listing l on l.walk = w.id where w.list like '%/%'
		and not exists (select 1 from listing o join walk k on k.id = o.walk where o.record = l.record and k.list not like '%/%')`
}

// Summary is the file at a glance.
type Summary struct {
	Posts, Skipped, Asked, Answered int
	Mentions, Placed, None, Review  int
	Places, Outbox, Accounts        int
	Gone, Private, Gaps             int
	MicroUSD                        int64
	Bytes                           int64
}

// Summary counts what is in the file.
func (s *Store) Summary(ctx context.Context) (Summary, error) {
	var m Summary
	err := one(ctx, s.read, `select
		(select count(*) from record) - (`+details(s)+`), (select count(*) from record where question = 0),
		(select count(*) from question where state in ('waiting', 'sent')), (select count(*) from question where state = 'answered'),
		(select count(*) from mention), (select count(*) from mention where state = 'place'), (select count(*) from mention where state = 'none'), (select count(*) from mention where state = 'review'),
		(select count(*) from place), (select count(*) from outbox), (select count(*) from target),
		(select count(*) from target where state = 'gone'), (select count(*) from target where state = 'private'), (select count(*) from v_gaps where state <> 'walking'),
		(select coalesce(sum(micro_usd), 0) from usage),
		`+sizeText.in(s), nil,
		&m.Posts, &m.Skipped, &m.Asked, &m.Answered, &m.Mentions, &m.Placed, &m.None, &m.Review, &m.Places, &m.Outbox, &m.Accounts, &m.Gone, &m.Private, &m.Gaps, &m.MicroUSD, &m.Bytes)
	return m, s.explain(err)
}

// Gap is something that was not seen: a range of a list, or posts that an account says it has.
type Gap struct {
	Pipeline, Target, List string // List "": of the whole account
	From, To               time.Time
	Runs                   int // in a row that left it
	Missing                int // by the upstream's own count; 0 unknown
	Note                   string
}

// WorstGap returns the gap of which most is missing, else the one that has stayed longest; ErrNotFound when there is none.
func (s *Store) WorstGap(ctx context.Context) (g Gap, err error) {
	err = one(ctx, s.read, `select pipeline, account, list, unfinished_from, unfinished_to, runs, coalesce(missing, 0), note from v_gaps where state <> 'walking'
		order by missing desc, runs desc, pipeline, account, list limit 1`, nil, &g.Pipeline, &g.Target, &g.List, instant{&g.From}, instant{&g.To}, &g.Runs, &g.Missing, &g.Note)
	return g, s.explain(err)
}

// AccountNews is an account that is not as it was.
type AccountNews struct {
	Pipeline, Target string
	Name             string    // the name it goes by now; "" as ever
	Silent           time.Time // its newest post, when it is silent since; zero otherwise
}

// AccountNews lists the accounts that were renamed, or are silent far beyond their habit.
func (s *Store) AccountNews(ctx context.Context) ([]AccountNews, error) {
	as, err := list(ctx, s.read, `select pipeline, target, name, silent_since from target where state = 'ok' and (name <> '' or silent_since is not null) order by pipeline, target`, nil, func(r *sql.Rows) (AccountNews, error) {
		var a AccountNews
		err := r.Scan(&a.Pipeline, &a.Target, &a.Name, instant{&a.Silent})
		return a, err
	})
	return as, s.explain(err)
}

// AccountTrouble is an account that did not show itself.
type AccountTrouble struct{ Pipeline, Target, State, Note string }

// Troubles lists the accounts that were gone or private when they were last asked for.
func (s *Store) Troubles(ctx context.Context) ([]AccountTrouble, error) {
	ts, err := list(ctx, s.read, `select pipeline, target, state, note from target where state <> 'ok' order by pipeline, target`, nil, func(r *sql.Rows) (AccountTrouble, error) {
		var t AccountTrouble
		err := r.Scan(&t.Pipeline, &t.Target, &t.State, &t.Note)
		return t, err
	})
	return ts, s.explain(err)
}

// PostMention is one mention as the export and the grading need it.
type PostMention struct {
	Post, Name, State, Place string
	PlaceName, Road, Address string
}

// PostMentions lists every post with its mentions; a post without one has one row with an empty name.
func (s *Store) PostMentions(ctx context.Context, f func(PostMention) error) error {
	rows, err := s.read.QueryContext(ctx, `select r.key, case when json_valid(q.answer) then coalesce(json_extract(q.answer, '$.restaurants[' || m.entry || '].name'), '') else '' end, coalesce(m.state, ''), coalesce(m.place, ''), coalesce(p.name, ''), coalesce(p.road_address, ''), coalesce(p.address, '')
		from record r left join mention m on m.record = r.id left join question q on q.id = m.question left join place p on p.id = m.place where r.stream = 'post' order by r.key, m.n`)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p PostMention
		if err := rows.Scan(&p.Post, &p.Name, &p.State, &p.Place, &p.PlaceName, &p.Road, &p.Address); err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return s.explain(rows.Err())
}

// Posts calls f for every stored record, oldest first.
func (s *Store) Posts(ctx context.Context, f func(Stored) error) error {
	var after int64
	for {
		rs, err := list(ctx, s.read, `select `+storedColumns+` from record r where r.id > ? order by r.id limit 500`, []any{after}, scanStored)
		if err != nil {
			return s.explain(err)
		}
		if len(rs) == 0 {
			return nil
		}
		for _, r := range rs {
			if err := f(r); err != nil {
				return err
			}
		}
		after = rs[len(rs)-1].ID
	}
}

// Ping reads once.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	return s.explain(one(ctx, s.read, `select 1`, nil, &n))
}
