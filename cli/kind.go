package cli

import (
	"context"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// kind is what the verbs do differently for the pipelines of a kind.
type kind struct {
	plan func(v planCmd, e *env, c *config.Config, p config.Pipeline) error
	rate func(c *config.Config) float64 // calls a second of its crawl; 0 unlimited
	// forecast says what a run would do, without asking anybody.
	forecast func(ctx context.Context, c *config.Config, s *queue.Store, p config.Pipeline) (web.Forecast, error)
	members  string // jobs.Pipeline.Members
}

func kindOf(p config.Pipeline) kind {
	return map[string]kind{
		"matzip": {planCmd.matzip, func(c *config.Config) float64 { return c.Instagram.PerSecond * float64(len(c.Secrets.RapidAPI)) }, forecastMatzip, ""},
		"velog":  {planCmd.velog, func(c *config.Config) float64 { return c.Velog.PerSecond }, forecastVelog, jobs.VelogUsers},
	}[p.Kind]
}
