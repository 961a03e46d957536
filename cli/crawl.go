package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sumbi/queue"
)

// crawlReport prints how a run's crawl used the calls that its limit allowed, how short it could have been, and what became
// of each call that was not made. perSecond is what the limit allows; 0 is unknown.
func crawlReport(ctx context.Context, w *screen, s *queue.Store, r queue.Run, perSecond float64) error {
	slots, err := s.Slots(ctx, r.ID)
	if err != nil {
		return err
	}
	longest, err := s.LongestWalk(ctx, r.ID)
	if err != nil {
		return err
	}
	calls := slots[queue.SlotCall]
	if calls == 0 || r.Pages == 0 || perSecond <= 0 {
		return nil
	}
	total := 0.0
	for _, n := range slots {
		total += n
	}
	took := time.Duration(total / perSecond * float64(time.Second))
	answer := r.Latency()
	byRate := time.Duration(calls / perSecond * float64(time.Second))
	bound, why := byRate, fmt.Sprintf("%.0f requests at %g a second", calls, perSecond)
	if chain := time.Duration(longest) * answer; chain > byRate {
		bound, why = chain, fmt.Sprintf("the longest list: %s of %s, one after the other, so a higher limit would not help", plural(longest, "page", "pages"), short(answer))
	}
	w.say("crawl: %.0f requests in %s, %.1f%% of what %g a second allow; the least is about %s (%s)", calls, short(took), 100*calls/total, perSecond, short(min(bound, took)), why)
	if wall := r.Crawled.Sub(r.Started); wall > took+took/10 {
		w.say("from its beginning to its end it took %s: for %s no process worked on it", short(wall), short(wall-took))
	}
	var lost []string
	for _, what := range slices.SortedFunc(maps.Keys(slots), func(a, b string) int { return int(slots[b]*1000) - int(slots[a]*1000) }) {
		if share := 100 * slots[what] / total; what != queue.SlotCall && share >= 0.05 {
			lost = append(lost, fmt.Sprintf("%s %.1f%%", what, share))
		}
	}
	if len(lost) > 0 {
		w.say("not used: %s", strings.Join(lost, ", "))
	}
	return nil
}

// short is a duration as people read it.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
