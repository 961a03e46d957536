package web

import (
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// korea is the zone of times that people read.
var korea = time.FixedZone("KST", 9*60*60)

// say marks a text that is put into the visitor's language later.
func say(english string) string { return english }

// word puts an English text into a language; args fill its %d and %s.
func word(lang, text string, args ...any) string {
	if lang == korean {
		if k := words[text]; k != "" {
			text = k
		}
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// named is word for a text that is shown as plain text and names what is of others: marks of direction in a name end with it.
func named(lang, text string, args ...any) string {
	for i, a := range args {
		if name, ok := a.(string); ok {
			args[i] = isolated(name)
		}
	}
	return word(lang, text, args...)
}

// isolated puts a name between U+2068 and U+2069. Such marks of its own would end that too early.
func isolated(name string) string {
	return "\u2068" + strings.Map(func(r rune) rune {
		if r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, name) + "\u2069"
}

// readWords reads the Korean words of all views. It panics on a file that cannot be read: they are built in.
func readWords() map[string]string {
	all := map[string]string{}
	names, err := fs.Glob(files, "text/*.toml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		var part map[string]string
		if _, err := toml.DecodeFS(files, name, &part); err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		maps.Copy(all, part)
	}
	return all
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(korea).Format("2006-01-02 15:04:05")
}

func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(korea).Format(time.DateOnly)
}

// moment is a time of this year as a text says it, in one piece.
func moment(lang string, t time.Time) string {
	t = t.In(korea)
	layout := "2\u00a0Jan\u00a015:04"
	if lang == korean {
		layout = "1월\u00a02일\u00a015:04"
	}
	return t.Format(layout)
}

// ago is how far t is from now, in words.
func ago(lang string, now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "–"
	case d < -time.Second:
		return word(lang, "in %s", span(lang, -d))
	case d < time.Second:
		return word(lang, "now")
	default:
		return word(lang, "%s ago", span(lang, d))
	}
}

// span is a duration as people say it: its largest unit, and the next one where that matters.
func span(lang string, d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d < time.Second:
		return word(lang, "%d ms", d.Milliseconds())
	case d < time.Minute:
		return word(lang, "%d s", int(d.Seconds()))
	case d < 10*time.Minute && d.Truncate(time.Second)%time.Minute != 0:
		return word(lang, "%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return word(lang, "%d min", int(d.Minutes()))
	case d < 10*time.Hour && d.Truncate(time.Minute)%time.Hour != 0:
		return word(lang, "%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return word(lang, "%d h", int(d.Hours()))
	case d < 10*24*time.Hour && d.Truncate(time.Hour)%(24*time.Hour) != 0:
		return word(lang, "%d days %d h", int(d.Hours()/24), int(d.Hours())%24)
	default:
		return word(lang, "%d days", int(d.Hours()/24))
	}
}

// grouped writes a whole number with a comma for each thousand.
func grouped(n any) string {
	s := fmt.Sprint(n)
	sign := ""
	if digits, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", digits
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// dollars writes micro-dollars to the cent, and what is less than that to four digits.
func dollars(micro int64) string {
	switch {
	case micro == 0:
		return "$0"
	case micro > -10_000 && micro < 10_000:
		return fmt.Sprintf("$%.4f", float64(micro)/1e6)
	default:
		return fmt.Sprintf("$%.2f", float64(micro)/1e6)
	}
}

func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}
