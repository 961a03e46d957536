package jobs

import (
	"fmt"
	"sync"
	"time"

	"sumbi/queue"
)

// stuckAfter is how much longer than it should the ticker takes before it counts as stuck. One round may commit many times, and each
// commit may wait for a database that is away.
const stuckAfter = 5 * time.Minute

// pulse says whether the engine gets on. It is read by others while the engine works.
type pulse struct {
	mu     sync.Mutex
	worker *queue.Worker // nil before the work begins
	next   time.Time     // when the ticker looks again at the latest; zero while it has not begun, or ends
}

func (p *pulse) begin(w *queue.Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worker = w
}

// beat notes that the ticker looks again within d.
func (p *pulse) beat(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Now().Add(d)
}

func (p *pulse) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Time{}
}

// Begun reports whether the engine has taken the state over and works.
func (e *Engine) Begun() bool {
	e.pulse.mu.Lock()
	w := e.pulse.worker
	e.pulse.mu.Unlock()
	return w != nil && w.Begun()
}

// Stuck says what of the engine should have gone on long before now and has not; "" nothing. Upstreams that do not answer, quotas and
// lanes that wait for a person are no reason: a start would not help.
func (e *Engine) Stuck(now time.Time) string {
	e.pulse.mu.Lock()
	w, next := e.pulse.worker, e.pulse.next
	e.pulse.mu.Unlock()
	if d := now.Sub(next); !next.IsZero() && d > stuckAfter {
		return fmt.Sprintf("the schedules and open runs should have been looked at %s ago", d.Round(time.Second))
	}
	if w == nil {
		return ""
	}
	return w.Stuck(now)
}
