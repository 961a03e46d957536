package queue

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// listsAsked is how long ago a list of one record was read, or was to be, at most to be counted in RecordLists.
const listsAsked = 24 * time.Hour

// RecordLists is how the lists that belong to one record each fare in a pipeline, those that were asked for in the last day.
type RecordLists struct {
	Pipeline string
	List     string // their name without the record
	Read     int    // the last time, or failed but once
	Failing  int    // in several runs in a row
	Resting  int    // are left alone for a while
	Note     string // why one of those that fail does
}

// Broken reports whether more than half of those that are not left alone fail: that is no longer chance.
func (l RecordLists) Broken() bool { return l.Failing > l.Read }

// RecordLists counts the lists that belong to one record each.
func (s *Store) RecordLists(ctx context.Context) ([]RecordLists, error) {
	ls, err := list(ctx, s.read, `select pipeline, min(list), sum(case when rests = 0 and cuts < 2 then 1 else 0 end), sum(case when rests = 0 and cuts > 1 then 1 else 0 end),
			sum(rests), coalesce(max(case when rests = 0 and cuts > 1 then note end), '')
		from (select pipeline, list, substr(list, 1, instr(list, '/')) as name, state, cuts, note, case when rest_until > ended_at then 1 else 0 end as rests
			from walk where list like '%/%' and ended_at >= ? and state <> 'gone') w
		group by pipeline, name order by pipeline, name`, []any{stamp(s.Now().Add(-listsAsked))}, func(r *sql.Rows) (l RecordLists, err error) {
		err = r.Scan(&l.Pipeline, &l.List, &l.Read, &l.Failing, &l.Resting, &l.Note)
		l.List, _, _ = strings.Cut(l.List, "/")
		return l, err
	})
	return ls, s.explain(err)
}

// BrokenLists are those of RecordLists of which more than half fail.
func (s *Store) BrokenLists(ctx context.Context) (broken []RecordLists, err error) {
	all, err := s.RecordLists(ctx)
	for _, l := range all {
		if l.Broken() {
			broken = append(broken, l)
		}
	}
	return broken, err
}

// OnlyRecords returns up to n of a run's walks that are under way when all of them are of lists of one record and none of such
// lists was read since an instant, else none.
func (s *Store) OnlyRecords(ctx context.Context, run int64, since time.Time, n int) ([]Walk, error) {
	ws, err := list(ctx, s.read, `select `+walkColumns+` from walk where run = ? and state = 'walking' and list like '%/%'
		and not exists (select 1 from walk o where o.run = ? and o.state = 'walking' and o.list not like '%/%')
		and not exists (select 1 from walk o where o.run = ? and o.state = 'idle' and o.list like '%/%' and o.ended_at >= ?) order by id limit ?`, []any{run, run, run, stamp(since), n}, scanWalk)
	return ws, s.explain(err)
}
