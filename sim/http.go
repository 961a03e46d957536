package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// gate is what a call of one upstream passes before its own handler sees it.
type gate struct {
	name      string
	faults    *HTTPFaults
	latency   time.Duration
	perSecond int
	quota     int
	period    func(time.Time) string
	// key names the credential of a request for the meters and statistics; ok false means that key has answered.
	key func(w http.ResponseWriter, r *http.Request) (name string, ok bool)
	// refuse answers tooFast and usedUp.
	refuse func(w http.ResponseWriter, r *http.Request, v verdict)
	// broken answers a fault of status 500.
	broken func(w http.ResponseWriter, r *http.Request)
	// headers sets what every answer behind the gate carries.
	headers func(h http.Header, key string)
	// spent reports that a fault declares the quota used up.
	spent func() bool
	// page names the page of a list that a request asks for; nil when there are no lists.
	page func(r *http.Request) (list string, number int)
}

const html502 = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

// through wraps an upstream's handler in its gate.
func (s *Server) through(g gate, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		took, at := &drawn{}, received(r, time.Now())
		if s.o.Arrival > 0 {
			took.arrival = time.Duration(float64(s.o.Arrival) * s.dice.nth("way "+listOf(r)))
			if !sleep(r, took.arrival) {
				panic(http.ErrAbortHandler)
			}
			at = at.Add(took.arrival)
		}
		r = r.WithContext(context.WithValue(r.Context(), drawnKey{}, took))
		now := time.Now()
		s.stats.arrived(g.name, at)
		key, ok := g.key(w, r)
		if !ok {
			s.stats.count(g.name, func(c *Calls) { c.Unauthorized++ })
			return
		}
		v := pass
		s.meters.with(key, func(m *meter) {
			v = m.arrive(at, g.perSecond, g.quota, s.o.CountRefused, g.period(now))
		})
		if g.headers != nil {
			g.headers(w.Header(), key)
		}
		theirs := now.Add(s.dice.skew())
		w.Header().Set("Date", theirs.UTC().Format(http.TimeFormat))
		due := v != pass
		if v == pass && s.dice.hit(&g.faults.Throttle) {
			v = tooFast
		}
		if v == pass && g.spent != nil && g.spent() {
			v = usedUp
		}
		if v != pass {
			s.stats.count(g.name, func(c *Calls) {
				c.Refused++
				if !due {
					c.Injected++
				}
				if v == usedUp {
					c.RefusedQuota++
				}
			})
			if v == tooFast && !theirs.Equal(now) {
				w.Header().Set("Retry-After", theirs.Add(time.Second).UTC().Format(http.TimeFormat))
			}
			g.refuse(w, r, v)
			return
		}
		s.stats.admitted(g.name, at)
		if g.page != nil {
			if list, number := g.page(r); list != "" {
				took.list, took.page = list, s.stats.pageAsked(list, number, at)
			}
		}
		defer s.stats.count(g.name, func(c *Calls) { c.InFlight-- })
		s.answer(g, w, r, took, next)
	}
}

// drawn is what chance made of one call on its way.
type drawn struct {
	latency, arrival time.Duration

	list string    // account/list, "" when the call is for no page
	page *pageCall // nil then
}

type drawnKey struct{}

// drawnFor returns what was drawn for a call that passed its gate.
func drawnFor(r *http.Request) drawn {
	if d, ok := r.Context().Value(drawnKey{}).(*drawn); ok {
		return *d
	}
	return drawn{}
}

// listOf names what a call reads; searches of one upstream are one list.
func listOf(r *http.Request) string {
	return r.URL.Path + " " + r.URL.Query().Get("username_or_id_or_url")
}

// answer lets an admitted call wait, fail or succeed.
func (s *Server) answer(g gate, w http.ResponseWriter, r *http.Request, took *drawn, next http.HandlerFunc) {
	faulted := func() {
		s.stats.count(g.name, func(c *Calls) { c.Faulted++ })
		s.stats.excuse(took.list, took.page, false)
	}
	if s.dice.hit(&g.faults.Stall) {
		faulted()
		s.stall(r)
	}
	mean := g.latency
	if s.dice.hit(&g.faults.Slow) {
		mean *= 10
	}
	if mean > 0 {
		took.latency = time.Duration(float64(mean) * (1 + s.o.Jitter*(2*s.dice.nth("answer "+listOf(r))-1)))
		if !sleep(r, took.latency) {
			panic(http.ErrAbortHandler)
		}
	}
	if send := s.broken(g.faults, r, next); send != nil {
		faulted()
		send(w)
		return
	}
	switch {
	case s.dice.hit(&g.faults.Error500):
		faulted()
		g.broken(w, r)
	case s.dice.hit(&g.faults.HTML502):
		faulted()
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(html502))
	case s.dice.hit(&g.faults.Cut):
		faulted()
		half(w, r, next)
		panic(http.ErrAbortHandler)
	case s.dice.hit(&g.faults.Truncate):
		faulted()
		half(w, r, next)
	default:
		s.stats.count(g.name, func(c *Calls) { c.Served++ })
		next(w, r)
		s.stats.count(g.name, func(c *Calls) {
			c.LastAnswer = time.Now()
			if took.page != nil {
				took.page.over = true
			}
		})
	}
}

// stall keeps the client waiting and then breaks the connection.
func (s *Server) stall(r *http.Request) {
	d := s.dice.stallFor()
	if d == 0 {
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	} else {
		sleep(r, d)
	}
	panic(http.ErrAbortHandler)
}

// sleep reports whether d passed before the client went away.
func sleep(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// held is an answer kept back.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// half sends the first half of what next answers. The call takes effect all the same.
func half(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	h := &held{header: http.Header{}, status: http.StatusOK}
	next(h, r)
	maps.Copy(w.Header(), h.header)
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes()[:h.body.Len()/2])
	_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends it with the end
}

// reply sends v as JSON without escaping HTML, as the upstreams do.
func reply(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// object is a JSON object; its keys are sent in alphabetical order.
type object map[string]any

func (s *Server) routes() {
	s.routeInstagram()
	s.routeOpenAI()
	s.routeNaver()
	s.routeKakao()
	s.routeVelog()
	s.mux.HandleFunc("GET /sim/stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.Stats()) })
	s.mux.HandleFunc("POST /sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetStats()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /sim/calm", func(w http.ResponseWriter, _ *http.Request) {
		s.SetFaults(Faults{})
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("GET /sim/accounts", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.Accounts()) })
}
