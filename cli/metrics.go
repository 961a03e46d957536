package cli

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sumbi/adapters"
	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// Labels of what is counted have few values: names of upstreams, pipelines, states. Never an account, a job or a text.

// countFor is how long counts are kept. Counting takes no more than a fiftieth of the time, however large the state is.
const (
	countFor   = 10 * time.Second
	countShare = 50
	countLimit = 10 * time.Second // for one scrape
)

// metrics is what serve tells Prometheus beside what the upstreams' clients and the books do.
type metrics struct {
	reg      *prometheus.Registry
	log      *slog.Logger
	now      *nowMetrics
	counts   *countMetrics
	commits  prometheus.Histogram
	webhooks *prometheus.CounterVec
	notices  *prometheus.CounterVec
}

// newMetrics registers everything of a state and its configuration. It comes before anything starts.
func newMetrics(s *queue.Store, c *config.Config, version string, log *slog.Logger) *metrics {
	m := &metrics{
		reg: prometheus.NewRegistry(), log: log, now: &nowMetrics{s: s, limit: countLimit}, counts: &countMetrics{s: s, limit: countLimit, pipelines: c.Pipelines, log: log},
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sumbi_commit_seconds", Help: "How long a commit to the state took, its wait for others included.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 20},
		}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sumbi_webhooks_total", Help: "Webhooks by what became of them: accepted, repeated, other (about nothing of ours), refused (a signature that does not fit) or failed.",
		}, []string{"result"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sumbi_notices_total", Help: "Messages about trouble to SUMBI_NOTIFY_URL: sent or failed.",
		}, []string{"result"}),
	}
	// What has not happened is 0, not unknown: rates and alerts need a first value.
	for _, result := range []string{"accepted", "repeated", "other", "refused", "failed"} {
		m.webhooks.WithLabelValues(result)
	}
	for _, result := range []string{"sent", "failed"} {
		m.notices.WithLabelValues(result)
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sumbi_build_info", Help: "Always 1; version is the program's.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.commits, m.webhooks, m.notices, info, bookMetrics{s}, m.counts, m.now)
	s.Timed = func(took time.Duration) { m.commits.Observe(took.Seconds()) }
	return m
}

// about is told what works on the state and where that delivers. It comes before the first scrape.
func (m *metrics) about(health web.Health, pipelines []*jobs.Pipeline) {
	m.now.health = health
	for _, p := range pipelines {
		for _, sink := range p.Sinks {
			m.counts.sinks = append(m.counts.sinks, sink.Name)
		}
	}
}

// handler answers a scrape. What cannot be read is left out, said in the log and counted; two scrapes at a time are enough.
func (m *metrics) handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.reg, promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2, Registry: m.reg, ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelError),
	}))
}

func (m *metrics) webhooked(result string) { m.webhooks.WithLabelValues(result).Inc() }

// counted counts what becomes of messages about trouble.
func (m *metrics) counted(notify func(context.Context, []adapters.Notice) error) func(context.Context, []adapters.Notice) error {
	if notify == nil {
		return nil
	}
	return func(ctx context.Context, ns []adapters.Notice) error {
		err := notify(ctx, ns)
		result := "sent"
		if err != nil {
			result = "failed"
		}
		m.notices.WithLabelValues(result).Inc()
		return err
	}
}

var (
	outageDesc  = prometheus.NewDesc("sumbi_outage_since_seconds", "Unix time since when an upstream does not answer; absent while it does.", []string{"upstream"}, nil)
	workersDesc = prometheus.NewDesc("sumbi_workers", "Processes that work on the state.", nil, nil)
	freeDesc    = prometheus.NewDesc("sumbi_state_free_bytes", "What the disk of the state file has left for it; absent with PostgreSQL.", nil, nil)
	stuckDesc   = prometheus.NewDesc("sumbi_stuck", "1 when this process should have gone on long before now and has not, as /healthz says.", nil, nil)
	damageDesc  = prometheus.NewDesc("sumbi_state_damaged", "1 when a check has found the state file damaged.", nil, nil)
)

// nowMetrics are few and cheap, and read at each scrape.
type nowMetrics struct {
	s      *queue.Store
	limit  time.Duration // for one scrape
	health web.Health    // nil: nothing is known of the work of this process
}

// Describe names what Collect gives.
func (*nowMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{outageDesc, workersDesc, stuckDesc, freeDesc, damageDesc} {
		ch <- d
	}
}

// Collect looks at the state.
func (n *nowMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), n.limit)
	defer cancel()
	if n.health != nil {
		ch <- prometheus.MustNewConstMetric(stuckDesc, prometheus.GaugeValue, float64(flag(n.health.Stuck(time.Now()) != "")))
	}
	if outages, err := n.s.Outages(ctx); err != nil {
		ch <- prometheus.NewInvalidMetric(outageDesc, err)
	} else {
		for _, o := range outages {
			ch <- prometheus.MustNewConstMetric(outageDesc, prometheus.GaugeValue, float64(o.Since.Unix()), o.Upstream)
		}
	}
	if workers, err := n.s.Workers(ctx); err != nil {
		ch <- prometheus.NewInvalidMetric(workersDesc, err)
	} else {
		ch <- prometheus.MustNewConstMetric(workersDesc, prometheus.GaugeValue, float64(workers))
	}
	if free, known := n.s.Free(); known {
		ch <- prometheus.MustNewConstMetric(freeDesc, prometheus.GaugeValue, float64(free))
	}
	if damage, err := n.s.Damage(ctx); err != nil {
		ch <- prometheus.NewInvalidMetric(damageDesc, err)
	} else {
		ch <- prometheus.MustNewConstMetric(damageDesc, prometheus.GaugeValue, float64(flag(damage != "")))
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What is counted in the state. Each is a gauge with the labels that its figures have.
var (
	jobsDesc  = prometheus.NewDesc("sumbi_jobs", "Jobs in the state.", []string{"lane", "kind", "state"}, nil)
	countDesc = map[string]*prometheus.Desc{
		"account":   prometheus.NewDesc("sumbi_accounts", "Accounts by what they were when they were last asked for (ok, gone, private), and of the ok ones those that are silent.", []string{"pipeline", "state"}, nil),
		"batch":     prometheus.NewDesc("sumbi_batches", "Batches of questions to the model.", []string{"pipeline", "state"}, nil),
		"dead":      prometheus.NewDesc("sumbi_dead", "Jobs and questions that were given up and wait for a decision.", []string{"pipeline", "what"}, nil),
		"gap":       prometheus.NewDesc("sumbi_gaps", "Lists that were not walked to their end, and accounts that show less than they say.", []string{"pipeline"}, nil),
		"lane_stop": prometheus.NewDesc("sumbi_lane_stopped", "1 while a lane waits for a person; absent otherwise.", []string{"lane"}, nil),
		"mention":   prometheus.NewDesc("sumbi_mentions", "Restaurants that posts name, by what became of them: place, none, review or waiting.", []string{"state"}, nil),
		"outbox":    prometheus.NewDesc("sumbi_outbox", "What a sink has yet to be told.", []string{"sink"}, nil),
		"place":     prometheus.NewDesc("sumbi_places", "Places on the map.", nil, nil),
		"question":  prometheus.NewDesc("sumbi_questions", "Questions to the model that are not answered: waiting for a batch, or sent.", []string{"pipeline", "state"}, nil),
		"record":    prometheus.NewDesc("sumbi_records", "Records by what they are.", []string{"stream"}, nil),
		"list":      prometheus.NewDesc("sumbi_record_lists", "Lists of one record each that were asked for in the last day: read, failing (in several runs in a row) or resting (left alone for a while).", []string{"pipeline", "state"}, nil),
		"run":       prometheus.NewDesc("sumbi_runs", "Runs by state: asked, running, stopped or done.", []string{"pipeline", "state"}, nil),
	}
	failedDesc   = prometheus.NewDesc("sumbi_count_failed", "1 when the state could not be counted the last time: what is counted is older, or absent.", nil, nil)
	sinceDesc    = prometheus.NewDesc("sumbi_outbox_since_seconds", "Unix time since when the oldest of what a sink has yet to be told waits; absent when it was told everything.", []string{"sink"}, nil)
	sizeDesc     = prometheus.NewDesc("sumbi_state_bytes", "Size of the state.", nil, nil)
	startedDesc  = prometheus.NewDesc("sumbi_run_started_timestamp_seconds", "When the newest run of a pipeline was started.", []string{"pipeline"}, nil)
	doneDesc     = prometheus.NewDesc("sumbi_run_done_timestamp_seconds", "When the last run of a pipeline ended that was done to its end.", []string{"pipeline"}, nil)
	nextDesc     = prometheus.NewDesc("sumbi_run_next_timestamp_seconds", "When a pipeline runs next; absent when it runs only by hand.", []string{"pipeline"}, nil)
	intervalDesc = prometheus.NewDesc("sumbi_run_interval_seconds", "Time between two scheduled runs of a pipeline; absent when it runs only by hand.", []string{"pipeline"}, nil)
	sentDesc     = prometheus.NewDesc("sumbi_batch_sent_timestamp_seconds", "When the oldest batch was sent whose answers are not there; absent when there is none.", []string{"pipeline"}, nil)
)

// countMetrics counts what is in the state, and keeps the counts for a while.
type countMetrics struct {
	s         *queue.Store
	limit     time.Duration // for one scrape
	pipelines []config.Pipeline
	sinks     []string // that are configured
	log       *slog.Logger

	mu     sync.Mutex // one counts, others wait for it
	until  time.Time
	known  []prometheus.Metric
	failed bool
}

// Describe names what Collect gives.
func (c *countMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range countDesc {
		ch <- d
	}
	for _, d := range []*prometheus.Desc{jobsDesc, failedDesc, sinceDesc, sizeDesc, startedDesc, doneDesc, nextDesc, intervalDesc, sentDesc} {
		ch <- d
	}
}

// Collect counts.
func (c *countMetrics) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if began := time.Now(); began.After(c.until) {
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		defer cancel()
		known, err := c.count(ctx)
		if c.failed = err != nil; c.failed {
			c.log.Error("the state cannot be counted; what was counted before is told", "err", err)
		} else {
			c.known = known
		}
		c.until = time.Now().Add(max(countFor, countShare*time.Since(began)))
	}
	ch <- prometheus.MustNewConstMetric(failedDesc, prometheus.GaugeValue, float64(flag(c.failed)))
	for _, m := range c.known {
		ch <- m
	}
}

func (c *countMetrics) count(ctx context.Context) (all []prometheus.Metric, err error) {
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		all = append(all, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...))
	}
	counts, err := c.s.Counts(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range counts {
		gauge(jobsDesc, float64(x.N), x.Lane, x.Kind, x.State)
	}
	figures, err := c.s.Figures(ctx)
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	for _, f := range figures {
		var labels []string
		told[f.State] = told[f.State] || f.What == "outbox"
		switch f.What {
		case "place":
		case "gap":
			labels = []string{f.Pipeline}
		case "lane_stop", "mention", "outbox", "record":
			labels = []string{f.State}
		default:
			labels = []string{f.Pipeline, f.State}
		}
		gauge(countDesc[f.What], float64(f.N), labels...)
	}
	lists, err := c.s.RecordLists(ctx)
	if err != nil {
		return nil, err
	}
	byState := map[[2]string]int{}
	for _, l := range lists {
		byState[[2]string{l.Pipeline, "read"}] += l.Read
		byState[[2]string{l.Pipeline, "failing"}] += l.Failing
		byState[[2]string{l.Pipeline, "resting"}] += l.Resting
	}
	for of, n := range byState {
		gauge(countDesc["list"], float64(n), of[0], of[1])
	}
	for _, sink := range c.sinks { // one that has been told everything has 0, so that what begins and ends is seen
		if !told[sink] {
			told[sink] = true
			gauge(countDesc["outbox"], 0, sink)
		}
	}
	since, err := c.s.OutboxSince(ctx)
	if err != nil {
		return nil, err
	}
	for sink, at := range since {
		gauge(sinceDesc, float64(at.UnixMilli())/1000, sink)
	}
	size, err := c.s.Size(ctx)
	if err != nil {
		return nil, err
	}
	gauge(sizeDesc, float64(size))
	times, err := c.s.RunTimes(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range times {
		for d, at := range map[*prometheus.Desc]time.Time{startedDesc: t.Started, doneDesc: t.Done, nextDesc: t.Next, sentDesc: t.Sent} {
			if !at.IsZero() {
				gauge(d, float64(at.UnixMilli())/1000, t.Pipeline)
			}
		}
	}
	for _, p := range c.pipelines {
		if next := p.Next(c.s.Now()); !next.IsZero() {
			gauge(intervalDesc, p.Next(next).Sub(next).Seconds(), p.Name)
		}
	}
	return all, nil
}
