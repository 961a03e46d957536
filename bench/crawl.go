package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sumbi/sim"
)

// The crawls that everybody is measured by.
var (
	scaled   = workload{name: "quiet", lists: lengths(40, 1200, 30), limit: 80, latency: 500 * time.Millisecond, pageBytes: 60_000}
	noisy    = workload{name: "noisy", lists: scaled.lists, limit: 80, latency: scaled.latency, jitter: 0.4, arrival: 30 * time.Millisecond, pageBytes: 60_000}
	unscaled = workload{name: "unscaled", lists: lengths(40, 316, 8), limit: 8, latency: 5 * time.Second, pageBytes: 60_000}
	tooHigh  = workload{name: "too high", lists: scaled.lists, limit: 80, configured: 84, latency: scaled.latency, pageBytes: 60_000}
)

// crawled is what one crawl came to.
type crawled struct {
	who   string
	took  time.Duration // from the first call that arrived to the last answer, as the server saw it
	wall  time.Duration // of the process
	cpu   time.Duration
	peak  int64
	stats sim.Stats
}

func (c *crawled) calls() sim.Calls { return c.stats.Calls["instagram"] }

func (c *crawled) sees(st sim.Stats) {
	c.stats = st
	c.took = st.Calls["instagram"].LastAnswer.Sub(st.Calls["instagram"].First)
}

func (c *crawled) measures(p *proc) {
	c.wall += p.wall
	c.cpu += p.cpu()
	c.peak = max(c.peak, p.peak.Load())
}

// check refuses a crawl that did not fetch everything.
func (c *crawled) check(w workload) error {
	if got := c.stats.PagesServed - c.stats.PagesAgain; got != w.pages() {
		return fmt.Errorf("%s fetched %d different pages of %d", c.who, got, w.pages())
	}
	return nil
}

// crawl measures the crawls, ours and those of the peers.
func (b *bench) crawl(ctx context.Context) error {
	for _, w := range []workload{scaled, noisy, unscaled, tooHigh} {
		if b.short && w.name == unscaled.name {
			w.lists = lengths(40, 160, 4)
		}
		// Where the pace must be learnt, a second run shows what the first one has taught.
		all, err := b.ourCrawl(ctx, w, w.arrival > 0 || w.configured > 0)
		if err != nil {
			return err
		}
		if w.name != tooHigh.name {
			theirs, err := b.peerCrawls(ctx, w)
			if err != nil {
				return err
			}
			all = append(all, theirs...)
		}
		b.showCrawl(w, all)
	}
	return nil
}

// ourCrawl runs sumbi over a fresh state, and if asked again over the state that it left.
func (b *bench) ourCrawl(ctx context.Context, w workload, again bool) ([]*crawled, error) {
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return nil, err
	}
	defer up.close()
	pr, err := b.project("crawl", up, settings{perSecond: w.rate()})
	if err != nil {
		return nil, err
	}
	defer pr.remove()
	first := &crawled{who: "sumbi"}
	if err := b.crawlOnce(ctx, first, w, up, pr); err != nil || !again {
		return []*crawled{first}, err
	}
	if err := up.reset(ctx); err != nil {
		return nil, err
	}
	second := &crawled{who: "sumbi, second run"}
	return []*crawled{first, second}, b.crawlOnce(ctx, second, w, up, pr, "--full")
}

func (b *bench) crawlOnce(ctx context.Context, c *crawled, w workload, up *world, pr *project, flags ...string) error {
	p, err := pr.sumbi(ctx, append([]string{"run", "matzip"}, flags...)...)
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	c.measures(p)
	st, err := up.stats(ctx)
	if err != nil {
		return err
	}
	c.sees(st)
	return c.check(w)
}

func (b *bench) showCrawl(w workload, all []*crawled) {
	b.out.section("Crawl, " + w.name)
	b.out.line("%s\n", w.words())
	rows := [][]string{}
	for _, c := range all {
		chain := longestChain(c.stats)
		bd, best := bound(w.pages(), float64(w.limit), chain), ideal(w.pages(), float64(w.limit), w.latency, chain)
		calls := c.calls()
		rows = append(rows, []string{
			c.who, sec(c.took), sec(bd), ratio(c.took, bd), ratio(c.took, best), fmt.Sprint(calls.Refused), fmt.Sprint(c.stats.PagesAgain),
			fmt.Sprint(c.stats.WorstSecond["instagram/1"]), ratio(c.took, all[0].took), sec(c.wall), mb(c.peak), sec(c.cpu), sec(chain),
		})
	}
	b.out.table([]string{"", "crawl", "bound", "÷ bound", "÷ ideal", "refused", "pages again", "worst second", "÷ sumbi", "process", "peak RSS", "CPU", "longest list"}, rows)
}

// words describe a workload.
func (w workload) words() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d lists of %d accounts, %d pages of %d KB, the longest list %d pages; %d calls in a sliding second, refused ones counted; %s an answer",
		2*len(w.lists), len(w.lists), w.pages(), w.pageBytes/1000, w.longest(), w.limit, w.latency)
	if w.jitter > 0 {
		fmt.Fprintf(&s, " ±%.0f %%", 100*w.jitter)
	}
	if w.arrival > 0 {
		fmt.Fprintf(&s, ", up to %s on the way", w.arrival)
	}
	if w.configured > 0 {
		fmt.Fprintf(&s, "; configured are %g", w.configured)
	}
	return s.String() + "."
}
