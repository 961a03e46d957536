package cli

import (
	"fmt"
	"strings"

	"sumbi/queue"
)

type placesCmd struct {
	List  placesListCmd  `cmd:"" help:"List places, the most often named first."`
	Merge placesMergeCmd `cmd:"" help:"Make the second place a part of the first, for good."`
	Split placesSplitCmd `cmd:"" help:"Take apart a place that is really two, for good."`
}

type placesListCmd struct {
	Name   string `arg:"" optional:"" help:"Only those whose name has this in it."`
	Merged bool   `help:"Only places of several entries, with these entries."`
	Limit  int    `default:"50" help:"At most so many."`
	jsonFlag
}

// Run lists places.
func (c placesListCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	ps, err := s.PlaceLines(e.ctx, c.Name, c.Merged, c.Limit)
	if err != nil {
		return err
	}
	type line struct {
		queue.PlaceLine
		Parts []queue.PlaceEntry // only with --merged
	}
	lines := make([]line, len(ps))
	for i, p := range ps {
		lines[i].PlaceLine = p
		if c.Merged {
			if lines[i].Parts, err = s.Entries(e.ctx, p.ID); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		return e.document("places list", struct{ Places []line }{lines})
	}
	t := table{columns: []column{
		{head: "PLACE"}, {head: "NAME", least: 10}, {head: "ADDRESS", least: 12}, {head: "FINDER"}, {head: "MENTIONS", right: true}, {head: "ENTRIES"},
	}}
	for _, p := range lines {
		t.add(p.ID, safe(p.Name), safe(p.Address), p.Finder, p.Mentions, p.Entries)
		for _, x := range p.Parts {
			t.add("  "+x.ID, safe(x.Name), safe(firstOf(x.Road, x.Address)), x.Finder, x.Mentions, byHand(x))
		}
	}
	e.out.table(&t)
	return nil
}

func byHand(e queue.PlaceEntry) string {
	if e.ByHand {
		return "by hand"
	}
	return ""
}

type placesMergeCmd struct {
	Into  string `arg:"" help:"The place that stays."`
	Other string `arg:"" help:"The place that becomes a part of it."`
}

// Run merges two places.
func (c placesMergeCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	one, _, err := e.together("")
	if err != nil {
		return err
	}
	if err := s.Tx(e.ctx, func(tx *queue.Tx) error { return tx.Merge(c.Into, c.Other, one) }); err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "%s is part of %s now; `sumbi places split %s` takes them apart\n", c.Other, c.Into, c.Other)
	return nil
}

type placesSplitCmd struct {
	ID string `arg:"" help:"The entry that is another place, as \"sumbi places list --merged\" shows it; or a place of two entries."`
}

// Run takes a place apart.
func (c placesSplitCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	place, err := s.EntryOf(e.ctx, c.ID)
	if err != nil {
		return err
	}
	es, err := s.Entries(e.ctx, place)
	if err != nil {
		return err
	}
	var ids []string
	for i, x := range es {
		if i == 0 || es[i-1].ID != x.ID { // the same by another finder
			ids = append(ids, fmt.Sprintf("%s (%s)", x.ID, safe(x.Name)))
		}
	}
	if place == c.ID && len(ids) > 2 {
		return usageError{fmt.Errorf("place %s is of %d entries: name the one that is another place: %s", place, len(ids), strings.Join(ids, ", "))}
	}
	one, _, err := e.together("")
	if err != nil {
		return err
	}
	var stays, leaves string
	err = s.Tx(e.ctx, func(tx *queue.Tx) (err error) {
		stays, leaves, err = tx.Split(c.ID, one)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "%s and %s are two places now; `sumbi places merge %s %s` undoes it\n", stays, leaves, stays, leaves)
	return nil
}
