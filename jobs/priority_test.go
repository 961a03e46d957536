package jobs_test

import (
	"slices"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/jobs"
)

// The first page of the posts tells the account's count: the reels, which wait for their first page, get their place then.
func TestCountOrdersTheOtherLists(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"짧은집", "긴집", "모름"}
		for _, a := range w.accounts {
			n := 3
			if a == "긴집" {
				n = 12
			}
			w.feed.put(a, "posts", posts(1000*len(a), n))
			w.feed.put(a, "reels", posts(1000*len(a)+500, n))
		}
		totals := map[string]int{"짧은집": 3, "긴집": 12}
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			if q.List == "posts" {
				pg.Total = totals[q.Target]
			}
			return pg, nil, true
		}
		w.wire = func(e *jobs.Engine) { e.Lanes[0].Workers = 1 }
		w.run()
		var order []string
		for _, q := range w.feed.asked {
			order = append(order, q.Target+"/"+q.List)
		}
		// Unknown ones first, of them the lists that may tell; then the longest.
		want := []string{"짧은집/posts", "긴집/posts", "모름/posts", "모름/reels", "긴집/reels"}
		if !slices.Equal(order[:len(want)], want) {
			t.Errorf("asked in the order\n%s\nwant to begin with\n%s", strings.Join(order, " "), strings.Join(want, " "))
		}
		// The last two pages of the long account tie with the only one of the short account.
		if i := slices.Index(order, "짧은집/reels"); i < len(order)-3 {
			t.Errorf("a list of one page went before longer ones: %s", strings.Join(order, " "))
		}
	})
}
