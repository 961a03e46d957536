package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// bubble runs a test on a clock of its own, so that holds and pauses pass at once.
func bubble(t *testing.T, f func(t *testing.T, s *queue.Store)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fresh(t)
		f(t, s)
	})
}

// settle lets d pass and waits until all is quiet.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWorkerDrains(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var done atomic.Int32
		h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
			adapters.CountCall(ctx, j.Lane)
			time.Sleep(time.Second)
			return func(tx *queue.Tx) error {
				if ctx.Err() != nil {
					t.Error("the context did not outlive the commit")
				}
				if done.Add(1) < 10 {
					_, err := tx.Add(pageJob(j.Key))
					return err
				}
				return nil
			}, nil
		}
		begin(t, s, "을지로골목", "posts")
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 4})
		start := time.Now()
		for done.Load() < 10 {
			<-s.Changed()
		}
		settle(time.Millisecond)
		// A commit wakes the lane: nothing waits for the poll.
		if d := time.Since(start); d > 10*time.Second+100*time.Millisecond {
			t.Errorf("ten steps of a second took %v", d)
		}
		rows(t, s, `select id from job`)
		rows(t, s, `select run, upstream, what, n from usage`, "1|인스타|request|10")
	})
}

// TestClockSetBack checks that nothing waits for an instant of a clock that was ahead and is right by now.
func TestClockSetBack(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		var ahead atomic.Int64
		ahead.Store(int64(9 * time.Hour))
		s.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		var done sync.Map
		work(t, s, func(_ context.Context, j queue.Job) (queue.Commit, error) {
			done.Store(j.Key, true)
			return nil, nil
		}, queue.Lane{Name: "인스타"})
		later := pageJob("in its row")
		later.At = s.Now().Add(time.Minute)
		add(t, s, later)
		settle(3 * time.Second)
		soon := pageJob("announced")
		soon.At = s.Now().Add(1500 * time.Millisecond)
		add(t, s, soon)
		check(t, s.Exec(t.Context(), `update goqite set timeout = ?`, s.Now().UTC().Format("2006-01-02T15:04:05.000Z")))
		ahead.Store(0)
		settle(5 * time.Second)
		for _, key := range []string{later.Key, soon.Key} {
			if _, ok := done.Load(key); !ok {
				t.Errorf("the job %q waits", key)
			}
		}
	})
}

// TestClockSetBackOnABadDay checks that a step back that could not be dealt with at once is not forgotten, and that what is left
// alone until an instant of the wrong clock is not.
func TestClockSetBackOnABadDay(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		ahead := 9 * time.Hour
		s.Now = func() time.Time { return time.Now().Add(ahead) }
		check(t, s.Tend(t.Context()))
		later := s.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
		check(t, s.Exec(t.Context(), `insert into walk (pipeline, target, list, rest_until) values ('벨로그', '하나', '글', ?)`, later))
		check(t, s.Exec(t.Context(), `insert into target (pipeline, target, tried_at) values ('벨로그', '하나', ?)`, later))
		ahead = 0
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Tend(ctx); err == nil {
			t.Error("the failure is not told of")
		}
		check(t, s.Tend(t.Context()))
		now := s.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		rows(t, s, `select rest_until from walk union all select tried_at from target`, now, now)
	})
}

// TestLateWorker checks that a handler that outlives its hold writes nothing.
func TestLateWorker(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			n := calls.Add(1)
			if n == 1 {
				time.Sleep(time.Minute) // deaf to its context
			}
			return func(tx *queue.Tx) error {
				_, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: "네이버", Kind: queue.KindMatch, Key: fmt.Sprintf("다음:%d", n)})
				return errors.Join(err, tx.SetMeta("쓴이", fmt.Sprint(n)))
			}, nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		w, _ := work(t, s, h, queue.Lane{Name: "인스타", Workers: 2, Deadline: 10 * time.Second})
		settle(12 * time.Second)
		if n := calls.Load(); n != 1 {
			t.Errorf("handed out %d times within its hold", n)
		}
		settle(2 * time.Second)
		meta(t, s, "쓴이", "2")
		if w.Running() != 1 {
			t.Errorf("%d steps run, want the late one", w.Running())
		}
		settle(time.Minute)
		meta(t, s, "쓴이", "2")
		rows(t, s, `select key from job`, "다음:2")
		rows(t, s, `select err from job_error`)
		if w.Running() != 0 {
			t.Errorf("%d steps run", w.Running())
		}
	})
}

// TestLateFailure checks that the failure of a late worker does not count against the job that has gone on.
func TestLateFailure(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			if calls.Add(1) == 1 {
				time.Sleep(14 * time.Second)
				return nil, kind(adapters.Permanent, 0)
			}
			time.Sleep(5 * time.Second)
			return note("끝", "예"), nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 2, Deadline: 10 * time.Second})
		settle(time.Minute)
		meta(t, s, "끝", "예")
		rows(t, s, `select state from job`)
		rows(t, s, `select err from job_error`)
	})
}

func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(ctx context.Context, _ queue.Job) (queue.Commit, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Deadline: 10 * time.Second, Attempts: 2, Backoff: queue.Backoff{Base: time.Second}})
		settle(30 * time.Second)
		rows(t, s, `select state, attempt, err from job`, "dead|2|context deadline exceeded")
		rows(t, s, `select attempt, err from job_error`, "1|context deadline exceeded", "2|context deadline exceeded")
	})
}

// TestStoreTakesTooLong checks that a step whose answer could not be stored in time is made again at once, and that this is no
// attempt: its job is not left in flight.
func TestStoreTakesTooLong(t *testing.T) {
	fileOnly(t)
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, func(context.Context, queue.Job) (queue.Commit, error) {
			if calls.Add(1) > 1 {
				return note("끝", "예"), nil
			}
			begun := make(chan struct{})
			go func() {
				_ = s.Tx(context.Background(), func(*queue.Tx) error {
					close(begun)
					time.Sleep(40 * time.Second)
					return nil
				})
			}()
			<-begun
			return note("끝", "아니요"), nil
		}, queue.Lane{Name: "인스타", Deadline: 10 * time.Minute, Attempts: 1})
		settle(45 * time.Second)
		meta(t, s, "끝", "예")
		rows(t, s, `select id from job`)
		rows(t, s, `select err from job_error`)
	})
}

// TestLongPause checks that an upstream in trouble is asked again within the hour, however long it wants to be left alone.
func TestLongPause(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls atomic.Int32
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, func(context.Context, queue.Job) (queue.Commit, error) {
			if calls.Add(1) == 1 {
				return nil, kind(adapters.Temporary, 30*24*time.Hour)
			}
			return note("끝", "예"), nil
		}, queue.Lane{Name: "인스타", Attempts: 12})
		settle(59 * time.Minute)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls within the hour", n)
		}
		settle(2 * time.Minute)
		meta(t, s, "끝", "예")
	})
}

// TestRetries checks that the pauses grow, are jittered below their bounds, and end in death with the whole story.
func TestRetries(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var at []time.Time
		h := func(context.Context, queue.Job) (queue.Commit, error) {
			at = append(at, time.Now())
			return nil, fmt.Errorf("%d번째: %w", len(at), errSoup)
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		_, stop := work(t, s, h, queue.Lane{Name: "인스타", Attempts: 6, Backoff: queue.Backoff{Base: 4 * time.Second, Cap: 20 * time.Second}})
		settle(80 * time.Second)
		stop()
		if len(at) != 6 {
			t.Fatalf("%d attempts, want 6", len(at))
		}
		for i := range 5 {
			top := min(4*time.Second<<i, 20*time.Second)
			if d := at[i+1].Sub(at[i]); d > top+2*time.Second {
				t.Errorf("pause %d was %v, want at most %v", i, d, top)
			}
		}
		rows(t, s, `select state, attempt, err, message from job`, "dead|6|6번째: 국물이 식었다|-")
		rows(t, s, `select attempt from job_error where err = attempt || '번째: 국물이 식었다' order by id`, "1", "2", "3", "4", "5", "6")
		rows(t, s, `select id from goqite`)
	})
}

func TestNeverDies(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			if j.Attempt < 20 {
				return nil, errSoup
			}
			return nil, nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Backoff: queue.Backoff{Base: time.Millisecond, Cap: 100 * time.Millisecond}})
		settle(10 * time.Second)
		rows(t, s, `select state from job`)
		rows(t, s, `select count(*) from job_error`, "20")
	})
}

func TestThrottledIsNoAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var calls int
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			if calls++; calls <= 2 {
				return nil, kind(adapters.Throttled, 90*time.Second)
			}
			return note("시도", fmt.Sprint(j.Attempt)), nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		work(t, s, h, queue.Lane{Name: "인스타", Attempts: 1})
		settle(2 * 89 * time.Second)
		meta(t, s, "시도", "")
		settle(time.Minute)
		meta(t, s, "시도", "0")
	})
}

// TestNeedsHuman checks that a lane stops until the next start while the others go on.
func TestNeedsHuman(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var sick atomic.Bool
		sick.Store(true)
		var calls atomic.Int32
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			if j.Lane == "인스타" && sick.Load() {
				calls.Add(1)
				return nil, kind(adapters.NeedsHuman, 0)
			}
			return note(j.Key, "됐다"), nil
		}
		lanes := []queue.Lane{{Name: "인스타", Attempts: 2}, {Name: "네이버"}}
		add(t, s, pageJob("ig:을지로골목:posts"))
		w, stop := work(t, s, h, lanes...)
		settle(time.Minute)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls in a lane that waits for a person", n)
		}
		add(t, s, queue.Job{Pipeline: "matzip", Lane: "네이버", Kind: queue.KindMatch, Key: "match:1"})
		settle(time.Minute)
		meta(t, s, "match:1", "됐다")
		if want := "인스타: 국물이 식었다"; w.Stopped("인스타") != want || w.Stopped("네이버") != "" || len(w.StoppedLanes()) != 1 {
			t.Errorf("stopped: %v", w.StoppedLanes())
		}
		stops, err := s.Stops(t.Context())
		check(t, err)
		if len(stops) != 1 || stops[0].Lane != "인스타" || stops[0].Reason != "인스타: 국물이 식었다" {
			t.Errorf("stops: %+v", stops)
		}
		rows(t, s, `select attempt, state from job`, "0|live")
		stop()

		check(t, s.Close())
		s = open(t, s.Where(), queue.Owner)
		if stops, err := s.Stops(t.Context()); err != nil || len(stops) != 0 {
			t.Errorf("after a new start: %v, %v", stops, err)
		}
		sick.Store(false)
		work(t, s, h, lanes...)
		settle(5 * time.Second)
		meta(t, s, "ig:을지로골목:posts", "됐다")
	})
}

func TestPanicIsContained(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			switch j.Key {
			case "처리":
				panic("국자를 놓쳤다")
			case "기록":
				return func(tx *queue.Tx) error {
					if err := tx.SetMeta("기록", "반쯤"); err != nil {
						return err
					}
					panic("국자를 놓쳤다")
				}, nil
			}
			return note(j.Key, "됐다"), nil
		}
		add(t, s, pageJob("처리"), pageJob("기록"), pageJob("다음"))
		work(t, s, h, queue.Lane{Name: "인스타", Attempts: 1})
		settle(time.Second)
		meta(t, s, "다음", "됐다")
		meta(t, s, "기록", "")
		rows(t, s, `select key, state from job order by key`, "기록|dead", "처리|dead")
		for _, key := range []string{"처리", "기록"} {
			got, err := s.Rows(t.Context(), `select err from job_error where key = ?`, key)
			check(t, err)
			if len(got) != 1 || !strings.HasPrefix(got[0], "panic: 국자를 놓쳤다\n") || !strings.Contains(got[0], "work_test.go") {
				t.Errorf("%s: the stack is not in the story: %v", key, got)
			}
		}
	})
}

func TestNoHandler(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		j := pageJob("deliver")
		j.Kind = queue.KindDeliver
		add(t, s, j)
		work(t, s, nil, queue.Lane{Name: "인스타", Attempts: 1})
		settle(time.Second)
		rows(t, s, `select state, err from job`, `dead|no handler for jobs of kind "deliver"`)
	})
}

// TestShutdown checks that what ends within the grace is written, and the rest is put back unpunished.
func TestShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
			if j.Key == "빠른" {
				time.Sleep(500 * time.Millisecond)
				return note(j.Key, "됐다"), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		add(t, s, pageJob("빠른"), pageJob("느린"), pageJob("기다리는"))
		_, stop := work(t, s, h, queue.Lane{Name: "인스타", Workers: 2, Deadline: time.Minute, Attempts: 1})
		settle(10 * time.Millisecond)
		rows(t, s, `select count(*) from job where taken_at is not null`, "2")
		start := time.Now()
		stop()
		if d := time.Since(start); d > 1100*time.Millisecond {
			t.Errorf("the stop took %v, the grace is a second", d)
		}
		meta(t, s, "빠른", "됐다")
		rows(t, s, `select key, attempt, state, taken_at, lost from job order by id`, "느린|0|live|-|0", "기다리는|0|live|-|0")
		rows(t, s, `select err from job_error`)

		check(t, s.Close())
		s = open(t, s.Where(), queue.Owner)
		if s.Unclean() {
			t.Error("a stop in order counts as unclean")
		}
		work(t, s, func(_ context.Context, j queue.Job) (queue.Commit, error) { return note(j.Key, "됐다"), nil }, queue.Lane{Name: "인스타"})
		settle(100 * time.Millisecond)
		meta(t, s, "느린", "됐다")
	})
}

func TestDelayedJobsRun(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		start := time.Now()
		var at []time.Duration
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
			at = append(at, time.Since(start).Round(time.Second))
			return func(tx *queue.Tx) error {
				if len(at) == 3 {
					tx.Again(90 * time.Second)
				}
				return nil
			}, nil
		}
		for _, d := range []time.Duration{5 * time.Second, 70 * time.Second, 2 * time.Minute} {
			j := pageJob("")
			j.At = start.Add(d)
			add(t, s, j)
		}
		work(t, s, h, queue.Lane{Name: "인스타"})
		settle(4 * time.Minute)
		same(t, "moments", at, []time.Duration{5 * time.Second, 70 * time.Second, 2 * time.Minute, 2*time.Minute + 90*time.Second})
	})
}

// TestGuestsJobs checks that the owner finds within a second what another process added.
func TestGuestsJobs(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		h := func(_ context.Context, j queue.Job) (queue.Commit, error) { return note(j.Key, "됐다"), nil }
		work(t, s, h, queue.Lane{Name: "인스타"})
		guest := open(t, s.Where(), queue.Guest)
		settle(10 * time.Second)
		add(t, guest, pageJob("손님"))
		settle(1100 * time.Millisecond)
		meta(t, s, "손님", "됐다")
	})
}

func TestWorkersBound(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		var now, most atomic.Int32
		h := func(context.Context, queue.Job) (queue.Commit, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			return nil, nil
		}
		add(t, s, slices.Repeat([]queue.Job{pageJob("")}, 12)...)
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 4})
		settle(10 * time.Second)
		if most.Load() != 4 {
			t.Errorf("%d steps at once, want 4", most.Load())
		}
		rows(t, s, `select id from job`)
	})
}

// TestWorkerEndsWithItsFile checks that a full disk ends the work with one sentence and loses nothing, and that other
// errors of the file do not end it.
func TestWorkerEndsWithItsFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("ig:을지로골목:posts"))
	h := func(context.Context, queue.Job) (queue.Commit, error) {
		return func(tx *queue.Tx) error { return tx.SetMeta("긴 글", strings.Repeat("국", 1<<20)) }, nil
	}
	w := &queue.Worker{
		Store: s, Lanes: []queue.Lane{{Name: "인스타", Deadline: time.Second}}, Log: slog.New(slog.DiscardHandler),
		Handlers: map[queue.Kind]queue.Handler{queue.KindPage: h},
	}
	check(t, s.Exec(t.Context(), `create trigger 불 before update of run on job begin select raise(abort, '불'); end`))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Errorf("an error that is not the file's ended the work: %v", err)
	}
	check(t, s.Exec(t.Context(), `drop trigger 불`))

	check(t, s.Exec(t.Context(), `pragma max_page_count = 100`))
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := w.Run(ctx)
	if !queue.Fatal(err) {
		t.Fatalf("got %v", err)
	}
	sentence(t, err.Error(), "the disk is full", "nothing is lost")
	check(t, s.Close())
	s = open(t, s.Where(), queue.Owner)
	check(t, s.Check(t.Context()))
	if j := take(t, s); j.Key != "ig:을지로골목:posts" || j.Attempt != 0 {
		t.Errorf("took %+v", j)
	}
}
