package jobs_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// Words of a person's own are searched with every finder, once, and what is found can be chosen.
func TestLook(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.tune = func(p *jobs.Pipeline) { p.Find.Finders = []jobs.Finder{w.naver, w.kakao} }
		w.run()
		m := w.mentionOf("p1", 0)
		w.naver.queries()
		w.kakao.queries()
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			return []adapters.Candidate{far("p1식당"), place("naver", "p1식당")}, nil
		}
		before := w.query(`select coalesce(sum(requests), 0) from v_spend where upstream in ('naver', 'kakao')`)
		options, asked, err := w.engine.Look(t.Context(), m, "부산 p1식당")
		if err != nil || len(asked) != 2 || len(options) != 3 || options[0].Name != "p1식당" || options[0].Why == "" || options[0].Score <= options[2].Score {
			t.Fatalf("found %+v by %+v, %v", options, asked, err)
		}
		equal(t, "asked", strings.Join(w.naver.queries(), ",")+"/"+strings.Join(w.kakao.queries(), ","), "부산 p1식당/부산 p1식당")
		if after := w.query(`select sum(requests) from v_spend where upstream in ('naver', 'kakao')`); after == before {
			t.Errorf("the books say %s requests as before", after)
		}
		if _, _, err = w.engine.Look(t.Context(), m, "부산 p1식당"); err != nil || len(w.naver.queries())+len(w.kakao.queries()) != 0 {
			t.Errorf("the same is asked twice, %v", err)
		}
		i := slices.IndexFunc(options, func(o queue.Option) bool { return strings.HasSuffix(o.Name, "분점") })
		choices, _, err := jobs.Choices(t.Context(), w.store, m)
		if err == nil {
			err = jobs.Label(t.Context(), w.store, m.ID, append(choices, jobs.OwnOption(options[i])), len(choices), "사장님", w.one())
		}
		if err != nil {
			t.Fatal(err)
		}
		w.is(`select p.name, p.road_address from v_mentions m join place p on p.id = m.place`, "p1식당 분점|부산 중구 광복로 7")
	})
}

// A finder that does not answer hides nothing of what the other one finds, and its call is in the books.
func TestLookWithoutOneFinder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.tune = func(p *jobs.Pipeline) { p.Find.Finders = []jobs.Finder{w.naver, w.kakao} }
		w.run()
		m := w.mentionOf("p1", 0)
		w.naver.find = func(string) ([]adapters.Candidate, error) { return nil, refuse(adapters.Temporary, "trouble") }
		options, _, err := w.engine.Look(t.Context(), m, "딴 곳")
		if err == nil || !strings.Contains(err.Error(), "naver: ") || len(options) != 1 || options[0].Finder != "kakao" {
			t.Errorf("found %+v, %v", options, err)
		}
		w.is(`select failed from v_spend where upstream = 'naver'`, "1")
		w.engine.Held = func(lane string) (time.Time, string) {
			if lane == "naver" {
				return time.Now().Add(time.Hour), "the day's calls are used up"
			}
			return time.Time{}, ""
		}
		w.naver.queries()
		if _, _, err = w.engine.Look(t.Context(), m, "또 딴 곳"); err == nil || !strings.Contains(err.Error(), "used up") || len(w.naver.queries()) != 0 {
			t.Errorf("a finder that rests: %v", err)
		}
		w.store.SetTerms(t.Context(), queue.Terms{Prices: map[string]int64{"naver": 10, "kakao": 10}, Month: 1})
		w.engine.Held = nil
		if _, _, err = w.engine.Look(t.Context(), m, "셋째"); err == nil {
			t.Error("a search beyond the budget")
		}
		m.Pipeline = "없는"
		if _, _, err = w.engine.Look(t.Context(), m, "말"); err == nil || errors.Is(err, queue.ErrNotFound) {
			t.Errorf("a pipeline that is not there: %v", err)
		}
	})
}

// Where nothing of the finders' text is kept a search keeps nothing of it, whatever is chosen.
func TestLookKeepsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.tune = func(p *jobs.Pipeline) { p.Find.OwnOnly = true }
		w.run()
		m := w.mentionOf("p1", 0)
		w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{far("비밀식당")}, nil }
		options, _, err := w.engine.Look(t.Context(), m, "부산 식당")
		if err != nil || len(options) != 1 || options[0].Name != "비밀식당 분점" {
			t.Fatalf("found %+v, %v", options, err)
		}
		if err := jobs.Label(t.Context(), w.store, m.ID, []queue.Option{jobs.OwnOption(options[0])}, 0, "사장님", jobs.Together([]string{"naver"}, true)); err != nil {
			t.Fatal(err)
		}
		w.is(`select p.name, p.link, p.query, p.road_address from v_mentions m join place p on p.id = m.place`, "p1식당|https://example.com/far|부산 식당|")
		w.is(`select count(*) from candidate`, "0")
		w.is(`select count(*) from label where shown like '%비밀%' or found like '%비밀%'`, "0")
	})
}
