package queue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sumbi/adapters"
)

// Search reads a finder's remembered answer and the numbers that its candidates have in the file; ErrNotFound when there is
// none that is younger than maxAge.
func (s *Store) Search(ctx context.Context, finder, query string, maxAge time.Duration) ([]adapters.Candidate, []int64, error) {
	var answer string
	err := one(ctx, s.read, `select answer from search where finder = ? and query = ? and at > ?`, []any{finder, query, stamp(s.Now().Add(-maxAge))}, &answer)
	if err != nil {
		return nil, nil, s.explain(err)
	}
	var ids []int64
	if err := json.Unmarshal([]byte(answer), &ids); err != nil || ids == nil {
		return nil, nil, ErrNotFound // damaged: ask again
	}
	if len(ids) == 0 {
		return []adapters.Candidate{}, ids, nil
	}
	cs, err := list(ctx, s.read, `select `+candidateColumns+` from json_each(?) k join candidate c on c.id = cast(k.value as bigint) order by k.key`, []any{answer}, scanCandidate)
	if err != nil {
		return nil, nil, s.explain(err)
	}
	if len(cs) != len(ids) {
		return nil, nil, ErrNotFound // somebody has removed rows by hand: ask again
	}
	return cs, ids, nil
}

const candidateColumns = `c.finder_id, c.finder, c.name, c.category, c.address, c.road_address, c.phone, c.link, c.lat, c.lng`

func scanCandidate(r *sql.Rows) (c adapters.Candidate, err error) {
	err = r.Scan(&c.ID, &c.Finder, &c.Name, &c.Category, &c.Address, &c.RoadAddress, &c.Phone, &c.Link, &c.Lat, &c.Lng)
	return c, err
}

// SaveSearch remembers a finder's answer.
func (tx *Tx) SaveSearch(finder, query string, cs []adapters.Candidate) error {
	ids := make([]int64, len(cs))
	for i, c := range cs {
		id, err := tx.keep(c)
		if err != nil {
			return fmt.Errorf("answer of %s to %q: %w", finder, query, err)
		}
		ids[i] = id
	}
	answer, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	_, err = tx.exec(`insert into search (finder, query, answer, at) values (?, ?, ?, ?) on conflict (finder, query) do update set answer = excluded.answer, at = excluded.at`,
		finder, query, string(answer), stamp(tx.now))
	return err
}

// keep stores a candidate unless the file has it, and returns its number.
func (tx *Tx) keep(c adapters.Candidate) (int64, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(text)
	hash, day := int64(binary.BigEndian.Uint64(sum[:8])), Day(tx.now)
	type numbered struct {
		adapters.Candidate
		id  int64
		day string
	}
	known, err := list(tx.ctx, tx.tx, `select c.id, c.day, `+candidateColumns+` from candidate c where c.hash = ?`, []any{hash}, func(r *sql.Rows) (n numbered, err error) {
		c := &n.Candidate
		err = r.Scan(&n.id, &n.day, &c.ID, &c.Finder, &c.Name, &c.Category, &c.Address, &c.RoadAddress, &c.Phone, &c.Link, &c.Lat, &c.Lng)
		return n, err
	})
	if err != nil {
		return 0, err
	}
	for _, k := range known {
		if k.Candidate != c {
			continue
		}
		if k.day < day {
			_, err = tx.exec(`update candidate set day = ? where id = ?`, day, k.id)
		}
		return k.id, err
	}
	var id int64
	err = tx.one(`insert into candidate (hash, finder_id, finder, name, category, address, road_address, phone, link, lat, lng, day) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id`,
		[]any{hash, c.ID, c.Finder, c.Name, c.Category, c.Address, c.RoadAddress, c.Phone, c.Link, c.Lat, c.Lng, day}, &id)
	return id, err
}

// ForgetSearches forgets the answers that are older than maxAge, and the candidates that only they show. Those that a person
// is still to choose from stay.
func (tx *Tx) ForgetSearches(maxAge time.Duration) error {
	before := tx.now.Add(-maxAge)
	if _, err := tx.exec(`delete from search where at < ?`, stamp(before)); err != nil {
		return err
	}
	if err := tx.keepReviewed(Day(before)); err != nil {
		return err
	}
	_, err := tx.exec(`delete from candidate where day < ?`, Day(before))
	return err
}

// considered returns what is kept with a decision, as the columns of mention hold it.
func (tx *Tx) considered(m Mention) (reason, candidates, queries any, err error) {
	texts := []string{m.Reason}
	for _, c := range m.Candidates {
		texts = append(texts, c.Why)
	}
	words, err := tx.wordings(texts)
	if err != nil {
		return nil, nil, nil, err
	}
	if m.Reason != "" {
		reason = words[m.Reason]
	}
	if m.Candidates != nil {
		b := []byte{'['}
		for i, c := range m.Candidates {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '[')
			if c.Candidate > 0 {
				b = strconv.AppendInt(b, c.Candidate, 10)
			} else {
				name, err := json.Marshal(c.Finder)
				if err != nil {
					return nil, nil, nil, err
				}
				b = append(b, name...)
			}
			b = strconv.AppendFloat(append(b, ','), c.Score, 'g', scoreDigits, 64)
			b = strconv.AppendInt(append(b, ','), words[c.Why], 10)
			if c.Candidate == 0 && c.Key != "" {
				own, err := json.Marshal([]string{c.Link, c.Key, c.Query})
				if err != nil {
					return nil, nil, nil, err
				}
				b = append(append(b, ','), own[1:len(own)-1]...)
			}
			b = append(b, ']')
		}
		candidates = string(append(b, ']'))
	}
	if m.Queries != nil {
		qs := make([][]any, len(m.Queries))
		for i, q := range m.Queries {
			qs[i] = []any{q.Finder, q.Query, q.Found}
		}
		b, err := json.Marshal(qs)
		if err != nil {
			return nil, nil, nil, err
		}
		queries = string(b)
	}
	return reason, candidates, queries, nil
}

// scoreDigits is how exactly the scores of candidates are kept. That of the decision itself is kept whole.
const scoreDigits = 4

// wordings returns the numbers of texts; new ones get theirs, an empty one has none.
func (tx *Tx) wordings(texts []string) (map[string]int64, error) {
	slices.Sort(texts)
	texts = slices.DeleteFunc(slices.Compact(texts), func(t string) bool { return t == "" })
	asked, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	words := make(map[string]int64, len(texts))
	type wording struct {
		id   int64
		text string
	}
	known, err := list(tx.ctx, tx.tx, `select w.id, w.text from json_each(?) k `+firstJoin.in(tx.s)+` wording w on w.text = k.value`, []any{string(asked)}, func(r *sql.Rows) (w wording, err error) {
		return w, r.Scan(&w.id, &w.text)
	})
	if err != nil {
		return nil, err
	}
	for _, w := range known {
		words[w.text] = w.id
	}
	for _, t := range texts {
		if words[t] > 0 {
			continue
		}
		var id int64
		if err := tx.one(`insert into wording (text) values (?) returning id`, []any{t}, &id); err != nil {
			return nil, err
		}
		words[t] = id
	}
	return words, nil
}
