package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret stands in the path and in the query of every address.
const secret = "T00비밀/B00/xoxb-1234"

// hook is a webhook that keeps what it was sent.
type hook struct {
	*httptest.Server
	bodies  []string
	headers []http.Header
	status  int
	answer  http.HandlerFunc // nil answers with status
}

func newHook(t *testing.T) *hook {
	t.Helper()
	return newHookAt(t, "127.0.0.1")
}

// newHookAt is a hook that listens at an address of this machine.
func newHookAt(t *testing.T, ip string) *hook {
	t.Helper()
	h := &hook{status: http.StatusOK}
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.bodies, h.headers = append(h.bodies, string(b)), append(h.headers, r.Header)
		if h.answer != nil {
			h.answer(w, r)
			return
		}
		w.WriteHeader(h.status)
	}))
	h.Listener.Close()
	h.Listener = l
	h.Start()
	t.Cleanup(h.Close)
	return h
}

// sender sends to the hook. Its connections end with the test.
func (h *hook) sender(t *testing.T) *notify.Sender {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return notify.New(notify.Options{URL: h.address(), Transport: tr})
}

func (h *hook) address() adapters.Secret {
	return adapters.Secret(h.URL + "/services/" + secret + "?key=" + secret)
}

// nobody is a hook at whose address nobody listens: no port of that kind is given to whoever asks for any.
func nobody() *hook { return &hook{Server: &httptest.Server{URL: "http://127.0.0.1:1"}} }

var at = time.Date(2026, 11, 20, 3, 4, 5, 0, time.UTC)

func TestOneNotice(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	n := adapters.Notice{Key: "lane:instagram", Event: "stopped", Pipeline: "맛집", Text: "instagram waits for you:\n<!channel> <https://evil.example|click> @everyone", At: at}
	if err := h.sender(t).Send(t.Context(), []adapters.Notice{n}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(h.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	text := "sumbi: instagram waits for you: ‹!channel› ‹https://evil.example|click› @everyone"
	for key, want := range map[string]string{"event": "stopped", "pipeline": "맛집", "at": "2026-11-20T03:04:05Z", "text": text, "content": text} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if fmt.Sprint(got["allowed_mentions"]) != "map[parse:[]]" {
		t.Errorf("allowed_mentions is %v: Discord would call people", got["allowed_mentions"])
	}
	if ct := h.headers[0].Get("Content-Type"); ct != "application/json" {
		t.Errorf("content type is %q", ct)
	}
}

// A message of any number of notices fits into what Discord takes, and names the rest by number.
func TestDigest(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	var ns []adapters.Notice
	for i := range 40 {
		ns = append(ns, adapters.Notice{Event: "silent", Text: fmt.Sprintf("%d %s", i, strings.Repeat("조용한 계정 ", 200)), At: at.Add(time.Duration(i) * time.Minute)})
	}
	if err := h.sender(t).Send(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Event, At, Text, Content string
		Notices                  []struct{ Event, Text string }
	}
	if err := json.Unmarshal([]byte(h.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(got.Content); n > 2000 {
		t.Errorf("content has %d characters", n)
	}
	if !strings.HasSuffix(got.Text, "and 30 more; `sumbi status` shows them") || got.Event != "several" || got.At != "2026-11-20T03:43:05Z" || len(got.Notices) != 40 {
		t.Errorf("got %+v", got)
	}
	if len(h.bodies) != 1 {
		t.Errorf("%d messages", len(h.bodies))
	}
}

// Whatever goes wrong, the error says so and does not show the address.
func TestFailures(t *testing.T) {
	t.Parallel()
	one := []adapters.Notice{{Event: "run", Text: "멈췄다", At: at}}
	tell := func(t *testing.T, s *notify.Sender, want string) {
		t.Helper()
		err := s.Send(t.Context(), one)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		for _, leak := range []string{"services", "xoxb", "비밀", "key=", "127.0.0.1", "%EB"} {
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), leak) {
				t.Errorf("%v shows %s", err, leak)
			}
		}
	}
	t.Run("status", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		h.status = http.StatusNotFound
		tell(t, h.sender(t), "notify: status 404; check SUMBI_NOTIFY_URL")
	})
	t.Run("redirect", func(t *testing.T) {
		t.Parallel()
		other := newHook(t)
		h := newHook(t)
		h.answer = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
		tell(t, h.sender(t), "status 307")
		if len(other.bodies) > 0 {
			t.Error("the message went to another host")
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		tell(t, nobody().sender(t), "cannot be reached: connection refused")
	})
	t.Run("stall", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		end := make(chan struct{})
		t.Cleanup(func() { close(end) })
		h.answer = func(http.ResponseWriter, *http.Request) { <-end }
		tr := &http.Transport{}
		t.Cleanup(tr.CloseIdleConnections)
		tell(t, notify.New(notify.Options{URL: h.address(), Transport: tr, Timeout: 200 * time.Millisecond}), "no answer in time")
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		h.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		tell(t, h.sender(t), "no answer")
	})
	t.Run("no address", func(t *testing.T) {
		t.Parallel()
		tell(t, notify.New(notify.Options{URL: "https://services xoxb\x7f/비밀"}), "SUMBI_NOTIFY_URL is no address")
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.sender(t).Send(ctx, one); err == nil || len(h.bodies) > 0 {
			t.Errorf("got %v and %d messages", err, len(h.bodies))
		}
	})
}

// TestPrivateName checks what a person learns whose address has a name that leads into his own network, and that he can mean it.
func TestPrivateName(t *testing.T) {
	t.Parallel()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip4", name)
	if err != nil || len(ips) == 0 || !ips[0].IsLoopback() {
		t.Skipf("%s is no name of loopback: %v %v", name, ips, err)
	}
	own := ips[0].Unmap().String() // 127.0.0.1, or as Debian has it 127.0.1.1
	h := newHookAt(t, own)
	u := strings.Replace(h.URL, own, name, 1) + "/services/" + secret
	one := []adapters.Notice{{Event: "run", Text: "멈췄다", At: at}}
	err = notify.New(notify.Options{URL: adapters.Secret(u)}).Send(t.Context(), one)
	if err == nil || !strings.Contains(err.Error(), "allow_private") || strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
	tr := notify.New(notify.Options{URL: adapters.Secret(u), Private: true})
	if err := tr.Send(t.Context(), one); err != nil || len(h.bodies) != 1 {
		t.Errorf("got %v, %d messages", err, len(h.bodies))
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	method := ""
	h.answer = func(w http.ResponseWriter, r *http.Request) {
		method = r.Method
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	status, err := h.sender(t).Reach(t.Context())
	if err != nil || status != http.StatusMethodNotAllowed || method != http.MethodHead || h.bodies[0] != "" {
		t.Errorf("status %d, %v; asked by %s with %q", status, err, method, h.bodies)
	}
	if _, err = nobody().sender(t).Reach(t.Context()); err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), nobody().URL) {
		t.Errorf("no one there: %v", err)
	}
}
