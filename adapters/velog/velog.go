// Package velog reads a velog user's posts and their statistics through velog's own GraphQL servers, as the user: each call
// carries the session of the user whose posts it asks for, and of nobody else.
package velog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	upstream = "velog"

	// ListPosts is a user's published posts, private ones included, newest first.
	ListPosts = "posts"
	// ListStats is the statistics of the post that Query.Of names.
	ListStats = "stats"

	// StreamPost is the stream of the records of ListPosts, in the form of Post.
	StreamPost = "velog_post"
	// StreamStats is the stream of the records of ListStats, in the form of Stats. Their key is the post's.
	StreamStats = "velog_stats"

	// DialectV2 asks the older server for posts.
	DialectV2 = "v2"
	// DialectV3 asks the newer server for posts.
	DialectV3 = "v3"

	// MaxPages is how many pages a list of posts may have.
	MaxPages = 100

	path     = "/graphql"
	perPage  = 50        // the servers give no more
	slowWait = time.Hour // what the database could not count a moment ago, it cannot count now
)

// The names in Credential.Values. The first two are the cookies of the same names and secret; the others are who velog said
// that the session belongs to.
const (
	AccessToken  = "access_token"
	RefreshToken = "refresh_token"
	UserID       = "user_id"
	Username     = "username"
)

// Options make a Source. V2 and V3 are required; they are made with Classify and may share a Limit.
type Options struct {
	V2 *rest.Client // statistics, and posts in its dialect. It may be the cache in front of the server: no refresh token goes there
	V3 *rest.Client // the session's user and its renewal, and posts in its dialect

	Posts string           // DialectV2 or DialectV3, which server is asked for posts; "" is DialectV3
	Slow  time.Duration    // pause after statistics that took the upstream too long; 0 is an hour
	Now   func() time.Time // nil is time.Now
}

// Source reads posts and statistics and renews sessions. It is safe for concurrent use.
type Source struct {
	v2, v3 *rest.Client
	posts  string
	slow   time.Duration
	now    func() time.Time
}

var (
	_ adapters.Source        = (*Source)(nil)
	_ adapters.Authenticator = (*Source)(nil)
)

// New returns a Source. It panics without its clients or with a dialect that does not exist.
func New(o Options) *Source {
	if o.V2 == nil || o.V3 == nil {
		panic("velog: New needs V2 and V3")
	}
	s := &Source{v2: o.V2, v3: o.V3, posts: cmp.Or(o.Posts, DialectV3), slow: cmp.Or(o.Slow, slowWait), now: o.Now}
	if s.posts != DialectV2 && s.posts != DialectV3 {
		panic("velog: unknown dialect " + o.Posts)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Limit returns the pace of all calls to velog together: perSecond in any second, 0 without a bound. It carries no credential:
// sessions belong to users.
func Limit(perSecond float64, mem rest.Memory) *rest.Limit {
	return rest.NewLimit(rest.LimitOptions{Name: upstream, PerSecond: perSecond, Memory: mem})
}

// Fetch returns one page of the posts of the user q.Target, or the statistics of the post q.Of of that user. It needs
// q.Credential, as Authenticate returned it, and makes no call with one that is not q.ID's.
//
// A session that is due is renewed before the page is asked for; whatever renewed it, Page.Credential is the new one. It may
// come with an error, too. A session that velog does not know any more is an error of the kind NeedsHuman with the reason login.
//
// Posts that were made in the same instant are all listed. When the upstream begins again at the top, as it does when the post
// that a cursor names is gone, or repeats itself otherwise, the error is Permanent with the reason cursor.
func (s *Source) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	if q.List != ListPosts && q.List != ListStats {
		return adapters.Page{}, fail(adapters.Permanent, "", fmt.Errorf("there is no list %q, only posts and stats", q.List))
	}
	if q.List == ListStats && q.Of == "" {
		return adapters.Page{}, fail(adapters.Permanent, "", errors.New("statistics of which post is not said"))
	}
	at, err := parsePlace(q.Cursor)
	if err != nil {
		return adapters.Page{}, err
	}
	c, err := s.open(q)
	if err != nil {
		return adapters.Page{}, err
	}
	// Without a session the lists answer too, but private posts are missing in them: it is made sure of first.
	if c.due(s.now()) || !c.doubted.IsZero() || c.username == "" || (q.List == ListPosts && q.Cursor == "") {
		if err := s.verify(ctx, c); err != nil {
			return c.page(), err
		}
	}
	p, err := s.fetch(ctx, q, at, c)
	if err != nil && refusesSession(err) {
		p, err = s.again(ctx, q, at, c, err)
	}
	renewed := c.page()
	if err != nil {
		return renewed, err
	}
	p.Credential, p.ID, p.Name = renewed.Credential, c.userID, c.username
	return p, nil
}

// Authenticate asks velog whose session have is, and renews it when it is due. Only what velog itself says counts: the texts of
// a token prove nothing. When have says which user it is, that must be so; else target must be the user's name or id, or empty
// for a session of anybody. Both tokens must be good: the refresh token is shown alone, and so the session is renewed.
//
// The error is of the kind NeedsHuman with the reason login when the session has ended, and then have is returned, or when it is
// somebody else's, and then no credential is returned, so that nothing of it is kept.
func (s *Source) Authenticate(ctx context.Context, target string, have adapters.Credential) (adapters.Credential, error) {
	return s.know(ctx, target, have, s.prove)
}

// Known is Authenticate for a session that was accepted before: it is renewed only when it is due.
func (s *Source) Known(ctx context.Context, target string, have adapters.Credential) (adapters.Credential, error) {
	return s.know(ctx, target, have, func(context.Context, *session) error { return nil })
}

func (s *Source) know(ctx context.Context, target string, have adapters.Credential, prove func(context.Context, *session) error) (adapters.Credential, error) {
	c, err := s.open(adapters.Query{Target: target, Credential: have})
	if err != nil {
		return adapters.Credential{}, err
	}
	if err = s.verify(ctx, c); err == nil {
		err = prove(ctx, c)
	}
	switch {
	case err == nil:
		return c.credential(), nil
	case c.foreign:
		return adapters.Credential{}, err
	}
	return have, err
}

// Reach asks velog who is logged in without any session: nobody, says a velog that answers.
func (s *Source) Reach(ctx context.Context) error {
	var data struct {
		User *user `json:"currentUser"`
	}
	_, err := s.call(ctx, s.v3, &session{}, currentUser(), &data)
	if err == nil && data.User != nil {
		return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("velog says that somebody is logged in where no session was sent"))
	}
	return err
}

func (s *Source) fetch(ctx context.Context, q adapters.Query, at place, c *session) (adapters.Page, error) {
	if q.List == ListStats {
		return s.stats(ctx, q, c)
	}
	return s.list(ctx, q, at, c)
}

// again looks behind a refusal of a session, once: velog says "not yours" of a foreign post and to a session that has ended.
func (s *Source) again(ctx context.Context, q adapters.Query, at place, c *session, refusal error) (adapters.Page, error) {
	before := c.access
	if err := s.verify(ctx, c); err != nil {
		return adapters.Page{}, err
	}
	if c.access != before { // the old one may have been what was refused
		p, err := s.fetch(ctx, q, at, c)
		if err == nil || !refusesSession(err) {
			return p, err
		}
	}
	if q.List == ListStats {
		return adapters.Page{}, fail(adapters.Permanent, adapters.ReasonPrivate, fmt.Errorf("the post %s is not this user's any more", name(q.Of)))
	}
	e := adapters.Classify(refusal)
	return adapters.Page{}, fail(adapters.Permanent, "", fmt.Errorf("velog knows the session and refuses its posts: %w", e.Err))
}

// call sends one operation and decodes data into out. The answer may change the session.
func (s *Source) call(ctx context.Context, client *rest.Client, c *session, o operation, out any) (http.Header, error) {
	if c.called && c.still != nil {
		if err := c.still(ctx); err != nil {
			return nil, err
		}
	}
	c.called = true
	sent, err := json.Marshal(o)
	if err != nil {
		return nil, fail(adapters.Permanent, "", fmt.Errorf("operation %s: %w", o.Name, err))
	}
	req, err := client.NewRequest(ctx, http.MethodPost, path, nil, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if c.access != "" {
		req.Header.Set("Cookie", c.cookies(client == s.v3))
	}
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*adapters.Error](err); ok {
			e.Reason = o.failed(e.Reason)
			switch e.Reason {
			case adapters.ReasonUnknown:
				e.Reason = "" // a question that may have been answered is asked again
			case adapters.ReasonSlow:
				e.After = s.slow
			}
		}
		return nil, err
	}
	defer resp.Body.Close()
	if err := c.receive(resp.Header, s.now()); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	a, ok := decode(body)
	if !ok {
		return nil, fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("%s: the answer is not the JSON expected", o.Name))
	}
	if len(a.Errors) > 0 {
		return resp.Header, s.refusal(http.StatusOK, o, a.Errors)
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		// What it says of values could quote them.
		return nil, fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("%s: the data is not as expected", o.Name))
	}
	return resp.Header, nil
}

// stats fetches the statistics of one post.
func (s *Source) stats(ctx context.Context, q adapters.Query, c *session) (adapters.Page, error) {
	var data struct {
		Stats *statsData `json:"getStats"`
	}
	h, err := s.call(ctx, s.v2, c, getStats(q.Of), &data)
	if err != nil {
		return adapters.Page{}, err
	}
	if data.Stats == nil {
		return adapters.Page{}, fail(adapters.Temporary, adapters.ReasonFailed, fmt.Errorf("the answer has no statistics of the post %s", name(q.Of)))
	}
	r := adapters.Record{Stream: StreamStats, Key: q.Of, Owner: q.Target, Time: asOf(h, s.now()), Data: encode(data.Stats.stats(q.Of))}
	return adapters.Page{Records: []adapters.Record{r}, Newest: r.Time}, nil
}

// asOf is when the upstream made an answer, by its own clock: a cache says how long it has kept it.
func asOf(h http.Header, now time.Time) time.Time {
	age := rest.Until(h.Get("Age"), h, now)
	return rest.UpstreamNow(h, now).Add(-age).UTC().Truncate(time.Second)
}

func fail(kind adapters.Kind, reason string, err error) *adapters.Error {
	return &adapters.Error{Kind: kind, Reason: reason, Upstream: upstream, Err: err}
}

// name is a text from outside as an error may show it.
func name(s string) string { return rest.OneLine(s, 60) }

// encode writes v as people read it in the state file.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // structs of texts, numbers and flags always encode
	return bytes.TrimSpace(b.Bytes())
}

// bare is the name of a user as velog has it.
func bare(target string) string { return strings.TrimPrefix(strings.TrimSpace(target), "@") }
