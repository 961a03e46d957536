package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// reviewCase is a label as a line of a case file, as `+"`sumbi eval match`"+` reads it.
type reviewCase struct {
	CaseID       string          `json:"case_id"`
	Kind         string          `json:"kind"`
	Fields       reviewFields    `json:"fields"`
	Candidates   []reviewedPlace `json:"candidates"`
	CandidateIDs []string        `json:"candidate_ids"`
	Answer       *string         `json:"answer"`
}

type reviewFields struct {
	Name     string          `json:"name"`
	Branch   string          `json:"branch"`
	Address  string          `json:"address"`
	Area     string          `json:"area"`
	Menu     []string        `json:"menu"`
	Phone    string          `json:"phone"`
	Location *reviewLocation `json:"ig_location"`
}

type reviewLocation struct {
	Name string  `json:"name"`
	Lat  float64 `json:"lat"`
	Lng  float64 `json:"lng"`
}

type reviewedPlace struct {
	Title       string `json:"title"`
	Link        string `json:"link"`
	Category    string `json:"category"`
	Telephone   string `json:"telephone"`
	Address     string `json:"address"`
	RoadAddress string `json:"roadAddress"`
	MapX        string `json:"mapx"`
	MapY        string `json:"mapy"`
}

// WriteReviewCases writes what people have decided as cases for the matcher, one JSON object a line: what the post said, what
// there was to choose from, and what is right. A label of which nothing of the finder's text is kept, or without candidates,
// is no case; it is counted as skipped.
func WriteReviewCases(ctx context.Context, s *queue.Store, w io.Writer) (written, skipped int, err error) {
	enc := json.NewEncoder(w)
	err = s.Labelled(ctx, func(l queue.Label, data json.RawMessage) error {
		c, ok := caseOf(l, data)
		if !ok {
			skipped++
			return nil
		}
		written++
		return enc.Encode(c)
	})
	return written, skipped, err
}

func caseOf(l queue.Label, data json.RawMessage) (reviewCase, bool) {
	r, err := fieldsOf(l.Fields)
	if err != nil || len(l.Shown) == 0 || (l.State == string(match.Place) && l.Chosen < 0) {
		return reviewCase{}, false
	}
	c := reviewCase{
		CaseID: fmt.Sprintf("%s/%s/%d", l.Key, l.Name, l.Nth), Kind: "review",
		Fields: reviewFields{Name: r.Name, Branch: r.Branch, Address: r.Address, Area: r.Area, Phone: r.Phone, Menu: []string{}},
	}
	for _, d := range r.Menu {
		c.Fields.Menu = append(c.Fields.Menu, d.Name)
	}
	if po, err := readPost(data); err == nil && po.Location != nil {
		c.Fields.Location = &reviewLocation{po.Location.Name, po.Location.Lat, po.Location.Lng}
	}
	right := ""
	if l.Chosen >= 0 && l.Chosen < len(l.Shown) {
		right = match.PlaceKey(l.Shown[l.Chosen])
	}
	for i, x := range l.Shown {
		if x.Name == "" {
			return reviewCase{}, false
		}
		id := match.PlaceKey(x)
		if id == right && i != l.Chosen {
			continue // the same place by another finder: either is right
		}
		c.CandidateIDs = append(c.CandidateIDs, id)
		c.Candidates = append(c.Candidates, reviewed(x))
	}
	if right != "" {
		c.Answer = &right
	}
	return c, true
}

func reviewed(x adapters.Candidate) reviewedPlace {
	p := reviewedPlace{Title: x.Name, Link: x.Link, Category: x.Category, Telephone: x.Phone, Address: x.Address, RoadAddress: x.RoadAddress}
	if x.Lat != 0 && x.Lng != 0 {
		p.MapX, p.MapY = strconv.FormatInt(int64(math.Round(x.Lng*1e7)), 10), strconv.FormatInt(int64(math.Round(x.Lat*1e7)), 10)
	}
	return p
}
