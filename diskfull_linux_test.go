package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

// TestDiskFull runs on a disk that is too small, larger by a little each time, until there is room for everything. Each run must
// end with the reason, and nothing may be lost, doubled or paid twice.
func TestDiskFull(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	o := sim.Options{Seed: 21, Accounts: 2, Posts: 30, BatchStep: 50 * time.Millisecond}
	calm := newWorld(t, o, "")
	calm.mustRun("run", "matzip")

	w := newWorld(t, o, "")
	disk := filepath.Join(w.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	size := func(kb int, flags uintptr) error {
		return syscall.Mount("tmpfs", disk, "tmpfs", flags, fmt.Sprintf("size=%dk", kb))
	}
	if err := size(100, 0); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Skip("no small disk can be had: ", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	state := filepath.Join(disk, "sumbi.db")
	full := 0
	for kb := 300; ; kb += 250 {
		if err := size(kb, syscall.MS_REMOUNT); err != nil {
			t.Fatal(err)
		}
		status, out, errs := w.run("--state", state, "run", "matzip")
		if status == 0 {
			break
		}
		if status != 1 || !strings.Contains(errs, "disk is full; make room and start again, nothing is lost") || kb > 20_000 {
			t.Fatalf("%d KB: exit status %d\n%s%s", kb, status, out, errs)
		}
		full++
	}
	if full < 3 {
		t.Errorf("the disk was full %d times only", full)
	}
	if err := os.Symlink(state, filepath.Join(w.dir, "sumbi.db")); err != nil {
		t.Fatal(err)
	}
	w.grade()
	w.paidTwice()
	if diff := gocmp.Diff(calm.places(), w.places()); diff != "" {
		t.Errorf("places (-calm +full):\n%s\n%s\n%s", diff, w.mustRun("status"), w.mustRun("jobs", "list"))
	}
}
