package match

import "math"

// rivals says how far a candidate is ahead of the best that is another place, and whether another place has the name
// as well: then how much is known about where matters more (0 = no namesake).
func (w *Model) rivals(c *comparison, i int) (own, namesake level) {
	best := math.Inf(-1)
	for j, other := range c.candidates {
		if i == j || other.barred || c.candidates[i].same[j] {
			continue
		}
		best = max(best, sum(&w.pair, c.evidence[j].levels))
		if c.evidence[j].name <= min(c.evidence[i].name, nameContain) {
			namesake = namesake0 + level(c.evidence[i].place)
		}
	}
	own = rival(sum(&w.pair, c.evidence[i].levels) - best)
	if c.evidence[i].name >= nameFar {
		own = max(own, rivalNarrow) // to be better than poor ones proves nothing
	}
	return own, namesake
}

// rival grades the lead over the best other place, in log-odds.
func rival(lead float64) level {
	switch {
	case math.IsInf(lead, 1):
		return rivalNarrow // no rival proves nothing
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
