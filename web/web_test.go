package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/pgtest"
	"sumbi/web"
)

func open(t *testing.T) *queue.Store {
	t.Helper()
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	var s *queue.Store
	if pgtest.Wanted() {
		server, failed := postgres()
		if failed != nil {
			t.Fatal(failed)
		}
		s, err = queue.OpenPostgres(t.Context(), queue.Database{Address: server.Database(t, "")}, string(schema), queue.Owner)
	} else {
		s, err = queue.Open(t.Context(), filepath.Join(t.TempDir(), "상태.db"), string(schema), queue.Owner)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func serve(t *testing.T, token string) (*web.Server, *queue.Store, string) {
	t.Helper()
	s := open(t)
	w := &web.Server{
		Store: s, Log: slog.New(slog.DiscardHandler), Token: adapters.Secret(token),
		Verify: func(h http.Header, body []byte, _ time.Time) (string, string, error) {
			if h.Get("webhook-signature") != "good" {
				return "", "", errors.New("bad signature")
			}
			return h.Get("webhook-id"), string(body), nil
		},
		Status:  func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "상태"); return err },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sumbi_jobs 1") }),
	}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	return w, s, srv.URL
}

func call(t *testing.T, method, url, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestToken(t *testing.T) {
	t.Parallel()
	_, _, url := serve(t, "참깨")
	for _, tt := range []struct {
		path    string
		headers []string
		want    int
	}{
		{"/healthz", nil, 200},
		{"/", nil, 401},
		{"/metrics", nil, 401},
		{"/", []string{"Authorization", "Bearer 들깨"}, 401},
		{"/", []string{"Authorization", "Bearer 참깨"}, 200},
		{"/metrics", []string{"Authorization", "Basic c3VtYmk66rO46rmo"}, 401},
		{"/metrics", []string{"Authorization", "Basic OuywuOq5qA=="}, 200},
		{"/nothing", []string{"Authorization", "Bearer 참깨"}, 404},
	} {
		if code, body, h := call(t, "GET", url+tt.path, "", tt.headers...); code != tt.want {
			t.Errorf("%s %v: %d %s, want %d", tt.path, tt.headers, code, body, tt.want)
		} else if h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", tt.path, h)
		}
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	_, s, url := serve(t, "참깨")
	// A batch that is looked at again in an hour.
	var b queue.Batch
	err := s.Tx(t.Context(), func(tx *queue.Tx) (err error) {
		if b, err = tx.NewBatch("matzip", "gpt-시험"); err != nil {
			return err
		}
		b.State, b.UpstreamID = queue.BatchRunning, "batch_1"
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		_, err = tx.Add(queue.Job{Pipeline: "matzip", Lane: "openai", Kind: queue.KindBatch, Key: jobs.BatchKey(b.ID), At: tx.Now().Add(time.Hour)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	state := func() string {
		js, err := s.Jobs(t.Context(), "", "batch", 10)
		if err != nil || len(js) != 1 {
			t.Fatal(js, err)
		}
		return js[0].State
	}
	hook := url + "/webhooks/openai"
	if code, _, _ := call(t, "POST", hook, "batch_1", "webhook-id", "1", "webhook-signature", "forged"); code != 401 || state() != "waiting" {
		t.Errorf("forged: %d, the job is %s", code, state())
	}
	if code, _, _ := call(t, "POST", hook, strings.Repeat("x", 65<<10), "webhook-id", "1", "webhook-signature", "good"); code != 413 {
		t.Errorf("too large: %d", code)
	}
	if code, _, _ := call(t, "POST", hook, "batch_somebody_elses", "webhook-id", "0", "webhook-signature", "good"); code != 204 || state() != "waiting" {
		t.Errorf("another's batch: %d, the job is %s", code, state())
	}
	if code, _, _ := call(t, "POST", hook, "batch_1", "webhook-id", "1", "webhook-signature", "good"); code != 204 || state() != "ready" {
		t.Errorf("good: %d, the job is %s", code, state())
	}
	// The same one again has no effect.
	err = s.Tx(t.Context(), func(tx *queue.Tx) error {
		js, err := s.Jobs(t.Context(), "", "batch", 10)
		if err != nil {
			return err
		}
		if err := tx.Drop(js[0].ID); err != nil {
			return err
		}
		_, err = tx.Add(queue.Job{Pipeline: "matzip", Lane: "openai", Kind: queue.KindBatch, Key: jobs.BatchKey(b.ID), At: tx.Now().Add(time.Hour)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, _, _ := call(t, "POST", hook, "batch_1", "webhook-id", "1", "webhook-signature", "good"); code != 204 || state() != "waiting" {
		t.Errorf("repeated: %d, the job is %s", code, state())
	}
	if code, _, _ := call(t, "GET", hook, ""); code != 405 {
		t.Errorf("GET: %d", code)
	}
}

func TestWebhooksOff(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	w.Verify = nil
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	if code, body, _ := call(t, "POST", srv.URL+"/webhooks/openai", "{}"); code != 404 || !strings.Contains(body, "OPENAI_WEBHOOK_SECRET") {
		t.Errorf("%d %s", code, body)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Listen(ctx, "127.0.0.1:0") }()
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := w.Listen(t.Context(), "127.0.0.1:nope"); err == nil || !strings.Contains(fmt.Sprint(err), "cannot listen on 127.0.0.1:nope") {
		t.Errorf("got %v", err)
	}
}

// TestListenAnswers wants a request that is being answered when the stop comes to be answered before Listen returns, and one that
// is live not to hold it.
func TestListenAnswers(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	begun, release, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
	at := make(chan net.Addr, 1)
	s := &web.Server{
		Store: w.Store, Log: slog.New(slog.DiscardHandler), Opened: func(a net.Addr) { at <- a },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-release
			select {
			case <-returned:
				t.Error("the state may be closed while a request is answered")
			default:
			}
			_, _ = io.WriteString(w, "끝")
		}),
		Status: w.Status,
	}
	ctx, stop := context.WithCancel(t.Context())
	var err error
	go func() {
		defer close(returned)
		err = s.Listen(ctx, "127.0.0.1:0")
	}()
	url := "http://" + (<-at).String()
	live, _ := listen(t, url+"/events?view=overview", "en")
	if live.StatusCode != http.StatusOK {
		t.Errorf("events: %s", live.Status)
	}
	body := make(chan string)
	go func() {
		_, b, _ := call(t, "GET", url+"/metrics", "")
		body <- b
	}()
	<-begun
	stop()
	if _, err := io.Copy(io.Discard, live.Body); err != nil { // its end is that of what is live
		t.Errorf("events end with %v", err)
	}
	select {
	case <-returned:
		t.Error("the request was not waited for")
	case <-time.After(50 * time.Millisecond): // a stop that waits for nobody is over by then
	}
	close(release)
	if b := <-body; b != "끝" {
		t.Errorf("answered %q", b)
	}
	if <-returned; err != nil {
		t.Error(err)
	}
}

// TestCrowd wants connections that one address holds open to keep out neither others nor this machine.
func TestCrowd(t *testing.T) {
	t.Parallel()
	enter, leave := web.Crowd(web.MostOfAddress)
	taken := func(addr string) (n int) {
		for n < 1000 && enter(addr) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		addr string
		want int
	}{
		{"203.0.113.1", 64}, {"2001:db8::1", 64}, {"2001:db8::2", 0}, {"203.0.113.2", 64}, {"203.0.113.3", 64}, {"203.0.113.4", 0}, {"", 256},
	} {
		if got := taken(tt.addr); got != tt.want {
			t.Errorf("%q has %d places, want %d", tt.addr, got, tt.want)
		}
	}
	leave("203.0.113.1")
	if got := taken("203.0.113.4"); got != 1 {
		t.Errorf("%d places are free after one has left", got)
	}
}

// TestReadsBounded wants few answers to be made at a time, each with a bound on its reading, and what is no reading not to wait.
func TestReadsBounded(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	inside, release := make(chan bool, 3), make(chan struct{})
	h := w.Bounded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, bound := r.Context().Deadline()
		inside <- bound
		<-release
	}))
	var all sync.WaitGroup
	ask := func(ctx context.Context, method, path string) *httptest.ResponseRecorder {
		a := httptest.NewRecorder()
		h.ServeHTTP(a, httptest.NewRequestWithContext(ctx, method, path, nil))
		return a
	}
	for range 2 {
		all.Go(func() { ask(t.Context(), "GET", "/jobs") })
	}
	if first, second := <-inside, <-inside; !first || !second {
		t.Error("a reading has no bound")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if a := ask(ended, "GET", "/api/v1/status"); a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" {
		t.Errorf("a third one: %d", a.Code)
	}
	for _, other := range [][2]string{{"GET", "/events"}, {"GET", "/map.csv"}, {"POST", "/jobs/do"}} {
		all.Go(func() { ask(t.Context(), other[0], other[1]) })
		if bound := <-inside; bound {
			t.Errorf("%v has a bound", other)
		}
	}
	close(release)
	all.Wait()
}
