package naver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	rateHold = time.Second
)

// Classify reads an answer that is not 2xx, in either dialect; it is meant for rest.Options. It returns nil for what Naver
// does not define, which leaves it to rest.
func Classify(status int, h http.Header, body []byte) *adapters.Error {
	e := classify(status, parse(body))
	if e != nil && e.Reason == adapters.ReasonQuota {
		e.After = rest.UntilTomorrow(rest.UpstreamNow(h, time.Now()))
	}
	if e != nil && (e.Reason == adapters.ReasonRate || e.Kind == adapters.Temporary) {
		e.After = max(e.After, rest.RetryAfter(h, time.Now()))
	}
	return e
}

// parse reads an error body of any shape; what it cannot read is an empty fault.
func parse(body []byte) fault {
	var f fault
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return parseXML(body)
	}
	_ = json.Unmarshal(body, &f) // what is of another type leaves the rest readable
	return f
}

// parseXML takes errorCode and errorMessage wherever they stand.
func parseXML(body []byte) fault {
	var f fault
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Strict = false
	name := ""
	for {
		t, err := dec.Token()
		if err != nil {
			return f
		}
		switch t := t.(type) {
		case xml.StartElement:
			name = t.Name.Local
		case xml.EndElement:
			name = ""
		case xml.CharData:
			switch name {
			case "errorCode":
				f.ErrorCode = scalar(bytes.TrimSpace(t))
			case "errorMessage", "message":
				f.ErrorMessage = string(bytes.TrimSpace(t))
			}
		}
	}
}

// classify decides by code first: one status stands for several things. Codes of the gateway mean something only with their
// status, for they look like statuses themselves.
func classify(status int, f fault) *adapters.Error {
	code, text := string(f.ErrorCode), cmp.Or(f.ErrorMessage, f.Message)
	if f.Error != nil {
		code, text = cmp.Or(code, string(f.Error.ErrorCode)), cmp.Or(text, f.Error.ErrorMessage, f.Error.Message)
	}
	is := func(kind adapters.Kind, reason, hint string) *adapters.Error {
		return &adapters.Error{Kind: kind, Reason: reason, Upstream: upstream, Err: rest.Sentence(status, code, text, hint)}
	}
	switch {
	case code == "010", status == http.StatusTooManyRequests && code == "400":
		return is(adapters.Throttled, adapters.ReasonQuota, "the calls of the day are used up")
	case code == "012", status == http.StatusTooManyRequests:
		e := is(adapters.Throttled, adapters.ReasonRate, "")
		e.After = rateHold
		return e
	case code == "SE99", status >= 500:
		return is(adapters.Temporary, "", "")
	case status == http.StatusUnauthorized, code == "024":
		return unauthorized(is, code, text)
	case status == http.StatusForbidden:
		return is(adapters.NeedsHuman, adapters.ReasonPlan,
			"the call is not allowed: base_url must be https, and the local search be switched on for the application")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone, code == "SE05":
		return is(adapters.NeedsHuman, adapters.ReasonPath, "look at base_url and dialect of [naver]")
	case code == "SE02", code == "SE03", code == "SE04": // whatever the words are
		return is(adapters.NeedsHuman, adapters.ReasonPath, "the search takes other parameters than this sumbi sends: is there a newer one?")
	case strings.HasPrefix(code, "SE"), status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return is(adapters.Permanent, adapters.ReasonInvalid, "")
	case status == http.StatusOK && (code != "" || text != ""):
		return is(adapters.Temporary, "", "")
	default:
		return nil
	}
}

// unauthorized tells a wrong key from one that is not meant for this search: the person who reads it does other things.
func unauthorized(is func(adapters.Kind, string, string) *adapters.Error, code, text string) *adapters.Error {
	switch {
	case code == "210":
		return is(adapters.Unauthorized, adapters.ReasonPlan, "switch the local search on for this application of NAVER API HUB")
	case strings.Contains(text, "활성화"):
		return is(adapters.Unauthorized, adapters.ReasonPlan, "add the Search API to this application of developers.naver.com")
	case strings.Contains(text, "Not Exist Client ID"):
		return is(adapters.Unauthorized, adapters.ReasonKey, "the client id is unknown here: "+
			`keys of NAVER API HUB need dialect = "hub", keys of developers.naver.com dialect = "legacy"`)
	default:
		return is(adapters.Unauthorized, adapters.ReasonKey, "look at NAVER_CLIENT_ID, NAVER_CLIENT_SECRET and dialect of [naver]")
	}
}
