package web_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// serveBig serves the large state, as a process that only looks at it does.
func serveBig(t *testing.T) (*queue.Store, string) {
	t.Helper()
	s := bigtest.Open(t, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.DiscardHandler)}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// runsViews are the views of runs and jobs with what makes them large.
func runsViews(t *testing.T, s *queue.Store) map[string]string {
	t.Helper()
	dead, err := s.FindJobs(t.Context(), queue.JobFilter{State: "dead", Kind: "page"}, 0, 1)
	if err != nil || len(dead) != 1 {
		t.Fatal(dead, err)
	}
	match, err := s.FindJobs(t.Context(), queue.JobFilter{State: "ready", Kind: "match"}, 0, 1)
	if err != nil || len(match) != 1 {
		t.Fatal(match, err)
	}
	runs, err := s.Runs(t.Context(), "", 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := s.Batches(t.Context(), queue.BatchFilter{State: "running"}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := s.Accounts(t.Context(), queue.AccountFilter{State: "gap"}, queue.AccountID{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	a := accounts[0]
	return map[string]string{
		"runs": "/runs", "run": fmt.Sprint("/runs/", runs[0].ID), "run-over": fmt.Sprint("/runs/", runs[1].ID),
		"jobs": "/jobs", "jobs-dead": "/jobs?state=dead", "jobs-cause": "/jobs?state=dead&cause=" + url.QueryEscape("dial tcp: i/o timeout"),
		"job-dead": fmt.Sprint("/jobs/", dead[0].ID), "job-match": fmt.Sprint("/jobs/", match[0].ID),
		"accounts": "/accounts", "account": "/accounts/" + url.PathEscape(a.Pipeline) + "/" + url.PathEscape(a.Target),
		"batches": "/batches", "batch": fmt.Sprint("/batches/", batches[0].ID), "dead": "/dead",
	}
}

// TestRunsLooks looks at each view as people do: narrow and wide, light and dark, in both languages.
func TestRunsLooks(t *testing.T) {
	s, at := serveBig(t)
	for name, path := range runsViews(t, s) {
		for _, o := range []struct {
			name string
			browsertest.Options
		}{
			{"1440-light-ko", browsertest.Options{Width: 1440, Height: 1400}},
			{"1440-dark-en", browsertest.Options{Width: 1440, Height: 1400, Dark: true, Language: "en"}},
			{"390-light-en", browsertest.Options{Width: 390, Height: 1700, Language: "en"}},
			{"390-dark-ko", browsertest.Options{Width: 390, Height: 1700, Dark: true}},
		} {
			p := browsertest.Open(t, at+path, o.Options)
			if wide := p.Wide(); wide > 0 {
				t.Errorf("%s at %s: %d pixels too wide", name, o.name, wide)
			}
			korean := browsertest.Eval[string](p, `document.documentElement.lang`) == "ko"
			if korean != strings.HasSuffix(o.name, "ko") {
				t.Errorf("%s at %s: Korean is %v", name, o.name, korean)
			}
			if browsertest.Eval[int](p, `document.querySelectorAll("h1").length`) != 1 {
				t.Errorf("%s has not one heading", name)
			}
			p.Screenshot("runs-" + name + "-" + o.name)
		}
	}
}

// TestRunsQuick wants each view of the large state well under a second, from the click to what is to be seen.
func TestRunsQuick(t *testing.T) {
	s, at := serveBig(t)
	views := runsViews(t, s)
	p := browsertest.Open(t, at+"/runs", browsertest.Options{})
	for name, path := range views {
		best := time.Hour
		for range 3 {
			p.Go(at + path)
			took := browsertest.Eval[float64](p, `performance.getEntriesByType("navigation")[0].domComplete`)
			best = min(best, time.Duration(took*float64(time.Millisecond)))
		}
		t.Logf("%-12s %s", name, best.Round(time.Millisecond))
		if best > 900*time.Millisecond {
			t.Errorf("%s took %s", name, best)
		}
	}
}
