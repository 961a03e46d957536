package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

// print shows a plan. s is nil while there is no state file, probed while nobody was asked.
func (v planCmd) print(e *env, c *config.Config, s *queue.Store, in jobs.PlanInput, probed *jobs.Probed) error {
	p := jobs.MakePlan(in)
	quotas, err := planQuotas(e.ctx, c, s, p)
	if err != nil {
		return err
	}
	budgets, err := planBudgets(e.ctx, c, s, in.Pipeline, p)
	if err != nil {
		return err
	}
	if v.JSON {
		return v.planDocument(e, c, in, p, probed, quotas, budgets)
	}
	w := e.out
	what := "only what is new, and all of accounts that are new"
	if p.Full {
		what = "whole lists"
	}
	if p.Open != 0 {
		w.say("run %d of %s is not finished: `sumbi run %s` goes on with it, and this is what it has left", p.Open, in.Pipeline, in.Pipeline)
	}
	w.mark(bold, "plan", " of %s: %d accounts, %s", in.Pipeline, p.Accounts, what)
	if probed != nil {
		w.say("asked Instagram for the number of posts: %d requests, %d accounts answered; it is kept for the next run", probed.Requests, probed.Counted)
		named(w, "gone", probed.Gone)
		named(w, "private", probed.Private)
		named(w, "gave no number", probed.Failed)
	}
	w.say("")
	planTable(w, c, in, p)
	w.say("")
	biggerPlan(w, in, p)
	quotas.print(w)
	for _, b := range budgets {
		st, enough := plainly, "enough for this"
		if !b.Enough {
			st, enough = yellow, "NOT enough for this: the work will wait"
		}
		w.mark(st, "budget of "+b.Of+":", " %s: %s", spent(b.Spent, b.Budget), enough)
	}
	if len(p.Unknown) > 0 {
		named(w, "their length is unknown, a guess stands for it", p.Unknown)
		if probed == nil {
			w.say("  `sumbi plan %s --probe` asks for their number of posts, one request each", in.Pipeline)
		}
	}
	if p.Skipped > 0 {
		w.say("accounts that were gone several times and are not asked again: %d", p.Skipped)
	}
	if len(p.Assumed) > 0 {
		w.say("assumed, because the file does not know it yet:")
		for _, a := range p.Assumed {
			w.say("  %s: %s", a.What, a.Value)
		}
	}
	return nil
}

// planDocument prints a plan for programs.
func (v planCmd) planDocument(e *env, c *config.Config, in jobs.PlanInput, p jobs.Plan, probed *jobs.Probed, quotas planLimits, budgets []planBudget) error {
	inPrice, outPrice, known := c.Price(c.OpenAI.Model)
	type cost struct {
		Model    string
		Known    bool  // whether the model has a price
		Tokens   int64 // micro-dollars, 0 while the price is not known
		Requests int64 // micro-dollars, as far as requests have a price
	}
	return e.document("plan", struct {
		Pipeline string
		Rate     float64 // pages a second that the limits allow; 0 unlimited
		jobs.Plan
		Cost    cost
		Probed  *jobs.Probed // nil: nobody was asked
		Held    []limitStatus
		Quotas  []planQuota
		Budgets []planBudget
	}{in.Pipeline, in.Rate, p, cost{c.OpenAI.Model, known, planTokens(p, inPrice, outPrice), planRequests(c, p)}, probed, quotas.Held, quotas.Finders, budgets})
}

// planTable prints the forecast itself.
func planTable(w *screen, c *config.Config, in jobs.PlanInput, p jobs.Plan) {
	t := table{columns: []column{{head: "WHAT"}, {head: "REQUESTS", right: true}, {head: "TIME", least: 24, wraps: true}}}
	pages := p.Crawl.Pages + p.LookUps
	note := "-"
	if pages > 0 {
		note = fmt.Sprintf("about %s; cannot be under %s", round(p.Crawl.Expected), round(p.Crawl.Bound))
	}
	t.add("Instagram pages", grouped(pages), note)
	note = "-"
	if p.Batches > 0 {
		note = fmt.Sprintf("%s for %s captions; each is done within 24h, often in 1h", plural(p.Batches, "batch", "batches"), grouped(p.Captions))
		if p.Batches > 1 {
			note += ", one after the other"
		}
	}
	t.add("OpenAI", grouped(p.OpenAI), note)
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
		t.add(s.Finder+" searches", grouped(s.N), note)
		total += s.N
	}
	t.add("in all", grouped(total), "")
	w.table(&t)
	w.say("")
	w.say("new posts %s, tokens %s in and %s out, cost %s", grouped(p.Posts), grouped(int(p.Input)), grouped(int(p.Output)), planCost(c, p))
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

// planBudget is a budget beside a plan, in micro-dollars.
type planBudget struct {
	Of     string // a run, or this month
	Budget int64
	Spent  queue.Spent
	Enough bool
}

// planBudgets compares the plan with what may be spent. s may be nil.
func planBudgets(ctx context.Context, c *config.Config, s *queue.Store, pipeline string, p jobs.Plan) ([]planBudget, error) {
	if c.Budget == (config.Budget{}) {
		return nil, nil
	}
	var ofRun, ofMonth queue.Spent
	if s != nil {
		var err error
		if _, ofRun, ofMonth, err = s.Spending(ctx, pipeline); err != nil {
			return nil, err
		}
	}
	in, out, _ := c.Price(c.OpenAI.Model)
	cost := planTokens(p, in, out) + planRequests(c, p)
	var all []planBudget
	for _, b := range []planBudget{{Of: "a run", Budget: config.MicroUSD(c.Budget.Run), Spent: ofRun}, {Of: "this month", Budget: config.MicroUSD(c.Budget.Month), Spent: ofMonth}} {
		if b.Budget == 0 {
			continue
		}
		b.Enough = b.Spent.All()+cost <= b.Budget
		all = append(all, b)
	}
	return all, nil
}

// biggerPlan says whether more requests a second would help.
func biggerPlan(w *screen, in jobs.PlanInput, p jobs.Plan) {
	f := p.Crawl
	switch {
	case f.Pages == 0 || in.Rate <= 0:
	case float64(f.Double) > 0.95*float64(f.Expected) && f.Chained && f.Longest > 1:
		w.say("a bigger Instagram plan would not help: the longest list has %s, and they come one after the other", plural(f.Longest, "page", "pages"))
	case float64(f.Double) > 0.95*float64(f.Expected):
		w.say("a bigger Instagram plan would hardly help: at twice the rate the crawl takes about %s", round(f.Double))
	default:
		w.say("a bigger Instagram plan would help: at %g instead of %g requests a second the crawl takes about %s", 2*in.Rate, in.Rate, round(f.Double))
	}
}

// planLimits is what may be asked.
type planLimits struct {
	Held    []limitStatus
	Finders []planQuota
}

// planQuota is the daily quota of a finder beside a plan.
type planQuota struct {
	Finder       string
	PerDay, Used int // searches
	Days         int // that the plan takes
}

// planQuotas compares the plan with what may be asked. s may be nil.
func planQuotas(ctx context.Context, c *config.Config, s *queue.Store, p jobs.Plan) (q planLimits, err error) {
	var limits []queue.Limit
	if s != nil {
		if limits, err = s.Limits(ctx); err != nil {
			return q, err
		}
	}
	now := time.Now()
	for _, l := range limits {
		if l.HeldUntil.After(now.Add(time.Minute)) {
			q.Held = append(q.Held, limitOf(l))
		}
	}
	for _, f := range p.Searches {
		perDay, _ := finderLimits(c, f.Finder)
		if perDay == 0 || f.N == 0 {
			continue
		}
		used := 0
		for _, l := range limits {
			if name, _, _ := strings.Cut(l.Name, "/"); name == f.Finder && l.Day == queue.Day(now) {
				used = max(used, l.Used)
			}
		}
		q.Finders = append(q.Finders, planQuota{f.Finder, perDay, used, (f.N + used + perDay - 1) / perDay})
	}
	return q, nil
}

func (q planLimits) print(w *screen) {
	for _, l := range q.Held {
		w.mark(yellow, l.Name, " is held until %s: %s", when(l.HeldUntil), l.Reason)
	}
	for _, f := range q.Finders {
		enough := "enough"
		if f.Days > 1 {
			enough = fmt.Sprintf("the searches are spread over %d days", f.Days)
		}
		w.say("quota: %s allows %s searches a day, %s are used today: %s", f.Finder, grouped(f.PerDay), grouped(f.Used), enough)
	}
}

func finderLimits(c *config.Config, finder string) (perDay int, perSecond float64) {
	if finder == "kakao" {
		return c.Kakao.PerDay, c.Kakao.PerSecond
	}
	return c.Naver.PerDay, c.Naver.PerSecond
}

// shownNames is how many accounts a line names.
const shownNames = 10

func named(w *screen, what string, names []string) {
	if len(names) == 0 {
		return
	}
	more := ""
	if n := len(names) - shownNames; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	w.say("%s (%d): %s%s", what, len(names), strings.Join(names[:min(len(names), shownNames)], ", "), more)
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
