package match

import (
	"strings"
	"unicode/utf8"

	"sumbi/adapters"
)

// mention is what a caption says, prepared once for all candidates.
type mention struct {
	names        []form
	branch       branch
	branchOrders []string // its words joined
	here         areaHint // the branch word read as an area
	address      address
	area         areaHint
	where        string // the words for area and address, compact
	pin          *Location
	pinName      string // compact; "" when the pin names a region or nothing
	pinned       bool   // the pin is a point worth measuring from
	serves       uint8  // kinds of its menu and name
}

func newMention(m Mention) *mention {
	p := &mention{address: parseAddress(m.Address), area: parseArea(m.Area)}
	p.names, p.branch = mentionForms(clean(m.Name))
	if b := clean(m.Branch); compact(b) != "" {
		p.branch = parseBranch(b)
	}
	p.branchOrders = orders(clean(m.Branch), p.branch.core)
	if p.branch.core != "" {
		p.here = parseArea(p.branch.core)
	}
	p.serves = serves(strings.Join(m.Menu, " ")) | serves(m.Name)
	p.where = compact(clean(m.Area + " " + m.Address))
	if l := m.Location; l != nil {
		p.pin = l
		name := clean(l.Name)
		if !regionPin(name) {
			p.pinName = compact(name)
			p.pinned = onMap(l.Lat, l.Lng)
			if len(p.area.words) == 0 && m.Address == "" {
				if hint := parseArea(name); len(hint.words) == 1 && hint.words[0].known && !hint.words[0].region.partial {
					p.area = hint
				}
			}
		}
	}
	return p
}

// regionPin reports a tag that stands for a city or a whole island, or for no place: its point says nothing.
func regionPin(name string) bool {
	s := compact(name)
	if sido, rest := cutSido(s, true); sido != "" && rest == "" {
		return true
	}
	for w := range strings.FieldsSeq("korea 대한민국 homesweethome jejuisland southkorea") {
		if strings.HasSuffix(s, w) {
			return true
		}
	}
	switch s {
	case "", "seoul", "jeju", "busan", "제주도", "제주시", "서귀포시", "우리집", "집", "home":
		return true
	}
	return false
}

// evidence is the levels of one candidate.
type evidence struct {
	name   level
	place  int // group of all that is known about where
	levels []level
}

// compare puts one candidate beside the mention.
func (m *mention) compare(c *candidate, hasAddress bool) evidence {
	names, titles, asked, title := m.align(c)
	e := evidence{name: compareName(names, titles, c)}
	addr := addrNone
	if hasAddress {
		addr = compareAddress(m.address, c)
	}
	area := compareArea(m.area, c)
	br := m.compareBranch(asked, title, c)
	pin, pinName := m.comparePin(c, e.name)
	if br == branchOther && (addr >= addrRoadNumber && addr <= addrRoadNear || addr == addrLotNumber || addr == addrLotMain || pin == pinNear) {
		br = branchOtherHere
	}
	e.place = placeGroup(addr, area, br, pin)
	e.levels = append(make([]level, 0, 12), bias, e.name, addr.weight(), area.weight(), br, pin, pinName, c.food, pair(e.name, e.place))
	switch {
	case m.serves == 0 || c.serves == 0:
	case m.serves&c.serves == 0:
		e.levels = append(e.levels, menuOther)
	default:
		e.levels = append(e.levels, menuFits)
	}
	if utf8.RuneCountInString(m.names[0].text) <= 2 {
		e.levels = append(e.levels, shortName)
	}
	if hasLatin(m.names[0].text) && !hasHangul(m.names[0].text) && !hasLatin(c.core) {
		e.levels = append(e.levels, rareScript)
	}
	return e
}

func (m *mention) comparePin(c *candidate, name level) (pin, pinName level) {
	pin, pinName = pinNone, pinNameNone
	if m.pinName != "" {
		switch {
		case m.pinName == c.full:
			pinName = pinNameEqual
		case c.core != "" && utf8.RuneCountInString(c.core) >= 2 && strings.HasPrefix(m.pinName, c.core) && c.branch.any && !strings.HasSuffix(c.full, m.pinName[len(c.core):]):
			pinName = pinNameOther
		}
	}
	if !m.pinned || !c.located {
		return pin, pinName
	}
	named := nameGroup(compareForms(form{text: m.pinName, full: m.pinName}, m.names[0], c)) <= 2
	switch d := Distance(m.pin.Lat, m.pin.Lng, c.Lat, c.Lng); {
	case d < 150:
		return pinNear, pinName
	case d < 600:
		return pinClose, pinName
	case d < 3000:
		return pinDistrict, pinName
	case named:
		return pinFarNamed, pinName
	}
	return pinFar, pinName
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
}

// compare prepares mention and candidates and compares them all.
func compare(m Mention, candidates []adapters.Candidate, without Part) *comparison {
	p := newMention(m)
	hasAddress := compact(clean(m.Address)) != ""
	c := &comparison{make([]*candidate, len(candidates)), make([]evidence, len(candidates))}
	heard := make(voices)
	for i, found := range candidates {
		c.candidates[i] = newCandidate(found, heard)
		c.evidence[i] = p.compare(c.candidates[i], hasAddress)
	}
	for i, x := range c.candidates {
		x.same = make([]bool, len(candidates))
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
