package rest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sumbi/adapters"
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
	saidAt    time.Time     // when the upstream last announced a rate
	refusal   refusal       // the first of those that held the limit at heldAt
	cause     string        // why it is stopped, for people
	ahead     time.Duration // how far the clock by which days are counted is ahead of this machine's
	full      time.Time     // until then the calls of the day are used up, as far as HeldUntil does not say so
	known     time.Duration // the guard as others know it
	bells     []*bell
	regime    regime
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
	l.regime = own{l}
	if shared, ok := o.Memory.(Shared); ok {
		l.regime = newJoint(l, shared)
	}
	return l
}

// answer is what a limit says when it is asked for a call.
type answer struct {
	wait    time.Duration // 0: at once
	reason  string        // why it is held
	stopped bool
	booking bool          // the wait is only thought to be so long: it is known when the call is taken, which may be now
	again   time.Duration // ask again after so long, though the wait is longer; 0: there is no need
	slot    *slot         // what was taken
}

// slot is one call that a limit has granted.
type slot struct {
	limit *Limit
	day   string
	at    time.Time // when it is due
	rate  *rate.Reservation
	booked
}

// regime is how a limit grants its calls: alone, or together with other processes. It locks the limit itself.
type regime interface {
	// ask says when the limit lets a call go, and takes it when take is set and that is within most.
	ask(ctx context.Context, take bool, most time.Duration) (answer, error)
	// giveBack returns a slot that no call has used.
	giveBack(ctx context.Context, s *slot)
	// stray tells the memory that a call leaves without a permit drawn for it.
	stray(ctx context.Context) error
	// leave waits until the call of t may leave, and counts it.
	leave(ctx context.Context, t *trip) error
	// learn runs f, which changes what must outlive the process.
	learn(ctx context.Context, f func()) error
	// tell runs f again where others must hear of it: f was run, and its part of the state need not outlive the process.
	tell(ctx context.Context, f func())
	// close remembers the exact figures.
	close(ctx context.Context) error
}

func (l *Limit) info() LimitInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	i := LimitInfo{Name: l.o.Name, PerDay: l.o.PerDay, PerSecond: l.o.PerSecond, Guard: l.guard.now, Stopped: l.state.Stopped}
	if l.state.Day == koreanDay(now.Add(l.ahead)) {
		i.Used = l.used
	}
	if now.Before(l.state.HeldUntil) {
		i.HeldUntil = l.state.HeldUntil
	}
	if i.Stopped || !i.HeldUntil.IsZero() {
		i.Reason = l.state.Reason
	} else if now.Before(l.full) {
		i.HeldUntil, i.Reason = l.full, adapters.ReasonQuota
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
