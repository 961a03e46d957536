package sim

import (
	"context"
	"net"
	"net/http"
	"time"
)

// latest is how late the imitation is believed to be at most; what was told longer ago is of a clock that was set.
const latest = time.Minute

// connKey is that of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// stamping wraps the connections of a listener.
type stamping struct{ net.Listener }

// Accept implements net.Listener.
func (l stamping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stamp(c), nil
}

// received is when a request reached this machine: a limit must not be broken by a busy imitation, which comes to it late. Where the
// system does not tell it is now.
func received(r *http.Request, now time.Time) time.Time {
	c, ok := r.Context().Value(connKey{}).(interface{ reached() int64 })
	if !ok || c.reached() == 0 {
		return now
	}
	if late := time.Duration(now.UnixNano() - c.reached()); late > 0 && late < latest {
		return now.Add(-late)
	}
	return now
}
