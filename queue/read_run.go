package queue

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"time"
)

// RunRow is a run as a list of runs shows it.
type RunRow struct {
	Run
	Requests int64
	Refused  int64 // of those
	Spent          // micro-dollars
	Wasted   int64 // of what is booked, in vain
}

// newestFirst is where a list begins that goes down from before; 0 is its head.
func newestFirst(before int64) int64 {
	if before <= 0 {
		return math.MaxInt64
	}
	return before
}

// Runs returns up to n runs with a number below before, the newest first; before 0 begins at the newest. Pipeline "" is every
// pipeline's.
func (s *Store) Runs(ctx context.Context, pipeline string, before int64, n int) ([]RunRow, error) {
	var w where
	w.add(`id < ?`, newestFirst(before))
	w.equal(`pipeline`, pipeline)
	runs, err := list(ctx, s.read, `select `+runColumns+` from run`+w.text()+` order by id desc limit ?`, append(w.args, n), scanRun)
	if err != nil || len(runs) == 0 {
		return nil, s.explain(err)
	}
	all, at := make([]RunRow, len(runs)), map[int64]*RunRow{}
	for i, r := range runs {
		all[i] = RunRow{Run: r}
		at[r.ID] = &all[i]
	}
	return all, s.explain(s.runMoney(ctx, runs[len(runs)-1].ID, runs[0].ID, at))
}

// runMoney reads the books of the runs from the number low to high into those of at, all in one pass.
func (s *Store) runMoney(ctx context.Context, low, high int64, at map[int64]*RunRow) error {
	type sum struct {
		run         int64
		what        string
		n, microUSD int64
	}
	sums, err := list(ctx, s.read, `select run, what, sum(n), sum(micro_usd) from usage where run between ? and ? group by run, what
		union all select run, case when what = 'refused' then 'refused' else 'wasted' end, sum(n), sum(micro_usd) from waste where run between ? and ? group by run, case when what = 'refused' then 'refused' else 'wasted' end
		union all select run, 'reserved', count(*), sum(reserved) from batch where run between ? and ? and state not in ('done', 'refused') group by run`,
		[]any{low, high, low, high, low, high}, func(r *sql.Rows) (x sum, err error) {
			return x, r.Scan(&x.run, &x.what, &x.n, &x.microUSD)
		})
	for _, x := range sums {
		r := at[x.run]
		if r == nil {
			continue
		}
		switch x.what {
		case "refused", "wasted":
			r.Wasted += x.microUSD
			if x.what == "refused" {
				r.Refused = x.n
			}
		case "reserved":
			r.Reserved = x.microUSD
		default:
			r.Booked += x.microUSD
			if x.what == UsedRequests {
				r.Requests = x.n
			}
		}
	}
	return err
}

// DayUse is what a run asked of an upstream on a Korean day.
type DayUse struct {
	Day, Upstream     string
	Requests, Refused int64
}

// Stretch is what a run asked of an upstream in a stretch of its time.
type Stretch struct {
	Upstream          string
	At                time.Time
	Requests, Refused int64
}

// Slot is what became of calls that the limit of a lane would have allowed.
type Slot struct {
	Lane, What string
	N          float64
	Share      float64 // of all of the lane, 0 to 1
}

// Failure is something that went wrong, as often as it did.
type Failure struct {
	Kind  string // of the jobs
	Cause string
	N     int
	Last  time.Time
	Err   string // the last one in full
	Job   int64  // whose it was
}

// RunStory is what is known of one run.
type RunStory struct {
	RunRow
	Used      []Entry // by upstream and what was asked of it
	InVain    []Entry // of that
	Days      []DayUse
	Stretch   time.Duration // whole minutes; 0 when nothing was asked
	Stretches []Stretch     // by upstream and time; those without a request are left out
	Slots     []Slot        // by lane, the largest share first; what is nothing, or less by a rounding, is left out
	Lists     int           // that this run walked last
	ListsLeft int           // still under way
	Longest   []Walk        // of those, with the most pages first
	Open      []Walk        // of those, not walked to their end
	Failures  []Failure
	Batches   []BatchRow // that the run pays, oldest first
	Mentions  int        // decided while it ran
	Answers   int        // searches whose answers they used
}

// How much of a run's story is told.
const (
	storyLists     = 20
	storyFailures  = 20
	storyBatches   = 100
	storyStretches = 120 // of an upstream
)

// RunStory reads one run with all that happened in it.
func (s *Store) RunStory(ctx context.Context, id int64) (RunStory, error) {
	r, err := s.Run(ctx, id)
	if err != nil {
		return RunStory{}, err
	}
	st := RunStory{RunRow: RunRow{Run: r}}
	for _, f := range []func(context.Context, *RunStory) error{s.storyMoney, s.storyMinutes, s.storySlots, s.storyWalks, s.storyFailures} {
		if err := f(ctx, &st); err != nil {
			return st, s.explain(err)
		}
	}
	bs, err := list(ctx, s.read, `select `+batchColumns+` from batch where run = ? order by id limit ?`, []any{id, storyBatches}, scanBatch)
	if err != nil {
		return st, s.explain(err)
	}
	st.Batches, err = s.withFates(ctx, bs)
	return st, err
}

func (s *Store) storyMoney(ctx context.Context, st *RunStory) (err error) {
	if err := s.runMoney(ctx, st.ID, st.ID, map[int64]*RunRow{st.ID: &st.RunRow}); err != nil {
		return err
	}
	entry := func(r *sql.Rows) (e Entry, err error) {
		return e, r.Scan(&e.Upstream, &e.What, &e.N, &e.MicroUSD)
	}
	if st.Used, err = list(ctx, s.read, `select upstream, what, sum(n), sum(micro_usd) from usage where run = ? group by upstream, what order by upstream, what`, []any{st.ID}, entry); err != nil {
		return err
	}
	if st.InVain, err = list(ctx, s.read, `select upstream, what, sum(n), sum(micro_usd) from waste where run = ? group by upstream, what order by upstream, what`, []any{st.ID}, entry); err != nil {
		return err
	}
	st.Days, err = list(ctx, s.read, `select day, upstream, sum(case when what = 'request' then n else 0 end), sum(case when what = 'refused' then wasted_n else 0 end) from v_books
		where run = ? group by day, upstream order by day, upstream`, []any{st.ID}, func(r *sql.Rows) (d DayUse, err error) {
		return d, r.Scan(&d.Day, &d.Upstream, &d.Requests, &d.Refused)
	})
	return err
}

// storyMinutes reads what was asked over the time of the run, in stretches that a picture has room for.
func (s *Store) storyMinutes(ctx context.Context, st *RunStory) error {
	minutes, err := list(ctx, s.read, `select upstream, at, requests, refused from run_minute where run = ? order by upstream, at`, []any{st.ID}, func(r *sql.Rows) (x Stretch, err error) {
		return x, r.Scan(&x.Upstream, instant{&x.At}, &x.Requests, &x.Refused)
	})
	if err != nil || len(minutes) == 0 {
		return err
	}
	byTime := func(a, b Stretch) int { return a.At.Compare(b.At) }
	first, last := slices.MinFunc(minutes, byTime).At, slices.MaxFunc(minutes, byTime).At
	n := int64(last.Sub(first)/time.Minute) + 1
	st.Stretch = time.Duration((n+storyStretches-1)/storyStretches) * time.Minute
	for _, m := range minutes {
		at := first.Add(m.At.Sub(first) / st.Stretch * st.Stretch)
		if k := len(st.Stretches) - 1; k >= 0 && st.Stretches[k].Upstream == m.Upstream && st.Stretches[k].At.Equal(at) {
			st.Stretches[k].Requests += m.Requests
			st.Stretches[k].Refused += m.Refused
			continue
		}
		st.Stretches = append(st.Stretches, Stretch{m.Upstream, at, m.Requests, m.Refused})
	}
	return nil
}

func (s *Store) storySlots(ctx context.Context, st *RunStory) (err error) {
	st.Slots, err = list(ctx, s.read, `select lane, what, n from slot where run = ? and n > 0 order by lane, n desc, what`, []any{st.ID}, func(r *sql.Rows) (x Slot, err error) {
		return x, r.Scan(&x.Lane, &x.What, &x.N)
	})
	all := map[string]float64{}
	for _, x := range st.Slots {
		all[x.Lane] += x.N
	}
	for i, x := range st.Slots {
		if all[x.Lane] > 0 {
			st.Slots[i].Share = x.N / all[x.Lane]
		}
	}
	return err
}

func (s *Store) storyWalks(ctx context.Context, st *RunStory) (err error) {
	if err := one(ctx, s.read, `select (select count(*) from walk where run = ?), (select count(*) from walk where run = ? and state = 'walking'),
		(select matched from run where id = ?), (select answers from run where id = ?)`, []any{st.ID, st.ID, st.ID, st.ID}, &st.Lists, &st.ListsLeft, &st.Mentions, &st.Answers); err != nil {
		return err
	}
	if st.Longest, err = list(ctx, s.read, `select `+walkColumns+` from walk where run = ? and pages > 0 order by pages desc, id limit ?`, []any{st.ID, storyLists}, scanWalk); err != nil {
		return err
	}
	st.Open, err = list(ctx, s.read, `select `+walkColumns+` from walk where run = ? and state in ('unfinished', 'gone', 'private') order by cuts desc, pipeline, target, list limit ?`, []any{st.ID, storyLists}, scanWalk)
	return err
}

// storyFailures reads what went wrong while the run was under way. Pages are told apart by their pipeline, the rest is everybody's.
func (s *Store) storyFailures(ctx context.Context, st *RunStory) error {
	end := st.Ended
	if end.IsZero() {
		end = s.Now()
	}
	mine := "page:" + st.Pipeline + ":"
	all, err := s.failures(ctx, `at between ? and ? and (kind <> 'page' or substr(key, 1, ?) = ?)`, stamp(st.Asked), stamp(end), len([]rune(mine)), mine)
	st.Failures = all[:min(len(all), storyFailures)]
	return err
}

// failures reads the stories of jobs by cause, the most frequent first.
func (s *Store) failures(ctx context.Context, where string, args ...any) ([]Failure, error) {
	rows, err := list(ctx, s.read, `select kind, err, count(*), max(at), max(job) from job_error where `+where+` group by kind, err`, args, func(r *sql.Rows) (f Failure, err error) {
		return f, r.Scan(&f.Kind, &f.Err, &f.N, instant{&f.Last}, &f.Job)
	})
	type group struct{ kind, cause string }
	at := map[group]*Failure{}
	for _, f := range rows {
		g := group{f.Kind, Cause(f.Err)}
		f.Cause = g.cause
		have := at[g]
		switch {
		case have == nil:
			at[g] = &f
		case f.Last.After(have.Last):
			f.N += have.N
			at[g] = &f
		default:
			have.N += f.N
		}
	}
	var all []Failure
	for _, f := range at {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.N, a.N), b.Last.Compare(a.Last), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cause, b.Cause))
	})
	return all, err
}
