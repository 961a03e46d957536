package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sumbi/jobs/match"
)

type evalCmd struct {
	Match   evalMatchCmd   `cmd:"" help:"Precision, recall, F1 and accuracy of the choice of places."`
	Extract evalExtractCmd `cmd:"" help:"Ask the model about labelled captions, with your key and today's prompt, and compare. Costs money."`
}

type evalMatchCmd struct {
	Files       []string `arg:"" optional:"" name:"file" help:"Labelled cases, one JSON object a line."`
	FromReviews bool     `help:"Also the decisions of people in the state file (--state)."`
	Predictions string   `help:"Write what was chosen, place or none, one JSON object a line." placeholder:"FILE"`
	Train       bool     `help:"Fit the weights to the cases, cross-validated by place."`
	CV          bool     `name:"cv" help:"With --train: cross-validate without each part of the method, too."`
	Out         string   `help:"With --train: write the weights." placeholder:"FILE"`
	Wrong       bool     `help:"Print each case that is decided wrongly."`
	jsonFlag
}

// Run measures the matcher, or trains it.
func (c evalMatchCmd) Run(e *env) error {
	if !c.Train && (c.CV || c.Out != "") || c.Train && c.Predictions != "" {
		return usageError{errors.New("--cv and --out go with --train, --predictions without it")}
	}
	if len(c.Files) == 0 && !c.FromReviews {
		return usageError{errors.New("name a file of cases, or say --from-reviews")}
	}
	var cases []match.Case
	for _, name := range c.Files {
		some, err := readCases(name)
		if err != nil {
			return err
		}
		cases = append(cases, some...)
	}
	if c.FromReviews {
		some, err := e.reviewCases()
		if err != nil {
			return err
		}
		cases = append(cases, some...)
	}
	if len(cases) == 0 {
		return usageError{fmt.Errorf("there is no case in %s", strings.Join(c.Files, ", "))}
	}
	if c.Train {
		return c.train(e, cases)
	}
	return c.judge(e, cases)
}

func readCases(name string) ([]match.Case, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usageError{fmt.Errorf("cases: %w", err)}
	}
	defer f.Close()
	return casesOf(f, name)
}

// casesOf reads the cases of what is called name.
func casesOf(in io.Reader, name string) (cases []match.Case, err error) {
	err = match.ReadCases(in, func(c match.Case) error { cases = append(cases, c); return nil })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return cases, nil
}

// judge counts the decisions of the built-in weights.
func (c evalMatchCmd) judge(e *env, cases []match.Case) (err error) {
	out := io.Discard
	if c.Predictions != "" {
		f, err := os.OpenFile(c.Predictions, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return usageError{fmt.Errorf("predictions: %w", err)}
		}
		w := bufio.NewWriter(f)
		defer func() { err = errors.Join(err, w.Flush(), f.Close()) }()
		out = w
	}
	var wrong []match.Miss
	r, err := match.Evaluate(cases, func(x match.Case, d match.Decision) error {
		if c.Wrong && d.Pick != x.Answer {
			wrong = append(wrong, match.Miss{Case: x, Decision: d, Times: 1})
		}
		return match.WritePrediction(out, x, d)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return e.document("eval match", struct {
			WithoutReview, WithReview score
			Kinds                     []match.Kind
			Wrong                     []miss // only with --wrong
		}{scoreOf(r.Two), scoreOf(r.Three), r.Kinds, missesOf(wrong)})
	}
	for _, m := range wrong {
		printMiss(e.Stdout, m)
	}
	fmt.Fprint(e.Stdout, r)
	return nil
}

// train fits the weights and says what to expect of them.
func (c evalMatchCmd) train(e *env, cases []match.Case) error {
	m, v, err := match.Train(cases)
	if err != nil {
		return usageError{err}
	}
	if c.JSON {
		return errors.Join(c.write(m), c.trained(e, cases, m, v))
	}
	if c.Wrong {
		for _, miss := range v.Wrong {
			printMiss(e.Stdout, miss)
		}
	}
	fmt.Fprint(e.Stdout, v)
	fmt.Fprintf(e.Stdout, "thresholds      place or none: from %.2f, ahead by %.2f; with review: from %.2f, ahead by %.2f, review from %.2f\n",
		m.Two.Accept, m.Two.Lead, m.Three.Accept, m.Three.Lead, m.Three.Review)
	if c.CV {
		for _, p := range match.Parts() {
			without, err := match.Validate(cases, p.Part)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "without %-36s%s\n", p.Name, without.Line())
		}
	}
	return c.write(m)
}

// trained prints the validation for programs.
func (c evalMatchCmd) trained(e *env, cases []match.Case, m *match.Model, v match.Validation) error {
	type part struct {
		Name                      string
		WithoutReview, WithReview score
		Loss                      float64
	}
	two, three := v.Total()
	all := struct {
		WithoutReview, WithReview score // over all repetitions
		Loss                      float64
		Accept, Lead, Review      float64 // thresholds with review
		Without                   []part  // only with --cv
		Wrong                     []miss  // only with --wrong
	}{WithoutReview: scoreOf(two), WithReview: scoreOf(three), Loss: v.Loss, Accept: m.Three.Accept, Lead: m.Three.Lead, Review: m.Three.Review}
	if c.Wrong {
		all.Wrong = missesOf(v.Wrong)
	}
	if c.CV {
		for _, p := range match.Parts() {
			v, err := match.Validate(cases, p.Part)
			if err != nil {
				return err
			}
			two, three := v.Total()
			all.Without = append(all.Without, part{p.Name, scoreOf(two), scoreOf(three), v.Loss})
		}
	}
	return e.document("eval match --train", all)
}

// score is counts with their shares, which are null where nothing was counted.
type score struct {
	match.Count
	Precision, Recall, F1, Accuracy, ReviewShare float64
}

func scoreOf(c match.Count) score {
	return score{c, c.Precision(), c.Recall(), c.F1(), c.Accuracy(), c.Share()}
}

// miss is a case that was decided wrongly.
type miss struct {
	ID, Kind      string
	Right, Chosen *int // which candidate, from 0; null none
	Times         int
}

func missesOf(all []match.Miss) []miss {
	index := func(i int) *int {
		if i < 0 {
			return nil
		}
		return &i
	}
	var out []miss
	for _, m := range all {
		out = append(out, miss{m.Case.ID, m.Case.Kind, index(m.Case.Answer), index(m.Decision.Pick), m.Times})
	}
	return out
}

// write writes the weights, if they are wanted.
func (c evalMatchCmd) write(m *match.Model) error {
	if c.Out == "" {
		return nil
	}
	text, err := m.JSON()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, text, 0o644); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

func printMiss(w io.Writer, m match.Miss) {
	c, d := m.Case, m.Decision
	fmt.Fprintf(w, "%s %s: right is %s, chosen %s, wrong %d times\n  %s\n", c.ID, c.Kind, item(c.Answer), item(d.Pick), m.Times,
		strings.Join([]string{c.Mention.Name, c.Mention.Branch, c.Mention.Area, c.Mention.Address}, " | "))
	for _, s := range d.Scored[:min(3, len(d.Scored))] {
		x := c.Candidates[s.Index]
		fmt.Fprintf(w, "  %d %.2f %s | %s | %s\n         %s\n", s.Index, s.Score, x.Name, x.Address, x.RoadAddress, s.Why)
	}
}

func item(i int) string {
	if i < 0 {
		return "none"
	}
	return fmt.Sprint(i)
}
