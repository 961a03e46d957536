package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// shape is the part of a JSON schema that strict mode allows and that is worth checking again: a model that was cut short
// or a proxy in between can still hand over something else. Keywords it does not know do not restrict.
type shape struct {
	Type       kinds             `json:"type"`
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`
	Additional json.RawMessage   `json:"additionalProperties"`
	Items      *shape            `json:"items"`
	Enum       []any             `json:"enum"`
	AnyOf      []*shape          `json:"anyOf"`
}

// kinds reads "string" as well as ["string","null"].
type kinds []string

// UnmarshalJSON implements json.Unmarshaler.
func (k *kinds) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*k = kinds{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(k))
}

func newShape(schema json.RawMessage) (*shape, error) {
	var s *shape
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, err
	}
	if s == nil || !slices.Contains(s.Type, "object") {
		return nil, fmt.Errorf("the root is no object")
	}
	return s, nil
}

// fits returns where and how v, as encoding/json decodes into any, is not of the shape. A nil shape fits everything.
func (s *shape) fits(at string, v any) error {
	if s == nil {
		return nil
	}
	if kind := kindOf(v); len(s.Type) > 0 && !slices.Contains(s.Type, kind) && !s.integer(v) {
		return fmt.Errorf("%s is %s, not %v", at, kind, []string(s.Type))
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return same(e, v) }) {
		return fmt.Errorf("%s is none of the values allowed", at)
	}
	if len(s.AnyOf) > 0 && !slices.ContainsFunc(s.AnyOf, func(o *shape) bool { return o.fits(at, v) == nil }) {
		return fmt.Errorf("%s has none of the shapes allowed", at)
	}
	switch v := v.(type) {
	case map[string]any:
		return s.fitsObject(at, v)
	case []any:
		for i, item := range v {
			if err := s.Items.fits(fmt.Sprintf("%s[%d]", at, i), item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shape) fitsObject(at string, v map[string]any) error {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return fmt.Errorf("%s has no %q", at, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p, known := s.Properties[name]
		if !known && string(s.Additional) == "false" {
			return fmt.Errorf("%s has an unknown %.40q", at, name)
		}
		if err := p.fits(at+"."+name, v[name]); err != nil {
			return err
		}
	}
	return nil
}

// integer reports that v is a whole number where one is wanted: 12000.0 is one, too.
func (s *shape) integer(v any) bool {
	f, ok := v.(float64)
	return ok && f == math.Trunc(f) && slices.Contains(s.Type, "integer")
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// same compares values of an enum, which are scalars.
func same(a, b any) bool {
	switch a.(type) {
	case map[string]any, []any:
		return false
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}
