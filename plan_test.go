package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sumbi/queue"
	"sumbi/sim"
)

// forecast reads how many requests a plan foresees in one of its lines.
func forecast(t *testing.T, plan, line string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + line + ` +([0-9,]+)`).FindStringSubmatch(plan)
	if m == nil {
		t.Fatalf("the plan has no line %q:\n%s", line, plan)
	}
	n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func within(t *testing.T, what string, got, want int, share float64) {
	t.Helper()
	if math.Abs(float64(got-want)) > share*float64(want) {
		t.Errorf("%s: forecast %d, then %d", what, got, want)
	}
}

func (w *world) calls() (all int) {
	for _, c := range w.Stats().Calls {
		all += c.Requests
	}
	return all
}

func TestPlanAgreesWithTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 41, Accounts: 10, Posts: 70, Gone: []string{"sim.gone"}, Private: []string{"sim.private"}}, "")
	w.write("accounts.txt", strings.Join(append(w.Accounts(), "sim.gone", "sim.private"), "\n"))

	out := w.mustRun("plan", "matzip")
	if w.calls() != 0 {
		t.Fatalf("a plan without --probe called somebody: %s", w.Stats())
	}
	for _, want := range []string{"no state file", "12 accounts", "unknown", "sim.foodie_hunter2", "posts of an unknown account: 600", "--probe"} {
		if !strings.Contains(out, want) {
			t.Errorf("the first plan does not say %q:\n%s", want, out)
		}
	}

	out = w.mustRun("plan", "matzip", "--probe")
	if got := w.Stats().Calls["instagram"].Requests; got != 12 || w.calls() != 12 {
		t.Errorf("--probe: %d requests for 12 accounts, %s", got, w.Stats())
	}
	if !strings.Contains(out, "gone (1): sim.gone") || !strings.Contains(out, "private (1): sim.private") {
		t.Errorf("the plan does not tell who is gone or private:\n%s", out)
	}
	pages := forecast(t, out, "Instagram pages")
	w.ResetStats()
	w.mustRun("run", "matzip")
	within(t, "Instagram requests", pages, w.Stats().Calls["instagram"].Requests, 0.15)

	// What is known now: nothing is new, and each list costs one page.
	out = w.mustRun("plan", "matzip")
	w.ResetStats()
	w.mustRun("run", "matzip")
	if got, want := forecast(t, out, "in all"), w.calls(); got < want-2 || got > want+2 {
		t.Errorf("second run: forecast %d requests, then %d\n%s", got, want, out)
	}

	// Whole lists again: their lengths are known.
	out = w.mustRun("plan", "matzip", "--full")
	w.ResetStats()
	w.mustRun("run", "matzip", "--full")
	if got, want := forecast(t, out, "in all"), w.calls(); got < want-2 || got > want+2 {
		t.Errorf("run over whole lists: forecast %d requests, then %d\n%s", got, want, out)
	}
}

func TestPlanCallsNobodyBesideARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 42, Accounts: 2, Posts: 20}, "")
	w.mustRun("run", "matzip")
	// Another process holds the file.
	s, err := w.open(t.Context(), queue.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.ResetStats()
	w.env = w.keyless()
	out := w.mustRun("plan", "matzip", w.Accounts()[0])
	if got := forecast(t, out, "Instagram pages"); got != 2 {
		t.Errorf("one account with two lists: %d pages\n%s", got, out)
	}
	if status, _, errs := w.run("plan", "matzip", "--probe"); w.database == "" && (status == 0 || !strings.Contains(errs, "another sumbi works on this file")) {
		t.Errorf("--probe beside a process that uses the same keys: status %d, %s", status, errs)
	}
	if w.calls() != 0 {
		t.Errorf("somebody was called: %s", w.Stats())
	}
}

// A run that was broken off goes on; the plan foresees what it has left.
func TestPlanOfAnUnfinishedRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 43, Accounts: 3, Posts: 60, InstagramQuota: 20}, "")
	status, out, _ := w.run("run", "matzip")
	if status == 0 {
		t.Fatalf("the quota should have stopped the run:\n%s", out)
	}
	out = w.mustRun("plan", "matzip")
	if !strings.Contains(out, "run 1 of matzip is not finished") || !strings.Contains(out, "is held until") {
		t.Errorf("the plan does not say that a run is unfinished and its key held:\n%s", out)
	}
	left := forecast(t, out, "Instagram pages")
	whole := 0
	for _, p := range w.Posts() {
		whole += len(p.Lists)
	}
	if got, want := left+w.Stats().PagesServed, whole/12+6; math.Abs(float64(got-want)) > 0.25*float64(want) {
		t.Errorf("%d pages were served, %d are left: %d in all, want about %d\n%s", w.Stats().PagesServed, left, got, want, out)
	}
}
