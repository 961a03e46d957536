package main

import (
	"math"

	"sumbi/jobs/match"
)

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
