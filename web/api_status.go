package web

import (
	"context"
	"math"
	"slices"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

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

type apiRate struct {
	Upstream  string  `json:"upstream"`
	Limit     float64 `json:"limit"`
	PerSecond float64 `json:"perSecond"`
}

type apiRefused struct {
	N    int       `json:"n"`
	Last time.Time `json:"lastAt,omitzero"`
}

type apiStatus struct {
	At        time.Time        `json:"at"`
	Workers   int              `json:"workers"`
	Machines  []apiMachine     `json:"machines"`
	Bytes     int64            `json:"bytes"`
	Damage    string           `json:"damage,omitempty"`
	Records   int64            `json:"records"`
	Posts     int              `json:"posts"`
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
	Rates     []apiRate        `json:"rates"`
	Limits    []apiLimit       `json:"limits"`
	Waits     []apiWait        `json:"waits"`
	Webhooks  apiRefused       `json:"refusedWebhooks"`
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
		totals, err := s.totals.read(func() (queue.Totals, error) { return st.Totals(ctx) })
		v.Posts = totals.Posts
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
	read(func() error {
		rates, err := s.rates(ctx)
		v.Rates = each(s.speeds(rates), func(r speed) apiRate { return apiRate{r.Upstream, r.Limit, r.Now} })
		return err
	})
	read(func() error { return v.trouble(ctx, st) })
	n, at := s.refusedWebhooks.read()
	v.Webhooks = apiRefused{n, utc(at)}
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
	lists, err := st.BrokenLists(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		n := jobs.BrokenLists(l)
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

type apiStage struct {
	What  string `json:"what"`
	Done  int    `json:"done"`
	Of    int    `json:"of"`
	About bool   `json:"forecast"`
}

type apiPipeline struct {
	Name    string     `json:"name"`
	Runs    bool       `json:"configured"`
	State   string     `json:"state"`
	Next    time.Time  `json:"nextAt,omitzero"`
	Full    time.Time  `json:"fullAt,omitzero"`
	Current *apiRun    `json:"currentRun"`
	Last    *apiRun    `json:"lastRun"`
	Stages  []apiStage `json:"stages"`
	Left    float64    `json:"crawlSecondsLeft,omitempty"`
	Match   float64    `json:"matchSecondsLeft,omitempty"`
	Deliver *int       `json:"toDeliver,omitempty"`
}

// progress tells how far the unfinished run is.
func (p *apiPipeline) progress(g pipelineGlance) {
	p.Deliver = &g.Delivers
	if p.Current == nil || p.Current.ID != g.Run.ID { // what is kept may be a little older
		return
	}
	p.Stages = each(g.Stages, func(x stage) apiStage { return apiStage{x.What, x.Done, x.Of, x.About} })
	p.Left, p.Match = math.Round(g.Left.Seconds()), math.Round(g.Matching.Seconds())
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
	now, err := s.glance(q.Context())
	if err != nil {
		return nil, err
	}
	all := pageOf[apiPipeline]{Items: []apiPipeline{}}
	for _, name := range names {
		p := apiPipeline{Name: name, Runs: s.configured(name), State: "idle", Stages: []apiStage{}}
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
		if i := slices.IndexFunc(now.Pipelines, func(g pipelineGlance) bool { return g.Name == name }); i >= 0 {
			p.progress(now.Pipelines[i])
		}
		all.Items = append(all.Items, p)
	}
	return all, nil
}
