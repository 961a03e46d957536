package match

import (
	_ "embed"
	"strings"
	"sync"
)

// The tables of data; its README says where each comes from. regions.tsv and areas.tsv are sorted by bytes and
// searched as text, so that they cost no memory of their own.
var (
	//go:embed data/regions.tsv
	regionText string
	//go:embed data/areas.tsv
	areaText string
	//go:embed data/provinces.tsv
	provinceText string
	//go:embed data/generic.txt
	genericText string
	//go:embed data/loanwords.tsv
	loanText string
	//go:embed data/letters.tsv
	letterText string
	//go:embed data/kinds.tsv
	kindText string
	//go:embed data/barred.txt
	barredText string
	//go:embed data/areaends.txt
	areaEndText string
)

// lookup returns what follows key and a tab in a text of lines that are sorted by bytes.
func lookup(text, key string) (string, bool) {
	lo, hi := 0, len(text)
	for lo < hi {
		mid := lo + (hi-lo)/2
		start := lo + strings.LastIndexByte(text[lo:mid], '\n') + 1
		end := strings.IndexByte(text[start:], '\n')
		if end < 0 {
			end = len(text) - start
		}
		line := text[start : start+end]
		name, rest, _ := strings.Cut(line, "\t")
		switch {
		case name == key:
			return rest, true
		case name < key:
			lo = start + end + 1
		default:
			hi = start
		}
	}
	return "", false
}

// province is a 시도 in its short form with the longer ones.
type province struct {
	name  string
	forms []string
	sound string
}

var provinces = sync.OnceValue(func() []province {
	var ps []province
	for line := range strings.Lines(provinceText) {
		name, forms, _ := strings.Cut(strings.TrimSpace(line), "\t")
		ps = append(ps, province{name, strings.Fields(forms), sound(name)})
	}
	return ps
})

// heardDistricts is the 시, 군 and 구 by the sound of their names without ending, as "시도 시군구|…".
var heardDistricts = sync.OnceValue(func() map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(regionText) {
		name, districts, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if s := stem(name); s != name && strings.ContainsAny(name[len(name)-len("시"):], "시군구") && strings.HasSuffix(districts, " "+name) {
			m[sound(s)] = districts
		}
	}
	return m
})

// heardAreas is the words of areas.tsv by their sound; a sound of several words is none.
var heardAreas = sync.OnceValue(func() map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(areaText) {
		word, _, _ := strings.Cut(line, "\t")
		s := sound(word)
		if _, twice := m[s]; twice {
			word = ""
		}
		m[s] = word
	}
	return m
})

// pairs decodes lines of two columns.
func pairs(text string) map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(text) {
		a, b, _ := strings.Cut(strings.TrimSpace(line), "\t")
		m[a] = b
	}
	return m
}

var loanWords = sync.OnceValue(func() map[string]string { return pairs(loanText) })

var letterNames = sync.OnceValue(func() map[string]string { return pairs(letterText) })

// generics are words that restaurants of a kind have in common: they tell no two apart.
type generics struct {
	set     map[string]bool
	longest int // bytes
}

var genericWords = sync.OnceValue(func() generics {
	g := generics{set: make(map[string]bool)}
	for w := range strings.FieldsSeq(genericText) {
		g.set[w] = true
		g.longest = max(g.longest, len(w))
	}
	for _, words := range kinds() { // dishes
		for _, w := range words {
			g.set[w] = true
			g.longest = max(g.longest, len(w))
		}
	}
	return g
})

// kinds are what is served: words of menus, names and categories.
var kinds = sync.OnceValue(func() [][]string {
	var ks [][]string
	for line := range strings.Lines(kindText) {
		_, words, _ := strings.Cut(line, "\t")
		ks = append(ks, strings.Fields(words))
	}
	return ks
})

var barredWords = sync.OnceValue(func() []string { return strings.Fields(barredText) })

var areaEnds = sync.OnceValue(func() []string { return strings.Fields(areaEndText) })
