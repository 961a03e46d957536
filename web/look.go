package web

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// language is what the visitor reads: chosen here, in a cookie, or by the browser.
func language(r *http.Request) string {
	if l := r.URL.Query().Get("lang"); l == english || l == korean {
		return l
	}
	if c, err := r.Cookie("lang"); err == nil && (c.Value == english || c.Value == korean) {
		return c.Value
	}
	best, most := english, 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(weight), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64) // 0 when it is no number
		}
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if (base == english || base == korean) && q > most {
			best, most = base, q
		}
	}
	return best
}

// theme is light, dark, or "" when the browser decides.
func theme(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// chooseLook takes the visitor's language or theme and goes back to where he came from. Where that was the answer to a form it goes
// to where the form would have led without being sent, else to the nearest page above.
func (s *Server) chooseLook(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	for name, allowed := range map[string][]string{"lang": {english, korean}, "theme": {"light", "dark", "auto"}} {
		if v := r.PostFormValue(name); slices.Contains(allowed, v) {
			s.remember(w, r, name, v)
		}
	}
	back := "/"
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host && strings.HasPrefix(from.Path, "/") && !strings.HasPrefix(from.Path, "//") {
		q := from.Query()
		q.Del("lang")
		back = s.shownAbove(from.EscapedPath())
		if back == from.EscapedPath() && len(q) > 0 {
			back += "?" + q.Encode()
		}
	}
	if form := r.PostFormValue("back"); isHere(form) && s.serves(form) {
		back = form
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// shownAbove is the nearest page from an escaped path upwards that a GET shows: at itself unless that is but for forms.
func (s *Server) shownAbove(at string) string {
	for ; at != "/"; at = path.Dir(at) {
		u, err := url.Parse(at)
		if err != nil {
			return "/"
		}
		_, shown := s.closed.Handler(&http.Request{Method: http.MethodGet, URL: u})
		_, sent := s.closed.Handler(&http.Request{Method: http.MethodPost, URL: u})
		_, shown, _ = strings.Cut(shown, " ")
		_, sent, _ = strings.Cut(sent, " ")
		// Where forms go to a path of their own there is nothing to be shown: /jobs/do is no job.
		if shown != "" && (sent == "" || sent == shown) {
			break
		}
	}
	return at
}

// remember keeps how the visitor likes the page.
func (s *Server) remember(w http.ResponseWriter, r *http.Request, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(365 * 24 * time.Hour / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.blank(r).Secure,
	})
}
