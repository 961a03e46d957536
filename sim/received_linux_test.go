package sim

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestReceived lets a call wait until the server comes to it, as on a busy machine: it counts from when it came.
func TestReceived(t *testing.T) {
	t.Parallel()
	lc := net.ListenConfig{Control: stampReads}
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const late = 200 * time.Millisecond
	for n := range 2 {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: sim\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			time.Sleep(late) // nobody has accepted it yet
			srv := &http.Server{ConnContext: withConn, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				now := time.Now()
				w.Header().Set("Late", now.Sub(received(r, now)).String())
				w.Header().Set("Told", map[bool]string{true: "yes"}[r.Context().Value(connKey{}).(*stamped).reached() != 0])
			})}
			go func() { _ = srv.Serve(stamping{l}) }()
			t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
		}
		h := answerOf(t, c)
		if h.Get("Told") == "" {
			t.Skip("this system does not tell when calls arrive: a busy machine may be taken for calls that come too fast")
		}
		if got, err := time.ParseDuration(h.Get("Late")); err != nil || n == 0 && got < late || got < 0 {
			t.Errorf("call %d: late by %s, %v", n, got, err)
		}
	}
}

// answerOf reads an answer without a body.
func answerOf(t *testing.T, c net.Conn) http.Header {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header
}
