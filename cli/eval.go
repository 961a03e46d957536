package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"sumbi/jobs/match"
)

type evalCmd struct {
	Match evalMatchCmd `cmd:"" help:"Precision, recall, F1 and accuracy of the choice of places."`
}

type evalMatchCmd struct {
	File        string `arg:"" optional:"" help:"Labelled cases, one JSON object a line."`
	FromReviews bool   `help:"The decisions of people in the state file (--state), instead of a file."`
	Predictions string `help:"Write what was chosen, one JSON object a line." placeholder:"FILE"`
}

// Run measures the matcher.
func (c evalMatchCmd) Run(e *env) (err error) {
	if c.FromReviews == (c.File != "") {
		return usageError{errors.New("name a file of cases, or say --from-reviews")}
	}
	var in io.Reader
	if c.FromReviews {
		if in, err = e.reviewCases(); err != nil {
			return err
		}
	} else {
		f, err := os.Open(c.File)
		if err != nil {
			return usageError{fmt.Errorf("cases: %w", err)}
		}
		defer f.Close()
		in = f
	}
	var out io.Writer
	if c.Predictions != "" {
		p, err := os.OpenFile(c.Predictions, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return usageError{fmt.Errorf("predictions: %w", err)}
		}
		w := bufio.NewWriter(p)
		defer func() {
			if ferr := w.Flush(); err == nil {
				err = ferr
			}
			if cerr := p.Close(); err == nil {
				err = cerr
			}
		}()
		out = w
	}
	r, err := match.Eval(in, out)
	if err != nil {
		return fmt.Errorf("%s: %w", cmp.Or(c.File, "reviews"), err)
	}
	fmt.Fprintln(e.Stdout, r)
	return nil
}
