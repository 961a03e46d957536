package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"sumbi/sim"
)

// kill ends the process without warning at 40 % of the pages, waits a second and starts it again.
func (b *bench) kill(ctx context.Context) error {
	w := scaled
	undisturbed, err := b.ourCrawl(ctx, w, false)
	if err != nil {
		return err
	}
	whole := undisturbed[0]
	cut, atKill, err := b.cutCrawl(ctx, w)
	if err != nil {
		return err
	}
	calls := cut.calls()
	let := calls.Requests - calls.Refused - calls.Unauthorized - calls.Misdirected
	b.out.section("kill -9 at 40 %, one second down, started again")
	b.out.line("%s\n", w.words())
	b.out.table([]string{"", "crawl", "longer by", "refused", "in flight at the kill", "calls more than pages", "pages served again"}, [][]string{
		{"undisturbed", sec(whole.took), "", fmt.Sprint(whole.calls().Refused), "", "", fmt.Sprint(whole.stats.PagesAgain)},
		{"killed", sec(cut.took), sec(cut.took - whole.took), fmt.Sprint(calls.Refused), fmt.Sprint(atKill.Calls["instagram"].InFlight), fmt.Sprint(let - w.pages()), fmt.Sprint(cut.stats.PagesAgain)},
	})
	return nil
}

func (b *bench) cutCrawl(ctx context.Context, w workload) (c *crawled, atKill sim.Stats, err error) {
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return nil, atKill, err
	}
	defer up.close()
	pr, err := b.project("kill", up, settings{perSecond: w.rate()})
	if err != nil {
		return nil, atKill, err
	}
	defer pr.remove()
	p, err := pr.sumbi(ctx, "run", "matzip")
	if err != nil {
		return nil, atKill, err
	}
	for atKill.PagesServed < w.pages()*4/10 {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, atKill, err
		}
		if atKill, err = up.stats(ctx); err != nil {
			return nil, atKill, err
		}
		select {
		case <-p.done:
			return nil, atKill, fmt.Errorf("it ended before it could be killed: %w\n%s", p.err, p.tail())
		default:
		}
	}
	// Frozen first, so that what is counted as in flight is what the kill finds.
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	if atKill, err = up.stats(ctx); err != nil {
		return nil, atKill, err
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	c = &crawled{who: "sumbi"}
	c.measures(p)
	if err := pause(ctx, time.Second); err != nil {
		return nil, atKill, err
	}
	return c, atKill, b.crawlOnce(ctx, c, w, up, pr)
}
