package match

import "math"

// ridge is the penalty on squared weights that training uses.
const ridge = 2.0

// example is the levels of the candidates of one case; answer is the index of the right one, -1 when none is.
type example struct {
	candidates [][]level
	answer     int
}

// fitChoice fits a conditional logit: which of the candidates is the right one, given that one is.
func fitChoice(cases []example) [levels]float64 {
	return newton(func(w, grad *[levels]float64, hess *[levels][levels]float64) {
		for _, c := range cases {
			if c.answer < 0 {
				continue
			}
			p := make([]float64, len(c.candidates))
			total := 0.0
			for i, ls := range c.candidates {
				p[i] = math.Exp(sum(w, ls))
				total += p[i]
			}
			var mean [levels]float64
			var met []level
			for i, ls := range c.candidates {
				p[i] /= total
				for _, a := range ls {
					if mean[a] == 0 {
						met = append(met, a)
					}
					mean[a] += p[i]
					for _, b := range ls {
						hess[a][b] += p[i]
					}
				}
			}
			for _, a := range c.candidates[c.answer] {
				grad[a]++
			}
			for _, a := range met {
				grad[a] -= mean[a]
				for _, b := range met {
					hess[a][b] -= mean[a] * mean[b]
				}
			}
		}
	})
}

// fitChance fits a logistic regression: whether a candidate with these levels is the right one.
func fitChance(cases []example) [levels]float64 {
	return newton(func(w, grad *[levels]float64, hess *[levels][levels]float64) {
		for _, c := range cases {
			for i, ls := range c.candidates {
				p := logistic(sum(w, ls))
				y := 0.0
				if i == c.answer {
					y = 1
				}
				for _, a := range ls {
					grad[a] += y - p
					for _, b := range ls {
						hess[a][b] += p * (1 - p)
					}
				}
			}
		}
	})
}

// newton maximises a likelihood less half the squared weights. step adds the likelihood's gradient and its negative
// second derivative. Weights are rounded, so that they are the same on every machine.
func newton(step func(w, grad *[levels]float64, hess *[levels][levels]float64)) [levels]float64 {
	var w [levels]float64
	hess := new([levels][levels]float64)
	for range 30 {
		var grad [levels]float64
		*hess = [levels][levels]float64{}
		for i := range levels {
			penalty := ridge
			if level(i) == bias {
				penalty = 1e-3 // nearly free
			}
			hess[i][i] = penalty
			grad[i] = -penalty * w[i]
		}
		step(&w, &grad, hess)
		solve(hess, &grad)
		far := 0.0
		for i := range w {
			w[i] += grad[i]
			far = max(far, math.Abs(grad[i]))
		}
		if far < 1e-7 {
			break
		}
	}
	for i := range w {
		w[i] = math.Round(w[i]*1e4) / 1e4
	}
	return w
}

// solve replaces b by the solution of a·x = b; a is symmetric and positive definite, and is used up.
func solve(a *[levels][levels]float64, b *[levels]float64) {
	for i := range levels {
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
	for i := range levels {
		for k := range i {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	for i := levels - 1; i >= 0; i-- {
		for k := i + 1; k < levels; k++ {
			b[i] -= a[k][i] * b[k]
		}
		b[i] /= a[i][i]
	}
}
