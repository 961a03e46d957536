package match

import (
	"strings"
	"sync"
	"unicode"
)

// voice is how a name is read.
type voice struct {
	digits, loans, letters string
	spelt                  string // letters that are left when loanwords are read
	sound, skeleton        []rune
	french                 []rune // the sound when it is French; nil otherwise
}

// reader remembers how the names of one decision are read, and leaves out what is to be left out.
type reader struct {
	without Part
	voices  map[string]*voice
	jamos   map[string][]rune
	pairs   int // of names that were compared
}

func newReader(without Part) *reader {
	return &reader{without: without, voices: make(map[string]*voice, 16), jamos: make(map[string][]rune, 16)}
}

func (r *reader) voice(s string) *voice {
	if have := r.voices[s]; have != nil {
		return have
	}
	v := &voice{digits: readDigits(s), loans: s, letters: s}
	if hasLatin(s) {
		v.loans, v.letters = loans(s), readLetters(s)
	}
	v.letters, v.spelt = readDigits(v.letters), readDigits(readLetters(v.loans))
	heard := sound(v.loans)
	v.sound, v.skeleton = []rune(heard), []rune(skeleton(heard))
	if hasLatin(v.loans) {
		if f := readFrench(v.loans); f != v.loans {
			v.french = []rune(sound(f))
		}
	}
	r.voices[s] = v
	return v
}

// jamo returns the letters of a name, its digits read.
func (r *reader) jamo(s string) []rune {
	if have, ok := r.jamos[s]; ok {
		return have
	}
	js := []rune(s)
	if r.without&PartJamo == 0 {
		js = jamo(readDigits(s))
	}
	r.jamos[s] = js
	return js
}

// distinct is the part of a name that tells it from others of its kind.
func (r *reader) distinct(s string) string {
	if r.without&PartGeneric != 0 {
		return s
	}
	return distinct(s)
}

// sound spells Hangul and Latin in one coarse alphabet, so that 온유 and Onyu, 할리스 and Hollys meet: no tense or
// aspirated consonants, l for r, p for b, f and v, no glides, no double letters.
func sound(s string) string {
	var b strings.Builder
	before := 0 // the final consonant of the syllable before
	for _, r := range s {
		if r < 0xAC00 || r > 0xD7A3 {
			b.WriteRune(unicode.ToLower(r))
			before = 0
			continue
		}
		n := int(r - 0xAC00)
		initial, vowel, final := roman(n)
		if initial == "r" {
			switch before {
			case 16, 21: // 강릉 is read Gangneung
				initial = "n"
			case 4, 8: // 신라 is read Silla
				initial = "l"
			}
		}
		b.WriteString(initial)
		b.WriteString(vowel)
		b.WriteString(final)
		before = n % 28
	}
	return foldSound(b.String())
}

// roman spells one syllable in Revised Romanisation, in three parts.
func roman(n int) (initial, vowel, final string) {
	return [...]string{"g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h"}[n/588],
		[...]string{"a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i"}[n%588/28],
		[...]string{"", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t"}[n%28]
}

// readFrench respells what French writes otherwise than it is read: oiseau → wazo, soigne → swanye.
func readFrench(s string) string { return frenchSpellings().Replace(s) }

var frenchSpellings = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("eau", "o", "oise", "waze", "oi", "wa", "ou", "u", "au", "o", "gn", "ny", "ille", "iye", "qu", "k", "ch", "sh", "ph", "f", "ez", "e", "et", "e", "ier", "ye", "eu", "o")
})

var soundSpellings = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("eo", "o", "eu", "u", "ae", "e", "oe", "e", "oo", "u", "ee", "i", "ph", "p", "ck", "k", "ch", "j", "sh", "s", "th", "t",
		"tion", "syon", "ce", "se", "ci", "si", "cy", "si", "ng", "n", "x", "ks", "qu", "k", "wh", "w")
})

// foldSound folds a lower-case Latin spelling.
func foldSound(s string) string {
	s = soundSpellings().Replace(s)
	var b strings.Builder
	prev := rune(0)
	runes := []rune(s)
	for i, r := range runes {
		switch r {
		case 'b', 'f', 'v':
			r = 'p'
		case 'd':
			r = 't'
		case 'g', 'q', 'c':
			r = 'k'
		case 'r':
			r = 'l'
		case 'z':
			r = 'j'
		case 'w':
			continue
		case 'y':
			if i+1 < len(runes) && strings.ContainsRune("aeiou", runes[i+1]) {
				continue
			}
			r = 'i'
		}
		if r != prev {
			b.WriteRune(r)
		}
		prev = r
	}
	return b.String()
}

// skeleton keeps the consonants and digits of a sound; s and j are one.
func skeleton(s string) string {
	var b strings.Builder
	prev := rune(0)
	for _, r := range s {
		switch r {
		case 'a', 'e', 'i', 'o', 'u', 'h':
			continue
		case 'j':
			r = 's'
		}
		if r != prev || r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
		prev = r
	}
	return b.String()
}

var digitNames = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("0", "공", "1", "일", "2", "이", "3", "삼", "4", "사", "5", "오", "6", "육", "7", "칠", "8", "팔", "9", "구")
})

// readDigits spells digits as Koreans read them one by one: 88 → 팔팔.
func readDigits(s string) string {
	if !strings.ContainsAny(s, "0123456789") {
		return s
	}
	return digitNames().Replace(s)
}

// readLetters spells Latin letters by their names: EPL → 이피엘.
func readLetters(s string) string {
	names := letterNames()
	var b strings.Builder
	for _, r := range s {
		if name, ok := names[string(r)]; ok {
			b.WriteString(name)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// maxLatin is the longest run of Latin letters that is taken apart into words.
const maxLatin = 40

// loans turns English and French words of restaurant names into their usual Hangul. Words that are written together are
// taken apart: all of them when the run is nothing but known words, else only long ones.
func loans(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			b.WriteString(loanRun(s[:n]))
			s = s[n:]
			continue
		}
		n = strings.IndexFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' })
		if n < 0 {
			n = len(s)
		}
		b.WriteString(s[:n])
		s = s[n:]
	}
	return b.String()
}

func loanRun(s string) string {
	if len(s) > maxLatin {
		return s
	}
	words := loanWords()
	// last[i] is the length of the last word of the best division of s[:i], by fewest words; 0 = none
	var last, count [maxLatin + 1]int
	for i := 1; i <= len(s); i++ {
		for n := i; n > 0; n-- {
			if _, ok := words[s[i-n:i]]; ok && (i == n || last[i-n] > 0) && (last[i] == 0 || count[i-n]+1 < count[i]) {
				last[i], count[i] = n, count[i-n]+1
			}
		}
	}
	if last[len(s)] > 0 {
		out := ""
		for i := len(s); i > 0; i -= last[i] {
			out = words[s[i-last[i]:i]] + out
		}
		return out
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		n := min(len(s)-i, 12)
		for ; n >= 4; n-- {
			if w, ok := words[s[i:i+n]]; ok {
				b.WriteString(w)
				break
			}
		}
		if n < 4 {
			b.WriteByte(s[i])
			n = 1
		}
		i += n
	}
	return b.String()
}

func hasLatin(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

func hasHangul(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0xAC00 && r <= 0xD7A3 })
}
