package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sumbi/adapters"
)

// Option is one candidate of a decision as a person reads it. Where nothing of the finder's text is kept the name is empty,
// Key is the id of its place and Query the words that found it; the name is empty without a Key, too, when the text is no
// longer kept.
type Option struct {
	adapters.Candidate
	Score float64
	Why   string
	Key   string
	Query string
}

// Options returns the candidates of a decision, best first, and the searches that it used.
func (s *Store) Options(ctx context.Context, mention int64) ([]Option, []Asked, error) {
	var candidates, queries string
	if err := one(ctx, s.read, `select coalesce(candidates, ''), coalesce(queries, '') from mention where id = ?`, []any{mention}, &candidates, &queries); err != nil {
		return nil, nil, s.explain(err)
	}
	var asked []Asked
	for _, q := range rawRows(queries) {
		var a Asked
		if len(q) == 3 && json.Unmarshal(q[0], &a.Finder) == nil && json.Unmarshal(q[1], &a.Query) == nil && json.Unmarshal(q[2], &a.Found) == nil {
			asked = append(asked, a)
		}
	}
	var all []Option
	for _, c := range rawRows(candidates) {
		o, err := s.option(ctx, c)
		if err != nil {
			return nil, nil, s.explain(err)
		}
		all = append(all, o)
	}
	return all, asked, nil
}

// rawRows reads a list of lists; what is damaged is none.
func rawRows(text string) (rows [][]json.RawMessage) {
	if json.Unmarshal([]byte(text), &rows) != nil {
		return nil
	}
	return rows
}

func (s *Store) option(ctx context.Context, cells []json.RawMessage) (o Option, err error) {
	var id, word int64
	for i, to := range []any{&id, &o.Score, &word, &o.Link, &o.Key, &o.Query} {
		if i >= len(cells) {
			break
		}
		if json.Unmarshal(cells[i], to) != nil && i == 0 {
			_ = json.Unmarshal(cells[i], &o.Finder)
		}
	}
	if word > 0 {
		if err := one(ctx, s.read, `select text from wording where id = ?`, []any{word}, &o.Why); err != nil && !errors.Is(err, ErrNotFound) {
			return o, err
		}
	}
	if id == 0 {
		return o, nil
	}
	cs, err := list(ctx, s.read, `select `+candidateColumns+` from candidate c where c.id = ?`, []any{id}, scanCandidate)
	if err == nil && len(cs) > 0 {
		o.Candidate = cs[0]
	}
	return o, err
}

// keepReviewed lets the candidates live on that were shown last before a day and that a person is still to choose from.
func (tx *Tx) keepReviewed(day string) error {
	old, err := list(tx.ctx, tx.tx, `select id from candidate where day < ?`, []any{day}, scanID)
	if err != nil || len(old) == 0 {
		return err
	}
	going := make(map[int64]bool, len(old))
	for _, id := range old {
		going[id] = true
	}
	lists, err := list(tx.ctx, tx.tx, `select candidates from mention where state = 'review' and candidates is not null`, nil, scanText)
	if err != nil {
		return err
	}
	for _, text := range lists {
		for _, c := range rawRows(text) {
			var id int64
			if len(c) == 0 || json.Unmarshal(c[0], &id) != nil || !going[id] {
				continue
			}
			delete(going, id)
			if _, err := tx.exec(`update candidate set day = ? where id = ?`, Day(tx.now), id); err != nil {
				return err
			}
		}
	}
	return nil
}

func scanID(r *sql.Rows) (id int64, err error) {
	err = r.Scan(&id)
	return id, err
}

// ReviewFilter narrows what is to be looked at; empty fields do not.
type ReviewFilter struct {
	Pipeline string
	Post     string // key of the record
	All      bool   // what is decided or still to be searched, too
}

// Reviews returns up to n mentions that wait for a person and whose number is above after, in the order of their numbers.
func (s *Store) Reviews(ctx context.Context, f ReviewFilter, after int64, n int) ([]Mention, error) {
	where := `m.state = 'review' and`
	if f.All {
		where = ``
	}
	if f.Post != "" {
		where += ` r.key = ? and`
	} else {
		where += ` '' = ? and`
	}
	ms, err := list(ctx, s.read, `select `+mentionColumns+` from `+mentionTables+` where `+where+` (? = '' or m.pipeline = ?) and m.id > ? order by m.id limit ?`,
		[]any{f.Post, f.Pipeline, f.Pipeline, after, n}, scanMention)
	return ms, s.explain(err)
}

// CountReviews counts what Reviews would return in all.
func (s *Store) CountReviews(ctx context.Context, f ReviewFilter) (n int, err error) {
	// What waits has an index of its own, which needs its condition alone.
	from, where := `mention m`, `m.state = 'review'`
	if f.All {
		where = `m.id > 0`
	}
	args := []any{f.Pipeline, f.Pipeline}
	if f.Post != "" {
		from, where, args = from+` join record r on r.id = m.record`, where+` and r.key = ?`, append([]any{f.Post}, args...)
	}
	err = one(ctx, s.read, `select count(*) from `+from+` where `+where+` and (? = '' or m.pipeline = ?)`, args, &n)
	return n, s.explain(err)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// RecordOf returns the number of the record that a mention is of; ErrNotFound when the mention has gone.
func (tx *Tx) RecordOf(mention int64) (record int64, err error) {
	err = tx.one(`select record from mention where id = ?`, []any{mention}, &record)
	return record, err
}

// MentionsOf returns the mentions of a record, in the order of the post.
func (tx *Tx) MentionsOf(record int64) ([]Mention, error) {
	return list(tx.ctx, tx.tx, `select `+mentionColumns+` from `+mentionTables+` where m.record = ? order by m.n`, []any{record}, scanMention)
}

// Label is what a person has decided about a restaurant of a record. Name, Detail and Nth say which one: they stay the same
// when the post is read anew.
type Label struct {
	ID          int64
	Stream, Key string // of the record
	Name        string // as the post writes it, folded
	Detail      string // what tells namesakes of one record apart
	Nth         int    // among those that are the same in both, from 0
	State       string // place or none
	Found       *Place // the entry that was chosen; nil: none
	Fields      json.RawMessage
	Shown       []adapters.Candidate // that there were to choose from
	Chosen      int                  // which of Shown; -1 none
	Author      string
	At          time.Time
	Was         Verdict // the scorer's own decision; not written
}

// Verdict is what the scorer had decided before a person did. State waiting: nothing.
type Verdict struct {
	State  string
	Score  float64
	Reason string
}

const labelColumns = `l.id, l.stream, l.key, l.name, l.detail, l.nth, l.state, coalesce(l.found, ''), l.fields, l.shown, l.chosen, l.author, l.at, l.was_state, l.was_score, l.was_reason`

func scanLabel(r *sql.Rows) (l Label, err error) {
	var found, fields, shown string
	if err := r.Scan(&l.ID, &l.Stream, &l.Key, &l.Name, &l.Detail, &l.Nth, &l.State, &found, &fields, &shown, &l.Chosen, &l.Author, instant{&l.At}, &l.Was.State, &l.Was.Score, &l.Was.Reason); err != nil {
		return l, err
	}
	l.Fields = json.RawMessage(fields)
	if l.Found, err = readEntry(found); err != nil {
		return l, fmt.Errorf("label %d: %w", l.ID, err)
	}
	return l, json.Unmarshal([]byte(shown), &l.Shown)
}

func readEntry(text string) (*Place, error) {
	if text == "" {
		return nil, nil
	}
	p := &Place{}
	return p, json.Unmarshal([]byte(text), p)
}

// entryText is an entry as a label keeps it; nil for none.
func entryText(p *Place) (any, error) {
	if p == nil {
		return nil, nil
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// Labels returns what people have decided about a record.
func (tx *Tx) Labels(stream, key string) ([]Label, error) {
	return list(tx.ctx, tx.tx, `select `+labelColumns+` from label l where l.stream = ? and l.key = ? order by l.id`, []any{stream, key}, scanLabel)
}

// Labelled calls f for every label, oldest first, with the data of its record.
func (s *Store) Labelled(ctx context.Context, f func(l Label, data json.RawMessage) error) error {
	type row struct {
		Label
		data string
	}
	for after := int64(0); ; {
		rows, err := list(ctx, s.read, `select l.id, r.data from label l join record r on r.stream = l.stream and r.key = l.key where l.id > ? order by l.id limit 200`, []any{after}, func(r *sql.Rows) (x row, err error) {
			err = r.Scan(&x.ID, &x.data)
			return x, err
		})
		if err != nil || len(rows) == 0 {
			return s.explain(err)
		}
		for _, x := range rows {
			after = x.ID
			ls, err := list(ctx, s.read, `select `+labelColumns+` from label l where l.id = ?`, []any{x.ID}, scanLabel)
			if err != nil {
				return s.explain(err)
			}
			for _, l := range ls {
				if err := f(l, json.RawMessage(x.data)); err != nil {
					return err
				}
			}
		}
	}
}

// LabelOf returns the label of a mention; ErrNotFound when it has none.
func (s *Store) LabelOf(ctx context.Context, mention int64) (Label, error) {
	l, err := labelOf(ctx, s.read, mention)
	return l, s.explain(err)
}

// ByHand is the reason of a decision that a person has made.
const ByHand = "decided by a person"

// SetLabel stores what a person has decided about a mention, and decides it so. ErrNotFound when the mention has gone.
func (tx *Tx) SetLabel(m Mention, l Label, one One) error {
	var label int64
	if err := tx.one(`select coalesce(label, 0) from mention where id = ?`, []any{m.ID}, &label); err != nil {
		return err
	}
	found, err := entryText(l.Found)
	if err != nil {
		return err
	}
	if l.Shown == nil {
		l.Shown = []adapters.Candidate{}
	}
	shown, err := json.Marshal(l.Shown)
	if err != nil {
		return err
	}
	err = tx.one(`insert into label (stream, key, name, detail, nth, state, found, fields, shown, chosen, author, at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (stream, key, name, detail, nth) do update set state = excluded.state, found = excluded.found, fields = excluded.fields, shown = excluded.shown,
		chosen = excluded.chosen, author = excluded.author, at = excluded.at returning id`,
		[]any{l.Stream, l.Key, l.Name, l.Detail, l.Nth, l.State, found, string(l.Fields), string(shown), l.Chosen, l.Author, stamp(tx.now)}, &l.ID)
	if err != nil {
		return fmt.Errorf("label of %s: %w", l.Key, err)
	}
	switch {
	case label == 0:
		err = tx.remember(m.ID, l.ID)
	case label != l.ID: // the mention goes by another name now than when it was decided first
		if _, err = tx.exec(`update label set was_state = o.was_state, was_found = o.was_found, was_score = o.was_score, was_reason = o.was_reason
			from label o where label.id = ? and o.id = ?`, l.ID, label); err == nil {
			_, err = tx.exec(`delete from label where id = ?`, label)
		}
	}
	if err != nil {
		return err
	}
	return tx.TakeLabel(m.ID, l, one)
}

// remember keeps with a label what the scorer had decided about a mention.
func (tx *Tx) remember(mention, label int64) error {
	var state, found, reason string
	var score float64
	if err := tx.one(`select m.state, coalesce(m.found, ''), coalesce(m.score, 0), coalesce(w.text, '') from mention m left join wording w on w.id = m.reason where m.id = ?`, []any{mention}, &state, &found, &score, &reason); err != nil {
		return err
	}
	var entry *Place
	if found != "" {
		es, err := tx.entries(`e.id = ?`, found)
		if err != nil {
			return err
		}
		if len(es) > 0 {
			entry = &es[0].Place
		}
	}
	was, err := entryText(entry)
	if err != nil {
		return err
	}
	_, err = tx.exec(`update label set was_state = ?, was_found = ?, was_score = ?, was_reason = ? where id = ?`, state, was, score, reason, label)
	return err
}

// TakeLabel decides a mention as a person has decided it before, at l.At; zero: decides now.
func (tx *Tx) TakeLabel(mention int64, l Label, one One) error {
	score := 0.0
	if l.Found != nil {
		score = 1
	}
	return tx.writeDecision(mention, l.State, l.Found, l.At, score, ByHand, l.ID, one)
}

// writeDecision writes what became of a mention. seen is when the entry was shown; zero: now. label 0 is none.
func (tx *Tx) writeDecision(mention int64, state string, entry *Place, seen time.Time, score float64, reason string, label int64, one One) error {
	var pipeline, before string
	if err := tx.one(`select pipeline, coalesce(place, '') from mention where id = ?`, []any{mention}, &pipeline, &before); err != nil {
		return err
	}
	var place, found, why, by any
	if entry != nil {
		id, err := tx.settle(*entry, seen, one)
		if err != nil {
			return err
		}
		place, found = id, entry.ID
	}
	words, err := tx.wordings([]string{reason})
	if err != nil {
		return err
	}
	if reason != "" {
		why = words[reason]
	}
	if label != 0 {
		by = label
	}
	if _, err := tx.exec(`update mention set state = ?, place = ?, found = ?, score = ?, reason = ?, label = ?, decided_at = ? where id = ?`, state, place, found, score, why, by, stamp(tx.now), mention); err != nil {
		return err
	}
	return tx.moved(pipeline, before, place)
}

// Unlabel takes back what a person has decided about a mention: it is again as the scorer had decided it. again reports
// that this is not known, so that it must be matched anew. ErrNotFound when no person has decided it.
func (tx *Tx) Unlabel(mention int64, one One) (again bool, err error) {
	var label int64
	var state, found, reason string
	var score float64
	var considered bool
	var at time.Time
	err = tx.one(`select l.id, l.at, l.was_state, coalesce(l.was_found, ''), l.was_score, l.was_reason, m.candidates is not null from mention m join label l on l.id = m.label where m.id = ?`,
		[]any{mention}, &label, instant{&at}, &state, &found, &score, &reason, &considered)
	if err != nil {
		return false, err
	}
	if _, err := tx.exec(`delete from label where id = ?`, label); err != nil {
		return false, err
	}
	entry, err := readEntry(found)
	if err != nil {
		return false, err
	}
	again = state == "waiting" || !considered || (state == "place" && entry == nil)
	if again {
		state, entry, score, reason = "waiting", nil, 0, ""
	}
	return again, tx.writeDecision(mention, state, entry, at, score, reason, 0, one)
}
