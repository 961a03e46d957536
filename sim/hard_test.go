package sim_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

// TestHardWorld checks that every kind is written about, that first results mislead, and that what can be told is there to be found.
func TestHardWorld(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Seed: 5, Accounts: 6, Posts: 90, Hard: true})
	found := map[string]bool{
		"namesake, area named": true, "similar name first": true, "successor": true, "two branches near, address": true,
	}
	misled := map[string]int{}
	seen := map[string]int{}
	for id, p := range c.s.Posts() {
		for _, m := range p.Mentions {
			seen[m.Kind]++
			if !strings.Contains(p.Caption, m.Quote) || m.Quote == "" {
				t.Errorf("post %s: %q does not stand in %q", id, m.Quote, p.Caption)
			}
			if m.Kind == "" {
				continue
			}
			items := c.naver(m.Area+" "+m.Name, "&display=5").Items
			has, first := false, false
			for i, it := range items {
				if m.Place != nil && strip(it.Title) == m.Place.Name && it.RoadAddress == m.Place.RoadAddress {
					has, first = true, i == 0
				}
			}
			if len(items) > 0 && !first {
				misled[m.Kind]++
			}
			if found[m.Kind] && !has {
				t.Errorf("%s: %s %s is not among the results", m.Kind, m.Area, m.Name)
			}
		}
	}
	for _, k := range []string{
		"", "branch by its station", "chain, no branch", "closed, successor there", "namesake, area named", "namesake, no area", "only a similar name",
		"renamed", "similar name first", "successor", "two branches near, address", "two branches near, no address",
	} {
		if seen[k] == 0 {
			t.Errorf("nobody writes about %q", k)
		}
		delete(seen, k)
	}
	if len(seen) > 0 {
		t.Errorf("unexpected kinds: %v", seen)
	}
	for _, k := range []string{"namesake, area named", "similar name first", "only a similar name", "closed, successor there"} {
		if misled[k] == 0 {
			t.Errorf("%s: the first result is always right", k)
		}
	}
}

func strip(s string) string {
	return strings.NewReplacer("<b>", "", "</b>", "", "&amp;", "&").Replace(s)
}

// TestGradeKinds grades decisions that are all right, all wrong, put aside, and not made.
func TestGradeKinds(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Seed: 6, Accounts: 2, Posts: 40, Hard: true})
	defer s.Close()
	total, onMap := 0, 0
	decide := func(f func(m sim.Mention) sim.Decision) sim.KindReport {
		decided := map[string][]sim.Decision{}
		total, onMap = 0, 0
		for id, p := range s.Posts() {
			for _, m := range p.Mentions {
				total++
				if m.Place != nil {
					onMap++
				}
				if d := f(m); d.State != "" {
					decided[id] = append(decided[id], d)
				}
			}
		}
		ks := s.GradeKinds(decided)
		sum := sim.KindReport{Kind: "all"}
		for _, k := range ks[:len(ks)-1] {
			sum.Mentions, sum.OnMap, sum.Right, sum.Wrong = sum.Mentions+k.Mentions, sum.OnMap+k.OnMap, sum.Right+k.Right, sum.Wrong+k.Wrong
			sum.Missed, sum.RightNone, sum.Review = sum.Missed+k.Missed, sum.RightNone+k.RightNone, sum.Review+k.Review
		}
		if diff := cmp.Diff(sum, ks[len(ks)-1]); diff != "" {
			t.Errorf("the kinds do not add up: %s", diff)
		}
		return sum
	}
	truth := func(m sim.Mention) sim.Decision {
		if m.Place == nil {
			return sim.Decision{Name: m.Name, State: "none"}
		}
		return sim.Decision{Name: m.Name, State: "place", Place: *m.Place}
	}
	for name, tt := range map[string]struct {
		decide func(sim.Mention) sim.Decision
		want   func() sim.KindReport
	}{
		"right": {truth, func() sim.KindReport { return sim.KindReport{Right: onMap, RightNone: total - onMap} }},
		"wrong": {func(m sim.Mention) sim.Decision {
			return sim.Decision{Name: m.Name, State: "place", Place: sim.Place{Name: m.Name, RoadAddress: "서울특별시 중구 없는로 1"}}
		}, func() sim.KindReport { return sim.KindReport{Wrong: total} }},
		"review":  {func(m sim.Mention) sim.Decision { return sim.Decision{Name: m.Name, State: "review"} }, func() sim.KindReport { return sim.KindReport{Review: total} }},
		"nothing": {func(sim.Mention) sim.Decision { return sim.Decision{} }, func() sim.KindReport { return sim.KindReport{Missed: onMap, RightNone: total - onMap} }},
	} {
		got := decide(tt.decide)
		want := tt.want()
		want.Kind, want.Mentions, want.OnMap = "all", total, onMap
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want -, got +\n%s", name, diff)
		}
	}
}
