package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/queue"
	"sumbi/queue/pgtest"
	"sumbi/sim"
)

// stateIn makes a file the state of a world, or the database at an address.
func (w *world) stateIn(database string) {
	w.t.Helper()
	w.database = database
	w.configure("", "", w.Accounts())
}

// TestMove kills a run over a file in the middle, moves the file into PostgreSQL, and lets two processes end the run there. What
// comes of it is what an undisturbed run over a file brings, and so it is when it was moved back.
func TestMove(t *testing.T) {
	if !pgtest.Wanted() {
		t.Skip("SUMBI_TEST_ENGINE=postgres is not set: a run that is moved to PostgreSQL was NOT checked")
	}
	t.Parallel()
	o := sim.Options{Seed: 31, Accounts: 4, Posts: 70, InstagramPerSecond: 30, Latency: 60 * time.Millisecond, Jitter: 0.5, BatchStep: 200 * time.Millisecond, ListDelay: 200 * time.Millisecond}
	calm := newWorld(t, o, "")
	calm.stateIn("")
	calm.mustRun("run", "matzip")
	calm.grade()
	want := calm.places()

	// Nobody hears from the model, so that the run does not end before it is killed.
	o.Faults.OpenAI.Stall = sim.Often(1)
	w := newWorld(t, o, "")
	address := w.database
	w.stateIn("")
	c := w.cmd("run", "matzip")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.until("half of the pages are there", func() bool {
		s, err := w.open(t.Context(), queue.Guest)
		if err != nil {
			return false
		}
		defer s.Close()
		n := 0
		return s.Posts(t.Context(), func(queue.Stored) error { n++; return nil }) == nil && n > 100
	})
	if status, _, errs := w.run("move", "--to", "postgres"); status != 1 || !strings.Contains(errs, "another sumbi process works on this state file") {
		t.Errorf("a file in use: exit status %d\n%s", status, errs)
	}
	_ = c.Process.Signal(syscall.SIGKILL)
	_ = c.Wait()
	w.SetFaults(sim.Faults{})
	before, err := os.ReadFile(w.file())
	if err != nil {
		t.Fatal(err)
	}
	address = w.killedMoves(address)
	if status, out, errs := w.run("move", "--to", "postgres", "--verbose"); status != 0 || !strings.Contains(out, "read back and equal; sumbi.db is as it was") ||
		!strings.Contains(out, `state = "postgres" in sumbi.toml`) || !strings.Contains(errs, "table=record") {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	if after, err := os.ReadFile(w.file()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file is not as it was: %v", err)
	}
	if status, _, errs := w.run("move", "--to", "postgres"); status != 1 || !strings.Contains(errs, "is not empty; name another database") {
		t.Errorf("once more: exit status %d\n%s", status, errs)
	}

	w.stateIn(address)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if status, out, errs := w.run("run", "matzip"); status != 0 || !strings.Contains(out, "run 1 of matzip done") {
				t.Errorf("exit status %d\n%s%s", status, out, errs)
			}
		})
	}
	both.Wait()
	w.grade()
	w.paidTwice()
	if diff := gocmp.Diff(want, w.places()); diff != "" {
		t.Errorf("places differ from the undisturbed run over a file (-undisturbed +moved):\n%s", diff)
	}

	w.mustRun("move", "--to", "back.db")
	w.stateIn("")
	if status, _, errs := w.run("run", "--state", "back.db", "matzip"); status != 0 {
		t.Fatal(errs)
	}
	w.env = append(w.env, "SUMBI_STATE=back.db")
	if diff := gocmp.Diff(want, w.places()); diff != "" {
		t.Errorf("places differ when they were moved back (-before +after):\n%s", diff)
	}
	w.paidTwice()
}

// killedMoves kills moves in the middle, which leave the database as it was, and returns an empty one.
func (w *world) killedMoves(address string) string {
	w.t.Helper()
	for _, after := range []time.Duration{100, 200, 300} {
		c := w.cmd("move", "--to", "postgres")
		if err := c.Start(); err != nil {
			w.t.Fatal(err)
		}
		timer := time.AfterFunc(after*time.Millisecond, func() { _ = c.Process.Signal(syscall.SIGKILL) })
		err := c.Wait()
		timer.Stop()
		if err == nil { // done before
			address = database(w.t)
			w.env = append(w.env, "DATABASE_URL="+address)
		}
	}
	return address
}
