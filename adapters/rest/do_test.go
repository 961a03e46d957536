package rest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/rest"
)

// nobody is an address at which nobody listens: no port of that kind is given to whoever asks for any.
const nobody = "http://127.0.0.1:1"

// serve returns a client of a server that answers with h.
func serve(t *testing.T, h http.Handler, o rest.Options) *rest.Client {
	t.Helper()
	s := httptest.NewServer(h)
	o.Upstream, o.BaseURL = "naver", s.URL+"/v1/"
	c := rest.New(o)
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return c
}

func TestClassification(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		kind   adapters.Kind
		reason string
		after  time.Duration
	}{
		{400, adapters.Permanent, "", 0},
		{401, adapters.Unauthorized, adapters.ReasonKey, 0},
		{403, adapters.NeedsHuman, adapters.ReasonPlan, 0},
		{404, adapters.Permanent, "", 0},
		{408, adapters.Temporary, "", 3 * time.Second},
		{422, adapters.Permanent, "", 0},
		{425, adapters.Temporary, "", 3 * time.Second},
		{429, adapters.Throttled, adapters.ReasonRate, 3 * time.Second},
		{500, adapters.Temporary, "", 3 * time.Second},
		{503, adapters.Temporary, "", 3 * time.Second},
		{304, adapters.NeedsHuman, adapters.ReasonPath, 0},
	} {
		t.Run(http.StatusText(c.status), func(t *testing.T) {
			t.Parallel()
			cl := serve(t, adaptertest.Status(c.status, "{\n  \"message\": \"맛집을\u00a0찾을 수 없습니다\"\n}", "Retry-After", "3"), rest.Options{})
			began := time.Now()
			_, err := cl.GetJSON(t.Context(), "search", url.Values{"query": {"평양냉면"}}, new(any))
			took := time.Since(began) // of the pause as much may have passed
			e := kindOf(t, err)
			if e.Kind != c.kind || e.Reason != c.reason || e.After > c.after || e.After < c.after-took {
				t.Errorf("got %v, %q, %v after %v, want %v, %q, %v", e.Kind, e.Reason, e.After, took, c.kind, c.reason, c.after)
			}
			if strings.Contains(err.Error(), "query") || strings.Contains(err.Error(), "평양") {
				t.Errorf("the query is in the error: %v", err)
			}
			if c.status != 304 && !strings.Contains(err.Error(), `{ "message": "맛집을 찾을 수 없습니다" }`) {
				t.Errorf("the answer is not in the error: %v", err)
			}
		})
	}
}

// Of trouble that is to last its error says until when; of the pauses of a minute nobody needs to know.
func TestTroubleSaysUntilWhen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, after, text string
		want              time.Duration
	}{
		{"days", "259200", "naver: it asks to be left alone until 2000-01-04 09:00 KST: GET /v1/search: status 503", 72 * time.Hour},
		{"a date", "Tue, 04 Jan 2000 00:00:00 GMT", "naver: it asks to be left alone until 2000-01-04 09:00 KST: GET /v1/search: status 503", 72 * time.Hour},
		{"a date in years", "Tue, 04 Jan 2028 00:00:00 GMT", "naver: it asks to be left alone until 2000-02-02 09:00 KST: GET /v1/search: status 503", 32 * 24 * time.Hour},
		{"a minute", "60", "naver: GET /v1/search: status 503", time.Minute},
		{"nothing", "", "naver: GET /v1/search: status 503", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: refuse(http.StatusServiceUnavailable, "", "Retry-After", c.after)}
				e := kindOf(t, get(t.Context(), client(u, rest.NewLimit(rest.LimitOptions{Name: "naver/1"}))))
				if e.Error() != c.text || e.After != c.want || e.Kind != adapters.Temporary {
					t.Errorf("got %q, %v, %v, want %q, temporary, %v", e, e.Kind, e.After, c.text, c.want)
				}
			})
		})
	}
}

// What a client's own classifier leaves open is left alone for as long as the error says.
func TestTroubleIsLeftAloneAsItSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := rest.New(rest.Options{
			Upstream: "instagram", BaseURL: "http://upstream.test", Transport: &upstream{answer: refuse(http.StatusForbidden, "<html>", "Retry-After", "7200")},
			Classify: func(int, http.Header, []byte) *adapters.Error {
				return &adapters.Error{Kind: adapters.Temporary, Err: errors.New("status 403")}
			},
		})
		e := kindOf(t, get(t.Context(), c))
		if want := "instagram: it asks to be left alone until 2000-01-01 11:00 KST: GET /search: status 403"; e.Error() != want || e.After != 2*time.Hour {
			t.Errorf("got %q, %v, want %q, 2h", e, e.After, want)
		}
	})
}

func TestErrorTextIsShort(t *testing.T) {
	t.Parallel()
	c := serve(t, adaptertest.Status(400, strings.Repeat("숨비소리\n", 50_000)), rest.Options{})
	text := kindOf(t, get(t.Context(), c)).Error()
	if len(text) > 300 || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\x00") {
		t.Errorf("got %d bytes: %q", len(text), text)
	}
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	for _, h := range []http.Header{
		{"X-Key": {"비밀-0123456789"}},
		{"Authorization": {"Bearer sk-0123456789"}},
		{"Authorization": {"KakaoAK 0123456789ab"}},
	} {
		var seen string
		classify := func(_ int, _ http.Header, body []byte) *adapters.Error { seen = string(body); return nil }
		c := serve(t, adaptertest.Echo(400), rest.Options{
			Classify: classify, Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", Header: h})},
		})
		text := kindOf(t, get(t.Context(), c)).Error()
		for _, values := range h {
			secret := values[0][strings.LastIndexByte(values[0], ' ')+1:]
			if strings.Contains(text+seen, secret) || !strings.Contains(seen, "[secret]") {
				t.Errorf("got %s", text)
			}
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.WriteString(w, `{"name":"을지면옥"}`)
	}), rest.Options{Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", Header: http.Header{"x-key": {"하나"}}})}})
	var meter adapters.Meter
	var out struct{ Name string }
	_, err := c.GetJSON(adapters.WithMeter(t.Context(), &meter), "/search/local.json", url.Values{"query": {"을지면옥"}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/v1/search/local.json" || got.FormValue("query") != "을지면옥" || out.Name != "을지면옥" {
		t.Errorf("got %v and %q", got.URL, out.Name)
	}
	if k, ua := got.Header.Get("X-Key"), got.Header.Get("User-Agent"); k != "하나" || ua != "sumbi" {
		t.Errorf("got key %q and user agent %q", k, ua)
	}
	if n := meter.Calls()["naver"]; n != 1 {
		t.Errorf("%d calls were counted, want 1", n)
	}
}

func TestGetJSONIsStrict(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.Handler{
		"empty":     adaptertest.Status(200, ""),
		"html":      adaptertest.Status(200, "<html>점검 중</html>"),
		"half":      adaptertest.Status(200, `{"name":"을지`),
		"two":       adaptertest.Status(200, `{"name":"을지면옥"}{}`),
		"rubbish":   adaptertest.Status(200, `{"name":"을지면옥"}]`),
		"wrong":     adaptertest.Status(200, `["을지면옥"]`),
		"cut":       adaptertest.Cut(8, adaptertest.Status(200, `{"name":"을지면옥"}`)),
		"too large": adaptertest.Status(200, `{"name":"`+strings.Repeat("면", 1000)+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, h, rest.Options{MaxBody: 1000})
			var out struct{ Name string }
			_, err := c.GetJSON(t.Context(), "search", nil, &out)
			e := kindOf(t, err)
			if e.Kind != adapters.Temporary || e.Upstream != "naver" {
				t.Errorf("got %v from %q (%v), want temporary", e.Kind, e.Upstream, err)
			}
			if name == "too large" && !strings.Contains(err.Error(), "larger than 1000 bytes") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBodyOfExactlyTheCap(t *testing.T) {
	t.Parallel()
	c := serve(t, adaptertest.Status(200, strings.Repeat("x", 1000)), rest.Options{MaxBody: 1000})
	req, err := c.NewRequest(t.Context(), http.MethodGet, "files", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 1000 {
		t.Errorf("got %d bytes and %v", len(b), err)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere = true }))
	defer other.Close()
	mux := http.NewServeMux()
	mux.Handle("/v1/same", http.RedirectHandler("/v1/end", http.StatusFound))
	mux.Handle("/v1/other", http.RedirectHandler(other.URL, http.StatusFound))
	mux.Handle("/v1/loop", http.RedirectHandler("/v1/loop", http.StatusFound))
	mux.Handle("/v1/end", adaptertest.Status(200, `{}`))
	c := serve(t, mux, rest.Options{})
	var meter adapters.Meter
	if _, err := c.GetJSON(adapters.WithMeter(t.Context(), &meter), "same", nil, new(any)); err != nil {
		t.Error(err)
	}
	if n := meter.Calls()["naver"]; n != 2 {
		t.Errorf("%d calls were counted, want 2", n)
	}
	for _, path := range []string{"other", "loop"} {
		c := serve(t, mux, rest.Options{})
		_, err := c.GetJSON(t.Context(), path, nil, new(any))
		if e := kindOf(t, err); e.Kind != adapters.NeedsHuman || e.Reason != adapters.ReasonPath {
			t.Errorf("%s: got %v, %q", path, e.Kind, e.Reason)
		}
	}
	if elsewhere {
		t.Error("the request went to another host")
	}
}

func TestTransportErrors(t *testing.T) {
	t.Parallel()
	post := func(c *rest.Client, method string) *adapters.Error {
		req, err := c.NewRequest(t.Context(), method, "batches", url.Values{"q": {"냉면"}}, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(req)
		return kindOf(t, err)
	}
	for _, tc := range []struct {
		name, method, reason string
		client               *rest.Client
	}{
		{"refused", "POST", adapters.ReasonUnreachable, rest.New(rest.Options{Upstream: "openai", BaseURL: nobody})},
		{"get cut", "GET", "", serve(t, adaptertest.Cut(0, adaptertest.Status(200, "x")), rest.Options{})},
		{"post without answer", "POST", adapters.ReasonUnknown, serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}), rest.Options{})},
		{"post, bad gateway", "POST", adapters.ReasonUnknown, serve(t, adaptertest.Status(502, ""), rest.Options{})},
		{"post, unavailable", "POST", "", serve(t, adaptertest.Status(503, ""), rest.Options{})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "get cut" {
				_, err := tc.client.GetJSON(t.Context(), "batches", nil, new(any))
				if e := kindOf(t, err); e.Kind != adapters.Temporary {
					t.Errorf("got %v", e)
				}
				return
			}
			e := post(tc.client, tc.method)
			if e.Kind != adapters.Temporary || e.Reason != tc.reason {
				t.Errorf("got %v, %q (%v), want temporary, %q", e.Kind, e.Reason, e, tc.reason)
			}
			if strings.Contains(e.Error(), "?") {
				t.Errorf("the query is in the error: %v", e)
			}
		})
	}
}

// TestTimeout lets the time of a call end while the upstream has it. Whatever it is that has been sent, it may have been done.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for method, reason := range map[string]string{http.MethodPost: adapters.ReasonUnknown, http.MethodGet: ""} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := rest.New(rest.Options{Upstream: "openai", BaseURL: "http://127.0.0.1", Timeout: 500 * ms})
				rest.UseTransport(c, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() { _, _ = io.Copy(io.Discard, theirs) }()
					return ours, nil
				}})
				defer c.Close(t.Context())
				began := time.Now()
				req, err := c.NewRequest(t.Context(), method, "batches", url.Values{"q": {"냉면"}}, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Do(req)
				e := kindOf(t, err)
				if e.Kind != adapters.Temporary || e.Reason != reason || strings.Contains(e.Error(), "?") || time.Since(began) != 500*ms {
					t.Errorf("got %v, %q (%v) after %v, want temporary, %q", e.Kind, e.Reason, e, time.Since(began), reason)
				}
			})
		})
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "body") {
			_, _ = io.WriteString(w, `{"name":`)
			_ = http.NewResponseController(w).Flush()
		}
		reached <- struct{}{}
		<-r.Context().Done()
	}), rest.Options{})
	for _, path := range []string{"head", "body"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-reached
			cancel()
		}()
		if _, err := c.GetJSON(ctx, path, nil, new(any)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", path, err, context.Canceled)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := rest.NewMetrics(reg)
	u := &upstream{}
	c := rest.New(rest.Options{Upstream: "kakao", BaseURL: "http://upstream.test", Transport: u, Metrics: m})
	if err := get(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	u.answer = refuse(404, "")
	_ = get(t.Context(), c)
	u.answer = refuse(429, "", "Retry-After", "100")
	_ = get(t.Context(), c)

	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, l := range metric.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"sumbi_requests_total ok kakao":        1,
		"sumbi_requests_total permanent kakao": 1,
		"sumbi_requests_total throttled kakao": 1,
		"sumbi_request_seconds kakao":          3,
		"sumbi_limit_held kakao":               1,
		"sumbi_permits_total granted kakao":    3,
		"sumbi_limit_wait_seconds kakao":       3,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v (of %v)", name, got[name], want, got)
		}
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "맛집", "ftp://naver.test", "/v1"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New took %q", base)
				}
			}()
			rest.New(rest.Options{BaseURL: base})
		}()
	}
}
