package web

import (
	"context"
	"html/template"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// Nobody waits for an answer to a test, and the machine may be slow: only what hangs comes to these bounds.
func init() {
	for _, bound := range []*time.Duration{&readTime, &sessionWait, &readyWithin, &doTime, &shutdownTime, &silentTime} {
		*bound = 5 * time.Minute
	}
}

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

	Grouped = grouped
	Clipped = clipped
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

// Bounds of what is live.
const (
	LiveMost    = liveMost
	LiveAhead   = liveAhead
	LiveLongest = liveLongest
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

// Join watches a view as a browser does that is slow to take what is sent.
func (s *Server) Join(ctx context.Context, view string) (<-chan []byte, error) {
	w, err := s.join(ctx, feedKey{view: view}, english)
	if err != nil {
		return nil, err
	}
	return w.events, nil
}

// CloseLive ends what is live and waits for it.
func (s *Server) CloseLive() { s.hub.close() }

// MapStale makes the next look at the map read it again.
func (s *Server) MapStale() { s.mapped.stale() }

// Evidence is a caption with its marks, KIND:TEXT or KIND+q:TEXT where it is quoted, and what it does not have.
func Evidence(caption string, r jobs.Restaurant) (marked, absent string) {
	pieces, all := evidence(caption, r)
	var parts, without []string
	for _, p := range pieces {
		kind := p.Kind
		if p.Quoted {
			kind += "+q"
		}
		if kind != "" {
			kind += ":"
		}
		parts = append(parts, kind+p.Text)
	}
	for _, s := range all {
		if s.Absent {
			without = append(without, s.Kind)
		}
	}
	return strings.Join(parts, "|"), strings.Join(without, " ")
}

// Reasons is why something was decided, in a language.
func Reasons(lang, text string) (all []string) {
	for _, r := range reasons(lang, text) {
		all = append(all, r.Text)
	}
	return all
}

// Plain says in plain words what an error means.
var Plain = plain

// Speed is how a rate is drawn.
func Speed(r Rate) (now, bound float64, line string) {
	s := newSpeed(r)
	return s.Now, s.Bound, s.Line
}

// Together follows what several machines call.
type Together struct{ t together }

// Seconds counts what was called since the last look.
func (t *Together) Seconds(now time.Time, r Rate, limits []queue.Limit) []int {
	t.t.mu.Lock()
	defer t.t.mu.Unlock()
	return t.t.seconds(now, r, limits)
}

// Slowly keeps what was read.
type Slowly struct{ k slowly[int] }

// KeptLongest is how long at most something is kept.
const KeptLongest = keptLongest

// Read returns what is kept, or reads.
func (k *Slowly) Read(f func() (int, error)) (int, error) { return k.k.read(f) }

// MapForget gives back what is kept for the map.
func (s *Server) MapForget() { s.mapped.forget() }

// What the map makes of the finders' texts.
var (
	AreaOf = areaOf
	KindOf = kindOf
)

// Mark is where a sketch shows something.
type Mark struct {
	N    int
	X, Y float64
	Far  bool
}

// Sketch draws spots, each N, Lat and Lng, and says how long its scale is. Without any there is none.
func Sketch(spots ...[3]float64) (marks []Mark, scale string) {
	var in []spot
	for _, p := range spots {
		in = append(in, spot{N: int(p[0]), Lat: p[1], Lng: p[2]})
	}
	s := sketchOf(in)
	if s == nil {
		return nil, ""
	}
	for _, m := range s.Marks {
		marks = append(marks, Mark{m.N, m.X, m.Y, m.Far})
	}
	return marks, s.Scale
}

// Crowd takes places for connections; the address "" is this machine.
func Crowd(share int) (enter func(addr string) bool, leave func(addr string)) {
	c := &crowd{share: share}
	return func(addr string) bool { return c.enter(networkOf(addr)) }, func(addr string) { c.leave(networkOf(addr)) }
}

// MostOfAddress is how many connections one address may have.
const MostOfAddress = mostOfAddress

// SendFiles makes n more files count as being sent.
func (s *Server) SendFiles(n int32) { s.files.Add(n) }

// Bounded bounds what is read for an answer.
func (s *Server) Bounded(next http.Handler) http.Handler { return s.bounded(next) }
