package match

import "slices"

// compareAddress compares what a caption writes with a candidate's road and lot address. A road is compared with the
// road, a lot with the lot; where that is not possible the region decides. apart is how many house numbers lie between two on one road.
func compareAddress(m address, c *candidate) (l level, apart int) {
	if m.sido == "" && len(m.gus) == 0 && m.town == "" && len(m.dongs) == 0 && m.road == "" {
		return addrUnknown, 0
	}
	if m.sido != "" && c.sido != "" && m.sido != c.sido {
		return addrOtherSido, 0
	}
	if len(m.gus) > 0 && len(c.gus) > 0 && !slices.ContainsFunc(m.gus, func(g string) bool { return slices.Contains(c.gus, g) }) {
		return addrOtherGu, 0
	}
	if len(m.gus) > 1 && len(c.gus) > 1 && m.gus[len(m.gus)-1] != c.gus[len(c.gus)-1] {
		return addrOtherGu, 0
	}
	if m.town != "" && c.lot.town != "" && m.town != c.lot.town || m.town != "" && c.road.town != "" && m.town != c.road.town {
		return addrOtherDong, 0
	}
	if m.road != "" && c.road.road != "" {
		return compareRoad(m, c.road)
	}
	if len(m.dongs) > 0 && len(c.lot.dongs) > 0 {
		return compareLot(m, c.lot), 0
	}
	switch {
	case len(m.gus) > 0 && len(c.gus) > 0:
		return addrSameGu, 0
	case m.sido != "" && c.sido != "":
		return addrSameSido, 0
	}
	return addrUnknown, 0
}

func compareRoad(m, c address) (l level, apart int) {
	apart = max(m.num.main-c.num.main, c.num.main-m.num.main)
	switch {
	case m.road != c.road:
		return addrOtherRoad, 0
	case m.num.main == 0 || c.num.main == 0:
		return addrRoadOnly, 0
	case m.num == c.num:
		return addrRoadNumber, 0
	case apart == 0:
		return addrRoadMain, 0
	case apart <= 20:
		return addrRoadNear, apart
	}
	return addrRoadOnly, apart
}

func compareLot(m, c address) level {
	same := slices.ContainsFunc(m.dongs, func(d string) bool {
		return slices.ContainsFunc(c.dongs, func(e string) bool { return d == e || stem(d) == stem(e) })
	})
	switch {
	case !same:
		return addrOtherDong
	case m.lot.main == 0 || c.lot.main == 0:
		return addrSameDong
	case m.lot == c.lot:
		return addrLotNumber
	case m.lot.main == c.lot.main && m.lot.hill == c.lot.hill:
		return addrLotMain
	}
	return addrSameDong
}
