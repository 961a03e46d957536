package queue

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// NoCause is the cause of what is told nothing of.
const NoCause = "?"

// causeRunes is how long a cause is at most.
const causeRunes = 160

var (
	causeQuote = regexp.MustCompile(`"[^"]*"`)
	causeWord  = regexp.MustCompile(`[\pL\pN_-]*\pN[\pL\pN_-]*`)
	causeHTTP  = regexp.MustCompile(`^(40[0-9]|41[0-8]|42[2-9]|451|50[0-8]|52[0-7])$`)
)

// Cause is an error without what differs from one job to the next: its first line, with … for what is quoted and # for numbers
// and for words with a digit in them, HTTP statuses aside. Errors of one cause are looked at, and decided, together.
func Cause(err string) string {
	line, _, _ := strings.Cut(err, "\n")
	line = causeQuote.ReplaceAllString(strings.ToValidUTF8(line, "�"), `"…"`)
	line = causeWord.ReplaceAllStringFunc(line, func(word string) string {
		if causeHTTP.MatchString(word) {
			return word
		}
		return "#"
	})
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return NoCause
	case utf8.RuneCountInString(line) > causeRunes:
		return string([]rune(line)[:causeRunes-1]) + "…"
	}
	return line
}
