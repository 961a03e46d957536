package match

import "sumbi/adapters"

// One reports whether two entries are one shop although their names may be spelt differently: at one address or spot, under
// names that differ by spelling, branch or place words only. Same is the stricter question.
func One(a, b adapters.Candidate) bool {
	c := compare(Mention{Name: a.Name}, []adapters.Candidate{a, b}, 0)
	return c.candidates[0].same[1]
}

// SpotKey returns the same text for every spelling of one address, without floor and unit; "" when the candidate has none
// that can be read.
func SpotKey(c adapters.Candidate) string {
	only := adapters.Candidate{Name: "곳", Address: c.Address, RoadAddress: c.RoadAddress}
	key := PlaceKey(only)
	if key == PlaceKey(adapters.Candidate{Name: only.Name}) {
		return ""
	}
	return key
}
