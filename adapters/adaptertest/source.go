package adaptertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	maxPages = 1000
	maxBody  = 1 << 20
	atOnce   = time.Minute // generous: the machine may be busy
)

// SourceOptions describe a source under test. Upstream, Open and Query are required.
type SourceOptions struct {
	// Upstream imitates the upstream. Its answers must not change while the test runs.
	Upstream http.Handler
	// Open returns a source that calls o.BaseURL through rest.New(o). It adds Upstream, Limits and Classify to o
	// and leaves the rest.
	Open func(o rest.Options) adapters.Source
	// Query names a list of at least two pages, or of one where OnePage says so.
	Query adapters.Query
	// OnePage is for an upstream that has no longer lists.
	OnePage bool
	// Keys are those of all records of the list, in any order; nil is not compared.
	Keys []string
	// Secrets must not be in the text of any error.
	Secrets []string
	// Unauthorized is how the upstream refuses a credential; nil is a bare 401.
	Unauthorized http.Handler
	// Throttled is how the upstream asks for fewer calls; nil is a 429 with Retry-After.
	Throttled http.Handler
}

// Source tests the contract of a source: it walks the whole list and then lets the upstream fail in every way that occurs.
func Source(t *testing.T, o SourceOptions) {
	t.Helper()
	if o.Unauthorized == nil {
		o.Unauthorized = Status(http.StatusUnauthorized, `{"message":"인증 실패"}`)
	}
	if o.Throttled == nil {
		o.Throttled = Status(http.StatusTooManyRequests, `{"message":"too many requests"}`, "Retry-After", "7")
	}
	run := func(name string, f func(t *testing.T, u *under)) {
		t.Run(name, func(t *testing.T) { f(t, open(t, o)) })
	}
	run("walk", func(t *testing.T, u *under) { u.walk(t) })
	run("same cursor same keys", func(t *testing.T, u *under) { u.sameTwice(t) })
	run("concurrent", func(t *testing.T, u *under) { u.concurrent(t) })
	run("cancelled", func(t *testing.T, u *under) { u.cancelled(t) })
	run("huge body", func(t *testing.T, u *under) { u.huge(t) })

	faults := []struct {
		name  string
		fault http.Handler
		want  adapters.Kind
	}{
		{"throttled", o.Throttled, adapters.Throttled},
		{"unauthorized", o.Unauthorized, adapters.Unauthorized},
		{"500", Status(500, `{"message":"서버 오류"}`), adapters.Temporary},
		{"502 html", Status(502, "<html><body>Bad Gateway</body></html>", "Content-Type", "text/html"), adapters.Temporary},
		{"503", Status(503, ""), adapters.Temporary},
		{"connection cut before the answer", Cut(0, Status(200, "x")), adapters.Temporary},
		{"connection cut in the answer", Cut(20, o.Upstream), adapters.Temporary},
		{"200 html", Status(200, "<html>점검 중</html>", "Content-Type", "text/html"), adapters.Temporary},
		{"200 empty", Status(200, ""), adapters.Temporary},
		{"200 half", Status(200, `{"data":`, "Content-Type", "application/json"), adapters.Temporary},
	}
	for _, f := range faults {
		run(f.name, func(t *testing.T, u *under) { u.fails(t, f.fault, f.want) })
	}
	for _, code := range []int{400, 401, 429, 500} {
		run(fmt.Sprintf("secrets repeated with %d", code), func(t *testing.T, u *under) {
			u.faults.Set(Echo(code))
			_, err := u.source.Fetch(t.Context(), o.Query)
			u.check(t, err)
		})
	}
}

// under is one source with its own upstream.
type under struct {
	o      SourceOptions
	source adapters.Source
	faults *Faults
	bodies *bodies
}

func open(t *testing.T, o SourceOptions) *under {
	t.Helper()
	u := &under{o: o, faults: NewFaults(o.Upstream)}
	server := httptest.NewServer(u.faults)
	base := &http.Transport{}
	u.bodies = &bodies{next: base}
	u.source = o.Open(rest.Options{BaseURL: server.URL, Timeout: 20 * time.Second, MaxBody: maxBody, Transport: u.bodies})
	t.Cleanup(func() {
		if n := u.bodies.open.Load(); n != 0 {
			t.Errorf("%d bodies of answers are not closed", n)
		}
		base.CloseIdleConnections()
		server.Close()
	})
	return u
}

// pages follows Next from the first page to the end.
func (u *under) pages(t *testing.T) (pages []adapters.Page, cursors []adapters.Cursor) {
	t.Helper()
	q := u.o.Query
	q.Cursor = ""
	for range maxPages {
		p, err := u.source.Fetch(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d: %v", len(pages)+1, err)
		}
		pages, cursors = append(pages, p), append(cursors, q.Cursor)
		if p.Next == "" {
			return pages, cursors
		}
		if p.Next == q.Cursor {
			t.Fatalf("page %d leads to itself", len(pages))
		}
		q.Cursor = p.Next
	}
	t.Fatalf("the list has not ended after %d pages", maxPages)
	return nil, nil
}

func (u *under) walk(t *testing.T) {
	pages, _ := u.pages(t)
	if len(pages) < 2 != u.o.OnePage {
		t.Fatalf("the list has %d pages; the contract needs two, or OnePage", len(pages))
	}
	var keys []string
	for i, p := range pages {
		var newest time.Time
		for _, r := range p.Records {
			if r.Stream == "" || r.Key == "" {
				t.Errorf("page %d: record without stream or key: %q %q", i+1, r.Stream, r.Key)
			}
			if !json.Valid(r.Data) {
				t.Errorf("page %d: data of %s is not JSON", i+1, r.Key)
			}
			if !r.Pinned && r.Time.After(newest) {
				newest = r.Time
			}
			keys = append(keys, r.Key)
		}
		if !p.Newest.Equal(newest) {
			t.Errorf("page %d: newest is %v, want %v", i+1, p.Newest, newest)
		}
		if p.Total < 0 {
			t.Errorf("page %d: total is %d", i+1, p.Total)
		}
	}
	slices.Sort(keys)
	if n := len(keys) - len(slices.Compact(slices.Clone(keys))); n > 0 {
		t.Errorf("%d records came twice", n)
	}
	if u.o.Keys != nil {
		if diff := cmp.Diff(slices.Sorted(slices.Values(u.o.Keys)), keys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}
}

func (u *under) sameTwice(t *testing.T) {
	pages, cursors := u.pages(t)
	for i, cursor := range cursors {
		q := u.o.Query
		q.Cursor = cursor
		again, err := u.source.Fetch(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d again: %v", i+1, err)
		}
		if diff := cmp.Diff(keysOf(pages[i]), keysOf(again)); diff != "" {
			t.Errorf("page %d (-first +again):\n%s", i+1, diff)
		}
	}
}

// concurrent finds data races: a source serves many lists at the same time.
func (u *under) concurrent(t *testing.T) {
	var wg sync.WaitGroup
	got := make([][]string, 8)
	for i := range got {
		wg.Go(func() {
			p, err := u.source.Fetch(t.Context(), u.o.Query)
			if err != nil {
				t.Error(err)
			}
			got[i] = keysOf(p)
		})
	}
	wg.Wait()
	for i := range got {
		if diff := cmp.Diff(got[0], got[i]); diff != "" {
			t.Errorf("fetch %d (-first +this):\n%s", i, diff)
		}
	}
}

func (u *under) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reached := make(chan struct{}, 1)
	u.faults.Set(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has left
		reached <- struct{}{}
		<-r.Context().Done()
	}))
	done := make(chan error, 1)
	go func() {
		_, err := u.source.Fetch(ctx, u.o.Query)
		done <- err
	}()
	<-reached
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		u.check(t, err)
	case <-time.After(atOnce):
		t.Fatal("Fetch goes on after its context was cancelled")
	}
	before := u.faults.Requests()
	if _, err := u.source.Fetch(ctx, u.o.Query); !errors.Is(err, context.Canceled) {
		t.Errorf("begun after cancelling: got %v, want %v", err, context.Canceled)
	}
	if n := u.faults.Requests() - before; n != 0 {
		t.Errorf("begun after cancelling: %d requests left", n)
	}
}

func (u *under) huge(t *testing.T) {
	const slack = 16 << 20 // what buffers between two sockets may hold
	var sent atomic.Int64
	u.fails(t, Huge(maxBody+4*slack, &sent), adapters.Temporary)
	if n := sent.Load(); n > maxBody+slack {
		t.Errorf("%d bytes were taken of an answer of which %d are allowed", n, maxBody)
	}
}

func (u *under) fails(t *testing.T, fault http.Handler, want adapters.Kind) {
	t.Helper()
	u.faults.Set(fault)
	p, err := u.source.Fetch(t.Context(), u.o.Query)
	u.check(t, err)
	e := adapters.Classify(err)
	if e == nil {
		t.Fatalf("no error, but %d records and next %q", len(p.Records), p.Next)
	}
	if e.Kind != want {
		t.Errorf("got %v (%v), want %v", e.Kind, err, want)
	}
	if e.Upstream == "" {
		t.Errorf("the error does not name its upstream: %v", err)
	}
	if want == adapters.Throttled && e.After <= 0 {
		t.Errorf("throttled, but it does not say for how long: %v", err)
	}
}

// check looks for secrets in err.
func (u *under) check(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v %q", err, err, err)
	for _, s := range u.o.Secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("a secret is in the error: %s", strings.ReplaceAll(text, s, "[HERE]"))
		}
	}
}

func keysOf(p adapters.Page) []string {
	keys := make([]string, len(p.Records))
	for i, r := range p.Records {
		keys[i] = r.Stream + " " + r.Key
	}
	return keys
}
