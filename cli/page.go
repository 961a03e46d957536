package cli

import (
	"context"
	"io"
	"net/http"
	"time"

	"sumbi/adapters/openai"
	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// page is the page of a process that works on s.
func (e *env) page(c *config.Config, s *queue.Store, b *Built, m *metrics) *web.Server {
	m.about(b.Engine, b.Engine.Pipelines)
	w := &web.Server{
		Store: s, Log: e.log, Token: c.Secrets.Token, Metrics: m.handler(), Webhooked: m.webhooked, Health: b.Engine,
		Status:    func(ctx context.Context, out io.Writer) error { return printStatus(ctx, out, s, false) },
		Tiles:     web.Tiles{Address: c.Map.Tiles, Attribution: c.Map.Attribution, AttributionURL: c.Map.AttributionURL},
		Pipelines: b.Engine.Pipelines, Rates: b.Rates, HandIn: b.Engine.HandIn,
		Forecast: func(ctx context.Context, pipeline string) (web.Forecast, error) { return forecast(ctx, c, s, pipeline) },
		Together: func(pipeline string) (queue.One, string, error) {
			one, lane := togetherBy(c, pipeline)
			return one, lane, nil
		},
		Account: func(pipeline, name string) (string, error) {
			p, err := c.Pipeline(pipeline)
			if err != nil {
				return "", err
			}
			return p.Target(name)
		},
		Look: b.Engine.Look, By: e.Getenv("USER"),
	}
	if secret := c.Secrets.OpenAIWebhook; secret != "" {
		w.Verify = func(h http.Header, body []byte, now time.Time) (string, string, error) {
			return openai.VerifyWebhook(secret, h, body, now)
		}
	}
	return w
}

// forecast says what a run of all accounts would do, without asking anybody.
func forecast(ctx context.Context, c *config.Config, s *queue.Store, pipeline string) (f web.Forecast, err error) {
	p, err := c.Pipeline(pipeline)
	if err != nil {
		return f, err
	}
	return kindOf(p).forecast(ctx, c, s, p)
}

func forecastMatzip(ctx context.Context, c *config.Config, s *queue.Store, p config.Pipeline) (f web.Forecast, err error) {
	in := planInput(c, p)
	in.Now = s.Now()
	if in.Targets, err = p.ReadAccounts(c.Dir()); err != nil {
		return f, err
	}
	if in.Known, err = s.Known(ctx, p.Name); err != nil {
		return f, err
	}
	if in.Latency, err = s.Latency(ctx, p.Name); err != nil {
		return f, err
	}
	if in.Pace, err = rememberedPace(ctx, s, c); err != nil {
		return f, err
	}
	plan := jobs.MakePlan(in)
	inPrice, outPrice, known := c.Price(c.OpenAI.Model)
	f = web.Forecast{
		Accounts: plan.Accounts, Pages: plan.Crawl.Pages + plan.LookUps, Captions: plan.Captions, Crawl: plan.Crawl.Expected,
		MicroUSD: planTokens(plan, inPrice, outPrice) + planRequests(c, plan), Priced: known || plan.Captions == 0, Full: plan.Full,
	}
	for _, x := range plan.Searches {
		f.Searches += x.N
	}
	return f, nil
}
