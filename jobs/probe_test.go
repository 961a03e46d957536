package jobs_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// counter is a feed that tells counts.
type counter struct {
	*feed
	mu     sync.Mutex
	asked  map[string]int
	answer func(target string, n int) (int, error) // n is how often the target was asked, from 1
}

func (c *counter) Count(ctx context.Context, target string) (int, error) {
	adapters.CountCall(ctx, "instagram")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[target]++
	return c.answer(target, c.asked[target])
}

func TestProbe(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := &counter{feed: w.feed, answer: func(target string, n int) (int, error) {
			switch target {
			case "사라짐":
				return 0, refuse(adapters.Permanent, adapters.ReasonGone)
			case "비공개":
				return 0, refuse(adapters.Permanent, adapters.ReasonPrivate)
			case "말없음":
				return 0, nil
			case "더듬이":
				if n < 3 {
					return 0, refuse(adapters.Temporary, "")
				}
			case "먹통":
				return 0, refuse(adapters.Temporary, "")
			}
			return 120, nil
		}}
		w.tune = func(p *jobs.Pipeline) { p.Source = c }
		w.boot()
		p := w.engine.Pipelines[0]
		targets := []string{"김밥", "사라짐", "비공개", "말없음", "더듬이", "먹통"}
		got, err := w.engine.Probe(t.Context(), p, targets)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "counted", got.Counted, 2)
		equal(t, "gone", strings.Join(got.Gone, " "), "사라짐")
		equal(t, "private", strings.Join(got.Private, " "), "비공개")
		equal(t, "failed", strings.Join(got.Failed, " "), "말없음 먹통")
		equal(t, "requests", got.Requests, 4+3+3)
		w.is(`select target, total from target order by target`, "김밥|120\n더듬이|120")
		w.is(`select upstream, what, n from usage`, "instagram|request|10")

		known, err := w.store.Known(t.Context(), pipeline)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "still to be asked", strings.Join(jobs.Unmeasured(known, p.Lists, targets), " "), "사라짐 비공개 말없음 먹통")
	})
}

// One key that is not accepted is not tried on every account.
func TestProbeStops(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := &counter{feed: w.feed, answer: func(string, int) (int, error) { return 0, refuse(adapters.Unauthorized, adapters.ReasonKey) }}
		w.tune = func(p *jobs.Pipeline) { p.Source = c }
		w.wire = func(e *jobs.Engine) { e.Lanes[0].Workers = 1 }
		w.boot()
		got, err := w.engine.Probe(t.Context(), w.engine.Pipelines[0], []string{"가", "나", "다", "라", "마"})
		if k := adapters.Classify(err); k == nil || k.Kind != adapters.Unauthorized {
			t.Errorf("err = %v", err)
		}
		if got.Requests > 2 {
			t.Errorf("%d requests with a key that is not accepted", got.Requests)
		}
	})
}

func TestProbeKeepsWhatItLearnt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := &counter{feed: w.feed}
		c.answer = func(target string, _ int) (int, error) {
			if target == "다" {
				cancel()
				return 0, ctx.Err()
			}
			return 60, nil
		}
		w.tune = func(p *jobs.Pipeline) { p.Source = c }
		w.wire = func(e *jobs.Engine) { e.Lanes[0].Workers = 1 }
		w.boot()
		if _, err := w.engine.Probe(ctx, w.engine.Pipelines[0], []string{"가", "나", "다", "라"}); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		w.is(`select target, total from target order by target`, "가|60\n나|60")
	})
}

func TestUnmeasured(t *testing.T) {
	t.Parallel()
	k := queue.Known{
		Walks: []queue.Reach{
			walked("둘다", "posts", 3, 10, planned), walked("둘다", "reels", 1, 10, planned),
			walked("하나", "posts", 3, 10, planned),
		},
		Targets: map[string]queue.Target{"세었음": {Total: 5}},
	}
	got := jobs.Unmeasured(k, []string{"posts", "reels"}, []string{"둘다", "하나", "세었음", "모름"})
	equal(t, "to be asked", strings.Join(got, " "), "하나 모름")
}
