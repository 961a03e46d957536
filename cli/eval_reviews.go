package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sumbi/jobs"
)

// reviewCases returns the labels of the state file as case lines, as a file of cases has them.
func (e *env) reviewCases() (io.Reader, error) {
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
	return &lines, nil
}
