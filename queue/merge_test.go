package queue_test

import (
	"errors"
	"testing"

	"sumbi/queue"
)

const parts = `select place, entry, by_hand, mentions from v_entries order by place, entry`

// TestMergeAndSplit checks that mentions and sinks follow, and that both are remembered.
func TestMergeAndSplit(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sink(t, s, "mongo", "파일")
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대 본점", "을밀대", "우래옥")
	a, b := place("naver:1", "을밀대"), place("kakao:2", "을밀대 본점")
	a.Phone = ""
	decide(t, s, ids[0], a)
	decide(t, s, ids[1], b)
	decide(t, s, ids[3], place("naver:3", "우래옥"))
	check(t, s.Exec(t.Context(), `delete from outbox`))
	merge := func(into, other string) error {
		return s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Merge(into, other, byID(nil)) })
	}
	split := func(entry string) (stays, leaves string, err error) {
		err = s.Tx(t.Context(), func(tx *queue.Tx) (err error) {
			stays, leaves, err = tx.Split(entry, byID(nil))
			return err
		})
		return stays, leaves, err
	}
	for _, no := range [][2]string{{"naver:1", "naver:9"}, {"naver:9", "naver:1"}} {
		if err := merge(no[0], no[1]); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("merge %v: %v", no, err)
		}
	}
	if err := merge("naver:1", "naver:1"); err == nil {
		t.Error("a place was merged with itself")
	}

	check(t, merge("naver:1", "kakao:2"))
	rows(t, s, told, "mongo|kakao:2|1", "mongo|naver:1|1", "파일|kakao:2|1", "파일|naver:1|1")
	rows(t, s, `select place, mentions, phone from v_places order by place`, "naver:1|2|02-717-1922", "naver:3|1|02-717-1922")
	rows(t, s, parts, "naver:1|kakao:2|1|1", "naver:1|naver:1|1|1", "naver:3|naver:3|0|1")
	decide(t, s, ids[2], b) // either spelling is the one place now
	rows(t, s, `select place, mentions from v_places order by place`, "naver:1|3", "naver:3|1")
	for _, id := range ids[:3] {
		decide(t, s, id, nil)
	}
	rows(t, s, `select id from place`, "naver:3")
	decide(t, s, ids[2], b) // also when nobody has named it for a while
	rows(t, s, `select place, mentions from v_places order by place`, "naver:1|1", "naver:3|1")
	decide(t, s, ids[0], a)
	decide(t, s, ids[1], b)

	check(t, s.Exec(t.Context(), `delete from outbox`))
	stays, leaves, err := split("kakao:2")
	check(t, err)
	same(t, "split", []string{stays, leaves}, []string{"naver:1", "kakao:2"})
	rows(t, s, told, "mongo|kakao:2|1", "mongo|naver:1|1", "파일|kakao:2|1", "파일|naver:1|1")
	rows(t, s, `select place, mentions, phone from v_places order by place`, "kakao:2|2|02-717-1922", "naver:1|1|", "naver:3|1|02-717-1922")
	// What nobody names is no place, also when it is split.
	check(t, merge("naver:1", "kakao:2"))
	for _, id := range ids[:3] {
		decide(t, s, id, nil)
	}
	_, _, err = split("kakao:2")
	check(t, err)
	rows(t, s, `select id from place`, "naver:3")
	for _, entry := range []string{"kakao:2", "naver:9"} {
		if _, _, err := split(entry); err == nil {
			t.Errorf("split %s", entry)
		}
	}
}

// TestSplitIsRemembered checks that what a person has split is not taken for one again, neither directly nor over a third.
func TestSplitIsRemembered(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대", "을밀대")
	one := byID(nil)
	one.Same = func(known, found queue.Place) bool { return known.Road == found.Road }
	take := func(id int64, p *queue.Place) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			return tx.Decide(queue.Mention{ID: id, Pipeline: "matzip", State: "place"}, p, one)
		})
	}
	a, b, c := place("a", "을밀대"), place("b", "을밀대"), place("c", "을밀대")
	take(ids[0], a)
	take(ids[1], b)
	rows(t, s, parts, "a|a|0|1", "a|b|0|1")
	within(t, s, func(tx *queue.Tx) error {
		_, leaves, err := tx.Split("a", one) // the place's own id stays with its entry
		if leaves != "b" {
			t.Errorf("leaves %s", leaves)
		}
		return err
	})
	rows(t, s, parts, "a|a|0|1", "b|b|0|1")
	// b goes, and comes back as if it were new.
	within(t, s, func(tx *queue.Tx) error {
		return tx.Decide(queue.Mention{ID: ids[1], Pipeline: "matzip", State: "none"}, nil, one)
	})
	rows(t, s, parts, "a|a|0|1")
	take(ids[1], b)
	rows(t, s, parts, "a|a|0|1", "b|b|0|1")
	take(ids[2], c)
	rows(t, s, parts, "a|a|0|1", "a|c|0|1", "b|b|0|1")
	// A person may think otherwise.
	within(t, s, func(tx *queue.Tx) error { return tx.Merge("a", "b", one) })
	rows(t, s, `select count(*) from place_apart`, "0")
	rows(t, s, parts, "a|a|1|1", "a|b|1|1", "a|c|1|1")
}

// TestDifferForbids checks that an entry is no part of a place of which it differs from another entry.
func TestDifferForbids(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대", "을밀대")
	one := byID(nil)
	one.Same = func(known, found queue.Place) bool { return known.Finder != found.Finder }
	one.Differ = func(known, found queue.Place) bool { return known.Finder == found.Finder }
	for i, p := range []*queue.Place{place("k1", "을밀대"), place("n", "을밀대"), place("k2", "을밀대")} {
		if p.ID != "n" {
			p.Finder = "kakao"
		}
		within(t, s, func(tx *queue.Tx) error {
			return tx.Decide(queue.Mention{ID: ids[i], Pipeline: "matzip", State: "place"}, p, one)
		})
	}
	rows(t, s, parts, "k1|k1|0|1", "k1|n|0|1", "k2|k2|0|1")
}

// TestReroute checks that what waits in a lane goes over to another, and what is in flight does not.
func TestReroute(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	add(t, s, pageJob("가"), pageJob("나"), pageJob("다"))
	take(t, s)
	var n int
	within(t, s, func(tx *queue.Tx) (err error) {
		n, err = tx.Reroute("matzip", queue.KindPage, "인스타", "카카오", 9)
		return err
	})
	same(t, "moved", n, 2)
	rows(t, s, `select key, lane from job order by key`, "가|인스타", "나|카카오", "다|카카오")
}
