package main

import (
	"context"
	"time"

	"sumbi/sim"
)

// size measures the state file after a whole run: crawl, batch and matching.
func (b *bench) size(ctx context.Context) error {
	up, err := openWorld(ctx, sim.Options{
		Seed: 7, Accounts: pick(b, 20, 8), Posts: pick(b, 200, 60), PadBytes: 12_000,
		Latency: 20 * time.Millisecond, SearchLatency: 2 * time.Millisecond, BatchStep: 300 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer up.close()
	pr, err := b.project("size", up, settings{perSecond: 60, finder: 200})
	if err != nil {
		return err
	}
	defer pr.remove()
	p, err := pr.sumbi(ctx, "run", "matzip")
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	posts, err := pr.number(ctx, `select count(*) from record`)
	if err != nil {
		return err
	}
	size := pr.fileSize()
	b.out.section("Size of the state file")
	b.out.line("After a whole run over %s posts: %s, **%.0f bytes a post**.\n", count(int(posts)), mb(size), float64(size)/float64(posts))
	rows, err := pr.sizes(ctx, posts)
	if err != nil {
		b.out.line("By table it cannot be told here: %v.", err)
		return nil
	}
	b.out.table([]string{"table with its indexes", "bytes a post"}, rows)
	return nil
}
