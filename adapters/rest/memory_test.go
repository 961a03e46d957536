package rest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

func TestStart(t *testing.T) {
	t.Parallel()
	// synctest begins at this moment.
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	const window = 1032 * time.Millisecond
	for _, c := range []struct {
		name  string
		state rest.LimitState
		want  time.Duration
	}{
		{"fresh", rest.LimitState{}, 0},
		{"unclean, calls without a claim", rest.LimitState{Dirty: true, Stray: true, LastCall: now.Add(-time.Hour)}, window},
		{"unclean, no claim", rest.LimitState{Dirty: true}, window},
		{"unclean, last claim long ago", rest.LimitState{Dirty: true, LastCall: now.Add(-time.Hour)}, 0},
		{"unclean, last claim just now", rest.LimitState{Dirty: true, LastCall: now.Add(-300 * time.Millisecond)}, window - 250*time.Millisecond},
		{"clean, long ago", rest.LimitState{LastCall: now.Add(-time.Hour)}, 0},
		{"clean, just now", rest.LimitState{LastCall: now.Add(-300 * time.Millisecond)}, window - 300*time.Millisecond},
		{"clock set back", rest.LimitState{LastCall: now.Add(time.Hour)}, window},
		{"held", rest.LimitState{LastCall: now, HeldUntil: now.Add(time.Minute), Reason: "rate"}, time.Minute},
		{"held, and the clock set back", rest.LimitState{LastCall: now.Add(5 * time.Hour), HeldUntil: now.Add(5*time.Hour + time.Minute), Reason: "rate"}, time.Minute},
		{"stopped", rest.LimitState{Stopped: true, Reason: "key"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mem := newMemory()
				mem.states["naver/1"] = c.state
				cl := client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8, Memory: mem}))
				if _, _, err := cl.Permit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(now); got != c.want {
					t.Errorf("the first permit came after %v, want %v", got, c.want)
				}
				if !mem.get("naver/1").Dirty {
					t.Error("a permit was granted before the memory knew that the limit is in use")
				}
			})
		})
	}
}

// The memory knows by the claims when the last call was, unless one left without a permit drawn for it.
func TestStray(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		cl := client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 8, Memory: mem}))
		ctx, release, err := cl.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if err := get(ctx, cl); err != nil {
			t.Fatal(err)
		}
		if mem.get("naver/1").Stray {
			t.Error("a call with its permit is stray")
		}
		if err := get(ctx, cl); err != nil {
			t.Fatal(err)
		}
		if !mem.get("naver/1").Stray {
			t.Error("a second call of a step is not stray")
		}
		if err := cl.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := mem.get("naver/1"); s.Stray || s.Dirty {
			t.Errorf("after Close: %+v", s)
		}
		if err := get(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		if !mem.get("naver/1").Stray {
			t.Error("a call without a permit is not stray")
		}
	})
}

func TestUnlimitedStartsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		mem.states["openai"] = rest.LimitState{Dirty: true, LastCall: time.Now()}
		began := time.Now()
		if err := get(t.Context(), client(&upstream{}, rest.NewLimit(rest.LimitOptions{Name: "openai", Memory: mem}))); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("the first call came after %v", d)
		}
	})
}

func TestPerDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		u := &upstream{}
		c := client(u,
			rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerDay: 7, Header: key("하나"), Memory: mem}),
			rest.NewLimit(rest.LimitOptions{Name: "naver/2", PerDay: 5, Header: key("둘"), Memory: mem}))
		for range 12 {
			if err := get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		// It is nine in the morning in Korea.
		e := kindOf(t, get(t.Context(), c))
		if e.Kind != adapters.Throttled || e.Reason != adapters.ReasonQuota || e.After != 15*time.Hour {
			t.Errorf("got %v, %q after %v, want throttled, quota after 15h", e.Kind, e.Reason, e.After)
		}
		for _, l := range c.Limits() {
			if l.Used != l.PerDay || l.Reason != adapters.ReasonQuota {
				t.Errorf("status shows %+v", l)
			}
		}
		if s := mem.get("naver/2"); s.Day != "2000-01-01" || s.Used != 5 || s.Reason != adapters.ReasonQuota {
			t.Errorf("saved %+v", s)
		}
		if _, _, err := c.Permit(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := time.Date(2000, 1, 1, 15, 0, 0, 0, time.UTC) // midnight in Korea
		if !time.Now().Equal(want) {
			t.Errorf("the next permit came at %v, want %v", time.Now().UTC(), want)
		}
		if used := c.Limits()[0].Used; used != 1 {
			t.Errorf("the new day begins with %d calls, want 1", used)
		}
	})
}

func TestCountIsNeverBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		u := &upstream{}
		open := func() *rest.Client {
			return client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerDay: 1000, Memory: mem}))
		}
		c := open()
		for i := range 123 {
			if err := get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if saved := mem.get("naver/1").Used; saved <= i || saved > i+11 {
				t.Fatalf("after %d calls the memory says %d", i+1, saved)
			}
		}
		if mem.saves > 20 {
			t.Errorf("123 calls were saved %d times", mem.saves)
		}
		// The process dies; the next one closes properly.
		crashed := mem.get("naver/1").Used
		c = open()
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := mem.get("naver/1"); s.Used != crashed+1 || s.Dirty || !s.LastCall.Equal(time.Now()) {
			t.Errorf("after Close the memory says %+v, want %d calls, clean", s, crashed+1)
		}
		// It may be used again, and is in use then.
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if !mem.get("naver/1").Dirty {
			t.Error("used after Close, but the memory calls it clean")
		}
	})
}

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	mem := newMemory()
	broken := errors.New("disk full")
	mem.fail(broken)
	u := &upstream{}
	c := client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1", Memory: mem}))
	for range 2 {
		_, _, err := c.Permit(t.Context())
		if e := kindOf(t, err); e.Kind != adapters.Temporary || !errors.Is(err, broken) {
			t.Errorf("got %v, want temporary", err)
		}
	}
	if u.calls() != 0 {
		t.Error("a call left that the memory does not know of")
	}
	mem.fail(nil)
	if err := get(t.Context(), c); err != nil {
		t.Error(err)
	}
	mem.fail(broken)
	if err := c.Close(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Close: got %v, want %v", err, broken)
	}
}
