package rest_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// refuse answers every call alike.
func refuse(status int, body string, headers ...string) func(*http.Request) (int, http.Header, string) {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return func(*http.Request) (int, http.Header, string) { return status, h, body }
}

func TestRefusalHoldsTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		header string
		want   time.Duration
	}{
		{"seconds", "7", 7 * time.Second},
		{"date", "Sat, 01 Jan 2000 00:01:30 GMT", 90 * time.Second}, // synctest begins at midnight
		{"nothing", "", time.Second},
		{"zero", "0", time.Second},
		{"negative", "-5", time.Second},
		{"nonsense", "곧", time.Second},
		{"past", "Fri, 31 Dec 1999 00:00:00 GMT", time.Second},
		{"absurd", "1e300", 32 * 24 * time.Hour},
		{"instant", "946684890", 90 * time.Second}, // Unix seconds of the date above
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: refuse(429, "천천히", "Retry-After", c.header)}
				mem := newMemory()
				cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 7, Memory: mem}))
				e := kindOf(t, get(t.Context(), cl))
				if e.Kind != adapters.Throttled || e.Reason != adapters.ReasonRate || e.After != c.want {
					t.Errorf("got %v, %q after %v, want throttled, rate after %v", e.Kind, e.Reason, e.After, c.want)
				}
				want := time.Now().Add(c.want)
				if s := mem.get("naver/1"); !s.HeldUntil.Equal(want) || s.Reason != adapters.ReasonRate || !s.Dirty {
					t.Errorf("saved %+v, want held until %v for rate", s, want)
				}
				if _, _, err := cl.Permit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !time.Now().Equal(want) {
					t.Errorf("the next permit came at %v, want %v", time.Now(), want)
				}
			})
		})
	}
}

// An upstream whose clock is hours ahead names instants by it.
func TestInstantsOfAnotherClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs := time.Now().Add(7 * time.Hour)
		for header, v := range map[string]string{
			"Retry-After":                theirs.Add(time.Minute).UTC().Format(http.TimeFormat),
			"X-RateLimit-Requests-Reset": strconv.FormatInt(theirs.Add(time.Minute).Unix(), 10),
		} {
			u := &upstream{answer: refuse(429, "천천히", header, v, "Date", theirs.UTC().Format(http.TimeFormat), "X-RateLimit-Requests-Remaining", "0")}
			e := kindOf(t, get(t.Context(), client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1"}))))
			if e.After != time.Minute {
				t.Errorf("%s: held for %v, want a minute", header, e.After)
			}
		}
	})
}

func TestRefusalsInARowDouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: refuse(429, "")}
		c := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 100}))
		// The first pause lets eight calls leave the window; then it is the whole one.
		first := 8 * 1032 * time.Millisecond / 100
		for i, want := range []time.Duration{first, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
			ctx, _, err := c.Permit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if e := kindOf(t, get(ctx, c)); (e.After - want).Abs() > 10*time.Millisecond {
				t.Errorf("refusal %d: held for %v, want %v", i+1, e.After, want)
			}
		}
		u.answer = nil
		time.Sleep(time.Minute)
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		u.answer = refuse(429, "")
		if e := kindOf(t, get(t.Context(), c)); e.After > 2*first {
			t.Errorf("after a call that went well: held for %v, want %v", e.After, first)
		}
	})
}

func TestRefusalsOfCallsUnderWayAreOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{latency: 500 * time.Millisecond, answer: refuse(429, "")}
		c := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 100}))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = get(t.Context(), c) })
		}
		wg.Wait()
		held := c.Limits()[0]
		if left := time.Until(held.HeldUntil); left > time.Second || held.Reason != adapters.ReasonRate {
			t.Errorf("20 refusals at once hold for %v (%s), want at most 1s", left, held.Reason)
		}
	})
}

// A permit that was granted before its limit was held does not lead into the wall.
func TestHeldWhileThePermitWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: func(r *http.Request) (int, http.Header, string) {
			if r.Header.Get("X-Key") == "하나" {
				return 429, http.Header{"Retry-After": {"600"}}, ""
			}
			return 200, http.Header{}, "{}"
		}}
		c := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 2, Header: key("하나")}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 1, Header: key("둘")}))
		first, _, err := c.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = c.Permit(t.Context()); err != nil { // naver/2
			t.Fatal(err)
		}
		second, _, err := c.Permit(t.Context()) // naver/1 again
		if err != nil {
			t.Fatal(err)
		}
		e := kindOf(t, get(first, c))
		if e.Kind != adapters.Throttled || e.After > time.Second {
			t.Errorf("got %v after %v, want throttled only until the other key is free", e.Kind, e.After)
		}
		if err := get(second, c); err != nil {
			t.Errorf("the permit of a held key was not exchanged: %v", err)
		}
		if got := strings.Join(u.keys, " "); got != "하나 둘" {
			t.Errorf("calls went with %s", got)
		}
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	classify := func(int, http.Header, []byte) *adapters.Error {
		return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonQuota, After: 12 * 24 * time.Hour, Err: errors.New("월 한도")}
	}
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		u := &upstream{answer: refuse(429, "")}
		open := func() *rest.Client {
			return rest.New(rest.Options{
				Upstream: "instagram", BaseURL: "http://upstream.test", Transport: u, Classify: classify,
				Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "instagram/1", PerSecond: 8, Memory: mem})},
			})
		}
		e := kindOf(t, get(t.Context(), open()))
		if e.Reason != adapters.ReasonQuota || e.After != 12*24*time.Hour || e.Upstream != "instagram" {
			t.Errorf("got %q after %v from %q", e.Reason, e.After, e.Upstream)
		}
		// A hold outlives the process.
		c := open()
		e = kindOf(t, get(t.Context(), c))
		if u.calls() != 1 || e.Kind != adapters.Throttled || e.Reason != adapters.ReasonQuota {
			t.Errorf("after a start: %d calls, %v, %q, want 1 call, throttled, quota", u.calls(), e.Kind, e.Reason)
		}
		if got := c.Limits()[0]; got.Reason != adapters.ReasonQuota || got.HeldUntil.IsZero() {
			t.Errorf("status shows %+v", got)
		}
	})
}

// An upstream that does not say when the quota is renewed is asked again in an hour, or where the quota is that of a day, when the
// Korean day ends.
func TestQuotaWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		perDay int
		want   time.Duration
	}{{"월", 0, time.Hour}, {"일", 1000, 15 * time.Hour}} { // the clock starts at 9 in the morning, Korean time
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := rest.New(rest.Options{
					Upstream: "instagram", BaseURL: "http://upstream.test", Transport: &upstream{answer: refuse(429, "")},
					Classify: func(int, http.Header, []byte) *adapters.Error {
						return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonQuota, Err: errors.New("한도")}
					},
					Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "instagram/1", PerDay: c.perDay, Memory: newMemory()})},
				})
				began := time.Now()
				_ = kindOf(t, get(t.Context(), client))
				if got := client.Limits()[0].HeldUntil.Sub(began); got != c.want {
					t.Errorf("held for %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		kind   adapters.Kind
		reason string
	}{
		{401, adapters.Unauthorized, adapters.ReasonKey},
		{403, adapters.NeedsHuman, adapters.ReasonPlan},
	} {
		t.Run(http.StatusText(c.status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: refuse(c.status, "거절")}
				mem := newMemory()
				open := func() *rest.Client {
					return client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 5, Header: key("하나"), Memory: mem}))
				}
				cl := open()
				// Somebody who waits for a permit must hear of it.
				for range 2 {
					if _, _, err := cl.Permit(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				waiting := make(chan error, 1)
				req, _ := cl.NewRequest(t.Context(), http.MethodGet, "/search", nil, nil)
				_, err := cl.Do(req)
				go func() {
					_, _, err := cl.Permit(t.Context())
					waiting <- err
				}()
				if e := kindOf(t, err); e.Kind != c.kind || e.Reason != c.reason {
					t.Errorf("got %v, %q, want %v, %q", e.Kind, e.Reason, c.kind, c.reason)
				}
				for _, err := range []error{<-waiting, get(t.Context(), cl)} {
					e := kindOf(t, err)
					if e.Kind != adapters.NeedsHuman || e.Reason != c.reason || e.Upstream != "naver" {
						t.Errorf("stopped: got %v, %q from %q", e.Kind, e.Reason, e.Upstream)
					}
					if text := e.Error(); !strings.Contains(text, "naver/1") || !strings.Contains(text, "거절") {
						t.Errorf("it does not say which and why: %s", text)
					}
				}
				if u.calls() != 1 {
					t.Errorf("%d calls left, want 1", u.calls())
				}
				if s := mem.get("naver/1"); !s.Stopped || s.Reason != c.reason {
					t.Errorf("saved %+v", s)
				}
				// The next start tries again: the key may be another.
				u.answer = nil
				if err := get(t.Context(), open()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestStopOfOneOfTwoKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: func(r *http.Request) (int, http.Header, string) {
			if r.Header.Get("X-Key") == "하나" {
				return 401, http.Header{}, ""
			}
			return 200, http.Header{}, "{}"
		}}
		c := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 5, Header: key("하나")}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 5, Header: key("둘")}))
		e := kindOf(t, get(t.Context(), c))
		if e.Kind != adapters.Throttled || e.Reason != adapters.ReasonKey || e.After > time.Second {
			t.Errorf("got %v, %q after %v, want another try soon", e.Kind, e.Reason, e.After)
		}
		for range 3 {
			if err := get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(u.keys, " "); got != "하나 둘 둘 둘" {
			t.Errorf("calls went with %s", got)
		}
	})
}

// A limit that carries no credential is not to blame when a target's own credential is refused.
func TestUnauthorizedWithoutACredential(t *testing.T) {
	t.Parallel()
	u := &upstream{answer: refuse(401, "")}
	c := client(u)
	for range 2 {
		if e := kindOf(t, get(t.Context(), c)); e.Kind != adapters.Unauthorized {
			t.Errorf("got %v, want unauthorized", e.Kind)
		}
	}
}

func TestHoldIsKeptWhenItCannotBeSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		u := &upstream{}
		c := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 5, Memory: mem}))
		broken := errors.New("disk full")
		u.answer = func(*http.Request) (int, http.Header, string) {
			mem.fail(broken)
			return 429, http.Header{"Retry-After": {"30"}}, ""
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := get(ctx, c); !errors.Is(err, broken) || kindOf(t, err).Kind != adapters.Throttled {
			t.Errorf("got %v, want throttled and %v", err, broken)
		}
		time.Sleep(31 * time.Second)
		if e := kindOf(t, get(t.Context(), c)); e.Kind != adapters.Temporary || !errors.Is(e, broken) {
			t.Errorf("got %v, want temporary", e)
		}
		mem.fail(nil)
		u.answer = nil
		if err := get(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}
