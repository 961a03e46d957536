package sim

import (
	"fmt"
	"slices"
	"strings"
)

// Decision is what a run made of one mention of a post.
type Decision struct {
	Name  string // as written
	State string // place, none, review or waiting
	Place Place  // when State is place; only Name and RoadAddress are looked at
}

// KindReport counts the decisions about mentions of one kind.
type KindReport struct {
	Kind      string // "ordinary" for those that are not hard, "all" for the sum
	Mentions  int
	OnMap     int // those that mean a place of the map, and say enough to tell which
	Right     int
	Wrong     int // another place, or a place where none is right
	Missed    int // none, or nothing, where a place is right
	RightNone int
	Review    int // put aside for a person
}

// Precision is the share of the right ones among the places that were chosen without a person; 1 when none was.
func (k KindReport) Precision() float64 { return share(k.Right, k.Right+k.Wrong) }

// Kinds is a report of each kind, in the order of their names, and of all at the end.
type Kinds []KindReport

// GradeKinds compares the decisions about each post with the truth, kind by kind.
func (s *Server) GradeKinds(decided map[string][]Decision) Kinds {
	kinds := map[string]*KindReport{}
	all := KindReport{Kind: "all"}
	for id, p := range s.Posts() {
		left := slices.Clone(decided[id])
		for _, m := range p.Mentions {
			name := m.Kind
			if name == "" {
				name = "ordinary"
			}
			k := kinds[name]
			if k == nil {
				k = &KindReport{Kind: name}
				kinds[name] = k
			}
			var d Decision
			if i := slices.IndexFunc(left, func(d Decision) bool { return d.Name == m.Name }); i >= 0 {
				d = left[i]
				left = slices.Delete(left, i, i+1)
			}
			k.count(m, d)
			all.count(m, d)
		}
		for _, d := range left { // of no restaurant that the caption names
			if d.State == "place" {
				all.Wrong++
			}
		}
	}
	out := make(Kinds, 0, len(kinds)+1)
	for _, k := range kinds {
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b KindReport) int { return strings.Compare(a.Kind, b.Kind) })
	return append(out, all)
}

func (k *KindReport) count(m Mention, d Decision) {
	k.Mentions++
	if m.Place != nil {
		k.OnMap++
	}
	switch {
	case d.State == "review":
		k.Review++
	case d.State == "place" && m.Place != nil && choose(map[*Place]Mention{m.Place: m}, d.Place) != nil:
		k.Right++
	case d.State == "place":
		k.Wrong++
	case m.Place != nil:
		k.Missed++
	default:
		k.RightNone++
	}
}

// String is a table for a terminal.
func (ks Kinds) String() string {
	var b strings.Builder
	const row = "%-31s %8v %7v %6v %6v %7v %10v %7v\n"
	fmt.Fprintf(&b, row, "caption to place", "mentions", "on map", "right", "wrong", "missed", "right none", "review")
	for _, k := range ks {
		fmt.Fprintf(&b, row, k.Kind, k.Mentions, k.OnMap, k.Right, k.Wrong, k.Missed, k.RightNone, k.Review)
	}
	return b.String()
}
