package cli

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters"
	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// Looks spaces the looks at the file.
type Looks = looks

// Due reports whether it is time for a look.
func (l *looks) Due(now time.Time) bool { return l.due(now) }

// Took notes how long a look took.
func (l *looks) Took(began, ended time.Time) { l.took(began, ended) }

// TimeLeft forecasts the rest of a crawl.
func TimeLeft(walks []queue.Reach, run queue.Run, perSecond float64) jobs.Forecast {
	return timeLeft(walks, run, perSecond)
}

// PlanInput is what a configuration says to a plan.
func PlanInput(c *config.Config, p config.Pipeline) jobs.PlanInput { return planInput(c, p) }

// Allowed is how many calls a second a limit lets go.
func Allowed(perSecond float64, guard time.Duration) float64 { return allowed(perSecond, guard) }

// PostKey is the key of a post that a person names.
func PostKey(arg string) (string, error) { return postKey(arg) }

// Excerpt is the part of a caption around its quote.
func Excerpt(caption, quote string) string { return excerpt(caption, quote) }

// Safe is a text without what would steer a terminal.
func Safe(s string) string { return safe(s) }

// ServeMetrics is what serve answers at /metrics, with where the upstreams' clients register theirs, and what it tells webhooks and
// notices to.
func ServeMetrics(s *queue.Store, c *config.Config) (http.Handler, *prometheus.Registry, func(result string), func(func(context.Context, []adapters.Notice) error) func(context.Context, []adapters.Notice) error) {
	return ServeMetricsOf(s, c, nil, slog.New(slog.DiscardHandler), "mongo")
}

// ServeMetricsOf is ServeMetrics of a process of that health, log and sinks.
func ServeMetricsOf(s *queue.Store, c *config.Config, health web.Health, log *slog.Logger, sinks ...string) (http.Handler, *prometheus.Registry, func(result string), func(func(context.Context, []adapters.Notice) error) func(context.Context, []adapters.Notice) error) {
	m := newMetrics(s, c, "시험", log)
	m.now.limit, m.counts.limit = hang, hang
	p := &jobs.Pipeline{}
	for _, name := range sinks {
		p.Sinks = append(p.Sinks, jobs.Sink{Name: name})
	}
	m.about(health, []*jobs.Pipeline{p})
	return m.handler(), m.reg, m.webhooked, m.counted
}

// MetricsUntil is what serve answers at /metrics, and until when what was counted is told again.
func MetricsUntil(s *queue.Store, health web.Health, log *slog.Logger) (h http.Handler, until *time.Time) {
	m := newMetrics(s, &config.Config{}, "시험", log)
	m.now.limit, m.counts.limit = hang, hang
	m.about(health, nil)
	return m.handler(), &m.counts.until
}

// CountFor is how long counts are kept at least.
const CountFor = countFor

// hang is more than a scrape takes on the slowest machine.
const hang = 5 * time.Minute

// UntilLook is how long it takes until the clock shows half past an hour in Korea.
var UntilLook = untilLook
