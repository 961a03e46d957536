package web

import (
	"net/netip"
	"time"
)

// SetClock makes s live by another clock. It comes before Handler.
func (s *Server) SetClock(now func() time.Time) { s.now = now }

// Tries are how wrong tokens are counted.
type Tries struct{ t tries }

// Wait is how long who has to wait.
func (t *Tries) Wait(who netip.Prefix, now time.Time) time.Duration { return t.t.wait(who, now) }

// Failed notes a wrong token.
func (t *Tries) Failed(who netip.Prefix, now time.Time) { t.t.failed(who, now) }

// Passed notes a right one.
func (t *Tries) Passed(who netip.Prefix, now time.Time) { t.t.passed(who, now) }

// Clients are how many are remembered.
func (t *Tries) Clients() int { return len(t.t.clients) }

// The bounds of what is remembered and how long somebody is out.
const (
	LongestLock = longestLock
	MostClients = mostClients
	SessionMost = sessionMost
	SessionAge  = sessionAge
	FreeTries   = freeTries
	FloodTries  = floodTries
	FloodTime   = floodTime
)

// How the page writes times.
var (
	Ago  = ago
	When = when
)

// StaticURL is the address of a file of static/.
var StaticURL = staticURL

// APIRoutes are method and path of everything below /api/v1, with its parameters.
func APIRoutes() map[string][]string {
	all := map[string][]string{}
	for _, r := range apiRoutes() {
		all[r.method+" "+apiVersion+r.path] = r.query
	}
	return all
}

// OpenAPI is the description that is served.
func OpenAPI() []byte { return openAPI }
