package rest_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	perSecond := func(f float64) rest.Announcement { return rest.Announcement{PerSecond: f} }
	for _, c := range []struct {
		name string
		h    http.Header
		want rest.Announcement
	}{
		{"nothing", headers("Content-Type", "application/json"), rest.Announcement{}},
		{"policy", headers("RateLimit-Policy", "8;w=1"), perSecond(8)},
		{"named policy", headers("RateLimit-Policy", `"burst";q=8;w=1, "daily";q=1000;w=86400`), perSecond(8)},
		{"policy of bytes", headers("RateLimit-Policy", `"pipe";q=65535;qu="content-bytes";w=1`), rest.Announcement{}},
		{"policy of requests", headers("RateLimit-Policy", `"main";q=8;qu="requests";w=1`), perSecond(8)},
		{"policy of a minute", headers("RateLimit-Policy", "480;w=60"), rest.Announcement{}},
		{"two policies", headers("RateLimit-Policy", "10;w=1", "RateLimit-Policy", "8; w=1"), perSecond(8)},
		{"limit with its window", headers("RateLimit-Limit", `10, 10;w=1;burst=20, 50;w=60`), perSecond(10)},
		{"limit alone", headers("RateLimit-Limit", "8"), rest.Announcement{}},
		{"old name", headers("X-RateLimit-Limit", `12, 12;w=1;name="맛집"`), perSecond(12)},
		{"old name alone", headers("X-RateLimit-Limit", "5000"), rest.Announcement{}},
		{"second in the name", headers("X-RateLimit-Limit-Second", "6", "X-RateLimit-Limit-Minute", "60"), perSecond(6)},
		{"Naver's gateway", headers("GNCP-GW-RateLimit-Replenish-Rate", "5", "GNCP-GW-RateLimit-Burst-Capacity", "10"), perSecond(5)},
		{"nonsense", headers("RateLimit-Policy", "많이;w=1", "X-RateLimit-Limit-Second", "-3", "RateLimit-Limit", "NaN;w=1"), rest.Announcement{}},
		{"zero", headers("RateLimit-Policy", "0;w=1"), rest.Announcement{}},
		{"quota left", headers("X-RateLimit-Requests-Remaining", "1", "X-RateLimit-Requests-Reset", "60"), rest.Announcement{}},
		{"quota used up", headers("X-RateLimit-Requests-Limit", "500", "X-RateLimit-Requests-Remaining", "0", "X-RateLimit-Requests-Reset", "1046073"), rest.Announcement{Quota: 1046073 * time.Second}},
		{"more calls for more money", headers("X-RateLimit-Requests-Remaining", "-4", "X-RateLimit-Requests-Reset", "60"), rest.Announcement{}},
		{"no quota", headers("X-RateLimit-Requests-Limit", "0", "X-RateLimit-Requests-Remaining", "0", "X-RateLimit-Requests-Reset", "60"), rest.Announcement{}},
		{"no end", headers("X-RateLimit-Requests-Remaining", "0"), rest.Announcement{}},
		{"absurd end", headers("X-RateLimit-Requests-Remaining", "0", "X-RateLimit-Requests-Reset", "1e300"), rest.Announcement{Quota: 32 * 24 * time.Hour}},
		{"meter of somebody else", headers("X-RateLimit-Rapid-Free-Plans-Hard-Limit-Remaining", "0", "X-RateLimit-Rapid-Free-Plans-Hard-Limit-Reset", "60"), rest.Announcement{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, rest.Announced(c.h)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnnouncedRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		configured float64
		announced  string
		allowed    int
	}{
		{"lower", 80, "20;w=1", 20},
		{"much lower", 80, "1;w=1", 1},
		{"higher", 20, "80;w=1", 20},
		{"the same", 8.5, "8;w=1", 8},
		{"unlimited", 0, "8;w=1", 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &strict{allowed: c.allowed, refusal: 30 * ms, header: headers("RateLimit-Policy", c.announced)}
				cl := open(s, nil, c.configured)
				if err := get(t.Context(), cl); err != nil { // says it
					t.Fatal(err)
				}
				if c.allowed > 1 {
					s.header = nil // it holds all the same for a while
				}
				share := drive(t, cl, s, 3000) / float64(c.allowed)
				if n := s.refusals(); n > 0 {
					t.Errorf("%d calls were refused", n)
				}
				if share < 0.96 {
					t.Errorf("the pace is %.4f of what is announced", share)
				}
				limit, pace := cl.Pace()
				if want := float64(int(c.configured)); limit != want {
					t.Errorf("the configuration allows %v a second, want %v", limit, want)
				}
				if c.configured > 0 && (pace > float64(c.allowed) || pace < 0.95*float64(c.allowed)) {
					t.Errorf("the pace is %v, announced are %d", pace, c.allowed)
				}
			})
		})
	}
}

// The calls that left before the announcement count in the window of the lower rate.
func TestAnnouncedRateHoldsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80}))
		for i := range 30 {
			if i == 9 {
				u.answer = func(*http.Request) (int, http.Header, string) {
					return http.StatusOK, headers("RateLimit-Policy", "10;w=1"), "{}"
				}
			}
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
		}
		if n := u.worst(time.Second); n > 10 {
			t.Errorf("%d calls in a second, 10 are announced", n)
		}
	})
}

// What was learnt at an announced rate is there again when it is announced again.
func TestLearntAtTheAnnouncedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &strict{allowed: 20, refusal: 30 * ms, header: headers("RateLimit-Policy", "21;w=1")}
		mem := newMemory()
		cl := open(s, mem, 80)
		drive(t, cl, s, 3000)
		if err := cl.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		guard := guardOf(cl)
		time.Sleep(time.Minute)
		cl = open(s, mem, 80)
		if err := get(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		if got := guardOf(cl); guard < 50*ms || got != guard {
			t.Errorf("the guard was %v and is %v", guard, got)
		}
	})
}

func TestOwnAnnouncer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: refuse(http.StatusTooManyRequests, "", "X-Left", "3")}
		cl := rest.New(rest.Options{
			Upstream: "naver", BaseURL: "http://upstream.test", Transport: u,
			Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 80})},
			Announce: func(h http.Header) rest.Announcement {
				n, _ := strconv.Atoi(h.Get("X-Left"))
				return rest.Announcement{PerSecond: float64(n)}
			},
		})
		_ = get(t.Context(), cl) // a refusal says it too
		if _, pace := cl.Pace(); pace < 2.9 || pace > 3 {
			t.Errorf("the pace is %v, want a little under 3", pace)
		}
	})
}

func TestAnnouncedQuota(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: refuse(status, "{}", "X-RateLimit-Requests-Remaining", "0", "X-RateLimit-Requests-Reset", "7200")}
				mem := newMemory()
				cl := client(u,
					rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8, Header: key("하나"), Memory: mem}),
					rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerSecond: 8, Header: key("둘"), Memory: mem}))
				began := time.Now()
				for range 2 {
					_ = get(t.Context(), cl)
				}
				e := kindOf(t, get(t.Context(), cl))
				if e.Kind != adapters.Throttled || e.Reason != adapters.ReasonQuota || (e.After-2*time.Hour).Abs() > time.Second {
					t.Errorf("got %v, %q after %v, want throttled, quota after 2h", e.Kind, e.Reason, e.After)
				}
				if u.calls() != 2 {
					t.Errorf("%d calls left, want one a key", u.calls())
				}
				if s := mem.get("naver/1"); s.Reason != adapters.ReasonQuota || !s.HeldUntil.Equal(began.Add(2*time.Hour)) {
					t.Errorf("saved %+v", s)
				}
				if _, _, err := cl.Permit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != 2*time.Hour || cl.Held() != took {
					t.Errorf("the next permit came after %v and %v of waiting for the quota, want 2h of each", took, cl.Held())
				}
			})
		})
	}
}

// A plan that allows more calls for more money passes 0 on its way.
func TestQuotaAtZeroIsNoRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := 3
		u := &upstream{}
		u.answer = func(*http.Request) (int, http.Header, string) {
			left--
			return http.StatusOK, headers("X-RateLimit-Requests-Remaining", strconv.Itoa(left), "X-RateLimit-Requests-Reset", "7200"), "{}"
		}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8}))
		began := time.Now()
		for range 10 {
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("10 calls took %v", d)
		}
	})
}

// An announced rate holds for a while, and a higher one counts as well, up to the configured one. What cannot be meant, and
// what somebody in between says, is not heard.
func TestAnnouncedRateRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status, said := http.StatusOK, "1;w=1"
		u := &upstream{}
		u.answer = func(*http.Request) (int, http.Header, string) {
			if said == "" {
				return status, nil, "{}"
			}
			return status, headers("RateLimit-Policy", said), "{}"
		}
		cl := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8}))
		pace := func(when string, want float64) {
			t.Helper()
			_ = get(t.Context(), cl)
			if _, got := cl.Pace(); got > want || got < 0.9*want {
				t.Errorf("%s: the pace is %v, want a little under %v", when, got, want)
			}
		}
		pace("a lower rate", 1)
		said = "4;w=1"
		pace("a higher one", 4)
		said = "80;w=1"
		pace("a higher one than configured", 8)
		said = "0.01;w=1"
		pace("a mistake", 8)
		status, said = http.StatusBadGateway, "1;w=1"
		pace("a gateway", 8)
		status, said = http.StatusOK, "2;w=1"
		pace("low again", 2)
		said = ""
		pace("not repeated", 2)
		time.Sleep(11 * time.Minute)
		pace("long not repeated", 8)
	})
}
