package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

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

// korea is the zone of times that people read.
var korea = time.FixedZone("KST", 9*60*60)

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

// say marks a text that is put into the visitor's language later.
func say(english string) string { return english }

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

// word puts an English text into a language; args fill its %d and %s.
func word(lang, text string, args ...any) string {
	if lang == korean {
		if k := words[text]; k != "" {
			text = k
		}
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// named is word for a text that is shown as plain text and names what is of others: marks of direction in a name end with it.
func named(lang, text string, args ...any) string {
	for i, a := range args {
		if name, ok := a.(string); ok {
			args[i] = isolated(name)
		}
	}
	return word(lang, text, args...)
}

// isolated puts a name between U+2068 and U+2069. Such marks of its own would end that too early.
func isolated(name string) string {
	return "\u2068" + strings.Map(func(r rune) rune {
		if r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, name) + "\u2069"
}

// readWords reads the Korean words of all views. It panics on a file that cannot be read: they are built in.
func readWords() map[string]string {
	all := map[string]string{}
	names, err := fs.Glob(files, "text/*.toml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		var part map[string]string
		if _, err := toml.DecodeFS(files, name, &part); err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		maps.Copy(all, part)
	}
	return all
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(korea).Format("2006-01-02 15:04:05")
}

func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(korea).Format(time.DateOnly)
}

// moment is a time of this year as a text says it, in one piece.
func moment(lang string, t time.Time) string {
	t = t.In(korea)
	layout := "2\u00a0Jan\u00a015:04"
	if lang == korean {
		layout = "1월\u00a02일\u00a015:04"
	}
	return t.Format(layout)
}

// ago is how far t is from now, in words.
func ago(lang string, now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "–"
	case d < -time.Second:
		return word(lang, "in %s", span(lang, -d))
	case d < time.Second:
		return word(lang, "now")
	default:
		return word(lang, "%s ago", span(lang, d))
	}
}

// span is a duration as people say it: its largest unit, and the next one where that matters.
func span(lang string, d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d < time.Second:
		return word(lang, "%d ms", d.Milliseconds())
	case d < time.Minute:
		return word(lang, "%d s", int(d.Seconds()))
	case d < 10*time.Minute && d.Truncate(time.Second)%time.Minute != 0:
		return word(lang, "%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return word(lang, "%d min", int(d.Minutes()))
	case d < 10*time.Hour && d.Truncate(time.Minute)%time.Hour != 0:
		return word(lang, "%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return word(lang, "%d h", int(d.Hours()))
	case d < 10*24*time.Hour && d.Truncate(time.Hour)%(24*time.Hour) != 0:
		return word(lang, "%d days %d h", int(d.Hours()/24), int(d.Hours())%24)
	default:
		return word(lang, "%d days", int(d.Hours()/24))
	}
}

// grouped writes a whole number with a comma for each thousand.
func grouped(n any) string {
	s := fmt.Sprint(n)
	sign := ""
	if digits, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", digits
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// dollars writes micro-dollars to the cent, and what is less than that to four digits.
func dollars(micro int64) string {
	switch {
	case micro == 0:
		return "$0"
	case micro > -10_000 && micro < 10_000:
		return fmt.Sprintf("$%.4f", float64(micro)/1e6)
	default:
		return fmt.Sprintf("$%.2f", float64(micro)/1e6)
	}
}

func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}

// hashStatic is a name for the static files as they are: with it in their addresses they may be kept for ever, and modules
// find each other by relative names.
func hashStatic() string {
	h := sha256.New()
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
		return err
	})
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func staticURL(name string) string { return staticPath + staticHash + "/" + name }

const staticPath = "/static/"

// static serves the files of static/. They are the same for everybody and hold nothing of the state.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, staticPath), "/")
	b, err := files.ReadFile(path.Join("static", path.Clean("/"+name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if hash == staticHash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if path.Ext(name) == ".geojson" {
		w.Header().Set("Content-Type", "application/geo+json")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
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
