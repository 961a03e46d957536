package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// screen is where people read. On a terminal lines and tables fit its width; on a pipe and in a file nothing is cut, wrapped
// or coloured.
type screen struct {
	io.Writer
	width int // cells; 0: no terminal
	color bool
}

// style is how a text stands out: the parameters of the terminal's own sequence.
type style string

const (
	plainly style = ""
	bold    style = "1"
	faint   style = "2"
	red     style = "1;31"
	green   style = "32"
	yellow  style = "33"
)

// widthUnknown is the width of a terminal that does not tell its own.
const widthUnknown = 80

// screenOf says what w can show.
func screenOf(w io.Writer, getenv func(string) string) *screen {
	return &screen{Writer: w, width: widthOf(w, getenv), color: colored(w, getenv)}
}

// terminal returns the file behind w when that is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return f, true
}

// widthOf is how many cells a line has; 0: w is no terminal.
func widthOf(w io.Writer, getenv func(string) string) int {
	f, ok := terminal(w)
	if !ok {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return widthUnknown
}

// colored follows no-color.org and bixense.com/clicolors: NO_COLOR wins, then CLICOLOR_FORCE, then a terminal has colours
// unless CLICOLOR is 0.
func colored(w io.Writer, getenv func(string) string) bool {
	switch force := getenv("CLICOLOR_FORCE"); {
	case getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	case getenv("CLICOLOR") == "0", getenv("TERM") == "dumb":
		return false
	}
	_, ok := terminal(w)
	return ok
}

func (s *screen) paint(st style, text string) string {
	if !s.color || st == plainly || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// say prints a line, without what would steer the terminal. On a terminal it is broken between words.
func (s *screen) say(format string, args ...any) { s.mark(plainly, "", format, args...) }

// mark is say behind a word that stands out.
func (s *screen) mark(st style, word, format string, args ...any) {
	s.hang(2, st, word, fmt.Sprintf(format, args...))
}

// hang is mark, with what follows the first line indented by so many more cells.
func (s *screen) hang(by int, st style, word, text string) {
	text = harmless(word + text)
	lines := []string{text}
	if s.width > 0 {
		lines = wrapped(text, s.width, by)
	}
	if rest, ok := strings.CutPrefix(lines[0], word); ok {
		lines[0] = s.paint(st, word) + rest
	}
	for _, l := range lines {
		fmt.Fprintln(s, l)
	}
}

// wrapped breaks a text between words into lines of at most width cells; a word that is longer stands alone. What follows
// the first line is indented by so many more.
func wrapped(text string, width, by int) []string {
	body := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(body)]
	var lines []string
	line, have := indent, uniseg.StringWidth(indent)
	empty := true
	for word := range strings.SplitSeq(body, " ") {
		w := uniseg.StringWidth(word)
		if !empty && have+1+w > width {
			lines = append(lines, line)
			line, have, empty = indent+strings.Repeat(" ", by), len(indent)+by, true
		}
		if !empty {
			line, have = line+" ", have+1
		}
		line, have, empty = line+word, have+w, false
	}
	return append(lines, line)
}

// clip cuts a text to so many cells, between what a person takes for characters.
func clip(text string, cells int) string {
	if uniseg.StringWidth(text) <= cells {
		return text
	}
	rest, state, have := text, -1, 0
	for have < cells && rest != "" {
		_, next, width, s := uniseg.FirstGraphemeClusterInString(rest, state)
		if have+width > cells-1 {
			break
		}
		rest, state, have = next, s, have+width
	}
	return text[:len(text)-len(rest)] + "…"
}

func pad(text string, cells int, right bool) string {
	space := strings.Repeat(" ", max(0, cells-uniseg.StringWidth(text)))
	if right {
		return space + text
	}
	return text + space
}

// column is one of a table.
type column struct {
	head  string
	least int  // it may be cut to so many cells; 0: never
	right bool // numbers
	wraps bool // instead of being cut
}

// styled is a value that stands out.
type styled struct {
	text  string
	style style
}

// table is rows under heads.
type table struct {
	columns []column
	rows    [][]styled
}

// add adds a row of strings, cells and whatever fmt.Sprint prints.
func (t *table) add(values ...any) {
	row := make([]styled, len(t.columns))
	for i, v := range values {
		c, ok := v.(styled)
		if !ok {
			c.text = fmt.Sprint(v)
		}
		c.text, _, _ = strings.Cut(c.text, "\n")
		c.text = harmless(c.text)
		row[i] = c
	}
	t.rows = append(t.rows, row)
}

// gap stands between two columns.
const gap = "  "

// widths are those of the columns in width cells, 0 for any; false when the rows do not fit however they are cut.
func (t *table) widths(width int) ([]int, bool) {
	ws := make([]int, len(t.columns))
	total := len(gap) * (len(ws) - 1)
	for i, c := range t.columns {
		ws[i] = uniseg.StringWidth(c.head)
		for _, r := range t.rows {
			ws[i] = max(ws[i], uniseg.StringWidth(r[i].text))
		}
		total += ws[i]
	}
	for width > 0 && total > width {
		widest := -1
		for i, c := range t.columns {
			if c.least > 0 && ws[i] > max(c.least, len(c.head)) && (widest < 0 || ws[i] > ws[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return nil, false
		}
		ws[widest]--
		total--
	}
	return ws, true
}

// table prints t: in columns, or, where the terminal is too narrow for them, one value a line.
func (s *screen) table(t *table) {
	ws, ok := t.widths(s.width)
	if !ok {
		s.records(t)
		return
	}
	heads := make([]styled, len(t.columns))
	for i, c := range t.columns {
		heads[i] = styled{c.head, bold}
	}
	for _, row := range append([][]styled{heads}, t.rows...) {
		lines := make([][]string, len(row))
		most := 1
		for i, c := range row {
			lines[i] = []string{clip(c.text, ws[i])}
			if t.columns[i].wraps {
				lines[i] = wrapped(c.text, ws[i], 0)
			}
			most = max(most, len(lines[i]))
		}
		for n := range most {
			var b strings.Builder
			for i, c := range row {
				text := ""
				if n < len(lines[i]) {
					text = lines[i][n]
				}
				text = pad(text, ws[i], t.columns[i].right)
				if i == len(row)-1 {
					text = strings.TrimRight(text, " ")
				}
				b.WriteString(s.paint(c.style, text))
				if i < len(row)-1 {
					b.WriteString(gap)
				}
			}
			fmt.Fprintln(s, strings.TrimRight(b.String(), " "))
		}
	}
}

// records prints each row as lines of a head and its value.
func (s *screen) records(t *table) {
	heads := 0
	for _, c := range t.columns {
		heads = max(heads, uniseg.StringWidth(c.head))
	}
	for n, row := range t.rows {
		if n > 0 {
			fmt.Fprintln(s)
		}
		for i, c := range row {
			if c.text == "" || c.text == "-" {
				continue
			}
			for j, line := range wrapped(c.text, max(s.width-heads-len(gap), 1), 0) {
				head := ""
				if j == 0 {
					head = t.columns[i].head
				}
				fmt.Fprintln(s, s.paint(bold, pad(head, heads, false))+gap+s.paint(c.style, line))
			}
		}
	}
}

// stateStyle is how the state of something stands out.
func stateStyle(state string) styled {
	switch state {
	case "dead", "refused", "gone":
		return styled{state, red}
	case "review", "private":
		return styled{state, yellow}
	case "running", "place":
		return styled{state, green}
	}
	return styled{text: state}
}
