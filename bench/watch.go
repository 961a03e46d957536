package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/chromedp/chromedp"

	"sumbi/web/browsertest"
)

// watched is a crawl of ten minutes at the pace of the real upstream.
var watched = workload{name: "watched", lists: uniform(40, 60), limit: 8, latency: 5 * time.Second, pageBytes: 60_000}

// audience is how many browsers watch it.
const audience = 20

// watch measures what browsers that watch cost a crawl: `sumbi serve` crawls, first alone, then with the audience.
func (b *bench) watch(ctx context.Context) error {
	w := watched
	w.lists = uniform(len(w.lists), pick(b, 60, 6))
	b.out.section("Browsers that watch")
	b.out.line("%s `sumbi serve` crawls; half of the browsers show the overview, half the run, each with a profile of its own, from the beginning of the crawl to its end. They run on the same machine with a lower priority, as they would be on others. A change is what a page shows anew without being loaded.\n", w.words())
	var rows [][]string
	var alone *crawled
	for _, n := range []int{0, audience} {
		c, changes, err := b.crawlBefore(ctx, w, n)
		if err != nil {
			return fmt.Errorf("%d browsers: %w", n, err)
		}
		if alone == nil {
			alone = c
		}
		fewest := ""
		if n > 0 {
			fewest = fmt.Sprint(slices.Min(changes))
		}
		calls := c.calls()
		rows = append(rows, []string{
			fmt.Sprint(n), sec(c.took), ratio(c.took, alone.took), percent(share(c.stats.Arrivals, float64(w.limit))), fmt.Sprint(calls.Refused), fmt.Sprint(c.stats.PagesAgain),
			mb(c.peak), sec(c.cpu), percent(c.cpu.Seconds() / c.took.Seconds()), fewest,
		})
	}
	b.out.table([]string{"browsers", "crawl", "÷ alone", "share of the limit", "refused", "pages again", "peak RSS", "CPU of sumbi", "of a core", "fewest changes in a browser"}, rows)
	return nil
}

// crawlBefore crawls while n browsers watch, and tells what changed in each.
func (b *bench) crawlBefore(ctx context.Context, w workload, n int) (_ *crawled, changes []int, err error) {
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return nil, nil, err
	}
	defer up.close()
	pr, err := b.project("watch", up, settings{perSecond: w.rate(), every: "720h"})
	if err != nil {
		return nil, nil, err
	}
	defer pr.remove()
	p, _, err := pr.serve(ctx)
	if err != nil {
		return nil, nil, err
	}
	ended := false
	defer func() {
		if !ended {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	if err := pr.until(ctx, p, "select count(*) > 0 from run"); err != nil {
		return nil, nil, err
	}
	tabs, leave, err := watchers(pr.url, n)
	defer leave()
	if err != nil {
		return nil, nil, err
	}
	c := &crawled{who: "sumbi"}
	for c.stats.PagesServed-c.stats.PagesAgain < w.pages() {
		st, err := up.stats(ctx)
		if err != nil {
			return nil, nil, err
		}
		c.sees(st)
		select {
		case <-p.done:
			return nil, nil, fmt.Errorf("it ended too early: %w\n%s", p.err, p.tail())
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Second):
		}
		if limit := 2*bound(w.pages(), w.rate(), 0) + time.Minute; time.Since(p.began) > limit {
			return nil, nil, fmt.Errorf("the crawl is not done after %s\n%s", limit, p.tail())
		}
	}
	for _, tab := range tabs {
		k, err := chromedp.Run(tab, chromedp.Evaluate[int](`window.changes`))
		if err == nil && k == 0 {
			err = errors.New("a page that is watched did not change")
		}
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, k)
	}
	ended = true
	if err := p.stop(ctx); err != nil {
		return nil, nil, err
	}
	c.measures(p)
	return c, changes, c.check(w)
}

// watchers opens n browsers on the live pages of sumbi. leave closes them.
func watchers(url string, n int) (tabs []context.Context, leave func(), err error) {
	var stops []context.CancelFunc
	leave = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	if n == 0 {
		return nil, leave, nil
	}
	options, err := browsertest.Chromium()
	if err != nil {
		return nil, leave, err
	}
	if nice, err := exec.LookPath("nice"); err == nil {
		options = append(options, chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.Args = append([]string{nice, "-n", "10", cmd.Path}, cmd.Args[1:]...)
			cmd.Path = nice
		}))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	stops = append(stops, stop)
	ctx, stop = chromedp.NewContext(ctx)
	stops = append(stops, stop)
	if err := chromedp.Do(ctx); err != nil {
		return nil, leave, err
	}
	for i := range n {
		tab, stop := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
		stops = append(stops, stop)
		path := []string{"/", "/runs/1"}[i%2]
		if err := chromedp.Do(tab, chromedp.Navigate(url+path), chromedp.Evaluate[chromedp.Void](`
			window.changes = 0;
			new MutationObserver(() => window.changes++).observe(document.body, {subtree: true, childList: true, characterData: true})`)); err != nil {
			return nil, leave, err
		}
		tabs = append(tabs, tab)
	}
	return tabs, leave, nil
}
