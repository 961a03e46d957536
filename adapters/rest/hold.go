package rest

import (
	"context"
	"slices"
	"time"

	"sumbi/adapters"
)

const (
	firstHold = time.Second
	maxHold   = time.Minute
	quotaHold = time.Hour // when the upstream does not say when the quota is renewed
)

// hold keeps l still after a refusal of a call that left at sent.
func (l *Limit) hold(ctx context.Context, e *adapters.Error, sent time.Time) error {
	defer l.ring()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	after := e.After
	if after <= 0 {
		switch {
		case e.Reason == adapters.ReasonQuota && l.o.PerDay > 0:
			after = nextKoreanMidnight(now).Sub(now)
		case e.Reason == adapters.ReasonQuota:
			after = quotaHold
		case sent.Before(l.heldAt):
			// It was under way when the limit was held already: the same refusal, not a further one.
			after = l.state.HeldUntil.Sub(now)
		default:
			after = min(maxHold, firstHold<<min(l.streak, 10))
		}
	}
	if !sent.Before(l.heldAt) {
		l.streak++
		l.heldAt = now
	}
	next := l.state
	if until := now.Add(after); until.After(next.HeldUntil) {
		next.HeldUntil, next.Reason = until, e.Reason
	}
	return l.keep(ctx, next)
}

// stop keeps l still until the next start.
func (l *Limit) stop(ctx context.Context, e *adapters.Error) error {
	defer l.ring()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.state
	next.Stopped, next.Reason = true, e.Reason
	l.cause = e.Kind.String()
	if e.Err != nil {
		l.cause = e.Err.Error()
	}
	return l.keep(ctx, next)
}

// accepted ends a row of refusals.
func (l *Limit) accepted(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !sent.Before(l.heldAt) {
		l.streak = 0
	}
}

// keep takes next over even when it cannot be saved: the upstream has spoken. It is saved again before the next call.
func (l *Limit) keep(ctx context.Context, next LimitState) error {
	next.Used = max(next.Used, l.used)
	l.state = next
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	return l.save(ctx, next)
}

// dayIsFull holds l until midnight in Korea.
func (l *Limit) dayIsFull(ctx context.Context, now time.Time) (answer, error) {
	next := l.state
	next.HeldUntil, next.Reason = nextKoreanMidnight(now), adapters.ReasonQuota
	if err := l.save(ctx, next); err != nil {
		return answer{}, err
	}
	return answer{wait: next.HeldUntil.Sub(now), reason: next.Reason}, nil
}

// barred says whether l was held or stopped since a slot was taken.
func (l *Limit) barred() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Stopped || time.Now().Before(l.state.HeldUntil)
}

func (l *Limit) stopCause() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

func (l *Limit) attach(b *bell) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bells = append(l.bells, b)
}

// ring wakes whoever waits for l; l.mu is not held.
func (l *Limit) ring() {
	l.mu.Lock()
	bells := slices.Clone(l.bells)
	l.mu.Unlock()
	for _, b := range bells {
		b.ring()
	}
}
