package match

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Metres from the centre of a named area.
const (
	areaCore  = 900.0
	areaReach = 2500.0
)

// areaHint is the caption's word for where the place is, resolved once for all candidates.
type areaHint struct {
	words []areaWord
}

type areaWord struct {
	text   string // compact
	stem   string
	sound  string // of a word in Latin letters
	sido   string // the word is a province or metropolitan city
	region region
	known  bool
}

// parseArea resolves the words of an area: "부산 서면", "서울숲", "#성수맛집".
func parseArea(s string, without Part) areaHint {
	var h areaHint
	for w := range strings.FieldsFuncSeq(clean(s), func(r rune) bool { return r != '\'' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		w = compact(w)
		if utf8.RuneCountInString(w) < 2 {
			continue
		}
		a := areaWord{text: w, stem: stem(foldDong(w))}
		if sido, rest := cutSido(w, true); sido != "" && rest == "" {
			a.sido = sido
		} else if hasLatin(w) && !hasHangul(w) {
			a.readLatin(without)
		} else {
			a.region, a.known = findRegion(w, without)
		}
		h.words = append(h.words, a)
	}
	return h
}

// readLatin reads a word in Latin letters: Mangwon-dong, Gangneung, Seoul.
func (a *areaWord) readLatin(without Part) {
	a.sound = sound(a.text)
	for _, p := range provinces() {
		if p.sound == a.sound {
			a.sido, a.sound = p.name, ""
			return
		}
	}
	if word := heardAreas()[a.sound]; word != "" {
		if a.region, a.known = exactRegion(word, without); a.known {
			a.text, a.stem, a.sound = word, stem(word), ""
			return
		}
	}
	for _, end := range [...]string{"dong", "gu", "si", "ro", "station", "eup", "myeon", "ri"} {
		if rest, ok := strings.CutSuffix(a.text, end); ok && len(rest) >= 3 {
			a.sound = sound(rest)
			return
		}
	}
}

// compareSound compares a word in Latin letters with the names of the candidate's own place.
func (w areaWord) compareSound(c *candidate) level {
	for _, s := range c.stems {
		if sound(s) == w.sound {
			return areaGood
		}
	}
	for _, g := range c.gus {
		if sound(stem(g)) != w.sound {
			continue
		}
		if strings.HasSuffix(g, "시") {
			return areaCity
		}
		return areaOK
	}
	if districts, ok := heardDistricts()[w.sound]; ok && c.sido != "" && !c.inDistricts(districts) {
		return areaConflict
	}
	return areaUnknown
}

// compareArea says how well a candidate lies where the hint points. The more exact word of several decides, unless
// another one contradicts it.
func compareArea(h areaHint, c *candidate) level {
	if len(h.words) == 0 {
		return areaNone
	}
	best, conflict, doubt := areaUnknown, false, false
	for _, w := range h.words {
		switch l := w.compare(c); l {
		case areaConflict:
			conflict = true
		case areaDoubt:
			doubt = true
		default:
			best = min(best, l)
		}
	}
	switch {
	case conflict && best == areaGood:
		return areaOK
	case conflict:
		return areaConflict
	case doubt && best > areaOK:
		return areaDoubt
	}
	return best
}

func (w areaWord) compare(c *candidate) level {
	if w.sido != "" {
		switch c.sido {
		case w.sido:
			return areaWeak
		case "":
			return areaUnknown
		}
		return areaConflict
	}
	if c.hasTown(w.stem) || c.hasTown(w.text) || c.townBegins(w.text) {
		return areaGood
	}
	if slices.Contains(c.gus, w.text) {
		if strings.HasSuffix(w.text, "시") {
			return areaCity
		}
		return areaOK
	}
	if slices.ContainsFunc(c.gus, func(g string) bool {
		return strings.HasSuffix(g, "구") && len(w.text) >= len("가나") && len(g) > len(w.text) && strings.HasPrefix(g, w.text)
	}) {
		return areaOK // 일산 in 일산동구
	}
	if w.known {
		if l := w.inRegion(c); l != areaUnknown {
			return l
		}
	}
	if w.sound != "" {
		return w.compareSound(c)
	}
	if utf8.RuneCountInString(w.stem) >= 2 && (strings.Contains(c.road.road, w.stem) || strings.Contains(c.road.extra, w.stem) || strings.Contains(c.lot.extra, w.stem)) {
		return areaOK
	}
	switch {
	case !w.known || c.sido == "" && len(c.gus) == 0 && !c.located:
		return areaUnknown
	case w.region.partial:
		return areaDoubt
	}
	return areaConflict
}

// inRegion compares with the table; areaUnknown means that the table does not put the candidate there.
func (w areaWord) inRegion(c *candidate) level {
	r := w.region
	inside := r.gus != "" && c.inDistricts(r.gus)
	if inside {
		for d := range strings.SplitSeq(r.dongs, "|") {
			if d != "" && c.hasTown(foldDong(d)) {
				return areaGood
			}
		}
	}
	if r.lat != 0 && c.located {
		switch d := Distance(r.lat, r.lng, c.Lat, c.Lng); {
		case d <= areaCore && inside:
			return areaGood
		case d <= areaCore, d <= areaReach && inside:
			return areaOK
		case inside:
			return areaWeak
		}
	} else if inside && r.official == "" {
		if strings.HasSuffix(r.gus, "시") {
			return areaCity
		}
		return areaOK
	}
	if r.official == "" || !c.inDistricts(r.official) {
		return areaUnknown
	}
	switch {
	case slices.ContainsFunc(c.gus, func(g string) bool { return strings.HasPrefix(g, w.stem) && !strings.HasSuffix(g, "시") }):
		return areaOK
	case slices.ContainsFunc(c.gus, func(g string) bool { return stem(g) == w.stem }):
		return areaCity
	case r.gus != "" && !inside, r.partial:
		return areaWeak
	case strings.HasSuffix(w.text, "읍"), strings.HasSuffix(w.text, "면"):
		return areaUnknown // every address in a 읍 or 면 names it, so the candidate lies elsewhere
	case len(c.towns) > 0:
		return areaBeside // the candidate's own dong is known, and is another one
	}
	return areaOK
}

// townBegins reports whether the word begins with the candidate's own town: 노형오거리 in 노형동.
func (c *candidate) townBegins(word string) bool {
	return slices.ContainsFunc(c.stems, func(s string) bool { return utf8.RuneCountInString(s) >= 2 && strings.HasPrefix(word, s) })
}

// hasTown reports whether the candidate's own 읍, 면, 동 or 리 has this name.
func (c *candidate) hasTown(name string) bool {
	return slices.Contains(c.towns, name) || slices.Contains(c.stems, name)
}
