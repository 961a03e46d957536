package kakao

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// The codes of the platform that say more than their status.
const (
	codeQuota       = "-10"
	codeKey         = "-401"
	codeMaintenance = "-9798"
)

const (
	unclear     = 30 * time.Second // after a refusal that may mean the moment or the day
	maintenance = 10 * time.Minute // it takes hours: few looks, so that they do not use up the attempts
)

// Classify reads an answer that is not 2xx, with either error body; it is meant for rest.Options. It returns nil for what
// Kakao does not define, which leaves it to rest.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	var f fault
	_ = json.Unmarshal(body, &f) // what is of another type leaves the rest readable
	e := classify(status, f)
	if e == nil || (e.Kind != adapters.Throttled && e.Kind != adapters.Temporary) {
		return e
	}
	if e.Reason == adapters.ReasonQuota {
		e.After = rest.UntilTomorrow(rest.UpstreamNow(h, time.Now()))
	}
	after := rest.RetryAfter(h, time.Now())
	if status == http.StatusTooManyRequests && after > 0 && string(f.Code) != codeQuota {
		e.Reason, e.After = adapters.ReasonRate, after // a day is not told in a header
	}
	if e.Kind == adapters.Temporary {
		e.After = max(e.After, after)
	}
	return e
}

func classify(status int, f fault) *adapters.Error {
	code := string(f.Code)
	text := cmp.Or(f.Message, f.Msg)
	is := func(kind adapters.Kind, reason, hint string) *adapters.Error {
		return &adapters.Error{Kind: kind, Reason: reason, Upstream: upstream, Err: rest.Sentence(status, cmp.Or(f.ErrorType, code), text, hint)}
	}
	switch {
	case code == codeQuota: // also with status 400
		return is(adapters.Throttled, adapters.ReasonQuota, "the calls of the day or the month are used up")
	case status == http.StatusTooManyRequests:
		// Kakao's FAQ names this status for a used-up quota, but does not show the body; a short pause is right for both meanings.
		e := is(adapters.Throttled, adapters.ReasonRate, "too many calls, or the calls of the day are used up")
		e.After = unclear
		return e
	case status == http.StatusUnauthorized, code == codeKey:
		return is(adapters.Unauthorized, adapters.ReasonKey, "KAKAO_REST_API_KEY must be the REST API key, not the JavaScript key")
	case strings.Contains(text, "OPEN_MAP_AND_LOCAL"):
		return is(adapters.NeedsHuman, adapters.ReasonPlan, "switch Kakao Map on for this app in the console of developers.kakao.com")
	case status == http.StatusForbidden:
		return is(adapters.NeedsHuman, adapters.ReasonPlan, "the app may not make this call: look at its settings in developers.kakao.com")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return is(adapters.NeedsHuman, adapters.ReasonPath, "look at base_url of [kakao]")
	case code == codeMaintenance:
		e := is(adapters.Temporary, "maintenance", "")
		e.After = maintenance
		return e
	case status >= 500:
		return is(adapters.Temporary, "", "")
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusRequestURITooLong:
		return is(adapters.Permanent, adapters.ReasonInvalid, "")
	case status == http.StatusOK && (code != "" || text != ""):
		return is(adapters.Temporary, "", "")
	default:
		return nil
	}
}
