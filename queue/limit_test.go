package queue_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/queue"
)

// TestLimitRemembersWhatItLearnt checks that what a limit has learnt of its upstream is there after the file was closed.
func TestLimitRemembersWhatItLearnt(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	want := queue.Limit{
		Name: "instagram/1", LastCall: day(1), Key: "0a1b2c3d",
		PerSecond: 0.5, Guard: 57*time.Millisecond + 250*time.Microsecond, Bad: 49 * time.Millisecond, BadAt: day(1), Refused: "count", Stray: true,
	}
	check(t, s.SaveLimit(t.Context(), queue.Limit{Name: "instagram/1", Refused: "free"}))
	check(t, s.SaveLimit(t.Context(), want))
	got, err := s.Limit(t.Context(), "instagram/1")
	check(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	all, err := s.Limits(t.Context())
	check(t, err)
	if d := cmp.Diff([]queue.Limit{want}, all); d != "" {
		t.Error(d)
	}
	if err := s.SaveLimit(t.Context(), queue.Limit{Name: "naver/1", Refused: "아마"}); err == nil {
		t.Error("a word that nobody knows was stored")
	}
}

// TestClaimIsRemembered checks that the limits of a lane know when its newest claim was, whatever becomes of the process.
func TestClaimIsRemembered(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	for _, name := range []string{"인스타/1", "인스타/2", "인스타", "인스타그램/1"} {
		check(t, s.SaveLimit(t.Context(), queue.Limit{Name: name, Dirty: true}))
	}
	add(t, s, pageJob("하나"))
	now = day(2)
	take(t, s)
	rows(t, crashed(t, s), `select name, last_call from upstream_limit order by name`,
		"인스타|-", "인스타/1|2025-03-02T03:00:00.000Z", "인스타/2|2025-03-02T03:00:00.000Z", "인스타그램/1|-")
}
