package cli

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

type planCmd struct {
	Pipeline string   `arg:"" help:"Name of the pipeline."`
	Targets  []string `arg:"" optional:"" help:"Only these accounts."`
	Full     bool     `help:"Walk whole lists, not only what is new."`
	Probe    bool     `help:"Ask for the number of posts of each account that the file does not know: one request each."`
	jsonFlag
}

// Run forecasts a run. Without Probe it asks nobody.
func (v planCmd) Run(e *env) error {
	c, p, err := e.pipeline(v.Pipeline)
	if err != nil {
		return err
	}
	return kindOf(p).plan(v, e, c, p)
}

// matzip forecasts a run of that kind.
func (v planCmd) matzip(e *env, c *config.Config, p config.Pipeline) error {
	targets, err := v.targets(c, p)
	if err != nil {
		return err
	}
	s, err := v.open(e, c)
	if err != nil {
		return err
	}
	in := planInput(c, p)
	in.Targets, in.Chosen, in.Full, in.Now = targets, len(v.Targets) > 0, v.Full, time.Now()
	if s == nil {
		if !v.JSON {
			e.out.say("there is no state file %s yet: nothing is known", c.State)
		}
		return v.print(e, c, nil, in, nil)
	}
	defer s.Close()
	if in.Known, err = s.Known(e.ctx, p.Name); err != nil {
		return err
	}
	if o := in.Known.Open; o != nil && len(o.Targets) > 0 {
		in.Targets, in.Chosen = o.Targets, true
	} else if o != nil && in.Chosen {
		if in.Targets, err = p.ReadAccounts(c.Dir()); err != nil {
			return err
		}
		in.Chosen = false
	}
	if in.Latency, err = s.Latency(e.ctx, p.Name); err != nil {
		return err
	}
	if in.Pace, err = rememberedPace(e.ctx, s, c); err != nil {
		return err
	}
	var probed *jobs.Probed
	if v.Probe {
		if probed, err = v.probe(e, c, s, in); err != nil {
			return err
		}
		if in.Known, err = s.Known(e.ctx, p.Name); err != nil {
			return err
		}
		for _, t := range probed.Gone {
			in.Known.Targets[t] = queue.Target{Target: t, State: queue.WalkGone}
		}
		for _, t := range probed.Private {
			in.Known.Targets[t] = queue.Target{Target: t, State: queue.WalkPrivate}
		}
	}
	return v.print(e, c, s, in, probed)
}

// targets are the accounts that a new run would ask for, each once.
func (v planCmd) targets(c *config.Config, p config.Pipeline) ([]string, error) {
	if len(v.Targets) == 0 {
		return p.ReadAccounts(c.Dir())
	}
	var out []string
	for _, t := range v.Targets {
		name, err := p.Target(t)
		if err != nil {
			return nil, usageError{err}
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// open opens the state file; nil when there is none and nothing needs one.
func (v planCmd) open(e *env, c *config.Config) (*queue.Store, error) {
	if v.Probe {
		// Two processes would not keep the pace of one key between them.
		s, err := e.open(c.State, queue.Owner)
		if errors.Is(err, queue.ErrLocked) {
			return nil, errors.New("another sumbi works on this file with the same keys: plan without --probe, or wait until it has ended")
		}
		return s, err
	}
	s, err := e.open(c.State, queue.Guest)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

func (v planCmd) probe(e *env, c *config.Config, s *queue.Store, in jobs.PlanInput) (*jobs.Probed, error) {
	if len(c.Secrets.RapidAPI) == 0 {
		return nil, &config.Error{Msg: "RAPIDAPI_KEY is not set: --probe asks Instagram; put the value into the environment, or the name of a file that holds it into RAPIDAPI_KEY_FILE"}
	}
	only := *c
	only.Secrets.Mongo = "" // nobody else is to be called
	b, err := e.Build(e.ctx, &only, s, prometheus.NewRegistry(), e.log)
	if err != nil {
		return nil, err
	}
	defer b.closeLimits(e.ctx)
	i := slices.IndexFunc(b.Engine.Pipelines, func(p *jobs.Pipeline) bool { return p.Name == in.Pipeline })
	probed, err := b.Engine.Probe(e.ctx, b.Engine.Pipelines[i], jobs.Unmeasured(in.Known, in.Lists, in.Targets))
	return &probed, err
}

// planInput is what the configuration says.
func planInput(c *config.Config, p config.Pipeline) jobs.PlanInput {
	shape := shapeOf(p.Name)
	return jobs.PlanInput{
		Pipeline: p.Name, Lists: shape.Lists, PageSize: shape.PageSize, Finders: p.Finders, Always: p.SecondOpinion == "always",
		Rate:     allowed(c.Instagram.PerSecond, 0) * float64(max(len(c.Secrets.RapidAPI), 1)),
		MaxLines: c.OpenAI.MaxLines, EnqueuedTokens: c.OpenAI.EnqueuedTokens,
	}
}

// allowed is how many calls a second a limit lets go, as it counts them: from 1 up a fraction is cut off, below one a second
// the second is stretched. guard is added to that. 0 is unlimited.
func allowed(perSecond float64, guard time.Duration) float64 {
	switch {
	case perSecond <= 0:
		return 0
	case perSecond < 1:
		return 1 / (1/perSecond + guard.Seconds())
	}
	return math.Floor(perSecond) / (1 + guard.Seconds())
}

// shapeOf is a pipeline without its upstreams: which lists it has, and how long their pages are.
func shapeOf(name string) *jobs.Pipeline {
	return jobs.Matzip(&jobs.Pipeline{Name: name, Ask: &jobs.Ask{}, Find: &jobs.Find{}})
}

// rememberedPace is how many pages a second the keys have been found to bear; 0 when that is not known of all.
func rememberedPace(ctx context.Context, s *queue.Store, c *config.Config) (float64, error) {
	limits, err := s.Limits(ctx)
	if err != nil {
		return 0, err
	}
	pace, keys := 0.0, 0
	for _, l := range limits {
		if strings.HasPrefix(l.Name, "instagram/") && l.Guard > 0 && l.PerSecond == c.Instagram.PerSecond && keys < len(c.Secrets.RapidAPI) {
			pace += allowed(l.PerSecond, l.Guard)
			keys++
		}
	}
	if keys == 0 || keys < len(c.Secrets.RapidAPI) {
		return 0, nil
	}
	return pace, nil
}
