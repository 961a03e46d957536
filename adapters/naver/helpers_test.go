package naver_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

type bodyKey struct{}

// withBody says what bodyFromContext answers.
func withBody(ctx context.Context, body []byte) context.Context {
	return context.WithValue(ctx, bodyKey{}, body)
}

// bodyFromContext answers without a server.
type bodyFromContext struct{}

func (bodyFromContext) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := req.Context().Value(bodyKey{}).([]byte)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}, nil
}
