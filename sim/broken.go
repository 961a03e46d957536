package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

const (
	dripEvery  = 50 * time.Millisecond
	hugeAnswer = 1 << 30 // bytes; a client that takes all of them has no bound
)

const closedPage = "<!doctype html><html lang=ko><title>점검 중</title><body><h1>서비스 점검 중입니다</h1></body></html>"

// broken returns how an answer goes wrong in its form, nil when it does not.
func (s *Server) broken(f *HTTPFaults, r *http.Request, next http.HandlerFunc) func(w http.ResponseWriter) {
	switch {
	case s.dice.hit(&f.Reset):
		return reset
	case s.dice.hit(&f.Drip):
		return func(w http.ResponseWriter) { s.drip(w, r, next) }
	case s.dice.hit(&f.Label):
		return func(w http.ResponseWriter) {
			a := answered(r, next)
			a.header.Set("Content-Type", "text/html; charset=EUC-KR")
			a.send(w, a.body.Bytes())
		}
	case s.dice.hit(&f.Closed):
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, closedPage)
		}
	case s.dice.hit(&f.Huge):
		return func(w http.ResponseWriter) { huge(w, r) }
	case !strings.HasSuffix(r.URL.Path, "/content") && s.dice.hit(&f.Types):
		return func(w http.ResponseWriter) {
			a := answered(r, next)
			a.send(w, otherTypes(a.body.Bytes()))
		}
	}
	return nil
}

// answered is what next answers. The call takes effect.
func answered(r *http.Request, next http.HandlerFunc) *held {
	h := &held{header: http.Header{}, status: http.StatusOK}
	next(h, r)
	return h
}

// send sends the answer with another body.
func (h *held) send(w http.ResponseWriter, body []byte) {
	maps.Copy(w.Header(), h.header)
	w.Header().Del("Content-Length")
	w.WriteHeader(h.status)
	_, _ = w.Write(body)
}

// reset breaks the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// drip sends an answer a byte at a time until the client leaves, and never its end.
func (s *Server) drip(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	a := answered(r, next)
	maps.Copy(w.Header(), a.header)
	w.Header().Del("Content-Length")
	w.WriteHeader(a.status)
	body := a.body.Bytes()
	flush := http.NewResponseController(w)
	for i := 0; ; i = min(i+1, len(body)-1) { // a blank after the last one keeps it alive
		b := []byte(" ")
		if i < len(body)-1 {
			b = body[i : i+1]
		}
		if _, err := w.Write(b); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = flush.Flush()
		select {
		case <-s.done:
			panic(http.ErrAbortHandler)
		default:
		}
		if !sleep(r, dripEvery) {
			panic(http.ErrAbortHandler)
		}
	}
}

// huge sends the beginning of a JSON value that goes on and on.
func huge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"data":"`)
	chunk := bytes.Repeat([]byte("a"), 64<<10)
	for sent := 0; sent < hugeAnswer && r.Context().Err() == nil; sent += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			break
		}
	}
	panic(http.ErrAbortHandler)
}

// otherTypes turns every list and object below the top of a JSON value into a text, every text into a number and every number
// into an object.
func otherTypes(body []byte) []byte {
	var top map[string]any
	if json.Unmarshal(body, &top) != nil {
		return []byte(`"점검"`)
	}
	for k, v := range top {
		switch v.(type) {
		case string:
			top[k] = 7
		case float64, bool:
			top[k] = map[string]any{"점검": true}
		default:
			top[k] = "점검"
		}
	}
	b, err := json.Marshal(top)
	if err != nil {
		return []byte(`"점검"`)
	}
	return b
}
