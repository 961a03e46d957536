package rest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const maxBlock = 100 // calls counted ahead in the memory

// LimitOptions describe the pace of one credential. The zero value but Name is unlimited.
type LimitOptions struct {
	Name      string        // "instagram/1": stable, printable, never the key itself
	PerSecond float64       // calls in any sliding second (from 1 up a fraction is cut off); 0 is unlimited
	PerDay    int           // calls in one Korean day (Asia/Seoul); 0 is unlimited
	Guard     time.Duration // what the guard starts at before anything is learnt; 0 means 32 ms for a window of a second
	Header    http.Header   // the credential: set on every request made under this limit
	Memory    Memory        // may be nil
}

// Limit is the pace of one credential of one upstream. Calls are spaced evenly by (window + guard) / calls, and the guard
// learns from refusals. Safe for concurrent use, also by several clients.
type Limit struct {
	o       LimitOptions
	allowed float64 // calls a second as configured, 0 is unlimited
	block   int
	line    *line

	mu        sync.Mutex
	loaded    bool
	unsaved   bool       // a save went wrong: again before the next call
	state     LimitState // Used counts ahead
	other     LimitState // what was learnt for another rate
	used      int        // the truth
	notBefore time.Time  // of the first call after a start
	streak    int        // refusals in a row
	heldAt    time.Time
	saidAt    time.Time // when the upstream last announced a rate
	refusal   refusal   // the first of those that held the limit at heldAt
	cause     string    // why it is stopped, for people
	bells     []*bell
	pacing
}

// NewLimit returns a limit. The memory is read at the first use.
func NewLimit(o LimitOptions) *Limit {
	l := &Limit{o: o, block: min(maxBlock, max(1, o.PerDay/100)), line: &line{}}
	if o.PerSecond > 0 {
		n, second := whole(o.PerSecond)
		l.allowed = float64(n) / second.Seconds()
		l.setRate(o.PerSecond, o.Guard)
	}
	return l
}

// answer is what a limit says when it is asked for a call.
type answer struct {
	wait    time.Duration // 0: at once
	reason  string        // why it is held
	stopped bool
	slot    *slot // what was taken
}

// slot is one call that a limit has granted.
type slot struct {
	limit *Limit
	day   string
	at    time.Time // when it was due
	rate  *rate.Reservation
}

// ask says when l lets a call go, and takes it when take is set and that is now.
func (l *Limit) ask(ctx context.Context, take bool) (answer, error) {
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

func (l *Limit) grant(ctx context.Context, now time.Time) (*slot, error) {
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
	s := &slot{limit: l, day: l.state.Day}
	s.at, s.rate = l.book(now)
	return s, nil
}

// giveBack returns a slot that no call has used.
func (l *Limit) giveBack(s *slot) {
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

func (l *Limit) info() LimitInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	i := LimitInfo{Name: l.o.Name, PerDay: l.o.PerDay, PerSecond: l.o.PerSecond, Guard: l.guard.now, Stopped: l.state.Stopped}
	if l.state.Day == koreanDay(now) {
		i.Used = l.used
	}
	if now.Before(l.state.HeldUntil) {
		i.HeldUntil = l.state.HeldUntil
	}
	if i.Stopped || !i.HeldUntil.IsZero() {
		i.Reason = l.state.Reason
	}
	return i
}

// rates returns the calls a second that the configuration allows and those that are made; 0, 0 is unlimited.
func (l *Limit) rates() (limit, pace float64, stopped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace != nil {
		pace = float64(len(l.sent)) / (l.guard.second + l.guard.now).Seconds()
	}
	return l.allowed, pace, l.state.Stopped
}
