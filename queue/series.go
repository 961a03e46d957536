package queue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// Snapshot is how far a counter had come on a day.
type Snapshot struct {
	Day   string    // a Korean day
	At    time.Time // its first look
	First int64     // in all, up to then
	Seen  time.Time // its last look
	N     int64     // in all, up to then
}

// Counts is what is known of one counter of a record.
type Counts struct {
	Snapshots []Snapshot       // in the order of time, at most one a day
	Daily     map[string]int64 // what the upstream itself says was counted on a day
}

// RecordID returns the number of a stored record; ErrNotFound when there is none.
func (tx *Tx) RecordID(stream, key string) (id int64, err error) {
	err = tx.one(`select id from record where stream = ? and key = ?`, []any{stream, key}, &id)
	return id, err
}

// maxAhead is how far an upstream's clock may be ahead of ours.
const maxAhead = 5 * time.Minute

// Snap notes how far a counter of a record had come at a moment. A row is written when the number has changed, or is the first
// of its Korean day; else the last row was seen once more. What is older than the last look is old news. What is further ahead than a clock may be is of
// now, or else it would make old news of all that follows.
func (tx *Tx) Snap(record int64, what string, at time.Time, n int64) error {
	var day string
	var last int64
	var then, seen time.Time
	err := tx.one(`select at, seen_at, day, n from snapshot where record = ? and what = ? order by at desc limit 1`, []any{record, what}, instant{&then}, instant{&seen}, &day, &last)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if at.After(tx.now.Add(maxAhead)) {
		at = tx.now
	}
	today := Day(at)
	switch {
	case err == nil && !at.After(seen):
		return nil
	case err == nil && day == today && last == n:
		_, err = tx.exec(`update snapshot set seen_at = ? where record = ? and what = ? and at = ?`, stamp(at), record, what, stamp(then))
		return err
	}
	_, err = tx.exec(`insert into snapshot (record, what, at, seen_at, day, n) values (?, ?, ?, ?, ?, ?) on conflict do nothing`, record, what, stamp(at), stamp(at), today, n)
	return err
}

// CountDay notes what the upstream itself says was counted on a day.
func (tx *Tx) CountDay(record int64, what, day string, n int64) error {
	_, err := tx.exec(`insert into daily (record, what, day, n) values (?, ?, ?, ?)
		on conflict (record, what, day) do update set n = excluded.n where daily.n <> excluded.n`, record, what, day, n)
	return err
}

// ThinSnapshots removes what is no longer needed of the counters of a pipeline's records: of days before thin all but the first
// and the last of each day, and days before until altogether, but for the last number, from which the next one is counted. An empty until
// keeps every day.
func (tx *Tx) ThinSnapshots(pipeline, thin, until string) error {
	_, err := tx.exec(`delete from snapshot where day < ? and record in (select id from record where pipeline = ?)
		and exists (select 1 from snapshot l where l.record = snapshot.record and l.what = snapshot.what and l.day = snapshot.day and l.at > snapshot.at)
		and exists (select 1 from snapshot f where f.record = snapshot.record and f.what = snapshot.what and f.day = snapshot.day and f.at < snapshot.at)`, thin, pipeline)
	if err != nil || until == "" {
		return err
	}
	_, err = tx.exec(`delete from snapshot where day < ? and record in (select id from record where pipeline = ?)
		and exists (select 1 from snapshot l where l.record = snapshot.record and l.what = snapshot.what and l.day < ? and l.at > snapshot.at)`, until, pipeline, until)
	if err != nil {
		return err
	}
	_, err = tx.exec(`delete from daily where day < ? and record in (select id from record where pipeline = ?)`, until, pipeline)
	return err
}

// CountsOf reads a counter of all of a target's records of a stream, by the record's number: its days from since on, and the
// newest before them, from which they are counted. An empty since is all.
func (s *Store) CountsOf(ctx context.Context, pipeline, target, stream, what, since string) (map[int64]*Counts, error) {
	all, err := s.countsOf(ctx, `r.pipeline = ? and r.target = ? and r.stream = ?`, what, since, pipeline, target, stream)
	return all, s.explain(err)
}

// CountsOfRecord is CountsOf for one record.
func (s *Store) CountsOfRecord(ctx context.Context, record int64, what, since string) (Counts, error) {
	all, err := s.countsOf(ctx, `r.id = ?`, what, since, record)
	if err != nil || all[record] == nil {
		return Counts{}, s.explain(err)
	}
	return *all[record], nil
}

func (s *Store) countsOf(ctx context.Context, which, what, since string, args ...any) (map[int64]*Counts, error) {
	all := map[int64]*Counts{}
	of := func(record int64) *Counts {
		if all[record] == nil {
			all[record] = &Counts{Daily: map[string]int64{}}
		}
		return all[record]
	}
	began := ""
	if since != "" {
		began = stamp(DayBegins(since))
	}
	_, err := list(ctx, s.read, `select s.record, s.at, s.seen_at, s.day, s.n from record r join snapshot s on s.record = r.id where `+which+` and s.what = ?
		and s.at >= coalesce((select l.at from snapshot l where l.record = r.id and l.what = ? and l.at < ? order by l.at desc limit 1), '')
		order by s.record, s.at`, append(slices.Clone(args), what, what, began), func(r *sql.Rows) (struct{}, error) {
		var record int64
		var x Snapshot
		if err := r.Scan(&record, instant{&x.At}, instant{&x.Seen}, &x.Day, &x.N); err != nil {
			return struct{}{}, err
		}
		c := of(record)
		if n := len(c.Snapshots); n > 0 && c.Snapshots[n-1].Day == x.Day {
			c.Snapshots[n-1].Seen, c.Snapshots[n-1].N = x.Seen, x.N
		} else {
			x.First = x.N
			c.Snapshots = append(c.Snapshots, x)
		}
		return struct{}{}, nil
	})
	if err != nil {
		return nil, err
	}
	_, err = list(ctx, s.read, `select d.record, d.day, d.n from record r join daily d on d.record = r.id where `+which+` and d.what = ?
		and d.day >= coalesce((select l.day from daily l where l.record = r.id and l.what = ? and l.day < ? order by l.day desc limit 1), '')`, append(args, what, what, since), func(r *sql.Rows) (struct{}, error) {
		var record, n int64
		var day string
		err := r.Scan(&record, &day, &n)
		of(record).Daily[day] = n
		return struct{}{}, err
	})
	return all, err
}
