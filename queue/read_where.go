package queue

import "strings"

// where puts together what rows must be like.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(condition string, args ...any) {
	w.parts = append(w.parts, condition)
	w.args = append(w.args, args...)
}

// equal asks for rows with this value; "" asks for nothing.
func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+` = ?`, value)
	}
}

func (w *where) text() string {
	if len(w.parts) == 0 {
		return ""
	}
	return ` where ` + strings.Join(w.parts, ` and `)
}

// among returns `(?, ?, …)` with a place for each of values, and the values as arguments.
func among[T any](values []T) (text string, args []any) {
	for _, v := range values {
		args = append(args, v)
	}
	return places(1, len(values)), args
}
