package main

import (
	"context"
	"time"

	"sumbi/queue"
)

// atRest measures a lone step, from the call that adds the job to its handler, and what an idle process costs.
func (b *bench) atRest(ctx context.Context, path string) error {
	s, err := b.open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	began := make(chan time.Time, 1)
	w := b.worker(s, func(context.Context, queue.Job) (queue.Commit, error) {
		began <- time.Now()
		return nil, nil
	})
	wctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(wctx) }()
	var all []time.Duration
	for i := range pick(b, 200, 60) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			break
		}
		t := time.Now()
		if err = s.Tx(ctx, func(tx *queue.Tx) error {
			_, err := tx.Add(stepJob(stepArgs{Walk: int64(i + 1)}))
			return err
		}); err != nil {
			break
		}
		all = append(all, (<-began).Sub(t))
	}
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	idle, rss, err := b.idle(ctx)
	if err != nil {
		return err
	}
	b.out.note("A lone step at rest: %s from enqueue to handler in the median, %s for 95 %% (%d steps).", ms(quantile(all, 0.5)), ms(quantile(all, 0.95)), len(all))
	b.out.note("`sumbi serve` with nothing to do: %.3f %% of a core, %s resident.", 100*idle, mb(rss))
	return err
}

// idle is the share of a core that a serving process without work uses, and its resident memory.
func (b *bench) idle(ctx context.Context) (share float64, rss int64, err error) {
	pr, err := b.project("idle", &world{base: "http://127.0.0.1:9", accounts: []string{"bench"}}, settings{perSecond: 8})
	if err != nil {
		return 0, 0, err
	}
	defer pr.remove()
	p, _, err := pr.serve(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = p.stop(ctx) }()
	if err := pause(ctx, 3*time.Second); err != nil {
		return 0, 0, err
	}
	before, err := cpuSoFar(p.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	t := time.Now()
	if err := pause(ctx, pick(b, 20*time.Second, 8*time.Second)); err != nil {
		return 0, 0, err
	}
	after, err := cpuSoFar(p.cmd.Process.Pid)
	return float64(after-before) / float64(time.Since(t)), procMemory(p.cmd.Process.Pid, "VmRSS"), err
}
