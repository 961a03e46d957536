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
		held: prometheus.NewDesc("sumbi_limit_held", "Limits that are held or stopped now.", []string{"upstream"}, nil),
	}
	reg.MustRegister(m.requests, m.seconds, m)
	return m
}

// Describe sends what Collect will send.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.held }

// Collect counts the limits that are held at the moment of the scrape.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	held := map[string]int{}
	for _, c := range m.clients {
		n := 0
		for _, l := range c.Limits() {
			if l.Stopped || !l.HeldUntil.IsZero() {
				n++
			}
		}
		held[c.upstream] += n
	}
	m.mu.Unlock()
	for upstream, n := range held {
		ch <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, float64(n), upstream)
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
