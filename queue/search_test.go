package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

var (
	eulmildae = adapters.Candidate{
		ID: "13", Finder: "naver", Name: "을밀대", Category: "한식>냉면", Address: "서울 마포구 염리동 147-6", RoadAddress: "서울 마포구 숭문길 24",
		Phone: "02-717-1922", Link: "https://example.com/a?b=1&c=2", Lat: 37.5476, Lng: 126.95110000000001,
	}
	branch = adapters.Candidate{Finder: "naver", Name: "을밀대 강남점", Address: "서울 서초구 서초동 1"}
)

func search(t *testing.T, s *queue.Store, finder, query string, want ...adapters.Candidate) []int64 {
	t.Helper()
	got, ids, err := s.Search(t.Context(), finder, query, time.Hour)
	check(t, err)
	same(t, query, got, append([]adapters.Candidate{}, want...))
	if len(ids) != len(got) {
		t.Errorf("%s: %d numbers for %d candidates", query, len(ids), len(got))
	}
	return ids
}

func TestSearches(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.SaveSearch("naver", "을밀대", nil), tx.SaveSearch("naver", "을밀대", []adapters.Candidate{branch, eulmildae}),
			tx.SaveSearch("naver", "을밀대 냉면", []adapters.Candidate{eulmildae, eulmildae}), tx.SaveSearch("kakao", "을밀대", nil))
	})
	a, b := search(t, s, "naver", "을밀대", branch, eulmildae), search(t, s, "naver", "을밀대 냉면", eulmildae, eulmildae)
	if a[1] != b[0] || b[0] != b[1] || a[0] == a[1] {
		t.Errorf("numbers %v and %v", a, b)
	}
	rows(t, s, `select count(*) from candidate`, "2")
	search(t, s, "kakao", "을밀대") // an empty answer is remembered too
	now = now.Add(2 * time.Hour)
	if _, _, err := s.Search(t.Context(), "naver", "을밀대", time.Hour); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("too old: %v", err)
	}
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.SaveSearch("naver", "우래옥", nil), tx.ForgetSearches(time.Hour))
	})
	rows(t, s, `select finder, query from search`, "naver|우래옥")
}

// TestSameHash checks that entries are told apart by their text, whatever their hash.
func TestSameHash(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	within(t, s, func(tx *queue.Tx) error { return tx.SaveSearch("naver", "을밀대", []adapters.Candidate{branch}) })
	check(t, s.Exec(t.Context(), `update candidate set name = '남의 집'`))
	within(t, s, func(tx *queue.Tx) error { return tx.SaveSearch("naver", "을밀대", []adapters.Candidate{branch}) })
	search(t, s, "naver", "을밀대", branch)
	rows(t, s, `select count(*), count(distinct hash) from candidate`, "2|1")
}

// TestForgottenCandidates checks that a candidate lives as long as the last answer that shows it, and that an old decision
// shows nothing in its stead.
func TestForgottenCandidates(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	_, mentions := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	save := func(query string, cs ...adapters.Candidate) {
		within(t, s, func(tx *queue.Tx) error { return tx.SaveSearch("naver", query, cs) })
	}
	forget := func() { within(t, s, func(tx *queue.Tx) error { return tx.ForgetSearches(48 * time.Hour) }) }
	save("을밀대", eulmildae, branch)
	ids := search(t, s, "naver", "을밀대", eulmildae, branch)
	m, err := s.Mention(t.Context(), mentions[0])
	check(t, err)
	m.State, m.Reason = "none", "둘 중 하나"
	m.Candidates = []queue.Considered{{Candidate: ids[0], Finder: "naver", Score: 0.5, Why: "이름"}, {Candidate: ids[1], Finder: "naver", Score: 0.4999, Why: "이름"}}
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, nil, queue.One{}) })
	shown := `select json_extract(c.value, '$.name'), json_extract(c.value, '$.address'), json_extract(c.value, '$.score'), json_extract(c.value, '$.why') from v_mentions m, json_each(m.candidates) c`
	rows(t, s, shown, "을밀대|서울 마포구 숭문길 24|0.5|이름", "을밀대 강남점|서울 서초구 서초동 1|0.4999|이름")

	now = day(3)
	save("을밀대 본점", eulmildae)
	now = day(4)
	forget()
	rows(t, s, `select query from search`, "을밀대 본점")
	rows(t, s, shown, "을밀대|서울 마포구 숭문길 24|0.5|이름", "no longer kept|-|0.4999|이름")
	now = day(9)
	forget()
	rows(t, s, `select count(*) from candidate`, "0")
	save("우래옥", adapters.Candidate{Finder: "naver", Name: "우래옥"}, adapters.Candidate{Finder: "naver", Name: "우래옥 대치점"})
	rows(t, s, shown, "no longer kept|-|0.5|이름", "no longer kept|-|0.4999|이름")
	// What a person has removed is asked anew.
	check(t, s.Exec(t.Context(), `delete from candidate where name = '우래옥'`))
	if _, _, err := s.Search(t.Context(), "naver", "우래옥", time.Hour); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("an answer with a hole: %v", err)
	}
}

// TestMentionsInParts reads the mentions of a pipeline part by part.
func TestMentionsInParts(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, want := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥", "필동면옥")
	var got []int64
	var after int64
	for {
		ms, err := s.Mentions(t.Context(), "matzip", after, 2)
		check(t, err)
		if len(ms) == 0 {
			break
		}
		for _, m := range ms {
			got, after = append(got, m.ID), m.ID
			if string(m.Fields) != fmt.Sprintf(`{"name":%q}`, m.Name) || m.Record.Key != "p1" {
				t.Errorf("got %+v", m)
			}
		}
	}
	same(t, "mentions", got, want)
	if ms, err := s.Mentions(t.Context(), "다른 일", 0, 9); err != nil || len(ms) > 0 {
		t.Errorf("another pipeline's: %v, %v", ms, err)
	}
}

// TestDamagedAnswer checks that an answer that cannot be read counts as none.
func TestDamagedAnswer(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "국물", "[1", "null", `{"a":1}`, `["을밀대"]`, "[1.5]"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			save := func(tx *queue.Tx) error { return tx.SaveSearch("naver", "을밀대", []adapters.Candidate{eulmildae}) }
			within(t, s, save)
			check(t, s.Exec(t.Context(), `update search set answer = ?`, answer))
			if cs, _, err := s.Search(t.Context(), "naver", "을밀대", time.Hour); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("got %v, %v", cs, err)
			}
			within(t, s, save)
			search(t, s, "naver", "을밀대", eulmildae)
		})
	}
}
