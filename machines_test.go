//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/queue/pgtest"
	"sumbi/sim"
)

// machine is one of several processes that work on one state.
type machine struct {
	cmd  *exec.Cmd
	errs *bytes.Buffer
	done chan error
}

func (w *world) machine() *machine {
	w.t.Helper()
	m := &machine{cmd: w.cmd("run", "matzip"), errs: &bytes.Buffer{}, done: make(chan error, 1)}
	m.cmd.Stderr = m.errs
	if err := m.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { m.done <- m.cmd.Wait() }()
	return m
}

// end waits for the end of a machine; false when it has none within d.
func (m *machine) end(d time.Duration) (err error, ended bool) {
	select {
	case err = <-m.done:
		return err, true
	case <-time.After(d):
		return nil, false
	}
}

// machinesOnly skips what needs a state that several processes share.
func machinesOnly(t *testing.T) {
	t.Helper()
	if !pgtest.Wanted() {
		t.Skip("about a state on PostgreSQL; SUMBI_TEST_ENGINE=postgres runs it")
	}
}

// strict refuses what is above the limit, and counts what it refuses.
func strict(seed uint64, accounts, posts int) sim.Options {
	return sim.Options{Seed: seed, Accounts: accounts, Posts: posts, InstagramPerSecond: 24, CountRefused: true, Latency: 150 * time.Millisecond, Jitter: 0.5, BatchStep: 200 * time.Millisecond, ListDelay: 200 * time.Millisecond}
}

// TestMachines lets four processes do one run together, at one pace.
func TestMachines(t *testing.T) {
	machinesOnly(t)
	t.Parallel()
	o := strict(51, 8, 60)
	calm := newWorld(t, o, "")
	calm.mustRun("run", "matzip")
	w := newWorld(t, o, "")
	var wg sync.WaitGroup
	for range 4 {
		m := w.machine()
		wg.Go(func() {
			if err, ended := m.end(6 * time.Minute); err != nil || !ended {
				t.Errorf("a machine: %v, ended %v\n%s", err, ended, m.errs)
			}
		})
	}
	wg.Wait()
	w.grade()
	w.paidTwice()
	st := w.Stats()
	if c := st.Calls["instagram"]; c.Refused > 0 || st.PagesAgain > 0 {
		t.Errorf("%d calls were refused, %d pages fetched again", c.Refused, st.PagesAgain)
	}
	if diff := gocmp.Diff(calm.places(), w.places()); diff != "" {
		t.Errorf("places (-one process +four):\n%s", diff)
	}
}

// TestMachinesInTrouble kills processes, stops them for longer than they are believed to be alive, and restarts PostgreSQL under
// them. Nothing is lost, doubled or paid twice.
func TestMachinesInTrouble(t *testing.T) {
	machinesOnly(t)
	t.Parallel()
	o := strict(52, 8, 80)
	calm := newWorld(t, o, "")
	calm.mustRun("run", "matzip")

	server, err := pgtest.Own()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w := newWorld(t, o, "")
	w.env[len(w.env)-1] = "DATABASE_URL=" + server.Database(t, "")
	w.database = strings.TrimPrefix(w.env[len(w.env)-1], "DATABASE_URL=")
	const n = 4
	var all [n]*machine
	for i := range all {
		all[i] = w.machine()
	}
	// The dice are the test's own, so that a failure can be seen again.
	dice := rand.New(rand.NewPCG(52, 1))
	for event := range 12 {
		time.Sleep(time.Duration(300+dice.IntN(1200)) * time.Millisecond)
		i := dice.IntN(n)
		switch event {
		case 5:
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
		case 3, 8:
			_ = all[i].cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(18 * time.Second)
			_ = all[i].cmd.Process.Signal(syscall.SIGCONT)
		default:
			_ = all[i].cmd.Process.Kill()
			all[i].end(time.Minute)
			all[i] = w.machine()
		}
	}
	for i, m := range all {
		if err, ended := m.end(6 * time.Minute); !ended {
			t.Errorf("machine %d does not end: %v\n%s", i, err, m.errs)
			_ = m.cmd.Process.Kill()
		}
	}
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
	st := w.Stats()
	if c := st.Calls["instagram"]; c.Refused > 0 {
		t.Errorf("%d calls were refused", c.Refused)
	}
	if diff := gocmp.Diff(calm.places(), w.places()); diff != "" {
		t.Errorf("places (-undisturbed +in trouble):\n%s", diff)
	}
	t.Logf("%d pages served, %d again; %s", st.PagesServed, st.PagesAgain, fmt.Sprint(st.Calls["instagram"]))
}
