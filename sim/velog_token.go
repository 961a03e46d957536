package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What the servers do with tokens.
const (
	velogRenew       = 30 * time.Minute    // an access token with less life is renewed
	velogReplace     = 23 * 24 * time.Hour // a refresh token with less life is replaced
	velogRefreshLife = 30 * 24 * time.Hour
	velogV2Life      = time.Hour // of an access token that v2 issues
	velogV3Life      = 24 * time.Hour
	velogOnItsWay    = time.Second // at most, a call
)

// velogClaims are the contents of a token.
type velogClaims struct {
	UserID  string `json:"user_id"`
	TokenID string `json:"token_id,omitempty"`
	Renewed string `json:"token_Id,omitempty"` // how v3 writes it when it replaces a refresh token
	Iat     int64  `json:"iat"`
	Exp     int64  `json:"exp"`
	Iss     string `json:"iss"`
	Sub     string `json:"sub"`
}

var velogHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func (v *Velog) sign(c velogClaims) string {
	body, _ := json.Marshal(c) // it always encodes
	text := velogHeader + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// issue makes a new session of a user.
func (v *Velog) issue(u *velogUser, at time.Time) VelogUser {
	iat := at.Unix()
	id := sha256.Sum256(fmt.Appendf(nil, "%s %d", u.id, iat))
	token := fmt.Sprintf("%x-%x-4%x-a%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	return VelogUser{
		ID: u.id, Username: u.username,
		AccessToken:  v.sign(velogClaims{UserID: u.id, Iat: iat, Exp: iat + seconds(velogV3Life), Iss: "velog.io", Sub: "access_token"}),
		RefreshToken: v.sign(velogClaims{UserID: u.id, TokenID: token, Iat: iat, Exp: iat + seconds(velogRefreshLife), Iss: "velog.io", Sub: "refresh_token"}),
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// read checks the signature of a token and returns what it says, whether or not it is still accepted.
func (v *Velog) read(token string) (c velogClaims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false
	}
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	sum, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(sum, mac.Sum(nil)) {
		return c, false
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	return c, err == nil && json.Unmarshal(body, &c) == nil
}

// accepts returns the user of a token that is alive.
func (v *Velog) accepts(token string) (*velogUser, velogClaims) {
	c, ok := v.read(token)
	if !ok || c.Exp <= v.now().Unix() {
		return nil, c
	}
	for _, u := range v.users {
		if u.id == c.UserID && c.Iat > u.deadUntil {
			return u, c
		}
	}
	return nil, c
}

// velogCall is one request with what its cookies made of it.
type velogCall struct {
	server          string // v2 or v3
	access, refresh string
	user            *velogUser // nil is nobody
	cookies         []string   // Set-Cookie lines
	renewed         bool
	cleared         bool
}

// consume does what the servers do with the cookies of every request.
func (v *Velog) consume(server string, r *http.Request) *velogCall {
	c := &velogCall{server: server}
	if ck, err := r.Cookie("access_token"); err == nil {
		c.access = ck.Value
	}
	if ck, err := r.Cookie("refresh_token"); err == nil {
		c.refresh = ck.Value
	}
	if c.access == "" {
		_, c.access, _ = strings.Cut(r.Header.Get("Authorization"), "Bearer ")
	}
	if c.access == "" && c.refresh == "" {
		return c
	}
	u, claims := v.accepts(c.access)
	due := u == nil || time.Unix(claims.Exp, 0).Sub(v.now()) < velogRenew
	if u != nil && (!u.deleted || server == "v2") {
		c.user = u
	}
	switch {
	case !due && c.user != nil:
	case c.refresh == "":
		c.cleared = server == "v3" && u != nil && u.deleted
	default:
		if renewed := v.renew(c); renewed != nil {
			c.user = renewed
		} else if server == "v3" {
			c.user, c.cleared = nil, true
		}
	}
	if c.cleared {
		for _, name := range []string{"access_token", "refresh_token"} {
			c.cookies = append(c.cookies, name+"=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Domain=.velog.io")
		}
	}
	return c
}

// renew makes a new access token from a refresh token, and a new refresh token when it is old.
func (v *Velog) renew(c *velogCall) *velogUser {
	u, old := v.accepts(c.refresh)
	if u == nil || u.deleted || old.Sub != "refresh_token" {
		return nil
	}
	now := v.now()
	life := velogV3Life
	if c.server == "v2" {
		life = velogV2Life
	}
	access := v.sign(velogClaims{UserID: u.id, Iat: now.Unix(), Exp: now.Add(life).Unix(), Iss: "velog.io", Sub: "access_token"})
	refresh := c.refresh
	if time.Unix(old.Exp, 0).Sub(now) < velogReplace {
		next := velogClaims{UserID: u.id, Iat: now.Unix(), Exp: now.Add(velogRefreshLife).Unix(), Iss: "velog.io", Sub: "refresh_token"}
		if id := old.TokenID + old.Renewed; c.server == "v2" {
			next.TokenID = id
		} else {
			next.Renewed = id
		}
		refresh = v.sign(next)
	}
	c.renewed = true
	v.setCookies(c, access, refresh, now, life)
	return u
}

// setCookies sets both tokens; v2 does so for the host and for the domain.
func (v *Velog) setCookies(c *velogCall, access, refresh string, now time.Time, life time.Duration) {
	f := &v.s.dice.faults.Velog
	switch {
	case v.s.dice.hit(&f.NoCookie):
		return
	case v.s.dice.hit(&f.BadCookie):
		access, refresh = "undefined", "undefined"
	case v.s.dice.hit(&f.HalfCookie):
		refresh = ""
	}
	domains := []string{"; Domain=.velog.io"}
	if c.server == "v2" {
		domains = append(domains, "")
	}
	for _, domain := range domains {
		line := func(name, value string, life time.Duration) {
			if value != "" {
				c.cookies = append(c.cookies, fmt.Sprintf("%s=%s; Path=/; Expires=%s; HttpOnly%s", name, value, now.Add(life).UTC().Format(http.TimeFormat), domain))
			}
		}
		line("access_token", access, life)
		line("refresh_token", refresh, velogRefreshLife)
	}
}

// VelogCalls counts what velog was asked with the sessions of one user, or without one.
type VelogCalls struct {
	Requests    int `json:"requests"`
	Posts       int `json:"posts"`
	Stats       int `json:"stats"`
	CurrentUser int `json:"currentUser"`
	Failed      int `json:"failed"`    // statistics that took too long or met another error of the server
	Renewed     int `json:"renewed"`   // answers that carried a new session
	Cleared     int `json:"cleared"`   // answers that took the session away
	Expired     int `json:"expired"`   // calls with nothing but an access token that had run out
	Dead        int `json:"dead"`      // calls with a session that had ended
	DeadAgain   int `json:"deadAgain"` // those of Dead that came more than a second after velog had told that it had ended: no call that was on its way meanwhile
	Foreign     int `json:"foreign"`   // calls for what belongs to another user than the session, or with the tokens of two users
	Hits        int `json:"hits"`      // answers of the cache
}

// VelogStats is what velog has seen.
type VelogStats struct {
	Now    time.Time             `json:"now"`
	All    VelogCalls            `json:"all"`
	Users  map[string]VelogCalls `json:"users"`  // by id; "" is nobody
	Tokens map[string]int        `json:"tokens"` // calls by access token, see VelogTokenID
}

// velogSeen is VelogStats while it grows.
type velogSeen struct {
	users  map[string]*VelogCalls
	tokens map[string]int
	told   map[string]time.Time // when velog first told of a session that it has ended, by access token
}

func (s *velogSeen) reset() {
	s.users, s.tokens, s.told = map[string]*VelogCalls{}, map[string]int{}, map[string]time.Time{}
}

// VelogTokenID names a token in VelogStats without showing it.
func VelogTokenID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// Stats returns what velog has seen so far.
func (v *Velog) Stats() VelogStats {
	v.mu.Lock()
	defer v.mu.Unlock()
	st := VelogStats{Now: v.now(), Users: map[string]VelogCalls{}, Tokens: map[string]int{}}
	for id, c := range v.seen.users {
		st.Users[id] = *c
		st.All.add(*c)
	}
	for id, n := range v.seen.tokens {
		st.Tokens[id] = n
	}
	return st
}

func (c *VelogCalls) add(o VelogCalls) {
	c.Requests += o.Requests
	c.Posts += o.Posts
	c.Stats += o.Stats
	c.CurrentUser += o.CurrentUser
	c.Failed += o.Failed
	c.Renewed += o.Renewed
	c.Cleared += o.Cleared
	c.Expired += o.Expired
	c.Dead += o.Dead
	c.DeadAgain += o.DeadAgain
	c.Foreign += o.Foreign
	c.Hits += o.Hits
}

// count notes a call. whose is the user whose things were asked for; nil is nobody in particular.
func (v *Velog) count(c *velogCall, whose []*velogUser) *VelogCalls {
	a, okA := v.read(c.access)
	r, okR := v.read(c.refresh)
	id := ""
	switch {
	case okA:
		id = a.UserID
	case okR:
		id = r.UserID
	}
	n := v.seen.users[id]
	if n == nil {
		n = &VelogCalls{}
		v.seen.users[id] = n
	}
	n.Requests++
	if c.access != "" {
		v.seen.tokens[VelogTokenID(c.access)]++
	}
	foreign := okA && okR && a.UserID != r.UserID
	for _, u := range whose {
		foreign = foreign || (id != "" && u != nil && u.id != id)
	}
	if foreign {
		n.Foreign++
	}
	if c.renewed {
		n.Renewed++
	}
	if c.cleared {
		n.Cleared++
	}
	if c.user == nil && (c.access != "" || c.refresh != "") {
		if c.refresh == "" && okA && v.lives(a) {
			n.Expired++
			return n
		}
		n.Dead++
		if told := v.seen.told[c.access]; !told.IsZero() && v.now().Sub(told) > velogOnItsWay {
			n.DeadAgain++
		}
	}
	return n
}

// lives says that a token has only run out: its session may be alive.
func (v *Velog) lives(c velogClaims) bool {
	for _, u := range v.users {
		if u.id == c.UserID {
			return !u.deleted && c.Iat > u.deadUntil
		}
	}
	return false
}
