package check_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/util/annotations"
)

// alerts are the rules of alerts.yml.
func alerts(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	b, err := os.ReadFile("../alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(b, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// seriesSet walks some series.
type seriesSet struct {
	all []promql.Series
	i   int
}

func (s *seriesSet) Next() bool                      { s.i++; return s.i <= len(s.all) }
func (s *seriesSet) At() storage.Series              { return promql.NewStorageSeries(s.all[s.i-1]) }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// load reads series as Prometheus's own tests write them: "load" and the time between two samples, then a series a line. The
// first sample is of Unix time 0. Prometheus's storage for tests is not used: with it come the clients of every cloud.
func load(t *testing.T, text string) (series []promql.Series) {
	t.Helper()
	head, lines, _ := strings.Cut(strings.TrimSpace(text), "\n")
	step, err := model.ParseDuration(strings.TrimPrefix(head, "load "))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s := promql.Series{Metric: name}
		for i, v := range values {
			if !v.Omitted {
				s.Floats = append(s.Floats, promql.FPoint{T: time.Duration(step).Milliseconds() * int64(i), F: v.Value})
			}
		}
		series = append(series, s)
	}
	return series
}

// queryable answers queries from series.
func queryable(series []promql.Series) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
		found := &seriesSet{}
		for _, s := range series {
			if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }) {
				found.all = append(found.all, s)
			}
		}
		slices.SortFunc(found.all, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
		return found
	}}}
}

func engine(t *testing.T) *promql.Engine {
	t.Helper()
	e := promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// firing evaluates a rule from 0 to end each step, and returns for each instant what has held since at least `for`.
func firing(t *testing.T, e *promql.Engine, q storage.Queryable, r rulefmt.Rule, end, step time.Duration) map[time.Duration][]promql.Sample {
	t.Helper()
	query, err := e.NewRangeQuery(t.Context(), q, nil, r.Expr, time.Unix(0, 0), time.Unix(0, 0).Add(end), step)
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	m, err := query.Exec(t.Context()).Matrix()
	if err != nil {
		t.Fatalf("%s: %v", r.Alert, err)
	}
	all := map[time.Duration][]promql.Sample{}
	for _, s := range m {
		since, last := int64(0), int64(-1)
		for _, p := range s.Floats {
			if last < 0 || p.T-last > step.Milliseconds() {
				since = p.T
			}
			if last = p.T; p.T-since >= time.Duration(r.For).Milliseconds() {
				at := time.Duration(p.T) * time.Millisecond
				all[at] = append(all[at], promql.Sample{Metric: s.Metric, T: p.T, F: p.F})
			}
		}
	}
	return all
}

var (
	used  = regexp.MustCompile(`\$labels\.(\w+)`)
	wrong = regexp.MustCompile(`<|%!|\{\{|NaN|Inf`)
)

// expand returns the annotations of an alert that fires.
func expand(t *testing.T, e *promql.Engine, q storage.Queryable, r rulefmt.Rule, s promql.Sample) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range r.Annotations {
		for _, m := range used.FindAllStringSubmatch(text, -1) {
			if !s.Metric.Has(m[1]) {
				t.Errorf("%s of %s names the label %s, which %s does not have", name, r.Alert, m[1], s.Metric)
			}
		}
		ask := func(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
			query, err := e.NewInstantQuery(ctx, q, nil, text, at)
			if err != nil {
				return nil, err
			}
			defer query.Close()
			return query.Exec(ctx).Vector()
		}
		data := template.AlertTemplateData(s.Metric.Map(), nil, "", s)
		got, err := template.NewTemplateExpander(t.Context(), "{{$labels := .Labels}}{{$value := .Value}}"+text, r.Alert, data, model.Time(s.T), ask, nil, nil).Expand()
		if err != nil || wrong.MatchString(got) {
			t.Errorf("%s of %s says %q, %v", name, r.Alert, got, err)
		}
		all[name] = got
	}
	return all
}

// labelled are the labels with which an alert is sent, but for its name.
func labelled(r rulefmt.Rule, s promql.Sample) string {
	all := labels.NewBuilder(s.Metric)
	all.Del(model.MetricNameLabel)
	for name, v := range r.Labels {
		all.Set(name, v)
	}
	return all.Labels().String()
}

// troubles are what each alert is for: until before it says nothing, at at it fires, with exactly these labels and this summary.
var troubles = []struct {
	alert, series string
	before, at    time.Duration
	labels        string
	summary       string
}{
	{
		"SumbiDown", `load 30s
			up{job="sumbi", instance="a:8080"} 1x9 0x20`,
		9 * time.Minute, 10 * time.Minute, `{instance="a:8080", job="sumbi", severity="page"}`, "sumbi does not answer",
	},
	{
		"SumbiDown", `load 30s
			up{job="other"} 1x40`,
		4 * time.Minute, 5 * time.Minute, `{job="sumbi", severity="page"}`, "sumbi does not answer",
	},
	{
		"SumbiNobodyWorks", `load 30s
			sumbi_workers{instance="a"} 1x9 0x20
			sumbi_workers{instance="b"} 1x19 0x20`,
		14 * time.Minute, 15 * time.Minute, `{severity="page"}`, "no process works on the state",
	},
	{
		"SumbiStuck", `load 30s
			sumbi_stuck{instance="a"} 0x9 1x20
			sumbi_stuck{instance="b"} 0x30`,
		6 * time.Minute, 7 * time.Minute, `{instance="a", severity="page"}`, "sumbi on a is stuck",
	},
	{
		"SumbiCountFails", `load 30s
			sumbi_count_failed{instance="a"} 0x9 1x60`,
		19 * time.Minute, 20 * time.Minute, `{instance="a", severity="ticket"}`, "what is in the state cannot be counted",
	},
	{
		"SumbiCountFails", `load 30s
			promhttp_metric_handler_errors_total{instance="a", cause="gathering"} 0x9 1+1x60`,
		19 * time.Minute, 20 * time.Minute, `{instance="a", severity="ticket"}`, "what is in the state cannot be counted",
	},
	{
		"SumbiStateDamaged", `load 30s
			sumbi_state_damaged{instance="a"} 0x9 1x20`,
		4 * time.Minute, 5 * time.Minute, `{severity="page"}`, "the state file is damaged",
	},
	{
		"SumbiDiskNearlyFull", `load 30s
			sumbi_state_bytes 2e9x60
			sumbi_state_free_bytes 1100000000x9 900000000x50`,
		14 * time.Minute, 15 * time.Minute, `{severity="ticket"}`, "the disk of the state file has 858.3MiB left",
	},
	{
		"SumbiDiskNearlyFull", `load 30s
			sumbi_state_bytes 1e6x60
			sumbi_state_free_bytes 210000000x9 190000000x50`,
		14 * time.Minute, 15 * time.Minute, `{severity="ticket"}`, "the disk of the state file has 181.2MiB left",
	},
	{
		"SumbiDiskFull", `load 30s
			sumbi_state_free_bytes 60000000x9 40000000x20`,
		4 * time.Minute, 5 * time.Minute, `{severity="page"}`, "the disk of the state file is full",
	},
	{
		"SumbiWaitsForAPerson", `load 30s
			sumbi_lane_stopped{lane="openai"} _x10 1x20`,
		5 * time.Minute, 6 * time.Minute, `{lane="openai", severity="page"}`, "openai waits for a person",
	},
	{
		"SumbiCredentialStopped", `load 30s
			sumbi_limit_stopped{upstream="naver", instance="a"} 0x9 2x20
			sumbi_limit_stopped{upstream="kakao", instance="a"} 0x30`,
		5 * time.Minute, 6 * time.Minute, `{severity="ticket", upstream="naver"}`, "2 credential(s) of naver are not used any more",
	},
	{
		"SumbiOutage", `load 1m
			sumbi_outage_since_seconds{upstream="naver"} _x10 600x90
			sumbi_requests_total{upstream="naver", outcome="ok"} 0+60x9 540x90
			sumbi_requests_total{upstream="naver", outcome="temporary"} 0x9 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4 12x4 13x4 14x4 15x4 16x4`,
		70 * time.Minute, 71 * time.Minute, `{severity="ticket", upstream="naver"}`, "naver has not answered for 1h 1m 0s",
	},
	{ // what is no upstream of calls
		"SumbiOutage", `load 1m
			sumbi_outage_since_seconds{upstream="mongo"} _x10 600x90`,
		70 * time.Minute, 71 * time.Minute, `{severity="ticket", upstream="mongo"}`, "mongo has not answered for 1h 1m 0s",
	},
	{ // one in ten
		"SumbiRefusals", `load 30s
			sumbi_requests_total{upstream="scraper", outcome="ok"} 0+216x80
			sumbi_requests_total{upstream="scraper", outcome="throttled"} 0+24x80
			sumbi_requests_total{upstream="naver", outcome="ok"} 0+216x80
			sumbi_requests_total{upstream="naver", outcome="throttled"} 0+1x80`,
		15 * time.Minute, 16 * time.Minute, `{severity="ticket", upstream="scraper"}`, "scraper refuses 0.8 calls a second as too many",
	},
	{
		"SumbiFailures", `load 30s
			sumbi_requests_total{upstream="naver", outcome="ok"} 0+5x100
			sumbi_requests_total{upstream="naver", outcome="temporary"} 0+1x100
			sumbi_requests_total{upstream="naver", outcome="permanent"} 0+1x100
			sumbi_requests_total{upstream="kakao", outcome="ok"} 0+9x100
			sumbi_requests_total{upstream="kakao", outcome="temporary"} 0+1x100`,
		30 * time.Minute, 31 * time.Minute, `{severity="ticket", upstream="naver"}`, "a quarter of the calls of naver fail",
	},
	{
		"SumbiQuotaNear", `load 30s
			sumbi_limit_day_calls{upstream="naver"} 22000+100x30
			sumbi_limit_day_quota_calls{upstream="naver"} 25000x30
			sumbi_limit_day_calls{upstream="scraper"} 22000+100x30
			sumbi_limit_day_quota_calls{upstream="scraper"} 0x30`,
		2 * time.Minute, 3 * time.Minute, `{severity="ticket", upstream="naver"}`, "naver has used nine tenths of its calls of the day",
	},
	{
		"SumbiDead", `load 30s
			sumbi_dead{pipeline="matzip", what="question", instance="a"} _x10 3x30
			sumbi_dead{pipeline="matzip", what="question", instance="b"} _x10 3x30`,
		14 * time.Minute, 15 * time.Minute, `{pipeline="matzip", severity="ticket", what="question"}`, "matzip has given up 3 question(s)",
	},
	{ // gaps count once the run has ended
		"SumbiGap", `load 1m
			sumbi_gaps{pipeline="matzip"} 2x100
			sumbi_runs{pipeline="matzip", state="running"} 1x9 stale
			sumbi_runs{pipeline="matzip", state="done"} 4x9 5x90`,
		69 * time.Minute, 70 * time.Minute, `{pipeline="matzip", severity="ticket"}`, "matzip has 2 gap(s)",
	},
	{ // a half is not more than the other
		"SumbiRecordListsFail", `load 1m
			sumbi_record_lists{pipeline="velog", state="read"} 60x9 30x20 29x60
			sumbi_record_lists{pipeline="velog", state="failing"} 0x9 30x20 31x60
			sumbi_record_lists{pipeline="velog", state="resting"} 40x90`,
		60 * time.Minute, 61 * time.Minute, `{pipeline="velog", severity="ticket"}`, "what velog reads of 31 records fails again and again",
	},
	{
		"SumbiRunStopped", `load 30s
			sumbi_runs{pipeline="matzip", state="stopped"} _x10 1x30`,
		9 * time.Minute, 10 * time.Minute, `{pipeline="matzip", severity="page"}`, "the run of matzip cannot go on",
	},
	{ // the schedule is not looked at
		"SumbiNoRun", `load 1m
			sumbi_run_interval_seconds{pipeline="matzip"} 86400x3000
			sumbi_run_started_timestamp_seconds{pipeline="matzip"} 0x3000
			sumbi_run_done_timestamp_seconds{pipeline="matzip"} 600x3000
			sumbi_run_next_timestamp_seconds{pipeline="matzip"} 86400x3000`,
		48*time.Hour + 20*time.Minute, 48*time.Hour + 21*time.Minute, `{pipeline="matzip", severity="ticket"}`, "no run of matzip has come to its end for 2d 0h 11m 0s",
	},
	{ // a run does not end
		"SumbiNoRun", `load 1m
			sumbi_run_interval_seconds{pipeline="matzip"} 86400x3000
			sumbi_run_started_timestamp_seconds{pipeline="matzip"} 0x1439 86400x1600
			sumbi_run_done_timestamp_seconds{pipeline="matzip"} 600x3000
			sumbi_run_next_timestamp_seconds{pipeline="matzip"} 86400x1439 172800x1439 259200x1439
			sumbi_runs{pipeline="matzip", state="running"} _x1440 1x1600`,
		48*time.Hour + 20*time.Minute, 48*time.Hour + 21*time.Minute, `{pipeline="matzip", severity="ticket"}`, "no run of matzip has come to its end for 2d 0h 11m 0s",
	},
	{ // the first one does not end
		"SumbiNoRun", `load 1m
			sumbi_run_interval_seconds{pipeline="matzip"} 86400x3000
			sumbi_run_started_timestamp_seconds{pipeline="matzip"} 0x3000
			sumbi_run_next_timestamp_seconds{pipeline="matzip"} 86400x1439 172800x1439 259200x1439
			sumbi_runs{pipeline="matzip", state="running"} 1x3000`,
		48*time.Hour + 10*time.Minute, 48*time.Hour + 11*time.Minute, `{pipeline="matzip", severity="ticket"}`, "no run of matzip has come to its end for 2d 0h 11m 0s",
	},
	{
		"SumbiBatchLate", `load 1m
			sumbi_batch_sent_timestamp_seconds{pipeline="matzip"} _x10 600x1600`,
		26*time.Hour + 10*time.Minute, 26*time.Hour + 11*time.Minute, `{pipeline="matzip", severity="ticket"}`, "a batch of matzip was sent 1d 2h 1m 0s ago",
	},
	{
		"SumbiBudgetNear", `load 1m
			sumbi_month_micro_usd{what="spent"} 15000000x9 15500000x20
			sumbi_month_micro_usd{what="reserved"} 1000000x30
			sumbi_budget_micro_usd{scope="month"} 20000000x30
			sumbi_budget_micro_usd{scope="run"} 50000000x30`,
		9 * time.Minute, 10 * time.Minute, `{severity="ticket"}`, "four fifths of the budget of this month are spent or reserved",
	},
	{
		"SumbiRunBudgetNear", `load 1m
			sumbi_run_micro_usd{pipeline="matzip", what="spent"} 4000000x9 4600000x20
			sumbi_run_micro_usd{pipeline="matzip", what="reserved"} 0x30
			sumbi_run_micro_usd{pipeline="velog", what="spent"} 4000000x30
			sumbi_budget_micro_usd{scope="month"} 20000000x30
			sumbi_budget_micro_usd{scope="run"} 5000000x30`,
		9 * time.Minute, 10 * time.Minute, `{pipeline="matzip", severity="ticket"}`, "the run of matzip has spent nine tenths of its budget",
	},
	{
		"SumbiDeliveryWaits", `load 1m
			sumbi_outbox_since_seconds{sink="mongo"} _x10 600x500`,
		6*time.Hour + 20*time.Minute, 6*time.Hour + 21*time.Minute, `{severity="ticket", sink="mongo"}`, "mongo has yet to be told of a change of 6h 11m 0s ago",
	},
	{ // as often as it is tried
		"SumbiNobodyIsTold", `load 30s
			sumbi_notices_total{result="failed", instance="a"} 0x9 1x3 2x7 3x15 4x31 5x63 6x120
			sumbi_notices_total{result="sent", instance="a"} 0x260`,
		10 * time.Minute, 11 * time.Minute, `{instance="a", result="failed", severity="ticket"}`, "messages about trouble do not arrive",
	},
	{
		"SumbiForgedWebhooks", `load 30s
			sumbi_webhooks_total{result="refused", instance="a"} 0x9 19x9 40x20
			sumbi_webhooks_total{result="accepted", instance="a"} 0+1x40`,
		9 * time.Minute, 10 * time.Minute, `{instance="a", result="refused", severity="ticket"}`, "webhooks with a wrong signature come in",
	},
	{ // one in ten takes two to five seconds
		"SumbiSlowCommits", `load 30s
			sumbi_commit_seconds_bucket{le="0.1"} 0+90x80
			sumbi_commit_seconds_bucket{le="1"} 0+90x80
			sumbi_commit_seconds_bucket{le="5"} 0+100x80
			sumbi_commit_seconds_bucket{le="+Inf"} 0+100x80`,
		15 * time.Minute, 16 * time.Minute, `{severity="ticket"}`, "one commit in twenty takes longer than 3s",
	},
}

// TestAlertsFire wants every alert to fire in the trouble that it is for, and not before.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	rules, e := alerts(t), engine(t)
	tried := map[string]bool{}
	for _, x := range troubles {
		i := slices.IndexFunc(rules, func(r rulefmt.Rule) bool { return r.Alert == x.alert })
		if i < 0 {
			t.Errorf("there is no alert %s", x.alert)
			continue
		}
		r := rules[i]
		tried[x.alert] = true
		t.Run(x.alert, func(t *testing.T) {
			t.Parallel()
			q := queryable(load(t, x.series))
			fires := firing(t, e, q, r, x.at, 30*time.Second)
			for _, at := range slices.Sorted(maps.Keys(fires)) {
				if at <= x.before {
					t.Errorf("it fires at %s already", at)
					break
				}
			}
			got := fires[x.at]
			if len(got) != 1 {
				t.Fatalf("at %s it fires for %v", x.at, got)
			}
			if l := labelled(r, got[0]); l != x.labels {
				t.Errorf("it carries %s, want %s", l, x.labels)
			}
			if s := expand(t, e, q, r, got[0])["summary"]; s != x.summary {
				t.Errorf("it says %q, want %q", s, x.summary)
			}
		})
	}
	for _, r := range rules {
		if !tried[r.Alert] {
			t.Errorf("%s has no trouble in the table", r.Alert)
		}
	}
}

// healthy are 78 hours, from a Friday's midnight to Monday morning, a sample a minute.
//   - matzip runs each 72 hours: a crawl from 01:00 to 07:00, a batch that is away until 27 hours, searches until 30 hours.
//   - feeds runs on weekdays at 03:00, for two hours.
//   - scraper says a few times that it was too much, naver is away for 20 minutes, kakao was away when nobody asked it any more,
//     jina was never asked.
const healthy = `load 1m
	up{job="sumbi"} 1x2999 0x2 1x1677
	sumbi_workers 1x3003 0x1 1x1674
	sumbi_stuck 0x4680
	sumbi_count_failed 0x2000 1x4 0x2674
	promhttp_metric_handler_errors_total{cause="gathering"} 0x2000 1x2679
	promhttp_metric_handler_errors_total{cause="encoding"} 0x4680
	sumbi_state_damaged 0x4680
	sumbi_state_bytes 100000000+10000x4680
	sumbi_state_free_bytes 900000000-10000x4680
	# a person answers at once
	sumbi_lane_stopped{lane="openai"} _x410 1 stale

	sumbi_limit_stopped{upstream="scraper"} 0x4680
	sumbi_limit_stopped{upstream="naver"} 0x4680
	sumbi_limit_stopped{upstream="kakao"} 0x4680
	sumbi_limit_stopped{upstream="jina"} 0x4680
	sumbi_limit_day_calls{upstream="scraper"} 0x59 0+480x360 172800x1018 0x2939 0+480x300
	sumbi_limit_day_calls{upstream="naver"} 0x1619 0+30x180 5400x1078 0x1800
	sumbi_limit_day_calls{upstream="kakao"} 0x4680
	sumbi_limit_day_calls{upstream="jina"} 0x4680
	sumbi_limit_day_quota_calls{upstream="scraper"} 0x4680
	sumbi_limit_day_quota_calls{upstream="naver"} 25000x4680
	sumbi_limit_day_quota_calls{upstream="kakao"} 100000x4680
	sumbi_limit_day_quota_calls{upstream="jina"} 0x4680
	sumbi_requests_total{upstream="scraper", outcome="ok"} 0x59 0+480x360 172800x3958 172800+480x300
	sumbi_requests_total{upstream="scraper", outcome="throttled"} 0x99 3x99 5x199 6x4280
	sumbi_requests_total{upstream="scraper", outcome="permanent"} 0x59 0+10x360 3600x3958 3600+10x300
	sumbi_requests_total{upstream="naver", outcome="ok"} 0x1619 0+30x80 2400x19 2430+30x79 4800x2879
	sumbi_requests_total{upstream="naver", outcome="temporary"} 0x1700 1x4 2x4 3x4 4x4 5x2959
	sumbi_requests_total{upstream="kakao", outcome="ok"} 0x1619 0+30x20 600x3039
	sumbi_requests_total{upstream="kakao", outcome="temporary"} _x1641 1x4 2x4 3x3029
	sumbi_outage_since_seconds{upstream="naver"} _x1701 102060x19 stale
	sumbi_outage_since_seconds{upstream="kakao"} _x1641 98460x3039

	sumbi_runs{pipeline="matzip", state="running"} _x60 1x1039 stale _x2 1x696 stale _x2579 1x300
	sumbi_runs{pipeline="matzip", state="stopped"} _x1100 1x2 stale
	sumbi_runs{pipeline="matzip", state="done"} 4x1799 5x2880
	sumbi_runs{pipeline="feeds", state="running"} _x180 1x119 stale _x4199 1x119 stale
	sumbi_runs{pipeline="feeds", state="done"} 9x299 10x4319 11x60
	sumbi_gaps{pipeline="matzip"} _x200 3x1619 stale
	sumbi_record_lists{pipeline="feeds", state="read"} 3x200 2x300 3x4178
	sumbi_record_lists{pipeline="feeds", state="failing"} 0x200 1x300 0x4178
	sumbi_run_interval_seconds{pipeline="matzip"} 259200x4680
	sumbi_run_started_timestamp_seconds{pipeline="matzip"} -255600x59 3600x4319 262800x300
	sumbi_run_done_timestamp_seconds{pipeline="matzip"} -147600x1799 108000x2880
	sumbi_run_next_timestamp_seconds{pipeline="matzip"} 3600x59 262800x4319 522000x300
	sumbi_run_interval_seconds{pipeline="feeds"} 259200x179 86400x4500
	sumbi_run_started_timestamp_seconds{pipeline="feeds"} -75600x179 10800x4319 270000x180
	sumbi_run_done_timestamp_seconds{pipeline="feeds"} -68400x299 18000x4319 277200x60
	sumbi_run_next_timestamp_seconds{pipeline="feeds"} 10800x179 270000x4319 356400x180
	# by hand only
	sumbi_run_started_timestamp_seconds{pipeline="velog"} -9000000x4680
	sumbi_run_done_timestamp_seconds{pipeline="velog"} -8900000x4680

	sumbi_dead{pipeline="matzip", what="job"} _x500 1x4 stale
	sumbi_batch_sent_timestamp_seconds{pipeline="matzip"} _x420 25200x1199 stale
	sumbi_month_micro_usd{what="spent"} 2000000x1619 3500000x3060
	sumbi_month_micro_usd{what="reserved"} 0x419 1600000x1199 0x3060
	sumbi_run_micro_usd{pipeline="matzip", what="spent"} _x60 0x1559 1500000x179 stale _x2579 0x300
	sumbi_run_micro_usd{pipeline="matzip", what="reserved"} _x60 0x359 1600000x1199 0x179 stale _x2579 0x300
	sumbi_budget_micro_usd{scope="run"} 5000000x4680
	sumbi_budget_micro_usd{scope="month"} 20000000x4680
	# each minute something newer waits; once a sink is away for five hours
	sumbi_outbox_since_seconds{sink="mongo"} _x1640 98400+60x59 stale _x300 120000x299 stale
	# after others that did, one message went out at the third attempt
	sumbi_notices_total{result="failed"} 7x409 8x1 9x4268
	sumbi_notices_total{result="sent"} 3x415 4x4264
	sumbi_webhooks_total{result="accepted"} 0x1619 1x3060
	sumbi_webhooks_total{result="refused"} 0x1000 5x3679
	# in the days between nothing is done
	sumbi_commit_seconds_bucket{le="0.1"} 0x59 0+900x360 324000x1198 324000+60x180 334800x2879
	sumbi_commit_seconds_bucket{le="1"} 0x59 0+930x360 334800x1198 334800+62x180 345960x2879
	sumbi_commit_seconds_bucket{le="5"} 0x59 0+932x360 335520x1198 335520+62x180 346680x2879
	sumbi_commit_seconds_bucket{le="+Inf"} 0x59 0+932x360 335520x1198 335520+62x180 346680x2879
`

// TestAlertsAreQuiet wants no alert to fire over days in which all is well, though they see all that they look at.
func TestAlertsAreQuiet(t *testing.T) {
	t.Parallel()
	rules, e, series := alerts(t), engine(t), load(t, healthy)
	q := queryable(series)
	for _, r := range rules {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, ms := range parser.ExtractSelectors(expr) {
			if !slices.ContainsFunc(series, func(s promql.Series) bool {
				return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) })
			}) {
				t.Errorf("%s looks at %v, which is not among the healthy series", r.Alert, ms)
			}
		}
		fires := firing(t, e, q, r, 78*time.Hour, time.Minute)
		if len(fires) > 0 {
			first := slices.Min(slices.Collect(maps.Keys(fires)))
			t.Errorf("%s fires at %d instants, at %s for %v", r.Alert, len(fires), first, fires[first])
		}
	}
	for _, s := range series {
		if last := s.Floats[len(s.Floats)-1].T; last > (78 * time.Hour).Milliseconds() {
			t.Errorf("%s goes on until %s", s.Metric, time.Duration(last)*time.Millisecond)
		}
	}
}
