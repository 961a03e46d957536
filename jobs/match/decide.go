package match

import (
	"cmp"
	"slices"
	"strings"

	"sumbi/adapters"
)

// Decide chooses the candidate that a mention means, or none. The candidates may be the union of several searches and
// finders; entries of one place are no rivals of each other. The answer does not depend on their order.
func Decide(m Mention, candidates []adapters.Candidate) Decision {
	return embedded().Decide(m, candidates)
}

// Decide decides by this model.
func (w *Model) Decide(m Mention, candidates []adapters.Candidate) Decision {
	return w.decide(compareNamed(m, candidates, w.without))
}

func (w *Model) decide(c *comparison) Decision {
	d := Decision{State: None, Index: -1, Pick: -1}
	switch {
	case c == nil:
		d.Reason = "the mention has no name"
		return d
	case len(c.candidates) == 0:
		d.Reason = "the search found nothing"
		return d
	}
	d.Compared = c.pairs
	r := w.rank(c)
	for i := range r.scored {
		r.scored[i].Why = w.why(c, r.scored[i].Index)
	}
	d.Scored = r.scored
	best := d.Scored[0]
	d.Score = best.Score
	if w.Two.state(best.Score, r.lead) == Place {
		d.Pick = best.Index
	}
	t := w.Three
	d.State = t.state(best.Score, r.lead)
	e := &c.evidence[best.Index]
	poor := d.State == Place && e.name >= nameFar && e.place < placeGroups // such a name needs the very address
	if poor {
		d.State = Review
	}
	switch {
	case d.State == Place:
		d.Index, d.Reason = best.Index, "chosen: "+best.Why
	case d.State == Review && best.Score >= t.Accept && !poor:
		d.Index, d.Reason = best.Index, "two candidates fit about equally: "+best.Why
	case d.State == Review:
		d.Index, d.Reason = best.Index, "not certain enough: "+best.Why
	default:
		d.Reason = "no candidate fits; the best: " + best.Why
	}
	return d
}

// compareNamed compares what has a name; nil otherwise.
func compareNamed(m Mention, candidates []adapters.Candidate, without Part) *comparison {
	if compact(clean(m.Name)) == "" {
		return nil
	}
	return compare(m, candidates, without)
}

// order puts the better candidate first, and entries that score the same by what they say.
func (c *comparison) order(a, b Scored) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), preferred(c.candidates[a.Index], c.candidates[b.Index]), cmp.Compare(a.Index, b.Index))
}

// preferred orders entries that score the same: the one with a stable id, then the one with more address, then by text.
func preferred(a, b *candidate) int {
	return cmp.Or(
		cmp.Compare(b2i(b.ID != ""), b2i(a.ID != "")),
		cmp.Compare(b2i(b.RoadAddress != ""), b2i(a.RoadAddress != "")),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.RoadAddress, b.RoadAddress), cmp.Compare(a.Address, b.Address),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.Finder, b.Finder), cmp.Compare(a.Lat, b.Lat), cmp.Compare(a.Lng, b.Lng),
		cmp.Compare(a.Category, b.Category), cmp.Compare(a.Phone, b.Phone), cmp.Compare(a.Link, b.Link))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Sure reports whether more searches would not change the answer: the best is certain, and a further candidate could
// only be another entry of it.
func Sure(m Mention, candidates []adapters.Candidate) bool {
	c := compareNamed(m, candidates, 0)
	d := embedded().decide(c)
	if d.State != Place || d.Score < 0.9 {
		return false
	}
	e := &c.evidence[d.Index]
	switch {
	case nameGroup(e.name) > 1:
		return false
	case e.place == placeGroups, e.branch == branchSame:
		return true
	case e.place < placeGroups-1:
		return false
	}
	for i, x := range c.candidates {
		if i == d.Index || x.same[d.Index] || nameGroup(c.evidence[i].name) > 1 {
			continue
		}
		if x.branch.any || c.candidates[d.Index].branch.any || c.evidence[i].place > 0 {
			return false // a chain: another branch may lie nearer
		}
	}
	return true
}

// Worth reports whether a query of Queries is worth asking after these candidates were found: other forms of the name
// are, only while nothing of that name was found.
func Worth(m Mention, query string, found []adapters.Candidate) bool {
	name, _ := cutBrackets(queryText(m.Name))
	if strings.Contains(compact(query), compact(name)) {
		return true
	}
	c := compareNamed(m, found, 0)
	return c == nil || !slices.ContainsFunc(c.evidence, func(e evidence) bool { return e.name <= nameContain })
}
