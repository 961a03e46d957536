package jobs_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

func TestFirstRun(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 4)))
		w.run()
		equal(t, "posts", w.stored(), "p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p4")
		equal(t, "places", len(w.sink.keys()), 4)
		w.is(`select state, pages, new_posts, lists_left from v_runs`, "done|3|4|0")
		w.is(`select count(*) from job`, "0")
	})
}

// Pins stand first and are old: they neither end a walk nor move the mark.
func TestPins(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		old := posts(1, 9)
		pins := []post{pin(old[8]), pin(old[7])}
		w.feed.put("mat", "posts", pins, old[:7])
		w.run()
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "first", w.feed.calls()["mat/posts"], 3)

		// Two pins and one new post fill the first page.
		w.feed.put("mat", "posts", pins, posts(10, 1), old[:7])
		w.run()
		equal(t, "posts", w.stored(), "p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "with pins and news", w.feed.calls()["mat/posts"], 2)
		equal(t, "walk", w.walk("mat", "posts"), "idle p10")

		w.run()
		c := w.feed.calls()
		equal(t, "posts with nothing new", c["mat/posts"], 1)
		equal(t, "reels with nothing new", c["mat/reels"], 1)

		// A page of pins only says nothing about news behind it.
		w.feed.put("mat", "posts", []post{pin(old[8]), pin(old[7]), pin(old[6])}, posts(11, 1), posts(10, 1), old[:6])
		w.run()
		equal(t, "behind a page of pins", w.walk("mat", "posts"), "idle p11")

		// A new post that is pinned at once is stored; it is no news that moves the mark.
		w.feed.put("mat", "posts", []post{pin(posts(12, 1)[0])}, posts(11, 1), posts(10, 1), old)
		w.run()
		equal(t, "new and pinned", w.walk("mat", "posts"), "idle p11")
		if !strings.HasPrefix(w.stored(), "p12 ") {
			t.Errorf("got %s", w.stored())
		}
	})
}

// The mark moves only at a clean end: after a crash in the middle of a first crawl nothing is missed.
func TestCrashInFirstCrawl(t *testing.T) {
	for name, effect := range map[string]bool{"before a page": false, "after a page": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.feed.put("mat", "posts", posts(1, 12))
				crashed := false
				hit := func(q adapters.Query) bool {
					if q.List == "posts" && q.Cursor == "p7" && !crashed {
						crashed = true
						return true
					}
					return false
				}
				if effect {
					w.feed.after = func(q adapters.Query, _ int) error {
						if hit(q) {
							return w.crash()
						}
						return nil
					}
				} else {
					w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
						if hit(q) {
							return adapters.Page{}, w.crash(), true
						}
						return adapters.Page{}, nil, false
					}
				}
				w.run()
				equal(t, "walk after the crash", w.walk("mat", "posts"), "walking none")
				equal(t, "posts after the crash", w.stored(), "p12 p11 p10 p9 p8 p7")
				w.feed.calls()
				w.runThrough()
				equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
				equal(t, "walk", w.walk("mat", "posts"), "idle p12")
				equal(t, "pages asked again", w.feed.calls()["mat/posts"], 2)
				w.is(`select run, state from v_runs`, "1|done")
			})
		})
	}
}

// A list that dies on its third page is walked from the top by the next run, though its first pages are known.
func TestDeadPage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.Cursor == "p7"
		}
		w.run()
		equal(t, "walk", w.walk("mat", "posts"), "unfinished none a page could not be had: instagram: the upstream says trouble")
		w.is(`select what, name, attempt >= 3, reason from v_dead`, "job|page page:matzip:mat:posts|1|instagram: the upstream says trouble")
		w.is(`select account, list, state, unfinished_from, coalesce(unfinished_to, '') from v_gaps`, "mat|posts|unfinished|1999-01-01T07:00:00.000Z|")
		w.is(`select state from v_runs`, "done")

		broken = false
		w.run()
		equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p12")
		w.is(`select count(*) from v_gaps`, "0")
	})
}

func TestRevivedPage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.Cursor == "p7"
		}
		w.run()
		w.feed.calls()
		broken = false
		w.tx(func(tx *queue.Tx) error { return tx.Revive(deadJob(w)) })
		w.serve(5 * time.Second)
		equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p12")
		equal(t, "pages", w.feed.calls()["mat/posts"], 2)
		w.is(`select count(*) from job`, "0")
	})
}

// A new run takes over from a revived page: no two jobs walk one list.
func TestRevivedPageMeetsRun(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 12))
		broken := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Temporary, "trouble"), broken && q.Cursor == "p7"
		}
		w.run()
		w.feed.calls()
		broken = false
		w.tx(func(tx *queue.Tx) error { return tx.Revive(deadJob(w)) })
		w.run()
		equal(t, "posts", w.stored(), "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p12")
		w.is(`select state from v_runs`, "done\ndone")
	})
}

// deadJob returns the one job that is dead.
func deadJob(w *world) int64 {
	id, err := strconv.ParseInt(w.query(`select id from job where state = 'dead'`), 10, 64)
	if err != nil {
		w.tb.Fatal(err)
	}
	return id
}

// Posts that appear while a list is walked shift the rest to later pages.
func TestInsertionWhileWalking(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.offsets = true
		w.feed.put("mat", "posts", posts(1, 9))
		w.feed.after = func(q adapters.Query, _ int) error {
			if q.List == "posts" && q.Cursor == "3" {
				w.feed.put("mat", "posts", posts(10, 2), posts(1, 9))
			}
			return nil
		}
		w.run()
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p9")
		w.run()
		equal(t, "posts", w.stored(), "p11 p10 p9 p8 p7 p6 p5 p4 p3 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p11")
	})
}

// A collaboration accepted late has an old date and is new to the list: the walk goes on behind it.
func TestLateCollaboration(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		old := posts(10, 9)
		w.feed.put("mat", "posts", old)
		w.run()
		w.feed.calls()
		late := posts(1, 2)
		w.feed.put("mat", "posts", old[:2], late[:1], old[2:4], late[1:], old[4:])
		w.run()
		equal(t, "pages", w.feed.calls()["mat/posts"], 3)
		equal(t, "posts", w.stored(), "p18 p17 p16 p15 p14 p13 p12 p11 p10 p2 p1")
		equal(t, "walk", w.walk("mat", "posts"), "idle p18")
	})
}

// A post that another list brought is still new to this one.
func TestKnownFromOtherList(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 6))
		w.run()
		w.feed.calls()
		w.feed.put("mat", "reels", posts(4, 3), posts(1, 3))
		w.run()
		c := w.feed.calls()
		equal(t, "reels", c["mat/reels"], 2)
		w.is(`select post, lists from v_posts order by post limit 2`, "p1|posts,reels\np2|posts,reels")
		w.is(`select count(*), count(distinct post) from v_posts`, "6|6")
	})
}

func TestGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"mat", "other"}
		w.feed.put("mat", "posts", posts(1, 3))
		w.feed.put("other", "posts", posts(21, 3))
		w.run()
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonGone), q.Target == "mat"
		}
		for i := range 3 {
			w.feed.calls()
			w.run()
			equal(t, "asked", w.feed.calls()["mat/posts"], 1)
			equal(t, "walk", w.walk("mat", "posts"), "gone p3 instagram: the upstream says gone")
			equal(t, "misses", w.query(`select misses from v_accounts where account = 'mat'`), []string{"1", "2", "3"}[i])
		}
		w.run()
		c := w.feed.calls()
		equal(t, "asked after three runs", c["mat/posts"]+c["mat/reels"], 0)
		equal(t, "the other account", c["other/posts"], 1)
		w.is(`select state, misses, stored from v_accounts where account = 'mat'`, "gone|3|3")

		// A run that names it asks for it, and so does one over whole lists.
		if _, err := w.try(false, "mat"); err != nil {
			t.Fatal(err)
		}
		equal(t, "asked by name", w.feed.calls()["mat/posts"], 1)
		w.feed.script = nil
		w.feed.put("mat", "posts", posts(1, 4))
		w.whole()
		equal(t, "asked by a whole run", w.feed.calls()["mat/posts"], 2)
		w.is(`select state, misses, stored from v_accounts where account = 'mat'`, "ok|0|4")
		equal(t, "walk", w.walk("mat", "posts"), "idle p4")
	})
}

// A private account is asked in every run, for it may open itself at any time.
func TestPrivate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 3))
		w.run()
		shut := true
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonPrivate), shut
		}
		for range 4 {
			w.feed.calls()
			w.run()
			equal(t, "asked", w.feed.calls()["mat/posts"], 1)
		}
		equal(t, "walk", w.walk("mat", "posts"), "private p3 instagram: the upstream says private")
		w.is(`select state, misses from v_accounts`, "private|4")
		shut = false
		w.feed.put("mat", "posts", posts(1, 4))
		w.run()
		w.is(`select state, misses, stored from v_accounts`, "ok|0|4")
	})
}

// A whole walk finds what only a whole walk can: a post shown again after years, and an edited caption.
func TestWholeWalk(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := posts(1, 9)
		w.feed.put("mat", "posts", all[:6], all[7:])
		w.run()
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p2 p1")
		all[8].caption = "[새식당] 추천"
		w.feed.put("mat", "posts", all)
		w.run()
		equal(t, "an ordinary run sees neither", w.stored(), "p9 p8 p7 p6 p5 p4 p2 p1")
		w.feed.calls()
		w.whole()
		equal(t, "pages", w.feed.calls()["mat/posts"], 3)
		equal(t, "posts", w.stored(), "p9 p8 p7 p6 p5 p4 p3 p2 p1")
		w.is(`select post, name, state from v_mentions`, "p1|새식당|place")
		w.is(`select what, new_posts, changed from v_runs order by run desc limit 1`, "whole lists|1|1")
	})
}

// A run ends when crawl, batches, matches and delivery have ended, also when there is nothing to do.
func TestRunEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{}
		w.run()
		w.is(`select state, pages from v_runs`, "done|0")

		w.accounts = []string{"mat", "mat", "other"}
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		r := w.run()
		if r.Crawled.After(r.Ended) || r.Ended.Sub(r.Crawled) < w.model.took {
			t.Errorf("crawled %v, ended %v", r.Crawled, r.Ended)
		}
		equal(t, "delivered", len(w.sink.keys()), 1)
		equal(t, "asked once though named twice", w.feed.calls()["mat/posts"], 1)
	})
}

// The list that has most pages left goes first; a list whose length nobody knows goes before all.
func TestLongestListFirst(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.accounts = []string{"short", "long"}
		w.wire = func(e *jobs.Engine) { e.Lanes[0].Workers = 1 }
		total := map[string]int{"short": 6, "long": 12}
		w.feed.put("short", "posts", posts(1, 6))
		w.feed.put("long", "posts", posts(21, 12))
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			if q.List == "posts" {
				pg.Total = total[q.Target]
			}
			return pg, nil, true
		}
		w.run()
		var order []string
		for _, q := range w.feed.asked {
			if q.List == "posts" && q.Cursor != "" {
				order = append(order, q.Target)
			}
		}
		equal(t, "order", strings.Join(order, " "), "long long short long")
	})
}
