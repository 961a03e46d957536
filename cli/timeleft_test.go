package cli_test

import (
	"testing"
	"time"

	"sumbi/cli"
	"sumbi/queue"
)

func TestLooksTakeAFiftiethOfTheTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var l cli.Looks
	if !l.Due(now) {
		t.Error("the first look is not due")
	}
	ended := now.Add(300 * time.Millisecond)
	l.Took(now, ended)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {14 * time.Second, false}, {15 * time.Second, true}} {
		if got := l.Due(ended.Add(c.after)); got != c.want {
			t.Errorf("%v after a look of 300 ms: due %v, want %v", c.after, got, c.want)
		}
	}
}

func TestTimeLeftIsTheCriticalPath(t *testing.T) {
	t.Parallel()
	walk := func(target, list string, pages, expected int) queue.Reach {
		return queue.Reach{Walk: queue.Walk{Target: target, List: list, State: queue.WalkWalking, Run: 2, Pages: pages, Expected: expected}}
	}
	other := walk("국밥", "posts", 0, 1000)
	other.Run = 1
	ended := walk("냉면", "posts", 5, 500)
	ended.State = queue.WalkIdle
	long := []queue.Reach{walk("김밥", "posts", 10, 70), walk("김밥", "reels", 0, 20), other, ended}
	run := queue.Run{ID: 2}
	// Nothing observed: 60 pages one after the other, of 5 seconds each, however high the rate.
	if f := cli.TimeLeft(long, run, 8); f.Pages != 80 || f.Bound != 5*time.Minute {
		t.Errorf("%d pages, %v, want 80 and 5m", f.Pages, f.Bound)
	}
	run.Pages, run.Fetch = 40, 40*time.Second
	// One second each: the list takes a minute. At one page a second the 80 pages take longer.
	if f := cli.TimeLeft(long, run, 8); f.Bound != time.Minute {
		t.Errorf("with the latency observed: %v, want 1m", f.Bound)
	}
	if f := cli.TimeLeft(long, run, 1); f.Bound != 80*time.Second {
		t.Errorf("with one page a second: %v, want 1m20s", f.Bound)
	}
	if f := cli.TimeLeft(long, run, 0); f.Bound != time.Minute {
		t.Errorf("without a limit: %v, want 1m", f.Bound)
	}
	if f := cli.TimeLeft(nil, run, 8); f.Bound != 0 {
		t.Errorf("nothing left takes %v", f.Bound)
	}
}
