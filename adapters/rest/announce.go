package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Announcement is what an upstream says about its limits in the header of an answer.
type Announcement struct {
	PerSecond float64       // calls allowed in a second; 0 = nothing is said
	Quota     time.Duration // of a refusal: the quota is used up and renewed after so long; 0 = it is not, or nothing is said
}

const longestQuota = 32 * 24 * time.Hour // plans renew monthly at the latest

// Announced is the default reading of a header. The calls of a second are those of RateLimit-Policy, RateLimit-Limit and
// X-RateLimit-Limit whose window is one second, of X-RateLimit-Limit-Second and of Naver's gateway; the least counts. The
// quota is that of RapidAPI's gateway, used up at exactly 0: it falls below where a plan allows more calls for more money.
func Announced(h http.Header) Announcement {
	var a Announcement
	lower := func(perSecond float64) {
		if perSecond > 0 && (a.PerSecond == 0 || perSecond < a.PerSecond) {
			a.PerSecond = perSecond
		}
	}
	for _, name := range []string{"RateLimit-Policy", "RateLimit-Limit", "X-RateLimit-Limit"} {
		for _, v := range h.Values(name) {
			for policy := range strings.SplitSeq(v, ",") {
				lower(ofOneSecond(policy))
			}
		}
	}
	lower(number(h.Get("X-RateLimit-Limit-Second")))
	lower(number(h.Get("GNCP-GW-RateLimit-Replenish-Rate")))
	if left, err := strconv.Atoi(strings.TrimSpace(h.Get("X-RateLimit-Requests-Remaining"))); err == nil && left == 0 && h.Get("X-RateLimit-Requests-Limit") != "0" {
		a.Quota = Until(h.Get("X-RateLimit-Requests-Reset"), h, time.Now())
	}
	return a
}

// ofOneSecond reads 8;w=1 and "name";q=8;w=1; 0 when the window is another one or what is counted are not requests.
func ofOneSecond(policy string) float64 {
	first, rest, _ := strings.Cut(policy, ";")
	quota, window := number(first), 0.0
	for param := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(param, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "q":
			quota = number(value)
		case "w", "window":
			window = number(value)
		case "qu":
			if strings.Trim(strings.TrimSpace(value), `"`) != "requests" {
				return 0
			}
		}
	}
	if window != 1 {
		return 0
	}
	return quota
}

// number reads a positive number; 0 when it is none.
func number(s string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f > 0) {
		return 0
	}
	return f
}

// announcedFor is how long an announced rate holds when it is not repeated.
const announcedFor = 10 * time.Minute

// leastAnnounced is the part of the configured rate below which an announcement is taken for a mistake.
const leastAnnounced = 0.01

// heed obeys an announced rate, up to the configured one; 0 is none.
func (l *Limit) heed(ctx context.Context, perSecond float64) {
	l.mu.Lock()
	to, changed := l.heedNow(perSecond)
	l.mu.Unlock()
	if changed {
		l.regime.tell(ctx, func() { l.change(to) })
	}
}

// heedNow returns the rate that is in force from now on and whether it is another one.
func (l *Limit) heedNow(perSecond float64) (to float64, changed bool) {
	now := time.Now()
	switch {
	case perSecond > mostAnnounced, 0 < perSecond && perSecond < leastAnnounced*max(l.allowed, 1):
		return 0, false
	case perSecond > 0:
		l.saidAt = now
	case !l.saidAt.IsZero() && now.Sub(l.saidAt) > announcedFor:
		l.saidAt, perSecond = time.Time{}, l.o.PerSecond
	default:
		return 0, false
	}
	if l.allowed > 0 && perSecond >= l.allowed {
		perSecond = l.o.PerSecond
	}
	changed = perSecond != l.perSecond
	l.change(perSecond)
	return perSecond, changed
}
