package jobs

import (
	"context"

	"sumbi/queue"
)

// Left is the priority of a walk's next page.
func (p *Pipeline) Left(w queue.Walk, total int) int { return p.left(w, total) }

// Split is a run's part of what has become of a lane's calls.
var Split = split

// SilentSince is since when a target is silent beyond its habit.
var SilentSince = silentSince

// Tell tells of trouble until ctx ends, without a worker beside it.
func (e *Engine) Tell(ctx context.Context) { e.tell(ctx) }

// Growth is what was counted on each day.
var Growth = growth

// Afford sets money apart for work of a pipeline.
func (e *Engine) Afford(ctx context.Context, pipeline string, cost int64) error {
	return e.afford(ctx, pipeline, cost)
}
