package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sumbi/web"
)

// work is a process as its health sees it.
type work struct {
	begun bool
	stuck string
}

func (w *work) Begun() bool            { return w.begun }
func (w *work) Stuck(time.Time) string { return w.stuck }

func TestHealth(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	w := &work{}
	ho := newHouse(t, token, func(s *web.Server) { s.Health, s.Stopping = w, stopping })
	check := func(when string, live, ready int, say string) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": live, "/readyz": ready} {
			for _, method := range []string{"GET", "HEAD"} {
				r := ho.ask(method, path, "")
				b := text(r)
				if r.StatusCode != want || (want == 200 && b != "ok\n") {
					t.Errorf("%s, %s %s: %s %s", when, method, path, r.Status, b)
				}
				if path == "/readyz" && want != 200 && !strings.Contains(b, say) {
					t.Errorf("%s: %q does not say %q", when, b, say)
				}
			}
		}
	}
	check("before the work has begun", 200, 503, "starting")
	w.begun = true
	check("at work", 200, 200, "")
	// What a person may know is in the log, not in the answer to everybody.
	w.stuck = "a step of the lane instagram should have ended 5m0s ago"
	check("stuck", 503, 200, "")
	if r := ho.ask("GET", "/healthz", ""); strings.Contains(text(r), "instagram") || !strings.Contains(ho.log.String(), "instagram") {
		t.Errorf("the reason is told to everybody, or not to the log:\n%s", &ho.log)
	}
	w.stuck = ""
	close(stopping)
	check("told to stop", 200, 503, "stopping")
	for _, path := range []string{"/healthz", "/readyz"} {
		if r := ho.ask("POST", path, ""); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, r.Status)
		}
	}
}

// TestSick wants a state that does not answer to be no reason for a start: the next one would find it so, too.
func TestSick(t *testing.T) {
	t.Parallel()
	_, s, url := serve(t, "")
	if code, _, _ := call(t, "GET", url+"/readyz", ""); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
	s.Close()
	if code, body, _ := call(t, "GET", url+"/readyz", ""); code != http.StatusServiceUnavailable || strings.Contains(body, "/") {
		t.Errorf("readyz over a closed state: %d %s", code, body)
	}
	if code, _, _ := call(t, "GET", url+"/healthz", ""); code != http.StatusOK {
		t.Errorf("healthz over a closed state: %d", code)
	}
}
