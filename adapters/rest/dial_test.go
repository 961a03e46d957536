package rest_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "211.249.220.24": true, "172.15.0.1": true, "172.32.0.1": true, "100.128.0.1": true, "2606:4700::1111": true, "64:ff9b::808:808": true, "2002:808:808::1": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "198.18.0.1": false, "192.0.2.1": false, "192.0.0.170": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.1.1.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "fec0::1": false, "ff02::1": false, "2001:db8::1": false, "2001::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "100::1": false,
	} {
		if got := rest.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %v", text, got)
		}
	}
}

// TestNoWayIn lets a name that a configuration knows as a public one lead to this machine. The name is never looked up: what
// counts is the address that is dialled.
func TestNoWayIn(t *testing.T) {
	t.Parallel()
	var calls int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write([]byte("{}"))
	}))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	try := func(base string, private bool) error {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		tr := rest.NewTransport(u, private)
		defer tr.CloseIdleConnections()
		dial := tr.DialContext
		// As a name server would that has changed its mind.
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, "127.0.0.1:"+port)
		}
		c := rest.New(rest.Options{Upstream: "naver", BaseURL: base, Transport: tr})
		return get(t.Context(), c)
	}
	err := try("http://api.upstream.test/v1", false)
	e := kindOf(t, err)
	if e.Kind != adapters.NeedsHuman || e.Reason != adapters.ReasonPath || !strings.Contains(err.Error(), "allow_private") || !strings.Contains(err.Error(), "api.upstream.test leads to 127.0.0.1") {
		t.Errorf("got %v, %v", e.Kind, err)
	}
	if err := try("http://8.8.8.8/v1", false); err == nil {
		t.Error("a public address in base_url led here")
	}
	if calls != 0 {
		t.Errorf("%d calls arrived", calls)
	}
	for _, base := range []string{"http://localhost/v1", "http://127.0.0.1/v1", "http://[::1]/v1", "http://192.168.0.7/v1"} {
		if err := try(base, false); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
	if err := try("http://api.upstream.test/v1", true); err != nil {
		t.Errorf("with allow_private: %v", err)
	}
}

// TestRedirectsStay wants a credential to go nowhere else, whatever an upstream answers.
func TestRedirectsStay(t *testing.T) {
	t.Parallel()
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	const secret = "열쇠-0123456789-abcdef"
	for _, to := range []string{
		other.URL + "/?key=" + url.QueryEscape(secret), "//" + other.Listener.Addr().String(), "http://localhost:" + port, "http://169.254.169.254/latest/meta-data", "gopher://127.0.0.1:1", "file:///etc/passwd", "http://u:p@" + other.Listener.Addr().String(),
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
				fmt.Fprint(w, "moved to ", to)
			}), rest.Options{Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/1", Header: http.Header{"X-Key": {secret}}})}})
			err := get(t.Context(), c)
			if e := kindOf(t, err); e.Kind != adapters.NeedsHuman || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), url.QueryEscape(secret)) {
				t.Errorf("%d to %s: %v", status, to, err)
			}
		}
	}
	if elsewhere != 0 {
		t.Errorf("%d requests went elsewhere", elsewhere)
	}
}
