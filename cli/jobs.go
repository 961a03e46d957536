package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sumbi/jobs"
	"sumbi/queue"
)

type jobsCmd struct {
	List  jobsListCmd  `cmd:"" help:"List jobs, the dead first."`
	Show  jobsShowCmd  `cmd:"" help:"Show a job with its whole story, or what was decided about a post and why."`
	Retry jobsRetryCmd `cmd:"" help:"Try dead jobs again, and waiting ones at once."`
	Drop  jobsDropCmd  `cmd:"" help:"Remove jobs for good."`
}

type jobsListCmd struct {
	State string `name:"only" enum:",ready,running,waiting,dead" default:"" help:"Only these: ready, running, waiting or dead."`
	Kind  string `enum:",page,batch,match,deliver" default:"" help:"Only these: page, batch, match or deliver."`
	Limit int    `default:"50" help:"At most so many."`
	jsonFlag
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
	var questions []queue.Dead
	if l.Kind == "" && (l.State == "" || l.State == "dead") {
		dead, err := s.DeadOnes(e.ctx, l.Limit)
		if err != nil {
			return err
		}
		for _, d := range dead {
			if d.What == "question" {
				questions = append(questions, d)
			}
		}
	}
	if l.JSON {
		return e.document("jobs list", struct {
			Jobs      []queue.JobRow
			Questions []queue.Dead // captions that were given up
		}{js, questions})
	}
	t := table{columns: []column{
		{head: "JOB"}, {head: "KIND"}, {head: "STATE"}, {head: "ATTEMPT", right: true}, {head: "DUE", least: 10}, {head: "KEY", least: 12}, {head: "ERROR", least: 12},
	}}
	for _, j := range js {
		t.add(j.ID, j.Kind, stateStyle(j.State), j.Attempt, when(j.Due), j.Key, j.Err)
	}
	for _, d := range questions {
		t.add(d.ID, "question", stateStyle("dead"), d.Attempt, when(d.At), d.Name, d.Reason)
	}
	e.out.table(&t)
	return nil
}

// oneLine cuts what a line of several things has room for.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type jobsShowCmd struct {
	ID string `arg:"" help:"Number of the job; or a post: its number, address or code."`
	jsonFlag
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
		return e.showPost(s, c.ID, c.JSON)
	}
	j, story, err := s.Job(e.ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		if n, cerr := s.CountReviews(e.ctx, queue.ReviewFilter{Post: c.ID, All: true}); cerr == nil && n > 0 {
			return e.showPost(s, c.ID, c.JSON)
		}
	}
	if err != nil {
		return err
	}
	var ms []queue.Mention
	if j.Kind == string(queue.KindMatch) {
		if ms, err = mentionOf(e.ctx, s, j); err != nil {
			return err
		}
	}
	told, err := readMentions(e.ctx, s, ms)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.document("jobs show", struct {
			Job      queue.JobRow
			Errors   []queue.JobError
			Mentions []mentionStory
		}{j, story, told})
	}
	e.out.say("job %d: %s", j.ID, j.State)
	if j.Kind != "" {
		e.out.say("kind %s, pipeline %s, lane %s, key %s, priority %d", j.Kind, j.Pipeline, j.Lane, j.Key, j.Priority)
		e.out.say("args %s", j.Args)
		e.out.say("made %s, due %s", when(j.Created), when(j.Due))
	}
	for _, x := range story {
		e.out.say("%s  attempt %d: %s", when(x.At), x.Attempt, x.Err)
	}
	for _, m := range told {
		printPost(e.out, m.of)
		m.print(e.out)
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
	return e.each(c.IDs, c.All, jobs.DropOne, "dropped")
}

// each does f for every id, some together in one transaction, and says so.
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
	looked, unable, err := jobs.DoMany(e.ctx, s, ids, f)
	var errs []error
	for _, id := range ids[:looked] {
		if len(unable) > 0 && unable[0].ID == id {
			errs = append(errs, unable[0].Err)
			unable = unable[1:]
			continue
		}
		fmt.Fprintf(e.Stdout, "%s %s\n", id, done)
	}
	return errors.Join(append(errs, err, e.ctx.Err())...)
}
