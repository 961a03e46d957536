package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sumbi/adapters"
)

const (
	excerptLen  = 200       // bytes of an answer that an error quotes
	longTrouble = time.Hour // an upstream that asks to be left alone for longer is quoted with the time
)

// read classifies a non-2xx answer; what the client's own classifier leaves open is filled in.
func (c *Client) read(resp *http.Response, req *http.Request, body []byte) *adapters.Error {
	var e *adapters.Error
	if c.classify != nil {
		e = c.classify(resp.StatusCode, resp.Header, body)
	}
	if e == nil {
		e = Classify(resp.StatusCode, resp.Header, body)
		if e.Kind == adapters.Temporary && !safe(req.Method) && mayHaveRun(resp.StatusCode) {
			e.Reason = adapters.ReasonUnknown
		}
	}
	if e.Err == nil {
		e.Err = errors.New(Describe(resp.StatusCode, body))
	}
	e.Err = fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, e.Err)
	// How long a limit is held is told elsewhere; of trouble nobody else knows until when it is to last.
	if after := RetryAfter(resp.Header, time.Now()); e.Kind == adapters.Temporary && after > longTrouble {
		e.After = max(e.After, after)
		e.Err = fmt.Errorf("it asks to be left alone until %s: %w", time.Now().Add(after).In(korea).Format("2006-01-02 15:04 MST"), e.Err)
	}
	if e.Kind == adapters.Throttled {
		if e.After <= 0 {
			e.After = RetryAfter(resp.Header, time.Now())
		}
		if e.Reason == "" {
			e.Reason = adapters.ReasonRate
		}
	}
	return c.fail(e)
}

// Classify is the default reading of a non-2xx answer: 401 Unauthorized, 403 and a redirect that is not followed
// NeedsHuman, 404 and other 4xx Permanent, 429 Throttled, 408, 425 and 5xx Temporary; Retry-After goes into After.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	e := &adapters.Error{Kind: adapters.Permanent, Err: errors.New(Describe(status, body))}
	switch {
	case status == http.StatusUnauthorized:
		e.Kind, e.Reason = adapters.Unauthorized, adapters.ReasonKey
	case status == http.StatusForbidden:
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPlan
	case status == http.StatusTooManyRequests:
		e.Kind, e.Reason = adapters.Throttled, adapters.ReasonRate
		e.After = RetryAfter(h, time.Now())
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500, status < 300:
		e.Kind = adapters.Temporary
		e.After = RetryAfter(h, time.Now())
	case status < 400:
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPath
	}
	return e
}

// Describe returns the status and the beginning of the body on one line.
func Describe(status int, body []byte) string {
	s := "status " + strconv.Itoa(status)
	if text := excerpt(body); text != "" {
		s += ": " + text
	}
	return s
}

// RetryAfter reads the header of that name, in seconds or as a date; 0 when it is absent, unreadable or past,
// at most 32 days.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return Until(v, h, now)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(UpstreamNow(h, now))), longestQuota)
	}
	return 0
}

// firstInstant is the least number that is taken for an instant in Unix seconds: as a pause it would be three years.
const firstInstant = 1e8

// Until reads a number of a header: seconds from now, or an instant in Unix seconds by the upstream's own clock. 0 when it is
// no number or past, at most 32 days.
func Until(v string, h http.Header, now time.Time) time.Duration {
	s, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(s > 0) {
		return 0
	}
	if s >= firstInstant && s < 1e11 {
		s -= float64(UpstreamNow(h, now).Unix())
	}
	return time.Duration(min(max(s, 0), longestQuota.Seconds()) * float64(time.Second))
}

// UpstreamNow is the upstream's own clock, as its answer shows it; now where it shows none. What an upstream says of instants is
// reckoned by it: the two clocks may be hours apart.
func UpstreamNow(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

// mayHaveRun says whether an upstream that answers so may have done what it was asked.
func mayHaveRun(status int) bool {
	return status >= 500 && status != http.StatusNotImplemented && status != http.StatusServiceUnavailable
}

func excerpt(body []byte) string {
	cut := len(body) > 4*excerptLen
	if cut {
		body = body[:4*excerptLen]
	}
	s := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(body), ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(s) > excerptLen {
		n := excerptLen
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s, cut = s[:n], true
	}
	if cut {
		s += "…"
	}
	return s
}

// Sentence makes one sentence of what an upstream said: the status, its own code and text, and what to do. What is empty is
// left out.
func Sentence(status int, code, text, hint string) error {
	parts := []string{fmt.Sprintf("status %d", status)}
	if code != "" {
		parts[0] += " code " + short(code)
	}
	if text != "" {
		parts = append(parts, short(text))
	}
	if hint != "" {
		parts = append(parts, hint)
	}
	return errors.New(strings.Join(parts, ": "))
}

// short keeps a message to one line of a terminal or two.
func short(s string) string { return OneLine(s, 300) }

// OneLine returns what an upstream said as text of one line and so many characters at most, without what a terminal would obey.
func OneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
