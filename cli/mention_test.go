package cli_test

import (
	"strings"
	"testing"

	"sumbi/cli"
)

func TestPostKey(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"4037968196666615891":                              "4037968196666615891",
		"https://www.instagram.com/p/DgJvq5Io2hT/":         "4037968196666615891",
		"https://www.instagram.com/reel/DgJvq5Io2hT/?x=y#": "4037968196666615891",
		"DgJvq5Io2hT": "4037968196666615891",
		"을밀대":         "을밀대",
	} {
		if got, err := cli.PostKey(arg); got != want || err != nil {
			t.Errorf("%q is %q, %v, want %q", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", " "} { // would be any post
		if got, err := cli.PostKey(arg); err == nil {
			t.Errorf("%q is %q", arg, got)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("가", 300)
	for _, tt := range []struct{ caption, quote, want string }{
		{"오늘은\n을밀대   다녀옴", "을밀대", "오늘은 »을밀대« 다녀옴"},
		{"두 줄\n이름", "줄\n이름", "두 »줄 이름«"},
		{"을밀대", "우래옥", "을밀대"},
		{"을밀대", "", "을밀대"},
		{long + "을밀대" + long, "을밀대", "…" + long[:270] + "»을밀대«" + long[:270] + "…"},
		{long, "을밀대", long[:540] + "…"},
		{"", "을밀대", ""},
	} {
		if got := cli.Excerpt(tt.caption, tt.quote); got != tt.want {
			t.Errorf("%q in %q:\n got %q\nwant %q", tt.quote, tt.caption, got, tt.want)
		}
	}
}

// TestSafe checks that a caption cannot steer a terminal or turn a line around.
func TestSafe(t *testing.T) {
	t.Parallel()
	if got, want := cli.Safe("\x1b[2J을\u202e밀\u061c대\u2066\r\n\t\x00 국 👩‍🍳\u2028"), "[2J을밀대 국 👩‍🍳"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
