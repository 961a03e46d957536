package instagram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	headerReset = "X-Ratelimit-Requests-Reset"
	quotaPause  = time.Hour // when the gateway does not say when the quota is renewed
)

// Classify reads an answer that is not 2xx, for rest.Options. The gateway and the provider behind it share statuses and
// differ by their texts: a 429 is too many calls in a second or the quota of a month, a 404 a wrong path or an account
// that is gone.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	said := messageOf(status, body)
	text := strings.ToLower(said)
	e := fail(adapters.Permanent, "", errors.New(said))
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind, e.Reason = adapters.Throttled, adapters.ReasonRate
		if strings.Contains(text, "quota") {
			e.Reason, e.After = adapters.ReasonQuota, untilReset(h)
		}
	case status == http.StatusUnauthorized:
		e.Kind, e.Reason = adapters.Unauthorized, adapters.ReasonKey
	case status < 400 || status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		return nil
	case isHTML(h, body): // from something between the gateway and the provider
		e.Kind = adapters.Temporary
	case strings.Contains(text, "private"):
		e.Reason = adapters.ReasonPrivate
	case status == http.StatusForbidden:
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPlan
	case status == http.StatusNotFound && isPath(text):
		e.Reason = adapters.ReasonPath
		// Not every provider of the family has /info. It is asked only to look behind a 404, and must not stop the key.
		if !strings.Contains(text, "/info") {
			e.Kind = adapters.NeedsHuman
		}
	case status == http.StatusNotFound:
		e.Reason = adapters.ReasonGone
	}
	return e
}

// isPath recognises the gateway's own 404.
func isPath(text string) bool {
	return strings.Contains(text, "endpoint") || strings.Contains(text, "api doesn't exist")
}

func isHTML(h http.Header, body []byte) bool {
	return strings.Contains(h.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

func untilReset(h http.Header) time.Duration {
	if d := rest.Until(h.Get(headerReset), h, time.Now()); d > 0 {
		return d
	}
	return quotaPause
}

// refusal returns what a 2xx answer without posts means; nil when it is a page.
func (a *answer) refusal() error {
	switch {
	case len(a.items) > 0:
		return nil
	case a.skipped > 0:
		return fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("none of %d items has an id", a.skipped))
	case bool(a.user.IsPrivate):
		return fail(adapters.Permanent, adapters.ReasonPrivate, errors.New("the account is private"))
	case a.listed, a.counted && a.said() == "":
		return nil // a list without anything may come without items
	}
	said := rest.Describe(http.StatusOK, []byte(a.said()))
	text := strings.ToLower(said)
	switch {
	case strings.Contains(text, "private"):
		return fail(adapters.Permanent, adapters.ReasonPrivate, errors.New(said))
	case strings.Contains(text, "not found"), strings.Contains(text, "not exist"), strings.Contains(text, "n't exist"):
		return fail(adapters.Permanent, adapters.ReasonGone, errors.New(said))
	default:
		return fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("the answer has no data.items: %s", said))
	}
}

// settle decides what a refusal means for the list it was met in.
func (s *Source) settle(ctx context.Context, account string, cursor adapters.Cursor, err error) error {
	e, ok := errors.AsType[*adapters.Error](err)
	if !ok || e.Kind != adapters.Permanent {
		return err
	}
	if cursor != "" {
		// The first page was there: more likely than the account, the token has ended.
		return fail(adapters.Permanent, adapters.ReasonCursor, fmt.Errorf("the page is refused: %w", e.Err))
	}
	if e.Reason == adapters.ReasonGone {
		return s.ask(ctx, account, e)
	}
	return err
}

// ask looks at the profile of an account that was called gone: providers say so too when it is private, or when they
// are blocked themselves.
func (s *Source) ask(ctx context.Context, account string, gone *adapters.Error) error {
	profile, err := s.get(ctx, "/info", url.Values{"username_or_id_or_url": {account}})
	if err != nil {
		e, ok := errors.AsType[*adapters.Error](err)
		switch {
		case !ok || e.Kind != adapters.Permanent:
			return err
		case e.Reason == adapters.ReasonPrivate:
			return e
		default:
			return gone
		}
	}
	u := profile.user
	switch {
	case bool(u.IsPrivate):
		return fail(adapters.Permanent, adapters.ReasonPrivate, fmt.Errorf("the account is private: %w", gone.Err))
	case u.Username.text != "" || u.ID.text != "":
		return fail(adapters.Temporary, "", fmt.Errorf("the profile is there, its posts are not: %w", gone.Err))
	}
	if e, ok := errors.AsType[*adapters.Error](profile.refusal()); ok && e.Reason == adapters.ReasonPrivate {
		return e
	}
	return gone
}
