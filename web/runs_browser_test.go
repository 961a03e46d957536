package web_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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

// TestRunsLooks looks at each view as people do: narrow and wide, light and dark, in both languages. Where pictures are wanted
// there is one of each.
func TestRunsLooks(t *testing.T) {
	s, at := serveBig(t)
	looks := []struct {
		name string
		browsertest.Options
	}{
		{"1440-light-ko", browsertest.Options{Width: 1440, Height: 1400}},
		{"390-dark-en", browsertest.Options{Width: 390, Height: 1700, Dark: true, Language: "en"}},
		{"1440-dark-en", browsertest.Options{Width: 1440, Height: 1400, Dark: true, Language: "en"}},
		{"390-light-ko", browsertest.Options{Width: 390, Height: 1700}},
	}
	if os.Getenv("SUMBI_SCREENSHOTS") == "" {
		looks = looks[:2]
	}
	views := runsViews(t, s)
	for _, o := range looks {
		p := browsertest.Open(t, at+"/runs", o.Options)
		for name, path := range views {
			p.Go(at + path)
			if wide := p.Wide(); wide > 0 {
				t.Errorf("%s at %s: %d pixels too wide", name, o.name, wide)
			}
			korean := browsertest.Eval[string](p, `document.documentElement.lang`) == "ko"
			if korean != strings.HasSuffix(o.name, "ko") {
				t.Errorf("%s at %s: Korean is %v", name, o.name, korean)
			}
			if o.Width < 600 && !browsertest.Eval[bool](p, `(() => { const b = document.querySelector(".top [aria-current]").getBoundingClientRect(); return b.left >= 0 && b.right < innerWidth + 1 })()`) {
				t.Errorf("%s at %s: where one is cannot be seen above", name, o.name)
			}
			if n := browsertest.Eval[int](p, `document.querySelectorAll("h1").length`); n != 1 {
				t.Errorf("%s has %d headings", name, n)
			}
			if bare := browsertest.Eval[[]string](p, `[...document.querySelectorAll("main a, main button, main input:not([type=hidden]), main select")].filter(e => !(e.innerText || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)`); len(bare) > 0 {
				t.Errorf("%s: nothing says what these are: %q", name, bare)
			}
			p.Screenshot("runs-" + name + "-" + o.name)
		}
	}
}

// TestRunsQuick shows each view of the large state, and logs how long it takes from the click to what is to be seen.
func TestRunsQuick(t *testing.T) {
	s, at := serveBig(t)
	views := runsViews(t, s)
	p := browsertest.Open(t, at+"/runs", browsertest.Options{})
	for name, path := range views {
		best := time.Hour
		for range 3 { // others may be at work on the machine
			p.Go(at + path)
			took := browsertest.Eval[float64](p, `performance.getEntriesByType("navigation")[0].domComplete`)
			best = min(best, time.Duration(took*float64(time.Millisecond)))
		}
		t.Logf("%-12s %s", name, best.Round(time.Millisecond))
	}
}

// TestJobsByHand filters jobs, tries some again, and drops one with nothing but the keyboard.
func TestJobsByHand(t *testing.T) {
	s, at := serveBig(t)
	p := browsertest.Open(t, at+"/jobs", browsertest.Options{Language: "en"})
	p.Click(`.tabs a[href*="state=dead"]`)
	p.Wait(`location.search.includes("state=dead") && document.querySelectorAll("tbody tr").length === 50`)
	p.Fill(`select[name="kind"]`, "match")
	p.Click(`.filters button`)
	p.Wait(`location.search.includes("kind=match") && document.querySelectorAll("tbody tr").length === 50`)
	if kinds := p.Text("tbody"); strings.Contains(kinds, " page\n") || !strings.Contains(kinds, "did not answer in time") {
		t.Errorf("the matches: %s", kinds)
	}
	if !browsertest.Eval[bool](p, `[...document.querySelectorAll("button[name=do]")].every(b => b.disabled)`) {
		t.Error("something can be done with nothing")
	}

	// Some: asked about, left, asked about again, done.
	p.Click(`tbody tr:nth-child(1) input`)
	p.Click(`tbody tr:nth-child(3) input`)
	ids := browsertest.Eval[[]int64](p, `[...document.querySelectorAll("input[name=id]:checked")].map(b => +b.value)`)
	p.Click(`button[value="retry"]`)
	p.Wait(`document.querySelector("dialog[open]")`)
	if q := p.Text("dialog"); !strings.Contains(q, "2 selected.") {
		t.Errorf("the question: %s", q)
	}
	p.Screenshot("runs-question-1440-light-en")
	p.Press(kb.Escape)
	p.Wait(`!document.querySelector("dialog[open]")`)
	if j, _, err := s.Job(t.Context(), ids[0]); err != nil || j.State != "dead" {
		t.Errorf("a question that was left: %+v %v", j, err)
	}
	p.Click(`button[value="retry"]`)
	p.Wait(`document.querySelector("dialog[open] .primary") === document.activeElement`)
	p.Press(kb.Enter)
	p.Wait(`document.querySelector(".said")?.innerText === "Retried: 2"`)
	if !browsertest.Eval[bool](p, `location.search.includes("kind=match") && location.search.includes("state=dead")`) {
		t.Error("the filter is lost")
	}
	for _, id := range ids {
		if j, _, err := s.Job(t.Context(), id); err != nil || j.State == "dead" {
			t.Errorf("job %d: %+v %v", id, j, err)
		}
	}

	// All on the page.
	p.Click(`[data-all] input`)
	p.Click(`button[value="drop"]`)
	p.Wait(`document.querySelector("dialog[open]")?.innerText.includes("50 selected.")`)
	p.Click(`dialog [data-close]`)
	p.Wait(`!document.querySelector("dialog[open]")`)

	// One, by the keyboard alone.
	var dead int64
	p.Click(`tbody th a`)
	p.Wait(`document.querySelector("h1")?.innerText.startsWith("Job ")`)
	dead = browsertest.Eval[int64](p, `+document.querySelector("h1").innerText.slice(4)`)
	tabTo(t, p, `a.danger`)
	p.Press(kb.Enter)
	p.Wait(`document.querySelector("dialog[open] [data-close]") === document.activeElement`)
	if q := p.Text("dialog"); !strings.Contains(q, "1 selected.") {
		t.Errorf("the question: %s", q)
	}
	tabTo(t, p, `dialog .danger`)
	p.Press(kb.Enter)
	p.Wait(`document.querySelector(".said")?.innerText === "Dropped: 1"`)
	if js, err := s.FindJobs(t.Context(), queue.JobFilter{Most: dead}, dead+1, 1); err != nil || (len(js) > 0 && js[0].ID == dead) {
		t.Errorf("job %d is still there: %v", dead, err)
	}
}

// tabTo presses the tabulator until the focus is on what a CSS selector names.
func tabTo(t *testing.T, p *browsertest.Page, css string) {
	t.Helper()
	for range 60 {
		p.Press(kb.Tab)
		if browsertest.Eval[bool](p, `document.activeElement?.matches("`+css+`")`) {
			return
		}
	}
	t.Fatalf("the focus does not come to %s", css)
}

// TestDeadByCause tries all of a cause again.
func TestDeadByCause(t *testing.T) {
	s, at := serveBig(t)
	p := browsertest.Open(t, at+"/dead", browsertest.Options{Width: 390})
	groups, err := s.DeadGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := groups[0]
	p.Click(`tbody tr:nth-child(1) a[href*="do=retry"]`)
	p.Wait(`document.querySelector("dialog[open]")`)
	if q := p.Text("dialog"); !strings.Contains(q, fmt.Sprint(g.N, "건을 선택했습니다")) || !strings.Contains(q, g.Cause) {
		t.Errorf("the question: %s", q)
	}
	p.Screenshot("runs-question-390-light-ko")
	p.Press(kb.Enter)
	p.Wait(`document.querySelector(".said")?.innerText === "다시 시도한 작업: ` + fmt.Sprint(g.N) + `건"`)
	left, err := s.DeadGroups(t.Context())
	if err != nil || len(left) != len(groups)-1 {
		t.Errorf("%d groups of %d are left (%v)", len(left), len(groups), err)
	}

	// The questions of a cause.
	p.Click(`a[href^="/dead/questions"]`)
	p.Wait(`document.querySelectorAll(".questions li").length > 5`)
	p.Screenshot("runs-questions-390-light-ko")
	if p.Wide() > 0 {
		t.Error("the questions are too wide")
	}
	p.Click(`.questions li:nth-child(2) input`)
	p.Click(`button[value="drop"]`)
	p.Wait(`document.querySelector("dialog[open]")?.innerText.includes("1건을 선택했습니다")`)
	p.Click(`dialog .danger`)
	p.Wait(`document.querySelector(".said")?.innerText === "버린 작업: 1건"`)
}

// TestJobsHeldEnter holds down the Enter that asks, a second time, too: it answers nothing. Nor does the one that leaves the question
// ask it again.
func TestJobsHeldEnter(t *testing.T) {
	t.Parallel()
	_, at := serveBig(t)
	p := browsertest.Open(t, at+"/dead", browsertest.Options{Language: "en"})
	questions := browsertest.Eval[string](p, `document.querySelector('a[href^="/dead/questions"]').getAttribute("href")`)
	for _, path := range []string{"/jobs?state=dead&kind=match", questions} {
		p.Go(at + path)
		p.Wait(`document.readyState === "complete" && document.querySelector("[data-all]").hidden === false`)
		browsertest.Eval[any](p, `(() => {
			window.asks = window.answers = 0;
			document.querySelector("form[data-ask]").addEventListener("submit", () => window.asks++);
			document.getElementById("dialog").addEventListener("submit", (e) => { e.preventDefault(); window.answers++; });
		})()`)
		p.Click(`input[name="id"]`)
		for n := range 2 {
			browsertest.Eval[any](p, `document.querySelector('button[value="retry"]').focus()`)
			p.Press(kb.Enter)
			p.Wait(`document.activeElement.matches("dialog[open] .primary")`)
			for range 3 {
				p.Held(kb.Enter)
			}
			if answers := browsertest.Eval[int](p, `window.answers`); answers != 0 {
				t.Errorf("%s: the key that asks answers %d times", path, answers)
			}
			tabTo(t, p, `dialog [data-close]`)
			p.Press(kb.Enter)
			p.Wait(`document.activeElement.matches("button[value=retry]")`)
			for range 3 {
				p.Held(kb.Enter)
			}
			if asks := browsertest.Eval[int](p, `window.asks`); asks != n+1 {
				t.Errorf("%s: it was asked %d times, want %d", path, asks, n+1)
			}
		}
		browsertest.Eval[any](p, `document.querySelector('button[value="retry"]').focus()`)
		p.Press(kb.Enter)
		p.Wait(`document.activeElement.matches("dialog[open] .primary")`)
		p.Press(kb.Enter)
		p.Wait(`window.answers === 1`)
	}
}

// TestJobsWithoutScript does the same without a script: the question is a page of its own.
func TestJobsWithoutScript(t *testing.T) {
	_, at := serveBig(t)
	p := browsertest.Open(t, at+"/jobs?state=dead", browsertest.Options{Language: "en", NoScript: true})
	p.Click(`tbody tr:nth-child(2) input`)
	p.Click(`button[value="drop"]`)
	p.Do(chromedp.WaitVisible(chromedp.CSS(`main > .confirm`)))
	p.Screenshot("runs-question-noscript")
	p.Click(`.confirm .danger`)
	p.Do(chromedp.WaitVisible(chromedp.CSS(`.said`)))
	p.Click(`a[href*="all=1"].danger`)
	p.Do(chromedp.WaitVisible(chromedp.CSS(`main > .confirm`)))
}

// TestRunIsLive wants the figures of a run to change without a reload.
func TestRunIsLive(t *testing.T) {
	s, at := serveBig(t)
	runs, err := s.Runs(t.Context(), "", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := browsertest.Open(t, at+fmt.Sprint("/runs/", runs[0].ID), browsertest.Options{Language: "en"})
	p.Wait(`document.querySelector("#run-now .facts")?.innerText.includes("240")`)
	browsertest.Eval[bool](p, `(window.same = true)`)
	if err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Count(runs[0].ID, 4000, 321, 0, time.Second) }); err != nil {
		t.Fatal(err)
	}
	p.Wait(`document.querySelector("#run-now .facts")?.innerText.includes("4,240")`)
	// What it cost, too: the parts below do not stay behind the figures above.
	if err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Book(runs[0].ID, "국물집", queue.UsedRequests, 7_654, 0) }); err != nil {
		t.Fatal(err)
	}
	p.Wait(`document.querySelector("#run-parts").innerText.includes("7,654")`)
	if !browsertest.Eval[bool](p, `window.same === true`) {
		t.Error("the page was loaded anew")
	}
}

// TestRunsInjection wants names, notes and errors of others to be nothing but text.
func TestRunsInjection(t *testing.T) {
	s := open(t)
	nasty := append(bigtest.Nasty(), strings.Repeat("🍜", 10_000))
	errs := map[string]error{}
	for i, text := range nasty {
		errs[fmt.Sprint("match:", i, text)] = errors.New(text)
	}
	failing(t, s, "인스타", errs)
	if err := s.Tx(t.Context(), func(tx *queue.Tx) error {
		run, _, err := tx.AskRun(nasty[0], false, nasty)
		if err != nil {
			return err
		}
		if err := tx.StartRun(run.ID); err != nil {
			return err
		}
		for i, target := range nasty {
			ws, err := tx.Begin(run, target, []string{nasty[(i+1)%len(nasty)]})
			if err != nil {
				return err
			}
			w := ws[0]
			w.State, w.Note, w.Pages, w.Cuts = queue.WalkUnfinished, target, 3, 2
			if err := errors.Join(tx.Advance(&w), tx.NameTarget(run.Pipeline, target, target, target)); err != nil {
				return err
			}
		}
		for _, lane := range nasty[:len(nasty)-1] { // whoever writes the configuration gives them their names
			if err := tx.AddSlots(run.ID, lane, map[string]float64{lane: 1}); err != nil {
				return err
			}
		}
		b, err := tx.NewBatch(run.Pipeline, nasty[1])
		b.Note, b.Status, b.UpstreamID = nasty[0], nasty[1], nasty[2]
		return errors.Join(err, tx.SaveBatch(b), tx.StopRun(run.ID, nasty[0]))
	}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer((&web.Server{Store: s, Log: slog.New(slog.DiscardHandler)}).Handler())
	t.Cleanup(srv.Close)
	p := browsertest.Open(t, srv.URL+"/runs", browsertest.Options{Width: 390})
	paths := []string{"/runs", "/runs/1", "/jobs", "/jobs?state=dead&cause=" + url.QueryEscape(nasty[0]), "/dead", "/batches", "/batches/1", "/accounts", "/accounts?name=" + url.QueryEscape(nasty[0])}
	for i, text := range nasty[:len(nasty)-1] {
		paths = append(paths, fmt.Sprint("/jobs/", i+1), "/accounts/"+url.PathEscape(nasty[0])+"/"+url.PathEscape(text))
	}
	for _, path := range paths {
		p.Go(srv.URL + path)
		if title := browsertest.Eval[string](p, `document.title`); !strings.HasSuffix(title, "· sumbi") {
			t.Errorf("%s: the title is %q", path, title)
		}
		if made := browsertest.Eval[[]string](p, `[...document.querySelectorAll("main img, main b, main i, main script:not([src])")].map(e => e.outerHTML)`); len(made) > 0 {
			t.Errorf("%s: made of text: %q", path, made)
		}
		if browsertest.Eval[bool](p, `document.querySelector("main h1").innerText.includes("그런")`) {
			t.Errorf("%s is not there", path)
		}
		if wide := p.Wide(); wide > 0 {
			t.Errorf("%s: %d pixels too wide", path, wide)
		}
		if high := browsertest.Eval[int](p, `document.documentElement.scrollHeight`); high > 9000 {
			t.Errorf("%s is %d pixels high", path, high)
		}
	}
	p.Go(srv.URL + "/accounts")
	for _, text := range nasty[:len(nasty)-1] {
		if !browsertest.Eval[bool](p, `[...document.querySelectorAll("tbody th a bdi")].some(e => e.textContent === `+fmt.Sprintf("%q", text)+`)`) {
			t.Errorf("%q is not shown as it is", text)
		}
	}
	p.Screenshot("runs-injection")
}
