package queue_test

import (
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
