package jobs_test

import (
	"math"
	"testing"

	"sumbi/jobs"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, now   map[string]float64
		made, allowed float64
		shared        bool
		want          map[string]float64
	}{
		{"alone", nil, map[string]float64{"call": 6, "guard": 0.5, "no page": 1}, 6, 8, false, map[string]float64{"call": 6, "guard": 0.5, "no page": 1, "own delay": 0.5}},
		{"from there on", map[string]float64{"call": 100, "held": 20}, map[string]float64{"call": 106, "held": 21}, 6, 8, false, map[string]float64{"call": 6, "held": 1, "own delay": 1}},
		{"answers that are still to come", nil, map[string]float64{"call": 6}, 2, 6, false, map[string]float64{"call": 2, "own delay": 4}},
		{"half of a lane", nil, map[string]float64{"call": 8, "no page": 4}, 4, 16, true, map[string]float64{"call": 4, "no page": 2, "own delay": 2}},
		{"a lane that stands still", nil, map[string]float64{"held": 8}, 0, 8, true, map[string]float64{"call": 0, "held": 8, "own delay": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := jobs.Split(c.before, c.now, c.made, c.allowed, c.shared)
			for what, n := range c.want {
				if math.Abs(got[what]-n) > 1e-9 {
					t.Errorf("%s: %v, want %v", what, got[what], n)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
