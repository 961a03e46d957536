package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// slow lets one page of a list take its time, so that the crawl goes on while batches could go.
func (w *world) slow(cursor string, d time.Duration) {
	w.feed.after = func(q adapters.Query, _ int) error {
		if q.List == "posts" && string(q.Cursor) == cursor {
			time.Sleep(d)
		}
		return nil
	}
}

// sent returns when each batch was created, counted from the start of the world.
func (m *model) sent(start time.Time) []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var at []time.Duration
	for _, b := range m.batches {
		at = append(at, b.at.Sub(start))
	}
	return at
}

func TestBatchGoes(t *testing.T) {
	t.Run("when it is full", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			w.tune = func(p *jobs.Pipeline) { p.Ask.MaxLines = 3 }
			w.feed.put("mat", "posts", naming(posts(1, 7)))
			w.slow("p2", 8*time.Second) // the seventh post comes late
			r := w.run()
			equal(t, "sizes", w.model.sizes(), "3 3 1")
			at := w.model.sent(start)
			if crawled := r.Crawled.Sub(start); at[0] > 4*time.Second || at[1] > 4*time.Second || at[2] < crawled {
				t.Errorf("sent at %v, crawled at %v", at, crawled)
			}
		})
	})
	t.Run("when it has bytes enough", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.tune = func(p *jobs.Pipeline) { p.Ask.MaxBytes = 200 } // a line has about 80
			w.feed.put("mat", "posts", naming(posts(1, 5)))
			w.run()
			w.is(`select lines from v_batches order by batch`, "2\n2\n1")
		})
	})
	t.Run("when the crawl has ended", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			w.tune = func(p *jobs.Pipeline) { p.Ask.MaxWait = time.Hour }
			w.feed.put("mat", "posts", naming(posts(1, 4)))
			w.slow("p2", 6*time.Second)
			r := w.run()
			equal(t, "sizes", w.model.sizes(), "4")
			if late := w.model.sent(start)[0] - r.Crawled.Sub(start); late < 0 || late > 2*time.Second {
				t.Errorf("sent %v after the crawl", late)
			}
		})
	})
	t.Run("when it has waited long enough", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			w.tune = func(p *jobs.Pipeline) { p.Ask.MaxWait = 5 * time.Second }
			w.feed.put("mat", "posts", naming(posts(1, 4)))
			w.slow("p2", 15*time.Second)
			w.run()
			equal(t, "sizes", w.model.sizes(), "3 1")
			if at := w.model.sent(start)[0]; at < 5*time.Second || at > 7*time.Second {
				t.Errorf("sent at %v", at)
			}
		})
	})
	t.Run("at once with lines to be asked again", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			w.tune = func(p *jobs.Pipeline) { p.Ask.MaxWait = 5 * time.Second }
			w.feed.put("mat", "posts", naming(posts(1, 4)))
			w.slow("p2", 20*time.Second)
			w.model.fate = func(_, text string, try int) fate {
				if strings.Contains(text, "p3식당") && try == 1 {
					return fate{Err: "cut short", Reason: adapters.ReasonCut, In: 10, Out: 3}
				}
				return fate{Body: "good", In: 10, Out: 3}
			}
			w.run()
			equal(t, "sizes", w.model.sizes(), "3 1 1")
			if at := w.model.sent(start); at[1]-at[0] > 3*time.Second {
				t.Errorf("sent at %v", at)
			}
			equal(t, "places", len(w.sink.keys()), 4)
		})
	})
}

// A batch's file is uploaded, its creation is written down, and only then it is created.
func TestOrderOfCreation(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		var seen []string
		w.model.fault = func(call string, effect bool) error {
			if !effect && call != "get" && call != "download" {
				seen = append(seen, call+" "+w.query(`select state || iif(shard = '', ' without', ' with') || ' shard' from batch`))
			}
			return nil
		}
		w.run()
		equal(t, "calls", strings.Join(seen, ", "), "upload chosen without shard, create creating with shard")
		w.is(`select state, lines, answered, failed from v_batches`, "done|2|2|0")
		for _, b := range w.model.batches {
			if !strings.Contains(b.file, b.shard+".jsonl") {
				t.Errorf("file %s of shard %s", b.file, b.shard)
			}
		}
	})
}

// One caption is one question, whoever writes it and however often it comes back.
func TestAskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"mat", "other"}
		a, b := posts(1, 3), posts(21, 2)
		for _, p := range [][]post{a, b} {
			for i := range p {
				p[i].caption = "[을지로골목집] 또 갔다"
			}
		}
		b[0].caption = "  [을지로골목집] 또 갔다\n"
		b[1].caption = "🍜🍜" // names nothing
		w.feed.put("mat", "posts", a)
		w.feed.put("other", "posts", b)
		w.feed.put("other", "reels", b)
		w.run()
		equal(t, "sizes", w.model.sizes(), "1")
		w.is(`select post, name, state from v_mentions order by post`, "p1|을지로골목집|place\np2|을지로골목집|place\np22|을지로골목집|place\np3|을지로골목집|place")
		w.is(`select post, state from v_posts where state <> 'done'`, "p21|skipped")
		w.is(`select mentions, accounts from v_places`, "4|2")

		w.whole()
		equal(t, "after a whole walk", w.model.sizes(), "1")
		w.feed.put("mat", "posts", []post{{key: "p9", at: day0.Add(9 * time.Hour), caption: a[0].caption}}, a)
		w.run()
		equal(t, "after a new post with the same caption", w.model.sizes(), "1")
		w.is(`select mentions from v_places`, "5")
		equal(t, "and nobody searched again", len(w.naver.queries()), 1)
	})
}

// An edited caption is a new question; its answer replaces the mentions.
func TestEditedCaption(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ps := posts(1, 1)
		ps[0].caption = "[가나식당] [다라식당]"
		w.feed.put("mat", "posts", ps)
		w.run()
		w.is(`select name from v_mentions order by n`, "가나식당\n다라식당")
		equal(t, "delivered", len(w.sink.keys()), 2)

		ps[0].caption = "[다라식당] 이전했어요"
		w.feed.put("mat", "posts", ps)
		w.run()
		w.is(`select name, state from v_mentions order by n`, "다라식당|place")
		w.is(`select name from v_places`, "다라식당")
		equal(t, "delivered", len(w.sink.keys()), 1)
		equal(t, "sizes", w.model.sizes(), "1 1")

		// The old words again: their answer is known.
		ps[0].caption = "[가나식당] [다라식당]"
		w.feed.put("mat", "posts", ps)
		w.run()
		w.is(`select name, state from v_mentions order by n`, "가나식당|place\n다라식당|place")
		equal(t, "sizes", w.model.sizes(), "1 1")

		ps[0].caption = "🍜"
		w.feed.put("mat", "posts", ps)
		w.run()
		w.is(`select count(*) from v_mentions`, "0")
		w.is(`select state from v_posts`, "skipped")
		equal(t, "delivered", len(w.sink.keys()), 0)
		equal(t, "sizes", w.model.sizes(), "1 1")
	})
}

// The tokens of all batches under way stay below what the model's queue takes.
func TestTokenBudget(t *testing.T) {
	for _, budget := range []int64{30, 35, 10} {
		t.Run(fmt.Sprint(budget), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.tune = func(p *jobs.Pipeline) { p.Ask.EnqueuedTokens = budget }
				w.feed.put("mat", "posts", naming(posts(1, 4)))
				most := int64(0)
				w.model.fault = func(string, bool) error {
					w.model.mu.Lock()
					defer w.model.mu.Unlock()
					most = max(most, w.model.inFlight())
					return nil
				}
				w.run()
				want := map[int64]string{30: "3 1", 35: "3 1", 10: "1 1 1 1"}[budget]
				equal(t, "sizes", w.model.sizes(), want)
				if most > budget {
					t.Errorf("%d tokens under way", most)
				}
				equal(t, "places", len(w.sink.keys()), 4)
			})
		})
	}
}

// A model without a budget whose upstream holds less than a batch: the limit is learnt and the batch is split.
func TestTokenLimitIsLearnt(t *testing.T) {
	problem := func(limit int64) []adapters.Problem {
		return []adapters.Problem{{Code: "token_limit_exceeded", Message: "Enqueued token limit reached for gpt-시험.", Limit: limit}}
	}
	for _, tt := range []struct {
		name  string
		named bool // the message names the limit
		early bool // it is said at creation, not while the batch is validated
		sizes string
		learn string
	}{
		{"named", true, false, "6 3 3", "30"},
		{"not named", false, false, "6 3 3", "~120"}, // each batch that went through doubles the guess
		{"named at creation", true, true, "3 3", "30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", naming(posts(1, 6)))
				limit := int64(0)
				if tt.named {
					limit = 30
				}
				refused := 0
				if tt.early {
					w.model.early = func(tokens int64) []adapters.Problem {
						if tokens <= 30 {
							return nil
						}
						refused++
						return problem(limit)
					}
				} else {
					w.model.refuse = func(b *fakeBatch) []adapters.Problem {
						if b.tokens <= 30 {
							return nil
						}
						refused++
						return problem(limit)
					}
				}
				w.run()
				equal(t, "sizes", w.model.sizes(), tt.sizes)
				equal(t, "refused", refused, 1)
				equal(t, "places", len(w.sink.keys()), 6)
				w.is(`select max(attempt) from question`, "0")
				w.is(`select value from meta where key like 'batch.tokens.%'`, tt.learn)
			})
		})
	}
}

// While another batch of the model is under way, it is the queue that is full: the same lines go again when that one ends.
func TestTokenLimitWaitsForAnother(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		start := time.Now()
		w.tune = func(p *jobs.Pipeline) { p.Ask.MaxLines = 3 }
		w.model.took = 3 * time.Second
		w.feed.put("mat", "posts", naming(posts(1, 6)))
		w.model.refuse = func(b *fakeBatch) []adapters.Problem {
			if first := w.model.batches[0]; b != first && time.Since(first.at) < w.model.took {
				return []adapters.Problem{{Code: "token_limit_exceeded", Message: "Enqueued token limit reached", Limit: 30}}
			}
			return nil
		}
		w.run()
		equal(t, "sizes", w.model.sizes(), "3 3 3")
		equal(t, "the same lines", w.model.texts(2), w.model.texts(1))
		if at := w.model.sent(start); at[2]-at[0] < w.model.took {
			t.Errorf("sent at %v", at)
		}
		w.is(`select max(attempt) from question`, "0")
		w.is(`select count(*) from meta where key like 'batch.tokens.%'`, "0")
		equal(t, "places", len(w.sink.keys()), 6)
	})
}

// One line that is more than the model's queue takes dies alone, after its attempts.
func TestTokenLimitOfOneLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.model.refuse = func(*fakeBatch) []adapters.Problem {
			return []adapters.Problem{{Code: "token_limit_exceeded", Message: "Enqueued token limit reached"}}
		}
		w.run()
		w.is(`select what, attempt, reason from v_dead`, "question|3|token_limit_exceeded: Enqueued token limit reached")
	})
}

// One bad line refuses a whole batch: it alone dies, the others go again and their attempts are not counted.
func TestBadLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 4)))
		bad := ""
		w.model.refuse = func(b *fakeBatch) []adapters.Problem {
			for i, l := range b.lines {
				if strings.Contains(l.Text, "p2식당") {
					bad = l.ID
					return []adapters.Problem{{Code: "invalid_json_line", Message: "This line is not parseable as valid JSON.", Line: i + 1}}
				}
			}
			return nil
		}
		w.run()
		equal(t, "sizes", w.model.sizes(), "4 3")
		w.is(`select what, id, reason from v_dead`, "question|"+bad+"|invalid_json_line: This line is not parseable as valid JSON.")
		w.is(`select max(attempt) from question`, "0")
		w.is(`select post, state from v_posts order by post`, "p1|done\np2|dead\np3|done\np4|done")
		w.is(`select batch, state, lines, failed from v_batches order by batch`, "1|refused|4|3\n2|done|3|0")
	})
}

// A text that cannot be put into a line at all dies before anything is sent.
func TestImpossibleLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ps := naming(posts(1, 2))
		ps[0].caption = "담을 수 없음"
		w.feed.put("mat", "posts", ps)
		w.run()
		equal(t, "sizes", w.model.sizes(), "1")
		w.is(`select what, name, reason from v_dead`, "question|담을 수 없음|this text cannot be put into a batch")
	})
}

// A model that takes no batches stops the lane with a sentence; no line is lost, and with another model all is well.
func TestModelNotFound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.model.refuse = func(b *fakeBatch) []adapters.Problem {
			var ps []adapters.Problem
			for i := range b.lines {
				ps = append(ps, adapters.Problem{Code: "model_not_found", Message: "The provided model is not supported by the Batch API.", Line: i + 1})
			}
			return ps
		}
		_, err := w.try(false)
		want := `the model "gpt-시험" does not take batches, change [openai] model: The provided model is not supported by the Batch API.`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		w.is(`select count(*), sum(case when state = 'waiting' then 1 else 0 end), max(attempt) from question`, "3|3|0")
		w.is(`select count(*) from v_dead`, "0")
		w.is(`select reason from lane_stop`, want)

		w.model.refuse = nil
		w.model.name = "gpt-다른것"
		w.run()
		equal(t, "places", len(w.sink.keys()), 3)
		w.is(`select model, state from v_batches order by batch`, "gpt-시험|refused\ngpt-다른것|done")
	})
}

// A batch that nobody can explain is tried again a few times, then its lines are dead with the reason.
func TestRefusedWithoutALine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.model.refuse = func(*fakeBatch) []adapters.Problem {
			return []adapters.Problem{{Code: "invalid_request", Message: "Cannot find file"}}
		}
		w.run()
		equal(t, "sizes", w.model.sizes(), "2 2 2")
		w.is(`select what, attempt, reason from v_dead`, "question|3|invalid_request: Cannot find file\nquestion|3|invalid_request: Cannot find file")
	})
}

// A webhook makes the next look at a batch come now.
func TestHurriedBatch(t *testing.T) {
	for _, hurry := range []bool{false, true} {
		t.Run(fmt.Sprint(hurry), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				start := time.Now()
				w.tune = func(p *jobs.Pipeline) { p.Ask.Poll = 20 * time.Second }
				w.feed.put("mat", "posts", naming(posts(1, 1)))
				w.boot()
				go func() {
					time.Sleep(5 * time.Second)
					if hurry {
						w.tx(func(tx *queue.Tx) error {
							b, err := tx.BatchByUpstream("batch_1")
							if err != nil {
								return err
							}
							return tx.Hurry(jobs.BatchKey(b.ID))
						})
					}
				}()
				r, err := w.again(false)
				if err != nil {
					t.Fatal(err)
				}
				took := r.Ended.Sub(start)
				if hurry != (took < 10*time.Second) || took > 30*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A file that is no longer there when its batch is created, because somebody has removed it or the key is that of another project
// by now, goes up again. One that never stays is for a person.
func TestUploadIsGone(t *testing.T) {
	for _, often := range []int{1, 3, 4} {
		t.Run(fmt.Sprintf("%d times", often), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				left := often
				w.model.fault = func(call string, effect bool) error {
					if call != "create" || effect || left == 0 {
						return nil
					}
					left--
					return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "openai", Err: errors.New("404: No such File object")}
				}
				w.feed.put("mat", "posts", naming(posts(1, 3)))
				if often > 3 {
					if _, err := w.try(false); err == nil || !strings.Contains(err.Error(), "the batch was not accepted: 404: No such File object") {
						t.Errorf("got %v", err)
					}
					equal(t, "uploads", w.model.count("upload"), often)
					w.run() // the person has mended it
					equal(t, "uploads", w.model.count("upload"), often+1)
					w.is(`select state, answered from v_batches`, "done|3")
					return
				}
				w.run()
				equal(t, "uploads", w.model.count("upload"), often+1)
				equal(t, "sizes", w.model.sizes(), "3")
				w.is(`select state, answered from v_batches`, "done|3")
			})
		})
	}
}
