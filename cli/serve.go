package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"sumbi/config"
	"sumbi/queue"
)

type serveCmd struct {
	Listen      string `help:"Address to listen on, instead of the configured one; \"-\" for none." placeholder:"HOST:PORT"`
	ProxyHeader string `env:"SUMBI_PROXY_HEADER" help:"The header in which a proxy in front names the visitor's address, such as Fly-Client-IP. Only when there is no way around the proxy." placeholder:"NAME"`
}

// Run works until it is told to stop.
func (sv serveCmd) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	if err := need(c); err != nil {
		return err
	}
	if sv.Listen != "" {
		c.Listen = sv.Listen
		if err := config.CheckListen(strings.TrimPrefix(c.Listen, "-"), c.Secrets.Token); err != nil {
			return err
		}
	}
	s, err := e.open(c.State, queue.Owner)
	if errors.Is(err, queue.ErrLocked) {
		return fmt.Errorf("another sumbi process already works on %s; stop it first, or ask it for a run with `sumbi run PIPELINE`", c.State)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	reg := registry(s)
	b, err := e.Build(e.ctx, c, s, reg, e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	e.log.Info("serving", "state", c.State, "pipelines", len(c.Pipelines))
	g, ctx := errgroup.WithContext(e.ctx)
	g.Go(func() error { return b.Engine.Serve(ctx) })
	if c.Listen != "" && c.Listen != "-" {
		w := e.page(c, s, b, reg)
		w.ProxyHeader = sv.ProxyHeader
		g.Go(func() error { return w.Listen(ctx, c.Listen) })
	}
	// A stop that comes in the middle of the start is an orderly one, too.
	if err := g.Wait(); err != nil && (e.ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	e.log.Info("stopped")
	return nil
}

// queueMetrics counts jobs at each scrape.
type queueMetrics struct{ s *queue.Store }

var (
	jobsDesc   = prometheus.NewDesc("sumbi_jobs", "Jobs in the state file.", []string{"lane", "kind", "state"}, nil)
	outageDesc = prometheus.NewDesc("sumbi_outage_since_seconds", "Since when an upstream does not answer; absent while it does.", []string{"upstream"}, nil)
)

// Describe names what Collect gives.
func (queueMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- jobsDesc
	ch <- outageDesc
}

// Collect counts.
func (q queueMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := q.s.Counts(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(jobsDesc, err)
		return
	}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(c.N), c.Lane, c.Kind, c.State)
	}
	outages, err := q.s.Outages(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(outageDesc, err)
		return
	}
	for _, o := range outages {
		ch <- prometheus.MustNewConstMetric(outageDesc, prometheus.GaugeValue, float64(o.Since.Unix()), o.Upstream)
	}
}

type healthcheckCmd struct {
	URL string `help:"What to ask, instead of the configured address." placeholder:"URL"`
}

// Run asks /healthz.
func (h healthcheckCmd) Run(e *env) error {
	url := h.URL
	if url == "" {
		c, err := e.config()
		if err != nil {
			return err
		}
		if c.Listen == "" {
			return errors.New("nothing listens: listen is empty in the configuration; name the address with --url")
		}
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return fmt.Errorf("listen %q is no address: %w", c.Listen, err)
		}
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			host = "127.0.0.1"
		}
		url = "http://" + net.JoinHostPort(host, port) + "/healthz"
	}
	ctx, cancel := context.WithTimeout(e.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("not well: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not well: %s answers %s", req.URL.Redacted(), resp.Status)
	}
	fmt.Fprintln(e.Stdout, "ok")
	return nil
}
