package rest_test

import (
	"testing"
	"time"

	"sumbi/adapters/rest"
)

func TestUntilTomorrow(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]time.Duration{
		"2026-11-20T23:54:00+09:00": 6 * time.Minute,
		"2026-11-20T23:59:59+09:00": time.Second,
		"2026-11-21T00:00:00+09:00": 10 * time.Minute, // our day has begun, theirs perhaps not
		"2026-11-21T00:09:59+09:00": 10 * time.Minute,
		"2026-11-21T00:10:00+09:00": 23*time.Hour + 50*time.Minute,
		"2026-11-20T15:00:00Z":      10 * time.Minute,
		"2026-11-20T03:00:00Z":      12 * time.Hour,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := rest.UntilTomorrow(now); got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
}
