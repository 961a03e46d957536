package rest

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

const (
	longestGate   = 2      // windows that a call which is about to leave waits for the end of a hold
	mostAnnounced = 10_000 // calls a second; a higher limit is none
)

// pacing is the even spacing of the calls of a limit. Its owner's lock guards it.
type pacing struct {
	perSecond float64       // in force: as configured, or less when the upstream said so
	pace      *rate.Limiter // nil is unlimited
	guard     guard
	space     time.Duration // between two calls
	slack     time.Duration // what a call may be late without delaying those behind it
	booked    time.Time     // when the newest call was due
	sent      []time.Time   // the newest departures, one window of calls
	oldest    int           // index in sent
	silent    time.Time     // the first departure after a silence of a whole window
	after     int           // departures since
}

// whole returns the calls that fit into a window: whole calls of a second; below one a second the second is stretched.
func whole(perSecond float64) (calls int, second time.Duration) {
	if perSecond < 1 {
		return 1, time.Duration(min(float64(time.Second)/perSecond, float64(24*time.Hour)))
	}
	return int(perSecond), time.Second
}

// setRate begins to space calls for perSecond with a guard that knows nothing; what has left still counts.
func (p *pacing) setRate(perSecond float64, start time.Duration) {
	n, second := whole(perSecond)
	p.perSecond, p.guard = perSecond, newGuard(n, second, start)
	sent := make([]time.Time, n)
	for i := range min(n, len(p.sent)) { // the newest one last
		sent[n-1-i] = p.sent[(p.oldest+2*len(p.sent)-1-i)%len(p.sent)]
	}
	p.sent, p.oldest = sent, 0
	if p.pace == nil {
		p.pace = rate.NewLimiter(rate.Inf, 1)
	}
	p.respace()
}

// respace makes the guard felt.
func (p *pacing) respace() {
	p.space = (p.guard.second + p.guard.now) / time.Duration(len(p.sent))
	p.slack = min((p.guard.now-p.guard.bad)/4, p.space/2) // what has been refused is not there to be used up
	p.pace.SetLimitAt(p.booked, rate.Every(p.space))
}

// due is when the next call may go, which may have passed. It looks without taking: a reservation that is cancelled
// leaves traces in the limiter.
func (p *pacing) due() time.Time {
	missing := 1 - p.pace.TokensAt(p.booked)
	if missing <= 1e-9 {
		return p.booked
	}
	return p.booked.Add(time.Duration(math.Ceil(missing * float64(p.space))))
}

func (p *pacing) wait(now time.Time) time.Duration {
	if p.pace == nil {
		return 0
	}
	return p.due().Sub(now)
}

// book takes the call that is due. One that is a little late is booked for when it was due, so that timers which fire late
// do not add up to a slower pace.
func (p *pacing) book(now time.Time) (time.Time, *rate.Reservation) {
	if p.pace == nil {
		return now, nil
	}
	at := p.due()
	if late := now.Sub(at); late > p.space {
		at = now // nobody wanted it then
	} else if late > p.slack {
		at = now.Add(-p.slack)
	}
	p.booked = at
	return at, p.pace.ReserveN(at, 1)
}

// departed is what is known of a call that has left.
type departed struct {
	at    time.Time
	guard time.Duration // in force
	prior int           // departures before it since a silence, when all of them lie within one window; else 0
	paced bool          // right behind another one
	full  bool          // with a whole window of calls right before it
}

// depart books a call that leaves at now or, when that is too early, later. Permits are spaced when they are granted; this
// keeps the window also when some are used late, and what then comes at once apart.
func (p *pacing) depart(now time.Time) departed {
	d := departed{at: now, guard: p.guard.now}
	if p.pace == nil {
		return d
	}
	first, last := p.sent[p.oldest], p.sent[(p.oldest+len(p.sent)-1)%len(p.sent)]
	window := p.guard.second + p.guard.now
	for _, free := range []time.Time{first.Add(window - p.slack), last.Add(p.space / 2)} {
		if free.After(d.at) {
			d.at = free
		}
	}
	d.paced = d.at.Sub(last) <= 2*p.space
	d.full = d.at.Sub(first) <= window+2*p.space
	if d.at.Sub(last) >= p.guard.second {
		p.silent, p.after = d.at, 0
	}
	if d.at.Sub(p.silent) < p.guard.second {
		d.prior = p.after
	}
	p.after++
	p.sent[p.oldest] = d.at
	p.oldest = (p.oldest + 1) % len(p.sent)
	return d
}

// change makes the rate another one; 0 is unlimited. What was learnt at the present one is there again when it comes back.
func (l *Limit) change(perSecond float64) {
	if perSecond == l.perSecond {
		return
	}
	if perSecond <= 0 {
		l.pacing = pacing{}
		return
	}
	uncounted := l.pace == nil
	before, known := LimitState{PerSecond: l.perSecond, Guard: l.guard.now, Bad: l.guard.bad, BadAt: l.guard.badAt, Refused: l.state.Refused}, l.other
	l.setRate(perSecond, l.o.Guard)
	l.state.Refused = ""
	if known.PerSecond == perSecond {
		l.guard.remember(known.Guard, known.Bad, known.BadAt)
		l.state.Refused = known.Refused
		l.respace()
	}
	if uncounted { // what has left so far may fill the window
		l.notBefore = time.Now().Add(l.guard.second + l.guard.now)
	} else {
		l.other = before
	}
}
