package jobs_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// What an expired batch has answered was paid, also when both of its files are gone.
func TestLostAnswersOfAnExpiredBatchAreBooked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.model.ending = func(b *fakeBatch) adapters.Batch {
			if b.id == "batch_1" {
				b.answer.Status, b.answer.ErrorFile = "expired", "err-"+b.id
				delete(w.model.files, b.answer.OutputFile)
			}
			return b.answer
		}
		w.run()
		w.is(`select state, status, lines, failed, substr(note, 1, 17) from v_batches order by batch`, "done|expired|3|3|answers are gone:\ndone|completed|3|0|")
		w.is(`select input_tokens, output_tokens, micro_usd, repeated from v_spend where upstream = 'openai'`,
			fmt.Sprintf("60|%d|%d|3", 3*1000+9, 3*2010+3*16))
	})
}

// A run that a budget has stopped goes on as soon as there is nothing to stop for, although another lane waits for a person.
func TestBudgetBesideAStoppedLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		midnight := time.Date(2000, 2, 1, 0, 0, 0, 0, time.FixedZone("KST", 9*3600))
		time.Sleep(time.Until(midnight.Add(-24*time.Hour - 3*time.Minute)))
		w.feed.put("mat", "posts", naming(posts(1, 30)))
		w.tune = func(p *jobs.Pipeline) { p.Ask.Price, p.Ask.MaxWait, p.Ask.MaxLines = jobs.Price{}, time.Second, 2 }
		w.sink.fault = func([]adapters.Record) error {
			return &adapters.Error{Kind: adapters.NeedsHuman, Upstream: "mongo", Err: errors.New("wrong password")}
		}
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Month: 700})
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		w.serve(2 * time.Minute)
		w.is(`select state from v_runs`, "stopped")
		w.serve(5 * time.Minute) // the new month is less than a day away now, which is waited for
		w.is(`select state, note from v_runs`, "running|")
		w.is(`select lane from lane_stop`, "mongo")
	})
}

// A batch that meets another call at the end of a budget becomes smaller, and the run goes on.
func TestBatchMeetsAnotherCall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.tune = func(p *jobs.Pipeline) { p.Lists = []string{"posts"} }
		var met atomic.Bool // many look at the clock
		w.onNow = func() {
			var pcs [40]uintptr
			at := ""
			for fs := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])]); ; {
				f, more := fs.Next()
				at += f.Function + " "
				if !more {
					break
				}
			}
			if strings.Contains(at, ").afford ") && strings.Contains(at, ").form ") && met.CompareAndSwap(false, true) {
				w.exec(`insert into usage values (?, 1, 'naver', 'request', 1, 1)`, time.Now().Format(time.DateOnly))
			}
		}
		// Three lines keep back all there is.
		w.spend(queue.Terms{Run: 3 * 2010})
		w.run()
		equal(t, "met", met.Load(), true)
		equal(t, "sizes", w.model.sizes(), "2 1")
	})
}

// An upstream that no job needs any more may be back: nobody is told that it is away.
func TestTellOfNoOldOutage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := serving(w)
		w.boot()
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
		w.exec(`insert into outage values ('naver', ?, ?, 'status 502', 3)`, at(-20*time.Minute), at(5*time.Minute))
		w.tell(3 * time.Hour)
		p.is(t, "nothing")
		w.exec(`update outage set since = ?, next_at = ?`, at(-70*time.Minute), at(5*time.Minute))
		w.tell(10 * time.Minute)
		p.is(t, "while it is looked at", "outage:naver")
	})
}

// Where no process works when the month begins, what waits no longer waits for the month's budget.
func TestBudgetOfAMonthThatIsOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 30))
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Month: 700})
		if _, err := w.try(false); err == nil {
			t.Fatal("not stopped")
		}
		time.Sleep(31 * 24 * time.Hour)
		ws, err := jobs.BudgetWaits(t.Context(), w.store)
		if err != nil || len(ws) != 1 || !strings.HasPrefix(ws[0].Reason, "the budget of the last month was used up; a new one has begun") {
			t.Errorf("%v %v", ws, err)
		}
	})
}

// A page by the id of a renamed account that does not say its name does not take the name away.
func TestRenamedKeepsItsName(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		name := "맛집일기"
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			pg.ID, pg.Name = "77", name
			return pg, nil, true
		}
		w.feed.put("mat", "posts", posts(1, 2))
		w.run()
		name = "77"
		w.run()
		w.is(`select upstream_id, renamed_to from v_accounts`, "77|맛집일기")
	})
}

// A silence is over with the first post of any list, whatever becomes of the others.
func TestSilenceEndsWithOneList(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		w.run()
		w.is(`select silent_since from v_accounts`, "1999-01-01T12:00:00.000Z")
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), q.List == "reels"
		}
		w.run()
		w.is(`select silent_since from v_accounts`, "1999-01-01T12:00:00.000Z")
		w.feed.put("mat", "posts", []post{{key: "새글", at: time.Now().Add(-time.Hour), caption: "🍜"}}, posts(1, 12))
		w.run()
		w.is(`select coalesce(silent_since, '-') from v_accounts`, "-")
	})
}
