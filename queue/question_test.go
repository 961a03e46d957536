package queue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/queue"
)

// asked stores n posts with a question each, q0 first, and returns the posts.
func asked(t *testing.T, s *queue.Store, n int) []queue.Stored {
	t.Helper()
	_, ws := begin(t, s, "을지로골목", "posts")
	var all []queue.Stored
	for i := range n {
		st := put(t, s, ws[0], post(fmt.Sprintf("p%d", i), "평양냉면", 1))[0]
		ask(t, s, st.ID, fmt.Sprintf("q%d", i), true, "")
		all = append(all, st)
	}
	return all
}

func ask(t *testing.T, s *queue.Store, record int64, id string, wantFresh bool, wantAnswer string) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		answer, isFresh, err := tx.Ask("matzip", record, id, "본문 "+id)
		if isFresh != wantFresh || string(answer) != wantAnswer {
			t.Errorf("ask %s: %q, fresh %v; want %q, %v", id, answer, isFresh, wantAnswer, wantFresh)
		}
		return err
	})
}

// chosen makes a batch of what waits.
func chosen(t *testing.T, s *queue.Store) (b queue.Batch) {
	t.Helper()
	qs, err := s.WaitingQuestions(t.Context(), "matzip", 100)
	check(t, err)
	within(t, s, func(tx *queue.Tx) (err error) {
		if b, err = tx.NewBatch("matzip", "gpt-5-mini"); err != nil {
			return err
		}
		if err := tx.Choose(&b, qs); err != nil {
			return err
		}
		return tx.SaveBatch(b)
	})
	return b
}

func answered(t *testing.T, s *queue.Store, b queue.Batch, id, body string, want bool) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		ok, err := tx.Answer(b.ID, adapters.Answer{ID: id, Body: json.RawMessage(body)})
		if ok != want {
			t.Errorf("answer to %s: %v, want %v", id, ok, want)
		}
		return err
	})
}

// TestAsk checks that a text is asked once, however many posts share it, and its answer used for all of them.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ps := asked(t, s, 3)
	ask(t, s, ps[1].ID, "q0", false, "")
	rows(t, s, `select key, state from question order by key`, "q0|waiting", "q1|waiting", "q2|waiting")
	b := chosen(t, s)
	ask(t, s, ps[2].ID, "q0", false, "")
	answered(t, s, b, "q0", `{"식당":[]}`, true)
	within(t, s, func(tx *queue.Tx) error {
		st, err := tx.Askers("q0")
		var keys []string
		for _, x := range st {
			keys = append(keys, x.Key+" "+x.Question)
		}
		same(t, "askers", keys, []string{"p0 q0", "p1 q0", "p2 q0"})
		return err
	})
	ask(t, s, ps[0].ID, "q0", false, `{"식당":[]}`)
	rows(t, s, `select body, answer, batch, line from question where key = 'q0'`, `-|{"식당":[]}|1|1`)
	rows(t, s, `select post, state from v_posts`, "p0|done", "p1|done", "p2|done")

	within(t, s, func(tx *queue.Tx) error { return tx.Skip(ps[2].ID) })
	rows(t, s, `select post, state from v_posts where state <> 'done'`, "p2|skipped")
	// What a record was asked comes back with it.
	if st := put(t, s, queue.Walk{ID: 1, Pipeline: "matzip", Target: "을지로골목", Run: 1}, post("p0", "평양냉면", 1))[0]; st.Question != "q0" {
		t.Errorf("question %q", st.Question)
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(5) }
	w, err := s.Waiting(t.Context(), "matzip")
	check(t, err)
	same(t, "nothing", w, queue.Waiting{})
	asked(t, s, 3)
	check(t, s.Exec(t.Context(), `update question set attempt = 2, asked_at = '2025-03-09T00:00:00.000Z' where key = 'q2'`))
	w, err = s.Waiting(t.Context(), "matzip")
	check(t, err)
	same(t, "three", w, queue.Waiting{Fresh: 2, Again: 1, Bytes: int64(3 * len("본문 q0")), Oldest: day(5)})
	w, err = s.Waiting(t.Context(), "다른 일")
	check(t, err)
	same(t, "other pipeline", w, queue.Waiting{})
	qs, err := s.WaitingQuestions(t.Context(), "matzip", 2)
	check(t, err)
	if d := cmp.Diff([]queue.Question{{ID: "q2", Body: "본문 q2", Attempt: 2}, {ID: "q0", Body: "본문 q0"}}, qs); d != "" {
		t.Error(d)
	}
	within(t, s, func(tx *queue.Tx) error {
		yes, err := tx.AnyWaiting("matzip")
		no, err2 := tx.AnyWaiting("다른 일")
		if !yes || no {
			t.Errorf("waiting: %v, %v", yes, no)
		}
		return errors.Join(err, err2)
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	asked(t, s, 3)
	qs, err := s.WaitingQuestions(t.Context(), "matzip", 10)
	check(t, err)
	b := chosen(t, s)
	if b.Lines != 3 {
		t.Errorf("%d lines", b.Lines)
	}
	// What is in a batch is not chosen for another one.
	within(t, s, func(tx *queue.Tx) error {
		other, err := tx.NewBatch("matzip", "gpt-5-mini")
		if err != nil {
			return err
		}
		err = tx.Choose(&other, qs)
		if other.Lines != 0 {
			t.Errorf("%d lines chosen twice", other.Lines)
		}
		return err
	})
	got, err := s.BatchQuestions(t.Context(), b.ID, 1, 10)
	check(t, err)
	same(t, "lines after the first", got, []queue.Question{{ID: "q1", Body: "본문 q1", Line: 2}, {ID: "q2", Body: "본문 q2", Line: 3}})
	rows(t, s, `select count(*) from question where state = 'sent'`, "3")
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	asked(t, s, 2)
	b := chosen(t, s)
	other := queue.Batch{ID: b.ID + 1}
	answered(t, s, other, "q0", `{}`, false)
	answered(t, s, b, "모르는 줄", `{}`, false)
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.Unanswered(b.ID, "q0", "잘린 답"), tx.Unanswered(other.ID, "q1", "남의 것"))
	})
	rows(t, s, `select key, state, err from question order by key`, "q0|sent|잘린 답", "q1|sent|-")
	answered(t, s, b, "q0", `{"식당":["을밀대"]}`, true)
	answered(t, s, b, "q0", `{"식당":["우래옥"]}`, false)
	within(t, s, func(tx *queue.Tx) error { return tx.Unanswered(b.ID, "q0", "늦은 탓") })
	rows(t, s, `select answer, err from question where key = 'q0'`, `{"식당":["을밀대"]}|-`)
}

// TestRequeue checks what becomes of lines without an answer when their batch ends.
func TestRequeue(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	asked(t, s, 4)
	check(t, s.Exec(t.Context(), `update question set attempt = 1 where key = 'q1'`))
	b := chosen(t, s) // q1 is its first line
	answered(t, s, b, "q3", `{}`, true)
	within(t, s, func(tx *queue.Tx) error { return tx.Unanswered(b.ID, "q1", "잘린 답") })
	requeue := func(n int, count bool, wantMoved int) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			moved, err := tx.Requeue(b.ID, n, 2, count, "답이 없다")
			if moved != wantMoved {
				t.Errorf("moved %d, want %d", moved, wantMoved)
			}
			return err
		})
	}
	requeue(2, true, 2)
	requeue(2, false, 1)
	requeue(2, true, 0)
	rows(t, s, `select key, state, attempt, batch, line, err, answered_at is not null from question order by key`,
		"q0|waiting|1|-|-|답이 없다|0", "q1|dead|2|-|-|잘린 답|1", "q2|waiting|0|-|-|답이 없다|0", "q3|answered|0|1|4|-|1")
	answered(t, s, b, "q0", `{}`, false) // too late: it is out of the batch
	rows(t, s, `select what, id, name, attempt, reason from v_dead`, "question|q1|본문 q1|2|잘린 답")
	rows(t, s, `select post, state from v_posts where state = 'dead'`, "p1|dead")
}

func TestDeadQuestions(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ps := asked(t, s, 4)
	b := chosen(t, s)
	within(t, s, func(tx *queue.Tx) error { return tx.KillLine(b.ID, 2, "거절된 글") })
	within(t, s, func(tx *queue.Tx) error { return tx.KillLine(b.ID, 9, "없는 줄") })
	rows(t, s, `select key, err, batch from question where state = 'dead'`, "q1|거절된 글|-")
	ask(t, s, ps[0].ID, "q1", false, "")

	within(t, s, func(tx *queue.Tx) error {
		pl, err := tx.ReviveQuestion("q1")
		if pl != "matzip" {
			t.Errorf("pipeline %q", pl)
		}
		return err
	})
	rows(t, s, `select state, attempt, err, body from question where key = 'q1'`, "waiting|0|-|본문 q1")
	within(t, s, func(tx *queue.Tx) error { return tx.KillQuestion("q0", "보낸 것은 아니다") })
	within(t, s, func(tx *queue.Tx) error { return tx.KillQuestion("q1", "너무 길다") })
	rows(t, s, `select key, err from question where state = 'dead'`, "q1|너무 길다")

	for _, f := range []func(tx *queue.Tx) error{
		func(tx *queue.Tx) error { _, err := tx.ReviveQuestion("q2"); return err },
		func(tx *queue.Tx) error { return tx.DropQuestion("q2") },
	} {
		err := s.Tx(t.Context(), f)
		if !errors.Is(err, queue.ErrNotFound) {
			t.Fatalf("a question that is not dead: %v", err)
		}
		sentence(t, err.Error(), "there is no dead question q2")
	}
	within(t, s, func(tx *queue.Tx) error { return tx.DropQuestion("q1") })
	rows(t, s, `select state, body from question where key = 'q1'`, "dropped|-")
	rows(t, s, `select post from v_posts where state = 'skipped'`, "p0", "p1")
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(5) }
	var b queue.Batch
	within(t, s, func(tx *queue.Tx) (err error) {
		if _, err = tx.NewBatch("matzip", "gpt-5"); err != nil {
			return err
		}
		b, err = tx.NewBatch("matzip", "gpt-5-mini")
		return err
	})
	b.State, b.Shard, b.Lines, b.Bytes, b.Tokens, b.InputFile, b.UpstreamID, b.Status = queue.BatchReading, "s-1", 500, 1<<33, 2_000_000, "file-1", "batch_1", "completed"
	b.OutputFile, b.ErrorFile, b.Reading, b.Position, b.Broken, b.Polls, b.Answered, b.Failed = "file-2", "file-3", "output", 1<<32, 1, 7, 480, 20
	b.Creating, b.Sent, b.Ended, b.Note = day(6), day(7), day(8), "메모"
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		got, err := tx.BatchByUpstream("batch_1")
		same(t, "by upstream", got, b)
		if _, err := tx.BatchByUpstream("batch_2"); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("unknown batch: %v", err)
		}
		return err
	})
	got, err := s.Batch(t.Context(), b.ID)
	check(t, err)
	same(t, "saved", got, b)
	open, err := s.OpenBatches(t.Context())
	check(t, err)
	if len(open) != 2 || open[0].State != queue.BatchChoosing {
		t.Errorf("open: %+v", open)
	}

	other := func(want int) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			n, err := tx.OtherBatches(queue.Batch{ID: 99, Model: "gpt-5-mini"})
			mine, err2 := tx.OtherBatches(b)
			if n != want || mine != 0 {
				t.Errorf("others %d, want %d; beside itself %d", n, want, mine)
			}
			return errors.Join(err, err2)
		})
	}
	other(1)
	b.Reading = "rest"
	within(t, s, func(tx *queue.Tx) error { return tx.SaveBatch(b) })
	other(0)
	b.State = queue.BatchDone
	within(t, s, func(tx *queue.Tx) error { return tx.SaveBatch(b) })
	open, err = s.OpenBatches(t.Context())
	check(t, err)
	if len(open) != 1 {
		t.Errorf("open: %+v", open)
	}
	err = s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.SaveBatch(queue.Batch{ID: b.ID, State: "어딘가"}) })
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("save batch %d", b.ID)) {
		t.Errorf("a state that nobody knows: %v", err)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return time.Now().AddDate(0, 0, -8) }
	seen := func(id string, want bool) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			got, err := tx.SeenWebhook(id)
			if got != want {
				t.Errorf("webhook %s seen: %v, want %v", id, got, want)
			}
			return err
		})
	}
	seen("wh_1", false)
	seen("wh_1", true)
	s.Now = time.Now
	seen("wh_2", false)
	check(t, s.Close())
	s = open(t, s.Where(), queue.Owner)
	rows(t, s, `select id from webhook`, "wh_2") // the old one is forgotten
}

// TestWaitingQuestionsComeInOrder checks that a piece of a batch costs the same however many questions wait: none are sorted.
func TestWaitingQuestionsComeInOrder(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	plan, err := s.Rows(t.Context(), `explain query plan `+queue.WaitingText, "matzip", 500)
	check(t, err)
	if text := strings.Join(plan, "\n"); strings.Contains(text, "TEMP B-TREE") || !strings.Contains(text, "question_waiting") {
		t.Errorf("the plan sorts:\n%s", text)
	}
}
