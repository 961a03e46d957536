package web

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sumbi/jobs"
)

// piece is a part of a caption. Kind says what the model has taken from it: name, branch, address, phone or quote; "" nothing.
type piece struct {
	Kind   string
	Quoted bool // it is part of the words that the model quotes
	Text   string
}

// said is one thing that the model has read from a post.
type said struct {
	Kind   string // name, branch, area, address, phone, quote
	Title  string // marked with say
	Text   string
	Absent bool // the caption does not have it
}

// mostMarks is how often one text is marked in a caption.
const mostMarks = 40

// The marks of a character of a caption, those that come first stand above the others.
var markKinds = []string{"name", "branch", "address", "area", "phone", "quote"}

// evidence cuts a caption where what the model has read from it begins and ends, and says what that was. White space and case
// are not looked at: the model's quote of two lines is one.
func evidence(caption string, r jobs.Restaurant) ([]piece, []said) {
	caption = norm.NFC.String(strings.ToValidUTF8(caption, "\uFFFD"))
	folded, at := fold(caption)
	marks := make([]uint8, len(caption)) // of each byte
	all := saidOf(r)
	for i := range all {
		all[i].Absent = !mark(marks, folded, at, all[i])
	}
	return cut(caption, marks), all
}

// saidOf is what the model has read of a restaurant, the quote first: it says where a short name is one.
func saidOf(r jobs.Restaurant) []said {
	all := []said{
		{Kind: "quote", Title: say("Quote"), Text: r.Quote},
		{Kind: "name", Title: say("Name"), Text: r.Name},
		{Kind: "branch", Title: say("Branch"), Text: r.Branch},
		{Kind: "area", Title: say("Area"), Text: r.Area},
		{Kind: "address", Title: say("Address"), Text: r.Address},
		{Kind: "phone", Title: say("Telephone"), Text: r.Phone},
	}
	return slices.DeleteFunc(all, func(s said) bool { return strings.TrimSpace(s.Text) == "" })
}

// bounds are where a character is in a text.
type bounds struct{ from, to int }

// fold is a text in lower case without white space, and for each byte of that where its character is in the text.
func fold(text string) (string, []bounds) {
	var b strings.Builder
	at := make([]bounds, 0, len(text))
	for i, r := range text {
		if unicode.IsSpace(r) {
			continue
		}
		n := b.Len()
		b.WriteRune(unicode.ToLower(r))
		for range b.Len() - n {
			at = append(at, bounds{i, i + utf8.RuneLen(r)})
		}
	}
	return b.String(), at
}

// mark marks a text wherever it is in a caption, and reports whether it is there at all. One character alone is a name only
// where it is quoted.
func mark(marks []uint8, folded string, at []bounds, s said) bool {
	needle, _ := fold(norm.NFC.String(strings.ToValidUTF8(s.Text, "\uFFFD")))
	bit := uint8(1) << slices.Index(markKinds, s.Kind)
	short, found := utf8.RuneCountInString(needle) < 2, 0
	for from := 0; needle != "" && found < mostMarks; {
		i := strings.Index(folded[from:], needle)
		if i < 0 {
			break
		}
		i += from
		from = i + len(needle)
		if short && marks[at[i].from]&quoteMark == 0 {
			continue
		}
		found++
		for j := at[i].from; j < at[from-1].to; j++ {
			marks[j] |= bit
		}
	}
	return found > 0
}

// quoteMark is the mark of what is quoted.
const quoteMark = 1 << 5

// cut cuts a caption into pieces of one mark each.
func cut(caption string, marks []uint8) []piece {
	var all []piece
	for from := 0; from < len(caption); {
		to := from
		for to < len(caption) && marks[to] == marks[from] {
			to++
		}
		p := piece{Text: caption[from:to], Quoted: marks[from]&quoteMark != 0}
		if marks[from] != 0 {
			p.Kind = markKinds[bits.TrailingZeros8(marks[from])]
		}
		all, from = append(all, p), to
	}
	return all
}

// evidenceOf is evidence of several restaurants of one caption: what was read of any.
func evidenceOf(caption string, rs []jobs.Restaurant) []piece {
	caption = norm.NFC.String(strings.ToValidUTF8(caption, "\uFFFD"))
	folded, at := fold(caption)
	marks := make([]uint8, len(caption))
	for _, r := range rs {
		for _, s := range saidOf(r) {
			mark(marks, folded, at, s)
		}
	}
	return cut(caption, marks)
}
