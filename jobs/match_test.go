package jobs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/jobs/match"
	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// written is an answer that names one restaurant as a caption writes it.
func written(name, branch, area, address string) string {
	b, err := json.Marshal(map[string]any{"restaurants": []any{map[string]any{
		"name": name, "branch": branch, "area": area, "address": address,
		"phone": nil, "menu": []any{}, "ad": false, "quote": name,
	}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// ask runs a world whose one post gets that answer.
func (w *world) ask(answer string) {
	w.tb.Helper()
	w.feed.put("mat", "posts", naming(posts(1, 1)))
	w.model.answer = func(string) string { return answer }
	w.run()
}

func TestQueriesInOrder(t *testing.T) {
	const road = "서울 마포구 동교로 123"
	want := match.Queries(match.Mention{Name: "골목집식당", Branch: "2호점", Area: "연남동", Address: road})
	if len(want) < 3 {
		t.Fatalf("queries %q", want)
	}
	right := adapters.Candidate{Finder: "naver", Name: "골목집식당 2호점", Category: "음식점>한식", RoadAddress: road, Link: "https://example.com/2"}
	for sure := range len(want) + 1 {
		t.Run(fmt.Sprintf("found by query %d", sure+1), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.naver.find = func(q string) ([]adapters.Candidate, error) {
					if sure < len(want) && q == want[sure] {
						return []adapters.Candidate{right}, nil
					}
					return nil, nil
				}
				w.ask(written("골목집식당", "2호점", "연남동", road))
				asked := want[:min(sure+1, len(want))]
				if diff := cmp.Diff(asked, w.naver.queries()); diff != "" {
					t.Error(diff)
				}
				if sure < len(want) {
					w.is(`select state from v_mentions`, "place")
					w.is(`select name, road_address, mentions from v_places`, "골목집식당 2호점|"+road+"|1")
				} else {
					w.is(`select state, reason, coalesce(place, '') from v_mentions`, "none|the search found nothing|")
				}
				var kept []struct {
					Finder, Query string
					Found         int
				}
				if err := json.Unmarshal([]byte(w.query(`select queries from v_mentions`)), &kept); err != nil {
					t.Fatal(err)
				}
				for i, k := range kept {
					found := 0
					if i == sure {
						found = 1
					}
					if k.Query != want[i] || k.Finder != "naver" || k.Found != found {
						t.Errorf("query %d: %+v", i, k)
					}
				}
			})
		})
	}
}

// The decision is kept with what was considered, best first.
func TestDecisionIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		far := adapters.Candidate{Finder: "naver", Name: "한밭분식", Category: "음식점>분식", RoadAddress: "대전 중구 대종로 1", Link: "https://example.com/far"}
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			return []adapters.Candidate{far, place("naver", "을지면옥")}, nil
		}
		w.ask(restaurants("을지면옥"))
		var kept []struct {
			Name, Address, Link, Finder, Why string
			Score                            float64
		}
		if err := json.Unmarshal([]byte(w.query(`select candidates from v_mentions`)), &kept); err != nil {
			t.Fatal(err)
		}
		if len(kept) != 2 || kept[0].Name != "을지면옥" || kept[0].Address != addressOf("을지면옥") || kept[1].Link != far.Link || kept[0].Score <= kept[1].Score || kept[0].Why == "" || kept[0].Finder != "naver" {
			t.Errorf("kept %+v", kept)
		}
		reason := w.query(`select reason from v_mentions`)
		if !strings.HasPrefix(reason, "chosen: ") || w.query(`select score > 0.5 and state = 'place' and decided_at is not null from v_mentions`) != "1" {
			t.Errorf("reason %q", reason)
		}
	})
}

// Nobody is asked the same twice: not in one run, not in the next, not by two jobs at the same time.
func TestSearchCache(t *testing.T) {
	t.Run("over runs", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			one := posts(1, 1)
			one[0].caption = "[을지면옥] 첫 방문"
			w.feed.put("mat", "posts", one)
			w.run()
			two := posts(2, 1)
			two[0].caption = "[을지면옥] 두 번째"
			w.feed.put("mat", "posts", two, one)
			w.run()
			equal(t, "searches", len(w.naver.queries()), 1)
			w.is(`select name, mentions from v_places`, "을지면옥|2")

			time.Sleep(25 * time.Hour) // longer than answers are remembered
			three := posts(3, 1)
			three[0].caption = "[을지면옥] 세 번째"
			w.feed.put("mat", "posts", three, two, one)
			w.run()
			equal(t, "searches after a day", len(w.naver.queries()), 1)
			w.is(`select name, mentions from v_places`, "을지면옥|3")
		})
	})
	t.Run("at the same time", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			ps := posts(1, 3)
			for i := range ps {
				ps[i].caption = fmt.Sprintf("[을지면옥] %d번째", i)
			}
			w.feed.put("mat", "posts", ps)
			w.naver.find = func(string) ([]adapters.Candidate, error) {
				time.Sleep(3 * time.Second)
				return []adapters.Candidate{place("naver", "을지면옥")}, nil
			}
			w.run()
			equal(t, "searches", len(w.naver.queries()), 1)
			w.is(`select name, mentions from v_places`, "을지면옥|3")
		})
	})
}

// With keep = own nothing of the finder's own text stays in the file or goes to the sink.
func TestKeepOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const secret = "찾는곳만아는상호"
		w.tune = func(p *jobs.Pipeline) { p.Find.OwnOnly = true }
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			c := place("naver", "을지면옥")
			c.Category, c.Address, c.Phone, c.ID = secret, secret, secret, secret
			other := place("naver", secret)
			return []adapters.Candidate{c, other}, nil
		}
		w.ask(restaurants("을지면옥"))
		w.is(`select name, category, address, road_address, phone, link, query, coalesce(cast(lat as text), ''), finder from place`,
			"을지면옥|||||https://example.com/을지면옥|중구 을지면옥||naver")
		w.is(`select count(*) from search`, "0")
		w.is(`select state from v_mentions`, "place")
		for _, doc := range w.sink.docs {
			if strings.Contains(doc, secret) || !strings.Contains(doc, `"query":"중구 을지면옥"`) {
				t.Errorf("delivered %s", doc)
			}
		}
		// A copy without deleted pages has not a word of it left, the link of another place aside.
		all := w.everything()
		if n := strings.Count(all, secret); n != strings.Count(all, "https://example.com/"+secret) {
			t.Errorf("the file has the finder's text %d times", n)
		}
	})
}

// Two finders are asked the same, and the better answer wins whoever gave it.
func TestTwoFinders(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.tune = func(p *jobs.Pipeline) { p.Find.Finders = []jobs.Finder{w.naver, w.kakao} }
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			return []adapters.Candidate{{Finder: "naver", Name: "딴집", RoadAddress: "부산 중구 광복로 1"}}, nil
		}
		w.ask(restaurants("을지면옥"))
		if diff := cmp.Diff(w.naver.queries(), w.kakao.queries()); diff != "" {
			t.Error(diff)
		}
		w.is(`select name, finder, mentions from v_places`, "을지면옥|kakao|1")
		w.is(`select upstream, requests > 0 from v_spend where upstream in ('naver', 'kakao') order by upstream`, "kakao|1\nnaver|1")
	})
}

// What the first search found is kept when the second fails.
func TestFinderFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		broken := true
		w.naver.find = func(q string) ([]adapters.Candidate, error) {
			if q == "골목집식당" && broken {
				return nil, &adapters.Error{Kind: adapters.Temporary, Upstream: "naver", Err: errors.New("시스템 오류")}
			}
			return nil, nil
		}
		w.ask(written("골목집식당", "", "연남동", ""))
		if diff := cmp.Diff([]string{"연남동 골목집식당", "골목집식당"}, slices.Compact(w.naver.queries())); diff != "" {
			t.Error(diff)
		}
		w.is(`select state from v_mentions`, "waiting")
		w.is(`select what, attempt >= 3, reason from v_dead`, "job|1|naver: 시스템 오류")
		w.is(`select state from v_runs`, "done")

		broken = false
		w.tx(func(tx *queue.Tx) error { return tx.Revive(deadJob(w)) })
		w.serve(5 * time.Second)
		if diff := cmp.Diff([]string{"골목집식당"}, w.naver.queries()); diff != "" {
			t.Error(diff)
		}
		w.is(`select state from v_mentions`, "none")
		var asked []any
		if err := json.Unmarshal([]byte(w.query(`select queries from v_mentions`)), &asked); err != nil {
			t.Error(err)
		}
		equal(t, "searches", len(asked), 2)
	})
}

// Words that a finder does not take find nothing. Any other refusal for good says nothing of the place: it is seen by a person.
func TestFinderRefusesForGood(t *testing.T) {
	for reason, want := range map[string]string{adapters.ReasonInvalid: "none|the search found nothing", "": "waiting|"} {
		t.Run("reason "+reason, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.naver.find = func(string) ([]adapters.Candidate, error) {
					return nil, &adapters.Error{Kind: adapters.Permanent, Reason: reason, Upstream: "naver", Err: errors.New("status 410: 종료된 서비스")}
				}
				w.ask(restaurants("을지면옥"))
				w.is(`select state, coalesce(reason, '') from v_mentions`, want)
				if reason == "" {
					w.is(`select count(*) from search`, "0")
					w.is(`select what, reason from v_dead`, "job|naver: status 410: 종료된 서비스")
				}
			})
		})
	}
}

// A finder that panics is a failed attempt like any other; nobody waits for it for ever.
func TestFinderPanics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		calls := 0
		w.naver.find = func(string) ([]adapters.Candidate, error) {
			if calls++; calls == 1 {
				panic("고장")
			}
			return []adapters.Candidate{place("naver", "을지면옥")}, nil
		}
		w.ask(restaurants("을지면옥"))
		w.is(`select state from v_mentions`, "place")
	})
}

// everything is all that the state holds.
func (w *world) everything() string {
	w.tb.Helper()
	if pgtest.Wanted() {
		return w.query(`select schema_to_xml('public', false, false, '')`)
	}
	path := w.newPath()
	w.copyTo(path)
	b, err := os.ReadFile(path)
	if err != nil {
		w.tb.Fatal(err)
	}
	return string(b)
}

// replace gives the one post of a world another mention, as an edited caption does, and searches it.
func (w *world) replace(name string) {
	w.tb.Helper()
	w.exec(`update question set answer = ?`, fmt.Sprintf(`{"restaurants":[{"name":%q}]}`, name))
	w.tx(func(tx *queue.Tx) error {
		recs, err := tx.Askers(w.query(`select key from question`))
		if err != nil {
			return err
		}
		ids, err := tx.Extracted(recs[0], recs[0].Question, []int{0})
		if err != nil {
			return err
		}
		_, err = tx.Add(queue.Job{
			Pipeline: pipeline, Lane: "naver", Kind: queue.KindMatch, Key: fmt.Sprintf("match:%d", ids[0]),
			Args: json.RawMessage(fmt.Sprintf(`{"mention":%d}`, ids[0])),
		})
		return err
	})
}

// A post that is read anew while its mention is searched: what the old search decides is nothing of the new mention's.
func TestMentionReplacedMeanwhile(t *testing.T) {
	t.Run("while it is searched", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.naver.find = func(q string) ([]adapters.Candidate, error) {
				if strings.Contains(q, "옛식당") {
					w.replace("새식당")
					return []adapters.Candidate{place("naver", "옛식당")}, nil
				}
				return []adapters.Candidate{place("naver", "새식당")}, nil
			}
			w.ask(restaurants("옛식당"))
			w.is(`select m.name, m.state, p.name from v_mentions m left join place p on p.id = m.place`, "새식당|place|새식당")
			w.is(`select count(*) from v_dead`, "0")
		})
	})
	t.Run("while it is decided", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			reads := 0
			w.tune = func(p *jobs.Pipeline) {
				read := p.Find.Mention
				p.Find.Mention = func(m queue.Mention) (match.Mention, error) {
					if m.Name == "옛식당" {
						if reads++; reads == 2 { // the first step searched, this one decides
							w.replace("새식당")
						}
					}
					return read(m)
				}
			}
			w.ask(restaurants("옛식당"))
			w.is(`select m.name, m.state, p.name from v_mentions m left join place p on p.id = m.place`, "새식당|place|새식당")
		})
	})
}
