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

// TestLooksOfReviews opens reviews, places and posts of a large state as people look at them, and tells how long each takes; of three
// times the best counts, for others work on this machine, too.
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
	p.Wait(`document.getElementById("review-said").textContent.startsWith(` + quote(isolated("식당 3")+": ") + `)`)
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
	p.Wait(`document.getElementById("review-said").textContent === ` + quote(isolated("식당 5")+": "+isolated("을밀대 1호점")))
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
	p.Focus(`.review-bar button[value="none"]`)
	is(t, s, ids[5], "review")
	p.Press("\r")
	p.Wait(`!document.getElementById("review-end").hidden`)
	p.Wait(`document.getElementById("review-said").textContent === ` + quote(isolated("식당 5")+": "+isolated("장소 없음")))
	is(t, s, ids[5], "none  사장님")
}

// TestReviewKeys wants keys that write nothing to decide nothing: people scroll with the arrows of a keypad, too.
func TestReviewKeys(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	posted(t, s, "p1", "식당", restaurants(10), candidates(5))
	p := browsertest.Open(t, url+"/review", browsertest.Options{})
	n := 0
	shows(p, "식당 0")
	for _, tt := range []struct {
		key, code string
		decides   bool
	}{
		{"End", "Numpad1", false},
		{"ArrowDown", "Numpad2", false},
		{"PageDown", "Numpad3", false},
		{"Clear", "Numpad5", false},
		{"Home", "Numpad7", false},
		{"PageUp", "Numpad9", false},
		{"Dead", "KeyN", false},
		{"Unidentified", "Digit1", false},
		{" ", "Space", false},
		{"Process", "Numpad2", false},
		{"2", "Numpad2", true},
		{"2", "Digit2", true},
		{"ㅜ", "KeyN", true}, // of a Korean keyboard
		{"Process", "KeyN", true},
		{"𝓃", "KeyN", true},
	} {
		decides := browsertest.Eval[bool](p, `!document.body.dispatchEvent(new KeyboardEvent("keydown", { key: `+quote(tt.key)+`, code: `+quote(tt.code)+`, bubbles: true, cancelable: true }))`)
		if decides != tt.decides {
			t.Errorf("%s of key %s decides: %v", tt.key, tt.code, decides)
		}
		if decides {
			n++
			shows(p, fmt.Sprint("식당 ", n))
		}
	}
}

// TestSaidDirection wants a name that is written from right to left to turn nothing but itself around in what is said.
func TestSaidDirection(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	names := []told{{Name: "\u202eabc 식당"}, {Name: "x\u2069\u202eabc"}, {Name: "\u2067식당"}, {Name: "식당"}}
	ids := posted(t, s, "p1", "식당", names, candidates(2))
	// ordered tells whether our words follow the name, each character at the right of the one before.
	ordered := func(p *browsertest.Page, css string) {
		t.Helper()
		got := browsertest.Eval[string](p, `(() => {
			const n = document.querySelector(`+quote(css)+`).firstChild;
			const at = (i) => { const r = document.createRange(); r.setStart(n, i); r.setEnd(n, i + 1); return r.getBoundingClientRect().right; };
			const colon = n.data.lastIndexOf(":");
			const name = Math.max(...[...Array(colon).keys()].map(at));
			const seen = [...n.data].map((c, i) => [c, i]).filter(([c, i]) => i >= colon && /[:a-z]/.test(c)).map(([, i]) => at(i));
			return seen.length > 3 && seen.every((x, i) => x > (i ? seen[i - 1] : name)) ? "" : n.data + " " + seen;
		})()`)
		if got != "" {
			t.Errorf("%s is turned around: %+q", css, got)
		}
	}
	p := browsertest.Open(t, url+"/review", browsertest.Options{Language: "en"})
	for i, key := range []string{"n", "s", "n"} {
		shows(p, names[i].Name)
		p.Press(key)
		p.Wait(`document.getElementById("review-said").textContent.includes(` + quote(map[string]string{"n": "no place", "s": "skipped"}[key]) + `)`)
		ordered(p, "#review-said")
		browsertest.Eval[any](p, `document.getElementById("review-said").textContent = ""`)
	}
	p.Press("u")
	p.Wait(`document.getElementById("review-said").textContent.includes("shown again")`)
	ordered(p, "#review-said")

	plain := browsertest.Open(t, fmt.Sprint(url, "/review/", ids[1]), browsertest.Options{Language: "en", NoScript: true})
	plain.Click(`button[value="none"]`)
	plain.Wait(`document.querySelector(".said")`)
	ordered(plain, ".said")
}

// TestReviewsAMinute decides a hundred mentions of the large state by keyboard, and tells how long it takes.
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
	until(t, "not every answer is stored", func() bool {
		after, err := s.CountReviews(t.Context(), queue.ReviewFilter{})
		if err != nil || after < before-n {
			t.Fatalf("of %d there are %d left, %v", before, after, err)
		}
		return after == before-n
	})
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
	p.Wait(`document.getElementById("review-problems").textContent.includes(` + quote(isolated("식당 1")+" was decided by "+isolated("이")+" meanwhile: "+isolated("을밀대 2호점")+". Your answer was not stored.") + `)`)
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
	p.Wait(`document.readyState === "complete" && document.querySelector(".said")?.textContent === ` + quote(isolated("식당 1")+": "+isolated("no place")))
	is(t, s, ids[1], "none  사장님")
	p.Press("u")
	p.Wait(`document.querySelector(".said")?.textContent === ` + quote(isolated("식당 1")+": taken back"))
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

// TestLongNames wants names and everything else of a place that are ten thousand emoji to leave room for the rest of the page.
func TestLongNames(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	long := strings.Repeat("🍜", 10_000)
	cs := candidates(4)
	cs[0].Name, cs[0].Category, cs[0].Address, cs[0].RoadAddress, cs[0].Phone, cs[0].Link = long, long, long, long, long, long
	cs[1].Name, cs[1].RoadAddress = long, cs[1].RoadAddress+" "+long
	names := []told{{Name: long, Branch: long, Area: long, Address: long, Quote: long, Menu: []jobs.Dish{{Name: long}, {Name: long}}}, {Name: long}, {Name: "셋"}, {Name: long, Quote: long, Menu: []jobs.Dish{{Name: long}}}}
	ids := posted(t, s, "p1", long, names, cs)
	paths := []string{"/review", fmt.Sprint("/review/", ids[0]), fmt.Sprint("/review/", ids[3]), "/posts/post/p1", "/map"}
	for i, id := range ids[:3] {
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
		place := neturl.PathEscape(placeOf(t, s, id))
		paths = append(paths, "/places/"+place, "/map?place="+place)
	}
	paths = append(paths, "/places/"+neturl.PathEscape(placeOf(t, s, ids[0]))+"/merge?other="+neturl.QueryEscape(placeOf(t, s, ids[1])))
	for _, width := range []int{1440, 390} {
		p := browsertest.Open(t, url+"/runs", browsertest.Options{Width: width, Language: "en"})
		for _, path := range paths {
			p.Go(url + path)
			if strings.HasPrefix(path, "/map") {
				p.Wait(mapReady)
			}
			if by := p.Wide(); by > 0 {
				t.Errorf("%d %s: %d pixels too wide", width, path, by)
			}
			// On a wide screen the list of the map has a bar of its own.
			if high := browsertest.Eval[int](p, `Math.max(document.documentElement.scrollHeight, document.querySelector(".map-side")?.scrollHeight ?? 0)`); high > 9000 {
				t.Errorf("%d %s is %d pixels high", width, path, high)
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
	phone := browsertest.Open(t, url+"/places/"+one, browsertest.Options{Language: "en", Width: 390})
	for _, path := range []string{"/places/" + one, "/posts/post/p1"} {
		phone.Go(url + path)
		beyond := browsertest.Eval[[]string](phone, `[...document.querySelectorAll("main a, main button, main tbody th, main tbody td")].filter((e) => !e.closest("#request")).filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.innerText)`)
		if len(beyond) > 0 {
			t.Errorf("on a telephone these of %s are beyond the edge: %q", path, beyond)
		}
		phone.Screenshot("merge-phone" + strings.ReplaceAll(path, "/", "-"))
	}
	p := browsertest.Open(t, url+"/places/"+one, browsertest.Options{Language: "en"})
	p.Focus(`a[data-dialog]`)
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

// TestReviewLeft wants the number of what is left to be that of all who review, and one way back to what was skipped.
func TestReviewLeft(t *testing.T) {
	t.Parallel()
	s, url := smallPage(t)
	ids := posted(t, s, "p1", "식당", restaurants(12), candidates(2))
	p := browsertest.Open(t, fmt.Sprintf("%s/review?after=%d", url, ids[0]), browsertest.Options{Language: "en"})
	shows(p, "식당 1")
	const left = `document.getElementById("review-left").textContent === "To review: `
	p.Wait(left + `12"`)
	// Somebody else decides what is not among the cards that are here already.
	for _, n := range []int{0, 10, 11} {
		m, err := s.Mention(t.Context(), ids[n])
		if err != nil {
			t.Fatal(err)
		}
		choices, _, err := jobs.Choices(t.Context(), s, m)
		if err == nil {
			err = jobs.Label(t.Context(), s, ids[n], choices, jobs.None, "김", jobs.Together(jobs.DefaultFinders(), false))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.Press("1")
	shows(p, "식당 2")
	p.Wait(left + `8"`)
	for i := 2; i < 10; i++ {
		shows(p, fmt.Sprint("식당 ", i))
		p.Press("s")
	}
	p.Wait(`!document.getElementById("review-end").hidden`)
	if n := browsertest.Eval[int](p, `[...document.querySelectorAll("#review-end a")].filter((a) => a.checkVisibility()).length`); n != 1 {
		t.Errorf("%d ways lead back to what was skipped", n)
	}
	p.Wait(left + `8"`)
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
	p.Wait(`document.getElementById("review-said").textContent === ` + quote(isolated("식당 0")+": "+isolated("을밀대 1호점")))
	gone.Store(true)
	p.Press("1")
	shows(p, "식당 2")
	p.Wait(`document.getElementById("review-problems").textContent.includes(` + quote("Not stored, the server does not answer: "+isolated("식당 1")) + `)`)
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
	p.Wait(`document.querySelector(".said")?.textContent === ` + quote(isolated("식당 1")+": "+isolated("을밀대 2호점")))
	is(t, s, ids[1], "place 을밀대 2호점 사장님")
}
