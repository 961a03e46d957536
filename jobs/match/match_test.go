package match_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

// shop is a candidate as Naver words it.
func shop(name, lot, road string) adapters.Candidate {
	return adapters.Candidate{Finder: "naver", Name: name, Category: "음식점>한식", Address: lot, RoadAddress: road}
}

func at(c adapters.Candidate, lat, lng float64) adapters.Candidate {
	c.Lat, c.Lng = lat, lng
	return c
}

func category(c adapters.Candidate, s string) adapters.Candidate {
	c.Category = s
	return c
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const none = -1
	tests := []struct {
		name       string
		mention    match.Mention
		candidates []adapters.Candidate
		want       int
		why        string // part of the chosen one's Why
	}{
		{
			name:    "road number in another spelling",
			mention: match.Mention{Name: "노을분식", Address: "부산시 수영구 광남로 22번길 7 2층"},
			candidates: []adapters.Candidate{
				shop("노을분식", "부산광역시 해운대구 우동 501-3", "부산광역시 해운대구 해운대로 570"),
				shop("노을분식 광안점", "부산광역시 수영구 광안동 88-2", "부산광역시 수영구 광남로22번길 7"),
			},
			want: 1, why: "road address equal",
		},
		{
			name:    "lot against lot",
			mention: match.Mention{Name: "달빛국수", Address: "제주도 제주시 이도2동 77-1"},
			candidates: []adapters.Candidate{
				shop("달빛국수", "제주특별자치도 서귀포시 서귀동 12-4", "제주특별자치도 서귀포시 중앙로 3"),
				shop("달빛국수", "제주특별자치도 제주시 이도이동 77-1", "제주특별자치도 제주시 도남로 9"),
			},
			want: 1, why: "lot address equal",
		},
		{
			name:    "renamed province",
			mention: match.Mention{Name: "산마루막국수", Address: "강원도 춘천시 신북읍 맥국2길 30"},
			candidates: []adapters.Candidate{
				shop("산마루막국수", "", "강원특별자치도 춘천시 신북읍 맥국2길 30"),
			},
			want: 0, why: "road address equal",
		},
		{
			name:    "short province of the other finder",
			mention: match.Mention{Name: "바람커피", Address: "전라북도 전주시 완산구 은행로 44"},
			candidates: []adapters.Candidate{
				shop("바람커피", "전북 전주시 완산구 교동 9-1", "전북 전주시 완산구 은행로 44"),
			},
			want: 0, why: "road address equal",
		},
		{
			name:    "informal area",
			mention: match.Mention{Name: "초록화로", Area: "서울숲"},
			candidates: []adapters.Candidate{
				shop("초록화로", "서울특별시 강서구 화곡동 10-2", "서울특별시 강서구 화곡로 100"),
				at(shop("초록화로", "서울특별시 성동구 성수동1가 668", "서울특별시 성동구 서울숲2길 20"), 37.5466, 127.0410),
			},
			want: 1, why: "in the area",
		},
		{
			name:       "right name in a wrong city",
			mention:    match.Mention{Name: "초록화로", Area: "해운대"},
			candidates: []adapters.Candidate{shop("초록화로", "서울특별시 강서구 화곡동 10-2", "서울특별시 강서구 화곡로 100")},
			want:       none,
		},
		{
			name:    "chain without a hint",
			mention: match.Mention{Name: "큰솥국밥"},
			candidates: []adapters.Candidate{
				shop("큰솥국밥 신림점", "", "서울특별시 관악구 신림로 300"),
				shop("큰솥국밥 천호점", "", "서울특별시 강동구 천호대로 1000"),
				shop("큰솥국밥 화정점", "", "경기도 고양시 덕양구 화신로 270"),
			},
			want: none,
		},
		{
			name:    "chain with the branch",
			mention: match.Mention{Name: "큰솥국밥", Branch: "천호점"},
			candidates: []adapters.Candidate{
				shop("큰솥국밥 신림점", "", "서울특별시 관악구 신림로 300"),
				shop("큰솥국밥 천호점", "", "서울특별시 강동구 천호대로 1000"),
				shop("큰솥국밥 화정점", "", "경기도 고양시 덕양구 화신로 270"),
			},
			want: 1, why: "branch 천호점 equal",
		},
		{
			name:    "station and town are two branches",
			mention: match.Mention{Name: "큰솥국밥", Branch: "화정역점"},
			candidates: []adapters.Candidate{
				shop("큰솥국밥 화정점", "", "경기도 고양시 덕양구 화신로 270"),
				shop("큰솥국밥 신림점", "", "서울특별시 관악구 신림로 300"),
			},
			want: none,
		},
		{
			name:    "Latin name read aloud",
			mention: match.Mention{Name: "Maru Bakery", Area: "연남동"},
			candidates: []adapters.Candidate{
				category(shop("마루베이커리", "서울특별시 마포구 연남동 241-8", "서울특별시 마포구 동교로 260"), "카페,디저트>베이커리"),
			},
			want: 0, why: "read aloud",
		},
		{
			name:    "digits read",
			mention: match.Mention{Name: "팔팔순대", Address: "대전 서구 둔산로 31"},
			candidates: []adapters.Candidate{
				shop("88순대", "대전광역시 서구 둔산동 1000", "대전광역시 서구 둔산로 31"),
			},
			want: 0, why: "read aloud",
		},
		{
			name:    "hashtag",
			mention: match.Mention{Name: "#은하수식당맛집", Area: "망원동"},
			candidates: []adapters.Candidate{
				shop("<b>은하수</b>식당", "서울특별시 마포구 망원동 57-1", "서울특별시 마포구 포은로 90"),
			},
			want: 0, why: "name equal",
		},
		{
			name:    "generic word in common is no name in common",
			mention: match.Mention{Name: "갈매기짬뽕", Area: "서귀포시"},
			candidates: []adapters.Candidate{
				shop("두루미짬뽕", "제주특별자치도 서귀포시 동홍동 11-1", "제주특별자치도 서귀포시 동홍로 7"),
			},
			want: none,
		},
		{
			name:    "another shop at the address",
			mention: match.Mention{Name: "구름상점", Address: "서울 용산구 한강대로 77"},
			candidates: []adapters.Candidate{
				shop("파도이발관", "서울특별시 용산구 한강로2가 100", "서울특별시 용산구 한강대로 77"),
			},
			want: none,
		},
		{
			name:    "car park of the shop",
			mention: match.Mention{Name: "하늘정원카페", Address: "경기 파주시 탄현면 헤이리로 5"},
			candidates: []adapters.Candidate{
				category(shop("하늘정원카페 주차장", "", "경기도 파주시 탄현면 헤이리로 5"), "교통,수송>주차장"),
			},
			want: none,
		},
		{
			name:    "only the pin tells the branches apart",
			mention: match.Mention{Name: "오름돈가", Location: &match.Location{Name: "오름돈가 중문점", Lat: 33.2500, Lng: 126.4200}},
			candidates: []adapters.Candidate{
				at(shop("오름돈가 노형점", "제주특별자치도 제주시 노형동 1", "제주특별자치도 제주시 노형로 1"), 33.4850, 126.4800),
				at(shop("오름돈가 중문점", "제주특별자치도 서귀포시 색달동 2", "제주특별자치도 서귀포시 중문관광로 2"), 33.2501, 126.4201),
			},
			want: 1, why: "at the location tag",
		},
		{
			name:    "two finders, one place",
			mention: match.Mention{Name: "솔밭칼국수", Area: "연희동"},
			candidates: []adapters.Candidate{
				at(shop("솔밭칼국수", "서울특별시 서대문구 연희동 132", "서울특별시 서대문구 연희로 40"), 37.5650, 126.9300),
				at(adapters.Candidate{ID: "991", Finder: "kakao", Name: "솔밭칼국수", Category: "음식점 > 한식", Address: "서울 서대문구 연희동 132", RoadAddress: "서울 서대문구 연희로 40"}, 37.5651, 126.9301),
			},
			want: 1, why: "in the area",
		},
		{name: "no name", candidates: []adapters.Candidate{shop("솔밭칼국수", "", "서울특별시 서대문구 연희로 40")}, want: none},
		{name: "nothing found", mention: match.Mention{Name: "솔밭칼국수"}, want: none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := match.Decide(tt.mention, tt.candidates)
			got := d.Index
			if d.State != match.Place {
				got = none
			}
			if got != tt.want {
				t.Fatalf("got %d (%s, %.2f), want %d; %+v", got, d.State, d.Score, tt.want, d.Scored)
			}
			if d.Reason == "" || len(d.Scored) != len(tt.candidates) && tt.mention.Name != "" {
				t.Errorf("reason %q with %d of %d candidates scored", d.Reason, len(d.Scored), len(tt.candidates))
			}
			if tt.want != none && !strings.Contains(d.Scored[0].Why, tt.why) {
				t.Errorf("why %q does not say %q", d.Scored[0].Why, tt.why)
			}
		})
	}
}

func TestSure(t *testing.T) {
	t.Parallel()
	exact := shop("노을분식", "부산광역시 수영구 광안동 88-2", "부산광역시 수영구 광남로22번길 7")
	tests := []struct {
		name    string
		mention match.Mention
		found   []adapters.Candidate
		want    bool
	}{
		{"name and number", match.Mention{Name: "노을분식", Address: "부산 수영구 광남로22번길 7"}, []adapters.Candidate{exact}, true},
		{"name alone", match.Mention{Name: "노을분식"}, []adapters.Candidate{exact}, false},
		{"branch equal", match.Mention{Name: "노을분식", Branch: "광안점"}, []adapters.Candidate{shop("노을분식 광안점", "부산광역시 수영구 광안동 88-2", "부산광역시 수영구 광남로22번길 7")}, true},
		{"chain in the area", match.Mention{Name: "노을분식", Area: "광안동"}, []adapters.Candidate{exact, shop("노을분식 서면점", "부산광역시 부산진구 전포동 1", "")}, false},
		{"namesake elsewhere", match.Mention{Name: "노을분식", Area: "광안동"}, []adapters.Candidate{exact, shop("노을분식", "대구광역시 중구 동인동 1", "")}, true},
		{"district only", match.Mention{Name: "노을분식", Area: "수영구"}, []adapters.Candidate{exact}, false},
		{"nothing", match.Mention{Name: "노을분식", Area: "수영구"}, nil, false},
	}
	for _, tt := range tests {
		if got := match.Sure(tt.mention, tt.found); got != tt.want {
			t.Errorf("%s: got %t, want %t (%+v)", tt.name, got, tt.want, match.Decide(tt.mention, tt.found))
		}
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   match.Mention
		want []string
	}{
		{"area, branch, alone", match.Mention{Name: "큰솥누룽", Branch: "천호점", Area: "천호동"}, []string{"천호동 큰솥누룽", "큰솥누룽 천호점", "큰솥누룽"}},
		{"dong of the address", match.Mention{Name: "달빛국수", Address: "제주도 제주시 연동 77-1"}, []string{"연동 달빛국수", "달빛국수"}},
		{"town before district", match.Mention{Name: "달빛국수", Address: "제주시 애월읍 애월로 6"}, []string{"애월읍 달빛국수", "달빛국수"}},
		{"district", match.Mention{Name: "달빛국수", Address: "서울 마포구 망원로 61"}, []string{"마포구 달빛국수", "달빛국수"}},
		{"area in the name", match.Mention{Name: "연남 누룽담", Area: "연남"}, []string{"연남 누룽담"}},
		{"hashtag and emoji", match.Mention{Name: "#누룽담맛집 🍜"}, []string{"누룽담"}},
		{"alias", match.Mention{Name: "누룽담(moonlight)"}, []string{"누룽담", "moonlight"}},
		{"digits are no name alone", match.Mention{Name: "누룽담1984"}, []string{"누룽담1984"}},
		{"name of the tag", match.Mention{Name: "Nurung", Location: &match.Location{Name: "누룽담 천호점"}}, []string{"Nurung", "누룽담 천호점"}},
		{"tag of a region", match.Mention{Name: "누룽담", Location: &match.Location{Name: "Seoul, South Korea"}}, []string{"누룽담"}},
		{"both scripts", match.Mention{Name: "누룽담 nurung"}, []string{"누룽담 nurung", "누룽담", "nurung"}},
		{"without generic words", match.Mention{Name: "누룽지국수"}, []string{"누룽지국수", "누룽지"}},
		{"no name", match.Mention{Name: "🍜 !!", Area: "연남"}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, match.Queries(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestWorth(t *testing.T) {
	t.Parallel()
	m := match.Mention{Name: "달무리국수", Area: "연남동"}
	named := []adapters.Candidate{shop("달무리국수", "서울특별시 강동구 천호동 2", "서울특별시 강동구 천호대로 1000")}
	strange := []adapters.Candidate{shop("파도이발관", "서울특별시 강동구 천호동 2", "서울특별시 강동구 천호대로 1000")}
	tests := []struct {
		name, query string
		found       []adapters.Candidate
		want        bool
	}{
		{"first", "연남동 달무리국수", nil, true},
		{"the name alone, another found", "달무리국수", named, true},
		{"another form, the name found", "달무리", named, false},
		{"another form, nothing found", "달무리", nil, true},
		{"another form, strangers found", "달무리", strange, true},
	}
	for _, tt := range tests {
		if got := match.Worth(m, tt.query, tt.found); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestWhy pins the words that people read.
func TestWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   match.Mention
		c    adapters.Candidate
		want string
	}{
		{
			"numbers apart",
			match.Mention{Name: "금화로", Branch: "성수점", Address: "서울 성동구 왕십리로 88"},
			seoul("금화 로", "성동구", "성수동1가 2", "왕십리로 90"),
			"name equal; branch 성수점 against none, fits the address; road address differs by 2 numbers",
		},
		{
			"other branch",
			match.Mention{Name: "금화로", Branch: "성수점", Area: "성수"},
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"),
			"name equal; branch 성수점 against 길동점; area is elsewhere",
		},
		{
			"branch equal, tag near",
			match.Mention{Name: "금화로", Branch: "길동점", Location: &match.Location{Name: "금화로 길동점", Lat: 37.5, Lng: 127.1}},
			at(seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), 37.5, 127.1), "name equal; branch 길동점 equal; at the location tag; location tag has its name",
		},
		{"charger", match.Mention{Name: "금화로"}, seoul("금화로 전기차충전소", "강동구", "길동 2", "천호대로 1100"), "not a restaurant"},
		{
			"lot, name read",
			match.Mention{Name: "88담", Address: "서울 강동구 길동 2-1", Menu: []string{"아메리카노"}},
			category(seoul("팔팔담", "강동구", "길동 2-1", ""), "카페,디저트"),
			"name equal when read aloud; lot address equal; menu fits",
		},
	}
	for _, tt := range tests {
		d := match.Decide(tt.in, []adapters.Candidate{tt.c})
		if got := d.Scored[0].Why; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestWork bounds what a decision costs, whatever the texts hold.
func TestWork(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("달빛 (국수) moon 88점 #", 5000)
	m := match.Mention{Name: long, Branch: long, Address: long, Area: long, Menu: []string{long, long}, Location: &match.Location{Name: long, Lat: 37, Lng: 127}}
	var cs []adapters.Candidate
	for range 500 {
		cs = append(cs, category(at(shop(long, long, long), 37, 127), long))
	}
	d := match.Decide(m, cs)
	if d.Compared == 0 || d.Compared > 64*64 {
		t.Errorf("%d pairs of names were compared", d.Compared)
	}
	if n := len(d.Scored[0].Why); n > 1000 {
		t.Errorf("a reason of %d bytes", n)
	}
}

func TestPlaceKey(t *testing.T) {
	t.Parallel()
	naver := at(shop("<b>노을</b> 분식", "부산광역시 수영구 광안동 88-2 1층", "부산광역시 수영구 광남로22번길 7 2층"), 35.1530, 129.1180)
	kakao := at(adapters.Candidate{ID: "12", Finder: "kakao", Name: "노을분식", Address: "부산 수영구 광안동 88-2", RoadAddress: "부산 수영구 광남로22번길 7"}, 35.15302, 129.11801)
	key := match.PlaceKey(naver)
	if len(key) != 17 || key[0] != 'p' {
		t.Errorf("key %q", key)
	}
	if got := match.PlaceKey(kakao); got != key {
		t.Errorf("kakao %s, naver %s", got, key)
	}
	moved := naver
	moved.RoadAddress = "부산광역시 수영구 광남로22번길 9"
	if match.PlaceKey(moved) == key {
		t.Error("another number has the same key")
	}
	if !match.Same(naver, kakao) || !match.Same(naver, moved) {
		t.Error("an equal name at one spot is not the same place")
	}
	moved.Lat += 0.01
	if match.Same(naver, moved) {
		t.Error("an equal name a kilometre away is the same place")
	}
	other := naver
	other.Name = "노을분식 2호점"
	if match.Same(naver, other) {
		t.Error("another name at the spot is the same place")
	}
}

func TestCompactName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<b>Café</b> 달 &amp; 별": "cafe달별", "달빛 (휴업중)": "달빛", "１２３ 국수": "123국수", "〈달빛〉🌙": "달빛", "": "",
	} {
		if got := match.CompactName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	// City hall of Seoul to that of Busan is about 325 km.
	got := match.Distance(37.5663, 126.9779, 35.1798, 129.0750)
	if math.Abs(got-325_000) > 3_000 {
		t.Errorf("got %.0f m", got)
	}
	if got := match.Distance(37.5, 127, 37.5, 127); got != 0 {
		t.Errorf("a point is %.3f m from itself", got)
	}
}

func TestLevelNamesAreUnique(t *testing.T) {
	t.Parallel()
	names := match.LevelNames()
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) || names[0] == "" {
		t.Errorf("%d names, %d distinct, the first %q", len(names), n, names[0])
	}
}
