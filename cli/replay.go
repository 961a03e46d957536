package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/jobs"
	"sumbi/queue"
)

type replayCmd struct {
	Pipeline string `arg:"" help:"Name of the pipeline."`
	From     string `enum:"records,extractions" required:"" help:"records: read the kept posts again, and ask about captions that have changed. extractions: choose the places again from the remembered searches."`
}

// Run brings what is stored up to today's code without a call to anybody.
func (r replayCmd) Run(e *env) error {
	c, p, err := e.pipeline(r.Pipeline)
	if err != nil {
		return err
	}
	// An owner would make a file that is not there.
	look, err := e.open(c.State, queue.Guest)
	if err != nil {
		return err
	}
	if err := look.Close(); err != nil {
		return err
	}
	s, err := e.open(c.State, queue.Owner)
	if err == nil {
		defer s.Close()
		var n int
		if n, err = s.Workers(e.ctx); n > 1 {
			err = queue.ErrLocked
		}
	}
	if errors.Is(err, queue.ErrLocked) {
		return errors.New("another sumbi works on this state file: stop it first, then replay")
	}
	if err != nil {
		return err
	}
	b, err := e.Build(e.ctx, c, s, prometheus.NewRegistry(), e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	before, err := s.Waiting(e.ctx, p.Name)
	if err != nil {
		return err
	}
	replay, what := b.Engine.ReplayRecords, "posts"
	if r.From == "extractions" {
		replay, what = b.Engine.ReplayExtractions, "mentions"
	}
	done, err := replay(e.ctx, p.Name, func(d jobs.Replayed) { e.log.Debug("replay", "looked_at", d.Looked, "changed", d.Changed) })
	if err != nil {
		if e.ctx.Err() != nil {
			return fmt.Errorf("stopped after %d %s; nothing is lost, the same command begins again", done.Looked, what)
		}
		return err
	}
	fmt.Fprintf(e.Stdout, "%d %s looked at, %d changed\n", done.Looked, what, done.Changed)
	if done.Redone > 0 {
		fmt.Fprintf(e.Stdout, "%d more have the same place for another score or reason\n", done.Redone)
	}
	for _, why := range slices.Sorted(maps.Keys(done.Left)) {
		fmt.Fprintf(e.Stdout, "%d left as they were: %s\n", done.Left[why], why)
	}
	return r.next(e.ctx, e, s, p.Name, before)
}

// next says what a run would do now.
func (r replayCmd) next(ctx context.Context, e *env, s *queue.Store, pipeline string, before queue.Waiting) error {
	w, err := s.Waiting(ctx, pipeline)
	if err != nil {
		return err
	}
	if n := w.Fresh + w.Again - before.Fresh - before.Again; n > 0 {
		fmt.Fprintf(e.Stdout, "%d new questions\n", n)
	}
	counts, err := s.Counts(ctx)
	if err != nil {
		return err
	}
	sum, err := s.Summary(ctx)
	if err != nil {
		return err
	}
	matches := 0
	for _, c := range counts {
		if c.Kind == string(queue.KindMatch) && c.State != "dead" {
			matches += c.N
		}
	}
	fmt.Fprintf(e.Stdout, "`sumbi run %s` would ask %d questions, match %d mentions and deliver %d places, besides what is new\n", pipeline, w.Fresh+w.Again, matches, sum.Outbox)
	return nil
}
