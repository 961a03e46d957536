package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// Forecast is what a run would do.
type Forecast struct {
	Accounts, Pages, Captions, Searches int
	Crawl                               time.Duration
	MicroUSD                            int64
	Priced                              bool // what it costs is known
	Full                                bool // it walks whole lists
}

func (s *Server) overviewRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /runs/new", s.askRun)
	mux.HandleFunc("POST /runs/new", s.startRun)
	mux.HandleFunc("GET /dead/retry", s.askRetry)
	mux.HandleFunc("POST /dead/retry", s.retryDead)
	s.watch("overview", liveView{
		blocks: []string{"overview-figures", "overview-attention", "overview-pipelines", "overview-rates", "overview-machines"},
		data:   func(ctx context.Context, _ string) (any, error) { return s.glance(ctx) },
	})
}

// overview tells at a glance what is going on.
func (s *Server) overview(w http.ResponseWriter, r *http.Request) {
	if !html(r) {
		s.status(w, r)
		return
	}
	g, err := s.glance(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "overview", say("Overview"), g)
}

// glance is what the overview shows.
type glance struct {
	situation
	Totals queue.Totals
	Rates  []speed
}

// situation is what goes on.
type situation struct {
	Month     money
	Pipelines []pipelineGlance
	Attention []sentence
	Machines  []queue.Machine
}

type pipelineGlance struct {
	Name      string
	State     string // of its open run; "" when there is none
	Note      string // why that waits
	Plain     string // what Note means, marked with say
	Stages    []stage
	Left      time.Duration // of the crawl; 0 unknown
	Matching  time.Duration // until what is to be matched after the crawl is; 0 unknown
	Chained   bool          // the longest list sets the time
	Last      queue.Run     // the last one that ended; zero: there is none
	Run       queue.Run     // the open one
	Next      time.Time
	Money     money
	Requests  int
	Delivers  int // documents still to be delivered
	Scheduled bool
	Batches   []queue.Batch // under way
	RunPath   string        // where the open run is shown; "" nowhere
}

// stage is one part of a run.
type stage struct {
	What     string // as the API calls it
	Name     string // marked with say
	Done, Of int
	About    bool // Of is a forecast
}

// Share is how much of the stage is done, in percent.
func (s stage) Share() int {
	if s.Of <= 0 {
		return 0
	}
	return min(100, s.Done*100/s.Of)
}

// money is what was spent of a budget, in micro-dollars; Of 0 is no budget.
type money struct{ Booked, Reserved, Of int64 }

// Share is how much is gone, in percent.
func (m money) Share() int64 {
	if m.Of <= 0 {
		return 0
	}
	return min(100, (m.Booked+m.Reserved)*100/m.Of)
}

// glance reads what the overview shows, what is slow to read less often than it is asked for.
func (s *Server) glance(ctx context.Context) (glance, error) {
	rates, err := s.rates(ctx)
	if err != nil {
		return glance{}, err
	}
	totals, err := s.totals.read(func() (queue.Totals, error) { return s.Store.Totals(ctx) })
	if err != nil {
		return glance{}, err
	}
	now, err := s.situation.read(func() (situation, error) { return s.readSituation(ctx, rates, totals.Review) })
	if err != nil {
		return glance{}, err
	}
	return glance{situation: now, Totals: totals, Rates: s.speeds(rates)}, nil
}

// speeds are the rates of the upstreams that the pipelines use.
func (s *Server) speeds(rates []Rate) (all []speed) {
	used := s.upstreams()
	for _, r := range rates {
		if slices.Contains(used, r.Upstream) {
			all = append(all, newSpeed(r))
		}
	}
	return all
}

// upstreams are those that the pipelines use.
func (s *Server) upstreams() (all []string) {
	for _, p := range s.Pipelines {
		all = append(all, p.Lane)
		if p.Ask != nil {
			all = append(all, "openai")
		}
		if p.Find != nil {
			for _, f := range p.Find.Finders {
				all = append(all, f.Name())
			}
		}
	}
	return all
}

// keptLongest is how long at most something is kept that was slow to read.
const keptLongest = 15 * time.Second

// slowly keeps what was read for as long as reading it takes, many times over, at least a second and at most keptLongest.
type slowly[T any] struct {
	mu   sync.Mutex
	at   time.Time
	took time.Duration
	kept T
}

func (k *slowly[T]) read(f func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	began := time.Now()
	if !k.at.IsZero() && began.Sub(k.at) < max(liveBeat*9/10, min(liveShare*k.took, keptLongest)) {
		return k.kept, nil
	}
	v, err := f()
	if err != nil {
		return v, err
	}
	k.at, k.took, k.kept = time.Now(), time.Since(began), v
	return v, nil
}

// forget makes the next reading a new one.
func (k *slowly[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}

// readSituation reads what goes on; reviews are how many decisions wait.
func (s *Server) readSituation(ctx context.Context, rates []Rate, reviews int) (g situation, err error) {
	terms := s.Store.Terms()
	_, _, month, err := s.Store.Spending(ctx, "")
	if err != nil {
		return g, err
	}
	g.Month = money{month.Booked, month.Reserved, terms.Month}
	if g.Machines, err = s.Store.Machines(ctx); err != nil {
		return g, err
	}
	batches, err := s.Store.OpenBatches(ctx)
	if err != nil {
		return g, err
	}
	for _, p := range s.Pipelines {
		one, err := s.pipelineGlance(ctx, p, rates)
		if err != nil {
			return g, err
		}
		for _, b := range batches {
			if b.Pipeline == p.Name && !b.Sent.IsZero() {
				one.Batches = append(one.Batches, b)
			}
		}
		g.Pipelines = append(g.Pipelines, one)
	}
	g.Attention, err = s.attention(ctx, reviews)
	return g, err
}

func (s *Server) pipelineGlance(ctx context.Context, p *jobs.Pipeline, rates []Rate) (g pipelineGlance, err error) {
	g.Name = p.Name
	sc, err := s.Store.Schedule(ctx, p.Name)
	if err != nil {
		return g, err
	}
	g.Next, g.Scheduled = sc.Next, !sc.Next.IsZero()
	last, err := s.Store.LastRun(ctx, p.Name)
	if errors.Is(err, queue.ErrNotFound) {
		return g, nil
	}
	if err != nil {
		return g, err
	}
	spent, err := s.Store.RunSpending(ctx, last.ID)
	if err != nil {
		return g, err
	}
	g.Money = money{spent.Booked, spent.Reserved, s.Store.Terms().Run}
	h, err := s.Store.Headway(ctx, last)
	if err != nil {
		return g, err
	}
	g.Requests, g.Delivers = h.Requests, h.Outbox
	if last.State == queue.RunDone {
		g.Last = last
		return g, nil
	}
	g.Run, g.State = last, string(last.State)
	g.Plain, g.Note = meaning(last.Note)
	before, err := s.Store.Runs(ctx, p.Name, last.ID, 1)
	if err != nil {
		return g, err
	}
	if len(before) > 0 && before[0].State == queue.RunDone {
		g.Last = before[0].Run
	}
	if path := fmt.Sprintf("/runs/%d", last.ID); s.serves(path) {
		g.RunPath = path
	}
	pages := stage{What: "pages", Name: say("Pages"), Done: last.Pages, Of: last.Pages}
	if h.ListsLeft > 0 {
		walks, err := s.Store.Reaches(ctx, p.Name)
		if err != nil {
			return g, err
		}
		left := jobs.TimeLeft(p, walks, last, limitOf(rates, p.Lane))
		pages.Of, pages.About = last.Pages+left.Pages, true
		g.Chained = left.Chained
		if left.Bound > 0 {
			g.Left = max(left.Bound.Round(time.Second), time.Second)
		}
	}
	g.Stages = []stage{pages}
	if last.State == queue.RunStopped {
		g.Left = 0 // nobody knows
	}
	if p.Ask != nil {
		g.Stages = append(g.Stages, stage{What: "captions", Name: say("Captions read"), Done: h.Answered, Of: h.Answered + h.InBatch + h.Waiting})
	}
	if p.Find != nil {
		if h.ListsLeft == 0 && h.Waiting+h.InBatch == 0 && last.State != queue.RunStopped && len(p.Find.Finders) > 0 {
			if pace := paceOf(rates, p.Find.Finders[0].Name()); pace > 0 {
				g.Matching = time.Duration(float64(h.Matching) / pace * float64(time.Second)).Round(time.Second)
			}
		}
		g.Stages = append(g.Stages, stage{What: "restaurants", Name: say("Restaurants matched"), Done: h.Matched, Of: h.Matched + h.Matching})
	}
	return g, nil
}
