package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// jsonFlag goes with every verb that reads.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print one JSON document, for programs."`
}

// document prints what a verb has read as {"verb": …, "at": …, "data": …}.
func (e *env) document(verb string, data any) error {
	b, err := documentOf(verb, time.Now(), data)
	if err != nil {
		return err
	}
	_, err = e.Stdout.Write(b)
	return err
}

func documentOf(verb string, at time.Time, data any) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, reflect.ValueOf(struct {
		Verb string
		At   time.Time
		Data any
	}{verb, at, data}))
	if err != nil {
		return nil, fmt.Errorf("%s as JSON: %w", verb, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("%s as JSON: %w", verb, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// write writes a value by the one rule of all documents: a field is called as in Go, beginning small; an instant is UTC in
// milliseconds, a duration is seconds; nil, the zero instant and what is no number are null, and a list is never null.
func write(b *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			b.WriteString("null")
			return nil
		}
		return encode(b, x.UTC().Format("2006-01-02T15:04:05.000Z"))
	case time.Duration:
		return encode(b, x.Seconds())
	case json.RawMessage:
		if !json.Valid(x) {
			b.WriteString("null")
			return nil
		}
		b.Write(x)
		return nil
	case json.Marshaler:
		if v.Kind() != reflect.Pointer || !v.IsNil() {
			return encode(b, x)
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return write(b, v.Elem())
	case reflect.Float64, reflect.Float32:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			b.WriteString("null")
			return nil
		}
		return encode(b, v.Interface())
	case reflect.Slice, reflect.Array:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case reflect.Map:
		if v.Len() == 0 {
			b.WriteString("{}")
			return nil
		}
		return encode(b, v.Interface())
	case reflect.Struct:
		b.WriteByte('{')
		if _, err := fields(b, v, 0); err != nil {
			return err
		}
		b.WriteByte('}')
		return nil
	default:
		return encode(b, v.Interface())
	}
}

// fields writes the fields of a struct behind n others; those of embedded ones stand among them.
func fields(b *bytes.Buffer, v reflect.Value, n int) (int, error) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			var err error
			if n, err = fields(b, v.Field(i), n); err != nil {
				return n, err
			}
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = beginningSmall(f.Name)
		}
		if n > 0 {
			b.WriteByte(',')
		}
		n++
		if err := encode(b, name); err != nil {
			return n, err
		}
		b.WriteByte(':')
		if err := write(b, v.Field(i)); err != nil {
			return n, err
		}
	}
	return n, nil
}

func encode(b *bytes.Buffer, v any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // its line break
	return nil
}

// beginningSmall makes ID id, URLPath urlPath and HeldUntil heldUntil.
func beginningSmall(name string) string {
	r := []rune(name)
	n := 0
	for n < len(r) && unicode.IsUpper(r[n]) {
		n++
	}
	if n > 1 && n < len(r) {
		n--
	}
	return strings.ToLower(string(r[:n])) + string(r[n:])
}
