package match

import "fmt"

// level is one discrete outcome of one comparison. Its name is the key of its weight and the words of Scored.Why.
type level uint8

const (
	bias level = iota

	nameEqual // best first
	nameOwnPlace
	nameRead
	nameGeneric
	nameWords
	nameDistinct
	nameContain
	nameTypo
	nameNear
	nameFar
	nameShared
	nameDifferent

	addrNone
	addrUnknown
	addrRoadNumber
	addrRoadMain
	addrRoadNear
	addrRoadOnly
	addrOtherRoad
	addrLotNumber
	addrLotMain
	addrSameDong
	addrSameGu
	addrSameSido
	addrOtherDong
	addrOtherGu
	addrOtherSido

	areaGood // best first
	areaOK
	areaCity
	areaWeak
	areaBeside
	areaUnknown
	areaDoubt
	areaConflict
	areaNone

	branchNone
	branchSame
	branchPart
	branchMain
	branchOther
	branchOtherHere
	branchMissing
	branchMissingHere
	branchMissingAway
	branchExtra
	branchExtraHere
	branchExtraMain

	pinNone
	pinNear
	pinClose
	pinDistrict
	pinFar
	pinFarNamed

	pinNameNone
	pinNameEqual
	pinNameOther

	kindFood
	kindUnknown
	kindOther

	menuUnknown
	menuFits
	menuOther

	shortName
	rareScript

	rivalFarLead
	rivalLead
	rivalNarrow
	rivalTie
	rivalBehind
	rivalFarBehind

	namesake0 // another shop has the name as well; how much the place says follows
	namesake1
	namesake2
	namesake3
	namesake4
	namesake5

	pairDifferent // the name is another, wherever it is
	pairElsewhere // the place is another, whatever the name
	pairFirst     // name group × place group follow
)

// Groups of the interaction of name and place.
const (
	nameGroups  = 5
	placeGroups = 5
	levels      = int(pairFirst) + nameGroups*placeGroups
)

// weight returns the level whose weight l has: levels that say the same about a candidate, or that are too rare to learn
// from one by one, share one.
func (l level) weight() level {
	switch l {
	case addrOtherRoad, addrOtherDong, addrOtherGu, addrOtherSido:
		return addrOtherGu
	case addrUnknown, addrSameSido:
		return addrNone
	case addrRoadMain, addrLotMain:
		return addrRoadNear
	case areaDoubt:
		return areaUnknown
	}
	return l
}

func (l level) String() string {
	if l >= pairFirst {
		n := int(l - pairFirst)
		return fmt.Sprintf("pair %d/%d", n/placeGroups, n%placeGroups+1)
	}
	if l >= namesake0 && l <= namesake5 {
		return fmt.Sprintf("namesake %d", l-namesake0)
	}
	return [...]string{
		bias:      "bias",
		nameEqual: "name equal", nameOwnPlace: "name equal but for the place in it", nameRead: "name equal as read aloud",
		nameGeneric: "name equal but for a common word", nameWords: "name is some of the words", nameDistinct: "distinct part of the name equal",
		nameContain: "name contained", nameTypo: "name almost equal", nameNear: "name similar", nameFar: "name hardly similar", nameShared: "a word of the name equal", nameDifferent: "name different",
		addrNone: "no address", addrUnknown: "address not comparable", addrRoadNumber: "road number equal", addrRoadMain: "road number equal but for the part behind the dash",
		addrRoadNear: "a few numbers away on the road", addrRoadOnly: "same road", addrOtherRoad: "other road of the district",
		addrLotNumber: "lot equal", addrLotMain: "lot equal but for the part behind the dash", addrSameDong: "same dong", addrSameGu: "same district",
		addrSameSido: "same province", addrOtherDong: "other dong", addrOtherGu: "other district", addrOtherSido: "other province",
		areaGood: "area good", areaOK: "area plausible", areaCity: "in the city", areaWeak: "area only roughly", areaBeside: "other dong of the district", areaUnknown: "area unknown", areaDoubt: "area doubtful",
		areaConflict: "area elsewhere", areaNone: "no area",
		branchNone: "no branch", branchSame: "branch equal", branchPart: "branch equal in part",
		branchMain: "main branch", branchOther: "other branch", branchOtherHere: "other branch word, same place",
		branchMissing: "branch not in the title", branchMissingHere: "branch fits the address", branchMissingAway: "branch is elsewhere",
		branchExtra: "branch nobody asked for", branchExtraHere: "branch fits the area", branchExtraMain: "main branch assumed",
		pinNone: "no pin", pinNear: "at the pin", pinClose: "close to the pin", pinDistrict: "in the pin's neighbourhood", pinFar: "far from the pin",
		pinFarNamed: "far from the pin that has its name",
		pinNameNone: "no pin name", pinNameEqual: "pin name equal", pinNameOther: "pin names another branch",
		kindFood: "food", kindUnknown: "category unclear", kindOther: "not food",
		menuUnknown: "menu unknown", menuFits: "menu fits", menuOther: "menu of another kind",
		shortName: "short name", rareScript: "other script",
		rivalFarLead: "far ahead", rivalLead: "well ahead", rivalNarrow: "just ahead", rivalTie: "tied with another", rivalBehind: "behind another",
		rivalFarBehind: "far behind another",
		pairDifferent:  "pair different", pairElsewhere: "pair elsewhere",
	}[l]
}

// nameGroup reduces the levels of a name for their interaction with the place.
func nameGroup(name level) int {
	switch {
	case name <= nameOwnPlace:
		return 0
	case name <= nameGeneric:
		return 1
	case name <= nameContain:
		return 2
	case name <= nameNear:
		return 3
	}
	return 4
}

// pair is the level of a name and a place together.
func pair(name level, place int) level {
	switch {
	case place == 0:
		return pairElsewhere
	case name == nameDifferent:
		return pairDifferent
	}
	g := nameGroup(name)
	if g == nameGroups-1 && place < placeGroups {
		place = 1 // a poor name needs the very address
	}
	return pairFirst + level(g*placeGroups+place-1)
}
