package rest_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sumbi/adapters/rest"
)

// strict is an upstream that allows so many calls in any sliding second, by the moment at which they arrive.
type strict struct {
	allowed int
	per     time.Duration // instead of a second
	count   bool          // refused calls fill the window too
	jitter  time.Duration // a call is under way for a random time below it
	latency time.Duration // of an accepted call
	refusal time.Duration // of a refused one
	header  http.Header

	mu      sync.Mutex
	rng     *rand.Rand
	window  []time.Time
	arrived []time.Time
	refused []int // indices in arrived
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.rng == nil {
		s.rng = rand.New(rand.NewPCG(1, 2))
	}
	way := time.Duration(0)
	if s.jitter > 0 {
		way = time.Duration(s.rng.Int64N(int64(s.jitter)))
	}
	s.mu.Unlock()
	time.Sleep(way)
	status, wait := s.judge()
	time.Sleep(wait)
	h := http.Header{}
	for name, values := range s.header {
		h[name] = values
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("{}")), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

func (s *strict) judge() (int, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	per := s.per
	if per == 0 {
		per = time.Second
	}
	for len(s.window) > 0 && now.Sub(s.window[0]) >= per {
		s.window = s.window[1:]
	}
	s.arrived = append(s.arrived, now)
	full := len(s.window) >= s.allowed
	if !full || s.count {
		s.window = append(s.window, now)
	}
	if full {
		s.refused = append(s.refused, len(s.arrived)-1)
		return http.StatusTooManyRequests, s.refusal
	}
	return http.StatusOK, s.latency
}

func (s *strict) allow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = n
}

func (s *strict) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused)
}

// drive makes so many calls as fast as permits come and returns the calls a second that were accepted.
func drive(t *testing.T, c *rest.Client, s *strict, calls int) float64 {
	t.Helper()
	before := len(s.arrived) - len(s.refused)
	began := time.Now()
	var wg sync.WaitGroup
	for range calls {
		ctx, release, err := c.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer release()
			_ = get(ctx, c) // a refusal is the upstream's to count
		})
	}
	took := time.Since(began)
	wg.Wait()
	return float64(len(s.arrived)-len(s.refused)-before) / took.Seconds()
}

func open(s *strict, mem rest.Memory, perSecond float64) *rest.Client {
	o := rest.LimitOptions{Name: "naver/1", PerSecond: perSecond, Header: key("하나")}
	if mem != nil {
		o.Memory = mem
	}
	return rest.New(rest.Options{Upstream: "naver", BaseURL: "http://upstream.test/v1", Transport: s, Limits: []*rest.Limit{rest.NewLimit(o)}})
}

func guardOf(c *rest.Client) time.Duration { return c.Limits()[0].Guard }
