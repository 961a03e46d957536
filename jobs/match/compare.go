package match

import (
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
)

// What is read of one text, in letters, and how many candidates are compared: a caption may hold anything.
const (
	maxName       = 60
	maxAddress    = 160
	maxMenu       = 400
	maxCandidates = 64
)

// cut shortens a text to n letters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// mention is what a caption says, prepared once for all candidates.
type mention struct {
	without      Part
	names        []form
	branch       branch
	branchWord   string   // as it is written
	branchOrders []string // its words joined
	here         areaHint // the branch word read as an area
	address      address
	addressed    bool // an address is written
	area         areaHint
	where        string // the words for area and address, compact
	pin          *Location
	pinName      string // compact; "" when the pin names a region or nothing
	pinned       bool   // the pin is a point worth measuring from
	serves       uint8  // kinds of its menu and name
}

func newMention(m Mention, without Part) *mention {
	p := &mention{without: without}
	name := cut(clean(cut(m.Name, 4*maxName)), maxName)
	p.names, p.branch = mentionForms(name)
	if b := clean(cut(m.Branch, maxName)); compact(b) != "" {
		p.branch, p.branchWord = parseBranch(b), b
		p.branchOrders = orders(b, p.branch.core)
	} else if p.branch.any {
		p.branchWord = p.branch.word
		p.branchOrders = []string{p.branch.core}
	}
	p.here = parseArea(p.branch.core, without)
	if without&PartAddress == 0 {
		m.Address = cut(m.Address, maxAddress)
		p.address, p.addressed = parseAddress(m.Address), compact(clean(m.Address)) != ""
	}
	if without&PartArea == 0 {
		m.Area = cut(m.Area, maxName)
		p.area = parseArea(m.Area, without)
		p.where = compact(clean(m.Area + " " + m.Address))
	}
	p.serves = serves(cut(strings.Join(m.Menu[:min(len(m.Menu), maxMenu/4)], " "), maxMenu)) | serves(name)
	if m.Location != nil && without&PartPin == 0 {
		p.tag(*m.Location, m.Address == "")
	}
	return p
}

// tag takes the location tag in; its name is an area where the caption says nothing about where.
func (p *mention) tag(l Location, silent bool) {
	p.pin = &l
	name := clean(cut(l.Name, maxName))
	if regionPin(name) {
		return
	}
	p.pinName = compact(name)
	p.pinned = onMap(l.Lat, l.Lng)
	if len(p.area.words) > 0 || !silent {
		return
	}
	if hint := parseArea(name, p.without); len(hint.words) == 1 && hint.words[0].known && !hint.words[0].region.partial {
		p.area = hint
	}
}

// evidence is how one candidate compares.
type evidence struct {
	name, addr, area, branch, pin, pinName level

	place         int     // group of all that is known about where
	levels        []level // those with a weight
	asked, titled string  // the branch words
	apart         int     // house numbers on the road
}

// compare puts one candidate beside the mention.
func (m *mention) compare(c *candidate) evidence {
	names, titles, asked, title := m.names, c.names, branch{}, branch{}
	if m.without&PartBranch == 0 {
		names, titles, asked, title = m.align(c)
	}
	e := evidence{name: compareName(names, titles, c), addr: addrNone, asked: m.branchWord, titled: c.branch.word}
	if m.addressed {
		e.addr, e.apart = compareAddress(m.address, c)
	}
	e.area = compareArea(m.area, c)
	e.branch = m.compareBranch(asked, title, c)
	e.pin, e.pinName = m.comparePin(c)
	if e.branch == branchOther && (exact(e.addr) || e.pin == pinNear) {
		e.branch = branchOtherHere
	}
	e.place = placeGroup(e.addr, e.area, e.branch, e.pin)
	e.levels = append(make([]level, 0, 12), bias, e.name, e.addr.weight(), e.area.weight(), e.branch, e.pin, e.pinName)
	if m.without&PartPairs == 0 {
		e.levels = append(e.levels, pair(e.name, e.place))
	}
	if m.without&PartCategory == 0 {
		e.levels = append(e.levels, c.food, compareMenu(m.serves, c.serves))
	}
	if utf8.RuneCountInString(m.names[0].text) <= 2 {
		e.levels = append(e.levels, shortName)
	}
	if hasLatin(m.names[0].text) && !hasHangul(m.names[0].text) && !hasLatin(c.core) && e.name < nameFar {
		e.levels = append(e.levels, rareScript)
	}
	return e
}

// exact reports an address that leaves a few houses at most.
func exact(addr level) bool {
	switch addr {
	case addrRoadNumber, addrRoadMain, addrRoadNear, addrLotNumber, addrLotMain:
		return true
	}
	return false
}

// compareMenu compares the kinds of what is eaten; 0 is unknown.
func compareMenu(m, c uint8) level {
	switch {
	case m == 0 || c == 0:
		return menuUnknown
	case m&c == 0:
		return menuOther
	}
	return menuFits
}

// placeGroup sums up where: 0 contradicted, 1 nothing known, 2 roughly, 3 plausible, 4 good, 5 exact.
func placeGroup(addr, area, br, pin level) int {
	switch {
	case addr == addrRoadNumber || addr == addrLotNumber:
		return 5
	case addr >= addrOtherDong && addr <= addrOtherSido, addr == addrOtherRoad:
		return 0
	case br == branchOther:
		return 0
	case pin == pinNear:
		return 5
	case area == areaConflict:
		return 0
	case addr == addrRoadNear || addr == addrLotMain || addr == addrRoadMain || area == areaGood || br == branchSame && area <= areaCity:
		return 4
	case addr == addrRoadOnly || addr == addrSameDong || area == areaOK || br == branchSame || pin == pinClose || br == branchPart || br == branchMissingHere:
		return 3
	case addr == addrSameGu || addr == addrSameSido || area == areaWeak || area == areaCity || br == branchExtraHere || br == branchOtherHere:
		return 2
	}
	return 1
}

// comparison is a mention beside all its candidates.
type comparison struct {
	candidates []*candidate
	evidence   []evidence
	pairs      int // of names that were compared
}

// compare prepares mention and candidates and compares them all, at most maxCandidates.
func compare(m Mention, candidates []adapters.Candidate, without Part) *comparison {
	candidates = candidates[:min(len(candidates), maxCandidates)]
	p := newMention(m, without)
	c := &comparison{candidates: make([]*candidate, len(candidates)), evidence: make([]evidence, len(candidates))}
	r := newReader(without)
	for i, found := range candidates {
		c.candidates[i] = newCandidate(found, r)
		c.evidence[i] = p.compare(c.candidates[i])
	}
	c.pairs = r.pairs
	same := make([]bool, len(candidates)*len(candidates))
	for i, x := range c.candidates {
		x.same = same[i*len(candidates) : (i+1)*len(candidates)]
		for j, other := range c.candidates[:i] {
			if samePlace(x, other) {
				x.same[j], other.same[i] = true, true
			}
		}
	}
	return c
}

// levels returns the levels of each candidate by itself.
func (c *comparison) levels() [][]level {
	out := make([][]level, len(c.evidence))
	for i := range c.evidence {
		out[i] = c.evidence[i].levels
	}
	return out
}
