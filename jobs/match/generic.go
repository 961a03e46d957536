package match

import (
	"strings"
	"sync"
)

var genericWords = sync.OnceValue(func() generics {
	words := strings.Fields("식당 카페 까페 커피 커피숍 치킨 통닭 떡볶이 국수 칼국수 해장국 국밥 횟집 회센타 회센터 고기 고깃집 고기집 갈비 숯불 숯불갈비 닭갈비 흑돼지 돼지 돼지고기 소고기 한우 구이 직화 " +
		"조개구이 전문점 전문 분식 반점 짬뽕 짜장 중국집 피자 버거 김밥 본가 집 네 맛집 레스토랑 베이커리 제과점 빵집 로스터스 로스터리 로스팅 디저트 케이크 도넛 도너츠 펍 포차 주점 술집 호프 바 비스트로 다이닝 키친 " +
		"하우스 돈까스 돈가스 카츠 스시 초밥 라멘 우동 소바 회 물회 생선 수산 해물 해산물 닭발 족발 보쌈 순대 곱창 막창 삼겹살 정육식당 식육식당 정육점 샤브샤브 뷔페 갈치 고등어 전복 냉면 막국수 밀면 만두 찐빵 " +
		"쌈밥 백반 한정식 정식 찌개 김치찌개 두부 순두부 순두부찌개 곰탕 설렁탕 삼계탕 감자탕 매운탕 추어탕 찜닭 닭 오리 장어 아구찜 조림 두루치기 볶음밥 덮밥 텐동 샌드위치 샐러드 브런치 파스타 스테이크 와인 맥주 " +
		"이자카야 야키토리 양꼬치 마라탕 쌀국수 타코 양고기 자연산 해물라면 라면 왕만두 돈가츠 숯불구이 구이집 회집 이자카야 오뎅 꼬치 바비큐 바베큐 영농조합법인 주식회사 농원 농장 휴게소 본점 직영점 요리 음식점 가게 상회 식품 메밀 로제떡볶이 club restaurant cafe coffee bakery bar pub kitchen house roasters the jeju seoul 제주 서울")
	g := generics{set: make(map[string]bool, len(words)), text: strings.Join(words, " ")}
	for _, w := range words {
		g.set[w] = true
		g.longest = max(g.longest, len(w))
	}
	return g
})

// generics are words that restaurants of a kind have in common: they tell no two apart.
type generics struct {
	set     map[string]bool
	text    string
	longest int // bytes
}

// distinct removes generic words from both ends of a compact name, the longest first; "" when nothing else is there.
func distinct(s string) string {
	g := genericWords()
	for {
		n := len(s)
		for size := min(g.longest, len(s)); size > 0; size-- {
			if g.set[s[len(s)-size:]] {
				s = s[:len(s)-size]
				break
			}
			if size > len("집") && g.set[s[:size]] {
				s = s[size:]
				break
			}
		}
		if len(s) == n {
			return s
		}
	}
}
