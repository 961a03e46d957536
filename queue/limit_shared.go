package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// LimitRow is a limit that several machines share. Its instants are of the database's clock.
type LimitRow struct {
	Limit
	Now    time.Time     // when it was read
	Due    time.Time     // the next slot, which may have passed
	Run    int           // slots that were booked one right behind the other, up to the newest
	Quiet  time.Duration // how long no slot had been wanted before them
	Learnt string        // JSON, the limiter's own
}

// Slots is what a limit's next call is booked with.
type Slots struct {
	Space  time.Duration // between the slot and the next one
	Lead   time.Duration // between now and the slot at least
	Most   time.Duration // at most; 0: any time
	PerDay int           // slots of one Korean day; 0: any number
}

// Shared tells whether several machines share the state, and so its limits.
func (s *Store) Shared() bool { return s.pg != nil }

// sharedColumns are the columns of a limit and, last, the moment at which they are read.
const sharedColumns = limitColumns + `, due_us, upstream_limit.run, quiet_us, learnt, microseconds(clock_timestamp())`

// microInstant scans an instant in microseconds since 1970; null is none.
type microInstant struct{ t *time.Time }

// Scan reads an integer.
func (m microInstant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.t = time.Time{}
	case int64:
		*m.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("%v is no instant in microseconds", v)
	}
	return nil
}

func microStamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func limitRowFields(r *LimitRow) []any {
	return append(limitFields(&r.Limit), microInstant{&r.Due}, &r.Run, micros{&r.Quiet}, &r.Learnt, microInstant{&r.Now})
}

// ReserveLimit books the next slot of a limit and returns it; the zero instant when the limit is stopped or held, its day is
// full, or the slot is too far off. It is one statement, and not part of any commit.
func (s *Store) ReserveLimit(ctx context.Context, name string, b Slots) (at time.Time, r LimitRow, err error) {
	space := b.Space.Microseconds()
	// What is inserted, and excluded where there is a row, stands for a slot as soon as b allows.
	err = one(ctx, s.pg.quick, `with wish as (select microseconds(clock_timestamp()) + ?::bigint as at, ?::bigint as space, ?::bigint as lead, ?::bigint as most, ?::bigint as per_day)
		insert into upstream_limit (name, day, used, due_us, run, quiet_us) select ?::text, korean_day(at), 1, at + space, 1, 0 from wish
		on conflict (name) do update set
			due_us = greatest(coalesce(upstream_limit.due_us, 0), excluded.due_us - (select space from wish)) + (select space from wish),
			run = case when excluded.due_us - (select space from wish) > coalesce(upstream_limit.due_us, 0) then 1 else upstream_limit.run + 1 end,
			quiet_us = case when excluded.due_us - (select space from wish) > coalesce(upstream_limit.due_us, 0) then excluded.due_us - (select space from wish) - coalesce(upstream_limit.due_us, 0) else upstream_limit.quiet_us end,
			used = case when upstream_limit.day = korean_day(greatest(coalesce(upstream_limit.due_us, 0), excluded.due_us - (select space from wish))) then upstream_limit.used + 1 else 1 end,
			day = korean_day(greatest(coalesce(upstream_limit.due_us, 0), excluded.due_us - (select space from wish)))
		where upstream_limit.stopped = 0 and (upstream_limit.held_until is null or upstream_limit.held_until <= strftime(''))
			and ((select most from wish) = 0 or coalesce(upstream_limit.due_us, 0) - (excluded.due_us - (select space + lead from wish)) <= (select most from wish))
			and ((select per_day from wish) = 0 or upstream_limit.used < (select per_day from wish)
				or upstream_limit.day <> korean_day(greatest(coalesce(upstream_limit.due_us, 0), excluded.due_us - (select space from wish))))
		returning `+sharedColumns, []any{b.Lead.Microseconds(), space, b.Lead.Microseconds(), b.Most.Microseconds(), b.PerDay, name}, limitRowFields(&r)...)
	if errors.Is(err, ErrNotFound) {
		r, err = s.LookLimit(ctx, name)
		return at, r, err
	}
	if err != nil {
		return at, r, s.explain(err)
	}
	return r.Due.Add(-time.Duration(space) * time.Microsecond), r, nil
}

// ReturnLimit takes back a slot that no call has used.
func (s *Store) ReturnLimit(ctx context.Context, name string, at time.Time, space time.Duration) (r LimitRow, err error) {
	err = one(ctx, s.pg.quick, `update upstream_limit set
			due_us = case when due_us = slot.at + slot.space then slot.at else due_us end,
			run = case when due_us = slot.at + slot.space then greatest(0, upstream_limit.run - 1) else upstream_limit.run end,
			used = case when day = korean_day(slot.at) then greatest(0, used - 1) else used end
		from (select ?::bigint as at, ?::bigint as space) slot where name = ? returning `+sharedColumns, []any{at.UnixMicro(), space.Microseconds(), name}, limitRowFields(&r)...)
	return r, s.explain(err)
}

// LookLimit reads a limit; a zero one but for Now when nothing is known of it.
func (s *Store) LookLimit(ctx context.Context, name string) (LimitRow, error) {
	return s.lookLimit(ctx, s.pg.quick, name, "")
}

func (s *Store) lookLimit(ctx context.Context, q querier, name, lock string) (LimitRow, error) {
	r := LimitRow{Limit: Limit{Name: name}}
	err := one(ctx, q, `select `+sharedColumns+` from upstream_limit where name = ? `+lock, []any{name}, limitRowFields(&r)...)
	if errors.Is(err, ErrNotFound) {
		err = one(ctx, q, `select microseconds(clock_timestamp())`, nil, microInstant{&r.Now})
	}
	return r, s.explain(err)
}

// LearnLimit lets f change a limit while nobody else does. f is called at most once.
func (s *Store) LearnLimit(ctx context.Context, name string, f func(r *LimitRow)) error {
	t, err := s.write.db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, `insert into upstream_limit (name) values (?) on conflict (name) do nothing`, name); err != nil {
		return s.explain(err)
	}
	r, err := s.lookLimit(ctx, t, name, "for update")
	if err != nil {
		return err
	}
	if err := one(ctx, t, `select microseconds(clock_timestamp())`, nil, microInstant{&r.Now}); err != nil { // the lock may have taken a while
		return s.explain(err)
	}
	f(&r)
	l := r.Limit
	if _, err := t.ExecContext(ctx, `update upstream_limit set day = ?, used = ?, held_until = ?, reason = ?, stopped = ?, dirty = ?, stray = ?, last_call = ?, fingerprint = ?,
		per_second = ?, guard_us = ?, bad_us = ?, bad_at = ?, refused = ?, due_us = ?, run = ?, quiet_us = ?, learnt = ? where name = ?`,
		l.Day, l.Used, text(l.HeldUntil), l.Reason, l.Stopped, l.Dirty, l.Stray, text(l.LastCall), l.Key,
		l.PerSecond, l.Guard.Microseconds(), l.Bad.Microseconds(), text(l.BadAt), l.Refused, microStamp(r.Due), r.Run, r.Quiet.Microseconds(), r.Learnt, name); err != nil {
		return s.explain(err)
	}
	return s.explain(t.Commit())
}
