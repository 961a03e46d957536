package jobs_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// The fate of single lines among good ones: what is asked again, how often, and what is dead in the end.
func TestFates(t *testing.T) {
	refusal := fate{Err: "the model refused", Reason: adapters.ReasonRefusal, Kind: adapters.Permanent, In: 10, Out: 3}
	cut := fate{Err: "the answer was cut short", Reason: adapters.ReasonCut, In: 10, Out: 3}
	invalid := fate{Err: "the answer is no JSON", Reason: adapters.ReasonInvalid, In: 10, Out: 3}
	status := fate{Err: "429 slow down", inErrs: true}
	notRun := fate{Err: "never run", Reason: adapters.ReasonNotRun, inErrs: true}
	type line struct {
		name  string
		fate  fate
		times int    // 0 = for ever
		dead  string // the reason
	}
	for batch, lines := range map[string][]line{
		"completed": {
			{"good", fate{}, -1, ""},
			{"refusal, once", refusal, 1, ""},
			{"refusal, for ever", refusal, 0, "openai: the model refused"},
			{"cut, once", cut, 1, ""},
			{"cut, for ever", cut, 0, "openai: the answer was cut short"},
			{"invalid, twice", invalid, 2, ""},
			{"invalid, for ever", invalid, 0, "openai: the answer is no JSON"},
			{"missing, once", fate{}, 1, ""},
			{"missing, for ever", fate{}, 0, "no answer came (completed)"},
			{"status, once", status, 1, ""},
			{"status, for ever", status, 0, "openai: 429 slow down"},
			{"not what was asked for, for ever", fate{Body: `{"restaurants":[{"name":7}]}`, In: 10, Out: 3}, 0, "the answer is not what was asked for"},
			{"not JSON, for ever", fate{Body: `{"restaurants":`, In: 10, Out: 3}, 0, "the answer is not what was asked for"},
		},
		"expired": {
			{"good", fate{}, -1, ""},
			{"told, once", notRun, 1, ""},
			{"told, for ever", notRun, 0, "openai: never run"},
			{"not told, once", fate{}, 1, ""},
			{"not told, for ever", fate{}, 0, "no answer came (expired)"},
		},
		"cancelled": {
			{"told, once", notRun, 1, ""},
			{"not told, for ever", fate{}, 0, "no answer came (cancelled)"},
		},
	} {
		t.Run(batch, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var ps []post
				of := map[string]line{}
				for i, l := range lines {
					p := posts(i, 1)[0]
					p.caption = l.name
					ps, of[l.name] = append(ps, p), l
				}
				w.feed.size = len(ps)
				w.feed.put("mat", "posts", ps)
				ran := map[string]int{}
				var in int64
				w.model.fate = func(_, text string, try int) fate {
					ran[text]++
					f, l := fate{Body: restaurants(), In: 10, Out: 3}, of[text]
					if l.times == 0 || try <= l.times {
						f = l.fate
					}
					in += f.In
					if batch == "completed" && f == (fate{}) {
						in += w.model.tokens // nobody tells what it cost: it counts like the others
					}
					return f
				}
				w.model.ending = func(b *fakeBatch) adapters.Batch {
					b.answer.Status = batch
					return b.answer
				}
				check := func() {
					t.Helper()
					for i, l := range lines {
						state, tries := "done", max(l.times, 0)+1
						if l.times == 0 {
							state, tries = "dead", 3
						}
						equal(t, l.name+", asked", ran[l.name], tries)
						equal(t, l.name+", post", w.query(`select state from v_posts where post = ?`, fmt.Sprintf("p%d", i)), state)
						dead := w.query(`select what, attempt, reason from v_dead where name = ?`, l.name)
						if l.dead == "" {
							equal(t, l.name+", dead", dead, "")
						} else if !strings.HasPrefix(dead, "question|3|"+l.dead) {
							t.Errorf("%s: dead %q", l.name, dead)
						}
					}
				}
				w.run()
				check()
				w.is(`select input_tokens from v_spend where upstream = 'openai'`, fmt.Sprint(in))
				w.is(`select state from v_runs`, "done")
				// A dead question stays dead in the next run, until a person says otherwise.
				w.whole()
				check()
			})
		})
	}
}

// A price that is a whole number in any writing is one, and a number that is no price is none.
func TestPrices(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.model.answer = func(string) string {
			return `{"restaurants":[{"name":"가식당","branch":null,"address":null,"area":null,"phone":null,"menu":[` +
				`{"name":"빵","price":15000.0},{"name":"떡","price":9e3},{"name":"면","price":null},{"name":"밥","price":1e30}],"ad":false,"quote":"가식당"}]}`
		}
		w.run()
		equal(t, "sizes", w.model.sizes(), "1")
		w.is(`select name, state from v_mentions`, "가식당|place")
		for _, doc := range w.sink.docs {
			if want := `"menu":[{"name":"빵","price":15000},{"name":"떡","price":9000},{"name":"면","price":null},{"name":"밥","price":null}]`; !strings.Contains(doc, want) {
				t.Errorf("got %s", doc)
			}
		}
	})
}

// What becomes of the files of answers.
func TestAnswerFiles(t *testing.T) {
	only := func(m *model, mangle func(text string, n int) string) {
		m.mangle = func(file, text string, n int) string {
			if file != "out-batch_1" {
				return text
			}
			return mangle(text, n)
		}
	}
	// Of an expired batch nobody can tell by its status that lines are missing.
	expired := func(m *model) {
		m.ending = func(b *fakeBatch) adapters.Batch {
			if b.id == "batch_1" {
				b.answer.Status = "expired"
			}
			return b.answer
		}
	}
	tests := []struct {
		name  string
		set   func(m *model)
		sizes string
		loads int // of the first output file
	}{
		{"cut once", func(m *model) {
			only(m, func(text string, n int) string {
				if n == 1 {
					return text[:len(text)-9]
				}
				return text
			})
		}, "3", 2},
		{"cut once, behind a whole line", func(m *model) {
			only(m, func(text string, n int) string {
				if n == 1 {
					return strings.Join(strings.SplitAfter(text, "\n")[:2], "")
				}
				return text
			})
		}, "3", 2},
		{"cut more with every look", func(m *model) {
			only(m, func(text string, n int) string { return text[:len(text)-10+n] })
		}, "3 1", 4},
		{"cut for ever", func(m *model) {
			only(m, func(text string, _ int) string { return text[:len(text)-9] })
		}, "3 1", 4},
		{"cut once, then a page of something else", func(m *model) {
			expired(m)
			only(m, func(text string, n int) string { return []string{text[:len(text)-9], "점검 중", text}[min(n, 3)-1] })
		}, "3", 3},
		{"a page of something else, whole", func(m *model) {
			expired(m)
			only(m, func(text string, n int) string { return []string{"<html>\n점검 중\n</html>\n", text}[min(n, 2)-1] })
		}, "3", 2},
		{"cut once, then empty", func(m *model) {
			expired(m)
			only(m, func(text string, n int) string { return []string{text[:len(text)-9], "", text}[min(n, 3)-1] })
		}, "3", 3},
		{"cut once, then behind the last whole line", func(m *model) {
			expired(m)
			only(m, func(text string, n int) string {
				return []string{text[:len(text)-9], strings.Join(strings.SplitAfter(text, "\n")[:2], ""), text}[min(n, 3)-1]
			})
		}, "3", 3},
		{"beside an empty file of errors", func(m *model) {
			m.ending = func(b *fakeBatch) adapters.Batch {
				b.answer.ErrorFile = "err-" + b.id
				m.files[b.answer.ErrorFile] = ""
				return b.answer
			}
		}, "3", 1},
		{"without a last newline", func(m *model) {
			only(m, func(text string, _ int) string { return strings.TrimSuffix(text, "\n") })
		}, "3", 1},
		{"with a line of noise", func(m *model) {
			only(m, func(text string, _ int) string { return "<html>\n\n" + text })
		}, "3", 4},
		{"with every line twice", func(m *model) {
			only(m, func(text string, _ int) string { return text + text })
		}, "3", 1},
		{"with a line of another batch", func(m *model) {
			only(m, func(text string, _ int) string { return `{"id":"v1-unknown","body":"{}"}` + "\n" + text })
		}, "3", 1},
		{"gone", func(m *model) {
			m.ending = func(b *fakeBatch) adapters.Batch {
				if b.id == "batch_1" {
					delete(m.files, b.answer.OutputFile)
				}
				return b.answer
			}
		}, "3 3", 0},
		{"never made", func(m *model) {
			m.ending = func(b *fakeBatch) adapters.Batch {
				if b.id == "batch_1" {
					b.answer.OutputFile = ""
				}
				return b.answer
			}
		}, "3 3", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.limit = time.Hour
				w.tune = func(p *jobs.Pipeline) { p.Find.Finders, p.Ask.Poll = []jobs.Finder{w.naver}, time.Minute }
				w.feed.put("mat", "posts", naming(posts(1, 3)))
				tt.set(w.model)
				began := time.Now()
				w.run()
				// Something else may be sent for minutes.
				if took := time.Since(began); tt.loads > 0 && tt.loads > 3 != (took >= 21*time.Minute) {
					t.Errorf("it took %s", took)
				}
				equal(t, "sizes", w.model.sizes(), tt.sizes)
				equal(t, "downloads", w.model.loads["out-batch_1"], tt.loads)
				w.is(`select post, n, name, state from v_mentions order by post`, "p1|0|p1식당|place\np2|0|p2식당|place\np3|0|p3식당|place")
			})
		})
	}
}

// However often the process is started while answers come incomplete, they are looked for as long as without.
func TestAnswerFilesOverStarts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		w.tune = func(p *jobs.Pipeline) { p.Find.Finders, p.Ask.Poll = []jobs.Finder{w.naver}, time.Minute }
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.model.mangle = func(_, text string, _ int) string {
			if time.Since(began) < 5*time.Minute {
				return text[:len(text)-9]
			}
			return text
		}
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		w.serveOn(90 * time.Second)
		for range 5 {
			w.serve(2 * time.Second)
		}
		equal(t, "downloads", w.model.loads["out-batch_1"], 1)
		w.serve(20 * time.Minute)
		equal(t, "downloads", w.model.loads["out-batch_1"], 3)
		equal(t, "sizes", w.model.sizes(), "3")
		w.is(`select count(*) from meta where key like 'batch.pause.%'`, "0")
	})
}

// A batch that the upstream does not know for a moment is looked at again: its lines are paid for.
func TestUnknownBatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.model.fault = once("get", false, func() error {
			return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "openai", Err: fmt.Errorf("no batch found")}
		})
		w.run()
		equal(t, "sizes", w.model.sizes(), "2")
		equal(t, "places", len(w.sink.keys()), 2)
	})
}

// Answers are taken some hundreds at a time. A crash on the way loses none and books none twice.
func TestCrashWhileReading(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const n = answers
		ps := posts(1, n)
		for i := range ps {
			ps[i].caption = fmt.Sprintf("글 %d", i)
		}
		w.feed.size = n
		w.feed.put("mat", "posts", ps)
		w.tune = func(p *jobs.Pipeline) { p.Ask.MaxLines, p.Lists = 5000, []string{"posts"} }
		w.model.answer = func(string) string { return restaurants() }
		var mu sync.Mutex // steps and lanes look at the clock at the same time
		crashed := false
		w.onNow = func() {
			mu.Lock()
			defer mu.Unlock()
			if crashed || w.model.count("download") == 0 {
				return
			}
			// The first look at the clock after some answers are in: the next ones are being written.
			if got := w.query(`select answered from v_batches where answered > 0`); got != "" {
				crashed = true
				_ = w.crash()
			}
		}
		w.run()
		w.closeStore() // what the process did to the file that is no more does not count
		if got := w.query(`select count(*) from question where state = 'answered'`); got == "0" || got == fmt.Sprint(n) {
			t.Errorf("%s answers at the crash", got)
		}
		w.runThrough()
		equal(t, "sizes", w.model.sizes(), fmt.Sprint(n))
		w.is(`select lines, answered, failed from v_batches`, fmt.Sprintf("%d|%d|0", n, n))
		w.is(`select input_tokens, output_tokens, micro_usd from v_spend where upstream = 'openai'`, fmt.Sprintf("%d|%d|%d", 10*n, 3*n, 16*n))
		w.is(`select state, count(*) from v_posts group by state`, fmt.Sprintf("done|%d", n))
	})
}
