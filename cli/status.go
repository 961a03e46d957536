package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

type statusCmd struct {
	jsonFlag
}

// Run prints what is going on.
func (c statusCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	workers, err := s.Workers(e.ctx)
	known := err == nil
	st, err := readStatus(e.ctx, s, known && workers == 0)
	if err != nil {
		return err
	}
	if c.JSON {
		type full struct {
			Workers *int // processes that work on the state; nil unknown
			status
		}
		all := full{status: *st}
		if known {
			all.Workers = &workers
		}
		return e.document("status", all)
	}
	switch {
	case !known:
	case workers == 0:
		e.out.say("no process works on this state")
	case workers == 1:
		e.out.say("a process works on this state")
	default:
		e.out.say("%d processes work on this state", workers)
	}
	st.print(e.out)
	return nil
}

// korea is the zone of times that people read.
var korea = time.FixedZone("KST", 9*60*60)

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(korea).Format("2006-01-02 15:04:05")
}

// printStatus writes what is going on as plain lines; idle says that no process works on the file.
func printStatus(ctx context.Context, w io.Writer, s *queue.Store, idle bool) error {
	st, err := readStatus(ctx, s, idle)
	if err != nil {
		return err
	}
	st.print(&screen{Writer: w})
	return nil
}

// status is what is going on.
type status struct {
	State    string // the file, or the address of the database
	Damage   string // of the file; "" sound
	Summary  queue.Summary
	Machines []queue.Machine

	Accounts []queue.AccountTrouble // gone or private
	News     []queue.AccountNews
	WorstGap *queue.Gap

	Runs      []openRun
	Pipelines []pipelineStatus
	Money     *money // nil: nothing is in the books

	Stops   []queue.Stop
	Logins  []queue.Login // that are not accepted any more
	Waits   []queue.BudgetWait
	Outages []queue.Outage
	Limits  []limitStatus
	Jobs    []queue.Count
	Batches []queue.Batch
	Dead    []queue.Dead // the newest

	now time.Time
}

// openRun is a run that has not ended.
type openRun struct {
	queue.Progress
	Spent queue.Spent
}

// pipelineStatus is when a pipeline ran and runs next.
type pipelineStatus struct {
	Pipeline string
	Next     time.Time // zero: by hand
	Last     *queue.Run
	Searches queue.Effort // of Last
}

// money is what this month has spent, in micro-dollars.
type money struct {
	Month queue.Spent
	Terms queue.Terms
	Vain  []queue.Entry // what was spent for nothing, ever
}

// limitStatus is the pace of one credential.
type limitStatus struct {
	Name      string
	Day       string // the Korean day that Used counts
	Used      int
	PerSecond float64 // as configured when Guard was learnt
	Guard     time.Duration
	HeldUntil time.Time
	Stopped   bool
	Reason    string // why it is held or stopped
}

func limitOf(l queue.Limit) limitStatus {
	return limitStatus{l.Name, l.Day, l.Used, l.PerSecond, l.Guard, l.HeldUntil, l.Stopped, l.Reason}
}

// readStatus reads what is going on; idle says that no process works on the file.
func readStatus(ctx context.Context, s *queue.Store, idle bool) (*status, error) {
	r := statusReader{ctx: ctx, s: s}
	st := &status{State: s.Path(), now: s.Now()}
	st.Damage = got(&r, s.Damage)
	st.Summary = got(&r, s.Summary)
	st.Machines = got(&r, s.Machines)
	st.Accounts = got(&r, s.Troubles)
	st.News = got(&r, s.AccountNews)
	if g, err := s.WorstGap(ctx); err == nil {
		st.WorstGap = &g
	} else if !errors.Is(err, queue.ErrNotFound) {
		r.keep(err)
	}
	r.runs(st, idle)
	r.money(st)
	st.Stops = got(&r, s.Stops)
	st.Logins = got(&r, s.DeadLogins)
	st.Waits = got(&r, func(ctx context.Context) ([]queue.BudgetWait, error) { return jobs.BudgetWaits(ctx, s) })
	st.Outages = got(&r, s.Outages)
	for _, l := range got(&r, s.Limits) {
		st.Limits = append(st.Limits, limitOf(l))
	}
	st.Jobs = got(&r, s.Counts)
	st.Batches = got(&r, s.OpenBatches)
	st.Dead = got(&r, func(ctx context.Context) ([]queue.Dead, error) { return s.DeadOnes(ctx, shownDead) })
	return st, r.err
}

// statusReader keeps the first error; after it nothing is read.
type statusReader struct {
	ctx context.Context
	s   *queue.Store
	err error
}

func (r *statusReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func got[T any](r *statusReader, read func(context.Context) (T, error)) (t T) {
	if r.err != nil {
		return t
	}
	t, err := read(r.ctx)
	r.keep(err)
	return t
}

func (r *statusReader) runs(st *status, idle bool) {
	for _, run := range got(r, r.s.OpenRuns) {
		p := got(r, func(ctx context.Context) (queue.Progress, error) { return r.s.Progress(ctx, run.ID) })
		if idle && p.Run.State == queue.RunRunning {
			p.Run.State = "unfinished"
		}
		of := got(r, func(ctx context.Context) (spent queue.Spent, err error) {
			_, spent, _, err = r.s.Spending(ctx, run.Pipeline)
			return spent, err
		})
		st.Runs = append(st.Runs, openRun{p, of})
	}
	for _, x := range got(r, r.s.Schedules) {
		p := pipelineStatus{Pipeline: x.Pipeline, Next: x.Next}
		switch last, err := r.s.LastRun(r.ctx, x.Pipeline); {
		case err == nil && last.State == queue.RunDone:
			p.Last = &last
			p.Searches = got(r, func(ctx context.Context) (queue.Effort, error) { return r.s.Effort(ctx, last.ID) })
		case err != nil && !errors.Is(err, queue.ErrNotFound):
			r.keep(err)
		}
		st.Pipelines = append(st.Pipelines, p)
	}
}

func (r *statusReader) money(st *status) {
	if r.err != nil {
		return
	}
	_, _, month, err := r.s.Spending(r.ctx, "")
	r.keep(err)
	used, vain, err := r.s.Books(r.ctx)
	r.keep(err)
	if len(used) > 0 {
		st.Money = &money{Month: month, Terms: r.s.Terms(), Vain: vain}
	}
}

// forYou heads what a person must see to.
const forYou = "WAITS FOR YOU:"

func (st *status) print(w *screen) {
	if st.Damage != "" {
		w.mark(red, forYou, " %s", st.Damage)
	}
	m := st.Summary
	w.mark(bold, st.State+":", " %d posts of %d accounts, %d mentions (%d placed, %d without a place, %d to review), %d places, %.1f MB, spent %s",
		m.Posts, m.Accounts, m.Mentions, m.Placed, m.None, m.Review, m.Places, float64(m.Bytes)/1e6, jobs.Dollars(m.MicroUSD))
	if m.Review > 0 {
		w.mark(yellow, plural(m.Review, "mention is", "mentions are"), " for you to decide: `sumbi review`")
	}
	if m.Gone+m.Private+m.Gaps > 0 {
		w.say("accounts gone %d, private %d; lists with a gap %d (select * from v_gaps)", m.Gone, m.Private, m.Gaps)
	}
	for _, m := range st.Machines {
		w.say("machine %s on %s (sumbi %s) since %s, last seen %s ago, %d in flight", m.ID, m.Host, m.Version, when(m.Started), short(max(st.now.Sub(m.Seen), 0)), m.Jobs)
	}
	st.printAccounts(w)
	st.printRuns(w)
	st.printMoney(w)
	st.printWaits(w)
	st.printJobs(w)
}

// shownAccounts is how many accounts of a kind status names.
const shownAccounts = 5

// printAccounts names the accounts that a person should look at, and what to do about the worst gap.
func (st *status) printAccounts(w *screen) {
	for i, t := range st.Accounts {
		if i == shownAccounts {
			w.say("and %d more (select account, state, note from v_accounts)", len(st.Accounts)-i)
			break
		}
		w.say("account %s is %s: %s", t.Target, t.State, t.Note)
	}
	for i, a := range st.News {
		if i == shownAccounts {
			w.say("and %d more (select account, renamed_to, silent_since from v_accounts)", len(st.News)-i)
			break
		}
		if a.Name != "" {
			w.mark(yellow, "renamed:", " %s goes by %s now; it is followed by its id, there is nothing to do", a.Target, a.Name)
		}
		if !a.Silent.IsZero() {
			w.mark(yellow, "silent:", " %s has shown nothing new since %s, far longer than usual; look whether it has moved", a.Target, when(a.Silent))
		}
	}
	switch g := st.WorstGap; {
	case g == nil:
	case g.Missing > 0:
		w.mark(yellow, "the worst gap:", " %s, at least %d posts were never seen (%s); `sumbi run --full %s %s` walks its whole lists", g.Target, g.Missing, g.Note, g.Pipeline, g.Target)
	default:
		w.mark(yellow, "the worst gap:", " %s of %s, from %s down to %s, left by %s (%s); `sumbi run %s %s` reads it again",
			g.List, g.Target, when(g.From), when(g.To), plural(g.Runs, "run", "runs"), g.Note, g.Pipeline, g.Target)
	}
}

func (st *status) printRuns(w *screen) {
	for _, p := range st.Runs {
		r, note := p.Run, ""
		if r.Note != "" {
			note = "; " + r.Note
		}
		w.mark(bold, "run", " %d of %s, %s, begun %s: %s%s", r.ID, r.Pipeline, r.State, when(r.Started), (&meter{since: time.Now()}).line(p.Progress), note)
	}
	for _, p := range st.Pipelines {
		next := when(p.Next)
		if p.Next.IsZero() {
			next = "by hand"
		}
		if p.Last == nil {
			w.mark(bold, p.Pipeline+":", " next run %s", next)
			continue
		}
		w.mark(bold, p.Pipeline+":", " last run ended %s, next %s", when(p.Last.Ended), next)
		printEffort(w, p.Last.ID, p.Searches)
	}
}

// printMoney says what this month and the open runs have spent, and what was in vain.
func (st *status) printMoney(w *screen) {
	if st.Money == nil {
		return
	}
	text := " this month " + spent(st.Money.Month, st.Money.Terms.Month)
	for _, r := range st.Runs {
		text += "; run " + itoa(r.Run.ID) + " " + spent(r.Spent, st.Money.Terms.Run)
	}
	w.mark(bold, "money:", "%s", text)
	for _, x := range st.Money.Vain {
		w.say("in vain: %s, %s %s: %s", x.Upstream, grouped(int(x.N)), x.What, jobs.Dollars(x.MicroUSD))
	}
}

// wideGuard is a guard that costs so much of the pace that a person should know.
const wideGuard = 150 * time.Millisecond

// printWaits names what waits for a person or for a quota.
func (st *status) printWaits(w *screen) {
	for _, x := range st.Stops {
		w.mark(red, forYou, " %s stopped %s: %s", x.Lane, when(x.At), x.Reason)
	}
	for i, l := range st.Logins {
		if i == shownAccounts {
			w.say("and %d more (select account, dead_since, reason from v_credentials)", len(st.Logins)-i)
			break
		}
		w.mark(red, forYou, " the log-in of %s in %s is dead since %s: %s; `sumbi login %s` takes a new one", l.Target, l.Pipeline, when(l.Dead), oneLine(l.Reason), l.Pipeline)
	}
	for _, x := range st.Waits {
		w.mark(yellow, "waits:", " %s: %s (%s)", x.Pipeline, x.Reason, plural(x.Jobs, "job", "jobs"))
	}
	for _, o := range st.Outages {
		next := when(o.Next)
		if st.now.Sub(o.Next) > time.Minute { // no job needs it, or no process works
			next = "with the next call"
		}
		w.mark(yellow, "waits:", " %s has not answered since %s (%s); looks again %s", o.Upstream, when(o.Since), oneLine(o.Reason), next)
	}
	for _, l := range st.Limits {
		if l.Guard > wideGuard && l.PerSecond > 0 {
			w.mark(yellow, "slow:", " %s refused faster calls, so they are made at %.1f a second (its limit is %g); if that is over, `sumbi run --release PIPELINE` forgets it",
				l.Name, l.PerSecond/(1+l.Guard.Seconds()), l.PerSecond)
		}
		switch {
		case l.Stopped:
			w.mark(red, forYou, " credential %s: %s", l.Name, l.Reason)
		case l.HeldUntil.After(st.now):
			w.mark(yellow, "waits:", " %s until %s: %s", l.Name, when(l.HeldUntil), l.Reason)
		}
	}
}

// shownDead is how many dead things status names.
const shownDead = 5

// printJobs counts the jobs and names the batches and what is dead.
func (st *status) printJobs(w *screen) {
	if len(st.Jobs) > 0 {
		t := table{columns: []column{{head: "LANE"}, {head: "KIND"}, {head: "STATE"}, {head: "JOBS", right: true}}}
		for _, c := range st.Jobs {
			t.add(c.Lane, c.Kind, stateStyle(c.State), c.N)
		}
		w.table(&t)
	}
	for _, b := range st.Batches {
		w.say("batch %d: %s %s, %d lines, sent %s %s", b.ID, b.State, b.Status, b.Lines, when(b.Sent), b.Note)
	}
	for _, d := range st.Dead {
		w.mark(red, "dead", " %s %s (%s): %s", d.What, d.ID, d.Name, oneLine(d.Reason))
	}
}
