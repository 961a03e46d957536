// Package browsertest opens pages in a real browser for tests, and watches what they do: Debian's chromium, without a window,
// with a fresh profile for each page. Nothing of it can be reached but this machine.
package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to become what a test waits for: only what hangs takes so long, however busy the machine is.
const patience = 5 * time.Minute

// Options say how a page is looked at.
type Options struct {
	Width, Height int    // CSS pixels; 0 is 1440 × 900. Below 600 it is a telephone with a touch screen
	Dark          bool   // prefers-color-scheme
	Language      string // Accept-Language; "" is "ko"
	NoScript      bool   // the page's own scripts do not run
}

// Page is a page in a browser. A test uses it from one goroutine.
type Page struct {
	t       testing.TB
	ctx     context.Context
	scripts bool // the page's own run

	mu       sync.Mutex
	problems []string
	requests []string
	allowed  []string
}

// browser is the one process of a test binary.
type browser struct {
	once   sync.Once
	ctx    context.Context
	cancel []context.CancelFunc
	err    error
}

var one browser

// errNone says that there is no browser.
var errNone = errors.New("there is no chromium on this machine: install it (Debian: apt-get install chromium fonts-nanum)")

func program() (string, error) {
	for _, name := range []string{os.Getenv("SUMBI_TEST_BROWSER"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", errNone
}

// Chromium are the options that a browser is started with.
func Chromium() ([]chromedp.ExecAllocatorOption, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	return []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-default-apps", true), chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("metrics-recording-only", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"),
		// Many pages are looked at together: none is put off for another, and what is pressed before one was painted is not lost.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-hang-monitor", true), chromedp.Flag("allow-pre-commit-input", true),
		// A page that asks for another machine gets no answer, whatever the test looks at.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"),
	}, nil
}

func (b *browser) start() {
	options, err := Chromium()
	if err != nil {
		b.err = err
		return
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	b.cancel = append(b.cancel, cancel)
	b.ctx, cancel = chromedp.NewContext(ctx)
	b.cancel = append(b.cancel, cancel)
	b.err = chromedp.Do(b.ctx)
}

// Close ends the browser. TestMain calls it after the tests; without it the browser ends with the process.
func Close() {
	for i := range one.cancel {
		one.cancel[len(one.cancel)-1-i]()
	}
}

// Open opens a page. When the test ends it fails if the page has complained in the console, has thrown, or has asked any
// machine but this one. Without a browser the test is skipped; where CI=true it fails.
func Open(t testing.TB, url string, o Options) *Page {
	t.Helper()
	one.once.Do(one.start)
	if one.err != nil {
		if os.Getenv("CI") != "true" && errors.Is(one.err, errNone) {
			t.Skipf("SKIPPED, nothing was looked at in a browser: %v", one.err)
		}
		t.Fatal(one.err)
	}
	ctx, cancel := chromedp.NewContext(one.ctx, chromedp.WithNewBrowserContext())
	p := &Page{t: t, ctx: ctx, scripts: !o.NoScript}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			if !p.forgiven(problem) {
				t.Errorf("the page of %s: %s", t.Name(), problem)
			}
		}
	})
	if o.Width == 0 {
		o.Width, o.Height = 1440, 900
	}
	if o.Height == 0 {
		o.Height = 844
	}
	if o.Language == "" {
		o.Language = "ko"
	}
	if err := p.prepare(o); err != nil {
		t.Fatal(err)
	}
	p.Go(url)
	return p
}

func (p *Page) prepare(o Options) error {
	if err := chromedp.Listen(p.ctx, p.heard); err != nil {
		return err
	}
	var view []chromedp.EmulateViewportOption
	if o.Width < 600 {
		view = append(view, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2))
	}
	theme := "light"
	if o.Dark {
		theme = "dark"
	}
	return chromedp.Do(p.ctx,
		call(network.Enable, network.EnableParams{}), call(runtime.Enable, struct{}{}), call(cdplog.Enable, struct{}{}),
		call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": o.Language}}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: o.NoScript}),
		chromedp.EmulateViewport(int64(o.Width), int64(o.Height), view...),
	)
}

func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// heard notes what a test fails of.
func (p *Page) heard(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.problems = append(p.problems, "exception: "+text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			var words []string
			for _, a := range e.Args {
				words = append(words, written(a))
			}
			p.problems = append(p.problems, "console: "+strings.Join(words, " "))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == "error" {
			p.problems = append(p.problems, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
		if !here(e.Request.URL) {
			p.problems = append(p.problems, "a request leaves this machine: "+e.Request.URL)
		}
	}
}

// written is a value as the console shows it.
func written(o *runtime.RemoteObject) string {
	var text string
	if json.Unmarshal(o.Value, &text) == nil {
		return text
	}
	if o.Description != "" {
		return o.Description
	}
	return string(o.Value)
}

// here tells whether an address is of this machine, or of no machine at all.
func here(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "data", "blob", "about":
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

func (p *Page) forgiven(problem string) bool {
	for _, a := range p.allowed {
		if strings.Contains(problem, a) {
			return true
		}
	}
	return false
}

// Allow lets what the page complains of pass when it contains a text, such as an answer that a test provokes.
func (p *Page) Allow(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, text)
}

// Requests are the addresses that the page has asked for so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Do runs actions of chromedp, each for as long as a test waits for anything.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\nthe page's problems: %q", err, p.problemsSoFar())
	}
}

func (p *Page) problemsSoFar() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// Go goes to an address, which is of another document than the one that is shown, and waits until that is loaded.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.Wait(`window.left = true`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		r, err := cdp.Call(ctx, t, page.Navigate, page.NavigateParams{URL: url})
		if err == nil && r.ErrorText != "" {
			err = errors.New(r.ErrorText)
		}
		return err
	}))
	if err != nil {
		p.t.Fatalf("go to %s: %v\nthe page's problems: %q", url, err, p.problemsSoFar())
	}
	p.Wait(`!window.left`)
}

// Eval returns the value of an expression of JavaScript; a promise's is waited for.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := eval[T](p, expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func eval[T any](p *Page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	// As text: that every value has.
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => JSON.stringify(await (`+expression+`)) ?? "null")()`, chromedp.EvalAwaitPromise))
	var v T
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(text), &v)
}

// insist tries something until it is done, for as long as a test waits for anything.
func (p *Page) insist(what string, try func(ctx context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.Screenshot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
			p.t.Fatalf("%s: not within %s: %v\nthe page's problems: %q", what, patience, err, p.problemsSoFar())
		}
	}
}

// Wait waits until the page is loaded as a whole, with its scripts, and an expression of JavaScript is true. It may be about a page
// that is only being loaded.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	p.insist(expression, func(context.Context) error {
		is, err := eval[bool](p, `document.readyState === "complete" && !!(`+expression+`)`)
		if err == nil && !is {
			err = errors.New("it is not true")
		}
		return err
	})
}

// aim lets the mouse reach nothing but the first element of a CSS selector, until it has clicked there.
const aim = `((css) => {
	window.aimed?.end();
	const types = ["pointerdown", "mousedown", "pointerup", "mouseup", "click"];
	window.aimed = { hit: false, end: () => types.forEach((t) => removeEventListener(t, look, true)) };
	function look(e) {
		if (!e.isTrusted) return;
		if (!document.querySelector(css)?.contains(e.target)) {
			e.preventDefault();
			e.stopImmediatePropagation();
			window.aimed.instead = e.type + " on " + (e.target.outerHTML ?? e.target.nodeName).slice(0, 200);
		} else if (e.type === "click") {
			window.aimed.hit = true;
			window.aimed.end();
		}
	}
	types.forEach((t) => addEventListener(t, look, true));
})`

// Click clicks on the first element of a CSS selector, once it can be seen. When the page has moved it just then, or has put another
// one in its place, it is clicked on where it is now.
func (p *Page) Click(css string) {
	p.t.Helper()
	p.Wait(`true`)
	selector, err := json.Marshal(css)
	if err != nil {
		p.t.Fatal(err)
	}
	p.insist("click "+css, func(ctx context.Context) error {
		if !p.scripts { // the page does not move by itself
			return chromedp.Do(ctx, chromedp.Click(chromedp.CSS(css)))
		}
		if _, err := eval[any](p, aim+`(`+string(selector)+`)`); err != nil {
			return err
		}
		missed := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(css)))
		var instead string
		p.insist("see what was clicked on", func(context.Context) (err error) { // another page, to which a click led, knows of none
			instead, err = eval[string](p, `window.aimed && !window.aimed.hit ? window.aimed.instead ?? "nothing" : ""`)
			return err
		})
		if instead != "" {
			return errors.Join(errors.New("clicked on "+instead), missed)
		}
		return nil
	})
}

// Press presses keys, such as "a" or kb.Tab, one after the other, wherever the focus is. A page hears keys once its scripts run.
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	p.Wait(`true`)
	for _, k := range keys {
		p.Do(chromedp.KeyEvent(k))
	}
}

// Held sends what a keyboard sends for a key that stays down.
func (p *Page) Held(key string) {
	p.t.Helper()
	p.Do(chromedp.KeyEvent(key, func(e *input.DispatchKeyEventParams) {
		repeat := true
		e.AutoRepeat = &repeat
	}))
}

// Fill writes into a field, or chooses from a list.
func (p *Page) Fill(css, text string) {
	p.t.Helper()
	p.Wait(`true`)
	p.insist("fill "+css, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.SetValue(chromedp.CSS(css), text)) })
}

// Focus puts the focus on the first element of a CSS selector.
func (p *Page) Focus(css string) {
	p.t.Helper()
	p.Wait(`true`)
	p.insist("focus "+css, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(css))) })
}

// Text is what is to be read in the first element of a CSS selector.
func (p *Page) Text(css string) string {
	p.t.Helper()
	b, err := json.Marshal(css)
	if err != nil {
		p.t.Fatal(err)
	}
	return Eval[string](p, `document.querySelector(`+string(b)+`)?.innerText ?? ""`)
}

// Screenshot writes what is to be seen as NAME.png into the folder that SUMBI_SCREENSHOTS names; without it does nothing.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	dir := os.Getenv("SUMBI_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
	}
	if err != nil {
		p.t.Fatal(fmt.Errorf("screenshot %s: %w", name, err))
	}
}

// Wide tells by how many pixels the page is wider than the window: 0 when nobody has to scroll sideways.
func (p *Page) Wide() int {
	p.t.Helper()
	return Eval[int](p, `Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)`)
}
