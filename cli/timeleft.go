package cli

import (
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// looks spaces the looks at the file so that they take at most a fiftieth of the time: in a large file one takes long.
type looks struct{ next time.Time }

func (l *looks) due(now time.Time) bool { return !now.Before(l.next) }

func (l *looks) took(began, ended time.Time) { l.next = ended.Add(50 * ended.Sub(began)) }

// timeLeft forecasts the rest of a run's crawl. walks are all of the pipeline; perSecond 0 is unknown.
func timeLeft(walks []queue.Reach, run queue.Run, perSecond float64) jobs.Forecast {
	return jobs.TimeLeft(shapeOf(""), walks, run, perSecond)
}
