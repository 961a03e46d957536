package main

import (
	"context"
	"fmt"
	"time"
)

// steady measures how much of the limit a long crawl uses once it is under way. The first run calibrates, the second one
// goes on with what the file remembers.
func (b *bench) steady(ctx context.Context) error {
	rows := [][]string{}
	var w workload
	for _, arrival := range []time.Duration{0, 30 * time.Millisecond} {
		w = scaled
		w.lists, w.arrival = uniform(40, pick(b, 60, 30)), arrival
		up, err := openWorld(ctx, w.options())
		if err != nil {
			return err
		}
		more, err := b.steadyRuns(ctx, w, up)
		used := up.close()
		if err != nil {
			return err
		}
		for _, r := range more {
			rows = append(rows, append(r, fmt.Sprintf("%.2f", used/(2*float64(w.pages())/float64(w.limit)))))
		}
	}
	w.arrival = 0
	b.out.section("Steady state")
	b.out.line("%s The share is that of the calls that were let through over the middle 80 %% of the run.\n", w.words())
	b.out.table([]string{"on the way", "run", "share of the limit", "refused", "worst second", "crawl", "÷ bound", "CPU", "peak RSS", "cores of the upstream"}, rows)
	return nil
}

func (b *bench) steadyRuns(ctx context.Context, w workload, up *world) ([][]string, error) {
	pr, err := b.project("steady", up, settings{perSecond: w.rate()})
	if err != nil {
		return nil, err
	}
	defer pr.remove()
	var rows [][]string
	for _, run := range []string{"first", "second"} {
		c := &crawled{who: "sumbi"}
		if err := up.reset(ctx); err != nil {
			return nil, err
		}
		if err := b.crawlOnce(ctx, c, w, up, pr, "--full"); err != nil {
			return nil, err
		}
		chain := longestChain(c.stats)
		bd := bound(w.pages(), float64(w.limit), chain)
		rows = append(rows, []string{
			fmt.Sprintf("up to %s", w.arrival), run, percent(share(c.stats.Arrivals, float64(w.limit))), fmt.Sprint(c.calls().Refused),
			fmt.Sprint(c.stats.WorstSecond["instagram/1"]), sec(c.took), ratio(c.took, bd), sec(c.cpu), mb(c.peak),
		})
	}
	return rows, nil
}
