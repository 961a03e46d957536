package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
)

// live is one line of a terminal that is written again and again, and always fits it.
type live struct {
	out     io.Writer
	width   func() int // of the terminal, now
	reflows bool       // a terminal that becomes narrower breaks the lines that it shows

	mu    sync.Mutex
	line  func(width int) string // what to show in so many cells; nil: nothing
	cells int                    // that stand on the screen
}

// newLive returns a line on e's terminal, nil when there is none that could show one.
func newLive(e *env) *live {
	if e.out.width == 0 || e.Getenv("TERM") == "dumb" {
		return nil
	}
	return &live{
		out: e.Stdout, width: func() int { return widthOf(e.Stdout, e.Getenv) },
		// xterm, the Linux console and screen cut instead.
		reflows: e.Getenv("XTERM_VERSION") == "" && e.Getenv("TERM") != "linux" && e.Getenv("STY") == "",
	}
}

// show changes the line. Called again with the same line it follows a change of the terminal's width.
func (l *live) show(line func(width int) string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = line
	_, _ = io.WriteString(l.out, l.wipe()+l.draw())
}

// end takes the line away.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, l.wipe())
	l.line = nil
}

// above writes p to w, which is the same terminal, above the line.
func (l *live) above(w io.Writer, p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, l.wipe())
	n, err := w.Write(p)
	_, _ = io.WriteString(l.out, l.draw())
	return n, err
}

// wipe is what takes the line from the screen. Where the terminal has become narrower it stands on several rows.
func (l *live) wipe() string {
	if l.cells == 0 {
		return ""
	}
	up := ""
	if rows := (l.cells - 1) / max(l.width(), 1); l.reflows && rows > 0 {
		up = fmt.Sprintf("\x1b[%dA", rows)
	}
	l.cells = 0
	return up + "\r\x1b[J"
}

// draw is what puts the line onto the screen. The last cell stays free: some terminals go to the next row behind it.
func (l *live) draw() string {
	if l.line == nil {
		return ""
	}
	text := l.line(l.width() - 1)
	l.cells = cellsOf(text)
	return text
}

// cellsOf is the width of a text with colours.
func cellsOf(text string) int {
	n := 0
	for i, part := range strings.Split(text, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		n += uniseg.StringWidth(part)
	}
	return n
}

// besideLive is a terminal's writer that keeps clear of the line.
type besideLive struct {
	io.Writer
	mu   sync.Mutex
	line *live
}

// Write writes above the line, if there is one.
func (b *besideLive) Write(p []byte) (int, error) {
	b.mu.Lock()
	line := b.line
	b.mu.Unlock()
	if line == nil {
		return b.Writer.Write(p)
	}
	return line.above(b.Writer, p)
}

func (b *besideLive) keepClear(line *live) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = line
}
