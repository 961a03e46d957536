package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	sessionAge  = 7 * 24 * time.Hour
	sessionMost = 64 // sessions at a time; a further one ends the oldest

	maxForm = 8 << 10 // bytes of a request's body, webhooks aside
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
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if s.sessions.has(s.cookie(r), s.now()) {
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
	s.write(w, r, status, p, "login")
}

// login turns the token into a cookie that holds nothing of it.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !s.try(w, r, r.PostFormValue("token")) {
		return
	}
	id := rand.Text()
	s.sessions.add(id, s.now().Add(sessionAge))
	c := s.blank(r)
	c.Value, c.MaxAge = id, int(sessionAge/time.Second)
	http.SetCookie(w, c)
	to := "/"
	if back := r.PostFormValue("back"); isHere(back) && s.serves(back) {
		to = back
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	s.sessions.end(s.cookie(r))
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

// sessions are who has logged in since the start, by a hash of the cookie.
type sessions struct {
	mu   sync.Mutex
	ends map[[sha256.Size]byte]time.Time
}

func (s *sessions) add(id string, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends == nil {
		s.ends = map[[sha256.Size]byte]time.Time{}
	}
	for len(s.ends) >= sessionMost {
		var first [sha256.Size]byte
		for h, e := range s.ends {
			if f, ok := s.ends[first]; !ok || e.Before(f) {
				first = h
			}
		}
		delete(s.ends, first)
	}
	s.ends[sha256.Sum256([]byte(id))] = end
}

func (s *sessions) has(id string, now time.Time) bool {
	if id == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.ends[sha256.Sum256([]byte(id))])
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, sha256.Sum256([]byte(id)))
}
