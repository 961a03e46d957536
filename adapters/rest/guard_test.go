package rest_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters/rest"
)

const ms = time.Millisecond

func TestGuardSettles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond       float64
		jitter, latency time.Duration
		count           bool
		calls           int           // after as many while it settles
		narrow, wide    time.Duration // the guard afterwards
		share           float64       // of the limit
	}{
		{80, 0, 500 * ms, true, 10_000, 5 * ms, 32 * ms, 0.985},
		{80, 30 * ms, 500 * ms, true, 20_000, 30 * ms, 60 * ms, 0.96},
		{80, 30 * ms, 500 * ms, false, 20_000, 30 * ms, 60 * ms, 0.96},
		{8, 0, 5 * time.Second, true, 10_000, 5 * ms, 32 * ms, 0.985},
		{8, 30 * ms, 5 * time.Second, false, 20_000, 30 * ms, 60 * ms, 0.96},
		{0.5, 0, 5 * time.Second, true, 5_000, 10 * ms, 64 * ms, 0.97},
	} {
		t.Run(fmt.Sprintf("%v a second, jitter %v, refused calls count %v", c.perSecond, c.jitter, c.count), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				second := time.Second
				if c.perSecond < 1 {
					second = time.Duration(float64(time.Second) / c.perSecond)
				}
				s := &strict{allowed: max(1, int(c.perSecond)), per: second, count: c.count, jitter: c.jitter, latency: c.latency, refusal: 30 * ms}
				cl := open(s, nil, c.perSecond)
				drive(t, cl, s, c.calls)
				calibrating := s.refusals()
				if calibrating > 3 {
					t.Errorf("%d calls were refused while the guard settled", calibrating)
				}
				share := drive(t, cl, s, c.calls) / c.perSecond
				if n := s.refusals() - calibrating; n > 0 {
					t.Errorf("%d of %d calls were refused afterwards", n, c.calls)
				}
				if g := guardOf(cl); g < c.narrow || g > c.wide {
					t.Errorf("the guard is %v, want %v to %v", g, c.narrow, c.wide)
				}
				if share < c.share || share > 1 {
					t.Errorf("the pace is %.4f of the limit, want at least %.4f", share, c.share)
				}
				t.Logf("refused while it settled: %d, share of the limit: %.4f, guard: %v", calibrating, share, guardOf(cl))
			})
		})
	}
}

func TestConfiguredTooHigh(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		configured float64
		allowed    int
		refusal    time.Duration
		most       int // refused calls
		calls      int // afterwards
	}{
		{84, 80, 30 * ms, 3, 20_000},
		{84, 80, ms, 3, 5000},
		{21, 20, 30 * ms, 3, 5000},
		{9, 8, 30 * ms, 3, 2000},
		{8, 7, 100 * ms, 3, 2000},
		{8, 4, 100 * ms, 3, 2000},
		{80, 60, 30 * ms, 12, 5000},
	} {
		for _, count := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v for %d, %v, refused calls count %v", c.configured, c.allowed, c.refusal, count), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &strict{allowed: c.allowed, count: count, latency: 500 * ms, refusal: c.refusal}
					cl := open(s, nil, c.configured)
					drive(t, cl, s, 1000)
					calibrating := s.refusals()
					if calibrating == 0 || calibrating > c.most {
						t.Errorf("%d calls were refused, want 1 to %d", calibrating, c.most)
					}
					share := drive(t, cl, s, c.calls) / float64(c.allowed)
					// Half a limit is not believed for long.
					if n := s.refusals() - calibrating; n > 0 && (c.allowed > 4 || n > 3) {
						t.Errorf("%d calls were refused afterwards", n)
					}
					if share < 0.94 {
						t.Errorf("the pace is %.4f of the limit", share)
					}
					t.Logf("refused: %d, share of the limit afterwards: %.4f, guard: %v", calibrating, share, guardOf(cl))
				})
			})
		}
	}
}

func TestWhetherRefusedCallsCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count bool
		want  string
		pause time.Duration // after the next refusal
	}{
		{true, rest.RefusedCount, 103 * ms},
		{false, rest.RefusedFree, 64 * ms},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &strict{allowed: 80, count: c.count, latency: 500 * ms, refusal: 30 * ms}
				mem := newMemory()
				cl := open(s, mem, 84)
				drive(t, cl, s, 500)
				if err := cl.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := mem.get("naver/1").Refused; got != c.want {
					t.Errorf("learnt %q, want %q", got, c.want)
				}
				// The next process knows it.
				cl = open(s, mem, 84)
				drive(t, cl, s, 200)
				s.allow(0)
				after := kindOf(t, get(t.Context(), cl)).After
				if (after - c.pause).Abs() > 5*ms { // eight spaces, or five
					t.Errorf("a refusal holds for %v, want %v", after, c.pause)
				}
				// A short pause that is not enough is the last one.
				time.Sleep(after)
				if after := kindOf(t, get(t.Context(), cl)).After; after < time.Second {
					t.Errorf("the second refusal in a row holds for %v", after)
				}
			})
		})
	}
}

// One call that is refused because another one overtook it says nothing about those behind it.
func TestJitterIsNoPattern(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &strict{allowed: 80, count: true, jitter: 30 * ms, latency: 500 * ms, refusal: 30 * ms}
		mem := newMemory()
		cl := open(s, mem, 80)
		drive(t, cl, s, 10_000)
		if err := cl.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mem.get("naver/1"); got.Refused == rest.RefusedFree || got.Bad == 0 {
			t.Errorf("learnt %q with %v refused, want a refusal that proves nothing", got.Refused, got.Bad)
		}
	})
}

func TestGuardIsRemembered(t *testing.T) {
	t.Parallel()
	const start = 32 * ms
	for _, c := range []struct {
		name      string
		perSecond float64
		key       string
		later     time.Duration
		known     bool // the guard
		bad       bool
	}{
		{"restart", 84, "하나", time.Minute, true, true},
		{"other key", 84, "둘", time.Minute, false, false},
		{"other rate", 80, "하나", time.Minute, false, false},
		{"six days", 84, "하나", 6 * 24 * time.Hour, true, true},
		{"eight days", 84, "하나", 8 * 24 * time.Hour, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &strict{allowed: 80, latency: 500 * ms, refusal: 30 * ms}
				mem := newMemory()
				cl := open(s, mem, 84)
				drive(t, cl, s, 3000)
				if err := cl.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if mem.saves > 4 {
					t.Errorf("3,000 calls were saved %d times", mem.saves)
				}
				guard := guardOf(cl)
				time.Sleep(c.later)
				cl = rest.New(rest.Options{
					Upstream: "naver", BaseURL: "http://upstream.test/v1", Transport: s,
					Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: c.perSecond, Header: key(c.key), Memory: mem})},
				})
				if err := get(t.Context(), cl); err != nil {
					t.Fatal(err)
				}
				want := start
				if c.known {
					want = guard
				}
				if got := guardOf(cl); got != want {
					t.Errorf("it starts with a guard of %v, want %v", got, want)
				}
				if err := cl.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := mem.get("naver/1"); (got.Bad > 0) != c.bad || got.PerSecond != c.perSecond {
					t.Errorf("saved %+v, want a bad guard: %v", got, c.bad)
				}
			})
		})
	}
}

// A refusal that costs a good part of the pace is believed for ten minutes only, also by the next process.
func TestFarGuardIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &strict{allowed: 4, count: true, refusal: 30 * ms}
		mem := newMemory()
		cl := open(s, mem, 8)
		for _, c := range []struct {
			later   time.Duration
			allowed int
			bad     time.Duration
		}{{0, 4, time.Second}, {8 * time.Minute, 4, time.Second}, {3 * time.Minute, 8, 0}} {
			time.Sleep(c.later)
			s.allow(c.allowed)
			drive(t, cl, s, 50)
			if err := cl.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := mem.get("naver/1").Bad; got != c.bad {
				t.Errorf("%v is believed to be refused, want %v", got, c.bad)
			}
			if n := s.refusals(); n != 2 {
				t.Errorf("%d calls were refused, want 2", n)
			}
		}
	})
}

func TestWhatDoesNotWiden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before time.Duration // since the call before
		header []string
		widens bool
	}{
		{"at pace", 0, nil, true},
		{"at pace, short pause asked for", 0, []string{"Retry-After", "1"}, true},
		{"after a pause", 10 * time.Second, nil, false},
		{"long pause asked for", 0, []string{"Retry-After", "60"}, false},
		{"quota", 0, []string{"X-RateLimit-Requests-Remaining", "0", "X-RateLimit-Requests-Reset", "60"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{}
				cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80}))
				for range 20 {
					if err := get(t.Context(), cl); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.before)
				guard := guardOf(cl)
				u.answer = refuse(http.StatusTooManyRequests, "", c.header...)
				kindOf(t, get(t.Context(), cl))
				if got := guardOf(cl); (got > guard) != c.widens {
					t.Errorf("the guard went from %v to %v", guard, got)
				}
			})
		})
	}
}

// An upstream that refuses a call now and then for reasons of its own must not end at a quarter of the pace.
func TestLoneRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		u := &upstream{answer: func(*http.Request) (int, http.Header, string) {
			if n++; n%500 == 0 {
				return http.StatusTooManyRequests, http.Header{}, ""
			}
			return http.StatusOK, http.Header{}, "{}"
		}}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80}))
		for range 20_000 {
			_ = get(t.Context(), cl)
			time.Sleep(time.Until(cl.Limits()[0].HeldUntil))
		}
		if g := guardOf(cl); g < 100*ms || g > 160*ms {
			t.Errorf("the guard is %v after 40 refusals, each alone", g)
		}
		// Refusals that come again and again are another thing.
		u.answer = refuse(http.StatusTooManyRequests, "")
		for range 20 {
			for range 2 {
				_ = get(t.Context(), cl)
			}
			time.Sleep(time.Until(cl.Limits()[0].HeldUntil))
			u.answer = nil
			for range 90 {
				_ = get(t.Context(), cl)
			}
			u.answer = refuse(http.StatusTooManyRequests, "")
		}
		if g := guardOf(cl); g != 3*time.Second {
			t.Errorf("the guard is %v, want the widest, 3s", g)
		}
	})
}

// unsteady is an upstream that now and then takes longer to answer, so that how long it takes proves nothing.
func unsteady() *upstream {
	n := 0
	return &upstream{answer: func(*http.Request) (int, http.Header, string) {
		if n++; n%60 == 0 {
			time.Sleep(25 * ms)
		}
		return http.StatusOK, nil, "{}"
	}}
}

// An upstream that takes equally long each time proves that calls do not jitter on their way more than that.
func TestSteadyAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		jitter time.Duration
		want   time.Duration
	}{
		"equally long": {0, 15 * ms},
		"by 10 ms":     {10 * ms, 18 * ms},
		"by 30 ms":     {30 * ms, 32 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &strict{allowed: 80, count: true, jitter: c.jitter, latency: 500 * ms}
				cl := open(u, nil, 80)
				drive(t, cl, u, 200)
				if g := guardOf(cl); g > c.want || g < c.want-2*ms {
					t.Errorf("the guard is %v after 200 calls, want %v or a little less", g, c.want)
				}
				if n := u.refusals(); n > 0 {
					t.Errorf("%d calls were refused", n)
				}
			})
		})
	}
}

// A refusal counts for more than how long answers take.
func TestSteadyAnswersAfterRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &strict{allowed: 80, count: true, latency: 500 * ms}
		cl := open(u, nil, 84)
		drive(t, cl, u, 2000)
		if n := u.refusals(); n == 0 || n > 3 {
			t.Errorf("%d calls were refused, want 1 to 3", n)
		}
		if g := guardOf(cl); g < 50*ms {
			t.Errorf("the guard is %v where 84 calls are made and 80 allowed", g)
		}
	})
}

// A run of a thousand calls is no trial; then it goes quickly until the rest is worth little.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cl := client(unsteady(), rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80}))
		calls := 0
		for _, c := range []struct {
			calls int
			guard time.Duration
		}{{1080, 31 * ms}, {2080, 26 * ms}, {3280, 20 * ms}, {8280, 15 * ms}, {20_000, 15 * ms}} {
			for ; calls < c.calls; calls++ {
				if err := get(t.Context(), cl); err != nil {
					t.Fatal(err)
				}
			}
			if got := guardOf(cl); (got - c.guard).Abs() > ms/10 {
				t.Errorf("after %d calls the guard is %v, want %v", calls, got, c.guard)
			}
		}
	})
}

// A trickle of calls does not try the guard, so it proves nothing.
func TestTrickleDoesNotNarrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cl := client(unsteady(), rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8}))
		for range 2000 {
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * ms)
		}
		if g := guardOf(cl); g != 32*ms {
			t.Errorf("the guard is %v, want 32ms", g)
		}
	})
}

// Another program on the same key for a while does not leave the pace low for the rest of the day.
func TestGuardRecovers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		during int
		span   time.Duration
	}{
		"a quarter for a minute":          {2, time.Minute},
		"half for a minute":               {4, time.Minute},
		"three quarters for ten minutes":  {6, 10 * time.Minute},
		"next to nothing for ten minutes": {1, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &strict{allowed: 8, latency: 5 * time.Second, refusal: 30 * ms, count: true, jitter: 20 * ms}
				cl := open(u, nil, 8)
				drive(t, cl, u, 500)
				u.allow(c.during)
				for began := time.Now(); time.Since(began) < c.span; {
					drive(t, cl, u, 20)
				}
				u.allow(8)
				for began := time.Now(); time.Since(began) < 25*time.Minute; {
					drive(t, cl, u, 100)
				}
				if _, pace := cl.Pace(); pace < 7.5 {
					t.Errorf("after 25 minutes the pace is still %.2f", pace)
				}
				before := u.refusals()
				drive(t, cl, u, 5000)
				if n := u.refusals() - before; n > 1 {
					t.Errorf("%d calls were refused afterwards", n)
				}
			})
		})
	}
}

// A limit that is really lower is tried ever more rarely.
func TestGuardTriesRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &strict{allowed: 4, latency: 5 * time.Second, refusal: 30 * ms, count: true}
		cl := open(u, nil, 8)
		hours := func(n int) int {
			before := u.refusals()
			for began := time.Now(); time.Since(began) < time.Duration(n)*time.Hour; {
				drive(t, cl, u, 500)
			}
			return u.refusals() - before
		}
		first, second := hours(6), hours(6)
		if first > 40 || second > first/2 {
			t.Errorf("%d calls were refused in six hours and %d in the next six", first, second)
		}
	})
}
