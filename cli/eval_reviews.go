package cli

import (
	"bytes"
	"errors"
	"fmt"

	"sumbi/jobs"
	"sumbi/jobs/match"
)

// reviewCases returns the labels of the state as cases.
func (e *env) reviewCases() ([]match.Case, error) {
	s, err := e.guest()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var lines bytes.Buffer
	n, skipped, err := jobs.WriteReviewCases(e.ctx, s, &lines)
	if err != nil {
		return nil, err
	}
	if skipped > 0 {
		fmt.Fprintf(e.Stderr, "%s left out: nothing of their candidates is kept\n", plural(skipped, "label is", "labels are"))
	}
	if n == 0 {
		return nil, errors.New("nobody has decided anything in this state file yet; `sumbi review` does")
	}
	return casesOf(&lines, "reviews")
}
