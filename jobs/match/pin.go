package match

import (
	"strings"
	"unicode/utf8"
)

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

// comparePin compares the post's location tag with where the candidate lies, and with its name.
func (m *mention) comparePin(c *candidate) (pin, pinName level) {
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
