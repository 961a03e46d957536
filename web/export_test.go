package web

import (
	"context"
	"html/template"
	"net/netip"
	"time"

	"sumbi/queue"
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

// Bounds of what is live.
const (
	LiveMost  = liveMost
	LiveAhead = liveAhead
)

// SetBeat makes s read what is watched that often. It comes before Handler.
func (s *Server) SetBeat(d time.Duration) { s.beat = d }

// Watch makes a view of one block live whose template is text. It comes after Handler.
func (s *Server) Watch(name, text string, data func(ctx context.Context, arg string) (any, error)) {
	for _, v := range s.views {
		template.Must(v.New(name).Parse(text)) // before the first use
	}
	s.watch(name, liveView{blocks: []string{name}, data: data})
}

// Forget makes the next reading of the overview a new one.
func (s *Server) Forget() { s.situation.forget() }

// Watched is how many feeds are read for how many watchers.
func (s *Server) Watched() (feeds, watchers int) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.feeds), s.hub.n
}

// CloseLive ends what is live and waits for it.
func (s *Server) CloseLive() { s.hub.close() }

// Speed is how a rate is drawn.
func Speed(r Rate) (now, bound float64, line string) {
	s := newSpeed(r)
	return s.Now, s.Bound, s.Line
}

// Together follows what several machines call.
type Together struct{ t together }

// Seconds counts what was called since the last look.
func (t *Together) Seconds(now time.Time, r Rate, limits []queue.Limit) []int {
	return t.t.seconds(now, r, limits)
}

// Slowly keeps what was read.
type Slowly struct{ k slowly[int] }

// Read returns what is kept, or reads.
func (k *Slowly) Read(f func() (int, error)) (int, error) { return k.k.read(f) }
