package web

import (
	"fmt"
	"math"

	"sumbi/jobs/match"
)

// spot is something that a sketch shows: a candidate by its number, or the place that a post is tagged with by none.
type spot struct {
	N        int
	Lat, Lng float64
	Chosen   bool
}

// The size of a sketch in units of its viewBox, the margin around what it shows and the radius of a mark.
const (
	sketchWidth  = 400
	sketchHeight = 240
	sketchMargin = 34
	sketchMark   = 11
	sketchEdge   = 13 // from the edge to a mark that stands for what is beyond
	sketchFit    = 3  // candidates that are within it, the first ones
)

// sketch is a small map without a background: what it shows stands to each other as it does in the country, north above.
type sketch struct {
	Width, Height int
	Marks         []sketchSpot
	ScaleX        float64 // where the bar of the scale ends
	ScaleY        float64
	Scale         string // its length in words
	Beyond        bool   // one of the marks stands for what is beyond the edge
	Tagged        bool   // one of the marks is what the post is tagged with
	Lines         []float64
	Columns       []float64
}

type sketchSpot struct {
	spot
	X, Y     float64 // of the mark
	AtX, AtY float64 // where it really is
	Moved    bool    // away from another mark
	Far      bool    // beyond the edge, in that direction
	Text     string
}

// metresPerDegree is the length of a degree of latitude.
const metresPerDegree = 111_195

// sketchOf draws what has coordinates; nil when nothing has.
func sketchOf(spots []spot) *sketch {
	var in []spot
	for _, p := range spots {
		if p.Lat != 0 && p.Lng != 0 && math.Abs(p.Lat) <= 90 && math.Abs(p.Lng) <= 180 {
			in = append(in, p)
		}
	}
	if len(in) == 0 {
		return nil
	}
	// What is likely is seen well; what is far from that stands at the edge, in its direction.
	south, north, west, east := in[0].Lat, in[0].Lat, in[0].Lng, in[0].Lng
	fit := sketchFit
	if in[0].N == 0 {
		fit++
	}
	for _, p := range in[:min(len(in), fit)] {
		south, north, west, east = min(south, p.Lat), max(north, p.Lat), min(west, p.Lng), max(east, p.Lng)
	}
	lat, lng := (south+north)/2, (west+east)/2
	squeeze := math.Cos(lat * math.Pi / 180)
	// At least a few hundred metres: two entrances of one house are no distance.
	const least = 300 / float64(metresPerDegree)
	perUnit := max((north-south)/(sketchHeight-2*sketchMargin), (east-west)*squeeze/(sketchWidth-2*sketchMargin), least/(sketchHeight-2*sketchMargin))
	s := &sketch{Width: sketchWidth, Height: sketchHeight}
	for _, p := range in {
		x, y := sketchWidth/2+(p.Lng-lng)*squeeze/perUnit, sketchHeight/2-(p.Lat-lat)/perUnit
		m := sketchSpot{spot: p, AtX: min(max(x, sketchEdge), sketchWidth-sketchEdge), AtY: min(max(y, sketchEdge), sketchHeight-sketchEdge)}
		m.X, m.Y, m.Far = m.AtX, m.AtY, m.AtX != x || m.AtY != y
		s.place(&m)
		if m.N > 0 {
			m.Text = fmt.Sprint(m.N)
		} else {
			s.Tagged = true
		}
		s.Marks, s.Beyond = append(s.Marks, m), s.Beyond || m.Far
	}
	s.scale(perUnit * metresPerDegree)
	return s
}

// place moves a mark to where no other one is, as near as there is room.
func (s *sketch) place(m *sketchSpot) {
	for ring := 0; ring < 8; ring++ {
		steps := max(1, ring*6)
		for step := range steps {
			angle := 2*math.Pi*float64(step)/float64(steps) - math.Pi/2
			x, y := m.AtX+float64(ring)*sketchMark*2.1*math.Cos(angle), m.AtY+float64(ring)*sketchMark*2.1*math.Sin(angle)
			if s.free(x, y) {
				m.X, m.Y, m.Moved = x, y, ring > 0
				return
			}
		}
	}
}

func (s *sketch) free(x, y float64) bool {
	if x < sketchMark || y < sketchMark || x > sketchWidth-sketchMark || y > sketchHeight-sketchMark {
		return false
	}
	for _, o := range s.Marks {
		if math.Hypot(o.X-x, o.Y-y) < 2*sketchMark {
			return false
		}
	}
	return true
}

// scale draws a bar of a round length, and lines that far from each other.
func (s *sketch) scale(metresPerUnit float64) {
	length := math.Pow(10, math.Floor(math.Log10(sketchWidth/3*metresPerUnit)))
	for _, k := range []float64{5, 2} {
		if length*k <= sketchWidth/3*metresPerUnit {
			length *= k
			break
		}
	}
	units := length / metresPerUnit
	s.ScaleX, s.ScaleY, s.Scale = 14+units, sketchHeight-12, metres(length)
	for x := math.Mod(sketchWidth/2, units); x < sketchWidth; x += units {
		s.Columns = append(s.Columns, x)
	}
	for y := math.Mod(sketchHeight/2, units); y < sketchHeight; y += units {
		s.Lines = append(s.Lines, y)
	}
}

// metres is a distance as people say it.
func metres(m float64) string {
	switch {
	case m < 1000:
		return fmt.Sprintf("%.0f m", m)
	case m < 10_000:
		return fmt.Sprintf("%.1f km", m/1000)
	default:
		return fmt.Sprintf("%.0f km", m/1000)
	}
}

// apart is how far two points are from each other; "" when one is not known.
func apart(lat, lng, toLat, toLng float64) string {
	if lat == 0 || lng == 0 || toLat == 0 || toLng == 0 {
		return ""
	}
	return metres(match.Distance(lat, lng, toLat, toLng))
}
