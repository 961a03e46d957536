package match

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
)

// Folds of a cross-validation, and how often it is repeated with other folds.
const (
	folds   = 5
	repeats = 10
)

// Part is a part of the method that can be left out, to see what it is worth.
type Part uint32

// The parts.
const (
	PartAddress Part = 1 << iota
	PartArea
	PartBranch
	PartPin
	PartInformal
	PartOfficial
	PartGeneric
	PartReading
	PartJamo
	PartPairs
	PartRivals
	PartCategory
)

// Parts returns all parts with what they are called.
func Parts() []struct {
	Part Part
	Name string
} {
	return []struct {
		Part Part
		Name string
	}{
		{PartAddress, "address"},
		{PartArea, "area words"},
		{PartBranch, "branch"},
		{PartPin, "Instagram location"},
		{PartInformal, "informal area names"},
		{PartOfficial, "official area names"},
		{PartGeneric, "removal of generic words"},
		{PartReading, "loanwords, letters, digits, sound"},
		{PartJamo, "letters of syllables"},
		{PartPairs, "pairs of name and place"},
		{PartRivals, "rivals"},
		{PartCategory, "category"},
	}
}

// Validation is what a cross-validation by place found: every case was decided by weights that were fitted without
// any case about its place, several times over with other folds.
type Validation struct {
	Two, Three []Count // one a repetition; place or none, and with review
	Loss       float64 // mean over the cases of -log of the probability given to what is so
	Wrong      []Miss  // what was decided wrongly without review
}

// Total adds up the repetitions.
func (v Validation) Total() (two, three Count) {
	for i := range v.Two {
		two, three = two.plus(v.Two[i]), three.plus(v.Three[i])
	}
	return two, three
}

// Miss is a case that was decided wrongly.
type Miss struct {
	Case     Case
	Decision Decision // the last wrong one
	Times    int      // in so many repetitions
}

// Train fits a model to labelled cases and chooses its thresholds by out-of-fold scores. The same cases in the same
// order give the same model to the last digit.
func Train(cases []Case) (*Model, Validation, error) { return train(cases, 0) }

// Validate cross-validates without some parts of the method.
func Validate(cases []Case, without Part) (Validation, error) {
	_, v, err := train(cases, without)
	return v, err
}

func train(cases []Case, without Part) (*Model, Validation, error) {
	if len(cases) < 2*folds {
		return nil, Validation{}, fmt.Errorf("%d cases are too few to train on; at least %d", len(cases), 2*folds)
	}
	if !slices.ContainsFunc(cases, func(c Case) bool { return c.Answer >= 0 }) {
		return nil, Validation{}, fmt.Errorf("none of the %d cases has an answer; there is nothing to learn from", len(cases))
	}
	cs := make([]*comparison, len(cases))
	for i, c := range cases {
		cs[i] = compare(c.Mention, c.Candidates, without)
	}
	var out []outcome
	models := make([][]*Model, repeats)
	for r := range repeats {
		of := split(cases, r)
		models[r] = make([]*Model, folds)
		for k := range folds {
			m := fit(cases, cs, func(i int) bool { return of[i] != k }, without)
			models[r][k] = m
			for i, c := range cases {
				if of[i] == k {
					out = append(out, judge(m, c, cs[i]))
				}
			}
		}
	}
	m := fit(cases, cs, func(int) bool { return true }, without)
	m.Cases = len(cases)
	m.Two, m.Three = chooseTwo(out), chooseThree(out)
	var v Validation
	wrong := make([]Miss, len(cases))
	for r := range repeats {
		var two, three Count
		of := split(cases, r)
		for i, c := range cases {
			by := models[r][of[i]]
			by.Two, by.Three = m.Two, m.Three
			d := by.decide(cs[i])
			state := None
			if d.Pick >= 0 {
				state = Place
			}
			if !two.add(c.Answer, state, d.Pick) {
				wrong[i] = Miss{c, d, wrong[i].Times + 1}
			}
			three.add(c.Answer, d.State, d.Index)
		}
		v.Two, v.Three = append(v.Two, two), append(v.Three, three)
	}
	for _, o := range out {
		v.Loss += o.loss / float64(len(out))
	}
	v.Wrong = slices.DeleteFunc(wrong, func(m Miss) bool { return m.Times == 0 })
	return m, v, nil
}

// split deals the places of the cases to folds; all cases about one place are in one fold.
func split(cases []Case, repetition int) []int {
	hash := func(group string) uint64 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s", repetition, group)
		return h.Sum64()
	}
	groups := make([]string, len(cases))
	for i, c := range cases {
		groups[i] = c.Group
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	slices.SortFunc(groups, func(a, b string) int { return cmp.Or(cmp.Compare(hash(a), hash(b)), strings.Compare(a, b)) })
	fold := make(map[string]int, len(groups))
	for i, g := range groups {
		fold[g] = i % folds
	}
	of := make([]int, len(cases))
	for i, c := range cases {
		of[i] = fold[c.Group]
	}
	return of
}

// fit computes the weights that rank the candidates of a case, and with these the weights of the decision.
func fit(cases []Case, cs []*comparison, use func(i int) bool, without Part) *Model {
	m := &Model{without: without}
	var some []example
	for i, c := range cases {
		if use(i) {
			some = append(some, example{cs[i].levels(), c.Answer})
		}
	}
	m.pair = fitChoice(some)
	if without&PartRivals == 0 {
		of := split(cases, repeats)
		var inner [folds]*Model // rivals are judged by weights that do not know the case, as later in use
		for f := range folds {
			var rest []example
			n := 0
			for i := range cases {
				if use(i) {
					if of[i] != f {
						rest = append(rest, some[n])
					}
					n++
				}
			}
			inner[f] = &Model{without: without, pair: fitChoice(rest)}
		}
		n := 0
		for i := range cases {
			if !use(i) {
				continue
			}
			for k := range some[n].candidates {
				own, namesake := inner[of[i]].rivals(cs[i], k)
				ls := append(slices.Clone(some[n].candidates[k]), own)
				if namesake > 0 {
					ls = append(ls, namesake)
				}
				some[n].candidates[k] = ls
			}
			n++
		}
	}
	m.final = fitChance(some)
	m.Pair, m.Final = named(&m.pair), named(&m.final)
	return m
}

// outcome is what the best candidate of a case reaches by weights that do not know it.
type outcome struct {
	score, lead   float64
	right, answer bool    // the best is the right one; a right one exists
	loss          float64 // -log of the probability given to what is so
}

func judge(m *Model, c Case, cmp *comparison) outcome {
	if len(cmp.candidates) == 0 {
		return outcome{}
	}
	r := m.rank(cmp)
	o := outcome{score: r.scored[0].Score, lead: r.lead, right: r.scored[0].Index == c.Answer, answer: c.Answer >= 0}
	for _, s := range r.scored {
		p := s.Score
		if s.Index != c.Answer {
			p = 1 - p
		}
		o.loss -= math.Log(max(p, 1e-6))
	}
	return o
}

// leastLead keeps two that fit about equally from being decided by a hair.
const leastLead = 0.1

// wrongCost is how many missed places one wrong place is worth, when nobody reviews.
const wrongCost = 2

// chooseTwo takes the threshold with the least cost in its neighbourhood.
func chooseTwo(out []outcome) Thresholds {
	var costs [101]float64
	for i := range costs {
		n := count(out, Thresholds{Accept: float64(i) / 100, Lead: leastLead, Review: 1})
		costs[i] = wrongCost*float64(n.wrong) + float64(n.missed)
	}
	best, least := 0, math.Inf(1)
	const wide = 5
	for i := wide; i < len(costs)-wide; i++ {
		sum := 0.0
		for _, c := range costs[i-wide : i+wide+1] {
			sum += c
		}
		if sum < least {
			best, least = i, sum
		}
	}
	return Thresholds{Accept: float64(best) / 100, Lead: leastLead, Review: 1}
}

// What is asked of the answers when there is review: the share of wrong ones among the places that are taken
// unseen, and of cases that a person has to look at.
const (
	wrongShare  = 0.005
	reviewShare = 0.09
)

// chooseThree takes as many places unseen as the share of wrong ones allows, and then lets people look at as much as
// the share of reviews allows, the likeliest first.
func chooseThree(out []outcome) Thresholds {
	best, most := Thresholds{Accept: 1, Lead: leastLead, Review: 1}, -1
	for accept := 30; accept <= 98; accept++ {
		t := Thresholds{Accept: float64(accept) / 100, Lead: leastLead, Review: 1}
		n := count(out, t)
		if float64(n.wrong) <= wrongShare*float64(n.right+n.wrong) && n.right > most {
			best, most = t, n.right
		}
	}
	for review := 100; review >= 2; review-- {
		t := best
		t.Review = float64(review) / 100
		if float64(count(out, t).review) > reviewShare*float64(len(out)) {
			break
		}
		best = t
	}
	return best
}

type counts struct{ right, wrong, missed, review int }

func count(out []outcome, t Thresholds) counts {
	var n counts
	for _, o := range out {
		switch t.state(o.score, o.lead) {
		case Place:
			if o.right {
				n.right++
			} else {
				n.wrong++
			}
		case Review:
			n.review++
		default:
			if o.answer {
				n.missed++
			}
		}
	}
	return n
}

// JSON returns the model as the file that it is embedded from.
func (w *Model) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(w, "", "\t")
	return append(text, '\n'), err
}
