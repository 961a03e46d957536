package match

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
)

// address is a Korean address in parts. Empty parts are not written.
type address struct {
	sido  string   // always two syllables: 서울, 경기
	gus   []string // 시, 군 and 구 as written: 고양시, 일산동구
	town  string   // 읍 or 면
	dongs []string // 동, 리, 가 in the spelling of foldDong
	lot   number   // of the last of dongs
	road  string   // with its 길: 백제고분로46길
	num   number   // on the road
	extra string   // what follows the number: building, floor
}

// number is a house or lot number: 26-1, 산 12. Main 0 is none.
type number struct {
	main, sub int
	hill      bool // 산: another series of lots
}

// parseAddress reads the parts of an address in any of the usual spellings. What it does not know it leaves out.
func parseAddress(s string) address {
	var a address
	words := strings.FieldsFunc(strings.ReplaceAll(clean(s), " - ", "-"), func(r rune) bool { return r == ' ' || r == ',' || r == '(' || r == ')' })
	for i := 0; i < len(words); i++ {
		w := words[i]
		if a.road != "" && a.num.main > 0 || a.lot.main > 0 {
			a.extra += w
			continue
		}
		if a.sido == "" && len(a.gus) == 0 {
			if short, rest := cutSido(w, i+1 < len(words) && strings.HasSuffix(words[i+1], "구")); short != "" {
				a.sido = short
				if rest == "" {
					continue
				}
				w = rest
			}
		}
		if w == "진구" && a.sido == "부산" {
			w = "부산진구"
		}
		if len(a.dongs) == 0 && a.road == "" && i+1 < len(words) {
			w = withEnding(w)
		}
		i += a.take(w, words[i+1:])
	}
	return a
}

// withEnding adds the 시, 군, 구, 읍 or 면 that was left out before more of an address: 속초 중앙로 12.
func withEnding(w string) string {
	last, _ := utf8.DecodeLastRuneInString(w)
	if n := utf8.RuneCountInString(w); n < 2 || n > 4 || strings.ContainsRune("시군구읍면동리가로길", last) {
		return w
	}
	if _, known := lookup(regionText, w); !known {
		return w
	}
	for _, end := range [...]string{"시", "군", "구", "읍", "면"} {
		if districts, ok := lookup(regionText, w+end); ok && (end == "읍" || end == "면" || strings.HasSuffix(districts, " "+w+end)) {
			return w + end
		}
	}
	return w
}

// take reads one word and returns how many of the words that follow it has used.
func (a *address) take(w string, next []string) int {
	last, _ := utf8.DecodeLastRuneInString(w)
	long := utf8.RuneCountInString(w) > 1
	switch {
	case a.road == "" && len(a.dongs) == 0 && long && (last == '시' || last == '군' || last == '구'):
		a.gus = append(a.gus, w)
		return 0
	case a.road == "" && a.town == "" && len(a.dongs) == 0 && long && (last == '읍' || last == '면'):
		a.town = w
		return 0
	}
	if a.road == "" {
		if used, ok := a.takeRoad(w, next); ok {
			return used
		}
	}
	if name, n, ok := cutDong(w); ok {
		a.dongs = append(a.dongs, foldDong(name))
		if n.main > 0 {
			a.lot = n
			return 0
		}
		used := 0
		hill := len(next) > 0 && next[0] == "산"
		if hill {
			next = next[1:]
			used++
		}
		if len(next) > 0 {
			if n, ok := parseNumber(next[0]); ok {
				n.hill = n.hill || hill
				a.lot = n
				return used + 1
			}
		}
		return 0
	}
	a.extra += w
	return 0
}

// takeRoad reads "도봉로116길 26-1" in its spellings: with the 길 apart, with the number attached, below ground.
func (a *address) takeRoad(w string, next []string) (used int, ok bool) {
	name, rest, ok := cutRoad(w)
	if !ok {
		return 0, false
	}
	if rest == "" && strings.HasSuffix(name, "로") && len(next) > 0 {
		if lane, after, ok := cutRoad(next[0]); ok && strings.HasSuffix(lane, "길") && lane[0] >= '0' && lane[0] <= '9' {
			name, rest, used = name+lane, after, 1
		}
	}
	a.road = name
	if rest == "" && len(next) > used && next[used] == "지하" {
		used++
	}
	if rest == "" && len(next) > used {
		rest = next[used]
		if _, ok := parseNumber(rest); !ok {
			return used, true
		}
		used++
	}
	a.num, _ = parseNumber(rest)
	return used, true
}

// cutRoad splits a word after its last 로 or 길 if nothing but a number follows it.
func cutRoad(w string) (name, rest string, ok bool) {
	end := max(strings.LastIndex(w, "로"), strings.LastIndex(w, "길"))
	if end <= 0 {
		return "", "", false
	}
	end += len("로")
	if rest = w[end:]; rest != "" {
		if _, ok := parseNumber(rest); !ok {
			return "", "", false
		}
	}
	if utf8.RuneCountInString(w[:end]) < 2 {
		return "", "", false
	}
	return w[:end], rest, true
}

// cutDong splits "연동265-3" and accepts 동, 리 and 가 as ends of a name.
func cutDong(w string) (name string, n number, ok bool) {
	name = w
	if i := strings.LastIndexFunc(w, func(r rune) bool { return r == '동' || r == '리' || r == '가' }); i > 0 {
		if rest := w[i+len("동"):]; rest != "" {
			if n, ok = parseNumber(rest); ok {
				name = w[:i+len("동")]
			}
		}
	}
	switch last, _ := utf8.DecodeLastRuneInString(name); last {
	case '동', '리':
		return name, n, utf8.RuneCountInString(name) > 1 && (name[0] < '0' || name[0] > '9')
	case '가':
		return name, n, len(name) > 4 && name[len(name)-4] >= '0' && name[len(name)-4] <= '9'
	}
	return "", number{}, false
}

// parseNumber reads 26, 26-1, 산12-3 and 12번지.
func parseNumber(s string) (number, bool) {
	var n number
	if rest, ok := strings.CutPrefix(s, "산"); ok {
		n.hill, s = true, rest
	}
	s = strings.TrimSuffix(strings.TrimSuffix(s, "번지"), "번")
	first, second, dashed := strings.Cut(s, "-")
	var err error
	if n.main, err = strconv.Atoi(first); err != nil || n.main <= 0 || n.main > 99999 {
		return number{}, false
	}
	if dashed {
		if n.sub, err = strconv.Atoi(second); err != nil || n.sub < 0 {
			return number{}, false
		}
	}
	return n, true
}

// foldDong spells the numbered dong of a town one way: 이도이동 and 이도2동, 하귀일리 and 하귀1리.
func foldDong(s string) string {
	r := []rune(s)
	if len(r) < 4 {
		return s
	}
	if at := slices.Index([]rune("일이삼사오육칠팔구"), r[len(r)-2]); at >= 0 {
		r[len(r)-2] = rune('1' + at)
	}
	return string(r)
}

// stem removes what makes a name an administrative one: 성수동1가 → 성수, 이도2동 → 이도, 애월읍 → 애월.
func stem(s string) string {
	t := strings.TrimRight(s, "0123456789가")
	if t == "" || len(t) == len(s) {
		t = s
	}
	const ga = len("가")
	if n := len(t) - ga; n >= 2*ga && strings.Contains("동리읍면시군구", t[n:]) {
		t = t[:n]
	}
	for len(t) > 2 && t[len(t)-1] >= '0' && t[len(t)-1] <= '9' {
		t = t[:len(t)-1]
	}
	return t
}

// cutSido reads the province or metropolitan city at the start of a word; rest is what is written on without a space.
// 광주시 is the metropolitan city only when a 구 follows.
func cutSido(w string, guFollows bool) (short, rest string) {
	if w == "광주시" && !guFollows {
		return "", ""
	}
	for _, p := range provinces() {
		if w == p.name {
			return p.name, ""
		}
		for _, form := range p.forms {
			if rest, ok := strings.CutPrefix(w, form); ok {
				return p.name, rest
			}
		}
	}
	return "", ""
}

// String spells the address without floor and unit, equal for equal addresses of different finders.
func (a address) String() string {
	switch {
	case a.road != "" && a.num.main > 0:
		return fmt.Sprintf("%s %s %s %d-%d", a.sido, strings.Join(a.gus, " "), a.road, a.num.main, a.num.sub)
	case len(a.dongs) > 0 && a.lot.main > 0:
		return fmt.Sprintf("%s %s %s %s %t %d-%d", a.sido, strings.Join(a.gus, " "), a.town, a.dongs[len(a.dongs)-1], a.lot.hill, a.lot.main, a.lot.sub)
	}
	return ""
}

func addressKey(c adapters.Candidate) string {
	return cmp.Or(parseAddress(c.RoadAddress).String(), parseAddress(c.Address).String(),
		compact(clean(cmp.Or(c.RoadAddress, c.Address))))
}

func gridKey(lat, lng float64) string { return fmt.Sprintf("%.4f,%.4f", lat, lng) }
