package instagram

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The types below never refuse a value: what is not of their kind leaves them empty, so that one odd field of one item
// cannot lose a page.

// word is a string; a number becomes its digits, which keeps ids above 2^53 exact.
type word struct{ text string }

func (w *word) UnmarshalJSON(b []byte) error {
	*w = word{}
	switch c := b[0]; {
	case c == '"':
		_ = json.Unmarshal(b, &w.text)
	case c == '-' || (c >= '0' && c <= '9'):
		w.text = string(b)
	}
	return nil
}

// number is a finite number, also one within quotes.
type number struct {
	value float64
	known bool
}

func (n *number) UnmarshalJSON(b []byte) error {
	*n = number{}
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		*n = number{value: f, known: true}
	}
	return nil
}

// or returns the whole number, or otherwise when it is unknown. Values beyond what a count can be are unknown.
func (n number) or(otherwise int64) int64 {
	const most = 1 << 53
	if !n.known || n.value < -most || n.value > most {
		return otherwise
	}
	return int64(n.value)
}

// first returns the first number that is known.
func first(ns ...number) number {
	for _, n := range ns {
		if n.known {
			return n
		}
	}
	return number{}
}

// flag is true for true, 1 and "true".
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*f = s == "true" || s == "1"
	return nil
}

// bunch is an array whose elements are read later, one by one; nil when the field is absent or no array.
type bunch []json.RawMessage

func (l *bunch) UnmarshalJSON(b []byte) error {
	*l = nil
	if b[0] == '[' {
		_ = json.Unmarshal(b, (*[]json.RawMessage)(l))
	}
	return nil
}

// words returns the elements that are strings or numbers.
func (l bunch) words() []string {
	var texts []string
	for _, raw := range l {
		var w word
		if json.Unmarshal(raw, &w) == nil && w.text != "" {
			texts = append(texts, w.text)
		}
	}
	return texts
}

// names returns the user names of the elements.
func (l bunch) names() []string {
	names := []string{}
	for _, raw := range l {
		var t tag
		_ = json.Unmarshal(raw, &t) // an element that is no object has no name
		name := t.User.Username.text
		if name == "" {
			name = t.Username.text
		}
		names = add(names, name)
	}
	return names
}
