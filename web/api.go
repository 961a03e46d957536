package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// The API is described in openapi.yaml; a test holds the two together. What it answers are types of its own, so that a change
// inside changes nothing for who asks.

//go:embed openapi.yaml
var openAPI []byte

const (
	apiPath     = "/api/"
	apiVersion  = "/api/v1"
	openAPIPath = "/openapi.yaml"
)

// How much is on a page of a list.
const (
	usualPage   = 50
	mostOnPage  = 200
	mostReviews = 50 // each has its candidates with it
)

// apiRoute is one thing to ask for.
type apiRoute struct {
	method, path string // behind /api/v1
	query        []string
	do           func(s *Server, q *query) (any, error)
}

// apiRoutes are all of them.
func apiRoutes() []apiRoute {
	return slices.Concat(apiReads(), apiWrites())
}

func (s *Server) apiRoutes(mux *http.ServeMux) {
	api := http.NewServeMux()
	for _, r := range apiRoutes() {
		api.HandleFunc(r.method+" "+apiVersion+r.path, func(w http.ResponseWriter, req *http.Request) { s.answer(w, req, r) })
	}
	mux.HandleFunc(strings.TrimSuffix(apiPath, "/"), http.NotFound)
	mux.HandleFunc(apiPath, func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := api.Handler(r); pattern != "" {
			api.ServeHTTP(w, r)
			return
		}
		probe := &statusOnly{header: http.Header{}}
		api.ServeHTTP(probe, r)
		if allow := probe.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			complain(w, r, http.StatusMethodNotAllowed, "this is not how to ask for it; allowed is "+allow)
			return
		}
		complain(w, r, http.StatusNotFound, "there is nothing of this name; "+openAPIPath+" lists what there is")
	})
	mux.HandleFunc("GET "+openAPIPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
		writeTagged(w, r, http.StatusOK, openAPI)
	})
}

// answer does what a route is for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, route apiRoute) {
	q := &query{Request: r, status: http.StatusOK}
	err := q.parse(route.query)
	if err == nil && route.method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err = q.readable()
	}
	var v any
	if err == nil {
		v, err = route.do(s, q)
	}
	var body []byte
	if err == nil && v != nil {
		body, err = json.Marshal(v)
	}
	if err != nil {
		s.complainOf(w, r, err)
		return
	}
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	writeTagged(w, r, q.status, append(body, '\n'))
}

// writeTagged answers with what may be asked for again, and is sent again only when it has changed.
func writeTagged(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		sum := sha256.Sum256(body)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		w.Header().Set("Cache-Control", "private, no-cache")
		w.Header().Set("ETag", tag)
		for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
			if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
				w.Header().Del("Content-Type")
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the visitor has gone
}

// apiError is what is wrong with a request and what to do about it.
type apiError struct {
	status int
	text   string
}

func (e *apiError) Error() string { return e.text }

func wrong(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &apiError{http.StatusConflict, fmt.Sprintf(format, args...)}
}

// absent is an error for what is not there; where says which list to look at.
func absent(err error, what, where string) error {
	if errors.Is(err, queue.ErrNotFound) {
		return &apiError{http.StatusNotFound, "there is no " + what + "; GET " + apiVersion + where + " lists them"}
	}
	return err
}

// complainOf answers for an error. What is our own trouble is told to the log alone.
func (s *Server) complainOf(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*apiError](err); ok {
		complain(w, r, e.status, e.text)
		return
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		complain(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large; %d bytes are enough for everything that is asked here", maxForm))
		return
	}
	if m, ok := errors.AsType[*jobs.Meanwhile](err); ok {
		complain(w, r, http.StatusConflict, m.Error()+"; its version is "+m.Now.Version()+" now")
		return
	}
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the visitor has gone
	}
	s.Log.Error("api", "path", r.URL.Path, "err", err)
	complain(w, r, http.StatusServiceUnavailable, "the state cannot be read or written now; try again, `sumbi doctor` checks it")
}

// complain answers with what is wrong: as JSON below /api/, else as a line of text.
func complain(w http.ResponseWriter, r *http.Request, status int, text string) {
	if !strings.HasPrefix(r.URL.Path, apiPath) {
		http.Error(w, text, status)
		return
	}
	body, _ := json.Marshal(struct { // a text cannot fail
		Error string `json:"error"`
	}{text})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// query is a request with its parameters.
type query struct {
	*http.Request
	values url.Values
	status int // of the answer when all is well
}

// parse takes the parameters. One that is not known, or is there twice, is a mistake that must not pass as an answer.
func (q *query) parse(known []string) (err error) {
	if q.values, err = url.ParseQuery(q.URL.RawQuery); err != nil {
		return wrong("the query cannot be read; write %%XX for what is special in it")
	}
	for _, name := range slices.Sorted(mapKeys(q.values)) {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return wrong("there is no parameter %q, and no other one here", name)
		case !slices.Contains(known, name):
			return wrong("there is no parameter %q; there are %s", name, strings.Join(known, ", "))
		case len(q.values[name]) > 1:
			return wrong("the parameter %s is there more than once; give it once", name)
		}
	}
	return nil
}

func mapKeys(v url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range v {
			if !yield(k) {
				return
			}
		}
	}
}

// text is a parameter as it is; "" when it is not there.
func (q *query) text(name string) string { return q.values.Get(name) }

// choice is a parameter that has few values.
func (q *query) choice(name string, among ...string) (string, error) {
	v := q.values.Get(name)
	if v != "" && !slices.Contains(among, v) {
		return "", wrong("%s cannot be %q; it is one of %s", name, v, strings.Join(among, ", "))
	}
	return v, nil
}

// limit is how many are wanted.
func (q *query) limit(most int) (int, error) {
	if !q.values.Has("limit") {
		return min(usualPage, most), nil
	}
	n, err := strconv.Atoi(q.values.Get("limit"))
	if err != nil || n < 1 || n > most {
		return 0, wrong("limit must be a number from 1 to %d", most)
	}
	return n, nil
}

// number reads what was given as next before, where that is a number; 0 when it is not there.
func (q *query) number(name string) (int64, error) {
	v := q.values.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		return 0, wrong("%s must be what next was in the answer before", name)
	}
	return n, nil
}

// page is limit and after of a list whose rows are known by numbers.
func (q *query) page(most int) (n int, after int64, err error) {
	if n, err = q.limit(most); err != nil {
		return 0, 0, err
	}
	after, err = q.number("after")
	return n, after, err
}

// id is the number in the path.
func (q *query) id(name string) (int64, error) {
	n, err := strconv.ParseInt(q.PathValue(name), 10, 64)
	if err != nil || n < 1 {
		return 0, wrong("%q is no number", q.PathValue(name))
	}
	return n, nil
}

// readable checks that a body comes as JSON, which no form of another site can send.
func (q *query) readable() error {
	if q.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &apiError{http.StatusUnsupportedMediaType, "the body must be JSON; send it with Content-Type: application/json"}
	}
	return nil
}

// body reads the request's JSON into v.
func (q *query) body(v any) error {
	b, err := io.ReadAll(q.Body)
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return err
		}
		return wrong("the body breaks off; send it again")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return wrong("the body is empty; send a JSON object, %s says which", openAPIPath)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return wrong("the body is not what is expected here (%s); %s says what is", strings.TrimPrefix(err.Error(), "json: "), openAPIPath)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wrong("the body goes on behind its JSON object; send one")
	}
	return nil
}

// nothing checks that a body is empty, or an empty object.
func (q *query) nothing() error {
	if q.ContentLength == 0 {
		return nil
	}
	var none struct{}
	return q.body(&none)
}

// pageOf is a part of a list. Next is what to ask for as after; null at its end.
type pageOf[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// paged makes a page of rows, of which one more was read than is wanted: its presence says that there are more.
func paged[R, T any](rows []R, n int, token func(R) string, item func(R) T) pageOf[T] {
	p := pageOf[T]{Items: []T{}}
	if len(rows) > n {
		rows = rows[:n]
		next := token(rows[n-1])
		p.Next = &next
	}
	for _, r := range rows {
		p.Items = append(p.Items, item(r))
	}
	return p
}

func numbered(id int64) string { return strconv.FormatInt(id, 10) }

// each makes a list of items, empty rather than null.
func each[R, T any](rows []R, item func(R) T) []T {
	all := make([]T, 0, len(rows))
	for _, r := range rows {
		all = append(all, item(r))
	}
	return all
}

// raw is JSON of the state; null when it is damaged or none.
func raw(text []byte) json.RawMessage {
	if !json.Valid(text) {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

// utc is an instant as the API writes it.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}
