package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Fates are what has become of the lines of a batch that brought no answer, by cause, and what its answers cost. A batch of
// which nothing was noted has none.
type Fates struct {
	MicroUSD int64          `json:"micro_usd,omitempty"` // booked for its lines
	Again    map[string]int `json:"again,omitempty"`     // lines that wait again
	Dead     map[string]int `json:"dead,omitempty"`      // lines that were given up
}

// mostFates bounds the causes that are kept of a batch; those beyond are together, as "".
const mostFates = 20

func fatesKey(batch int64) string { return "batch.fates." + strconv.FormatInt(batch, 10) }

func readFates(text string) (f Fates, err error) {
	if text == "" {
		return f, nil
	}
	return f, json.Unmarshal([]byte(text), &f)
}

// noteFates changes what is noted of a batch.
func (tx *Tx) noteFates(batch int64, change func(f *Fates)) error {
	key := fatesKey(batch)
	text, err := tx.Meta(key)
	if err != nil {
		return err
	}
	f, err := readFates(text)
	if err != nil {
		return fmt.Errorf("meta %s: %w", key, err)
	}
	change(&f)
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return tx.SetMeta(key, string(b))
}

// fated adds n lines that ended for a cause.
func fated(to *map[string]int, why string, n int) {
	if *to == nil {
		*to = map[string]int{}
	}
	cause := Cause(why)
	if _, ok := (*to)[cause]; !ok && len(*to) >= mostFates {
		cause = ""
	}
	(*to)[cause] += n
}

// PayBatch notes what was booked for lines of a batch, in micro-dollars.
func (tx *Tx) PayBatch(batch, microUSD int64) error {
	if microUSD == 0 {
		return nil
	}
	return tx.noteFates(batch, func(f *Fates) { f.MicroUSD += microUSD })
}

// BatchFilter narrows a list of batches; empty fields do not.
type BatchFilter struct {
	Pipeline string
	State    string // a BatchState, or open: not ended
}

// BatchRow is a batch as a list shows it.
type BatchRow struct {
	Batch
	Fates
}

// Batches returns up to n batches with a number below before, the newest first; before 0 begins at the newest.
func (s *Store) Batches(ctx context.Context, f BatchFilter, before int64, n int) ([]BatchRow, error) {
	var w where
	w.add(`id < ?`, newestFirst(before))
	w.equal(`pipeline`, f.Pipeline)
	if f.State == "open" {
		w.add(`state not in ('done', 'refused')`)
	} else {
		w.equal(`state`, f.State)
	}
	bs, err := list(ctx, s.read, `select `+batchColumns+` from batch`+w.text()+` order by id desc limit ?`, append(w.args, n), scanBatch)
	if err != nil {
		return nil, s.explain(err)
	}
	return s.withFates(ctx, bs)
}

// withFates reads what is noted of batches.
func (s *Store) withFates(ctx context.Context, bs []Batch) ([]BatchRow, error) {
	if len(bs) == 0 {
		return nil, nil
	}
	keys := make([]string, len(bs))
	for i, b := range bs {
		keys[i] = fatesKey(b.ID)
	}
	in, args := among(keys)
	notes := map[string]string{}
	err := s.each(ctx, `select key, value from meta where key in `+in, args, func(r *sql.Rows) error {
		var k, v string
		err := r.Scan(&k, &v)
		notes[k] = v
		return err
	})
	all := make([]BatchRow, len(bs))
	for i, b := range bs {
		all[i].Batch = b
		if err == nil {
			all[i].Fates, err = readFates(notes[keys[i]])
		}
	}
	return all, err
}

// LineFate is how many lines of a batch are in a state for a cause.
type LineFate struct {
	State string // sent: no answer yet, or one that could not be used, whose cause is told
	Cause string
	N     int
}

// BatchStory is what is known of one batch.
type BatchStory struct {
	BatchRow
	Open []LineFate // lines that are still in it without an answer
	Job  int64      // the live job that leads it; 0 none
}

// BatchStory reads one batch. jobKey is the key of the job that leads it.
func (s *Store) BatchStory(ctx context.Context, id int64, jobKey string) (st BatchStory, err error) {
	if st.Batch, err = s.Batch(ctx, id); err != nil {
		return st, err
	}
	text, err := s.Meta(ctx, fatesKey(id))
	if err != nil {
		return st, s.explain(err)
	}
	if st.Fates, err = readFates(text); err != nil {
		return st, err
	}
	if st.State != BatchDone && st.State != BatchRefused {
		rows, err := list(ctx, s.read, `select coalesce(err, ''), count(*) from question where batch = ? and state = 'sent' group by coalesce(err, '')`, []any{id}, func(r *sql.Rows) (f LineFate, err error) {
			f.State = "sent"
			return f, r.Scan(&f.Cause, &f.N)
		})
		if err != nil {
			return st, s.explain(err)
		}
		st.Open = mergeFates(rows)
	}
	st.Job, err = s.LiveJob(ctx, jobKey)
	return st, err
}

// mergeFates puts lines of one cause together, the most frequent first.
func mergeFates(rows []LineFate) []LineFate {
	var all []LineFate
	at := map[string]int{}
	for _, f := range rows {
		if f.Cause != "" {
			f.Cause = Cause(f.Cause)
		}
		if i, ok := at[f.Cause]; ok {
			all[i].N += f.N
			continue
		}
		at[f.Cause] = len(all)
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b LineFate) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Cause, b.Cause)) })
	return all
}

// List is the fates in order, the most frequent first.
func (f Fates) List() []LineFate {
	var all []LineFate
	for state, causes := range map[string]map[string]int{"waiting": f.Again, "dead": f.Dead} {
		for cause, n := range causes {
			all = append(all, LineFate{state, cause, n})
		}
	}
	slices.SortFunc(all, func(a, b LineFate) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.State, b.State), cmp.Compare(a.Cause, b.Cause))
	})
	return all
}
