package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// mentionOf returns the n-th mention of a post.
func (w *world) mentionOf(post string, n int) queue.Mention {
	w.tb.Helper()
	if w.store == nil {
		w.boot()
	}
	ms, err := w.store.Reviews(context.Background(), queue.ReviewFilter{Post: post, All: true}, 0, 100)
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, m := range ms {
		if m.N == n {
			return m
		}
	}
	w.tb.Fatalf("post %s has no mention %d", post, n)
	return queue.Mention{}
}

func (w *world) one() queue.One { return jobs.Together([]string{"naver", "kakao"}, false) }

// label lets a person decide the n-th mention of a post.
func (w *world) label(post string, n, choice int) {
	w.tb.Helper()
	m := w.mentionOf(post, n)
	choices, _, err := jobs.Choices(context.Background(), w.store, m)
	if err == nil {
		err = jobs.Label(context.Background(), w.store, m.ID, choices, choice, "사장님", w.one())
	}
	if err != nil {
		w.tb.Fatal(err)
	}
}

// far is a place that no scorer takes for the one of that name.
func far(name string) adapters.Candidate {
	return adapters.Candidate{Finder: "naver", Name: name + " 분점", Category: "음식점>한식", RoadAddress: "부산 중구 광복로 7", Link: "https://example.com/far", Lat: 35.1, Lng: 129.03}
}

// A label is against what the scorer is certain of, and wins whatever happens afterwards.
func TestLabelSurvives(t *testing.T) {
	const decided = `select post, m.name, m.state, coalesce(p.name, '-'), m.reason, labelled_by from v_mentions m left join place p on p.id = m.place where labelled_by is not null order by post`
	const want = "p1|p1식당|none|-|decided by a person|사장님\np2|p2식당|place|p2식당 분점|decided by a person|사장님"
	start := func(w *world) *archive {
		a := w.archived()
		w.naver.find = func(q string) ([]adapters.Candidate, error) {
			words := strings.Fields(q)
			name := words[len(words)-1]
			return []adapters.Candidate{place("naver", name), far(name)}, nil
		}
		w.feed.put("mat", "posts", naming(posts(1, 4)))
		w.run()
		w.is(`select count(*) from v_mentions where state = 'place' and score > 0.9`, "4")
		w.label("p1", 0, jobs.None)
		w.label("p2", 0, 1)
		w.is(decided, want)
		w.is(`select count(*) from outbox`, "3") // the two that were, and the one that is
		return a
	}
	t.Run("replay", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start(w)
			w.replay(records, jobs.Replayed{Looked: 4})
			w.replay(extractions, jobs.Replayed{Looked: 4, Left: map[string]int{"decided by hand": 2}})
			w.is(decided, want)
			w.run()
			w.is(decided, want)
			equal(t, "delivered", len(w.sink.keys()), 3)
		})
	})
	t.Run("replay of captions that are read otherwise", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a := start(w)
			a.now = func(_, caption string) string { return "오늘은 " + caption }
			w.replay(records, jobs.Replayed{Looked: 4, Changed: 4})
			w.naver.queries()
			w.run()
			w.is(decided, want)
			w.is(`select count(*) from v_mentions where state = 'place'`, "3")
			w.is(`select count(*) from v_labels where in_force = 1`, "2")
			equal(t, "delivered", len(w.sink.keys()), 3)
		})
	})
	t.Run("edited captions", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start(w)
			edited := naming(posts(1, 4))
			edited[3].caption = "고쳐 씀 [p1식당] [p9식당]" // p1
			edited[2].caption = "[p9식당] 하고 [p2식당]"
			w.feed.put("mat", "posts", edited)
			w.whole()
			w.is(decided, want)
			w.is(`select post, name, state from v_mentions where name = 'p9식당' order by post`, "p1|p9식당|place\np2|p9식당|place")
			// The name goes, and comes back.
			edited[2].caption = "[p9식당]"
			w.feed.put("mat", "posts", edited)
			w.whole()
			w.is(`select count(*) from place where name = 'p2식당 분점'`, "0")
			edited[2].caption = "[p2식당] 다시"
			w.feed.put("mat", "posts", edited)
			w.whole()
			w.is(decided, want)
		})
	})
	t.Run("another finder", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start(w)
			tune := w.tune
			w.tune = func(p *jobs.Pipeline) {
				tune(p)
				p.Find.Finders, p.Find.Always = []jobs.Finder{w.kakao, w.naver}, true
			}
			edited := naming(posts(1, 4))
			for i := range edited {
				edited[i].caption += " 또 왔어요"
			}
			w.feed.put("mat", "posts", edited)
			w.whole()
			w.is(decided, want)
			w.is(`select name, finder from v_places order by name`, "p2식당 분점|naver\np3식당|kakao\np4식당|kakao")
		})
	})
	t.Run("while it is matched anew", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start(w)
			w.feed.put("mat", "posts", naming(posts(5, 1)), naming(posts(1, 4)))
			w.naver.find = func(string) ([]adapters.Candidate, error) {
				w.label("p5", 0, jobs.None) // a person is faster
				return []adapters.Candidate{place("naver", "p5식당")}, nil
			}
			w.run()
			w.is(`select state, reason from v_mentions where post = 'p5'`, "none|decided by a person")
			w.is(`select count(*) from v_jobs`, "0")
		})
	})
	t.Run("taken back", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start(w)
			edited := naming(posts(1, 4))
			edited[2].caption = "[p2식당] 새로"
			w.feed.put("mat", "posts", edited)
			w.whole()
			for post, again := range map[string]bool{"p1": false, "p2": true} { // nothing is known any more of what the scorer thought of p2
				got, err := jobs.Unlabel(t.Context(), w.store, w.mentionOf(post, 0), "naver", w.one())
				if err != nil || got != again {
					t.Errorf("%s: matched anew %v, %v", post, got, err)
				}
			}
			w.is(`select post, state from v_mentions where post in ('p1', 'p2') order by post`, "p1|place\np2|waiting")
			w.run()
			w.is(`select count(*), count(distinct p.name), max(case when p.name like '%분점' then 1 else 0 end) from v_mentions m join place p on p.id = m.place`, "4|4|0")
			w.is(`select count(*) from label`, "0")
		})
	})
}

// A restaurant is known again by its name; of namesakes each keeps its own label, and a doubtful one is nobody's.
func TestLabelOfNamesakes(t *testing.T) {
	branches := func(bs ...string) string {
		var all []json.RawMessage
		for _, b := range bs {
			var one struct{ Restaurants []json.RawMessage }
			if err := json.Unmarshal([]byte(written("별다방", b, "", "")), &one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one.Restaurants...)
		}
		b, err := json.Marshal(map[string]any{"restaurants": all})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tests := []struct {
		name          string
		before, after []string
		want          string
	}{
		{"the same", []string{"강남점", "역삼점"}, []string{"강남점", "역삼점"}, "0"},
		{"another order", []string{"강남점", "역삼점"}, []string{"역삼점", "강남점"}, "1"},
		{"the other one is gone", []string{"강남점", "역삼점"}, []string{"강남점"}, "0"},
		{"only the other one is left", []string{"강남점", "역삼점"}, []string{"역삼점"}, ""},
		{"the branch is not read now", []string{"강남점"}, []string{""}, "0"},
		{"the branch is read now", []string{""}, []string{"강남점"}, "0"},
		{"another branch now", []string{"강남점"}, []string{"역삼점"}, ""},
		{"which one it was is not clear", []string{""}, []string{"강남점", "역삼점"}, ""},
		{"twice the same", []string{"", ""}, []string{"", "", ""}, "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{far("별다방")}, nil }
				w.ask(branches(tt.before...))
				w.label("p1", 0, 0)
				edited := naming(posts(1, 1))
				edited[0].caption += "!"
				w.feed.put("mat", "posts", edited)
				w.model.answer = func(string) string { return branches(tt.after...) }
				w.whole()
				w.is(`select n from v_mentions where labelled_by is not null`, tt.want)
			})
		})
	}
}

// A label is not for a shop that the post puts at another address now: the place that was chosen would be wrong.
func TestLabelOfACorrectedAddress(t *testing.T) {
	const here = "부산 해운대구 구남로 24"
	tests := []struct{ name, before, after, want string }{
		{"corrected", here, "부산 부산진구 서면로 10", ""},
		{"another number", here, "부산 해운대구 구남로 241", ""},
		{"not written now", here, "", "0"},
		{"written now", "", here, "0"},
		{"without the province", here, "해운대구 구남로 24", "0"},
		{"with the floor", here, here + " 지하1층", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{far("할매국밥")}, nil }
				w.ask(written("할매국밥", "", "부산", tt.before))
				w.label("p1", 0, 0)
				edited := naming(posts(1, 1))
				edited[0].caption += "!"
				w.feed.put("mat", "posts", edited)
				w.model.answer = func(string) string { return written("할매국밥", "", "부산", tt.after) }
				w.whole()
				w.is(`select n from v_mentions where labelled_by is not null`, tt.want)
			})
		})
	}
}

// A process that dies when a labelled post is read anew leaves the label in force or the post unread.
func TestLabelAndCrash(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.run()
		w.label("p2", 0, jobs.None)
		edited := naming(posts(1, 3))
		for i := range edited {
			edited[i].caption = "고침 " + edited[i].caption
		}
		w.feed.put("mat", "posts", edited)
		deaths := 0
		w.model.fault = func(string, bool) error {
			if deaths < 4 {
				deaths++
				return w.crash()
			}
			return nil
		}
		for range 10 {
			_, _ = w.try(true)
			w.is(`select state, reason from v_mentions where post = 'p2'`, "none|decided by a person")
			if !w.dead.Load() {
				break
			}
		}
		w.is(`select count(*) from v_mentions where state = 'place'`, "2")
	})
}

// What a person has decided is a case for the matcher, with what there was to choose from.
func TestReviewCases(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.naver.find = func(q string) ([]adapters.Candidate, error) {
			words := strings.Fields(q)
			name := words[len(words)-1]
			return []adapters.Candidate{far(name), place("naver", name)}, nil
		}
		w.feed.put("mat", "posts", naming(posts(1, 3)))
		w.run()
		w.label("p1", 0, 0)         // as the scorer
		w.label("p2", 0, jobs.None) // against it
		time.Sleep(100 * 24 * time.Hour)
		w.run() // the answers are forgotten
		w.is(`select count(*) from candidate`, "0")
		var lines bytes.Buffer
		n, skipped, err := jobs.WriteReviewCases(t.Context(), w.store, &lines)
		if err != nil || n != 2 || skipped != 0 {
			t.Fatalf("%d written, %d skipped: %v", n, skipped, err)
		}
		var cases []match.Case
		if err := match.ReadCases(bytes.NewReader(lines.Bytes()), func(c match.Case) error { cases = append(cases, c); return nil }); err != nil {
			t.Fatal(err)
		}
		c := cases[0]
		if len(cases) != 2 || c.Answer < 0 || c.Candidates[c.Answer].Name != "p1식당" || c.Mention.Name != "p1식당" || len(c.Mention.Menu) != 1 || len(c.Candidates) != 2 || cases[1].Answer != -1 {
			t.Errorf("cases %+v", cases)
		}
		if f := c.Candidates[1-c.Answer]; f.Name != "p1식당 분점" || f.Lat != 35.1 || f.Lng != 129.03 {
			t.Errorf("candidate %+v", f)
		}
		r, err := match.Evaluate(cases, nil)
		if err != nil || r.Two.Cases != 2 || r.Two.Right != 1 || r.Two.Wrong != 1 {
			t.Errorf("report %+v %v", r, err)
		}
	})
}

// Where nothing of the finder's text is kept a person chooses by the link, and it is no case for the matcher.
func TestLabelKeepsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = func(p *jobs.Pipeline) { p.Find.OwnOnly = true }
		w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{far("을지면옥")}, nil }
		w.ask(restaurants("을지면옥"))
		w.is(`select state from v_mentions`, "none")
		m := w.mentionOf("p1", 0)
		choices, _, err := jobs.Choices(t.Context(), w.store, m)
		if err != nil || len(choices) != 1 || choices[0].Name != "" || choices[0].Link != "https://example.com/far" {
			t.Fatalf("choices %+v %v", choices, err)
		}
		if err := jobs.Label(t.Context(), w.store, m.ID, choices, 0, "", jobs.Together([]string{"naver"}, true)); err != nil {
			t.Fatal(err)
		}
		w.is(`select name, link, query, category || address || road_address || phone from place`, "을지면옥|https://example.com/far|중구 을지면옥|")
		n, skipped, err := jobs.WriteReviewCases(t.Context(), w.store, &bytes.Buffer{})
		if n != 0 || skipped != 1 || err != nil {
			t.Errorf("%d cases, %d left out: %v", n, skipped, err)
		}
	})
}

func TestLabelRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.ask(restaurants("을지면옥"))
		m := w.mentionOf("p1", 0)
		choices, _, err := jobs.Choices(t.Context(), w.store, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, choice := range []int{1, -2, 99} {
			if err := jobs.Label(t.Context(), w.store, m.ID, choices, choice, "", w.one()); err == nil {
				t.Errorf("choice %d of %d was taken", choice, len(choices))
			}
		}
		w.query(`delete from candidate`)
		if choices, _, err = jobs.Choices(t.Context(), w.store, m); err != nil || len(choices) != 1 {
			t.Fatal(err, choices)
		}
		if err := jobs.Label(t.Context(), w.store, m.ID, choices, 0, "", w.one()); err == nil || !strings.Contains(err.Error(), "is kept any more") {
			t.Errorf("a candidate without text: %v", err)
		}
		if err := jobs.Label(t.Context(), w.store, 4711, choices, jobs.None, "", w.one()); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("no such mention: %v", err)
		}
		w.is(`select count(*) from label`, "0")
	})
}

// Of two people who decide the same mention only the first one's answer is stored.
func TestLabelSeen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			return []adapters.Candidate{place("naver", "p1식당"), far("p1식당")}, nil
		}
		w.run()
		m := w.mentionOf("p1", 0)
		version := func() string {
			d, err := w.store.Decision(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			return d.Version()
		}
		choices, _, err := jobs.Choices(t.Context(), w.store, m)
		if err != nil || len(choices) != 2 {
			t.Fatal(choices, err)
		}
		const decided = `select m.state, coalesce(p.name, '-'), coalesce(labelled_by, '-') from v_mentions m left join place p on p.id = m.place`
		seen := version()
		now, before, err := jobs.LabelSeen(t.Context(), w.store, m.ID, seen, choices, 1, "김", w.one())
		if err != nil || before != nil || now.PlaceName != "p1식당 분점" || now.Version() != version() || now.Version() == seen {
			t.Fatalf("the first: %+v %+v %v", now, before, err)
		}
		first := now.Version()
		_, _, err = jobs.LabelSeen(t.Context(), w.store, m.ID, seen, choices, jobs.None, "이", w.one())
		meanwhile, ok := errors.AsType[*jobs.Meanwhile](err)
		if !ok || meanwhile.Now.Author != "김" || meanwhile.Now.PlaceName != "p1식당 분점" {
			t.Fatalf("the second: %v", err)
		}
		w.is(decided, "place|p1식당 분점|김")
		time.Sleep(time.Second)
		now, before, err = jobs.LabelSeen(t.Context(), w.store, m.ID, first, choices, jobs.None, "이", w.one())
		if err != nil || before == nil || before.Author != "김" {
			t.Fatalf("who has seen it: %+v %+v %v", now, before, err)
		}
		w.is(decided, "none|-|이")
		if _, err := jobs.UnlabelSeen(t.Context(), w.store, m, first, nil, "naver", w.one()); err == nil {
			t.Error("what another one has decided since is taken back")
		}
		w.is(decided, "none|-|이")
		if _, err := jobs.UnlabelSeen(t.Context(), w.store, m, now.Version(), before, "naver", w.one()); err != nil {
			t.Fatal(err)
		}
		w.is(decided, "place|p1식당 분점|김")
		if again, err := jobs.UnlabelSeen(t.Context(), w.store, m, version(), nil, "naver", w.one()); err != nil || again {
			t.Fatal(again, err)
		}
		w.is(decided, "place|p1식당|-")
		if _, _, err := jobs.LabelSeen(t.Context(), w.store, 4711, seen, choices, 0, "", w.one()); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("a mention that is not there: %v", err)
		}
	})
}
