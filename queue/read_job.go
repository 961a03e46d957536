package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// JobFilter narrows a list of jobs; empty fields do not.
type JobFilter struct {
	Pipeline, Lane, Kind string
	State                string // ready, running, waiting, dead
	Cause                string // of the last error, see Cause
	Most                 int64  // no job with a higher number: what came after somebody looked
}

// jobState is a job's state as people read it; its argument is the moment.
const jobState = `case when state = 'dead' then 'dead' when taken_at is not null then 'running' when due > ? then 'waiting' else 'ready' end`

// where puts the filter but for its cause.
func (f JobFilter) where(now time.Time) where {
	var w where
	w.equal(`pipeline`, f.Pipeline)
	w.equal(`lane`, f.Lane)
	w.equal(`kind`, f.Kind)
	switch f.State {
	case "":
	case "dead":
		w.add(`state = 'dead'`)
	case "running":
		w.add(`state = 'live' and taken_at is not null`)
	case "waiting":
		w.add(`state = 'live' and taken_at is null and due > ?`, stamp(now))
	case "ready":
		w.add(`state = 'live' and taken_at is null and due <= ?`, stamp(now))
	default:
		w.add(`1 = 0`)
	}
	if f.Most > 0 {
		w.add(`id <= ?`, f.Most)
	}
	if f.Cause != "" && f.Cause != NoCause {
		w.add(`err is not null`)
	}
	return w
}

// jobPiece is how many jobs are read at once in search of those of a cause.
const jobPiece = 2000

// FindJobs returns up to n jobs with a number below before, the newest first; before 0 begins at the newest.
func (s *Store) FindJobs(ctx context.Context, f JobFilter, before int64, n int) (all []JobRow, err error) {
	now := s.Now()
	w := f.where(now)
	w.add(`id < ?`, newestFirst(before))
	piece := n
	if f.Cause != "" {
		piece = max(n, jobPiece)
	}
	for len(all) < n {
		w.args[len(w.args)-1] = newestFirst(before)
		part, err := list(ctx, s.read, `select id, pipeline, lane, kind, coalesce(key, ''), `+jobState+`, priority, attempt, due, taken_at, coalesce(err, ''), args, created_at from job`+w.text()+` order by id desc limit ?`,
			slices.Concat([]any{stamp(now)}, w.args, []any{piece}), scanJobRow)
		if err != nil {
			return nil, s.explain(err)
		}
		for _, j := range part {
			if len(all) < n && (f.Cause == "" || Cause(j.Err) == f.Cause) {
				all = append(all, j)
			}
		}
		if len(part) < piece {
			break
		}
		before = part[len(part)-1].ID
	}
	return all, nil
}

// FindJobIDs returns the numbers of up to n jobs, the oldest first, and how many there are in all.
func (s *Store) FindJobIDs(ctx context.Context, f JobFilter, n int) (ids []int64, all int, err error) {
	w := f.where(s.Now())
	err = s.each(ctx, `select id, coalesce(err, '') from job`+w.text()+` order by id`, w.args, func(r *sql.Rows) error {
		var id int64
		var text string
		if err := r.Scan(&id, &text); err != nil {
			return err
		}
		if f.Cause != "" && Cause(text) != f.Cause {
			return nil
		}
		if all++; len(ids) < n {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, all, err
}

// each calls f for every row.
func (s *Store) each(ctx context.Context, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return s.explain(rows.Err())
}

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Pipeline, Lane, Kind, State string
	N                           int
}

// JobCounts counts the jobs of a pipeline, "" of all, by lane, kind and state.
func (s *Store) JobCounts(ctx context.Context, pipeline string) ([]JobCount, error) {
	var w where
	w.equal(`pipeline`, pipeline)
	cs, err := list(ctx, s.read, `select pipeline, lane, kind, shown, count(*) from (select pipeline, lane, kind, `+jobState+` as shown from job`+w.text()+`) j
		group by pipeline, lane, kind, shown order by pipeline, lane, kind, shown`, append([]any{stamp(s.Now())}, w.args...), func(r *sql.Rows) (c JobCount, err error) {
		return c, r.Scan(&c.Pipeline, &c.Lane, &c.Kind, &c.State, &c.N)
	})
	return cs, s.explain(err)
}

// Subject is the mention that a job is about, as a list shows it.
type Subject struct {
	Mention      int64
	Name         string // as the answer has it; "" where that cannot be read
	State, Place string
	Stream, Key  string // of the record
	Target       string
}

// Subjects reads mentions by their numbers; those that are not there any more are left out.
func (s *Store) Subjects(ctx context.Context, mentions []int64) (map[int64]Subject, error) {
	all := map[int64]Subject{}
	if len(mentions) == 0 {
		return all, nil
	}
	in, args := among(mentions)
	ms, err := list(ctx, s.read, `select m.id, case when json_valid(a.answer) then coalesce(json_extract(a.answer, '$.restaurants[' || m.entry || '].name'), '') else '' end, m.state, coalesce(m.place, ''), r.stream, r.key, r.target
		from `+mentionTables+` where m.id in `+in, args, func(r *sql.Rows) (x Subject, err error) {
		return x, r.Scan(&x.Mention, &x.Name, &x.State, &x.Place, &x.Stream, &x.Key, &x.Target)
	})
	for _, m := range ms {
		all[m.Mention] = m
	}
	return all, s.explain(err)
}

// WalksByID reads walks by their numbers; those that are not there are left out.
func (s *Store) WalksByID(ctx context.Context, ids []int64) (map[int64]Walk, error) {
	all := map[int64]Walk{}
	if len(ids) == 0 {
		return all, nil
	}
	in, args := among(ids)
	ws, err := list(ctx, s.read, `select `+walkColumns+` from walk where id in `+in, args, scanWalk)
	for _, w := range ws {
		all[w.ID] = w
	}
	return all, s.explain(err)
}

// JobName is the kind and the key of a job that may have ended: those of its story.
type JobName struct{ Kind, Key string }

// JobName reads what a job was from its story; ErrNotFound when it has none.
func (s *Store) JobName(ctx context.Context, id int64) (n JobName, err error) {
	err = one(ctx, s.read, storyName, []any{id}, &n.Kind, &n.Key)
	return n, s.explain(err)
}

// LiveJob returns the number of the live job with a key; 0 when there is none.
func (s *Store) LiveJob(ctx context.Context, key string) (id int64, err error) {
	err = one(ctx, s.read, `select id from job where key = ? and state = 'live'`, []any{key}, &id)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return id, s.explain(err)
}

// The kinds of what is given up.
const (
	DeadJob      = "job"
	DeadQuestion = "question"
)

// DeadGroup is what was given up for one cause.
type DeadGroup struct {
	What           string // job or question
	Pipeline, Kind string // Kind of jobs; "" of questions
	Cause          string
	N              int
	First, Last    time.Time // when it was given up
	Err            string    // the last one in full
	Most           int64     // the highest number of those
}

// key is what tells the groups apart.
func (g DeadGroup) key() DeadGroup {
	return DeadGroup{What: g.What, Pipeline: g.Pipeline, Kind: g.Kind, Cause: g.Cause}
}

// DeadGroups lists what was given up by cause, the largest group first.
func (s *Store) DeadGroups(ctx context.Context) ([]DeadGroup, error) {
	rows, err := list(ctx, s.read, `select 'job', pipeline, kind, coalesce(err, ''), count(*), min(due), max(due), max(id) from job where state = 'dead' group by pipeline, kind, coalesce(err, '')
		union all select 'question', pipeline, '', coalesce(err, ''), count(*), min(answered_at), max(answered_at), max(id) from question where state = 'dead' group by pipeline, coalesce(err, '')`, nil,
		func(r *sql.Rows) (g DeadGroup, err error) {
			return g, r.Scan(&g.What, &g.Pipeline, &g.Kind, &g.Err, &g.N, instant{&g.First}, instant{&g.Last}, &g.Most)
		})
	if err != nil {
		return nil, s.explain(err)
	}
	at := map[DeadGroup]DeadGroup{}
	for _, g := range rows {
		g.Cause = Cause(g.Err)
		have, ok := at[g.key()]
		if ok {
			g.N += have.N
			g.Most = max(g.Most, have.Most)
			if have.First.Before(g.First) {
				g.First = have.First
			}
			if have.Last.After(g.Last) {
				g.Last, g.Err = have.Last, have.Err
			}
		}
		at[g.key()] = g
	}
	all := make([]DeadGroup, 0, len(at))
	for _, g := range at {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b DeadGroup) int {
		return cmp.Or(cmp.Compare(b.N, a.N), b.Last.Compare(a.Last), cmp.Compare(a.What, b.What), cmp.Compare(a.Pipeline, b.Pipeline), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cause, b.Cause))
	})
	return all, nil
}

// DeadIDs returns what names up to n things that were given up for one cause, the oldest first, and how many there are in all.
// Its Most is the highest number that is meant; 0 means all.
func (s *Store) DeadIDs(ctx context.Context, g DeadGroup, n int) (ids []string, all int, err error) {
	if g.What == DeadJob {
		numbers, all, err := s.FindJobIDs(ctx, JobFilter{Pipeline: g.Pipeline, Kind: g.Kind, State: "dead", Cause: g.Cause, Most: g.Most}, n)
		for _, id := range numbers {
			ids = append(ids, strconv.FormatInt(id, 10))
		}
		return ids, all, err
	}
	w := deadQuestions(g)
	err = s.each(ctx, `select key, coalesce(err, '') from question`+w.text()+` order by id`, w.args, func(r *sql.Rows) error {
		var key, text string
		if err := r.Scan(&key, &text); err != nil {
			return err
		}
		if Cause(text) != g.Cause {
			return nil
		}
		if all++; len(ids) < n {
			ids = append(ids, key)
		}
		return nil
	})
	return ids, all, err
}

func deadQuestions(g DeadGroup) where {
	w := where{parts: []string{`state = 'dead'`}}
	w.equal(`pipeline`, g.Pipeline)
	if g.Most > 0 {
		w.add(`id <= ?`, g.Most)
	}
	return w
}

// DeadText is a question that was given up, with the posts that ask it.
type DeadText struct {
	ID       int64
	Key      string
	Pipeline string
	Body     string // the beginning of what was put to the model
	Err      string
	Attempt  int
	At       time.Time
	Posts    []PostName // some of them
	All      int        // how many posts there are
}

// PostName names a record.
type PostName struct{ Stream, Key, Target string }

// deadPosts is how many posts of a question are named.
const deadPosts = 5

// DeadTexts returns up to n questions of a group with a number below before, the newest first; before 0 begins at the newest.
func (s *Store) DeadTexts(ctx context.Context, g DeadGroup, before int64, n int) (all []DeadText, err error) {
	w := deadQuestions(g)
	w.add(`id < ?`, newestFirst(before))
	for len(all) < n {
		w.args[len(w.args)-1] = newestFirst(before)
		part, err := list(ctx, s.read, `select id, key, pipeline, substr(coalesce(body, ''), 1, 300), coalesce(err, ''), attempt, answered_at from question`+w.text()+` order by id desc limit ?`,
			append(slices.Clone(w.args), jobPiece), func(r *sql.Rows) (d DeadText, err error) {
				return d, r.Scan(&d.ID, &d.Key, &d.Pipeline, &d.Body, &d.Err, &d.Attempt, instant{&d.At})
			})
		if err != nil {
			return nil, s.explain(err)
		}
		for _, d := range part {
			if len(all) < n && Cause(d.Err) == g.Cause {
				all = append(all, d)
			}
		}
		if len(part) < jobPiece {
			break
		}
		before = part[len(part)-1].ID
	}
	if err := s.nameAskers(ctx, all); err != nil {
		return nil, err
	}
	return all, nil
}

// nameAskers gives each question its posts, in one reading for all of them.
func (s *Store) nameAskers(ctx context.Context, all []DeadText) error {
	at := map[int64]*DeadText{}
	ids := []int64{}
	for i := range all {
		at[all[i].ID] = &all[i]
		ids = append(ids, all[i].ID)
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return s.each(ctx, `select question, n, stream, key, target from (
			select question, count(*) over (partition by question) n, row_number() over (partition by question order by id) nth, stream, key, target
			from record where question in (select cast(k.value as bigint) from json_each(?) k)) asker
		where nth <= ? order by question, nth`, []any{string(b), deadPosts}, func(r *sql.Rows) error {
		var id int64
		var n int
		var p PostName
		if err := r.Scan(&id, &n, &p.Stream, &p.Key, &p.Target); err != nil {
			return err
		}
		d := at[id]
		d.All, d.Posts = n, append(d.Posts, p)
		return nil
	})
}

// HighestJob returns the highest number of a job; 0 when there is none.
func (s *Store) HighestJob(ctx context.Context) (id int64, err error) {
	if err := one(ctx, s.read, `select coalesce(max(id), 0) from job`, nil, &id); err != nil {
		return 0, fmt.Errorf("the newest job: %w", s.explain(err))
	}
	return id, nil
}
