package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sumbi/sim"
)

// hardLimit is the memory of the smallest machine that sumbi is meant for.
const hardLimit = 256 << 20

// memory measures the peak of resident memory: large pages in flight over the large file, free and within a hard limit,
// and a batch of 50,000 lines.
func (b *bench) memory(ctx context.Context) error {
	w := workload{lists: uniform(40, 40), limit: 8, latency: 5 * time.Second, pageBytes: 250_000}
	free, err := b.heavy(ctx, w, false)
	if err != nil {
		return err
	}
	rows := [][]string{{"40 pages of 250 KB in flight, large file", mb(free.peak), ""}}
	tight, err := b.heavy(ctx, w, true)
	if err != nil {
		return err
	}
	rows = append(rows, []string{"the same, " + tight.how, mb(tight.peak), ""})
	more, err := b.batch(ctx)
	if err != nil {
		return err
	}
	b.out.section("Memory")
	b.out.line("The large file holds %s waiting jobs and as many records. Peak is VmHWM.\n", count(b.waiting()))
	b.out.table([]string{"", "peak", "above idle"}, append(rows, more...))
	return nil
}

type heavyRun struct {
	peak int64
	how  string // how the limit was set
}

// heavy crawls large pages over the large file for a while.
func (b *bench) heavy(ctx context.Context, w workload, limited bool) (r heavyRun, err error) {
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return r, err
	}
	defer up.close()
	pr, back, err := b.bigProject(ctx, up, settings{perSecond: w.rate()})
	if err != nil {
		return r, err
	}
	defer back()
	name, args := b.sumbi, []string{"run", "matzip"}
	var box *cgroup
	if limited {
		if box, err = newCgroup(hardLimit); err == nil {
			defer box.remove()
			r.how = "memory.max of a cgroup 256 MiB"
		} else if prlimit, err := exec.LookPath("prlimit"); err == nil {
			// Stricter than a limit of what is resident: all that could be written to counts.
			r.how = "RLIMIT_DATA 256 MiB (no cgroup to be had)"
			name, args = prlimit, append([]string{fmt.Sprintf("--data=%d", hardLimit), b.sumbi}, args...)
		} else {
			r.how = "no limit could be set here"
		}
	}
	p, err := launch(ctx, pr.dir, pr.env, name, args...)
	if err != nil {
		return r, err
	}
	if box != nil {
		if err := box.add(p.cmd.Process.Pid); err != nil {
			return r, errors.Join(err, p.stop(ctx))
		}
	}
	select {
	case <-p.done:
		return r, fmt.Errorf("it ended too early: %w\n%s", p.err, p.tail())
	case <-ctx.Done():
		return r, ctx.Err()
	case <-time.After(pick(b, 40*time.Second, 20*time.Second)):
	}
	st, err := up.stats(ctx)
	if err != nil {
		return r, err
	}
	if err := p.stop(ctx); err != nil {
		return r, err
	}
	r.peak = p.peak.Load()
	if n := st.Calls["instagram"].InFlight; n < 30 {
		return r, fmt.Errorf("only %d pages were in flight", n)
	}
	return r, nil
}

// cgroup is a box with a memory limit, below the box that this process is in.
type cgroup struct{ dir string }

func newCgroup(limit int64) (*cgroup, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		mine := filepath.Join("/sys/fs/cgroup", path)
		have, err := os.ReadFile(filepath.Join(mine, "cgroup.subtree_control"))
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(have), "memory") {
			return nil, errors.New("the memory controller is not passed on")
		}
		c := &cgroup{filepath.Join(mine, "sumbi-bench")}
		if err := os.Mkdir(c.dir, 0o755); err != nil {
			return nil, err
		}
		err = errors.Join(c.set("memory.max", limit), c.set("memory.swap.max", 0))
		if err != nil {
			c.remove()
		}
		return c, err
	}
	return nil, errors.New("no cgroup v2")
}

func (c *cgroup) set(file string, n int64) error {
	return os.WriteFile(filepath.Join(c.dir, file), fmt.Appendln(nil, n), 0o644)
}

func (c *cgroup) add(pid int) error { return c.set("cgroup.procs", int64(pid)) }

func (c *cgroup) remove() { os.Remove(c.dir) }

// batch crawls without a model first, so that the second process finds all captions waiting; its peak is measured until the
// answers are read.
func (b *bench) batch(ctx context.Context) ([][]string, error) {
	accounts := pick(b, 50, 10)
	lists := make([]sim.Lengths, accounts)
	for i := range lists {
		lists[i] = sim.Lengths{Posts: 88, Reels: 1} // 1,056 posts: some have no caption, some captions are the same
	}
	up, err := openWorld(ctx, sim.Options{Seed: 1, Lists: lists, BatchStep: time.Second, OpenAILatency: 10 * time.Millisecond, SearchLatency: time.Second})
	if err != nil {
		return nil, err
	}
	defer up.close()
	const fast = 200 // calls a second; the upstream has no limit here
	pr, err := b.project("batch", up, settings{perSecond: fast, openai: "http://127.0.0.1:9"})
	if err != nil {
		return nil, err
	}
	defer pr.remove()
	p, err := pr.sumbi(ctx, "run", "matzip")
	if err != nil {
		return nil, err
	}
	if err := pr.until(ctx, p, `select count(*) from run where crawled_at is not null`); err != nil {
		return nil, err
	}
	if err := p.stop(ctx); err != nil {
		return nil, err
	}
	crawl := p.peak.Load()
	idle, err := pr.idlePeak(ctx)
	if err != nil {
		return nil, err
	}
	if err := pr.configure(up, settings{perSecond: fast, finder: 1}); err != nil {
		return nil, err
	}
	if p, err = pr.sumbi(ctx, "run", "matzip"); err != nil {
		return nil, err
	}
	if err := pr.until(ctx, p, `select count(*) > 0 and sum(state <> 'done') = 0 from batch`); err != nil {
		return nil, err
	}
	if err := p.stop(ctx); err != nil {
		return nil, err
	}
	lines, err := pr.number(ctx, `select max(lines) from batch`)
	if err != nil {
		return nil, err
	}
	return [][]string{
		{fmt.Sprintf("crawl of %s posts at %d pages a second", count(12*88*accounts), fast), mb(crawl), ""},
		{"idle over that file", mb(idle), ""},
		{fmt.Sprintf("a batch of %s lines built, uploaded and read", count(int(lines))), mb(p.peak.Load()), mb(p.peak.Load() - idle)},
	}, nil
}

// idlePeak is the peak of a process that only starts over the file and waits.
func (p *project) idlePeak(ctx context.Context) (int64, error) {
	pr, _, err := p.serve(ctx)
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	err = pr.stop(ctx)
	return pr.peak.Load(), err
}

// until waits until a query of the state file says 1 while the process runs.
func (p *project) until(ctx context.Context, pr *proc, query string) error {
	for {
		select {
		case <-pr.done:
			return fmt.Errorf("it ended too early: %w\n%s", pr.err, pr.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		if n, err := p.number(ctx, query); err == nil && n == 1 {
			return nil
		}
		if time.Since(pr.began) > 10*time.Minute {
			return errors.Join(fmt.Errorf("it took longer than ten minutes\n%s", pr.tail()), pr.stop(ctx))
		}
	}
}
