package match

import (
	"crypto/sha256"
	"encoding/hex"

	"sumbi/adapters"
)

// sameMetres is how far two entries of one shop lie apart at most: finders put the pin on the door or on the parcel.
const sameMetres = 60

// PlaceKey returns the key of a place where the finder has no id of its own: "p" and 16 hexadecimal digits of a hash
// over the compact name and the road address, or the lot address when there is no road address, both without floor
// and unit. Candidates of different finders have equal keys when name and road address agree.
func PlaceKey(c adapters.Candidate) string {
	where := addressKey(c)
	if where == "" && onMap(c.Lat, c.Lng) {
		where = gridKey(c.Lat, c.Lng)
	}
	sum := sha256.Sum256([]byte(CompactName(c.Name) + "\n" + where))
	return "p" + hex.EncodeToString(sum[:8])
}

// Same reports whether two candidates are one place: an equal compact name within about 60 m, or an equal key.
func Same(a, b adapters.Candidate) bool {
	if CompactName(a.Name) != CompactName(b.Name) {
		return false
	}
	if onMap(a.Lat, a.Lng) && onMap(b.Lat, b.Lng) && Distance(a.Lat, a.Lng, b.Lat, b.Lng) <= sameMetres {
		return true
	}
	return PlaceKey(a) == PlaceKey(b)
}
