package cli

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// kill is one end of the process: after a call of an upstream, or soon after a start.
type kill struct {
	upstream string
	call     int           // the kill comes after so many calls of the upstream; 0: after the first one of this process
	soon     bool          // after the start of the process, whatever it calls
	delay    time.Duration // after that
	then     []kill        // of the processes that follow
}

// plan is when to kill. Kills are bound to progress, not to the clock, so that they meet every step of the job.
type plan struct {
	rng  *rand.Rand
	next []kill // of the processes that follow, before anything else
	at   []kill // bound to calls, in no order
}

// newPlan draws n kills over the calls that an undisturbed run makes. A quarter of them come one after another, closer together
// than one page takes; a fifth within 50 ms after a start.
func newPlan(rng *rand.Rand, n int, calls map[string]int) *plan {
	p := &plan{rng: rng}
	storm, soon := n/4, n/5
	for range n - storm - soon {
		p.at = append(p.at, p.draw(calls))
	}
	if len(p.at) == 0 {
		return p
	}
	for range soon {
		k := &p.at[rng.IntN(len(p.at))]
		k.then = append(k.then, kill{soon: true, delay: p.upTo(50 * time.Millisecond)})
	}
	k := &p.at[0]
	k.upstream, k.call = "instagram", 1+rng.IntN(max(calls["instagram"]/2, 1))
	for range storm {
		k.then = append(k.then, kill{upstream: "instagram", delay: p.upTo(tortureLatency / 2)})
	}
	return p
}

// draw binds a kill to a call of some upstream. Those that are called seldom have their share: that is where the money is.
func (p *plan) draw(calls map[string]int) kill {
	names := slices.Sorted(maps.Keys(calls))
	k := kill{delay: p.upTo(50 * time.Millisecond)}
	if len(names) > 0 {
		k.upstream = names[p.rng.IntN(len(names))]
		k.call = 1 + p.rng.IntN(calls[k.upstream])
	}
	return k
}

func (p *plan) upTo(d time.Duration) time.Duration { return time.Duration(p.rng.Int64N(int64(d))) }

// left is how many kills have not been used.
func (p *plan) left() int {
	n := len(p.next) + len(p.at)
	for _, k := range p.at {
		n += len(k.then)
	}
	return n
}

// due reports whether the process is to be killed after a delay. calls are those of the whole torture, before those when the process
// was started.
func (p *plan) due(calls, before map[string]int, age time.Duration) (time.Duration, bool) {
	if len(p.next) > 0 {
		k := p.next[0]
		switch {
		case k.soon && age < k.delay, !k.soon && calls[k.upstream] == before[k.upstream]:
			return 0, false
		case k.soon:
			k.delay = 0
		}
		p.next = p.next[1:]
		return k.delay, true
	}
	for i, k := range p.at {
		if calls[k.upstream] >= k.call {
			p.at = slices.Delete(p.at, i, i+1)
			p.next = k.then
			return k.delay, true
		}
	}
	return 0, false
}

// again binds the kills that are left to a further walk over all lists.
func (p *plan) again(calls, undisturbed map[string]int) {
	for i := range p.at {
		p.at[i].upstream, p.at[i].call = "instagram", calls["instagram"]+1+p.rng.IntN(max(undisturbed["instagram"], 1))
	}
}
