package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Mention is a restaurant that a record names.
type Mention struct {
	ID         int64
	Record     Stored
	N          int // 0 is the first of the record
	Pipeline   string
	Fields     json.RawMessage // as the model answered; empty where its answer cannot be read
	Name       string          // of Fields
	State      string          // place, none, review, waiting
	Place      string
	Score      float64
	Reason     string
	Found      string       // the entry of a finder that was taken
	Label      int64        // a person has decided it so; 0: nobody
	Also       []Place      // what other finders show of the place; not read back
	Candidates []Considered // best first; not read back
	Queries    []Asked      // in order; not read back
}

// Considered is one candidate of a decision. Candidate is its number in the file, 0 where nothing of its text is kept: then
// its finder, its link, the id of its place and the words that found it are.
type Considered struct {
	Candidate int64
	Finder    string
	Score     float64
	Why       string
	Link      string
	Key       string
	Query     string
}

// Asked is one search of a decision.
type Asked struct {
	Finder string
	Query  string
	Found  int // candidates
}

// Extracted replaces the mentions of a record by those entries of the answer to a question, counted from 0. It returns the
// ids of the new ones, in order. Places that lose a mention are told to the sinks.
func (tx *Tx) Extracted(rec Stored, question string, entries []int) ([]int64, error) {
	old, err := list(tx.ctx, tx.tx, `select place from mention where record = ? and place is not null`, []any{rec.ID}, scanText)
	if err != nil {
		return nil, err
	}
	if _, err := tx.exec(`delete from mention where record = ?`, rec.ID); err != nil {
		return nil, err
	}
	for _, p := range old {
		if err := tx.placeChanged(rec.Pipeline, p); err != nil {
			return nil, err
		}
	}
	ids := make([]int64, len(entries))
	for n, entry := range entries {
		err := tx.one(`insert into mention (record, n, pipeline, question, entry) select cast(? as bigint), cast(? as bigint), ?, id, cast(? as bigint) from question where key = ? returning id`,
			[]any{rec.ID, n, rec.Pipeline, entry, question}, &ids[n])
		if err != nil {
			return nil, fmt.Errorf("mention %d of %s: %w", n, rec.Key, err)
		}
	}
	return ids, nil
}

func scanText(r *sql.Rows) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}

// Where the answer to a question has what a mention m is made of. The text of it is kept only there; an answer that is no
// JSON has nothing.
const (
	mentionColumns = `m.id, m.n, m.pipeline, m.state, coalesce(m.place, ''), coalesce(m.score, 0), coalesce(w.text, ''), coalesce(m.found, ''), coalesce(m.label, 0),
		case when json_valid(a.answer) then coalesce(json_extract(a.answer, '$.restaurants[' || m.entry || ']'), '') else '' end,
		case when json_valid(a.answer) then coalesce(json_extract(a.answer, '$.restaurants[' || m.entry || '].name'), '') else '' end, ` + storedColumns
	mentionTables = `mention m join record r on r.id = m.record left join question a on a.id = m.question left join wording w on w.id = m.reason`
)

func scanMention(r *sql.Rows) (m Mention, err error) {
	err = scanMentionWith(r, &m)
	return m, err
}

// scanMentionWith scans a mention, and behind its columns what else is selected.
func scanMentionWith(r *sql.Rows, m *Mention, more ...any) error {
	var fields, data string
	to := append([]any{&m.ID, &m.N, &m.Pipeline, &m.State, &m.Place, &m.Score, &m.Reason, &m.Found, &m.Label, &fields, &m.Name}, storedFields(&m.Record, &data)...)
	err := r.Scan(append(to, more...)...)
	m.Fields, m.Record.Data = json.RawMessage(fields), json.RawMessage(data)
	return err
}

// Mention reads one mention with its record.
func (s *Store) Mention(ctx context.Context, id int64) (Mention, error) {
	ms, err := list(ctx, s.read, `select `+mentionColumns+` from `+mentionTables+` where m.id = ?`, []any{id}, scanMention)
	if err != nil {
		return Mention{}, s.explain(err)
	}
	if len(ms) == 0 {
		return Mention{}, ErrNotFound
	}
	return ms[0], nil
}

// Mentions returns up to n mentions of a pipeline whose number is above after, in the order of their numbers.
func (s *Store) Mentions(ctx context.Context, pipeline string, after int64, n int) ([]Mention, error) {
	ms, err := list(ctx, s.read, `select `+mentionColumns+` from `+mentionTables+` where m.id > ? and m.pipeline = ? order by m.id limit ?`, []any{after, pipeline, n}, scanMention)
	return ms, s.explain(err)
}

// Place is a restaurant on the map.
type Place struct {
	ID       string
	Finder   string
	FinderID string
	Name     string
	Compact  string // name folded for comparison
	Category string
	Address  string
	Road     string
	Phone    string
	Link     string
	Query    string // the search words that found it
	Lat, Lng float64
	Spot     string // the address folded for comparison; of entries alone
	First    time.Time
	Updated  time.Time
}

const placeColumns = `p.id, p.finder, p.finder_id, p.name, p.compact, p.category, p.address, p.road_address, p.phone, p.link, p.query, coalesce(p.lat, 0), coalesce(p.lng, 0), p.first_at, p.updated_at`

func placeFields(p *Place) []any {
	return []any{&p.ID, &p.Finder, &p.FinderID, &p.Name, &p.Compact, &p.Category, &p.Address, &p.Road, &p.Phone, &p.Link, &p.Query, &p.Lat, &p.Lng, instant{&p.First}, instant{&p.Updated}}
}

// Decide stores what became of a mention, unless a person has decided it. With state place, p is the entry of a finder that
// was taken: one says which place it is part of, and what is known of that from now on.
func (tx *Tx) Decide(m Mention, p *Place, one One) error {
	var before sql.NullString
	var state string
	var label int64
	if err := tx.one(`select place, state, coalesce(label, 0) from mention where id = ?`, []any{m.ID}, &before, &state, &label); err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil // the post has been read anew meanwhile
		}
		return err
	}
	if label != 0 {
		return nil
	}
	var place, found any
	if p != nil {
		id, err := tx.settle(*p, time.Time{}, one)
		if err != nil {
			return err
		}
		place, found = id, p.ID
		if err := tx.join(m.Also, id, one); err != nil {
			return err
		}
	}
	reason, candidates, queries, err := tx.considered(m)
	if err != nil {
		return fmt.Errorf("decide mention %d: %w", m.ID, err)
	}
	_, err = tx.exec(`update mention set state = ?, place = ?, found = ?, score = ?, reason = ?, candidates = ?, queries = ?, searches = ?, decided_at = ? where id = ?`,
		m.State, place, found, m.Score, reason, candidates, queries, len(m.Queries), stamp(tx.now), m.ID)
	if err != nil {
		return fmt.Errorf("decide mention %d: %w", m.ID, err)
	}
	if state == "waiting" {
		if _, err := tx.exec(`update run set matched = matched + 1, answers = answers + ? where pipeline = ? and state <> 'done'`, len(m.Queries), m.Pipeline); err != nil {
			return err
		}
	}
	return tx.moved(m.Pipeline, before.String, place)
}

// moved tells the sinks of a mention that was of one place and is of another now; "" and nil are none.
func (tx *Tx) moved(pipeline, before string, place any) error {
	if before != "" && before != place {
		if err := tx.placeChanged(pipeline, before); err != nil {
			return err
		}
	}
	if place == nil {
		return nil
	}
	return tx.placeChanged(pipeline, place.(string))
}

// writePlace stores what is known of a place.
func (tx *Tx) writePlace(p Place) error {
	var lat, lng any
	if p.Lat != 0 && p.Lng != 0 && !math.IsNaN(p.Lat) && !math.IsNaN(p.Lng) {
		lat, lng = p.Lat, p.Lng
	}
	_, err := tx.exec(`insert into place (id, finder, finder_id, name, compact, category, address, road_address, phone, link, query, lat, lng, first_at, updated_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set finder = excluded.finder, finder_id = excluded.finder_id, name = excluded.name, compact = excluded.compact,
		category = excluded.category, address = excluded.address, road_address = excluded.road_address, phone = excluded.phone, link = excluded.link,
		query = excluded.query, lat = excluded.lat, lng = excluded.lng, updated_at = excluded.updated_at`,
		p.ID, p.Finder, p.FinderID, p.Name, p.Compact, p.Category, p.Address, p.Road, p.Phone, p.Link, p.Query, lat, lng, stamp(tx.now), stamp(tx.now))
	if err != nil {
		return fmt.Errorf("place %s: %w", p.ID, err)
	}
	return nil
}

// placeChanged tells the sinks; a place that nobody names any more goes.
func (tx *Tx) placeChanged(pipeline, id string) error {
	gone, err := tx.exec(`delete from place where id = ? and not exists (select 1 from mention where place = ?)`, id, id)
	if err != nil {
		return err
	}
	if gone > 0 {
		if _, err := tx.exec(`delete from place_entry where place = ? and by_hand = 0`, id); err != nil {
			return err
		}
	}
	sinks, err := tx.sinks(pipeline)
	if err != nil {
		return err
	}
	for _, sink := range sinks {
		if err := tx.Deliver(sink, "places", id, pipeline); err != nil {
			return err
		}
	}
	return nil
}

// PlaceMentions is a place with everybody who names it, newest post first, and what it is made of.
type PlaceMentions struct {
	Place
	Mentions []Mention
	Entries  []PlaceEntry
}

// Places calls f for every place that is named, in the order of their ids, until f returns an error.
func (s *Store) Places(ctx context.Context, f func(PlaceMentions) error) error {
	after := ""
	for {
		ids, err := list(ctx, s.read, `select id from place where id > ? order by id limit 200`, []any{after}, scanText)
		if err != nil {
			return s.explain(err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			p, err := s.Place(ctx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := f(p); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

// PlaceRow reads one place without its mentions; ErrNotFound when there is none.
func (s *Store) PlaceRow(ctx context.Context, id string) (Place, error) {
	var p Place
	err := one(ctx, s.read, `select `+placeColumns+` from place p where p.id = ?`, []any{id}, placeFields(&p)...)
	return p, s.explain(err)
}

// Place reads one place with its mentions; ErrNotFound when nobody names it.
func (s *Store) Place(ctx context.Context, id string) (PlaceMentions, error) {
	p, err := s.PlaceRow(ctx, id)
	pm := PlaceMentions{Place: p}
	if err != nil {
		return pm, err
	}
	ms, err := list(ctx, s.read, `select `+mentionColumns+` from `+mentionTables+` where m.place = ? order by r.at desc, r.key, m.n`, []any{id}, scanMention)
	if err != nil {
		return pm, s.explain(err)
	}
	if len(ms) == 0 {
		return pm, ErrNotFound
	}
	pm.Mentions = ms
	pm.Entries, err = s.Entries(ctx, id)
	return pm, err
}
