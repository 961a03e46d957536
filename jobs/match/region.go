package match

import (
	"strconv"
	"strings"
)

// region is what a word for an area stands for.
type region struct {
	gus      string // "서울 마포구|경기 …"
	dongs    string // "서교동|동교동", may be empty
	official string // districts that have an official place of this name, may be empty
	lat, lng float64
	partial  bool // only the beginning of the word is known
}

// findRegion looks a word up: as it is, without an ending that people add, then by its beginning.
func findRegion(word string, without Part) (region, bool) {
	if r, ok := exactRegion(word, without); ok {
		return r, true
	}
	base := word
	for {
		next := trimAreaEnd(base)
		if next == base {
			break
		}
		base = next
		if r, ok := exactRegion(base, without); ok {
			return r, true
		}
	}
	runes := []rune(word)
	for n := len(runes) - 1; n >= 2; n-- {
		if r, ok := exactRegion(string(runes[:n]), without); ok {
			r.partial = true
			return r, true
		}
	}
	return region{}, false
}

func exactRegion(word string, without Part) (region, bool) {
	var r region
	line, known := lookup(areaText, word)
	known = known && without&PartInformal == 0
	if !known && without&PartInformal == 0 {
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
	ok = ok && without&PartOfficial == 0
	if ok {
		r.official = official
	}
	return r, known || ok
}

// trimAreaEnd removes one ending that says what kind of area it is.
func trimAreaEnd(w string) string {
	for _, end := range areaEnds() {
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
