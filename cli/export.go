package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

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
		err = e.write(s, jobs.PlacesCSV(w))
	case c.Format == "geojson":
		err = e.write(s, jobs.PlacesGeoJSON(w))
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

func (e *env) write(s *queue.Store, w jobs.PlaceWriter) error {
	if err := e.places(s, w.Write); err != nil {
		return err
	}
	return w.Close()
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
		return w.Write([]string{r.Key, r.Target, r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), p.URL, jobs.Cell(p.Caption)})
	})
	w.Flush()
	if err != nil {
		return err
	}
	return w.Error()
}
