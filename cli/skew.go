package cli

import (
	"net/http"
	"sync"
	"time"
)

// skewWatch reads from answers how far this machine's clock is behind those of the upstreams.
type skewWatch struct {
	mu   sync.Mutex
	took time.Duration // the fastest answer, which tells most
	skew time.Duration
	of   string // its host; "" no answer showed a time
}

// heard reads the time of an answer to a request that began then and took so long. It counts whole seconds.
func (s *skewWatch) heard(host string, h http.Header, began time.Time, took time.Duration) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == "" || took < s.took {
		s.took, s.of = took, host
		s.skew = at.Add(time.Second / 2).Sub(began.Add(took / 2).Round(0))
	}
}

// read returns how far the clock is behind that of a host, and how wrong that may be; of is "" when none showed its own.
func (s *skewWatch) read() (skew, wrong time.Duration, of string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skew, time.Second/2 + s.took/2, s.of
}
