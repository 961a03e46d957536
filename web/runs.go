package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sumbi/queue"
)

func (s *Server) runsRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /runs", s.runList)
	mux.HandleFunc("GET /runs/{id}", s.run)
	s.watch("run", liveView{blocks: []string{"run-now", "run-parts"}, data: func(ctx context.Context, arg string) (any, error) {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, queue.ErrNotFound
		}
		return s.runFacts(ctx, id)
	}})
}

// runLine is a run in a list.
type runLine struct {
	queue.RunRow
	Path  string
	Badge badge
	Plain string        // what its note means, marked with say
	Took  time.Duration // until now while it is under way; 0: not begun
}

func (s *Server) runLine(r queue.RunRow) runLine {
	l := runLine{RunRow: r, Path: runPath(r.ID), Badge: badgeOf(r.State)}
	l.Plain, _ = meaning(r.Note)
	if !r.Started.IsZero() {
		end := r.Ended
		if end.IsZero() {
			end = s.Store.Now()
		}
		l.Took = end.Sub(r.Started)
	}
	return l
}

// runList lists what was run.
func (s *Server) runList(w http.ResponseWriter, r *http.Request) {
	pipeline := r.FormValue("pipeline")
	rows, err := s.Store.Runs(r.Context(), pipeline, numberOf(r, "before"), rowsShown+1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	pipelines, err := s.Store.Pipelines(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Runs      []runLine
		Pipelines []option
		pager
	}{Pipelines: nameOptions(pipelines, pipeline)}
	rows, data.pager = pageRows(r, rows, func(r queue.RunRow) int64 { return r.ID })
	for _, row := range rows {
		data.Runs = append(data.Runs, s.runLine(row))
	}
	s.render(w, r, http.StatusOK, "runs", say("Runs"), data)
}

// phase is a stretch of a run.
type phase struct {
	Name   string
	At     time.Time     // when it began
	Took   time.Duration // until now while it is under way
	Now    bool          // it is under way
	X, Len int           // thousandths of the whole run
}

// phases are what a run does one after the other; those that it has not come to are left out.
func phases(r queue.Run, now time.Time) []phase {
	last := r.Ended
	if last.IsZero() {
		last = now
	}
	marks := []struct {
		name     string
		from, to time.Time
	}{
		{say("waited to start"), r.Asked, r.Started},
		{say("gathered its lists"), r.Started, r.Seeded},
		{say("crawled"), r.Seeded, r.Crawled},
		{say("asked, matched and delivered the rest"), r.Crawled, r.Ended},
	}
	whole := max(last.Sub(r.Asked), time.Millisecond)
	var all []phase
	for _, m := range marks {
		if m.from.IsZero() {
			break
		}
		p := phase{Name: m.name, At: m.from, Now: m.to.IsZero() && r.State != queue.RunDone}
		to := m.to
		if to.IsZero() {
			to = last
		}
		p.Took = max(to.Sub(m.from), 0)
		p.X = min(int(1000*m.from.Sub(r.Asked)/whole), 990)
		p.Len = min(max(int(1000*p.Took/whole), 10), 1000-p.X)
		all = append(all, p)
		if p.Now {
			break
		}
	}
	return all
}

// slotWords are what becomes of the calls that a limit allows.
var slotWords = map[string]string{
	"call":         say("made"),
	"guard":        say("kept back so that none is refused"),
	"held":         say("the limit was held"),
	"no answer":    say("the upstream was away"),
	"back-off":     say("waited for another attempt"),
	"no page":      say("every list waited for its answer"),
	"workers busy": say("all workers were busy"),
	"own delay":    say("sumbi itself was late"),
}

// slice is a part of a bar.
type slice struct {
	queue.Slot
	Word    string
	X, Len  float64 // thousandths of the bar
	Percent float64
	Colour  int
}

// laneUse is what a run asked of one upstream.
type laneUse struct {
	Name                                string
	Requests, Refused, Repeated, Failed int64
	Input, Output                       int64 // tokens
	MicroUSD, Wasted                    int64
	Slices                              []slice
	Bars                                []stretchBar
	From, Until                         time.Time // of the bars
	Stretch                             time.Duration
	Most                                int64 // requests in a stretch
}

// stretchBar is a stretch of a run's time in the picture of an upstream, in thousandths of its width and height.
type stretchBar struct {
	X, Width, Height, Refused float64
}

// leastShare is what would be said as 0.0 %.
const leastShare = 0.0005

// leastRefused is the height at which few refusals among many requests are still seen.
const leastRefused = 100

// Top and RefusedTop are where the parts begin: they stand on the ground.
func (b stretchBar) Top() float64        { return 1000 - b.Height }
func (b stretchBar) RefusedTop() float64 { return 1000 - b.Refused }

// bars draws what was asked over the time of a run. All upstreams share the axis of time, each has its own height. A run within one
// stretch has no picture: all its bars would be full.
func bars(st queue.RunStory, of func(string) *laneUse) {
	if len(st.Stretches) == 0 {
		return
	}
	byTime := func(a, b queue.Stretch) int { return a.At.Compare(b.At) }
	first, last := slices.MinFunc(st.Stretches, byTime).At, slices.MaxFunc(st.Stretches, byTime).At.Add(st.Stretch)
	if last.Sub(first) <= st.Stretch {
		return
	}
	for _, x := range st.Stretches {
		l := of(x.Upstream)
		l.Most = max(l.Most, x.Requests)
	}
	width := 1000 * st.Stretch.Seconds() / last.Sub(first).Seconds()
	for _, x := range st.Stretches {
		l := of(x.Upstream)
		l.From, l.Until, l.Stretch = first, last, st.Stretch
		high := func(n int64) float64 { return 1000 * float64(n) / float64(max(l.Most, 1)) }
		b := stretchBar{X: 1000 * x.At.Sub(first).Seconds() / last.Sub(first).Seconds(), Width: width, Height: high(x.Requests)}
		if x.Refused > 0 {
			b.Refused = min(max(high(x.Refused), leastRefused), b.Height)
		}
		l.Bars = append(l.Bars, b)
	}
}

// lanes puts together what the books and the limits say of each upstream.
func lanes(st queue.RunStory) []laneUse {
	at := map[string]*laneUse{}
	of := func(name string) *laneUse {
		if at[name] == nil {
			at[name] = &laneUse{Name: name}
		}
		return at[name]
	}
	for _, e := range st.Used {
		l := of(e.Upstream)
		l.MicroUSD += e.MicroUSD
		switch e.What {
		case queue.UsedRequests:
			l.Requests += e.N
		case queue.UsedInput:
			l.Input += e.N
		case queue.UsedOutput:
			l.Output += e.N
		}
	}
	for _, e := range st.InVain {
		l := of(e.Upstream)
		l.Wasted += e.MicroUSD
		switch queue.Waste(e.What) {
		case queue.WasteRefused:
			l.Refused += e.N
		case queue.WasteRepeated:
			l.Repeated += e.N
		case queue.WasteFailed:
			l.Failed += e.N
		}
	}
	for _, x := range st.Slots {
		if x.Share < leastShare {
			continue
		}
		l := of(x.Lane)
		end := 0.0
		if n := len(l.Slices); n > 0 {
			end = l.Slices[n-1].X + l.Slices[n-1].Len
		}
		l.Slices = append(l.Slices, slice{Slot: x, Word: cmp.Or(slotWords[x.What], x.What), X: end, Len: 1000 * x.Share, Percent: 100 * x.Share, Colour: slices.Index(slotOrder, x.What) + 1})
	}
	bars(st, of)
	var all []laneUse
	for _, l := range at {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b laneUse) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// slotOrder gives each thing that becomes of a call its colour.
var slotOrder = []string{"call", "guard", "held", "no answer", "back-off", "no page", "workers busy", "own delay"}

// moneyLine is what one kind of thing cost.
type moneyLine struct {
	Upstream, Word string
	N, MicroUSD    int64
	Unpriced       bool // it has a price that is not known
}

var usedWords = map[string]string{
	queue.UsedRequests:          say("requests"),
	queue.UsedInput:             say("tokens asked"),
	queue.UsedOutput:            say("tokens answered"),
	string(queue.WasteRefused):  say("refused"),
	string(queue.WasteRepeated): say("asked again, the answer was lost"),
	string(queue.WasteFailed):   say("brought nothing of use"),
}

func moneyLines(all []queue.Entry) (lines []moneyLine) {
	for _, e := range all {
		unpriced := e.MicroUSD == 0 && (e.What == queue.UsedInput || e.What == queue.UsedOutput ||
			e.What == queue.UsedRequests && slices.Contains([]string{"instagram", "naver", "kakao"}, e.Upstream)) // of the others requests have no price
		lines = append(lines, moneyLine{e.Upstream, cmp.Or(usedWords[e.What], e.What), e.N, e.MicroUSD, unpriced})
	}
	return lines
}

// walkLine is a list of an account.
type walkLine struct {
	queue.Walk
	Path  string // of the account
	Badge badge
}

func walkLines(all []queue.Walk) (lines []walkLine) {
	for _, w := range all {
		lines = append(lines, walkLine{w, accountPath(w.Pipeline, w.Target), badgeOf(w.State)})
	}
	return lines
}

// failureLine is a cause of failures.
type failureLine struct {
	queue.Failure
	Plain, Kind, Path string
}

// jobLink is how many jobs are in a state, and where they are listed.
type jobLink struct {
	Lane, Kind string
	Badge      badge
	N          int
	Path       string
}

func jobLinks(counts []queue.JobCount) (links []jobLink) {
	for _, c := range counts {
		q := map[string][]string{"pipeline": {c.Pipeline}, "lane": {c.Lane}, "kind": {c.Kind}, "state": {c.State}}
		links = append(links, jobLink{c.Lane, kindWord(c.Kind), badgeOf(c.State), c.N, addressOf("/jobs", q)})
	}
	return links
}

// runFacts is what the view of a run shows.
type runFacts struct {
	runLine
	Story    queue.RunStory
	Phases   []phase
	Lanes    []laneUse
	Days     []queue.DayUse // when it took more than one
	Money    []moneyLine
	InVain   []moneyLine
	Longest  []walkLine
	Open     []walkLine
	Failures []failureLine
	Jobs     []jobLink // of its pipeline, while it is under way
	Batches  []batchLine
}

func (s *Server) runFacts(ctx context.Context, id int64) (runFacts, error) {
	st, err := s.Store.RunStory(ctx, id)
	if err != nil {
		return runFacts{}, err
	}
	f := runFacts{
		runLine: s.runLine(st.RunRow), Story: st, Phases: phases(st.Run, s.Store.Now()), Lanes: lanes(st), Money: moneyLines(st.Used), InVain: moneyLines(st.InVain),
		Longest: walkLines(st.Longest), Open: walkLines(st.Open),
	}
	if len(st.Days) > 0 && st.Days[0].Day != st.Days[len(st.Days)-1].Day {
		f.Days = st.Days
	}
	for _, x := range st.Failures {
		f.Failures = append(f.Failures, failureLine{x, plain(x.Err), kindWord(x.Kind), jobPath(x.Job)})
	}
	for _, b := range st.Batches {
		f.Batches = append(f.Batches, lineOfBatch(b))
	}
	if st.State != queue.RunDone {
		counts, err := s.Store.JobCounts(ctx, st.Pipeline)
		if err != nil {
			return f, err
		}
		f.Jobs = jobLinks(counts)
	}
	return f, nil
}

// run tells one run.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	id, err := idOf(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	f, err := s.runFacts(r.Context(), id)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "run", say("Run %d"), f, f.ID)
}
