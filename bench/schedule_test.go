package main

import (
	"math"
	"testing"
	"time"

	"sumbi/sim"
)

func TestLengths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ accounts, pages, longest int }{{40, 1200, 30}, {40, 316, 8}, {4, 40, 9}, {2, 10, 4}} {
		w := workload{lists: lengths(tt.accounts, tt.pages, tt.longest)}
		if len(w.lists) != tt.accounts || w.pages() != tt.pages || w.longest() != tt.longest {
			t.Errorf("%d accounts, %d pages, longest %d; want %+v", len(w.lists), w.pages(), w.longest(), tt)
		}
		for _, l := range w.lists {
			if l.Posts < l.Reels || l.Reels < 1 {
				t.Errorf("lists of %d and %d pages: the posts are the longer one, none is empty", l.Posts, l.Reels)
			}
		}
	}
}

func TestBoundAndIdeal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		w           workload
		bound, best time.Duration
	}{
		{"scaled", scaled, 15 * time.Second, 15487500 * time.Microsecond},
		{"unscaled", unscaled, 40 * time.Second, 44375 * time.Millisecond},
		{"one long list", workload{lists: []sim.Lengths{{Posts: 50, Reels: 1}}, limit: 8, latency: time.Second}, 50 * time.Second, 50 * time.Second},
	} {
		chain := time.Duration(tt.w.longest()) * tt.w.latency
		if got := bound(tt.w.pages(), float64(tt.w.limit), chain); got != tt.bound {
			t.Errorf("%s: bound %s, want %s", tt.name, got, tt.bound)
		}
		if got := ideal(tt.w.pages(), float64(tt.w.limit), tt.w.latency, chain); got != tt.best {
			t.Errorf("%s: ideal %s, want %s", tt.name, got, tt.best)
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	even := make([]float64, 801)
	for i := range even {
		even[i] = float64(i) / 80
	}
	late := append([]float64{0}, even[80:]...) // a slow start is not in the middle of the run
	half := []float64{}
	for i := 0; i < len(even); i += 2 {
		half = append(half, even[i])
	}
	for _, tt := range []struct {
		name     string
		arrivals []float64
		want     float64
	}{{"even", even, 1}, {"slow start", late, 1}, {"every second slot", half, 0.5}, {"one call", []float64{0}, 0}, {"none", nil, 0}} {
		if got := share(tt.arrivals, 80); math.Abs(got-tt.want) > 0.002 {
			t.Errorf("%s: %.4f, want %.4f", tt.name, got, tt.want)
		}
	}
}

func TestLongestChain(t *testing.T) {
	t.Parallel()
	st := sim.Stats{Pages: map[string]sim.Pages{
		"a/posts": {Latency: 3 * time.Second, Arrival: time.Millisecond},
		"a/reels": {Latency: 2 * time.Second, Arrival: 2 * time.Second},
	}}
	if got := longestChain(st); got != 4*time.Second {
		t.Errorf("%s, want 4s", got)
	}
}

func TestReplaceFigures(t *testing.T) {
	t.Parallel()
	const page = "# 결과\n\nabove\n\n<!-- figures -->\nold\n<!-- /figures -->\n\nbelow\n"
	got, err := replaceFigures(page, "new\n")
	if want := "# 결과\n\nabove\n\n<!-- figures -->\nnew\n<!-- /figures -->\n\nbelow\n"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := replaceFigures("no marks", "new"); err == nil {
		t.Error("a file without the marks was taken")
	}
}

func TestMedianAndP95(t *testing.T) {
	t.Parallel()
	var ds []time.Duration
	for i := 100; i >= 1; i-- {
		ds = append(ds, time.Duration(i))
	}
	if m, p := quantile(ds, 0.5), quantile(ds, 0.95); m != 51 || p != 96 {
		t.Errorf("median %d, 95 %% %d; want 51 and 96", m, p)
	}
}
