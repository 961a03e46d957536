// Package adaptertest is the contract of a Source and of a Sink, as tests that every adapter runs.
package adaptertest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// Faults is a handler that stands in front of an upstream and answers in its place when told to.
type Faults struct {
	next http.Handler

	mu    sync.Mutex
	fault http.Handler
	left  int // requests that still get the fault; below 0 all
	count int
}

// NewFaults returns a handler that passes everything to next until a fault is set.
func NewFaults(next http.Handler) *Faults { return &Faults{next: next} }

// Set makes every request from now on get the answer of h; nil ends the fault.
func (f *Faults) Set(h http.Handler) { f.SetN(-1, h) }

// SetN makes the next n requests get the answer of h.
func (f *Faults) SetN(n int, h http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.left = h, n
}

// Requests returns how many requests have come in.
func (f *Faults) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.count++
	h := f.next
	if f.fault != nil && f.left != 0 {
		h = f.fault
		f.left--
	}
	f.mu.Unlock()
	h.ServeHTTP(w, r)
}

// Status answers with a status, the headers given as name and value in turn, and a body.
func Status(code int, body string, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	})
}

// Cut lets h answer and breaks the connection after n bytes of the body.
func Cut(n int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&cutter{ResponseWriter: w, left: n}, r)
		panic(http.ErrAbortHandler) // h wrote less than n
	})
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	c.left -= n
	if c.left == 0 {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Huge answers 200 with the beginning of a JSON value and goes on for up to size bytes. It counts in sent what the client took.
func Huge(size int64, sent *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := strings.Repeat("맛집", 4<<10)
		for s := `{"data":"`; sent.Load() < size; s = chunk {
			n, err := io.WriteString(w, s)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
}

// Hang answers nothing until the client leaves.
func Hang() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has left
		<-r.Context().Done()
	})
}

// Echo answers with a status and repeats the header of the request, as careless upstreams do.
func Echo(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		for name, values := range r.Header {
			_, _ = io.WriteString(w, name+" "+strings.Join(values, " ")+"\n")
		}
	})
}
