package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sumbi/adapters/rest"
	"sumbi/jobs"
	"sumbi/queue"
)

// How often progress is shown: a line of a terminal follows at once, lines in a file are few and become fewer.
const (
	liveEvery  = 250 * time.Millisecond
	plainEvery = 5 * time.Second
)

// pause is the time to the next plain line of what has gone on for so long.
func pause(since time.Duration) time.Duration {
	switch {
	case since < time.Minute:
		return plainEvery
	case since < 10*time.Minute:
		return 6 * plainEvery
	}
	return 12 * plainEvery
}

// progress shows how far a run is until the returned function is called: one line that changes on a terminal, plain lines on
// a pipe.
func (e *env) progress(s *queue.Store, run int64, limits func() []rest.LimitInfo, rates func() (limit, pace float64)) func() {
	ctx, cancel := context.WithCancel(e.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		m := &meter{start: time.Now(), limits: limits, rates: rates}
		line := newLive(e)
		if line == nil {
			m.plainLines(ctx, e.out, s, run)
			return
		}
		if e.logs != nil {
			e.logs.keepClear(line)
			defer e.logs.keepClear(nil)
		}
		defer line.end()
		m.liveLine(ctx, line, e.out, s, run)
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

func (m *meter) plainLines(ctx context.Context, w *screen, s *queue.Store, run int64) {
	next := time.NewTimer(plainEvery)
	defer next.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if p, ok := m.read(ctx, s, run); ok {
			if line := m.line(p); line != last {
				w.say("%s  %s", time.Since(m.start).Round(time.Second), line)
				last = line
			}
		}
		next.Reset(pause(time.Since(m.start)))
	}
}

func (m *meter) liveLine(ctx context.Context, line *live, w *screen, s *queue.Store, run int64) {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var show func(width int) string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p, ok := m.read(ctx, s, run); ok {
			text, done := harmless(m.line(p)), m.share(p)
			show = func(width int) string { return barLine(w, width, done, text) }
		}
		if show != nil {
			line.show(show)
		}
	}
}

// barCells is how wide the bar is; a terminal that is narrower than leastForBar has none.
const (
	barCells    = 16
	leastForBar = 64
)

// barLine is a bar, and as much of the text as there is room for.
func barLine(w *screen, width int, done float64, text string) string {
	percent := fmt.Sprintf("%3.0f%%", 100*done)
	if width < leastForBar {
		return clip(percent+" "+text, width)
	}
	full := int(done*barCells + 0.5)
	bar := w.paint(green, strings.Repeat("━", full)) + w.paint(faint, strings.Repeat("─", barCells-full))
	return bar + " " + clip(percent+" "+text, width-barCells-1)
}

type meter struct {
	start  time.Time
	limits func() []rest.LimitInfo
	since  time.Time // of the first count
	before int       // pages at that moment

	rates     func() (limit, pace float64) // calls a second that the crawl's limit allows, and that are made of them
	perSecond float64                      // the limit; 0 is unknown

	looks looks
	left  jobs.Forecast // the rest of the crawl
}

// read looks how far the run is, if it is time for a look.
func (m *meter) read(ctx context.Context, s *queue.Store, run int64) (queue.Progress, bool) {
	now := time.Now()
	if !m.looks.due(now) {
		return queue.Progress{}, false
	}
	p, err := m.look(ctx, s, run)
	m.looks.took(now, time.Now())
	if err != nil {
		return p, false
	}
	if m.since.IsZero() {
		m.since, m.before = time.Now(), p.Run.Pages
	}
	return p, true
}

// look reads how far the run is, and forecasts the rest of its crawl.
func (m *meter) look(ctx context.Context, s *queue.Store, run int64) (queue.Progress, error) {
	p, err := s.Progress(ctx, run)
	if err != nil {
		return p, err
	}
	m.left = jobs.Forecast{}
	if p.ListsLeft == 0 {
		return p, nil
	}
	walks, err := s.Reaches(ctx, p.Run.Pipeline)
	if err != nil {
		return p, err
	}
	var pace float64
	m.perSecond, pace = m.rates()
	m.left = timeLeft(walks, p.Run, pace)
	p.PagesLeft = m.left.Pages
	return p, nil
}

// share is which part of the run is done, as far as its length is known: pages, answers and matches count alike.
func (m *meter) share(p queue.Progress) float64 {
	total := p.Run.Pages + p.PagesLeft + p.Answered + p.Waiting + p.InBatch + p.Mentions
	done := p.Run.Pages + p.Answered + p.Mentions - p.MentionsLeft
	return float64(done) / float64(max(total, done+1))
}

func (m *meter) line(p queue.Progress) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if p.ListsLeft > 0 {
		add("pages %d of about %d (%d of %d lists open)", p.Run.Pages, p.Run.Pages+p.PagesLeft, p.ListsLeft, p.Lists)
	} else {
		add("pages %d", p.Run.Pages)
	}
	if s := time.Since(m.since).Seconds(); s > 1 && p.ListsLeft > 0 {
		rate := float64(p.Run.Pages-m.before) / s
		if m.perSecond > 0 {
			add("%.1f of %g requests/s", rate, m.perSecond)
		} else {
			add("%.1f requests/s", rate)
		}
	}
	if m.left.Bound > 0 && p.ListsLeft > 0 {
		add("crawl about %s more", m.left.Bound.Round(time.Second))
	}
	if p.Waiting+p.InBatch+p.Answered > 0 {
		add("captions %d of %d read", p.Answered, p.Answered+p.Waiting+p.InBatch)
	}
	if p.BatchStatus != "" {
		add("batch %s", p.BatchStatus)
	}
	if p.Mentions > 0 {
		add("mentions %d of %d matched", p.Mentions-p.MentionsLeft, p.Mentions)
	}
	if p.Outbox > 0 {
		add("%d to deliver", p.Outbox)
	}
	if m.limits != nil {
		for _, l := range m.limits() {
			if l.Stopped {
				add("%s stopped: %s", l.Name, l.Reason)
			} else if time.Until(l.HeldUntil) > 5*time.Second {
				add("%s held until %s: %s", l.Name, l.HeldUntil.Format("15:04:05"), l.Reason)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// summary prints what a run brought.
func (e *env) summary(ctx context.Context, s *queue.Store, r queue.Run, perSecond float64) error {
	p, err := s.Progress(ctx, r.ID)
	if err != nil {
		return err
	}
	e.out.mark(bold, "run", " %d of %s done in %s: %d requests, %d pages, %d new posts, %d changed; %d places from %d mentions",
		r.ID, r.Pipeline, r.Ended.Sub(r.Started).Round(100*time.Millisecond), p.Requests, r.Pages, r.Fresh, r.Changed, p.Places, p.Mentions)
	if err := crawlReport(ctx, e.out, s, r, perSecond); err != nil {
		return err
	}
	if err := searchReport(ctx, e.out, s, r); err != nil {
		return err
	}
	if n, err := s.CountReviews(ctx, queue.ReviewFilter{Pipeline: r.Pipeline}); err != nil {
		return err
	} else if n > 0 {
		e.out.mark(yellow, plural(n, "mention is", "mentions are"), " for you to decide: `sumbi review`")
	}
	troubles, err := s.Troubles(ctx)
	if err != nil {
		return err
	}
	for _, t := range troubles {
		if t.Pipeline == r.Pipeline {
			e.out.say("account %s is %s: %s", t.Target, t.State, t.Note)
		}
	}
	if gaps, err := s.Gaps(ctx, r.ID); err != nil {
		return err
	} else if gaps > 0 {
		e.out.say("%s could not be walked to the end; the next run reads them again, `select * from v_gaps` shows why", plural(gaps, "list", "lists"))
	}
	if p.Dead > 0 {
		e.out.say("%d pieces of work were given up; `sumbi jobs list` shows them and why", p.Dead)
	}
	return nil
}

// searchReport says how many searches the mentions of a run took.
func searchReport(ctx context.Context, w *screen, s *queue.Store, r queue.Run) error {
	x, err := s.Effort(ctx, r.ID)
	if err == nil {
		printEffort(w, r.ID, x)
	}
	return err
}

func printEffort(w *screen, run int64, x queue.Effort) {
	if x.Matched == 0 {
		return
	}
	each := func(n int) float64 { return float64(n) / float64(x.Matched) }
	w.say("searches of run %d: %d for %s, %.2f each; a decision used %.2f answers, remembered ones included",
		run, x.Calls, plural(x.Matched, "mention", "mentions"), each(x.Calls), each(x.Answers))
}
