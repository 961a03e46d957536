// Package jobs is what happens: the page, batch, match and deliver steps, the ticker, and one file per pipeline.
// It has no SQL and no HTTP.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// Pipeline is one system that collects: where its targets come from, who is asked, what follows a page, where it goes.
type Pipeline struct {
	Name      string
	Targets   func() ([]string, error)                             // read anew at each run
	Only      []string                                             // log-ins of nobody else are taken; nil = of anybody
	Next      func(time.Time) time.Time                            // when it runs after that; nil or zero = only by hand
	Spec      string                                               // what Next is made of, so that a changed schedule is noticed
	FullEvery time.Duration                                        // walks whole lists now and then; 0 = never
	Whole     bool                                                 // walks whole lists always: so only is seen what is no longer there
	Pause     time.Duration                                        // a target is not begun again before; 0 = each run begins all
	Patience  time.Duration                                        // a page that is to wait longer is left to a later run; 0 = it waits
	Renews    time.Duration                                        // a log-in may be renewed by a call when it ends within this
	Lane      string                                               // of Source
	Lists     []string                                             // of each target
	PageSize  int                                                  // records of a full page, for forecasts
	Source    adapters.Source                                      //
	Saved     func(tx *queue.Tx, all []queue.Stored) error         // what follows a page, in its commit
	Ended     func(tx *queue.Tx, w queue.Walk) error               // what follows the end of a list, in its commit; nil = nothing
	Rested    func(tx *queue.Tx, r queue.Run, target string) error // what a target's turn is while all its lists are left alone; nil = nothing
	Members   string                                               // the stream of a target's own document, whose key is the target; "" = there is none
	Counts    string                                               // the stream of which views and likes are counted by the day; "" = none
	Keep      int                                                  // for how many days counts are kept; 0 = for ever
	Tidy      func(tx *queue.Tx) error                             // removes what is kept for a time only, once a day; nil = nothing
	Ask       *Ask                                                 // the batch step; nil = none
	Find      *Find                                                // the match step; nil = none
	Sinks     []Sink
}

// Sink is where a pipeline delivers. Document composes what the sink is told of one key; Data nil = it is gone.
type Sink struct {
	Name     string   // also its lane
	Identity string   // which server it is: a new one is told of everything
	Streams  []string // of which that is every record; none = of every place
	Sink     adapters.Sink
	Document func(ctx context.Context, stream, key string) (adapters.Record, error)
}

// tell tells the sinks of a record, or of a target's own document.
func (p *Pipeline) tell(tx *queue.Tx, stream, key string) error {
	for _, s := range p.Sinks {
		if err := tx.Deliver(s.Name, stream, key, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// Batcher is a model that answers questions in batches.
type Batcher interface {
	Model() string
	Line(l adapters.Line) ([]byte, error)
	Tokens(line []byte) int64
	Upload(ctx context.Context, name string, size int64, r io.Reader) (file string, err error)
	Create(ctx context.Context, file, shard string, n int) (adapters.Batch, error)
	Find(ctx context.Context, shard string, since time.Time) (adapters.Batch, bool, error)
	Get(ctx context.Context, id string) (adapters.Batch, error)
	Download(ctx context.Context, file string, w io.Writer) (int64, error)
	Answer(line []byte) (adapters.Answer, error)
}

// Finder searches places by words.
type Finder interface {
	Name() string
	Find(ctx context.Context, query string) ([]adapters.Candidate, error)
}

// Engine runs pipelines over one state file.
type Engine struct {
	Store     *queue.Store
	Pipelines []*Pipeline
	Lanes     []queue.Lane
	Log       *slog.Logger
	Grace     time.Duration // how long a stop waits for steps in flight
	// Held tells until when a lane makes no call because its quota is used up, and why; nil = never.
	Held func(lane string) (time.Time, string)
	// Notify tells a person of troubles, in one message; nil = nobody.
	Notify func(ctx context.Context, troubles []adapters.Notice) error

	worker  *queue.Worker
	pulse   pulse
	batches batchMemory
	asking  asking
	budget  budget
	packer  queue.Packer
	// Used by the ticker alone.
	tries    map[int64]time.Time // when a stopped run was last set going
	accounts map[int64]booked    // of the runs that crawl
	closed   map[int64]bool      // runs whose crawl is accounted for
	settled  map[string]float64  // the lane's account when no run crawled
	began    time.Time           // when this process began to work
}

func (e *Engine) pipeline(name string) (*Pipeline, error) {
	for _, p := range e.Pipelines {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, leftOver("pipeline %q is not configured; put it back or drop its jobs", name)
}

// leftOver is the error of a job that the configuration no longer has a use for. It waits, and stops nobody else.
func leftOver(format string, args ...any) error {
	return &adapters.Error{Kind: adapters.Throttled, After: 10 * time.Minute, Err: fmt.Errorf(format, args...)}
}

func (e *Engine) handlers() map[queue.Kind]queue.Handler {
	return map[queue.Kind]queue.Handler{
		queue.KindPage:    e.page,
		queue.KindBatch:   e.batch,
		queue.KindMatch:   e.match,
		queue.KindDeliver: e.deliver,
	}
}

// buried tells whoever waited for a job that it is dead.
func (e *Engine) buried(tx *queue.Tx, j queue.Job, cause error) error {
	if j.Kind != queue.KindPage {
		return nil
	}
	p, err := e.pipeline(j.Pipeline)
	if err != nil {
		p = &Pipeline{} // nothing follows any more
	}
	return p.pageBuried(tx, j, cause)
}

// errDropped is why something was left undone that a person has dropped.
var errDropped = errors.New("dropped by hand")

// Drop removes a job for good and settles what waited for it. A batch that is under way is not dropped: its answers are
// paid for. Neither is a delivery: what a sink has yet to be told stays in the outbox.
func Drop(tx *queue.Tx, id int64) error {
	j, dead, err := tx.Job(id)
	if err != nil {
		return err
	}
	if !dead && (j.Kind == queue.KindBatch || j.Kind == queue.KindDeliver) {
		return &queue.RefusedError{Reason: fmt.Sprintf("job %d is under way and cannot be dropped; a %s that is dead can", id, j.Kind)}
	}
	if err := tx.Drop(id); err != nil {
		return err
	}
	switch j.Kind {
	case queue.KindPage:
		if dead {
			return nil
		}
		return (&Pipeline{}).pageBuried(tx, j, errDropped)
	case queue.KindMatch:
		a, err := readArgs[matchArgs](j)
		if err != nil {
			return nil
		}
		return tx.Decide(queue.Mention{ID: a.Mention, Pipeline: j.Pipeline, State: string(match.None), Reason: errDropped.Error()}, nil, queue.One{})
	}
	return nil
}

// args marshals what a job carries; the types are ours, so it cannot fail.
func args(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func readArgs[T any](j queue.Job) (T, error) {
	var v T
	if err := json.Unmarshal(j.Args, &v); err != nil {
		return v, &adapters.Error{Kind: adapters.Permanent, Err: fmt.Errorf("args of job %d: %w", j.ID, err)}
	}
	return v, nil
}
