package jobs

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PlaceWriter writes places one after the other. Close ends the text; it does not close what it is written to.
type PlaceWriter interface {
	Write(d PlaceDocument) error
	Close() error
}

// PlaceColumns are the columns of places as CSV.
func PlaceColumns() []string {
	return []string{"_id", "name", "category", "address", "roadAddress", "phone", "link", "lat", "lng", "finder", "mentionCount", "firstSeen", "lastSeen"}
}

// PlacesCSV writes places as CSV, with a head.
func PlacesCSV(w io.Writer) PlaceWriter { return &placesCSV{w: csv.NewWriter(w)} }

type placesCSV struct {
	w     *csv.Writer
	begun bool
}

func (p *placesCSV) begin() error {
	if p.begun {
		return nil
	}
	p.begun = true
	return p.w.Write(PlaceColumns())
}

func (p *placesCSV) Write(d PlaceDocument) error {
	if err := p.begin(); err != nil {
		return err
	}
	lat, lng := "", ""
	if d.Location != nil {
		lat, lng = coordinate(d.Location.Coordinates[1]), coordinate(d.Location.Coordinates[0])
	}
	return p.w.Write([]string{
		d.ID, Cell(d.Name), optional(d.Category), optional(d.Address), optional(d.RoadAddress), optional(d.Phone), Cell(d.Link), lat, lng, d.Finder,
		strconv.Itoa(d.MentionCount), d.FirstSeen, d.LastSeen,
	})
}

func (p *placesCSV) Close() error {
	if err := p.begin(); err != nil {
		return err
	}
	p.w.Flush()
	return p.w.Error()
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Cell keeps a spreadsheet from taking what came from outside for a formula.
func Cell(s string) string {
	// The wide signs are taken for the narrow ones in East Asian versions.
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + s
	}
	return s
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return Cell(*s)
}

// PlacesGeoJSON writes places as one GeoJSON FeatureCollection. A place whose position is not known has no geometry.
func PlacesGeoJSON(w io.Writer) PlaceWriter { return &placesGeoJSON{w: w} }

type placesGeoJSON struct {
	w io.Writer
	n int
}

func (p *placesGeoJSON) Write(d PlaceDocument) error {
	f := struct {
		Type       string        `json:"type"`
		ID         string        `json:"id"`
		Geometry   *Point        `json:"geometry"`
		Properties PlaceDocument `json:"properties"`
	}{"Feature", d.ID, d.Location, d}
	f.Properties.Location = nil
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	before := ",\n"
	if p.n == 0 {
		before = `{"type":"FeatureCollection","features":[` + "\n"
	}
	p.n++
	_, err = io.WriteString(p.w, before+string(b))
	return err
}

func (p *placesGeoJSON) Close() error {
	text := "\n]}\n"
	if p.n == 0 {
		text = `{"type":"FeatureCollection","features":[` + text
	}
	_, err := io.WriteString(p.w, text)
	return err
}
