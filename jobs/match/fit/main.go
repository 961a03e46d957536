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
