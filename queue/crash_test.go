package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/queue"
)

// TestUncleanStop checks that what was in flight when a process was killed is ready as soon as the next one starts.
func TestUncleanStop(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for i := range 5 {
		add(t, s, pageJob(fmt.Sprint(i)))
	}
	later := pageJob("나중")
	later.At = time.Now().Add(time.Hour)
	add(t, s, later)
	s.Hold("인스타", time.Hour)
	for range 3 {
		take(t, s)
	}
	within(t, s, note2("쓴 것", "남는다"))

	next := crashed(t, s)
	if !next.Unclean() {
		t.Error("the stop counts as orderly")
	}
	meta(t, next, "쓴 것", "남는다")
	rows(t, next, `select count(*) from job where taken_at is not null`, "0")
	var got []string
	for range 5 {
		j := take(t, next)
		got = append(got, fmt.Sprintf("%s %d %d", j.Key, j.Attempt, j.Lost()))
	}
	same(t, "ready", got, []string{"0 0 2", "1 0 2", "2 0 2", "3 0 1", "4 0 1"})
	nothing(t, next)
	check(t, next.Check(t.Context()))
}

// TestUncleanStopOfAHeldFile checks the same with the same file.
func TestUncleanStopOfAHeldFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("ig:을지로골목:posts"))
	j := take(t, s)
	check(t, s.Close())
	s = open(t, s.Where(), queue.Owner)
	if !s.Unclean() {
		t.Error("the stop counts as orderly")
	}
	again := take(t, s)
	if err := s.Finish(t.Context(), j, note("쓴이", "앞 사람")); !errors.Is(err, queue.ErrStale) {
		t.Errorf("the hand-out of the process before: %v, want ErrStale", err)
	}
	check(t, s.Finish(t.Context(), again, note("쓴이", "뒷사람")))
	meta(t, s, "쓴이", "뒷사람")
}

// TestRollbackOfACrash checks that a transaction that was under way at the crash is not there.
func TestRollbackOfACrash(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("ig:을지로골목:posts"))
	j := take(t, s)
	var next *queue.Store
	check(t, s.Finish(t.Context(), j, func(tx *queue.Tx) error {
		if err := tx.SetMeta("반쯤", "예"); err != nil {
			return err
		}
		if server != nil { // to make the copy takes longer than a commit may be idle
			if err := tx.Exec(`set local idle_in_transaction_session_timeout = 0`); err != nil {
				return err
			}
		}
		next = crashed(t, s)
		return nil
	}))
	meta(t, s, "반쯤", "예")
	meta(t, next, "반쯤", "")
	if again := take(t, next); again.ID != j.ID {
		t.Errorf("job %d came back, want %d", again.ID, j.ID)
	}
}

// killer is a job that was handed out so often without an end that it is suspected of killing its process.
func killer(t *testing.T, s *queue.Store, key string) queue.Job {
	t.Helper()
	add(t, s, pageJob(key))
	check(t, s.Exec(context.Background(), `update job set lost = ? where key = ?`, queue.LostLimit, key))
	rows(t, s, `select lost from job where key = '`+key+`'`, fmt.Sprint(queue.LostLimit))
	return pageJob(key)
}

// TestManyLostHandOuts checks the count that the suspicion rests on.
func TestManyLostHandOuts(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("독한 맛"))
	for i := range 3 {
		if j := take(t, s); j.Lost() != i+1 {
			t.Errorf("hand-out %d counts as %d", i+1, j.Lost())
		}
		s = again(t, s)
	}
	j := take(t, s)
	check(t, s.PutBack(t.Context(), lane, j, errSoup))
	rows(t, s, `select lost, state from job`, "0|live")
}

// TestRunsAlone checks that a suspect runs while nothing else does, in no lane, and that it is cleared when it ends.
func TestRunsAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	killer(t, s, "독한 맛")
	entered := map[string]chan struct{}{"독한 맛": make(chan struct{}), "순한 맛": make(chan struct{}), "뒤따르는 맛": make(chan struct{})}
	leave := map[string]chan struct{}{"독한 맛": make(chan struct{}), "순한 맛": make(chan struct{}), "뒤따르는 맛": make(chan struct{})}
	var inside, most atomic.Int32
	h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		close(entered[j.Key])
		<-leave[j.Key]
		inside.Add(-1)
		return note(j.Key, "끝"), nil
	}
	mild := pageJob("순한 맛")
	mild.Lane = "네이버"
	add(t, s, mild)
	lanes := []queue.Lane{{Name: "네이버", Workers: 3, Deadline: time.Minute}}
	_, stopMild := work(t, s, h, lanes...)
	<-entered["순한 맛"]
	// The suspect's lane starts while the other step is in flight.
	w, stop := work(t, s, h, queue.Lane{Name: "인스타", Workers: 3, Deadline: time.Minute})
	for w.Running() == 0 {
		time.Sleep(time.Millisecond)
	}
	rows(t, s, `select key from job where alone = 1`)
	close(leave["순한 맛"])
	<-entered["독한 맛"]
	rows(t, s, `select key, lost from job where alone = 1`, fmt.Sprintf("독한 맛|%d", queue.LostLimit+1))
	follow := pageJob("뒤따르는 맛")
	follow.Lane = "네이버"
	add(t, s, follow)
	for taken := false; !taken; time.Sleep(time.Millisecond) {
		got, err := s.Rows(t.Context(), `select key from job where key = '뒤따르는 맛' and taken_at is not null`)
		check(t, err)
		taken = len(got) == 1
	}
	select {
	case <-entered["뒤따르는 맛"]:
		t.Error("another step runs beside the suspect")
	default:
	}
	close(leave["독한 맛"])
	<-entered["뒤따르는 맛"]
	close(leave["뒤따르는 맛"])
	stop()
	stopMild()
	if most.Load() != 1 {
		t.Errorf("%d steps at once", most.Load())
	}
	for key := range entered {
		meta(t, s, key, "끝")
	}
	rows(t, s, `select key from job`)
}

// TestBuriedAlone checks that a suspect is dead only if the process ended again and again while it ran alone.
func TestBuriedAlone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		alone, died int
		want        string
	}{
		{"in flight beside others", 0, 4, "live"},
		{"alone", 1, 0, "live"},
		{"alone for the fifth time", 1, 4, "dead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			killer(t, s, "독한 맛")
			add(t, s, pageJob("순한 맛"))
			take(t, s)
			take(t, s)
			check(t, s.Exec(t.Context(), `update job set alone = ?, died = ? where key = '독한 맛'`, tt.alone, tt.died))

			s = crashed(t, s)
			rows(t, s, `select key, state, alone, taken_at from job order by id`, "독한 맛|"+tt.want+"|0|-", "순한 맛|live|0|-")
			rows(t, s, `select upstream, n from usage where what = 'request'`, "인스타|2")
			var told []string
			s.Buried = func(tx *queue.Tx, j queue.Job, cause error) error {
				told = append(told, j.Key)
				return tx.SetMeta("부고", cause.Error())
			}
			_, stop := work(t, s, func(_ context.Context, j queue.Job) (queue.Commit, error) { return note(j.Key, "됐다"), nil }, queue.Lane{Name: "인스타"})
			for got := ""; got == ""; time.Sleep(time.Millisecond) {
				var err error
				got, err = s.Meta(t.Context(), "순한 맛")
				check(t, err)
			}
			stop()
			if tt.want == "live" {
				if told != nil {
					t.Errorf("told of %v", told)
				}
				return
			}
			same(t, "told", told, []string{"독한 맛"})
			row, story, err := s.Job(t.Context(), 1)
			check(t, err)
			sentence(t, row.Err, "the process ended 21 times while this job ran")
			if len(story) != 1 || story[0].Err != row.Err {
				t.Errorf("story: %+v", story)
			}
			within(t, s, func(tx *queue.Tx) error { return tx.Revive(1) })
		})
	}
}

// TestAloneMarkIsWritten checks that the file knows of a suspect that runs alone when the process ends.
func TestAloneMarkIsWritten(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	killer(t, s, "독한 맛")
	entered, leave := make(chan struct{}), make(chan struct{})
	h := func(context.Context, queue.Job) (queue.Commit, error) {
		close(entered)
		<-leave
		return nil, nil
	}
	_, stop := work(t, s, h, queue.Lane{Name: "인스타", Deadline: time.Minute})
	<-entered
	next := crashed(t, s)
	close(leave)
	stop()
	rows(t, next, `select key, state, died from job`, "독한 맛|live|1")
	rows(t, s, `select key from job`)
}

// TestKillsCloserThanAStep ends the process again and again before any step can end. Whoever does that, the job is not to blame:
// it rests while the others go on, and no start wakes it before its time.
func TestKillsCloserThanAStep(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	killer(t, s, "순한 맛")
	take(t, s)
	check(t, s.Exec(t.Context(), `update job set alone = 1`))
	s = again(t, s)
	rows(t, s, `select state, died, alone, message is null from job where due > created_at`, "live|1|0|1")
	check(t, s.Exec(t.Context(), `update job set due = '2126-01-01T00:00:00.000Z'`))
	for range 3 {
		nothing(t, s)
		check(t, s.Close())
		s = open(t, s.Where(), queue.Owner)
		rows(t, s, `select due from job`, "2126-01-01T00:00:00.000Z")
	}
	check(t, s.Exec(t.Context(), `update job set due = strftime('%Y-%m-%dT%H:%M:%fZ')`))
	_, stop := work(t, s, func(_ context.Context, j queue.Job) (queue.Commit, error) { return note(j.Key, "됐다"), nil }, queue.Lane{Name: "인스타", Deadline: time.Minute})
	for got := ""; got == ""; time.Sleep(time.Millisecond) {
		var err error
		got, err = s.Meta(t.Context(), "순한 맛")
		check(t, err)
	}
	stop()
	rows(t, s, `select key from job`)
}

// TestAloneIsHeld checks that the time a suspect waits for the others is not taken from its hold: it is neither
// handed out a second time nor late.
func TestAloneIsHeld(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	killer(t, s, "독한 맛")
	lane := queue.Lane{Name: "인스타", Workers: 4, Deadline: time.Minute}
	first, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	var left, late time.Time // when the other one goes, and by when the suspect must have ended
	var held []string
	h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
		if j.Key == "순한 맛" {
			close(first)
			<-leave
			left = time.Now()
			return nil, nil
		}
		if calls.Add(1) > 1 {
			return nil, nil
		}
		defer close(done)
		late, _ = ctx.Deadline()
		var err error
		if server != nil {
			held, err = s.Rows(ctx, `select taken_at from job where key = '독한 맛'`)
		} else {
			held, err = s.Rows(ctx, `select g.timeout from goqite g join job j on j.message = g.id where j.key = '독한 맛'`)
		}
		return note(j.Key, "끝"), err
	}
	mild := pageJob("순한 맛")
	mild.Lane = "네이버"
	add(t, s, mild)
	_, stopMild := work(t, s, h, queue.Lane{Name: "네이버", Deadline: time.Minute})
	receive(t, "the other one runs", first)
	_, stop := work(t, s, h, lane)
	await(t, s, `select count(*) from job where key = '독한 맛' and taken_at is not null`, "1")
	time.Sleep(20 * time.Millisecond) // of which nothing may be missing later
	close(leave)
	receive(t, "the suspect runs", done)
	await(t, s, `select key from job`)
	stop()
	stopMild()
	if n := calls.Load(); n != 1 {
		t.Errorf("the suspect ran %d times", n)
	}
	hold := lane.Deadline * 10 / 8
	if server != nil {
		hold = 0 // it begins then
	}
	until, err := time.Parse(time.RFC3339, held[0])
	check(t, err)
	if until.Before(left.Add(hold).Truncate(time.Millisecond)) || late.Before(left.Add(lane.Deadline)) {
		t.Errorf("it is held until %v and late at %v; the other one went at %v", until, late, left)
	}
}
