package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

// ownAddress is an address of this machine that is not loopback; "" when it has none.
func ownAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// attacker speaks to a running serve without its token.
type attacker struct {
	t    *testing.T
	addr string
}

// raw sends bytes as they are and returns the status of each answer, 0 for a connection that was closed without one.
func (a attacker) raw(text string) (statuses []int, body string) {
	a.t.Helper()
	c, err := net.DialTimeout("tcp", a.addr, 10*time.Second)
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, text)
	if !strings.Contains(text, "Connection: close") {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	all, _ := io.ReadAll(c)
	for r := bufio.NewReader(bytes.NewReader(all)); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		b, _ := io.ReadAll(resp.Body)
		statuses, body = append(statuses, resp.StatusCode), body+string(b)
	}
	if len(statuses) == 0 {
		statuses = []int{0}
	}
	return statuses, body
}

// refused fails the test when an answer is anything but a refusal, or says what only the owner may know.
func (a attacker) refused(what, text string) {
	a.t.Helper()
	statuses, body := a.raw(text)
	for _, s := range statuses {
		if s != 0 && (s < 400 || s > 499) && s != http.StatusNotImplemented && s != http.StatusHTTPVersionNotSupported {
			a.t.Errorf("%s: %v\n%s", what, statuses, body)
		}
	}
	if inside.MatchString(body) {
		a.t.Errorf("%s shows what is inside: %s", what, body)
	}
}

// inside is what only the pages behind the token hold.
var inside = regexp.MustCompile(`matzip|instagram|go_goroutines|sumbi_jobs|last run|/webhooks|state file`)

func request(method, target string, headers ...string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: sumbi\r\nConnection: close\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
}

// content is everything that somebody could want to change.
func (w *world) content() string {
	w.t.Helper()
	if w.database == "" {
		return w.query(".dump job record place mention question batch run walk target")
	}
	var all strings.Builder
	for _, table := range []string{"job", "record", "place", "mention", "question", "batch", "run", "walk", "target"} {
		all.WriteString(w.query("select * from " + table + " order by 1, 2"))
	}
	return all.String()
}

// TestAttack tries from outside loopback to get at anything without the token: every path and method, tricks with paths, headers
// and framing, guesses, forged cookies and webhooks. Nothing is reached and nothing is changed.
func TestAttack(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	if own == "" {
		t.Skip("THIS MACHINE HAS NO ADDRESS BUT LOOPBACK: nothing was attacked")
	}
	const token = "attack-열려라참깨-0123456789"
	w := newWorld(t, sim.Options{Seed: 44, Accounts: 1, Posts: 12, BatchStep: 20 * time.Millisecond}, "")
	w.mustRun("run", "matzip")
	w.env = append(w.env, "SUMBI_TOKEN="+token)
	sv := w.serveOn("0.0.0.0")
	_, port, err := net.SplitHostPort(sv.addr)
	if err != nil {
		t.Fatal(err)
	}
	a := attacker{t, net.JoinHostPort(own, port)}
	before := w.content()
	slow := make(chan error, 1)
	go func() { slow <- a.slow() }()

	targets := []string{
		"/", "/metrics", "/status", "/admin", "/debug/pprof/", "/debug/vars", "/.env", "/sumbi.db", "/sumbi.toml", "/logout", "/favicon.ico", "/jobs", "/api", "/events?view=overview", "/runs/new?pipeline=matzip", "/dead/retry", "/look", "/static/", "/static/../metrics", "/static/x/../../metrics", "/static/x/..%2f..%2fview.go", "/healthz/", "/healthz/x", "/login/", "/webhooks/", "/webhooks/openai/", "/webhooks",
		"//", "///metrics", "//metrics", "/./metrics", "/../metrics", "/healthz/../metrics", "/healthz/..", "/login/../", "/webhooks/openai/../../metrics", "/%2e%2e/metrics", "/healthz%2f..%2fmetrics", "/healthz/%2e%2e/metrics", "/%6detrics", "/metrics%00", "/metrics%20", "/metrics;x", "/metrics?token=x", "/METRICS",
		"/healthz;/../metrics", "/login?next=//evil.example", "/\\metrics", "/metrics#x", "http://sumbi/metrics", "http://127.0.0.1/metrics", "http://localhost/", "http://x@sumbi/metrics", "*", "metrics", "", "?", "/..%c0%af..%c0%afetc/passwd", "/../../../../etc/passwd", "/%00",
	}
	open := map[string]bool{"GET /login?next=//evil.example": true, "HEAD /login?next=//evil.example": true}
	for _, target := range targets {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "CONNECT"} {
			if !open[method+" "+target] {
				a.refused(method+" "+target, request(method, target))
			}
		}
	}
	for _, method := range []string{"PUT", "PATCH", "TRACE", "PROPFIND", "PRI", "BREW", "get"} {
		for _, target := range []string{"/", "/metrics", "/healthz", "/login", "/webhooks/openai"} {
			a.refused(method+" "+target, request(method, target))
		}
	}
	for _, h := range []string{
		"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Fly-Client-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Original-URL: /healthz", "X-Rewrite-URL: /healthz", "X-HTTP-Method-Override: GET", "X-Forwarded-Host: localhost",
		"Authorization: Bearer", "Authorization:", "Authorization: Digest username=\"a\"", "Authorization: Negotiate AAAA", "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"Cookie: sumbi=", "Cookie: sumbi=" + strings.Repeat("A", 26), "Cookie: __Host-sumbi=x; sumbi=x", "Cookie: sumbi=true; admin=1", "Cookie: sumbi=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "Cookie: " + strings.Repeat("sumbi=x; ", 500),
		"Accept: text/html", "Content-Length: -1", "Content-Length: 99999999999999999999", "Host: localhost", "X: " + strings.Repeat("면", 20_000), "Range: bytes=0-9999999999", "Expect: 100-continue\r\nContent-Length: 10", "Expect: 999-x",
	} {
		for _, target := range []string{"/", "/metrics"} {
			a.refused("GET "+target+" with "+h[:min(len(h), 60)], request("GET", target, h))
		}
	}
	// Framing that two servers might read differently, with a second request inside.
	second := "GET /metrics HTTP/1.1\r\nHost: sumbi\r\n\r\n"
	for _, text := range []string{
		"GET /metrics\r\n\r\n", "GET /metrics", "GET / HTTP/0.9\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n", "GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x00\xa5\x01\x00", "\x00\x00", "GET /metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nHost: sumbi\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"POST /metrics HTTP/1.1\r\nHost: sumbi\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + second,
		"POST /metrics HTTP/1.1\r\nHost: sumbi\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + second,
		"POST /metrics HTTP/1.1\r\nHost: sumbi\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nabcde" + second,
		"GET /metrics HTTP/1.1\r\nHost: sumbi\r\nX: a\rAuthorization: Bearer x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: sumbi\n\nGET /metrics HTTP/1.1\n\n", "GET /metrics HTTP/1.1\r\n Host: sumbi\r\n\r\n", "GET /\x00metrics HTTP/1.1\r\nHost: sumbi\r\n\r\n", "GET /metrics\tHTTP/1.1\r\nHost: sumbi\r\n\r\n",
	} {
		a.refused(strconv.Quote(text[:min(len(text), 60)]), text)
	}
	// An open page that is asked first, on the same connection, opens nothing.
	statuses, body := a.raw("GET /healthz HTTP/1.1\r\nHost: sumbi\r\n\r\n" + strings.TrimSuffix(second, "\r\n") + "Connection: close\r\n\r\n")
	if len(statuses) != 2 || statuses[0] != 200 || statuses[1] != 401 {
		t.Errorf("healthz, then metrics: %v %s", statuses, body)
	}

	a.webhooks(w)

	// Guesses: the answer to the last ones is that they are not looked at any more. The owner elsewhere notices nothing.
	locked := 0
	for i := range 30 {
		s, _ := a.raw(request("GET", "/", fmt.Sprintf("Authorization: Bearer guess-%d", i)))
		if s[0] == http.StatusTooManyRequests {
			locked++
		} else if s[0] != http.StatusUnauthorized {
			t.Errorf("guess %d: %v", i, s)
		}
	}
	if locked < 20 {
		t.Errorf("%d of 30 guesses were locked out", locked)
	}
	if s, _ := a.raw(request("GET", "/", "Authorization: Bearer "+token)); s[0] != http.StatusTooManyRequests {
		t.Errorf("the right token among the guesses: %v", s)
	}
	if code, _ := (&served{w: w, addr: net.JoinHostPort("127.0.0.1", port)}).get("/", token); code != http.StatusOK {
		t.Errorf("the owner, from the machine itself: %d", code)
	}

	if err := <-slow; err != nil {
		t.Errorf("headers that never end: %v", err)
	}
	if after := w.content(); after != before {
		t.Errorf("the state was changed:\n%s\nwas\n%s", after, before)
	}
	if n := strings.Count(sv.text(), "\n"); n > 40 {
		t.Errorf("the attack wrote %d lines into the log:\n%s", n, sv.text())
	}
	sv.term()
}

// slow begins a request and never ends it. The error is nil when the other side gives up.
func (a attacker) slow() error {
	c, err := net.Dial("tcp", a.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: sumbi\r\nX-Slow: ")
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.Copy(io.Discard, c)
	return err
}

// webhooks sends forged, stale, replayed and oversized ones.
func (a attacker) webhooks(w *world) {
	now := time.Now()
	event := `{"type":"batch.completed","data":{"id":"batch_1"}}`
	send := func(id string, at time.Time, signature, body string) []int {
		s, _ := a.raw(request("POST", "/webhooks/openai", "Content-Type: application/json", "webhook-id: "+id, fmt.Sprintf("webhook-timestamp: %d", at.Unix()), "webhook-signature: "+signature, fmt.Sprintf("Content-Length: %d", len(body))) + body)
		return s
	}
	good := func(id string, at time.Time, body string) string {
		return sim.Sign(sim.DefaultWebhookSecret, id, at, []byte(body))
	}
	for name, s := range map[string][]int{
		"forged":         send("wh_a", now, "v1,Zm9yZ2Vk", event),
		"another secret": send("wh_a", now, sim.Sign("whsec_d3Jvbmc=", "wh_a", now, []byte(event)), event),
		"stale":          send("wh_a", now.Add(-6*time.Minute), good("wh_a", now.Add(-6*time.Minute), event), event),
		"of the future":  send("wh_a", now.Add(6*time.Minute), good("wh_a", now.Add(6*time.Minute), event), event),
		"another body":   send("wh_a", now, good("wh_a", now, event), strings.Replace(event, "batch_1", "batch_2", 1)),
		"another id":     send("wh_b", now, good("wh_a", now, event), event),
		"another time":   send("wh_a", now.Add(time.Second), good("wh_a", now, event), event),
		"no signature":   send("wh_a", now, "", event),
		"too large":      send("wh_a", now, good("wh_a", now, strings.Repeat(" ", 70<<10)), strings.Repeat(" ", 70<<10)),
		"no JSON":        send("wh_a", now, good("wh_a", now, "끝"), "끝"),
		"nothing":        send("", now, "", ""),
	} {
		if s[0] < 400 || s[0] > 499 {
			a.t.Errorf("webhook, %s: %v", name, s)
		}
	}
	if left := w.query(`select id from webhook`); left != "" {
		a.t.Errorf("refused webhooks are remembered: %s", left)
	}
	for i := range 3 {
		if s := send("wh_good", now, good("wh_good", now, event), event); s[0] != http.StatusNoContent {
			a.t.Errorf("a signed webhook, delivery %d: %v", i, s)
		}
	}
	if left := w.query(`select id from webhook`); left != "wh_good\n" {
		a.t.Errorf("remembered: %s", left)
	}
}
