package sim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

func TestExactLengths(t *testing.T) {
	t.Parallel()
	lists, err := sim.ParseLengths("3x1,2x5,0x2,4x0")
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, sim.Options{Seed: 3, Lists: lists, Mute: true})
	accounts := c.s.Accounts()
	if len(accounts) != len(lists) {
		t.Fatalf("%d accounts, want %d", len(accounts), len(lists))
	}
	got := make([]sim.Lengths, len(lists))
	for i, a := range accounts {
		seen := map[string]bool{}
		for _, list := range []string{"posts", "reels"} {
			items, pages := c.walk(list, a)
			if len(items)%12 != 0 {
				t.Errorf("%s/%s has %d items, want whole pages", a, list, len(items))
			}
			if len(items) == 0 {
				pages = 0 // an empty list answers one empty page
			}
			for _, it := range items {
				seen[pkOf(it)] = true
				if it["caption"] != nil {
					t.Errorf("%s has a caption", pkOf(it))
				}
			}
			if list == "posts" {
				got[i].Posts = pages
			} else {
				got[i].Reels = pages
			}
		}
		if want := 12 * max(lists[i].Posts, lists[i].Reels); len(seen) != want {
			t.Errorf("%s has %d media, want %d: the shorter list shows some of the longer one", a, len(seen), want)
		}
	}
	if d := cmp.Diff(lists, got); d != "" {
		t.Error(d)
	}
}

func TestParseLengths(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "3", "3x", "x3", "-1x2", "0x0", "3x2,"} {
		if got, err := sim.ParseLengths(s); err == nil {
			t.Errorf("%q gave %v, want an error", s, got)
		}
	}
}

func TestStatsOfABenchmark(t *testing.T) {
	t.Parallel()
	const latency, arrival = 4 * time.Millisecond, 2 * time.Millisecond
	bubble(t, sim.Options{
		Lists: []sim.Lengths{{Posts: 2, Reels: 1}}, Latency: latency, Jitter: 0.5, Arrival: arrival,
		InstagramPerSecond: 3, CountRefused: true,
	}, func(t *testing.T, c *client) {
		a := c.s.Accounts()[0]
		c.walk("posts", a)
		c.page("posts", a, "") // again
		if got := c.insta("reels", a, ""); got.status != http.StatusTooManyRequests {
			t.Fatalf("status %d, want 429", got.status)
		}
		st := c.s.Stats()
		calls, p := st.Calls["instagram"], st.Pages[a+"/posts"]
		if calls.Refused != 1 || st.PagesAgain != 1 || st.WorstSecond["instagram/1"] != 4 || calls.InFlight != 0 {
			t.Errorf("refused %d, again %d, worst second %v, in flight %d, want 1, 1, 4, 0", calls.Refused, st.PagesAgain, st.WorstSecond, calls.InFlight)
		}
		if len(st.Arrivals) != 3 || st.Arrivals[0] != 0 || st.Arrivals[2] < 2*latency.Seconds()/2 {
			t.Errorf("arrivals %v, want three, the first at 0, each after the answer before", st.Arrivals)
		}
		if took := calls.LastAnswer.Sub(calls.First); took < p.Latency {
			t.Errorf("last answer %s after the first arrival, sooner than one list takes, %s", took, p.Latency)
		}
		// Two pages of latency between half and one and a half times the mean; the repeated one is not counted.
		if p.Latency < latency || p.Latency > 3*latency || p.Arrival <= 0 || p.Arrival > 2*arrival {
			t.Errorf("posts took %s and %s, want about %s and %s", p.Latency, p.Arrival, 2*latency, arrival)
		}
		if resp := c.do(http.MethodPost, "/sim/reset", nil, nil); resp.status != http.StatusNoContent {
			t.Errorf("reset answers %d", resp.status)
		}
		if st := c.s.Stats(); st.PagesServed != 0 || len(st.Arrivals) != 0 {
			t.Errorf("after a reset %d pages and %d arrivals", st.PagesServed, len(st.Arrivals))
		}
	})
}
