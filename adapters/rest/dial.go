package rest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"sumbi/adapters"
)

// NewTransport returns a transport for base that opens no connection to a private address: not to this machine, its networks
// or what else no public host has. It is decided by the address that is dialled, whatever the name led to before. Private
// addresses are open when base names one itself (or localhost), or when private is set. A proxy that the environment names is
// dialled wherever it is, and looks up the names itself.
func NewTransport(base *url.URL, private bool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = idlePerHost
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	if !private && !namesPrivate(base.Hostname()) && !proxied(t, base) {
		dialer.Control = publicOnly(base.Hostname())
	}
	t.DialContext = dialer.DialContext
	return t
}

func proxied(t *http.Transport, base *url.URL) bool {
	proxy, err := t.Proxy(&http.Request{URL: base})
	return err == nil && proxy != nil
}

// namesPrivate reports whether host is itself a private address, or the name of this machine.
func namesPrivate(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && !public(ip)
}

// publicOnly refuses a connection just before it is opened, when its address is known.
func publicOnly(host string) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !public(to.Addr()) {
			return &adapters.Error{
				Kind: adapters.NeedsHuman, Reason: adapters.ReasonPath,
				Err: fmt.Errorf("%s leads to %s, a private address: correct base_url or the name server, or set allow_private = true when it is meant", host, to.Addr()),
			}
		}
		return nil
	}
}

// What no public host has although it looks like it, by the registries of special addresses.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "3fff::/20",
)

var (
	global = netip.MustParsePrefix("2000::/3")
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixto4 = netip.MustParsePrefix("2002::/16")
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public reports whether an address is one that anybody on the internet may have.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case nat64.Contains(ip): // an address of the old kind stands in it
		return public(netip.AddrFrom4([4]byte(b[12:16])))
	case sixto4.Contains(ip):
		return public(netip.AddrFrom4([4]byte(b[2:6])))
	case ip.Is6() && !global.Contains(ip), ip.IsPrivate(), !ip.IsGlobalUnicast():
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
