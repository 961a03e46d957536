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

// WalkState says where a walk stands.
type WalkState string

// The states of a walk.
const (
	WalkIdle       WalkState = "idle"       // ended cleanly, or never begun
	WalkWalking    WalkState = "walking"    // under way
	WalkUnfinished WalkState = "unfinished" // ended without having seen everything down to the mark
	WalkGone       WalkState = "gone"       // the target was not there
	WalkPrivate    WalkState = "private"    // the target did not show itself
)

// Walk is one list of one target.
type Walk struct {
	ID       int64
	Pipeline string
	Target   string
	List     string
	State    WalkState
	Run      int64 // the run that walks it, or walked it last
	Whole    bool  // goes to the end of the list, known records or not
	Step     int64 // compare-and-set
	Cursor   adapters.Cursor
	Mark     time.Time // newest record of the last walk that ended cleanly; zero: never ended
	Clean    int64     // the run in which that was
	Newest   time.Time // newest record of this walk: the mark to be
	Oldest   time.Time // down to here this walk has seen everything
	LastKey  string    // last record of this walk
	EndKey   string    // where the walk before ended on empty pages
	Pages    int       // of this walk
	Expected int       // pages of the last whole walk; 0 unknown
	Empties  int       // empty pages in a row
	Repeats  int       // answers in a row that named the page just asked
	Known    int       // pages in a row that this walk had seen before
	Restarts int       // times this walk began again at the first page
	Note     string
}

const walkColumns = `id, pipeline, target, list, state, run, whole, step, cursor, mark, clean, newest, oldest, last_key, end_key, pages, expected, empties, repeats, known, restarts, note`

func scanWalk(r *sql.Rows) (Walk, error) {
	var w Walk
	err := r.Scan(walkFields(&w)...)
	return w, err
}

func walkFields(w *Walk) []any {
	return []any{
		&w.ID, &w.Pipeline, &w.Target, &w.List, &w.State, &w.Run, &w.Whole, &w.Step, (*string)(&w.Cursor),
		instant{&w.Mark},
		&w.Clean,
		instant{&w.Newest},
		instant{&w.Oldest},
		&w.LastKey, &w.EndKey, &w.Pages, &w.Expected, &w.Empties, &w.Repeats, &w.Known, &w.Restarts, &w.Note,
	}
}

// Walk reads one walk.
func (s *Store) Walk(ctx context.Context, id int64) (Walk, error) {
	var w Walk
	err := one(ctx, s.read, `select `+walkColumns+` from walk where id = ?`, []any{id}, walkFields(&w)...)
	return w, s.explain(err)
}

// Advance writes where a walk stands now. It returns ErrStale when somebody else has moved the walk since w was read.
func (tx *Tx) Advance(w *Walk) error {
	n, err := tx.exec(`update walk set step = step + 1, state = ?, cursor = ?, mark = ?, clean = ?, newest = ?, oldest = ?, last_key = ?, end_key = ?, pages = ?, expected = ?,
		empties = ?, repeats = ?, known = ?, restarts = ?, note = ?, ended_at = case when ? = 'walking' then ended_at else ? end
		where id = ? and step = ?`,
		string(w.State), string(w.Cursor), text(w.Mark), w.Clean, text(w.Newest), text(w.Oldest), w.LastKey, w.EndKey, w.Pages, w.Expected,
		w.Empties, w.Repeats, w.Known, w.Restarts, w.Note, string(w.State), stamp(tx.now), w.ID, w.Step)
	if err != nil {
		return fmt.Errorf("advance walk %s %s: %w", w.Target, w.List, err)
	}
	if n == 0 {
		return ErrStale
	}
	w.Step++
	return nil
}

// Begin starts the walks of a target's lists for a run, unless that run has begun them already. It returns those begun.
func (tx *Tx) Begin(run Run, target string, lists []string) ([]Walk, error) {
	if _, err := tx.exec(`insert into target (pipeline, target) values (?, ?) on conflict do nothing`, run.Pipeline, target); err != nil {
		return nil, err
	}
	var begun []Walk
	for _, l := range lists {
		if _, err := tx.exec(`insert into walk (pipeline, target, list) values (?, ?, ?) on conflict do nothing`, run.Pipeline, target, l); err != nil {
			return nil, err
		}
		var w Walk
		err := tx.one(`update walk set state = 'walking', run = ?, whole = ?, step = step + 1, cursor = '', newest = null, oldest = null, last_key = '', pages = 0,
			empties = 0, repeats = 0, known = 0, restarts = 0, note = ''
			where pipeline = ? and target = ? and list = ? and run <> ? returning `+walkColumns,
			[]any{run.ID, run.Whole, run.Pipeline, target, l, run.ID}, walkFields(&w)...)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		begun = append(begun, w)
	}
	return begun, nil
}

// Target is what is known of an account.
type Target struct {
	Target string
	State  WalkState // idle (all is well), gone or private
	Misses int       // runs in a row that found it gone
	Total  int       // the upstream's own count; 0 unknown
}

// Target reads what is known of an account; a new one is all zero.
func (s *Store) Target(ctx context.Context, pipeline, target string) (Target, error) {
	t, err := readTarget(ctx, s.read, pipeline, target)
	return t, s.explain(err)
}

// Target is Store.Target within the transaction.
func (tx *Tx) Target(pipeline, target string) (Target, error) {
	return readTarget(tx.ctx, tx.tx, pipeline, target)
}

func readTarget(ctx context.Context, q querier, pipeline, target string) (Target, error) {
	t := Target{Target: target, State: WalkIdle}
	var state string
	err := one(ctx, q, `select state, misses, total from target where pipeline = ? and target = ?`, []any{pipeline, target}, &state, &t.Misses, &t.Total)
	if errors.Is(err, ErrNotFound) {
		return t, nil
	}
	if state != "ok" {
		t.State = WalkState(state)
	}
	return t, err
}

// SeeTarget notes that a target answered; total 0 leaves the count as it is.
func (tx *Tx) SeeTarget(pipeline, target string, total int) error {
	_, err := tx.exec(`update target set state = 'ok', misses = 0, note = '', checked_at = ?, total = case when ? > 0 then ? else total end where pipeline = ? and target = ?`,
		stamp(tx.now), total, total, pipeline, target)
	return err
}

// MissTarget notes that a target is gone or private. A run counts once, however many lists it has.
func (tx *Tx) MissTarget(w Walk, state WalkState, note string) error {
	_, err := tx.exec(`update target set state = ?, checked_at = ?, note = ?, misses = misses + (missed_run <> ?), missed_run = ? where pipeline = ? and target = ?`,
		string(state), stamp(tx.now), note, w.Run, w.Run, w.Pipeline, w.Target)
	return err
}

// Stored is a record as the file knows it now.
type Stored struct {
	adapters.Record
	ID       int64
	Pipeline string
	Target   string
	New      bool   // the file did not know it
	Changed  bool   // the file knew it with other data
	Here     bool   // no walk of this list that ended cleanly has shown it
	Again    bool   // this list had shown it in this run already
	Question string // what is asked about it; "" nothing yet
}

// Put writes the records of one page of w. A record that is known is updated when its data differ.
func (tx *Tx) Put(w Walk, recs []adapters.Record) ([]Stored, error) {
	all := make([]Stored, 0, len(recs))
	for _, r := range recs {
		st := Stored{Record: r, Pipeline: w.Pipeline, Target: w.Target}
		var data string
		var question sql.NullString
		err := tx.one(`select id, pipeline, target, data, question from record where stream = ? and key = ?`, []any{r.Stream, r.Key}, &st.ID, &st.Pipeline, &st.Target, &data, &question)
		switch {
		case errors.Is(err, ErrNotFound):
			st.New = true
			err = tx.one(`insert into record (stream, key, pipeline, target, at, data, first_at, fetched_at) values (?, ?, ?, ?, ?, ?, ?, ?) returning id`,
				[]any{r.Stream, r.Key, w.Pipeline, w.Target, stamp(r.Time), string(r.Data), stamp(tx.now), stamp(tx.now)}, &st.ID)
		case err == nil:
			st.Changed = data != string(r.Data)
			st.Question = question.String
			if err == nil && w.Pipeline == st.Pipeline && closer(w.Target, st.Target, r.Owner) {
				st.Target = w.Target
				err = tx.moveRecord(st)
			}
			if err == nil && st.Changed {
				_, err = tx.exec(`update record set data = ?, at = ?, fetched_at = ? where id = ?`, string(r.Data), stamp(r.Time), stamp(tx.now), st.ID)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("put %s %s: %w", r.Stream, r.Key, err)
		}
		var first, run int64
		err = tx.one(`select first, run from listing where walk = ? and record = ?`, []any{w.ID, st.ID}, &first, &run)
		st.Here = err != nil || first > w.Clean
		switch {
		case errors.Is(err, ErrNotFound):
			_, err := tx.exec(`insert into listing (walk, record, first, run) values (?, ?, ?, ?)`, w.ID, st.ID, w.Run, w.Run)
			if err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case run == w.Run:
			st.Again = true
		default:
			if _, err := tx.exec(`update listing set run = ? where walk = ? and record = ?`, w.Run, w.ID, st.ID); err != nil {
				return nil, err
			}
		}
		all = append(all, st)
	}
	return all, nil
}

// closer reports whether a record that both targets show belongs to a rather than to b: to its owner, else to the first by
// name, so that it does not matter who showed it first.
func closer(a, b, owner string) bool {
	if a == b || b == owner {
		return false
	}
	return a == owner || a < b
}

// moveRecord gives a record to another target, and tells the sinks of the places that it names.
func (tx *Tx) moveRecord(st Stored) error {
	if _, err := tx.exec(`update record set target = ? where id = ?`, st.Target, st.ID); err != nil {
		return err
	}
	places, err := list(tx.ctx, tx.tx, `select distinct place from mention where record = ? and place is not null`, []any{st.ID}, scanText)
	if err != nil {
		return err
	}
	for _, p := range places {
		if err := tx.placeChanged(st.Pipeline, p); err != nil {
			return err
		}
	}
	return nil
}

// Count adds what a page brought to the run's own figures.
func (tx *Tx) Count(run int64, pages, fresh, changed int) error {
	_, err := tx.exec(`update run set pages = pages + ?, fresh = fresh + ?, changed = changed + ? where id = ?`, pages, fresh, changed, run)
	return err
}

func scanStored(r *sql.Rows) (Stored, error) {
	var st Stored
	var data string
	var q sql.NullString
	err := r.Scan(&st.ID, &st.Stream, &st.Key, &st.Pipeline, &st.Target, instant{&st.Time}, &data, &q)
	st.Data, st.Question = json.RawMessage(data), q.String
	return st, err
}

const storedColumns = `r.id, r.stream, r.key, r.pipeline, r.target, r.at, r.data, r.question`

// Walk reads one walk within the transaction.
func (tx *Tx) Walk(id int64) (Walk, error) {
	var w Walk
	err := tx.one(`select `+walkColumns+` from walk where id = ?`, []any{id}, walkFields(&w)...)
	return w, err
}
