package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// TestDecision wants the version of a decision to change with each decision, and to stay otherwise.
func TestDecision(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	at := day(10)
	s.Now = func() time.Time { return at }
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	versions := map[string]string{}
	look := func(step, want string) {
		t.Helper()
		d, err := s.Decision(t.Context(), ids[0])
		check(t, err)
		same(t, step, strings.TrimSpace(fmt.Sprint(d.State, " ", d.PlaceName, " ", d.Author)), want)
		if before, known := versions[d.Version()]; known {
			t.Errorf("%s has the version of %s", step, before)
		}
		versions[d.Version()] = step
		var inside queue.Decision
		within(t, s, func(tx *queue.Tx) (err error) {
			inside, err = tx.Decision(ids[0])
			return err
		})
		same(t, step+" inside", inside.Version(), d.Version())
		at = at.Add(time.Minute)
	}
	look("read", "waiting")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	look("matched", "place 을밀대")
	label(t, s, ids[0], place("naver:2", "을밀대 강남점"))
	look("labelled", "place 을밀대 강남점 사장님")
	label(t, s, ids[1], nil) // another one's
	label(t, s, ids[0], place("naver:2", "을밀대 강남점"))
	look("labelled the same again", "place 을밀대 강남점 사장님")
	within(t, s, func(tx *queue.Tx) error {
		if l, err := tx.LabelOf(ids[0]); err != nil || l.Author != "사장님" || l.Found.ID != "naver:2" {
			t.Errorf("label %+v %v", l, err)
		}
		_, err := tx.Unlabel(ids[0], byID(nil))
		return err
	})
	look("taken back", "place 을밀대")
	if _, err := s.Decision(t.Context(), 4711); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a mention that is not there: %v", err)
	}
}

// TestLinked finds what is known behind a link.
func TestLinked(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	known := place("k1", "을밀대")
	known.Finder, known.FinderID, known.Link = "kakao", "26338954", "http://place.map.kakao.com/26338954"
	decide(t, s, ids[0], known)
	own := &queue.Place{ID: "n9", Finder: "naver", Name: "우래옥", Compact: "우래옥", Link: "https://map.naver.com/p/9", Query: "을지로 우래옥"}
	decide(t, s, ids[1], own)
	shown := adapters.Candidate{ID: "777", Finder: "kakao", Name: "평양면옥", RoadAddress: "서울 중구 장충단로 207", Link: "http://place.map.kakao.com/777"}
	again := adapters.Candidate{ID: "26338954", Finder: "kakao", Name: known.Name, Address: known.Address, RoadAddress: known.Road, Link: known.Link}
	within(t, s, func(tx *queue.Tx) error {
		return tx.SaveSearch("kakao", "냉면", []adapters.Candidate{shown, again, {Finder: "naver", Name: "남의 집", Link: "https://example.com/777x"}})
	})
	for _, tt := range []struct{ links, finder, id, want string }{
		{links: "http://place.map.kakao.com/26338954", want: "을밀대"},
		{links: "https://a.test http://place.map.kakao.com/26338954", want: "을밀대"},
		{links: "https://place.map.kakao.com/777", finder: "kakao", id: "777", want: "평양면옥"},
		{links: "https://place.map.kakao.com/777", finder: "naver", id: "777"}, // another finder's number
		{links: "https://map.naver.com/p/9", want: "(own) 을지로 우래옥"},
		{links: "https://place.map.kakao.com/778", finder: "kakao", id: "778"},
		{links: "https://place.map.kakao.com/", finder: "kakao"},
		{links: "https://place.map.kakao.com/';drop-table-place;--"},
		{finder: "kakao", id: "777"},
	} {
		all, err := s.Linked(t.Context(), strings.Fields(tt.links), tt.finder, tt.id)
		check(t, err)
		var got []string
		for _, o := range all {
			if o.Name == "" {
				got = append(got, "(own) "+o.Query)
				continue
			}
			got = append(got, o.Name)
		}
		same(t, tt.links+tt.finder, strings.Join(got, ", "), tt.want)
	}
}
