package rest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sumbi/adapters"
)

const drainOnClose = 64 << 10

// body is the capped body of an answer. Its errors are classified.
type body struct {
	r    io.Reader // of rc, without our credentials
	rc   io.ReadCloser
	left int64
	max  int64
	over bool            // the rest is of no use
	ctx  context.Context // of the request: tells a caller that left from an upstream that broke off
	c    *Client
	path string
}

// Read reads at most what is left of the cap.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	// One byte beyond the cap is asked for, to tell an answer of exactly that size from a larger one.
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left, b.over = 0, true
		return n, b.fail(fmt.Errorf("%s: the answer is larger than %d bytes", b.path, b.max))
	}
	b.left -= int64(n)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case b.ctx.Err() != nil:
		return n, b.ctx.Err()
	default:
		return n, b.fail(fmt.Errorf("%s: the answer was cut short: %w", b.path, err))
	}
}

// Close reads a little of the rest, so that the connection can be used again.
func (b *body) Close() error {
	if !b.over {
		_, _ = io.CopyN(io.Discard, b.rc, drainOnClose)
	}
	return b.rc.Close()
}

func (b *body) fail(err error) error {
	return b.c.fail(&adapters.Error{Kind: adapters.Temporary, Err: err})
}
