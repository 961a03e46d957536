// Package kakao is the keyword search of Kakao Local: places by words, with a stable id and a phone number.
package kakao

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	upstream = "kakao"
	path     = "/v2/local/search/keyword.json"
	size     = "15" // the most on a page; what is not among them is not what was asked for
	maxQuery = 100  // characters; a name with its region has a third of that
)

// Options say how Kakao is asked. Client is required.
type Options struct {
	Client *rest.Client
}

// Finder finds places by words. It is safe for concurrent use.
type Finder struct {
	client *rest.Client
}

// New returns a Finder. It panics without a Client.
func New(o Options) *Finder {
	if o.Client == nil {
		panic("kakao: New needs a Client")
	}
	return &Finder{client: o.Client}
}

// Limit returns the pace of one REST API key.
func Limit(key adapters.Secret, perSecond float64, perDay int, mem rest.Memory) *rest.Limit {
	return rest.NewLimit(rest.LimitOptions{
		Name:      upstream + "/1",
		PerSecond: perSecond,
		PerDay:    perDay,
		Header:    http.Header{"Authorization": {"KakaoAK " + key.Reveal()}},
		Memory:    mem,
	})
}

// Name returns "kakao", the Finder of its candidates.
func (f *Finder) Name() string { return upstream }

// Find returns the first fifteen places that Kakao finds for query, best first; none is no error. A query that is blank
// or longer than 100 characters is refused without a call.
func (f *Finder) Find(ctx context.Context, query string) ([]adapters.Candidate, error) {
	query = strings.TrimSpace(query)
	if n := utf8.RuneCountInString(query); n == 0 || n > maxQuery || !utf8.ValidString(query) {
		return nil, &adapters.Error{
			Kind: adapters.Permanent, Reason: adapters.ReasonInvalid, Upstream: upstream,
			Err: fmt.Errorf("a query has 1 to %d characters of UTF-8, not %d", maxQuery, n),
		}
	}
	var a answer
	if _, err := f.client.GetJSON(ctx, path, url.Values{"query": {query}, "page": {"1"}, "size": {size}}, &a); err != nil {
		return nil, err
	}
	if a.Documents == nil { // no place is an empty list; without a list it is no answer
		if e := classify(http.StatusOK, a.fault); e != nil {
			return nil, e
		}
		return nil, &adapters.Error{Kind: adapters.Temporary, Upstream: upstream, Err: errors.New("the answer has no documents")}
	}
	found := make([]adapters.Candidate, 0, len(a.Documents))
	for _, d := range a.Documents {
		if d.PlaceName != "" {
			found = append(found, d.candidate())
		}
	}
	return found, nil
}

// candidate takes the texts as they are: Kakao sends neither tags nor entities.
func (d document) candidate() adapters.Candidate {
	c := adapters.Candidate{
		ID:          string(d.ID),
		Finder:      upstream,
		Name:        d.PlaceName,
		Category:    d.CategoryName,
		Address:     d.AddressName,
		RoadAddress: d.RoadAddressName,
		Phone:       d.Phone,
		Link:        d.PlaceURL,
	}
	c.Lat, c.Lng = position(string(d.X), string(d.Y))
	return c
}

// position reads degrees. What lies outside Korea is unknown.
func position(x, y string) (lat, lng float64) {
	lng, errX := strconv.ParseFloat(x, 64)
	lat, errY := strconv.ParseFloat(y, 64)
	inside := lng >= 124 && lng <= 132 && lat >= 33 && lat <= 39 // false for NaN, too
	if errX != nil || errY != nil || !inside {
		return 0, 0
	}
	return lat, lng
}
