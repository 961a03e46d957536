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
	FromReviews bool     `help:"The decisions of people in the state file (--state), too."`
	Predictions string   `help:"Write what was chosen, place or none, one JSON object a line." placeholder:"FILE"`
	Train       bool     `help:"Fit the weights to the cases, cross-validated by place."`
	CV          bool     `name:"cv" help:"With --train: cross-validate without each part of the method, too."`
	Out         string   `help:"With --train: write the weights." placeholder:"FILE"`
	Wrong       bool     `help:"Print each case that is decided wrongly."`
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
		return c.train(e.Stdout, cases)
	}
	return c.judge(e.Stdout, cases)
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
func (c evalMatchCmd) judge(stdout io.Writer, cases []match.Case) (err error) {
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
	r, err := match.Evaluate(cases, func(x match.Case, d match.Decision) error {
		if c.Wrong && d.Pick != x.Answer {
			printMiss(stdout, match.Miss{Case: x, Decision: d, Times: 1})
		}
		return match.WritePrediction(out, x, d)
	})
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, r)
	return nil
}

// train fits the weights and says what to expect of them.
func (c evalMatchCmd) train(stdout io.Writer, cases []match.Case) error {
	m, v, err := match.Train(cases)
	if err != nil {
		return usageError{err}
	}
	if c.Wrong {
		for _, miss := range v.Wrong {
			printMiss(stdout, miss)
		}
	}
	fmt.Fprint(stdout, v)
	fmt.Fprintf(stdout, "thresholds      place or none: from %.2f, ahead by %.2f; with review: from %.2f, ahead by %.2f, review from %.2f\n",
		m.Two.Accept, m.Two.Lead, m.Three.Accept, m.Three.Lead, m.Three.Review)
	if c.CV {
		for _, p := range match.Parts() {
			without, err := match.Validate(cases, p.Part)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "without %-36s%s\n", p.Name, without.Line())
		}
	}
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
