package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sumbi/adapters"
)

// Skip notes that there is nothing to ask about a record.
func (tx *Tx) Skip(record int64) error {
	_, err := tx.exec(`update record set question = 0 where id = ?`, record)
	return err
}

// Ask notes the question about a record, and asks it unless it was asked before. answer is what is known already, nil if nothing;
// fresh reports that the question waits for a batch because of this call.
func (tx *Tx) Ask(pipeline string, record int64, id, body string) (answer json.RawMessage, fresh bool, err error) {
	n, err := tx.exec(`insert into question (key, pipeline, body, asked_at) values (?, ?, ?, ?) on conflict do nothing`, id, pipeline, body, stamp(tx.now))
	if err != nil {
		return nil, false, fmt.Errorf("ask %s: %w", id, err)
	}
	if _, err := tx.exec(`update record set question = (select id from question where key = ?) where id = ?`, id, record); err != nil {
		return nil, false, err
	}
	if n > 0 {
		return nil, true, nil
	}
	// What waits in a pipeline that may never run again goes with the one that wants it now.
	if n, err = tx.exec(`update question set pipeline = ? where key = ? and state = 'waiting' and pipeline <> ?`, pipeline, id, pipeline); err != nil || n > 0 {
		return nil, n > 0, err
	}
	var a sql.NullString
	if err := tx.one(`select answer from question where key = ? and state = 'answered'`, []any{id}, &a); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return nil, false, err
	}
	return json.RawMessage(a.String), false, nil
}

// Askers returns the records that have this question.
func (tx *Tx) Askers(question string) ([]Stored, error) {
	return list(tx.ctx, tx.tx, `select `+storedColumns+` from record r where r.question = (select id from question where key = ?)`, []any{question}, scanStored)
}

// Waiting is what waits for a batch in one pipeline.
type Waiting struct {
	Fresh  int       // never answered so far
	Again  int       // to be asked again
	Bytes  int64     // of the texts
	Oldest time.Time // zero when nothing waits
}

// Waiting counts what waits for a batch.
func (s *Store) Waiting(ctx context.Context, pipeline string) (Waiting, error) {
	var w Waiting
	err := one(ctx, s.read, `select coalesce(sum(case when attempt = 0 then 1 else 0 end), 0), coalesce(sum(case when attempt > 0 then 1 else 0 end), 0), coalesce(sum(octet_length(body)), 0), min(asked_at)
		from question where pipeline = ? and state = 'waiting'`, []any{pipeline}, &w.Fresh, &w.Again, &w.Bytes, instant{&w.Oldest})
	return w, s.explain(err)
}

// Question is one question as a batch needs it.
type Question struct {
	ID      string
	Body    string
	Attempt int
	Line    int
}

func scanQuestion(r *sql.Rows) (Question, error) {
	var q Question
	err := r.Scan(&q.ID, &q.Body, &q.Attempt, &q.Line)
	return q, err
}

// waitingText finds what goes next. It is asked for each piece of a batch, with a million waiting behind a first crawl.
const waitingText = `select key, body, attempt, 0 from question where pipeline = ? and state = 'waiting' order by attempt desc, asked_at, id limit ?`

// WaitingQuestions returns up to n questions that wait, those to be asked again first.
func (s *Store) WaitingQuestions(ctx context.Context, pipeline string, n int) ([]Question, error) {
	qs, err := list(ctx, s.read, waitingText, []any{pipeline, n}, scanQuestion)
	return qs, s.explain(err)
}

// BatchQuestions returns up to n questions of a batch whose line is above after, in the order of their lines.
func (s *Store) BatchQuestions(ctx context.Context, batch int64, after, n int) ([]Question, error) {
	qs, err := list(ctx, s.read, `select key, coalesce(body, ''), attempt, line from question where batch = ? and line > ? order by line limit ?`, []any{batch, after, n}, scanQuestion)
	return qs, s.explain(err)
}

// Choose puts questions into a batch, as its next lines.
func (tx *Tx) Choose(b *Batch, qs []Question) error {
	for _, q := range qs {
		n, err := tx.exec(`update question set state = 'sent', batch = ?, line = ?, err = null where key = ? and state = 'waiting'`, b.ID, b.Lines+1, q.ID)
		if err != nil {
			return err
		}
		b.Lines += int(n)
	}
	return nil
}

// Answer stores the answer of one line of batch b. It reports false when the question has its answer already or is not in b.
func (tx *Tx) Answer(b int64, a adapters.Answer) (bool, error) {
	n, err := tx.exec(`update question set state = 'answered', answer = ?, body = null, err = null, answered_at = ? where key = ? and batch = ? and state = 'sent'`,
		string(a.Body), stamp(tx.now), a.ID, b)
	return n > 0, err
}

// Unanswered notes why a line of batch b has no usable answer yet; what becomes of it is decided when the batch ends.
func (tx *Tx) Unanswered(b int64, id, why string) error {
	_, err := tx.exec(`update question set err = ? where key = ? and batch = ? and state = 'sent'`, why, id, b)
	return err
}

// Requeue takes up to n lines without an answer out of batch b: back to waiting, or dead when they have been tried limit
// times. count says whether the try counts. It returns how many it moved.
func (tx *Tx) Requeue(b int64, n, limit int, count bool, why string) (moved int, err error) {
	// Their bodies stay where they are: in their place is what was wrong with the answer.
	qs, err := list(tx.ctx, tx.tx, `select key, coalesce(err, ?), attempt, line from question where batch = ? and state = 'sent' order by line limit ?`, []any{why, b, n}, scanQuestion)
	if err != nil || len(qs) == 0 {
		return 0, err
	}
	again, dead := map[string]int{}, map[string]int{}
	for _, q := range qs {
		state := "waiting"
		if count {
			if q.Attempt++; q.Attempt >= limit {
				state = "dead"
			}
		}
		if state == "dead" {
			dead[q.Body]++
		} else {
			again[q.Body]++
		}
		_, err := tx.exec(`update question set state = ?, attempt = ?, batch = null, line = null, err = coalesce(err, ?), answered_at = case when ? = 'dead' then ? end where key = ?`,
			state, q.Attempt, why, state, stamp(tx.now), q.ID)
		if err != nil {
			return 0, err
		}
	}
	return len(qs), tx.noteFates(b, func(f *Fates) {
		for _, why := range slices.Sorted(maps.Keys(again)) {
			fated(&f.Again, why, again[why])
		}
		for _, why := range slices.Sorted(maps.Keys(dead)) {
			fated(&f.Dead, why, dead[why])
		}
	})
}

// KillLine makes the question on one line of batch b dead.
func (tx *Tx) KillLine(b int64, line int, why string) error {
	n, err := tx.exec(`update question set state = 'dead', batch = null, line = null, err = ?, answered_at = ? where batch = ? and line = ? and state = 'sent'`, why, stamp(tx.now), b, line)
	if err != nil || n == 0 {
		return err
	}
	return tx.noteFates(b, func(f *Fates) { fated(&f.Dead, why, int(n)) })
}

// KillQuestion makes a waiting question dead.
func (tx *Tx) KillQuestion(id, why string) error {
	_, err := tx.exec(`update question set state = 'dead', err = ?, answered_at = ? where key = ? and state = 'waiting'`, why, stamp(tx.now), id)
	return err
}

// ReviveQuestion lets a dead question be asked again; it reports the question's pipeline.
func (tx *Tx) ReviveQuestion(id string) (pipeline string, err error) {
	err = tx.one(`update question set state = 'waiting', attempt = 0, err = null, asked_at = ? where key = ? and state = 'dead' returning pipeline`, []any{stamp(tx.now), id}, &pipeline)
	if errors.Is(err, ErrNotFound) {
		return "", missing(fmt.Sprintf("there is no dead question %s", id))
	}
	return pipeline, err
}

// AnyWaiting reports whether a question of the pipeline waits for a batch.
func (tx *Tx) AnyWaiting(pipeline string) (bool, error) {
	var some bool
	err := tx.one(`select exists (select 1 from question where pipeline = ? and state = 'waiting')`, []any{pipeline}, &some)
	return some, err
}

// DropQuestion lets a dead question rest: it is never asked again, and its posts count as having nothing to ask.
func (tx *Tx) DropQuestion(id string) error {
	n, err := tx.exec(`update question set state = 'dropped', body = null where key = ? and state = 'dead'`, id)
	if err == nil && n == 0 {
		err = missing(fmt.Sprintf("there is no dead question %s", id))
	}
	return err
}
