package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"sumbi/cli/clitest"
)

var progressLine = regexp.MustCompile(`^(?:[━─]+ )? *\d+% `)

// TestProgressOnATerminal makes a terminal narrow and wide while a run goes on, and writes to it meanwhile: there is always one
// line of progress, and it fits.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	exe, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe, "demo", "--accounts", "3", "--posts", "60", "--state", filepath.Join(dir, "d.db"))
	cmd.Env = []string{"TERM=xterm-256color", "HOME=" + dir, "TMPDIR=" + dir}
	term, err := clitest.Start(cmd, 100, 30)
	if err != nil {
		t.Skip("there is no terminal: ", err)
	}
	// lines waits for a line of progress that fits cols and fills most of them, if there is so much to say.
	lines := func(cols int) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		late := time.After(30 * time.Second)
		for {
			shown := term.Lines()
			found := slices.IndexFunc(shown, progressLine.MatchString)
			if found == len(shown)-1 && found >= 0 {
				if n := uniseg.StringWidth(shown[found]); n < cols && (n > cols*3/4 || !strings.HasSuffix(shown[found], "…")) {
					return
				}
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("no line of %d cells:\n%s", cols, strings.Join(shown, "\n"))
			}
		}
	}
	lines(100)
	for _, cols := range []int{44, 120, 30, 61, 20, 100} {
		if err := term.Resize(cols, 30); err != nil {
			t.Fatal(err)
		}
		lines(cols)
	}
	// What the demo's result is on a busy machine is another test's matter.
	if err := term.Wait(); err != nil && !strings.Contains(strings.Join(term.Lines(), "\n"), "the demo's result") {
		t.Errorf("%v\n%s", err, strings.Join(term.Lines(), "\n"))
	}
	shown := strings.Join(term.Lines(), "\n")
	if slices.ContainsFunc(term.Lines(), progressLine.MatchString) {
		t.Errorf("progress is left behind:\n%s", shown)
	}
	for _, want := range []string{"3 invented influencers", "run 1 of matzip done in", "posts"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q:\n%s", want, shown)
		}
	}
	if len(term.Unknown) > 0 {
		t.Errorf("sequences that not every terminal knows: %q", term.Unknown)
	}
}

// TestProgressOnAPipe shows plain lines.
func TestProgressOnAPipe(t *testing.T) {
	t.Parallel()
	exe, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe, "demo", "--accounts", "3", "--posts", "60", "--state", filepath.Join(dir, "d.db"))
	cmd.Env = []string{"TERM=xterm-256color", "HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	most := int(time.Since(began) / (5 * time.Second))
	if i := bytes.IndexFunc(out, func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("a control character: %q", out[max(0, i-40):min(len(out), i+40)])
	}
	if n := len(regexp.MustCompile(`(?m)^\d+s  pages \d+`).FindAll(out, -1)); n < 1 || n > most {
		t.Errorf("%d lines of progress, want 1 to %d:\n%s", n, most, out)
	}
}
