package match

import "math"

const earthRadius = 6371008.8 // metres, mean

// Distance returns the metres between two points given in degrees, along the surface of the earth.
func Distance(lat1, lng1, lat2, lng2 float64) float64 {
	const rad = math.Pi / 180
	sinLat := math.Sin((lat2 - lat1) * rad / 2)
	sinLng := math.Sin((lng2 - lng1) * rad / 2)
	h := sinLat*sinLat + math.Cos(lat1*rad)*math.Cos(lat2*rad)*sinLng*sinLng
	return 2 * earthRadius * math.Asin(min(1, math.Sqrt(h)))
}

// onMap reports whether a point is known and lies in or around Korea.
func onMap(lat, lng float64) bool {
	return lat >= 32 && lat <= 40 && lng >= 123 && lng <= 133
}
