package match

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"sync"

	"sumbi/adapters"
)

//go:embed weights.json
var weightText []byte

// Model is the weights of the levels, by their names, and the thresholds.
type Model struct {
	Pair   map[string]float64 `json:"pair"`  // one candidate by itself
	Final  map[string]float64 `json:"final"` // with what its rivals say
	Accept float64            `json:"accept"`
	Lead   float64            `json:"lead"`   // by which the best must be ahead of the second
	Review float64            `json:"review"` // from here up to Accept a person looks

	pair, final [levels]float64
}

// LevelNames returns the names of all levels, the keys of a Model's weights.
func LevelNames() []string {
	names := make([]string, levels)
	for i := range names {
		names[i] = level(i).String()
	}
	return names
}

// Prepare makes a model usable; a weight that is not given is 0, one of an unknown name is an error.
func (m *Model) Prepare() error {
	m.pair, m.final = [levels]float64{}, [levels]float64{}
	known := make(map[string]int, levels)
	for i, name := range LevelNames() {
		known[name] = i
	}
	for _, t := range [...]struct {
		from map[string]float64
		to   *[levels]float64
	}{{m.Pair, &m.pair}, {m.Final, &m.final}} {
		for name, w := range t.from {
			i, ok := known[name]
			if !ok {
				return fmt.Errorf("weight of an unknown level %q", name)
			}
			t.to[i] = w
		}
	}
	return nil
}

// Levels returns the names of the levels of each candidate, by itself and with what its rivals say; for fitting.
func (m *Model) Levels(n Mention, candidates []adapters.Candidate) (pair, final [][]string) {
	_, cs, es := gather(n, candidates)
	names := func() [][]string {
		out := make([][]string, len(es))
		for i, e := range es {
			for _, l := range e.levels {
				out[i] = append(out[i], l.String())
			}
		}
		return out
	}
	pair = names()
	m.rivals(cs, es)
	return pair, names()
}

// embedded is the model that Decide uses.
var embedded = sync.OnceValue(func() *Model {
	m := &Model{}
	if err := json.Unmarshal(weightText, m); err != nil {
		panic("match: weights.json: " + err.Error())
	}
	if err := m.Prepare(); err != nil {
		panic("match: weights.json: " + err.Error())
	}
	return m
})

func sum(weights *[levels]float64, ls []level) float64 {
	s := 0.0
	for _, l := range ls {
		s += weights[l]
	}
	return s
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
