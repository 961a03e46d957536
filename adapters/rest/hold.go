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
	quotaHold = time.Hour       // when the upstream does not say when the quota is renewed
	longAfter = 5 * time.Second // an upstream that asks for a longer pause does not speak of the calls of a second
	fewSpaces = 5               // of pause where refused calls are not counted
	outSpaces = 8               // until a refused call, those that left right behind it and as many again are out of a sliding window
)

// refusal is one for the rate.
type refusal struct {
	at     time.Time // the call left
	plain  bool      // no accident: others were refused behind it, or nothing but our own calls can have filled the window
	passed bool      // a call behind it was accepted
}

func (r refusal) before(t time.Time) bool { return !r.at.IsZero() && t.After(r.at) }

// hold keeps l still after a refusal of the call of trip t, and learns from it.
func (l *Limit) hold(ctx context.Context, e *adapters.Error, t *trip) error {
	defer l.ring()
	l.mu.Lock()
	defer l.mu.Unlock()
	now, sent := time.Now(), t.left.at
	// What was under way when the limit was held already is the same refusal, not a further one.
	first := !sent.Before(l.heldAt)
	paced := e.Reason == adapters.ReasonRate && e.After <= longAfter && l.pace != nil
	if paced {
		l.learn(t.left, first)
	}
	after := e.After
	if after <= 0 {
		switch {
		case e.Reason == adapters.ReasonQuota && l.o.PerDay > 0:
			after = nextKoreanMidnight(now).Sub(now)
		case e.Reason == adapters.ReasonQuota:
			after = quotaHold
		case !first:
			after = l.state.HeldUntil.Sub(now)
			if l.streak == 1 && l.state.Refused != RefusedFree && l.pace != nil {
				after = max(after, min(l.guard.second, outSpaces*l.space)) // it fills the window, too
			}
		default:
			after = min(maxHold, l.pause())
		}
	}
	if first {
		l.streak++
		l.heldAt, l.refusal = now, refusal{}
		if paced {
			l.refusal = refusal{at: sent, plain: t.left.prior > 0}
		}
	}
	next := l.state
	if until := now.Add(after); until.After(next.HeldUntil) {
		next.HeldUntil, next.Reason = until, e.Reason
	}
	return l.keep(ctx, next)
}

// learn widens the guard after a refusal for the rate, unless the call followed a pause: then its pace is not to blame. A
// refusal that follows another one says that refused calls count, until a call behind them is accepted.
func (l *Limit) learn(left departed, first bool) {
	if !first {
		if l.refusal.before(left.at) {
			l.refusal.plain = true
			if !l.refusal.passed {
				l.state.Refused = RefusedCount
			}
		}
		return
	}
	if l.state.Refused == RefusedFree && left.at.Sub(l.state.HeldUntil) < l.guard.second {
		l.state.Refused = RefusedCount // the short pause was not enough
	}
	if left.paced {
		l.guard.refused(left.guard, left.prior, left.at)
		l.respace()
	}
}

// pause is how long a refusal holds. After the first one a sliding window needs only a few calls to leave it; a second one
// says that it does not slide, or that somebody else fills it.
func (l *Limit) pause() time.Duration {
	if l.pace == nil {
		return firstHold << min(l.streak, 10)
	}
	whole := max(firstHold, l.guard.second)
	switch {
	case l.state.Refused == RefusedFree:
		return min(whole, fewSpaces*l.space) << min(l.streak, 10)
	case l.streak == 0:
		return min(whole, outSpaces*l.space)
	default:
		return whole << min(l.streak-1, 10)
	}
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

// accepted ends a row of refusals and lets the guard narrow. A call that left after a refused one, and was accepted all the
// same, shows that refused calls do not count.
func (l *Limit) accepted(t *trip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := t.left.at
	if sent.Before(l.heldAt) {
		// One call that lost its place to the jitter of another says nothing of those behind it.
		if l.refusal.before(sent) && l.refusal.plain {
			l.state.Refused, l.refusal.passed = RefusedFree, true
		}
		return
	}
	l.streak = 0
	if l.pace != nil {
		l.guard.answered(time.Since(sent))
		l.guard.accepted(t.left.full, sent)
		l.respace()
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
