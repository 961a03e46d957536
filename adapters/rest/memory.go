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

// load reads the memory once. A stop does not outlive the process that saw it; a hold and the day's count do.
func (l *Limit) load(ctx context.Context, now time.Time) error {
	if l.loaded {
		return nil
	}
	var s LimitState
	if l.o.Memory != nil {
		var err error
		if s, err = l.o.Memory.LoadLimit(ctx, l.o.Name); err != nil {
			return fmt.Errorf("load limit %s: %w", l.o.Name, err)
		}
	}
	key := fingerprint(l.o.Header)
	if s.Key != "" && s.Key != key {
		s = LimitState{Dirty: s.Dirty, LastCall: s.LastCall}
	}
	s.Key = key
	if l.pace != nil && s.PerSecond == l.perSecond {
		l.guard.remember(s.Guard, s.Bad, s.BadAt)
		l.respace()
	} else {
		l.other, s.Refused = s, ""
	}
	window := l.guard.second + l.guard.now
	switch {
	case s.Dirty && (s.Stray || s.LastCall.IsZero()):
		l.notBefore = now.Add(window)
	case !s.LastCall.IsZero():
		l.notBefore = s.LastCall.Add(window)
		if s.Dirty {
			l.notBefore = l.notBefore.Add(claimToCall)
		}
		// A clock that was set back must not make the wait longer than one window.
		if latest := now.Add(window); l.notBefore.After(latest) {
			l.notBefore = latest
		}
	}
	// Nor a hold longer than it was meant: a call of the future shows by how much the clock was set back.
	if back := s.LastCall.Sub(now); back > 0 && !s.HeldUntil.IsZero() {
		s.HeldUntil = s.HeldUntil.Add(-back)
	}
	if s.Stopped || !now.Before(s.HeldUntil) {
		s.Reason = ""
	}
	s.Stopped, s.Dirty, s.Stray = false, false, false
	l.state, l.used, l.loaded = s, s.Used, true
	return nil
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

// save writes next and, when that went well, makes it the state.
func (l *Limit) save(ctx context.Context, next LimitState) error {
	next.PerSecond, next.Guard, next.Bad, next.BadAt = l.perSecond, l.guard.now, l.guard.bad, l.guard.badAt
	if l.o.Memory != nil {
		if err := l.o.Memory.SaveLimit(ctx, l.o.Name, next); err != nil {
			l.unsaved = true
			return fmt.Errorf("save limit %s: %w", l.o.Name, err)
		}
	}
	l.state, l.unsaved = next, false
	return nil
}

// close writes the exact figures. A call after it makes the state dirty again.
func (l *Limit) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded || (!l.state.Dirty && !l.unsaved) {
		return nil
	}
	next := l.state
	next.Dirty, next.Stray, next.Used = false, false, l.used
	return l.save(ctx, next)
}
