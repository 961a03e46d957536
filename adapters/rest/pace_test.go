package rest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

func TestNeverMoreThanPerSecond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond float64
		late      time.Duration // between permit and request, at most
		calls     int
	}{
		{8, 0, 200},
		{8, 400 * time.Millisecond, 200},
		{8, 3 * time.Second, 200},
		{3, 100 * time.Millisecond, 60},
		{1, time.Second, 20},
		{2.5, 0, 20},
		{0.5, 0, 10},
		{100, 30 * time.Millisecond, 500},
	} {
		t.Run(fmt.Sprintf("%v late %v", c.perSecond, c.late), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{latency: 5 * time.Second}
				cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: c.perSecond}))
				rng := rand.New(rand.NewPCG(1, 2))
				began := time.Now()
				var wg sync.WaitGroup
				for range c.calls {
					ctx, release, err := cl.Permit(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					late := time.Duration(0)
					if c.late > 0 {
						late = rand.N(c.late)
					}
					unused := rng.IntN(10) == 0
					wg.Go(func() {
						defer release()
						time.Sleep(late)
						if unused {
							return
						}
						if err := get(ctx, cl); err != nil {
							t.Error(err)
						}
					})
				}
				granted := time.Since(began)
				wg.Wait()
				allowed := max(1, int(c.perSecond))
				if got := u.worst(time.Second); got > allowed {
					t.Errorf("%d calls in one second, %d are allowed", got, allowed)
				}
				// The guard costs 3 %: pace that falls further behind is wasted.
				most := time.Duration(float64(c.calls) / min(c.perSecond, max(0.5, float64(allowed))) * 1.06 * float64(time.Second))
				if granted > most {
					t.Errorf("%d permits took %v, want at most %v", c.calls, granted, most)
				}
			})
		})
	}
}

func TestPermitGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		c := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 2}))
		space := 516 * time.Millisecond
		began := time.Now()
		permit := func(want time.Duration) (context.Context, func()) {
			t.Helper()
			ctx, release, err := c.Permit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); (got - want).Abs() > time.Millisecond {
				t.Fatalf("granted after %v, want %v", got, want)
			}
			return ctx, release
		}
		ctx, _ := permit(0)
		if err := get(ctx, c); err != nil {
			t.Fatal(err)
		}
		_, release := permit(space)
		time.Sleep(100 * time.Millisecond)
		release()
		release() // the second time nothing is left to give back
		ctx, late := permit(space + 100*time.Millisecond)
		if err := get(ctx, c); err != nil {
			t.Fatal(err)
		}
		late()                             // it was used
		const slack = 8 * time.Millisecond // a quarter of the guard: so much of the delay is made good
		_, release = permit(2*space + 100*time.Millisecond - slack)
		permit(3*space + 100*time.Millisecond - slack)
		release() // another was granted since: nobody may go earlier for it
		permit(4*space + 100*time.Millisecond - slack)
		if got := c.Limits()[0].Used; got != 4 {
			t.Errorf("used %d, want 4", got)
		}
	})
}

func TestPermitGivenBackWakesWaiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 1}))
		_, release, err := c.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		got := make(chan time.Duration)
		go func() {
			_, _, err := c.Permit(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- time.Since(began)
		}()
		time.Sleep(200 * time.Millisecond)
		release()
		if d := <-got; d != 200*time.Millisecond {
			t.Errorf("granted after %v, want 200ms", d)
		}
	})
}

func TestPermitTakesTheKeyThatIsFreeFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{latency: 3 * time.Second}
		c := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 1, Header: key("하나")}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 4, Header: key("둘")}))
		var wg sync.WaitGroup
		began := time.Now()
		for range 50 {
			ctx, _, err := c.Permit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if err := get(ctx, c); err != nil {
					t.Error(err)
				}
			})
		}
		took := time.Since(began)
		wg.Wait()
		if most := 11 * time.Second; took > most {
			t.Errorf("50 permits at 5 a second took %v, want at most %v", took, most)
		}
		first := 0
		for _, k := range u.keys {
			if k == "하나" {
				first++
			}
		}
		if first < 9 || first > 11 {
			t.Errorf("%d of 50 calls went with the slow key, want 10", first)
		}
	})
}

func TestFurtherRequestsStayWithTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		c := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 5, Header: key("하나")}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 5, Header: key("둘")}))
		ctx, _, err := c.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			if err := get(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		if keys := slices.Compact(u.keys); len(keys) != 1 {
			t.Errorf("the calls of one permit went with %v", keys)
		}
		if got := u.worst(time.Second); got > 5 {
			t.Errorf("%d calls in one second, 5 are allowed", got)
		}
	})
}

func TestPermitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 0.01}))
		if _, _, err := c.Permit(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.Permit(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		// Within a handler there is no point in waiting for a turn that comes too late.
		began := time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		e := kindOf(t, get(ctx, c))
		if e.Kind != adapters.Throttled || e.After < 90*time.Second || time.Since(began) != 0 {
			t.Errorf("got %v after %v for %v, want throttled at once for about 100s", e.Kind, time.Since(began), e.After)
		}
	})
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		c := client(u)
		for range 1000 {
			if err := get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if d := u.times[999].Sub(u.times[0]); d != 0 {
			t.Errorf("1000 calls took %v", d)
		}
	})
}
