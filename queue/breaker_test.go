package queue_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// away is an upstream that is away until a moment of the bubble, for some jobs or all.
type away struct {
	mu     sync.Mutex
	until  time.Time
	only   string // key of the one job that is never answered; "" none
	reason string
	calls  []time.Time
	per    map[string]int
}

func (a *away) handle(ctx context.Context, j queue.Job) (queue.Commit, error) {
	a.mu.Lock()
	now := time.Now()
	a.calls = append(a.calls, now)
	if a.per == nil {
		a.per = map[string]int{}
	}
	a.per[j.Key]++
	a.mu.Unlock()
	adapters.CountCall(ctx, j.Lane)
	time.Sleep(10 * time.Millisecond)
	if now.Before(a.until) || j.Key == a.only {
		return nil, &adapters.Error{Kind: adapters.Temporary, Reason: a.reason, Upstream: "인스타", Err: errors.New("status 502: <html>")}
	}
	return nil, nil
}

func (a *away) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.calls)
}

var outageLane = queue.Lane{Name: "인스타", Workers: 8, Attempts: 3, Backoff: queue.Backoff{Base: time.Second, Cap: 5 * time.Minute}}

// An outage of hours costs no job its life and the upstream few calls, and is over at the first answer.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		jobs         int
	}{
		{"it answers nonsense", "", 20},
		{"three jobs are left", "", 3},
		{"it cannot be reached", adapters.ReasonUnreachable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *queue.Store) {
				up := &away{until: time.Now().Add(2 * time.Hour), reason: tt.reason}
				for i := range tt.jobs {
					add(t, s, pageJob(fmt.Sprintf("ig:맛집%d", i)))
				}
				w, _ := work(t, s, up.handle, outageLane, queue.Lane{Name: "네이버", Workers: 1})
				settle(time.Minute)
				o, err := s.Outages(t.Context())
				check(t, err)
				if len(o) != 1 || o[0].Upstream != "인스타" || !strings.Contains(o[0].Reason, "502") || time.Since(o[0].Since) < 55*time.Second || !o[0].Next.After(time.Now().Add(-time.Minute)) {
					t.Errorf("outages: %+v", o)
				}
				check(t, w.Admit(t.Context(), "네이버"))
				settle(2*time.Hour - 2*time.Minute)
				if n := up.count(); n > 8+2*2*60/5+20 {
					t.Errorf("%d calls in 2 hours of an outage", n)
				}
				rows(t, s, `select count(*), sum(case when state = 'dead' then 1 else 0 end) from job`, fmt.Sprintf("%d|0", tt.jobs))
				settle(7 * time.Minute)
				rows(t, s, `select key, attempt from job`)
				rows(t, s, `select * from outage`)
			})
		})
	}
}

// Whoever is told until when an upstream is away waits for that, also alone: the looks before it are no attempts.
// What asks for years, goes on asking for weeks, or answers all others in the meantime is not believed.
func TestAwayAsItSaid(t *testing.T) {
	for _, tt := range []struct {
		name     string
		jobs     int
		asks     time.Duration // from each look on; 0: until it is back
		once     bool          // and only the first time
		calls    int           // in two hours, at most; 0: four of each job
		weeks    bool          // it has been asking for weeks
		first    bool          // the first failure says nothing, and then others are answered
		healthy  bool          // others are answered again and again
		attempts int           // used up
		dead     bool
		both     bool // over both engines: hours take their time over PostgreSQL
	}{
		{name: "one job is left", jobs: 1},
		{name: "two jobs are left", jobs: 2, both: true},
		{name: "many jobs are left", jobs: 50, calls: 12},
		{name: "it says so once", jobs: 1, once: true},
		{name: "many jobs are left, and it says so once", jobs: 50, once: true, calls: 12},
		{name: "it was in trouble before it said so", jobs: 1, first: true, attempts: 2},
		{name: "it asks for two days more each time", jobs: 1, asks: 48 * time.Hour},
		{name: "it asks for two days more each time, for weeks", jobs: 1, asks: 48 * time.Hour, weeks: true, dead: true},
		{name: "it asks for years", jobs: 1, asks: 3 * 365 * 24 * time.Hour, dead: true},
		{name: "others are answered", jobs: 1, asks: 48 * time.Hour, healthy: true, dead: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.both {
				fileOnly(t)
			}
			bubble(t, func(t *testing.T, s *queue.Store) {
				back := time.Now().Add(2*time.Hour + 30*time.Minute)
				if tt.dead {
					back = back.Add(time.Hour)
				}
				var calls atomic.Int32
				h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
					adapters.CountCall(ctx, j.Lane)
					if !time.Now().Before(back) || strings.HasPrefix(j.Key, "ig:새집") {
						return nil, nil
					}
					after := cmp.Or(tt.asks, time.Until(back))
					switch n := calls.Add(1); {
					case n == 1 && tt.first:
						after = 10 * time.Second
					case n > 1 && tt.once:
						after = 0
					}
					return nil, &adapters.Error{Kind: adapters.Temporary, Upstream: "인스타", After: after, Err: errors.New("status 503")}
				}
				for i := range tt.jobs {
					add(t, s, pageJob(fmt.Sprintf("ig:맛집%d", i)))
				}
				work(t, s, h, outageLane)
				settle(5 * time.Second)
				if tt.first {
					add(t, s, pageJob("ig:새집"))
				}
				settle(25 * time.Second)
				o, err := s.Outages(t.Context())
				check(t, err)
				if believed := tt.asks < 365*24*time.Hour; believed != (len(o) == 1 && o[0].Reason == "인스타: status 503") {
					t.Errorf("outages: %+v", o)
				}
				if tt.weeks {
					then := time.Now().Add(-15 * 24 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
					check(t, s.Exec(t.Context(), `update job set created_at = ?`, then))
					check(t, s.Exec(t.Context(), `update job_error set at = ?`, then))
				}
				for i := range 2 {
					if tt.healthy {
						add(t, s, pageJob(fmt.Sprintf("ig:새집%d", i)))
					}
					settle(time.Hour)
				}
				if n := int(calls.Load()); n > cmp.Or(tt.calls, 4*tt.jobs) {
					t.Errorf("%d calls in two hours", n)
				}
				if tt.dead {
					if tt.healthy {
						add(t, s, pageJob("ig:새집2"))
					}
					settle(70 * time.Minute)
					rows(t, s, `select key, state from job`, "ig:맛집0|dead")
					return
				}
				rows(t, s, `select state, attempt, count(*) from job group by state, attempt`, fmt.Sprintf("live|%d|%d", tt.attempts, tt.jobs))
				settle(70 * time.Minute)
				rows(t, s, `select key from job`)
				rows(t, s, `select * from outage`)
			})
		})
	}
}

// One poisonous job among healthy ones dies after its attempts, and the lane stays open.
func TestPoisonousJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		up := &away{only: "ig:상한집"}
		add(t, s, pageJob("ig:상한집"))
		work(t, s, up.handle, outageLane)
		for i := range 20 {
			add(t, s, pageJob(fmt.Sprintf("ig:맛집%d", i)))
			settle(time.Second)
		}
		rows(t, s, `select key, state from job`, "ig:상한집|dead")
		rows(t, s, `select * from outage`)
		if n := up.per["ig:상한집"]; n < 3 || n > 5 { // the first tries may all come before anybody else was answered
			t.Errorf("the bad job was tried %d times, want 3", n)
		}
	})
}

// A job that fails alone may have met an outage or be the fault itself: it gets three pauses of the longest kind, then it dies.
func TestLoneFailure(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		up := &away{only: "ig:상한집"}
		add(t, s, queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: "ig:상한집", Priority: 100})
		work(t, s, up.handle, outageLane)
		settle(10 * time.Minute)
		rows(t, s, `select key, state from job`, "ig:상한집|live")
		settle(30 * time.Minute)
		rows(t, s, `select key, state from job`, "ig:상한집|dead")
		if n := up.count(); n > 20 { // ten while the pauses grow, and at most one each half of the longest
			t.Errorf("%d calls for one job", n)
		}
	})
}

// A healthy job has its turn at the probe although one that fails is of higher priority.
func TestProbesTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		up := &away{only: "ig:상한집"}
		add(t, s, queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: "ig:상한집", Priority: 100})
		work(t, s, up.handle, outageLane)
		settle(13 * time.Minute)
		add(t, s, pageJob("ig:새집"))
		settle(6 * time.Minute)
		if up.per["ig:새집"] != 1 {
			t.Errorf("the healthy job was called %d times", up.per["ig:새집"])
		}
	})
}

// What an outage has taught outlives the process: the next one probes at once, with one call.
func TestOutageOutlivesTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		up := &away{until: time.Now().Add(2 * time.Hour)}
		for i := range 10 {
			add(t, s, pageJob(fmt.Sprintf("ig:맛집%d", i)))
		}
		_, stop := work(t, s, up.handle, outageLane)
		settle(20 * time.Minute)
		stop()
		for range 8 { // a process that is killed again and again
			s = crashed(t, s)
			before := up.count()
			_, stop := work(t, s, up.handle, outageLane)
			settle(100 * time.Millisecond)
			if n := up.count() - before; n != 1 {
				t.Fatalf("%d calls right after a start in an outage, want 1", n)
			}
			stop()
		}
		s = crashed(t, s)
		rows(t, s, `select count(*), sum(case when state = 'dead' then 1 else 0 end), max(attempt) <= 1 from job`, "10|0|1")
		up.mu.Lock()
		up.until = time.Time{}
		up.mu.Unlock()
		work(t, s, up.handle, outageLane)
		settle(20 * time.Second)
		rows(t, s, `select key from job`)
		rows(t, s, `select * from outage`)
	})
}

// A finder that is away holds the steps that need it, without a call each, and no others.
func TestOutageOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var w *queue.Worker
		var asked atomic.Int32
		back := time.Now().Add(30 * time.Minute)
		h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
			if strings.HasSuffix(j.Key, "둘") {
				if err := w.Admit(ctx, "카카오"); err != nil {
					return nil, err
				}
				if time.Now().Before(back) {
					asked.Add(1)
					return nil, &adapters.Error{Kind: adapters.Temporary, Upstream: "카카오", Err: errSoup}
				}
				adapters.CountCall(ctx, "카카오")
			}
			adapters.CountCall(ctx, "인스타")
			return nil, nil
		}
		w, stop := work(t, s, func(ctx context.Context, j queue.Job) (queue.Commit, error) { return h(ctx, j) }, outageLane)
		for i := range 10 {
			add(t, s, pageJob(fmt.Sprintf("match:%d둘", i)), pageJob(fmt.Sprintf("match:%d", i)))
		}
		settle(time.Minute)
		rows(t, s, `select count(*) from job where key not like '%둘'`, "0")
		settle(28 * time.Minute)
		if n := asked.Load(); n > 50 {
			t.Errorf("%d calls", n)
		}
		rows(t, s, `select count(*), sum(case when state = 'dead' then 1 else 0 end) from job`, "10|0")
		settle(12 * time.Minute)
		rows(t, s, `select key from job`)
		stop()
	})
}
