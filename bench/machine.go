package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// tmpfs is the type of a file system that keeps nothing, where a sync costs nothing.
const tmpfs = 0x01021994

// workDir makes the directory of a run. It is on a disk, or the figures of the engine would mean nothing.
func workDir(want, root string) (string, error) {
	if want != "" {
		return os.MkdirTemp(want, "sumbi-bench-")
	}
	for _, parent := range []string{os.TempDir(), "/var/tmp", root} {
		var st syscall.Statfs_t
		if err := syscall.Statfs(parent, &st); err == nil && st.Type != tmpfs {
			return os.MkdirTemp(parent, "sumbi-bench-")
		}
	}
	return "", fmt.Errorf("neither %s nor /var/tmp nor %s is on a disk; name a directory with --dir", os.TempDir(), root)
}

// head prints where and when the figures were measured.
func (b *bench) head(args []string, which []part) error {
	median, p95, err := fsyncCost(b.dir)
	if err != nil {
		return err
	}
	names := make([]string, len(which))
	for i, p := range which {
		names[i] = p.name
	}
	if len(names) == len(parts()) {
		names = []string{"all"}
	}
	b.out.line("`go run ./bench %s`, %s\n", strings.Join(append(names, args...), " "), time.Now().Format("2 January 2006"))
	b.out.line("%s, %d cores, %s, %s/%s. A sync of 4 KB appended to a file costs %s (median; 95 %%: %s).",
		cpuName(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, ms(median), ms(p95))
	if b.short {
		b.out.note("This is a short run: for a look, not for figures.")
	}
	return nil
}

func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return runtime.GOARCH
}

// fsyncCost appends small pieces to a file and syncs each, as a commit does.
func fsyncCost(dir string) (median, p95 time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(filepath.Clean(f.Name()))
	defer f.Close()
	piece := make([]byte, 4096)
	var all []time.Duration
	for range 300 {
		if _, err := f.Write(piece); err != nil {
			return 0, 0, err
		}
		t := time.Now()
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		all = append(all, time.Since(t))
	}
	return quantile(all, 0.5), quantile(all, 0.95), nil
}
