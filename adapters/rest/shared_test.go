package rest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

// table is a rest.Shared in memory, whose clock is not that of the processes.
type table struct {
	mu      sync.Mutex
	ahead   time.Duration // of the processes' clocks
	way     time.Duration // to the table, and back
	sway    time.Duration // by which a way is longer at most
	rows    map[string]*rest.Row
	booked  int
	others  int // statements that book nothing
	learned int
}

func newTable() *table { return &table{rows: map[string]*rest.Row{}, ahead: 7 * time.Hour} }

func (t *table) now() time.Time { return time.Now().Add(t.ahead).Round(0).UTC() }

func (t *table) row(name string) *rest.Row {
	r := t.rows[name]
	if r == nil {
		r = &rest.Row{}
		t.rows[name] = r
	}
	r.Now = t.now()
	return r
}

func (t *table) get(name string) rest.Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *t.row(name)
}

func dayOf(t time.Time) string {
	return t.In(time.FixedZone("KST", 9*60*60)).Format(time.DateOnly)
}

// process is the table as one process reaches it.
type process struct {
	*table
	mu  sync.Mutex
	err error
}

func (p *process) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// travel takes the time of one way.
func (p *process) travel(ctx context.Context) error {
	time.Sleep(p.way)
	if p.sway > 0 {
		time.Sleep(rand.N(p.sway))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.err, ctx.Err())
}

// statement runs f on the row.
func (p *process) statement(ctx context.Context, name string, f func(r *rest.Row)) (rest.Row, error) {
	if err := p.travel(ctx); err != nil {
		return rest.Row{}, err
	}
	p.table.mu.Lock()
	r := p.row(name)
	f(r)
	now := *r
	p.table.mu.Unlock()
	return now, p.travel(ctx)
}

func (p *process) Reserve(ctx context.Context, name string, b rest.Booking) (got rest.Slot, _ rest.Row, err error) {
	row, err := p.statement(ctx, name, func(r *rest.Row) {
		at, quiet := r.Due, r.Now.Add(b.Lead).Sub(r.Due)
		if quiet > 0 {
			at = r.Now.Add(b.Lead)
		}
		day := dayOf(at)
		if r.Stopped || r.HeldUntil.After(r.Now) || (b.Most > 0 && at.Sub(r.Now) > b.Most) || (b.PerDay > 0 && r.Day == day && r.Used >= b.PerDay) {
			p.others++
			return
		}
		p.booked++
		if r.Day != day {
			r.Day, r.Used = day, 0
		}
		r.Used++
		r.Run++
		if quiet > 0 {
			r.Run, r.Quiet = 1, quiet
		}
		r.Due = at.Add(b.Space)
		got = rest.Slot{At: at, Space: b.Space}
	})
	if err != nil {
		got = rest.Slot{}
	}
	return got, row, err
}

func (p *process) Return(ctx context.Context, name string, s rest.Slot) (rest.Row, error) {
	return p.statement(ctx, name, func(r *rest.Row) {
		p.others++
		if r.Due.Equal(s.At.Add(s.Space)) {
			r.Due, r.Run = s.At, max(0, r.Run-1)
		}
		if r.Day == dayOf(s.At) {
			r.Used = max(0, r.Used-1)
		}
	})
}

func (p *process) Look(ctx context.Context, name string) (rest.Row, error) {
	return p.statement(ctx, name, func(*rest.Row) { p.others++ })
}

func (p *process) Learn(ctx context.Context, name string, f func(r *rest.Row)) error {
	_, err := p.statement(ctx, name, func(r *rest.Row) {
		p.learned++
		f(r)
	})
	return err
}

func (p *process) LoadLimit(context.Context, string) (rest.LimitState, error) {
	return rest.LimitState{}, errors.New("not for one process")
}

func (p *process) SaveLimit(context.Context, string, rest.LimitState) error {
	return errors.New("not for one process")
}

// member is one process that shares naver/1.
type member struct {
	*rest.Client
	mem *process
}

func join(tab *table, through http.RoundTripper, o rest.LimitOptions) member {
	p := &process{table: tab}
	o.Name, o.Memory = "naver/1", p
	if o.Header == nil {
		o.Header = key("하나")
	}
	return member{rest.New(rest.Options{Upstream: "naver", BaseURL: "http://upstream.test/v1", Transport: through, Limits: []*rest.Limit{rest.NewLimit(o)}}), p}
}

func joinAll(n int, tab *table, through http.RoundTripper, o rest.LimitOptions) []member {
	all := make([]member, n)
	for i := range all {
		all[i] = join(tab, through, o)
	}
	return all
}

// driveAll has all make calls as fast as permits come for d; each permit is used after a while below late.
func driveAll(t *testing.T, all []member, d, late time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for i, m := range all {
		rng := rand.New(rand.NewPCG(uint64(i), 3))
		wg.Go(func() {
			for {
				pctx, release, err := m.Permit(ctx)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				wait := time.Duration(0)
				if late > 0 {
					wait = time.Duration(rng.Int64N(int64(late)))
				}
				wg.Go(func() {
					defer release()
					time.Sleep(wait)
					_ = get(context.WithoutCancel(pctx), m.Client)
				})
			}
		})
	}
	wg.Wait()
}

func TestSharedPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond float64
		ahead     time.Duration
		way, late time.Duration
		jitter    time.Duration
		sway      time.Duration
		members   int
		share     float64
	}{
		{8, 0, 0, 0, 0, 0, 4, 0.95},
		{80, 0, 0, 0, 0, 0, 4, 0.95},
		{8, 7 * time.Hour, ms, 10 * ms, 5 * ms, 0, 4, 0.95},
		{80, 7 * time.Hour, ms, 10 * ms, 5 * ms, 0, 4, 0.95},
		{80, -7 * time.Hour, 2 * ms, 300 * ms, 5 * ms, 0, 4, 0.95},
		{80, 7 * time.Hour, ms, 10 * ms, 5 * ms, 0, 1, 0.95},
		{0.5, 7 * time.Hour, ms, 10 * ms, 5 * ms, 0, 4, 0.95},
		{8, 7 * time.Hour, ms, 3 * time.Second, 0, 0, 4, 0},
		{8, 7 * time.Hour, ms, 10 * ms, 0, 150 * ms, 4, 0.95},
		{80, 7 * time.Hour, ms, 10 * ms, 0, 150 * ms, 4, 0}, // each asks for one at a time
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tab := newTable()
				tab.ahead, tab.way, tab.sway = c.ahead, c.way, c.sway
				second := time.Second
				if c.perSecond < 1 {
					second = time.Duration(float64(time.Second) / c.perSecond)
				}
				s := &strict{allowed: max(1, int(c.perSecond)), per: second, jitter: c.jitter, latency: 5 * time.Second, count: true}
				all := joinAll(c.members, tab, s, rest.LimitOptions{PerSecond: c.perSecond})
				const span = 200 * time.Second
				driveAll(t, all, span, c.late)
				if n := s.refusals(); n > 0 {
					t.Errorf("%d of %d calls were refused", n, len(s.arrived))
				}
				share := float64(len(s.arrived)) / span.Seconds() / c.perSecond
				if share < c.share || share > 1.01 {
					t.Errorf("%.4f of the limit was used", share)
				}
				statements := float64(tab.others+tab.learned) / float64(len(s.arrived))
				if c.sway == 0 && c.late < time.Second && c.perSecond >= 1 && statements > 0.02 {
					t.Errorf("%.3f statements a call besides the booking", statements)
				}
				t.Logf("refused %d; %.4f of the limit; %d calls, %d booked, %d other statements, learnt %d times; guard %v", s.refusals(), share, len(s.arrived), tab.booked, tab.others, tab.learned, guardOf(all[0].Client))
			})
		})
	}
}

// A refusal that one process meets holds them all, and what it teaches is used by them all.
func TestSharedRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		configured float64
		allowed    int
		count      bool
		most       int // refused calls
		share      float64
	}{{84, 80, true, 6, 0.95}, {84, 80, false, 6, 0.95}, {9, 8, true, 6, 0.93}, {8, 4, true, 8, 0.75}, {80, 60, true, 20, 0.88}} {
		t.Run(fmt.Sprintf("%v for %d, refused calls count %v", c.configured, c.allowed, c.count), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tab := newTable()
				tab.way = ms
				s := &strict{allowed: c.allowed, count: c.count, latency: 500 * ms, refusal: 30 * ms}
				all := joinAll(4, tab, s, rest.LimitOptions{PerSecond: c.configured})
				driveAll(t, all, 60*time.Second, 0)
				calibrating := s.refusals()
				if calibrating == 0 || calibrating > c.most {
					t.Errorf("%d calls were refused, want 1 to %d", calibrating, c.most)
				}
				before := len(s.arrived)
				const span = 100 * time.Second
				driveAll(t, all, span, 0)
				if n := s.refusals() - calibrating; n > 2 {
					t.Errorf("%d calls were refused afterwards", n)
				}
				share := float64(len(s.arrived)-before) / span.Seconds() / float64(c.allowed)
				if share < c.share {
					t.Errorf("%.4f of the limit was used", share)
				}
				row := tab.get("naver/1")
				for i, m := range all {
					if got := guardOf(m.Client); (got - row.Guard).Abs() > max(row.Guard/20, 2*ms) {
						t.Errorf("process %d has a guard of %v, the row %v", i, got, row.Guard)
					}
				}
				t.Logf("refused: %d, %.4f of the limit afterwards, guard %v, learnt %d times", calibrating, share, row.Guard, tab.learned)
			})
		})
	}
}

// A long hold is heard of by those who wait for their slot, before they call, and by whoever asks later.
func TestSharedHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		tab.way = ms
		u := &upstream{}
		all := joinAll(4, tab, u, rest.LimitOptions{PerSecond: 0.5})
		began := time.Now()
		use := func(m member) error {
			ctx, release, err := m.Permit(t.Context())
			if err != nil {
				return err
			}
			defer release()
			return get(ctx, m.Client)
		}
		if err := use(all[0]); err != nil {
			t.Fatal(err)
		}
		u.answer = func(*http.Request) (int, http.Header, string) {
			if u.calls() == 2 {
				return http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}}, ""
			}
			return http.StatusOK, http.Header{}, "{}"
		}
		var wg sync.WaitGroup
		for i, m := range all { // the first of them is refused after two seconds, while the others have booked
			wg.Go(func() {
				if err := use(m); err != nil && kindOf(t, err).Kind != adapters.Throttled {
					t.Errorf("process %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		held := u.times[1].Add(60 * time.Second)
		for i, at := range u.times[2:] {
			if at.Before(held) {
				t.Errorf("call %d left %v before the end of the hold", i+3, held.Sub(at))
			}
		}
		if len(u.times) != 5 || time.Since(began) > 75*time.Second {
			t.Errorf("%d calls in %v", len(u.times), time.Since(began))
		}
		if got := all[3].Held(); got < 50*time.Second {
			t.Errorf("held for %v", got)
		}
	})
}

func TestSharedDay(t *testing.T) {
	t.Parallel()
	for name, perSecond := range map[string]float64{"spaced": 40, "unlimited": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tab := newTable() // it is four in the afternoon in Korea
				tab.way = ms
				u := &upstream{}
				all := joinAll(4, tab, u, rest.LimitOptions{PerSecond: perSecond, PerDay: 1001})
				// A permit that is given back is somebody else's.
				for _, m := range all {
					_, release, err := m.Permit(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					release()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var wg sync.WaitGroup
				for _, m := range all {
					for n := 0; n < 30; n++ {
						wg.Go(func() {
							for {
								pctx, release, err := m.Permit(ctx)
								if err != nil {
									return
								}
								if n%10 == 0 && rand.IntN(3) == 0 {
									release()
									continue
								}
								if err := get(pctx, m.Client); err != nil {
									t.Error(err)
								}
								release()
							}
						})
					}
				}
				wg.Wait()
				if got := u.calls(); got != 1001 {
					t.Errorf("%d calls of the day, want 1001", got)
				}
				for _, m := range all {
					l := m.Limits()[0]
					if left := time.Until(l.HeldUntil); l.Used != 1001 || l.Reason != adapters.ReasonQuota || (left-7*time.Hour).Abs() > time.Second {
						t.Errorf("status shows %+v, %v left", l, left)
					}
				}
				e := kindOf(t, get(t.Context(), all[1].Client))
				if e.Kind != adapters.Throttled || e.Reason != adapters.ReasonQuota {
					t.Errorf("got %v", e)
				}
				if _, _, err := all[2].Permit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := tab.get("naver/1"); got.Used != 1 || got.Day != "2000-01-02" {
					t.Errorf("the new day: %d calls on %s", got.Used, got.Day)
				}
			})
		})
	}
}

// A process that ends without a word costs the slots that it had booked, and nothing else.
func TestSharedDeath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		tab.ahead = 16 * time.Hour // another day
		u := &upstream{}
		all := joinAll(4, tab, u, rest.LimitOptions{PerSecond: 8, PerDay: 100})
		began := time.Now()
		for _, m := range all[:3] {
			ctx, cancel := context.WithCancel(t.Context())
			if _, _, err := m.Permit(ctx); err != nil {
				t.Fatal(err)
			}
			m.mem.fail(errors.New("dead"))
			cancel()
		}
		for range 20 {
			if err := get(t.Context(), all[3].Client); err != nil {
				t.Fatal(err)
			}
		}
		if took, most := time.Since(began), 22*130*ms+30*ms; took > most {
			t.Errorf("20 calls took %v, want at most %v", took, most)
		}
		if got := tab.get("naver/1"); got.Used != 23 {
			t.Errorf("counted %d, want 23", got.Used)
		}
		if got := all[3].Limits()[0].Used; got != 23 {
			t.Errorf("status shows %d, want 23", got)
		}
	})
}

// Without its row no call leaves, and what has been learnt meanwhile is not lost.
func TestSharedRowIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		u := &upstream{}
		broken := errors.New("서버가 없음")
		away := func(m member, want int) {
			t.Helper()
			_, _, err := m.Permit(t.Context())
			if e := kindOf(t, err); e.Kind != adapters.Temporary || !errors.Is(e, broken) || e.Upstream != "naver" {
				t.Errorf("a permit: %v", err)
			}
			if e := kindOf(t, get(t.Context(), m.Client)); e.Kind != adapters.Temporary || !errors.Is(e, broken) {
				t.Errorf("a call: %v", e)
			}
			if u.calls() != want {
				t.Errorf("%d calls left, want %d", u.calls(), want)
			}
		}
		a, b := join(tab, u, rest.LimitOptions{PerSecond: 8}), join(tab, u, rest.LimitOptions{PerSecond: 8})
		a.mem.fail(broken)
		away(a, 0)
		a.mem.fail(nil)
		if err := get(t.Context(), a.Client); err != nil {
			t.Fatal(err)
		}
		a.mem.fail(broken)
		away(a, 1)
		a.mem.fail(nil)
		// A permit that is too late finds no other slot.
		ctx, release, err := a.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.mem.fail(broken)
		time.Sleep(time.Second)
		if e := kindOf(t, get(ctx, a.Client)); e.Kind != adapters.Temporary || !errors.Is(e, broken) || u.calls() != 1 {
			t.Errorf("a late call: %v, %d calls", e, u.calls())
		}
		release()
		a.mem.fail(nil)
		// A refusal that cannot be told is told before the next call.
		u.answer = func(*http.Request) (int, http.Header, string) {
			a.mem.fail(broken)
			return http.StatusTooManyRequests, http.Header{"Retry-After": {"600"}}, ""
		}
		if e := kindOf(t, get(t.Context(), a.Client)); e.Kind != adapters.Throttled || !errors.Is(e, broken) {
			t.Errorf("refused: %v", e)
		}
		u.answer = nil
		a.mem.fail(nil)
		if held := tab.get("naver/1").HeldUntil; !held.IsZero() {
			t.Errorf("held until %v", held)
		}
		if e := kindOf(t, get(t.Context(), a.Client)); e.Kind != adapters.Throttled {
			t.Errorf("after a refusal: %v", e)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if e := kindOf(t, get(t.Context(), b.Client)); e.Kind != adapters.Throttled || e.After < 599*time.Second {
			t.Errorf("another process: %v after %v", e, e.After)
		}
	})
}

// A process that starts beside others neither waits nor resets what they have learnt; one that ends leaves it alone.
func TestSharedStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		s := &strict{allowed: 80, count: true, latency: 500 * ms, refusal: 30 * ms}
		o := rest.LimitOptions{PerSecond: 84}
		all := joinAll(2, tab, s, o)
		driveAll(t, all, 30*time.Second, 0)
		before := tab.get("naver/1")
		if before.Bad == 0 || before.Refused != rest.RefusedCount {
			t.Fatalf("nothing was learnt: %+v", before)
		}
		if err := all[0].Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c := join(tab, s, o)
		if err := get(t.Context(), c.Client); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 600*ms {
			t.Errorf("the first call took %v", took)
		}
		after := tab.get("naver/1")
		if after.Guard > before.Guard || after.Bad != before.Bad || after.Refused != before.Refused || !after.Dirty || after.Used != before.Used+1 {
			t.Errorf("from %+v to %+v", before, after)
		}
		if got := guardOf(c.Client); got != after.Guard {
			t.Errorf("it starts with a guard of %v, want %v", got, after.Guard)
		}
		// What one process alone used before may have filled the window.
		tab.rows["naver/1"] = &rest.Row{LimitState: rest.LimitState{Dirty: true, Stray: true}}
		began = time.Now()
		if err := get(t.Context(), join(tab, &upstream{}, o).Client); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 1032*ms {
			t.Errorf("the first call after one process alone came after %v, want 1.032s", took)
		}
		// A plan was changed: everybody forgets.
		r := tab.rows["naver/1"]
		r.HeldUntil, r.PerSecond, r.Guard, r.Bad, r.BadAt, r.Refused, r.Learnt = time.Time{}, 0, 0, 0, time.Time{}, "", rest.Learnt{}
		if err := get(t.Context(), c.Client); err != nil {
			t.Fatal(err)
		}
		if got := guardOf(c.Client); got != 32*ms {
			t.Errorf("the guard is %v after it was forgotten", got)
		}
	})
}

// Of many calls at the start one makes the row this process's: another one might take back a stop that was learnt since.
func TestSharedStartIsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		tab.way = 20 * ms
		m := join(tab, &upstream{}, rest.LimitOptions{PerSecond: 80})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := get(t.Context(), m.Client); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if tab.learned != 1 {
			t.Errorf("the row was made this process's %d times", tab.learned)
		}
	})
}

func TestSharedStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		u := &upstream{answer: refuse(http.StatusUnauthorized, "거절")}
		a, b := join(tab, u, rest.LimitOptions{PerSecond: 8}), join(tab, u, rest.LimitOptions{PerSecond: 8})
		if _, _, err := b.Permit(t.Context()); err != nil { // it knows the row
			t.Fatal(err)
		}
		if e := kindOf(t, get(t.Context(), a.Client)); e.Kind != adapters.Unauthorized {
			t.Errorf("got %v", e)
		}
		for range 2 {
			e := kindOf(t, get(t.Context(), b.Client))
			if e.Kind != adapters.NeedsHuman || e.Reason != adapters.ReasonKey || !strings.Contains(e.Error(), "naver/1") {
				t.Errorf("another process: %v", e)
			}
		}
		if l := b.Limits()[0]; !l.Stopped || u.calls() != 1 {
			t.Errorf("%d calls; status shows %+v", u.calls(), l)
		}
		// The start of any process tries again, and then all go on.
		u.answer = nil
		if err := get(t.Context(), join(tab, u, rest.LimitOptions{PerSecond: 8}).Client); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for _, m := range []member{a, b} {
			if err := get(t.Context(), m.Client); err != nil {
				t.Error(err)
			}
		}
		// Processes with the old key and the new one beside each other: the old key's end is nothing to the new one.
		c := join(tab, u, rest.LimitOptions{PerSecond: 8, Header: key("둘")})
		if err := get(t.Context(), c.Client); err != nil {
			t.Fatal(err)
		}
		u.answer = func(r *http.Request) (int, http.Header, string) {
			if r.Header.Get("X-Key") == "하나" {
				return http.StatusUnauthorized, http.Header{}, ""
			}
			return http.StatusOK, http.Header{}, "{}"
		}
		_ = get(t.Context(), a.Client)
		calls := u.calls()
		time.Sleep(11 * time.Second)
		_ = get(t.Context(), a.Client)
		if got := u.calls(); got != calls {
			t.Errorf("%d calls with a key that was refused", got-calls)
		}
		if err := get(t.Context(), c.Client); err != nil {
			t.Error(err)
		}
		if l := a.Limits()[0]; !l.Stopped {
			t.Errorf("the old key: %+v", l)
		}
	})
}

// A lower limit that one process hears of is obeyed by all, until it is no longer announced.
func TestSharedAnnouncement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		u := &upstream{answer: func(*http.Request) (int, http.Header, string) {
			return http.StatusOK, http.Header{"Ratelimit-Limit": {"4;w=1"}}, "{}"
		}}
		all := joinAll(3, tab, u, rest.LimitOptions{PerSecond: 8})
		for _, m := range all {
			if _, _, err := m.Permit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_ = get(t.Context(), all[0].Client)
		u.answer = nil
		paces := func(want float64) {
			t.Helper()
			for i, m := range all {
				_ = get(t.Context(), m.Client)
				if _, pace := m.Pace(); pace < 0.96*want || pace > want {
					t.Errorf("process %d makes %.2f calls a second, want about %v", i, pace, want)
				}
			}
		}
		paces(4)
		time.Sleep(9 * time.Minute)
		paces(4)
		time.Sleep(2 * time.Minute)
		_ = get(t.Context(), all[1].Client)
		paces(8)
		if got := tab.get("naver/1").Announced; got != 0 {
			t.Errorf("%v is still announced", got)
		}
	})
}

// A slot whose wait was given up is not lost.
func TestSharedGiveBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		u := &upstream{}
		all := joinAll(3, tab, u, rest.LimitOptions{PerSecond: 1})
		began := time.Now()
		space := 1032 * ms
		if err := get(t.Context(), all[0].Client); err != nil {
			t.Fatal(err)
		}
		first := u.times[0]
		wait := func(m member) (give func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _, _ = m.Permit(ctx)
			}()
			synctest.Wait()
			return func() { cancel(); <-done }
		}
		due := func(want time.Duration) {
			t.Helper()
			if got := tab.get("naver/1").Due.Sub(began.Add(tab.ahead)); (got - want - first.Sub(began)).Abs() > ms {
				t.Errorf("the next slot is at %v, want %v", got, want)
			}
		}
		giveA, giveB := wait(all[0]), wait(all[1])
		due(3 * space)
		giveA() // another one has booked behind it: this process keeps it
		due(3 * space)
		if err := get(t.Context(), all[0].Client); err != nil {
			t.Fatal(err)
		}
		if got := u.times[1].Sub(first); (got - space).Abs() > ms {
			t.Errorf("the slot that was kept was used at %v, want %v", got, space)
		}
		giveB() // the last one: the row has it again
		due(2 * space)
		if got := tab.get("naver/1"); got.Used != 2 {
			t.Errorf("counted %d, want 2", got.Used)
		}
	})
}

// Whatever processes do, and whenever they die, no window and no day has too many calls.
func TestSharedProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.SampledFrom([]float64{0.5, 2, 8, 80}).Draw(rt, "a second")
		perDay := rapid.SampledFrom([]int{0, 7, 60}).Draw(rt, "a day")
		members := rapid.IntRange(1, 4).Draw(rt, "processes")
		type op struct{ kind, pause, late int }
		scripts := make([][]op, members)
		for i := range scripts {
			scripts[i] = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) op {
				return op{
					rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}).Draw(rt, "kind"),
					rapid.SampledFrom([]int{0, 0, 0, 0, 1, 13, 50, 125, 400, 2000}).Draw(rt, "pause"),
					rapid.SampledFrom([]int{0, 0, 0, 3, 30, 300, 1500}).Draw(rt, "late"),
				}
			}), 1, 60).Draw(rt, "script")
		}
		var problem string
		synctest.Test(t, func(t *testing.T) {
			tab := newTable()
			tab.way = ms
			tab.ahead = 15*time.Hour - 10*time.Second // midnight comes in between
			second := time.Second
			if perSecond < 1 {
				second *= 2
			}
			u := &upstream{latency: 20 * ms}
			refuseNext := make(chan string, 100)
			u.answer = func(*http.Request) (int, http.Header, string) {
				select {
				case after := <-refuseNext:
					return http.StatusTooManyRequests, http.Header{"Retry-After": {after}}, ""
				default:
					return http.StatusOK, http.Header{}, "{}"
				}
			}
			var wg, calls sync.WaitGroup
			for _, script := range scripts {
				m := join(tab, u, rest.LimitOptions{PerSecond: perSecond, PerDay: perDay})
				wg.Go(func() {
					for _, o := range script {
						time.Sleep(time.Duration(o.pause) * ms)
						ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
						context.AfterFunc(ctx, cancel)
						switch o.kind {
						case 0, 1, 2: // a call, also refused, also one that is given up
							if o.kind == 1 {
								refuseNext <- "1"
							}
							pctx, release, err := m.Permit(ctx)
							if err != nil {
								cancel()
								continue
							}
							cl := m.Client // also when its process has died meanwhile
							calls.Go(func() {
								defer cancel()
								defer release()
								time.Sleep(time.Duration(o.late) * ms)
								if o.kind != 2 {
									_ = get(pctx, cl)
									_ = get(pctx, cl)
								}
							})
						case 3: // a row that is away for a while
							m.mem.fail(errors.New("away"))
							_ = get(ctx, m.Client)
							m.mem.fail(nil)
							cancel()
						case 4: // a wait that is given up soon
							short, end := context.WithTimeout(ctx, time.Duration(o.late)*ms)
							_, _, _ = m.Permit(short)
							end()
							cancel()
						case 5: // the process dies and another one starts
							m.mem.fail(errors.New("dead"))
							m = join(tab, u, rest.LimitOptions{PerSecond: perSecond, PerDay: perDay})
							cancel()
						case 6:
							_ = m.Close(ctx)
							cancel()
						}
					}
				})
			}
			wg.Wait()
			calls.Wait()
			if got := u.worst(second); got > max(1, int(perSecond)) {
				problem = fmt.Sprintf("%d calls in one window", got)
			}
			days := map[string]int{}
			for _, at := range u.times {
				days[dayOf(at.Add(tab.ahead))]++
			}
			for day, n := range days {
				// A slot at midnight may be used a moment later.
				if perDay > 0 && n > perDay {
					problem = fmt.Sprintf("%d calls on %s", n, day)
				}
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// Several credentials that several processes share are used up alike.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys      int
		perSecond float64
		share     float64
	}{{2, 8, 0.95}, {20, 8, 0.95}} {
		t.Run(fmt.Sprintf("%d keys", c.keys), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tab := newTable()
				tab.way = ms
				u := &upstream{latency: time.Second}
				all := make([]member, 4)
				for i := range all {
					p := &process{table: tab}
					limits := make([]*rest.Limit, c.keys)
					for k := range limits {
						name := fmt.Sprintf("naver/%d", k+1)
						limits[k] = rest.NewLimit(rest.LimitOptions{Name: name, PerSecond: c.perSecond, Header: key(name), Memory: p})
					}
					all[i] = member{client(u, limits...), p}
				}
				const span = 60 * time.Second
				driveAll(t, all, span, 10*ms)
				share := float64(u.calls()) / span.Seconds() / c.perSecond / float64(c.keys)
				if share < c.share {
					t.Errorf("%.4f of the limits was used", share)
				}
				t.Logf("%.4f of the limits; %d calls, %d booked, %d other statements", share, u.calls(), tab.booked, tab.others)
			})
		})
	}
}

// A quota of the day that the upstream says is used up ends with the day of the row's clock.
func TestSharedQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		p := &process{table: tab}
		cl := rest.New(rest.Options{
			Upstream: "naver", BaseURL: "http://upstream.test", Transport: &upstream{answer: refuse(http.StatusTooManyRequests, "")},
			Classify: func(int, http.Header, []byte) *adapters.Error {
				return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonQuota, Err: errors.New("일일 한도")}
			},
			Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerDay: 1000, Memory: p})},
		})
		_ = kindOf(t, get(t.Context(), cl))
		if got, want := tab.get("naver/1").HeldUntil, time.Date(2000, 1, 1, 15, 0, 0, 0, time.UTC); !got.Equal(want) {
			t.Errorf("held until %v, want %v", got, want)
		}
	})
}

// Over a real connection a call that may not leave does not reach the upstream, whatever the connection is used for later.
func TestSharedConnection(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", h2), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				_, _ = w.Write([]byte("{}"))
			}))
			transport := rest.NewTransport(&url.URL{Scheme: "http", Host: "127.0.0.1"}, true)
			if h2 {
				server.EnableHTTP2 = true
				server.StartTLS()
				transport = server.Client().Transport.(*http.Transport).Clone()
			} else {
				server.Start()
			}
			defer server.Close()
			p := &process{table: newTable()}
			cl := rest.New(rest.Options{
				Upstream: "naver", BaseURL: server.URL, Private: true,
				Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", PerSecond: 100, Memory: p})},
			})
			if h2 {
				rest.UseTransport(cl, transport)
			}
			defer cl.Close(t.Context())
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			ctx, release, err := cl.Permit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			<-time.After(700 * ms) // it is too late for its slot then, however early the permit came
			broken := errors.New("서버가 없음")
			p.fail(broken)
			if e := kindOf(t, get(ctx, cl)); e.Kind != adapters.Temporary || !errors.Is(e, broken) {
				t.Errorf("got %v", e)
			}
			p.fail(nil)
			if err := get(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			if got := calls.Load(); got != 2 {
				t.Errorf("%d calls reached the upstream, want 2", got)
			}
		})
	}
}
