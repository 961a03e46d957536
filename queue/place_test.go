package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/queue"
)

// mentioned stores post key of account target, naming the restaurants, and returns the mentions' ids.
func mentioned(t *testing.T, s *queue.Store, target, key string, d int, names ...string) (queue.Stored, []int64) {
	t.Helper()
	_, ws := begin(t, s, target, "posts")
	w := queue.Walk{ID: 1, Pipeline: "matzip", Target: target, Run: 1}
	if len(ws) > 0 {
		w = ws[0]
	}
	return extracted(t, s, put(t, s, w, post(key, "맛집", d))[0], names...)
}

// extracted lets the answer to the question about a post name restaurants.
func extracted(t *testing.T, s *queue.Store, st queue.Stored, names ...string) (_ queue.Stored, ids []int64) {
	t.Helper()
	ns, fields := make([]int, len(names)), make([]string, len(names))
	for i, n := range names {
		ns[i], fields[i] = i, fmt.Sprintf(`{"name":%q}`, n)
	}
	check(t, s.Exec(t.Context(), `insert into question (key, pipeline, state, answer, asked_at) values (?, 'matzip', 'answered', ?, '2025-03-10T03:00:00.000Z')
		on conflict (key) do update set answer = excluded.answer`, "q-"+st.Key, `{"restaurants":[`+strings.Join(fields, ",")+`]}`))
	within(t, s, func(tx *queue.Tx) (err error) {
		ids, err = tx.Extracted(st, "q-"+st.Key, ns)
		return err
	})
	return st, ids
}

func decide(t *testing.T, s *queue.Store, id int64, p *queue.Place) {
	t.Helper()
	m, err := s.Mention(t.Context(), id)
	check(t, err)
	m.State, m.Score, m.Reason = "place", 0.97, "이름과 주소"
	if p == nil {
		m.State, m.Score, m.Reason = "none", 0, "못 찾음"
	}
	m.Candidates = []queue.Considered{{Finder: "naver", Score: 0.123456, Why: "이름과 주소"}}
	m.Queries = []queue.Asked{{Finder: "naver", Query: "염리동 \"을밀대\"", Found: 1}}
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, p, byID(p)) })
}

// byID takes entries for one when their ids are equal. What one does not say is the others'.
func byID(*queue.Place) queue.One {
	never := func(_, _ queue.Place) bool { return false }
	return queue.One{Same: never, Differ: never, Compose: func(es []queue.Place) queue.Place {
		both := es[0]
		for _, e := range es[1:] {
			if both.Phone == "" {
				both.Phone, both.Link, both.Lat, both.Lng = e.Phone, e.Link, e.Lat, e.Lng
			}
		}
		return both
	}}
}

func place(id, name string) *queue.Place {
	return &queue.Place{
		ID: id, Finder: "naver", Name: name, Compact: name, Category: "한식>냉면", Address: "서울 마포구 염리동 147-6", Road: "서울 마포구 숭문길 24",
		Phone: "02-717-1922", Link: "https://example.com", Query: name, Lat: 37.5476, Lng: 126.9511,
	}
}

func sink(t *testing.T, s *queue.Store, names ...string) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		for _, n := range names {
			if _, err := tx.AddSink("matzip", n, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

const told = `select sink, key, rev from outbox order by sink, key`

func TestMentions(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	m, err := s.Mention(t.Context(), ids[1])
	check(t, err)
	if m.N != 1 || m.Name != "우래옥" || m.State != "waiting" || m.Place != "" || m.Record.Key != "p1" || m.Record.ID != st.ID || string(m.Fields) != `{"name":"우래옥"}` || m.Pipeline != "matzip" {
		t.Errorf("got %+v", m)
	}
	rows(t, s, `select post, n, name, state from v_mentions order by n`, "p1|0|을밀대|waiting", "p1|1|우래옥|waiting")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[1], nil)
	const kept = `[{"name":"no longer kept","address":null,"link":null,"finder":"naver","score":0.1235,"why":"이름과 주소"}]|[{"finder":"naver","query":"염리동 \"을밀대\"","found":1}]`
	rows(t, s, `select n, state, place, score, reason, candidates, queries from v_mentions order by n`,
		`0|place|naver:1|0.97|이름과 주소|`+kept, `1|none|-|0|못 찾음|`+kept)
	rows(t, s, `select text from wording order by text`, "못 찾음", "이름과 주소")

	// A new answer replaces the mentions.
	extracted(t, s, st, "필동면옥")
	rows(t, s, `select n, name, state from v_mentions`, "0|필동면옥|waiting")
	rows(t, s, `select id from place`)
}

// TestDecideTooLate checks that what was decided about a mention that has gone touches no other one.
func TestDecideTooLate(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	late, err := s.Mention(t.Context(), ids[0])
	check(t, err)
	extracted(t, s, st, "필동면옥")
	if _, err := s.Mention(t.Context(), late.ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("the mention that has gone: %v", err)
	}
	late.State = "place"
	within(t, s, func(tx *queue.Tx) error {
		return tx.Decide(late, place("naver:1", "을밀대"), byID(nil))
	})
	rows(t, s, `select id from place`)
	rows(t, s, `select name, state from v_mentions`, "필동면옥|waiting")
}

// TestPlaces checks that a place comes with its first mention, goes with its last, and that the sinks learn of each change.
func TestPlaces(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sink(t, s, "mongo", "파일")
	check(t, s.Exec(t.Context(), `delete from outbox`))
	a, idsA := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대 본점")
	_, idsB := mentioned(t, s, "망원식탁", "p2", 9, "을밀대")
	decide(t, s, idsA[0], place("naver:1", "을밀대"))
	rows(t, s, told, "mongo|naver:1|1", "파일|naver:1|1")
	decide(t, s, idsA[1], place("naver:1", "을밀대"))
	decide(t, s, idsB[0], place("naver:1", "을밀대"))
	rows(t, s, told, "mongo|naver:1|3", "파일|naver:1|3")
	rows(t, s, `select place, mentions, accounts, first_seen, last_seen from v_places`, "naver:1|3|2|2025-03-01T03:00:00.000Z|2025-03-09T03:00:00.000Z")
	pm, err := s.Place(t.Context(), "naver:1")
	check(t, err)
	var got []string
	for _, m := range pm.Mentions {
		got = append(got, fmt.Sprintf("%s %d %s %s", m.Record.Key, m.N, m.Record.Target, m.Name))
	}
	same(t, "mentions, newest post first", got, []string{"p2 0 망원식탁 을밀대", "p1 0 을지로골목 을밀대", "p1 1 을지로골목 을밀대 본점"})

	// One moves: both places are told of.
	check(t, s.Exec(t.Context(), `delete from outbox`))
	decide(t, s, idsB[0], place("naver:2", "을밀대 강남점"))
	rows(t, s, told, "mongo|naver:1|1", "mongo|naver:2|1", "파일|naver:1|1", "파일|naver:2|1")
	rows(t, s, `select place, mentions from v_places order by place`, "naver:1|2", "naver:2|1")

	// One is found to be no place: its place goes, and the sinks learn of that.
	check(t, s.Exec(t.Context(), `delete from outbox`))
	decide(t, s, idsB[0], nil)
	rows(t, s, told, "mongo|naver:2|1", "파일|naver:2|1")
	rows(t, s, `select id from place`, "naver:1")
	if _, err := s.Place(t.Context(), "naver:2"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a place that nobody names: %v", err)
	}

	// A post that is read anew takes its mentions along.
	check(t, s.Exec(t.Context(), `delete from outbox`))
	extracted(t, s, a)
	rows(t, s, `select key from outbox group by key`, "naver:1")
	rows(t, s, `select id from place`)
	var ids []string
	check(t, s.Places(t.Context(), func(p queue.PlaceMentions) error { ids = append(ids, p.ID); return nil }))
	same(t, "places", ids, []string(nil))
	rows(t, s, `select key from job where kind = 'deliver' order by key`, queue.DeliverKey("mongo", "matzip"), queue.DeliverKey("파일", "matzip"))
}

func TestPlaceIsUpserted(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대", "을밀대")
	s.Now = func() time.Time { return day(1) }
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	s.Now = func() time.Time { return day(2) }
	p := place("naver:1", "을밀대 본점")
	p.Compact, p.FinderID, p.Phone, p.Link, p.Lat, p.Lng = "을밀대본점", "13", "", "", 0, 0
	decide(t, s, ids[1], p)
	got, err := s.Place(t.Context(), "naver:1")
	check(t, err)
	want := *place("naver:1", "을밀대 본점")
	want.Compact, want.FinderID, want.First, want.Updated = "을밀대본점", "13", day(1), day(2)
	if d := cmp.Diff(want, got.Place, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Query" }, cmp.Ignore())); d != "" {
		t.Errorf("what both finds say is not what is stored (-want +got):\n%s", d)
	}

	// Another id, but same says that it is the place with that compact name.
	m, err := s.Mention(t.Context(), ids[2])
	check(t, err)
	m.State = "place"
	other := place("kakao:7", "을밀대 본점")
	other.Compact = "을밀대본점"
	var offered []string
	one := byID(nil)
	one.Same = func(k, found queue.Place) bool {
		offered = append(offered, k.ID)
		return k.Road == found.Road
	}
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, other, one) })
	same(t, "offered", offered, []string{"naver:1"})
	rows(t, s, `select id from place`, "naver:1")
	rows(t, s, `select place from mention group by place`, "naver:1")
	// It is remembered, whatever is asked later.
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, other, byID(nil)) })
	rows(t, s, `select id from place order by id`, "naver:1")
	rows(t, s, `select entry, place, mentions from v_entries order by entry`, "kakao:7|naver:1|1", "naver:1|naver:1|2")
}

func TestPlacesInOrder(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var names []string
	for i := range 203 {
		names = append(names, fmt.Sprintf("식당 %03d", i))
	}
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, names...)
	within(t, s, func(tx *queue.Tx) error {
		for i, id := range ids {
			p := place(fmt.Sprintf("naver:%03d", len(ids)-i), names[i])
			if err := tx.Decide(queue.Mention{ID: id, Pipeline: "matzip", State: "place"}, p, byID(p)); err != nil {
				return err
			}
		}
		return nil
	})
	n, last := 0, ""
	check(t, s.Places(t.Context(), func(p queue.PlaceMentions) error {
		if p.ID <= last || len(p.Mentions) != 1 {
			t.Errorf("%s after %s, %d mentions", p.ID, last, len(p.Mentions))
		}
		n, last = n+1, p.ID
		return nil
	}))
	if n != 203 {
		t.Errorf("%d places", n)
	}
	if err := s.Places(t.Context(), func(queue.PlaceMentions) error { return errSoup }); !errors.Is(err, errSoup) {
		t.Errorf("the caller's error: %v", err)
	}
	n = 0
	check(t, s.PostMentions(t.Context(), func(p queue.PostMention) error {
		if p.Post != "p1" || p.PlaceName != p.Name || p.Road == "" {
			t.Errorf("got %+v", p)
		}
		n++
		return nil
	}))
	if n != 203 {
		t.Errorf("%d mentions", n)
	}
}

// TestMalformedAnswer checks that an answer that is no JSON takes along nothing but its own mentions.
func TestMalformedAnswer(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, bad := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	_, good := mentioned(t, s, "을지로골목", "p2", 2, "을밀대")
	decide(t, s, bad[0], place("naver:1", "을밀대"))
	decide(t, s, good[0], place("naver:1", "을밀대"))
	check(t, s.Exec(t.Context(), `update question set answer = '{"restaurants":[{"name":' where key = 'q-p1'`))
	check(t, s.Exec(t.Context(), `update mention set candidates = '[', queries = '국물' where id = ?`, bad[0]))

	names := func(ms []queue.Mention) (all []string) {
		for _, m := range ms {
			all = append(all, fmt.Sprintf("%s %q %s", m.Record.Key, m.Name, m.Fields))
		}
		return all
	}
	ms, err := s.Mentions(t.Context(), "matzip", 0, 9)
	check(t, err)
	same(t, "mentions", names(ms), []string{`p1 "" `, `p2 "을밀대" {"name":"을밀대"}`})
	pm, err := s.Place(t.Context(), "naver:1")
	check(t, err)
	same(t, "of the place", names(pm.Mentions), []string{`p2 "을밀대" {"name":"을밀대"}`, `p1 "" `})
	m, err := s.Mention(t.Context(), bad[0])
	check(t, err)
	same(t, "one", names([]queue.Mention{m}), []string{`p1 "" `})
	var posts []string
	check(t, s.PostMentions(t.Context(), func(m queue.PostMention) error {
		posts = append(posts, m.Post+" "+m.Name+" "+m.Place)
		return nil
	}))
	same(t, "by post", posts, []string{"p1  naver:1", "p2 을밀대 naver:1"})
	rows(t, s, `select post, coalesce(name, '-'), coalesce(fields, '-'), place, coalesce(candidates, '-'), coalesce(queries, '-') from v_mentions where post = 'p1'`, "p1|-|-|naver:1|-|-")
	rows(t, s, `select post, name, fields, place from v_mentions where post = 'p2'`, `p2|을밀대|{"name":"을밀대"}|naver:1`)
}
