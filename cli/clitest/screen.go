// Package clitest runs the program on a terminal of its own and reads the screen, for tests and for pictures.
package clitest

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
)

// Cell is one character of a screen with its colours.
type Cell struct {
	Text  string
	Width int    // 1 or 2
	Style string // parameters of the last sequence, "" plain
}

// row is one line of the screen.
type row struct {
	cells []Cell
	wraps bool // the next one goes on with the same line
}

// Screen is what a terminal shows. It knows what sumbi and most shells write: text, colours, and how to go back and erase. A line
// that is longer than the screen goes on in the next row, also when the screen becomes narrower.
type Screen struct {
	mu      sync.Mutex
	cols    int
	rows    []row
	y, x    int
	style   string
	rest    string // of a sequence that has not come whole
	Unknown []string
}

// NewScreen returns an empty screen.
func NewScreen(cols int) *Screen { return &Screen{cols: cols, rows: make([]row, 1)} }

// Write shows what a program writes.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.rest + string(p)
	s.rest = ""
	for text != "" {
		switch text[0] {
		case '\x1b':
			end := strings.IndexFunc(text[1:], func(r rune) bool { return r >= '@' && r <= '~' && r != '[' })
			if end < 0 {
				s.rest = text
				return len(p), nil
			}
			s.sequence(strings.TrimPrefix(text[1:end+2], "["))
			text = text[end+2:]
			continue
		case '\r':
			s.x, text = 0, text[1:]
			continue
		case '\n':
			s.down()
			text = text[1:]
			continue
		}
		if text[0] < ' ' {
			s.Unknown = append(s.Unknown, strconv.Quote(text[:1]))
			text = text[1:]
			continue
		}
		next := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == '\x1b' })
		if next < 0 {
			next = len(text)
			if cut := incomplete(text); cut > 0 { // half a character
				next -= cut
				s.rest = text[next:]
				text = text[:next]
			}
		}
		for run := text[:next]; run != ""; {
			cluster, after, width, _ := uniseg.FirstGraphemeClusterInString(run, -1)
			s.put(Cell{cluster, width, s.style})
			run = after
		}
		text = text[next:]
	}
	return len(p), nil
}

// incomplete is how many bytes at the end of text begin a character that has not come whole.
func incomplete(text string) int {
	for n := 1; n <= min(3, len(text)); n++ {
		switch b := text[len(text)-n]; {
		case b >= 0xF0 && n < 4, b >= 0xE0 && n < 3, b >= 0xC0 && n < 2:
			return n
		case b < 0x80 || b >= 0xC0:
			return 0
		}
	}
	return 0
}

func (s *Screen) down() {
	s.y++
	for len(s.rows) <= s.y {
		s.rows = append(s.rows, row{})
	}
}

// put puts a cell at the cursor. The cursor counts cells, a wide one is two.
func (s *Screen) put(c Cell) {
	if s.x+c.Width > s.cols {
		s.rows[s.y].wraps = true
		s.down()
		s.x = 0
	}
	r := &s.rows[s.y]
	for len(r.cells) < s.x {
		r.cells = append(r.cells, Cell{" ", 1, ""})
	}
	at := []Cell{c}
	if c.Width == 2 {
		at = append(at, Cell{}) // its second half
	}
	if s.x+len(at) > len(r.cells) {
		r.cells = r.cells[:s.x]
		r.cells = append(r.cells, at...)
	} else {
		copy(r.cells[s.x:], at)
	}
	s.x += len(at)
}

func (s *Screen) sequence(seq string) {
	args, kind := seq[:len(seq)-1], seq[len(seq)-1]
	n, _ := strconv.Atoi(args)
	r := &s.rows[s.y]
	switch kind {
	case 'm':
		s.style = args
		if args == "0" {
			s.style = ""
		}
	case 'A':
		s.y = max(0, s.y-max(n, 1))
	case 'K', 'J':
		if n != 0 {
			s.Unknown = append(s.Unknown, seq)
		}
		r.cells, r.wraps = r.cells[:min(len(r.cells), s.x)], false
		if kind == 'J' {
			s.rows = s.rows[:s.y+1]
		}
	default:
		s.Unknown = append(s.Unknown, seq)
	}
}

// Resize gives the screen another width; what it shows is broken anew.
func (s *Screen) Resize(cols int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, y, x := s.rows, s.y, s.x
	s.cols, s.rows, s.y, s.x = cols, make([]row, 1), 0, 0
	keep := s.style
	cursor := [2]int{}
	for i, r := range old {
		for j := 0; j < len(r.cells); j++ {
			if i == y && j == x {
				cursor = [2]int{s.y, s.x}
			}
			if r.cells[j].Width > 0 {
				s.put(r.cells[j])
			}
		}
		if i == y && x >= len(r.cells) {
			cursor = [2]int{s.y, s.x}
		}
		if !r.wraps && i < len(old)-1 {
			s.down()
			s.x = 0
		}
	}
	s.y, s.x, s.style = cursor[0], cursor[1], keep
}

// Lines returns the text of each row, without the spaces behind it.
func (s *Screen) Lines() []string {
	var lines []string
	for _, r := range s.Cells() {
		var b strings.Builder
		for _, c := range r {
			b.WriteString(c.Text)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Cells returns the rows; the second half of a wide cell is an empty one.
func (s *Screen) Cells() [][]Cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [][]Cell
	for _, r := range s.rows {
		all = append(all, slices.Clone(r.cells))
	}
	return all
}
