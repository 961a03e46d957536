// Package instagram reads the posts and reels of accounts through a RapidAPI scraper of the instagram-scraper-api2
// family: username_or_id_or_url and pagination_token go in, data.items comes out.
package instagram

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	upstream = "instagram"

	// ListPosts is the profile grid. It neither contains the reels nor is contained in them.
	ListPosts = "posts"
	// ListReels is the tab of reels.
	ListReels = "reels"

	// StreamPost is the stream of every record, whichever list it came from.
	StreamPost = "post"

	headerKey  = "X-Rapidapi-Key"
	headerHost = "X-Rapidapi-Host"
)

// Options make a source. Client is required; it is made with Classify and, for keys, with Limits.
type Options struct {
	BaseURL string       // what Client was made with: its host is the default of Host
	Host    string       // x-rapidapi-host, when that is not the host of BaseURL
	Client  *rest.Client // /posts, /reels and /info are below its base URL
}

// Source fetches pages of posts and reels. Safe for concurrent use.
type Source struct {
	client *rest.Client
	host   string
}

var _ adapters.Source = (*Source)(nil)

// New returns a source.
func New(o Options) *Source {
	return &Source{client: o.Client, host: HostOf(o.BaseURL, o.Host)}
}

// HostOf returns host, or when that is empty the host of baseURL.
func HostOf(baseURL, host string) string {
	if host != "" {
		return host
	}
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Limits returns one limit a key, named instagram/1 and so on. Each allows perSecond calls in any second, 0 without a bound.
func Limits(keys []adapters.Secret, host string, perSecond float64, mem rest.Memory) []*rest.Limit {
	limits := make([]*rest.Limit, len(keys))
	for i, key := range keys {
		h := http.Header{headerKey: {key.Reveal()}}
		if host != "" {
			h.Set(headerHost, host)
		}
		limits[i] = rest.NewLimit(rest.LimitOptions{
			Name: upstream + "/" + strconv.Itoa(i+1), PerSecond: perSecond, Header: h, Memory: mem,
		})
	}
	return limits
}

// Fetch returns one page of q.List of the account q.Target: every record is a post in the form of Post. Page.Total is known
// for posts only. Errors that end a list are Permanent with the reason gone, private or cursor.
//
// An account that is not found by its name, or whose name belongs to somebody else by now, is asked for once more by q.ID.
func (s *Source) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	if q.List != ListPosts && q.List != ListReels {
		return adapters.Page{}, fail(adapters.Permanent, "", fmt.Errorf("there is no list %q, only posts and reels", q.List))
	}
	account, err := Account(q.Target)
	if err != nil {
		return adapters.Page{}, fail(adapters.Permanent, "", err)
	}
	whom := account
	if q.ByID && q.ID != "" {
		whom = q.ID
	}
	answer, err := s.list(ctx, q, whom)
	if err == nil && whom == account {
		err = answer.stranger(account, q.ID)
	}
	lost, _ := errors.AsType[*adapters.Error](err)
	if lost != nil && lost.Reason == adapters.ReasonGone && q.Cursor == "" && q.ID != "" && whom != q.ID {
		whom = q.ID
		answer, err = s.list(ctx, q, whom)
	}
	if err == nil {
		return answer.page(q.List, account, whom, q.ID), nil
	}
	err = s.settle(ctx, whom, q.Cursor, err)
	if e, ok := errors.AsType[*adapters.Error](err); ok && e.Reason == adapters.ReasonGone && lost != nil {
		return adapters.Page{}, lost // what the name says is of more use than what the id says
	}
	return adapters.Page{}, err
}

// list fetches one page of the account that goes by the name or id whom.
func (s *Source) list(ctx context.Context, q adapters.Query, whom string) (*answer, error) {
	query := url.Values{"username_or_id_or_url": {whom}}
	if q.Cursor != "" {
		query.Set("pagination_token", string(q.Cursor))
	}
	answer, err := s.get(ctx, "/"+q.List, query)
	if err == nil {
		err = answer.refusal()
	}
	return answer, err
}

func (s *Source) get(ctx context.Context, path string, query url.Values) (*answer, error) {
	req, err := s.client.NewRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	if s.host != "" {
		req.Header.Set(headerHost, s.host)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a, err := decode(resp.Body)
	if err == nil {
		return a, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if e, ok := errors.AsType[*adapters.Error](err); ok {
		return nil, e
	}
	return nil, fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("GET %s: the answer is not the JSON expected: %w", req.URL.Path, err))
}

// page makes records of the items. account is what the configuration calls the account, whom what was asked for, and id its
// own id as far as it is known.
func (a *answer) page(list, account, whom, id string) adapters.Page {
	p := adapters.Page{Next: adapters.Cursor(a.next())}
	who, known := a.whose(whom)
	switch {
	case known:
		p.ID, p.Name = who.ID.text, who.name()
	case whom == id: // it answers by its id and does not say under which name
		p.ID, p.Name = id, id
	}
	if p.ID == account {
		p.Name = account // it was named by its id, whatever it is called
	}
	for i := range a.items {
		r := a.items[i].record(list)
		if r.Owner != "" && a.items[i].belongsTo(p.ID, p.Name) {
			r.Owner = account
		}
		if !r.Pinned && r.Time.After(p.Newest) {
			p.Newest = r.Time
		}
		p.Records = append(p.Records, r)
	}
	if list == ListPosts {
		p.Total = a.total(whom)
	}
	return p
}

// whose finds the user who was asked for, by name or id: beside the items, or as the author of one.
func (a *answer) whose(whom string) (user, bool) {
	is := func(u user) bool {
		return u.ID.text != "" && u.Username.text != "" && (u.ID.text == whom || u.name() == whom)
	}
	if is(a.user) {
		return a.user, true
	}
	for i := range a.items {
		for _, u := range []user{a.items[i].User, a.items[i].Owner} {
			if is(u) {
				return u, true
			}
		}
	}
	return user{}, false
}

// stranger returns an error when account is the name of another user than the one that is known by id.
func (a *answer) stranger(account, id string) error {
	who, known := a.whose(account)
	if !known || id == "" || who.ID.text == id || who.name() != account {
		return nil
	}
	return fail(adapters.Permanent, adapters.ReasonGone, fmt.Errorf("the name %s belongs to another account now (id %s, it was %s); to collect that one, put %s into accounts",
		account, who.ID.text, id, who.ID.text))
}

// total is the count of posts of the account asked for by name or id; 0 when the page does not tell. Items of co-authors count
// the posts of somebody else.
func (a *answer) total(whom string) int {
	most := 0
	for i := range a.items {
		it := &a.items[i]
		n := int(first(it.Metrics.UserMediaCount, it.UserMediaCount).or(0))
		if n <= 0 {
			continue
		}
		switch {
		case it.owner() == whom || it.User.ID.text == whom || it.Owner.ID.text == whom:
			return n
		case it.owner() == "":
			most = max(most, n)
		}
	}
	if most == 0 {
		most = int(a.user.MediaCount.or(0))
	}
	return max(0, most)
}

func fail(kind adapters.Kind, reason string, err error) *adapters.Error {
	return &adapters.Error{Kind: kind, Reason: reason, Upstream: upstream, Err: err}
}

// unix is the time of a count of seconds.
func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }
