package adaptertest

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// bodies counts the bodies of answers that nobody has closed.
type bodies struct {
	next http.RoundTripper
	open atomic.Int64
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b.open.Add(1)
	resp.Body = &counted{ReadCloser: resp.Body, done: sync.OnceFunc(func() { b.open.Add(-1) })}
	return resp, nil
}

type counted struct {
	io.ReadCloser
	done func()
}

func (c *counted) Close() error {
	c.done()
	return c.ReadCloser.Close()
}
