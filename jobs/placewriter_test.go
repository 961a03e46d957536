package jobs_test

import (
	"testing"

	"sumbi/jobs"
)

// TestCell keeps what a spreadsheet would run from being taken for a formula.
func TestCell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "을밀대": "을밀대", "A=1": "A=1", "=1+1": "'=1+1", "+82": "'+82", "-1": "'-1", "@합": "'@합", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		"＝1＋1": "'＝1＋1", "＋1": "'＋1", "－1": "'－1", "＠합": "'＠합",
	} {
		if got := jobs.Cell(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
