package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// told is what a person was told: a line a message, the keys of its notices.
type told struct {
	messages []string
	at       []time.Time
	tries    int
	deaf     time.Time // until then nobody answers
}

func (p *told) wire(e *jobs.Engine) {
	e.Notify = func(_ context.Context, ns []adapters.Notice) error {
		p.tries++
		if time.Now().Before(p.deaf) {
			return errors.New("no answer")
		}
		var keys []string
		for _, n := range ns {
			keys = append(keys, n.Key)
		}
		p.messages, p.at = append(p.messages, strings.Join(keys, " ")), append(p.at, time.Now())
		return nil
	}
}

func (p *told) is(t *testing.T, what string, want ...string) {
	t.Helper()
	equal(t, what, strings.Join(p.messages, "\n"), strings.Join(want, "\n"))
}

// sometimes lets the pipeline run every hour.
func sometimes(p *jobs.Pipeline) {
	p.Spec, p.Next = "1h", func(t time.Time) time.Time { return t.Add(time.Hour) }
}

// serving is a world that serves and tells.
func serving(w *world) *told {
	p := &told{}
	w.wire, w.tune = p.wire, sometimes
	return p
}

func wrongKey(q adapters.Query) (adapters.Page, error, bool) {
	return adapters.Page{}, refuse(adapters.NeedsHuman, adapters.ReasonKey), true
}

// What a wrong key brings about is one message, however long it stays wrong and however often the process starts.
func TestTellOfAWrongKey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := serving(w)
		w.feed.put("mat", "posts", posts(1, 3))
		w.feed.script = wrongKey
		start := time.Now()
		w.serve(20 * time.Minute)
		p.is(t, "at first", "lane:instagram run:matzip")
		if d := p.at[0].Sub(start); d > 3*time.Minute {
			t.Errorf("told after %v", d)
		}
		w.serve(5 * time.Minute)
		w.serve(5 * time.Minute)
		p.is(t, "after two more starts", "lane:instagram run:matzip")

		// It was put right: the next time is news.
		w.feed.script = nil
		w.serve(80 * time.Minute)
		p.is(t, "when it is right", "lane:instagram run:matzip")
		w.is(`select count(*) from notice`, "0")
		w.feed.script = wrongKey
		w.serve(70 * time.Minute)
		p.is(t, "wrong again", "lane:instagram run:matzip", "lane:instagram run:matzip")
	})
}

// tell lets a new process tell for some time of the bubble and do nothing else.
func (w *world) tell(d time.Duration) {
	w.boot()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	w.engine.Tell(ctx)
}

// A message that cannot be sent is tried again with growing pauses, and given up after a day.
func TestTellWhenNobodyAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		w.run()
		p := serving(w)
		p.deaf = time.Now().Add(26 * time.Hour)
		w.tell(26 * time.Hour)
		if p.tries < 20 || p.tries > 40 {
			t.Errorf("%d tries in a day", p.tries)
		}
		w.tell(time.Hour)
		p.is(t, "given up")
	})
}

func TestTellLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		w.run()
		p := serving(w)
		p.deaf = time.Now().Add(10 * time.Hour)
		w.tell(12 * time.Hour)
		p.is(t, "told when somebody answers again", "silent:matzip:mat:1999-01-01T12:00:00.000Z")
		w.tell(time.Hour)
		equal(t, "messages after another start", len(p.messages), 1)
	})
}

// What begins within half a minute is one message.
func TestTellTogether(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"mat", "other"}
		w.feed.put("mat", "posts", posts(1, 12))
		w.feed.put("other", "posts", posts(101, 3))
		w.run()
		p := serving(w)
		time.AfterFunc(70*time.Second, func() {
			w.tx(func(tx *queue.Tx) error {
				return tx.KeepSeen(pipeline, "other", 3, day0)
			})
		})
		w.tell(5 * time.Minute)
		p.is(t, "both", "silent:matzip:mat:1999-01-01T12:00:00.000Z silent:matzip:other:1999-01-01T00:00:00.000Z")
	})
}

// Troubles that come one after the other are no more than a message every ten minutes.
func TestTellInDigests(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := serving(w)
		w.accounts = nil
		for i := range 30 {
			name := fmt.Sprintf("조용한%02d", i)
			w.accounts = append(w.accounts, name)
			w.feed.put(name, "posts", posts(1+20*i, 12))
		}
		w.feed.size = 12
		w.feed.after = func(adapters.Query, int) error {
			time.Sleep(30 * time.Second)
			return nil
		}
		w.serve(45 * time.Minute)
		silent := 0
		for i, m := range p.messages {
			silent += len(strings.Fields(m))
			if i > 0 && p.at[i].Sub(p.at[i-1]) < 10*time.Minute {
				t.Errorf("messages at %v and %v", p.at[i-1], p.at[i])
			}
		}
		equal(t, "accounts told of", silent, 30)
		if len(p.messages) < 2 || len(p.messages) > 5 {
			t.Errorf("%d messages: %q", len(p.messages), p.messages)
		}
	})
}

// A run that somebody started tells at its end what stands, once.
func TestRunTells(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := &told{}
		w.wire = p.wire
		w.feed.put("mat", "posts", posts(1, 9))
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.Cursor == "p7"
		}
		w.run()
		day := time.Now().UTC().Format(time.DateOnly)
		first := "dead:matzip:job:" + day + " unfinished:matzip"
		p.is(t, "after the first", first)
		w.run()
		p.is(t, "a gap that stays is told, what was told is not", first, "gap:matzip:mat:posts")
		w.run()
		p.is(t, "once", first, "gap:matzip:mat:posts")
		broken = false
		w.run()
		time.Sleep(2 * time.Hour)
		w.run()
		w.is(`select count(*) from notice`, "0")
		p.is(t, "the end of trouble is not told", first, "gap:matzip:mat:posts")
	})
}

// A budget that is used up and an upstream that is away for long are told like other trouble.
func TestWaitingIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := &told{}
		w.spend(queue.Terms{Prices: map[string]int64{"instagram": 100}, Run: 700})
		terms := w.wire
		w.wire = func(e *jobs.Engine) {
			terms(e)
			p.wire(e)
		}
		w.feed.put("mat", "posts", posts(1, 30))
		w.broke("the budget of run 1 is used up, $0.0006 of $0.0007; goes on with a higher run in [budget]")
		told := "run:matzip budget:matzip"
		p.is(t, "a budget", told)

		w.spend(queue.Terms{})
		terms = w.wire
		w.wire = func(e *jobs.Engine) {
			terms(e)
			p.wire(e)
			e.Lanes[0].Backoff = queue.Backoff{Base: time.Second, Cap: 5 * time.Minute}
		}
		w.feed.script = func(adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, &adapters.Error{Kind: adapters.Temporary, Upstream: "instagram", Reason: adapters.ReasonUnreachable, Err: errors.New("육개장집이 닫혔다")}, true
		}
		w.serve(40 * time.Minute)
		p.is(t, "away for less than an hour", told)
		w.serve(40 * time.Minute)
		p.is(t, "away for longer", told, "outage:instagram")
	})
}

// A stop while a message is on its way does not wait for the other side.
func TestStopWhileTelling(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = sometimes
		w.wire = func(e *jobs.Engine) {
			e.Notify = func(ctx context.Context, _ []adapters.Notice) error {
				<-ctx.Done()
				return ctx.Err()
			}
		}
		w.feed.script = wrongKey
		start := time.Now()
		w.serve(10 * time.Minute)
		if d := time.Since(start); d > 11*time.Minute {
			t.Errorf("stopped after %v", d)
		}
		w.is(`select count(*) from notice where told_at is not null`, "0")
	})
}
