package queue_test

import (
	"errors"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/queue"
)

// TestPresentMissRecord checks which single record is taken for gone: one that the list has shown before and does not show now,
// until the list shows it again.
func TestPresentMissRecord(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	// look walks the list of the next run, which shows these.
	look := func(shown ...string) (w queue.Walk, news []string) {
		t.Helper()
		check(t, s.Exec(t.Context(), `update run set state = 'done'`))
		_, walks := begin(t, s, "호두", "posts")
		w = walks[0]
		var recs []adapters.Record
		for i, k := range shown {
			recs = append(recs, velogRecord(k, day(20-i)))
		}
		put(t, s, w, recs...)
		within(t, s, func(tx *queue.Tx) (err error) {
			news, err = tx.Vanish(w, "velog_post")
			w.State, w.Clean = queue.WalkIdle, w.Run
			return errors.Join(err, tx.Advance(&w))
		})
		return w, news
	}
	look("가", "나", "다", "라")
	w, _ := look("가")
	for _, c := range []struct {
		what, stream, key string
		want              bool
	}{
		{"shown", "velog_post", "가", false},
		{"not shown", "velog_post", "나", true},
		{"gone already", "velog_post", "나", false},
		{"not shown either", "velog_post", "라", true},
		{"never heard of", "velog_post", "마", false},
		{"of another stream", "velog_stats", "다", false},
	} {
		within(t, s, func(tx *queue.Tx) error {
			got, err := tx.MissRecord(w, c.stream, c.key)
			same(t, c.what, got, c.want)
			return err
		})
	}
	rows(t, s, `select key from record where gone_at is not null order by key`, "나", "라")
	_, news := look("가", "나", "다")
	same(t, "back", news, []string{"나"})
	rows(t, s, `select key from record where gone_at is not null`, "라")
}

// TestTroublesOfRecordLists checks that the lists of records are no gap and no trouble, whatever becomes of them.
func TestTroublesOfRecordLists(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, ws := begin(t, s, "호두", "posts", queue.ListOf("stats", "고루틴"), queue.ListOf("stats", "채널"))
	ws[0].State = queue.WalkIdle
	ws[1].State, ws[1].Cuts, ws[1].Note = queue.WalkUnfinished, 9, "느리다"
	ws[2].State, ws[2].Cuts, ws[2].Note = queue.WalkPrivate, 9, "남의 글"
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.Advance(&ws[0]), tx.Advance(&ws[1]), tx.Advance(&ws[2]))
	})
	check(t, s.Exec(t.Context(), `update run set state = 'done'`))
	shown := func(what string, gaps int, want ...string) {
		t.Helper()
		ns, err := s.Notices(t.Context())
		check(t, err)
		same(t, what, keys(ns), strings.Join(want, " "))
		n, err := s.Gaps(t.Context(), run.ID)
		check(t, err)
		same(t, what+": gaps of the run", n, gaps)
		m, err := s.Summary(t.Context())
		check(t, err)
		same(t, what+": gaps", m.Gaps, gaps)
	}
	shown("lists of records", 0)
	ws[0].State, ws[0].Cuts, ws[0].Note = queue.WalkUnfinished, 2, "끊겼다"
	within(t, s, func(tx *queue.Tx) error { return tx.Advance(&ws[0]) })
	shown("and the target's own", 1, "gap:matzip:호두:posts", "unfinished:matzip")
	rows(t, s, `select text from v_troubles where event = 'run'`, "run 1 of matzip has ended; lists not walked to their end: 1, the next run comes by again")
}
