package rest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// Whoever waits longest is served first, whether for a permit or within a handler; who gives up leaves no gap.
func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d keys", keys), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const waiting = 300
				limits := make([]*rest.Limit, keys)
				for i := range limits {
					limits[i] = rest.NewLimit(rest.LimitOptions{Name: fmt.Sprintf("naver/%d", i+1), PerSecond: 8})
				}
				cl := client(&upstream{}, limits...)
				began := time.Now()
				var mu sync.Mutex
				served := map[int]time.Duration{}
				var wg sync.WaitGroup
				var want []int
				for i := range waiting {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					wg.Go(func() {
						var err error
						if i%2 == 0 {
							_, _, err = cl.Permit(ctx)
						} else {
							err = get(ctx, cl)
						}
						if err == nil {
							mu.Lock()
							served[i] = time.Since(began)
							mu.Unlock()
						} else if !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
					})
					synctest.Wait() // it stands in the line
					if i%10 == 9 {
						cancel()
						synctest.Wait()
					} else {
						want = append(want, i)
					}
				}
				wg.Wait()
				if got := slices.Sorted(maps.Keys(served)); !slices.Equal(got, want) {
					t.Fatalf("served were %v", got)
				}
				for i := range want[1:] {
					if served[want[i]] > served[want[i+1]] {
						t.Errorf("%d came before %d and was served after it", want[i], want[i+1])
					}
				}
				most := time.Duration(float64(len(want)) / float64(8*keys) * 1.04 * float64(time.Second))
				if took := time.Since(began); took > most {
					t.Errorf("%d calls took %v, want at most %v", len(want), took, most)
				}
			})
		})
	}
}

// A handler is not kept waiting for a turn that comes too late, however many stand before it.
func TestLineIsTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cl := client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8}))
		permits, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 81 {
			wg.Go(func() { _, _, _ = cl.Permit(permits) })
		}
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		e := kindOf(t, get(ctx, cl))
		if e.Kind != adapters.Throttled || e.After < 9*time.Second || e.After > 11*time.Second || time.Since(began) != 0 {
			t.Errorf("got %v, again after %v, at %v, want throttled at once for about 10s", e.Kind, e.After, time.Since(began))
		}
		stop()
		wg.Wait()
		if err := get(t.Context(), cl); err != nil {
			t.Errorf("the line is empty: %v", err)
		}
	})
}

// While a credential is held for long, a handler in the line hears of it at once, also behind somebody who will wait.
func TestHoldReachesTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{latency: 100 * ms, answer: refuse(http.StatusTooManyRequests, "", "Retry-After", "600")}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 1}))
		began := time.Now()
		handler := func() {
			if e := kindOf(t, get(t.Context(), cl)); e.Kind != adapters.Throttled || time.Since(began) > 100*ms {
				t.Errorf("got %v after %v", e.Kind, time.Since(began))
			}
		}
		var wg sync.WaitGroup
		wg.Go(handler)
		synctest.Wait()
		wg.Go(func() { _, _, _ = cl.Permit(t.Context()) })
		synctest.Wait()
		for range 5 {
			wg.Go(handler)
		}
		wg.Wait()
		if u.calls() != 1 {
			t.Errorf("%d calls left", u.calls())
		}
	})
}

func TestPaceAndHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if limit, pace := client(&upstream{}).Pace(); limit != 0 || pace != 0 {
			t.Errorf("unlimited: %v, %v", limit, pace)
		}
		u := &upstream{answer: func(r *http.Request) (int, http.Header, string) {
			if r.Header.Get("X-Key") == "하나" {
				return http.StatusUnauthorized, http.Header{}, ""
			}
			return http.StatusOK, http.Header{}, "{}"
		}}
		cl := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 5.5, Header: key("하나")}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 0.5, Header: key("둘"), Guard: 200 * ms}))
		near := func(got, want float64) bool { return got > want-0.001 && got < want+0.001 }
		if limit, pace := cl.Pace(); !near(limit, 5.5) || !near(pace, 5/1.032+1/2.2) {
			t.Errorf("both keys: %v, %v", limit, pace)
		}
		_ = get(t.Context(), cl)
		if limit, pace := cl.Pace(); !near(limit, 0.5) || !near(pace, 1/2.2) {
			t.Errorf("one key stopped: %v, %v", limit, pace)
		}
		if err := get(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		if err := get(t.Context(), cl); err != nil { // waits for its turn
			t.Fatal(err)
		}
		if d := cl.Held(); d != 0 {
			t.Errorf("held for %v without a refusal", d)
		}
		u.answer = refuse(http.StatusTooManyRequests, "", "Retry-After", "30")
		time.Sleep(3 * time.Second)
		_ = get(t.Context(), cl)
		time.Sleep(10 * time.Second) // nobody waits
		done := make(chan struct{})
		for range 3 { // time passes once, for however many
			go func() {
				_, _, _ = cl.Permit(t.Context())
				done <- struct{}{}
			}()
		}
		time.Sleep(5 * time.Second)
		if d := cl.Held(); d != 5*time.Second {
			t.Errorf("held for %v in the middle, want 5s", d)
		}
		for range 3 {
			<-done
		}
		if d := cl.Held(); d != 20*time.Second {
			t.Errorf("held for %v, want 20s", d)
		}
	})
}

// Whoever comes for a permit a little late does not slow the pace down.
func TestLatenessDoesNotAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80}))
		rng := rand.New(rand.NewPCG(1, 2))
		began := time.Now()
		const calls = 800
		for range calls {
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7*ms + time.Duration(rng.Int64N(int64(8*ms)))) // the space is 12.9 ms
		}
		if took, most := time.Since(began), calls*13100*time.Microsecond; took > most {
			t.Errorf("%d calls took %v, want at most %v", calls, took, most)
		}
		if n := u.worst(time.Second); n > 80 {
			t.Errorf("%d calls in a second", n)
		}
	})
}

// Permits that are used all at once lead to no burst, and what is about to leave when a call is refused waits.
func TestCallsLeaveApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 10}))
		use := func() {
			var ctxs []context.Context
			for range 5 {
				ctx, _, err := cl.Permit(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ctxs = append(ctxs, ctx)
			}
			var wg sync.WaitGroup
			for _, ctx := range ctxs {
				wg.Go(func() { _ = get(ctx, cl) })
			}
			wg.Wait()
		}
		use()
		for i := range u.times[1:] {
			if gap := u.times[i+1].Sub(u.times[i]); gap < 45*ms {
				t.Errorf("call %d left %v after the one before", i+2, gap)
			}
		}
		u.times, u.latency = nil, 20*ms
		n := 0
		u.answer = func(*http.Request) (int, http.Header, string) {
			if n++; n == 1 {
				return http.StatusTooManyRequests, http.Header{}, ""
			}
			return http.StatusOK, http.Header{}, "{}"
		}
		use()
		if gap := u.times[len(u.times)-1].Sub(u.times[0]); len(u.times) != 5 || gap < time.Second {
			t.Errorf("%d calls left within %v, want the pause of a second among them", len(u.times), gap)
		}
	})
}
