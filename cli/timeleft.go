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

// timeLeft forecasts the rest of a run's crawl by its critical path: the pages at the rate allowed, or the longest list.
// walks are all of the pipeline; perSecond 0 is unknown.
func timeLeft(walks []queue.Reach, run queue.Run, perSecond float64) jobs.Forecast {
	shape := shapeOf("")
	lengths := jobs.NewLengths(walks, shape.Lists, shape.PageSize)
	var lists []int
	for _, w := range walks {
		if w.Run == run.ID && w.State == queue.WalkWalking {
			lists = append(lists, lengths.Left(w))
		}
	}
	latency := run.Latency()
	if latency == 0 {
		latency = jobs.DefaultLatency
	}
	return jobs.Predict(lists, perSecond, latency)
}
