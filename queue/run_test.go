package queue_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func TestAskRun(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(1) }
	if _, err := s.LastRun(t.Context(), "matzip"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("never ran: %v", err)
	}
	askRun := func(want queue.Run, wantFresh bool, whole bool, targets ...string) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			r, isFresh, err := tx.AskRun("matzip", whole, targets)
			same(t, "asked", r, want)
			if isFresh != wantFresh {
				t.Errorf("fresh %v", isFresh)
			}
			return err
		})
	}
	never := func(want bool) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			got, err := tx.NeverRan("matzip")
			if got != want {
				t.Errorf("never ran: %v", got)
			}
			return err
		})
	}
	never(true)
	first := queue.Run{ID: 1, Pipeline: "matzip", State: queue.RunAsked, Whole: true, Targets: []string{"을지로골목", "망원식탁"}, Asked: day(1)}
	askRun(first, true, true, "을지로골목", "망원식탁")
	never(false)
	s.Now = func() time.Time { return day(2) }
	askRun(first, false, false)
	within(t, s, func(tx *queue.Tx) error {
		_, other, err := tx.AskRun("다른 일", false, nil)
		if !other {
			t.Error("another pipeline's run is in the way")
		}
		return err
	})
	within(t, s, func(tx *queue.Tx) error { return tx.StartRun(1) })
	s.Now = func() time.Time { return day(3) }
	within(t, s, func(tx *queue.Tx) error { return errors.Join(tx.StopRun(1, "구독이 끝났다"), tx.WholeRun(2)) })
	first.State, first.Started, first.Note = queue.RunStopped, day(2), "구독이 끝났다"
	askRun(first, false, false)
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.StartRun(1), tx.Count(1, 2, 24, 3, 9*time.Second), tx.Count(1, 1, 0, 1, 5*time.Second))
	})
	first.State, first.Note, first.Pages, first.Fetch, first.Fresh, first.Changed = queue.RunRunning, "", 3, 14*time.Second, 24, 4
	got, err := s.Run(t.Context(), 1)
	check(t, err)
	same(t, "run", got, first)
	if _, err := s.Run(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("run 99: %v", err)
	}
	open, err := s.OpenRuns(t.Context())
	check(t, err)
	if len(open) != 2 || open[0].ID != 1 || !open[1].Whole {
		t.Errorf("open: %+v", open)
	}

	check(t, s.Exec(t.Context(), `update run set state = 'done' where id = 1`))
	within(t, s, func(tx *queue.Tx) error { return errors.Join(tx.StartRun(1), tx.StopRun(1, "끝난 뒤")) })
	rows(t, s, `select state, note from run where id = 1`, "done|")
	askRun(queue.Run{ID: 3, Pipeline: "matzip", State: queue.RunAsked, Asked: day(3)}, true, false)
	last, err := s.LastRun(t.Context(), "matzip")
	check(t, err)
	if last.ID != 3 {
		t.Errorf("last: %+v", last)
	}
}

// TestRunEnds checks the conditions: seeded, every walk over, no live job.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	run, ws := begin(t, s, "을지로골목", "posts", "reels")
	add(t, s, pageJob("ig:을지로골목:posts"))
	ends := func(wantCrawled, wantEnded bool) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			crawled, err := tx.CrawledRun(run.ID)
			ended, err2 := tx.EndRun(run.ID, true)
			if crawled != wantCrawled || ended != wantEnded {
				t.Errorf("crawled %v, ended %v; want %v, %v", crawled, ended, wantCrawled, wantEnded)
			}
			return errors.Join(err, err2)
		})
	}
	finish := func(w queue.Walk, state queue.WalkState) {
		t.Helper()
		w.State = state
		within(t, s, func(tx *queue.Tx) error { return tx.Advance(&w) })
	}
	ends(false, false)
	finish(ws[0], queue.WalkIdle)
	finish(ws[1], queue.WalkUnfinished)
	ends(false, false) // lists may be missing still
	within(t, s, func(tx *queue.Tx) error { return tx.SeedRun(run.ID) })
	now = day(2)
	within(t, s, func(tx *queue.Tx) error { return tx.SeedRun(run.ID) })
	ends(true, false)
	now = day(3)
	ends(true, false)
	j := take(t, s)
	ends(true, false)
	check(t, s.Finish(t.Context(), j, func(tx *queue.Tx) error { // the job that ends does not count
		ended, err := tx.EndRun(run.ID, true)
		if !ended {
			t.Error("the last job cannot end the run")
		}
		return err
	}))
	ends(true, false) // it has ended
	got, err := s.Run(t.Context(), run.ID)
	check(t, err)
	if got.State != queue.RunDone || !got.Seeded.Equal(day(1)) || !got.Crawled.Equal(day(2)) || !got.Ended.Equal(day(3)) {
		t.Errorf("got %+v", got)
	}
}

func TestDeadJobsDoNotHoldARun(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, _ := begin(t, s, "을지로골목")
	add(t, s, pageJob("ig:을지로골목:posts"))
	check(t, s.PutBack(t.Context(), lane, take(t, s), kind(adapters.Permanent, 0)))
	within(t, s, func(tx *queue.Tx) error {
		_, err := tx.CrawledRun(run.ID)
		return errors.Join(tx.SeedRun(run.ID), err)
	})
	within(t, s, func(tx *queue.Tx) error {
		_, err := tx.CrawledRun(run.ID)
		ended, err2 := tx.EndRun(run.ID, true)
		if !ended {
			t.Error("a dead job holds the run")
		}
		return errors.Join(err, err2)
	})
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, ws := begin(t, s, "을지로골목", "posts", "reels", "tagged")
	key := func(w queue.Walk) string { return w.Target + ":" + w.List }
	add(t, s, pageJob(key(ws[0])), pageJob(key(ws[1])))
	check(t, s.PutBack(t.Context(), lane, take(t, s), kind(adapters.Permanent, 0)))
	ws[2].State = queue.WalkIdle
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.Advance(&ws[2]); err != nil {
			return err
		}
		lost, err := tx.Orphans(run.ID, key)
		if len(lost) != 1 || lost[0].List != "posts" {
			t.Errorf("orphans: %+v", lost)
		}
		return err
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	want := queue.Schedule{Pipeline: "matzip", Spec: "every 72h", Next: day(4), Full: day(30)}
	within(t, s, func(tx *queue.Tx) error {
		none, err := tx.Schedule("matzip")
		same(t, "none", none, queue.Schedule{Pipeline: "matzip"})
		return errors.Join(err, tx.SetSchedule(queue.Schedule{Pipeline: "matzip", Spec: "hand"}), tx.SetSchedule(want))
	})
	within(t, s, func(tx *queue.Tx) error {
		got, err := tx.Schedule("matzip")
		same(t, "schedule", got, want)
		return errors.Join(err, tx.SetSchedule(queue.Schedule{Pipeline: "가나", Spec: "hand"}))
	})
	all, err := s.Schedules(t.Context())
	check(t, err)
	same(t, "all", all, []queue.Schedule{want, {Pipeline: "가나", Spec: "hand"}})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	l, err := s.Limit(t.Context(), "instagram/1")
	check(t, err)
	same(t, "unknown", l, queue.Limit{Name: "instagram/1"})
	want := queue.Limit{Name: "instagram/1", Day: "2025-03-01", Used: 1200, HeldUntil: day(2), Reason: "이달 몫을 다 썼다", Stopped: true, Dirty: true, LastCall: day(1)}
	check(t, s.SaveLimit(t.Context(), queue.Limit{Name: "naver/1", Used: 3}))
	check(t, s.SaveLimit(t.Context(), queue.Limit{Name: "instagram/1", Used: 3, HeldUntil: day(9)}))
	check(t, s.SaveLimit(t.Context(), want))
	l, err = s.Limit(t.Context(), "instagram/1")
	check(t, err)
	same(t, "saved", l, want)
	all, err := s.Limits(t.Context())
	check(t, err)
	same(t, "all", all, []queue.Limit{want, {Name: "naver/1", Used: 3}})
}

func TestBooks(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return time.Date(2025, 3, 1, 14, 59, 0, 0, time.UTC) } // 23:59 in Seoul
	book := func(run, n int64) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			return errors.Join(tx.Book(run, "openai", "input_token", n, 25_000), tx.Book(run, "openai", "request", 1, 0))
		})
	}
	book(0, 1000)
	begin(t, s, "을지로골목", "posts")
	book(1, 2000)
	book(1, 10) // a quarter of a micro-dollar: rounded up once, not each time
	book(1, 10)
	book(1, 10)
	s.Now = func() time.Time { return time.Date(2025, 3, 1, 15, 0, 0, 0, time.UTC) }
	book(1, 1)
	rows(t, s, `select day, run, what, n, micro_usd from usage order by day, run, what`,
		"2025-03-01|0|input_token|1000|25", "2025-03-01|0|request|1|0", "2025-03-01|1|input_token|2030|51", "2025-03-01|1|request|4|0",
		"2025-03-02|1|input_token|1|1", "2025-03-02|1|request|1|0")
	rows(t, s, `select * from v_spend`, "2025-03-01|openai|5|3030|0|76|0|0|0|0", "2025-03-02|openai|1|1|0|1|0|0|0|0")
	if err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Book(0, "openai", "커피", 1, 0) }); err == nil {
		t.Error("booked what nobody knows")
	}
}

// TestFailedStepIsBooked checks that requests are paid for whether or not the step succeeded.
func TestFailedStepIsBooked(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
			adapters.CountCall(ctx, "인스타")
			return nil, kind(adapters.Permanent, 0)
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타"})
		settle(time.Second)
		rows(t, s, `select upstream, n from usage`, "인스타|1")
	})
}

// TestKilledCallsAreBooked counts a call for whatever was in flight when the process was killed.
func TestKilledCallsAreBooked(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetTerms(t.Context(), queue.Terms{Prices: map[string]int64{"인스타": 7}}))
	begin(t, s, "을지로골목", "posts")
	add(t, s, pageJob("하나"), pageJob("둘"), pageJob("셋"), queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindDeliver, Key: "배달", Priority: 9})
	take(t, s) // the delivery calls nobody that is paid
	take(t, s)
	take(t, s)
	next := crashed(t, s)
	rows(t, next, `select run, upstream, requests, micro_usd, refused, repeated, failed, wasted_micro_usd from v_run_spend`, "1|인스타|2|14|0|2|0|14")
	rows(t, crashed(t, next), `select requests from v_run_spend`, "2")
}

// TestLateCallsAreBooked counts the calls of a step whose job somebody else has meanwhile, and tells why calls were in vain.
func TestLateCallsAreBooked(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		check(t, s.SetTerms(t.Context(), queue.Terms{Prices: map[string]int64{"인스타": 3}}))
		var calls atomic.Int32
		h := func(ctx context.Context, _ queue.Job) (queue.Commit, error) {
			adapters.CountCall(ctx, "인스타")
			switch calls.Add(1) {
			case 1:
				time.Sleep(14 * time.Second)
				return nil, kind(adapters.Permanent, 0)
			case 2:
				return nil, kind(adapters.Throttled, 5*time.Second)
			case 3:
				return nil, kind(adapters.Temporary, 0)
			case 4:
				return func(tx *queue.Tx) error { return queue.ErrStale }, nil
			case 5:
				return func(tx *queue.Tx) error { tx.InVain(queue.WasteFailed); tx.Again(0); return nil }, nil
			}
			return nil, nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 2, Deadline: 10 * time.Second})
		settle(time.Minute)
		rows(t, s, `select state from job`)
		rows(t, s, `select requests, micro_usd, refused, repeated, failed, wasted_micro_usd from v_spend`, "6|18|1|2|2|15")
	})
}

// A budget that is waited for costs no attempt and leaves no story, and what waits for it comes when it is called.
func TestWaitForBudget(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		h := func(context.Context, queue.Job) (queue.Commit, error) {
			if calls.Add(1) <= 2 {
				return nil, &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonBudget, Upstream: adapters.ReasonBudget, After: time.Hour, Err: errors.New("the budget is used up, 냉면 한 그릇")}
			}
			return nil, nil
		}
		add(t, s, pageJob("하나"), pageJob("둘"))
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 2})
		settle(time.Minute)
		waits, err := s.BudgetWaits(t.Context())
		check(t, err)
		same(t, "waits", waits, []queue.BudgetWait{{Pipeline: "matzip", Jobs: 2, Reason: "the budget is used up, 냉면 한 그릇"}})
		lanes, err := s.LiveLanes(t.Context(), "matzip")
		check(t, err)
		same(t, "lanes", lanes, []queue.LiveLane{{Lane: "인스타", Broke: true}})
		rows(t, s, `select attempt, count(*) from job group by attempt`, "0|2")
		rows(t, s, `select * from job_error`)
		add(t, s, queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: "나중", At: s.Now().Add(time.Hour)})
		lanes, err = s.LiveLanes(t.Context(), "matzip")
		check(t, err)
		same(t, "lanes", lanes, []queue.LiveLane{{Lane: "인스타"}})
		within(t, s, func(tx *queue.Tx) error {
			n, err := tx.HurryBudget("matzip", 1)
			if n != 1 {
				t.Errorf("%d hurried, want 1", n)
			}
			return err
		})
		settle(3 * time.Second)
		rows(t, s, `select key from job order by key`, "나중", "둘")
	})
}
