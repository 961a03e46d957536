package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

type statusCmd struct{}

// Run prints what is going on.
func (statusCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	workers, err := s.Workers(e.ctx)
	if err == nil {
		switch workers {
		case 0:
			fmt.Fprintln(e.Stdout, "no process works on this state")
		case 1:
			fmt.Fprintln(e.Stdout, "a process works on this state")
		default:
			fmt.Fprintln(e.Stdout, workers, "processes work on this state")
		}
	}
	return printStatus(e.ctx, e.Stdout, s, workers == 0 && err == nil)
}

// korea is the zone of times that people read.
var korea = time.FixedZone("KST", 9*60*60)

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(korea).Format("2006-01-02 15:04:05")
}

// printStatus writes what is going on; idle says that no process works on the file.
func printStatus(ctx context.Context, w io.Writer, s *queue.Store, idle bool) error {
	damage, err := s.Damage(ctx)
	if err != nil {
		return err
	}
	if damage != "" {
		fmt.Fprintf(w, "WAITS FOR YOU: %s\n", damage)
	}
	m, err := s.Summary(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %d posts of %d accounts, %d mentions (%d placed, %d without a place, %d to review), %d places, %.1f MB, spent %s\n",
		s.Path(), m.Posts, m.Accounts, m.Mentions, m.Placed, m.None, m.Review, m.Places, float64(m.Bytes)/1e6, jobs.Dollars(m.MicroUSD))
	if m.Review > 0 {
		fmt.Fprintf(w, "%s for you to decide: `sumbi review`\n", plural(m.Review, "mention is", "mentions are"))
	}
	if m.Gone+m.Private+m.Gaps > 0 {
		fmt.Fprintf(w, "accounts gone %d, private %d; lists with a gap %d (select * from v_gaps)\n", m.Gone, m.Private, m.Gaps)
	}
	if err := statusMachines(ctx, w, s); err != nil {
		return err
	}
	if err := statusAccounts(ctx, w, s); err != nil {
		return err
	}
	if err := statusRuns(ctx, w, s, idle); err != nil {
		return err
	}
	if err := statusMoney(ctx, w, s); err != nil {
		return err
	}
	for _, f := range []func(context.Context, io.Writer, *queue.Store) error{statusWaits, statusJobs, statusBatches, statusDead} {
		if err := f(ctx, w, s); err != nil {
			return err
		}
	}
	return nil
}

// statusMachines names the processes that work on a state that several may share.
func statusMachines(ctx context.Context, w io.Writer, s *queue.Store) error {
	ms, err := s.Machines(ctx)
	for _, m := range ms {
		fmt.Fprintf(w, "machine %s on %s (sumbi %s) since %s, last seen %s ago, %d in flight\n", m.ID, m.Host, m.Version, when(m.Started), short(max(s.Now().Sub(m.Seen), 0)), m.Jobs)
	}
	return err
}

// shownAccounts is how many accounts of a kind status names.
const shownAccounts = 5

// statusAccounts names the accounts that a person should look at.
func statusAccounts(ctx context.Context, w io.Writer, s *queue.Store) error {
	troubles, err := s.Troubles(ctx)
	if err != nil {
		return err
	}
	for i, t := range troubles {
		if i == shownAccounts {
			fmt.Fprintf(w, "and %d more (select account, state, note from v_accounts)\n", len(troubles)-i)
			break
		}
		fmt.Fprintf(w, "account %s is %s: %s\n", t.Target, t.State, t.Note)
	}
	news, err := s.AccountNews(ctx)
	if err != nil {
		return err
	}
	for i, a := range news {
		if i == shownAccounts {
			fmt.Fprintf(w, "and %d more (select account, renamed_to, silent_since from v_accounts)\n", len(news)-i)
			break
		}
		if a.Name != "" {
			fmt.Fprintf(w, "renamed: %s goes by %s now; it is followed by its id, there is nothing to do\n", a.Target, a.Name)
		}
		if !a.Silent.IsZero() {
			fmt.Fprintf(w, "silent: %s has shown nothing new since %s, far longer than usual; look whether it has moved\n", a.Target, when(a.Silent))
		}
	}
	return statusGap(ctx, w, s)
}

// statusGap says what to do about the worst gap.
func statusGap(ctx context.Context, w io.Writer, s *queue.Store) error {
	g, err := s.WorstGap(ctx)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case err != nil:
		return err
	case g.Missing > 0:
		fmt.Fprintf(w, "the worst gap: %s, at least %d posts were never seen (%s); `sumbi run --full %s %s` walks its whole lists\n", g.Target, g.Missing, g.Note, g.Pipeline, g.Target)
	default:
		fmt.Fprintf(w, "the worst gap: %s of %s, from %s down to %s, left by %s (%s); `sumbi run %s %s` comes by again\n",
			g.List, g.Target, when(g.From), when(g.To), plural(g.Runs, "run", "runs"), g.Note, g.Pipeline, g.Target)
	}
	return nil
}

func statusRuns(ctx context.Context, w io.Writer, s *queue.Store, idle bool) error {
	runs, err := s.OpenRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		p, err := s.Progress(ctx, r.ID)
		if err != nil {
			return err
		}
		state := string(r.State)
		if idle && r.State == queue.RunRunning {
			state = "unfinished"
		}
		fmt.Fprintf(w, "run %d of %s, %s, begun %s: %s", r.ID, r.Pipeline, state, when(r.Started), (&meter{since: time.Now()}).line(p))
		if r.Note != "" {
			fmt.Fprintf(w, "; %s", r.Note)
		}
		fmt.Fprintln(w)
	}
	sc, err := s.Schedules(ctx)
	if err != nil {
		return err
	}
	for _, x := range sc {
		if last, err := s.LastRun(ctx, x.Pipeline); err == nil && last.State == queue.RunDone {
			fmt.Fprintf(w, "%s: last run ended %s, next %s\n", x.Pipeline, when(last.Ended), next(x))
			if err := searchReport(ctx, w, s, last); err != nil {
				return err
			}
		} else if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		} else {
			fmt.Fprintf(w, "%s: next run %s\n", x.Pipeline, next(x))
		}
	}
	return nil
}

// next says when a pipeline runs next.
func next(sc queue.Schedule) string {
	if sc.Next.IsZero() {
		return "by hand"
	}
	return when(sc.Next)
}

// wideGuard is a guard that costs so much of the pace that a person should know.
const wideGuard = 150 * time.Millisecond

// statusWaits names what waits for a person or for a quota.
func statusWaits(ctx context.Context, w io.Writer, s *queue.Store) error {
	stops, err := s.Stops(ctx)
	if err != nil {
		return err
	}
	for _, x := range stops {
		fmt.Fprintf(w, "WAITS FOR YOU: %s stopped %s: %s\n", x.Lane, when(x.At), x.Reason)
	}
	if err := statusLogins(ctx, w, s); err != nil {
		return err
	}
	waits, err := jobs.BudgetWaits(ctx, s)
	if err != nil {
		return err
	}
	for _, x := range waits {
		fmt.Fprintf(w, "waits: %s: %s (%s)\n", x.Pipeline, x.Reason, plural(x.Jobs, "job", "jobs"))
	}
	outages, err := s.Outages(ctx)
	if err != nil {
		return err
	}
	for _, o := range outages {
		next := when(o.Next)
		if s.Now().Sub(o.Next) > time.Minute { // no job needs it, or no process works
			next = "with the next call"
		}
		fmt.Fprintf(w, "waits: %s does not answer since %s (%s); looks again %s\n", o.Upstream, when(o.Since), oneLine(o.Reason), next)
	}
	limits, err := s.Limits(ctx)
	if err != nil {
		return err
	}
	for _, l := range limits {
		if l.Guard > wideGuard && l.PerSecond > 0 {
			fmt.Fprintf(w, "slow: %s refused faster calls, so they are made at %.1f a second (its limit is %g); if that is over, `sumbi run --release` forgets it\n",
				l.Name, l.PerSecond/(1+l.Guard.Seconds()), l.PerSecond)
		}
		switch {
		case l.Stopped:
			fmt.Fprintf(w, "WAITS FOR YOU: credential %s: %s\n", l.Name, l.Reason)
		case l.HeldUntil.After(s.Now()):
			fmt.Fprintf(w, "waits: %s until %s: %s\n", l.Name, when(l.HeldUntil), l.Reason)
		}
	}
	return nil
}

// statusLogins names the log-ins that are not accepted any more.
func statusLogins(ctx context.Context, w io.Writer, s *queue.Store) error {
	dead, err := s.DeadLogins(ctx)
	for i, l := range dead {
		if i == shownAccounts {
			fmt.Fprintf(w, "and %d more (select account, dead_since, reason from v_credentials)\n", len(dead)-i)
			break
		}
		fmt.Fprintf(w, "WAITS FOR YOU: the log-in of %s in %s is dead since %s: %s; `sumbi login %s` takes a new one\n", l.Target, l.Pipeline, when(l.Dead), oneLine(l.Reason), l.Pipeline)
	}
	return err
}

func statusJobs(ctx context.Context, w io.Writer, s *queue.Store) error {
	counts, err := s.Counts(ctx)
	if err != nil || len(counts) == 0 {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LANE\tKIND\tSTATE\tJOBS")
	for _, c := range counts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", c.Lane, c.Kind, c.State, c.N)
	}
	return t.Flush()
}

func statusBatches(ctx context.Context, w io.Writer, s *queue.Store) error {
	bs, err := s.OpenBatches(ctx)
	if err != nil {
		return err
	}
	for _, b := range bs {
		fmt.Fprintf(w, "batch %d: %s %s, %d lines, sent %s %s\n", b.ID, b.State, b.Status, b.Lines, when(b.Sent), b.Note)
	}
	return nil
}

// shownDead is how many dead things status names.
const shownDead = 5

func statusDead(ctx context.Context, w io.Writer, s *queue.Store) error {
	dead, err := s.DeadOnes(ctx, shownDead)
	if err != nil {
		return err
	}
	for _, d := range dead {
		fmt.Fprintf(w, "dead %s %s (%s): %s\n", d.What, d.ID, d.Name, oneLine(d.Reason))
	}
	return nil
}
