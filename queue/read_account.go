package queue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// AccountFilter narrows a list of accounts; empty fields do not.
type AccountFilter struct {
	Pipeline string
	State    string // ok, gone, private, silent, renamed, gap
	Name     string // a part of the name it is followed by, or goes by
}

// AccountID names an account. The zero value is before all others.
type AccountID struct{ Pipeline, Target string }

// AccountRow is an account as a list shows it.
type AccountRow struct {
	AccountID
	State   string // ok, gone, private
	Misses  int    // runs in a row that found it gone
	Total   int    // posts by the upstream's own count; 0 unknown
	Checked time.Time
	Note    string
	ID      string    // the upstream's own
	Name    string    // the name it goes by now, when that is another
	Seen    int       // records that its lists had shown when they last had all ended; -1 never
	Silent  time.Time // its newest record, when it has been silent far beyond its habit since
	Gap     bool      // something of it was not seen
	Walks   []WalkRow
	Results
}

// Results are what the lists of an account have brought.
type Results struct {
	Posts, Mentions, Places int
	Newest                  time.Time // record, pinned ones aside
}

// WalkRow is a walk with when it ended last.
type WalkRow struct {
	Walk
	Ended time.Time
}

const accountColumns = `t.pipeline, t.target, t.state, t.misses, t.total, t.checked_at, t.note, t.uid, t.name, coalesce(t.shown, -1), t.silent_since`

func scanAccount(r *sql.Rows) (a AccountRow, err error) {
	return a, r.Scan(&a.Pipeline, &a.Target, &a.State, &a.Misses, &a.Total, instant{&a.Checked}, &a.Note, &a.ID, &a.Name, &a.Seen, instant{&a.Silent})
}

// Accounts returns up to n accounts behind after, by pipeline and name.
func (s *Store) Accounts(ctx context.Context, f AccountFilter, after AccountID, n int) ([]AccountRow, error) {
	var w where
	w.add(`(t.pipeline > ? or (t.pipeline = ? and t.target > ?))`, after.Pipeline, after.Pipeline, after.Target)
	w.equal(`t.pipeline`, f.Pipeline)
	if f.Name != "" {
		w.add(`(instr(lower(t.target), lower(?)) > 0 or instr(lower(t.name), lower(?)) > 0)`, f.Name, f.Name)
	}
	switch f.State {
	case "":
	case "ok", "gone", "private":
		w.add(`t.state = ?`, f.State)
	case "silent":
		w.add(`t.state = 'ok' and t.silent_since is not null`)
	case "renamed":
		w.add(`t.name <> ''`)
	case "gap":
		w.add(accountGap)
	default:
		w.add(`1 = 0`)
	}
	all, err := list(ctx, s.read, `select `+accountColumns+` from target t`+w.text()+` order by t.pipeline, t.target limit ?`, append(w.args, n), scanAccount)
	if err != nil {
		return nil, s.explain(err)
	}
	return all, s.explain(s.results(ctx, all))
}

// accountGap is that v_gaps knows of something that was not seen of an account, what is being walked aside.
const accountGap = `exists (select 1 from v_gaps g where g.pipeline = t.pipeline and g.account = t.target and g.state <> 'walking')`

// AccountCount is how many accounts are in a state: ok, gone, private, silent, renamed or gap. An account may count in several.
type AccountCount struct {
	State string
	N     int
}

// AccountCounts counts the accounts of a pipeline, "" of all.
func (s *Store) AccountCounts(ctx context.Context, pipeline string) ([]AccountCount, error) {
	var w where
	w.equal(`t.pipeline`, pipeline)
	of := func(state string) string {
		return `sum(case when ` + state + ` then 1 else 0 end)`
	}
	n := make([]int, 7)
	err := one(ctx, s.read, `select count(*), coalesce(`+of(`t.state = 'ok'`)+`, 0), coalesce(`+of(`t.state = 'gone'`)+`, 0), coalesce(`+of(`t.state = 'private'`)+`, 0),
		coalesce(`+of(`t.state = 'ok' and t.silent_since is not null`)+`, 0), coalesce(`+of(`t.name <> ''`)+`, 0), coalesce(`+of(accountGap)+`, 0) from target t`+w.text(), w.args,
		&n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6])
	var all []AccountCount
	for i, state := range []string{"", "ok", "gone", "private", "silent", "renamed", "gap"} {
		all = append(all, AccountCount{state, n[i]})
	}
	return all, s.explain(err)
}

// results reads the walks of accounts and what they have brought: through what each list showed, so that no post is read.
func (s *Store) results(ctx context.Context, all []AccountRow) error {
	if len(all) == 0 {
		return nil
	}
	at := map[AccountID]*AccountRow{}
	byPipeline := map[string][]string{}
	for i := range all {
		at[all[i].AccountID] = &all[i]
		byPipeline[all[i].Pipeline] = append(byPipeline[all[i].Pipeline], all[i].Target)
	}
	var ids []int64
	for pipeline, targets := range byPipeline {
		in, args := among(targets)
		ws, err := list(ctx, s.read, `select ended_at, `+walkColumns+` from walk where pipeline = ? and target in `+in+` order by target, list`, append([]any{pipeline}, args...), scanWalkRow)
		if err != nil {
			return err
		}
		for _, w := range ws {
			a := at[AccountID{w.Pipeline, w.Target}]
			a.Walks = append(a.Walks, w)
			for _, newest := range []time.Time{w.Mark, w.Newest} {
				if newest.After(a.Newest) {
					a.Newest = newest
				}
			}
			ids = append(ids, w.ID)
		}
		gaps, err := list(ctx, s.read, `select distinct account from v_gaps where pipeline = ? and account in `+in+` and state <> 'walking'`, append([]any{pipeline}, args...), scanText)
		if err != nil {
			return err
		}
		for _, target := range gaps {
			at[AccountID{pipeline, target}].Gap = true
		}
	}
	if len(ids) == 0 {
		return nil
	}
	in, args := among(ids)
	type sum struct {
		AccountID
		Results
	}
	sums, err := list(ctx, s.read, `select w.pipeline, w.target, count(distinct case when w.list not like '%/%' then l.record end), count(distinct m.id), count(distinct m.place)
		from walk w join listing l on l.walk = w.id left join mention m on m.record = l.record where w.id in `+in+` group by w.pipeline, w.target`, args, func(r *sql.Rows) (x sum, err error) {
		return x, r.Scan(&x.Pipeline, &x.Target, &x.Posts, &x.Mentions, &x.Places)
	})
	for _, x := range sums {
		a := at[x.AccountID]
		a.Posts, a.Mentions, a.Places = x.Posts, x.Mentions, x.Places
	}
	return err
}

func scanWalkRow(r *sql.Rows) (w WalkRow, err error) {
	return w, r.Scan(append([]any{instant{&w.Ended}}, walkFields(&w.Walk)...)...)
}

// AccountGap is something of an account that was not seen.
type AccountGap struct {
	Gap
	State string // of the walk; short: fewer posts than it says it has
	Pages int
}

// AccountPost is a post of an account with what became of it.
type AccountPost struct {
	Stream, Key              string
	At                       time.Time
	State                    string // new, skipped, asked, dead, matching, done
	Caption                  string // its beginning
	Mentions, Places, Review int
}

// AccountPlace is a place that an account names.
type AccountPlace struct {
	ID, Name, Category, Address string
	Mentions                    int
	Last                        time.Time // newest post that names it
}

// AccountStory is what is known of one account.
type AccountStory struct {
	AccountRow
	Gaps   []AccountGap
	States []AccountCount // of its posts
	Newest []AccountPost  // the newest posts that its lists have shown
	Top    []AccountPlace // the places that it names most often
	Review int            // mentions that wait for a person
}

// How much of an account is told.
const (
	accountPosts  = 20
	accountPlaces = 20
)

// postState is what became of a record r, whose question is q.
const postState = `case when r.question is null then 'new' when r.question = 0 or q.state = 'dropped' then 'skipped' when q.state in ('waiting', 'sent') then 'asked' when q.state = 'dead' then 'dead'
	when exists (select 1 from mention m where m.record = r.id and m.state = 'waiting') then 'matching' else 'done' end`

// accountRecords are the posts that the lists of an account have shown. What a list of one of them shows is none.
const accountRecords = `(select distinct l.record from walk w join listing l on l.walk = w.id where w.pipeline = ? and w.target = ? and w.list not like '%/%') x`

// AccountStory reads one account; ErrNotFound when there is none.
func (s *Store) AccountStory(ctx context.Context, id AccountID) (st AccountStory, err error) {
	rows, err := list(ctx, s.read, `select `+accountColumns+` from target t where t.pipeline = ? and t.target = ?`, []any{id.Pipeline, id.Target}, scanAccount)
	if err != nil {
		return st, s.explain(err)
	}
	if len(rows) == 0 {
		return st, missing("there is no account " + id.Target + " in " + id.Pipeline)
	}
	if err := s.results(ctx, rows); err != nil {
		return st, s.explain(err)
	}
	st.AccountRow = rows[0]
	of := []any{id.Pipeline, id.Target}
	if st.Gaps, err = list(ctx, s.read, `select pipeline, account, list, unfinished_from, unfinished_to, runs, coalesce(missing, 0), note, state, pages from v_gaps where pipeline = ? and account = ? and state <> 'walking' order by list`, of,
		func(r *sql.Rows) (g AccountGap, err error) {
			return g, r.Scan(&g.Pipeline, &g.Target, &g.List, instant{&g.From}, instant{&g.To}, &g.Runs, &g.Missing, &g.Note, &g.State, &g.Pages)
		}); err != nil {
		return st, s.explain(err)
	}
	if st.States, err = list(ctx, s.read, `select state, count(*) from (select `+postState+` as state from `+accountRecords+` join record r on r.id = x.record left join question q on q.id = r.question) y group by state order by state`, of,
		func(r *sql.Rows) (c AccountCount, err error) { return c, r.Scan(&c.State, &c.N) }); err != nil {
		return st, s.explain(err)
	}
	if st.Newest, err = list(ctx, s.read, `select r.stream, r.key, r.at, `+postState+`, case when json_valid(r.data) then substr(coalesce(json_extract(r.data, '$.caption'), ''), 1, 120) else '' end, (select count(*) from mention m where m.record = r.id), (select count(*) from mention m where m.record = r.id and m.state = 'place'),
		(select count(*) from mention m where m.record = r.id and m.state = 'review')
		from (select r.id from `+accountRecords+` join record r on r.id = x.record order by r.at desc, r.id desc limit ?) n join record r on r.id = n.id left join question q on q.id = r.question order by r.at desc, r.id desc`, append(slices.Clone(of), accountPosts),
		func(r *sql.Rows) (p AccountPost, err error) {
			return p, r.Scan(&p.Stream, &p.Key, instant{&p.At}, &p.State, &p.Caption, &p.Mentions, &p.Places, &p.Review)
		}); err != nil {
		return st, s.explain(err)
	}
	if st.Top, err = list(ctx, s.read, `select p.id, p.name, p.category, coalesce(nullif(p.road_address, ''), p.address), t.n, t.last from (
			select m.place, count(*) as n, max(r.at) as last from `+accountRecords+` join mention m on m.record = x.record join record r on r.id = m.record where m.place is not null group by m.place order by n desc, last desc, m.place limit ?) t
		join place p on p.id = t.place order by t.n desc, t.last desc, p.id`, append(slices.Clone(of), accountPlaces),
		func(r *sql.Rows) (p AccountPlace, err error) {
			return p, r.Scan(&p.ID, &p.Name, &p.Category, &p.Address, &p.Mentions, instant{&p.Last})
		}); err != nil {
		return st, s.explain(err)
	}
	err = one(ctx, s.read, `select count(*) from `+accountRecords+` join mention m on m.record = x.record where m.state = 'review'`, of, &st.Review)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return st, s.explain(err)
}

// Pipelines lists the pipelines that the state knows.
func (s *Store) Pipelines(ctx context.Context) ([]string, error) {
	all, err := list(ctx, s.read, `select pipeline from schedule union select pipeline from target union select pipeline from run order by 1`, nil, scanText)
	return all, s.explain(err)
}
