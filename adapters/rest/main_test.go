package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a rest.Memory that can fail.
type memory struct {
	mu     sync.Mutex
	states map[string]rest.LimitState
	err    error
	saves  int
}

func newMemory() *memory { return &memory{states: map[string]rest.LimitState{}} }

func (m *memory) LoadLimit(_ context.Context, name string) (rest.LimitState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[name], m.err
}

func (m *memory) SaveLimit(_ context.Context, name string, s rest.LimitState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.states[name] = s
		m.saves++
	}
	return m.err
}

func (m *memory) get(name string) rest.LimitState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[name]
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// upstream is a transport that answers after a while and remembers when it was called.
type upstream struct {
	latency time.Duration
	answer  func(r *http.Request) (int, http.Header, string)

	mu    sync.Mutex
	times []time.Time
	keys  []string
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	u.times = append(u.times, time.Now())
	u.keys = append(u.keys, r.Header.Get("X-Key"))
	u.mu.Unlock()
	select {
	case <-time.After(u.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	status, header, body := 200, http.Header{}, "{}"
	if u.answer != nil {
		status, header, body = u.answer(r)
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (u *upstream) calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.times)
}

// worst returns the most calls that any window of that length has seen.
func (u *upstream) worst(window time.Duration) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	worst := 0
	for i, from := range u.times {
		n := 0
		for _, at := range u.times[i:] {
			if at.Sub(from) < window {
				n++
			}
		}
		worst = max(worst, n)
	}
	return worst
}

func key(name string) http.Header { return http.Header{"X-Key": {name}} }

func client(u *upstream, limits ...*rest.Limit) *rest.Client {
	return rest.New(rest.Options{Upstream: "naver", BaseURL: "http://upstream.test/v1", Transport: u, Limits: limits})
}

// get calls c once under ctx.
func get(ctx context.Context, c *rest.Client) error {
	req, err := c.NewRequest(ctx, http.MethodGet, "/search", nil, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// kindOf fails the test when err is not classified.
func kindOf(t *testing.T, err error) *adapters.Error {
	t.Helper()
	e, ok := errors.AsType[*adapters.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *adapters.Error", err)
	}
	return e
}
