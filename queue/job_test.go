package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/queue"
)

var lane = queue.Lane{Name: "인스타", Workers: 1, Deadline: 10 * time.Second, Attempts: 3, Backoff: queue.Backoff{Base: time.Second, Cap: time.Minute}}

func TestAdd(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	j := pageJob("ig:을지로골목:posts")
	add(t, s, j, pageJob("ig:을지로골목:reels"), pageJob(""), pageJob(""))
	within(t, s, func(tx *queue.Tx) error {
		added, err := tx.Add(j)
		if added {
			t.Error("a second live job holds the key")
		}
		return err
	})

	// In flight it still holds the key; dead it does not.
	got := take(t, s)
	within(t, s, func(tx *queue.Tx) error {
		if added, err := tx.Add(j); added || err != nil {
			t.Errorf("beside one in flight: added %v, %v", added, err)
		}
		return nil
	})
	check(t, s.PutBack(t.Context(), lane, got, kind(adapters.Permanent, 0)))
	add(t, s, j)
	rows(t, s, `select state from job where key = 'ig:을지로골목:posts' order by id`, "dead", "live")

	if err := s.Tx(t.Context(), func(tx *queue.Tx) error {
		_, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: "점심"})
		return err
	}); err == nil {
		t.Error("a kind that nobody knows was added")
	}
}

func TestAddRolledBack(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	err := s.Tx(t.Context(), func(tx *queue.Tx) error {
		_, err := tx.Add(pageJob("ig:성수:posts"))
		return errors.Join(err, errSoup)
	})
	if !errors.Is(err, errSoup) {
		t.Fatalf("got %v", err)
	}
	rows(t, s, `select id from job`)
	rows(t, s, `select id from goqite`)
	nothing(t, s)
}

func TestFinish(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("ig:성수:posts"))
	j := take(t, s)
	rows(t, s, `select state from job where taken_at is not null`, "live")
	// The next page has the same key: it is free within the commit.
	check(t, s.Finish(t.Context(), j, func(tx *queue.Tx) error {
		added, err := tx.Add(pageJob("ig:성수:posts"))
		if !added {
			t.Error("the next page was refused")
		}
		return errors.Join(err, tx.SetMeta("성수", "1"))
	}))
	meta(t, s, "성수", "1")
	next := take(t, s)
	if next.Lost() != 1 || next.Attempt != 0 {
		t.Errorf("the next page has the story of the one before: %+v", next)
	}
	if err := s.Finish(t.Context(), j, note("성수", "2")); !errors.Is(err, queue.ErrStale) {
		t.Errorf("ended twice: %v, want ErrStale", err)
	}
	check(t, s.Finish(t.Context(), next, nil))
	meta(t, s, "성수", "1")
	rows(t, s, `select id from job`)
	rows(t, s, `select id from goqite`)
}

func TestCommitRolledBack(t *testing.T) {
	t.Parallel()
	commits := map[string]queue.Commit{
		"error": func(tx *queue.Tx) error {
			_, err := tx.Add(pageJob("ig:성수:posts"))
			return errors.Join(err, tx.SetMeta("성수", "1"), errSoup)
		},
		"panic": func(tx *queue.Tx) error {
			if _, err := tx.Add(pageJob("ig:성수:posts")); err != nil {
				return err
			}
			panic(errSoup)
		},
	}
	for name, c := range commits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			add(t, s, pageJob("ig:성수:posts"))
			j := take(t, s)
			if err := s.Finish(t.Context(), j, c); err == nil {
				t.Error("no error")
			}
			meta(t, s, "성수", "")
			rows(t, s, `select id, key from job`, fmt.Sprintf("%d|ig:성수:posts", j.ID))
			rows(t, s, `select count(*) from goqite`, "1")
			check(t, s.PutBack(t.Context(), lane, j, errSoup))
			rows(t, s, `select attempt, taken_at from job`, "1|-")
		})
	}
}

func TestAgain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	j := pageJob("batch:1")
	j.Args, j.Priority = []byte(`{"묶음":1}`), 7
	add(t, s, j)
	first := take(t, s)
	check(t, s.PutBack(t.Context(), lane, first, errSoup))
	hurry(t, s, "batch:1")
	second := take(t, s)
	if second.Attempt != 1 {
		t.Errorf("attempt %d before, want 1", second.Attempt)
	}
	check(t, s.Finish(t.Context(), second, func(tx *queue.Tx) error {
		tx.Again(-time.Second)
		return tx.SetMeta("묶음", "아직")
	}))
	meta(t, s, "묶음", "아직")
	third := take(t, s)
	if third.ID != first.ID || third.Attempt != 0 || third.Priority != 7 || third.Lost() != 1 || string(third.Args) != `{"묶음":1}` || third.Key != "batch:1" {
		t.Errorf("came back as %+v", third)
	}
	if err := s.Finish(t.Context(), second, nil); !errors.Is(err, queue.ErrStale) {
		t.Errorf("the hand-out before ended it: %v, want ErrStale", err)
	}
	check(t, s.Finish(t.Context(), third, func(tx *queue.Tx) error { tx.Again(time.Hour); return nil }))
	nothing(t, s)
	rows(t, s, `select message from job`, "-")
	rows(t, s, `select id from goqite`)
	rows(t, s, `select err from job_error`, errSoup.Error())
}

func hurry(t *testing.T, s *queue.Store, key string) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error { return tx.Hurry(key) })
}

func TestHurry(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"due soon": 30 * time.Second, "due later": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			j := pageJob("batch:1")
			j.At = time.Now().Add(delay)
			add(t, s, j)
			nothing(t, s)
			hurry(t, s, "batch:2")
			nothing(t, s)
			hurry(t, s, "batch:1")
			got := take(t, s)
			rows(t, s, `select count(*) from goqite`, "1")

			// In flight it comes back at once, once.
			hurry(t, s, "batch:1")
			again := func(tx *queue.Tx) error { tx.Again(delay); return nil }
			check(t, s.Finish(t.Context(), got, again))
			got = take(t, s)
			check(t, s.Finish(t.Context(), got, again))
			nothing(t, s)
		})
	}
}

func TestHurryInFlightThatEnds(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("batch:1"))
	j := take(t, s)
	hurry(t, s, "batch:1")
	check(t, s.Finish(t.Context(), j, nil))
	rows(t, s, `select id from job`)
	nothing(t, s)
}

// TestDelay checks that what is due later costs goqite nothing until its time is near.
func TestDelay(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	now := time.Now()
	s.Now = func() time.Time { return now }
	for i, d := range []time.Duration{0, time.Second, 2 * time.Minute, 10 * time.Minute} {
		j := pageJob(fmt.Sprint(i))
		j.At = now.Add(d)
		add(t, s, j)
	}
	const waits = `select key from job where message is null order by key`
	rows(t, s, waits, "2", "3")
	rows(t, s, `select count(*) from goqite`, "2")
	check(t, s.Promote(t.Context()))
	rows(t, s, waits, "2", "3")
	// hidden checks that a job is hidden for a second from a moment on, and lets it be hidden for ever: how long the rest takes is
	// nothing to it.
	hidden := func(key string, from time.Time) {
		t.Helper()
		got, err := s.Rows(t.Context(), `select g.timeout from goqite g join job j on j.message = g.id where j.key = ?`, key)
		check(t, err)
		until, err := time.Parse(time.RFC3339, got[0])
		check(t, err)
		// Instants are kept to the millisecond.
		if first, last := from.Add(time.Second-time.Millisecond).Truncate(time.Millisecond), time.Now().Add(time.Second); until.Before(first) || until.After(last) {
			t.Errorf("%s is hidden until %v, want %v to %v", key, until, first, last)
		}
		check(t, s.Exec(t.Context(), `update goqite set timeout = '2126-01-01T00:00:00.000Z' where id = (select message from job where key = ?)`, key))
	}
	hidden("1", now)
	now = now.Add(119 * time.Second)
	promoted := time.Now()
	check(t, s.Promote(t.Context()))
	hidden("2", promoted)
	rows(t, s, waits, "3")
	rows(t, s, `select count(*) from goqite`, "3")
	check(t, s.Promote(t.Context()))
	rows(t, s, `select count(*) from goqite`, "3")
	now = now.Add(10 * time.Minute)
	check(t, s.Promote(t.Context()))
	if j := take(t, s); j.Key != "0" {
		t.Errorf("took %q first", j.Key)
	}
	if j := take(t, s); j.Key != "3" {
		t.Errorf("took %q, want the one that is overdue", j.Key)
	}
	nothing(t, s)
}

func TestPriority(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, p := range []int{3, 50, 0, 50, -1, 700} {
		j := pageJob("")
		j.Priority = p
		add(t, s, j)
	}
	other := pageJob("")
	other.Lane, other.Priority = "네이버", 9000
	add(t, s, other)
	var got []int
	for range 6 {
		got = append(got, take(t, s).Priority)
	}
	nothing(t, s)
	same(t, "order", got, []int{700, 50, 50, 3, 0, -1})
	rows(t, s, `select id from job where priority = 50 order by run, id`, "2", "4")
}

func TestPutBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		cause    error
		attempt  int
		state    string
		min, max time.Duration
		story    int
	}{
		{"temporary", errSoup, 1, "live", 0, time.Second, 1},
		{"temporary with a time", kind(adapters.Temporary, 30*time.Second), 1, "live", 30 * time.Second, 30 * time.Second, 1},
		{"throttled", kind(adapters.Throttled, 40*time.Second), 0, "live", 40 * time.Second, 40 * time.Second, 1},
		{"throttled without a time", kind(adapters.Throttled, 0), 0, "live", time.Second, time.Second, 1},
		{"needs a person", kind(adapters.NeedsHuman, 0), 0, "live", time.Second, time.Second, 1},
		{"unauthorized", kind(adapters.Unauthorized, 2*time.Hour), 0, "live", 2 * time.Hour, 2 * time.Hour, 1},
		{"permanent", kind(adapters.Permanent, 0), 1, "dead", 0, 0, 1},
		{"the process stops", fmt.Errorf("%w: %w", queue.ErrShutdown, errSoup), 0, "live", 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			now := time.Now().Truncate(time.Millisecond)
			s.Now = func() time.Time { return now }
			add(t, s, pageJob("ig:성수:posts"))
			j := take(t, s)
			check(t, s.PutBack(t.Context(), lane, j, tt.cause))
			row, story, err := s.Job(t.Context(), j.ID)
			check(t, err)
			if row.Attempt != tt.attempt || row.Err != tt.cause.Error() || len(story) != tt.story {
				t.Errorf("got %+v, story %v", row, story)
			}
			if d := row.Due.Sub(now); d < tt.min || d > tt.max {
				t.Errorf("due in %v, want %v to %v", d, tt.min, tt.max)
			}
			rows(t, s, `select state, taken_at, lost from job`, tt.state+"|-|0")
		})
	}
}

// TestDead checks that a job dies of its last attempt, with everything that went wrong.
func TestDead(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var told []string
	s.Buried = func(tx *queue.Tx, j queue.Job, cause error) error {
		told = append(told, fmt.Sprintf("%s: %v", j.Key, cause))
		return tx.SetMeta("부고", j.Key)
	}
	add(t, s, pageJob("ig:성수:posts"))
	var id int64
	for i := range 3 {
		if i > 0 {
			hurry(t, s, "ig:성수:posts")
		}
		j := take(t, s)
		id = j.ID
		check(t, s.PutBack(t.Context(), lane, j, fmt.Errorf("%d번째: %w", i+1, errSoup)))
	}
	nothing(t, s)
	row, story, err := s.Job(t.Context(), id)
	check(t, err)
	if row.State != "dead" || row.Attempt != 3 || row.Err != "3번째: "+errSoup.Error() {
		t.Errorf("got %+v", row)
	}
	var got []string
	for _, e := range story {
		got = append(got, fmt.Sprintf("%d %s", e.Attempt, e.Err))
	}
	same(t, "story", got, []string{"1 1번째: 국물이 식었다", "2 2번째: 국물이 식었다", "3 3번째: 국물이 식었다"})
	same(t, "told", told, []string{"ig:성수:posts: 3번째: 국물이 식었다"})
	meta(t, s, "부고", "ig:성수:posts")
	rows(t, s, `select id from goqite`)

	dead, err := s.DeadOnes(t.Context(), 10)
	check(t, err)
	if len(dead) != 1 || dead[0].What != "job" || dead[0].Reason != row.Err {
		t.Errorf("dead: %+v", dead)
	}

	within(t, s, func(tx *queue.Tx) error { return tx.Revive(id) })
	j := take(t, s)
	if j.ID != id || j.Attempt != 0 {
		t.Errorf("revived as %+v", j)
	}
	check(t, s.Finish(t.Context(), j, nil))
	if row, story, err = s.Job(t.Context(), id); err != nil || row.State != "done" || len(story) != 3 {
		t.Errorf("the story of a job that is over: %+v, %v, %v", row, story, err)
	}
}

func TestReviveAndDrop(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("ig:성수:posts"), pageJob("ig:망원:posts"))
	dead := take(t, s)
	check(t, s.PutBack(t.Context(), lane, dead, kind(adapters.Permanent, 0)))
	running := take(t, s)
	later := pageJob("ig:성수:posts")
	later.At = time.Now().Add(time.Hour)
	add(t, s, later)
	const waiting = 3

	says := func(want string, f func(tx *queue.Tx) error) {
		t.Helper()
		err := s.Tx(t.Context(), f)
		if err == nil {
			t.Errorf("no error, want %q", want)
			return
		}
		sentence(t, err.Error(), want)
	}
	says("there is no job 99; `sumbi jobs list` shows them", func(tx *queue.Tx) error { return tx.Revive(99) })
	says("there is no job 99 that waits", func(tx *queue.Tx) error { return tx.Drop(99) })
	says(fmt.Sprintf("job %d is running", running.ID), func(tx *queue.Tx) error { return tx.Revive(running.ID) })
	says(fmt.Sprintf("there is no job %d that waits", running.ID), func(tx *queue.Tx) error { return tx.Drop(running.ID) })
	says(fmt.Sprintf("job %d cannot live again: job %d already does the same work", dead.ID, waiting), func(tx *queue.Tx) error { return tx.Revive(dead.ID) })
	if _, _, err := s.Job(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("job 99: %v", err)
	}

	within(t, s, func(tx *queue.Tx) error { return tx.Revive(waiting) })
	rows(t, s, `select count(*) from goqite`, "2")
	within(t, s, func(tx *queue.Tx) error { return tx.Drop(waiting) })
	rows(t, s, `select count(*) from goqite`, "1")
	within(t, s, func(tx *queue.Tx) error { return tx.Revive(dead.ID) })
	within(t, s, func(tx *queue.Tx) error { return tx.Drop(dead.ID) })
	rows(t, s, `select id from job`, fmt.Sprint(running.ID))
	nothing(t, s)
	check(t, s.Finish(t.Context(), running, nil))
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		b       queue.Backoff
		attempt int
		top     time.Duration
	}{
		{"zero value", queue.Backoff{}, 0, time.Second},
		{"doubles", queue.Backoff{Base: time.Second, Cap: time.Hour}, 3, 8 * time.Second},
		{"cap", queue.Backoff{Base: time.Second, Cap: 5 * time.Second}, 3, 5 * time.Second},
		{"default cap", queue.Backoff{Base: time.Second}, 200, 5 * time.Minute},
		{"long base", queue.Backoff{Base: time.Hour, Cap: 24 * time.Hour}, 29, 24 * time.Hour},
		{"base above cap", queue.Backoff{Base: time.Hour, Cap: time.Minute}, 0, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := map[time.Duration]bool{}
			for range 200 {
				d := tt.b.Delay(tt.attempt)
				if d < 0 || d > tt.top {
					t.Fatalf("%v is not within %v", d, tt.top)
				}
				seen[d.Round(tt.top/4)] = true
			}
			if len(seen) < 4 {
				t.Errorf("no full jitter: %v", seen)
			}
		})
	}
}

func TestJobsList(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	later := pageJob("c")
	later.At = time.Now().Add(time.Hour)
	add(t, s, pageJob("a"), pageJob("b"), later, pageJob("d"))
	take(t, s)
	check(t, s.PutBack(t.Context(), lane, take(t, s), kind(adapters.Permanent, 0)))
	keys := func(state, kind string) (got []string) {
		js, err := s.Jobs(t.Context(), state, kind, 10)
		check(t, err)
		for _, j := range js {
			got = append(got, j.Key+" "+j.State)
		}
		return got
	}
	same(t, "all", keys("", ""), []string{"b dead", "a running", "c waiting", "d ready"})
	same(t, "ready pages", keys("ready", "page"), []string{"d ready"})
	same(t, "matches", keys("", "match"), []string(nil))
	counts, err := s.Counts(t.Context())
	check(t, err)
	if d := cmp.Diff([]queue.Count{{"인스타", "page", "dead", 1}, {"인스타", "page", "ready", 1}, {"인스타", "page", "running", 1}, {"인스타", "page", "waiting", 1}}, counts); d != "" {
		t.Error(d)
	}
	lanes, err := s.LiveLanes(t.Context(), "matzip")
	check(t, err)
	same(t, "live", lanes, []queue.LiveLane{{Lane: "인스타", Running: true}})
}

// TestLateEndOfAJobThatWasFollowed checks that a job which has been ended cannot end the one that took its row.
func TestLateEndOfAJobThatWasFollowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]queue.Commit{
		"followed": func(tx *queue.Tx) error { _, err := tx.Add(pageJob("ig:성수:posts")); return err },
		"again":    func(tx *queue.Tx) error { tx.Again(0); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			add(t, s, pageJob("ig:성수:posts"))
			j := take(t, s)
			check(t, s.Finish(t.Context(), j, c))
			if err := s.Finish(t.Context(), j, note("두 번", "1")); !errors.Is(err, queue.ErrStale) {
				t.Errorf("got %v, want ErrStale", err)
			}
			rows(t, s, `select count(*) from job`, "1")
			rows(t, s, `select key from meta where key not in ('running', 'schema', 'readable')`)
		})
	}
}

// TestManyDelayedJobs checks that a start makes all of them due, however many there are.
func TestManyDelayedJobs(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	check(t, s.Exec(t.Context(), `with recursive n (i) as (select 1 union all select i + 1 from n where i < 12000)
		insert into job (pipeline, lane, kind, key, due, created_at) select 'matzip', 'naver', 'match', '짝' || i, '2999-01-01T00:00:00.000Z', '2025-03-01T00:00:00.000Z' from n`))
	const waits = `select count(*) from job where due > '2990'`
	s = crashed(t, s)
	rows(t, s, waits, "2000")
	work(t, s, func(context.Context, queue.Job) (queue.Commit, error) { return nil, nil })
	for range 200 {
		changed := s.Changed() // before looking, so that no change is missed
		if got, err := s.Rows(t.Context(), waits); err == nil && got[0] == "0" {
			return
		}
		<-changed
	}
	rows(t, s, waits, "0")
}

// TestStoriesOfRecordLists keeps what went wrong for a month, and for a day where some fail in every turn.
func TestStoriesOfRecordLists(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(40) }
	for i, x := range []struct {
		kind, key string
		at        time.Time
	}{
		{"page", "page:velog:두부:stats/글", day(39).Add(time.Hour)},
		{"page", "page:velog:두부:stats/옛글", day(38)},
		{"page", "page:velog:두부:posts", day(38)},
		{"page", "page:시장/하나:두부:orders", day(38)},
		{"deliver", "deliver:mongo/velog", day(38)},
		{"page", "page:velog:두부:posts", day(5)},
	} {
		check(t, s.Exec(t.Context(), fmt.Sprintf(`insert into job_error (job, kind, key, attempt, at, err) values (%d, '%s', '%s', 1, '%s', '실패')`, i+1, x.kind, x.key, x.at.Format("2006-01-02T15:04:05.000Z"))))
	}
	check(t, s.Clean(t.Context()))
	rows(t, s, `select job from job_error order by job`, "1", "3", "4", "5")
}
