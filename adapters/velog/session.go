package velog

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// renewAt is the life that an access token has left when it is due. Below 30 minutes velog renews it with whatever call carries
// both tokens; the minute lies between the two clocks.
const renewAt = 29 * time.Minute

// maxSkew is how far the upstream's clock may be from ours for its word alone to end a session.
const maxSkew = 10 * time.Minute

// doubted is the name in Credential.Values of the time since when the answers about a session can be read both ways.
const doubted = "doubted"

// Answers that can be read both ways end a session once they have gone on for doubtFor: a bad hour of velog's meets every user, and
// each would have to log in again. Meanwhile it is asked again after doubtWait.
const (
	doubtFor  = time.Hour
	doubtWait = 10 * time.Minute
)

// skew is how far the clock of an answer is from ours.
func skew(h http.Header, now time.Time) time.Duration {
	return rest.UpstreamNow(h, now).Sub(now).Abs()
}

const (
	maxToken   = 4 << 10      // bytes; a cookie holds no more
	lastSecond = 253402300799 // of the year 9999
)

// session is the log-in of one user during one fetch.
type session struct {
	access, refresh  string
	userID, username string    // who velog said that it is; "" unknown
	claimed          string    // the user that the tokens name, which proves nothing
	target           string    // whose it must be while userID is unknown; "" anybody's
	expires          time.Time // when it is due, by our clock; zero is now
	verified         bool      // velog has just said whose it is
	foreign          bool      // it is somebody else's
	odd              bool      // an answer set tokens that were not believed
	doubted          time.Time // since when the answers about it could be a hiccup; zero: the last one was not
	opened           adapters.Credential
	still            func(context.Context) error // adapters.Query.Still
	called           bool                        // a call was made with it
	alone            bool                        // the refresh token goes without the other
}

// open reads the session of a query. Nothing was sent yet when it refuses one.
func (s *Source) open(q adapters.Query) (*session, error) {
	v := q.Credential.Values
	c := &session{
		access: v[AccessToken], refresh: v[RefreshToken], userID: v[UserID], username: v[Username],
		target: bare(q.Target), expires: q.Credential.Expires, opened: q.Credential, still: q.Still,
	}
	if since := v[doubted]; since != "" {
		var err error
		if c.doubted, err = time.Parse(time.RFC3339, since); err != nil || c.doubted.After(s.now()) {
			c.doubted = s.now().UTC().Truncate(time.Second)
		}
	}
	if c.access == "" || c.refresh == "" {
		return nil, login("there is no session of this user: both cookies are needed, access_token and refresh_token")
	}
	a, okA := parseToken(c.access, AccessToken)
	r, okR := parseToken(c.refresh, RefreshToken)
	if !okA || !okR {
		return nil, login("what is given as a session are not velog's two tokens")
	}
	if a.UserID != r.UserID || (c.userID != "" && c.userID != a.UserID) || (q.ID != "" && q.ID != a.UserID) {
		return nil, login("the session is not this user's")
	}
	if c.userID == "" {
		c.userID = q.ID
	}
	c.claimed = a.UserID
	return c, nil
}

// due says that the session is renewed before it is used.
func (c *session) due(now time.Time) bool { return c.expires.IsZero() || !now.Before(c.expires) }

// verify asks velog whose session this is, which renews it when it is due.
func (s *Source) verify(ctx context.Context, c *session) error {
	if c.verified {
		return nil
	}
	var data struct {
		User json.RawMessage `json:"currentUser"`
	}
	before := c.access
	h, err := s.call(ctx, s.v3, c, currentUser(), &data)
	if err != nil {
		return c.refused(err, s.now())
	}
	renewed := c.access != before
	a, _ := parseToken(c.access, AccessToken)
	left := a.left(h, s.now())
	skewed := skew(h, s.now()) > maxSkew
	var who *user
	switch err := json.Unmarshal(data.User, &who); {
	case len(data.User) == 0 || err != nil:
		return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("velog does not say who the session's user is"))
	case who == nil: // velog takes the tokens away when it ends a session
		return c.doubt("velog says nobody is logged in, and has not ended the session", s.now())
	case who.ID == "" || who.Username == "":
		return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("velog does not say who the session's user is"))
	case !c.belongsTo(who):
		c.foreign = true
		return login("velog says that the session is not this user's")
	}
	// A session that is not renewed when it is due has a refresh token that velog does not accept any more.
	switch {
	case left < renewAt && !renewed && !c.odd && !skewed:
		return c.doubt("velog has not renewed the session, which is due", s.now())
	case left <= 0 && !skewed:
		return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("velog has renewed the session in a way that is not understood"))
	}
	c.keepUntil(h, s.now(), renewed)
	c.userID, c.username, c.verified, c.doubted = who.ID, who.Username, true, time.Time{}
	return nil
}

// prove shows velog the refresh token alone, which renews the session: as long as the other one lives, velog does not look at it.
func (s *Source) prove(ctx context.Context, c *session) error {
	if c.access != c.opened.Values[AccessToken] {
		return nil // the session has just been renewed with it
	}
	c.verified, c.alone = false, true
	defer func() { c.alone = false }()
	return s.verify(ctx, c)
}

// doubt is the error of an answer that may mean the end of the session and may be a hiccup: it is the end when nothing else has
// been said for doubtFor.
func (c *session) doubt(why string, now time.Time) error {
	if c.doubted.IsZero() {
		c.doubted = now.UTC().Truncate(time.Second)
	}
	left := doubtFor - now.Sub(c.doubted)
	if left <= 0 {
		return ended()
	}
	e := fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("%s; if it still says so after %s, the session has ended", why, doubtFor))
	e.After = min(left, doubtWait)
	return e
}

// refused reads an error of the question whose session it is.
func (c *session) refused(err error, now time.Time) error {
	e, ok := errors.AsType[*adapters.Error](err)
	switch {
	case !ok:
		return err
	case e.Kind == adapters.Unauthorized && !errors.Is(err, errBefore): // else it says nothing of the session
		return c.doubt("velog refuses the session", now)
	case e.Kind == adapters.Permanent && e.Reason == adapters.ReasonGone: // the question is not found, not a user
		e.Kind, e.Reason = adapters.Temporary, adapters.ReasonInvalid
		return e
	}
	return err
}

// belongsTo says whether u is the user whose session it must be.
func (c *session) belongsTo(u *user) bool {
	switch {
	case u.ID != c.claimed:
		return false
	case c.userID != "": // the same, as open has seen: under whatever name
		return true
	default:
		return c.target == "" || u.Username == c.target || u.ID == c.target
	}
}

// receive takes the session that an answer sets. It is believed when both tokens are there and name the user who was asked for;
// anything else leaves the old one.
func (c *session) receive(h http.Header, now time.Time) error {
	until := rest.UpstreamNow(h, now)
	if now.Before(until) && skew(h, now) > maxSkew {
		until = now
	}
	got, cleared := tokensOf(h, until)
	if cleared {
		return ended()
	}
	a, okA := parseToken(got[AccessToken], AccessToken)
	r, okR := parseToken(got[RefreshToken], RefreshToken)
	switch {
	case len(got) == 0:
		return nil
	case !okA || !okR || a.UserID != r.UserID || a.left(h, now) <= 0 || r.left(h, now) <= 0:
		c.odd = true
		return nil
	case a.UserID != c.claimed:
		return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("the answer carries the session of another user: nothing of it is taken"))
	}
	c.access, c.refresh = got[AccessToken], got[RefreshToken]
	c.keepUntil(h, now, true)
	return nil
}

// keepUntil reckons when the session is due. The clock that tells is the upstream's. One that has just been renewed for less than
// renewAt is good for half of that.
func (c *session) keepUntil(h http.Header, now time.Time, renewed bool) {
	a, _ := parseToken(c.access, AccessToken)
	left := a.left(h, now)
	until := left - renewAt
	if renewed {
		until = max(until, min(left, renewAt)/2)
	}
	due := now.Add(until).UTC().Truncate(time.Second)
	if shift := due.Sub(c.expires).Abs(); shift > time.Minute { // the same within the roundness of the header
		c.expires = due
	}
}

// cookies is the header of that name. The refresh token goes only where sessions are renewed.
func (c *session) cookies(renew bool) string {
	if c.alone {
		return RefreshToken + "=" + c.refresh
	}
	if renew {
		return AccessToken + "=" + c.access + "; " + RefreshToken + "=" + c.refresh
	}
	return AccessToken + "=" + c.access
}

func (c *session) credential() adapters.Credential {
	v := map[string]string{AccessToken: c.access, RefreshToken: c.refresh}
	if c.username != "" {
		v[UserID], v[Username] = c.userID, c.username
	}
	if !c.doubted.IsZero() {
		v[doubted] = c.doubted.Format(time.RFC3339)
	}
	return adapters.Credential{Values: v, Expires: c.expires}
}

// page carries the session when it is another one than before.
func (c *session) page() adapters.Page {
	now := c.credential()
	if c.foreign || now.Expires.Equal(c.opened.Expires) && maps.Equal(now.Values, c.opened.Values) {
		return adapters.Page{}
	}
	return adapters.Page{Credential: &now}
}

// tokensOf reads the tokens that an answer sets; cleared says that it takes both away. Each name may come several times, once
// for the host and once for the domain: the last value counts.
func tokensOf(h http.Header, now time.Time) (got map[string]string, cleared bool) {
	got = map[string]string{}
	gone := map[string]bool{}
	for _, ck := range (&http.Response{Header: h}).Cookies() {
		switch {
		case ck.Name != AccessToken && ck.Name != RefreshToken:
		case ck.Value == "" || ck.MaxAge < 0 || (ck.MaxAge == 0 && !ck.Expires.IsZero() && !ck.Expires.After(now)):
			gone[ck.Name] = true
		default:
			got[ck.Name] = ck.Value
		}
	}
	return got, len(got) == 0 && gone[AccessToken] && gone[RefreshToken]
}

// claims are what a token says of itself. Nobody here can check its signature.
type claims struct {
	UserID  string  `json:"user_id"`
	TokenID string  `json:"token_id"` // of a refresh token; one of velog's servers writes token_Id, which is read too
	Subject string  `json:"sub"`
	Issuer  string  `json:"iss"`
	Expires float64 `json:"exp"` // Unix seconds
}

// left is the life that the token has left when an answer was made.
func (c claims) left(h http.Header, now time.Time) time.Duration {
	return time.Unix(int64(c.Expires), 0).Sub(rest.UpstreamNow(h, now))
}

// parseToken reads a token of the given kind, which is the name of its cookie.
func parseToken(token, kind string) (claims, bool) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxToken {
		return c, false
	}
	for _, p := range parts {
		// Letters of base64 only, so that it can stand in a header.
		if _, err := base64.RawURLEncoding.DecodeString(p); p == "" || err != nil || strings.ContainsAny(p, "\r\n") {
			return c, false
		}
	}
	body, _ := base64.RawURLEncoding.DecodeString(parts[1]) // it was one a moment ago
	if json.Unmarshal(body, &c) != nil || c.UserID == "" || !(c.Expires > 0 && c.Expires < lastSecond) {
		return claims{}, false
	}
	if (c.Subject != "" && c.Subject != kind) || (c.Issuer != "" && c.Issuer != "velog.io") {
		return claims{}, false
	}
	return c, true
}

// ended is the error of a session that velog does not know any more.
func ended() error {
	return login("velog does not accept the session any more: the user must log in again")
}

func login(text string) error {
	return fail(adapters.NeedsHuman, adapters.ReasonLogin, errors.New(text))
}
