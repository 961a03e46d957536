package match

import (
	"strings"
	"sync"
	"unicode"
)

// voice is how a name sounds; voices remembers those of one decision.
type (
	voice struct {
		digits, loans, letters string
		sound, skeleton        []rune
	}
	voices map[string]voice
)

func (v voices) of(s string) voice {
	if have, ok := v[s]; ok {
		return have
	}
	n := voice{digits: readDigits(s), loans: s, letters: s}
	if hasLatin(s) {
		n.loans, n.letters = loans(s), readLetters(s)
	}
	n.letters = readDigits(n.letters)
	spelt := sound(n.loans)
	n.sound, n.skeleton = []rune(spelt), []rune(skeleton(spelt))
	v[s] = n
	return n
}

// sound spells Hangul and Latin in one coarse alphabet, so that 온유 and Onyu, 할리스 and Hollys meet: no tense or
// aspirated consonants, l for r, p for b, f and v, no glides, no double letters.
func sound(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0xAC00 && r <= 0xD7A3 {
			b.WriteString(roman(r))
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return foldSound(b.String())
}

// roman spells one syllable in Revised Romanisation.
func roman(r rune) string {
	n := r - 0xAC00
	return [...]string{"g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h"}[n/588] +
		[...]string{"a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i"}[n%588/28] +
		[...]string{"", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t"}[n%28]
}

var soundSpellings = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("eo", "o", "eu", "u", "ae", "e", "oe", "e", "oo", "u", "ee", "i", "ph", "p", "ck", "k", "ch", "j", "sh", "s", "th", "t",
		"tion", "syon", "ce", "se", "ci", "si", "cy", "si", "ng", "n", "x", "ks", "qu", "k", "wh", "w")
})

// foldSound folds a lower-case Latin spelling.
func foldSound(s string) string {
	s = soundSpellings().Replace(s)
	var b strings.Builder
	prev := rune(0)
	runes := []rune(s)
	for i, r := range runes {
		switch r {
		case 'b', 'f', 'v':
			r = 'p'
		case 'd':
			r = 't'
		case 'g', 'q', 'c':
			r = 'k'
		case 'r':
			r = 'l'
		case 'z':
			r = 'j'
		case 'w':
			continue
		case 'y':
			if i+1 < len(runes) && strings.ContainsRune("aeiou", runes[i+1]) {
				continue
			}
			r = 'i'
		}
		if r != prev {
			b.WriteRune(r)
		}
		prev = r
	}
	return b.String()
}

// skeleton keeps the consonants and digits of a sound; s and j are one.
func skeleton(s string) string {
	var b strings.Builder
	prev := rune(0)
	for _, r := range s {
		switch r {
		case 'a', 'e', 'i', 'o', 'u', 'h':
			continue
		case 'j':
			r = 's'
		}
		if r != prev || r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
		prev = r
	}
	return b.String()
}

var digitNames = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("0", "공", "1", "일", "2", "이", "3", "삼", "4", "사", "5", "오", "6", "육", "7", "칠", "8", "팔", "9", "구")
})

// readDigits spells digits as Koreans read them one by one: 88 → 팔팔.
func readDigits(s string) string {
	if !strings.ContainsAny(s, "0123456789") {
		return s
	}
	return digitNames().Replace(s)
}

var letterNames = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("a", "에이", "b", "비", "c", "씨", "d", "디", "e", "이", "f", "에프", "g", "지", "h", "에이치", "i", "아이", "j", "제이", "k", "케이",
		"l", "엘", "m", "엠", "n", "엔", "o", "오", "p", "피", "q", "큐", "r", "알", "s", "에스", "t", "티", "u", "유", "v", "브이", "w", "더블유", "x", "엑스", "y", "와이", "z", "제트")
})

// readLetters spells Latin letters by their names: EPL → 이피엘.
func readLetters(s string) string {
	return letterNames().Replace(s)
}

var loanWords = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer(
		"restaurant", "레스토랑", "steakhouse", "스테이크하우스", "starbucks", "스타벅스", "chocolate", "초콜릿", "roastery", "로스터리", "roasters", "로스터스", "espresso", "에스프레소",
		"sandwich", "샌드위치", "brothers", "브라더스", "trattoria", "트라토리아", "osteria", "오스테리아", "pizzeria", "피제리아", "patisserie", "파티세리", "boulangerie", "블랑제리",
		"chicken", "치킨", "kitchen", "키친", "brewery", "브루어리", "brewing", "브루잉", "dessert", "디저트", "library", "라이브러리", "factory", "팩토리", "company", "컴퍼니",
		"station", "스테이션", "terrace", "테라스", "project", "프로젝트", "society", "소사이어티", "bakery", "베이커리", "coffee", "커피", "burger", "버거", "dining", "다이닝",
		"bistro", "비스트로", "brunch", "브런치", "garden", "가든", "grocery", "그로서리", "market", "마켓", "studio", "스튜디오", "avenue", "애비뉴", "street", "스트리트", "donuts", "도넛",
		"donut", "도넛", "hollys", "할리스", "noodle", "누들", "lounge", "라운지", "cookie", "쿠키", "flower", "플라워", "sushi", "스시", "pasta", "파스타", "pizza", "피자", "steak", "스테이크",
		"bagel", "베이글", "house", "하우스", "table", "테이블", "seoul", "서울", "busan", "부산", "korea", "코리아", "grill", "그릴", "salad", "샐러드", "ramen", "라멘", "place", "플레이스",
		"space", "스페이스", "green", "그린", "black", "블랙", "white", "화이트", "cafe", "카페", "café", "카페", "cake", "케이크", "jeju", "제주", "room", "룸", "shop", "샵", "bake", "베이크",
		"beer", "비어", "wine", "와인", "taco", "타코", "blue", "블루", "home", "홈", "town", "타운", "park", "파크", "with", "위드", "pub", "펍", "bbq", "바베큐", "tea", "티", "bar", "바", "the", "더",
	)
})

// loans turns English words of restaurant names into their usual Hangul, longest first within a word that is written
// together with others.
func loans(s string) string {
	return loanWords().Replace(s)
}

func hasLatin(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

func hasHangul(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0xAC00 && r <= 0xD7A3 })
}
