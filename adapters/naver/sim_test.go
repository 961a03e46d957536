package naver_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/naver"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

func TestSimulated(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{naver.Hub, naver.Legacy} {
		server := sim.New(sim.Options{Seed: 7, NaverDialect: dialect})
		base, stop, err := server.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		finder := func(dialect string) *naver.Finder {
			limit := naver.Limit(sim.DefaultNaverClientID, sim.DefaultNaverClientSecret, dialect, 0, 0, nil)
			return naver.New(naver.Options{Dialect: dialect, Client: rest.New(rest.Options{
				Upstream: "naver", BaseURL: base + sim.NaverPath, Limits: []*rest.Limit{limit}, Classify: naver.Classify,
			})})
		}
		place := server.Places()[0]
		found, err := finder(dialect).Find(t.Context(), place.Name)
		if err != nil {
			t.Fatal(err)
		}
		same := func(c adapters.Candidate) bool { return c.RoadAddress == place.RoadAddress && c.Lat != 0 }
		if !slices.ContainsFunc(found, same) || len(found) > 5 {
			t.Errorf("%s: %q: got %+v, want %+v", dialect, place.Name, found, place)
		}
		// The key of one dialect in the other.
		other := map[string]string{naver.Hub: naver.Legacy, naver.Legacy: naver.Hub}[dialect]
		_, err = finder(other).Find(t.Context(), place.Name)
		e, ok := errors.AsType[*adapters.Error](err)
		if !ok || e.Kind != adapters.Unauthorized && e.Kind != adapters.NeedsHuman || !strings.Contains(err.Error(), "dialect") {
			t.Errorf("%s: wrong dialect: %v", dialect, err)
		}
	}
}
