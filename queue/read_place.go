package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// PlaceFacts is a place with what it is made of, and how often it is named.
type PlaceFacts struct {
	Place
	Entries     []PlaceEntry
	Mentions    int
	Accounts    int
	First, Last time.Time // posts that name it
}

// PlaceFacts reads one place; ErrNotFound when there is none.
func (s *Store) PlaceFacts(ctx context.Context, id string) (PlaceFacts, error) {
	row, err := s.PlaceRow(ctx, id)
	f := PlaceFacts{Place: row}
	if err != nil {
		return f, err
	}
	err = one(ctx, s.read, `select count(*), count(distinct r.target), min(r.at), max(r.at) from mention m join record r on r.id = m.record where m.place = ?`, []any{id},
		&f.Mentions, &f.Accounts, instant{&f.First}, instant{&f.Last})
	if err != nil {
		return f, s.explain(err)
	}
	f.Entries, err = s.Entries(ctx, id)
	return f, err
}

// MentionStory is a mention with who has decided it when, and the line of a batch whose answer names it.
type MentionStory struct {
	Mention
	Decided  time.Time // zero: not yet
	Author   string    // of its label
	Labelled time.Time
	Was      Verdict // the scorer's own decision, when a person has decided
	Question string  // whose answer names it
	Batch    int64   // 0 unknown
	Line     int     // from 1
	Entry    int     // and where in the list of the answer, from 0
}

const (
	storyColumns = mentionColumns + `, m.decided_at, coalesce(l.author, ''), l.at, coalesce(l.was_state, ''), coalesce(l.was_score, 0), coalesce(l.was_reason, ''),
		coalesce(a.key, ''), coalesce(a.batch, 0), coalesce(a.line, 0), m.entry`
	storyTables = mentionTables + ` left join label l on l.id = m.label`
)

func scanStory(r *sql.Rows) (m MentionStory, err error) {
	err = scanMentionWith(r, &m.Mention, instant{&m.Decided}, &m.Author, instant{&m.Labelled}, &m.Was.State, &m.Was.Score, &m.Was.Reason, &m.Question, &m.Batch, &m.Line, &m.Entry)
	return m, err
}

// MentionsBefore says where a page of a place's mentions begins: behind this one. The zero value is the beginning.
type MentionsBefore struct {
	At time.Time
	ID int64
}

// PlaceStories returns up to n mentions of a place, newest post first.
func (s *Store) PlaceStories(ctx context.Context, place string, before MentionsBefore, n int) ([]MentionStory, error) {
	at := "9999"
	if !before.At.IsZero() {
		at = stamp(before.At)
	}
	// What is long is read of those alone that are shown.
	ms, err := list(ctx, s.read, `select `+storyColumns+` from `+storyTables+` where m.id in (
			select x.id from mention x join record y on y.id = x.record where x.place = ? and (y.at < ? or (y.at = ? and x.id < ?)) order by y.at desc, x.id desc limit ?
		) order by r.at desc, m.id desc`,
		[]any{place, at, at, before.ID, n}, scanStory)
	return ms, s.explain(err)
}

// Alike is a place that may be the same as another one.
type Alike struct {
	PlaceLine
	Name, Spot, Phone bool // what is equal
}

// mostLikely bounds the places that are shown as perhaps the same.
const mostLikely = 12

// Alike returns other places of which an entry has the name, the address or the telephone number of an entry of this one.
func (s *Store) Alike(ctx context.Context, place string) ([]Alike, error) {
	ls, err := list(ctx, s.read, `select x.place, max(x.name), max(x.spot), max(x.phone) from (
			select f.place, 1 as name, 0 as spot, 0 as phone from place_entry e join place_entry f on f.compact = e.compact where e.place = ? and f.place <> e.place
			union all select f.place, 0, 1, 0 from place_entry e join place_entry f on f.spot = e.spot and f.spot <> '' where e.place = ? and f.place <> e.place
			union all select f.place, 0, 0, 1 from place_entry e join place_entry f on f.phone = e.phone and f.phone <> '' where e.place = ? and f.place <> e.place
		) x group by x.place order by sum(x.name) + sum(x.spot) + sum(x.phone) desc, x.place limit ?`, []any{place, place, place, mostLikely}, func(r *sql.Rows) (a Alike, err error) {
		var name, spot, phone int
		err = r.Scan(&a.ID, &name, &spot, &phone)
		a.Name, a.Spot, a.Phone = name > 0, spot > 0, phone > 0
		return a, err
	})
	if err != nil {
		return nil, s.explain(err)
	}
	out := ls[:0]
	for _, a := range ls {
		if a.PlaceLine, err = s.placeLine(ctx, a.ID); errors.Is(err, ErrNotFound) {
			continue // nobody names it now
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// placeLine reads one place as a list shows it; ErrNotFound when nobody names it.
func (s *Store) placeLine(ctx context.Context, id string) (p PlaceLine, err error) {
	err = one(ctx, s.read, `select p.id, p.name, case when p.road_address <> '' then p.road_address else p.address end, p.finder,
			(select count(*) from mention m where m.place = p.id), (select count(distinct e.id) from place_entry e where e.place = p.id)
		from place p where p.id = ?`, []any{id}, &p.ID, &p.Name, &p.Address, &p.Finder, &p.Mentions, &p.Entries)
	return p, s.explain(err)
}

// RecordStory is a record with everything that the file knows of where it came from and what was asked about it.
type RecordStory struct {
	RawRecord
	Fetched  time.Time // when it was seen last with the data that it has
	Requests []Request
	Question *QuestionStory // nil: nothing was asked
	Skipped  bool           // looked at, and there is nothing to ask
}

// Request is a list whose pages showed a record.
type Request struct {
	Pipeline, Target, List string
	First, Last            int64 // runs that showed it
	FirstAt, LastAt        time.Time
	State                  string // of the walk
	Pages                  int    // that the walk has asked for, the last time
	Mark                   time.Time
}

// QuestionStory is what was asked about records of one text, and the line of a batch that answered.
type QuestionStory struct {
	Key, Pipeline, State string
	Body                 string // the text put to the model; "" once answered
	Attempt              int
	Err                  string
	Answer               json.RawMessage
	Asked, Answered      time.Time
	Records              int // that have the same text
	Batch                int64
	Line                 int
	Model, Upstream      string // of the batch
	Status               string // of the batch, the upstream's own word
	Sent, Ended          time.Time
	Run                  int64
}

// RecordStory reads one record; ErrNotFound when there is none.
func (s *Store) RecordStory(ctx context.Context, stream, key string) (RecordStory, error) {
	var rs RecordStory
	var data string
	var question sql.NullInt64
	to := append(storedFields(&rs.Stored, &data), &rs.Raw, instant{&rs.Fetched}, &question)
	err := one(ctx, s.read, `select `+storedColumns+`, r.raw, r.fetched_at, r.question from record r where r.stream = ? and r.key = ?`, []any{stream, key}, to...)
	if err != nil {
		return rs, s.explain(err)
	}
	rs.Data = json.RawMessage(data)
	rs.Requests, err = list(ctx, s.read, `select w.pipeline, w.target, w.list, l.first, l.run, f.started_at, t.started_at, w.state, w.pages, w.mark
		from listing l join walk w on w.id = l.walk left join run f on f.id = l.first left join run t on t.id = l.run where l.record = ? order by l.first, w.id`, []any{rs.ID}, func(r *sql.Rows) (q Request, err error) {
		err = r.Scan(&q.Pipeline, &q.Target, &q.List, &q.First, &q.Last, instant{&q.FirstAt}, instant{&q.LastAt}, &q.State, &q.Pages, instant{&q.Mark})
		return q, err
	})
	if err != nil {
		return rs, s.explain(err)
	}
	for _, q := range rs.Requests {
		rs.Lists = append(rs.Lists, q.List)
	}
	rs.Skipped = question.Valid && question.Int64 == 0
	if question.Int64 == 0 {
		return rs, nil
	}
	var q QuestionStory
	var answer string
	err = one(ctx, s.read, `select q.key, q.pipeline, q.state, coalesce(q.body, ''), q.attempt, coalesce(q.err, ''), coalesce(q.answer, ''), q.asked_at, q.answered_at,
			(select count(*) from record r where r.question = q.id), coalesce(q.batch, 0), coalesce(q.line, 0),
			coalesce(b.model, ''), coalesce(b.upstream_id, ''), coalesce(b.status, ''), b.sent_at, b.ended_at, coalesce(b.run, 0)
		from question q left join batch b on b.id = q.batch where q.id = ?`, []any{question.Int64},
		&q.Key, &q.Pipeline, &q.State, &q.Body, &q.Attempt, &q.Err, &answer, instant{&q.Asked}, instant{&q.Answered}, &q.Records, &q.Batch, &q.Line,
		&q.Model, &q.Upstream, &q.Status, instant{&q.Sent}, instant{&q.Ended}, &q.Run)
	if errors.Is(err, ErrNotFound) {
		return rs, nil
	}
	q.Answer = json.RawMessage(answer)
	rs.Question = &q
	return rs, s.explain(err)
}

// RecordMentions returns the mentions of a record, in its order.
func (s *Store) RecordMentions(ctx context.Context, record int64) ([]MentionStory, error) {
	ms, err := list(ctx, s.read, `select `+storyColumns+` from `+storyTables+` where m.record = ? order by m.n`, []any{record}, scanStory)
	return ms, s.explain(err)
}

// MentionStory reads one mention; ErrNotFound when it has gone.
func (s *Store) MentionStory(ctx context.Context, id int64) (MentionStory, error) {
	ms, err := list(ctx, s.read, `select `+storyColumns+` from `+storyTables+` where m.id = ?`, []any{id}, scanStory)
	if err == nil && len(ms) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return MentionStory{}, s.explain(err)
	}
	return ms[0], nil
}
