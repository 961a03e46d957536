package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"sumbi/web"
)

// TestLanguages asks for the overview as browsers of several languages do.
func TestLanguages(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	for _, tt := range []struct {
		name, path, accept, cookie, want string
	}{
		{"nothing said", "/", "", "", "en"},
		{"Korean", "/", "ko-KR,ko;q=0.9,en-US;q=0.8", "", "ko"},
		{"English before Korean", "/", "en-US,en;q=0.9,ko;q=0.8", "", "en"},
		{"neither", "/", "de-DE,fr;q=0.5", "", "en"},
		{"Korean behind another", "/", "ja,ko;q=0.3", "", "ko"},
		{"no number", "/", "ko;q=많이,en;q=0.1", "", "en"},
		{"chosen", "/", "en", "lang=ko", "ko"},
		{"chosen nonsense", "/", "ko", "lang=<script>", "ko"},
		{"in the address", "/?lang=ko", "en", "lang=en", "ko"},
	} {
		r := ho.ask("GET", tt.path, "", browser, bearer(token), with("Accept-Language", tt.accept), with("Cookie", tt.cookie))
		b := text(r)
		if r.StatusCode != 200 || !strings.Contains(b, `<html lang="`+tt.want+`">`) || strings.Contains(b, "건너뛰기") != (tt.want == "ko") {
			t.Errorf("%s: %s, want %s:\n%s", tt.name, r.Status, tt.want, b)
		}
		if kept := len(r.Cookies()) == 1; kept != strings.Contains(tt.path, "?") {
			t.Errorf("%s: cookies %v", tt.name, r.Cookies())
		}
	}
}

// TestLook chooses a language and a theme and comes back to the same view.
func TestLook(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	choose := func(form, referer string) *http.Response {
		return ho.ask("POST", "/look", form, browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"), with("Referer", referer))
	}
	r := choose("lang=ko&theme=dark", "http://sumbi.test/jobs?state=dead&lang=en")
	if r.StatusCode != 303 || r.Header.Get("Location") != "/jobs?state=dead" || len(r.Cookies()) != 2 {
		t.Errorf("got %s to %q with %v", r.Status, r.Header.Get("Location"), r.Cookies())
	}
	b := text(ho.ask("GET", "/", "", browser, bearer(token), func(q *http.Request) {
		for _, c := range r.Cookies() {
			q.AddCookie(c)
		}
	}))
	if !strings.Contains(b, `<html lang="ko" data-theme="dark">`) {
		t.Errorf("the page is %s", b)
	}
	for from, want := range map[string]string{
		"/jobs/7?a=b":                        "/jobs/7?a=b",
		"/jobs/do":                           "/jobs",
		"/jobs/do?lang=ko":                   "/jobs",
		"/review/7/search":                   "/review/7",
		"/review/7/undo":                     "/review/7",
		"/review/7":                          "/review/7",
		"/review/author":                     "/review",
		"/places/x/merge?other=y":            "/places/x/merge?other=y",
		"/accounts/%EB%A7%9B%EC%A7%91/a%2Fb": "/accounts/%EB%A7%9B%EC%A7%91/a%2Fb",
		"/nothing/at/all":                    "/",
	} {
		if r := choose("lang=ko", "http://sumbi.test"+from); r.Header.Get("Location") != want {
			t.Errorf("from %s it leads to %q, want %q", from, r.Header.Get("Location"), want)
		}
	}
	// The answer to a form knows where that would have led.
	r = ho.ask("POST", "/jobs/do", "do=x&back=/jobs%3Fstate%3Ddead", browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"))
	if b := text(r); r.StatusCode != 400 || !strings.Contains(b, `name="back" value="/jobs?state=dead"`) {
		t.Errorf("the answer to a form: %s\n%s", r.Status, b)
	}
	for back, want := range map[string]string{"/jobs?state=dead": "/jobs?state=dead", "https://evil.test/": "/jobs", "//evil.test": "/jobs", "/nothing": "/jobs"} {
		if r := choose("lang=ko&back="+url.QueryEscape(back), "http://sumbi.test/jobs/do"); r.Header.Get("Location") != want {
			t.Errorf("back to %q it leads to %q, want %q", back, r.Header.Get("Location"), want)
		}
	}
	for _, referer := range []string{"", "https://evil.test/x", "http://sumbi.test//evil.test/", ":", "http://sumbi.test"} {
		if r := choose("lang=ko", referer); r.Header.Get("Location") != "/" {
			t.Errorf("from %q it leads to %q", referer, r.Header.Get("Location"))
		}
	}
	if r := choose("lang=xx&theme="+url.QueryEscape("<b>"), ""); r.StatusCode != 303 || len(r.Cookies()) != 0 {
		t.Errorf("nonsense: %s %v", r.Status, r.Cookies())
	}
}

// TestFailures wants what is not there to be a page for a browser, a part of one for a script, and a line for others.
func TestFailures(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	if r := ho.ask("GET", "/nothing", "", bearer(token)); r.StatusCode != 404 || strings.Contains(text(r), "<") {
		t.Errorf("a program: %s", r.Status)
	}
	r := ho.ask("GET", "/nothing", "", browser, bearer(token), with("Accept-Language", "ko"))
	if b := text(r); r.StatusCode != 404 || !strings.Contains(b, "그런 페이지는 없습니다.") || !strings.Contains(b, "<nav") {
		t.Errorf("a browser: %s\n%s", r.Status, b)
	}
	r = ho.ask("DELETE", "/", "", browser, bearer(token))
	if b := text(r); r.StatusCode != 405 || !strings.Contains(b, "This page cannot be asked for in this way.") || r.Header.Get("Allow") == "" {
		t.Errorf("another method: %s, Allow %s\n%s", r.Status, r.Header.Get("Allow"), b)
	}
	r = ho.ask("GET", "/nothing", "", browser, bearer(token), with("HX-Request", "true"))
	if b := text(r); r.StatusCode != 404 || strings.Contains(b, "<html") {
		t.Errorf("a script: %s\n%s", r.Status, b)
	}
	if r := ho.ask("GET", "/", "", browser, with("HX-Request", "true")); r.StatusCode != 401 || r.Header.Get("HX-Redirect") != "/login" {
		t.Errorf("a script without a session: %s to %q", r.Status, r.Header.Get("HX-Redirect"))
	}
	ho.Store.Close()
	if r := ho.ask("GET", "/", "", browser, bearer(token)); r.StatusCode != 500 || !strings.Contains(text(r), "sumbi doctor") {
		t.Errorf("without a state: %s", r.Status)
	}
}

// TestStatic wants the files of the page to be kept by browsers as long as they are the same, and nothing else to be had there.
func TestStatic(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	for name, kind := range map[string]string{"sumbi.css": "text/css", "page.js": "text/javascript", "htmx.min.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		r := ho.ask("GET", web.StaticURL(name), "")
		if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %v", name, r.Status, r.Header)
		}
		if r := ho.ask("GET", "/static/0123/"+name, ""); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s of another version: %s %v", name, r.Status, r.Header)
		}
	}
	for _, path := range []string{"/static/", "/static/x", "/static/x/", "/static/x/../view.go", "/static/x/..%2f..%2ftemplates/layout.html", "/static/x/nothing.js"} {
		if r := ho.ask("GET", path, ""); r.StatusCode != 404 {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	if r := ho.ask("POST", web.StaticURL("page.js"), ""); r.StatusCode != 405 {
		t.Errorf("POST: %s", r.Status)
	}
}

// TestSaidIsShort wants what is said once to fit into its cookie, in whole characters.
func TestSaidIsShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("가", 2000)
	got := web.Clipped(long, 1024)
	if len(got) > 1024 || len(got) < 1000 || !utf8.ValidString(got) || !strings.HasSuffix(got, "가…") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-9:])
	}
	if got := web.Clipped("짧다", 1024); got != "짧다" {
		t.Errorf("a short text becomes %q", got)
	}
}
