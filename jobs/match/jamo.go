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
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < 0xAC00 || r > 0xD7A3 {
			out = append(out, r)
			continue
		}
		n := r - 0xAC00
		out = append(out, []rune("ㄱㄱㄴㄷㄷㄹㅁㅂㅂㅅㅅㅇㅈㅈㅊㅋㅌㅍㅎ")[n/588], []rune("ㅏㅔㅑㅖㅓㅔㅕㅖㅗㅘㅙㅙㅛㅜㅝㅙㅟㅠㅡㅢㅣ")[n%588/28])
		if t := n % 28; t > 0 {
			out = append(out, []rune("ㄱㄱㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅅㅇㅈㅊㅋㅌㅍㅎ")[t-1])
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
