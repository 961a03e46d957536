package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/jobs"
	"sumbi/queue"
)

// TestGrowth checks what is known of each day, and what is not.
func TestGrowth(t *testing.T) {
	t.Parallel()
	at := func(day, hour, minute int) time.Time { return time.Date(2025, 3, day, hour-9, minute, 0, 0, time.UTC) } // of Korea
	// snaps are days that were looked at from 9:00 to 23:55, with what was found last.
	snaps := func(all ...int) (c queue.Counts) {
		for i := 0; i < len(all); i += 2 {
			n := int64(all[i+1])
			c.Snapshots = append(c.Snapshots, queue.Snapshot{Day: fmt.Sprintf("2025-03-%02d", all[i]), At: at(all[i], 9, 0), First: n, Seen: at(all[i], 23, 55), N: n})
		}
		return c
	}
	type look struct {
		day, hour, minute int
		n                 int64
	}
	looks := func(all ...look) (c queue.Counts) {
		for _, l := range all {
			day, when := fmt.Sprintf("2025-03-%02d", l.day), at(l.day, l.hour, l.minute)
			if k := len(c.Snapshots) - 1; k >= 0 && c.Snapshots[k].Day == day {
				c.Snapshots[k].Seen, c.Snapshots[k].N = when, l.n
				continue
			}
			c.Snapshots = append(c.Snapshots, queue.Snapshot{Day: day, At: when, First: l.n, Seen: when, N: l.n})
		}
		return c
	}
	series := func(c queue.Counts, all ...any) queue.Counts {
		c.Daily = map[string]int64{}
		for i := 0; i < len(all); i += 2 {
			c.Daily[fmt.Sprintf("2025-03-%02d", all[i])] = int64(all[i+1].(int))
		}
		return c
	}
	for name, tt := range map[string]struct {
		counts queue.Counts
		falls  bool
		born   string
		want   string // by day, from the first; - is unknown
	}{
		"nothing":                            {snaps(), false, "", "- - - - -"},
		"the first day is not known":         {snaps(1, 10, 2, 13, 3, 13), false, "", "- 3 0 - -"},
		"born on the first day":              {snaps(1, 10, 2, 13), false, "2025-03-01", "10 3 - - -"},
		"born before the first look":         {snaps(2, 10, 3, 13), false, "2025-03-01", "- - 3 - -"},
		"born before, but nobody came":       {snaps(2, 0, 3, 4), false, "2025-03-01", "0 0 4 - -"},
		"a missing day":                      {snaps(1, 1, 2, 3, 4, 8, 5, 9), false, "", "- 2 - - 1"},
		"a missing day on which nobody came": {snaps(1, 1, 2, 3, 4, 3, 5, 9), false, "", "- 2 0 0 6"},
		"what can fall may have done so":     {snaps(1, 1, 2, 3, 4, 3, 5, 2), true, "", "- 2 - - -1"},
		"it counts anew":                     {snaps(1, 10, 2, 13, 3, 4, 4, 9), false, "", "- 3 - 5 -"},
		"the upstream's own days":            {series(snaps(1, 10, 2, 13), 1, 4, 2, 3), false, "", "4 3 - - -"},
		"its days without any":               {series(snaps(4, 9), 2, 4, 4, 5), false, "2025-03-01", "0 4 0 5 -"},
		"its days end, ours go on":           {series(snaps(2, 9, 3, 12, 4, 12), 1, 4, 2, 5), false, "", "4 5 3 0 -"},

		"a day seen only at its beginning":  {looks(look{1, 23, 50, 10}, look{2, 0, 5, 10}, look{2, 0, 30, 10}, look{3, 22, 0, 50}, look{3, 23, 50, 52}, look{4, 23, 50, 60}), false, "", "- - - 8 -"},
		"the next look finds the same":      {looks(look{1, 23, 50, 10}, look{2, 0, 5, 10}, look{2, 0, 30, 10}, look{3, 22, 0, 10}, look{3, 23, 50, 12}), false, "", "- 0 2 - -"},
		"which tells nothing of what falls": {looks(look{1, 23, 50, 10}, look{2, 0, 5, 10}, look{2, 0, 30, 10}, look{3, 22, 0, 10}, look{3, 23, 50, 12}), true, "", "- - - - -"},
		"an hour before the end is enough":  {looks(look{1, 23, 0, 10}, look{2, 23, 0, 12}, look{3, 22, 59, 15}, look{4, 9, 0, 16}), false, "", "- 2 - - -"},
		"and so is an hour after it":        {looks(look{1, 22, 30, 10}, look{2, 0, 20, 11}, look{2, 23, 10, 14}, look{3, 22, 30, 15}, look{4, 1, 1, 16}), false, "", "- 3 - - -"},
		"today so far":                      {looks(look{4, 23, 50, 10}, look{5, 0, 5, 10}, look{5, 8, 0, 14}), false, "", "- - - - 4"},
		"today after a night without looks": {looks(look{4, 22, 0, 10}, look{5, 9, 0, 14}), false, "", "- - - - -"},
		"nobody looks any more":             {looks(look{2, 23, 50, 10}, look{3, 0, 5, 10}, look{3, 0, 30, 10}), false, "", "- - - - -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			days := jobs.Growth(tt.counts, tt.falls, tt.born, "2025-03-01", "2025-03-05", "2025-03-05")
			var got []string
			for d := range slices.Values([]int{1, 2, 3, 4, 5}) {
				n, text := days[fmt.Sprintf("2025-03-%02d", d)], "-"
				if n != nil {
					text = fmt.Sprint(*n)
				}
				got = append(got, text)
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got %s, want %s", g, tt.want)
			}
		})
	}
}

// TestGrowthOfAPart checks that days are the same when nothing is read but their looks and the newest before them.
func TestGrowthOfAPart(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var c queue.Counts
		at, n := time.Date(2025, 2, 25, 0, 0, 0, 0, time.UTC), int64(0)
		falls := r.IntN(2) == 0
		for range r.IntN(60) {
			at = at.Add(time.Duration(r.IntN(16*60)) * time.Minute)
			if n += int64(r.IntN(3)); falls {
				n = max(0, n-int64(r.IntN(3)))
			}
			if k := len(c.Snapshots) - 1; k >= 0 && c.Snapshots[k].Day == queue.Day(at) {
				c.Snapshots[k].Seen, c.Snapshots[k].N = at, n
				continue
			}
			c.Snapshots = append(c.Snapshots, queue.Snapshot{Day: queue.Day(at), At: at, First: n, Seen: at, N: n})
		}
		first := queue.Day(time.Date(2025, 2, 26+r.IntN(25), 0, 0, 0, 0, time.UTC))
		last, today := "2025-03-20", "2025-03-"+fmt.Sprint(10+r.IntN(10))
		born := []string{"", "2025-02-24", "2025-03-01"}[r.IntN(3)]
		since := queue.Day(queue.DayBegins(first).Add(-time.Hour))
		part := c
		if i := slices.IndexFunc(c.Snapshots, func(x queue.Snapshot) bool { return x.Day >= since }); i != 0 && len(c.Snapshots) > 0 {
			if i < 0 {
				i = len(c.Snapshots)
			}
			part.Snapshots = slices.Clone(c.Snapshots[i-1:])
			part.Snapshots[0].At, part.Snapshots[0].First = part.Snapshots[0].Seen, part.Snapshots[0].N
		}
		want, got := jobs.Growth(c, falls, born, first, last, today), jobs.Growth(part, falls, born, first, last, today)
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatalf("%d of %d days, falls %v, born %q, from %s, today %s (-all +part):\n%s", len(part.Snapshots), len(c.Snapshots), falls, born, first, today, d)
		}
	}
}
