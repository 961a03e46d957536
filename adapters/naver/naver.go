// Package naver is the local search of Naver: places by words, at most five of them and no second page. It speaks two
// dialects: NAVER API HUB, and the Search API of developers.naver.com, which takes no new keys and ends in June 2027.
package naver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// The dialects. A key of one is unknown to the other.
const (
	Hub    = "hub"    // https://naverapihub.apigw.ntruss.com
	Legacy = "legacy" // https://openapi.naver.com
)

const (
	upstream = "naver"
	display  = "5"      // the most there is; the default is 1
	byFit    = "random" // means by relevance; "comment" puts popular places of other names first
	maxQuery = 100      // characters; a name with its region has a third of that
)

var (
	tag    = regexp.MustCompile(`</?[A-Za-z][^<>]*>`)
	entity = regexp.MustCompile(`&(?:#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);`)
)

// Options say how Naver is asked. Client is required.
type Options struct {
	Client  *rest.Client
	Dialect string // Hub or Legacy; "" is Hub
}

// Finder finds places by words. It is safe for concurrent use.
type Finder struct {
	client *rest.Client
	path   string
}

// New returns a Finder. It panics without a Client or with a dialect that does not exist.
func New(o Options) *Finder {
	if o.Client == nil {
		panic("naver: New needs a Client")
	}
	f := &Finder{client: o.Client}
	switch cmp.Or(o.Dialect, Hub) {
	case Hub:
		f.path = "/search/v1/local"
	case Legacy:
		f.path = "/v1/search/local.json"
	default:
		panic("naver: unknown dialect " + o.Dialect)
	}
	return f
}

// Limit returns the pace of one key in one dialect, Hub or Legacy. The day's calls are those of all searches of the key.
func Limit(id, secret adapters.Secret, dialect string, perSecond float64, perDay int, mem rest.Memory) *rest.Limit {
	dialect = cmp.Or(dialect, Hub)
	h := http.Header{}
	if dialect == Legacy {
		h.Set("X-Naver-Client-Id", id.Reveal())
		h.Set("X-Naver-Client-Secret", secret.Reveal())
	} else {
		h.Set("X-NCP-APIGW-API-KEY-ID", id.Reveal())
		h.Set("X-NCP-APIGW-API-KEY", secret.Reveal())
	}
	return rest.NewLimit(rest.LimitOptions{
		Name: upstream + "/" + dialect, PerSecond: perSecond, PerDay: perDay, Header: h, Memory: mem,
	})
}

// Name returns "naver", the Finder of its candidates.
func (f *Finder) Name() string { return upstream }

// Find returns the places that Naver finds for query, best first, at most five; none is no error. Five may stand for
// five hundred. A query that is blank or longer than 100 characters is refused without a call.
func (f *Finder) Find(ctx context.Context, query string) ([]adapters.Candidate, error) {
	query = strings.TrimSpace(query)
	if n := utf8.RuneCountInString(query); n == 0 || n > maxQuery || !utf8.ValidString(query) {
		return nil, &adapters.Error{
			Kind: adapters.Permanent, Reason: adapters.ReasonInvalid, Upstream: upstream,
			Err: fmt.Errorf("a query has 1 to %d characters of UTF-8, not %d", maxQuery, n),
		}
	}
	var a answer
	_, err := f.client.GetJSON(ctx, f.path, url.Values{"query": {query}, "display": {display}, "sort": {byFit}}, &a)
	if err != nil {
		return nil, err
	}
	if a.Items == nil { // no place is an empty list; without a list it is no answer
		if e := classify(http.StatusOK, a.fault); e != nil {
			return nil, e
		}
		return nil, &adapters.Error{Kind: adapters.Temporary, Upstream: upstream, Err: errors.New("the answer has no items")}
	}
	found := make([]adapters.Candidate, 0, len(a.Items))
	for _, i := range a.Items {
		if c := i.candidate(); c.Name != "" {
			found = append(found, c)
		}
	}
	return found, nil
}

func (i item) candidate() adapters.Candidate {
	c := adapters.Candidate{
		Finder:      upstream,
		Name:        clean(i.Title),
		Category:    clean(i.Category),
		Address:     clean(i.Address),
		RoadAddress: clean(i.RoadAddress),
		Phone:       clean(i.Telephone),
		Link:        clean(i.Link),
	}
	c.Lat, c.Lng = position(string(i.MapX), string(i.MapY))
	return c
}

// clean removes the tags around matched words, then resolves entities, once: a name may speak of &amp; itself. An
// ampersand that begins no entity stays.
func clean(s string) string {
	return entity.ReplaceAllStringFunc(tag.ReplaceAllString(s, ""), html.UnescapeString)
}

// position reads degrees × 10,000,000. What lies outside Korea is unknown: until 2025 these were metres of another grid.
func position(x, y string) (lat, lng float64) {
	mx, errX := strconv.ParseInt(x, 10, 64)
	my, errY := strconv.ParseInt(y, 10, 64)
	if errX != nil || errY != nil {
		return 0, 0
	}
	lat, lng = float64(my)/1e7, float64(mx)/1e7
	if lng < 124 || lng > 132 || lat < 33 || lat > 39 {
		return 0, 0
	}
	return lat, lng
}
