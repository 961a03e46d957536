package match

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
)

// weights.json is written by `sumbi eval match --train`, never by hand.
//
//go:embed weights.json
var weightText []byte

// Model is the weights of the levels, by their names, and the thresholds. Train makes one.
type Model struct {
	Cases int                `json:"cases"` // it was trained on
	Pair  map[string]float64 `json:"pair"`  // one candidate by itself
	Final map[string]float64 `json:"final"` // with what its rivals say
	Three Thresholds         `json:"three"` // place, none or review
	Two   Thresholds         `json:"two"`   // place or none, when nobody reviews

	pair, final [levels]float64
	without     Part
}

// Thresholds turn the best candidate's probability and its lead over the next other place into an answer.
type Thresholds struct {
	Accept float64 `json:"accept"` // it is taken from this probability
	Lead   float64 `json:"lead"`   // and with this lead
	Review float64 `json:"review"` // from here a person looks; Accept and Lead decide alone when it is 1
}

func (t Thresholds) state(score, lead float64) State {
	switch {
	case score >= t.Accept && lead >= t.Lead:
		return Place
	case score >= t.Review:
		return Review
	}
	return None
}

// ReadModel decodes what Train made. A weight that is not given is 0; one of an unknown level is an error.
func ReadModel(text []byte) (*Model, error) {
	m := &Model{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	known := make(map[string]int, levels)
	for i := range levels {
		known[level(i).String()] = i
	}
	for _, t := range [...]struct {
		from map[string]float64
		to   *[levels]float64
	}{{m.Pair, &m.pair}, {m.Final, &m.final}} {
		for name, w := range t.from {
			i, ok := known[name]
			if !ok {
				return nil, fmt.Errorf("weights: unknown level %q", name)
			}
			t.to[i] = w
		}
	}
	return m, nil
}

// named returns the weights by the names of their levels, without those that are 0.
func named(w *[levels]float64) map[string]float64 {
	out := make(map[string]float64)
	for i, v := range w {
		if v != 0 {
			out[level(i).String()] = v
		}
	}
	return out
}

// LevelNames returns the names of all levels, the keys of a Model's weights.
func LevelNames() []string {
	names := make([]string, levels)
	for i := range names {
		names[i] = level(i).String()
	}
	return names
}

// embedded is the model that Decide uses.
var embedded = sync.OnceValue(func() *Model {
	m, err := ReadModel(weightText)
	if err != nil {
		panic("match: weights.json: " + err.Error())
	}
	return m
})

// best orders candidates by their probability of being the place that is meant.
type ranking struct {
	scored []Scored // best first; Why is empty
	lead   float64  // of the best over the best that is another place; its score when there is none
}

func (w *Model) rank(c *comparison) ranking {
	r := ranking{scored: make([]Scored, len(c.candidates))}
	for i := range c.candidates {
		r.scored[i].Index = i
		if c.candidates[i].barred {
			continue
		}
		e := &c.evidence[i]
		s := sum(&w.final, e.levels)
		if w.without&PartRivals == 0 {
			own, namesake := w.rivals(c, i)
			s += w.final[own]
			if namesake > 0 {
				s += w.final[namesake]
			}
		}
		r.scored[i].Score = logistic(s)
	}
	slices.SortFunc(r.scored, func(a, b Scored) int { return c.order(a, b) })
	best := r.scored[0]
	r.lead = best.Score
	for _, s := range r.scored[1:] {
		if !c.candidates[best.Index].same[s.Index] {
			r.lead -= s.Score
			break
		}
	}
	return r
}

func sum(weights *[levels]float64, ls []level) float64 {
	s := 0.0
	for _, l := range ls {
		s += weights[l]
	}
	return s
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
