package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

const saveTimeout = 5 * time.Second

// claimToCall is how much later than its claim a call may leave.
const claimToCall = 50 * time.Millisecond

// LimitState is what must outlive the process. The zero value is a limit that was never used.
type LimitState struct {
	Day       string    // Korean day that Used belongs to, YYYY-MM-DD
	Used      int       // calls of that day; ahead of the truth while Dirty, never behind it
	HeldUntil time.Time // no call before
	Reason    string    // why it is held or stopped
	Stopped   bool      // a person must act; forgotten at the next start
	Dirty     bool      // in use, or the process ended without Close
	Stray     bool      // while Dirty: some calls left without a permit drawn in advance
	LastCall  time.Time // exact after Close; while Dirty and not Stray, the newest claim that the memory itself knows of
	Key       string    // fingerprint of the credential: what is remembered of another one does not hold

	// What was learnt of the upstream's limit.
	PerSecond float64       // the rate for which it was learnt; it does not hold for another one
	Guard     time.Duration // in force
	Bad       time.Duration // the widest guard that saw a refusal; 0 = none did
	BadAt     time.Time     // the last such refusal
	Refused   string        // whether the upstream counts refused calls: RefusedCount, RefusedFree, "" unknown
}

// What LimitState.Refused says of the calls that an upstream has refused.
const (
	RefusedCount = "count" // they fill its window like others
	RefusedFree  = "free"
)

// Memory keeps the state of limits; the state file implements it. The limits call it rarely: at the start, when a limit is
// held or stopped, once in a block of calls, and at the end. A call waits for it.
type Memory interface {
	LoadLimit(ctx context.Context, name string) (LimitState, error) // zero state when unknown
	SaveLimit(ctx context.Context, name string, s LimitState) error
}

const koreanOffset = 9 * time.Hour // Korea keeps no summer time

var korea = time.FixedZone("KST", int(koreanOffset/time.Second))

func koreanDay(t time.Time) string {
	return t.UTC().Add(koreanOffset).Format(time.DateOnly)
}

func nextKoreanMidnight(t time.Time) time.Time {
	return t.UTC().Add(koreanOffset).Truncate(24 * time.Hour).Add(24*time.Hour - koreanOffset)
}

// dayGrace is how much later an upstream's day may begin than ours.
const dayGrace = 10 * time.Minute

// UntilTomorrow is the time until the next Korean day. Just after midnight it is short: a clock that is a little early must
// not cost the whole day.
func UntilTomorrow(now time.Time) time.Duration {
	left := nextKoreanMidnight(now).Sub(now)
	if 24*time.Hour-left < dayGrace {
		return dayGrace
	}
	return left
}

// fingerprint tells one credential from another and cannot be turned back into it.
func fingerprint(h http.Header) string {
	if len(h) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(sum, "%s\x00%s\x00", name, h[name])
	}
	return hex.EncodeToString(sum.Sum(nil)[:4])
}
