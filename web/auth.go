package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"sumbi/queue"
)

const (
	sessionAge  = 7 * 24 * time.Hour
	sessionMost = 64 // sessions at a time; a further one ends the oldest

	maxForm  = 8 << 10 // bytes of a request's body, webhooks aside
	mostBack = 2 << 10 // bytes of the way back: it must fit into that, in the three bytes that a form makes of some
)

// protect puts what every request passes around next.
func (s *Server) protect(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		complain(w, r, http.StatusForbidden, "a page of another site may not ask for this")
	}))
	next = foreign.Handler(s.onlyHere(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would take the origin from our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxWebhook)
		next.ServeHTTP(w, r)
	})
}

// onlyHere refuses, where no token protects anything, what a page of another site could send here by letting its own name
// lead to this machine. Webhooks may come through a tunnel of any name: they are signed.
func (s *Server) onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Token == "" && r.URL.Path != webhookPath && !names(r.Host) {
			complain(w, r, http.StatusForbidden, "without SUMBI_TOKEN this answers only under localhost or a loopback address")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// names reports whether a Host header means this machine.
func names(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}

// guard lets in who has the token, as a bearer token or as the password of basic authentication, and who has logged in.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, mostOf(r))
		if s.within(r) {
			next.ServeHTTP(w, r)
			return
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, ok = r.BasicAuth()
		}
		switch {
		case !ok && html(r):
			s.loginPage(w, r, http.StatusUnauthorized, "")
		case !ok:
			refuse(w, r)
		case s.try(w, r, given):
			next.ServeHTTP(w, r)
		}
	})
}

// mostOf is how many bytes a request may have: people paste a log-in with all the cookies beside it.
func mostOf(r *http.Request) int64 {
	if r.URL.Path == velogLoginPath {
		return maxLogin
	}
	return maxForm
}

func refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="sumbi"`)
	complain(w, r, http.StatusUnauthorized, "the token is missing or wrong; send Authorization: Bearer with SUMBI_TOKEN")
}

// try compares a token, unless there were too many wrong ones. When it does not fit it has answered.
func (s *Server) try(w http.ResponseWriter, r *http.Request, given string) bool {
	who := s.client(r)
	wait := s.tries.wait(who, s.now())
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		if html(r) {
			s.loginPage(w, r, http.StatusTooManyRequests, say("Too many wrong tokens: wait a while and try again."))
		} else {
			complain(w, r, http.StatusTooManyRequests, "too many wrong tokens: wait a while and try again")
		}
		return false
	}
	want, got := sha256.Sum256([]byte(s.Token.Reveal())), sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
		s.tries.passed(who, s.now())
		return true
	}
	s.tries.failed(who, s.now())
	if more, ok := s.badTokens.say(s.now()); ok {
		s.Log.Warn("a wrong token was refused", "from", who, "more_since_the_last_line", more)
	}
	if html(r) {
		s.loginPage(w, r, http.StatusUnauthorized, say("That is not the token."))
	} else {
		refuse(w, r)
	}
	return false
}

func (s *Server) loginForm(w http.ResponseWriter, r *http.Request) {
	s.loginPage(w, r, http.StatusOK, "")
}

// loginPage shows the form; wrong says why it is shown again, marked with say. Who logs in comes to where he wanted to go.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	p := s.pageOf(r, say("Log in"), wrong)
	if r.Method == http.MethodGet && r.URL.Path != "/login" {
		to, q := *r.URL, r.URL.Query()
		q.Del("lang")
		to.RawQuery = q.Encode()
		p.Back = to.RequestURI()
	}
	if len(p.Back) > mostBack || !isHere(p.Back) {
		p.Back = ""
	}
	s.write(w, r, status, p, "login")
}

// login turns the token into a cookie. Its seal is made with the token: by a stolen one guesses at the token can be checked.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !s.try(w, r, r.PostFormValue("token")) {
		return
	}
	c := s.blank(r)
	c.Value, c.MaxAge = s.newSession(), int(sessionAge/time.Second)
	if err := s.begin(r.Context(), c.Value); err != nil {
		s.broken(w, r, err)
		return
	}
	http.SetCookie(w, c)
	to := "/"
	if back := r.PostFormValue("back"); isHere(back) && s.serves(back) {
		to = back
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.end(r); err != nil {
		s.broken(w, r, err)
		return
	}
	c := s.blank(r)
	c.MaxAge = -1
	http.SetCookie(w, c)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// blank is the cookie of a session without its value. Behind TLS it goes nowhere else and only this host can set it.
func (s *Server) blank(r *http.Request) *http.Cookie {
	c := &http.Cookie{Name: "sumbi", Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if r.TLS != nil || (s.ProxyHeader != "" && r.Header.Get("X-Forwarded-Proto") == "https") {
		c.Name, c.Secure = "__Host-sumbi", true
	}
	return c
}

func (s *Server) cookie(r *http.Request) string {
	c, err := r.Cookie(s.blank(r).Name)
	if err != nil {
		return ""
	}
	return c.Value
}

// client is whom tries are counted for: an address, of the newer kind its network, which is what one visitor has.
func (s *Server) client(r *http.Request) netip.Prefix {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if s.ProxyHeader != "" {
		// What stands last was put there by the proxy.
		all := r.Header.Values(s.ProxyHeader)
		if len(all) > 0 {
			last := all[len(all)-1]
			host = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		}
	}
	return networkOf(host)
}

// networkOf is an address as one visitor, of the newer kind its network; zero when it is none.
func networkOf(host string) netip.Prefix {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // bits fit
	return p
}

// html reports whether it is a browser that asks for a page.
func html(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, apiPath)
}

// scripted reports whether a script of the page asks, for a part of it.
func scripted(r *http.Request) bool { return r.Header.Get("HX-Request") != "" }

// sessions are who has logged in. The state remembers them by a hash, so that every process of it knows them and a start ends none.
type sessions struct {
	mu    sync.Mutex
	known map[string]session // by hash, as the state said lately
}

type session struct{ ends, asked time.Time }

const (
	sessionTrust = 10 * time.Second // for how long an answer of the state counts: as long a session lives on that was ended elsewhere
	sessionKnown = 4 * sessionMost  // of which answers are remembered
)

var sessionWait = 2 * time.Second // for an answer of the state; changed by tests

// newSession is a cookie's value: chance, and a seal by which what others made up is told without a look at the state. Another token
// ends all sessions.
func (s *Server) newSession() string {
	id := rand.Text()
	return id + s.seal(id)
}

func (s *Server) seal(id string) string {
	mac := hmac.New(sha256.New, []byte(s.Token.Reveal()))
	mac.Write([]byte("session " + id))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil))
}

// sessionHash is by what the state knows a session; "" when it was made up.
func (s *Server) sessionHash(value string) string {
	n := len(rand.Text())
	if len(value) <= n || !hmac.Equal([]byte(value[n:]), []byte(s.seal(value[:n]))) {
		return ""
	}
	sum := sha256.Sum256([]byte(value[:n]))
	return hex.EncodeToString(sum[:])
}

// begin remembers a session.
func (s *Server) begin(ctx context.Context, value string) error {
	hash, now := s.sessionHash(value), s.now()
	return s.Store.Tx(ctx, func(tx *queue.Tx) error { return tx.AddSession(hash, now, now.Add(sessionAge), sessionMost) })
}

// within reports whether the request is of a session. While the state does not answer what was known counts.
func (s *Server) within(r *http.Request) bool {
	hash := s.sessionHash(s.cookie(r))
	if hash == "" {
		return false
	}
	now := s.now()
	s.sessions.mu.Lock()
	x, ok := s.sessions.known[hash]
	s.sessions.mu.Unlock()
	if age := now.Sub(x.asked); !ok || age < 0 || age >= sessionTrust {
		ctx, cancel := context.WithTimeout(r.Context(), sessionWait)
		defer cancel()
		ends, err := s.Store.SessionEnds(ctx, hash)
		switch {
		case err == nil:
			x = session{ends, now}
			s.sessions.learn(hash, x)
		case r.Context().Err() == nil: // the visitor is still there
			if more, tell := s.badReads.say(now); tell {
				s.Log.Error("session", "err", err, "more_since_the_last_line", more)
			}
		}
	}
	return now.Before(x.ends)
}

// learn remembers an answer, unless a question that was asked later has been answered, or the session ended, meanwhile.
func (s *sessions) learn(hash string, x session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.known[hash]; ok && k.asked.After(x.asked) {
		return
	}
	if s.known == nil || len(s.known) >= sessionKnown {
		s.known = map[string]session{}
	}
	s.known[hash] = x
}

// end forgets the session of a request.
func (s *Server) end(r *http.Request) error {
	hash := s.sessionHash(s.cookie(r))
	if hash == "" {
		return nil
	}
	s.sessions.learn(hash, session{asked: s.now()})
	return s.Store.Tx(r.Context(), func(tx *queue.Tx) error { return tx.EndSession(hash) })
}
