package match

import (
	"fmt"
	"strings"
)

// why says in words how a candidate compares. Of the texts only branch words are in it, and small numbers, so that few
// different sentences come of many decisions.
func (w *Model) why(c *comparison, i int) string {
	if c.candidates[i].barred {
		return "not a restaurant"
	}
	e := &c.evidence[i]
	words := make([]string, 0, 8)
	add := func(s string) {
		if s != "" {
			words = append(words, s)
		}
	}
	add(nameWord(e.name))
	add(e.branchPhrase())
	add(e.addressWord())
	add(areaWords(e.area))
	add(pinWord(e.pin))
	switch e.pinName {
	case pinNameEqual:
		add("location tag has its name")
	case pinNameOther:
		add("location tag names another branch")
	}
	if hasLevel(e.levels, kindOther) {
		add("category is not food")
	}
	switch {
	case hasLevel(e.levels, menuFits):
		add("menu fits")
	case hasLevel(e.levels, menuOther):
		add("menu is of another kind")
	}
	own, namesake := w.rivals(c, i)
	switch own {
	case rivalTie:
		add("another fits as well")
	case rivalBehind:
		add("another fits better")
	case rivalFarBehind:
		add("another fits far better")
	}
	if namesake > 0 && own < rivalTie {
		add("another shop has the name too")
	}
	return strings.Join(words, "; ")
}

func hasLevel(ls []level, l level) bool {
	for _, x := range ls {
		if x == l {
			return true
		}
	}
	return false
}

func nameWord(l level) string {
	switch l {
	case nameEqual:
		return "name equal"
	case nameOwnPlace:
		return "name equal without the place in it"
	case nameRead:
		return "name equal when read aloud"
	case nameGeneric:
		return "name equal without a common word"
	case nameWords:
		return "name equal to some of the words"
	case nameDistinct:
		return "distinct part of the name equal"
	case nameContain:
		return "one name within the other"
	case nameTypo:
		return "name almost equal"
	case nameNear:
		return "name similar"
	case nameFar:
		return "name hardly similar"
	case nameShared:
		return "only a piece of the name equal"
	}
	return "name different"
}

// branchPhrase names both branch words.
func (e *evidence) branchPhrase() string {
	against := e.titled
	if against == "" {
		against = "none"
	}
	switch e.branch {
	case branchSame:
		return fmt.Sprintf("branch %s equal", e.askedWord())
	case branchPart:
		return fmt.Sprintf("branch %s against %s, equal in part", e.askedWord(), against)
	case branchMain:
		return fmt.Sprintf("branch %s against none", e.askedWord())
	case branchOther:
		return fmt.Sprintf("branch %s against %s", e.askedWord(), against)
	case branchOtherHere:
		return fmt.Sprintf("branch %s against %s, at the same place", e.askedWord(), against)
	case branchMissing:
		return fmt.Sprintf("branch %s against %s", e.askedWord(), against)
	case branchMissingHere:
		return fmt.Sprintf("branch %s against %s, fits the address", e.askedWord(), against)
	case branchMissingAway:
		return fmt.Sprintf("branch %s against %s, is elsewhere", e.askedWord(), against)
	case branchExtra:
		return fmt.Sprintf("no branch asked, is %s", against)
	case branchExtraHere:
		return fmt.Sprintf("no branch asked, is %s, which fits the area", against)
	case branchExtraMain:
		return "no branch asked, is the main shop"
	}
	return ""
}

func (e *evidence) askedWord() string {
	if e.asked == "" {
		return e.titled
	}
	return cut(e.asked, maxBranch)
}

func (e *evidence) addressWord() string {
	switch e.addr {
	case addrRoadNumber:
		return "road address equal"
	case addrRoadMain:
		return "road address equal but for the part behind the dash"
	case addrRoadNear, addrRoadOnly:
		switch {
		case e.apart == 1:
			return "road address differs by 1 number"
		case e.apart > 20:
			return "same road, far apart"
		case e.apart > 0:
			return fmt.Sprintf("road address differs by %d numbers", e.apart)
		}
		return "same road"
	case addrOtherRoad:
		return "another road"
	case addrLotNumber:
		return "lot address equal"
	case addrLotMain:
		return "lot address equal but for the part behind the dash"
	case addrSameDong:
		return "same dong, another lot"
	case addrSameGu:
		return "same district"
	case addrSameSido:
		return "same province"
	case addrOtherDong:
		return "another dong"
	case addrOtherGu:
		return "another district"
	case addrOtherSido:
		return "another province"
	case addrUnknown:
		return "addresses cannot be compared"
	}
	return ""
}

func areaWords(l level) string {
	switch l {
	case areaGood:
		return "in the area"
	case areaOK:
		return "in the district of the area"
	case areaCity:
		return "in the city"
	case areaWeak:
		return "in the wider area"
	case areaBeside:
		return "another dong of the district"
	case areaUnknown:
		return "area unknown"
	case areaDoubt:
		return "area perhaps elsewhere"
	case areaConflict:
		return "area is elsewhere"
	}
	return ""
}

func pinWord(l level) string {
	switch l {
	case pinNear:
		return "at the location tag"
	case pinClose:
		return "within 600 m of the location tag"
	case pinDistrict:
		return "within 3 km of the location tag"
	case pinFar, pinFarNamed:
		return "far from the location tag"
	}
	return ""
}
