package match

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"sumbi/adapters"
)

// maxCase is the longest line of a file of cases or captions, in bytes.
const maxCase = 4 << 20

// Case is one labelled line: what a caption says, what a search found, and which of it is right.
type Case struct {
	ID         string
	Caption    bool   // the line is of the caption form
	Kind       string // what makes it hard; "caption" for captions
	Group      string // cases about one place have one group, for cross-validation
	Mention    Mention
	Candidates []adapters.Candidate
	Answer     int // index of the right candidate, -1 when none is
}

// ReadCases decodes case lines and calls do for each. An error of a line, or of do, names the number of the line.
func ReadCases(r io.Reader, do func(Case) error) error {
	return EachLine(r, func(line []byte) error {
		c, err := decodeCase(line)
		if err != nil {
			return err
		}
		return do(c)
	})
}

// EachLine calls do for each line that is not blank, without the space around it. An error, also one of do, names the number of
// the line. do must not keep the line.
func EachLine(r io.Reader, do func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxCase)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

// caseLine is the wire form of a case. A caption line has caption_id and no kind.
type caseLine struct {
	CaseID       string          `json:"case_id"`
	CaptionID    string          `json:"caption_id,omitempty"`
	Kind         string          `json:"kind"`
	Fields       *caseFields     `json:"fields"`
	Candidates   []caseCandidate `json:"candidates"`
	CandidateIDs []string        `json:"candidate_ids"`
	Answer       *string         `json:"answer"`
	Withheld     *string         `json:"withheld,omitempty"`
}

type caseFields struct {
	Name     string        `json:"name"`
	Branch   string        `json:"branch"`
	Address  string        `json:"address"`
	Area     string        `json:"area"`
	Menu     []string      `json:"menu"`
	Phone    string        `json:"phone"`
	Location *caseLocation `json:"ig_location"`
}

type caseLocation struct {
	Name string  `json:"name"`
	Lat  float64 `json:"lat"`
	Lng  float64 `json:"lng"`
}

type caseCandidate struct {
	Title       string `json:"title"`
	Link        string `json:"link"`
	Category    string `json:"category"`
	Telephone   string `json:"telephone"`
	Address     string `json:"address"`
	RoadAddress string `json:"roadAddress"`
	MapX        string `json:"mapx"` // degrees × 10,000,000; "" is unknown
	MapY        string `json:"mapy"`
}

// WriteCase writes a case as ReadCases reads it: one JSON object and the end of the line. Each candidate's id is its PlaceKey.
func WriteCase(w io.Writer, c Case) error {
	m := c.Mention
	line := caseLine{CaseID: c.ID, Kind: c.Kind, Fields: &caseFields{Name: m.Name, Branch: m.Branch, Address: m.Address, Area: m.Area, Menu: append([]string{}, m.Menu...), Phone: m.Phone}}
	if l := m.Location; l != nil {
		line.Fields.Location = &caseLocation{l.Name, l.Lat, l.Lng}
	}
	for i, x := range c.Candidates {
		p := caseCandidate{Title: x.Name, Link: x.Link, Category: x.Category, Telephone: x.Phone, Address: x.Address, RoadAddress: x.RoadAddress}
		if x.Lat != 0 && x.Lng != 0 {
			p.MapX, p.MapY = strconv.FormatInt(int64(math.Round(x.Lng*1e7)), 10), strconv.FormatInt(int64(math.Round(x.Lat*1e7)), 10)
		}
		id := PlaceKey(x)
		line.Candidates, line.CandidateIDs = append(line.Candidates, p), append(line.CandidateIDs, id)
		if i == c.Answer {
			line.Answer = &id
		}
	}
	return json.NewEncoder(w).Encode(line)
}

func decodeCase(line []byte) (Case, error) {
	var w caseLine
	if err := json.Unmarshal(line, &w); err != nil {
		return Case{}, err
	}
	c := Case{ID: w.CaseID, Kind: w.Kind, Answer: -1}
	if w.CaptionID != "" {
		c.ID, c.Caption, c.Kind = w.CaptionID, true, "caption"
	}
	switch {
	case c.ID == "":
		return Case{}, errors.New("no case_id and no caption_id")
	case w.Fields == nil:
		return Case{}, fmt.Errorf("%s: no fields", c.ID)
	case len(w.CandidateIDs) != len(w.Candidates):
		return Case{}, fmt.Errorf("%s: %d candidates but %d ids", c.ID, len(w.Candidates), len(w.CandidateIDs))
	}
	f := w.Fields
	c.Mention = Mention{Name: f.Name, Branch: f.Branch, Address: f.Address, Area: f.Area, Menu: f.Menu, Phone: f.Phone}
	if f.Location != nil {
		c.Mention.Location = &Location{Name: f.Location.Name, Lat: f.Location.Lat, Lng: f.Location.Lng}
	}
	for _, x := range w.Candidates {
		lat, lng := coordinates(x.MapX, x.MapY)
		c.Candidates = append(c.Candidates, adapters.Candidate{
			Finder: "naver", Name: x.Title, Link: x.Link, Category: x.Category, Phone: x.Telephone,
			Address: x.Address, RoadAddress: x.RoadAddress, Lat: lat, Lng: lng,
		})
	}
	c.Group = c.ID
	if w.Withheld != nil {
		c.Group = *w.Withheld
	}
	if w.Answer != nil {
		c.Group = *w.Answer
		if c.Answer = slices.Index(w.CandidateIDs, *w.Answer); c.Answer < 0 {
			return Case{}, fmt.Errorf("%s: the answer %q is not among the candidates", c.ID, *w.Answer)
		}
	}
	return c, nil
}

// coordinates reads degrees × 10,000,000. Six-digit values of the older projection are unknown coordinates.
func coordinates(mapx, mapy string) (lat, lng float64) {
	x, errX := strconv.ParseInt(mapx, 10, 64)
	y, errY := strconv.ParseInt(mapy, 10, 64)
	lat, lng = float64(y)/1e7, float64(x)/1e7
	if errX != nil || errY != nil || !onMap(lat, lng) {
		return 0, 0
	}
	return lat, lng
}
