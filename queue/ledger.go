package queue

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"
	"time"
)

// Pacer is a Gate that knows its pace.
type Pacer interface {
	// Pace returns the calls a second that the limits allow, and those that are made with the guards in force; 0 is unlimited.
	Pace() (limit, pace float64)
	// Held returns for how long in all Permit has waited because a limit was held.
	Held() time.Duration
}

// What becomes of the calls that a limit allows.
const (
	SlotCall    = "call"         // made
	SlotGuard   = "guard"        // kept back so that none is refused
	lostHeld    = "held"         // the limit was held after a refusal, or a quota was used up
	lostOutage  = "no answer"    // the upstream was away: one probe at a time
	lostBackoff = "back-off"     // what there was to do waited for another attempt
	lostPage    = "no page"      // every list was waiting for its own answer
	lostBusy    = "workers busy" // as many steps in flight as the lane has workers
	LostOwn     = "own delay"    // sumbi itself was late: what nothing else explains
)

// ledger accounts for every call that the limit of a lane would have allowed while the lane had work. A moment is lost when
// the pace would have let a call go and none went; it is counted once, for one reason.
type ledger struct {
	store   *Store
	lane    string
	pacer   Pacer
	breaker *breaker

	mu    sync.Mutex
	free  time.Time          // since then the pace would let a call go
	slots map[string]float64 // calls by what became of them
	why   string             // what the lane waits for just now, "" nothing
	since time.Time
}

// ledger returns the books of a lane; one without a pace keeps none.
func (w *Worker) ledger(l Lane, br *breaker) *ledger {
	p, ok := l.Gate.(Pacer)
	if !ok {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ledgers == nil {
		w.ledgers = map[string]*ledger{}
	}
	b := &ledger{store: w.Store, lane: l.Name, pacer: p, breaker: br, slots: map[string]float64{}}
	w.ledgers[l.Name] = b
	return b
}

// Slots returns what has become of the calls that the lane's limit allowed from the start of the process until at, as far as
// there was a reason outside, and the limit itself in calls a second; nil and 0 when the lane has none.
func (w *Worker) Slots(lane string, at time.Time) (slots map[string]float64, limit float64) {
	w.mu.Lock()
	b := w.ledgers[lane]
	w.mu.Unlock()
	if b == nil {
		return nil, 0
	}
	b.mu.Lock()
	why, since := b.why, b.since
	b.mu.Unlock()
	b.loseUntil(why, since, at) // a wait that is not over yet
	limit, _ = b.pacer.Pace()
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.slots), limit
}

// wait notes that the lane begins to wait for what why says. An empty reason is not counted: there is nothing to do.
func (b *ledger) wait(why string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.why, b.since = why, time.Now()
	b.mu.Unlock()
}

// waited books the wait that is over.
func (b *ledger) waited() {
	if b == nil {
		return
	}
	b.mu.Lock()
	why, since := b.why, b.since
	b.why = ""
	b.mu.Unlock()
	b.loseUntil(why, since, time.Now())
}

// loseUntil books a stretch of time, as far as the pace would have let a call go in it.
func (b *ledger) loseUntil(why string, from, to time.Time) {
	limit, _ := b.pacer.Pace()
	b.mu.Lock()
	defer b.mu.Unlock()
	if from.Before(b.free) {
		from = b.free
	}
	d := to.Sub(from)
	if d <= 0 {
		return
	}
	if why != "" {
		b.slots[why] += d.Seconds() * limit
	}
	b.free = to
}

// permit waits for a permit of g and books how that time went.
func (b *ledger) permit(ctx context.Context, g Gate) (context.Context, func(), error) {
	if b == nil {
		return g.Permit(ctx)
	}
	from, held := time.Now(), b.pacer.Held()
	pctx, release, err := g.Permit(ctx)
	if b.pacer.Held() > held {
		b.loseUntil(lostHeld, from, time.Now())
	}
	if _, pace := b.pacer.Pace(); err == nil && pace > 0 {
		b.mu.Lock()
		b.free = time.Now().Add(time.Duration(float64(time.Second) / pace))
		b.mu.Unlock()
	}
	return pctx, release, err
}

// taken books the call for a permit, which is lost when there was no job for it after all.
func (b *ledger) taken(some bool) {
	if b == nil {
		return
	}
	limit, pace := b.pacer.Pace()
	if limit <= 0 || pace <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slots[SlotGuard] += limit/pace - 1
	if some {
		b.slots[SlotCall]++
	} else {
		b.slots[lostPage]++
	}
}

// idle says why the lane has nothing to take.
func (b *ledger) idle(ctx context.Context) string {
	if b == nil {
		return ""
	}
	var live, failed bool
	err := one(ctx, b.store.read, `select exists (select 1 from run r join job j on j.pipeline = r.pipeline and j.lane = ? and j.state = 'live' where r.state = 'running'),
		exists (select 1 from run r join job j on j.pipeline = r.pipeline and j.lane = ? and j.state = 'live' and j.err is not null and j.taken_at is null where r.state = 'running')`,
		[]any{b.lane, b.lane}, &live, &failed)
	switch {
	case err != nil || !live:
		return ""
	case failed:
		if _, open := b.breaker.away(); open {
			return lostOutage
		}
		return lostBackoff
	default:
		return lostPage
	}
}

// AddSlots adds to the account of the calls that a run's lane was allowed.
func (tx *Tx) AddSlots(run int64, lane string, slots map[string]float64) error {
	for _, what := range slices.Sorted(maps.Keys(slots)) {
		if slots[what] == 0 {
			continue
		}
		_, err := tx.exec(`insert into slot (run, lane, what, n) values (?, ?, ?, ?) on conflict (run, lane, what) do update set n = slot.n + excluded.n`, run, lane, what, slots[what])
		if err != nil {
			return err
		}
	}
	return nil
}

// UnbookedCalls counts the requests of a run that are in the books but not yet in the account of its lane.
func (tx *Tx) UnbookedCalls(run int64, lane string) (n float64, err error) {
	err = tx.one(`select coalesce((select sum(n) from usage where run = ? and upstream = ? and what = 'request'), 0) - coalesce((select n from slot where run = ? and lane = ? and what = ?), 0)`,
		[]any{run, lane, run, lane, SlotCall}, &n)
	return n, err
}

// Slots returns what became of the calls that a run's lanes were allowed.
func (s *Store) Slots(ctx context.Context, run int64) (map[string]float64, error) {
	out := map[string]float64{}
	_, err := list(ctx, s.read, `select what, sum(n) from slot where run = ? group by what`, []any{run}, func(r *sql.Rows) (struct{}, error) {
		var what string
		var n float64
		err := r.Scan(&what, &n)
		out[what] = n
		return struct{}{}, err
	})
	return out, s.explain(err)
}

// Gaps counts the lists of targets that a run has not walked to the end, as v_gaps does.
func (s *Store) Gaps(ctx context.Context, run int64) (n int, err error) {
	err = one(ctx, s.read, `select count(*) from walk where run = ? and state = 'unfinished' and list not like '%/%'`, []any{run}, &n)
	return n, s.explain(err)
}

// LongestWalk returns the pages of the run's longest list.
func (s *Store) LongestWalk(ctx context.Context, run int64) (pages int, err error) {
	err = one(ctx, s.read, `select coalesce(max(pages), 0) from walk where run = ?`, []any{run}, &pages)
	return pages, s.explain(err)
}
