// Fit computes the weights of package match from labelled cases and prints how it was judged.
//
//	go run ./jobs/match/fit -out jobs/match/weights.json cases.jsonl...
//
// The same files give the same weights to the last digit.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"

	"sumbi/jobs/match"
)

const folds = 5

func main() {
	out := flag.String("out", "", "write the weights to this `file`")
	verbose := flag.Bool("v", false, "print each case that cross-validation gets wrong")
	accept := flag.Float64("accept", 0.5, "take the best candidate from this probability")
	lead := flag.Float64("lead", 0.1, "and when it is ahead of the second by this")
	review := flag.Float64("review", 0.25, "let a person look from this probability")
	flag.Parse()
	th := match.Model{Accept: *accept, Lead: *lead, Review: *review}
	if err := run(os.Stdout, flag.Args(), *out, th, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "fit:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, files []string, out string, thresholds match.Model, verbose bool) error {
	if len(files) == 0 {
		return errors.New("no case files given")
	}
	var all []match.Case
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = match.ReadCases(f, func(c match.Case) error { all = append(all, c); return nil })
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var cv counts
	for k := range folds {
		var train []match.Case
		for _, c := range all {
			if fold(c) != k {
				train = append(train, c)
			}
		}
		m, err := fit(train, thresholds)
		if err != nil {
			return err
		}
		for _, c := range all {
			if fold(c) == k {
				d := m.Decide(c.Mention, c.Candidates)
				if !cv.add(c, d) && verbose {
					fmt.Fprintf(w, "%s %-22s want %2d got %-6s %2d %.2f %s | %s | %s | %s\n", c.ID, c.Kind, c.Answer, d.State, d.Index, d.Score, c.Mention.Name, c.Mention.Branch, c.Mention.Area, c.Mention.Address)
					for _, s := range d.Scored[:min(3, len(d.Scored))] {
						x := c.Candidates[s.Index]
						fmt.Fprintf(w, "      %d %.2f %s / %s / %s: %s\n", s.Index, s.Score, x.Name, x.Address, x.RoadAddress, s.Why)
					}
				}
			}
		}
	}
	fmt.Fprintln(w, "cross-validated:", cv)
	m, err := fit(all, thresholds)
	if err != nil {
		return err
	}
	var own counts
	for _, c := range all {
		own.add(c, m.Decide(c.Mention, c.Candidates))
	}
	fmt.Fprintln(w, "fitted on all:  ", own)
	if out == "" {
		return nil
	}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// fold puts all cases about one place into one fold.
func fold(c match.Case) int {
	h := fnv.New32a()
	h.Write([]byte(c.Group))
	return int(h.Sum32() % folds)
}

type counts struct{ cases, answers, picks, right, none int }

// add counts one decision and reports whether it is right.
func (n *counts) add(c match.Case, d match.Decision) bool {
	n.cases++
	if c.Answer >= 0 {
		n.answers++
	}
	if d.State != match.Place {
		if c.Answer < 0 {
			n.none++
		}
		return c.Answer < 0
	}
	n.picks++
	if d.Index == c.Answer {
		n.right++
	}
	return d.Index == c.Answer
}

func (n counts) String() string {
	p, r := float64(n.right)/float64(n.picks), float64(n.right)/float64(n.answers)
	return fmt.Sprintf("%d cases, precision %.3f, recall %.3f, F1 %.3f, accuracy %.3f, wrong %d, missed %d",
		n.cases, p, r, 2*p*r/(p+r), float64(n.right+n.none)/float64(n.cases), n.picks-n.right, n.answers-n.right-(n.picks-n.right-(n.cases-n.answers-n.none)))
}

// fit computes the weights that rank the candidates of a case, and with these the weights of the decision.
func fit(cases []match.Case, thresholds match.Model) (*match.Model, error) {
	m := &match.Model{Accept: thresholds.Accept, Lead: thresholds.Lead, Review: thresholds.Review}
	var ranked choices
	for _, c := range cases {
		if c.Answer >= 0 {
			ls, _ := m.Levels(c.Mention, c.Candidates)
			ranked.add(ls, c.Answer)
		}
	}
	m.Pair = newton(ranked.step)
	if err := m.Prepare(); err != nil {
		return nil, err
	}
	var final rows
	for _, c := range cases {
		_, ls := m.Levels(c.Mention, c.Candidates)
		final.add(ls, c.Answer)
	}
	m.Final = newton(final.step)
	return m, m.Prepare()
}

func indexes(levels [][]string) [][]int {
	index := make(map[string]int)
	for i, name := range match.LevelNames() {
		index[name] = i
	}
	out := make([][]int, len(levels))
	for k, ls := range levels {
		for _, l := range ls {
			out[k] = append(out[k], index[l])
		}
	}
	return out
}

// choices is a conditional logit: which of the candidates of a case is the right one, given that one is.
type choices struct {
	x      [][][]int
	answer []int
}

func (c *choices) add(levels [][]string, answer int) {
	c.x = append(c.x, indexes(levels))
	c.answer = append(c.answer, answer)
}

func (c *choices) step(w, grad []float64, hess [][]float64) {
	for k, candidates := range c.x {
		p := make([]float64, len(candidates))
		total := 0.0
		for i, x := range candidates {
			p[i] = math.Exp(score(w, x))
			total += p[i]
		}
		mean := make(map[int]float64)
		for i, x := range candidates {
			p[i] /= total
			for _, a := range x {
				mean[a] += p[i]
				for _, b := range x {
					hess[a][b] += p[i]
				}
			}
		}
		for _, a := range candidates[c.answer[k]] {
			grad[a]++
		}
		for a, v := range mean {
			grad[a] -= v
			for b, u := range mean {
				hess[a][b] -= v * u
			}
		}
	}
}

// rows is a logistic regression: which levels hold, and whether the candidate is the right one.
type rows struct {
	x [][]int
	y []float64
}

func (r *rows) add(levels [][]string, answer int) {
	for i, x := range indexes(levels) {
		y := 0.0
		if i == answer {
			y = 1
		}
		r.x = append(r.x, x)
		r.y = append(r.y, y)
	}
}

func (r *rows) step(w, grad []float64, hess [][]float64) {
	for k, x := range r.x {
		p := 1 / (1 + math.Exp(-score(w, x)))
		for _, i := range x {
			grad[i] += r.y[k] - p
			for _, j := range x {
				hess[i][j] += p * (1 - p)
			}
		}
	}
}

func score(w []float64, x []int) float64 {
	s := 0.0
	for _, i := range x {
		s += w[i]
	}
	return s
}

// newton maximises a likelihood less half the squared weights. step adds its gradient and its negative second
// derivative. Levels that never occur get no weight.
func newton(step func(w, grad []float64, hess [][]float64)) map[string]float64 {
	names := match.LevelNames()
	n := len(names)
	w := make([]float64, n)
	for range 30 {
		grad := make([]float64, n)
		hess := make([][]float64, n)
		for i := range hess {
			hess[i] = make([]float64, n)
			penalty := 1.0
			if i == 0 {
				penalty = 1e-3 // the bias is nearly free
			}
			hess[i][i] = penalty
			grad[i] = -penalty * w[i]
		}
		step(w, grad, hess)
		solve(hess, grad)
		for i := range w {
			w[i] += grad[i]
		}
	}
	out := make(map[string]float64)
	for i, v := range w {
		if v = math.Round(v*1e4) / 1e4; v != 0 {
			out[names[i]] = v
		}
	}
	return out
}

// solve replaces b by the solution of a·x = b; a is symmetric and positive definite.
func solve(a [][]float64, b []float64) {
	n := len(b)
	for i := range n {
		for j := range i + 1 {
			s := a[i][j]
			for k := range j {
				s -= a[i][k] * a[j][k]
			}
			if i == j {
				a[i][i] = math.Sqrt(s)
			} else {
				a[i][j] = s / a[j][j]
			}
		}
	}
	for i := range n {
		for k := range i {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= a[k][i] * b[k]
		}
		b[i] /= a[i][i]
	}
}
