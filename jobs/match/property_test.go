package match_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

func TestJamoDistanceIsAMetric(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.RuneFrom([]rune("가각간까나다라마바사아자차카타파하빵뽕떡국수a1 ")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := text.Draw(t, "a"), text.Draw(t, "b"), text.Draw(t, "c")
		ab, ba, bc, ac := match.JamoDistance(a, b), match.JamoDistance(b, a), match.JamoDistance(b, c), match.JamoDistance(a, c)
		if match.JamoDistance(a, a) != 0 {
			t.Fatalf("%q differs from itself", a)
		}
		if ab != ba {
			t.Fatalf("%q and %q: %d one way, %d the other", a, b, ab, ba)
		}
		if ac > ab+bc {
			t.Fatalf("%q %q %q: %d > %d + %d", a, b, c, ac, ab, bc)
		}
	})
}

func drawCandidate(t *rapid.T) adapters.Candidate {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	c := adapters.Candidate{
		ID:       one("id", "", "", "17", "18"),
		Finder:   one("finder", "naver", "kakao"),
		Name:     one("name", "달빛국수", "달빛국수 연남점", "달빛 국수 본점", "별빛국수", "달빛", "Moon", "달빛국수 주차장", "연남달빛국수") + one("end", "", "", " 2호점"),
		Category: one("category", "음식점>한식", "", "교통>주차장", "카페"),
		Address:  one("lot", "", "서울특별시 마포구 연남동 241-8", "서울 마포구 서교동 10", "부산광역시 수영구 광안동 88-2 1층"),
		RoadAddress: one("road", "", "서울특별시 마포구 동교로 260", "서울 마포구 동교로 262 2층", "부산 수영구 광남로22번길 7",
			"제주특별자치도 제주시 애월읍 애월로 6"),
	}
	if rapid.Bool().Draw(t, "located") {
		c.Lat, c.Lng = rapid.SampledFrom([]float64{37.5629, 37.5631, 35.1530}).Draw(t, "lat"), rapid.SampledFrom([]float64{126.9218, 129.1180}).Draw(t, "lng")
	}
	return c
}

func drawMention(t *rapid.T) match.Mention {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	m := match.Mention{
		Name: one("mention", "달빛국수", "달빛국수 연남점", "#달빛국수맛집", "moon", "별빛국수(star)"), Branch: one("branch", "", "", "연남점", "본점", "2호점"),
		Address: one("address", "", "", "서울 마포구 동교로 260", "마포구 연남동 241-8"), Area: one("area", "", "연남", "서울", "광안리", "아무데나"),
	}
	if rapid.Bool().Draw(t, "pin") {
		m.Location = &match.Location{Name: one("pinName", "Seoul, South Korea", "달빛국수 연남점", "연남"), Lat: 37.5630, Lng: 126.9218}
	}
	return m
}

func TestDecideDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawMention(t)
		cs := rapid.SliceOfN(rapid.Custom(drawCandidate), 0, 6).Draw(t, "candidates")
		for i := range rapid.IntRange(0, len(cs)).Draw(t, "twins") {
			twin := cs[i] // the other finder's entry of the same shop
			twin.ID, twin.Finder = twin.ID+"7", "kakao"
			cs = append(cs, twin)
		}
		want := match.Decide(m, cs)
		mixed := append([]adapters.Candidate(nil), cs...)
		rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		got := match.Decide(m, mixed)
		if got.State != want.State || got.Score != want.Score || got.Reason != want.Reason {
			t.Fatalf("got %s %.4f %q, want %s %.4f %q", got.State, got.Score, got.Reason, want.State, want.Score, want.Reason)
		}
		if got.Index >= 0 && mixed[got.Index] != cs[want.Index] {
			t.Fatalf("got %+v, want %+v", mixed[got.Index], cs[want.Index])
		}
		if match.Sure(m, cs) != match.Sure(m, mixed) {
			t.Fatal("Sure depends on the order")
		}
	})
}

func TestSameIsSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawCandidate(t), drawCandidate(t)
		if match.Same(a, b) != match.Same(b, a) {
			t.Fatalf("%+v %+v", a, b)
		}
		if match.PlaceKey(a) == match.PlaceKey(b) && !match.Same(a, b) {
			t.Fatalf("equal keys but not the same: %+v %+v", a, b)
		}
	})
}
