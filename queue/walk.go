package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	Cuts     int       // runs in a row that left it unfinished
	Rest     time.Time // the upstream asks to leave it alone until then
}

// ListOf names the list that belongs to one record of a target.
func ListOf(list, record string) string { return list + "/" + record }

// Of takes a walk's list apart: its name, and the record that it belongs to, "" when it is the target's own.
func (w Walk) Of() (list, record string) {
	list, record, _ = strings.Cut(w.List, "/")
	return list, record
}

const walkColumns = `id, pipeline, target, list, state, run, whole, step, cursor, mark, clean, newest, oldest, last_key, end_key, pages, expected, empties, repeats, known, restarts, note, cuts, rest_until`

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
		&w.LastKey, &w.EndKey, &w.Pages, &w.Expected, &w.Empties, &w.Repeats, &w.Known, &w.Restarts, &w.Note, &w.Cuts,
		instant{&w.Rest},
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
		empties = ?, repeats = ?, known = ?, restarts = ?, note = ?, cuts = ?, rest_until = ?, ended_at = case when ? = 'walking' then ended_at else ? end
		where id = ? and step = ?`,
		string(w.State), string(w.Cursor), text(w.Mark), w.Clean, text(w.Newest), text(w.Oldest), w.LastKey, w.EndKey, w.Pages, w.Expected,
		w.Empties, w.Repeats, w.Known, w.Restarts, w.Note, w.Cuts, text(w.Rest), string(w.State), stamp(tx.now), w.ID, w.Step)
	if err != nil {
		return fmt.Errorf("advance walk %s %s: %w", w.Target, w.List, err)
	}
	if n == 0 {
		return ErrStale
	}
	w.Step++
	return nil
}

// Begin starts the walks of a target's lists for a run, unless that run has begun them already or they are to be left alone. It
// returns those begun. A walk of a whole list that did not end cleanly is owed: the next one is whole, too.
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
		err := tx.one(`update walk set state = 'walking', run = ?, whole = case when ? = 1 or (whole = 1 and state <> 'idle') then 1 else 0 end, step = step + 1, cursor = '', newest = null, oldest = null, last_key = '', pages = 0,
			empties = 0, repeats = 0, known = 0, restarts = 0, note = ''
			where pipeline = ? and target = ? and list = ? and run <> ? and (rest_until is null or rest_until <= ?) returning `+walkColumns,
			[]any{run.ID, run.Whole, run.Pipeline, target, l, run.ID, stamp(tx.now)}, walkFields(&w)...)
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
	ID     string    // the upstream's own id for it; "" unknown
	Name   string    // the name it goes by now, when that is another
	Tried  time.Time // when a run began it last; zero: never
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
	err := one(ctx, q, `select state, misses, total, uid, name, tried_at from target where pipeline = ? and target = ?`, []any{pipeline, target}, &state, &t.Misses, &t.Total, &t.ID, &t.Name, instant{&t.Tried})
	if errors.Is(err, ErrNotFound) {
		return t, nil
	}
	if state != "ok" {
		t.State = WalkState(state)
	}
	return t, err
}

// SeeTarget notes that a target answered; total 0 leaves the count as it is. What came of its last turn stands until this one ends.
func (tx *Tx) SeeTarget(pipeline, target string, total int) error {
	_, err := tx.exec(`update target set note = case when state = 'ok' then note else '' end, state = 'ok', misses = 0, checked_at = ?, total = case when ? > 0 then ? else total end where pipeline = ? and target = ?`,
		stamp(tx.now), total, total, pipeline, target)
	return err
}

// MissTarget notes that a target is gone or private. A run counts once, however many lists it has.
func (tx *Tx) MissTarget(w Walk, state WalkState, note string) error {
	_, err := tx.exec(`update target set state = ?, checked_at = ?, note = ?, misses = misses + case when missed_run <> ? then 1 else 0 end, missed_run = ? where pipeline = ? and target = ?`,
		string(state), stamp(tx.now), note, w.Run, w.Run, w.Pipeline, w.Target)
	return err
}

// NameTarget keeps the upstream's own id of a target, and the name it goes by now when that is another.
func (tx *Tx) NameTarget(pipeline, target, id, name string) error {
	_, err := tx.exec(`insert into target (pipeline, target, uid, name) values (?, ?, ?, ?) on conflict (pipeline, target) do update set uid = excluded.uid, name = excluded.name`, pipeline, target, id, name)
	return err
}

// Seen is what the lists of a target have shown in all.
type Seen struct {
	Whole  bool      // every list has ended cleanly: there is nothing to wait for
	Shown  int       // records, each counted once
	Newest time.Time // newest record of the walks; a pinned one does not count
}

// Seen counts what the lists of a target have shown.
func (tx *Tx) Seen(pipeline, target string) (s Seen, err error) {
	err = tx.one(`select coalesce(min(case when state = 'idle' then 1 else 0 end), 0), max(mark), (select count(distinct l.record) from walk w join listing l on l.walk = w.id where w.pipeline = ? and w.target = ?)
		from walk where pipeline = ? and target = ?`, []any{pipeline, target, pipeline, target}, &s.Whole, instant{&s.Newest}, &s.Shown)
	return s, err
}

// Times returns when the newest n records that the lists of a target have shown happened, the newest first.
func (tx *Tx) Times(pipeline, target string, n int) ([]time.Time, error) {
	return list(tx.ctx, tx.tx, `select r.at from record r where r.id in (select l.record from walk w join listing l on l.walk = w.id where w.pipeline = ? and w.target = ?)
		order by r.at desc limit ?`, []any{pipeline, target, n}, func(r *sql.Rows) (t time.Time, err error) {
		return t, r.Scan(instant{&t})
	})
}

// KeepSeen notes how many records a target's lists have shown, and since when it is silent beyond its habit; zero when it is not.
func (tx *Tx) KeepSeen(pipeline, target string, shown int, silent time.Time) error {
	_, err := tx.exec(`update target set shown = ?, silent_since = ? where pipeline = ? and target = ?`, shown, text(silent), pipeline, target)
	return err
}

// EndSilence notes that a target that was silent has shown a record of that time.
func (tx *Tx) EndSilence(pipeline, target string, newest time.Time) error {
	_, err := tx.exec(`update target set silent_since = null where pipeline = ? and target = ? and silent_since < ?`, pipeline, target, stamp(newest))
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

// Put is PutPacked for records without a raw item to be kept.
func (tx *Tx) Put(w Walk, recs []adapters.Record) ([]Stored, error) {
	packed := make([]Packed, len(recs))
	for i, r := range recs {
		packed[i] = Packed{Record: r}
	}
	return tx.PutPacked(w, packed)
}

// PutPacked writes the records of one page of w, as they come. A record that is known is updated when its data differ; its
// raw item is written then, and when none was kept.
func (tx *Tx) PutPacked(w Walk, recs []Packed) ([]Stored, error) {
	all, err := tx.put(w, recs)
	if err != nil {
		err = fmt.Errorf("put a page of %s %s: %w", w.Target, w.List, err)
	}
	return all, err
}

func (tx *Tx) put(w Walk, recs []Packed) ([]Stored, error) {
	known := make(map[recordKey]*stored, len(recs))
	ids, err := tx.newIDs(len(recs))
	if err != nil {
		return nil, err
	}
	// On its way through a list for the first time a walk mostly meets what is new, later what is known.
	complete := false
	if w.Clean == 0 && tx.s.pg == nil { // where others write, too, all lock what is known first
		if complete, err = tx.insert(w, recs, known, ids); err != nil {
			return nil, err
		}
	}
	for !complete {
		if err := tx.known(w, recs, known, ids); err != nil {
			return nil, err
		}
		if complete, err = tx.insert(w, recs, known, ids); err != nil {
			return nil, err
		}
	}
	all := make([]Stored, 0, len(recs))
	var shown []int64 // records that this list had not shown before
	for _, r := range recs {
		k := known[recordKey{r.Stream, r.Key}]
		st, err := tx.update(w, r, k)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Stream, r.Key, err)
		}
		st.Here = k.listed == 0 || k.listed > w.Clean
		switch {
		case k.shown == w.Run:
			st.Again = true
		case k.listed == 0:
			k.listed = w.Run
			shown = append(shown, k.ID)
		default:
			if _, err := tx.exec(`update listing set run = ? where record = ? and walk = ?`, w.Run, st.ID, w.ID); err != nil {
				return nil, err
			}
		}
		k.shown = w.Run
		all = append(all, st)
	}
	return all, tx.list(w, shown)
}

// newIDs returns n numbers for new records.
func (tx *Tx) newIDs(n int) ([]int64, error) {
	if tx.s.pg != nil {
		return list(tx.ctx, tx.tx, `select nextval(pg_get_serial_sequence('record', 'id')) from generate_series(1, ?::int)`, []any{n}, func(r *sql.Rows) (id int64, err error) {
			return id, r.Scan(&id)
		})
	}
	var last int64 // whoever writes is alone
	if err := tx.one(`select coalesce(max(id), 0) from record`, nil, &last); err != nil {
		return nil, err
	}
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = last + 1 + int64(i)
	}
	return ids, nil
}

type recordKey struct{ stream, key string }

// stored is a record as the file had it, or as this page has just made it.
type stored struct {
	Stored
	data   string
	kept   bool  // its raw item is in the file
	listed int64 // the run in which the walk's list showed it first; 0 never
	shown  int64 // and last
}

// known adds those of a page's records that the file has; those with one of ids are new.
func (tx *Tx) known(w Walk, recs []Packed, known map[recordKey]*stored, ids []int64) error {
	keys := map[string][]string{}
	for _, r := range recs {
		keys[r.Stream] = append(keys[r.Stream], r.Key)
	}
	for stream, ks := range keys {
		b, err := json.Marshal(ks)
		if err != nil {
			return err
		}
		rs, err := list(tx.ctx, tx.tx, `select r.id, r.key, r.pipeline, r.target, r.data, r.raw is not null, coalesce((select q.key from question q where q.id = r.question), ''), coalesce(l.first, 0), coalesce(l.run, 0)
			from json_each(?) k `+firstJoin.in(tx.s)+` record r on r.stream = ? and r.key = k.value left join listing l on l.walk = ? and l.record = r.id`+lockRecords.in(tx.s),
			[]any{string(b), stream, w.ID}, func(r *sql.Rows) (*stored, error) {
				var s stored
				return &s, r.Scan(&s.ID, &s.Key, &s.Pipeline, &s.Target, &s.data, &s.kept, &s.Question, &s.listed, &s.shown)
			})
		if err != nil {
			return err
		}
		for _, s := range rs {
			s.New = slices.Contains(ids, s.ID)
			known[recordKey{stream, s.Key}] = s
		}
	}
	return nil
}

// insertChunk is how many rows one statement writes: the texts of SQL stay few, so that each is compiled once.
const insertChunk = 12

// insert writes the records that are not in known, with numbers of ids. It adds them to known and reports true unless the
// file has had one of them.
func (tx *Tx) insert(w Walk, recs []Packed, known map[recordKey]*stored, ids []int64) (bool, error) {
	const columns = 9
	fresh := make(map[recordKey]*stored, len(recs))
	var rows []any
	now := stamp(tx.now)
	order := make([]int, len(recs))
	for i := range order {
		order[i] = i
	}
	if tx.s.pg != nil { // whoever writes the same records at the same time does so in the same order
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(recs[a].Stream, recs[b].Stream), cmp.Compare(recs[a].Key, recs[b].Key))
		})
	}
	for _, i := range order {
		r := recs[i]
		k := recordKey{r.Stream, r.Key}
		if known[k] != nil || fresh[k] != nil {
			continue
		}
		last := ids[i]
		fresh[k] = &stored{Stored: Stored{ID: last, Pipeline: w.Pipeline, Target: w.Target, New: true}, kept: r.frame != nil}
		rows = append(rows, last, r.Stream, r.Key, w.Pipeline, w.Target, stamp(r.Time), string(r.Data), now, blob(r.frame))
	}
	var written int64
	for part := range slices.Chunk(rows, columns*insertChunk) {
		n, err := tx.exec(`insert into record (id, stream, key, pipeline, target, at, data, fetched_at, raw) values `+places(len(part)/columns, columns)+` on conflict do nothing`, part...)
		if err != nil {
			return false, err
		}
		written += n
	}
	if written < int64(len(fresh)) {
		return false, nil
	}
	maps.Copy(known, fresh)
	return true, nil
}

// update brings a record that the file knew up to date.
func (tx *Tx) update(w Walk, r Packed, k *stored) (Stored, error) {
	st := Stored{Record: r.Record, ID: k.ID, Pipeline: k.Pipeline, Target: k.Target, New: k.New, Question: k.Question}
	if k.New {
		k.New, k.data = false, string(r.Data)
		return st, nil
	}
	st.Changed = k.data != string(r.Data)
	if w.Pipeline == st.Pipeline && closer(w.Target, st.Target, r.Owner) {
		st.Target, k.Target = w.Target, w.Target
		if err := tx.moveRecord(st); err != nil {
			return st, err
		}
	}
	if !st.Changed && (k.kept || r.frame == nil) {
		return st, nil
	}
	k.data, k.kept = string(r.Data), r.frame != nil
	_, err := tx.exec(`update record set data = ?, at = ?, fetched_at = case when ? = 1 then ? else fetched_at end, raw = ? where id = ?`, string(r.Data), stamp(r.Time), st.Changed, stamp(tx.now), blob(r.frame), st.ID)
	return st, err
}

// list notes that w's list shows records which it had not shown before.
func (tx *Tx) list(w Walk, records []int64) error {
	for part := range slices.Chunk(records, insertChunk) {
		args := make([]any, 0, 4*len(part))
		for _, id := range part {
			args = append(args, id, w.ID, w.Run, w.Run)
		}
		if _, err := tx.exec(`insert into listing (record, walk, first, run) values `+places(len(part), 4), args...); err != nil {
			return err
		}
	}
	return nil
}

// places returns the placeholders of n rows.
func places(n, columns int) string {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return row + strings.Repeat(", "+row, n-1)
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
	return tx.tellPlaces(st)
}

// tellPlaces tells the sinks of the places that a record names.
func (tx *Tx) tellPlaces(st Stored) error {
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

// Count adds to the run's own figures what a page brought, and how long the upstream took for it.
func (tx *Tx) Count(run int64, pages, fresh, changed int, took time.Duration) error {
	_, err := tx.exec(`update run set pages = pages + ?, fresh = fresh + ?, changed = changed + ?, fetch_ms = fetch_ms + ? where id = ?`, pages, fresh, changed, took.Milliseconds(), run)
	return err
}

func scanStored(r *sql.Rows) (Stored, error) {
	var st Stored
	var data string
	err := r.Scan(storedFields(&st, &data)...)
	st.Data = json.RawMessage(data)
	return st, err
}

func storedFields(st *Stored, data *string) []any {
	return []any{&st.ID, &st.Stream, &st.Key, &st.Pipeline, &st.Target, instant{&st.Time}, data, &st.Question}
}

const storedColumns = `r.id, r.stream, r.key, r.pipeline, r.target, r.at, r.data, coalesce((select k.key from question k where k.id = r.question), '')`

// Walk reads one walk within the transaction.
func (tx *Tx) Walk(id int64) (Walk, error) {
	var w Walk
	err := tx.one(`select `+walkColumns+` from walk where id = ?`, []any{id}, walkFields(&w)...)
	return w, err
}
