package match

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// branch is the word that tells the shops of one name apart.
type branch struct {
	core string // without 점, 본, 직영, DT and a leading 제주; "" with nothing but that
	main bool   // 본점, 본관
	nth  int    // 2호점; 0 none
	any  bool
	word string // as written, short
}

// maxBranch is the longest branch word that is read, in letters.
const maxBranch = 20

// splitBranch separates the last word of a cleaned name if it is a branch: 강남역점, 2호점, 별관, 방화DT, or a 본점 that
// is written on. A name that is one word keeps it: 왕자반점.
func splitBranch(name string) (core string, b branch) {
	if at := strings.LastIndexByte(name, ' '); at > 0 && isBranch(name[at+1:]) {
		return name[:at], parseBranch(name[at+1:])
	}
	for end := range strings.FieldsSeq("직영점 본점 1호점 2호점 3호점 4호점 5호점") {
		if rest, ok := strings.CutSuffix(name, end); ok && utf8.RuneCountInString(compact(rest)) >= 2 {
			return strings.TrimRight(rest, " "), parseBranch(end)
		}
	}
	return name, branch{}
}

func isBranch(w string) bool {
	if rest, ok := strings.CutSuffix(w, "점"); ok {
		for kind := range strings.FieldsSeq("전문 음식 백화 과자 제과 반 주 편의 서 상 정육 만물 분식 식료 양품 횟집 매") {
			if strings.HasSuffix(rest, kind) && (len(rest) == len(kind) || len(kind) > 3) {
				return false
			}
		}
		return rest != ""
	}
	switch w {
	case "별관", "신관", "본관", "직영", "본사":
		return w != "본사"
	}
	if strings.HasSuffix(w, "DT") || strings.HasSuffix(w, "dt") {
		return len(w) > 2
	}
	rest, ok := strings.CutSuffix(w, "호")
	_, err := strconv.Atoi(rest)
	return ok && err == nil
}

func parseBranch(s string) branch {
	word := cut(clean(s), maxBranch)
	if s = compact(word); s == "" {
		return branch{}
	}
	b := branch{any: true, word: word}
	s = strings.TrimSuffix(s, "점")
	for {
		before := s
		for end := range strings.FieldsSeq("dt 직영 가맹") {
			s = strings.TrimSuffix(s, end)
		}
		if rest, ok := strings.CutSuffix(s, "본"); ok {
			b.main, s = true, rest
		}
		if rest, ok := strings.CutSuffix(s, "본관"); ok {
			b.main, s = true, rest
		}
		if rest, ok := strings.CutSuffix(s, "지"); ok && utf8.RuneCountInString(rest) >= 2 && before == s {
			s = rest
		}
		if rest, ok := strings.CutSuffix(s, "호"); ok {
			digits := len(rest) - len(strings.TrimRight(rest, "0123456789"))
			if n, err := strconv.Atoi(rest[len(rest)-digits:]); err == nil && n < 100 {
				b.nth, s = n, rest[:len(rest)-digits]
			}
		}
		if s == before {
			break
		}
	}
	if rest, ok := strings.CutPrefix(s, "제주"); ok && (rest == "" || utf8.RuneCountInString(rest) >= 2) {
		if rest == "" && b.main {
			s = rest
		} else if rest != "" && rest != "시청" {
			s = rest
		}
	}
	b.core = s
	return b
}

// align looks for the mention's branch in the whole title, where it may be written on, without 점, in several words or
// in another order, and for the title's branch at the end of the mention's name. It returns the names to compare.
func (p *mention) align(c *candidate) (m, n []form, asked, title branch) {
	m, n, asked, title = p.names, c.names, p.branch, c.branch
	whole := strings.TrimSuffix(c.full, "점")
	if asked.core != "" && utf8.RuneCountInString(asked.core) >= 2 {
		for _, core := range p.branchOrders {
			rest, ok := strings.CutSuffix(whole, core)
			if ok && utf8.RuneCountInString(rest) >= 2 && (title.core == "" || len(core) >= len(title.core)) {
				return m, []form{newForm(rest, c.full)}, asked, asked
			}
		}
	}
	if !asked.any && title.core != "" {
		for _, f := range m {
			rest, ok := strings.CutSuffix(strings.TrimSuffix(f.full, "점"), title.core)
			if ok && utf8.RuneCountInString(rest) >= 2 && strings.HasPrefix(c.full, rest) {
				return []form{newForm(rest, f.full)}, n, title, title
			}
		}
	}
	return m, n, asked, title
}

// orders returns the words of a branch joined, as written and turned round, without 점.
func orders(s string, core string) []string {
	out := []string{core}
	words := strings.Fields(s)
	if len(words) < 2 || len(words) > 3 {
		return out
	}
	for i := range words {
		words[i] = strings.TrimSuffix(compact(words[i]), "점")
	}
	return append(out, words[len(words)-1]+strings.Join(words[:len(words)-1], ""))
}

// compareBranch compares the branch that a caption names with that of a title.
func (p *mention) compareBranch(m, title branch, c *candidate) level {
	switch {
	case !m.any && !title.any:
		return branchNone
	case !m.any && title.core == "" && title.main:
		return branchExtraMain
	case !m.any:
		if title.core != "" && sharesPlace(title.core, p.where, p.area) {
			return branchExtraHere
		}
		return branchExtra
	case m.core == "" && m.nth == 0: // 본점, 직영점
		switch {
		case title.main:
			return branchSame
		case !title.any:
			return branchMain
		}
		return branchOther
	case m.nth > 0 && title.nth > 0 && m.nth != title.nth:
		return branchOther
	case m.core == "" && title.nth == m.nth, m.core != "" && m.core == title.core:
		return branchSame
	case !title.any && m.nth > 0 && strings.HasSuffix(c.core, strconv.Itoa(m.nth)):
		return branchSame
	case m.core != "" && title.core != "" && partBranch(m.core, title.core, c):
		return branchPart
	}
	here := areaUnknown
	if m.core != "" {
		here = compareArea(p.here, c)
	}
	if title.core == "" && !title.main {
		switch here {
		case areaGood, areaOK:
			return branchMissingHere
		case areaConflict:
			return branchMissingAway
		}
		return branchMissing
	}
	if here == areaGood || here == areaOK {
		return branchOtherHere
	}
	return branchOther
}

// sharesPlace reports whether the branch word stands in the words of the caption, or the other way round.
func sharesPlace(core, where string, area areaHint) bool {
	if utf8.RuneCountInString(core) >= 2 && strings.Contains(where, core) {
		return true
	}
	for _, w := range area.words {
		if w.sido == "" && (strings.Contains(core, w.stem) || strings.Contains(w.text, core)) {
			return true
		}
	}
	return false
}

// partBranch reports whether two branch words differ only by what the address says anyway: 서귀포신시가지 and 신시가지, 중문동 and 중문.
// 부평역 and 부평 are two shops.
func partBranch(a, b string, c *candidate) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if utf8.RuneCountInString(b) >= 4 && similarity(jamo(a), jamo(b)) >= 0.8 {
		return true
	}
	at := strings.Index(a, b)
	if at < 0 || utf8.RuneCountInString(b) < 2 {
		return false
	}
	for _, rest := range [...]string{a[:at], a[at+len(b):]} {
		if rest == "" {
			continue
		}
		switch rest {
		case "동", "읍", "면", "리", "구", "시", "군", c.sido:
			continue
		}
		if utf8.RuneCountInString(rest) < 2 || !strings.Contains(c.where, rest) {
			return false
		}
	}
	return true
}
