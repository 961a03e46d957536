package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// Rate is how fast an upstream is called.
type Rate struct {
	Upstream string
	Limit    float64 // calls a second that are allowed, over all credentials; 0 unlimited
	Seconds  []int   // calls that left in each of the last whole seconds, the oldest first
}

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

// sentence is something that a person should know.
type sentence struct {
	Level  string // of a badge: bad, warn, ok, idle
	Tag    string // marked with say
	Text   string // likewise
	Args   []any
	Plain  string // what Detail means, marked with say; "" nothing does
	Detail string // as somebody else said it
	Path   string // where more is shown; "" nowhere
	More   string // what the link says, marked with say
	Ask    bool   // the link asks a question
}

// In is the sentence in a language, with numbers and times as it writes them.
func (x sentence) In(lang string) string {
	args := slices.Clone(x.Args)
	for i, a := range args {
		switch a := a.(type) {
		case int:
			args[i] = grouped(a)
		case time.Time:
			args[i] = moment(lang, a)
		}
	}
	return word(lang, x.Text, args...)
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

func limitOf(rates []Rate, upstream string) float64 {
	for _, r := range rates {
		if r.Upstream == upstream {
			return r.Limit
		}
	}
	return 0
}

// paceOf is how many calls a second an upstream had in the last minute, or since it was called in it; 0 none.
func paceOf(rates []Rate, upstream string) float64 {
	for _, r := range rates {
		if r.Upstream != upstream {
			continue
		}
		last := r.Seconds[max(0, len(r.Seconds)-60):]
		first := slices.IndexFunc(last, func(n int) bool { return n > 0 })
		if first < 0 {
			return 0
		}
		calls := 0
		for _, n := range last[first:] {
			calls += n
		}
		return float64(calls) / float64(len(last)-first)
	}
	return 0
}

const (
	slowGuard = 150 * time.Millisecond // a guard that costs so much of the pace that a person should know
	shortHold = 5 * time.Second        // a hold that is nobody's business: the upstream refused a call
	untoldFor = 20 * time.Minute       // how long a trouble may wait to be told
)

// attention is what waits, and what a person should look at, the worst first.
func (s *Server) attention(ctx context.Context, reviews int) (all []sentence, err error) {
	for _, read := range []func(context.Context) ([]sentence, error){s.broke, s.logins, s.waits, s.limits, s.accounts, s.leftovers} {
		some, err := read(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if reviews > 0 {
		all = append(all, sentence{Level: "ok", Tag: say("Review"), Text: say("Restaurants that wait for your decision: %s"), Args: []any{reviews}, Path: "/review", More: say("Review")})
	}
	for i, x := range all {
		if x.Path != "" && !s.serves(x.Path) {
			all[i].Path = ""
		}
	}
	rank := map[string]int{"bad": 0, "warn": 1, "ok": 2, "idle": 3}
	slices.SortStableFunc(all, func(a, b sentence) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	return all, nil
}

// broke is what stands still until a person has done something.
func (s *Server) broke(ctx context.Context) (all []sentence, err error) {
	damage, err := s.Store.Damage(ctx)
	if err != nil {
		return nil, err
	}
	if damage != "" {
		all = append(all, sentence{Level: "bad", Tag: say("Stopped"), Text: say("The state file is damaged."), Detail: damage})
	}
	stops, err := s.Store.Stops(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range stops {
		all = append(all, sentence{Level: "bad", Tag: say("Stopped"), Text: say("%s has been waiting for you since %s. Set right what is wrong, then start sumbi again."), Args: []any{x.Lane, x.At}}.because(x.Reason))
	}
	return all, nil
}

// because is the sentence with a reason.
func (x sentence) because(reason string) sentence {
	x.Plain, x.Detail = meaning(reason)
	return x
}

// logins is whose log-in is not accepted any more: nothing is asked for them until they hand in a new one.
func (s *Server) logins(ctx context.Context) ([]sentence, error) {
	dead, err := s.Store.DeadLogins(ctx)
	if err != nil || len(dead) == 0 {
		return nil, err
	}
	var names []string
	for _, l := range dead {
		names = append(names, l.Target)
	}
	return []sentence{{
		Level: "bad", Tag: say("Log-in"), Text: say("Log-ins that are not accepted any more: %s. Nothing is asked for these users until new ones are handed in."), Args: []any{len(names)},
		Detail: someOf(names), Path: "/velog", More: say("Show"),
	}}, nil
}

// waits is what waits for money or for an upstream, and what of an upstream cannot be read any more.
func (s *Server) waits(ctx context.Context) (all []sentence, err error) {
	budgets, err := jobs.BudgetWaits(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, b := range budgets {
		all = append(all, sentence{Level: "warn", Tag: say("Budget"), Text: say("%s: work that waits for money: %s"), Args: []any{b.Pipeline, b.Jobs}}.because(b.Reason))
	}
	outages, err := s.Store.Outages(ctx)
	if err != nil {
		return nil, err
	}
	broken, err := s.Store.BrokenLists(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range broken {
		all = append(all, sentence{
			Level: "warn", Tag: say("Fails"), Text: say("%s: the %s of %s of %s records could not be read in several runs in a row."),
			Args: []any{l.Pipeline, l.List, l.Failing, l.Failing + l.Read}, Detail: l.Note, Path: "/velog", More: say("Show"),
		})
	}
	for _, o := range outages {
		all = append(all, sentence{Level: "warn", Tag: say("Outage"), Text: say("%s has not answered since %s."), Args: []any{o.Upstream, o.Since}}.because(o.Reason))
	}
	return all, nil
}

// limits is what the limits of the upstreams hold back.
func (s *Server) limits(ctx context.Context) (all []sentence, err error) {
	limits, err := s.Store.Limits(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range limits {
		switch {
		case l.Stopped:
			all = append(all, sentence{Level: "bad", Tag: say("Key"), Text: say("The key %s is not used until the next start."), Args: []any{l.Name}}.because(l.Reason))
		case l.HeldUntil.Sub(s.Store.Now()) > shortHold:
			all = append(all, sentence{Level: "warn", Tag: say("Limit"), Text: say("No calls with %s until %s."), Args: []any{l.Name, l.HeldUntil}}.because(l.Reason))
		case l.Guard > slowGuard && l.PerSecond > 0:
			all = append(all, sentence{
				Level: "idle", Tag: say("Slow"), Text: say("%s refused faster calls: %.1f a second are made, its limit is %g. If that is over, `sumbi run --release PIPELINE` forgets it."),
				Args: []any{l.Name, l.PerSecond / (1 + l.Guard.Seconds()), l.PerSecond},
			})
		}
	}
	return all, nil
}

// shownNames is how many accounts a sentence names.
const shownNames = 5

// accounts is what became of accounts.
func (s *Server) accounts(ctx context.Context) (all []sentence, err error) {
	troubles, err := s.Store.Troubles(ctx)
	if err != nil {
		return nil, err
	}
	news, err := s.Store.AccountNews(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string][]string{}
	for _, t := range troubles {
		named[t.State] = append(named[t.State], t.Target)
	}
	for _, n := range news {
		if !n.Silent.IsZero() {
			named["silent"] = append(named["silent"], n.Target)
		}
	}
	for _, x := range []struct{ state, text string }{
		{"gone", say("Accounts that are gone: %s")},
		{"private", say("Accounts that are private: %s")},
		{"silent", say("Accounts with nothing new for far longer than usual: %s")},
	} {
		if names := named[x.state]; len(names) > 0 {
			all = append(all, sentence{Level: "warn", Tag: say("Accounts"), Text: x.text, Args: []any{len(names)}, Detail: someOf(names), Path: "/accounts?state=" + x.state, More: say("Show")})
		}
	}
	return all, nil
}

func someOf(names []string) string {
	if len(names) <= shownNames {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shownNames], ", ") + " …"
}

// leftovers is what was given up, missed, or could not be told.
func (s *Server) leftovers(ctx context.Context) (all []sentence, err error) {
	a, err := s.Store.Attention(ctx)
	if err != nil {
		return nil, err
	}
	if n := a.DeadJobs + a.DeadQuestions; n > 0 {
		all = append(all, sentence{Level: "warn", Tag: say("Given up"), Text: say("Work that was given up: %s"), Args: []any{n}, Path: "/dead/retry", More: say("Try again"), Ask: true})
	}
	if a.Gaps > 0 {
		x := sentence{Level: "warn", Tag: say("Gaps"), Text: say("Lists or accounts that were not seen whole: %s. The next run reads them again."), Args: []any{a.Gaps}, Path: "/accounts?state=gap", More: say("Show")}
		if g, err := s.Store.WorstGap(ctx); err == nil {
			x.Detail = strings.TrimSpace(g.Target+" "+g.List) + ": " + g.Note
		}
		all = append(all, x)
	}
	if a.Untold > 0 && s.Store.Now().Sub(a.UntoldSince) > untoldFor {
		all = append(all, sentence{Level: "warn", Tag: say("Notices"), Text: say("Notices that could not be sent to SUMBI_NOTIFY_URL: %s, since %s. The log says why."), Args: []any{a.Untold, a.UntoldSince}})
	}
	if n, at := s.refusedWebhooks.read(); n > 0 {
		all = append(all, sentence{Level: "warn", Tag: say("Webhook"), Text: say("Webhooks refused since the start: %s, the last one %s. Their signature does not fit OPENAI_WEBHOOK_SECRET."), Args: []any{n, at}})
	}
	return all, nil
}

// counter counts what happens now and then.
type counter struct {
	mu sync.Mutex
	n  int
	at time.Time
}

func (c *counter) add(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.at = c.n+1, now
}

func (c *counter) read() (n int, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.at
}

// The chart of a rate: so many units wide and high, a point for so many seconds, each the mean of the seconds around it.
const (
	chartWidth, chartHeight = 300, 60
	chartStep               = 2
	chartMean               = 5
	speedMean               = 10 // seconds of the figure beside it
)

// speed is a rate as it is drawn.
type speed struct {
	Rate
	Now   float64 // calls a second
	Top   float64 // what the upper edge means
	Line  string  // points
	Area  string
	Bound float64 // height of the limit; 0 none
}

func newSpeed(r Rate) speed {
	s := speed{Rate: r, Top: 1}
	means := sliding(r.Seconds, chartMean)
	for _, m := range means {
		s.Top = max(s.Top, m)
	}
	s.Top = max(s.Top, r.Limit) * 1.15
	n := len(r.Seconds)
	for _, c := range r.Seconds[max(0, n-speedMean):] {
		s.Now += float64(c)
	}
	s.Now /= float64(max(min(n, speedMean), 1))
	y := func(v float64) float64 { return math.Round((chartHeight-v/s.Top*chartHeight)*10) / 10 }
	if r.Limit > 0 {
		s.Bound = y(r.Limit)
	}
	var b strings.Builder
	for i := max(n-1, 0) % chartStep; i < n; i += chartStep {
		x := chartWidth - (n-1-i)*chartWidth/max(n-1, 1)
		fmt.Fprintf(&b, "%d,%g ", x, y(means[i]))
	}
	s.Line = strings.TrimSpace(b.String())
	if s.Line != "" {
		first, _, _ := strings.Cut(s.Line, ",")
		s.Area = fmt.Sprintf("%s,%d %s %d,%d", first, chartHeight, s.Line, chartWidth, chartHeight)
	}
	return s
}

// sliding returns for each value the mean of it and those before it, n in all.
func sliding(values []int, n int) []float64 {
	means := make([]float64, len(values))
	sum := 0
	for i, v := range values {
		sum += v
		if i >= n {
			sum -= values[i-n]
		}
		means[i] = float64(sum) / float64(min(i+1, n))
	}
	return means
}
