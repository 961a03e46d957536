package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sumbi/queue"
	"sumbi/sim"
)

// served is a running serve.
type served struct {
	w    *world
	cmd  *exec.Cmd
	addr string
	mu   sync.Mutex
	log  bytes.Buffer
	done chan error
}

// serve starts the program on a free port and waits until it listens.
func (w *world) serve(args ...string) *served {
	w.t.Helper()
	return w.serveOn("127.0.0.1", args...)
}

func (w *world) serveOn(host string, args ...string) *served {
	w.t.Helper()
	s := &served{w: w, done: make(chan error, 1)}
	s.cmd = w.cmd(append([]string{"serve", "--listen", host + ":0"}, args...)...)
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	up := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(errs)
		for lines.Scan() {
			s.mu.Lock()
			s.log.Write(append(lines.Bytes(), '\n'))
			s.mu.Unlock()
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				up <- m[1]
			}
		}
		s.done <- s.cmd.Wait()
	}()
	w.t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	select {
	case s.addr = <-up:
	case err := <-s.done:
		w.t.Fatalf("serve ended: %v\n%s", err, s.text())
	case <-time.After(2 * time.Minute):
		w.t.Fatalf("serve does not listen:\n%s", s.text())
	}
	return s
}

// listening is the line of a log, of either form, that says where serve listens.
var listening = regexp.MustCompile(`listening"?[ ,]"?addr"?[=:]"?([0-9.:\[\]]+)`)

func (s *served) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// term asks the process to stop and wants it to do so in order.
func (s *served) term() {
	s.w.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.w.t.Fatal(err)
	}
	s.ended()
}

// ended waits for an end in order that was asked for.
func (s *served) ended() {
	s.w.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.w.t.Errorf("serve ended with %v\n%s", err, s.text())
		}
	case <-time.After(2 * time.Minute):
		s.w.t.Fatalf("serve does not stop:\n%s", s.text())
	}
}

func (s *served) get(path, token string) (int, string) {
	s.w.t.Helper()
	req, err := http.NewRequestWithContext(s.w.t.Context(), http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		s.w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// until waits for a condition of the state.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.t.Fatalf("in vain: %s", what)
}

func (w *world) runDone(s *queue.Store, id int64) func() bool {
	return func() bool {
		r, err := s.LastRun(w.t.Context(), "matzip")
		return err == nil && r.ID >= id && r.State == queue.RunDone
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 21, Accounts: 3, Posts: 30, Latency: 20 * time.Millisecond}, `every = "72h"`)
	w.env = append(w.env, "SUMBI_TOKEN=열려라참깨")
	sv := w.serve()
	s := w.state()

	// A pipeline that never ran does not wait for its first turn.
	w.until("the first run ends", w.runDone(s, 1))
	w.grade()

	if code, _ := sv.get("/healthz", ""); code != http.StatusOK {
		t.Errorf("/healthz without a token: %d", code)
	}
	if code, body := sv.get("/readyz", ""); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/places", "/openapi.yaml"} {
		if code, _ := sv.get(path, ""); code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d, want 401", path, code)
		}
		if code, _ := sv.get(path, "falsch"); code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token: %d, want 401", path, code)
		}
		if code, body := sv.get(path, "열려라참깨"); code != http.StatusOK || body == "" {
			t.Errorf("%s with the token: %d %q", path, code, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if out := w.mustRun("healthcheck", "--url", "http://"+sv.addr+path); out != "ok\n" {
			t.Errorf("healthcheck says %q", out)
		}
	}
	var pipelines struct {
		Items []struct {
			Name       string
			Configured bool
			LastRun    struct{ State string }
		}
	}
	_, body := sv.get("/api/v1/pipelines", "열려라참깨")
	if err := json.Unmarshal([]byte(body), &pipelines); err != nil || len(pipelines.Items) != 1 || !pipelines.Items[0].Configured || pipelines.Items[0].LastRun.State != "done" {
		t.Errorf("pipelines: %v %s", err, body)
	}

	// A second drain is refused with a sentence; a run is handed over and followed.
	if w.database == "" { // over PostgreSQL it would help
		status, _, errs := w.run("serve", "--listen", "-")
		if status != 1 || !strings.Contains(errs, "another sumbi process already works on") {
			t.Errorf("second serve: status %d, %s", status, errs)
		}
		if status, _, errs := w.run("run", "--release", "matzip"); status != 1 || !strings.Contains(errs, "--release forgets nothing while another sumbi works") {
			t.Errorf("--release beside serve: status %d, %s", status, errs)
		}
	}
	w.Publish(w.Accounts()[0], 3)
	out := w.mustRun("run", "matzip")
	if !strings.Contains(out, "3 new posts") {
		t.Errorf("run beside serve printed %q", out)
	}
	w.grade()
	w.paidTwice()

	// A person decides beside it.
	post := namingPost(w.Server)
	w.mustRun("review", "set", post, "0", "none", "--by", "사장님")
	ms, err := s.Reviews(t.Context(), queue.ReviewFilter{Post: post, All: true}, 0, 1)
	if err != nil || len(ms) != 1 || ms[0].State != "none" || ms[0].Label == 0 {
		t.Errorf("decided beside serve: %+v %v", ms, err)
	}

	sv.term()
	if code, _, _ := w.run("healthcheck", "--url", "http://"+sv.addr+"/healthz"); code != 1 {
		t.Errorf("healthcheck after the end: status %d", code)
	}
}

// TestServeStopsInOrder stops a serve in the middle of its crawl: what was in flight ends or waits, nothing counts as an attempt.
func TestServeStopsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 22, Accounts: 4, Posts: 60, Latency: time.Second}, `every = "72h"`)
	sv := w.serve()
	s := w.state()
	w.until("some pages are there", func() bool {
		r, err := s.LastRun(t.Context(), "matzip")
		return err == nil && r.Pages > 4
	})
	// A call takes ten seconds from now on, so that one is in flight for as long as a busy machine needs to look.
	w.SetFaults(sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Slow: sim.Often(1)}}})
	asked := w.Stats().Calls["instagram"].Requests
	w.until("a slow call is in flight", func() bool { return w.Stats().Calls["instagram"].Requests > asked })
	if err := sv.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// While calls are in flight it says to everybody that it stops.
	said := ""
	for end := time.Now().Add(20 * time.Second); !strings.Contains(said, "stopping") && time.Now().Before(end); {
		resp, err := http.Get("http://" + sv.addr + "/readyz")
		if err != nil {
			break
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		said += string(b)
	}
	if !strings.Contains(said, "stopping") {
		t.Errorf("/readyz after SIGTERM said %q", said)
	}
	sv.ended()
	js, err := s.Jobs(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range js {
		if j.Attempt != 0 || j.State == "running" || j.State == "dead" {
			t.Errorf("job %d %s is %s after %d attempts", j.ID, j.Key, j.State, j.Attempt)
		}
	}
	w.SetFaults(sim.Faults{})
	w.mustRun("run", "matzip")
	w.grade()
	if st := w.Stats(); st.PagesAgain != 0 {
		t.Errorf("%d pages were fetched again after an orderly stop", st.PagesAgain)
	}
}

// TestWebhook wants the end of a batch to be noticed by the webhook long before the next poll.
func TestWebhook(t *testing.T) {
	t.Parallel()
	var listens atomic.Pointer[url.URL]
	way := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if to := listens.Load(); to != nil {
			(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}).ServeHTTP(rw, r)
			return
		}
		http.Error(rw, "nobody listens yet", http.StatusBadGateway)
	}))
	t.Cleanup(way.Close)
	// A webhook tells of a batch that is known: six seconds after it was made that was written down on the slowest disk.
	w := newWorld(t, sim.Options{Seed: 23, Accounts: 2, Posts: 20, BatchStep: 2 * time.Second, WebhookURL: way.URL + "/webhooks/openai"}, `every = "72h"`)
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", strings.Replace(conf, `poll = "50ms"`, `poll = "10m"`, 1))
	sv := w.serve()
	listens.Store(&url.URL{Scheme: "http", Host: sv.addr})
	s := w.state()
	w.until("the run ends without a poll", w.runDone(s, 1))
	w.grade()
	if st := w.Stats(); st.WebhooksTaken == 0 {
		t.Errorf("no webhook was taken: %s", st)
	}

	// Forged ones are refused.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+sv.addr+"/webhooks/openai", strings.NewReader(`{"type":"batch.completed","data":{"id":"batch_1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "evt_1")
	req.Header.Set("webhook-timestamp", "1795179997")
	req.Header.Set("webhook-signature", "v1,Zm9yZ2Vk")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode < 400 || resp.StatusCode > 499 {
		t.Errorf("forged webhook: %s", resp.Status)
	}
	sv.term()
}
