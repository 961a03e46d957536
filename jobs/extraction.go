package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

// Labelled is a caption with what an honest reader finds in it.
type Labelled struct {
	ID   string // the file's own, of its first line
	Text string // as a post has it, hashtags included
	Want []Restaurant
}

// ReadLabelled reads labelled captions, one JSON object a line: caption_id, text, hashtags without #, and the fields name, branch,
// address, area and menu of a restaurant, literally; an empty name says that the caption names none. Lines of one text are one
// caption with several restaurants. An error names the number of the line.
func ReadLabelled(r io.Reader) ([]*Labelled, error) {
	var all []*Labelled
	byText := map[string]*Labelled{}
	err := match.EachLine(r, func(line []byte) error {
		one, err := decodeLabelled(line)
		if err != nil {
			return err
		}
		if have := byText[one.Text]; have != nil {
			have.Want = append(have.Want, one.Want...)
			return nil
		}
		byText[one.Text] = one
		all = append(all, one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("there is no caption in it")
	}
	return all, nil
}

func decodeLabelled(line []byte) (*Labelled, error) {
	var w struct {
		ID       string   `json:"caption_id"`
		Text     string   `json:"text"`
		Hashtags []string `json:"hashtags"`
		Fields   *struct {
			Name    string   `json:"name"`
			Branch  string   `json:"branch"`
			Address string   `json:"address"`
			Area    string   `json:"area"`
			Menu    []string `json:"menu"`
		} `json:"fields"`
	}
	if err := json.Unmarshal(line, &w); err != nil {
		return nil, fmt.Errorf("no labelled caption: %w", err)
	}
	var text strings.Builder
	text.WriteString(w.Text)
	gap := "\n\n"
	for _, tag := range w.Hashtags {
		text.WriteString(gap + "#" + strings.TrimPrefix(tag, "#"))
		gap = " "
	}
	_, caption := question(text.String())
	switch {
	case w.ID == "":
		return nil, errors.New("no caption_id")
	case caption == "":
		return nil, fmt.Errorf("%s: no text and no hashtags", w.ID)
	case w.Fields == nil:
		return nil, fmt.Errorf("%s: no fields", w.ID)
	}
	one := &Labelled{ID: w.ID, Text: caption}
	if f := w.Fields; match.CompactName(f.Name) != "" {
		r := Restaurant{Name: f.Name, Branch: f.Branch, Address: f.Address, Area: f.Area}
		for _, dish := range f.Menu {
			r.Menu = append(r.Menu, Dish{Name: dish})
		}
		one.Want = []Restaurant{r}
	}
	return one, nil
}

// Question is the line that asks about the caption; its id is the key of a post's question with this text.
func (l *Labelled) Question() adapters.Line {
	id, text := question(l.Text)
	return adapters.Line{ID: id, Body: args(text)}
}

// Count compares answers with labels.
type Count struct {
	Right  int
	Wrong  int // answered, not in the label
	Missed int // in the label, not answered
}

// String is precision, recall and F1, and what is not right.
func (n Count) String() string {
	f1 := "none"
	if all := 2*n.Right + n.Wrong + n.Missed; all > 0 {
		f1 = fmt.Sprintf("%.3f", 2*float64(n.Right)/float64(all))
	}
	return fmt.Sprintf("%-22s %-22s %-6s wrong %d, missed %d", match.Share(n.Right, n.Right+n.Wrong), match.Share(n.Right, n.Right+n.Missed), f1, n.Wrong, n.Missed)
}

// Extraction compares what the model says about captions with their labels.
type Extraction struct {
	Captions    int
	Restaurants Count // Wrong: invented
	Fields      []Field
}

// Field is one field of all restaurants. What of a restaurant is missed or invented is so in its fields, too.
type Field struct {
	Name string
	Count
}

// extractedFields are what a field holds of a restaurant, folded as names are compared.
var extractedFields = []struct {
	name string
	of   func(Restaurant) []string
}{
	{"name", func(r Restaurant) []string { return []string{r.Name} }},
	{"branch", func(r Restaurant) []string { return []string{r.Branch} }},
	{"address", func(r Restaurant) []string { return []string{r.Address} }},
	{"area", func(r Restaurant) []string { return []string{r.Area} }},
	{"menu item", func(r Restaurant) []string {
		var dishes []string
		for _, d := range r.Menu {
			dishes = append(dishes, d.Name)
		}
		return dishes
	}},
}

// Add compares an answer with the label of its caption and returns what is not right, a line each. An answer of nil names no
// restaurant. The error is for an answer that is not of the schema.
func (x *Extraction) Add(l *Labelled, answer json.RawMessage) (misses []string, err error) {
	if x.Fields == nil {
		for _, f := range extractedFields {
			x.Fields = append(x.Fields, Field{Name: f.name})
		}
	}
	var got []Restaurant
	if answer != nil {
		if got, err = restaurants(answer); err != nil {
			return nil, err
		}
	}
	x.Captions++
	note := func(format string, a ...any) { misses = append(misses, fmt.Sprintf(format, a...)) }
	used := make([]bool, len(got))
	for _, pair := range pairs(l.Want, got) {
		want, have := l.Want[pair[0]], Restaurant{}
		if pair[1] < 0 {
			x.Restaurants.Missed++
			note("missed %s", title(want))
		} else {
			x.Restaurants.Right++
			have, used[pair[1]] = got[pair[1]], true
		}
		x.fields(want, have, func(field, wanted, had string) {
			if pair[1] >= 0 {
				note("%s of %s: right is %q, answered %q", field, title(want), wanted, had)
			}
		})
	}
	for i, have := range got {
		if !used[i] {
			x.Restaurants.Wrong++
			note("invented %s", title(have))
			x.fields(Restaurant{}, have, func(string, string, string) {})
		}
	}
	return misses, nil
}

func title(r Restaurant) string { return strings.TrimSpace(r.Name + " " + r.Branch) }

// restaurants reads the restaurants of an answer that have a name.
func restaurants(answer json.RawMessage) ([]Restaurant, error) {
	entries, err := readAnswer(answer)
	if err != nil {
		return nil, err
	}
	var a struct {
		Restaurants []Restaurant `json:"restaurants"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	var named []Restaurant
	for _, i := range entries {
		named = append(named, a.Restaurants[i])
	}
	return named, nil
}

// fields counts the fields of a restaurant.
func (x *Extraction) fields(want, have Restaurant, differs func(field, want, have string)) {
	for i, f := range extractedFields {
		wanted, had := foldedTexts(f.of(want)), foldedTexts(f.of(have))
		n := &x.Fields[i].Count
		before := n.Wrong + n.Missed
		for text := range wanted {
			if _, ok := had[text]; ok {
				n.Right++
			} else {
				n.Missed++
			}
		}
		for text := range had {
			if _, ok := wanted[text]; !ok {
				n.Wrong++
			}
		}
		if n.Wrong+n.Missed > before {
			differs(f.name, strings.Join(f.of(want), ", "), strings.Join(f.of(have), ", "))
		}
	}
}

// foldedTexts are the texts that say something, as names are compared.
func foldedTexts(texts []string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, t := range texts {
		if c := match.CompactName(t); c != "" {
			out[c] = struct{}{}
		}
	}
	return out
}

// pairs gives each label, in order of how much their names agree, the answer that speaks of the same restaurant; -1 when none does.
func pairs(want, got []Restaurant) [][2]int {
	out := make([][2]int, len(want))
	for i := range out {
		out[i] = [2]int{i, -1}
	}
	taken := make([]bool, len(got))
	for level := alike(0); level <= lastAlike; level++ {
		for i := range want {
			for j := range got {
				if out[i][1] < 0 && !taken[j] && howAlike(want[i], got[j]) == level {
					out[i][1], taken[j] = j, true
				}
			}
		}
	}
	return out
}

// alike is how much the names of two restaurants agree, the best first.
type alike int

const (
	nameAndBranch alike = iota
	nameWithBranch
	nameAlone
	nameWithin // the one name is a part of the other
	lastAlike  = nameWithin
	notAlike   = lastAlike + 1
)

func howAlike(a, b Restaurant) alike {
	aName, bName := match.CompactName(a.Name), match.CompactName(b.Name)
	switch {
	case aName == bName && match.CompactName(a.Branch) == match.CompactName(b.Branch):
		return nameAndBranch
	case match.CompactName(title(a)) == match.CompactName(title(b)):
		return nameWithBranch
	case aName == bName:
		return nameAlone
	case len([]rune(aName)) > 1 && len([]rune(bName)) > 1 && (strings.Contains(aName, bName) || strings.Contains(bName, aName)):
		return nameWithin
	}
	return notAlike
}

// String is the figures as a table, with 95 % intervals by Wilson.
func (x *Extraction) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %-22s %-22s F1\n", "", "precision", "recall")
	fmt.Fprintf(&b, "%-12s %v\n", "restaurants", x.Restaurants)
	for _, f := range x.Fields {
		fmt.Fprintf(&b, "%-12s %v\n", f.Name, f.Count)
	}
	return b.String()
}
