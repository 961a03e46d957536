// Package notify tells a person of trouble by one POST to an address of theirs: a webhook of Slack, of Discord, or anything
// that takes JSON.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	defaultTimeout = 15 * time.Second
	maxLines       = 10   // of one message
	maxLine        = 180  // characters: ten lines fit into the 2,000 that Discord takes
	maxAnswer      = 4096 // bytes of an answer that are read so that the connection can be used again
)

// Options make a sender. URL is required and never shown.
type Options struct {
	URL       adapters.Secret
	Private   bool              // its name may lead to a private address
	Timeout   time.Duration     // of one message, 0 = 15 s
	Transport http.RoundTripper // nil = rest.NewTransport
}

// Sender sends messages. Safe for concurrent use.
type Sender struct {
	url  adapters.Secret
	http *http.Client
}

// New returns a sender.
func New(o Options) *Sender {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Transport == nil {
		base, err := url.Parse(o.URL.Reveal())
		if err != nil {
			base = &url.URL{} // which Send reports
		}
		o.Transport = rest.NewTransport(base, o.Private)
	}
	return &Sender{url: o.URL, http: &http.Client{
		Transport: o.Transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// message is the body. Slack shows text, Discord content; who reads by program finds the parts in notices.
type message struct {
	Event    string   `json:"event"` // of the only notice, else "several"
	Pipeline string   `json:"pipeline"`
	At       string   `json:"at"` // RFC 3339, UTC: the newest
	Text     string   `json:"text"`
	Content  string   `json:"content"`
	Mentions mentions `json:"allowed_mentions"`
	Notices  []notice `json:"notices"`
}

// mentions tells Discord to call nobody, whatever a text holds.
type mentions struct {
	Parse []string `json:"parse"`
}

type notice struct {
	Event    string `json:"event"`
	Pipeline string `json:"pipeline"`
	At       string `json:"at"`
	Text     string `json:"text"`
}

// Send sends notices as one message. Errors are *adapters.Error and do not show the address.
func (s *Sender) Send(ctx context.Context, ns []adapters.Notice) error {
	body, err := json.Marshal(compose(ns))
	if err != nil {
		return fail(adapters.Permanent, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return fail(adapters.NeedsHuman, errors.New("SUMBI_NOTIFY_URL is no address; correct it")) // err shows it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sumbi")
	resp, err := s.http.Do(req)
	if err != nil {
		return fail(adapters.Temporary, reason(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 != 2 {
		return fail(adapters.Temporary, fmt.Errorf("status %d; check SUMBI_NOTIFY_URL if it stays so", resp.StatusCode))
	}
	return nil
}

// Reach asks the address for its head only, and returns the status of the answer: most webhooks accept nothing but POST, so that
// any says that the host is there. Errors are *adapters.Error and do not show the address.
func (s *Sender) Reach(ctx context.Context) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.url.Reveal(), nil)
	if err != nil {
		return 0, fail(adapters.NeedsHuman, errors.New("SUMBI_NOTIFY_URL is no address; correct it")) // err shows it
	}
	req.Header.Set("User-Agent", "sumbi")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, fail(adapters.Temporary, reason(err))
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// reason says why there was no answer, without the address that net/http and net put into their texts.
func reason(err error) error {
	if e, ok := errors.AsType[*adapters.Error](err); ok && e.Reason == adapters.ReasonPath {
		return errors.New("its host name leads to a private address; set allow_private = true when it is meant")
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("its host name cannot be looked up (%s)", e.Err)
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("cannot be reached: %w", e)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errors.New("no answer in time")
	}
	return errors.New("no answer")
}

func fail(kind adapters.Kind, err error) error {
	return &adapters.Error{Kind: kind, Upstream: "notify", Err: err}
}

func compose(ns []adapters.Notice) message {
	m := message{Mentions: mentions{Parse: []string{}}}
	var lines []string
	var newest time.Time
	for _, n := range ns {
		text := plain(n.Text)
		m.Notices = append(m.Notices, notice{n.Event, n.Pipeline, n.At.UTC().Format(time.RFC3339), text})
		lines = append(lines, text)
		if n.At.After(newest) {
			newest = n.At
		}
	}
	m.At = newest.UTC().Format(time.RFC3339)
	if len(ns) == 1 {
		m.Event, m.Pipeline = ns[0].Event, ns[0].Pipeline
	} else {
		m.Event = "several"
	}
	if more := len(lines) - maxLines; more > 0 {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more; `sumbi status` shows them", more))
	}
	m.Text = "sumbi: " + strings.Join(lines, "\n")
	m.Content = m.Text
	return m
}

// plain makes one short line of a text that may come from outside, without what Slack reads as a call or a link.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '<':
			return '‹'
		case r == '>':
			return '›'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxLine {
		return string(r[:maxLine-1]) + "…"
	}
	return s
}
