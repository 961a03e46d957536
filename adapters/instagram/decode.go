package instagram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sumbi/adapters/rest"
)

// answer is what a body holds, whichever of the family's envelopes it came in.
type answer struct {
	items    []item
	listed   bool // data.items is there
	counted  bool // data.count is there and 0
	skipped  int  // items without an id
	user     user // data.user, or data itself when that is a profile
	tokens   [4]word
	messages []string // message, detail, error: the upstream speaks of a failure
}

// next returns the token of the next page; "" is the end.
func (a *answer) next() string {
	for _, t := range a.tokens {
		if t.text != "" {
			return t.text
		}
	}
	return ""
}

// decode reads a body from front to back and keeps of each item only what is needed.
func decode(r io.Reader) (*answer, error) {
	a := &answer{}
	dec := json.NewDecoder(r)
	ok, err := object(dec, func(key string) error {
		switch key {
		case "data":
			return a.data(dec)
		case "pagination_token":
			return read(dec, &a.tokens[0])
		case "next_max_id":
			return read(dec, &a.tokens[2])
		case "message", "detail", "error":
			return a.message(dec)
		default:
			return skip(dec)
		}
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("it is no object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more than one JSON value")
		}
		return nil, err
	}
	return a, nil
}

func (a *answer) data(dec *json.Decoder) error {
	_, err := object(dec, func(key string) error {
		switch key {
		case "items":
			return a.list(dec)
		case "count":
			var n *int64
			err := read(dec, &n)
			a.counted = n != nil && *n == 0
			return err
		case "user":
			return read(dec, &a.user)
		case "pagination_token":
			return read(dec, &a.tokens[1])
		case "next_max_id":
			return read(dec, &a.tokens[3])
		case "message", "detail", "error":
			return a.message(dec)
		case "id": // from here on: data is a profile
			return read(dec, &a.user.ID)
		case "username":
			return read(dec, &a.user.Username)
		case "is_private":
			return read(dec, &a.user.IsPrivate)
		case "media_count":
			return read(dec, &a.user.MediaCount)
		default:
			return skip(dec)
		}
	})
	return err
}

func (a *answer) list(dec *json.Decoder) error {
	isArray, err := enter(dec, '[')
	if err != nil || !isArray {
		return err
	}
	a.listed = true
	var whole json.RawMessage // one item at a time, in one buffer
	for dec.More() {
		if err := read(dec, &whole); err != nil {
			return err
		}
		it, ok := readItem(cut(whole))
		if !ok {
			a.skipped++
			continue
		}
		a.items = append(a.items, it)
	}
	_, err = dec.Token()
	return err
}

// message keeps what the upstream says of a failure, text or not, on one line.
func (a *answer) message(dec *json.Decoder) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if text := plain(raw); text != "" {
		a.messages = append(a.messages, text)
	}
	return nil
}

func (a *answer) said() string { return strings.Join(a.messages, "; ") }

func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.Join(strings.Fields(s), " ")
	}
	switch raw[0] {
	case '{', '[':
		var b bytes.Buffer
		_ = json.Compact(&b, raw)
		return b.String()
	default:
		return "" // null, false, a number
	}
}

// messageOf returns what an error answer says, or the beginning of its text.
func messageOf(status int, body []byte) string {
	if a, err := decode(bytes.NewReader(body)); err == nil && a.said() != "" {
		return rest.Describe(status, []byte(a.said()))
	}
	return rest.Describe(status, body)
}

// object reads the members of an object one by one. It returns false when the value is something else, which is skipped.
func object(dec *json.Decoder, member func(key string) error) (bool, error) {
	ok, err := enter(dec, '{')
	if err != nil || !ok {
		return false, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return true, err
		}
		name, _ := key.(string)
		if err := member(name); err != nil {
			return true, err
		}
	}
	_, err = dec.Token()
	return true, err
}

// enter takes the opening delimiter; a value that does not begin with it is skipped.
func enter(dec *json.Decoder, open json.Delim) (bool, error) {
	tok, err := dec.Token()
	if err != nil {
		return false, noEOF(err)
	}
	if tok == open {
		return true, nil
	}
	if d, ok := tok.(json.Delim); ok && (d == '{' || d == '[') {
		return false, drain(dec, 1)
	}
	return false, nil
}

// skip passes over one value without keeping it.
func skip(dec *json.Decoder) error { return drain(dec, 0) }

// drain reads tokens until depth further levels are closed.
func drain(dec *json.Decoder, depth int) error {
	for {
		tok, err := dec.Token()
		if err != nil {
			return noEOF(err)
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
	}
}

// read decodes one value and leaves out what has another type than expected.
func read(dec *json.Decoder, v any) error {
	err := dec.Decode(v)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil
	}
	return noEOF(err)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it is cut short: %w", io.ErrUnexpectedEOF)
	}
	return err
}
