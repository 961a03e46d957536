package sim

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// searchText is a place prepared for search: compact lower-case words.
type searchText struct {
	title, brand string
	kakao        string
	pairs        map[string]bool // neighbouring letters of the brand
	areas        []string        // any word that says where it stands
	food         []string        // any word that says what it serves
	decoy        string          // the name of another, before which this one comes; "" for none
}

func newSearchText(p *Place) searchText {
	t := searchText{title: compact(p.Name), brand: compact(p.brand), kakao: compact(p.kakaoName), pairs: pairs(compact(p.brand))}
	d := p.district
	t.areas = append(t.areas, compact(d.sido), compact(d.short), compact(strings.Fields(p.road)[0]))
	t.areas = append(t.areas, strings.Fields(d.sigungu)...)
	t.areas = append(t.areas, strings.Fields(p.dong)...)
	t.areas = append(t.areas, d.areas...)
	for _, c := range strings.FieldsFunc(p.Category, func(r rune) bool { return r == '>' || r == ',' }) {
		t.food = append(t.food, compact(c))
	}
	if p.kind.suffix != "" {
		t.food = append(t.food, compact(p.kind.suffix))
	}
	return t
}

// compact keeps letters and digits, in lower case.
func compact(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func pairs(s string) map[string]bool {
	r := []rune(s)
	out := map[string]bool{}
	for i := range len(r) - 1 {
		out[string(r[i:i+2])] = true
	}
	return out
}

// inArea reports whether a word of the query says where the place stands: 성수동 stands for 성수동2가, 강릉 for 강릉시.
func (t *searchText) inArea(word string) bool {
	if len([]rune(word)) < 2 {
		return false
	}
	for _, a := range t.areas {
		if strings.HasPrefix(a, word) || strings.HasPrefix(word, a) && len([]rune(word)) == len([]rune(a))+1 {
			return true
		}
	}
	return false
}

// hit is a place that a query found.
type hit struct {
	place *Place
	score float64
	name  bool // the name speaks for it, not only the area or the food
}

// find returns the places that have something to do with a query, the best first.
func find(places []*Place, query string) []hit {
	var words []string
	for w := range strings.FieldsSeq(query) {
		if c := compact(w); c != "" {
			words = append(words, c)
		}
	}
	whole := strings.Join(words, "")
	wholePairs := pairs(whole)
	var hits []hit
	for _, p := range places {
		if h := p.search.match(words, whole, wholePairs); h.score > 0 {
			h.place = p
			hits = append(hits, h)
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.place.popular, b.place.popular))
	})
	return hits
}

func (t *searchText) match(words []string, whole string, wholePairs map[string]bool) hit {
	var name, rest float64
	for _, w := range words {
		switch {
		case w == t.title || w == t.kakao || w == t.brand:
			name += 10
		case len(w) >= 6 && (strings.Contains(t.title, w) || strings.Contains(t.kakao, w)):
			name += 4
		case t.inArea(w):
			rest += 3
		case len(w) >= 6 && slices.Contains(t.food, w):
			rest += 0.5
		}
	}
	if len(t.brand) >= 6 && strings.Contains(whole, t.brand) {
		name += 8
	}
	if whole == t.title || whole == t.kakao {
		name += 4
	}
	if t.decoy != "" && strings.Contains(whole, t.decoy) {
		name += 40
	}
	shared := 0
	for p := range t.pairs {
		if wholePairs[p] {
			shared++
		}
	}
	if len(t.pairs) > 0 {
		if near := float64(shared) / float64(len(t.pairs)); near >= 0.3 {
			name += 3 * near
		}
	}
	return hit{score: name + rest, name: name > 0}
}
