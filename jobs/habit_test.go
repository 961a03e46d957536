package jobs_test

import (
	"slices"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
)

func TestSilentSince(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	every := func(n int, gap time.Duration) (ago []time.Duration) {
		for i := range n {
			ago = append(ago, time.Duration(i)*gap)
		}
		return ago
	}
	bursts := slices.Concat([]time.Duration{0, time.Hour, 2 * time.Hour, 20 * day, 20*day + time.Hour}, every(15, time.Minute))
	for i := range bursts[5:] {
		bursts[5+i] += time.Duration(40+20*(i/3)) * day
	}
	for _, c := range []struct {
		name    string
		ago     []time.Duration // the records, since the newest one
		silence time.Duration
		silent  bool
	}{
		{"daily, on holiday", every(40, day), 29 * day, false},
		{"daily, away", every(40, day), 31 * day, true},
		{"weekly, a month", every(40, 7*day), 40 * day, false},
		{"weekly, two months", every(40, 7*day), 43 * day, true},
		{"monthly, five months", every(20, 30*day), 150 * day, false},
		{"monthly, seven months", every(20, 30*day), 210 * day, true},
		{"nine records are no habit", every(9, day), 1000 * day, false},
		{"ten are", every(10, day), 1000 * day, true},
		{"several at once, now and then", bursts, 100 * day, false},
		{"none", nil, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newest := day0
			var times []time.Time
			for _, ago := range c.ago {
				times = append(times, newest.Add(-ago))
			}
			slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
			want := time.Time{}
			if c.silent {
				want = newest
			}
			if got := jobs.SilentSince(times, newest.Add(c.silence)); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// The silence of an account shows once all of its lists have been looked at, and ends with its next post.
func TestSilentAccount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12)) // an hour apart, a year ago
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), q.List == "reels"
		}
		w.run()
		w.is(`select coalesce(silent_since, '-') from v_accounts`, "-")
		w.feed.script = nil
		w.run()
		w.is(`select coalesce(silent_since, '-') from v_accounts`, "1999-01-01T12:00:00.000Z")
		w.is(`select key from v_troubles`, "silent:matzip:mat:1999-01-01T12:00:00.000Z")

		// A pinned one does not move the mark, but is no silence.
		fresh := pin(post{key: "새글", at: time.Now().Add(-time.Hour), caption: "🍜"})
		w.feed.put("mat", "posts", []post{fresh}, posts(1, 12))
		w.run()
		w.is(`select coalesce(silent_since, '-') from v_accounts`, "-")
		w.is(`select count(*) from v_troubles`, "0")
	})
}

// An account of which less was seen than it says it has is a gap, once its walks have ended.
func TestShortAccount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		w.feed.total = 40
		w.run()
		w.is(`select account, list, state, missing from v_gaps`, "mat||short|28")
		w.feed.put("mat", "posts", posts(1, 39))
		w.whole()
		w.is(`select count(*) from v_gaps`, "0")
	})
}
