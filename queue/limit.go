package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Limit is what one credential of one upstream must remember.
type Limit struct {
	Name      string
	Day       string // the Korean day that Used counts
	Used      int
	HeldUntil time.Time
	Reason    string
	Stopped   bool
	Dirty     bool      // a process uses it, or was ended while it did
	Stray     bool      // while Dirty: calls left without a claim of their own
	LastCall  time.Time // exact when not Dirty; else the newest claim, unless Stray
	Key       string    // fingerprint of the credential

	PerSecond float64       // the rate that what follows was learnt for
	Guard     time.Duration // added to the upstream's window when calls are spaced; kept to the microsecond
	Bad       time.Duration // the widest guard that saw a refusal; 0 = none did
	BadAt     time.Time     // the last such refusal
	Refused   string        // whether the upstream counts refused calls: count, free, "" unknown
}

func limitFields(l *Limit) []any {
	return []any{
		&l.Name, &l.Day, &l.Used,
		instant{&l.HeldUntil},
		&l.Reason, &l.Stopped, &l.Dirty, &l.Stray,
		instant{&l.LastCall},
		&l.Key,
		&l.PerSecond,
		micros{&l.Guard},
		micros{&l.Bad},
		instant{&l.BadAt},
		&l.Refused,
	}
}

// micros scans a duration that is stored in microseconds.
type micros struct{ d *time.Duration }

// Scan reads an integer.
func (m micros) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%v is not a number of microseconds", v)
	}
	*m.d = time.Duration(n) * time.Microsecond
	return nil
}

const limitColumns = `name, day, used, held_until, reason, stopped, dirty, stray, last_call, fingerprint, per_second, guard_us, bad_us, bad_at, refused`

// Limit reads what is remembered of a limit; a zero one when nothing is.
func (s *Store) Limit(ctx context.Context, name string) (Limit, error) {
	l := Limit{Name: name}
	err := one(ctx, s.read, `select `+limitColumns+` from upstream_limit where name = ?`, []any{name}, limitFields(&l)...)
	if errors.Is(err, ErrNotFound) {
		return l, nil
	}
	return l, s.explain(err)
}

// Limits reads all limits.
func (s *Store) Limits(ctx context.Context) ([]Limit, error) {
	ls, err := list(ctx, s.read, `select `+limitColumns+` from upstream_limit order by name`, nil, func(r *sql.Rows) (Limit, error) {
		var l Limit
		err := r.Scan(limitFields(&l)...)
		return l, err
	})
	return ls, s.explain(err)
}

// SaveLimit stores what a limit must remember.
func (s *Store) SaveLimit(ctx context.Context, l Limit) error {
	return s.Tx(ctx, func(tx *Tx) error {
		_, err := tx.exec(`insert into upstream_limit (`+limitColumns+`) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			on conflict (name) do update set day = excluded.day, used = excluded.used, held_until = excluded.held_until, reason = excluded.reason,
			stopped = excluded.stopped, dirty = excluded.dirty, stray = excluded.stray, last_call = excluded.last_call, fingerprint = excluded.fingerprint,
			per_second = excluded.per_second, guard_us = excluded.guard_us, bad_us = excluded.bad_us, bad_at = excluded.bad_at, refused = excluded.refused`,
			l.Name, l.Day, l.Used, text(l.HeldUntil), l.Reason, l.Stopped, l.Dirty, l.Stray, text(l.LastCall), l.Key,
			l.PerSecond, l.Guard.Microseconds(), l.Bad.Microseconds(), text(l.BadAt), l.Refused)
		return err
	})
}

// ReleaseLimits forgets every hold, and the pace that refusals have taught, for when a plan was changed.
func (s *Store) ReleaseLimits(ctx context.Context) error {
	return s.Tx(ctx, func(tx *Tx) error {
		_, err := tx.exec(`update upstream_limit set held_until = null, reason = '', per_second = 0, guard_us = 0, bad_us = 0, bad_at = null, refused = ''`)
		if err == nil && s.Shared() {
			_, err = tx.exec(`update upstream_limit set learnt = ''`)
		}
		return err
	})
}
