package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

// print shows a plan to people. s is nil while there is no state file, probed while nobody was asked.
func (v planCmd) print(e *env, c *config.Config, s *queue.Store, in jobs.PlanInput, probed *jobs.Probed) error {
	p := jobs.MakePlan(in)
	w := e.Stdout
	what := "only what is new, and all of accounts that are new"
	if p.Full {
		what = "whole lists"
	}
	if p.Open != 0 {
		fmt.Fprintf(w, "run %d of %s is not finished: `sumbi run %s` goes on with it, and this is what it has left\n", p.Open, in.Pipeline, in.Pipeline)
	}
	fmt.Fprintf(w, "plan of %s: %d accounts, %s\n", in.Pipeline, p.Accounts, what)
	if probed != nil {
		fmt.Fprintf(w, "asked Instagram for the number of posts: %d requests, %d accounts answered; it is kept for the next run\n", probed.Requests, probed.Counted)
		named(w, "gone", probed.Gone)
		named(w, "private", probed.Private)
		named(w, "gave no number", probed.Failed)
	}
	fmt.Fprintln(w)
	if err := planTable(w, c, in, p); err != nil {
		return err
	}
	fmt.Fprintln(w)
	biggerPlan(w, in, p)
	if err := planQuotas(e.ctx, w, c, s, p); err != nil {
		return err
	}
	if err := planBudget(e.ctx, w, c, s, in.Pipeline, p); err != nil {
		return err
	}
	if len(p.Unknown) > 0 {
		named(w, "their length is unknown, a guess stands for it", p.Unknown)
		if probed == nil {
			fmt.Fprintf(w, "  `sumbi plan %s --probe` asks for their number of posts, one request each\n", in.Pipeline)
		}
	}
	if p.Skipped > 0 {
		fmt.Fprintf(w, "accounts that were gone several times and are not asked again: %d\n", p.Skipped)
	}
	if len(p.Assumed) > 0 {
		fmt.Fprintln(w, "assumed, because the file does not know it yet:")
		for _, a := range p.Assumed {
			fmt.Fprintf(w, "  %s: %s\n", a.What, a.Value)
		}
	}
	return nil
}

// planTable prints the forecast itself.
func planTable(w io.Writer, c *config.Config, in jobs.PlanInput, p jobs.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, n int, note string) {
		fmt.Fprintf(t, "%s\t%s", what, grouped(n))
		if note != "" {
			fmt.Fprintf(t, "\t%s", note)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "WHAT\tREQUESTS\tTIME")
	pages := p.Crawl.Pages + p.LookUps
	note := "-"
	if pages > 0 {
		note = fmt.Sprintf("about %s; cannot be under %s", round(p.Crawl.Expected), round(p.Crawl.Bound))
	}
	row("Instagram pages", pages, note)
	note = "-"
	if p.Batches > 0 {
		note = fmt.Sprintf("%s for %s captions; each is done within 24h, often in 1h", plural(p.Batches, "batch", "batches"), grouped(p.Captions))
		if p.Batches > 1 {
			note += ", one after the other"
		}
	}
	row("OpenAI", p.OpenAI, note)
	total := pages + p.OpenAI
	for _, s := range p.Searches {
		note := "-"
		if s.N > 0 {
			_, per := finderLimits(c, s.Finder)
			note = "as fast as it answers"
			if per > 0 {
				note = "about " + round(time.Duration(float64(s.N)/per*float64(time.Second)))
			}
			note += fmt.Sprintf(", for %s restaurants", grouped(p.Mentions))
		}
		row(s.Finder+" searches", s.N, note)
		total += s.N
	}
	row("in all", total, "")
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nnew posts %s, tokens %s in and %s out, cost %s\n", grouped(p.Posts), grouped(int(p.Input)), grouped(int(p.Output)), planCost(c, p))
	return nil
}

// planCost is what the plan costs, as far as prices are known.
func planCost(c *config.Config, p jobs.Plan) string {
	inPrice, outPrice, known := c.Price(c.OpenAI.Model)
	rapid := "; what RapidAPI costs depends on your plan there"
	if c.Instagram.Price > 0 {
		rapid = ""
	}
	requests := planRequests(c, p)
	switch {
	case p.Input+p.Output == 0 && requests == 0:
		return "$0"
	case !known:
		return fmt.Sprintf("unknown: add a [[price]] for %s", c.OpenAI.Model)
	}
	text := fmt.Sprintf("about $%.2f with %s", float64(planTokens(p, inPrice, outPrice))/1e6, c.OpenAI.Model)
	if requests > 0 {
		text += fmt.Sprintf(" and $%.2f for requests", float64(requests)/1e6)
	}
	return text + rapid
}

func planTokens(p jobs.Plan, in, out int64) int64 { return (p.Input*in + p.Output*out) / 1_000_000 }

// planRequests is what the requests of the plan cost, in micro-dollars.
func planRequests(c *config.Config, p jobs.Plan) int64 {
	price := c.RequestPrices()
	sum := int64(p.Crawl.Pages+p.LookUps) * price["instagram"]
	for _, s := range p.Searches {
		sum += int64(s.N) * price[s.Finder]
	}
	return sum
}

// planBudget compares the plan with what may be spent. s may be nil.
func planBudget(ctx context.Context, w io.Writer, c *config.Config, s *queue.Store, pipeline string, p jobs.Plan) error {
	if c.Budget == (config.Budget{}) {
		return nil
	}
	var ofRun, ofMonth queue.Spent
	if s != nil {
		var err error
		if _, ofRun, ofMonth, err = s.Spending(ctx, pipeline); err != nil {
			return err
		}
	}
	in, out, _ := c.Price(c.OpenAI.Model)
	cost := planTokens(p, in, out) + planRequests(c, p)
	for _, b := range []struct {
		what string
		of   float64
		gone queue.Spent
	}{{"of a run", c.Budget.Run, ofRun}, {"of this month", c.Budget.Month, ofMonth}} {
		if b.of == 0 {
			continue
		}
		enough := "enough for this"
		if b.gone.All()+cost > config.MicroUSD(b.of) {
			enough = "NOT enough for this: the work will wait"
		}
		fmt.Fprintf(w, "budget %s: %s: %s\n", b.what, spent(b.gone, config.MicroUSD(b.of)), enough)
	}
	return nil
}

// biggerPlan says whether more requests a second would help.
func biggerPlan(w io.Writer, in jobs.PlanInput, p jobs.Plan) {
	f := p.Crawl
	switch {
	case f.Pages == 0 || in.Rate <= 0:
	case float64(f.Double) > 0.95*float64(f.Expected) && f.Chained && f.Longest > 1:
		fmt.Fprintf(w, "a bigger Instagram plan would not help: the longest list has %s, and they come one after the other\n", plural(f.Longest, "page", "pages"))
	case float64(f.Double) > 0.95*float64(f.Expected):
		fmt.Fprintf(w, "a bigger Instagram plan would hardly help: at twice the rate the crawl takes about %s\n", round(f.Double))
	default:
		fmt.Fprintf(w, "a bigger Instagram plan would help: at %g instead of %g requests a second the crawl takes about %s\n", 2*in.Rate, in.Rate, round(f.Double))
	}
}

// planQuotas compares the plan with what may be asked. s may be nil.
func planQuotas(ctx context.Context, w io.Writer, c *config.Config, s *queue.Store, p jobs.Plan) error {
	var limits []queue.Limit
	if s != nil {
		var err error
		if limits, err = s.Limits(ctx); err != nil {
			return err
		}
	}
	now := time.Now()
	for _, l := range limits {
		if l.HeldUntil.After(now.Add(time.Minute)) {
			fmt.Fprintf(w, "%s is held until %s: %s\n", l.Name, when(l.HeldUntil), l.Reason)
		}
	}
	for _, q := range p.Searches {
		perDay, _ := finderLimits(c, q.Finder)
		if perDay == 0 || q.N == 0 {
			continue
		}
		used := 0
		for _, l := range limits {
			if name, _, _ := strings.Cut(l.Name, "/"); name == q.Finder && l.Day == queue.Day(now) {
				used = max(used, l.Used)
			}
		}
		if q.N <= perDay-used {
			fmt.Fprintf(w, "quota: %s allows %s searches a day, %s are used today: enough\n", q.Finder, grouped(perDay), grouped(used))
			continue
		}
		days := (q.N + used + perDay - 1) / perDay
		fmt.Fprintf(w, "quota: %s allows %s searches a day, %s are used today: the searches are spread over %d days\n", q.Finder, grouped(perDay), grouped(used), days)
	}
	return nil
}

func finderLimits(c *config.Config, finder string) (perDay int, perSecond float64) {
	if finder == "kakao" {
		return c.Kakao.PerDay, c.Kakao.PerSecond
	}
	return c.Naver.PerDay, c.Naver.PerSecond
}

// shownNames is how many accounts a line names.
const shownNames = 10

func named(w io.Writer, what string, names []string) {
	if len(names) == 0 {
		return
	}
	more := ""
	if n := len(names) - shownNames; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	fmt.Fprintf(w, "%s (%d): %s%s\n", what, len(names), strings.Join(names[:min(len(names), shownNames)], ", "), more)
}

// grouped writes a number with a comma for each thousand.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// round writes a duration as people say it.
func round(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= time.Minute:
		return d.Round(time.Second).String()
	default:
		return cmp.Or(d.Round(100*time.Millisecond), d).String()
	}
}
