package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// browse opens a view of the large state, which lives by the clock of this machine, and gives the address of the page.
func browse(t *testing.T, change ...func(*web.Server)) (*web.Server, string) {
	t.Helper()
	s := overviewOf(bigtest.Open(t, postgres))
	for _, f := range change {
		f(s)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.CloseLive()
		srv.Close()
	})
	return s, srv.URL
}

// looks are the ways in which each view is looked at.
func looks() map[string]browsertest.Options {
	return map[string]browsertest.Options{
		"desktop-light-ko": {Width: 1440, Height: 1000, Language: "ko"},
		"desktop-dark-en":  {Width: 1440, Height: 1000, Language: "en", Dark: true},
		"phone-light-en":   {Width: 390, Height: 844, Language: "en"},
		"phone-dark-ko":    {Width: 390, Height: 844, Language: "ko", Dark: true},
	}
}

// TestOverviewInBrowser looks at the overview of the large state on a desktop and a telephone, by day and by night.
func TestOverviewInBrowser(t *testing.T) {
	t.Parallel()
	_, url := browse(t)
	for name, o := range looks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.Open(t, url+"/", o)
			p.Wait(`document.querySelector("#live.live")`)
			if got := browsertest.Eval[string](p, `document.documentElement.lang`); got != o.Language {
				t.Errorf("the language is %s", got)
			}
			if got := p.Text("#overview-figures"); !strings.Contains(got, "100,000") || !strings.Contains(got, "50,000") {
				t.Errorf("the figures are %s", got)
			}
			if n := p.Wide(); n != 0 {
				t.Errorf("it is %d pixels too wide", n)
			}
			if bad := browsertest.Eval[[]string](p, contrastScript); len(bad) > 0 {
				t.Errorf("too little contrast: %q", bad)
			}
			t.Logf("ready after %.0f ms", browsertest.Eval[float64](p, `performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`))
			p.Screenshot("overview-" + name)
		})
	}
}

// contrastScript names the texts whose contrast is below what WCAG AA asks for.
const contrastScript = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
	const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
	const bad = new Set();
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
		if (!text || !e.checkVisibility() || e.closest("script, progress, svg")) continue;
		const style = getComputedStyle(e), a = light(rgba(style.color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
		if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) bad.add(ratio.toFixed(2) + " " + text.slice(0, 30));
	}
	return [...bad];
})()`

// TestOverviewLives changes the state and wants the page to show it without being loaded again.
func TestOverviewLives(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var broken atomic.Bool
	s, url := browse(t, func(s *web.Server) {
		s.Rates = func() []web.Rate {
			if broken.Load() {
				panic("국물")
			}
			seconds := make([]int, 300)
			seconds[299] = int(calls.Load())
			return []web.Rate{{Upstream: "instagram", Seconds: seconds}} // without a limit it is not counted together
		}
	})
	p := browsertest.Open(t, url+"/", browsertest.Options{Language: "en"})
	p.Wait(`document.querySelector("#live.live") && document.querySelector("#overview-rates figcaption").innerText.includes("0.0")`)
	loads := func() int {
		return len(slices.DeleteFunc(p.Requests(), func(u string) bool { return u != url+"/" }))
	}
	before := loads()
	line := browsertest.Eval[string](p, `document.querySelector("#overview-rates .line").getAttribute("points")`)
	calls.Store(50)
	p.Wait(`document.querySelector("#overview-rates figcaption").innerText.includes("5.0")`)
	if got := browsertest.Eval[string](p, `document.querySelector("#overview-rates .line").getAttribute("points")`); got == line {
		t.Error("the chart stays as it was")
	}
	runs, err := s.Store.OpenRuns(t.Context())
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	err = s.Store.Tx(t.Context(), func(tx *queue.Tx) error { return tx.StopRun(runs[0].ID, "열쇠가 <b>없다</b>") })
	if err != nil {
		t.Fatal(err)
	}
	p.Wait(`document.querySelector("#overview-pipelines").innerText.includes("waits for you") && document.querySelector("#overview-pipelines .alert").innerText === "열쇠가 <b>없다</b>"`)
	// What cannot be read is not shown as live.
	broken.Store(true)
	p.Wait(`document.querySelector("#live.lost")?.innerText === "not live"`)
	broken.Store(false)
	p.Wait(`document.querySelector("#live.live")?.innerText === "live"`)
	if n := loads(); n != before {
		t.Errorf("the page was loaded %d times", n)
	}
}

// TestOverviewByKeyboard asks for a retry without a mouse: the question comes as a dialog, is left with Escape, and comes again.
func TestOverviewByKeyboard(t *testing.T) {
	t.Parallel()
	s, url := browse(t)
	p := browsertest.Open(t, url+"/", browsertest.Options{Language: "en"})
	p.Wait(`document.querySelector("#live.live")`)
	p.Press("\t")
	if got := browsertest.Eval[string](p, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first key leads to %q", got)
	}
	browsertest.Eval[any](p, `document.querySelector('a[href="/dead/retry"]').focus()`)
	p.Press("\r")
	p.Wait(`document.getElementById("dialog").open && document.activeElement.matches("#dialog .primary")`)
	if got := p.Text("#dialog h1"); got != "Try again what was given up?" {
		t.Errorf("the question is %q", got)
	}
	p.Screenshot("overview-dialog")
	for range 3 {
		p.Held("\r")
	}
	if a, err := s.Store.Attention(t.Context()); err != nil || a.DeadJobs == 0 || !browsertest.Eval[bool](p, `document.getElementById("dialog").open`) {
		t.Errorf("the key that asked has answered, too: %+v, %v", a, err)
	}
	p.Press("\x1b")
	p.Wait(`!document.getElementById("dialog").open && document.activeElement.matches('a[href="/dead/retry"]')`)
	p.Press("\r")
	p.Wait(`document.getElementById("dialog").open`)
	p.Press("\r")
	p.Wait(`document.querySelector(".said")?.innerText.startsWith("Tried again:")`)
	if a, err := s.Store.Attention(t.Context()); err != nil || a.DeadJobs+a.DeadQuestions != 0 {
		t.Errorf("still dead: %+v, %v", a, err)
	}
}

// TestLookInBrowser switches language and theme, and comes back to the same view each time.
func TestLookInBrowser(t *testing.T) {
	t.Parallel()
	_, url := browse(t)
	p := browsertest.Open(t, url+"/?from=%EC%A7%80%EB%8F%84", browsertest.Options{Language: "en"})
	p.Click(`.looks button[name="lang"]`)
	p.Wait(`document.documentElement.lang === "ko" && location.search.includes("from=")`)
	for _, want := range []string{"light", "dark", ""} {
		p.Click(`.looks button[name="theme"]`)
		p.Wait(fmt.Sprintf(`document.readyState === "complete" && (document.documentElement.dataset.theme ?? "") === %q`, want))
	}
}

// TestWithoutScript uses the page where no script runs: the question is a page of its own.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	s, url := browse(t)
	p := browsertest.Open(t, url+"/", browsertest.Options{Language: "ko", NoScript: true})
	p.Click(`a[href="/dead/retry"]`)
	p.Wait(`location.pathname === "/dead/retry" && document.querySelector(".confirm .primary")`)
	p.Click(`.confirm .primary`)
	p.Wait(`location.pathname === "/" && document.querySelector(".said")`)
	if a, err := s.Store.Attention(t.Context()); err != nil || a.DeadJobs+a.DeadQuestions != 0 {
		t.Errorf("still dead: %+v, %v", a, err)
	}
}

// TestLoginInBrowser logs in, and out again.
func TestLoginInBrowser(t *testing.T) {
	t.Parallel()
	_, url := browse(t, func(s *web.Server) { s.Token = token })
	for name, o := range looks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.Open(t, url+"/", o)
			p.Allow("401") // that is how the page answers
			if bad := browsertest.Eval[[]string](p, contrastScript); len(bad) > 0 || p.Wide() != 0 {
				t.Errorf("too little contrast: %q, %d pixels too wide", bad, p.Wide())
			}
			p.Screenshot("login-" + name)
			p.Fill("#token", token)
			p.Click(`.login button`)
			p.Wait(`document.querySelector("#live.live")`)
			p.Click(`form[action="/logout"] button`)
			p.Wait(`location.pathname === "/login" && document.querySelector("#token")`)
			// Who wanted to see something else comes there.
			p.Go(url + "/map?q=%EA%B5%AD%EB%B0%A5")
			p.Fill("#token", token)
			p.Click(`.login button`)
			p.Wait(`location.pathname === "/map" && document.querySelector("input[name=q]").value === "국밥"`)
		})
	}
}

// TestLiveComesBack has a page whose events are refused twice, as while a server is exchanged: it is live again by itself. When
// the server no longer knows the visitor it asks for the token.
func TestLiveComesBack(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, token)
	s := overviewOf(w.Store)
	s.Token = token
	h := s.Handler()
	var refuse atomic.Bool
	var refused atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" && refuse.Load() {
			refused.Add(1)
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseLive()
		srv.Close()
	})
	p := browsertest.Open(t, srv.URL+"/", browsertest.Options{Language: "en"})
	p.Allow("401")
	p.Allow("502")
	refuse.Store(true)
	p.Fill("#token", token)
	p.Click(`.login button`)
	p.Wait(`document.querySelector("#live.lost")`)
	until(t, "it does not come again", func() bool { return refused.Load() > 1 })
	refuse.Store(false)
	p.Wait(`document.querySelector("#live.live")`)
	browsertest.Eval[string](p, `fetch("/logout", { method: "POST" }).then((answer) => answer.text())`)
	refuse.Store(true)
	before := refused.Load()
	srv.CloseClientConnections()
	until(t, "it does not come back", func() bool { return refused.Load() > before })
	refuse.Store(false)
	p.Wait(`document.querySelector("#token")`)
}
