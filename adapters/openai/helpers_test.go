package openai_test

import (
	"io"
	"net/http"
)

// full is a writer that takes nothing.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// counted is an endless reader that counts its calls.
type counted struct{ reads int }

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return len(p), nil
}

// earlyAnswer is a transport that refuses a request before it has read the body, and keeps the body.
type earlyAnswer struct{ body io.Reader }

func (e *earlyAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	e.body = req.Body
	_, _ = io.CopyN(io.Discard, req.Body, 1<<10)
	return &http.Response{StatusCode: http.StatusRequestEntityTooLarge, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}
