package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sumbi/adapters"
	"sumbi/queue"
)

// full fills a file with a row of each kind that people look at.
func full(t *testing.T, s *queue.Store) {
	t.Helper()
	s.Now = func() time.Time { return day(10) }
	run, ws := begin(t, s, "을지로골목", "posts", "reels")
	_, gone := begin(t, s, "사라진집", "posts")
	put(t, s, ws[0], post("p1", "평양냉면 <b>맛집</b>", 1), post("p2", "육개장", 2), post("p3", "오늘의 하늘", 3), post("p4", "새 글", 4), post("p5", "거절된 글\n둘째 줄", 5), post("p6", "묻는 글", 6))
	shared := put(t, s, ws[1], post("p1", "평양냉면 <b>맛집</b>", 1), post("p7", "짜장면", 7))
	all := map[string]queue.Stored{}
	check(t, s.Posts(t.Context(), func(st queue.Stored) error { all[st.Key] = st; return nil }))
	if shared[0].New {
		t.Error("the shared post is new")
	}
	within(t, s, func(tx *queue.Tx) error {
		errs := []error{
			tx.Skip(all["p3"].ID), tx.SeeTarget("matzip", "을지로골목", 321), tx.MissTarget(gone[0], queue.WalkGone, "계정이 없다"), tx.SeedRun(run.ID), tx.Count(run.ID, 2, 7, 0, 9*time.Second),
			tx.AddSlots(run.ID, "인스타", map[string]float64{queue.SlotCall: 2, "no page": 1.5}), tx.AddSlots(run.ID, "인스타", map[string]float64{queue.SlotCall: 1, "held": 0}),
		}
		for _, k := range []string{"p1", "p2", "p5", "p6", "p7"} {
			_, _, err := tx.Ask("matzip", all[k].ID, "q-"+k, "본문\n"+k)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	var b queue.Batch
	within(t, s, func(tx *queue.Tx) (err error) {
		if b, err = tx.NewBatch("matzip", "gpt-5-mini"); err != nil {
			return err
		}
		if err = tx.Choose(&b, []queue.Question{{ID: "q-p1"}, {ID: "q-p2"}, {ID: "q-p5"}, {ID: "q-p7"}}); err != nil {
			return err
		}
		b.State, b.Status, b.UpstreamID, b.Answered, b.Failed, b.Tokens, b.Sent = queue.BatchRunning, "in_progress", "batch_가", 2, 1, 900, day(10)
		for _, id := range []string{"q-p1", "q-p7"} {
			if _, err = tx.Answer(b.ID, adapters.Answer{ID: id, Body: []byte(`{}`)}); err != nil {
				return err
			}
		}
		return errors.Join(tx.KillLine(b.ID, 3, "거절"), tx.SaveBatch(b),
			tx.Book(1, "인스타", "request", 3, 10e6), tx.Book(1, "openai", "input_token", 900, 13_333), tx.Book(1, "openai", "output_token", 90, 88_888),
			tx.Waste(1, "인스타", queue.WasteRefused, 1, 10), tx.Waste(1, "openai", queue.WasteFailed, 2, 3))
	})
	sink(t, s, "mongo")
	_, ids := extracted(t, s, all["p1"], "을밀대", "우래옥", "이름 모를 집")
	extracted(t, s, all["p7"], "신승반점")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[1], nil)
	m, err := s.Mention(t.Context(), ids[2])
	check(t, err)
	m.State, m.Reason = "review", "둘 중 하나"
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, nil, queue.One{}) })

	// The jobs' moments are real ones: SQLite compares them with its own clock.
	s.Now = time.Now
	later, ready := pageJob("나중"), pageJob("바로")
	later.At, ready.Priority = time.Now().Add(time.Hour), 5
	add(t, s, pageJob("마름"), pageJob("도는"), later)
	check(t, s.PutBack(t.Context(), lane, take(t, s), kind(adapters.Permanent, 0)))
	take(t, s)
	add(t, s, ready)
	s.Now = func() time.Time { return day(11) }
}

func TestProgressAndSummary(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	p, err := s.Progress(t.Context(), 1)
	check(t, err)
	want := queue.Progress{
		Run:   queue.Run{ID: 1, Pipeline: "matzip", State: queue.RunRunning, Asked: day(10), Started: day(10), Seeded: day(10), Pages: 2, Fetch: 9 * time.Second, Fresh: 7},
		Lists: 3, ListsLeft: 3, PagesLeft: 5, Posts: 7, Waiting: 1, InBatch: 1, Batches: 1, BatchStatus: "running (in_progress)", Answered: 2, Mentions: 4, MentionsLeft: 1, Places: 1,
		Outbox: 1, Dead: 2, Requests: 3,
	}
	if d := cmp.Diff(want, p); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
	if _, err := s.Progress(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("run 99: %v", err)
	}
	sum, err := s.Summary(t.Context())
	check(t, err)
	if d := cmp.Diff(queue.Summary{Posts: 7, Skipped: 1, Asked: 2, Answered: 2, Mentions: 4, Placed: 1, None: 1, Review: 1, Places: 1, Outbox: 1, Accounts: 2, Gone: 1, MicroUSD: 50}, sum,
		cmpopts.IgnoreFields(queue.Summary{}, "Bytes")); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if sum.Bytes < 4096 || (sum.Bytes%512 != 0 && server == nil) {
		t.Errorf("%d bytes", sum.Bytes)
	}
	dead, err := s.DeadOnes(t.Context(), 10)
	check(t, err)
	if len(dead) != 2 || dead[0].What != "job" || dead[1].ID != "q-p5" || dead[1].Name != "본문 p5" || dead[1].Reason != "거절" {
		t.Errorf("dead: %+v", dead)
	}
	var posts []string
	check(t, s.PostMentions(t.Context(), func(p queue.PostMention) error {
		posts = append(posts, p.Post+" "+p.Name+" "+p.PlaceName)
		return nil
	}))
	same(t, "posts and mentions", posts, []string{"p1 을밀대 을밀대", "p1 우래옥 ", "p1 이름 모를 집 ", "p2  ", "p3  ", "p4  ", "p5  ", "p6  ", "p7 신승반점 "})
	if err := s.PostMentions(t.Context(), func(queue.PostMention) error { return errSoup }); !errors.Is(err, errSoup) {
		t.Errorf("the caller's error: %v", err)
	}
}

// TestReadersDoNotWait checks that a look at the file does not wait for a transaction, and sees none of it.
func TestReadersDoNotWait(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.SetMeta("반쯤", "예"); err != nil {
			return err
		}
		got, err := s.Meta(t.Context(), "반쯤")
		if got != "" {
			t.Errorf("read %q before the commit", got)
		}
		return err
	})
	meta(t, s, "반쯤", "예")
}

func TestDay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ at, want string }{
		{"2025-03-01T14:59:59Z", "2025-03-01"},
		{"2025-03-01T15:00:00Z", "2025-03-02"},
		{"2025-03-01T23:30:00+09:00", "2025-03-01"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		check(t, err)
		same(t, tt.at, queue.Day(at), tt.want)
	}
}
