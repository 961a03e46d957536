package match

// distinct removes generic words from both ends of a compact name, the longest first; "" when nothing else is there.
func distinct(s string) string {
	g := genericWords()
	for {
		n := len(s)
		for size := min(g.longest, len(s)); size > 0; size-- {
			if g.set[s[len(s)-size:]] {
				s = s[:len(s)-size]
				break
			}
			if size > len("집") && g.set[s[:size]] {
				s = s[size:]
				break
			}
		}
		if len(s) == n {
			return s
		}
	}
}
