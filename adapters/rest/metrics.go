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
)

// Metrics count and time the requests of all clients that share it.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	held     *prometheus.Desc
	guard    *prometheus.Desc
	pace     *prometheus.Desc

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
		held:  prometheus.NewDesc("sumbi_limit_held", "Limits that are held or stopped now.", []string{"upstream"}, nil),
		guard: prometheus.NewDesc("sumbi_limit_guard_seconds", "The widest guard in force.", []string{"upstream"}, nil),
		pace:  prometheus.NewDesc("sumbi_limit_pace", "Calls a second that are made at most; 0 is unlimited.", []string{"upstream"}, nil),
	}
	reg.MustRegister(m.requests, m.seconds, m)
	return m
}

// Describe sends what Collect will send.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.held
	ch <- m.guard
	ch <- m.pace
}

// Collect looks at the limits at the moment of the scrape.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	type gauges struct{ held, guard, pace float64 }
	m.mu.Lock()
	now := map[string]gauges{}
	for _, c := range m.clients {
		g := now[c.upstream]
		for _, l := range c.Limits() {
			if l.Stopped || !l.HeldUntil.IsZero() {
				g.held++
			}
			g.guard = max(g.guard, l.Guard.Seconds())
		}
		_, pace := c.Pace()
		g.pace += pace
		now[c.upstream] = g
	}
	m.mu.Unlock()
	for upstream, g := range now {
		ch <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, g.held, upstream)
		ch <- prometheus.MustNewConstMetric(m.guard, prometheus.GaugeValue, g.guard, upstream)
		ch <- prometheus.MustNewConstMetric(m.pace, prometheus.GaugeValue, g.pace, upstream)
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
