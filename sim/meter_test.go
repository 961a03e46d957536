package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestMeter lets the calls of a key be looked at later than they arrive and in another order, as a busy machine does.
func TestMeter(t *testing.T) {
	t.Parallel()
	const limit = 5
	begin := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		every   time.Duration
		refused bool
	}{"at the limit": {time.Second / limit, false}, "above it": {time.Second / (limit + 1), true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			var m meter
			refused := 0
			for first := 0; first < 1000; first += 7 { // these are looked at together
				group := rng.Perm(7)
				for _, i := range group {
					if m.arrive(begin.Add(time.Duration(first+i)*tt.every), limit, 0, true, "") == tooFast {
						refused++
					}
				}
			}
			if (refused > 0) != tt.refused || (m.worst > limit) != tt.refused {
				t.Errorf("%d calls refused, at most %d in a second", refused, m.worst)
			}
			if !slices.IsSortedFunc(m.arrivals, time.Time.Compare) || len(m.arrivals) > 4*limit*int(remembered/time.Second) {
				t.Errorf("%d arrivals are remembered, sorted %v", len(m.arrivals), slices.IsSortedFunc(m.arrivals, time.Time.Compare))
			}
		})
	}
}
