package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	codeTokenLimit = "token_limit_exceeded"
	maxMessage     = 500 // characters of a message that are kept
)

// limitText finds the number in "Limit: 900,000 enqueued tokens".
var limitText = regexp.MustCompile(`(?i)limit:\s*([0-9][0-9,_]*)`)

// APIError is what OpenAI itself says of a call that it refused. Status is the HTTP status.
type APIError struct {
	Status                     int
	Type, Code, Param, Message string
}

func (e *APIError) Error() string {
	s := "no status"
	if e.Status != 0 {
		s = strings.TrimSpace(strconv.Itoa(e.Status) + " " + cmp.Or(e.Code, http.StatusText(e.Status)))
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

func (e *APIError) tokenLimit() bool {
	return e.Code == codeTokenLimit || e.Type == codeTokenLimit ||
		strings.HasPrefix(e.Message, "Enqueued token limit reached")
}

// Classify reads an answer that is not 2xx; it is meant for rest.Options. The cause is always an *APIError.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	api := &APIError{Status: status}
	var b errorBody
	told := json.Unmarshal(body, &b) == nil && b.Error != nil
	if told {
		api.Type, api.Code = short(b.Error.Type), short(b.Error.Code)
		api.Param, api.Message = short(b.Error.Param), short(b.Error.Message)
	}
	e := &adapters.Error{Upstream: upstream, Err: api}
	switch {
	case status == http.StatusUnauthorized:
		api.Message = "the key is not accepted: look at OPENAI_API_KEY" // theirs repeats a part of the key
		e.Kind, e.Reason = adapters.Unauthorized, adapters.ReasonKey
	case status >= 500, status == http.StatusRequestTimeout:
		e.Kind, e.After = adapters.Temporary, rest.RetryAfter(h, time.Now())
	case api.tokenLimit():
		e.Kind, e.Reason = adapters.Throttled, adapters.ReasonTokenLimit
		e.After = rest.RetryAfter(h, time.Now())
	case api.Code == "model_not_found":
		e.Kind, e.Reason = adapters.NeedsHuman, "model"
	case api.says("insufficient_quota"), api.says("billing_hard_limit_reached"),
		status == http.StatusPaymentRequired, status == http.StatusForbidden:
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPlan
	case status == http.StatusTooManyRequests:
		e.Kind, e.Reason = adapters.Throttled, adapters.ReasonRate
		e.After = rest.RetryAfter(h, time.Now())
	case status == http.StatusNotFound && (!told || strings.HasPrefix(api.Message, "Invalid URL")):
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPath
	case status == http.StatusNotFound, status == http.StatusGone:
		e.Kind, e.Reason = adapters.Permanent, adapters.ReasonGone
	case status >= 400:
		e.Kind = adapters.Permanent
	default: // a redirect that nobody followed
		e.Kind, e.Reason = adapters.NeedsHuman, adapters.ReasonPath
	}
	return e
}

func (e *APIError) says(what string) bool { return e.Code == what || e.Type == what }

// tokenLimit reads the limit out of a refusal for too many enqueued tokens; 0 when it names none.
func tokenLimit(code, message string) int64 {
	if code != codeTokenLimit && !strings.HasPrefix(message, "Enqueued token limit reached") {
		return 0
	}
	m := limitText.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.NewReplacer(",", "", "_", "").Replace(m[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// unsure marks the error of a call that is not safe to repeat, unless it is certain that the call had no effect. rest has
// marked what was lost on the way; an answer of 5xx and a context that ended in between leave it open, too.
func unsure(err error) error {
	if _, ok := errors.AsType[*adapters.Error](err); !ok {
		return unknown(err)
	}
	if api, ok := errors.AsType[*APIError](err); ok && (api.Status >= 500 || api.Status == http.StatusRequestTimeout) {
		return unknown(err)
	}
	return err
}

// unknown is err with ReasonUnknown.
func unknown(err error) error {
	marked := adapters.Error{Upstream: upstream, Err: err}
	if e, ok := errors.AsType[*adapters.Error](err); ok {
		marked = *e
	}
	marked.Reason = adapters.ReasonUnknown
	return &marked
}

// failed classifies an error of an upstream call, where rest has not done it: an answer that is not what it should be.
func failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*adapters.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &adapters.Error{Kind: adapters.Temporary, Upstream: upstream, Err: fmt.Errorf("%s: %w", what, err)}
}

// invalid is an error of ours, found before any call.
func invalid(format string, args ...any) *adapters.Error {
	return &adapters.Error{
		Kind: adapters.Permanent, Reason: adapters.ReasonInvalid, Upstream: upstream, Err: fmt.Errorf(format, args...),
	}
}

// short cuts a message that would fill a screen.
func short[S ~string](s S) string { return rest.OneLine(string(s), maxMessage) }
