package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"sumbi/jobs"
	"sumbi/queue"
)

type exportCmd struct {
	What   string `arg:"" enum:"places,posts" help:"places or posts."`
	Format string `enum:"jsonl,csv,geojson" default:"jsonl" help:"jsonl, csv or geojson."`
}

// Run prints everything of one sort.
func (c exportCmd) Run(e *env) error {
	if c.What == "posts" && c.Format == "geojson" {
		return usageError{fmt.Errorf("posts have no place of their own; export places as geojson, or posts as jsonl or csv")}
	}
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	w := bufio.NewWriter(e.Stdout)
	switch {
	case c.What == "posts" && c.Format == "csv":
		err = e.postsCSV(s, w)
	case c.What == "posts":
		err = s.Posts(e.ctx, func(r queue.Stored) error {
			_, err := w.Write(append(r.Data, '\n'))
			return err
		})
	case c.Format == "csv":
		err = e.placesCSV(s, w)
	case c.Format == "geojson":
		err = e.placesGeoJSON(s, w)
	default:
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		err = e.places(s, func(d jobs.PlaceDocument) error { return enc.Encode(d) })
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

func (e *env) places(s *queue.Store, f func(jobs.PlaceDocument) error) error {
	return s.Places(e.ctx, func(p queue.PlaceMentions) error {
		d, err := jobs.Document(p)
		if err != nil {
			return err
		}
		for _, m := range d.Mentions {
			if m.Name == "" {
				e.log.Warn("what a post says of a place cannot be read", "post", m.Post, "place", d.ID)
			}
		}
		return f(d)
	})
}

func (e *env) placesCSV(s *queue.Store, out io.Writer) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"_id", "name", "category", "address", "roadAddress", "phone", "link", "lat", "lng", "finder", "mentionCount", "firstSeen", "lastSeen"}); err != nil {
		return err
	}
	err := e.places(s, func(d jobs.PlaceDocument) error {
		lat, lng := "", ""
		if d.Location != nil {
			lat, lng = coordinate(d.Location.Coordinates[1]), coordinate(d.Location.Coordinates[0])
		}
		return w.Write([]string{
			d.ID, cell(d.Name), optional(d.Category), optional(d.Address), optional(d.RoadAddress), optional(d.Phone), cell(d.Link), lat, lng, d.Finder,
			strconv.Itoa(d.MentionCount), d.FirstSeen, d.LastSeen,
		})
	})
	w.Flush()
	if err != nil {
		return err
	}
	return w.Error()
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// cell keeps a spreadsheet from taking what came from outside for a formula.
func cell(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '-' || s[0] == '@' || s[0] == '\t' || s[0] == '\r') {
		return "'" + s
	}
	return s
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return cell(*s)
}

func (e *env) placesGeoJSON(s *queue.Store, w io.Writer) error {
	type feature struct {
		Type       string             `json:"type"`
		ID         string             `json:"id"`
		Geometry   *jobs.Point        `json:"geometry"`
		Properties jobs.PlaceDocument `json:"properties"`
	}
	if _, err := io.WriteString(w, `{"type":"FeatureCollection","features":[`); err != nil {
		return err
	}
	sep := "\n"
	err := e.places(s, func(d jobs.PlaceDocument) error {
		f := feature{Type: "Feature", ID: d.ID, Geometry: d.Location, Properties: d}
		f.Properties.Location = nil
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s%s", sep, b)
		sep = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

func (e *env) postsCSV(s *queue.Store, out io.Writer) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"post", "account", "takenAt", "url", "caption"}); err != nil {
		return err
	}
	err := s.Posts(e.ctx, func(r queue.Stored) error {
		var p struct{ URL, Caption string }
		if err := json.Unmarshal(r.Data, &p); err != nil {
			return err
		}
		return w.Write([]string{r.Key, r.Target, r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), p.URL, cell(p.Caption)})
	})
	w.Flush()
	if err != nil {
		return err
	}
	return w.Error()
}
