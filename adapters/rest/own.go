package rest

import (
	"context"
	"fmt"
	"time"

	"sumbi/adapters"
)

// own is a limit that one process has for itself; the memory is asked rarely.
type own struct{ *Limit }

func (l own) ask(ctx context.Context, take bool, _ time.Duration) (answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if err := l.load(ctx, now); err != nil {
		return answer{}, err
	}
	if l.state.Stopped {
		return answer{stopped: true, reason: l.state.Reason}, nil
	}
	if day := koreanDay(now); day != l.state.Day {
		l.state.Day, l.state.Used, l.used = day, 0, 0
	}
	if now.Before(l.state.HeldUntil) {
		return answer{wait: l.state.HeldUntil.Sub(now), reason: l.state.Reason}, nil
	}
	if l.o.PerDay > 0 && l.used >= l.o.PerDay {
		return l.dayIsFull(ctx, now)
	}
	if wait := max(l.notBefore.Sub(now), l.wait(now)); wait > 0 {
		return answer{wait: wait}, nil
	}
	if !take {
		return answer{}, nil
	}
	s, err := l.grant(ctx, now)
	return answer{slot: s}, err
}

func (l own) grant(ctx context.Context, now time.Time) (*slot, error) {
	// What the memory says must be true before the call leaves, whatever happens afterwards.
	ahead := l.o.PerDay > 0 && l.used >= l.state.Used
	if !l.state.Dirty || l.unsaved || ahead {
		next := l.state
		next.Dirty, next.Used = true, max(next.Used, l.used)
		if ahead {
			next.Used = min(l.used+l.block, l.o.PerDay)
		}
		if err := l.save(ctx, next); err != nil {
			return nil, err
		}
	}
	l.used++
	s := &slot{limit: l.Limit, day: l.state.Day}
	s.at, s.rate = l.book(now)
	return s, nil
}

func (l own) giveBack(_ context.Context, s *slot) {
	l.mu.Lock()
	if s.day == l.state.Day && l.used > 0 {
		l.used--
	}
	if s.rate != nil {
		// As of the moment it was granted: a reservation whose moment has passed is not taken back otherwise. The call
		// before it is one space older than that moment, and a slot granted since makes this do nothing.
		s.rate.CancelAt(s.at)
	}
	l.mu.Unlock()
	l.ring()
}

// depart books a call of trip t that leaves and returns how long it must still wait.
func (l own) depart(t *trip) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	t.left = l.pacing.depart(now.Add(l.briefly(now)))
	if t.left.at.After(l.state.LastCall) {
		l.state.LastCall = t.left.at
	}
	return t.left.at.Sub(now)
}

func (l own) leave(ctx context.Context, t *trip) error {
	for ok := false; !ok; ok = !l.again() {
		if err := sleep(ctx, l.depart(t), nil); err != nil {
			return err
		}
	}
	return nil
}

// again says whether a call that has waited must be booked once more, for l was held meanwhile.
func (l own) again() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.briefly(time.Now()) > 0
}

// briefly is how long l is still held when that is worth waiting for: what left now would be refused like the call that
// caused the hold. A long hold is for the caller to hear of.
func (l own) briefly(now time.Time) time.Duration {
	if left := l.state.HeldUntil.Sub(now); 0 < left && left <= longestGate*l.guard.second {
		return left
	}
	return 0
}

// load reads the memory once. A stop does not outlive the process that saw it; a hold and the day's count do.
func (l own) load(ctx context.Context, now time.Time) error {
	if l.loaded {
		return nil
	}
	var s LimitState
	if l.o.Memory != nil {
		var err error
		if s, err = l.o.Memory.LoadLimit(ctx, l.o.Name); err != nil {
			return fmt.Errorf("load limit %s: %w", l.o.Name, err)
		}
	}
	key := fingerprint(l.o.Header)
	if s.Key != "" && s.Key != key {
		s = LimitState{Dirty: s.Dirty, LastCall: s.LastCall}
	}
	s.Key = key
	if l.pace != nil && s.PerSecond == l.perSecond {
		l.guard.remember(s.Guard, s.Bad, s.BadAt)
		l.respace()
	} else {
		l.other, s.Refused = s, ""
	}
	window := l.guard.second + l.guard.now
	switch {
	case s.Dirty && (s.Stray || s.LastCall.IsZero()):
		l.notBefore = now.Add(window)
	case !s.LastCall.IsZero():
		l.notBefore = s.LastCall.Add(window)
		if s.Dirty {
			l.notBefore = l.notBefore.Add(claimToCall)
		}
		// A clock that was set back must not make the wait longer than one window.
		if latest := now.Add(window); l.notBefore.After(latest) {
			l.notBefore = latest
		}
	}
	// Nor a hold longer than it was meant: a call of the future shows by how much the clock was set back.
	if back := s.LastCall.Sub(now); back > 0 && !s.HeldUntil.IsZero() {
		s.HeldUntil = s.HeldUntil.Add(-back)
	}
	if s.Stopped || !now.Before(s.HeldUntil) {
		s.Reason = ""
	}
	s.Stopped, s.Dirty, s.Stray = false, false, false
	l.state, l.used, l.loaded = s, s.Used, true
	return nil
}

// keep saves what the upstream has said. What cannot be saved holds all the same, and is saved again before the next call.
func (l own) keep(ctx context.Context) error {
	l.state.Used = max(l.state.Used, l.used)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	return l.save(ctx, l.state)
}

// dayIsFull holds l until midnight in Korea.
func (l own) dayIsFull(ctx context.Context, now time.Time) (answer, error) {
	next := l.state
	next.HeldUntil, next.Reason = nextKoreanMidnight(now), adapters.ReasonQuota
	if err := l.save(ctx, next); err != nil {
		return answer{}, err
	}
	return answer{wait: next.HeldUntil.Sub(now), reason: next.Reason}, nil
}

// save writes next and, when that went well, makes it the state.
func (l own) save(ctx context.Context, next LimitState) error {
	next.PerSecond, next.Guard, next.Bad, next.BadAt = l.perSecond, l.guard.now, l.guard.bad, l.guard.badAt
	if l.o.Memory != nil {
		if err := l.o.Memory.SaveLimit(ctx, l.o.Name, next); err != nil {
			l.unsaved = true
			return fmt.Errorf("save limit %s: %w", l.o.Name, err)
		}
	}
	l.state, l.unsaved = next, false
	return nil
}

// close writes the exact figures. A call after it makes the state dirty again.
func (l own) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded || (!l.state.Dirty && !l.unsaved) {
		return nil
	}
	next := l.state
	next.Dirty, next.Stray, next.Used = false, false, l.used
	return l.save(ctx, next)
}

// stray has the memory know that it cannot tell by the claims when the last call of l was.
func (l own) stray(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Stray {
		return nil
	}
	next := l.state
	next.Stray, next.Used = true, max(next.Used, l.used)
	return l.save(ctx, next)
}

func (l own) learn(ctx context.Context, f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	return l.keep(ctx)
}

func (own) tell(context.Context, func()) {}
