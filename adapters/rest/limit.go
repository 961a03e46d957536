package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultGuard = 50 * time.Millisecond
	maxBlock     = 100 // calls counted ahead in the memory
	saveTimeout  = 5 * time.Second
)

// LimitOptions describe the pace of one credential. The zero value but Name is unlimited.
type LimitOptions struct {
	Name      string        // "instagram/1": stable, printable, never the key itself
	PerSecond float64       // calls in any sliding second (from 1 up a fraction is cut off); 0 is unlimited
	PerDay    int           // calls in one Korean day (Asia/Seoul); 0 is unlimited
	Guard     time.Duration // added to the one-second window when calls are spaced; 0 means 50 ms
	Header    http.Header   // the credential: set on every request made under this limit
	Memory    Memory        // may be nil
}

// Limit is the pace of one credential of one upstream. Safe for concurrent use, also by several clients.
type Limit struct {
	o      LimitOptions
	pace   *rate.Limiter // nil is unlimited
	space  time.Duration // between two calls
	window time.Duration // a full window of calls, guard included
	block  int

	mu        sync.Mutex
	loaded    bool
	unsaved   bool       // a save went wrong: again before the next call
	state     LimitState // Used counts ahead
	used      int        // the truth
	notBefore time.Time  // of the first call after a start
	sent      []time.Time
	oldest    int // index in sent
	streak    int // refusals in a row
	heldAt    time.Time
	cause     string // why it is stopped, for people
	bells     []*bell
}

// NewLimit returns a limit. The memory is read at the first use.
func NewLimit(o LimitOptions) *Limit {
	if o.Guard <= 0 {
		o.Guard = defaultGuard
	}
	l := &Limit{o: o, block: min(maxBlock, max(1, o.PerDay/100))}
	if o.PerSecond <= 0 {
		return l
	}
	// Whole calls fit into a second; below one a second the second is stretched.
	n, second := math.Floor(o.PerSecond), time.Second
	if n < 1 {
		n, second = 1, time.Duration(float64(time.Second)/o.PerSecond)
	}
	l.window = second + o.Guard
	l.space = time.Duration(float64(l.window) / n)
	l.pace = rate.NewLimiter(rate.Every(l.space), 1)
	l.sent = make([]time.Time, int(n))
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
	at    time.Time
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
	if wait := max(l.notBefore.Sub(now), l.paceWait(now)); wait > 0 {
		return answer{wait: wait}, nil
	}
	if !take {
		return answer{}, nil
	}
	s, err := l.grant(ctx, now)
	return answer{slot: s}, err
}

// paceWait looks without taking: a reservation that is cancelled leaves traces in the limiter.
func (l *Limit) paceWait(now time.Time) time.Duration {
	if l.pace == nil {
		return 0
	}
	missing := 1 - l.pace.TokensAt(now)
	if missing <= 1e-9 {
		return 0
	}
	return max(time.Microsecond, time.Duration(math.Ceil(missing*float64(l.space))))
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
	s := &slot{limit: l, day: l.state.Day, at: now}
	if l.pace != nil {
		s.rate = l.pace.ReserveN(now, 1)
	}
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

// depart books a call that leaves and returns how long it must still wait. Permits are spaced when they are granted;
// this keeps the window also when one was used late.
func (l *Limit) depart() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	at := now
	if l.pace != nil {
		if free := l.sent[l.oldest].Add(l.window); free.After(at) {
			at = free
		}
		l.sent[l.oldest] = at
		l.oldest = (l.oldest + 1) % len(l.sent)
	}
	if at.After(l.state.LastCall) {
		l.state.LastCall = at
	}
	return at.Sub(now)
}

// load reads the memory once. A stop does not outlive the process that saw it; a hold and the day's count do.
func (l *Limit) load(ctx context.Context, now time.Time) error {
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
	switch {
	case s.Dirty:
		l.notBefore = now.Add(l.window)
	case !s.LastCall.IsZero():
		// A clock that was set back must not make the wait longer than one window.
		l.notBefore = s.LastCall.Add(l.window)
		if latest := now.Add(l.window); l.notBefore.After(latest) {
			l.notBefore = latest
		}
	}
	if s.Stopped || !now.Before(s.HeldUntil) {
		s.Reason = ""
	}
	s.Stopped, s.Dirty = false, false
	l.state, l.used, l.loaded = s, s.Used, true
	return nil
}

// fingerprint tells one credential from another and cannot be turned back into it.
func fingerprint(h http.Header) string {
	if len(h) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(sum, "%s\x00%s\x00", name, h[name])
	}
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// save writes next and, when that went well, makes it the state.
func (l *Limit) save(ctx context.Context, next LimitState) error {
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
func (l *Limit) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded || (!l.state.Dirty && !l.unsaved) {
		return nil
	}
	next := l.state
	next.Dirty, next.Used = false, l.used
	return l.save(ctx, next)
}

func (l *Limit) info() LimitInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	i := LimitInfo{Name: l.o.Name, PerDay: l.o.PerDay, Stopped: l.state.Stopped}
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
