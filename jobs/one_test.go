package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// both lets the world ask two finders.
func (w *world) both(change func(p *jobs.Pipeline)) {
	w.tune = func(p *jobs.Pipeline) {
		p.Find.Finders = []jobs.Finder{w.naver, w.kakao}
		if change != nil {
			change(p)
		}
	}
}

// The second finder is asked only while the first one's answers leave the place uncertain, unless it always is.
func TestSecondOpinion(t *testing.T) {
	nothing := func(string) ([]adapters.Candidate, error) { return nil, nil }
	tests := []struct {
		name         string
		always       bool
		naver        func(string) ([]adapters.Candidate, error)
		naverN, kaka int // searches
	}{
		{"the first is certain", false, nil, 1, 0},
		{"the first knows nothing", false, nothing, 1, 1},
		{"always", true, nil, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.both(func(p *jobs.Pipeline) { p.Find.Always = tt.always })
				w.naver.find = tt.naver
				w.ask(restaurants("을지면옥"))
				equal(t, "searches with naver", len(w.naver.queries()), tt.naverN)
				equal(t, "searches with kakao", len(w.kakao.queries()), tt.kaka)
				w.is(`select state, searches = json_array_length(queries) from v_mentions`, "place|1")
				w.is(`select name, mentions from v_places`, "을지면옥|1")
			})
		})
	}
}

// A finder whose quota is used up holds nothing that the other one is certain of, whichever it is. What the other one is not
// certain of waits.
func TestQuotaOfOneFinder(t *testing.T) {
	for _, rests := range []string{"naver", "kakao"} {
		t.Run(rests, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.both(nil)
				began := time.Now()
				until := began.Add(3 * time.Hour)
				held := func(lane string) (time.Time, string) {
					if lane == rests && time.Now().Before(until) {
						return until, "quota"
					}
					return time.Time{}, ""
				}
				w.wire = func(e *jobs.Engine) {
					e.Held = held
					lane := e.Lanes[2]
					lane.Name = "kakao"
					e.Lanes = append(e.Lanes, lane)
				}
				for _, f := range []*finder{w.naver, w.kakao} {
					f.find = func(q string) ([]adapters.Candidate, error) {
						if end, why := held(f.name); !end.IsZero() {
							return nil, &adapters.Error{Kind: adapters.Throttled, After: time.Until(end), Reason: adapters.ReasonQuota, Upstream: f.name, Err: errQuota(why)}
						}
						if strings.Contains(q, "p2식당") && f.name != rests {
							return nil, nil // only the one that rests knows it
						}
						words := strings.Fields(q)
						return []adapters.Candidate{place(f.name, words[len(words)-1])}, nil
					}
				}
				w.feed.put("mat", "posts", naming(posts(1, 3)))
				w.limit = 5 * time.Hour
				w.tx(func(tx *queue.Tx) error {
					_, _, err := tx.AskRun(pipeline, false, nil)
					return err
				})
				w.serve(time.Hour)
				w.is(`select name, state from v_mentions order by name`, "p1식당|place\np2식당|waiting\np3식당|place")
				w.is(`select count(*) from v_dead`, "0")
				w.serve(3 * time.Hour)
				w.is(`select name, state from v_mentions order by name`, "p1식당|place\np2식당|place\np3식당|place")
				w.is(`select state from v_runs`, "done")
			})
		})
	}
}

// A mention that went over to the other finder comes back when that one's quota is used up before it had its turn.
func TestQuotaOfTheOtherFinder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.both(nil)
		rests := "naver"
		w.wire = func(e *jobs.Engine) {
			e.Held = func(lane string) (time.Time, string) {
				if lane == rests {
					return time.Now().Add(time.Hour), "quota"
				}
				return time.Time{}, ""
			}
			for i := range e.Lanes {
				if e.Lanes[i].Name == "naver" {
					e.Lanes = append(e.Lanes[:i], e.Lanes[i+1:]...) // nobody works in the lanes of the finders
					break
				}
			}
		}
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.tx(func(tx *queue.Tx) error {
			_, _, err := tx.AskRun(pipeline, false, nil)
			return err
		})
		w.serve(10 * time.Minute)
		w.is(`select lane, count(*) from job where kind = 'match' group by lane`, "kakao|2")
		rests = "kakao"
		w.serve(10 * time.Minute)
		w.is(`select lane, count(*) from job where kind = 'match' group by lane`, "naver|2")
	})
}

type errQuota string

func (e errQuota) Error() string { return string(e) }

// shop is an entry of a finder.
func shop(finder, id, name, road, phone string, lat, lng float64) adapters.Candidate {
	return adapters.Candidate{Finder: finder, ID: id, Name: name, Category: "음식점>한식", RoadAddress: road, Phone: phone, Lat: lat, Lng: lng}
}

// Entries that are one place become one document, others do not.
func TestPlacesThatAreOne(t *testing.T) {
	const road = "서울 마포구 숭문길 24"
	seat := func(name string) adapters.Candidate { // one house of many shops
		c := shop("naver", "", name, "서울특별시 송파구 올림픽로 300", "", 37.5125, 127.1025)
		c.Address = "서울특별시 송파구 신천동 29"
		return c
	}
	tests := []struct {
		name   string
		a, b   adapters.Candidate
		places string
	}{
		{"two finders", shop("naver", "", "을밀대", road, "", 37.5476, 126.9511), shop("kakao", "13", "을밀대", "서울특별시 마포구 숭문길 24 1층", "02-717-1922", 37.5477, 126.9511), "1"},
		{"two spellings at one address", shop("naver", "", "을밀대", road, "", 0, 0), shop("kakao", "13", "을밀대 본점", road, "", 0, 0), "1"},
		{"two spellings, spaces", shop("naver", "", "을밀대 평양냉면", road, "", 0, 0), shop("naver", "", "을밀대평양냉면", road+" 지하1층", "", 0, 0), "1"},
		{"another shop of the house", shop("naver", "", "을밀대", road, "", 37.5476, 126.9511), shop("naver", "", "우래옥", road, "", 37.5476, 126.9511), "2"},
		{"two branches at one address", shop("naver", "", "별다방 코엑스점", road, "", 0, 0), shop("naver", "", "별다방 코엑스몰점", road, "", 0, 0), "2"},
		{"a chain in one street", shop("naver", "", "별다방 숭문점", road, "", 37.5476, 126.9511), shop("naver", "", "별다방", "서울 마포구 숭문길 28", "", 37.5478, 126.9513), "2"},
		{"moved pin, same id, new name", shop("kakao", "13", "을밀대", road, "", 37.5476, 126.9511), shop("kakao", "13", "을밀대 평양냉면", "서울 마포구 숭문길 240", "", 37.5576, 126.9611), "1"},
		{"same name near by, other ids", shop("kakao", "13", "을밀대", road, "", 37.5476, 126.9511), shop("kakao", "14", "을밀대", "서울 마포구 숭문길 26", "", 37.5477, 126.9511), "2"},
		{"moved pin, same number", shop("naver", "", "을밀대", road, "02-717-1922", 37.5476, 126.9511), shop("kakao", "13", "을밀대", "서울 마포구 숭문길 60", "02) 717 1922", 37.5490, 126.9511), "1"},
		{"moved pin, number of a chain", shop("naver", "", "을밀대", road, "1588-1922", 37.5476, 126.9511), shop("kakao", "13", "을밀대", "서울 마포구 숭문길 60", "1588-1922", 37.5490, 126.9511), "2"},
		{"far away, same number", shop("naver", "", "을밀대", road, "02-717-1922", 37.5476, 126.9511), shop("kakao", "13", "을밀대", "서울 강남구 테헤란로 60", "02-717-1922", 37.5, 127.03), "2"},
		{"a common word, other names", seat("카페 NOON"), seat("카페 ABBA"), "2"},
		{"a common Latin word", seat("Cafe 온유"), seat("Cafe 하루"), "2"},
		{"two bars", seat("와인 BAR"), seat("칵테일 BAR"), "2"},
		{"a dish", seat("스시 ONE"), seat("스시 ZEN"), "2"},
		{"two counters", seat("푸드코트(한식)"), seat("푸드코트(중식)"), "2"},
		{"one food court", seat("맥도날드 [푸드코트]"), seat("롯데리아 [푸드코트]"), "2"},
		{"one department store", seat("스타벅스 (신세계백화점)"), seat("폴바셋 (신세계백화점)"), "2"},
		{"the house and a shop of it", seat("스타벅스 (신세계백화점)"), seat("신세계백화점"), "2"},
		{"one year", seat("카페1987"), seat("주점1987"), "2"},
		{"two names of the place", seat("송파국수"), seat("신천국수"), "2"},
		{"either script", seat("온유 ONYU"), seat("온유"), "1"},
		{"alias in brackets", seat("온유(ONYU)"), seat("ONYU"), "1"},
		{"the place in the name", seat("송파온유국수"), seat("온유국수"), "1"},
	}
	for _, tt := range tests {
		for _, order := range []string{"one way", "the other way"} {
			t.Run(tt.name+"/"+order, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					a, b := tt.a, tt.b
					if order != "one way" {
						a, b = b, a
					}
					w.naver.find = func(q string) ([]adapters.Candidate, error) {
						return []adapters.Candidate{a, b}, nil
					}
					w.feed.put("mat", "posts", naming(posts(1, 2)))
					w.run()
					w.label("p1", 0, w.choiceOf("p1", a))
					w.label("p2", 0, w.choiceOf("p2", b))
					w.is(`select count(*) from v_places`, tt.places)
				})
			})
		}
	}
}

// An entry from before spots were kept is one with another spelling at its address.
func TestEntryWithoutSpot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const road = "서울 마포구 숭문길 24"
		old, now := shop("naver", "", "을밀대", road, "", 0, 0), shop("kakao", "13", "을밀대 본점", road, "", 0, 0)
		w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{old, now}, nil }
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.run()
		w.label("p1", 0, w.choiceOf("p1", old))
		w.query(`update place_entry set spot = ''`)
		w.boot()
		w.label("p2", 0, w.choiceOf("p2", now))
		w.is(`select count(*) from v_places`, "1")
		w.is(`select count(*) from place_entry where spot = ''`, "0")
	})
}

// Entries of which nothing but the name is known are not one place: a namesake is as likely.
func TestNamesAloneAreNotOne(t *testing.T) {
	t.Parallel()
	one := jobs.Together([]string{"naver"}, false)
	a := queue.Place{ID: "p1", Finder: "naver", Name: "을밀대", Compact: "을밀대", Link: "https://example.com/1"}
	b := queue.Place{ID: "p2", Finder: "naver", Name: "을밀대", Compact: "을밀대", Link: "https://example.com/2"}
	equal(t, "neither is placed", one.Same(a, b), false)
	b.Road = "서울 마포구 숭문길 24"
	equal(t, "one is placed", one.Same(a, b), false)
	a.Road = b.Road
	equal(t, "both are placed", one.Same(a, b), true)
}

// choiceOf is the number of a candidate among those of a post's first mention.
func (w *world) choiceOf(post string, c adapters.Candidate) int {
	w.tb.Helper()
	choices, _, err := jobs.Choices(w.tb.Context(), w.store, w.mentionOf(post, 0))
	if err != nil {
		w.tb.Fatal(err)
	}
	for i, x := range choices {
		if x.Candidate == c {
			return i
		}
	}
	w.tb.Fatalf("%+v is no choice", c)
	return 0
}

// The document says where each field came from, where that is another finder.
func TestSources(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.both(func(p *jobs.Pipeline) { p.Find.Always = true })
		n := place("naver", "을지면옥")
		n.Phone, n.Address = "", "서울 중구 을지로 1가 1"
		k := place("kakao", "을지면옥")
		k.ID, k.Phone, k.Lat, k.Lng, k.Link = "77", "02-000-0000", 37.56, 126.99, "https://place.map.kakao.com/77"
		w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{n}, nil }
		w.kakao.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{k}, nil }
		w.feed.put("mat", "posts", naming(posts(1, 2)))
		w.model.answer = func(string) string { return restaurants("을지면옥") }
		w.run()
		document := func() (d jobs.PlaceDocument) {
			t.Helper()
			for _, text := range w.sink.docs {
				if err := json.Unmarshal([]byte(text), &d); err != nil {
					t.Fatal(err)
				}
			}
			return d
		}
		d := document()
		if diff := cmp.Diff(map[string]string{"phone": "kakao", "location": "kakao"}, d.Sources); diff != "" || d.Finder != "naver" || *d.Phone != "02-000-0000" || d.Location == nil || *d.Address != n.Address {
			t.Errorf("%s%+v", diff, d)
		}
		w.is(`select finder, finder_id, mentions from v_entries order by finder`, "kakao|77|2\nnaver||2")
	})
}
