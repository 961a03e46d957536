package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/queue"
	"sumbi/sim"
)

// TestReplay replays a finished run. Every upstream is then an address where each call fails the test.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 21, Accounts: 3, Posts: 40}, "")
	w.mustRun("run", "matzip")
	before := w.places()
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	go func() {
		for {
			c, err := trap.Accept()
			if err != nil {
				return
			}
			t.Errorf("a replay called somebody from %s", c.RemoteAddr())
			_ = c.Close()
		}
	}()
	sims := w.base
	w.base = "http://" + trap.Addr().String()
	w.configure("", "", w.Accounts())
	w.env = append(w.env, "MONGODB_URI=mongodb://"+trap.Addr().String())
	replay := func(from string, want ...string) {
		t.Helper()
		out := w.mustRun("replay", "matzip", "--from", from)
		for _, x := range want {
			if !strings.Contains(out, x) {
				t.Errorf("--from %s does not say %q:\n%s", from, x, out)
			}
		}
	}
	const rest = "`sumbi run matzip` would ask 0 questions, match 0 mentions and deliver 0 places"
	replay("records", " 0 changed\n", rest)
	replay("extractions", " 0 changed\n", rest)

	// As an older version of the program may have left it: a caption that was misread, a place that was not found.
	w.exec(`update record set data = replace(data, '"caption":', '"caption":"","was":') where id = (select min(record) from mention)`)
	w.exec(`update mention set state = 'none', place = null where id = (select max(id) from mention where place is not null)`)
	replay("records", " 1 changed\n", rest)
	replay("extractions", " 1 changed\n", rest)
	if diff := gocmp.Diff(before, w.places()); diff != "" {
		t.Errorf("places (-before +after):\n%s", diff)
	}
	w.exec(`update record set raw = substr(raw, 1, 12) where id = 1`)
	replay("records", "1 left as they were: the kept item cannot be read\n")
	w.exec(`update question set answer = '{"restaurants":[' where id = (select question from mention where place is not null order by id limit 1)`)
	replay("extractions", " left as they were: its fields cannot be read\n")
	if status, out, errs := w.run("export", "places"); status != 0 || strings.Count(out, "\n") != len(before) || !strings.Contains(errs, "what a post says of a place cannot be read") {
		t.Errorf("export without an answer: status %d, %d places of %d, %s", status, strings.Count(out, "\n"), len(before), errs)
	}
	w.exec(`delete from search`)
	replay("extractions", " left as they were: not all of its searches are remembered\n")

	if status, _, errs := w.run("replay", "matzip", "--from", "soup"); status != 2 {
		t.Errorf("--from soup: status %d\n%s", status, errs)
	}
	if status, _, errs := w.run("replay", "matzip"); status != 2 {
		t.Errorf("without --from: status %d\n%s", status, errs)
	}
	if status, _, errs := w.run("replay", "soup", "--from", "records"); status != 2 || !strings.Contains(errs, "soup") {
		t.Errorf("no such pipeline: status %d\n%s", status, errs)
	}
	status, out, errs := w.run("replay", "matzip", "--from", "records", "--state", "없음.db")
	if want := "sumbi: state file 없음.db: does not exist yet; `sumbi run PIPELINE` or `sumbi serve` makes it\n"; status != 1 || errs != want || out != "" {
		t.Errorf("without a file: status %d, %q, %q", status, errs, out)
	}
	if made, err := filepath.Glob(filepath.Join(w.dir, "없음*")); err != nil || len(made) > 0 {
		t.Errorf("a replay made %v, %v", made, err)
	}
	s, err := w.open(t.Context(), queue.Owner)
	if err != nil {
		t.Fatal(err)
	}
	status, _, errs = w.run("replay", "matzip", "--from", "records")
	if want := "sumbi: another sumbi works on this state file: stop it first, then replay\n"; status != 1 || errs != want {
		t.Errorf("while another works: status %d, %q", status, errs)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// And a run goes on from there.
	w.env = w.env[:len(w.env)-1]
	w.base = sims
	w.configure("", "", w.Accounts())
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
}

// exec changes the state behind the program's back.
func (w *world) exec(query string) {
	w.t.Helper()
	if _, err := w.sql().ExecContext(w.t.Context(), query); err != nil {
		w.t.Fatal(err)
	}
}
