package match

// JamoDistance returns the number of letters to insert, remove or replace between two texts, Hangul syllables taken
// apart into their letters. Tense consonants count as plain ones and ㅐ as ㅔ, because captions confuse them.
func JamoDistance(a, b string) int { return distance(jamo(a), jamo(b)) }

// similarity is 1 for equal letters and 0 for entirely different ones.
func similarity(a, b []rune) float64 {
	n := max(len(a), len(b))
	if n == 0 {
		return 1
	}
	return 1 - float64(distance(a, b))/float64(n)
}

// jamo takes Hangul syllables apart. A final consonant becomes the same letter as an initial one.
func jamo(s string) []rune {
	initial := [...]rune{'ㄱ', 'ㄱ', 'ㄴ', 'ㄷ', 'ㄷ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅂ', 'ㅅ', 'ㅅ', 'ㅇ', 'ㅈ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ'}
	vowel := [...]rune{'ㅏ', 'ㅔ', 'ㅑ', 'ㅖ', 'ㅓ', 'ㅔ', 'ㅕ', 'ㅖ', 'ㅗ', 'ㅘ', 'ㅙ', 'ㅙ', 'ㅛ', 'ㅜ', 'ㅝ', 'ㅙ', 'ㅟ', 'ㅠ', 'ㅡ', 'ㅢ', 'ㅣ'}
	final := [...]rune{0, 'ㄱ', 'ㄱ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ', 'ㅁ', 'ㅂ', 'ㅄ', 'ㅅ', 'ㅅ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ'}
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < 0xAC00 || r > 0xD7A3 {
			out = append(out, r)
			continue
		}
		n := r - 0xAC00
		out = append(out, initial[n/588], vowel[n%588/28])
		if n%28 > 0 {
			out = append(out, final[n%28])
		}
	}
	return out
}

// distance is Levenshtein's.
func distance(a, b []rune) int {
	if len(a) < len(b) {
		a, b = b, a
	}
	var buf [64]int
	row := buf[:0]
	for j := range len(b) + 1 {
		row = append(row, j)
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
