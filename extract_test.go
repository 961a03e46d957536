package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

// labelled writes what an honest reader finds in the captions of a world, each mention changed by spoil first.
func (w *world) labelled(name string, spoil func(*sim.Mention)) (captions int) {
	w.t.Helper()
	var out strings.Builder
	seen := map[string]bool{}
	posts := w.Posts()
	for _, id := range slices.Sorted(maps.Keys(posts)) {
		p := posts[id]
		if p.Caption == "" || seen[p.Caption] {
			continue
		}
		seen[p.Caption] = true
		mentions := p.Mentions
		if len(mentions) == 0 {
			mentions = []sim.Mention{{}}
		}
		for _, m := range mentions {
			spoil(&m)
			menu := []string{}
			for _, d := range m.Menu {
				menu = append(menu, d.Name)
			}
			line, err := json.Marshal(map[string]any{"caption_id": id, "text": p.Caption, "hashtags": []string{}, "fields": map[string]any{
				"name": m.Name, "branch": m.Branch, "address": m.Address, "area": m.Area, "menu": menu, "phone": "", "ig_location": nil,
			}})
			if err != nil {
				w.t.Fatal(err)
			}
			out.Write(append(line, '\n'))
		}
	}
	w.write(name, out.String())
	return len(seen)
}

// TestExtract compares the model with labels: all right, then with one label that it does not agree with. The same captions are
// paid for once.
func TestExtract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 41, Accounts: 2, Posts: 60, BatchStep: 50_000_000}, "")
	n := w.labelled("captions.jsonl", func(*sim.Mention) {})

	status, out, errs := w.run("eval", "extract", "captions.jsonl")
	if want := fmt.Sprintf("%d captions to gpt-5-mini: about ", n); status != 2 || !strings.Contains(out, want) || !strings.Contains(errs, "nothing was sent; say --yes") {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	if st := w.Stats(); st.Files+st.Batches > 0 {
		t.Fatalf("something was sent without a yes: %s", st)
	}

	out = w.mustRun("eval", "extract", "captions.jsonl", "--yes", "--wrong")
	for _, what := range []string{"restaurants", "name", "branch", "address", "area", "menu item"} {
		if !regexp.MustCompile(`(?m)^` + what + ` +1\.000 \[0\.\d+, 1\.000\] +1\.000 \[0\.\d+, 1\.000\] +1\.000  wrong 0, missed 0$`).MatchString(out) {
			t.Errorf("%s is not perfect:\n%s", what, out)
		}
	}
	st := w.Stats()
	if want := fmt.Sprintf("%d of %d captions answered by gpt-5-mini", n, n); !strings.Contains(out, want) || st.Lines != n {
		t.Errorf("want %q with %d lines run, got %d:\n%s", want, n, st.Lines, out)
	}
	id := regexp.MustCompile(`batch (batch_\S+) is sent`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("no id:\n%s", out)
	}

	// The first restaurant with an area is said to be elsewhere, and one is labelled that nobody names.
	spoilt := 0
	w.labelled("spoilt.jsonl", func(m *sim.Mention) {
		switch {
		case m.Area != "" && spoilt == 0:
			m.Area, spoilt = "없는동네", 1
		case m.Name == "" && spoilt == 1:
			m.Name, spoilt = "아무도모르는집", 2
		}
	})
	for _, args := range [][]string{{"--batch", id[1]}, {}} {
		out = w.mustRun(append([]string{"eval", "extract", "spoilt.jsonl", "--wrong"}, args...)...)
		for _, want := range []string{`(?m)^area +0\.9\d\d .* wrong 1, missed 1$`, `(?m)^restaurants +1\.000 .* wrong 0, missed 1$`, `: area of .*: right is "없는동네", answered `, `: missed 아무도모르는집\n`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%v: no %q in\n%s", args, want, out)
			}
		}
	}
	if st := w.Stats(); st.Lines != n || st.Batches != 1 {
		t.Errorf("%d lines in %d batches were paid, want %d in one", st.Lines, st.Batches, n)
	}
	if _, err := readFile(w.dir, "sumbi.db"); err == nil {
		t.Error("there is a state file")
	}
}

// TestExtractTrouble lets the connection and the lines go wrong: what the model did not say is not held against it, what it refused is.
func TestExtractTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 42, Accounts: 1, Posts: 20, BatchStep: 20_000_000, Faults: sim.Faults{OpenAI: sim.OpenAIFaults{
		HTTPFaults: sim.HTTPFaults{Error500: sim.Times(1)}, CreateLost: sim.Times(1), CutDownload: sim.Times(1), CutLine: sim.Times(1), LineError500: sim.Times(1), Refusal: sim.Times(1),
	}}}, "")
	n := w.labelled("captions.jsonl", func(m *sim.Mention) {
		if m.Name == "" {
			m.Name = "어디에도없는집" // so that a refusal is always a miss
		}
	})
	out := w.mustRun("eval", "extract", "captions.jsonl", "--yes", "--wrong")
	for _, want := range []string{fmt.Sprintf("%d of %d captions answered", n-1, n), "the model refused", ": missed ", "not in the figures"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if st := w.Stats(); st.Batches != 1 {
		t.Errorf("%d batches, want 1", st.Batches)
	}
}

func TestExtractUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 43, Accounts: 1, Posts: 3}, "")
	w.write("empty.jsonl", "\n")
	w.write("case.jsonl", `{"case_id":"1","fields":{"name":"누룽담"}}`)
	w.write("bare.jsonl", `{"caption_id":"1","text":"누룽담 다녀왔어요"}`)
	w.write("cut.jsonl", `{"caption_id":`)
	w.write("good.jsonl", `{"caption_id":"1","text":"누룽담 다녀왔어요","hashtags":[],"fields":{"name":"누룽담"}}`)
	for name, c := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no file":       {[]string{"missing.jsonl"}, 2, "captions: open missing.jsonl: "},
		"empty":         {[]string{"empty.jsonl"}, 1, "empty.jsonl: there is no caption in it\n"},
		"case":          {[]string{"case.jsonl"}, 1, "case.jsonl: line 1: no caption_id"},
		"no fields":     {[]string{"bare.jsonl"}, 1, "bare.jsonl: line 1: 1: no fields\n"},
		"cut":           {[]string{"cut.jsonl"}, 1, "cut.jsonl: line 1: no labelled caption: unexpected end of JSON input\n"},
		"two wishes":    {[]string{"good.jsonl", "--batch", "batch_1", "--again"}, 2, "say one of them"},
		"unknown batch": {[]string{"good.jsonl", "--batch", "batch_1"}, 1, "No batch found with id 'batch_1'"},
	} {
		status, _, errs := w.run(append([]string{"eval", "extract"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d: %s, want %d with %q", name, status, errs, c.status, c.want)
		}
	}
}

// TestExtractInterrupted stops the program as soon as the batch is sent: what is printed is enough to take it up.
func TestExtractInterrupted(t *testing.T) {
	t.Parallel()
	// Who looks at the batch gets no answer, so that it does not end before the program is stopped.
	const before = 3 // the search for such a batch, the upload and the batch
	w := newWorld(t, sim.Options{Seed: 44, Accounts: 1, Posts: 10, BatchStep: 50 * time.Millisecond, Faults: sim.Faults{
		OpenAI: sim.OpenAIFaults{HTTPFaults: sim.HTTPFaults{Stall: sim.Fault{Rate: 1, Skip: before}}},
	}}, "")
	n := w.labelled("captions.jsonl", func(*sim.Mention) {})
	c := w.cmd("eval", "extract", "captions.jsonl", "--yes")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	id := ""
	for lines := bufio.NewScanner(out); id == "" && lines.Scan(); {
		if m := regexp.MustCompile(`batch (batch_\S+) is sent`).FindStringSubmatch(lines.Text()); m != nil {
			id = m[1]
		}
	}
	_ = c.Process.Signal(os.Interrupt)
	_ = c.Wait()
	w.SetFaults(sim.Faults{})
	if want := "the batch runs on, and `sumbi eval extract captions.jsonl --batch " + id + "` takes it up"; id == "" || c.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), want) {
		t.Fatalf("batch %q, %s, without %q: %s", id, c.ProcessState, want, &errs)
	}
	if got, want := w.mustRun("eval", "extract", "captions.jsonl", "--batch", id), fmt.Sprintf("%d of %d captions answered", n, n); !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	if st := w.Stats(); st.Batches != 1 || st.Lines != n {
		t.Errorf("%d batches, %d lines, want 1 and %d", st.Batches, st.Lines, n)
	}
}
