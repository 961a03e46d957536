package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sumbi/jobs"
	"sumbi/queue"
)

// TestGrowth checks what is known of each day, and what is not.
func TestGrowth(t *testing.T) {
	t.Parallel()
	snaps := func(all ...any) (c queue.Counts) {
		for i := 0; i < len(all); i += 2 {
			c.Snapshots = append(c.Snapshots, queue.Snapshot{Day: fmt.Sprintf("2025-03-%02d", all[i]), N: int64(all[i+1].(int))})
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
		"the upstream's own days":            {series(snaps(1, 10, 2, 13), 1, 4, 2, 3), false, "", "4 3 - - -"},
		"its days without any":               {series(snaps(4, 9), 2, 4, 4, 5), false, "2025-03-01", "0 4 0 5 -"},
		"its days end, ours go on":           {series(snaps(2, 9, 3, 12, 4, 12), 1, 4, 2, 5), false, "", "4 5 3 0 -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			days := jobs.Growth(tt.counts, tt.falls, tt.born, "2025-03-01", "2025-03-05")
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
