package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

const (
	// budgetPause is how long work waits for a budget before it asks again by itself. When there is room it is called.
	budgetPause = time.Hour
	// apartPause is how long it waits when that depends on what is under way, of which the last may be in the books by now.
	apartPause = time.Second
	// hurryEvery bounds how often the ticker calls what waits, once there is room again.
	hurryEvery = time.Minute
)

// Price is what a million tokens of a model cost in a batch, in micro-dollars.
type Price struct{ Input, Output int64 }

// Cost is what tokens cost, in micro-dollars, rounded up.
func (p Price) Cost(input, output int64) int64 {
	return (input*p.Input + output*p.Output + 999_999) / 1_000_000
}

// budget is what this process knows of the work that waits for one.
type budget struct {
	mu      sync.Mutex
	refused map[string]int64 // by pipeline, what waits: the least that was refused
	hurried time.Time
}

// afford sets cost apart, in micro-dollars, for a call or a batch of a pipeline until it is in the books. Whoever spends asks
// here first. The error says what is used up and lets the job wait without an attempt; what costs nothing is always granted.
func (e *Engine) afford(ctx context.Context, pipeline string, cost int64) error {
	t := e.Store.Terms()
	if cost <= 0 || (t.Run <= 0 && t.Month <= 0) {
		return nil
	}
	free, run, ofRun, ofMonth, err := e.Store.SetApart(ctx, pipeline, cost, t)
	if err != nil {
		return err
	}
	if free != nil {
		adapters.WhenBooked(ctx, free)
		return nil
	}
	why := over(t, run, ofRun, ofMonth, cost, e.Store.Now())
	if ofRun.Apart, ofMonth.Apart = 0, 0; t.Fit(run, ofRun, ofMonth, cost) {
		// No Upstream: it does not count as work that waits for a budget, which is not known to be used up.
		return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonBudget, After: apartPause, Err: errors.New("what is left of the budget is set apart for what is under way")}
	}
	b := &e.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused == nil {
		b.refused = map[string]int64{}
	}
	if least, ok := b.refused[pipeline]; !ok || cost < least {
		b.refused[pipeline] = cost
	}
	return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonBudget, Upstream: adapters.ReasonBudget, After: budgetPause, Err: errors.New(why)}
}

// affordCalls is afford for requests.
func (e *Engine) affordCalls(ctx context.Context, pipeline, upstream string, n int64) error {
	return e.afford(ctx, pipeline, n*e.Store.Terms().Prices[upstream])
}

// room is how much may still be spent for a pipeline, in micro-dollars.
func (e *Engine) room(ctx context.Context, pipeline string) (int64, error) {
	t := e.Store.Terms()
	if t.Run <= 0 && t.Month <= 0 {
		return math.MaxInt64, nil
	}
	run, ofRun, ofMonth, err := e.Store.Spending(ctx, pipeline)
	if err != nil {
		return 0, err
	}
	left := int64(math.MaxInt64)
	if t.Run > 0 && run > 0 {
		left = t.Run - ofRun.All()
	}
	if t.Month > 0 {
		left = min(left, t.Month-ofMonth.All())
	}
	return left, nil
}

// over says which budget cost would exceed; "" none.
func over(t queue.Terms, run int64, ofRun, ofMonth queue.Spent, cost int64, now time.Time) string {
	switch {
	case t.Fit(run, ofRun, ofMonth, cost):
		return ""
	case t.Month > 0 && ofMonth.All()+cost > t.Month:
		return monthUsed(t, ofMonth, now)
	default:
		return runUsed(t, run, ofRun)
	}
}

// least is the least that work of a pipeline was refused; as far as this process knows, and else the price of the cheapest call.
func (e *Engine) least(t queue.Terms, pipeline string) int64 {
	e.budget.mu.Lock()
	least := e.budget.refused[pipeline]
	e.budget.mu.Unlock()
	if least > 0 {
		return least
	}
	for _, price := range t.Prices {
		if price > 0 && (least == 0 || price < least) {
			least = price
		}
	}
	return max(least, 1)
}

const thisMonth = "the budget of this month"

func monthUsed(t queue.Terms, s queue.Spent, now time.Time) string {
	return fmt.Sprintf("%s is used up, %s; goes on %s or with a higher month in [budget]", thisMonth, used(s, t.Month), nextMonth(now))
}

func nextMonth(t time.Time) string { return NextMonth(t).Format("2 January") }

func runUsed(t queue.Terms, run int64, s queue.Spent) string {
	return fmt.Sprintf("the budget of run %d is used up, %s; goes on with a higher run in [budget]", run, used(s, t.Run))
}

// BudgetWaits says for which budget work of each pipeline waits, with the figures of now: when a job was held back, calls
// that are in the books by now were still under way.
func BudgetWaits(ctx context.Context, s *queue.Store) ([]queue.BudgetWait, error) {
	waits, err := s.BudgetWaits(ctx)
	if err != nil {
		return nil, err
	}
	t := s.Terms()
	for i, w := range waits {
		run, ofRun, ofMonth, err := s.Spending(ctx, w.Pipeline)
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(w.Reason, thisMonth) && !strings.Contains(w.Reason, nextMonth(s.Now())):
			waits[i].Reason = "the budget of the last month was used up; a new one has begun, goes on with the next start or by itself"
		case strings.HasPrefix(w.Reason, thisMonth):
			waits[i].Reason = monthUsed(t, ofMonth, s.Now())
		case run > 0:
			waits[i].Reason = runUsed(t, run, ofRun)
		}
	}
	return waits, nil
}

// used says how much of a budget is gone.
func used(s queue.Spent, of int64) string {
	reserved := ""
	if s.Reserved > 0 {
		reserved = " and " + Dollars(s.Reserved) + " reserved for batches"
	}
	return Dollars(s.Booked) + reserved + " of " + Dollars(of)
}

// Dollars writes micro-dollars as people do, with as many digits as it takes.
func Dollars(micro int64) string {
	sign := ""
	if micro < 0 {
		sign, micro = "-", -micro
	}
	cents := strings.TrimRight(fmt.Sprintf("%06d", micro%1_000_000), "0")
	return sign + "$" + strconv.FormatInt(micro/1_000_000, 10) + "." + cents + strings.Repeat("0", max(2-len(cents), 0))
}

// NextMonth is the beginning of the next Korean month.
func NextMonth(t time.Time) time.Time {
	seoul := time.FixedZone("KST", 9*60*60)
	y, m, _ := t.In(seoul).Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, seoul)
}

// resume calls what waits for a budget, here or on another machine, as soon as there is room for the least of it.
func (e *Engine) resume(ctx context.Context) error {
	t := e.Store.Terms()
	b := &e.budget
	b.mu.Lock()
	now := e.Store.Now()
	soon := now.Sub(b.hurried) < hurryEvery
	if !soon {
		b.hurried = now
	}
	b.mu.Unlock()
	if soon {
		return nil
	}
	waits, err := e.Store.BudgetWaits(ctx)
	if err != nil {
		return err
	}
	for _, w := range waits {
		room, err := e.room(ctx, w.Pipeline)
		if err != nil {
			return err
		}
		if room < e.least(t, w.Pipeline) {
			continue
		}
		b.mu.Lock()
		delete(b.refused, w.Pipeline) // whoever is refused again says so
		b.mu.Unlock()
		for n := int64(chunk); n == chunk; {
			err := e.Store.Tx(ctx, func(tx *queue.Tx) (err error) {
				n, err = tx.HurryBudget(w.Pipeline, chunk)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// outOf says for which budget all work of these lanes waits; "" when there is none, or its month is about to end: that is
// waited for like any other quota.
func (e *Engine) outOf(ctx context.Context, pipeline string, lanes []queue.LiveLane) (string, error) {
	if !slices.ContainsFunc(lanes, func(l queue.LiveLane) bool { return l.Broke }) {
		return "", nil
	}
	t := e.Store.Terms()
	if NextMonth(e.Store.Now()).Sub(e.Store.Now()) <= longHold {
		t.Month = 0
	}
	run, ofRun, ofMonth, err := e.Store.Spending(ctx, pipeline)
	if err != nil {
		return "", err
	}
	return over(t, run, ofRun, ofMonth, e.least(t, pipeline), e.Store.Now()), nil
}

// unknownOutput is how many tokens an answer is taken to have while nothing is known of the model's answers: more than most.
// From what is known a quarter more is kept back.
const (
	unknownOutput = 1000
	outputMargin  = 1.25
)

// answerTokens is what is kept back for one answer of the model.
func (e *Engine) answerTokens(ctx context.Context, model string) (int64, error) {
	mean, n, err := e.Store.OutputMean(ctx, model)
	if err != nil {
		return 0, err
	}
	if n < enough {
		return max(unknownOutput, int64(math.Ceil(mean*outputMargin))), nil
	}
	return int64(math.Ceil(mean * outputMargin)), nil
}
