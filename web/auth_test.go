package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/web"
)

const token = "열려라참깨-열려라참깨-0123456789"

// clock is a time that a test moves on.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a handler with a clock and a log of its own, asked without a network.
type house struct {
	t *testing.T
	*web.Server
	clock clock
	log   bytes.Buffer
	h     http.Handler
}

func newHouse(t *testing.T, secret string, change ...func(*web.Server)) *house {
	t.Helper()
	w, _, _ := serve(t, secret)
	ho := &house{t: t, clock: clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}}
	ho.Server = &web.Server{
		Store: w.Store, Token: adapters.Secret(secret), Verify: w.Verify, Metrics: w.Metrics,
		Status: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "숨비 <script>alert(1)</script>")
			return err
		},
	}
	ho.Log = slog.New(slog.NewTextHandler(&ho.log, nil))
	for _, f := range change {
		f(ho.Server)
	}
	ho.SetClock(ho.clock.now)
	ho.h = ho.Handler()
	return ho
}

// ask sends a request from 203.0.113.7 to http://sumbi.test unless change says otherwise.
func (ho *house) ask(method, path, body string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequestWithContext(ho.t.Context(), method, "http://sumbi.test"+path, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.7:4711"
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	ho.h.ServeHTTP(w, r)
	return w.Result()
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }

func bearer(s string) func(*http.Request) { return with("Authorization", "Bearer "+s) }

var browser = with("Accept", "text/html,application/xhtml+xml")

func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// form logs in with a token as a browser does.
func (ho *house) form(secret string, change ...func(*http.Request)) *http.Response {
	change = append([]func(*http.Request){browser, with("Content-Type", "application/x-www-form-urlencoded"), with("Origin", "http://sumbi.test")}, change...)
	return ho.ask("POST", "/login", url.Values{"token": {secret}}.Encode(), change...)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	if r := ho.ask("GET", "/", "", browser); r.StatusCode != 401 || !strings.Contains(text(r), `action="/login"`) {
		t.Errorf("a browser without a session: %s", r.Status)
	}
	if r := ho.form("들깨"); r.StatusCode != 401 || len(r.Cookies()) != 0 {
		t.Errorf("a wrong token: %s, cookies %v", r.Status, r.Cookies())
	}
	r := ho.form(token)
	if r.StatusCode != 303 || len(r.Cookies()) != 1 {
		t.Fatalf("the token: %s, cookies %v", r.Status, r.Cookies())
	}
	c := r.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Domain != "" || c.MaxAge != int(web.SessionAge/time.Second) || len(c.Value) < 20 || strings.Contains(c.Value, token) {
		t.Errorf("cookie %+v", c)
	}
	cookie := func(r *http.Request) { r.AddCookie(c) }
	if r := ho.ask("GET", "/", "", browser, cookie); r.StatusCode != 200 {
		t.Errorf("with the session: %s", r.Status)
	} else if b := text(r); !strings.Contains(b, `action="/logout"`) || strings.Contains(b, `action="/login"`) {
		t.Errorf("the page is %s", b)
	}
	// He comes to where he wanted to go, if that is here and is shown.
	deep := `/accounts/` + url.PathEscape("마켓/11번가") + `/x?before=2`
	if b := text(ho.ask("GET", deep+"&lang=ko", "", browser)); !slices.Equal(answered(b)["back"], []string{deep}) {
		t.Errorf("the way is lost: %s", b)
	}
	for back, want := range map[string]string{deep: deep, "/review?after=7": "/review?after=7", "//evil.test/": "/", "https://evil.test/": "/", "/\\evil.test": "/", "/nothing": "/", "/logout": "/", "": "/"} {
		form := url.Values{"token": {token}, "back": {back}}.Encode()
		r := ho.ask("POST", "/login", form, browser, with("Content-Type", "application/x-www-form-urlencoded"), with("Origin", "http://sumbi.test"))
		if to := r.Header.Get("Location"); r.StatusCode != 303 || to != want {
			t.Errorf("from %q: %s to %q", back, r.Status, to)
		}
	}
	if b := text(ho.ask("GET", deep, "", browser)); !strings.Contains(b, html.EscapeString(deep+"&lang=ko")) {
		t.Errorf("the way is lost with another language: %s", b)
	}
	form := url.Values{"token": {"들깨"}, "back": {deep}}.Encode()
	if b := text(ho.ask("POST", "/login", form, browser, with("Content-Type", "application/x-www-form-urlencoded"), with("Origin", "http://sumbi.test"))); !slices.Equal(answered(b)["back"], []string{deep}) {
		t.Errorf("the way is lost with a wrong token: %s", b)
	}
	if b := text(ho.ask("GET", "/places?q="+strings.Repeat("a", 3000), "", browser)); answered(b)["back"] != nil {
		t.Errorf("a way back that fits into no form is kept: %s", b)
	}
	if b := text(ho.ask("GET", "//evil.test/", "", browser, func(r *http.Request) { r.URL.Host, r.URL.Path = "", "//evil.test/" })); !strings.Contains(b, `href="?lang=ko"`) || strings.Contains(b, "evil.test") {
		t.Errorf("the page leads elsewhere: %s", b)
	}
	// One letter changed is no session; neither is another's name for it.
	for _, forged := range []string{c.Value[:len(c.Value)-1] + "0", strings.ToLower(c.Value), token, "", "' or 1=1"} {
		if r := ho.ask("GET", "/", "", with("Cookie", "sumbi="+forged)); r.StatusCode != 401 {
			t.Errorf("cookie %q: %s", forged, r.Status)
		}
	}
	if r := ho.ask("POST", "/logout", "", cookie, with("Sec-Fetch-Site", "cross-site")); r.StatusCode != 403 {
		t.Errorf("another site's log-out: %s", r.Status)
	}
	ho.clock.add(web.SessionAge - time.Second)
	if r := ho.ask("GET", "/", "", cookie); r.StatusCode != 200 {
		t.Errorf("before its end: %s", r.Status)
	}
	ho.clock.add(time.Second)
	if r := ho.ask("GET", "/", "", cookie); r.StatusCode != 401 {
		t.Errorf("after its end: %s", r.Status)
	}
	c = ho.form(token).Cookies()[0]
	if r := ho.ask("POST", "/logout", "", cookie); r.StatusCode != 303 || r.Cookies()[0].MaxAge != -1 {
		t.Errorf("log-out: %s", r.Status)
	}
	if r := ho.ask("GET", "/", "", cookie); r.StatusCode != 401 {
		t.Errorf("after the log-out: %s", r.Status)
	}
}

// TestFormsFromElsewhere wants nothing that changes something to be taken from another site's page.
func TestFormsFromElsewhere(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.test"}, {"Origin", "null"}, {"Origin", "http://sumbi.test.evil.test"}} {
		if r := ho.form(token, with(h[0], h[1])); r.StatusCode != 403 || len(r.Cookies()) != 0 {
			t.Errorf("%s: %s gives %s", h[0], h[1], r.Status)
		}
	}
	if r := ho.form(token, with("Sec-Fetch-Site", "same-origin")); r.StatusCode != 303 {
		t.Errorf("our own form: %s", r.Status)
	}
}

func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, func(s *web.Server) { s.ProxyHeader = "Fly-Client-IP" })
	tls := with("X-Forwarded-Proto", "https")
	c := ho.form(token, tls, with("Origin", "https://sumbi.test")).Cookies()[0]
	if !c.Secure || c.Name != "__Host-sumbi" {
		t.Errorf("cookie behind TLS: %+v", c)
	}
	// Each visitor behind the one address of the proxy has tries of his own.
	for range web.FreeTries {
		ho.ask("GET", "/", "", bearer("들깨"), with("Fly-Client-IP", "198.51.100.1"))
	}
	if r := ho.ask("GET", "/", "", bearer(token), with("Fly-Client-IP", "198.51.100.1")); r.StatusCode != 429 {
		t.Errorf("the guesser: %s", r.Status)
	}
	if r := ho.ask("GET", "/", "", bearer(token), with("Fly-Client-IP", "198.51.100.2")); r.StatusCode != 200 {
		t.Errorf("another visitor: %s", r.Status)
	}
	// What a visitor says of himself stands before what the proxy says.
	if r := ho.ask("GET", "/", "", bearer(token), with("Fly-Client-IP", "198.51.100.9, 198.51.100.1")); r.StatusCode != 429 {
		t.Errorf("the guesser under a false address: %s", r.Status)
	}
	// Without the setting both headers are anybody's.
	ho = newHouse(t, token)
	if c := ho.form(token, tls).Cookies()[0]; c.Secure {
		t.Errorf("cookie without TLS: %+v", c)
	}
	for i := range web.FreeTries {
		ho.ask("GET", "/", "", bearer("들깨"), with("Fly-Client-IP", fmt.Sprintf("198.51.100.%d", i)), with("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)))
	}
	if r := ho.ask("GET", "/", "", bearer("들깨"), with("Fly-Client-IP", "198.51.100.99")); r.StatusCode != 429 {
		t.Errorf("the guesser under many addresses: %s", r.Status)
	}
}

func TestLockOut(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	c := ho.form(token, from("198.51.100.1:1")).Cookies()[0]
	for i := range web.FreeTries {
		if r := ho.ask("GET", "/metrics", "", bearer(fmt.Sprint("깨", i))); r.StatusCode != 401 {
			t.Fatalf("guess %d: %s", i, r.Status)
		}
	}
	// The right token is no better than a wrong one now, by whichever way it comes.
	for range 50 {
		for _, r := range []*http.Response{ho.ask("GET", "/", "", bearer(token)), ho.form(token), ho.ask("GET", "/", "", func(r *http.Request) { r.SetBasicAuth("", token) })} {
			if r.StatusCode != 429 || r.Header.Get("Retry-After") != "61" {
				t.Fatalf("while locked out: %s, Retry-After %s", r.Status, r.Header.Get("Retry-After"))
			}
		}
	}
	// Who is logged in, and who comes from elsewhere, notices nothing.
	if r := ho.ask("GET", "/", "", func(r *http.Request) { r.AddCookie(c) }); r.StatusCode != 200 {
		t.Errorf("the session: %s", r.Status)
	}
	if r := ho.ask("GET", "/", "", bearer(token), from("203.0.113.8:1")); r.StatusCode != 200 {
		t.Errorf("another address: %s", r.Status)
	}
	ho.clock.add(time.Minute)
	if r := ho.ask("GET", "/", "", bearer(token)); r.StatusCode != 200 {
		t.Errorf("after the lock: %s", r.Status)
	}
	if n := strings.Count(ho.log.String(), "wrong token"); n != 1 {
		t.Errorf("%d lines about %d wrong tokens of one minute:\n%s", n, web.FreeTries, &ho.log)
	}
	// A network of the newer kind is one visitor.
	for i := range web.FreeTries {
		ho.ask("GET", "/", "", bearer("들깨"), from(fmt.Sprintf("[2001:db8:1:2::%d]:1", i+1)))
	}
	if r := ho.ask("GET", "/", "", bearer(token), from("[2001:db8:1:2:ffff::1]:1")); r.StatusCode != 429 {
		t.Errorf("another address of the same network: %s", r.Status)
	}
	if strings.Contains(ho.log.String(), "깨") {
		t.Errorf("the log holds what was guessed:\n%s", &ho.log)
	}
}

// TestTries wants nobody to be out for ever, no guesser to be faster than allowed, and no memory that grows.
func TestTries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var tr web.Tries
		now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		owner := netip.MustParsePrefix("198.51.100.1/32")
		tr.Passed(owner, now)
		looked := map[netip.Prefix][]time.Time{}
		for range rapid.IntRange(1, 300).Draw(rt, "tries") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(rt, "pause")))
			b := byte(rapid.IntRange(0, 3).Draw(rt, "who"))
			who := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, b}), 32)
			if d := tr.Wait(who, now); d > web.LongestLock {
				rt.Fatalf("%s waits %s", who, d)
			} else if d > 0 {
				continue
			}
			tr.Failed(who, now)
			looked[who] = append(looked[who], now)
			if tr.Wait(owner, now) != 0 {
				rt.Fatal("others lock the owner out")
			}
		}
		for who, at := range looked {
			for i := range len(at) - web.FreeTries {
				if d := at[i+web.FreeTries].Sub(at[i]); d < time.Minute {
					rt.Fatalf("%s had %d tries in %s", who, web.FreeTries+1, d)
				}
			}
		}
	})
}

func TestFlood(t *testing.T) {
	t.Parallel()
	var tr web.Tries
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	owner, here, stranger := netip.MustParsePrefix("198.51.100.1/32"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("198.51.100.2/32")
	tr.Passed(owner, now)
	n := 0
	for i := range 2 * web.MostClients {
		who := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		if tr.Wait(who, now) == 0 {
			tr.Failed(who, now)
			n++
		}
	}
	if n != web.FloodTries {
		t.Errorf("%d guesses in a moment, want %d", n, web.FloodTries)
	}
	if tr.Wait(owner, now) != 0 || tr.Wait(here, now) != 0 {
		t.Error("a flood locks out who has shown the token, or this machine")
	}
	if d := tr.Wait(stranger, now); d != web.FloodTime {
		t.Errorf("a stranger waits %s", d)
	}
	if tr.Wait(stranger, now.Add(web.FloodTime)) != 0 {
		t.Error("a stranger waits after the flood")
	}
	for i := range 2 * web.MostClients {
		now = now.Add(time.Second)
		tr.Failed(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32), now)
	}
	if n := tr.Clients(); n != web.MostClients {
		t.Errorf("%d clients are remembered", n)
	}
}

// TestSessionsAreEverywhere logs in at one of two processes of a state: the other one knows the session, also after a start, until it
// is ended or there is another token.
func TestSessionsAreEverywhere(t *testing.T) {
	t.Parallel()
	one := newHouse(t, token)
	other := func(secret string) *house {
		return newHouse(t, secret, func(s *web.Server) { s.Store = one.Store })
	}
	c := one.form(token).Cookies()[0]
	cookie := func(r *http.Request) { r.AddCookie(c) }
	two := other(token)
	if r := two.ask("GET", "/", "", browser, cookie); r.StatusCode != 200 {
		t.Errorf("at another process: %s", r.Status)
	}
	if r := other(token+"!").ask("GET", "/", "", browser, cookie); r.StatusCode != 401 {
		t.Errorf("with another token: %s", r.Status)
	}
	if r := one.ask("POST", "/logout", "", cookie); r.StatusCode != 303 {
		t.Errorf("log-out: %s", r.Status)
	}
	two.clock.add(10 * time.Second)
	for name, ho := range map[string]*house{"the same": one, "another": two, "a new": other(token)} {
		if r := ho.ask("GET", "/", "", browser, cookie); r.StatusCode != 401 {
			t.Errorf("after the log-out at %s process: %s", name, r.Status)
		}
	}
}

// TestSessionWithoutState keeps who is known let in while the state does not answer, and says that it does not.
func TestSessionWithoutState(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	c := ho.form(token).Cookies()[0]
	cookie := func(r *http.Request) { r.AddCookie(c) }
	ho.ask("GET", "/runs", "", browser, cookie)
	ho.Store.Close()
	ho.clock.add(time.Hour)
	gone, leave := context.WithCancel(t.Context())
	leave()
	ho.ask("GET", "/metrics", "", cookie, func(r *http.Request) { *r = *r.WithContext(gone) })
	if strings.Contains(ho.log.String(), "msg=session") {
		t.Errorf("a visitor who has left is logged:\n%s", &ho.log)
	}
	if r := ho.ask("GET", "/runs", "", browser, cookie); r.StatusCode != 500 || !strings.Contains(ho.log.String(), "msg=session") {
		t.Errorf("who is known: %s, logged:\n%s", r.Status, &ho.log)
	}
	if r := ho.form(token); r.StatusCode != 500 || len(r.Cookies()) != 0 {
		t.Errorf("a log-in: %s, cookies %v", r.Status, r.Cookies())
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	var all []*http.Cookie
	for range web.SessionMost + 1 {
		all = append(all, ho.form(token).Cookies()[0])
		ho.clock.add(time.Second)
	}
	for i, want := range map[int]int{0: 401, 1: 200, web.SessionMost: 200} {
		if r := ho.ask("GET", "/", "", func(r *http.Request) { r.AddCookie(all[i]) }); r.StatusCode != want {
			t.Errorf("session %d: %s", i, r.Status)
		}
	}
}

// TestOtherNames keeps a page whose name leads to this machine from reading what no token protects.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, "")
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "127.9.9.9": 200,
		"evil.test:8080": 403, "localhost.evil.test": 403, "127.0.0.1.evil.test": 403, "203.0.113.1": 403, "0.0.0.0:8080": 403, "": 403, "::1.evil": 403,
	} {
		for _, path := range []string{"/", "/metrics", "/healthz"} {
			if r := ho.ask("GET", path, "", func(r *http.Request) { r.Host = host }); r.StatusCode != want {
				t.Errorf("%s of %q: %s, want %d", path, host, r.Status, want)
			}
		}
	}
	if r := ho.ask("POST", "/webhooks/openai", "batch_1", with("webhook-id", "wh_1"), with("webhook-signature", "good")); r.StatusCode != 204 {
		t.Errorf("a signed webhook through a tunnel: %s", r.Status)
	}
	if r := ho.ask("POST", "/login", "token="); r.StatusCode == 303 {
		t.Errorf("a log-in without a token: %s", r.Status)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	for _, path := range []string{"/", "/login", "/healthz", "/nothing", "/webhooks/openai"} {
		h := ho.ask("GET", path, "", browser).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",

			"Content-Security-Policy":   "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"Strict-Transport-Security": "",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
	}
}

// TestForgedWebhooksFillNoLog sends many bad ones.
func TestForgedWebhooksFillNoLog(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	send := func() {
		if r := ho.ask("POST", "/webhooks/openai", "{}", with("webhook-signature", "위조")); r.StatusCode != 401 {
			t.Fatalf("forged: %s", r.Status)
		}
	}
	for range 1000 {
		send()
	}
	ho.clock.add(time.Minute)
	send()
	if s := ho.log.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "more_since_the_last_line=999") {
		t.Errorf("the log is\n%s", s)
	}
}

func TestListenWithoutATokenStaysHere(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		ctx, cancel := context.WithTimeout(t.Context(), hang)
		defer cancel()
		if err := w.Listen(ctx, addr); err == nil || !strings.Contains(err.Error(), "SUMBI_TOKEN") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestManyConnections holds connections open that say nothing. What comes after is turned away, and let in again when they have gone.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, token)
	var mu sync.Mutex
	var log bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Listen(ctx, "127.0.0.1:0") }()
	addr := ""
	for addr == "" {
		mu.Lock()
		_, rest, _ := strings.Cut(log.String(), "addr=")
		addr = strings.TrimSpace(rest)
		mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	var open []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		open = append(open, c)
	}
	last := open[len(open)-1]
	_, _ = io.WriteString(last, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") // an error says that it is turned away
	_ = last.SetReadDeadline(time.Now().Add(hang))
	if n, err := last.Read(make([]byte, 1)); n > 0 || isTimeout(err) {
		t.Errorf("300 silent connections are all kept: %v", err)
	}
	for _, c := range open {
		c.Close()
	}
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nobody is let in again: %v", err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
