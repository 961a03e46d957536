package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"sumbi/jobs/match"
	"sumbi/queue"
)

// WriteReviewCases writes what people have decided as cases for the matcher, one JSON object a line: what the post said, what
// there was to choose from, and what is right. A label of which nothing of the finder's text is kept, or without candidates,
// is no case; it is counted as skipped.
func WriteReviewCases(ctx context.Context, s *queue.Store, w io.Writer) (written, skipped int, err error) {
	err = s.Labelled(ctx, func(l queue.Label, data json.RawMessage) error {
		c, ok := caseOf(l, data)
		if !ok {
			skipped++
			return nil
		}
		written++
		return match.WriteCase(w, c)
	})
	return written, skipped, err
}

func caseOf(l queue.Label, data json.RawMessage) (match.Case, bool) {
	r, err := fieldsOf(l.Fields)
	if err != nil || len(l.Shown) == 0 || (l.State == string(match.Place) && l.Chosen < 0) {
		return match.Case{}, false
	}
	c := match.Case{
		ID: fmt.Sprintf("%s/%s/%d", l.Key, l.Name, l.Nth), Kind: "review", Answer: -1,
		Mention: match.Mention{Name: r.Name, Branch: r.Branch, Address: r.Address, Area: r.Area, Phone: r.Phone},
	}
	for _, d := range r.Menu {
		c.Mention.Menu = append(c.Mention.Menu, d.Name)
	}
	if po, err := readPost(data); err == nil && po.Location != nil {
		c.Mention.Location = &match.Location{Name: po.Location.Name, Lat: po.Location.Lat, Lng: po.Location.Lng}
	}
	right := ""
	if l.Chosen >= 0 && l.Chosen < len(l.Shown) {
		right = match.PlaceKey(l.Shown[l.Chosen])
	}
	for i, x := range l.Shown {
		if x.Name == "" {
			return match.Case{}, false
		}
		if i != l.Chosen && match.PlaceKey(x) == right {
			continue // the same place by another finder: either is right
		}
		if i == l.Chosen {
			c.Answer = len(c.Candidates)
		}
		c.Candidates = append(c.Candidates, x)
	}
	return c, true
}
