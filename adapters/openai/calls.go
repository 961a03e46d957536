package openai

import (
	"context"
	"io"
	"net/http"

	"sumbi/adapters/rest"
)

// calls makes the calls whose answer is small, go-openai's among them: these name only paths, the rest client knows host,
// key and pace. Its own timeout and size are those of files.
type calls struct{ client *rest.Client }

// Do implements openai.HTTPDoer.
func (c calls) Do(from *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(from.Context(), callTimeout)
	req, err := c.client.NewRequest(ctx, from.Method, from.URL.Path, from.URL.Query(), from.Body)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header = from.Header
	req.ContentLength, req.GetBody = from.ContentLength, from.GetBody
	resp, err := c.client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &answer{Reader: io.LimitReader(resp.Body, maxAnswer), body: resp.Body, cancel: cancel}
	return resp, nil
}

// answer is a body that ends the context of its call.
type answer struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (a *answer) Close() error {
	defer a.cancel()
	return a.body.Close()
}
