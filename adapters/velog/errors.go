package velog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	blockedWait = 10 * time.Minute // after something in front of velog has turned us away
	cancelled   = "57014"          // PostgreSQL: the statement took too long
)

// Classify reads an answer that is not 2xx, for rest.Options. No text of an answer is shown but what velog says of a request
// that it does not accept: its errors may hold SQL with its parameters.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	a, ok := decode(body)
	switch {
	case status == http.StatusTooManyRequests:
		return fail(adapters.Throttled, adapters.ReasonRate, fmt.Errorf("status %d: too many calls", status))
	case ok && len(a.Errors) > 0:
		return refusal(status, a.Errors)
	case status == http.StatusUnauthorized:
		return fail(adapters.Unauthorized, adapters.ReasonKey, fmt.Errorf("status %d: %w", status, errBefore))
	case status < 400:
		return nil
	case status == http.StatusForbidden: // not of the servers themselves
		e := fail(adapters.Throttled, adapters.ReasonRate, fmt.Errorf("status %d: turned away before velog itself", status))
		e.After = max(blockedWait, rest.RetryAfter(h, time.Now()))
		return e
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly || isHTML(h, body):
		e := fail(adapters.Temporary, "", fmt.Errorf("status %d", status))
		e.After = rest.RetryAfter(h, time.Now())
		return e
	case status == http.StatusNotFound:
		return fail(adapters.NeedsHuman, adapters.ReasonPath, fmt.Errorf("status %d: the base URL is wrong", status))
	}
	return fail(adapters.Permanent, "", fmt.Errorf("status %d", status))
}

// errBefore is a refusal that is not in velog's own words: what stands before the servers may have made it.
var errBefore = errors.New("turned away, perhaps before velog itself")

// refusal reads the errors of an answer of any status: one server answers them all with 200.
func refusal(status int, all []graphQLError) *adapters.Error {
	e := all[0]
	for _, other := range all {
		if other.slow() {
			e = other
		}
	}
	code := text(e.Extensions, "code")
	said := fmt.Errorf("status %d", status)
	if code != "" {
		said = fmt.Errorf("status %d code %s", status, rest.OneLine(code, 40))
	}
	// The message of one that concerns the request is of use and holds nothing but our own words.
	worded := fmt.Errorf("%w: %s", said, rest.OneLine(e.Message, 120))
	switch {
	case e.slow():
		slow := fail(adapters.Temporary, adapters.ReasonSlow, fmt.Errorf("%w: the upstream's database took too long (%s)", said, cancelled))
		slow.After = slowWait
		return slow
	case code == "NO_PERMISSION", code == "UNAUTHENTICATED", code == "FORBIDDEN", status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fail(adapters.Unauthorized, adapters.ReasonKey, fmt.Errorf("%w: not this session's, or the session has ended", said))
	case code == "NOT_FOUND", status == http.StatusNotFound:
		return fail(adapters.Permanent, adapters.ReasonGone, fmt.Errorf("%w: not found", said))
	case strings.Contains(strings.ToLower(e.Message), "invalid cursor"):
		return fail(adapters.Permanent, adapters.ReasonCursor, worded)
	case code == "BAD_REQUEST", code == "BAD_USER_INPUT", code == "GRAPHQL_VALIDATION_FAILED", code == "GRAPHQL_PARSE_FAILED", status >= 400 && status < 500:
		return fail(adapters.Permanent, "", worded)
	}
	return fail(adapters.Temporary, adapters.ReasonFailed, said) // velog itself has answered
}

// refusal is the error of an operation that velog has answered.
func (s *Source) refusal(status int, o operation, all []graphQLError) error {
	e := refusal(status, all)
	if e.Reason == adapters.ReasonSlow {
		e.After = s.slow
	}
	e.Reason = o.failed(e.Reason)
	e.Err = fmt.Errorf("%s: %w", o.Name, e.Err)
	return e
}

// failed is the reason of a failure of an operation. That of a post's statistics or of a list is nobody else's; when velog cannot
// even tell whose a session is, it is away.
func (o operation) failed(reason string) string {
	if reason == adapters.ReasonFailed && o.Name == currentUser().Name {
		return ""
	}
	return reason
}

// slow says that a statement of the upstream's database was cancelled because it took too long.
func (e graphQLError) slow() bool {
	return text(e.Extensions, "exception", "code") == cancelled ||
		text(e.Extensions, "exception", "driverError", "code") == cancelled ||
		text(e.Extensions, "code") == cancelled ||
		strings.Contains(e.Message, "statement timeout")
}

// text returns the text at a path of nested objects, "" when there is none.
func text(o map[string]any, path ...string) string {
	for i, key := range path {
		switch v := o[key].(type) {
		case string:
			if i == len(path)-1 {
				return v
			}
			return ""
		case map[string]any:
			o = v
		default:
			return ""
		}
	}
	return ""
}

// decode reads the envelope of an answer: one JSON object with data or errors.
func decode(body []byte) (response, bool) {
	var a response
	if err := json.Unmarshal(body, &a); err != nil {
		return a, false
	}
	return a, len(a.Errors) > 0 || (len(a.Data) > 0 && !bytes.Equal(a.Data, []byte("null")))
}

// refusesSession says that velog would not answer this session.
func refusesSession(err error) bool {
	e, ok := errors.AsType[*adapters.Error](err)
	return ok && e.Kind == adapters.Unauthorized
}

func isHTML(h http.Header, body []byte) bool {
	return strings.Contains(h.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}
