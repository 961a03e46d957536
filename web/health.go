package web

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Health is what is known of the work of this process.
type Health interface {
	// Begun reports whether the state is taken over and worked on.
	Begun() bool
	// Stuck says what should have gone on long before now and has not; "" nothing.
	Stuck(now time.Time) string
}

const (
	livePath  = "/healthz"
	readyPath = "/readyz"
)

// readyWithin is how long the state may take to answer.
var readyWithin = 2 * time.Second // changed by tests

// live answers 200 unless this process is stuck, so that only a start would help. What a start does not mend, such as a database
// that is away, is not its business.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	if s.Health != nil {
		if why := s.Health.Stuck(time.Now()); why != "" {
			s.unwell(w, "stuck", why)
			return
		}
	}
	_, _ = io.WriteString(w, "ok\n")
}

// ready answers 200 when whoever asks here is served: the state answers and has this program's schema, this process works on it, and
// it was not told to stop.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.Stopping:
		http.Error(w, "this process is stopping", http.StatusServiceUnavailable)
		return
	default:
	}
	if s.Health != nil && !s.Health.Begun() {
		http.Error(w, "this process is starting", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := s.Store.Ready(ctx); err != nil {
		s.unwell(w, "the state does not answer, or this process does not work on it", err.Error())
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// unwell answers what everybody may know, and logs the rest now and then: a platform asks every few seconds.
func (s *Server) unwell(w http.ResponseWriter, say, why string) {
	if more, ok := s.badHealth.say(s.now()); ok {
		s.Log.Error("not well", "err", why, "more_since_the_last_line", more)
	}
	http.Error(w, say, http.StatusServiceUnavailable)
}
