package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sumbi/adapters"
)

var (
	withPassword = regexp.MustCompile(`(?i)^\s*[a-z][a-z0-9+.-]*://[^/?#@]*:[^/?#]*@`)
	goodName     = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._/-]{0,63}$`)
)

// CheckListen refuses an address that is none, and one that others can reach while no token protects it.
func CheckListen(addr string, token adapters.Secret) error {
	if complaint := listenAddress(addr, token); complaint != "" {
		return &Error{Msg: "listen " + complaint}
	}
	return nil
}

func listenAddress(addr string, token adapters.Secret) string {
	if addr == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Sprintf("is not an address: %q; write it like \"127.0.0.1:8080\"", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Sprintf("has no port between 0 and 65535: %q; write it like \"127.0.0.1:8080\"", addr)
	}
	switch {
	case loopback(host):
		return ""
	case token == "":
		return fmt.Sprintf("is %q, which others can reach: set SUMBI_TOKEN to protect it, or listen on 127.0.0.1", addr)
	case utf8.RuneCountInString(token.Reveal()) < leastToken:
		return fmt.Sprintf("is %q, which others can reach: SUMBI_TOKEN needs at least %d characters there, make one with `openssl rand -hex 32`", addr, leastToken)
	}
	return ""
}

// leastToken is how many characters a token has where others may guess.
const leastToken = 16

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Postgres is the state that is no file: a database, whose address is in the environment.
const Postgres = "postgres"

// CheckState refuses a state file that is an address, which may hold a password.
func CheckState(path string) error {
	if complaint := stateFile(path); complaint != "" {
		return &Error{Msg: "the state " + complaint}
	}
	return nil
}

func stateFile(s string) string {
	switch {
	case s == "":
		return "is empty: name a file, such as \"sumbi.db\""
	case strings.Contains(s, "://"):
		return "must be a file, such as \"sumbi.db\", not an address"
	}
	return ""
}

func baseURL(s *string) func() string {
	return func() string {
		u, err := url.Parse(strings.TrimSpace(*s))
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
			return "must be an address that begins with https:// (or http://) and names a host"
		case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return "must be a bare address, without ?, # or a user name"
		}
		*s = strings.TrimRight(strings.TrimSpace(*s), "/")
		return ""
	}
}

var (
	tileHost  = regexp.MustCompile(`^(\{s\}\.)?([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$`)
	tilePart  = regexp.MustCompile(`\{[^}]*\}?`)
	tileParts = []string{"{z}", "{x}", "{y}", "{s}", "{r}"}
)

func tiles(s *string) func() string {
	return func() string {
		if *s == "" {
			return ""
		}
		scheme, rest, _ := strings.Cut(*s, "://")
		host, _, _ := strings.Cut(rest, "/")
		if (scheme != "http" && scheme != "https") || !tileHost.MatchString(host) {
			return "must be the address of a tile, such as \"https://tile.example.com/{z}/{x}/{y}.png\", or \"\" for none"
		}
		for _, part := range tileParts[:3] {
			if !strings.Contains(*s, part) {
				return "must have {z}, {x} and {y} where the number of a tile stands"
			}
		}
		for _, part := range tilePart.FindAllString(*s, -1) {
			if !slices.Contains(tileParts, part) {
				return fmt.Sprintf("has %s: only {z}, {x}, {y}, {s} and {r} are known", part)
			}
		}
		return ""
	}
}

func webAddress(s *string) func() string {
	return func() string {
		u, err := url.Parse(*s)
		if *s != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return "must be an address that begins with https:// (or http://), or \"\" for none"
		}
		return ""
	}
}

func filled(s *string) func() string {
	return func() string {
		if strings.TrimSpace(*s) == "" {
			return "is empty: give it a value, or leave the line out"
		}
		return ""
	}
}

func rate(f *float64) func() string {
	return func() string {
		if !(*f >= 0) || math.IsInf(*f, 0) {
			return fmt.Sprintf("is %v: it must be 0 or more", *f)
		}
		return ""
	}
}

// mostDollars keeps sums of micro-dollars far from where integers end.
const mostDollars = 1e9

func dollars(f *float64) func() string {
	return func() string {
		if !(*f >= 0) || *f > mostDollars {
			return fmt.Sprintf("is %v: it must be a number of dollars, 0 or more", *f)
		}
		return ""
	}
}

// requestPrice checks a price of 1,000 requests: one request must cost whole micro-dollars, so that sums lose nothing.
func requestPrice(f *float64) func() string {
	return func() string {
		if complaint := dollars(f)(); complaint != "" {
			return complaint
		}
		if micro := *f * 1000; math.Abs(micro-math.Round(micro)) > 1e-6 {
			return fmt.Sprintf("is %v: it is dollars for 1,000 requests, in steps of 0.001", *f)
		}
		return ""
	}
}

func within[N int | int64](n *N, low, high N) func() string {
	return func() string {
		switch {
		case *n < low:
			return fmt.Sprintf("is %d: it must be at least %d", *n, low)
		case *n > high:
			return fmt.Sprintf("is %d: it must be at most %d", *n, high)
		}
		return ""
	}
}

func positive(d *time.Duration) func() string {
	return func() string {
		if *d <= 0 {
			return fmt.Sprintf("is %s: it must be longer than zero", Duration(*d))
		}
		return ""
	}
}

func notNegative(d *time.Duration) func() string {
	return func() string {
		if *d < 0 {
			return fmt.Sprintf("is %s: it must not be negative", Duration(*d))
		}
		return ""
	}
}

// wholeDays refuses what would be cut off: half a day would be none, and none is for ever.
func wholeDays(d *time.Duration) func() string {
	return func() string {
		if complaint := notNegative(d)(); complaint != "" {
			return complaint
		}
		if *d%(24*time.Hour) != 0 {
			return fmt.Sprintf("is %s: it must be whole days, such as \"730d\", or \"0s\" for ever", Duration(*d))
		}
		return ""
	}
}

func oneOf(s *string, known []string) func() string {
	return func() string {
		if !slices.Contains(known, *s) {
			return fmt.Sprintf("is unknown: %q; %s", *s, Suggest(*s, known))
		}
		return ""
	}
}

func mongoName(s *string) func() string {
	return func() string {
		if *s == "" || len(*s) > 63 || strings.ContainsAny(*s, "/\\. \"$*<>:|?\x00") {
			return fmt.Sprintf("is no name that MongoDB accepts: %q; use at most 63 letters, digits, - and _", *s)
		}
		return ""
	}
}

func pipelineName(s *string) func() string {
	return func() string {
		if !goodName.MatchString(*s) {
			return fmt.Sprintf("is no good name: %q; use at most 64 letters, digits, dots, slashes, - and _, beginning with a letter or digit", *s)
		}
		return ""
	}
}

func dialects() []string { return []string{"hub", "legacy"} }
func finders() []string  { return []string{"naver", "kakao"} }
func opinions() []string { return []string{"unsure", "always"} }
