package sim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Everybody who is measured against one seed meets the same latencies, in whatever order the lists are read.
func TestDrawsDependOnTheListOnly(t *testing.T) {
	t.Parallel()
	draw := func(order ...string) map[string][]float64 {
		d, got := newDice(Options{Seed: 7}), map[string][]float64{}
		for _, what := range order {
			got[what] = append(got[what], d.nth(what))
		}
		d.again()
		if got["answer 달빛"][0] != d.nth("answer 달빛") {
			t.Error("a second run differs from the first")
		}
		return got
	}
	a := draw("answer 달빛", "answer 달빛", "way 달빛", "answer 별빛")
	b := draw("answer 별빛", "way 달빛", "answer 달빛", "answer 달빛")
	if !cmp.Equal(a, b) {
		t.Errorf("%v, in another order %v", a, b)
	}
	if a["answer 달빛"][0] == a["answer 달빛"][1] || a["answer 달빛"][0] == a["answer 별빛"][0] {
		t.Errorf("draws repeat: %v", a)
	}
}
