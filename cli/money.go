package cli

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/jobs"
	"sumbi/queue"
)

// spent writes what is spent of a budget; 0 is no budget.
func spent(s queue.Spent, of int64) string {
	text := jobs.Dollars(s.Booked)
	if of > 0 {
		text += " of " + jobs.Dollars(of)
	}
	if s.Reserved > 0 {
		text += ", and " + jobs.Dollars(s.Reserved) + " reserved for batches"
	}
	return text
}

// bookMetrics reads the books at each scrape, so that they say what v_spend says.
type bookMetrics struct{ s *queue.Store }

var (
	usageDesc    = prometheus.NewDesc("sumbi_usage_total", "Requests and tokens in the books; what is request, input_token or output_token.", []string{"upstream", "what"}, nil)
	spendDesc    = prometheus.NewDesc("sumbi_spend_micro_usd_total", "What they cost, in millionths of a dollar.", []string{"upstream"}, nil)
	wasteDesc    = prometheus.NewDesc("sumbi_waste_total", "Requests, and lines of batches, in vain; what is refused, repeated or failed.", []string{"upstream", "what"}, nil)
	wasteUSDDesc = prometheus.NewDesc("sumbi_waste_micro_usd_total", "What they cost, in millionths of a dollar. It is part of the spending.", []string{"upstream"}, nil)
	budgetDesc   = prometheus.NewDesc("sumbi_budget_micro_usd", "Budgets in force, in millionths of a dollar; scope is run or month.", []string{"scope"}, nil)
	runUSDDesc   = prometheus.NewDesc("sumbi_run_micro_usd", "The unfinished run of a pipeline, in millionths of a dollar; what is spent or reserved.", []string{"pipeline", "what"}, nil)
	monthDesc    = prometheus.NewDesc("sumbi_month_micro_usd", "This Korean month, in millionths of a dollar; what is spent or reserved.", []string{"what"}, nil)
)

// Describe names what Collect gives.
func (bookMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{usageDesc, spendDesc, wasteDesc, wasteUSDDesc, budgetDesc, monthDesc, runUSDDesc} {
		ch <- d
	}
}

// Collect reads the books.
func (b bookMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	used, wasted, err := b.s.Books(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(spendDesc, err)
		return
	}
	sums(ch, used, usageDesc, spendDesc)
	sums(ch, wasted, wasteDesc, wasteUSDDesc)
	_, _, month, err := b.s.Spending(ctx, "")
	if err != nil {
		ch <- prometheus.NewInvalidMetric(monthDesc, err)
		return
	}
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	gauge(monthDesc, month.Booked, "spent")
	gauge(monthDesc, month.Reserved, "reserved")
	runs, err := b.s.OpenRuns(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(runUSDDesc, err)
		return
	}
	for _, r := range runs {
		_, of, _, err := b.s.Spending(ctx, r.Pipeline)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(runUSDDesc, err)
			return
		}
		gauge(runUSDDesc, of.Booked, r.Pipeline, "spent")
		gauge(runUSDDesc, of.Reserved, r.Pipeline, "reserved")
	}
	t := b.s.Terms()
	if t.Run > 0 {
		gauge(budgetDesc, t.Run, "run")
	}
	if t.Month > 0 {
		gauge(budgetDesc, t.Month, "month")
	}
}

func sums(ch chan<- prometheus.Metric, all []queue.Entry, n, usd *prometheus.Desc) {
	cost := map[string]int64{}
	for _, e := range all {
		cost[e.Upstream] += e.MicroUSD
		ch <- prometheus.MustNewConstMetric(n, prometheus.CounterValue, float64(e.N), e.Upstream, e.What)
	}
	for upstream, micro := range cost {
		ch <- prometheus.MustNewConstMetric(usd, prometheus.CounterValue, float64(micro), upstream)
	}
}
