package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func velogRecord(key string, at time.Time) adapters.Record {
	return adapters.Record{Stream: "velog_post", Key: key, Time: at, Data: []byte(`{"title":"` + key + `"}`)}
}

// TestSnapAddsWhatIsNews checks what is written of counters: what has changed, and the first look of a Korean day.
func TestSnapAddsWhatIsNews(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "호두", "posts")
	id := put(t, s, walks[0], velogRecord("고루틴", day(1)))[0].ID
	at := func(d, hour int) time.Time { return time.Date(2025, 3, d, hour-9, 0, 0, 0, time.UTC) } // of Korea
	for _, x := range []struct {
		at time.Time
		n  int64
	}{{at(1, 23), 10}, {at(1, 23).Add(time.Minute), 10}, {at(2, 0), 10}, {at(2, 9), 10}, {at(2, 10), 12}, {at(2, 8), 11}, {at(2, 11), 9}, {at(4, 1), 9}} {
		within(t, s, func(tx *queue.Tx) error { return tx.Snap(id, "views", x.at, x.n) })
	}
	rows(t, s, `select day || ' ' || n from snapshot order by at`, "2025-03-01 10", "2025-03-02 10", "2025-03-02 12", "2025-03-02 9", "2025-03-04 9")
	rows(t, s, `select seen_at from snapshot where at <> seen_at order by at`, "2025-03-01T14:01:00.000Z", "2025-03-02T00:00:00.000Z")
	c, err := s.CountsOfRecord(t.Context(), id, "views", "")
	check(t, err)
	var got []string
	for _, x := range c.Snapshots {
		got = append(got, fmt.Sprint(x.Day, " ", x.First, " ", x.N, " ", x.Seen.Sub(x.At)))
	}
	same(t, "days", got, []string{"2025-03-01 10 10 1m0s", "2025-03-02 10 9 11h0m0s", "2025-03-04 9 9 0s"})
	for since, want := range map[string][]string{
		"2025-03-01": {"2025-03-01 10", "2025-03-02 9", "2025-03-04 9"}, "2025-03-02": {"2025-03-01 10", "2025-03-02 9", "2025-03-04 9"},
		"2025-03-03": {"2025-03-02 9", "2025-03-04 9"}, "2025-03-09": {"2025-03-04 9"},
	} {
		all, err := s.CountsOf(t.Context(), "matzip", "호두", "velog_post", "views", since)
		check(t, err)
		got = nil
		for _, x := range all[id].Snapshots {
			got = append(got, fmt.Sprint(x.Day, " ", x.N))
		}
		same(t, "days since "+since, got, want)
	}

	within(t, s, func(tx *queue.Tx) error { return tx.ThinSnapshots("matzip", "2025-03-03", "") })
	rows(t, s, `select day || ' ' || n from snapshot order by at`, "2025-03-01 10", "2025-03-02 10", "2025-03-02 9", "2025-03-04 9")
	within(t, s, func(tx *queue.Tx) error { return tx.ThinSnapshots("다른 일", "2025-04-01", "2025-04-01") })
	within(t, s, func(tx *queue.Tx) error { return tx.ThinSnapshots("matzip", "2025-03-04", "2025-03-03") })
	rows(t, s, `select day || ' ' || n from snapshot order by at`, "2025-03-02 9", "2025-03-04 9")
}

// TestThinKeepsTheEndBeforeTheFirstDay checks that the first day that is kept can still be counted.
func TestThinKeepsTheEndBeforeTheFirstDay(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "호두", "posts")
	id := put(t, s, walks[0], velogRecord("고루틴", day(1)))[0].ID
	for n := range int64(12) { // three looks a day
		within(t, s, func(tx *queue.Tx) error { return tx.Snap(id, "views", day(1).Add(time.Duration(n)*8*time.Hour), n) })
	}
	first := queue.Day(day(3))
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.CountDay(id, "views", queue.Day(day(2)), 3), tx.CountDay(id, "views", first, 3), tx.ThinSnapshots("matzip", queue.Day(day(1)), first))
	})
	rows(t, s, `select day || ' ' || n from snapshot where day < '`+first+`' order by at`, queue.Day(day(2))+" 4")
	rows(t, s, `select count(*) from snapshot where day >= '`+first+`'`, "7")
	rows(t, s, `select day from daily`, first)
}

// TestSnapDoubtsAClock checks that one look of the far future does not make old news of those that follow.
func TestSnapDoubtsAClock(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	_, walks := begin(t, s, "호두", "posts")
	id := put(t, s, walks[0], velogRecord("고루틴", day(1)))[0].ID
	for n, ahead := range []time.Duration{time.Minute, 365 * 24 * time.Hour, 0, -time.Hour} {
		now = now.Add(10 * time.Minute)
		within(t, s, func(tx *queue.Tx) error { return tx.Snap(id, "views", now.Add(ahead), int64(n)) })
	}
	rows(t, s, `select n from snapshot order by at`, "0", "1", "2")
}

// TestVanish checks that what a whole list does not show any more is gone, and comes back, but never more than half at once.
func TestVanish(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	keys := []string{"가", "나", "다", "라"}
	// look walks the list of the run, which shows these, and returns what is news.
	look := func(shown ...string) (news []string) {
		t.Helper()
		_, walks := begin(t, s, "호두", "posts")
		w := walks[0]
		var recs []adapters.Record
		for i, k := range shown {
			recs = append(recs, velogRecord(k, day(20-i)))
		}
		put(t, s, w, recs...)
		within(t, s, func(tx *queue.Tx) (err error) {
			if news, err = tx.Vanish(w, "velog_post"); err != nil {
				return err
			}
			w.State, w.Clean = queue.WalkIdle, w.Run
			if err := tx.Advance(&w); err != nil {
				return err
			}
			if err := tx.SeedRun(w.Run); err != nil {
				return err
			}
			if _, err := tx.CrawledRun(w.Run); err != nil {
				return err
			}
			_, err = tx.EndRun(w.Run, false)
			return err
		})
		return news
	}
	gone := func(want ...string) {
		t.Helper()
		rows(t, s, `select key from record where gone_at is not null order by key`, want...)
	}
	same(t, "at first", len(look(keys...)), 0)
	same(t, "one is missing", look("가", "나", "다"), []string{"라"})
	gone("라")
	same(t, "nothing is left", len(look()), 0)
	gone("라")
	same(t, "two of three are missing", len(look("가")), 0)
	gone("라")
	same(t, "all are back", look(keys...), []string{"라"})
	gone()
	same(t, "half is missing", len(look("가", "나")), 2)
	gone("다", "라")
	within(t, s, func(tx *queue.Tx) error {
		w, err := tx.List("matzip", "호두", "posts")
		if err != nil {
			return err
		}
		there, err := tx.Present(w, "velog_post")
		var got []string
		for _, r := range there {
			got = append(got, r.Key)
		}
		same(t, "present", got, []string{"가", "나"})
		return err
	})
}

// TestRestingListIsNotBegun checks that a list which is to be left alone is begun again when that is over.
func TestRestingListIsNotBegun(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(10) }
	list := queue.ListOf("stats", "고루틴")
	run, walks := begin(t, s, "호두", list)
	w := walks[0]
	if l, r := w.Of(); l != "stats" || r != "고루틴" {
		t.Errorf("of %q %q", l, r)
	}
	w.State, w.Rest = queue.WalkUnfinished, day(11)
	within(t, s, func(tx *queue.Tx) error { return tx.Advance(&w) })
	next := run
	for _, c := range []struct {
		at   time.Time
		want int
	}{{day(10), 0}, {day(11), 1}} {
		s.Now = func() time.Time { return c.at }
		next.ID++
		within(t, s, func(tx *queue.Tx) error {
			begun, err := tx.Begin(next, "호두", []string{list})
			same(t, fmt.Sprint(c.at), len(begun), c.want)
			return err
		})
	}
}
