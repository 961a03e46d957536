package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sumbi/adapters"
)

// What the books count.
const (
	UsedRequests = "request"
	UsedInput    = "input_token"
	UsedOutput   = "output_token"
)

// Waste says why something that was asked for, and perhaps paid, was in vain.
type Waste string

// The kinds of waste.
const (
	WasteRefused  Waste = "refused"  // the upstream did not serve it: too fast, no quota, no credential
	WasteRepeated Waste = "repeated" // the answer was lost on our side, so the same is asked again
	WasteFailed   Waste = "failed"   // what came could not be used
)

// million is the unit of prices: what costs less than a micro-dollar a piece has a whole price for so many.
const million = 1_000_000

// Terms are what requests cost and what may be spent, all in micro-dollars. They are kept in the file, where status and the
// next start find them.
type Terms struct {
	Prices map[string]int64 `json:"prices,omitempty"` // of one request, by upstream
	Run    int64            `json:"run,omitempty"`    // the budget of one run; 0 = none
	Month  int64            `json:"month,omitempty"`  // of a Korean month, over all pipelines; 0 = none
}

const termsKey = "money"

// Terms returns the terms in force.
func (s *Store) Terms() Terms {
	if t := s.terms.Load(); t != nil {
		return *t
	}
	return Terms{}
}

// SetTerms changes the terms. What was booked stays as it is.
func (s *Store) SetTerms(ctx context.Context, t Terms) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if known, err := s.Meta(ctx, termsKey); err != nil || known != string(b) {
		if err := s.Tx(ctx, func(tx *Tx) error { return tx.SetMeta(termsKey, string(b)) }); err != nil {
			return err
		}
	}
	s.terms.Store(&t)
	return nil
}

func (s *Store) readTerms(ctx context.Context) error {
	text, err := s.Meta(ctx, termsKey)
	if err != nil || text == "" {
		return err
	}
	var t Terms
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return fmt.Errorf("meta %s: %w", termsKey, err)
	}
	s.terms.Store(&t)
	return nil
}

// openRun returns the pipeline's unfinished run; 0 when there is none.
func openRun(ctx context.Context, q querier, pipeline string) (run int64, err error) {
	err = one(ctx, q, `select id from run where pipeline = ? and state <> 'done'`, []any{pipeline}, &run)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return run, err
}

// Book adds to the books what a run used of an upstream: n requests or tokens, of which a million cost perMillion
// micro-dollars. A fraction of a micro-dollar is rounded up once for each day and run, not for each call. Run 0 is what
// belongs to no run.
func (tx *Tx) Book(run int64, upstream, what string, n, perMillion int64) error {
	_, err := tx.exec(`insert into usage (day, run, upstream, what, n, micro_usd) values (?, ?, ?, ?, ?, ?)
		on conflict (day, run, upstream, what) do update set n = usage.n + excluded.n,
		micro_usd = usage.micro_usd + ((usage.n + excluded.n) * ? + 999999) / 1000000 - (usage.n * ? + 999999) / 1000000`,
		Day(tx.now), run, upstream, what, n, (n*perMillion+million-1)/million, perMillion, perMillion)
	if err != nil || what != UsedRequests {
		return err
	}
	return tx.minute(run, upstream, n, 0)
}

// minute adds to what a run asked for in this minute.
func (tx *Tx) minute(run int64, upstream string, requests, refused int64) error {
	if run == 0 {
		return nil
	}
	_, err := tx.exec(`insert into run_minute (run, upstream, at, requests, refused) values (?, ?, ?, ?, ?)
		on conflict (run, upstream, at) do update set requests = run_minute.requests + excluded.requests, refused = run_minute.refused + excluded.refused`,
		run, upstream, stamp(tx.now.Truncate(time.Minute)), requests, refused)
	return err
}

// Waste notes that n requests or lines, which are in the books for microUSD, were in vain.
func (tx *Tx) Waste(run int64, upstream string, what Waste, n, microUSD int64) error {
	if n == 0 {
		return nil
	}
	_, err := tx.exec(`insert into waste (day, run, upstream, what, n, micro_usd) values (?, ?, ?, ?, ?, ?)
		on conflict (day, run, upstream, what) do update set n = waste.n + excluded.n, micro_usd = waste.micro_usd + excluded.micro_usd`,
		Day(tx.now), run, upstream, string(what), n, microUSD)
	if err != nil || what != WasteRefused {
		return err
	}
	return tx.minute(run, upstream, 0, n)
}

// InVain says, within the commit of a job, that the calls of its step brought nothing.
func (tx *Tx) InVain(what Waste) { tx.wasted = what }

// BookCalls adds the requests of a step to the books, at the price of each upstream. They belong to the pipeline's open run.
// what says why they were in vain; "" when they were not.
func (tx *Tx) BookCalls(pipeline string, m *adapters.Meter, what Waste) error {
	calls := m.Calls()
	if len(calls) == 0 {
		return nil
	}
	run, err := openRun(tx.ctx, tx.tx, pipeline)
	if err != nil {
		return err
	}
	for _, up := range slices.Sorted(maps.Keys(calls)) {
		if err := tx.bookCalls(run, up, int64(calls[up]), what); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) bookCalls(run int64, upstream string, n int64, what Waste) error {
	price := tx.s.Terms().Prices[upstream]
	if err := tx.Book(run, upstream, UsedRequests, n, price*million); err != nil {
		return err
	}
	if what == "" {
		return nil
	}
	return tx.Waste(run, upstream, what, n, n*price)
}

// bookLost books a request for each job that was in flight when the process before was killed: whether its call had left
// nobody knows, and rather one too many is in the books than one too few.
func (tx *Tx) bookLost(process string) error {
	type lost struct {
		pipeline, lane string
		n              int64
	}
	all, err := list(tx.ctx, tx.tx, `select pipeline, lane, count(*) from job where `+lostText.in(tx.s)+` and kind <> 'deliver' group by pipeline, lane order by pipeline, lane`, []any{process},
		func(r *sql.Rows) (l lost, err error) { return l, r.Scan(&l.pipeline, &l.lane, &l.n) })
	if err != nil {
		return err
	}
	for _, l := range all {
		run, err := openRun(tx.ctx, tx.tx, l.pipeline)
		if err != nil {
			return err
		}
		if err := tx.bookCalls(run, l.lane, l.n, WasteRepeated); err != nil {
			return err
		}
	}
	return nil
}

// Spent is money in micro-dollars: what is in the books, what is kept back for batches whose answers are not read yet, and what
// is set apart for calls that are under way.
type Spent struct{ Booked, Reserved, Apart int64 }

// All is all of it together.
func (s Spent) All() int64 { return s.Booked + s.Reserved + s.Apart }

// Spending returns the pipeline's open run (0: none), what that run has spent, and what this Korean month has over all
// pipelines.
func (s *Store) Spending(ctx context.Context, pipeline string) (run int64, ofRun, ofMonth Spent, err error) {
	if s.pg == nil {
		s.apart.mu.Lock()
		defer s.apart.mu.Unlock()
	}
	run, ofRun, ofMonth, err = s.spending(ctx, s.read, pipeline)
	return run, ofRun, ofMonth, s.explain(err)
}

// spending is Spending; the lock of what is set apart is held. Over PostgreSQL that is read together with the books, so
// that a step which ends in between is counted once.
func (s *Store) spending(ctx context.Context, q querier, pipeline string) (run int64, ofRun, ofMonth Spent, err error) {
	if run, err = openRun(ctx, q, pipeline); err != nil {
		return run, ofRun, ofMonth, err
	}
	month := Day(s.Now())[:len("2006-01")]
	err = one(ctx, q, `select
		(select coalesce(sum(micro_usd), 0) from usage where run = ?),
		(select coalesce(sum(reserved), 0) from batch where state not in ('done', 'refused') and run = ?),
		(select coalesce(sum(micro_usd), 0) from usage where day between ? and ?),
		(select coalesce(sum(reserved), 0) from batch where state not in ('done', 'refused')),
		`+apartOf.in(s), []any{run, run, month + "-01", month + "-31", run}, &ofRun.Booked, &ofRun.Reserved, &ofMonth.Booked, &ofMonth.Reserved, &ofRun.Apart, &ofMonth.Apart)
	if s.pg == nil {
		ofRun.Apart, ofMonth.Apart = s.apart.runs[run], s.apart.all()
	}
	return run, ofRun, ofMonth, err
}

// broke is what a job's error begins with while it waits for a budget: adapters.Error names what speaks.
const broke = adapters.ReasonBudget + ": "

const brokeJob = `j.state = 'live' and j.message is null and j.taken_at is null and substr(coalesce(j.err, ''), 1, 8) = '` + broke + `'`

// BudgetWait is work of a pipeline that waits for a budget.
type BudgetWait struct {
	Pipeline string
	Jobs     int
	Reason   string // the newest one's
}

// BudgetWaits lists the pipelines that have work waiting for a budget.
func (s *Store) BudgetWaits(ctx context.Context) ([]BudgetWait, error) {
	ws, err := list(ctx, s.read, `select pipeline, count(*), `+newestReason.in(s)+` from job j where `+brokeJob+` group by pipeline order by pipeline`, nil, func(r *sql.Rows) (w BudgetWait, err error) {
		var due string
		err = r.Scan(&w.Pipeline, &w.Jobs, &w.Reason, &due)
		return w, err
	})
	return ws, s.explain(err)
}

// HurryBudget makes due what waits for a budget, up to n jobs of a pipeline, and returns how many there were.
func (tx *Tx) HurryBudget(pipeline string, n int) (int64, error) {
	return tx.exec(`update job set due = ? where id in (select id from job j where pipeline = ? and due > ? and `+brokeJob+` order by due, id limit ?)`, stamp(tx.now), pipeline, stamp(tx.now), n)
}

// Entry is one sum of the books.
type Entry struct {
	Upstream, What string
	N, MicroUSD    int64
}

// Books returns what was ever used of each upstream, and what of that was in vain, as of one moment.
func (s *Store) Books(ctx context.Context) (used, wasted []Entry, err error) {
	type entry struct {
		Entry
		wasted bool
	}
	all, err := list(ctx, s.read, `select 0, upstream, what, sum(n), sum(micro_usd) from usage group by upstream, what
		union all select 1, upstream, what, sum(n), sum(micro_usd) from waste group by upstream, what order by 1, 2, 3`, nil, func(r *sql.Rows) (e entry, err error) {
		err = r.Scan(&e.wasted, &e.Upstream, &e.What, &e.N, &e.MicroUSD)
		return e, err
	})
	for _, e := range all {
		if e.wasted {
			wasted = append(wasted, e.Entry)
		} else {
			used = append(used, e.Entry)
		}
	}
	return used, wasted, s.explain(err)
}
