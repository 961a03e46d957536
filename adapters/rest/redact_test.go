package rest_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const secret = "비밀/key+4711==?&x"

func shownTo(h http.Handler, o rest.Options, t *testing.T) *rest.Client {
	o.Limits = []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", Header: http.Header{"Authorization": {"Bearer " + secret}}})}
	return serve(t, h, o)
}

// forms are ways in which an upstream may repeat what it was sent.
func forms() map[string]string {
	return map[string]string{
		"raw":           secret,
		"query":         url.QueryEscape(secret),
		"path":          url.PathEscape(secret),
		"json":          strings.ReplaceAll(secret, "&", `\u0026`),
		"json, slashes": strings.ReplaceAll(secret, "/", `\/`),
		"base64":        base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url":     base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"header base64": base64.StdEncoding.EncodeToString([]byte("Authorization: Bearer " + secret + "\r\nAccept: */*")),
		"basic":         base64.StdEncoding.EncodeToString([]byte("u:" + secret)),
	}
}

// holds reports whether text holds the secret, or as much of it as helps, in any form.
func holds(text string) bool {
	for _, f := range forms() {
		if strings.Contains(text, f) {
			return true
		}
	}
	core := base64.StdEncoding.EncodeToString([]byte(secret))
	return strings.Contains(text, core[4:len(core)-4]) || strings.Contains(text, secret[3:])
}

func TestEveryWritingIsBlotted(t *testing.T) {
	t.Parallel()
	for name, f := range forms() {
		for _, status := range []int{302, 400, 401, 403, 404, 429, 500, 502} {
			var seen string
			c := shownTo(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"message":"당신이 보낸 것: %s"}`, f)
			}), rest.Options{Classify: func(_ int, _ http.Header, body []byte) *adapters.Error { seen = string(body); return nil }}, t)
			err := get(t.Context(), c)
			if holds(err.Error()+seen) || strings.Contains(seen, f) || !strings.Contains(seen, "[secret]") {
				t.Errorf("%s, %d: %v\n%s", name, status, err, seen)
			}
		}
	}
}

// TestCookiesAreBlotted repeats one value of several cookies, alone and with the others.
func TestCookiesAreBlotted(t *testing.T) {
	t.Parallel()
	const access, refresh = "eyJhbGciOi.eyJ1c2Vy.c2ln", "eyJhbGciOi.eyJyZWZy.bmF0dXJl"
	const cookie = "access_token=" + access + "; refresh_token=" + refresh
	for name, said := range map[string]string{
		"first": access, "second": refresh, "whole": cookie, "base64": base64.StdEncoding.EncodeToString([]byte(access)),
		"json": `{"cookies":{"access_token":"` + access + `"}}`, "header": "Cookie: " + cookie,
	} {
		for _, status := range []int{200, 400} {
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, said)
			}), rest.Options{})
			req, err := c.NewRequest(t.Context(), http.MethodGet, "/x", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie)
			text := ""
			if resp, err := c.Do(req); err != nil {
				text = err.Error()
			} else {
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				text = string(b)
			}
			if name == "base64" && status == 200 { // what is not read as the credential is the upstream's own text
				continue
			}
			if strings.Contains(text, "eyJ1c2Vy") || strings.Contains(text, "eyJyZWZy") || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(access))) {
				t.Errorf("%s, %d: %s", name, status, text)
			}
		}
	}
}

// TestAnswersAreErased lets good answers repeat the credential, cut anywhere between two packets.
func TestAnswersAreErased(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{secret, url.QueryEscape(secret), "비밀", secret[:7], secret[9:], "*", "식당", strings.Repeat("면", 9000), ""}), 0, 12).Draw(rt, "parts")
		whole := strings.Join(parts, "")
		want := whole
		for _, w := range []string{url.QueryEscape(secret), secret} {
			want = strings.ReplaceAll(want, w, strings.Repeat("*", len(w)))
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40_000), 1, 6).Draw(rt, "sizes")
		var got strings.Builder
		r := rest.NewEraser(&pieces{text: whole, sizes: sizes}, http.Header{"Authorization": {"Bearer " + secret}})
		buf := make([]byte, rapid.IntRange(1, 5000).Draw(rt, "buffer"))
		if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, buf); err != nil {
			rt.Fatal(err)
		}
		if got.String() != want {
			rt.Fatalf("got %q, want %q", got.String(), want)
		}
	})
}

// pieces is a reader that gives so much at a time.
type pieces struct {
	text  string
	sizes []int
	n     int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(len(p.text), p.sizes[p.n%len(p.sizes)])])
	p.text, p.n = p.text[n:], p.n+1
	return n, nil
}

// TestAnswersThatAreNoHTTP repeats the credential where net/http quotes it.
func TestAnswersThatAreNoHTTP(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"HTTP/1.1 " + secret + "\r\n\r\n", secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://[" + secret + "\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
				c.Close()
			}
		}()
		cl := rest.New(rest.Options{Upstream: "naver", BaseURL: "http://" + l.Addr().String(), Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", Header: http.Header{"X-Key": {secret}}})}})
		if err := get(t.Context(), cl); err == nil || holds(fmt.Sprintf("%v %+v", err, err)) {
			t.Errorf("%q: %v", answer, err)
		}
		_ = cl.Close(t.Context())
		l.Close()
	}
}
