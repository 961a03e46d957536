package sim

import (
	"fmt"
	"strconv"
	"strings"
	"text/scanner"
)

// field is one field of a GraphQL query with what is asked of it.
type field struct {
	name string
	args object
	sub  []field
}

// parseQuery reads a GraphQL query of one operation. It knows as much of the language as clients of velog use.
func parseQuery(query string, variables object) (fields []field, ok bool) {
	p := &queryParser{variables: variables}
	p.s.Init(strings.NewReader(query))
	p.s.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.s.Error = func(*scanner.Scanner, string) { p.failed = true }
	p.next()
	if p.tok == scanner.Ident {
		if p.s.TokenText() != "query" && p.s.TokenText() != "mutation" {
			return nil, false
		}
		p.next()
		if p.tok == scanner.Ident { // its name
			p.next()
		}
		if p.tok == '(' { // the types of its variables
			for p.tok != ')' && p.tok != scanner.EOF {
				p.next()
			}
			p.next()
		}
	}
	fields = p.selection()
	return fields, !p.failed && p.tok == scanner.EOF && len(fields) > 0
}

type queryParser struct {
	s         scanner.Scanner
	tok       rune
	variables object
	failed    bool
}

func (p *queryParser) next() { p.tok = p.s.Scan() }

func (p *queryParser) take(tok rune) string {
	if p.tok != tok {
		p.failed = true
		return ""
	}
	text := p.s.TokenText()
	p.next()
	return text
}

func (p *queryParser) selection() (fields []field) {
	p.take('{')
	for p.tok == scanner.Ident && !p.failed {
		f := field{name: p.take(scanner.Ident), args: object{}}
		if p.tok == '(' {
			p.next()
			for p.tok == scanner.Ident && !p.failed {
				key := p.take(scanner.Ident)
				p.take(':')
				f.args[key] = p.value()
				if p.tok == ',' {
					p.next()
				}
			}
			p.take(')')
		}
		if p.tok == '{' {
			f.sub = p.selection()
		}
		fields = append(fields, f)
	}
	p.take('}')
	return fields
}

func (p *queryParser) value() any {
	switch p.tok {
	case '$':
		p.next()
		return p.variables[p.take(scanner.Ident)]
	case scanner.String:
		s, err := strconv.Unquote(p.take(scanner.String))
		p.failed = p.failed || err != nil
		return s
	case scanner.Int:
		n, err := strconv.ParseFloat(p.take(scanner.Int), 64)
		p.failed = p.failed || err != nil
		return n
	case '{':
		o := object{}
		p.next()
		for p.tok == scanner.Ident && !p.failed {
			key := p.take(scanner.Ident)
			p.take(':')
			o[key] = p.value()
			if p.tok == ',' {
				p.next()
			}
		}
		p.take('}')
		return o
	default:
		switch p.take(scanner.Ident) {
		case "true":
			return true
		case "false":
			return false
		case "null":
			return nil
		}
		p.failed = true
		return nil
	}
}

// checkFields says what is wrong with fields of a type, "" when nothing is.
func checkFields(of string, fields []field) string {
	known := velogTypes[of]
	for _, f := range fields {
		sub, ok := known[f.name]
		switch {
		case f.name == "__typename":
		case !ok:
			return fmt.Sprintf("Cannot query field %q on type %q.", f.name, strings.TrimRight(of, "23"))
		case sub != "" && len(f.sub) == 0:
			return fmt.Sprintf("Field %q of type %q must have a selection of subfields.", f.name, sub)
		case sub != "":
			if wrong := checkFields(sub, f.sub); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// velogTypes are the fields of the types that are imitated, each with its own type when it has fields in turn.
var velogTypes = map[string]map[string]string{
	"Query2":      {"posts": "Post", "getStats": "Stats", "auth": "User"},
	"Query3":      {"posts": "Post", "currentUser": "User", "restoreToken": "UserToken"},
	"Stats":       {"total": "", "count_by_day": "ReadCountByDay"},
	"User":        {"id": "", "username": "", "email": "", "profile": "UserProfile"},
	"UserProfile": {"thumbnail": "", "display_name": ""},
	"UserToken":   {"accessToken": "", "refreshToken": ""},
	"Post": {
		"id": "", "title": "", "short_description": "", "thumbnail": "", "url_slug": "", "released_at": "", "updated_at": "", "comments_count": "",
		"tags": "", "is_private": "", "is_temp": "", "likes": "", "views": "", "user": "User",
	},
	"ReadCountByDay": {"count": "", "day": ""},
}

// pick leaves of a value what a query asks for.
func pick(v any, fields []field) any {
	switch v := v.(type) {
	case object:
		if v == nil {
			return nil
		}
		out := object{}
		for _, f := range fields {
			if f.sub != nil {
				out[f.name] = pick(v[f.name], f.sub)
			} else {
				out[f.name] = v[f.name]
			}
		}
		return out
	case []object:
		list := make([]any, 0, len(v))
		for _, o := range v {
			list = append(list, pick(o, fields))
		}
		return list
	}
	return v
}
