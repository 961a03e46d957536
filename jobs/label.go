package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// named is how a restaurant of a post is known again when the post is read anew: by its name, and namesakes by what else the
// post says of them.
type named struct {
	name, branch, detail string
	nth                  int // among those that are the same in all of it
}

// namesOf returns how the restaurants of a post are known again.
func namesOf(rs []Restaurant) []named {
	all := make([]named, len(rs))
	seen := map[named]int{}
	for i, r := range rs {
		n := named{name: match.CompactName(r.Name), branch: folded(r.Branch)}
		if n.name == "" {
			n.name = folded(r.Name)
		}
		n.detail = strings.TrimRight(n.branch+"|"+folded(r.Area)+"|"+folded(r.Address), "|")
		all[i] = n
		all[i].nth = seen[n]
		seen[n]++
	}
	return all
}

// folded is a text without white space, in lower case.
func folded(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), "")
}

// labelsFor returns the label of each restaurant, nil where there is none. A label is for the restaurant that is the same in
// name and detail; else for the only one of that name, unless the post names another branch or address now.
func labelsFor(all []named, labels []queue.Label) []*queue.Label {
	out := make([]*queue.Label, len(all))
	here, known := map[string]int{}, map[string]int{}
	for _, n := range all {
		here[n.name]++
	}
	for _, l := range labels {
		known[l.Name]++
	}
	for i, n := range all {
		for j := range labels {
			l := &labels[j]
			switch {
			case l.Name != n.name:
			case l.Detail == n.detail && l.Nth == n.nth:
				out[i] = l
			case here[n.name] == 1 && known[n.name] == 1:
				was, is := strings.SplitN(l.Detail+"||", "|", 3), strings.SplitN(n.detail+"||", "|", 3)
				if agree(was[0], is[0]) && (agree(was[2], is[2]) || sameHouse(was[2], is[2])) {
					out[i] = l
				}
			}
		}
	}
	return out
}

// agree reports that two details do not contradict one another: one is missing, or they are equal.
func agree(a, b string) bool {
	a, b = strings.Trim(a, "|"), strings.Trim(b, "|")
	return a == "" || b == "" || a == b
}

// sameHouse reports whether one folded address is the other without its province or without floor and unit.
func sameHouse(a, b string) bool {
	a, b = strings.Trim(a, "|"), strings.Trim(b, "|")
	if len(a) > len(b) {
		a, b = b, a
	}
	if strings.HasSuffix(b, a) {
		return true
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && strings.IndexAny(rest, "0123456789-") != 0
}

// None is the choice of no place.
const None = -1

// Label lets a person decide a mention: its candidate number choice (from 0, as Choices lists them), or None. It is decided
// so from then on, whatever the scorer or a later reading of the post says. queue.ErrNotFound says that the post has been
// read anew since the mention was looked at.
func Label(ctx context.Context, s *queue.Store, mention int64, choices []queue.Option, choice int, author string, one queue.One) error {
	return s.Tx(ctx, func(tx *queue.Tx) error { return label(tx, mention, choices, choice, author, one) })
}

// Meanwhile is the error of who decides a mention that somebody else has decided since it was looked at.
type Meanwhile struct{ Now queue.Decision }

// Error implements error.
func (m *Meanwhile) Error() string {
	return "the mention has been decided meanwhile; look at it again"
}

// unchanged is a Meanwhile unless the decision of a mention is still the one that was seen.
func unchanged(tx *queue.Tx, mention int64, seen string) error {
	now, err := tx.Decision(mention)
	if err == nil && now.Version() != seen {
		err = &Meanwhile{now}
	}
	return err
}

// LabelSeen is Label for one of several people: a *Meanwhile error unless the mention is still decided as in the version that
// was seen. It returns what is decided now, and the label that there was before, nil for none.
func LabelSeen(ctx context.Context, s *queue.Store, mention int64, seen string, choices []queue.Option, choice int, author string, one queue.One) (now queue.Decision, before *queue.Label, err error) {
	err = s.Tx(ctx, func(tx *queue.Tx) error {
		if err := unchanged(tx, mention, seen); err != nil {
			return err
		}
		if l, err := tx.LabelOf(mention); err == nil {
			before = &l
		} else if !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		if err := label(tx, mention, choices, choice, author, one); err != nil {
			return err
		}
		now, err = tx.Decision(mention)
		return err
	})
	return now, before, err
}

// UnlabelSeen is Unlabel for one of several people, as LabelSeen is. With before the mention is decided again as it was by
// that label.
func UnlabelSeen(ctx context.Context, s *queue.Store, m queue.Mention, seen string, before *queue.Label, lane string, one queue.One) (again bool, err error) {
	err = s.Tx(ctx, func(tx *queue.Tx) error {
		if err := unchanged(tx, m.ID, seen); err != nil {
			return err
		}
		if before != nil {
			return tx.SetLabel(m, *before, one)
		}
		again, err = unlabel(tx, m, lane, one)
		return err
	})
	return again, err
}

func label(tx *queue.Tx, mention int64, choices []queue.Option, choice int, author string, one queue.One) error {
	m, l, err := identity(tx, mention)
	if err != nil {
		return err
	}
	l.State, l.Chosen, l.Author, l.Fields = string(match.None), choice, author, m.Fields
	for _, c := range choices {
		shown := c.Candidate
		if c.Name == "" { // nothing of the finder's text is kept
			shown = adapters.Candidate{Finder: c.Finder, Link: c.Link}
		}
		l.Shown = append(l.Shown, shown)
	}
	if choice != None {
		if choice < 0 || choice >= len(choices) {
			return fmt.Errorf("there is no candidate %d; there are %d", choice+1, len(choices))
		}
		if l.Found = chosen(choices[choice], m.Name); l.Found == nil {
			return fmt.Errorf("nothing of candidate %d is kept any more; choose another, or none", choice+1)
		}
		l.State = string(match.Place)
	}
	return tx.SetLabel(m, l, one)
}

// identity reads a mention and says how it is known again.
func identity(tx *queue.Tx, mention int64) (queue.Mention, queue.Label, error) {
	var l queue.Label
	record, err := tx.RecordOf(mention)
	if err != nil {
		return queue.Mention{}, l, err
	}
	ms, err := tx.MentionsOf(record)
	if err != nil {
		return queue.Mention{}, l, err
	}
	rs := make([]Restaurant, len(ms))
	for i, m := range ms {
		if rs[i], err = fieldsOf(m.Fields); err != nil {
			rs[i] = Restaurant{Name: m.Name} // an answer that cannot be read
		}
	}
	for i, n := range namesOf(rs) {
		if ms[i].ID == mention {
			l = queue.Label{Stream: ms[i].Record.Stream, Key: ms[i].Record.Key, Name: n.name, Detail: n.detail, Nth: n.nth}
			return ms[i], l, nil
		}
	}
	return queue.Mention{}, l, queue.ErrNotFound
}

// chosen is a candidate as the entry of a place; nil when nothing of it is kept. name is the mention's.
func chosen(o queue.Option, name string) *queue.Place {
	switch {
	case o.Name != "":
		return entryOf(o.Candidate)
	case o.Key != "":
		return ownEntry(o.Finder, o.Key, name, o.Link, o.Query)
	}
	return nil
}

// Unlabel takes back what a person has decided about a mention. If it is not known what the scorer had decided the mention
// is matched anew, in lane.
func Unlabel(ctx context.Context, s *queue.Store, m queue.Mention, lane string, one queue.One) (again bool, err error) {
	err = s.Tx(ctx, func(tx *queue.Tx) error {
		again, err = unlabel(tx, m, lane, one)
		return err
	})
	return again, err
}

func unlabel(tx *queue.Tx, m queue.Mention, lane string, one queue.One) (again bool, err error) {
	if again, err = tx.Unlabel(m.ID, one); err != nil || !again {
		return again, err
	}
	_, err = tx.Add(matchJob(m.Pipeline, lane, m.ID))
	return again, err
}

// relabel decides the mentions of a record that a person has decided before, and returns those that are left.
func relabel(tx *queue.Tx, rec queue.Stored, answer json.RawMessage, entries []int, ids []int64, one queue.One) ([]int64, error) {
	labels, err := tx.Labels(rec.Stream, rec.Key)
	if err != nil || len(labels) == 0 {
		return ids, err
	}
	var a struct {
		Restaurants []json.RawMessage `json:"restaurants"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	rs := make([]Restaurant, len(entries))
	for i, entry := range entries {
		if rs[i], err = fieldsOf(a.Restaurants[entry]); err != nil {
			return nil, err
		}
	}
	var left []int64
	for i, l := range labelsFor(namesOf(rs), labels) {
		if l == nil {
			left = append(left, ids[i])
			continue
		}
		if err := tx.TakeLabel(ids[i], *l, one); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// Choices returns what a person may choose from for a mention, best first, and the searches that were made. Where the post
// was read anew after a person had decided, these are the candidates of then.
func Choices(ctx context.Context, s *queue.Store, m queue.Mention) ([]queue.Option, []queue.Asked, error) {
	choices, asked, err := s.Options(ctx, m.ID)
	if err != nil || len(choices) > 0 || m.Label == 0 {
		return choices, asked, err
	}
	l, err := s.LabelOf(ctx, m.ID)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, asked, nil
	}
	for _, c := range l.Shown {
		choices = append(choices, queue.Option{Candidate: c})
	}
	return choices, asked, err
}

// PostFacts is what a post says beside its restaurants.
type PostFacts struct {
	URL, Caption string
	Place        string  // that it is tagged with
	Lat, Lng     float64 // of that place; both 0 unknown
}

// PostOf reads the post of a mention; what cannot be read is empty.
func PostOf(m queue.Mention) (f PostFacts) {
	p, err := readPost(m.Record.Data)
	if err != nil {
		return f
	}
	f.URL, f.Caption = p.URL, p.Caption
	if p.Location != nil {
		f.Place, f.Lat, f.Lng = p.Location.Name, p.Location.Lat, p.Location.Lng
	}
	return f
}

// AskedText is the text of a caption that was put to the model by this id; "" when another text or prompt was.
func AskedText(caption, id string) string {
	if is, text := question(caption); is == id {
		return text
	}
	return ""
}

// FieldsOf reads what the model answered for a mention; what cannot be read is empty but for the name.
func FieldsOf(m queue.Mention) Restaurant {
	r, err := fieldsOf(m.Fields)
	if err != nil {
		return Restaurant{Name: m.Name}
	}
	return r
}

// KeyOf is the id of the entry that a candidate becomes when it is chosen; "" when nothing of it is kept.
func KeyOf(o queue.Option) string {
	if p := chosen(o, ""); p != nil {
		return p.ID
	}
	return ""
}
