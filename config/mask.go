package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var index = regexp.MustCompile(`\[\d+\]`)

// plainPath drops the numbers of tables, which the file does not show.
func plainPath(p string) string { return index.ReplaceAllString(p, "") }

// Masked writes the configuration in force as TOML, prices left out. Of the secrets it tells only which are set.
func (c *Config) Masked() string {
	var b strings.Builder
	for _, s := range c.sections() {
		if s.name != "" {
			fmt.Fprintf(&b, "\n[%s]\n", s.name)
		}
		dump(&b, s.fields)
	}
	for _, p := range c.Pipelines {
		b.WriteString("\n[[pipeline]]\n")
		dump(&b, p.fields())
	}
	b.WriteString("\n# secrets in the environment\n")
	fmt.Fprintf(&b, "# %-21s %s\n", rapidAPIKey, masked(len(c.Secrets.RapidAPI)))
	for _, v := range c.Secrets.variables() {
		fmt.Fprintf(&b, "# %-21s %s\n", v.name, masked(min(1, len(*v.dst))))
	}
	return b.String()
}

func masked(keys int) string {
	switch keys {
	case 0:
		return "not set"
	case 1:
		return "set"
	default:
		return fmt.Sprintf("set, %d keys", keys)
	}
}

func dump(b *strings.Builder, fields []field) {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.key))
	}
	for _, f := range fields {
		var v string
		switch dst := f.dst.(type) {
		case *string:
			if *dst == "" && f.key != "listen" {
				continue
			}
			v = fmt.Sprintf("%q", *dst)
		case *[]string:
			if len(*dst) == 0 {
				continue
			}
			v = "[" + strings.Join(quoted(*dst), ", ") + "]"
		case *time.Duration:
			if *dst == 0 && f.key == "every" {
				continue
			}
			v = fmt.Sprintf("%q", Duration(*dst))
		case *bytes:
			v = fmt.Sprint(int64(*dst))
		case *bool:
			v = strconv.FormatBool(*dst)
		case *int:
			v = fmt.Sprint(*dst)
		case *int64:
			v = fmt.Sprint(*dst)
		case *float64:
			v = fmt.Sprint(*dst)
		}
		fmt.Fprintf(b, "%-*s = %s\n", width, f.key, v)
	}
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return out
}

// Models returns the models whose price is known, sorted.
func (c *Config) Models() []string { return slices.Sorted(maps.Keys(c.prices)) }
