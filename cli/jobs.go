package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"sumbi/jobs"
	"sumbi/queue"
)

type jobsCmd struct {
	List  jobsListCmd  `cmd:"" help:"List jobs, the dead first."`
	Show  jobsShowCmd  `cmd:"" help:"Show a job with its whole story, or what was decided about a post and why."`
	Retry jobsRetryCmd `cmd:"" help:"Let dead jobs live again, and waiting ones come at once."`
	Drop  jobsDropCmd  `cmd:"" help:"Remove jobs for good."`
}

type jobsListCmd struct {
	State string `name:"only" enum:",ready,running,waiting,dead" default:"" help:"Only these: ready, running, waiting or dead."`
	Kind  string `enum:",page,batch,match,deliver" default:"" help:"Only these: page, batch, match or deliver."`
	Limit int    `default:"50" help:"At most so many."`
}

// Run lists jobs.
func (l jobsListCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	js, err := s.Jobs(e.ctx, l.State, l.Kind, l.Limit)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tKIND\tSTATE\tATTEMPT\tDUE\tKEY\tERROR")
	for _, j := range js {
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", j.ID, j.Kind, j.State, j.Attempt, when(j.Due), j.Key, oneLine(j.Err))
	}
	if l.State == "" || l.State == "dead" {
		dead, err := s.DeadOnes(e.ctx, l.Limit)
		if err != nil {
			return err
		}
		for _, d := range dead {
			if d.What == "question" && l.Kind == "" {
				fmt.Fprintf(t, "%s\tquestion\tdead\t%d\t%s\t%s\t%s\n", d.ID, d.Attempt, when(d.At), oneLine(d.Name), oneLine(d.Reason))
			}
		}
	}
	return t.Flush()
}

// oneLine cuts what a table has room for.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}

type jobsShowCmd struct {
	ID string `arg:"" help:"Number of the job; or a post: its number, address or code."`
}

// Run shows one job.
func (c jobsShowCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	id, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil {
		return e.showPost(s, c.ID)
	}
	j, story, err := s.Job(e.ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		if n, cerr := s.CountReviews(e.ctx, queue.ReviewFilter{Post: c.ID, All: true}); cerr == nil && n > 0 {
			return e.showPost(s, c.ID)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "job %d: %s\n", j.ID, j.State)
	if j.Kind != "" {
		fmt.Fprintf(e.Stdout, "kind %s, pipeline %s, lane %s, key %s, priority %d\nargs %s\nmade %s, due %s\n", j.Kind, j.Pipeline, j.Lane, j.Key, j.Priority, j.Args, when(j.Created), when(j.Due))
	}
	for _, x := range story {
		fmt.Fprintf(e.Stdout, "%s  attempt %d: %s\n", when(x.At), x.Attempt, x.Err)
	}
	if j.Kind == string(queue.KindMatch) {
		return e.showMatch(s, j)
	}
	return nil
}

type jobsRetryCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Numbers of jobs, or ids of questions."`
	All bool     `help:"Everything that is dead."`
}

// Run lets jobs live again.
func (c jobsRetryCmd) Run(e *env) error {
	return e.each(c.IDs, c.All, jobs.Retry, "goes on")
}

type jobsDropCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Numbers of jobs, or ids of questions."`
	All bool     `help:"Everything that is dead."`
}

// Run removes jobs.
func (c jobsDropCmd) Run(e *env) error {
	return e.each(c.IDs, c.All, func(tx *queue.Tx, id string) error {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			return jobs.Drop(tx, n)
		}
		return tx.DropQuestion(id)
	}, "dropped")
}

// each does f for every id, each in a transaction of its own, and says so.
func (e *env) each(ids []string, all bool, f func(*queue.Tx, string) error, done string) error {
	if (len(ids) == 0) != all {
		return usageError{fmt.Errorf("name the jobs, or say --all for everything that is dead")}
	}
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	if all {
		dead, err := s.DeadOnes(e.ctx, 1<<30)
		if err != nil {
			return err
		}
		for _, d := range dead {
			ids = append(ids, d.ID)
		}
	}
	var errs []error
	for _, id := range ids {
		if err := s.Tx(e.ctx, func(tx *queue.Tx) error { return f(tx, id) }); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(e.Stdout, "%s %s\n", id, done)
	}
	return errors.Join(errs...)
}
