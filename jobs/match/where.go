package match

import "slices"

// compareAddress compares what a caption writes with a candidate's road and lot address. A road is compared with the
// road, a lot with the lot; where that is not possible the region decides.
func compareAddress(m address, c *candidate) level {
	if m.sido == "" && len(m.gus) == 0 && m.town == "" && len(m.dongs) == 0 && m.road == "" {
		return addrUnknown
	}
	if m.sido != "" && c.sido != "" && m.sido != c.sido {
		return addrOtherSido
	}
	if len(m.gus) > 0 && len(c.gus) > 0 && !slices.ContainsFunc(m.gus, func(g string) bool { return slices.Contains(c.gus, g) }) {
		return addrOtherGu
	}
	if len(m.gus) > 1 && len(c.gus) > 1 && m.gus[len(m.gus)-1] != c.gus[len(c.gus)-1] {
		return addrOtherGu
	}
	if m.town != "" && c.lot.town != "" && m.town != c.lot.town || m.town != "" && c.road.town != "" && m.town != c.road.town {
		return addrOtherDong
	}
	if m.road != "" && c.road.road != "" {
		return compareRoad(m, c.road)
	}
	if len(m.dongs) > 0 && len(c.lot.dongs) > 0 {
		return compareLot(m, c.lot)
	}
	switch {
	case len(m.gus) > 0 && len(c.gus) > 0:
		return addrSameGu
	case m.sido != "" && c.sido != "":
		return addrSameSido
	}
	return addrUnknown
}

func compareRoad(m, c address) level {
	switch {
	case m.road != c.road:
		return addrOtherRoad
	case m.num.main == 0 || c.num.main == 0:
		return addrRoadOnly
	case m.num == c.num:
		return addrRoadNumber
	case m.num.main == c.num.main:
		return addrRoadMain
	case m.num.main-c.num.main <= 20 && c.num.main-m.num.main <= 20:
		return addrRoadNear
	}
	return addrRoadOnly
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
