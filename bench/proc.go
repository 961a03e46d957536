package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// proc is a process that is measured.
type proc struct {
	cmd    *exec.Cmd
	began  time.Time
	stdout bytes.Buffer
	log    string // file of its standard error
	peak   atomic.Int64
	done   chan struct{} // closed when it has ended
	err    error         // valid then, like wall
	wall   time.Duration
}

// launch starts a program in dir; its messages go to a file there.
func launch(ctx context.Context, dir string, env []string, name string, args ...string) (*proc, error) {
	p := &proc{cmd: exec.CommandContext(ctx, name, args...), done: make(chan struct{})}
	log, err := os.CreateTemp(dir, filepath.Base(name)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.log = log.Name()
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, append(bare(), env...), &p.stdout, log
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		p.wall = time.Since(p.began)
	}()
	go p.watch()
	return p, nil
}

// bare is the environment without what would configure sumbi.
func bare() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "SUMBI_") || strings.HasPrefix(v, "MONGODB_URI")
	})
}

// watch follows the peak of the resident memory. The kernel keeps the peak; what rusage says after the end would begin with
// that of the parent.
func (p *proc) watch() {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		p.look()
		select {
		case <-p.done:
			return
		case <-t.C:
		}
	}
}

func (p *proc) look() {
	if n := procMemory(p.cmd.Process.Pid, "VmHWM"); n > p.peak.Load() {
		p.peak.Store(n)
	}
}

// procMemory reads one figure of /proc/PID/status in bytes; 0 when the process is gone.
func procMemory(pid int, field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64) // the kernel's own format
			return kb * 1024
		}
	}
	return 0
}

// wait waits for the end; an exit status other than 0 is an error that shows the last messages.
func (p *proc) wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		<-p.done
		return ctx.Err()
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), p.err, p.tail())
	}
	return nil
}

// stop asks the process to end and waits for it; after a while it is killed.
func (p *proc) stop(ctx context.Context) error {
	p.look()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return errors.New("it did not stop within 30 s")
	}
	return ctx.Err()
}

func (p *proc) tail() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-2000):])
}

// cpu is the processor time of a process that has ended.
func (p *proc) cpu() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// cpuSoFar is the processor time that a running process has used, to the nanosecond.
func cpuSoFar(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("no accounts of process %d", pid)
	}
	var sum time.Duration
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // this thread has ended
		}
		first, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
