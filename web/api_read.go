package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

func apiReads() []apiRoute {
	get := http.MethodGet
	return []apiRoute{
		{get, "/status", nil, (*Server).apiStatus},
		{get, "/pipelines", nil, (*Server).apiPipelines},
		{get, "/runs", []string{"pipeline", "limit", "after"}, (*Server).apiRuns},
		{get, "/runs/{id}", nil, (*Server).apiRun},
		{get, "/jobs", []string{"pipeline", "lane", "kind", "state", "cause", "limit", "after"}, (*Server).apiJobs},
		{get, "/jobs/{id}", nil, (*Server).apiJob},
		{get, "/dead", nil, (*Server).apiDead},
		{get, "/dead/questions", []string{"pipeline", "cause", "limit", "after"}, (*Server).apiDeadQuestions},
		{get, "/accounts", []string{"pipeline", "state", "name", "limit", "after"}, (*Server).apiAccounts},
		{get, "/accounts/{pipeline}/{account}", nil, (*Server).apiAccount},
		{get, "/batches", []string{"pipeline", "state", "limit", "after"}, (*Server).apiBatches},
		{get, "/batches/{id}", nil, (*Server).apiBatch},
		{get, "/places", []string{"name", "category", "area", "pipeline", "account", "from", "to", "ad", "limit", "after"}, (*Server).apiPlaces},
		{get, "/places/{id}", []string{"limit", "after"}, (*Server).apiPlace},
		{get, "/posts/{stream}/{key}", nil, (*Server).apiPost},
		{get, "/reviews", []string{"pipeline", "post", "all", "limit", "after"}, (*Server).apiReviews},
		{get, "/reviews/{mention}", nil, (*Server).apiReviewOf},
		{get, "/velog", []string{"pipeline", "limit", "after"}, (*Server).apiVelog},
		{get, "/velog/{pipeline}/{user}", []string{"from", "to", "sort"}, (*Server).apiVelogUser},
		{get, "/velog/{pipeline}/{user}/{post}", []string{"from", "to"}, (*Server).apiVelogPost},
	}
}

type apiMoney struct {
	Spent    int64 `json:"spentMicroUsd"`
	Reserved int64 `json:"reservedMicroUsd"`
	Budget   int64 `json:"budgetMicroUsd,omitempty"`
}

func moneyJSON(s queue.Spent, budget int64) apiMoney { return apiMoney{s.Booked, s.Reserved, budget} }

type apiMachine struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Version string    `json:"version"`
	Started time.Time `json:"startedAt"`
	Seen    time.Time `json:"seenAt"`
	Jobs    int       `json:"jobs"`
}

type apiTrouble struct {
	Key      string    `json:"key"`
	Event    string    `json:"event"`
	Pipeline string    `json:"pipeline,omitempty"`
	Text     string    `json:"text"`
	At       time.Time `json:"at,omitzero"`
}

type apiOutage struct {
	Upstream string    `json:"upstream"`
	Since    time.Time `json:"since"`
	Next     time.Time `json:"nextAt"`
	Reason   string    `json:"reason"`
}

type apiLimit struct {
	Name      string    `json:"name"`
	PerSecond float64   `json:"perSecond"`
	Guard     float64   `json:"guardSeconds"`
	Used      int       `json:"usedToday"`
	Held      time.Time `json:"heldUntil,omitzero"`
	Stopped   bool      `json:"stopped"`
	Reason    string    `json:"reason,omitempty"`
}

type apiWait struct {
	Pipeline string `json:"pipeline"`
	Jobs     int    `json:"jobs"`
	Reason   string `json:"reason"`
}

type apiStatus struct {
	At        time.Time        `json:"at"`
	Workers   int              `json:"workers"`
	Machines  []apiMachine     `json:"machines"`
	Bytes     int64            `json:"bytes"`
	Damage    string           `json:"damage,omitempty"`
	Records   int64            `json:"records"`
	Places    int64            `json:"places"`
	Mentions  map[string]int64 `json:"mentions"`
	Accounts  map[string]int64 `json:"accounts"`
	Questions map[string]int64 `json:"questions"`
	Dead      map[string]int64 `json:"dead"`
	Gaps      int64            `json:"gaps"`
	Outbox    int64            `json:"outbox"`
	Jobs      []apiJobCount    `json:"jobs"`
	Month     apiMoney         `json:"month"`
	RunBudget int64            `json:"runBudgetMicroUsd,omitempty"`
	Troubles  []apiTrouble     `json:"troubles"`
	Outages   []apiOutage      `json:"outages"`
	Limits    []apiLimit       `json:"limits"`
	Waits     []apiWait        `json:"waits"`
}

type apiJobCount struct {
	Lane  string `json:"lane"`
	Kind  string `json:"kind"`
	State string `json:"state"`
	N     int    `json:"n"`
}

func (s *Server) apiStatus(q *query) (any, error) {
	ctx, st := q.Context(), s.Store
	v := apiStatus{At: utc(st.Now()), Mentions: map[string]int64{}, Accounts: map[string]int64{}, Questions: map[string]int64{}, Dead: map[string]int64{}}
	var err error
	read := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	read(func() (err error) { v.Workers, err = st.Workers(ctx); return err })
	read(func() (err error) { v.Bytes, err = st.Size(ctx); return err })
	read(func() (err error) { v.Damage, err = st.Damage(ctx); return err })
	read(func() error {
		ms, err := st.Machines(ctx)
		v.Machines = each(ms, func(m queue.Machine) apiMachine {
			return apiMachine{m.ID, m.Host, m.Version, utc(m.Started), utc(m.Seen), m.Jobs}
		})
		return err
	})
	read(func() error {
		fs, err := s.figures.read(func() ([]queue.Figure, error) { return st.Figures(ctx) })
		v.count(fs)
		return err
	})
	read(func() error {
		cs, err := s.counts.read(func() ([]queue.Count, error) { return st.Counts(ctx) })
		v.Jobs = each(cs, func(c queue.Count) apiJobCount { return apiJobCount{c.Lane, c.Kind, c.State, c.N} })
		return err
	})
	read(func() error {
		_, _, month, err := st.Spending(ctx, "")
		v.Month, v.RunBudget = moneyJSON(month, st.Terms().Month), st.Terms().Run
		return err
	})
	read(func() error { return v.trouble(ctx, st) })
	return v, err
}

func (v *apiStatus) count(fs []queue.Figure) {
	for _, f := range fs {
		switch f.What {
		case "record":
			v.Records += f.N
		case "place":
			v.Places += f.N
		case "gap":
			v.Gaps += f.N
		case "outbox":
			v.Outbox += f.N
		case "mention":
			v.Mentions[f.State] += f.N
		case "account":
			v.Accounts[f.State] += f.N
		case "question":
			v.Questions[f.State] += f.N
		case "dead":
			v.Dead[f.State] += f.N
		}
	}
}

// trouble reads what waits, and why.
func (v *apiStatus) trouble(ctx context.Context, st *queue.Store) error {
	ns, err := st.Notices(ctx)
	if err != nil {
		return err
	}
	v.Troubles = []apiTrouble{}
	for _, n := range ns {
		v.Troubles = append(v.Troubles, apiTrouble{n.Key, n.Event, n.Pipeline, n.Text, utc(n.At)})
	}
	outages, err := st.Outages(ctx)
	if err != nil {
		return err
	}
	v.Outages = each(outages, func(o queue.Outage) apiOutage { return apiOutage{o.Upstream, utc(o.Since), utc(o.Next), o.Reason} })
	limits, err := st.Limits(ctx)
	if err != nil {
		return err
	}
	today := queue.Day(st.Now())
	v.Limits = each(limits, func(l queue.Limit) apiLimit {
		x := apiLimit{Name: l.Name, PerSecond: l.PerSecond, Guard: l.Guard.Seconds(), Stopped: l.Stopped, Reason: l.Reason}
		if l.Day == today {
			x.Used = l.Used
		}
		if l.HeldUntil.After(st.Now()) {
			x.Held = utc(l.HeldUntil)
		}
		return x
	})
	waits, err := jobs.BudgetWaits(ctx, st)
	v.Waits = each(waits, func(w queue.BudgetWait) apiWait { return apiWait{w.Pipeline, w.Jobs, w.Reason} })
	return err
}

type apiPipeline struct {
	Name    string    `json:"name"`
	Runs    bool      `json:"configured"`
	State   string    `json:"state"`
	Next    time.Time `json:"nextAt,omitzero"`
	Full    time.Time `json:"fullAt,omitzero"`
	Current *apiRun   `json:"currentRun"`
	Last    *apiRun   `json:"lastRun"`
}

func (s *Server) apiPipelines(q *query) (any, error) {
	names, err := s.Store.Pipelines(q.Context())
	if err != nil {
		return nil, err
	}
	for _, p := range s.Pipelines {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	all := pageOf[apiPipeline]{Items: []apiPipeline{}}
	for _, name := range names {
		p := apiPipeline{Name: name, Runs: s.configured(name), State: "idle"}
		sc, err := s.Store.Schedule(q.Context(), name)
		if err != nil {
			return nil, err
		}
		p.Next, p.Full = utc(sc.Next), utc(sc.Full)
		runs, err := s.Store.Runs(q.Context(), name, 0, 2)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			v := runJSON(r)
			switch {
			case r.State != queue.RunDone:
				p.Current, p.State = &v, string(r.State)
			case p.Last == nil:
				p.Last = &v
			}
		}
		all.Items = append(all.Items, p)
	}
	return all, nil
}

type apiRun struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	State    string    `json:"state"`
	Full     bool      `json:"full"`
	Accounts []string  `json:"accounts"`
	Asked    time.Time `json:"askedAt"`
	Started  time.Time `json:"startedAt,omitzero"`
	Crawled  time.Time `json:"crawledAt,omitzero"`
	Ended    time.Time `json:"endedAt,omitzero"`
	Pages    int       `json:"pages"`
	New      int       `json:"newRecords"`
	Changed  int       `json:"changedRecords"`
	Requests int64     `json:"requests"`
	Refused  int64     `json:"refused"`
	Spent    int64     `json:"spentMicroUsd"`
	Reserved int64     `json:"reservedMicroUsd"`
	Wasted   int64     `json:"wastedMicroUsd"`
	Note     string    `json:"note,omitempty"`
}

func runJSON(r queue.RunRow) apiRun {
	return apiRun{
		ID: r.ID, Pipeline: r.Pipeline, State: string(r.State), Full: r.Whole, Accounts: each(r.Targets, same),
		Asked: utc(r.Asked), Started: utc(r.Started), Crawled: utc(r.Crawled), Ended: utc(r.Ended),
		Pages: r.Pages, New: r.Fresh, Changed: r.Changed, Requests: r.Requests, Refused: r.Refused, Spent: r.Booked, Reserved: r.Reserved, Wasted: r.Wasted, Note: r.Note,
	}
}

func same(s string) string { return s }

func (s *Server) apiRuns(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	rs, err := s.Store.Runs(q.Context(), q.text("pipeline"), after, n+1)
	return paged(rs, n, func(r queue.RunRow) string { return numbered(r.ID) }, runJSON), err
}

type apiEntry struct {
	Upstream string `json:"upstream"`
	What     string `json:"what"`
	N        int64  `json:"n"`
	MicroUSD int64  `json:"microUsd"`
}

func entryJSON(e queue.Entry) apiEntry { return apiEntry{e.Upstream, e.What, e.N, e.MicroUSD} }

type apiDay struct {
	Day      string `json:"day"`
	Upstream string `json:"upstream"`
	Requests int64  `json:"requests"`
	Refused  int64  `json:"refused"`
}

type apiSlot struct {
	Lane  string  `json:"lane"`
	What  string  `json:"what"`
	N     float64 `json:"n"`
	Share float64 `json:"share"`
}

type apiFailure struct {
	Kind  string    `json:"kind"`
	Cause string    `json:"cause"`
	N     int       `json:"n"`
	Last  time.Time `json:"lastAt"`
	Err   string    `json:"error"`
	Job   int64     `json:"job"`
}

type apiWalk struct {
	Account  string    `json:"account"`
	List     string    `json:"list"`
	State    string    `json:"state"`
	Run      int64     `json:"run"`
	Pages    int       `json:"pages"`
	Expected int       `json:"expectedPages,omitempty"`
	Mark     time.Time `json:"mark,omitzero"`
	Newest   time.Time `json:"newest,omitzero"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Cuts     int       `json:"cuts"`
	Note     string    `json:"note,omitempty"`
}

func walkJSON(w queue.Walk) apiWalk {
	return apiWalk{w.Target, w.List, string(w.State), w.Run, w.Pages, w.Expected, utc(w.Mark), utc(w.Newest), utc(w.Oldest), w.Cuts, w.Note}
}

type apiStretch struct {
	Upstream string    `json:"upstream"`
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Refused  int64     `json:"refused"`
}

type apiRunStory struct {
	apiRun
	Used       []apiEntry   `json:"used"`
	InVain     []apiEntry   `json:"inVain"`
	Days       []apiDay     `json:"days"`
	Stretch    int          `json:"stretchSeconds"`
	Stretches  []apiStretch `json:"stretches"`
	Slots      []apiSlot    `json:"slots"`
	Lists      int          `json:"lists"`
	ListsLeft  int          `json:"listsLeft"`
	Longest    []apiWalk    `json:"longestLists"`
	Unfinished []apiWalk    `json:"unfinishedLists"`
	Failures   []apiFailure `json:"failures"`
	Batches    []apiBatch   `json:"batches"`
	Matched    int          `json:"matchedMentions"`
	Answers    int          `json:"answers"`
}

func (s *Server) apiRun(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	r, err := s.Store.RunStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("run %d", id), "/runs")
	}
	return apiRunStory{
		apiRun: runJSON(r.RunRow), Used: each(r.Used, entryJSON), InVain: each(r.InVain, entryJSON),
		Days:    each(r.Days, func(d queue.DayUse) apiDay { return apiDay(d) }),
		Stretch: int(r.Stretch.Seconds()), Stretches: each(r.Stretches, func(x queue.Stretch) apiStretch {
			return apiStretch{x.Upstream, utc(x.At), x.Requests, x.Refused}
		}),
		Slots: each(r.Slots, func(x queue.Slot) apiSlot { return apiSlot(x) }),
		Lists: r.Lists, ListsLeft: r.ListsLeft, Longest: each(r.Longest, walkJSON), Unfinished: each(r.Open, walkJSON),
		Failures: each(r.Failures, func(f queue.Failure) apiFailure {
			return apiFailure{f.Kind, f.Cause, f.N, utc(f.Last), f.Err, f.Job}
		}),
		Batches: each(r.Batches, func(b queue.Batch) apiBatch { return batchJSON(queue.BatchRow{Batch: b}) }),
		Matched: r.Mentions, Answers: r.Answers,
	}, nil
}

type apiJob struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	Lane     string    `json:"lane"`
	Kind     string    `json:"kind"`
	Key      string    `json:"key,omitempty"`
	State    string    `json:"state"`
	Priority int       `json:"priority"`
	Attempt  int       `json:"attempt"`
	Created  time.Time `json:"createdAt,omitzero"`
	Due      time.Time `json:"dueAt,omitzero"`
	Taken    time.Time `json:"takenAt,omitzero"`
	Err      string    `json:"error,omitempty"`
	Cause    string    `json:"cause,omitempty"`
}

func jobJSON(j queue.JobRow) apiJob {
	return apiJob{
		ID: j.ID, Pipeline: j.Pipeline, Lane: j.Lane, Kind: j.Kind, Key: j.Key, State: j.State, Priority: j.Priority, Attempt: j.Attempt,
		Created: utc(j.Created), Due: utc(j.Due), Taken: utc(j.Taken), Err: j.Err, Cause: queue.Cause(j.Err),
	}
}

func (s *Server) apiJobs(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	f := queue.JobFilter{Pipeline: q.text("pipeline"), Lane: q.text("lane"), Cause: q.text("cause")}
	if f.State, err = q.choice("state", "ready", "running", "waiting", "dead"); err != nil {
		return nil, err
	}
	if f.Kind, err = q.choice("kind", string(queue.KindPage), string(queue.KindBatch), string(queue.KindMatch), string(queue.KindDeliver)); err != nil {
		return nil, err
	}
	js, err := s.Store.FindJobs(q.Context(), f, after, n+1)
	return paged(js, n, func(j queue.JobRow) string { return numbered(j.ID) }, jobJSON), err
}

type apiJobError struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Err     string    `json:"error"`
}

type apiAbout struct {
	Account string `json:"account,omitempty"`
	List    string `json:"list,omitempty"`
	Walk    int64  `json:"walk,omitempty"`
	Mention int64  `json:"mention,omitempty"`
	Batch   int64  `json:"batch,omitempty"`
	Sink    string `json:"sink,omitempty"`
	Stream  string `json:"stream,omitempty"`
	Post    string `json:"post,omitempty"`
	Place   string `json:"place,omitempty"`
}

type apiJobStory struct {
	apiJob
	Args   json.RawMessage `json:"args"`
	Errors []apiJobError   `json:"errors"`
	About  apiAbout        `json:"about"`
}

func (s *Server) apiJob(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	j, story, err := s.Store.Job(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("job %d; a job that has ended without an error is not kept", id), "/jobs")
	}
	if j.Kind == "" { // it has ended
		name, err := s.Store.JobName(q.Context(), id)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
		j.Kind, j.Key = name.Kind, name.Key
	}
	a := jobs.AboutJob(j.Kind, j.Key, j.Args)
	v := apiJobStory{
		apiJob: jobJSON(j), Args: raw([]byte(j.Args)),
		Errors: each(story, func(e queue.JobError) apiJobError { return apiJobError{utc(e.At), e.Attempt, e.Err} }),
		About:  apiAbout{Account: a.Target, List: a.List, Walk: a.Walk, Mention: a.Mention, Batch: a.Batch, Sink: a.Sink},
	}
	if a.Mention != 0 {
		of, err := s.Store.Subjects(q.Context(), []int64{a.Mention})
		if err != nil {
			return nil, err
		}
		x := of[a.Mention]
		v.About.Stream, v.About.Post, v.About.Place = x.Stream, x.Key, x.Place
	}
	return v, nil
}

type apiDead struct {
	What     string    `json:"what"`
	Pipeline string    `json:"pipeline"`
	Kind     string    `json:"kind,omitempty"`
	Cause    string    `json:"cause"`
	N        int       `json:"n"`
	First    time.Time `json:"firstAt"`
	Last     time.Time `json:"lastAt"`
	Err      string    `json:"error"`
}

func (s *Server) apiDead(q *query) (any, error) {
	gs, err := s.Store.DeadGroups(q.Context())
	return pageOf[apiDead]{Items: each(gs, func(g queue.DeadGroup) apiDead {
		return apiDead{g.What, g.Pipeline, g.Kind, g.Cause, g.N, utc(g.First), utc(g.Last), g.Err}
	})}, err
}

type apiPostName struct {
	Stream  string `json:"stream"`
	Key     string `json:"key"`
	Account string `json:"account"`
}

type apiDeadQuestion struct {
	ID       string        `json:"id"`
	Pipeline string        `json:"pipeline"`
	Body     string        `json:"body"`
	Err      string        `json:"error"`
	Attempt  int           `json:"attempt"`
	At       time.Time     `json:"at"`
	Posts    []apiPostName `json:"posts"`
	All      int           `json:"postCount"`
}

func (s *Server) apiDeadQuestions(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	if !q.values.Has("cause") {
		return nil, wrong("cause is missing; give the one of a group of %s/dead", apiVersion)
	}
	ts, err := s.Store.DeadTexts(q.Context(), queue.DeadGroup{What: queue.DeadQuestion, Pipeline: q.text("pipeline"), Cause: q.text("cause")}, after, n+1)
	return paged(ts, n, func(t queue.DeadText) string { return numbered(t.ID) }, func(t queue.DeadText) apiDeadQuestion {
		posts := each(t.Posts, func(p queue.PostName) apiPostName { return apiPostName{p.Stream, p.Key, p.Target} })
		return apiDeadQuestion{t.Key, t.Pipeline, t.Body, t.Err, t.Attempt, utc(t.At), posts, t.All}
	}), err
}

type apiAccount struct {
	Pipeline string    `json:"pipeline"`
	Account  string    `json:"account"`
	State    string    `json:"state"`
	Name     string    `json:"renamedTo,omitempty"`
	ID       string    `json:"upstreamId,omitempty"`
	Misses   int       `json:"misses"`
	Total    int       `json:"upstreamPosts"`
	Checked  time.Time `json:"checkedAt,omitzero"`
	Silent   time.Time `json:"silentSince,omitzero"`
	Note     string    `json:"note,omitempty"`
	Posts    int       `json:"posts"`
	Mentions int       `json:"mentions"`
	Places   int       `json:"places"`
	Newest   time.Time `json:"newestPostAt,omitzero"`
	Lists    []apiWalk `json:"lists"`
}

func accountJSON(a queue.AccountRow) apiAccount {
	return apiAccount{
		Pipeline: a.Pipeline, Account: a.Target, State: a.State, Name: a.Name, ID: a.ID, Misses: a.Misses, Total: a.Total, Checked: utc(a.Checked), Silent: utc(a.Silent), Note: a.Note,
		Posts: a.Posts, Mentions: a.Mentions, Places: a.Places, Newest: utc(a.Newest), Lists: each(a.Walks, func(w queue.WalkRow) apiWalk { return walkJSON(w.Walk) }),
	}
}

func (s *Server) apiAccounts(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	var after queue.AccountID
	if token := q.text("after"); token != "" {
		pipeline, target, ok := strings.Cut(token, ":")
		if !ok {
			return nil, wrong("after must be what next was in the answer before")
		}
		after = queue.AccountID{Pipeline: pipeline, Target: target}
	}
	f := queue.AccountFilter{Pipeline: q.text("pipeline"), Name: q.text("name")}
	if f.State, err = q.choice("state", "ok", "gone", "private", "silent", "renamed", "gap"); err != nil {
		return nil, err
	}
	as, err := s.Store.Accounts(q.Context(), f, after, n+1)
	return paged(as, n, func(a queue.AccountRow) string { return a.Pipeline + ":" + a.Target }, accountJSON), err
}

type apiGap struct {
	List    string    `json:"list,omitempty"`
	State   string    `json:"state"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Runs    int       `json:"runs"`
	Missing int       `json:"missing"`
	Note    string    `json:"note,omitempty"`
}

type apiAccountPost struct {
	Stream   string    `json:"stream"`
	Key      string    `json:"key"`
	At       time.Time `json:"takenAt"`
	State    string    `json:"state"`
	Mentions int       `json:"mentions"`
	Places   int       `json:"places"`
	Review   int       `json:"review"`
}

type apiAccountPlace struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Category string    `json:"category,omitempty"`
	Address  string    `json:"address,omitempty"`
	Mentions int       `json:"mentions"`
	Last     time.Time `json:"lastSeen"`
}

type apiAccountStory struct {
	apiAccount
	Gaps      []apiGap          `json:"gaps"`
	States    map[string]int    `json:"postStates"`
	Review    int               `json:"review"`
	Newest    []apiAccountPost  `json:"newestPosts"`
	TopPlaces []apiAccountPlace `json:"topPlaces"`
}

func (s *Server) apiAccount(q *query) (any, error) {
	id := queue.AccountID{Pipeline: q.PathValue("pipeline"), Target: q.PathValue("account")}
	a, err := s.Store.AccountStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("account %q in the pipeline %q", id.Target, id.Pipeline), "/accounts")
	}
	v := apiAccountStory{
		apiAccount: accountJSON(a.AccountRow), States: map[string]int{}, Review: a.Review,
		Gaps: each(a.Gaps, func(g queue.AccountGap) apiGap {
			return apiGap{g.List, g.State, utc(g.From), utc(g.To), g.Runs, g.Missing, g.Note}
		}),
		Newest: each(a.Newest, func(p queue.AccountPost) apiAccountPost {
			return apiAccountPost{p.Stream, p.Key, utc(p.At), p.State, p.Mentions, p.Places, p.Review}
		}),
		TopPlaces: each(a.Top, func(p queue.AccountPlace) apiAccountPlace {
			return apiAccountPlace{p.ID, p.Name, p.Category, p.Address, p.Mentions, utc(p.Last)}
		}),
	}
	for _, c := range a.States {
		v.States[c.State] = c.N
	}
	return v, nil
}

type apiFate struct {
	State string `json:"state"`
	Cause string `json:"cause"`
	N     int    `json:"n"`
}

func fateJSON(f queue.LineFate) apiFate { return apiFate{f.State, f.Cause, f.N} }

type apiBatch struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	Model    string    `json:"model"`
	State    string    `json:"state"`
	Status   string    `json:"status,omitempty"`
	Upstream string    `json:"upstreamId,omitempty"`
	Run      int64     `json:"run,omitempty"`
	Lines    int       `json:"lines"`
	Answered int       `json:"answered"`
	Failed   int       `json:"failed"`
	Bytes    int64     `json:"bytes"`
	Tokens   int64     `json:"estimatedInputTokens"`
	Output   int64     `json:"outputTokens"`
	Spent    int64     `json:"spentMicroUsd"`
	Reserved int64     `json:"reservedMicroUsd"`
	Created  time.Time `json:"createdAt"`
	Sent     time.Time `json:"sentAt,omitzero"`
	Ended    time.Time `json:"endedAt,omitzero"`
	Note     string    `json:"note,omitempty"`
}

func batchJSON(b queue.BatchRow) apiBatch {
	return apiBatch{
		ID: b.ID, Pipeline: b.Pipeline, Model: b.Model, State: string(b.State), Status: b.Status, Upstream: b.UpstreamID, Run: b.Run, Lines: b.Lines, Answered: b.Answered, Failed: b.Failed,
		Bytes: b.Bytes, Tokens: b.Tokens, Output: b.Output, Spent: b.MicroUSD, Reserved: b.Reserved, Created: utc(b.Created), Sent: utc(b.Sent), Ended: utc(b.Ended), Note: b.Note,
	}
}

func (s *Server) apiBatches(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	f := queue.BatchFilter{Pipeline: q.text("pipeline")}
	if f.State, err = q.choice("state", "open", "choosing", "chosen", "uploaded", "creating", "running", "reading", "done", "refused"); err != nil {
		return nil, err
	}
	bs, err := s.Store.Batches(q.Context(), f, after, n+1)
	return paged(bs, n, func(b queue.BatchRow) string { return numbered(b.ID) }, batchJSON), err
}

type apiBatchStory struct {
	apiBatch
	Fates []apiFate `json:"fates"`
	Open  []apiFate `json:"unanswered"`
	Job   int64     `json:"job,omitempty"`
}

func (s *Server) apiBatch(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	b, err := s.Store.BatchStory(q.Context(), id, jobs.BatchKey(id))
	if err != nil {
		return nil, absent(err, fmt.Sprintf("batch %d", id), "/batches")
	}
	return apiBatchStory{batchJSON(b.BatchRow), each(b.List(), fateJSON), each(b.Open, fateJSON), b.Job}, nil
}

type apiPoint struct {
	Lat float64 `json:"lat"`
	Lng float64 `json:"lng"`
}

func point(lat, lng float64) *apiPoint {
	if lat == 0 || lng == 0 {
		return nil
	}
	return &apiPoint{lat, lng}
}

type apiEntryOf struct {
	ID       string    `json:"id"`
	Finder   string    `json:"finder"`
	FinderID string    `json:"finderId,omitempty"`
	Name     string    `json:"name"`
	Category string    `json:"category,omitempty"`
	Road     string    `json:"roadAddress,omitempty"`
	Address  string    `json:"address,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Link     string    `json:"link,omitempty"`
	Location *apiPoint `json:"location"`
}

func placeJSON(p queue.Place) apiEntryOf {
	return apiEntryOf{p.ID, p.Finder, p.FinderID, p.Name, p.Category, p.Road, p.Address, p.Phone, p.Link, point(p.Lat, p.Lng)}
}

type apiPlaceEntry struct {
	apiEntryOf
	ByHand   bool `json:"byHand"`
	Mentions int  `json:"mentions"`
}

type apiPlace struct {
	apiEntryOf
	Entries      []apiPlaceEntry    `json:"entries"`
	MentionCount int                `json:"mentionCount"`
	AccountCount int                `json:"accountCount"`
	First        time.Time          `json:"firstSeen,omitzero"`
	Last         time.Time          `json:"lastSeen,omitzero"`
	Mentions     pageOf[apiMention] `json:"mentions"`
}

func (s *Server) apiPlace(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	var before queue.MentionsBefore
	if token := q.text("after"); token != "" {
		at, id, _ := strings.Cut(token, "_")
		before.At, err = time.Parse(time.RFC3339, at)
		if err == nil {
			before.ID, err = strconv.ParseInt(id, 10, 64)
		}
		if err != nil {
			return nil, wrong("after must be what next was in the answer before")
		}
	}
	id := q.PathValue("id")
	p, err := s.Store.PlaceFacts(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("place %q", id), "/places")
	}
	ms, err := s.Store.PlaceStories(q.Context(), id, before, n+1)
	return apiPlace{
		apiEntryOf: placeJSON(p.Place), MentionCount: p.Mentions, AccountCount: p.Accounts, First: utc(p.First), Last: utc(p.Last),
		Entries: each(p.Entries, func(e queue.PlaceEntry) apiPlaceEntry { return apiPlaceEntry{placeJSON(e.Place), e.ByHand, e.Mentions} }),
		Mentions: paged(ms, n, func(m queue.MentionStory) string {
			return utc(m.Record.Time).Format(time.RFC3339Nano) + "_" + numbered(m.ID)
		}, mentionJSON),
	}, err
}

type apiVerdict struct {
	State  string  `json:"state"`
	Score  float64 `json:"score"`
	Reason string  `json:"reason,omitempty"`
}

type apiMention struct {
	ID       int64           `json:"id"`
	N        int             `json:"n"`
	Pipeline string          `json:"pipeline"`
	Name     string          `json:"name"`
	State    string          `json:"state"`
	Place    string          `json:"place,omitempty"`
	Score    float64         `json:"score"`
	Reason   string          `json:"reason,omitempty"`
	Fields   json.RawMessage `json:"fields"`
	Decided  time.Time       `json:"decidedAt,omitzero"`
	By       string          `json:"by,omitempty"`
	Was      *apiVerdict     `json:"was,omitempty"`
	Question string          `json:"question,omitempty"`
	Batch    int64           `json:"batch,omitempty"`
	Line     int             `json:"line,omitempty"`
	Stream   string          `json:"stream"`
	Post     string          `json:"post"`
	Account  string          `json:"account"`
	Taken    time.Time       `json:"takenAt"`
	URL      string          `json:"url,omitempty"`
}

func mentionJSON(m queue.MentionStory) apiMention {
	v := apiMention{
		ID: m.ID, N: m.N, Pipeline: m.Pipeline, Name: m.Name, State: m.State, Place: m.Place, Score: m.Score, Reason: m.Reason, Fields: raw(m.Fields), Decided: utc(m.Decided),
		Question: m.Question, Batch: m.Batch, Line: m.Line, Stream: m.Record.Stream, Post: m.Record.Key, Account: m.Record.Target, Taken: utc(m.Record.Time), URL: jobs.PostOf(m.Mention).URL,
	}
	if m.Label != 0 {
		v.By, v.Was = m.Author, &apiVerdict{m.Was.State, m.Was.Score, m.Was.Reason}
	}
	return v
}

type apiRequest struct {
	Pipeline string    `json:"pipeline"`
	Account  string    `json:"account"`
	List     string    `json:"list"`
	FirstRun int64     `json:"firstRun"`
	FirstAt  time.Time `json:"firstAt,omitzero"`
	LastRun  int64     `json:"lastRun"`
	LastAt   time.Time `json:"lastAt,omitzero"`
}

type apiQuestion struct {
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Attempt  int             `json:"attempt"`
	Err      string          `json:"error,omitempty"`
	Asked    time.Time       `json:"askedAt"`
	Answered time.Time       `json:"answeredAt,omitzero"`
	Batch    int64           `json:"batch,omitempty"`
	Line     int             `json:"line,omitempty"`
	Model    string          `json:"model,omitempty"`
	Posts    int             `json:"postCount"`
	Answer   json.RawMessage `json:"answer"`
}

type apiPost struct {
	Stream   string          `json:"stream"`
	Key      string          `json:"key"`
	Pipeline string          `json:"pipeline"`
	Account  string          `json:"account"`
	URL      string          `json:"url,omitempty"`
	Caption  string          `json:"caption,omitempty"`
	Taken    time.Time       `json:"takenAt"`
	Fetched  time.Time       `json:"fetchedAt"`
	Skipped  bool            `json:"skipped"`
	Data     json.RawMessage `json:"data"`
	Requests []apiRequest    `json:"requests"`
	Question *apiQuestion    `json:"question"`
	Mentions []apiMention    `json:"mentions"`
}

func (s *Server) apiPost(q *query) (any, error) {
	stream, key := q.PathValue("stream"), q.PathValue("key")
	r, err := s.Store.RecordStory(q.Context(), stream, key)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("record %q of the stream %q", key, stream), "/accounts/{pipeline}/{account}")
	}
	ms, err := s.Store.RecordMentions(q.Context(), r.ID)
	if err != nil {
		return nil, err
	}
	facts := jobs.PostOf(queue.Mention{Record: r.Stored})
	v := apiPost{
		Stream: r.Stream, Key: r.Key, Pipeline: r.Pipeline, Account: r.Target, URL: facts.URL, Caption: facts.Caption, Taken: utc(r.Time), Fetched: utc(r.Fetched), Skipped: r.Skipped, Data: raw(r.Data),
		Requests: each(r.Requests, func(x queue.Request) apiRequest {
			return apiRequest{x.Pipeline, x.Target, x.List, x.First, utc(x.FirstAt), x.Last, utc(x.LastAt)}
		}),
		Mentions: each(ms, mentionJSON),
	}
	if a := r.Question; a != nil {
		v.Question = &apiQuestion{a.Key, a.State, a.Attempt, a.Err, utc(a.Asked), utc(a.Answered), a.Batch, a.Line, a.Model, a.Records, raw(a.Answer)}
	}
	return v, nil
}

type apiCandidate struct {
	Finder   string    `json:"finder,omitempty"`
	Name     string    `json:"name,omitempty"`
	Category string    `json:"category,omitempty"`
	Road     string    `json:"roadAddress,omitempty"`
	Address  string    `json:"address,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Link     string    `json:"link,omitempty"`
	Location *apiPoint `json:"location"`
	Score    float64   `json:"score"`
	Why      string    `json:"why,omitempty"`
	Taken    bool      `json:"taken"`
}

type apiSearch struct {
	Finder string `json:"finder"`
	Query  string `json:"query"`
	Found  int    `json:"found"`
}

type apiReview struct {
	apiMention
	Caption    string         `json:"caption,omitempty"`
	Version    string         `json:"version"`
	Candidates []apiCandidate `json:"candidates"`
	Searches   []apiSearch    `json:"searches"`
}

// reviewJSON is a mention as a person needs it to decide.
func (s *Server) reviewJSON(q *query, id int64) (any, error) {
	m, err := s.Store.MentionStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("mention %d, or its post has been read anew", id), "/reviews")
	}
	now, err := s.Store.Decision(q.Context(), id)
	if err != nil {
		return nil, err
	}
	choices, asked, err := jobs.Choices(q.Context(), s.Store, m.Mention)
	if err != nil {
		return nil, err
	}
	return apiReview{
		apiMention: mentionJSON(m), Caption: jobs.PostOf(m.Mention).Caption, Version: now.Version(),
		Candidates: each(choices, func(o queue.Option) apiCandidate {
			taken := m.Found != "" && m.Found == jobs.KeyOf(o)
			return apiCandidate{o.Finder, o.Name, o.Category, o.RoadAddress, o.Address, o.Phone, o.Link, point(o.Lat, o.Lng), o.Score, o.Why, taken}
		}),
		Searches: each(asked, func(a queue.Asked) apiSearch { return apiSearch{a.Finder, a.Query, a.Found} }),
	}, nil
}

func (s *Server) apiReviewOf(q *query) (any, error) {
	id, err := q.id("mention")
	if err != nil {
		return nil, err
	}
	return s.reviewJSON(q, id)
}

func (s *Server) apiReviews(q *query) (any, error) {
	n, after, err := q.page(mostReviews)
	if err != nil {
		return nil, err
	}
	all, err := q.choice("all", "true", "false")
	if err != nil {
		return nil, err
	}
	ms, err := s.Store.Reviews(q.Context(), queue.ReviewFilter{Pipeline: q.text("pipeline"), Post: q.text("post"), All: all == "true"}, after, n+1)
	if err != nil {
		return nil, err
	}
	page := pageOf[any]{Items: []any{}}
	for i, m := range ms {
		if i == n {
			next := numbered(ms[n-1].ID)
			page.Next = &next
			break
		}
		r, err := s.reviewJSON(q, m.ID)
		if e, gone := errors.AsType[*apiError](err); gone && e.status == http.StatusNotFound {
			continue // read anew while this was read
		}
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, r)
	}
	return page, nil
}
