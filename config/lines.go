package config

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	headLine = regexp.MustCompile(`^\s*(\[\[?)\s*([^\[\]#]+?)\s*\]`)
	keyLine  = regexp.MustCompile(`^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=`)
)

// lineIndex says on which line a key stands: "listen", "openai.model", "pipeline[1].every". The decoder knows only the
// last of several tables of one name.
type lineIndex map[string]int

func indexLines(text string) lineIndex {
	lines := lineIndex{}
	note := func(path string, n int) {
		if _, seen := lines[path]; !seen {
			lines[path] = n
		}
	}
	count := map[string]int{}
	var table, fence string
	for i, line := range strings.Split(text, "\n") {
		if fence != "" { // within a string of several lines
			if strings.Contains(line, fence) {
				fence = ""
			}
			continue
		}
		for _, f := range []string{`"""`, `'''`} {
			if strings.Count(line, f)%2 == 1 {
				fence = f
			}
		}
		if m := headLine.FindStringSubmatch(line); m != nil {
			table = plainKey(m[2])
			note(table, i+1)
			if m[1] == "[[" {
				count[table]++
				table = fmt.Sprintf("%s[%d]", table, count[table]-1)
				note(table, i+1)
			}
			continue
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			path := ""
			if table != "" {
				path = table
			}
			for part := range strings.SplitSeq(plainKey(m[1]), ".") {
				path = join(path, part)
				note(path, i+1)
			}
		}
	}
	return lines
}

// of returns the line of a key, or of the table around it, or 0.
func (l lineIndex) of(path string) int {
	for path != "" {
		if n, ok := l[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

func plainKey(s string) string {
	return strings.NewReplacer(`"`, "", `'`, "", " ", "", "\t", "").Replace(s)
}
