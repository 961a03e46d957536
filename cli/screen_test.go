package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
)

func sample() *table {
	t := &table{columns: []column{{head: "PLACE"}, {head: "NAME", least: 8}, {head: "ADDRESS", least: 10}, {head: "MENTIONS", right: true}}}
	t.add("p01", "을밀대 본점", "서울특별시 마포구 숭문길 24 (염리동 147-6)", 12)
	t.add("p02", "Café Café 🍜", "부산광역시 해운대구 달맞이길 117번가길 120-30", styled{"3", red})
	t.add("p03", "\x1b[31m가\u202e나다\n둘째 줄", "-", 1)
	return t
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		width int
		want  string
	}{
		"no terminal": {0, `
PLACE  NAME          ADDRESS                                        MENTIONS
p01    을밀대 본점   서울특별시 마포구 숭문길 24 (염리동 147-6)           12
p02    Café Café 🍜  부산광역시 해운대구 달맞이길 117번가길 120-30         3
p03    [31m가나다    -                                                     1
`},
		"120": {120, `
PLACE  NAME          ADDRESS                                        MENTIONS
p01    을밀대 본점   서울특별시 마포구 숭문길 24 (염리동 147-6)           12
p02    Café Café 🍜  부산광역시 해운대구 달맞이길 117번가길 120-30         3
p03    [31m가나다    -                                                     1
`},
		"60": {60, `
PLACE  NAME          ADDRESS                        MENTIONS
p01    을밀대 본점   서울특별시 마포구 숭문길 24 …        12
p02    Café Café 🍜  부산광역시 해운대구 달맞이길…         3
p03    [31m가나다    -                                     1
`},
		"40": {40, `
PLACE  NAME        ADDRESS      MENTIONS
p01    을밀대 본…  서울특별시…        12
p02    Café Café…  부산광역시…         3
p03    [31m가나다  -                   1
`},
		"30": {30, `
PLACE     p01
NAME      을밀대 본점
ADDRESS   서울특별시 마포구
          숭문길 24 (염리동
          147-6)
MENTIONS  12

PLACE     p02
NAME      Café Café 🍜
ADDRESS   부산광역시 해운대구
          달맞이길 117번가길
          120-30
MENTIONS  3

PLACE     p03
NAME      [31m가나다
MENTIONS  1
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			(&screen{Writer: &got, width: tt.width}).table(sample())
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			fits(t, got.String(), tt.width)
		})
	}
}

func fits(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); width > 0 && n > width {
			t.Errorf("%d cells of %d: %q", n, width, line)
		}
	}
}

func TestEveryWidth(t *testing.T) {
	t.Parallel()
	for width := 24; width < 130; width++ {
		var got bytes.Buffer
		s := &screen{Writer: &got, width: width}
		s.table(sample())
		s.say("  account %s is gone: %s", "mat.zip", "그 계정은 더 이상 없습니다. 이름이 바뀌었는지 살펴보세요")
		s.mark(red, forYou, " instagram stopped: the key is wrong")
		fits(t, got.String(), width)
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is no terminal to look at: ", err)
	}
	defer tty.Close()
	tests := map[string]struct {
		env           map[string]string
		onTTY, onPipe bool
	}{
		"nothing":         {nil, true, false},
		"NO_COLOR":        {map[string]string{"NO_COLOR": "1"}, false, false},
		"NO_COLOR empty":  {map[string]string{"NO_COLOR": ""}, true, false},
		"forced":          {map[string]string{"CLICOLOR_FORCE": "1"}, true, true},
		"not forced":      {map[string]string{"CLICOLOR_FORCE": "0"}, true, false},
		"NO_COLOR wins":   {map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, false, false},
		"CLICOLOR off":    {map[string]string{"CLICOLOR": "0"}, false, false},
		"a dumb terminal": {map[string]string{"TERM": "dumb"}, false, false},
	}
	for name, tt := range tests {
		getenv := func(key string) string { return tt.env[key] }
		if got := colored(tty, getenv); got != tt.onTTY {
			t.Errorf("%s: a terminal has colours: %v", name, got)
		}
		if got := colored(&bytes.Buffer{}, getenv); got != tt.onPipe {
			t.Errorf("%s: a pipe has colours: %v", name, got)
		}
	}
}

func TestStylesAddNoCells(t *testing.T) {
	t.Parallel()
	var plain, colored bytes.Buffer
	(&screen{Writer: &plain, width: 60}).table(sample())
	(&screen{Writer: &colored, width: 60, color: true}).table(sample())
	text := colored.String()
	for _, seq := range []string{"\x1b[1m", "\x1b[1;31m", "\x1b[0m"} {
		if !strings.Contains(text, seq) {
			t.Errorf("no %q", seq)
		}
		text = strings.ReplaceAll(text, seq, "")
	}
	var trimmed strings.Builder
	for line := range strings.Lines(text) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if diff := cmp.Diff(plain.String(), trimmed.String()); diff != "" {
		t.Errorf("(-plain +coloured):\n%s", diff)
	}
}
