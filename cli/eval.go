package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"sumbi/jobs/match"
)

type evalCmd struct {
	Match evalMatchCmd `cmd:"" help:"Precision, recall, F1 and accuracy of the choice of places."`
}

type evalMatchCmd struct {
	File        string `arg:"" help:"Labelled cases, one JSON object a line."`
	Predictions string `help:"Write what was chosen, one JSON object a line." placeholder:"FILE"`
}

// Run measures the matcher.
func (c evalMatchCmd) Run(e *env) (err error) {
	f, err := os.Open(c.File)
	if err != nil {
		return usageError{fmt.Errorf("cases: %w", err)}
	}
	defer f.Close()
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
	r, err := match.Eval(f, out)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintln(e.Stdout, r)
	return nil
}
