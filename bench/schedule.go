package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sumbi/sim"
)

// workload is one crawl over the simulated upstream.
type workload struct {
	name       string
	lists      []sim.Lengths
	limit      int           // calls in a sliding second that the upstream allows
	configured float64       // what its user believes that it allows; 0 means limit
	latency    time.Duration // mean of an answer
	jitter     float64       // answers take between (1-jitter) and (1+jitter) times the mean
	arrival    time.Duration // a call needs up to this long to reach the meter
	pageBytes  int
	keys       int // each with the limit; 0 is one
}

// rate is the limit as the crawler is told it.
func (w workload) rate() float64 {
	if w.configured > 0 {
		return w.configured
	}
	return float64(w.limit)
}

func (w workload) pages() int {
	n := 0
	for _, l := range w.lists {
		n += l.Posts + l.Reels
	}
	return n
}

func (w workload) longest() int {
	n := 0
	for _, l := range w.lists {
		n = max(n, l.Posts, l.Reels)
	}
	return n
}

// bareItem is the size of an imitated post without ballast and caption.
const bareItem = 3_000

// options are those of the upstream that serves the workload. Refused calls count, as with the real one.
func (w workload) options() sim.Options {
	return sim.Options{
		Keys: sim.Keys{RapidAPI: w.credentials()}, Seed: 1, Lists: w.lists, Mute: true, PadBytes: max(w.pageBytes/12-bareItem, 0),
		Latency: w.latency, Jitter: w.jitter, Arrival: w.arrival, InstagramPerSecond: w.limit, CountRefused: true,
	}
}

// credentials are the keys; nil is the usual one.
func (w workload) credentials() []string {
	var all []string
	for i := range w.keys {
		all = append(all, fmt.Sprintf("key-%d", i))
	}
	return all
}

// reelShare is how many of an account's posts are reels, in the simulated world as in the real one.
const reelShare = 0.45

// lengths spreads pages over the accounts: their posts fall evenly from the longest list to as short a one as it takes, and so
// do the reels below them.
func lengths(accounts, pages, longest int) []sim.Lengths {
	mean := float64(pages) / (1 + reelShare) / float64(accounts)
	shortest := max(1, 2*mean-float64(longest))
	out := make([]sim.Lengths, accounts)
	sum := 0
	for i := range out {
		posts := float64(longest) - (float64(longest)-shortest)*float64(i)/float64(accounts-1)
		out[i] = sim.Lengths{Posts: int(math.Round(posts)), Reels: max(1, int(math.Round(posts*reelShare)))}
		sum += out[i].Posts + out[i].Reels
	}
	// What rounding has left over or taken too much goes to or comes from the posts, a page at a list, but not the longest.
	for i := 1; sum != pages; i = max(1, (i+1)%accounts) {
		switch l := &out[i]; {
		case sum < pages && l.Posts < longest:
			l.Posts++
			sum++
		case sum > pages && l.Posts > max(l.Reels, 1):
			l.Posts--
			sum--
		}
	}
	return out
}

// uniform gives every list of every account the same length.
func uniform(accounts, pages int) []sim.Lengths {
	return slices.Repeat([]sim.Lengths{{Posts: pages, Reels: pages}}, accounts)
}

// bound is what no crawl can be faster than: every page takes a slot of the limit, and pages of one list come one by one.
func bound(pages int, perSecond float64, longestChain time.Duration) time.Duration {
	return max(seconds(float64(pages)/perSecond), longestChain)
}

// ideal is the best evenly paced schedule: the last call goes after all others and is answered after the latency.
func ideal(pages int, perSecond float64, latency, longestChain time.Duration) time.Duration {
	return max(seconds(float64(pages-1)/perSecond)+latency, longestChain)
}

// share is how much of the limit the calls that passed it used over the middle 80 % of the run. arrivals are in seconds, ascending.
func share(arrivals []float64, perSecond float64) float64 {
	if len(arrivals) < 2 {
		return 0
	}
	end := arrivals[len(arrivals)-1]
	from, to := 0.1*end, 0.9*end
	i, _ := slices.BinarySearch(arrivals, from)
	j, _ := slices.BinarySearch(arrivals, to)
	return float64(j-i) / (perSecond * (to - from))
}

// longestChain is the most that the pages of one list took in all, on the way to the server and there.
func longestChain(st sim.Stats) (d time.Duration) {
	for _, p := range st.Pages {
		d = max(d, p.Latency+p.Arrival)
	}
	return d
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
