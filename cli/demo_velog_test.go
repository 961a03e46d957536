package cli_test

import (
	"testing"
	"time"

	"sumbi/cli"
)

// TestUntilLook begins at every hour of the day: the demo's clock goes forward only.
func TestUntilLook(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*60*60)
	for now, want := range map[string]time.Duration{
		"00:10": 22*time.Hour + 20*time.Minute, "09:00": 13*time.Hour + 30*time.Minute, "22:29": time.Minute, "22:30": 0,
		"22:31": 24*time.Hour - time.Minute, "23:59": 22*time.Hour + 31*time.Minute,
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-29 "+now, seoul)
		if err != nil {
			t.Fatal(err)
		}
		if got := cli.UntilLook(at.UTC(), 22); got != want {
			t.Errorf("at %s: %s, want %s", now, got, want)
		}
	}
}
