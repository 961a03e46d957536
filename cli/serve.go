package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

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
	m := newMetrics(s, c, e.Version, e.log)
	b, err := e.Build(e.ctx, c, s, m.reg, e.log)
	if err != nil {
		return err
	}
	b.Engine.Notify = m.counted(b.Engine.Notify)
	defer b.closeLimits(e.ctx)
	e.log.Info("serving", "state", c.State, "pipelines", len(c.Pipelines))
	g, ctx := errgroup.WithContext(e.ctx)
	// Who asks is answered until the work has come to its end, which may take a while after it was told to.
	answering, end := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer end()
		return b.Engine.Serve(ctx)
	})
	if c.Listen != "" && c.Listen != "-" {
		w := e.page(c, s, b, m)
		w.ProxyHeader, w.Stopping = sv.ProxyHeader, ctx.Done()
		g.Go(func() error { return w.Listen(answering, c.Listen) })
	}
	// A stop that comes in the middle of the start is an orderly one, too.
	if err := g.Wait(); err != nil && (e.ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	e.log.Info("stopped")
	return nil
}

type healthcheckCmd struct {
	URL   string `help:"What to ask, instead of the configured address." placeholder:"URL"`
	Ready bool   `help:"Ask whether it is ready, /readyz, instead of whether it is alive, /healthz."`
}

// Run asks /healthz or /readyz.
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
		path := "/healthz"
		if h.Ready {
			path = "/readyz"
		}
		url = "http://" + net.JoinHostPort(host, port) + path
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
