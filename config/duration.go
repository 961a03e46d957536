package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that people write as "72h", "1h30m" or "3d".
type Duration time.Duration

// UnmarshalText reads a duration; a day is 24 hours.
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	var days time.Duration
	if n, rest, ok := strings.Cut(s, "d"); ok {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || !(v >= 0 && v <= 36500) {
			return fmt.Errorf("%q is not a duration: write it like \"30s\", \"90m\", \"72h\" or \"3d\"", s)
		}
		days, s = time.Duration(v*float64(24*time.Hour)), rest
		if s == "" {
			s = "0s"
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write it like \"30s\", \"90m\", \"72h\" or \"3d\"", text)
	}
	*d = Duration(days + v)
	return nil
}

// String writes d without parts that are zero: 72h, 1h30m.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
