package match

import (
	"html"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// clean removes the mark-up of a search result or a caption: tags, entities, emoji, quotes. Words keep their spaces.
func clean(s string) string {
	if strings.ContainsAny(s, "<&") {
		s = html.UnescapeString(stripTags(s))
	}
	if !plain(s) && !norm.NFKC.IsNormalString(s) {
		s = norm.NFKC.String(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r) && !isEmojiMark(r):
		case strings.ContainsRune("#&()[]-·,./_'’", r):
		default: // spaces, emoji, quotes, control characters
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain reports a text of ASCII and whole syllables only, which is normal by itself.
func plain(s string) bool {
	for _, r := range s {
		if r >= 0x80 && (r < 0xAC00 || r > 0xD7A3) {
			return false
		}
	}
	return true
}

// isEmojiMark reports variation selectors and the keycap, which are marks by class but never part of a word.
func isEmojiMark(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r == 0x20E3 || r == 0x200D }

// stripTags removes <b>, </b> and the like. Angle brackets around Hangul are a caption's quotes and stay for clean.
func stripTags(s string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := strings.IndexByte(s[open:], '>')
		if end < 0 || !isTag(s[open+1:open+end]) {
			b.WriteString(s[:open+1])
			s = s[open+1:]
			continue
		}
		b.WriteString(s[:open])
		s = s[open+end+1:]
	}
}

func isTag(s string) bool {
	switch strings.ToLower(strings.Trim(s, "/ ")) {
	case "b", "strong", "em", "i", "u", "br", "span", "mark":
		return true
	}
	return false
}

// statuses are what finders append to a name while a shop is not open; they are no part of it.
var statuses = strings.NewReplacer("(휴업중)", "", "(임시휴업)", "", "(오픈예정)", "", "(폐업)", "", "(이전)", "", "(리모델링중)", "")

// CompactName returns the folded name used in keys: lower case, letters and digits only, accents and the remarks
// "closed for now" and "opening soon" removed.
func CompactName(s string) string { return compact(statuses.Replace(clean(s))) }

// compact keeps letters and digits of a cleaned text, in lower case and without accents.
func compact(s string) string {
	if strings.IndexFunc(s, isAccented) >= 0 {
		s = norm.NFC.String(strings.Map(func(r rune) rune {
			if r >= 0x300 && r <= 0x36F {
				return -1
			}
			return r
		}, norm.NFD.String(s)))
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func isAccented(r rune) bool {
	return r >= 0xC0 && r <= 0x24F || r >= 0x300 && r <= 0x36F || r >= 0x1E00 && r <= 0x1EFF
}
