package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"sumbi/adapters/rest"
	"sumbi/jobs"
	"sumbi/queue"
)

// progress shows how far a run is until the returned function is called: one bar on a terminal, plain lines on a pipe.
func (e *env) progress(s *queue.Store, run int64, limits func() []rest.LimitInfo, rates func() (limit, pace float64)) func() {
	ctx, cancel := context.WithCancel(e.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		m := &meter{start: time.Now(), limits: limits, rates: rates}
		every := 5 * time.Second
		if e.tty {
			every = 250 * time.Millisecond
			m.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(e.Stdout), progressbar.OptionSetWidth(24), progressbar.OptionSetPredictTime(false),
				progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				if m.bar != nil {
					_ = m.bar.Clear()
				}
				return
			case <-tick.C:
				now := time.Now()
				if !m.looks.due(now) {
					continue
				}
				if p, err := m.look(ctx, s, run); err == nil {
					m.show(e.Stdout, p)
				}
				m.looks.took(now, time.Now())
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

type meter struct {
	start  time.Time
	limits func() []rest.LimitInfo
	bar    *progressbar.ProgressBar
	last   string
	since  time.Time // of the first count
	before int       // pages at that moment

	rates     func() (limit, pace float64) // calls a second that the crawl's limit allows, and that are made of them
	perSecond float64                      // the limit; 0 is unknown

	looks looks
	left  jobs.Forecast // the rest of the crawl
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

func (m *meter) show(w io.Writer, p queue.Progress) {
	if m.since.IsZero() {
		m.since, m.before = time.Now(), p.Run.Pages
	}
	line := m.line(p)
	if m.bar == nil {
		if line != m.last {
			fmt.Fprintf(w, "%s  %s\n", time.Since(m.start).Round(time.Second), line)
		}
		m.last = line
		return
	}
	// Pages, answers and matches are each a third of the way as far as their number is known.
	total := p.Run.Pages + p.PagesLeft + p.Answered + p.Waiting + p.InBatch + p.Mentions
	done := p.Run.Pages + p.Answered + p.Mentions - p.MentionsLeft
	m.bar.ChangeMax(max(total, done+1))
	m.bar.Describe(line)
	_ = m.bar.Set(done)
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
	fmt.Fprintf(e.Stdout, "run %d of %s done in %s: %d requests, %d pages, %d new posts, %d changed; %d places from %d mentions\n",
		r.ID, r.Pipeline, r.Ended.Sub(r.Started).Round(100*time.Millisecond), p.Requests, r.Pages, r.Fresh, r.Changed, p.Places, p.Mentions)
	if err := crawlReport(ctx, e.Stdout, s, r, perSecond); err != nil {
		return err
	}
	if err := searchReport(ctx, e.Stdout, s, r); err != nil {
		return err
	}
	if n, err := s.CountReviews(ctx, queue.ReviewFilter{Pipeline: r.Pipeline}); err != nil {
		return err
	} else if n > 0 {
		fmt.Fprintf(e.Stdout, "%s for you to decide: `sumbi review`\n", plural(n, "mention is", "mentions are"))
	}
	troubles, err := s.Troubles(ctx)
	if err != nil {
		return err
	}
	for _, t := range troubles {
		if t.Pipeline == r.Pipeline {
			fmt.Fprintf(e.Stdout, "account %s is %s: %s\n", t.Target, t.State, t.Note)
		}
	}
	if gaps, err := s.Gaps(ctx, r.ID); err != nil {
		return err
	} else if gaps > 0 {
		fmt.Fprintf(e.Stdout, "%s could not be walked to the end; the next run comes by again, `select * from v_gaps` shows why\n", plural(gaps, "list", "lists"))
	}
	if p.Dead > 0 {
		fmt.Fprintf(e.Stdout, "%d pieces of work were given up; `sumbi jobs list` shows them and why\n", p.Dead)
	}
	return nil
}

// searchReport says how many searches the mentions of a run took.
func searchReport(ctx context.Context, w io.Writer, s *queue.Store, r queue.Run) error {
	x, err := s.Effort(ctx, r.ID)
	if err != nil || x.Matched == 0 {
		return err
	}
	each := func(n int) float64 { return float64(n) / float64(x.Matched) }
	fmt.Fprintf(w, "searches of run %d: %d for %s, %.2f each; a decision used %.2f answers, remembered ones included\n",
		r.ID, x.Calls, plural(x.Matched, "mention", "mentions"), each(x.Calls), each(x.Answers))
	return nil
}
