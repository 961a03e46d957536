package kakao_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/kakao"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

func TestSimulated(t *testing.T) {
	t.Parallel()
	server := sim.New(sim.Options{Seed: 7, Keys: sim.Keys{KakaoDisabled: []string{"지도-꺼진-열쇠"}}})
	base, stop, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	finder := func(key adapters.Secret) *kakao.Finder {
		return kakao.New(kakao.Options{Client: rest.New(rest.Options{
			Upstream: "kakao", BaseURL: base + sim.KakaoPath, Limits: []*rest.Limit{kakao.Limit(key, 0, 0, nil)}, Classify: kakao.Classify,
		})})
	}
	place := server.Places()[0]
	found, err := finder(sim.DefaultKakaoKey).Find(t.Context(), place.Name)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(c adapters.Candidate) bool { return c.ID == place.ID && c.Lat != 0 }) {
		t.Errorf("%q: got %+v, want %+v", place.Name, found, place)
	}
	_, err = finder("지도-꺼진-열쇠").Find(t.Context(), place.Name)
	if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != adapters.NeedsHuman || !strings.Contains(err.Error(), "switch Kakao Map on") {
		t.Errorf("map off: %v", err)
	}
	_, err = finder("틀린-열쇠").Find(t.Context(), place.Name)
	if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != adapters.Unauthorized {
		t.Errorf("wrong key: %v", err)
	}
}
