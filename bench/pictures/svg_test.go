package pictures_test

import (
	"fmt"
	"html"
	"strings"

	"sumbi/cli/clitest"
)

// Sizes of a picture, in pixels.
const (
	cellWidth  = 8.4
	lineHeight = 20
	fontSize   = 14
	margin     = 16
)

// looks is how a style of the terminal looks: an attribute of SVG.
var looks = map[string]string{
	"":     ``,
	"1":    ` font-weight="700" fill="#ffffff"`,
	"2":    ` fill="#6b7280"`,
	"1;31": ` font-weight="700" fill="#ff7b72"`,
	"32":   ` fill="#7ee787"`,
	"33":   ` fill="#e3b341"`,
}

// svg draws a screen. Each run of letters is given its exact width, so that columns stand below each other whatever font the
// reader has.
func svg(rows [][]clitest.Cell, cols int, title string) string {
	for len(rows) > 0 && len(rows[len(rows)-1]) == 0 {
		rows = rows[:len(rows)-1]
	}
	width, height := float64(cols)*cellWidth+2*margin, len(rows)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img">`, width, height, width, height)
	fmt.Fprintf(&b, "\n<title>%s</title>\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#161b22"/>`+"\n")
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,D2Coding,'Nanum Gothic Coding','Noto Sans Mono CJK KR',monospace" font-size="%d" fill="#d1d5db" xml:space="preserve">`+"\n", fontSize)
	for y, row := range rows {
		for x := 0; x < len(row); {
			run, cells := row[x], 0
			var text strings.Builder
			for x+cells < len(row) {
				c := row[x+cells]
				if c.Style != run.Style || c.Width != run.Width || (c.Text == " " && x+cells+1 < len(row) && row[x+cells+1].Text == " ") || c.Width == 0 {
					break
				}
				text.WriteString(c.Text)
				cells += c.Width
			}
			if cells == 0 || row[x].Text == " " { // spaces at the ends of an element are not drawn
				x++
				continue
			}
			letters := strings.TrimRight(text.String(), " ")
			shown := cells - (text.Len() - len(letters))
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
				margin+float64(x)*cellWidth, margin+y*lineHeight+fontSize, float64(shown)*cellWidth, looks[run.Style], html.EscapeString(letters))
			x += cells
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}
