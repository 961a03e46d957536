package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/web"
)

// live serves a view "수" that counts its readings.
func live(t *testing.T, change ...func(*web.Server)) (s *web.Server, url string, readings *atomic.Int64) {
	t.Helper()
	w, _, _ := serve(t, "")
	s = &web.Server{Store: w.Store, Log: slog.New(slog.DiscardHandler), Status: w.Status}
	s.SetBeat(50 * time.Millisecond)
	for _, f := range change {
		f(s)
	}
	h := s.Handler()
	readings = &atomic.Int64{}
	s.Watch("수", `{{t "Posts"}} {{.Data}}`, func(_ context.Context, arg string) (any, error) { return arg + " " + itoa(readings.Add(1)), nil })
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseLive()
		srv.Close()
	})
	return s, srv.URL, readings
}

func itoa(n int64) string { b, _ := json.Marshal(n); return string(b) }

// listen opens a stream of events; the function returns the text of the next block.
func listen(t *testing.T, url, lang string) (*http.Response, func() (string, error)) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", lang)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return resp, func() (string, error) {
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || text == "{}" { // no block, but that nothing can be read
				continue
			}
			var block struct{ ID, HTML string }
			if err := json.Unmarshal([]byte(text), &block); err != nil {
				return "", err
			}
			if block.ID != "수" {
				return "", errors.New("another block: " + text)
			}
			return block.HTML, nil
		}
		return "", errors.Join(lines.Err(), io.EOF)
	}
}

// hang is longer than anything takes that a test waits for, however busy the machine is.
const hang = 5 * time.Minute

// until waits for what happens soon.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestLive has two people watch the same, each in his language, and a third another thing. It is read once for both, and no
// more when they have gone.
func TestLive(t *testing.T) {
	t.Parallel()
	s, url, readings := live(t)
	r, english := listen(t, url+"/events?view=수&arg=%3Cb%3E", "en")
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", r.Status, r.Header)
	}
	k, korean := listen(t, url+"/events?view=수&arg=%3Cb%3E", "ko")
	o, other := listen(t, url+"/events?view=수&arg=다른", "ko")
	for name, tt := range map[string]struct {
		next func() (string, error)
		want string
	}{"English": {english, "Posts &lt;b&gt; "}, "Korean": {korean, "게시물 &lt;b&gt; "}, "another": {other, "게시물 다른 "}} {
		before := ""
		for range 3 {
			got, err := tt.next()
			if err != nil || !strings.HasPrefix(got, tt.want) || got == before {
				t.Fatalf("%s: %q after %q, %v", name, got, before, err)
			}
			before = got
		}
	}
	if feeds, watchers := s.Watched(); feeds != 2 || watchers != 3 {
		t.Errorf("%d feeds for %d watchers", feeds, watchers)
	}
	for _, r := range []*http.Response{r, k, o} {
		r.Body.Close()
	}
	until(t, "somebody still watches", func() bool { feeds, watchers := s.Watched(); return feeds == 0 && watchers == 0 })
	s.CloseLive() // what was read is over
	n := readings.Load()
	time.Sleep(150 * time.Millisecond)
	if readings.Load() != n {
		t.Error("it is read while nobody watches")
	}
}

// TestLiveLost has a state that cannot be read for a while. Who watches is told so once, and then shown all again, though nothing
// has changed; so is who came meanwhile.
func TestLiveLost(t *testing.T) {
	t.Parallel()
	s, _, _ := live(t)
	var broken atomic.Bool
	var failed atomic.Int64
	s.Watch("상태", `{{.Data}}`, func(context.Context, string) (any, error) {
		if broken.Load() {
			failed.Add(1)
			return nil, errors.New("국물")
		}
		return "그대로", nil
	})
	const block, lost = "event: block\ndata: {\"html\":\"그대로\",\"id\":\"상태\"}\n\n", "event: lost\ndata: {}\n\n"
	join := func() <-chan []byte {
		events, err := s.Join(t.Context(), "상태")
		if err != nil {
			t.Fatal(err)
		}
		return events
	}
	wants := func(who string, events <-chan []byte, want string) {
		t.Helper()
		select {
		case got := <-events:
			if string(got) != want {
				t.Errorf("%s is sent %q, want %q", who, got, want)
			}
		case <-time.After(hang):
			t.Fatalf("%s is not sent %q", who, want)
		}
	}
	one := join()
	wants("the first", one, block)
	broken.Store(true)
	wants("the first", one, lost)
	other := join()
	wants("who came meanwhile", other, lost)
	n := failed.Load()
	until(t, "it is not tried again", func() bool { return failed.Load() > n+2 })
	broken.Store(false)
	wants("the first", one, block)
	wants("who came meanwhile", other, block)
}

// TestLiveSlow has one reader that takes nothing. It is dropped as soon as it is too far behind, and another one misses nothing.
func TestLiveSlow(t *testing.T) {
	t.Parallel()
	s, url, readings := live(t)
	slow, err := s.Join(t.Context(), "수")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the slow one is waited for", func() bool { _, n := s.Watched(); return n == 0 })
	n := 0
	for range slow {
		n++
	}
	if n != web.LiveAhead || readings.Load() != web.LiveAhead+1 {
		t.Errorf("%d events were kept for it, of %d", n, readings.Load())
	}
	slow, err = s.Join(t.Context(), "수")
	if err != nil {
		t.Fatal(err)
	}
	_, next := listen(t, url+"/events?view=수", "en")
	for range 2 * web.LiveAhead {
		if _, err := next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, n := s.Watched(); n != 1 || len(slow) != web.LiveAhead {
		t.Errorf("%d watch beside %d events that nobody takes", n, len(slow))
	}
}

// TestLiveAfterSlowReading reads what is slow less often, but comes by again soon after a reading that was slow once.
func TestLiveAfterSlowReading(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 10 * time.Millisecond: time.Second, 40 * time.Millisecond: 2 * time.Second,
		2 * time.Second: web.LiveLongest, time.Minute: web.LiveLongest,
	} {
		s, _, _ := live(t, func(s *web.Server) { s.SetBeat(time.Second) })
		synctest.Test(t, func(t *testing.T) {
			defer s.CloseLive()
			readings := int64(0)
			s.Watch("느린", "{{.Data}}", func(context.Context, string) (any, error) {
				if readings++; readings == 1 {
					time.Sleep(took)
				}
				return readings, nil
			})
			events, err := s.Join(t.Context(), "느린")
			if err != nil {
				t.Fatal(err)
			}
			<-events
			began := time.Now()
			<-events
			if got := time.Since(began); got != want {
				t.Errorf("after a reading of %s the next one came %s later, want %s", took, got, want)
			}
		})
	}
}

// TestLiveUnchanged sends a block once when it stays as it is, and to whom comes later, too.
func TestLiveUnchanged(t *testing.T) {
	t.Parallel()
	s, url, readings := live(t)
	s.Watch("같은", "<p>같다</p>", func(context.Context, string) (any, error) { readings.Add(1); return nil, nil })
	count := func() *atomic.Int64 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/events?view=같은", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var n atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "data: ") {
					n.Add(1)
				}
			}
		}()
		t.Cleanup(func() { resp.Body.Close(); <-done })
		until(t, "nothing comes", func() bool { return n.Load() == 1 })
		return &n
	}
	first := count()
	start := readings.Load()
	until(t, "it is not read", func() bool { return readings.Load() > start+10 })
	second := count()
	start = readings.Load()
	until(t, "it is not read", func() bool { return readings.Load() > start+10 })
	if first.Load() != 1 || second.Load() != 1 {
		t.Errorf("%d and %d events of something that does not change", first.Load(), second.Load())
	}
}

// TestLiveTrouble goes on after a reading that fails or panics.
func TestLiveTrouble(t *testing.T) {
	t.Parallel()
	s, url, readings := live(t)
	s.Watch("수", `{{.Data}}`, func(context.Context, string) (any, error) {
		switch n := readings.Add(1); n {
		case 1:
			return nil, errors.New("nothing can be read")
		case 2:
			panic("없음")
		default:
			return n, nil
		}
	})
	_, next := listen(t, url+"/events?view=수", "en")
	if got, err := next(); got != "3" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLiveBounds(t *testing.T) {
	t.Parallel()
	s, url, _ := live(t, func(s *web.Server) { s.SetBeat(time.Hour) })
	if r, _ := listen(t, url+"/events?view=없음", "en"); r.StatusCode != 404 {
		t.Errorf("an unknown view: %s", r.Status)
	}
	if code, _, h := call(t, "HEAD", url+"/events?view=수", ""); code != 200 || h.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", code, h)
	}
	for i := range web.LiveMost {
		if r, _ := listen(t, url+"/events?view=수&arg="+itoa(int64(i)), "en"); r.StatusCode != 200 {
			t.Fatalf("watcher %d: %s", i, r.Status)
		}
	}
	if r, _ := listen(t, url+"/events?view=수", "en"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", r.Status)
	}
	s.CloseLive()
	if r, _ := listen(t, url+"/events?view=수", "en"); r.StatusCode != 503 {
		t.Errorf("after the end: %s", r.Status)
	}
	ho := newHouse(t, token)
	if r := ho.ask("GET", "/events?view=overview", ""); r.StatusCode != 401 {
		t.Errorf("without the token: %s", r.Status)
	}
}
