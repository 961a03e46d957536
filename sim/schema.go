package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// node is what strict mode looks at in a JSON schema.
type node struct {
	Type       any              `json:"type"`
	Properties map[string]*node `json:"properties"`
	Required   []string         `json:"required"`
	Additional any              `json:"additionalProperties"`
	Items      *node            `json:"items"`
	AnyOf      []*node          `json:"anyOf"`
	Default    any              `json:"default"`
	Defs       map[string]*node `json:"$defs"`
	Ref        string           `json:"$ref"`
}

// is reports whether the schema admits a type.
func (n *node) is(want string) bool {
	if n == nil {
		return false
	}
	switch t := n.Type.(type) {
	case string:
		return t == want
	case []any:
		return slices.Contains(t, any(want))
	}
	return slices.ContainsFunc(n.AnyOf, func(m *node) bool { return m.is(want) })
}

// at follows property names and "items" downwards; nil when there is no such part.
func (n *node) at(path ...string) *node {
	for _, p := range path {
		switch {
		case n == nil:
			return nil
		case p == "items":
			n = n.Items
		default:
			n = n.Properties[p]
		}
	}
	return n
}

// checkSchema returns what strict mode says against a schema, or "".
func checkSchema(f *responseFormat) string {
	refuse := func(where []string, what string) string {
		quoted := make([]string, len(where))
		for i, w := range where {
			quoted[i] = "'" + w + "'"
		}
		context := strings.Join(quoted, ", ")
		if len(quoted) == 1 {
			context += ","
		}
		return fmt.Sprintf("Invalid schema for response_format '%s': In context=(%s), %s", f.Schema.Name, context, what)
	}
	var root node
	if err := json.Unmarshal(f.Schema.Schema, &root); err != nil || !root.is("object") {
		return refuse(nil, "schema must be a JSON Schema of 'type: \"object\"'.")
	}
	var walk func(n *node, where []string, depth int) string
	walk = func(n *node, where []string, depth int) string {
		if depth > 10 {
			return refuse(where, "11 levels of nesting exceeds limit of 10.")
		}
		if n.Type == nil && n.Ref == "" && len(n.AnyOf) == 0 {
			return refuse(where, "schema must have a 'type' key.")
		}
		if n.Default != nil {
			return refuse(where, "'default' is not permitted.")
		}
		if n.is("object") && n.Type != nil {
			if n.Additional != false {
				return refuse(where, "'additionalProperties' is required to be supplied and to be false.")
			}
			for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
				if !slices.Contains(n.Required, name) {
					return refuse(where, fmt.Sprintf("'required' is required to be supplied and to be an array including every key in properties. Missing '%s'.", name))
				}
				if s := walk(n.Properties[name], append(slices.Clone(where), "properties", name), depth+1); s != "" {
					return s
				}
			}
			for _, name := range n.Required {
				if n.Properties[name] == nil {
					return refuse(where, fmt.Sprintf("'required' is required to be supplied and to be an array including every key in properties. Extra required key '%s' supplied.", name))
				}
			}
		}
		if n.is("array") && n.Type != nil {
			if n.Items == nil {
				return refuse(where, "array schema missing items.")
			}
			if s := walk(n.Items, append(slices.Clone(where), "items"), depth+1); s != "" {
				return s
			}
		}
		for i, m := range n.AnyOf {
			if s := walk(m, append(slices.Clone(where), "anyOf", fmt.Sprint(i)), depth+1); s != "" {
				return s
			}
		}
		return ""
	}
	return walk(&root, nil, 1)
}
