package queue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/queue"
)

// TestMap reads what a map shows.
func TestMap(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, a := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	_, b := mentioned(t, s, "을지로골목", "p2", 2, "을밀대", "이름 모를 집", "필동면옥")
	// What the model says of advertising, and what only looks like it.
	check(t, s.Exec(t.Context(), `update question set answer = ? where key = ?`, `{"restaurants":[{"name":"을밀대","ad":true},{"name":"true","ad":false,"quote":"true"},{"ad":"true"}]}`, "q-p2"))
	check(t, s.Exec(t.Context(), `update question set answer = ? where key = ?`, `{"restaurants":[{"name":"을밀대","ad":true`, "q-p1"))
	nowhere := place("naver:2", "우래옥")
	nowhere.Road, nowhere.Lat, nowhere.Lng = "", 0, 0
	decide(t, s, a[0], place("naver:1", "을밀대"))
	decide(t, s, a[1], nowhere)
	decide(t, s, b[0], place("naver:1", "을밀대"))
	decide(t, s, b[1], nil)

	var places []queue.MapPlace
	check(t, s.MapPlaces(t.Context(), func(p queue.MapPlace) { places = append(places, p) }))
	slices.SortFunc(places, func(a, b queue.MapPlace) int { return strings.Compare(a.ID, b.ID) })
	want := []queue.MapPlace{
		{ID: "naver:1", Name: "을밀대", Category: "한식>냉면", Address: "서울 마포구 숭문길 24", Lat: 37.5476, Lng: 126.9511},
		{ID: "naver:2", Name: "우래옥", Category: "한식>냉면", Address: "서울 마포구 염리동 147-6"},
	}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if n, err := s.CountPlaces(t.Context()); n != len(want) || err != nil {
		t.Errorf("%d places are counted, want %d, %v", n, len(want), err)
	}
	all := func(after int64) (ms []queue.MapMention) {
		check(t, s.MapMentions(t.Context(), after, func(m queue.MapMention) {
			m.At = m.At.UTC()
			ms = append(ms, m)
		}))
		return ms
	}
	mention := func(id int64, at time.Time, ad bool) queue.MapMention {
		return queue.MapMention{ID: id, Account: "을지로골목", At: at, Ad: ad}
	}
	first := []queue.MapMention{mention(a[0], day(1), false), mention(a[1], day(1), false)}
	later := []queue.MapMention{mention(b[0], day(2), true), mention(b[1], day(2), false), mention(b[2], day(2), true)}
	if diff := cmp.Diff(append(first, later...), all(0)); diff != "" {
		t.Errorf("mentions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(later, all(a[1])); diff != "" {
		t.Errorf("later mentions (-want +got):\n%s", diff)
	}
	type pair struct {
		Mention int64
		Place   string
	}
	var placed []pair
	check(t, s.MapPlaced(t.Context(), func(m int64, p string) { placed = append(placed, pair{m, p}) }))
	if diff := cmp.Diff([]pair{{a[0], "naver:1"}, {b[0], "naver:1"}, {a[1], "naver:2"}}, placed); diff != "" {
		t.Errorf("placed (-want +got):\n%s", diff)
	}

	// The newest mentions of a place, and all there are.
	for n, want := range map[int][]int64{1: {b[0]}, 5: {b[0], a[0]}} {
		p, found, err := s.PlaceNewest(t.Context(), "naver:1", n)
		check(t, err)
		var got []int64
		for _, m := range p.Mentions {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" || found != 2 || p.Name != "을밀대" {
			t.Errorf("the newest %d of %d of %q (-want +got):\n%s", n, found, p.Name, diff)
		}
	}
	if _, _, err := s.PlaceNewest(t.Context(), "naver:3", 5); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a place that is not there: %v", err)
	}
}
