package jobs_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/jobs"
)

// TestVelogResult reads back what is kept of a turn, whatever the upstream's own words in it are.
func TestVelogResult(t *testing.T) {
	t.Parallel()
	for _, r := range []jobs.VelogResult{
		{Listed: true},
		{Listed: true, Read: 60},
		{Listed: true, Read: 57, Failed: 2, FailedWhy: "getStats: status 200 (57014), 3 are left alone for a while", Resting: 1},
		{Listed: true, Read: 3, Resting: 2, Missing: 9},
		{Why: "상태 500; 다시\n시도", Read: 5, Failed: 1, FailedWhy: "느림"},
		{Rests: true, Why: "status 502: (html)", Read: 5},
		{},
	} {
		got, ok := jobs.ReadVelogResult(r.String())
		if d := gocmp.Diff(r, got); d != "" || !ok {
			t.Errorf("%s (-want +got, %v):\n%s", r, ok, d)
		}
	}
	for _, other := range []string{"", "the log-in is not accepted", "posts listed", "posts listed; statistics of many read"} {
		if got, ok := jobs.ReadVelogResult(other); ok {
			t.Errorf("%q is read as %+v", other, got)
		}
	}
}
