package main

import (
	"regexp"
	"strconv"
	"testing"

	"sumbi/sim"
)

// TestDemoHard runs a small hard world from caption to place: nothing is lost or paid twice, most is right, and what cannot be told
// is not made up.
func TestDemoHard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Accounts: 1, Posts: 3}, "")
	out := w.mustRun("demo", "--hard", "--accounts", "3", "--posts", "60", "--state", "hard.db")
	number := `+(\d+) `
	row := regexp.MustCompile(`(?m)^all ` + number + number + number + number + number + number + `+(\d+)$`).FindStringSubmatch(out)
	if row == nil {
		t.Fatalf("no sum in\n%s", out)
	}
	n := make([]int, len(row))
	for i := range row[1:] {
		n[i], _ = strconv.Atoi(row[i+1])
	}
	mentions, onMap, right, wrong, missed, rightNone, review := n[0], n[1], n[2], n[3], n[4], n[5], n[6]
	if mentions < 60 || right+wrong+missed+rightNone+review != mentions {
		t.Errorf("%d mentions do not add up:\n%s", mentions, out)
	}
	if right*10 < onMap*6 || rightNone == 0 || review == 0 {
		t.Errorf("%d of %d places are right, %d rightly none, %d to review:\n%s", right, onMap, rightNone, review, out)
	}
	for _, kind := range []string{"branch by its station", "closed, successor there", "namesake, no area", "ordinary", "similar name first"} {
		if !regexp.MustCompile(`(?m)^` + kind + ` +\d`).MatchString(out) {
			t.Errorf("no %q in\n%s", kind, out)
		}
	}
	if status, _, errs := w.run("demo", "--hard", "--torture"); status != 2 {
		t.Errorf("--hard --torture: status %d: %s", status, errs)
	}
}
