package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// DefaultFinders is the order of the finders where no configuration says another.
func DefaultFinders() []string { return []string{"naver", "kakao"} }

// Together says which entries of these finders are one place, and what is known of it: the text of the finder that is named
// first, with what it does not say taken from the others. So it does not matter which was found first. With ownOnly nothing
// of the finders' text is compared: only what has one id is one place.
func Together(finders []string, ownOnly bool) queue.One {
	rank := func(p queue.Place) int {
		if i := slices.Index(finders, p.Finder); i >= 0 {
			return i
		}
		return len(finders) // no longer asked
	}
	before := func(a, b queue.Place) int {
		if ownOnly { // the words are the posts' own, and differ
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Query, b.Query))
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(queue.Day(b.Updated), queue.Day(a.Updated)), cmp.Compare(a.ID, b.ID))
	}
	return queue.One{
		Same:   func(known, found queue.Place) bool { return !ownOnly && same(known, found) },
		Differ: differ,
		Spot:   func(p queue.Place) string { return match.SpotKey(candidate(p)) },
		Compose: func(entries []queue.Place) queue.Place {
			return compose(slices.SortedStableFunc(slices.Values(entries), before))
		},
	}
}

// compose is what the entries of one place say, those that come first before the others.
func compose(entries []queue.Place) queue.Place {
	p := entries[0]
	for _, o := range entries[1:] {
		if p.FinderID == "" && o.Finder == p.Finder {
			p.FinderID = o.FinderID
		}
		p.Category = cmp.Or(p.Category, o.Category)
		p.Address = cmp.Or(p.Address, o.Address)
		p.Road = cmp.Or(p.Road, o.Road)
		p.Phone = cmp.Or(p.Phone, o.Phone)
		p.Link = cmp.Or(p.Link, o.Link)
		if p.Lat == 0 || p.Lng == 0 {
			p.Lat, p.Lng = o.Lat, o.Lng
		}
	}
	return p
}

// movedMetres is how far a pin may have moved when name and telephone number say that it is the same shop.
const movedMetres = 300

// same reports whether two entries with different ids are one place. A finder's own id settles it: it stays when the shop is
// renamed or its pin moves. Names that are only spelt alike need the same address or telephone number, too: a mall has many
// shops, and a chain has two in one street.
func same(a, b queue.Place) bool {
	if a.Finder == b.Finder && a.FinderID != "" && b.FinderID != "" {
		return !differ(a, b)
	}
	located := a.Lat != 0 && a.Lng != 0 && b.Lat != 0 && b.Lng != 0
	spot := a.Spot != "" && a.Spot == b.Spot
	near := located && match.Distance(a.Lat, a.Lng, b.Lat, b.Lng) <= movedMetres
	if located && !near && !spot {
		return false // told cheaply: a chain has thousands
	}
	if !placed(a) && !placed(b) {
		return false // nothing but the names is known
	}
	x, y := candidate(a), candidate(b)
	number := ownNumber(a.Phone)
	phone := number != "" && number == ownNumber(b.Phone)
	switch {
	case match.Same(x, y):
		return true
	case a.Compact == b.Compact:
		return phone && near
	default:
		return (phone || spot) && match.One(x, y)
	}
}

// placed reports whether it is known where a place is.
func placed(p queue.Place) bool {
	return p.Address != "" || p.Road != "" || p.Lat != 0 && p.Lng != 0
}

// differ reports whether two entries cannot be one place: a finder tells them apart.
func differ(a, b queue.Place) bool {
	return a.Finder == b.Finder && a.FinderID != "" && b.FinderID != "" && a.FinderID != b.FinderID
}

// ownNumber is the digits of a telephone number that one shop alone has; "" for none, and for the nationwide numbers that
// all shops of a chain share.
func ownNumber(phone string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	if len(digits) < 9 || !strings.HasPrefix(digits, "0") || strings.HasPrefix(digits, "080") {
		return ""
	}
	return digits
}

// candidate is a place as the matcher compares it.
func candidate(p queue.Place) adapters.Candidate {
	return adapters.Candidate{Name: p.Name, Address: p.Address, RoadAddress: p.Road, Lat: p.Lat, Lng: p.Lng}
}

// entryOf is a candidate as an entry of a place.
func entryOf(c adapters.Candidate) *queue.Place {
	return &queue.Place{
		ID: match.PlaceKey(c), Finder: c.Finder, FinderID: c.ID, Name: c.Name, Compact: match.CompactName(c.Name), Category: c.Category,
		Address: c.Address, Road: c.RoadAddress, Phone: c.Phone, Link: c.Link, Lat: c.Lat, Lng: c.Lng, Spot: match.SpotKey(c),
	}
}

// ownEntry is an entry that holds nothing of the finder's text: the post's name, the link and the words that found it.
func ownEntry(finder, key, name, link, words string) *queue.Place {
	return &queue.Place{ID: key, Finder: finder, Name: name, Compact: match.CompactName(name), Link: link, Query: words}
}

// sources says of which finder each field of a place is, where that is another one than the place's.
func sources(p queue.PlaceMentions) map[string]string {
	var by map[string]string
	for _, field := range []struct {
		name string
		of   func(queue.Place) string
	}{
		{"category", func(p queue.Place) string { return p.Category }},
		{"address", func(p queue.Place) string { return p.Address }},
		{"roadAddress", func(p queue.Place) string { return p.Road }},
		{"phone", func(p queue.Place) string { return p.Phone }},
		{"link", func(p queue.Place) string { return p.Link }},
		{"location", func(p queue.Place) string {
			if p.Lat == 0 || p.Lng == 0 {
				return ""
			}
			return fmt.Sprint(p.Lat, p.Lng)
		}},
	} {
		want, from := field.of(p.Place), ""
		if want == "" {
			continue
		}
		for _, e := range p.Entries {
			if field.of(e.Place) != want {
				continue
			}
			if from = e.Finder; from == p.Finder {
				break
			}
		}
		if from != "" && from != p.Finder {
			if by == nil {
				by = map[string]string{}
			}
			by[field.name] = from
		}
	}
	return by
}
