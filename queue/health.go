package queue

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// stuckAfter is how much longer than it should a loop or a step takes before it counts as stuck: longer than a commit waits for a
// database that is away, and shorter than anybody should have to.
const stuckAfter = 3 * time.Minute

// Ready returns nil when the state answers, has a schema that this program works on, and this process is one of those that work on
// it: over a file the one, over PostgreSQL a machine whose heartbeats arrive. Its error is for people.
func (s *Store) Ready(ctx context.Context) error { return s.engine.fit(ctx) }

func (s *file) fit(ctx context.Context) error {
	if !s.owner {
		return errGuest
	}
	if err := s.present(); err != nil {
		return err
	}
	have, err := s.look(ctx)
	if err == nil && have != version {
		err = &FileError{Path: s.path, Text: fmt.Sprintf("has schema %d, this sumbi works on %d", have, version)}
	}
	return s.explain(err)
}

func (c *cluster) fit(ctx context.Context) error {
	if !c.owner {
		return errGuest
	}
	if _, done, err := c.fits(ctx); err != nil || !done {
		return c.explain(err)
	}
	var listed bool
	err := one(ctx, c.read, `select exists (select 1 from machine where id = ? and seen_at >= `+c.lostBefore()+`)`, []any{c.machine}, &listed)
	if err == nil && !listed {
		err = fmt.Errorf("the heartbeats of machine %s do not arrive: the others take it for gone", c.machine)
	}
	return c.explain(err)
}

// pulse says whether a worker gets on.
type pulse struct {
	mu    sync.Mutex
	began time.Time            // the last look at the state; zero before the first
	ended bool                 // no further look is due
	steps map[int64]stepBounds // handlers that run, by a number of their own
	last  int64
}

type stepBounds struct {
	lane string
	end  time.Time // by then it should have returned
}

// beat notes that the worker looks at the state.
func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began, p.ended = time.Now(), false
}

// rest notes that it looks no more, because the work ends.
func (p *pulse) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// handle notes that a handler of a lane runs, until the func is called.
func (p *pulse) handle(l Lane) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps == nil {
		p.steps = map[int64]stepBounds{}
	}
	p.last++
	n := p.last
	p.steps[n] = stepBounds{l.Name, time.Now().Add(l.Deadline)}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.steps, n)
	}
}

// Begun reports whether the worker has taken the state over and looks at it.
func (w *Worker) Begun() bool {
	w.pulse.mu.Lock()
	defer w.pulse.mu.Unlock()
	return !w.pulse.began.IsZero()
}

// Stuck says what of the worker should have gone on long before now and has not; "" nothing.
func (w *Worker) Stuck(now time.Time) string {
	p := &w.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.began); !p.began.IsZero() && !p.ended && d > poll+stuckAfter {
		return fmt.Sprintf("the state has not been looked at for %s", d.Round(time.Second))
	}
	for _, s := range p.steps {
		if d := now.Sub(s.end); d > stuckAfter {
			return fmt.Sprintf("a step of the lane %s should have ended %s ago", s.lane, d.Round(time.Second))
		}
	}
	return ""
}
