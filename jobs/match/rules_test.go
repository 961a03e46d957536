package match_test

import (
	"testing"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

// Shops that the cases of general rules choose among. None of them exists.
func seoul(name, gu, dong, road string) adapters.Candidate {
	return shop(name, "서울특별시 "+gu+" "+dong, "서울특별시 "+gu+" "+road)
}

// TestGeneralRules has invented cases for what should hold of any name and place, one rule a group.
func TestGeneralRules(t *testing.T) {
	t.Parallel()
	const none = -1
	type m = match.Mention
	cafe := func(c adapters.Candidate) adapters.Candidate { return category(c, "카페,디저트>카페") }
	tests := []struct {
		name  string
		in    match.Mention
		found []adapters.Candidate
		want  int
	}{
		// Stations, landmarks and words that are the beginning of a district's name.
		{"station", m{Name: "누룽담", Area: "까치울역"}, []adapters.Candidate{shop("누룽담", "경기도 부천시 작동 12-3", "경기도 부천시 길주로 600")}, 0},
		{"station elsewhere", m{Name: "누룽담", Area: "까치울역"}, []adapters.Candidate{shop("누룽담", "경상남도 진주시 작동 12-3", "경상남도 진주시 남강로 600")}, none},
		{"exit of a station", m{Name: "누룽담", Area: "학여울역 2번출구"}, []adapters.Candidate{
			seoul("누룽담", "강남구", "대치동 511", "남부순환로 3100"), shop("누룽담", "부산광역시 연제구 연산동 511", "부산광역시 연제구 중앙대로 1100"),
		}, 0},
		{"landmark", m{Name: "누룽담", Area: "수승대"}, []adapters.Candidate{
			shop("누룽담", "대구광역시 중구 동인동 1", "대구광역시 중구 국채보상로 700"), shop("누룽담", "경상남도 거창군 위천면 황산리 890", "경상남도 거창군 위천면 은하리길 2"),
		}, 1},
		{"part of a district's name", m{Name: "누룽담", Area: "팔달"}, []adapters.Candidate{
			shop("누룽담", "경기도 용인시 기흥구 상하동 2", "경기도 용인시 기흥구 상하로 2"), shop("누룽담", "경기도 수원시 팔달구 인계동 2", "경기도 수원시 팔달구 효원로 2"),
		}, 1},
		{"half of a district's name", m{Name: "누룽담", Area: "마산"}, []adapters.Candidate{
			shop("누룽담", "경상남도 창원시 마산회원구 합성동 2", "경상남도 창원시 마산회원구 합성옛길 2"), shop("누룽담", "경상남도 김해시 외동 2", "경상남도 김해시 내외로 2"),
		}, 0},
		{"two areas", m{Name: "누룽담", Area: "강원 원주 단계동"}, []adapters.Candidate{
			shop("누룽담", "강원특별자치도 원주시 단계동 801", "강원특별자치도 원주시 백간길 31"), shop("누룽담", "강원특별자치도 강릉시 교동 801", "강원특별자치도 강릉시 율곡로 31"),
		}, 0},
		{"area in Latin letters", m{Name: "누룽담", Area: "Mangwon-dong"}, []adapters.Candidate{
			seoul("누룽담", "은평구", "갈현동 3", "갈현로 3"), seoul("누룽담", "마포구", "망원동 3", "포은로 3"),
		}, 1},
		{"city in Latin letters", m{Name: "누룽담", Area: "Gangneung"}, []adapters.Candidate{
			seoul("누룽담", "은평구", "갈현동 3", "갈현로 3"), shop("누룽담", "강원특별자치도 강릉시 교동 801", "강원특별자치도 강릉시 율곡로 31"),
		}, 1},
		{"informal area in Latin letters", m{Name: "누룽담", Area: "Hongdae"}, []adapters.Candidate{
			seoul("누룽담", "강남구", "논현동 3", "봉은사로2길 3"), seoul("누룽담", "마포구", "서교동 3", "와우산로 3"),
		}, 1},
		{"several areas", m{Name: "누룽담", Area: "합정/상수"}, []adapters.Candidate{
			seoul("누룽담", "강남구", "논현동 3", "봉은사로2길 3"), seoul("누룽담", "마포구", "상수동 3", "독막로 3"),
		}, 1},
		{"city without its ending", m{Name: "누룽담", Address: "속초 중앙로 12"}, []adapters.Candidate{
			shop("누룽담", "충청남도 서산시 동문동 3", "충청남도 서산시 중앙로 12"), shop("누룽담", "강원특별자치도 속초시 중앙동 3", "강원특별자치도 속초시 중앙로 12"),
		}, 1},
		{"city without its ending, elsewhere", m{Name: "누룽담", Address: "속초 중앙로 12"}, []adapters.Candidate{
			shop("누룽담", "충청남도 서산시 동문동 3", "충청남도 서산시 중앙로 12"),
		}, none},

		// Addresses.
		{"road and number written together", m{Name: "밤부엌", Address: "서울 은평구 연서로29길21-8 지하1층"}, []adapters.Candidate{
			seoul("밤부엌", "은평구", "갈현동 397", "연서로 21"), seoul("밤부엌", "은평구", "대조동 15", "연서로29길 21-8"),
		}, 1},
		{"district in short", m{Name: "누룽담", Address: "부산 진구 서전로 10번길 31 - 4"}, []adapters.Candidate{
			shop("누룽담", "부산광역시 부산진구 전포동 685-2", "부산광역시 부산진구 서전로10번길 31-4"), shop("누룽담", "부산광역시 해운대구 우동 685-2", "부산광역시 해운대구 우동1로 31-4"),
		}, 0},
		{"lot of a mountain", m{Name: "밤부엌", Address: "경기 가평군 설악면 선촌리 산12-1"}, []adapters.Candidate{
			shop("밤부엌", "경기도 가평군 설악면 선촌리 12-1", ""), shop("밤부엌", "경기도 가평군 설악면 선촌리 산 12-1", ""),
		}, 1},
		{"lot of a numbered dong", m{Name: "밤부엌", Address: "서울 성동구 성수2가 300-1번지"}, []adapters.Candidate{
			seoul("밤부엌", "성동구", "성수동2가 300-1", "아차산로 100"), seoul("밤부엌", "성동구", "성수동1가 12", "왕십리로 9"),
		}, 0},
		{"number off by a few", m{Name: "밤부엌", Address: "대전 서구 둔산로 33"}, []adapters.Candidate{
			shop("밤부엌", "", "대전광역시 서구 둔산로 31"), shop("밤부엌", "", "대전광역시 유성구 대학로 33"),
		}, 0},
		{"same road in another city", m{Name: "밤부엌", Address: "경남 김해시 중앙로 31"}, []adapters.Candidate{shop("밤부엌", "", "경상남도 양산시 중앙로 31")}, none},
		{"other name at the address", m{Name: "밤부엌", Address: "대전 서구 둔산로 31"}, []adapters.Candidate{shop("새벽곳간", "", "대전광역시 서구 둔산로 31")}, none},
		{"address between brackets", m{Name: "밤부엌", Address: "전북 전주시 완산구 전라감영5길 10 (중앙동3가)"}, []adapters.Candidate{
			shop("밤부엌", "전북특별자치도 전주시 완산구 중앙동3가 12", "전북특별자치도 전주시 완산구 전라감영5길 10"),
		}, 0},

		// One brand with two shops at one address: what is eaten tells them apart.
		{"two shops of a brand", m{Name: "온달", Menu: []string{"아메리카노", "크로플"}, Address: "경기 파주시 헤이리로 5"}, []adapters.Candidate{
			category(shop("온달식당", "", "경기도 파주시 탄현면 헤이리로 5"), "한식"), cafe(shop("온달커피", "", "경기도 파주시 탄현면 헤이리로 5")),
		}, 1},

		// Coined names.
		{"one letter apart, other area", m{Name: "코코뮈르", Area: "연희동"}, []adapters.Candidate{cafe(shop("쿠쿠뮈르", "부산광역시 수영구 민락동 1", "부산광역시 수영구 민락로 1"))}, none},
		{"distinct part differs", m{Name: "두레장칼국수", Area: "춘천"}, []adapters.Candidate{shop("구래장칼국수", "강원특별자치도 춘천시 후평동 1", "강원특별자치도 춘천시 후석로 1")}, none},
		{"better one beside it", m{Name: "보보리에", Area: "연희동"}, []adapters.Candidate{
			cafe(seoul("부부리에", "서대문구", "연희동 12", "연희로 12")), cafe(seoul("보보리에", "서대문구", "연희동 70", "연희로11길 70")),
		}, 1},
		{"typing mistake", m{Name: "햇살머근집", Area: "전포동"}, []adapters.Candidate{shop("햇살머금집", "부산광역시 부산진구 전포동 1", "부산광역시 부산진구 전포대로 1")}, 0},

		// Branches.
		{"station and dong", m{Name: "금화로", Branch: "노원역점"}, []adapters.Candidate{seoul("금화로 상계점", "노원구", "상계동 1", "한글비석로 1"), seoul("금화로 노원역점", "노원구", "상계동 2", "노해로 2")}, 1},
		{"only another branch", m{Name: "금화로", Branch: "서현점"}, []adapters.Candidate{shop("금화로 미금점", "경기도 성남시 분당구 구미동 1", "경기도 성남시 분당구 돌마로 1")}, none},
		{"branch in two words", m{Name: "금화로", Branch: "현대백화점 판교점"}, []adapters.Candidate{
			shop("금화로 판교역점", "경기도 성남시 분당구 백현동 2", "경기도 성남시 분당구 판교역로 100"), shop("금화로 현대백화점 판교점", "경기도 성남시 분당구 백현동 541", "경기도 성남시 분당구 판교역로146번길 20"),
		}, 1},
		{"branch words in another order", m{Name: "금화로", Branch: "스타필드 하남점"}, []adapters.Candidate{
			shop("금화로 미사점", "경기도 하남시 망월동 1", "경기도 하남시 미사강변대로 1"), shop("금화로 하남스타필드점", "경기도 하남시 신장동 616", "경기도 하남시 미사대로 750"),
		}, 1},
		{"branch written on", m{Name: "금화로", Branch: "천호점"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, 1},
		{"branch in the mention's name", m{Name: "금화로 천호점"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, 1},
		{"branch without its ending", m{Name: "금화로 천호역"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 천호역점", "강동구", "천호동 2", "천호대로 1000"),
		}, 1},
		{"second shop asked, first found", m{Name: "금화로", Branch: "2호점", Area: "천호동"}, []adapters.Candidate{seoul("금화로 1호점", "강동구", "천호동 3", "천호대로 1000")}, none},
		{"annex not asked", m{Name: "금화로", Area: "천호동"}, []adapters.Candidate{
			seoul("금화로 별관", "강동구", "천호동 9", "천호대로 1033"), seoul("금화로", "강동구", "천호동 3", "천호대로 1000"),
		}, 1},
		{"two near a landmark", m{Name: "금화로", Area: "여의도"}, []adapters.Candidate{
			seoul("금화로 더현대서울점", "영등포구", "여의도동 22", "여의대로 108"), seoul("금화로 IFC몰점", "영등포구", "여의도동 23", "국제금융로 10"),
		}, none},
		{"department store and district", m{Name: "금화로", Branch: "신세계 강남점"}, []adapters.Candidate{
			seoul("금화로 강남점", "강남구", "역삼동 3", "테헤란로 3"), seoul("금화로 신세계강남점", "서초구", "반포동 19-3", "신반포로 176"),
		}, 1},
		{"main shop asked", m{Name: "금화로", Branch: "본점"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 본점", "강동구", "천호동 2", "천호대로 1000"),
		}, 1},
		{"area names the branch", m{Name: "금화로", Area: "천호동"}, []adapters.Candidate{
			seoul("금화로 신림점", "관악구", "신림동 2", "신림로 300"), seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, 1},
		{"two branches in the area", m{Name: "금화로", Area: "강동구"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, none},
		{"no hint at all", m{Name: "금화로"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, none},
		{"province is no hint for a chain", m{Name: "금화로", Area: "서울"}, []adapters.Candidate{
			seoul("금화로 길동점", "강동구", "길동 2", "천호대로 1100"), seoul("금화로 신림점", "관악구", "신림동 2", "신림로 300"), seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"),
		}, none},

		// Readings.
		{"English name", m{Name: "Green Table", Area: "방배동"}, []adapters.Candidate{category(seoul("그린테이블", "서초구", "방배동 2", "방배로 2"), "음식점>양식")}, 0},
		{"romanised name", m{Name: "Solbatjip", Area: "봉선동"}, []adapters.Candidate{shop("솔밭집", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},
		{"romanised with spaces", m{Name: "Dal Bit Guksu", Area: "봉선동"}, []adapters.Candidate{shop("달빛국수", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},
		{"French name", m{Name: "Le Petit Jardin", Area: "한남동"}, []adapters.Candidate{category(seoul("르쁘띠자르댕", "용산구", "한남동 2", "독서당로 2"), "음식점>양식")}, 0},
		{"Latin title, Hangul mention", m{Name: "무드인커피", Area: "전포동"}, []adapters.Candidate{cafe(shop("MOOD IN COFFEE", "부산광역시 부산진구 전포동 1", "부산광역시 부산진구 전포대로 1"))}, 0},
		{"letters read", m{Name: "비엔비치킨", Area: "상무지구"}, []adapters.Candidate{shop("BNB치킨", "광주광역시 서구 치평동 1", "광주광역시 서구 시청로 1")}, 0},
		{"digits read", m{Name: "1989분식", Area: "상무지구"}, []adapters.Candidate{shop("일구팔구분식", "광주광역시 서구 치평동 1", "광주광역시 서구 시청로 1")}, 0},
		{"other English name", m{Name: "Blue Moon", Area: "방배동"}, []adapters.Candidate{category(seoul("블루문스키친랩", "서초구", "방배동 2", "방배로 2"), "음식점>양식"), category(seoul("그린테이블", "서초구", "방배동 3", "방배로 3"), "음식점>양식")}, none},
		{"two names that only share a loanword", m{Name: "Blue Garden", Area: "방배동"}, []adapters.Candidate{category(seoul("그린가든", "서초구", "방배동 2", "방배로 2"), "음식점>양식")}, none},

		// A word that many names have is no name, whatever it is written in.
		{"common word beside another word", m{Name: "카페 LUNE", Area: "봉선동"}, []adapters.Candidate{cafe(shop("카페 OTTO", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"))}, none},
		{"common word, right one beside it", m{Name: "카페 LUNE", Area: "봉선동"}, []adapters.Candidate{
			cafe(shop("카페 OTTO", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")), cafe(shop("카페 LUNE", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")),
		}, 1},
		{"common Latin word", m{Name: "위스키 BAR", Area: "봉선동"}, []adapters.Candidate{category(shop("하이볼 BAR", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"), "술집>바")}, none},
		{"common word at the address", m{Name: "라멘 KAZE", Address: "광주 남구 봉선로 2"}, []adapters.Candidate{shop("라멘 YUME", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, none},
		{"Latin words that only sound alike", m{Name: "커피 RIDGE", Area: "봉선동"}, []adapters.Candidate{cafe(shop("커피 LITRE", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"))}, none},
		{"consonants that only the common word has", m{Name: "카페 JUNO", Area: "봉선동"}, []adapters.Candidate{cafe(shop("카페 ZION", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"))}, none},
		{"one house", m{Name: "폴로버거 (현대백화점)", Address: "광주 남구 봉선로 2"}, []adapters.Candidate{shop("스타국수 (현대백화점)", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, none},
		{"the house itself", m{Name: "폴로버거 (현대백화점)", Address: "광주 남구 봉선로 2"}, []adapters.Candidate{category(shop("현대백화점", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"), "쇼핑,유통>백화점")}, none},
		{"part of a part", m{Name: "망원 떡볶이 CAVE", Area: "망원동"}, []adapters.Candidate{cafe(seoul("한남 WINE CAVE", "마포구", "망원동 3", "포은로 3"))}, none},
		{"either script alone", m{Name: "누룽담 NURUNG", Area: "봉선동"}, []adapters.Candidate{shop("누룽담", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},

		// Clean.
		{"josa", m{Name: "솔밭집에서", Area: "봉선동"}, []adapters.Candidate{shop("솔밭집", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},
		{"hashtag with the area", m{Name: "#봉선동솔밭집", Area: "봉선동"}, []adapters.Candidate{shop("솔밭집", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},
		{"alias in brackets", m{Name: "솔밭집(Pinefield)", Area: "봉선동"}, []adapters.Candidate{shop("솔밭집", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},
		{"menu written to the name", m{Name: "솔밭집 칼국수", Area: "봉선동"}, []adapters.Candidate{shop("솔밭집", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2")}, 0},

		{"ampersand", m{Name: "솔&달", Area: "망원동"}, []adapters.Candidate{cafe(seoul("솔앤달", "마포구", "망원동 3", "포은로 3"))}, 0},
		{"chance consonants", m{Name: "Nurung House", Area: "망원동"}, []adapters.Candidate{seoul("노란집", "마포구", "망원동 3", "포은로 3")}, none},
		{"somebody's grandmother", m{Name: "할머니국밥", Area: "망원동"}, []adapters.Candidate{seoul("영희할머니국밥", "마포구", "망원동 3", "포은로 3")}, none},
		{"place and dish only", m{Name: "망원동 맛집 국수", Area: "망원동"}, []adapters.Candidate{seoul("망원국수", "마포구", "망원동 3", "포은로 3")}, none},

		// Kinds that are never the place.
		{"charger", m{Name: "솔밭집", Area: "봉선동"}, []adapters.Candidate{category(shop("솔밭집 전기차충전소", "광주광역시 남구 봉선동 2", "광주광역시 남구 봉선로 2"), "자동차>전기차충전소")}, none},

		// The tag of the post.
		{"tag is a region", m{Name: "금화로", Location: &match.Location{Name: "Seoul, South Korea", Lat: 37.5665, Lng: 126.978}}, []adapters.Candidate{
			at(seoul("금화로 종각점", "종로구", "관철동 2", "종로 60"), 37.569, 126.985), at(seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"), 37.538, 127.124),
		}, none},
		{"tag is the shop", m{Name: "금화로", Location: &match.Location{Name: "금화로 천호점", Lat: 37.538, Lng: 127.124}}, []adapters.Candidate{
			at(seoul("금화로 종각점", "종로구", "관철동 2", "종로 60"), 37.569, 126.985), at(seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"), 37.5381, 127.1241),
		}, 1},
		{"tag is a dong", m{Name: "금화로", Location: &match.Location{Name: "천호동", Lat: 37.5435, Lng: 127.130}}, []adapters.Candidate{
			at(seoul("금화로 종각점", "종로구", "관철동 2", "종로 60"), 37.569, 126.985), at(seoul("금화로 천호점", "강동구", "천호동 2", "천호대로 1000"), 37.5381, 127.1241),
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := match.Decide(tt.in, tt.found)
			if got := d.Pick; got != tt.want && (tt.want != none || d.State == match.Place) {
				t.Errorf("got %d (%s, %.2f), want %d", got, d.State, d.Score, tt.want)
				for _, s := range d.Scored {
					t.Errorf("%d %.2f %s: %s", s.Index, s.Score, tt.found[s.Index].Name, s.Why)
				}
			}
		})
	}
}
