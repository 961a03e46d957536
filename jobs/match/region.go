package match

import (
	_ "embed"
	"strconv"
	"strings"
)

// regions.tsv: every official name of a 시, 군, 구, 읍, 면, 동 or 리, with and without its ending → the districts that
// have it. Sorted by bytes; searched as text, so that it costs no memory of its own.
//
//go:embed regions.tsv
var regionText string

// areas.tsv: what people call an area (a station, a street, a beach) → districts, dongs, centre. Sorted by bytes.
//
//go:embed areas.tsv
var areaText string

// lookup returns what follows key and a tab in a text of lines that are sorted by bytes.
func lookup(text, key string) (string, bool) {
	key += "\t"
	lo, hi := 0, len(text)
	for lo < hi {
		mid := lo + (hi-lo)/2
		start := lo + strings.LastIndexByte(text[lo:mid], '\n') + 1
		end := strings.IndexByte(text[start:], '\n')
		if end < 0 {
			end = len(text) - start
		}
		line := text[start : start+end]
		switch {
		case strings.HasPrefix(line, key):
			return line[len(key):], true
		case line < key:
			lo = start + end + 1
		default:
			hi = start
		}
	}
	return "", false
}

// region is what a word for an area stands for.
type region struct {
	gus      string // "서울 마포구|경기 …"
	dongs    string // "서교동|동교동", may be empty
	official string // districts that have an official place of this name, may be empty
	lat, lng float64
	partial  bool // only the beginning of the word is known
}

// findRegion looks a word up: as it is, without an ending that people add, then by its beginning.
func findRegion(word string) (region, bool) {
	if r, ok := exactRegion(word); ok {
		return r, true
	}
	base := word
	for {
		next := trimAreaEnd(base)
		if next == base {
			break
		}
		base = next
		if r, ok := exactRegion(base); ok {
			return r, true
		}
	}
	runes := []rune(word)
	for n := len(runes) - 1; n >= 2; n-- {
		if r, ok := exactRegion(string(runes[:n])); ok {
			r.partial = true
			return r, true
		}
	}
	return region{}, false
}

func exactRegion(word string) (region, bool) {
	var r region
	line, known := lookup(areaText, word)
	if !known {
		// 연남동 has the centre that is known for 연남
		if base := trimAreaEnd(word); base != word {
			if row, ok := lookup(areaText, base); ok && strings.Count(row, "\t") == 3 {
				line, known = row, true
			}
		}
	}
	if known {
		var f [4]string
		for i := range f {
			f[i], line, _ = strings.Cut(line, "\t")
		}
		r.gus, r.dongs = f[0], f[1]
		r.lat, _ = strconv.ParseFloat(f[2], 64)
		r.lng, _ = strconv.ParseFloat(f[3], 64)
	}
	official, ok := lookup(regionText, word)
	if ok {
		r.official = official
	}
	return r, known || ok
}

// trimAreaEnd removes one ending that says what kind of area it is.
func trimAreaEnd(w string) string {
	const ends = "맛집 카페 핫플 근처 부근 인근 일대 역점 역 앞 쪽 점 해수욕장 해변 오거리 사거리 삼거리 시장 포구 항 관광단지 단지 신도시 지구 " +
		"카페거리 먹자골목 골목 거리 시내 입구 공원 호수 동 읍 면 리 시 군 구 본점"
	for end := range strings.FieldsSeq(ends) {
		if rest, ok := strings.CutSuffix(w, end); ok && len(rest) >= len("가나") {
			return rest
		}
	}
	return w
}

// inDistricts reports whether the candidate lies in one of the districts "시도 시군구[ 구]|…".
func (c *candidate) inDistricts(districts string) bool {
	for d := range strings.SplitSeq(districts, "|") {
		sido, rest, _ := strings.Cut(d, " ")
		if c.sido != "" && sido != c.sido {
			continue
		}
		if rest == "" {
			return sido == c.sido
		}
		last := rest[strings.LastIndexByte(rest, ' ')+1:]
		for _, g := range c.gus {
			if g == last {
				return true
			}
		}
	}
	return false
}
