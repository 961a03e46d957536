package jobs_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sumbi/jobs"
	"sumbi/queue"
)

func TestPredict(t *testing.T) {
	t.Parallel()
	eighty := []int{30} // 80 lists, 1,200 pages, the longest 30
	for range 78 {
		eighty = append(eighty, 15)
	}
	eighty = append(eighty, 0)
	tests := []struct {
		name    string
		lists   []int
		rate    float64
		latency time.Duration
		want    jobs.Forecast
	}{
		{"nothing", nil, 8, time.Second, jobs.Forecast{}},
		{"one page", []int{1}, 8, 5 * time.Second, jobs.Forecast{Pages: 1, Longest: 1, Bound: 5 * time.Second, Ideal: 5 * time.Second, Expected: 5 * time.Second, Double: 5 * time.Second, Chained: true}},
		{"one list", []int{10}, 8, 5 * time.Second, jobs.Forecast{Pages: 10, Longest: 10, Bound: 50 * time.Second, Ideal: 50 * time.Second, Expected: 50 * time.Second, Double: 50 * time.Second, Chained: true}},
		{"eight lists of one page", slices.Repeat([]int{1}, 8), 2, time.Second, jobs.Forecast{Pages: 8, Longest: 1, Bound: 4 * time.Second, Ideal: 4500 * time.Millisecond, Expected: 4500 * time.Millisecond, Double: 2750 * time.Millisecond}},
		{"the longest waits once at the start, never later", eighty, 80, 500 * time.Millisecond, jobs.Forecast{Pages: 1200, Longest: 30, Bound: 15 * time.Second, Ideal: 15487500 * time.Microsecond, Expected: 15487500 * time.Microsecond, Double: 15 * time.Second, Chained: true}},
		{"no limit", []int{3, 7}, 0, time.Second, jobs.Forecast{Pages: 10, Longest: 7, Bound: 7 * time.Second, Ideal: 7 * time.Second, Expected: 7 * time.Second, Double: 7 * time.Second, Chained: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, jobs.Predict(tt.lists, tt.rate, tt.latency)); diff != "" {
				t.Errorf("forecast (-want +got):\n%s", diff)
			}
		})
	}
}

// What is played is what the pages do: never faster than the bound, and little slower than the ideal.
func TestPredictProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lists := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 80).Draw(t, "lists")
		rate := rapid.Float64Range(0.5, 100).Draw(t, "rate")
		latency := time.Duration(rapid.IntRange(1, 8000).Draw(t, "latency")) * time.Millisecond
		f := jobs.Predict(lists, rate, latency)
		const slack = time.Millisecond // of spaces that are no whole number of nanoseconds
		space := time.Duration(float64(time.Second) / rate)
		if f.Expected < f.Ideal-slack || f.Ideal < f.Bound-space-slack {
			t.Errorf("bound %v, ideal %v, expected %v", f.Bound, f.Ideal, f.Expected)
		}
		if f.Pages > 0 && f.Expected > f.Bound+time.Duration(f.Longest+1)*latency+slack {
			t.Errorf("expected %v with a bound of %v and %d × %v", f.Expected, f.Bound, f.Longest, latency)
		}
		if f.Double > f.Expected+slack {
			t.Errorf("twice the rate takes %v instead of %v", f.Double, f.Expected)
		}
	})
}

func TestLengths(t *testing.T) {
	t.Parallel()
	lists := []string{"posts", "reels"}
	reach := func(list string, expected, total int) queue.Reach {
		return queue.Reach{Walk: queue.Walk{List: list, Expected: expected, State: queue.WalkWalking}, Total: total}
	}
	tests := []struct {
		name  string
		known []queue.Reach
		r     queue.Reach
		want  int
	}{
		{"posts show the whole count", nil, reach("posts", 0, 121), 11},
		{"other lists show half of it, as long as nobody knows", nil, reach("reels", 0, 120), 6},
		{"what other accounts show", []queue.Reach{reach("posts", 10, 120), reach("reels", 3, 120), reach("reels", 4, 144)}, reach("reels", 0, 1200), 28},
		{"the length of the last time", []queue.Reach{reach("reels", 9, 120)}, reach("reels", 7, 1200), 7},
		{"nothing is known", nil, reach("posts", 0, 0), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "pages left", jobs.NewLengths(tt.known, lists, 12).Left(tt.r), tt.want)
		})
	}
	// The posts went back 100 days. The reels have come 60 days back in 9 pages: 6 more, whatever the count says.
	ended, under := walked("김밥", "posts", 10, 100, planned), walked("김밥", "reels", 9, 60, planned)
	under.State, under.Expected, under.Total, under.Mark = queue.WalkWalking, 0, 120, time.Time{}
	equal(t, "pages left down to the end of the posts", jobs.NewLengths([]queue.Reach{ended, under}, lists, 12).Left(under), 6)

	r := reach("posts", 0, 120)
	r.Pages = 9
	equal(t, "pages left after nine", jobs.NewLengths(nil, lists, 12).Left(r), 1)
}

func BenchmarkPredict(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var lists []int
	for range 2000 {
		n := int(50 * math.Exp(rng.NormFloat64()))
		lists = append(lists, n, n/2)
	}
	b.Logf("%d pages", jobs.Predict(lists, 8, 5*time.Second).Pages)
	for b.Loop() {
		jobs.Predict(lists, 8, 5*time.Second)
	}
}
