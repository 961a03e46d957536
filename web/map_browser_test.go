package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// bigHouse serves the page over the large state. change may be nil.
func bigHouse(t *testing.T, change func(*web.Server)) (*queue.Store, string) {
	t.Helper()
	s := bigtest.Open(t, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(w)
	}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// tileServer gives the same grey picture for every tile.
func tileServer(t *testing.T) web.Tiles {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 256, 256))
	for x := range 256 {
		for y := range 256 {
			c := color.RGBA{230, 226, 216, 255}
			if x < 1 || y < 1 {
				c = color.RGBA{190, 186, 176, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") == "" {
			http.Error(w, "who asks?", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(b.Bytes())
	}))
	t.Cleanup(srv.Close)
	return web.Tiles{Address: srv.URL + "/{z}/{x}/{y}.png", Attribution: "© <b>시험</b> 지도", AttributionURL: srv.URL + "/copyright"}
}

const (
	mapReady  = `Number(document.getElementById("map").dataset.shown) > 0 && document.getElementById("map-list").dataset.box`
	mapMarker = `#map .map-cluster, #map .map-dot`
)

// TestMapInBrowser looks around on the map of 50,000 places.
func TestMapInBrowser(t *testing.T) {
	t.Parallel()
	tiles := tileServer(t)
	_, url := bigHouse(t, func(w *web.Server) { w.Tiles = tiles })
	p := browsertest.Open(t, url+"/map", browsertest.Options{})
	p.Wait(mapReady)
	if n := browsertest.Eval[int](p, `Number(document.getElementById("map").dataset.shown)`); n != 49_900 {
		t.Errorf("%d places are on the map, want all that have a position", n)
	}
	if n := browsertest.Eval[int](p, `document.querySelectorAll(".map-cluster").length`); n < 10 || n > 200 {
		t.Errorf("%d clusters", n)
	}
	p.Wait(`document.querySelectorAll("#map .leaflet-tile-loaded").length > 5`)
	if got := p.Text("#map .leaflet-control-attribution"); !strings.Contains(got, "© <b>시험</b> 지도") {
		t.Errorf("whose tiles: %q", got)
	}
	p.Screenshot("map-tiles-1440")

	// Clusters open by the keyboard until a single place is left, and that opens.
	for range 25 {
		if browsertest.Eval[bool](p, `!!document.querySelector("#map .map-dot")`) {
			break
		}
		before := browsertest.Eval[string](p, `location.hash`)
		browsertest.Eval[any](p, `document.querySelector("#map .map-cluster").focus()`)
		p.Press(kb.Enter)
		p.Wait(`location.hash !== ` + quote(before) + ` || document.querySelector("#map-panel h2")`)
		if !browsertest.Eval[bool](p, `document.getElementById("map").contains(document.activeElement) || document.activeElement.matches("#map-panel h2")`) {
			t.Error("the focus is lost")
		}
	}
	p.Wait(`document.querySelector("#map .map-dot")`)
	browsertest.Eval[any](p, `document.querySelector("#map .map-dot").focus()`)
	p.Wait(`document.activeElement.title && document.activeElement.title !== "이 장소 보기" && document.activeElement.title === document.activeElement.getAttribute("aria-label")`)
	name := browsertest.Eval[string](p, `document.activeElement.title`)
	p.Press(kb.Enter)
	p.Wait(`document.activeElement.matches("#map-panel h2")`)
	if got := p.Text("#map-panel"); !strings.Contains(got, name) {
		t.Errorf("the dot is called %q, the place says %q", name, got)
	}
	if got := p.Text("#map-panel"); !strings.Contains(got, "이 장소를 고른 이유") || !strings.Contains(got, "후보(점수 높은 순)") {
		if !strings.Contains(got, "이 자리에 있는 장소") {
			t.Errorf("the place says %q", got)
		}
	}
	p.Screenshot("map-place-1440")
	p.Click("[data-close-panel]")
	p.Wait(`document.getElementById("map-panel").hidden`)

	// A place of the list is shown on the map, too.
	p.Click("#map-list [data-place]")
	p.Wait(`!document.getElementById("map-panel").hidden && document.querySelector("#map-panel h2") && document.querySelector("#map .map-ring")`)

	dark := browsertest.Open(t, url+"/map#15/37.5663/126.9922", browsertest.Options{Width: 390, Dark: true})
	dark.Wait(mapReady + ` && document.querySelectorAll("#map .leaflet-tile-loaded").length > 2`)
	dark.Screenshot("map-tiles-390-dark")
}

// TestMapAddress wants the address to lead to the place and the position that are shown: loaded again, in another language, and
// without the place once that is closed.
func TestMapAddress(t *testing.T) {
	t.Parallel()
	_, url := bigHouse(t, nil)
	p := browsertest.Open(t, url+"/map", browsertest.Options{Language: "en"})
	p.Wait(mapReady)
	where := func() (place, hash string) {
		t.Helper()
		return browsertest.Eval[string](p, `new URLSearchParams(location.search).get("place") ?? ""`), browsertest.Eval[string](p, `location.hash`)
	}
	const shown = `(document.querySelector("#map-panel h2")?.dataset.place ?? "")`
	same := func(what, place, hash string) {
		t.Helper()
		p.Wait(mapReady)
		if got := browsertest.Eval[string](p, shown); got != place {
			t.Errorf("%s: %q is shown, want %q", what, got, place)
		}
		if gotPlace, gotHash := where(); gotPlace != place || gotHash != hash {
			t.Errorf("%s: the address is of %q %s, want %q %s", what, gotPlace, gotHash, place, hash)
		}
	}
	ids := browsertest.Eval[[]string](p, `[...document.querySelectorAll("#map-list [data-place]")].map((a) => a.dataset.place)`)
	p.Go(url + "/map?" + urlValues("place", ids[0], "ad", "no"))
	p.Wait(mapReady + ` && ` + shown + ` === ` + quote(ids[0]))
	other := browsertest.Eval[string](p, `[...document.querySelectorAll("#map-list [data-place]")].map((a) => a.dataset.place).find((id) => id !== `+quote(ids[0])+`)`)
	p.Click(`#map-list [data-place=` + quote(other) + `]`)
	p.Wait(shown + ` === ` + quote(other) + ` && location.search.includes(` + quote(neturl.QueryEscape(other)) + `)`)
	// Where the map stands counts, even where the place is out of sight.
	browsertest.Eval[any](p, `document.getElementById("map").focus()`)
	for range 12 {
		_, before := where()
		p.Press(kb.ArrowRight)
		p.Wait(`location.hash !== ` + quote(before))
	}
	p.Wait(`!document.querySelector("#map .leaflet-pan-anim")`)
	_, hash := where()
	browsertest.Eval[any](p, `(window.before = true, location.reload())`)
	p.Wait(`!window.before && ` + mapReady)
	same("loaded again", other, hash)
	p.Click(`form[action^="/look"] [name=lang]`)
	p.Wait(`document.documentElement.lang === "ko" && ` + mapReady)
	same("in Korean", other, hash)
	p.Click(`form[action^="/look"] [name=theme]`)
	p.Wait(`document.documentElement.dataset.theme === "light" && ` + mapReady)
	same("in another theme", other, hash)
	p.Click("[data-close-panel]")
	p.Wait(`document.getElementById("map-panel").hidden`)
	same("closed", "", hash)
	if !browsertest.Eval[bool](p, `location.search === "?ad=no"`) {
		t.Error("the filter is lost")
	}
	// A dot of the map.
	p.Go(url + "/map?" + urlValues("place", ids[0]))
	p.Wait(mapReady + ` && [...document.querySelectorAll("#map .map-dot")].length > 0`)
	browsertest.Eval[any](p, `[...document.querySelectorAll("#map .map-dot")].at(-1).focus()`)
	browsertest.Eval[any](p, `document.querySelector("#map-panel h2").dataset.old = ""`)
	p.Press(kb.Enter)
	p.Wait(`document.querySelector("#map-panel h2") && document.querySelector("#map-panel h2").dataset.old === undefined`)
	place := browsertest.Eval[string](p, shown)
	_, hash = where()
	same("a dot", place, hash)
}

// TestMapFilterInBrowser filters, and opens the link to what it sees anew.
func TestMapFilterInBrowser(t *testing.T) {
	t.Parallel()
	_, url := bigHouse(t, nil)
	p := browsertest.Open(t, url+"/map", browsertest.Options{Language: "en"})
	p.Wait(mapReady)
	p.Screenshot("map-1440-light-en")
	browsertest.Eval[any](p, `(() => { const s = document.querySelector("[name=area]"); s.value = "제주"; s.dispatchEvent(new Event("change", {bubbles: true})) })()`)
	p.Wait(`Number(document.getElementById("map").dataset.shown) < 10000`)
	shown := browsertest.Eval[int](p, `Number(document.getElementById("map").dataset.shown)`)
	if got := browsertest.Eval[string](p, `new URLSearchParams(location.search).get("area")`); got != "제주" {
		t.Errorf("the address has the area %q", got)
	}
	if got := browsertest.Eval[string](p, `document.querySelector("[data-file='/map.csv']").getAttribute("href")`); got != "/map.csv?area=%EC%A0%9C%EC%A3%BC" {
		t.Errorf("the file is %q", got)
	}
	p.Wait(`document.getElementById("map-count").textContent.includes(" of ") && document.querySelector("#map-list h2").textContent.includes(" of ") && document.querySelectorAll("#map-list [data-place]").length === 50`)
	p.Click("#map-list [rel=next]")
	p.Wait(`document.querySelector("#map-list ol").start === 51`)
	again := browsertest.Open(t, browsertest.Eval[string](p, `location.href`), browsertest.Options{Language: "en"})
	again.Wait(mapReady)
	if n := browsertest.Eval[int](again, `Number(document.getElementById("map").dataset.shown)`); n != shown || n == 0 {
		t.Errorf("the link shows %d places, before there were %d", n, shown)
	}
	if got := browsertest.Eval[string](again, `document.querySelector("[name=area]").value`); got != "제주" {
		t.Errorf("the form of the link says %q", got)
	}
}

// TestMapAway filters and moves while the server is away. The page says so and not that it shows everything; once the server is
// back the next move shows what the filter leaves, and nothing is said any more.
func TestMapAway(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	w := &web.Server{Store: bigtest.Open(t, postgres), Log: slog.New(slog.DiscardHandler)}
	h := w.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() && strings.HasPrefix(r.URL.Path, "/map/") {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p := browsertest.Open(t, srv.URL+"/map#14/37.5663/126.9922", browsertest.Options{Language: "en"})
	p.Allow("502")
	p.Wait(mapReady)
	const failed = `document.querySelector(".map-failed")?.textContent`
	move := func(key string) {
		t.Helper()
		browsertest.Eval[any](p, `document.getElementById("map").focus()`)
		before := browsertest.Eval[string](p, `location.hash`)
		p.Press(key)
		p.Wait(`location.hash !== ` + quote(before))
	}
	away.Store(true)
	move(kb.ArrowRight)
	p.Wait(failed + ` === "The server does not answer. Try again."`)
	browsertest.Eval[any](p, `document.querySelector(".map-failed").remove()`)
	browsertest.Eval[any](p, `(() => { const s = document.querySelector("[name=area]"); s.value = "서울"; s.dispatchEvent(new Event("change", {bubbles: true})) })()`)
	p.Wait(failed + ` === "The server does not answer. Try again."`)
	away.Store(false)
	move(kb.ArrowRight)
	p.Wait(`!document.querySelector(".map-failed") && Number(document.getElementById("map").dataset.shown) < 40000`)
	p.Wait(`/ of 2\d,\d{3} /.test(document.querySelector("#map-list h2").textContent)`)
	// The dots are called by their names, though these were not to be had at first.
	p.Wait(`[...document.querySelectorAll("#map .map-dot")].every((d) => d.title) && document.querySelector("#map .map-dot")`)
}

// TestMapNamesLate has names that come late, when another filter leaves others at these spots: they are called by their own.
func TestMapNamesLate(t *testing.T) {
	t.Parallel()
	w := &web.Server{Store: bigtest.Open(t, postgres), Log: slog.New(slog.DiscardHandler)}
	h := w.Handler()
	late, end := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := r.FormValue("at"); r.URL.Path == "/map/names" && r.FormValue("area") == "" && at != "" {
			<-late.Done()
			names := []any{}
			for i, n := range strings.Split(at, ",") {
				if names = append(names, json.Number(n)); i%2 == 1 {
					names = append(names, "옛 이름")
				}
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"names": names})
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(end)
	p := browsertest.Open(t, srv.URL+"/map#16/37.5663/126.9922", browsertest.Options{})
	p.Wait(mapReady + ` && document.querySelector("#map .map-dot")`)
	p.Fill("[name=area]", "서울")
	const named = `document.querySelector("#map .map-dot") && [...document.querySelectorAll("#map .map-dot")].every((d) => d.title)`
	p.Wait(`Number(document.getElementById("map").dataset.shown) < 40000 && ` + named)
	end()
	p.Wait(`performance.getEntriesByType("resource").some((e) => /names.at=/.test(e.name))`)
	browsertest.Eval[string](p, `fetch("/map/names?at=").then((answer) => answer.text())`) // what came before it has been heard
	if !browsertest.Eval[bool](p, named+` && [...document.querySelectorAll("#map .map-dot")].every((d) => d.title !== "옛 이름")`) {
		t.Error("a place is called by the name of another")
	}
}

// TestMapLooks looks at the map on a telephone and on a desk, by day and by night.
func TestMapLooks(t *testing.T) {
	t.Parallel()
	_, url := bigHouse(t, nil)
	for name, o := range map[string]browsertest.Options{
		"map-390-light":  {Width: 390},
		"map-390-dark":   {Width: 390, Dark: true, Language: "en"},
		"map-1440-light": {},
		"map-1440-dark":  {Dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.Open(t, url+"/map", o)
			p.Wait(mapReady)
			p.Wait(`document.querySelector("#map .map-land.here") && document.querySelector("#map .map-city")`)
			if n := p.Wide(); n != 0 {
				t.Errorf("%d pixels too wide", n)
			}
			p.Screenshot(name)
			p.Click("#map-list [data-place]")
			p.Wait(`!document.getElementById("map-panel").hidden && document.querySelector("#map-panel h2")`)
			if n := p.Wide(); n != 0 {
				t.Errorf("with a place %d pixels too wide", n)
			}
			p.Screenshot(name + "-place")
		})
	}
}

// TestMapText wants names that are made to do harm to be shown as they are.
func TestMapText(t *testing.T) {
	t.Parallel()
	s, url := bigHouse(t, nil)
	p := browsertest.Open(t, url+"/map", browsertest.Options{})
	p.Wait(mapReady)
	for i, name := range bigtest.Nasty() {
		lines, err := s.PlaceLines(t.Context(), name, false, 1)
		if err != nil || len(lines) == 0 {
			t.Fatal(name, lines, err)
		}
		p.Go(url + "/map?" + urlValues("place", lines[0].ID, "q", name))
		p.Wait(mapReady)
		for _, css := range []string{"#map-panel h2", "#map-list [data-place]"} {
			if got := browsertest.Eval[string](p, `document.querySelector(`+quote(css)+`)?.textContent ?? ""`); got != name {
				t.Errorf("%s says %q, want %q", css, got, name)
			}
		}
		if got := browsertest.Eval[string](p, `document.title`); got != "지도 · sumbi" {
			t.Fatalf("%q has changed the title: %q", name, got)
		}
		if n := p.Wide(); n != 0 {
			t.Errorf("%q makes the page %d pixels too wide", name, n)
		}
		if i == 0 {
			p.Screenshot("map-nasty")
		}
	}
}

// TestMapNoScript uses the list without a script.
func TestMapNoScript(t *testing.T) {
	t.Parallel()
	_, url := bigHouse(t, nil)
	p := browsertest.Open(t, url+"/map?area=%EB%B6%80%EC%82%B0&ad=no", browsertest.Options{NoScript: true})
	if got := p.Text("#map-list h2"); !strings.HasPrefix(got, "장소 ") || strings.Contains(got, "50,000") {
		t.Errorf("the list is headed %q", got)
	}
	p.Click("#map-list [data-place]")
	p.Wait(`document.querySelector("#map-panel h2") && location.search.includes("place=")`)
	p.Screenshot("map-noscript")
}
