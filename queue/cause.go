package queue

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// causeRunes is how long a cause is at most.
const causeRunes = 160

var (
	causeQuote = regexp.MustCompile(`"[^"]*"`)
	causeWord  = regexp.MustCompile(`[\pL\pN_-]*\pN[\pL\pN_-]*`)
	causeHTTP  = regexp.MustCompile(`^[45]\pN\pN$`)
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
	if utf8.RuneCountInString(line) > causeRunes {
		line = string([]rune(line)[:causeRunes-1]) + "…"
	}
	return line
}
