package match

import (
	"cmp"
	"math"
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
	d, _, _ := w.decide(m, candidates)
	return d
}

func (w *Model) decide(m Mention, candidates []adapters.Candidate) (Decision, []*candidate, []evidence) {
	d := Decision{State: None, Index: -1}
	switch {
	case compact(clean(m.Name)) == "":
		d.Reason = "the mention has no name"
		return d, nil, nil
	case len(candidates) == 0:
		d.Reason = "the search found nothing"
		return d, nil, nil
	}
	_, cs, es := gather(m, candidates)
	w.rivals(cs, es)
	d.Scored = make([]Scored, len(cs))
	for i, e := range es {
		d.Scored[i] = Scored{Index: i, Score: logistic(sum(&w.final, e.levels)), Why: why(e.levels)}
		if cs[i].barred {
			d.Scored[i].Score, d.Scored[i].Why = 0, "not a restaurant"
		}
	}
	slices.SortFunc(d.Scored, func(a, b Scored) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), preferred(cs[a.Index], cs[b.Index]), cmp.Compare(a.Index, b.Index))
	})
	best := d.Scored[0]
	d.Score = best.Score
	second := -1.0
	for _, s := range d.Scored[1:] {
		if !cs[best.Index].same[s.Index] {
			second = s.Score
			break
		}
	}
	switch {
	case best.Score >= w.Accept && best.Score-second >= w.Lead:
		d.State, d.Index, d.Reason = Place, best.Index, "chosen: "+best.Why
	case best.Score >= w.Accept:
		d.State, d.Index, d.Reason = Review, best.Index, "two candidates fit about equally: "+best.Why
	case best.Score >= w.Review:
		d.State, d.Index, d.Reason = Review, best.Index, "not certain enough: "+best.Why
	default:
		d.Reason = "no candidate fits; the best: " + best.Why
	}
	return d, cs, es
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

// rivals adds to each candidate how far it is ahead of the best that is another place.
func (w *Model) rivals(cs []*candidate, es []evidence) {
	scores := make([]float64, len(cs))
	for i, e := range es {
		scores[i] = sum(&w.pair, e.levels)
	}
	for i := range cs {
		best, namesake := math.Inf(-1), false
		for j := range cs {
			if i == j || cs[j].barred || cs[i].same[j] {
				continue
			}
			best = max(best, scores[j])
			namesake = namesake || es[j].name <= min(es[i].name, nameContain)
		}
		es[i].levels = append(es[i].levels, rival(scores[i]-best))
		if namesake {
			es[i].levels = append(es[i].levels, namesake0+level(es[i].place))
		}
	}
}

// rival grades the lead over the best other place, in log-odds.
func rival(lead float64) level {
	switch {
	case math.IsInf(lead, 1):
		return rivalAlone
	case lead >= 4:
		return rivalFarLead
	case lead >= 2:
		return rivalLead
	case lead >= 0.5:
		return rivalNarrow
	case lead > -0.5:
		return rivalTie
	case lead > -2:
		return rivalBehind
	}
	return rivalFarBehind
}

// why puts the levels that say something into words.
func why(ls []level) string {
	var words []string
	for _, l := range ls {
		switch l {
		case rivalFarLead, bias, addrNone, areaNone, branchNone, pinNone, pinNameNone, kindFood, kindUnknown, shortName, rareScript, rivalAlone, rivalLead:
			continue
		}
		if l < namesake0 {
			words = append(words, l.String())
		}
	}
	return strings.Join(words, ", ")
}

// Sure reports whether more searches would not change the answer: the best is certain, and a further candidate could
// only be another entry of it.
func Sure(m Mention, candidates []adapters.Candidate) bool {
	d, cs, es := embedded().decide(m, candidates)
	if d.State != Place || d.Score < 0.9 {
		return false
	}
	e := es[d.Index]
	if nameGroup(e.name) > 1 {
		return false
	}
	if e.place == 5 {
		return true
	}
	if e.place < 4 {
		return false
	}
	for i, c := range cs {
		if i != d.Index && nameGroup(es[i].name) <= 1 && !c.same[d.Index] && !slices.Contains(e.levels, branchSame) {
			return false // a chain: another branch may lie nearer
		}
	}
	return true
}
