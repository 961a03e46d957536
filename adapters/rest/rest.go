// Package rest is one limited, classified, capped and measured HTTP call. Adapters name paths and types; pace, keys,
// statuses, sizes and counting are decided here.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sumbi/adapters"
)

const (
	defaultTimeout = 60 * time.Second
	defaultMaxBody = 16 << 20
	userAgent      = "sumbi"
)

// Options describe one upstream. Only Upstream and BaseURL are required.
type Options struct {
	Upstream  string            // lane and metric label: instagram, openai, naver, kakao
	BaseURL   string            // every path is below it
	Timeout   time.Duration     // of one request with its answer, 0 = 60 s
	MaxBody   int64             // bytes of an answer, 0 = 16 MiB
	Limits    []*Limit          // one a credential; none = one that is unlimited
	Classify  Classifier        // reads a non-2xx answer; nil = the default reading
	Announce  Announcer         // reads what the header of any answer says of the limits; nil = Announced
	Private   bool              // BaseURL may lead to private addresses, also when it names none
	Transport http.RoundTripper // nil = NewTransport
	Metrics   *Metrics          // may be nil
}

// Classifier reads a non-2xx answer. A nil result asks for the default reading. The body is cut at 64 KiB and the
// credentials that were sent are blotted out of it.
type Classifier = func(status int, h http.Header, body []byte) *adapters.Error

// Announcer reads the limits that the header of an answer announces. They are obeyed where they are lower than the
// configured ones.
type Announcer = func(h http.Header) Announcement

// Client calls one upstream within the limits of its credentials. Safe for concurrent use.
type Client struct {
	upstream  string
	base      *url.URL
	maxBody   int64
	timeout   time.Duration
	limits    []*Limit
	classify  Classifier
	announced Announcer
	http      *http.Client
	metrics   *Metrics
	changed   *bell
	line      *line
	held      stopwatch
	recent    recent
}

// New returns a client. It panics when BaseURL is not an absolute http or https URL, which the configuration has checked before.
func New(o Options) *Client {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		panic(fmt.Sprintf("rest: base URL of %s is not an absolute http or https URL", o.Upstream))
	}
	c := &Client{
		upstream:  o.Upstream,
		base:      base,
		maxBody:   o.MaxBody,
		timeout:   o.Timeout,
		limits:    o.Limits,
		classify:  o.Classify,
		announced: o.Announce,
		metrics:   o.Metrics,
		changed:   newBell(),
		line:      &line{},
	}
	if c.announced == nil {
		c.announced = Announced
	}
	if c.maxBody <= 0 {
		c.maxBody = defaultMaxBody
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if len(c.limits) == 0 {
		c.limits = []*Limit{NewLimit(LimitOptions{Name: o.Upstream})}
	}
	for _, l := range c.limits {
		l.attach(c.changed)
	}
	gate := newDeparture(o, base)
	gate.recent = &c.recent
	c.http = &http.Client{
		Transport:     gate,
		CheckRedirect: checkRedirect,
		Timeout:       c.timeout,
	}
	c.metrics.watch(c)
	return c
}

// NewRequest returns a request for a path below BaseURL. The query may be nil, and so may the body.
func (c *Client) NewRequest(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	u := *c.base
	u.Path = c.base.Path + "/" + strings.TrimLeft(path, "/")
	u.RawPath = ""
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, c.fail(&adapters.Error{Kind: adapters.Permanent, Err: fmt.Errorf("request for %s is not valid", path)})
	}
	return req, nil
}

// GetJSON fetches path and decodes the one JSON value of the answer into out. It returns the header of the answer.
// An answer that is cut short, holds anything else or anything more is a Temporary error.
func (c *Client) GetJSON(ctx context.Context, path string, query url.Values, out any) (http.Header, error) {
	req, err := c.NewRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	if err = dec.Decode(out); err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return resp.Header, nil
		}
		if err == nil {
			err = errors.New("more than one JSON value")
		}
	}
	if ctx.Err() != nil {
		return resp.Header, ctx.Err()
	}
	if e, ok := errors.AsType[*adapters.Error](err); ok {
		return resp.Header, e
	}
	return resp.Header, c.fail(&adapters.Error{
		Kind: adapters.Temporary, Reason: adapters.ReasonInvalid,
		Err: fmt.Errorf("GET %s: the answer is not the JSON expected: %w", req.URL.Path, err),
	})
}

// Close saves what the limits must remember and lets idle connections go. The client may be used again.
func (c *Client) Close(ctx context.Context) error {
	c.http.CloseIdleConnections()
	var errs []error
	for _, l := range c.limits {
		if err := l.regime.close(ctx); err != nil {
			errs = append(errs, c.fail(adapters.Classify(err)))
		}
	}
	return errors.Join(errs...)
}

// LimitInfo is what status shows of one limit.
type LimitInfo struct {
	Name      string
	Used      int           // calls of this Korean day
	PerDay    int           // 0 is unlimited
	PerSecond float64       // as configured; 0 is unlimited
	Guard     time.Duration // added to the second in which so many calls are allowed; they are spaced by (1 s + Guard) / PerSecond
	HeldUntil time.Time     // zero when it is not held now
	Reason    string        // why it is held or stopped
	Stopped   bool          // until the next start
}

// Limits returns what is known of the limits, in the order of Options. Before the first call it has not read the memory.
func (c *Client) Limits() []LimitInfo {
	infos := make([]LimitInfo, len(c.limits))
	for i, l := range c.limits {
		infos[i] = l.info()
	}
	return infos
}

// Pace returns the calls a second that the configuration allows over all credentials that are not stopped, and those that
// are made with the guards in force and the limits that were announced. Both are 0 when a credential is unlimited, and when
// all are stopped.
func (c *Client) Pace() (limit, pace float64) {
	for _, l := range c.limits {
		allowed, made, stopped := l.rates()
		switch {
		case stopped:
		case allowed == 0:
			return 0, 0
		default:
			limit, pace = limit+allowed, pace+made
		}
	}
	return limit, pace
}

// Held returns how long, in all, nobody got a permit because every credential was held after a refusal or for its quota
// while somebody waited.
func (c *Client) Held() time.Duration { return c.held.read(time.Now()) }

// fail names the upstream in e.
func (c *Client) fail(e *adapters.Error) *adapters.Error {
	if e.Upstream == "" {
		e.Upstream = c.upstream
	}
	return e
}
