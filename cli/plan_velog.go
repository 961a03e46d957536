package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// velog forecasts the turns of a pipeline's users. It asks nobody.
func (v planCmd) velog(e *env, c *config.Config, p config.Pipeline) error {
	if v.Probe {
		return usageError{errors.New("there is nothing to probe: how many posts a user has is known after the first turn")}
	}
	targets, err := v.targets(c, p)
	if err != nil {
		return err
	}
	s, err := e.open(c.State, queue.Guest)
	if errors.Is(err, os.ErrNotExist) && v.JSON {
		return e.document("plan", jobs.Turns{})
	}
	if errors.Is(err, os.ErrNotExist) {
		e.out.say("there is no state file %s yet: nobody has logged in; `sumbi login %s` takes a log-in", c.State, p.Name)
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	plan, err := jobs.PlanTurns(e.ctx, s, p.Name, targets)
	if err != nil {
		return err
	}
	if v.JSON {
		return e.document("plan", plan)
	}
	e.out.say("plan of %s: %s, each begun again after %s at the earliest", p.Name, plural(plan.Users, "user", "users"), config.Duration(p.Pause))
	named(e.out, "their log-in is not accepted any more, they are not asked for", plan.Dead)
	named(e.out, "they have no log-in, they are not asked for", plan.Without)
	named(e.out, "new, their number of posts is not known yet", plan.Unknown)
	took, turn := "as fast as velog answers", time.Duration(0)
	if c.Velog.PerSecond > 0 {
		turn = time.Duration(float64(plan.Requests) / c.Velog.PerSecond * float64(time.Second))
		took = "about " + round(turn)
	}
	e.out.say("one turn of all of them: %s (%s of %s, %d for log-ins and lists), %s at %g a second",
		plural(plan.Requests, "request", "requests"), "statistics", plural(plan.Posts, "post", "posts"), plan.Requests-plan.Posts, took, c.Velog.PerSecond)
	if turn > 2*jobs.AtMidnight {
		e.out.say("that is too long: the ends of days will be missed, and days without an end are not known; raise per_second of [velog], or have fewer users")
	}
	if every := max(p.Every, p.Pause); every > 0 {
		e.out.say("a day: at most %s requests; velog asks no money", grouped(int(24*time.Hour/every)*plan.Requests))
	}
	return nil
}

func forecastVelog(ctx context.Context, c *config.Config, s *queue.Store, p config.Pipeline) (f web.Forecast, err error) {
	targets, err := p.ReadAccounts(c.Dir())
	if err != nil {
		return f, err
	}
	plan, err := jobs.PlanTurns(ctx, s, p.Name, targets)
	f = web.Forecast{Accounts: plan.Users, Pages: plan.Requests, Priced: true, Full: true}
	if c.Velog.PerSecond > 0 {
		f.Crawl = time.Duration(float64(plan.Requests) / c.Velog.PerSecond * float64(time.Second))
	}
	return f, err
}
