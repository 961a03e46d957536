package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

var planned = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// walked is a list that a whole walk of an earlier run has seen: so many pages over so many days.
func walked(target, list string, pages, days int, ended time.Time) queue.Reach {
	return queue.Reach{Walk: queue.Walk{
		Target: target, List: list, State: queue.WalkIdle, Run: 1, Pages: pages, Expected: pages, Mark: ended, Newest: ended, Oldest: ended.AddDate(0, 0, -days),
	}, Ended: ended}
}

func planInput(known queue.Known, targets ...string) jobs.PlanInput {
	if known.Targets == nil {
		known.Targets = map[string]queue.Target{}
	}
	return jobs.PlanInput{
		Pipeline: "맛집", Lists: []string{"posts", "reels"}, PageSize: 12, Targets: targets, Known: known, Now: planned,
		Rate: 8, Finders: []string{"naver"}, MaxLines: 50_000, EnqueuedTokens: 2_000_000,
	}
}

func TestPlanPages(t *testing.T) {
	t.Parallel()
	now, ago := planned, planned.AddDate(0, 0, -12)
	gone := map[string]queue.Target{"사라짐": {Target: "사라짐", State: queue.WalkGone, Misses: 3}}
	under := walked("김밥", "posts", 4, 100, ago)
	under.State, under.Run, under.Mark, under.Expected, under.Total = queue.WalkWalking, 7, time.Time{}, 0, 120
	tests := []struct {
		name      string
		in        jobs.PlanInput
		change    func(in *jobs.PlanInput)
		pages     int
		longest   int
		unknown   string
		skipped   int
		lookUps   int
		foresees  int // new posts
		wholeRun  bool
		continues int64
	}{
		{name: "nothing known", in: planInput(queue.Known{}, "김밥"), pages: 76, longest: 51, unknown: "김밥", foresees: 675},
		{name: "a count", in: planInput(queue.Known{Targets: map[string]queue.Target{"김밥": {Total: 240}}}, "김밥"), pages: 31, longest: 20, foresees: 270 - 4},
		{name: "just walked", in: planInput(queue.Known{Walks: []queue.Reach{walked("김밥", "posts", 10, 300, now), walked("김밥", "reels", 5, 300, now)}}, "김밥"), pages: 2, longest: 1},
		{
			// A post every 2.5 days: 4.8 in 12 days. Reels: one in 5 days, 2.4.
			name: "habits", in: planInput(queue.Known{Walks: []queue.Reach{walked("김밥", "posts", 10, 300, ago), walked("김밥", "reels", 5, 300, ago)}}, "김밥"), pages: 4, longest: 2, foresees: 5,
		},
		{
			name: "whole lists", in: planInput(queue.Known{Walks: []queue.Reach{walked("김밥", "posts", 10, 300, now), walked("김밥", "reels", 5, 300, now)}}, "김밥"),
			change: func(in *jobs.PlanInput) { in.Full = true }, pages: 15, longest: 10, wholeRun: true,
		},
		{
			name: "whole lists are due", in: planInput(queue.Known{FullDue: true, Walks: []queue.Reach{walked("김밥", "posts", 10, 300, now), walked("김밥", "reels", 5, 300, now)}}, "김밥"),
			pages: 15, longest: 10, wholeRun: true,
		},
		{
			name: "due, but accounts were named", in: planInput(queue.Known{FullDue: true, Walks: []queue.Reach{walked("김밥", "posts", 10, 300, now), walked("김밥", "reels", 5, 300, now)}}, "김밥"),
			change: func(in *jobs.PlanInput) { in.Chosen = true }, pages: 2, longest: 1,
		},
		{name: "gone too often", in: planInput(queue.Known{Targets: gone}, "사라짐"), skipped: 1},
		{name: "gone, but named", in: planInput(queue.Known{Targets: gone}, "사라짐"), change: func(in *jobs.PlanInput) { in.Chosen = true }, pages: 2, longest: 1, lookUps: 2},
		{
			// The posts have 6 of 10 pages left, the reels are at their end; nobody else is in this run.
			name: "an unfinished run", in: planInput(queue.Known{Open: &queue.Run{ID: 7, Seeded: ago}, Walks: []queue.Reach{under, walked("김밥", "reels", 5, 300, ago)}}, "김밥", "새집"),
			pages: 6, longest: 6, foresees: 50, continues: 7,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := tt.in
			if tt.change != nil {
				tt.change(&in)
			}
			p := jobs.MakePlan(in)
			equal(t, "pages", p.Crawl.Pages, tt.pages)
			equal(t, "longest list", p.Crawl.Longest, tt.longest)
			equal(t, "unknown", strings.Join(p.Unknown, " "), tt.unknown)
			equal(t, "skipped", p.Skipped, tt.skipped)
			equal(t, "look-ups", p.LookUps, tt.lookUps)
			equal(t, "new posts", p.Posts, tt.foresees)
			equal(t, "whole lists", p.Full, tt.wholeRun)
			equal(t, "goes on with", p.Open, tt.continues)
		})
	}
}

// Small chances add up: 100 lists with a new post in one of two weeks are about as many further pages, not none and not 100.
func TestPlanAddsUpChances(t *testing.T) {
	t.Parallel()
	var known queue.Known
	var targets []string
	for i := range 50 {
		name := fmt.Sprintf("집%d", i)
		targets = append(targets, name)
		for _, l := range []string{"posts", "reels"} {
			known.Walks = append(known.Walks, walked(name, l, 3, 72, planned.AddDate(0, 0, -1))) // 36 in 72 days: half a post a day
		}
	}
	p := jobs.MakePlan(planInput(known, targets...))
	if n := p.Crawl.Pages; n < 135 || n > 145 { // 100 × (1 + 1 - e^-½)
		t.Errorf("%d pages, want about 139", n)
	}
}

func TestPlanFollows(t *testing.T) {
	t.Parallel()
	// Nothing known: everything is assumed, and said.
	p := jobs.MakePlan(planInput(queue.Known{}, "김밥", "국밥"))
	equal(t, "posts", p.Posts, 1350)
	equal(t, "captions", p.Captions, 1283)
	equal(t, "batches", p.Batches, 1)
	equal(t, "searches", p.Searches[0], jobs.Searches{Finder: "naver", N: 1847})
	equal(t, "assumptions", len(p.Assumed), 9)

	// Habits take the place of assumptions.
	known := queue.Known{
		Listed: 1000, Records: 800, Asked: 600, Answered: 600, Mentions: 900, Batches: 2, Input: 600_000, Output: 60_000,
		Requests: map[string]int{"naver": 450, "openai": 30}, Targets: map[string]queue.Target{"김밥": {Total: 24_000}},
	}
	in := planInput(known, "김밥")
	in.Latency = 2 * time.Second
	p = jobs.MakePlan(in)
	// 24,000 posts and half as many reels; 0.8 of them are different posts.
	posts := 28_800
	if p.Posts < posts-20 || p.Posts > posts+20 {
		t.Errorf("%d posts, want about %d", p.Posts, posts)
	}
	captions := p.Posts * 600 / 800
	if d := p.Captions - captions; d < -1 || d > 1 {
		t.Errorf("%d captions, want %d", p.Captions, captions)
	}
	equal(t, "batches: 2,000,000 tokens hold 2,000 questions", p.Batches, 11)
	equal(t, "requests for them", p.OpenAI, 11*15)
	if d := p.Mentions - p.Captions*3/2; d < -1 || d > 1 {
		t.Errorf("%d restaurants in %d captions, want 1.5 in each", p.Mentions, p.Captions)
	}
	if d := p.Searches[0].N - p.Mentions/2; d < -1 || d > 1 {
		t.Errorf("%d searches for %d restaurants, want half as many", p.Searches[0].N, p.Mentions)
	}
	if d := p.Input - int64(p.Captions)*1000; d < -1000 || d > 1000 {
		t.Errorf("%d tokens for %d captions of 1,000", p.Input, p.Captions)
	}
	if i := slices.IndexFunc(p.Assumed, func(a jobs.Assumption) bool { return !strings.Contains(a.What, "reels") }); i >= 0 {
		t.Errorf("assumed although the file knows it: %v", p.Assumed[i])
	}

	// What waits already is counted, too.
	p = jobs.MakePlan(planInput(queue.Known{
		Walks: []queue.Reach{walked("김밥", "posts", 3, 300, planned), walked("김밥", "reels", 1, 300, planned)}, Waiting: 100, Matching: 40, Answered: 100, Mentions: 140, Requests: map[string]int{"naver": 100},
	}, "김밥"))
	equal(t, "captions that wait", p.Captions, 100)
	equal(t, "restaurants that wait or will", p.Mentions, 180)
}
