package rest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters"
)

const (
	outcomeOK        = "ok"
	outcomeCancelled = "cancelled"

	permitGranted  = "granted"
	permitReturned = "returned"
	permitRefused  = "refused"
)

// Metrics count and time the requests of all clients that share it.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	permits  *prometheus.CounterVec
	waits    *prometheus.HistogramVec
	gauges   []gauge

	mu      sync.Mutex
	clients []*Client
}

// NewMetrics registers the metrics of requests and limits. It panics when reg has them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sumbi_requests_total", Help: "Requests by upstream and outcome.",
		}, []string{"upstream", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sumbi_request_seconds", Help: "Time until the header of an answer.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"upstream"}),
		permits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sumbi_permits_total", Help: "Calls that the limits let go (granted), those of them that no request used (returned), and waits that were refused for being too long or by an end (refused).",
		}, []string{"upstream", "outcome"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sumbi_limit_wait_seconds", Help: "How long a call waited for a limit.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600},
		}, []string{"upstream"}),
	}
	for _, g := range []struct {
		name, help string
		of         func(standing) float64
	}{
		{"sumbi_limit_held", "Credentials that are held or stopped now.", func(s standing) float64 { return s.held }},
		{"sumbi_limit_stopped", "Credentials that are not used until the next start: they wait for a person.", func(s standing) float64 { return s.stopped }},
		{"sumbi_limit_guard_seconds", "The widest guard in force.", func(s standing) float64 { return s.guard }},
		{"sumbi_limit_rate", "Calls a second that the configuration allows; 0 is unlimited.", func(s standing) float64 { return s.rate }},
		{"sumbi_limit_pace", "Calls a second that are made at most; 0 is unlimited.", func(s standing) float64 { return s.pace }},
		{"sumbi_limit_day_calls", "Calls of this Korean day.", func(s standing) float64 { return s.used }},
		{"sumbi_limit_day_quota_calls", "Calls that the configuration allows in a Korean day; 0 is unlimited.", func(s standing) float64 {
			if s.endless {
				return 0
			}
			return s.quota
		}},
	} {
		m.gauges = append(m.gauges, gauge{prometheus.NewDesc(g.name, g.help, []string{"upstream"}, nil), g.of})
	}
	reg.MustRegister(m.requests, m.seconds, m.permits, m.waits, m)
	return m
}

// gauge is a figure of an upstream.
type gauge struct {
	desc *prometheus.Desc
	of   func(standing) float64
}

// standing is how the limits of an upstream stand.
type standing struct {
	held, stopped, guard, rate, pace, used, quota float64
	endless                                       bool // a credential has no quota
}

func (s *standing) add(c *Client) {
	rate, pace := c.Pace()
	s.rate, s.pace = s.rate+rate, s.pace+pace
	for _, l := range c.Limits() {
		if l.Stopped || !l.HeldUntil.IsZero() {
			s.held++
		}
		if l.Stopped {
			s.stopped++
		}
		s.guard = max(s.guard, l.Guard.Seconds())
		s.used, s.quota = s.used+float64(l.Used), s.quota+float64(l.PerDay)
		s.endless = s.endless || l.PerDay == 0
	}
}

// Describe sends what Collect will send.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range m.gauges {
		ch <- g.desc
	}
}

// Collect looks at the limits at the moment of the scrape.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	now := map[string]standing{}
	for _, c := range m.clients {
		s := now[c.upstream]
		s.add(c)
		now[c.upstream] = s
	}
	m.mu.Unlock()
	for upstream, s := range now {
		for _, g := range m.gauges {
			ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.of(s), upstream)
		}
	}
}

func (m *Metrics) watch(c *Client) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = append(m.clients, c)
}

func (m *Metrics) observe(upstream, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(upstream, outcome).Inc()
	m.seconds.WithLabelValues(upstream).Observe(took.Seconds())
}

func (m *Metrics) permit(upstream, outcome string) {
	if m != nil {
		m.permits.WithLabelValues(upstream, outcome).Inc()
	}
}

func (m *Metrics) waited(upstream string, d time.Duration) {
	if m != nil {
		m.waits.WithLabelValues(upstream).Observe(d.Seconds())
	}
}

func outcome(err error) string {
	if errors.Is(err, context.Canceled) {
		return outcomeCancelled
	}
	switch adapters.Classify(err).Kind {
	case adapters.Throttled:
		return "throttled"
	case adapters.Unauthorized:
		return "unauthorized"
	case adapters.NeedsHuman:
		return "needs_human"
	case adapters.Permanent:
		return "permanent"
	default:
		return "temporary"
	}
}
