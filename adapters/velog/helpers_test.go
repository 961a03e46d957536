package velog_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/rest"
	"sumbi/adapters/velog"
	"sumbi/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // noon in Korea

// world is an imitated velog and a source that asks it.
type world struct {
	t     *testing.T
	velog *sim.Velog
	s     *sim.Server
	base  string
}

func newWorld(t *testing.T, o sim.Options) *world {
	t.Helper()
	o.Epoch, o.Seed = start, 7
	s := sim.New(o)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.Close(); s.Close() })
	return &world{t, s.Velog(), s, server.URL}
}

// source asks through clients of its own; v2 is the path of the server of the statistics.
func (w *world) source(v2 string, o velog.Options) *velog.Source {
	if o.Now == nil {
		o.Now = w.velog.Now
	}
	return source(w.t, w.base+v2, w.base+sim.VelogV3Path, o)
}

func source(t *testing.T, v2, v3 string, o velog.Options) *velog.Source {
	t.Helper()
	limit := velog.Limit(0, nil)
	tr := &http.Transport{}
	open := func(base string) *rest.Client {
		return rest.New(rest.Options{Upstream: "velog", BaseURL: base, Classify: velog.Classify, Limits: []*rest.Limit{limit}, Transport: tr})
	}
	t.Cleanup(tr.CloseIdleConnections)
	o.V2, o.V3 = open(v2), open(v3)
	return velog.New(o)
}

// session is what a user hands in.
func session(u sim.VelogUser) adapters.Credential {
	return adapters.Credential{Values: map[string]string{velog.AccessToken: u.AccessToken, velog.RefreshToken: u.RefreshToken}}
}

// walk follows a list to its end.
func walk(t *testing.T, s adapters.Source, q adapters.Query) (recs []adapters.Record, pages int) {
	t.Helper()
	for {
		p, err := s.Fetch(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d: %v", pages+1, err)
		}
		pages++
		recs = append(recs, p.Records...)
		if p.Credential != nil {
			q.Credential = *p.Credential
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return recs, pages
		}
	}
}

const (
	userID  = "00000000-0000-4000-8000-000000000099" // of the samples
	otherID = "00000000-0000-4000-8000-000000000098"
	postID  = "00000000-0000-4000-8000-000000000001"
)

// token makes a token that nobody signed.
func token(kind, user string, expires time.Time) string {
	body, _ := json.Marshal(map[string]any{"user_id": user, "iat": start.Unix(), "exp": expires.Unix(), "iss": "velog.io", "sub": kind})
	return "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64.RawURLEncoding.EncodeToString(body) + ".c2lnbmF0dXJl"
}

// refresh is a refresh token whose id stands under a claim of the name given.
func refresh(claim string, expires time.Time) string {
	body, _ := json.Marshal(map[string]any{"user_id": userID, claim: otherID, "exp": expires.Unix(), "iss": "velog.io", "sub": "refresh_token"})
	return "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64.RawURLEncoding.EncodeToString(body) + ".c2lnbmF0dXJl"
}

// believed is a session that velog has accepted and that is not due.
func believed() adapters.Credential {
	return adapters.Credential{
		Values: map[string]string{
			velog.AccessToken: token("access_token", userID, start.Add(20*time.Hour)), velog.RefreshToken: token("refresh_token", userID, start.Add(600*time.Hour)),
			velog.UserID: userID, velog.Username: "example",
		},
		Expires: start.Add(19*time.Hour + 31*time.Minute),
	}
}

// script is an upstream that answers what a test says, and remembers what it was sent.
type script struct {
	mu      sync.Mutex
	v2, v3  http.Handler
	v3Posts http.Handler // instead of v3 when posts are asked for
	sent    []string     // server and operation
	cookies []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var o struct {
		OperationName string
		Variables     struct {
			Cursor string
			Input  struct{ Cursor string }
		}
	}
	_ = json.Unmarshal(body, &o)
	r.Header.Set(headerCursor, o.Variables.Cursor+o.Variables.Input.Cursor)
	s.mu.Lock()
	server := strings.Split(r.URL.Path, "/")[1]
	s.sent = append(s.sent, server+" "+o.OperationName)
	s.cookies = append(s.cookies, r.Header.Get("Cookie"))
	h := s.v3
	if server == "v2" {
		h = s.v2
	} else if o.OperationName == "velogPosts" && s.v3Posts != nil {
		h = s.v3Posts
	}
	s.mu.Unlock()
	w.Header().Set("Date", start.Format(http.TimeFormat))
	h.ServeHTTP(w, r)
}

// headerCursor hands the cursor of a request to its handler.
const headerCursor = "X-Cursor"

// scripted returns a source that asks s.
func scripted(t *testing.T, s *script, o velog.Options) *velog.Source {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	return source(t, server.URL+"/v2", server.URL+"/v3", o)
}

// says answers with a body and Set-Cookie lines.
func says(status int, body string, cookies ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range cookies {
			w.Header().Add("Set-Cookie", c)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func sample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// cookie is a line as the servers set it.
func cookie(name, value, more string) string {
	return fmt.Sprintf("%s=%s; Path=/; Expires=Sun, 20 Dec 2026 03:00:00 GMT; HttpOnly%s", name, value, more)
}
