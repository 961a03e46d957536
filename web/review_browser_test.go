package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/text/unicode/norm"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// bigPage serves the large state.
func bigPage(t *testing.T) (*queue.Store, string) {
	t.Helper()
	w, url := browse(t, func(w *web.Server) { w.By = "사장님" })
	return w.Store, url
}

// ready is how long the page that is shown took until it was ready.
func ready(p *browsertest.Page) time.Duration {
	ms := browsertest.Eval[float64](p, `(() => { const n = performance.getEntriesByType("navigation")[0]; return n.domContentLoadedEventEnd - n.startTime; })()`)
	return time.Duration(ms * float64(time.Millisecond))
}

// TestLooksOfReviews opens reviews, places and posts of a large state as people look at them. Each is ready within a second; of
// three times the best counts, for others work on this machine, too.
func TestLooksOfReviews(t *testing.T) {
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
	for look, o := range looks() {
		p := browsertest.Open(t, url+"/review", o)
		for name, path := range paths {
			took := time.Hour
			for range 3 {
				p.Go(url + path)
				took = min(took, ready(p))
			}
			t.Logf("%s %s is ready after %s", look, name, took)
			if by := p.Wide(); by > 0 {
				t.Errorf("%s %s is %d pixels too wide", look, name, by)
			}
			if bad := browsertest.Eval[[]string](p, contrastScript); len(bad) > 0 {
				t.Errorf("%s %s is hard to read: %q", look, name, bad)
			}
			p.Screenshot(name + "-" + look)
		}
	}
}

// smallPage serves a state of the test's own.
func smallPage(t *testing.T, change ...func(*web.Server)) (*queue.Store, string) {
	t.Helper()
	s := open(t)
	w := &web.Server{Store: s, Log: slog.New(slog.DiscardHandler), By: "사장님"}
	for _, f := range change {
		f(w)
	}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// shows waits until the card of a mention of that name is shown.
func shows(p *browsertest.Page, name string) {
	p.Wait(fmt.Sprintf(`document.readyState === "complete" && document.querySelector("#review-card h2")?.textContent === %q`, name))
}

// restaurants are named as their number says.
func restaurants(n int) (all []told) {
	for i := range n {
		all = append(all, told{Name: fmt.Sprintf("식당 %d", i), Quote: fmt.Sprintf("식당 %d", i)})
	}
	return all
}

// TestReviewByKeyboard decides with single keys and without a page load: choose, none, skip, undo, search, to the end.
func TestReviewByKeyboard(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t, func(w *web.Server) {
		w.Look = func(_ context.Context, _ queue.Mention, words string) ([]queue.Option, []queue.Asked, error) {
			return []queue.Option{{Candidate: found(words+" 본점", 90)}}, nil, nil
		}
	})
	ids := posted(t, s, "p1", "식당 0, 식당 1, 식당 2, 식당 3, 식당 4, 식당 5", restaurants(6), candidates(11))
	p := browsertest.Open(t, url+"/review", browsertest.Options{})
	browsertest.Eval[bool](p, `window.same = true`)
	shows(p, "식당 0")
	p.Press("2")
	shows(p, "식당 1")
	p.Press("n")
	shows(p, "식당 2")
	p.Press("s")
	shows(p, "식당 3")
	p.Press("a")
	shows(p, "식당 4")
	p.Wait(`document.getElementById("review-said").textContent.startsWith("식당 3: ")`)
	is(t, s, ids[0], "place 을밀대 2호점 사장님")
	is(t, s, ids[1], "none  사장님")
	is(t, s, ids[2], "review")
	is(t, s, ids[3], "place 을밀대 1호점 사장님")
	if left := p.Text("#review-left"); left != "검토 대기 3건" {
		t.Errorf("%s are left", left)
	}
	// Back over an answer and a skip, and another answer.
	p.Press("u")
	shows(p, "식당 3")
	is(t, s, ids[3], "review")
	p.Press("u")
	shows(p, "식당 2")
	p.Press("u")
	shows(p, "식당 1")
	is(t, s, ids[1], "review")
	p.Press("9")
	shows(p, "식당 2")
	p.Press("n")
	shows(p, "식당 3")
	// n of a Korean keyboard.
	browsertest.Eval[bool](p, `document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ㅜ", code: "KeyN", bubbles: true, cancelable: true }))`)
	shows(p, "식당 4")
	// Words of one's own: what is typed decides nothing.
	p.Press("o")
	p.Wait(`document.activeElement.name === "words"`)
	browsertest.Eval[bool](p, `(document.activeElement.value = "", true)`) // a key that a test presses writes what the page has taken
	p.Press("s", "n", "1", "\r")
	p.Wait(`document.activeElement.value === "found1"`)
	p.Press("\r")
	shows(p, "식당 5")
	p.Press("1")
	p.Wait(`!document.getElementById("review-end").hidden`)
	p.Wait(`document.getElementById("review-said").textContent === "식당 5: 을밀대 1호점"`)
	for i, want := range []string{"place 을밀대 2호점", "place 을밀대 9호점", "none ", "none ", "place sn1 본점", "place 을밀대 1호점"} {
		is(t, s, ids[i], want+" 사장님")
	}
	if left := p.Text("#review-left"); left != "검토 대기 0건" {
		t.Errorf("%s are left at the end", left)
	}
	p.Press("u")
	shows(p, "식당 5")
	if !browsertest.Eval[bool](p, `window.same === true`) {
		t.Error("a page was loaded")
	}
	// Who turns single keys off decides with the buttons alone.
	p.Click("#review-keys summary")
	p.Click("#review-keys-on")
	p.Press("n")
	p.Do(chromedp.Focus(chromedp.CSS(`.review-bar button[value="none"]`)))
	is(t, s, ids[5], "review")
	p.Press("\r")
	p.Wait(`!document.getElementById("review-end").hidden`)
	p.Wait(`document.getElementById("review-said").textContent === "식당 5: 장소 없음"`)
	is(t, s, ids[5], "none  사장님")
}

// TestReviewsAMinute decides a hundred mentions of the large state by keyboard; the next card is there at once.
func TestReviewsAMinute(t *testing.T) {
	s, url := bigPage(t)
	p := browsertest.Open(t, url+"/review", browsertest.Options{})
	p.Wait(`document.querySelector("#review-card h2") && document.activeElement`)
	before, err := s.CountReviews(t.Context(), queue.ReviewFilter{})
	if err != nil {
		t.Fatal(err)
	}
	// How long it takes from each key to the next card, in the page itself.
	browsertest.Eval[bool](p, `(() => {
		window.waits = [];
		let at;
		document.addEventListener("keydown", () => { at = performance.now(); }, true);
		new MutationObserver(() => { if (document.querySelector("#review-card h2")) window.waits.push(performance.now() - at); }).observe(document.getElementById("review-card"), { childList: true });
		return true;
	})()`)
	const n = 100
	began := time.Now()
	for i := range n {
		p.Press([]string{"1", "n", "a"}[i%3])
		p.Wait(fmt.Sprintf("window.waits.length === %d", i+1))
	}
	took := time.Since(began)
	p.Wait(fmt.Sprintf(`document.getElementById("review-left").textContent === "검토 대기 %s건"`, grouped(before-n)))
	waits := browsertest.Eval[[]float64](p, `window.waits`)
	slices.Sort(waits)
	t.Logf("%d reviews in %s: %.0f a minute; from the key to the next card %.1f ms, at the 95th percentile %.1f ms", n, took, n/took.Minutes(), waits[n/2], waits[n*95/100])
	if took > n*3*time.Second {
		t.Errorf("fewer than 20 a minute")
	}
	until := time.Now().Add(20 * time.Second)
	for after := before; after != before-n; {
		if after, err = s.CountReviews(t.Context(), queue.ReviewFilter{}); err != nil || time.Now().After(until) {
			t.Fatalf("of %d there are %d left, %v", before, after, err)
		}
	}
	p.Screenshot("reviewed-1440-light-ko")
}

func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// TestReviewConflictInBrowser shows who has decided meanwhile, leads there, and loses nothing.
func TestReviewConflictInBrowser(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	ids := posted(t, s, "p1", "식당 0, 식당 1, 식당 2", restaurants(3), candidates(2))
	p := browsertest.Open(t, url+"/review", browsertest.Options{Language: "en"})
	shows(p, "식당 0")
	p.Allow("409")
	m, err := s.Mention(t.Context(), ids[1])
	if err != nil {
		t.Fatal(err)
	}
	p.Wait(`performance.getEntriesByName(location.origin + "/review/cards?after=` + fmt.Sprint(ids[0]) + `").length > 0`)
	choices, _, err := jobs.Choices(t.Context(), s, m)
	if err == nil {
		err = jobs.Label(t.Context(), s, m.ID, choices, 1, "이", jobs.Together(jobs.DefaultFinders(), false))
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Press("1")
	shows(p, "식당 1")
	p.Press("n")
	shows(p, "식당 2")
	p.Wait(`document.getElementById("review-problems").textContent.includes("식당 1 was decided by 이 meanwhile: 을밀대 2호점. Your answer was not stored.")`)
	p.Screenshot("conflict-1440-light-en")
	is(t, s, ids[1], "place 을밀대 2호점 이")
	// Undo leads over the conflict to the answer before it.
	p.Press("u")
	shows(p, "식당 0")
	is(t, s, ids[0], "review")
	p.Click("#review-problems a")
	p.Wait(`document.querySelector("#review-card .candidate.taken")`)
	if by := p.Text(".review-why .state"); !strings.Contains(by, "decided by 이") {
		t.Errorf("the mention says %q", by)
	}
	p.Press("n")
	p.Wait(`document.readyState === "complete" && document.querySelector(".said")?.textContent === "식당 1: no place"`)
	is(t, s, ids[1], "none  사장님")
	p.Press("u")
	p.Wait(`document.querySelector(".said")?.textContent === "식당 1: taken back"`)
	is(t, s, ids[1], "place 을밀대 2호점 이")
}

// TestReviewWithoutScript decides with forms alone.
func TestReviewWithoutScript(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	ids := posted(t, s, "p1", "식당 0, 식당 1", restaurants(2), candidates(2))
	p := browsertest.Open(t, url+"/review", browsertest.Options{NoScript: true, Width: 390})
	p.Click(`button[value="2"]`)
	shows(p, "식당 1")
	is(t, s, ids[0], "place 을밀대 2호점 사장님")
	p.Click(`form.undo button`)
	shows(p, "식당 0")
	is(t, s, ids[0], "review")
	p.Click(`.skip-card`)
	shows(p, "식당 1")
	p.Click(`button[value="none"]`)
	p.Wait(`document.getElementById("review-end")?.hidden === false`)
	is(t, s, ids[1], "none  사장님")
	if by := p.Wide(); by > 0 {
		t.Errorf("%d pixels too wide", by)
	}
}

// TestStrangeTexts shows captions, names and answers that are made of markup, marks of direction or ten thousand emoji as
// the text that they are, and within the page.
func TestStrangeTexts(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	strange := append(bigtest.Nasty(), strings.Repeat("🍜", 10_000), strings.Repeat("가", 5_000), "\u202eabc\u202e", "<!-- ", "&lt;script&gt;")
	caption := strings.Join(strange, "\n")
	var all []told
	var cs []adapters.Candidate
	for i, text := range strange {
		name := []rune(text)
		all = append(all, told{Name: string(name[:min(len(name), 300)]), Branch: text, Area: text, Address: text, Quote: text, Menu: []jobs.Dish{{Name: text}}})
		c := found(text, i+1)
		c.Category, c.Address, c.RoadAddress, c.Phone, c.Link = text, text, text+" 1", text, text
		cs = append(cs, c)
	}
	key := `<b>"p'1`
	ids := posted(t, s, key, caption, all, cs)
	for i, id := range ids {
		m, err := s.Mention(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue
		}
		choices, _, err := jobs.Choices(t.Context(), s, m)
		if err == nil {
			err = jobs.Label(t.Context(), s, id, choices, i%len(choices), strange[i], jobs.Together(jobs.DefaultFinders(), false))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{fmt.Sprintf("/review/%d", ids[0]), fmt.Sprintf("/review/%d", ids[1]), "/review", "/posts/post/" + neturl.PathEscape(key)}
	for _, n := range []int{1, 3, 10, 11, 12} {
		paths = append(paths, "/places/"+neturl.PathEscape(placeOf(t, s, ids[n])))
	}
	for _, look := range []string{"desktop-dark-en", "phone-light-en"} {
		p := browsertest.Open(t, url+"/review", looks()[look])
		for i, path := range paths {
			p.Go(url + path)
			if title := browsertest.Eval[string](p, `document.title`); !strings.HasSuffix(title, "· sumbi") {
				t.Errorf("%s: the title is %q", path, title)
			}
			if n := browsertest.Eval[int](p, `document.querySelectorAll("main img, main script:not([type=module]), main b, main i, main style").length`); n > 0 {
				t.Errorf("%s: %d elements came out of a text", path, n)
			}
			if by := p.Wide(); by > 0 {
				t.Errorf("%s %s: %d pixels too wide", look, path, by)
			}
			if i == 0 {
				if got := browsertest.Eval[string](p, `document.querySelector(".caption p").textContent`); got != norm.NFC.String(caption) {
					t.Errorf("the caption is shown as %.300q", got)
				}
			}
			if i < 5 {
				p.Screenshot(fmt.Sprintf("strange%d-%s", i, look))
			}
		}
	}
}

// TestMergeInBrowser asks in a dialog before two places become one, by keyboard.
func TestMergeInBrowser(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	cs := candidates(2)
	cs[1].Phone = cs[0].Phone
	cs[1].RoadAddress, cs[1].Address, cs[1].Lat = "서울 마포구 숭문길 24", "서울 마포구 염리동 147-6", 37.54
	ids := posted(t, s, "p1", "식당 0, 식당 1", restaurants(2), cs)
	for i, id := range ids {
		m, err := s.Mention(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		choices, _, err := jobs.Choices(t.Context(), s, m)
		if err == nil {
			err = jobs.Label(t.Context(), s, id, choices, i, "사장님", jobs.Together(jobs.DefaultFinders(), false))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	one := placeOf(t, s, ids[0])
	p := browsertest.Open(t, url+"/places/"+one, browsertest.Options{Language: "en"})
	p.Do(chromedp.Focus(chromedp.CSS(`a[data-dialog]`)))
	p.Press("\r")
	p.Wait(`document.getElementById("dialog").open`)
	p.Screenshot("merge-1440-light-en")
	p.Press(kb.Escape)
	p.Wait(`!document.getElementById("dialog").open`)
	if placeOf(t, s, ids[1]) == one {
		t.Error("merged without an answer")
	}
	p.Press("\r")
	p.Wait(`document.getElementById("dialog").open`)
	tabTo(t, p, `dialog .danger`)
	p.Press("\r")
	p.Wait(`document.querySelector(".said")?.textContent.includes("a part of this place now")`)
	if got := placeOf(t, s, ids[1]); got != one {
		t.Errorf("it is of %s, want %s", got, one)
	}
	p.Screenshot("merged-1440-light-en")
	p.Click(`a[href*="/split"]`)
	p.Wait(`document.getElementById("dialog").open`)
	p.Click(`#dialog button`)
	p.Wait(`document.querySelector(".said")?.textContent.includes("are two places now")`)
	if placeOf(t, s, ids[1]) == placeOf(t, s, ids[0]) {
		t.Error("not taken apart")
	}
}

// TestReviewWithoutServer loses the server in the middle: what is not stored is said, and nothing is taken for the end.
func TestReviewWithoutServer(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := &web.Server{Store: s, Log: slog.New(slog.DiscardHandler), By: "사장님"}
	var gone atomic.Bool
	h := w.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			http.Error(w, "gone", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	ids := posted(t, s, "p1", "식당", restaurants(30), candidates(2))
	p := browsertest.Open(t, srv.URL+"/review", browsertest.Options{Language: "en"})
	p.Allow("502")
	p.Wait(`performance.getEntriesByType("resource").some((e) => e.name.endsWith("/review/cards?after=` + fmt.Sprint(ids[0]) + `"))`)
	shows(p, "식당 0")
	p.Press("1")
	shows(p, "식당 1")
	p.Wait(`document.getElementById("review-said").textContent === "식당 0: 을밀대 1호점"`)
	gone.Store(true)
	p.Press("1")
	shows(p, "식당 2")
	p.Wait(`document.getElementById("review-problems").textContent.includes("Not stored, the server does not answer: 식당 1")`)
	is(t, s, ids[1], "review")
	for range 20 { // more than were fetched
		p.Press("s")
	}
	p.Wait(`document.getElementById("review-problems").textContent.includes("The next ones cannot be fetched")`)
	if !browsertest.Eval[bool](p, `document.getElementById("review-end").hidden && document.querySelector("#review-card [inert]") !== null`) {
		t.Error("it is taken for the end")
	}
	gone.Store(false)
	p.Wait(`document.querySelector("#review-card .review-card:not([inert])")`) // by itself
	p.Click("#review-problems a")
	shows(p, "식당 1")
	p.Press("2")
	p.Wait(`document.querySelector(".said")?.textContent === "식당 1: 을밀대 2호점"`)
	is(t, s, ids[1], "place 을밀대 2호점 사장님")
}
