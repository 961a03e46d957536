package match

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
)

// candidate is a search result with everything that the comparisons need, prepared once.
type candidate struct {
	adapters.Candidate
	full    string // compact name with the branch
	core    string // compact name without it
	names   []form
	inside  string // what stands in brackets in the name and is no branch, compact
	branch  branch
	road    address
	lot     address
	sido    string
	gus     []string
	towns   []string // 읍, 면, 동 and 리
	stems   []string // of towns
	places  []string // words for its own place that names contain: 제주, 애월읍, 애월
	where   string   // both addresses, compact
	located bool
	reader  *reader // shared by the candidates of a decision
	same    []bool  // by index of the other candidate: entries of one shop
	food    level
	serves  uint8 // kinds of its title and category
	barred  bool  // a car park and the like: never the place
}

func newCandidate(c adapters.Candidate, r *reader) *candidate {
	c.RoadAddress, c.Address = cut(c.RoadAddress, maxAddress), cut(c.Address, maxAddress)
	p := &candidate{Candidate: c, reader: r, road: parseAddress(c.RoadAddress), lot: parseAddress(c.Address)}
	name := cut(statuses.Replace(clean(cut(c.Name, 4*maxName))), maxName)
	p.full = compact(name)
	p.names, p.branch = forms(name)
	if _, inside := cutBrackets(name); !isBranch(inside) {
		p.inside = compact(inside)
	}
	p.core = p.names[0].text
	p.located = onMap(c.Lat, c.Lng)
	p.where = compact(c.RoadAddress + c.Address)
	for _, a := range [...]address{p.road, p.lot} {
		if p.sido == "" {
			p.sido = a.sido
		}
		if len(p.gus) == 0 {
			p.gus = a.gus
		}
		if a.town != "" {
			p.towns = append(p.towns, a.town)
		}
		p.towns = append(p.towns, a.dongs...)
	}
	p.stems = make([]string, 0, len(p.towns))
	p.places = make([]string, 0, 2*(len(p.towns)+len(p.gus))+1)
	for i, w := range append(slices.Clip(p.towns), p.gus...) {
		s := stem(w)
		if i < len(p.towns) {
			p.stems = append(p.stems, s)
		}
		p.places = append(p.places, w)
		if s != w && utf8.RuneCountInString(s) >= 2 {
			p.places = append(p.places, s)
		}
	}
	if p.sido != "" {
		p.places = append(p.places, p.sido)
	}
	p.food = foodLevel(c.Category)
	p.serves = serves(name) | serves(cut(c.Category, maxName))
	p.barred = barred(name, c.Category)
	return p
}

// barred reports a car park, charger, estate agent, head office or the like.
func barred(name, category string) bool {
	folded := compact(name)
	for _, w := range barredWords() {
		if strings.HasSuffix(folded, w) || strings.Contains(category, w) {
			return true
		}
	}
	return strings.HasSuffix(name, " 본사") || strings.HasSuffix(name, " ATM")
}

// serves returns the kinds of what a text names, a bit each; 0 when it names none.
func serves(s string) uint8 {
	var set uint8
	for i, words := range kinds() {
		for _, w := range words {
			if strings.Contains(s, w) {
				set |= 1 << i
				break
			}
		}
	}
	return set
}

func foodLevel(category string) level {
	if category == "" {
		return kindUnknown
	}
	for w := range strings.FieldsSeq("음식 한식 중식 일식 양식 분식 카페 커피 디저트 베이커리 제과 주점 술집 호프 바 치킨 피자 버거 고기 회 국수 식당 뷔페 요리 떡 빵 아이스크림 와인 다방 간식 도시락 샐러드 포장마차 레스토랑 프렌치 이탈리") {
		if strings.Contains(category, w) {
			return kindFood
		}
	}
	for w := range strings.FieldsSeq("부동산 병원 의원 약국 학원 공공 금융 은행 미용 교통 자동차 숙박 호텔 펜션 쇼핑 의류 화장품 회사 기업 종교 스포츠") {
		if strings.Contains(category, w) {
			return kindOther
		}
	}
	return kindUnknown
}

// samePlace reports whether two candidates are entries of one shop: they must not be rivals. Besides Same it accepts
// one address, or one spot, under names that differ by branch or place words only.
func samePlace(a, b *candidate) bool {
	if a.full == b.full && (nearby(a, b) || sameAddress(a, b)) {
		return true
	}
	if !sameAddress(a, b) && !nearby(a, b) {
		return false
	}
	if a.core == b.core {
		if a.inside != "" && b.inside != "" && a.inside != b.inside {
			return false // 푸드코트(한식), 푸드코트(중식)
		}
		return a.branch == b.branch || !a.branch.any || !b.branch.any
	}
	for i, f := range a.names {
		for j, g := range b.names {
			if i > 0 && j > 0 {
				continue // parts of two names are equal by chance
			}
			if f.text == g.text {
				return true
			}
			rest := b.cutPlaces(a.cutPlaces(f.text))
			if rest == a.cutPlaces(b.cutPlaces(g.text)) && a.reader.distinct(rest) != "" {
				return true
			}
		}
	}
	return false
}

func nearby(a, b *candidate) bool {
	return a.located && b.located && Distance(a.Lat, a.Lng, b.Lat, b.Lng) <= sameMetres
}

// sameAddress reports an equal road number or lot.
func sameAddress(a, b *candidate) bool {
	if !shareGu(a.gus, b.gus) {
		return false
	}
	if a.road.num.main > 0 && a.road.road == b.road.road && a.road.num == b.road.num {
		return true
	}
	return a.lot.lot.main > 0 && a.lot.lot == b.lot.lot && len(a.lot.dongs) > 0 && len(b.lot.dongs) > 0 &&
		a.lot.dongs[len(a.lot.dongs)-1] == b.lot.dongs[len(b.lot.dongs)-1]
}

func shareGu(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return a[len(a)-1] == b[len(b)-1]
}
