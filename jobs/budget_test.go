package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// spend sets the terms of each new process.
func (w *world) spend(t queue.Terms) {
	w.wire = func(e *jobs.Engine) {
		if err := e.Store.SetTerms(context.Background(), t); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// watch writes down what of every change in the state.
func (w *world) watch(when, what string) {
	w.tb.Helper()
	note := `insert into watched (what) values (` + what + `); `
	if pgtest.Wanted() {
		w.exec(`create table watched (n bigint generated always as identity, what text);
			create function watch() returns trigger language plpgsql as $$ begin ` + note + `return null; end $$;
			create trigger watch ` + when + ` execute function watch()`)
		return
	}
	w.exec(`create table watched (n integer primary key, what text); create trigger watch ` + when + ` begin ` + note + `end`)
}

// broke runs the pipeline and wants it to end for want of money.
func (w *world) broke(want string) {
	w.tb.Helper()
	_, err := w.try(false)
	stopped, ok := errors.AsType[*jobs.StoppedError](err)
	if !ok || stopped.Reason != want {
		w.tb.Fatalf("the run ended with %v, want %s", err, want)
	}
	w.is(`select max(attempt) from job`, "0")
	w.is(`select count(*) from job_error`, "0")
}

// all adds up what was asked of each list.
func (f *feed) all() (n int) {
	for _, c := range f.calls() {
		n += c
	}
	return n
}

func TestBudgetEndsInCrawl(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 30))
		prices := map[string]int64{"instagram": 100}
		w.spend(queue.Terms{Prices: prices, Run: 700})
		w.broke("the budget of run 1 is used up, $0.0006 of $0.0007; goes on with a higher run in [budget]")
		w.is(`select requests, micro_usd from v_spend`, "6|600")
		// The same again costs nothing.
		w.broke("the budget of run 1 is used up, $0.0006 of $0.0007; goes on with a higher run in [budget]")
		w.spend(queue.Terms{Prices: prices, Run: 2000})
		w.run()
		equal(t, "posts", len(strings.Fields(w.stored())), 30)
		equal(t, "calls", w.feed.all(), 11)
		w.is(`select requests, micro_usd, refused, repeated, failed from v_spend`, "11|1100|0|0|0")
		// The next run has a budget of its own.
		w.spend(queue.Terms{Prices: prices, Run: 500})
		w.run()
		w.is(`select run, requests, micro_usd from v_run_spend order by run`, "1|11|1100\n2|2|200")
	})
}

// However many calls are in flight, what they cost together is never more than the budget.
func TestBudgetInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = nil
		for i := range 45 {
			w.accounts = append(w.accounts, fmt.Sprintf("mat%d", i))
			w.feed.put(w.accounts[i], "posts", posts(100*i, 6))
		}
		var mu sync.Mutex
		now, most := 0, 0
		w.feed.after = func(adapters.Query, int) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(5 * time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}
		const price, budget = 1000, 82_500
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": price}, Month: budget})
		terms := w.wire
		w.wire = func(e *jobs.Engine) {
			terms(e)
			e.Lanes[0].Workers = 40
		}
		w.broke("the budget of this month is used up, $0.081 of $0.0825; goes on 1 February or with a higher month in [budget]")
		if calls := w.feed.all(); calls*price > budget || calls < 70 {
			t.Errorf("%d calls of %d with a budget of %d", calls, price, budget)
		}
		equal(t, "most in flight", most, 40)
	})
}

func TestBudgetMakesBatchesSmaller(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 7)))
		// A line is 10 tokens at 1 and at most 1000 at 2.
		w.spend(queue.Terms{Run: 2040})
		w.broke("the budget of run 1 is used up, $0.000032 of $0.00204; goes on with a higher run in [budget]")
		equal(t, "sizes", w.model.sizes(), "1 1")
		w.is(`select sum(reserved) from batch`, "0")
		w.spend(queue.Terms{Run: 4500})
		w.run()
		equal(t, "sizes", w.model.sizes(), "1 1 2 2 1")
		for id, n := range w.model.ran {
			equal(t, "runs of "+id, n, 1)
		}
		w.is(`select micro_usd, input_tokens, output_tokens from v_spend where upstream = 'openai'`, "112|70|21")
		w.is(`select distinct state from v_posts`, "done")
	})
}

func TestBudgetEndsInMatching(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 9)))
		prices := map[string]int64{"naver": 7}
		w.spend(queue.Terms{Prices: prices, Month: 30})
		w.tune = func(p *jobs.Pipeline) { p.Ask.Price = jobs.Price{} }
		w.broke("the budget of this month is used up, $0.000028 of $0.00003; goes on 1 February or with a higher month in [budget]")
		w.is(`select state, count(*) from v_mentions group by state order by state`, "place|4\nwaiting|5")
		first := w.naver.queries()
		w.spend(queue.Terms{Prices: prices})
		w.run()
		equal(t, "searches", len(first)+len(w.naver.queries()), 9)
		w.is(`select state, count(*) from v_mentions group by state`, "place|9")
		w.is(`select searches, micro_usd from v_runs`, "9|63")
	})
}

// What waits for the next month goes on when that begins.
func TestBudgetOfTheNextMonth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		midnight := time.Date(2000, 2, 1, 0, 0, 0, 0, time.FixedZone("KST", 9*3600))
		time.Sleep(time.Until(midnight.Add(-2 * time.Minute)))
		w.feed.put("mat", "posts", posts(1, 30))
		var last time.Time
		var gap time.Duration
		var mu sync.Mutex
		w.feed.after = func(adapters.Query, int) error {
			mu.Lock()
			defer mu.Unlock()
			if !last.IsZero() {
				gap = max(gap, time.Since(last))
			}
			if last.Before(midnight) && !time.Now().Before(midnight) && time.Since(midnight) > 65*time.Second {
				t.Errorf("goes on %v after midnight", time.Since(midnight))
			}
			last = time.Now()
			return nil
		}
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Month: 700})
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		w.serve(90 * time.Second)
		w.is(`select requests from v_spend`, "6")
		w.is(`select state from v_runs`, "running") // a day or less is waited for
		w.is(`select count(*) from job where state = 'live' and err like 'budget: the budget of this month is used up, $0.0006 of $0.0007; goes on 1 February or %'`, "1")
		w.serve(2 * time.Minute)
		w.is(`select day, requests, micro_usd from v_spend order by day`, "2000-01-31|6|600\n2000-02-01|5|500")
		w.is(`select state from v_runs`, "done")
		if gap < time.Minute {
			t.Errorf("never waited: %v", gap)
		}
	})
}

// What depends on calls that are under way waits for them, not for a budget: it is not known to be used up.
func TestBudgetIsSetApart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Month: 300})
		w.boot()
		free, _, _, _, err := w.store.SetApart(t.Context(), pipeline, 200, w.store.Terms())
		if err != nil || free == nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			cost  int64
			after time.Duration
			waits bool // for a budget
		}{{200, time.Second, false}, {400, time.Hour, true}} {
			e := adapters.Classify(w.engine.Afford(t.Context(), pipeline, tt.cost))
			if e == nil || e.Kind != adapters.Throttled || e.Reason != adapters.ReasonBudget || e.After != tt.after || strings.HasPrefix(e.Error(), "budget: ") != tt.waits {
				t.Errorf("%d: got %+v", tt.cost, e)
			}
		}
		free()
		if err := w.engine.Afford(t.Context(), pipeline, 200); err != nil {
			t.Error(err)
		}
	})
}

// A serve that waits for the month's end makes no calls and few commits.
func TestBudgetDoesNotSpin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 30))
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Month: 700})
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		w.serve(time.Minute)
		handed := w.query(`select sum(run) from job`)
		w.watch(`after update of state on run for each row when (new.state <> 'stopped')`, `new.state`)
		w.serveOn(6 * time.Minute)
		w.is(`select count(*) <= 2 from watched`, "1") // a process that begins anew tries once, in vain
		var before, after int
		fmt.Sscan(handed, &before)
		fmt.Sscan(w.query(`select sum(run) from job`), &after)
		if n := after - before; n > 1 { // the new process looks once
			t.Errorf("looked %d times in 6 minutes", n)
		}
		w.is(`select requests from v_spend`, "6")
		w.is(`select state, note from v_runs`, "stopped|the budget of this month is used up, $0.0006 of $0.0007; goes on 1 February or with a higher month in [budget]")
	})
}

// What a batch has kept back and did not need lets the crawl go on, within about a minute.
func TestBudgetSettled(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 9)))
		w.tune = func(p *jobs.Pipeline) { p.Ask.MaxLines, p.Ask.MaxWait = 3, time.Hour }
		w.model.took = 20 * time.Second
		w.slow("p7", 10*time.Second) // the first batch goes meanwhile
		start := time.Now()
		// Three lines keep 6030 back and cost 48.
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Run: 6500})
		r := w.run()
		equal(t, "posts", len(strings.Fields(w.stored())), 9)
		equal(t, "calls", w.feed.all(), 4)
		w.is(`select micro_usd, reserved_micro_usd, wasted_micro_usd from v_runs`, fmt.Sprintf("%d|0|0", 400+9*16))
		if took := r.Ended.Sub(start); took > 8*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// A process that dies between a reservation and its settlement loses neither the reservation nor a payment.
func TestBudgetSurvivesDeath(t *testing.T) {
	calls := []string{"create", "download", "upload", "get"}
	for _, at := range calls[:min(len(calls), scenarios)] {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", naming(posts(1, 5)))
				w.spend(queue.Terms{Prices: map[string]int64{"openai": 1}, Run: 20_000, Month: 20_000})
				var died atomic.Bool
				w.model.fault = func(call string, effect bool) error {
					if call == at && effect && died.CompareAndSwap(false, true) {
						return w.crash()
					}
					return nil
				}
				w.run()
				w.is(`select reserved_micro_usd from v_batches`, fmt.Sprint(5*2010))
				w.is(`select reserved_micro_usd from v_runs`, fmt.Sprint(5*2010))
				w.runThrough()
				w.is(`select reserved_micro_usd from v_batches`, "0")
				equal(t, "sizes", w.model.sizes(), "5")
				// The call that the death cut off was made, and is booked.
				w.is(`select requests, input_tokens, output_tokens, micro_usd, refused, repeated, failed, wasted_micro_usd from v_spend where upstream = 'openai'`,
					fmt.Sprintf("%d|50|15|%d|0|1|0|1", len(w.model.calls), len(w.model.calls)+5*16))
			})
		})
	}
}

// What is kept back for a batch shrinks as its answers are booked.
func TestReservationShrinks(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 5)))
		w.spend(queue.Terms{Run: 20_000})
		w.boot()
		w.watch(`after update on batch for each row`, `new.state || ' ' || new.reserved`)
		if _, err := w.again(false); err != nil {
			t.Fatal(err)
		}
		w.is(`select what from watched group by what order by min(n)`, "chosen 10050\nuploaded 10050\ncreating 10050\nrunning 10050\nreading 10050\nreading 9970\ndone 0")
	})
}

// Answers that were paid and cannot be had are booked with what was kept back for them.
func TestLostAnswersAreBooked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		var gone atomic.Bool
		w.model.fault = func(call string, effect bool) error {
			if call != "download" || effect || !gone.CompareAndSwap(false, true) {
				return nil
			}
			return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "openai", Err: errors.New("no such file")}
		}
		w.run()
		w.is(`select state, lines, failed from v_batches order by batch`, "done|3|3\ndone|3|0")
		w.is(`select input_tokens, output_tokens, micro_usd, repeated, failed, wasted_micro_usd from v_spend where upstream = 'openai'`,
			fmt.Sprintf("60|%d|%d|3|0|%d", 3*1000+9, 3*2010+3*16, 3*2010))
	})
}

func TestWaste(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 12)))
		w.feed.after = func(_ adapters.Query, n int) error {
			switch n {
			case 1:
				return refuse(adapters.Throttled, adapters.ReasonRate)
			case 2, 3:
				return refuse(adapters.Temporary, "")
			case 6:
				return refuse(adapters.Permanent, adapters.ReasonCursor)
			}
			return nil
		}
		w.model.fate = func(_, text string, try int) fate {
			if strings.Contains(text, "p3식당") && try == 1 {
				return fate{Err: "cut short", Reason: adapters.ReasonCut, In: 10, Out: 30}
			}
			return fate{Body: "good", In: 10, Out: 3}
		}
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 5}})
		w.run()
		calls := w.feed.all()
		w.is(`select upstream, requests, micro_usd, refused, repeated, failed, wasted_micro_usd from v_spend where upstream in ('instagram', 'openai') order by upstream`,
			fmt.Sprintf("instagram|%d|%d|1|0|3|20\nopenai|%d|%d|0|0|1|70", calls, 5*calls, len(w.model.calls), 12*16+70))
	})
}

func TestDollars(t *testing.T) {
	t.Parallel()
	for micro, want := range map[int64]string{
		0: "$0.00", 1: "$0.000001", 20_000_000: "$20.00", 1_230_000: "$1.23", 1_234_500: "$1.2345", -500_000: "-$0.50", 12_345_678_900_000: "$12345678.90",
	} {
		equal(t, "dollars", jobs.Dollars(micro), want)
	}
	for at, want := range map[string]string{
		"2026-11-30T14:59:59Z": "1 December", "2026-11-30T15:00:00Z": "1 January", "2026-12-31T23:00:00Z": "1 February", "2024-01-31T00:00:00Z": "1 February",
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, at, jobs.NextMonth(when).Format("2 January"), want)
	}
}
