package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// report is the Markdown that a run prints. It goes to standard error as it grows.
type report struct{ text strings.Builder }

func (r *report) line(format string, a ...any) {
	s := fmt.Sprintf(format, a...)
	fmt.Fprintln(os.Stderr, s)
	r.text.WriteString(s + "\n")
}

func (r *report) section(title string) { r.line("\n### %s\n", title) }

func (r *report) note(format string, a ...any) { r.line("\n"+format, a...) }

// table prints rows below a head; all but the first column are figures.
func (r *report) table(head []string, rows [][]string) {
	r.line("| %s |", strings.Join(head, " | "))
	r.line("|---%s|", strings.Repeat("|---:", len(head)-1))
	for _, row := range rows {
		r.line("| %s |", strings.Join(row, " | "))
	}
}

// The marks between which figures stand in a file.
const (
	figuresBegin = "<!-- figures -->\n"
	figuresEnd   = "<!-- /figures -->\n"
)

// write prints the report, or puts it into a file in place of the figures there.
func (r *report) write(file string) error {
	if file == "" {
		_, err := os.Stdout.WriteString(r.text.String())
		return err
	}
	page, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		page, err = []byte(figuresBegin+figuresEnd), nil
	}
	if err != nil {
		return err
	}
	text, err := replaceFigures(string(page), r.text.String())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func replaceFigures(page, figures string) (string, error) {
	before, rest, ok := strings.Cut(page, figuresBegin)
	_, after, ok2 := strings.Cut(rest, figuresEnd)
	if !ok || !ok2 {
		return "", errors.New("the marks of the figures are not there")
	}
	return before + figuresBegin + figures + figuresEnd + after, nil
}

func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}

func mb(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

func ratio(a, b time.Duration) string { return fmt.Sprintf("%.3f", float64(a)/float64(b)) }

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// quantile returns the value below which the share q of the values lies.
func quantile[T cmp.Ordered](all []T, q float64) T {
	var zero T
	if len(all) == 0 {
		return zero
	}
	s := slices.Sorted(slices.Values(all))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}
