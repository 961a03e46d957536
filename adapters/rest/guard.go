package rest

import "time"

// What a guard is made of, in thousandths of the upstream's window: milliseconds for a limit of so many calls a second.
const (
	startGuard  = 32   // while nothing is known: most networks jitter less
	leastGuard  = 15   // narrower gains less than the refusals of a busy moment cost
	quickGuard  = 20   // down to here an untried guard narrows quickly
	guardMargin = 8    // kept above the widest guard that was refused
	firstStep   = 25   // what a refusal adds
	loneGuard   = 125  // a refusal that stays alone does not prove that the limit is lower than that
	mostGuard   = 3000 // a quarter of the pace
)

const (
	soonCalls = 200                // refusals with fewer calls between them belong together
	slowCalls = 1000               // accepted calls that narrow a guard by a thousandth
	fastCalls = 200                // the same while no refusal has shown where the edge is
	farCalls  = 10_000             // accepted calls that narrow a guard which is far above that edge by two thirds of the way
	badFor    = 7 * 24 * time.Hour // a refusal says nothing about an upstream after so long
	wideFor   = 10 * time.Minute   // the same where it costs a good part of the pace; twice as long each time that it was right
	widestFor = 24 * time.Hour
	steady    = 64 // answers whose times tell how much calls jitter at most
)

// guard is the time that is added to an upstream's window so that calls which jitter on their way stay within its limit. It
// widens with a refusal and narrows a little with each call that is accepted at full pace, and so comes to rest just above
// what is refused.
type guard struct {
	second time.Duration // the upstream's window
	calls  int           // in that window
	start  time.Duration
	now    time.Duration
	bad    time.Duration // the widest that saw a refusal, 0 = none
	badAt  time.Time     // the last refusal
	step   time.Duration
	since  int           // accepted calls since that refusal
	wide   time.Duration // how long a bad above loneGuard holds
	tried  bool          // one was forgotten, to see whether it still does

	answers           int // of which these took the least and the most time
	quickest, slowest time.Duration
}

func newGuard(calls int, second, start time.Duration) guard {
	g := guard{second: second, calls: calls, start: start, since: soonCalls, wide: wideFor}
	if g.start <= 0 {
		g.start = g.parts(startGuard)
	}
	g.now = g.start
	return g
}

func (g *guard) parts(n int) time.Duration { return time.Duration(n) * g.second / 1000 }

// remember takes over what was learnt before.
func (g *guard) remember(now, bad time.Duration, badAt time.Time) {
	if now > 0 {
		g.now, g.bad, g.badAt = min(now, g.parts(mostGuard)), bad, badAt
	}
}

// refused widens the guard after the refusal of a call that left under guard old, as the first after prior calls that
// followed a silence and fit into one window; 0 when there was no such silence.
func (g *guard) refused(old time.Duration, prior int, now time.Time) {
	soon, wide := g.since < soonCalls, old >= g.parts(loneGuard)
	g.since = 0
	to := time.Duration(0)
	if 0 < prior && prior < g.calls {
		// Nothing but these calls can have filled the window: that many are allowed and no more.
		need := g.second * time.Duration(g.calls-prior) / time.Duration(prior)
		if need > old && (soon || need <= g.parts(loneGuard)) {
			old, to = need, need+g.start
		}
	}
	switch {
	case soon:
		g.step = 2 * max(g.step, g.parts(firstStep))
	case wide:
		return
	default:
		g.step = g.parts(firstStep)
	}
	if to == 0 {
		to = old + g.step
	}
	g.bad, g.badAt = min(max(g.bad, old), g.parts(mostGuard-guardMargin)), now
	g.now = min(max(g.now, to), g.parts(mostGuard))
	if g.tried && g.bad > g.parts(loneGuard) {
		g.wide, g.tried = min(2*g.wide, widestFor), false
	}
}

// answered learns from how long answers take. The way there is a part of that, so calls cannot jitter more than whole answers
// do: an upstream that takes equally long each time needs no wide guard. One that does not says nothing.
func (g *guard) answered(took time.Duration) {
	if g.answers == 0 {
		g.quickest, g.slowest = took, took
	}
	g.quickest, g.slowest = min(g.quickest, took), max(g.slowest, took)
	if g.answers++; g.answers < steady {
		return
	}
	g.answers = 0
	if need := max(g.slowest-g.quickest+g.parts(guardMargin), g.parts(leastGuard)); g.bad == 0 && need < g.now && g.start == g.parts(startGuard) {
		g.now = need
	}
}

// accepted counts a call that was not refused; full says that it left with the whole window of calls before it.
func (g *guard) accepted(full bool, now time.Time) {
	g.since++
	switch age := now.Sub(g.badAt); {
	case age > badFor:
		g.bad = 0
	case age > g.wide && g.bad > g.parts(loneGuard):
		// Somebody else may have used the key for a while: it costs little to see.
		g.bad, g.now, g.tried = 0, min(g.now, g.start), true
	}
	if !full {
		return
	}
	thousandth := g.parts(1)
	least, far := min(g.parts(leastGuard), g.start), g.now-g.start
	if g.bad > 0 {
		least, far = g.bad+g.parts(guardMargin), g.now-g.bad
	}
	by := max(thousandth/slowCalls, far/farCalls)
	if g.bad == 0 && g.now > g.parts(quickGuard) && g.now <= g.start-thousandth {
		by = thousandth / fastCalls // the first thousandth goes slowly: a short run is no trial
	}
	if next := g.now - by; next > least {
		g.now = next
	}
}
