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
	return l.regime.learn(ctx, func() { l.heldBy(e, t) })
}

func (l *Limit) heldBy(e *adapters.Error, t *trip) {
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
			after = nextKoreanMidnight(now.Add(l.ahead)).Sub(now.Add(l.ahead))
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
	if until := now.Add(after); until.After(l.state.HeldUntil) {
		l.state.HeldUntil, l.state.Reason = until, e.Reason
	}
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
	return l.regime.learn(ctx, func() {
		l.state.Stopped, l.state.Reason = true, e.Reason
		l.cause = e.Kind.String()
		if e.Err != nil {
			l.cause = e.Err.Error()
		}
	})
}

// accepted ends a row of refusals and lets the guard narrow. A call that left after a refused one, and was accepted all the
// same, shows that refused calls do not count.
func (l *Limit) accepted(ctx context.Context, t *trip) {
	l.mu.Lock()
	news := l.acceptedNow(t)
	l.mu.Unlock()
	if news {
		l.regime.tell(ctx, func() { l.acceptedNow(t) })
	}
}

// acceptedNow says whether others must hear of it.
func (l *Limit) acceptedNow(t *trip) (news bool) {
	sent := t.left.at
	if sent.Before(l.heldAt) {
		// One call that lost its place to the jitter of another says nothing of those behind it.
		if l.refusal.before(sent) && l.refusal.plain {
			news = !l.refusal.passed
			l.state.Refused, l.refusal.passed = RefusedFree, true
		}
		return news
	}
	news = l.streak > 0
	l.streak = 0
	if l.pace != nil {
		l.guard.answered(time.Since(sent))
		l.guard.accepted(t.left.full, sent)
		l.respace()
		news = news || l.known-l.guard.now > max(l.guard.parts(1), l.known/32)
	}
	return news
}

// barred says whether l was held or stopped since a slot was taken.
func (l *Limit) barred() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.barredAt(time.Now())
}

func (l *Limit) barredAt(now time.Time) bool { return l.state.Stopped || now.Before(l.state.HeldUntil) }

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
