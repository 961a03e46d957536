package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// Present returns the records of a stream that a walk's list has shown and that are not gone, the newest first.
func (tx *Tx) Present(w Walk, stream string) ([]Stored, error) {
	return list(tx.ctx, tx.tx, `select `+storedColumns+` from listing l join record r on r.id = l.record where l.walk = ? and r.stream = ? and r.gone_at is null order by r.at desc, r.key`, []any{w.ID, stream}, scanStored)
}

// Vanish settles what a walk over the whole list, which has ended cleanly, says of a stream's records: what it has shown is
// there, what it has not is gone. It returns the keys of those for which that is news. It never takes more than half of what
// was there: then nothing is gone.
func (tx *Tx) Vanish(w Walk, stream string) (keys []string, err error) {
	keys, err = list(tx.ctx, tx.tx, `update record set gone_at = null where gone_at is not null and stream = ? and id in (select l.record from listing l where l.walk = ? and l.run = ?) returning key`,
		[]any{stream, w.ID, w.Run}, scanText)
	if err != nil {
		return nil, err
	}
	const missed = `stream = ? and gone_at is null and id in (select l.record from listing l where l.walk = ? and l.run < ?)`
	args := []any{stream, w.ID, w.Run}
	var there int
	err = tx.one(`select count(*) from listing l join record r on r.id = l.record where l.walk = ? and r.stream = ? and r.gone_at is null`, []any{w.ID, stream}, &there)
	if err != nil {
		return nil, err
	}
	var n int
	if err := tx.one(`select count(*) from record where `+missed, args, &n); err != nil || n == 0 || 2*n > there {
		return keys, err
	}
	gone, err := list(tx.ctx, tx.tx, `update record set gone_at = ? where `+missed+` returning key`, append([]any{stamp(tx.now)}, args...), scanText)
	return append(keys, gone...), err
}

// MissRecord takes a record for gone of which the upstream itself says that it is not there, when a walk over the whole list, which
// has ended cleanly, has not shown it either. It reports whether it did. Vanish brings it back when the list shows it again.
func (tx *Tx) MissRecord(w Walk, stream, key string) (bool, error) {
	n, err := tx.exec(`update record set gone_at = ? where stream = ? and key = ? and gone_at is null and id in (select l.record from listing l where l.walk = ? and l.run < ?)`,
		stamp(tx.now), stream, key, w.ID, w.Run)
	return n > 0, err
}

// Turn is how the lists of one target stand in a run.
type Turn struct {
	Walking int
	Ended   int    // cleanly
	Failed  int    // left unfinished
	Note    string // why one of those
	Resting int    // lists that the run has not begun because they are left alone for a while
	Missing int    // records that a list has shown before, but not in this run, and that are not taken for gone
}

// Turn counts the lists of a target that a run walks. Of two that end at the same time the later one sees the earlier one's end.
func (tx *Tx) Turn(w Walk) (t Turn, err error) {
	if _, err := tx.exec(`update target set misses = misses where pipeline = ? and target = ?`, w.Pipeline, w.Target); err != nil {
		return t, err
	}
	err = tx.one(`select coalesce(sum(case when state = 'walking' then 1 else 0 end), 0), coalesce(sum(case when state = 'idle' then 1 else 0 end), 0),
		coalesce(sum(case when state in ('unfinished', 'private') then 1 else 0 end), 0), coalesce(max(case when state in ('unfinished', 'private') then note end), '')
		from walk where pipeline = ? and target = ? and run = ?`, []any{w.Pipeline, w.Target, w.Run}, &t.Walking, &t.Ended, &t.Failed, &t.Note)
	if err != nil || t.Walking > 0 {
		return t, err
	}
	err = tx.one(`select (select count(*) from walk where pipeline = ? and target = ? and run <> ? and rest_until > ?),
		(select count(*) from walk k join listing l on l.walk = k.id join record r on r.id = l.record where k.pipeline = ? and k.target = ? and k.list not like '%/%' and l.run < k.run and r.gone_at is null)`,
		[]any{w.Pipeline, w.Target, w.Run, stamp(tx.now), w.Pipeline, w.Target}, &t.Resting, &t.Missing)
	return t, err
}

// TryTarget notes that a target's turn has come.
func (tx *Tx) TryTarget(pipeline, target string) error {
	_, err := tx.exec(`insert into target (pipeline, target, tried_at) values (?, ?, ?) on conflict (pipeline, target) do update set tried_at = excluded.tried_at`, pipeline, target, stamp(tx.now))
	return err
}

// NoteTarget says in words what came of a target's turn.
func (tx *Tx) NoteTarget(pipeline, target, result string) error {
	_, err := tx.exec(`insert into target (pipeline, target, note) values (?, ?, ?) on conflict (pipeline, target) do update set note = excluded.note`, pipeline, target, result)
	return err
}

// Member is a target of a pipeline as a person wants to know it.
type Member struct {
	Target string
	Tried  time.Time // when its turn came last; zero: never
	Result string    // what came of it
	Login  Login     // zero: it has none
}

// Members lists the targets of a pipeline that had a turn or have a log-in, of the newest log-in first.
func (s *Store) Members(ctx context.Context, pipeline string) ([]Member, error) {
	return s.members(ctx, pipeline, "")
}

// Users lists the targets that a pipeline knows, by name.
func (tx *Tx) Users(pipeline string) ([]string, error) {
	return list(tx.ctx, tx.tx, `select target from target where pipeline = ? union select target from credential where pipeline = ? order by target`, []any{pipeline, pipeline}, scanText)
}

// Member returns one of Members; ErrNotFound when there is none.
func (s *Store) Member(ctx context.Context, pipeline, target string) (Member, error) {
	ms, err := s.members(ctx, pipeline, target)
	if err != nil || len(ms) == 0 {
		return Member{}, cmp.Or(err, ErrNotFound)
	}
	return ms[0], nil
}

func (s *Store) members(ctx context.Context, pipeline, only string) ([]Member, error) {
	ms, err := list(ctx, s.read, `select k.target, t.tried_at, coalesce(t.note, ''), coalesce(c.uid, ''), c.expires_at, c.dead_at, coalesce(c.reason, ''), c.created_at, c.changed_at
		from (select target from target where pipeline = ? union select target from credential where pipeline = ?) k
		left join target t on t.pipeline = ? and t.target = k.target left join credential c on c.pipeline = ? and c.target = k.target
		where ? = '' or k.target = ?
		order by case when c.created_at is null then 1 else 0 end, c.created_at desc, k.target`, []any{pipeline, pipeline, pipeline, pipeline, only, only}, func(r *sql.Rows) (Member, error) {
		m := Member{Login: Login{Pipeline: pipeline}}
		l := &m.Login
		err := r.Scan(&m.Target, instant{&m.Tried}, &m.Result, &l.UID, instant{&l.Expires}, instant{&l.Dead}, &l.Reason, instant{&l.Created}, instant{&l.Changed})
		l.Target = m.Target
		return m, err
	})
	return ms, s.explain(err)
}

// Held is a stored record, and since when its list does not show it; zero: it does.
type Held struct {
	Stored
	Gone time.Time
}

// Records returns a target's records of a stream, the newest first. Its lists lead to them: no index of the records is needed, which
// every page of every crawl would have to keep.
func (s *Store) Records(ctx context.Context, pipeline, target, stream string) ([]Held, error) {
	rs, err := list(ctx, s.read, `select `+storedColumns+`, r.gone_at from record r `+byNumber.in(s)+`
		where r.id in (select l.record from walk w join listing l on l.walk = w.id where w.pipeline = ? and w.target = ?) and r.pipeline = ? and r.target = ? and r.stream = ?
		order by r.at desc, r.key`, []any{pipeline, target, pipeline, target, stream}, scanHeld)
	return rs, s.explain(err)
}

// CountsOfRecords is CountsOfRecord for many records, by their numbers.
func (s *Store) CountsOfRecords(ctx context.Context, records []int64, what, since string) (map[int64]*Counts, error) {
	if len(records) == 0 {
		return map[int64]*Counts{}, nil
	}
	ids, err := json.Marshal(records)
	if err != nil {
		return nil, err
	}
	all, err := s.countsOf(ctx, `r.id in (select cast(k.value as bigint) from json_each(?) k)`, what, since, string(ids))
	return all, s.explain(err)
}

// Record returns one stored record; ErrNotFound when there is none.
func (s *Store) Record(ctx context.Context, stream, key string) (Held, error) {
	rs, err := list(ctx, s.read, `select `+storedColumns+`, r.gone_at from record r where r.stream = ? and r.key = ?`, []any{stream, key}, scanHeld)
	if err != nil || len(rs) == 0 {
		if err == nil {
			err = ErrNotFound
		}
		return Held{}, s.explain(err)
	}
	return rs[0], nil
}

func scanHeld(r *sql.Rows) (Held, error) {
	var h Held
	var data string
	err := r.Scan(append(storedFields(&h.Stored, &data), instant{&h.Gone})...)
	h.Data = json.RawMessage(data)
	return h, err
}

// List reads the walk of a target's list.
func (tx *Tx) List(pipeline, target, list string) (Walk, error) {
	var w Walk
	err := tx.one(`select `+walkColumns+` from walk where pipeline = ? and target = ? and list = ?`, []any{pipeline, target, list}, walkFields(&w)...)
	return w, err
}

// ForgetRuns removes the runs of a pipeline that ended before a moment, but for those that its lists were walked in last. What they
// asked for and what was in vain stays in the books, by day, outside a run.
func (tx *Tx) ForgetRuns(pipeline string, before time.Time) error {
	if _, err := tx.exec(`delete from run where pipeline = ? and state = 'done' and ended_at < ? and not exists (select 1 from walk w where w.run = run.id)`, pipeline, stamp(before)); err != nil {
		return err
	}
	for _, of := range []string{"run_minute", "slot"} {
		if _, err := tx.exec(`delete from ` + of + ` where not exists (select 1 from run r where r.id = ` + of + `.run)`); err != nil {
			return err
		}
	}
	for _, book := range []string{"usage", "waste"} {
		const forgotten = ` where b.run > 0 and not exists (select 1 from run r where r.id = b.run)`
		_, err := tx.exec(`insert into ` + book + ` (day, run, upstream, what, n, micro_usd) select b.day, 0, b.upstream, b.what, sum(b.n), sum(b.micro_usd) from ` + book + ` b` + forgotten + `
			group by b.day, b.upstream, b.what on conflict (day, run, upstream, what) do update set n = ` + book + `.n + excluded.n, micro_usd = ` + book + `.micro_usd + excluded.micro_usd`)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`delete from ` + book + ` as b` + forgotten); err != nil {
			return err
		}
	}
	return nil
}
