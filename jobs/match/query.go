package match

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// What one mention may cost, and what a finder takes.
const (
	maxQueries = 5
	maxRunes   = 100
)

// Queries returns what to search for a mention, best first and without repeats: the name with the area (the caption's,
// else the 읍, 면, 동 or 구 of its address), with the branch, alone, then the name of the location tag, the name's Hangul or
// Latin part, and last the name without generic words. It is empty when there is no usable name.
func Queries(m Mention) []string {
	name := queryText(m.Name)
	if plain, _ := cutBrackets(name); compact(plain) != "" {
		name = plain
	}
	if compact(name) == "" {
		return nil
	}
	var qs []string
	add := func(words ...string) {
		q := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
		if r := []rune(q); len(r) > maxRunes {
			q = strings.TrimSpace(string(r[:maxRunes]))
		}
		for _, have := range qs {
			if compact(have) == compact(q) {
				return
			}
		}
		if len(qs) < maxQueries {
			qs = append(qs, q)
		}
	}
	if area := cmp.Or(queryText(m.Area), queryArea(parseAddress(m.Address))); area != "" && !strings.Contains(compact(name), compact(area)) {
		add(area, name)
	}
	if branch := queryText(m.Branch); branch != "" && !strings.HasSuffix(compact(name), compact(branch)) {
		add(name, branch)
	}
	add(name)
	if m.Location != nil {
		if tag := queryText(m.Location.Name); utf8.RuneCountInString(compact(tag)) >= 2 && !regionPin(tag) {
			add(tag)
		}
	}
	fs, _ := forms(clean(m.Name))
	for _, f := range fs[1:] {
		if utf8.RuneCountInString(f.text) >= 3 && strings.Trim(f.text, "0123456789") != "" {
			add(f.text)
		}
	}
	if core := distinct(compact(name)); core != compact(name) && utf8.RuneCountInString(core) >= 3 { // two syllables find anything
		add(core)
	}
	return qs
}

// queryText is a caption's words as a search understands them: without signs, hashtags and the word 맛집.
func queryText(s string) string {
	s = strings.Join(strings.Fields(strings.ReplaceAll(clean(s), "#", " ")), " ")
	if rest, ok := strings.CutSuffix(s, "맛집"); ok && utf8.RuneCountInString(rest) >= 2 {
		return strings.TrimSpace(rest)
	}
	return s
}

// queryArea is the smallest named area of an address.
func queryArea(a address) string {
	switch {
	case a.town != "":
		return a.town
	case len(a.dongs) > 0:
		return a.dongs[len(a.dongs)-1]
	case len(a.gus) > 0:
		return a.gus[len(a.gus)-1]
	}
	return a.sido
}
