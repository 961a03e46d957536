package openai_test

import (
	"sync/atomic"
	"testing"
)

// full is a writer that takes nothing.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// guarded is an endless reader that must not be read once it is the caller's again.
type guarded struct {
	t    *testing.T
	mine atomic.Bool
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.mine.Load() {
		g.t.Error("read after Upload had returned")
	}
	return len(p), nil
}
