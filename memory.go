package main

import (
	"context"
	"encoding/json"
	"fmt"

	"sumbi/adapters/rest"
	"sumbi/queue"
)

// remember is the memory of the limits in a state.
func remember(store *queue.Store) rest.Memory {
	if store.Shared() {
		return sharedMemory{memory{store}}
	}
	return memory{store}
}

// memory lets the limits remember through the state.
type memory struct{ store *queue.Store }

func limitState(l queue.Limit) rest.LimitState {
	return rest.LimitState{
		Day: l.Day, Used: l.Used, HeldUntil: l.HeldUntil, Reason: l.Reason, Stopped: l.Stopped, Dirty: l.Dirty, Stray: l.Stray, LastCall: l.LastCall, Key: l.Key,
		PerSecond: l.PerSecond, Guard: l.Guard, Bad: l.Bad, BadAt: l.BadAt, Refused: l.Refused,
	}
}

func limitOf(name string, s rest.LimitState) queue.Limit {
	return queue.Limit{
		Name: name, Day: s.Day, Used: s.Used, HeldUntil: s.HeldUntil, Reason: s.Reason, Stopped: s.Stopped, Dirty: s.Dirty, Stray: s.Stray, LastCall: s.LastCall, Key: s.Key,
		PerSecond: s.PerSecond, Guard: s.Guard, Bad: s.Bad, BadAt: s.BadAt, Refused: s.Refused,
	}
}

func (m memory) LoadLimit(ctx context.Context, name string) (rest.LimitState, error) {
	l, err := m.store.Limit(ctx, name)
	return limitState(l), err
}

func (m memory) SaveLimit(ctx context.Context, name string, s rest.LimitState) error {
	return m.store.SaveLimit(ctx, limitOf(name, s))
}

// sharedMemory is the memory of limits that several machines have together.
type sharedMemory struct{ memory }

var _ rest.Shared = sharedMemory{}

func limitRow(r queue.LimitRow) (rest.Row, error) {
	row := rest.Row{LimitState: limitState(r.Limit), Now: r.Now, Due: r.Due, Run: r.Run, Quiet: r.Quiet}
	if r.Learnt == "" {
		return row, nil
	}
	if err := json.Unmarshal([]byte(r.Learnt), &row.Learnt); err != nil {
		return row, fmt.Errorf("what limit %s has learnt: %w", r.Name, err)
	}
	return row, nil
}

func (m sharedMemory) Reserve(ctx context.Context, name string, b rest.Booking) (rest.Slot, rest.Row, error) {
	at, r, err := m.store.ReserveLimit(ctx, name, queue.Slots{Space: b.Space, Lead: b.Lead, Most: b.Most, PerDay: b.PerDay})
	if err != nil {
		return rest.Slot{}, rest.Row{}, err
	}
	row, err := limitRow(r)
	if err != nil || at.IsZero() {
		return rest.Slot{}, row, err
	}
	return rest.Slot{At: at, Space: b.Space}, row, nil
}

func (m sharedMemory) Return(ctx context.Context, name string, s rest.Slot) (rest.Row, error) {
	r, err := m.store.ReturnLimit(ctx, name, s.At, s.Space)
	if err != nil {
		return rest.Row{}, err
	}
	return limitRow(r)
}

func (m sharedMemory) Look(ctx context.Context, name string) (rest.Row, error) {
	r, err := m.store.LookLimit(ctx, name)
	if err != nil {
		return rest.Row{}, err
	}
	return limitRow(r)
}

func (m sharedMemory) Learn(ctx context.Context, name string, f func(r *rest.Row)) error {
	return m.store.LearnLimit(ctx, name, func(r *queue.LimitRow) {
		row, err := limitRow(*r)
		if err != nil {
			row.Learnt = rest.Learnt{} // it is learnt anew
		}
		f(&row)
		learnt, _ := json.Marshal(row.Learnt) // numbers and instants
		*r = queue.LimitRow{Limit: limitOf(r.Name, row.LimitState), Due: row.Due, Run: row.Run, Quiet: row.Quiet, Learnt: string(learnt)}
	})
}
