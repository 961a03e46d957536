package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

type runCmd struct {
	Pipeline string   `arg:"" help:"Name of the pipeline."`
	Targets  []string `arg:"" optional:"" help:"Only these accounts."`
	Full     bool     `help:"Walk whole lists, not only what is new."`
	Release  bool     `help:"Forget used-up quotas and what refusals have taught of the pace: for when a plan was changed."`
}

// Run runs a pipeline until crawl, batches, matches and delivery of its run are done.
func (r runCmd) Run(e *env) error {
	c, p, err := e.pipeline(r.Pipeline)
	if err != nil {
		return err
	}
	for i, t := range r.Targets {
		if r.Targets[i], err = p.Target(t); err != nil {
			return usageError{err}
		}
	}
	if err := need(c, p.Name); err != nil {
		return err
	}
	if _, err := p.ReadAccounts(c.Dir()); err != nil && len(r.Targets) == 0 {
		return err
	}
	s, err := e.open(c.State, queue.Owner)
	if errors.Is(err, queue.ErrLocked) {
		if r.Release {
			return errors.New("--release forgets nothing while another sumbi works on this state file, which has it in its memory: stop that one first, then run this again")
		}
		return r.follow(e, c)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if r.Release {
		if err := s.ReleaseLimits(e.ctx); err != nil {
			return err
		}
	}
	b, err := e.Build(e.ctx, c, s, prometheus.NewRegistry(), e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	run, err := r.ask(e, s)
	if err != nil {
		return err
	}
	return e.runOnce(b, run)
}

func (b *Built) closeLimits(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	b.Close(ctx)
}

// ask asks for the run; an unfinished one is continued.
func (r runCmd) ask(e *env, s *queue.Store) (run queue.Run, err error) {
	err = s.Tx(e.ctx, func(tx *queue.Tx) error {
		var fresh bool
		run, fresh, err = tx.AskRun(r.Pipeline, r.Full, r.Targets)
		if err == nil && !fresh {
			e.log.Info("going on with the unfinished run", "pipeline", r.Pipeline, "run", run.ID)
			if len(r.Targets) > 0 || r.Full {
				e.log.Warn("accounts and --full are for a new run; this one goes on as it was asked for", "run", run.ID)
			}
		}
		return err
	})
	return run, err
}

// runOnce shows progress while a run is worked on, and its result.
func (e *env) runOnce(b *Built, run queue.Run) error {
	pace := func() (limit, pace float64) {
		for _, p := range b.Engine.Pipelines {
			if p.Name == run.Pipeline {
				return b.Pace(p.Lane)
			}
		}
		return 0, 0
	}
	show := e.progress(b.Engine.Store, run.ID, b.Limits, pace)
	r, err := b.Engine.RunOnce(e.ctx, run.ID)
	show()
	if err != nil {
		if stopped, ok := errors.AsType[*jobs.StoppedError](err); ok {
			return fmt.Errorf("the run waits: %s; nothing is lost, `sumbi run %s` goes on from here", stopped.Reason, r.Pipeline)
		}
		return err
	}
	if r.State != queue.RunDone {
		return fmt.Errorf("stopped before the end; nothing is lost, `sumbi run %s` goes on from here", r.Pipeline)
	}
	limit, _ := pace()
	return e.summary(context.WithoutCancel(e.ctx), b.Engine.Store, r, limit)
}

// follow asks the process that drains the file for a run and watches it. If that process ends, this one takes over.
func (r runCmd) follow(e *env, c *config.Config) error {
	s, err := e.open(c.State, queue.Guest)
	if err != nil {
		return err
	}
	run, err := r.ask(e, s)
	if err != nil {
		s.Close()
		return err
	}
	e.log.Info("another sumbi works on this file: it does the run, this one watches", "run", run.ID)
	p, err := c.Pipeline(r.Pipeline)
	if err != nil {
		s.Close()
		return err
	}
	perSecond := kindOf(p).rate(c)
	show := e.progress(s, run.ID, nil, func() (float64, float64) { return perSecond, perSecond })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		now, err := s.Run(e.ctx, run.ID)
		switch {
		case err != nil:
			show()
			s.Close()
			return err
		case now.State == queue.RunDone:
			left, err := undelivered(e.ctx, s, r.Pipeline)
			if err == nil && left {
				break
			}
			show()
			defer s.Close()
			if err != nil {
				return err
			}
			return e.summary(e.ctx, s, now, perSecond)
		case now.State == queue.RunStopped:
			show()
			s.Close()
			return fmt.Errorf("the run waits: %s", now.Note)
		}
		if n, err := s.Workers(e.ctx); err == nil && n == 0 {
			show()
			s.Close()
			return r.Run(e)
		}
		select {
		case <-e.ctx.Done():
			show()
			s.Close()
			return errors.New("no longer watching; the run goes on in the other process")
		case <-tick.C:
		}
	}
}

// undelivered reports whether a sink has yet to be told something; the error says that it waits for a person.
func undelivered(ctx context.Context, s *queue.Store, pipeline string) (bool, error) {
	lanes, err := s.LiveLanes(ctx, pipeline)
	if err != nil {
		return false, err
	}
	stops, err := s.Stops(ctx)
	if err != nil {
		return false, err
	}
	for _, l := range lanes {
		if !l.Delivers {
			continue
		}
		for _, stop := range stops {
			if stop.Lane == l.Lane {
				return false, fmt.Errorf("everything is done but the delivery, which waits: %s", stop.Reason)
			}
		}
		return true, nil
	}
	return false, nil
}
