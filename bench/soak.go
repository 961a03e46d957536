package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"sumbi/cli"
	"sumbi/queue"
	"sumbi/sim"
)

// What a soak is made of: many accounts, and the mix of faults that every run must survive.
const (
	soakPosts = 250 // of an account, on average
	soakRate  = 0.03
	soakKeys  = 4
	soakRuns  = 6  // at most, until no list is left unfinished
	soakRows  = 16 // of the table
)

// soakSample is how a soak stood at one moment.
type soakSample struct {
	at                   time.Duration
	posts, done          int64 // posts stored; mentions decided
	resident, peak, file int64
}

// soak puts many posts through the whole pipeline while everything goes wrong now and then, and looks at what grows.
func (b *bench) soak(ctx context.Context) error {
	o := sim.Options{
		Seed: 1, Accounts: max(2, b.posts/soakPosts), Posts: min(soakPosts, b.posts/2), Epoch: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		Latency: 40 * time.Millisecond, SearchLatency: 2 * time.Millisecond, BatchStep: time.Second, Faults: sim.Trouble(soakRate),
	}
	for i := range soakKeys {
		o.Keys.RapidAPI = append(o.Keys.RapidAPI, fmt.Sprintf("sim-rapidapi-key-%d", i+1))
	}
	up, err := openWorld(ctx, o)
	if err != nil {
		return err
	}
	defer up.close()
	pr, err := b.project("soak", up, settings{perSecond: 1000, finder: 4000, attempts: 12})
	if err != nil {
		return err
	}
	defer pr.remove()
	pr.env = append(pr.env, "RAPIDAPI_KEY="+strings.Join(o.Keys.RapidAPI, ","))
	began := time.Now()
	var all []soakSample
	runs := 0
	for gaps := int64(1); gaps > 0; runs++ {
		if runs == soakRuns {
			return fmt.Errorf("after %d runs there are still %d lists unfinished", runs, gaps)
		}
		// What faults have left unfinished the next run makes good. Its faults are over.
		if runs == 1 {
			if err := up.calm(ctx); err != nil {
				return err
			}
		}
		more, err := b.soakRun(ctx, pr, began)
		if err != nil {
			return err
		}
		all = append(all, more...)
		if gaps, err = pr.number(ctx, `select (select count(*) from walk where state <> 'idle') + (select count(*) from target where state <> 'ok')`); err != nil {
			return err
		}
	}
	st, err := up.stats(ctx)
	if err != nil {
		return err
	}
	return b.showSoak(ctx, o, pr, all, st, runs, time.Since(began))
}

// soakRun runs the pipeline once and looks at the process and its file every few seconds.
func (b *bench) soakRun(ctx context.Context, pr *project, began time.Time) (all []soakSample, err error) {
	p, err := pr.sumbi(ctx, "run", "matzip")
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return all, p.wait(ctx)
		case <-ctx.Done():
			return all, p.wait(ctx)
		case <-tick.C:
		}
		s := soakSample{at: time.Since(began), resident: procMemory(p.cmd.Process.Pid, "VmRSS"), peak: p.peak.Load(), file: pr.fileSize()}
		if s.posts, err = pr.number(ctx, `select sum(fresh) from run`); err != nil {
			continue // the file is being made
		}
		if s.done, err = pr.number(ctx, `select (select max(id) from mention) - (select count(*) from mention where state = 'waiting')`); err != nil || s.resident == 0 {
			continue
		}
		all = append(all, s)
		if len(all)%15 == 0 {
			fmt.Fprintf(os.Stderr, "%s: %s posts, %s mentions decided, %s resident, file %s\n", s.at.Round(time.Second), count(int(s.posts)), count(int(s.done)), mb(s.resident), mb(s.file))
		}
	}
}

func (b *bench) showSoak(ctx context.Context, o sim.Options, pr *project, all []soakSample, st sim.Stats, runs int, took time.Duration) error {
	r, dead, err := pr.grade(ctx, b.root, o)
	if err != nil {
		return err
	}
	var peak int64
	rows := [][]string{}
	for i, s := range all {
		peak = max(peak, s.peak)
		if len(all) > soakRows && i*soakRows/len(all) == (i-1)*soakRows/len(all) && i > 0 && i < len(all)-1 {
			continue
		}
		perPost := ""
		if s.posts > 0 {
			perPost = fmt.Sprintf("%.0f", float64(s.file)/float64(s.posts))
		}
		rows = append(rows, []string{s.at.Round(time.Second).String(), count(int(s.posts)), count(int(s.done)), mb(s.resident), mb(s.file), perPost})
	}
	size := pr.fileSize()
	b.out.section("Soak")
	b.out.line("%s posts of %d accounts, each fault of the mix at %.0f %%. It took %s and %d runs, the last without faults.\n", count(r.PostsExpected), o.Accounts, 100*soakRate, took.Round(time.Second), runs)
	b.out.table([]string{"after", "posts", "mentions decided", "resident", "file", "bytes a post"}, rows)
	b.out.note("Peak of the resident memory %s; the file at the end %s, %.0f bytes a post.", mb(peak), mb(size), float64(size)/float64(max(r.PostsExpected, 1)))
	b.out.note("Posts missing %d, extra %d; lines paid twice %d of %s; batches doubled %d of %d; given up %d. Mentions taken for another place %d of %s.",
		len(r.PostsMissing), len(r.PostsExtra), st.LinesAgain+st.CaptionsAgain, count(st.Lines), st.BatchesAgain, st.Batches, dead, r.MentionsWrong, count(r.MentionsRight+r.MentionsWrong))
	if len(r.PostsMissing)+len(r.PostsExtra)+st.LinesAgain+st.CaptionsAgain+st.BatchesAgain+dead > 0 {
		return fmt.Errorf("something was lost, doubled, paid twice or given up")
	}
	return nil
}

// grade compares the state with the truth of a world like the one that it came from.
func (p *project) grade(ctx context.Context, root string, o sim.Options) (r sim.Report, dead int, err error) {
	schema, err := os.ReadFile(root + "/schema.sql")
	if err != nil {
		return r, 0, err
	}
	s, err := queue.Open(ctx, p.state(), string(schema), queue.Guest)
	if err != nil {
		return r, 0, err
	}
	defer s.Close()
	posts, found, err := cli.Findings(ctx, s)
	if err != nil {
		return r, 0, err
	}
	gone, err := s.DeadOnes(ctx, 1000)
	w := sim.New(o)
	defer w.Close()
	return w.Grade(posts, found), len(gone), err
}
