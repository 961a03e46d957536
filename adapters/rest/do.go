package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"sumbi/adapters"
)

const (
	maxErrorBody = 64 << 10
	maxRedirects = 3
	idlePerHost  = 64 // as many as calls in flight, so that connections are reused
)

// Do sends one request and returns a 2xx answer, whose body the caller closes. It uses the permit in the request's context
// for the first request and draws further ones from the same limit; without a permit it takes one itself. It waits for its
// turn at most the timeout of the client: a limit that is held longer is a Throttled error. Every failure is an
// *adapters.Error, except that a context which has ended gives its own error.
//
// A refused call holds or stops its limit. While another credential of the client is free the error asks for another try
// soon, which then goes under that credential.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	slot, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	limit := slot.limit
	trip := &trip{limit: limit, slot: slot}
	out := req.Clone(context.WithValue(ctx, tripKey{}, trip))
	for name, values := range limit.o.Header {
		out.Header[http.CanonicalHeaderKey(name)] = values
	}
	out.Header.Set("User-Agent", userAgent)

	began := time.Now()
	resp, err := c.http.Do(out)
	took := time.Since(began)
	if err != nil {
		err = c.transportError(ctx, out, trip, err)
		c.metrics.observe(c.upstream, outcome(err), took)
		return nil, err
	}
	body := &body{r: resp.Body, rc: resp.Body, left: c.maxBody, max: c.maxBody, ctx: ctx, c: c, path: out.URL.Path}
	var said Announcement
	if resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusTooManyRequests { // others may come from somebody in between
		said = c.announced(resp.Header)
		limit.heed(ctx, said.PerSecond)
	}
	if resp.StatusCode/100 == 2 {
		body.r = newEraser(resp.Body, out.Header)
		resp.Body = body
		limit.accepted(ctx, trip)
		c.metrics.observe(c.upstream, outcomeOK, took)
		return resp, nil
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err != nil && ctx.Err() != nil {
		c.metrics.observe(c.upstream, outcomeCancelled, took)
		return nil, ctx.Err()
	}
	e := c.read(resp, out, redact(text, out.Header))
	e.Err = redactError(e.Err, out.Header)
	if e.Kind == adapters.Throttled && said.Quota > 0 {
		e.Reason, e.After = adapters.ReasonQuota, max(e.After, said.Quota)
	}
	c.metrics.observe(c.upstream, outcome(e), took)
	return nil, c.refused(ctx, limit, e, trip)
}

// refused makes the limit heed e and returns what the engine is told.
func (c *Client) refused(ctx context.Context, l *Limit, e *adapters.Error, t *trip) error {
	var err error
	switch e.Kind {
	case adapters.Throttled:
		err = l.hold(ctx, e, t)
	case adapters.NeedsHuman:
		err = l.stop(ctx, e)
	case adapters.Unauthorized:
		if len(l.o.Header) == 0 {
			return e // a limit without a credential: it was the target's own that was refused
		}
		err = l.stop(ctx, e)
	default:
		l.accepted(ctx, t)
		return e
	}
	if err != nil {
		e.Err = fmt.Errorf("%w (and then %w)", e.Err, err)
	}
	// Another credential may be free before this one, or at all.
	best, a, _, err := soonest(ctx, c.limits)
	if err != nil || best == nil || (best == l && e.Kind != adapters.Throttled) {
		return e
	}
	if e.Kind != adapters.Throttled {
		e.Err = fmt.Errorf("%s is stopped: %w", l.o.Name, e.Err)
		e.Kind = adapters.Throttled
	}
	e.After = max(a.wait, time.Millisecond)
	return e
}

func (c *Client) transportError(ctx context.Context, req *http.Request, t *trip, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text holds the whole URL
	}
	if e, ok := errors.AsType[*adapters.Error](err); ok {
		return c.fail(e)
	}
	e := &adapters.Error{Kind: adapters.Temporary}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", c.timeout, context.DeadlineExceeded)
	}
	e.Err = redactError(fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err), req.Header)
	switch {
	case !t.sent.Load():
		e.Reason = adapters.ReasonUnreachable
	case !safe(req.Method):
		e.Reason = adapters.ReasonUnknown
	}
	return c.fail(e)
}

// safe says whether a request changes nothing at the upstream.
func safe(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// checkRedirect follows to the same host only: the credential goes nowhere else.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[0].URL
	if len(via) > maxRedirects || req.URL.Host != from.Host || (from.Scheme == "https" && req.URL.Scheme != "https") {
		return http.ErrUseLastResponse
	}
	return nil
}

// trip is what the transport must know of a request.
type trip struct {
	limit *Limit
	slot  *slot       // of the next departure; nil once used
	sent  atomic.Bool // bytes of it may have reached the upstream
	left  departed    // the newest departure; the lock of limit guards it
}

type tripKey struct{}

// departure is the last gate: it keeps the window of the limit and counts what leaves, redirects and net/http's own second
// tries included.
type departure struct {
	next     http.RoundTripper
	upstream string
	traces   bool // next tells when it has a connection
	recent   *recent
}

func newDeparture(o Options, base *url.URL) *departure {
	if o.Transport != nil {
		return &departure{next: o.Transport, upstream: o.Upstream}
	}
	return &departure{next: NewTransport(base, o.Private), upstream: o.Upstream, traces: true}
}

// RoundTrip sends req when the window of its limit allows.
func (d *departure) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	t, ok := ctx.Value(tripKey{}).(*trip)
	if !ok {
		return d.next.RoundTrip(req)
	}
	if !d.traces {
		t.sent.Store(true)
		if err := d.leave(ctx, t); err != nil {
			return nil, err
		}
		return d.next.RoundTrip(req)
	}
	// Calls are spaced where they leave, not before a handshake that takes some of them longer than others. What may not leave
	// finds its connection closed; of HTTP/2, where others use it too, the transport itself looks at ctx.
	ctx, cancel := context.WithCancel(ctx)
	var barred error
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			if barred = d.leave(ctx, t); barred != nil {
				cancel()
				if c, ok := got.Conn.(*tls.Conn); !ok || c.ConnectionState().NegotiatedProtocol != "h2" {
					_ = got.Conn.Close()
				}
			}
		},
		WroteHeaders: func() { t.sent.Store(true) },
	})
	resp, err := d.next.RoundTrip(req.WithContext(ctx))
	if err == nil {
		return resp, nil // its body ends with the context above
	}
	cancel()
	if barred != nil {
		err = barred
	}
	return nil, err
}

// CloseIdleConnections lets http.Client reach the transport below.
func (d *departure) CloseIdleConnections() {
	if t, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func (d *departure) leave(ctx context.Context, t *trip) error {
	if err := t.limit.regime.leave(ctx, t); err != nil {
		return err
	}
	adapters.CountCall(ctx, d.upstream)
	d.recent.count(time.Now())
	return nil
}
