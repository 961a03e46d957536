package match

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// form is one way to read a name: as written, without a josa, its Latin part.
type form struct {
	text  string   // compact, without the branch
	full  string   // compact, with it
	words []string // compact words of text
}

// forms returns the readings of a cleaned name, the plain one first, and its branch.
func forms(name string) ([]form, branch) {
	name = strings.ReplaceAll(name, "#", " ")
	plain, inside := cutBrackets(name)
	core, b := splitBranch(strings.TrimSpace(plain))
	if !b.any && inside != "" && isBranch(inside) {
		b, inside = parseBranch(inside), ""
	}
	fs := []form{newForm(core, plain)}
	add := func(s string) {
		if f := newForm(s, s); utf8.RuneCountInString(f.text) >= 2 && distinct(f.text) != "" && !slices.ContainsFunc(fs, func(g form) bool { return g.text == f.text }) {
			fs = append(fs, f)
		}
	}
	if inside != "" && !isHouse(inside) {
		add(inside)
	}
	if digits := strings.TrimFunc(compact(core), unicode.IsLetter); len(digits) >= 4 && strings.Trim(digits, "0123456789") == "" {
		add(digits)
	}
	hangul, latin := splitScripts(core)
	if utf8.RuneCountInString(compact(hangul)) >= 2 && utf8.RuneCountInString(compact(latin)) >= 3 {
		add(hangul)
		add(latin)
	}
	return fs, b
}

// isHouse reports words for a house of many shops: they say where a shop is, and are no name of it.
func isHouse(s string) bool {
	for end := range strings.FieldsSeq("백화점 몰 아울렛 아웃렛 타워 빌딩 상가 마트 시장 역 공항 터미널 휴게소 푸드코트 층") {
		if strings.HasSuffix(s, end) {
			return true
		}
	}
	return false
}

func newForm(core, full string) form {
	f := form{text: compact(core), full: compact(full)}
	for w := range strings.FieldsFuncSeq(core, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		f.words = append(f.words, compact(w))
	}
	return f
}

// mentionForms adds what captions do to names: a josa at the end, 맛집 written on.
func mentionForms(name string) ([]form, branch) {
	fs, b := forms(name)
	for _, end := range [...]string{"맛집", "에서", "이랑", "까지", "은", "는", "이", "가", "을", "를", "와", "과", "도", "에", "의", "로"} {
		if rest, ok := strings.CutSuffix(fs[0].text, end); ok && utf8.RuneCountInString(rest) >= 2 {
			f := newForm(rest, rest)
			fs = append(fs, f)
			if end != "맛집" {
				break
			}
		}
	}
	return fs, b
}

func cutBrackets(s string) (outside, inside string) {
	before, rest, ok := strings.Cut(s, "(")
	if !ok {
		before, rest, ok = strings.Cut(s, "[")
	}
	if !ok || compact(before) == "" {
		return s, ""
	}
	inside, after, _ := strings.Cut(strings.ReplaceAll(rest, "]", ")"), ")")
	return strings.TrimSpace(before + " " + after), strings.TrimSpace(inside)
}

// splitScripts takes the Hangul and the Latin part of a name apart; digits go with what they follow.
func splitScripts(s string) (hangul, latin string) {
	var h, l strings.Builder
	last := &h
	for _, r := range s {
		switch {
		case r >= 0xAC00 && r <= 0xD7A3:
			last = &h
		case unicode.IsLetter(r):
			last = &l
		}
		last.WriteRune(r)
	}
	return h.String(), l.String()
}

// compareName returns the best level that any two readings reach. The place words of c may be missing on either side.
func compareName(m, n []form, c *candidate) level {
	best := nameDifferent
	for i, a := range m {
		for j, b := range n {
			if i > 0 && j > 0 {
				continue // parts of two names are equal by chance
			}
			l := compareForms(a, b, c)
			switch {
			case i+j == 0 || l == nameEqual:
			case l == nameWords || l == nameContain:
				l = nameShared // a part of a part: 성수 떡볶이 ROOM, 이태원 BAR ROOM
			case l < nameTypo:
				l++ // a reading of a part says a little less than the name as it is written
			}
			best = min(best, l)
		}
		if best <= nameOwnPlace {
			break
		}
	}
	return best
}

func compareForms(a, b form, c *candidate) level {
	c.reader.pairs++
	if a.text == "" || b.text == "" {
		return nameDifferent
	}
	if a.text == b.text || a.full == b.full {
		return nameEqual
	}
	pa, pb := c.cutPlaces(a.text), c.cutPlaces(b.text)
	da, db := c.reader.distinct(pa), c.reader.distinct(pb)
	common := da == "" && db == "" // 망원국수: nothing but the place and what everybody has
	switch {
	case pa == pb && common:
		return nameContain
	case pa == pb:
		return nameOwnPlace
	}
	if c.readAlike(pa, pb) || slices.Equal(c.reader.jamo(pa), c.reader.jamo(pb)) {
		return nameRead
	}
	if c.genericRest(pa, pb) || c.genericRest(a.text, b.text) {
		if common {
			return nameShared
		}
		return nameGeneric
	}
	if c.isWords(a, b.text) || c.isWords(b, a.text) || c.isWords(a, pb) || c.isWords(b, pa) {
		return nameWords
	}
	if da == db && utf8.RuneCountInString(da) >= 2 {
		return nameDistinct
	}
	return c.compareLetters(pa, pb, da, db)
}

// compareLetters grades names that are not equal in any reading, by their letters and by their sound.
func (c *candidate) compareLetters(a, b, ga, gb string) level {
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	n := utf8.RuneCountInString(short)
	if n >= 3 && strings.Contains(long, short) && c.reader.distinct(short) != "" {
		return nameContain
	}
	s := similarity(c.reader.jamo(a), c.reader.jamo(b))
	if ga != "" && gb != "" && (ga != a || gb != b) {
		s = min(s, similarity(c.reader.jamo(ga), c.reader.jamo(gb)))
	}
	latin := bothLatin(ga, gb)
	if !latin && (hasLatin(a) || hasLatin(b)) {
		heard := max(c.soundAlike(a, b), c.soundAlike(ga, gb)-0.05)
		la, lb := c.reader.voice(a).loans, c.reader.voice(b).loans
		if da, db := c.reader.distinct(la), c.reader.distinct(lb); da != la && db != lb && da != "" && db != "" {
			heard = min(heard, c.soundAlike(da, db)-0.05) // a common word in both makes no name in common
		}
		s = max(s, heard)
	}
	if latin && ga[0] != gb[0] || !hasLatin(a) && !hasLatin(b) && c.reader.jamo(a)[0] != c.reader.jamo(b)[0] {
		s -= 0.2 // a mistake is seldom in the first letter
	}
	if latin && min(len(ga), len(gb)) <= 4 || !hasLatin(a) && !hasLatin(b) && min(utf8.RuneCountInString(ga), utf8.RuneCountInString(gb)) <= 2 {
		s -= 0.1 // a letter makes another word of a short one
	}
	switch {
	case s >= 0.84:
		return nameTypo
	case s >= 0.7 || commonPrefix(a, b) >= 4 && 3*commonPrefix(a, b) >= 2*n:
		return nameNear
	case s >= 0.5:
		return nameFar
	}
	if ga != "" && ga == gb {
		return nameNear
	}
	if sharedWord(ga, gb) {
		return nameShared
	}
	return nameDifferent
}

// sharedWord reports a common piece of two or more letters that is no generic word.
func sharedWord(a, b string) bool {
	r := []rune(a)
	for i := 0; i+2 <= len(r); i++ {
		for n := 2; i+n <= len(r) && n <= 6; n++ {
			piece := string(r[i : i+n])
			if !strings.Contains(b, piece) {
				break
			}
			if !strings.Contains(genericText, piece) {
				return true
			}
		}
	}
	return false
}

// readAlike reports names that sound alike: 88 and 팔팔, LA and 엘에이, cafe and 카페, Onyu and 온유.
func (c *candidate) readAlike(a, b string) bool {
	if c.reader.without&PartReading != 0 {
		return false
	}
	latin := hasLatin(a) || hasLatin(b)
	if !latin && !strings.ContainsAny(a, "0123456789") && !strings.ContainsAny(b, "0123456789") {
		return false
	}
	va, vb := c.reader.voice(a), c.reader.voice(b)
	if va.digits == vb.digits {
		return true
	}
	if !latin {
		return false
	}
	if va.loans == vb.loans || va.letters == vb.letters || va.spelt == vb.spelt {
		return true
	}
	da, db := c.reader.distinct(a), c.reader.distinct(b)
	if bothLatin(da, db) {
		return false
	}
	return c.soundAlike(a, b) >= 0.9 && (da == "" || db == "" || c.soundAlike(da, db) >= 0.75)
}

// bothLatin reports two texts in Latin letters: there are letters to compare, and the coarse sound would make RIDE and LIBRE alike.
func bothLatin(a, b string) bool {
	return hasLatin(a) && hasLatin(b) && !hasHangul(a) && !hasHangul(b)
}

// soundAlike is the similarity of two names as they sound, 0 to 1.
func (c *candidate) soundAlike(a, b string) float64 {
	if a == "" || b == "" || c.reader.without&PartReading != 0 {
		return 0
	}
	va, vb := c.reader.voice(a), c.reader.voice(b)
	s := similarity(va.sound, vb.sound)
	if va.french != nil {
		s = max(s, similarity(va.french, vb.sound))
	}
	if vb.french != nil {
		s = max(s, similarity(va.sound, vb.french))
	}
	if n := min(len(va.skeleton), len(vb.skeleton)); n >= 3 {
		k := similarity(va.skeleton, vb.skeleton)
		if n <= 3 {
			k -= 0.08
			if s < 0.65 {
				k = s // three consonants are met by chance
			}
		}
		s = max(s, k)
	}
	return s
}

// genericRest reports whether one name is the other with generic words around it: 카페한라산, 으뜨미식당.
func (c *candidate) genericRest(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	at := strings.Index(b, a)
	if at < 0 || utf8.RuneCountInString(a) < 2 {
		return false
	}
	return c.reader.distinct(b[:at]) == "" && c.reader.distinct(b[at+len(a):]) == ""
}

// isWords reports whether text is one or more whole words of f in order.
func (c *candidate) isWords(f form, text string) bool {
	if len(f.words) < 2 || utf8.RuneCountInString(text) < 2 {
		return false
	}
	for i := range f.words {
		joined := ""
		for _, w := range f.words[i:] {
			joined += w
			if joined == text {
				return c.reader.distinct(text) != ""
			}
		}
	}
	return false
}

// cutPlaces removes the words for the candidate's own place from both ends of a name.
func (c *candidate) cutPlaces(s string) string {
	for {
		before := s
		for _, p := range c.places {
			if rest, ok := strings.CutPrefix(s, p); ok && utf8.RuneCountInString(rest) >= 2 {
				s = rest
			}
			if rest, ok := strings.CutSuffix(s, p); ok && utf8.RuneCountInString(rest) >= 2 {
				s = rest
			}
		}
		if s == before {
			return s
		}
	}
}

func commonPrefix(a, b string) int {
	n := 0
	ra, rb := []rune(a), []rune(b)
	for n < len(ra) && n < len(rb) && ra[n] == rb[n] {
		n++
	}
	return n
}
