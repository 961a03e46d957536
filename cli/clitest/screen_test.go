package clitest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/cli/clitest"
)

func TestScreen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cols, then int
		text       string
		want       []string
	}{
		"wide letters":        {10, 0, "을밀대 냉면\r\nab", []string{"을밀대 냉", "면", "ab"}},
		"erase":               {20, 0, "가나다라\r\x1b[K마", []string{"마"}},
		"up and erase":        {10, 0, "one\r\ntwo\r\nthree\x1b[2A\r\x1b[Jx", []string{"x"}},
		"narrower":            {20, 8, "가나다라마바사", []string{"가나다라", "마바사"}},
		"narrower and wider":  {8, 20, "abcdefghij\r\nk", []string{"abcdefghij", "k"}},
		"colours are nothing": {20, 0, "\x1b[1;31m빨강\x1b[0m 글", []string{"빨강 글"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clitest.NewScreen(tt.cols)
			for i := range len(tt.text) { // byte by byte, as it may come
				_, _ = s.Write([]byte(tt.text[i : i+1]))
			}
			if tt.then > 0 {
				s.Resize(tt.then)
			}
			if diff := cmp.Diff(tt.want, s.Lines()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
