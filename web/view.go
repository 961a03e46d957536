package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sumbi/queue"
)

// A view is NAME.go with its handlers and NAMERoutes, which Handler calls; templates/NAME.html, which defines the template NAME,
// executed with a page; and text/NAME.toml with its Korean words. An English text is its own key: {{t "Places"}} in a template,
// say("Places") in Go where a template says it later.

//go:embed templates static text
var files embed.FS

var (
	words      = readWords()
	views      = map[string]*template.Template{english: parseViews(english), korean: parseViews(korean)}
	staticHash = hashStatic()
)

// The languages of the page.
const (
	english = "en"
	korean  = "ko"
)

// page is what the layout shows around a view. Templates of views get it, too.
type page struct {
	Lang, Theme string // "en" or "ko"; "light", "dark" or "" as the browser likes
	Path        string // of the request
	Title       string // in the visitor's language
	LoggedIn    bool   // there is a session that can be ended
	Nav         []link // nil: the visitor is outside
	Said        string // what was just done, for once
	Back        string // where who chooses a language, or logs in, goes from here; "" where he came from
	Data        any    // the view's own
	Body        template.HTML
}

type link struct{ Path, Title string }

// navigation is every view that has a place in the head of the page; those that are not served are left out.
var navigation = []link{
	{"/", say("Overview")},
	{"/map", say("Map")},
	{"/review", say("Review")},
	{"/runs", say("Runs")},
	{"/jobs", say("Jobs")},
	{"/accounts", say("Accounts")},
	{"/velog", say("Views by the day")},
	{"/batches", say("Batches")},
	{"/dead", say("Given up")},
}

// In reports whether the visitor is in the part of the page that l leads to.
func (l link) In(path string) bool {
	return path == l.Path || (l.Path != "/" && strings.HasPrefix(path, l.Path+"/"))
}

// render answers with a view: the template name inside the layout, with data as .Data. The title is marked with say, or "%s" for a
// name; of fills its %d and %s.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name, title string, data any, of ...any) {
	p := s.pageOf(r, title, data, of...)
	p.Nav, p.Said = s.nav, s.said(w, r)
	s.write(w, r, status, p, name)
}

// fragment answers with the template name alone, for a script that puts it into a page that is shown.
func (s *Server) fragment(w http.ResponseWriter, r *http.Request, name string, data any) {
	text, err := s.execute(name, s.pageOf(r, "", data))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	writeHTML(w, http.StatusOK, text)
}

// With is where a visitor who is not in gets the page in a language, without losing where he wanted to go.
func (p page) With(lang string) string {
	separator := "?"
	if strings.Contains(p.Back, "?") {
		separator = "&"
	}
	return p.Back + separator + "lang=" + lang
}

func (s *Server) pageOf(r *http.Request, title string, data any, of ...any) page {
	p := page{Lang: language(r), Theme: theme(r), Path: r.URL.Path, Title: clipped(named(language(r), title, of...), mostTitle), LoggedIn: s.Token != "" && s.cookie(r) != "", Data: data}
	if r.Method == http.MethodPost && isHere(r.PostFormValue("back")) {
		p.Back = r.PostFormValue("back")
	}
	return p
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, p page, name string) {
	body, err := s.execute(name, p)
	if err == nil {
		p.Body = template.HTML(body) // made by html/template
		body, err = s.execute("layout", p)
	}
	if err != nil {
		s.Log.Error("page", "name", name, "err", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	if r.URL.Query().Has("lang") {
		s.remember(w, r, "lang", p.Lang)
	}
	writeHTML(w, status, body)
}

func writeHTML(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept, Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the visitor has gone
}

func (s *Server) execute(name string, p page) ([]byte, error) {
	var b bytes.Buffer
	err := s.views[p.Lang].ExecuteTemplate(&b, name, p)
	return b.Bytes(), err
}

// confirmation is a question before something is done. Its texts are marked with say.
type confirmation struct {
	Title, Text string
	Args        any    // of the %d or %s in Text; nil: there is none
	Facts       []fact // what will happen, in figures
	Note        string // in the visitor's language
	Action      string // where the form is posted to
	Fields      []fact // that are sent with it
	Check       fact   // a field that may be ticked, and what it says; without a name there is none
	Button      string
	Danger      bool   // something is lost
	Back        string // where "cancel" leads
}

// fact is a name, marked with say where people read it, and its value.
type fact struct{ Name, Value string }

// confirm asks before something is done: in a dialog when a script asks, else on a page of its own. A link to it has the
// attribute data-dialog.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request, c confirmation) {
	if !slices.ContainsFunc(c.Fields, func(f fact) bool { return f.Name == "back" }) {
		c.Fields = append(c.Fields, fact{"back", c.Back})
	}
	if scripted(r) {
		s.fragment(w, r, "confirm", c)
		return
	}
	s.render(w, r, http.StatusOK, "confirm", c.Title, c)
}

// done leads a visitor whose form was taken to the view at path, where text is said once, in his language.
func (s *Server) done(w http.ResponseWriter, r *http.Request, path, text string, args ...any) {
	said := base64.RawURLEncoding.EncodeToString([]byte(clipped(named(language(r), text, args...), mostSaid)))
	http.SetCookie(w, &http.Cookie{Name: "said", Value: said, Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.blank(r).Secure})
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// mostSaid is how much of a text fits into the cookie that carries it, in bytes: a browser takes no cookie above 4 KB.
const mostSaid = 1024

// mostTitle is how much of a title a browser is given, in bytes.
const mostTitle = 256

// clipped is the beginning of a text: at most n bytes, and whole characters.
func clipped(text string, n int) string {
	const rest = "…"
	if len(text) <= n {
		return text
	}
	n -= len(rest)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + rest
}

// said returns what done left, and forgets it.
func (s *Server) said(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie("said")
	if err != nil {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: "said", Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.blank(r).Secure})
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(text)
}

// failure is what the view "failure" shows.
type failure struct {
	Status   int
	What, Do string // what is wrong and what to do, marked with say
}

// fail answers with what is wrong and what to do about it, a page for a browser and a line for others.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, status int, what, do string) {
	if !html(r) {
		http.Error(w, what+" "+do, status)
		return
	}
	f := failure{status, what, do}
	if !scripted(r) {
		s.render(w, r, status, "failure", what, f)
		return
	}
	text, err := s.execute("failure", s.pageOf(r, what, f))
	if err != nil {
		http.Error(w, what, status)
		return
	}
	writeHTML(w, status, text)
}

// broken answers for a reading that went wrong: there is no such thing, or the state cannot be read.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, say("This is not in the state."), say("It may have been removed meanwhile. Go back and look at the list."))
	case errors.Is(r.Context().Err(), context.Canceled): // the visitor has gone
	default:
		s.Log.Error("page", "path", r.URL.Path, "err", err)
		s.fail(w, r, http.StatusInternalServerError, say("The state cannot be read."), say("The log says why; `sumbi doctor` checks the state."))
	}
}

// missing answers for what mux has no route for.
func (s *Server) missing(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" || !html(r) {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &statusOnly{header: w.Header()}
		mux.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			s.fail(w, r, probe.status, say("This page cannot be asked for in this way."), say("Go back to the overview and start from there."))
			return
		}
		s.fail(w, r, http.StatusNotFound, say("There is no such page."), say("Go back to the overview and start from there."))
	})
}

// statusOnly keeps the status and the header of an answer.
type statusOnly struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (s *statusOnly) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *statusOnly) WriteHeader(status int) { s.status = status }

// Write implements http.ResponseWriter.
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

func parseViews(lang string) *template.Template {
	return template.Must(template.New("").Funcs(funcs(lang, time.Now)).ParseFS(files, "templates/*.html"))
}

// viewsAt are the views with now as the time from which "ago" counts.
func viewsAt(now func() time.Time) map[string]*template.Template {
	all := map[string]*template.Template{}
	for lang, v := range views {
		all[lang] = template.Must(v.Clone()).Funcs(funcs(lang, now))
	}
	return all
}

// funcs are what templates may call.
func funcs(lang string, now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"t":        func(text string, args ...any) string { return word(lang, text, args...) },
		"when":     when,                                                             // 2026-11-20 04:00:00 in Seoul
		"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) }, // for a program
		"day":      day,                                                              // 2026-11-20
		"ago":      func(t time.Time) string { return ago(lang, now(), t) },          // 3 min ago, in 2 h
		"dur":      func(d time.Duration) string { return span(lang, d) },            // 3 min
		"n":        grouped,                                                          // 12,345
		"money":    dollars,                                                          // micro-dollars: $1.25
		"bytes":    size,                                                             // 1.2 MB
		"upstream": func(status string) string { return upstreamWord(lang, status) }, // of a batch
		"static":   staticURL,                                                        // of a file of static/
		"list":     func(all ...any) []any { return all },
		"add":      func(a, b int) int { return a + b },

		"won":      func(price *int64) string { return grouped(*price) },
		"weblink":  webLink,        // a link that a browser may follow, "" for another one
		"pathpart": url.PathEscape, // a name as a part of a path
	}
}

// firstText is the first text that is not empty.
func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
