package web

import (
	"net/netip"
	"sync"
	"time"
)

const (
	freeTries   = 5                // wrong tokens of one client before it is locked out
	firstLock   = time.Minute      // doubles with each further wrong token
	longestLock = 15 * time.Minute // so nobody is out for ever
	forgetAfter = time.Hour        // without a wrong token

	floodTries = 60          // wrong tokens of all clients together,
	floodTime  = time.Minute // in so long, before strangers have to wait

	mostClients = 1024 // that are remembered; the one whose last try is oldest goes first
)

// tries counts wrong tokens. Its memory is bounded whatever comes from outside.
type tries struct {
	mu      sync.Mutex
	clients map[netip.Prefix]client
	flood   int       // wrong tokens since began
	began   time.Time // of the current stretch of floodTime
}

type client struct {
	wrong  int
	last   time.Time
	locked time.Time // until then
	good   bool      // it has shown the token: no flood of others locks it out
}

// wait is how long who has to wait before its next token is looked at. What comes while it waits does not make it longer.
func (t *tries) wait(who netip.Prefix, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clients[who]
	if d := c.locked.Sub(now); d > 0 {
		return d
	}
	if c.good || who.Addr().IsLoopback() || t.flood < floodTries {
		return 0
	}
	return max(0, t.began.Add(floodTime).Sub(now))
}

func (t *tries) failed(who netip.Prefix, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.began) >= floodTime {
		t.began, t.flood = now, 0
	}
	t.flood++
	c := t.clients[who]
	if now.Sub(c.last) > forgetAfter {
		c.wrong = 0
	}
	c.wrong, c.last = c.wrong+1, now
	if over := c.wrong - freeTries; over >= 0 {
		c.locked = now.Add(min(longestLock, firstLock<<min(over, 10)))
	}
	t.keep(who, c)
}

func (t *tries) passed(who netip.Prefix, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep(who, client{last: now, good: true})
}

// keep makes room for who first. The caller holds mu.
func (t *tries) keep(who netip.Prefix, c client) {
	if t.clients == nil {
		t.clients = map[netip.Prefix]client{}
	}
	if _, known := t.clients[who]; !known && len(t.clients) >= mostClients {
		var oldest netip.Prefix
		first := true
		for p, o := range t.clients {
			if first || o.last.Before(t.clients[oldest].last) {
				oldest, first = p, false
			}
		}
		delete(t.clients, oldest)
	}
	t.clients[who] = c
}

// rarely lets one line a minute through, so that nobody fills the log from outside.
type rarely struct {
	mu      sync.Mutex
	at      time.Time
	skipped int
}

// say reports whether a line may be written, and how many were left out before it.
func (r *rarely) say(now time.Time) (skipped int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && now.Sub(r.at) < time.Minute {
		r.skipped++
		return 0, false
	}
	skipped, r.at, r.skipped = r.skipped, now, 0
	return skipped, true
}
