package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"sumbi/web/browsertest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browsertest.Close()
	os.Exit(code)
}

const page = `<!doctype html><html lang="ko"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>시험</title>
<link rel="icon" href="data:,"><style>body{color:black}@media (prefers-color-scheme:dark){body{color:white;background:black}}</style></head>
<body><p id="p">처음</p><button onclick="document.getElementById('p').textContent='눌렀다'">누르기</button><input id="i"><noscript>글만</noscript>%s</body></html>`

func serve(t *testing.T, more string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, `<i>`+r.Header.Get("Accept-Language")+`</i>`+more)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// failing is a test that is to fail.
type failing struct {
	testing.TB
	said     []string
	cleanups []func()
}

func (f *failing) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *failing) Cleanup(g func()) { f.cleanups = append(f.cleanups, g) }

func (f *failing) end() string {
	for _, g := range f.cleanups {
		g()
	}
	return strings.Join(f.said, "\n")
}

func TestPage(t *testing.T) {
	t.Parallel()
	p := browsertest.Open(t, serve(t, ""), browsertest.Options{Width: 390, Dark: true, Language: "en"})
	p.Click("button")
	p.Wait(`document.getElementById("p").textContent === "눌렀다"`)
	p.Fill("#i", "국밥")
	got := browsertest.Eval[map[string]any](p, `({width: innerWidth, color: getComputedStyle(document.body).color, text: document.getElementById("i").value, touch: "ontouchstart" in window})`)
	if got["width"] != 390.0 || got["color"] != "rgb(255, 255, 255)" || got["text"] != "국밥" || got["touch"] != true || p.Text("i") != "en" || p.Wide() != 0 {
		t.Errorf("got %v, %q, %d too wide", got, p.Text("i"), p.Wide())
	}
	p.Screenshot("rig")
	if len(p.Requests()) == 0 {
		t.Error("no request was seen")
	}
}

func TestNoScript(t *testing.T) {
	t.Parallel()
	p := browsertest.Open(t, serve(t, `<script>document.getElementById("p").textContent = "움직인다"</script>`), browsertest.Options{NoScript: true})
	if got := p.Text("#p"); got != "처음" {
		t.Errorf("the page's script has run: %q", got)
	}
}

// TestClickOnWhatMoves clicks on a button that the page takes away under the mouse: it is clicked on where it is then, and what came
// into its place is not.
func TestClickOnWhatMoves(t *testing.T) {
	t.Parallel()
	p := browsertest.Open(t, serve(t, `<div id="at" style="position:fixed;left:9px;top:99px"><button id="b">여기</button></div><script>
		window.clicks = [];
		addEventListener("click", (e) => clicks.push(e.target.id));
		document.getElementById("b").addEventListener("mousedown", () => {
			document.getElementById("at").innerHTML = '<button id="other">여기</button><br><br><button id="b">저기</button>';
		});
	</script>`), browsertest.Options{})
	for n := range 2 {
		p.Click("#b")
		if got := browsertest.Eval[[]string](p, `clicks`); len(got) != n+1 || got[n] != "b" {
			t.Errorf("click %d: clicked on %q", n+1, got)
		}
	}
	browsertest.Eval[any](p, `(() => { document.getElementById("b").onclick = () => location.search = "weg" })()`)
	p.Click("#b")
	p.Wait(`location.search === "?weg"`)
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, more, want string }{
		{"error in the console", `<script>console.error("안 된다", 1)</script>`, "안 된다"},
		{"exception", `<script>throw new Error("터졌다")</script>`, "터졌다"},
		{"promise", `<script>Promise.reject(new Error("약속"))</script>`, "약속"},
		{"missing", `<img src="http://127.0.0.1:1/x.png">`, "127.0.0.1:1"},
		{"another machine", `<img src="http://sumbi.example/x.png">`, "a request leaves this machine: http://sumbi.example/x.png"},
		{"another machine by number", `<img src="http://192.0.2.1/x.png">`, "a request leaves this machine: http://192.0.2.1/x.png"},
		{"nothing", ``, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &failing{TB: t}
			p := browsertest.Open(f, serve(t, tt.more), browsertest.Options{})
			p.Wait(`document.readyState === "complete"`)
			if got := f.end(); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			f = &failing{TB: t}
			p = browsertest.Open(f, serve(t, tt.more), browsertest.Options{})
			p.Allow(tt.want)
			p.Allow("sumbi.example")
			p.Allow("192.0.2.1")
			if got := f.end(); got != "" {
				t.Errorf("allowed, and yet: %q", got)
			}
		})
	}
}
