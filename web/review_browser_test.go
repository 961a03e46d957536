package web_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// looks are how people look at the page.
var looks = []struct {
	name string
	browsertest.Options
}{
	{"1440-light-ko", browsertest.Options{}},
	{"1440-dark-en", browsertest.Options{Dark: true, Language: "en"}},
	{"390-light-en", browsertest.Options{Width: 390, Language: "en"}},
	{"390-dark-ko", browsertest.Options{Width: 390, Dark: true}},
}

// bigPage serves the large state.
func bigPage(t *testing.T) (*queue.Store, string) {
	t.Helper()
	s := bigtest.Open(t, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.DiscardHandler), By: "사장님"}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// ready is how long the page that is shown took until it was ready.
func ready(p *browsertest.Page) time.Duration {
	ms := browsertest.Eval[float64](p, `(() => { const n = performance.getEntriesByType("navigation")[0]; return n.domContentLoadedEventEnd - n.startTime; })()`)
	return time.Duration(ms * float64(time.Millisecond))
}

// TestLooksOfReviews opens reviews, places and posts of a large state as people look at them.
func TestLooksOfReviews(t *testing.T) {
	t.Parallel()
	s, url := bigPage(t)
	ctx := t.Context()
	waiting, err := s.Reviews(ctx, queue.ReviewFilter{}, 0, 3)
	if err != nil || len(waiting) == 0 {
		t.Fatal(waiting, err)
	}
	lines, err := s.PlaceLines(ctx, "", false, 1)
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	nasty, err := s.PlaceLines(ctx, "<img", false, 1)
	if err != nil || len(nasty) == 0 {
		t.Fatal(nasty, err)
	}
	paths := map[string]string{
		"review": fmt.Sprintf("/review?after=%d", waiting[0].ID-1), "place": "/places/" + lines[0].ID, "nasty": "/places/" + nasty[0].ID,
		"post": "/posts/post/" + waiting[0].Record.Key,
	}
	for _, look := range looks {
		p := browsertest.Open(t, url+"/review", look.Options)
		for name, path := range paths {
			p.Go(url + path)
			if took := ready(p); took > time.Second {
				t.Errorf("%s %s is ready after %s", look.name, name, took)
			} else {
				t.Logf("%s %s is ready after %s", look.name, name, took)
			}
			if by := p.Wide(); by > 0 {
				t.Errorf("%s %s is %d pixels too wide", look.name, name, by)
			}
			p.Screenshot(name + "-" + look.name)
		}
	}
}
