package velog_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sumbi/adapters/velog"
)

func FuzzToken(f *testing.F) {
	f.Add(token("access_token", userID, start), "access_token")
	f.Add(refresh("token_Id", start), "refresh_token")
	f.Add("a.b.c", "access_token")
	f.Add("", "refresh_token")
	f.Add("..", "access_token")
	f.Fuzz(func(t *testing.T, text, kind string) {
		user, _, expires, ok := velog.ParseToken(text, kind)
		switch {
		case !ok && (user != "" && expires > 0):
			t.Errorf("%q is no token, but says %q", text, user)
		case ok && (user == "" || expires < 0):
			t.Errorf("%q is a token of nobody", text)
		case ok && strings.ContainsAny(text, "\r\n; ="):
			t.Errorf("%q cannot stand in a header", text)
		}
	})
}

func FuzzSetCookie(f *testing.F) {
	a, r := token("access_token", userID, start.Add(time.Hour)), token("refresh_token", userID, start.Add(time.Hour))
	f.Add(cookie("access_token", a, "")+"\n"+cookie("refresh_token", r, ""), false)
	f.Add(cleared("access_token")+"\n"+cleared("refresh_token"), true)
	f.Add("access_token=\"x\"; Max-Age=-1\nrefresh_token", false)
	f.Fuzz(func(t *testing.T, lines string, _ bool) {
		h := http.Header{"Set-Cookie": strings.Split(lines, "\n")}
		got, cleared := velog.TokensOf(h, start)
		if cleared && len(got) > 0 {
			t.Errorf("%q both clears and sets %v", lines, got)
		}
		for name, v := range got {
			if (name != velog.AccessToken && name != velog.RefreshToken) || v == "" {
				t.Errorf("%q sets %q to %q", lines, name, v)
			}
		}
		if cleared && (!strings.Contains(lines, velog.AccessToken) || !strings.Contains(lines, velog.RefreshToken)) {
			t.Errorf("%q clears what it does not name", lines)
		}
	})
}

func FuzzKoreanDay(f *testing.F) {
	for _, s := range []string{"2023-11-16T00:00:00.000Z", "2023-11-15T15:00:00.000Z", "2023-11-16", "0000-00-00", "+", "9999-12-31T23:59:59.999-23:59"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := velog.KoreanDay(s); d != "" {
			if _, err := time.Parse(time.DateOnly, d); err != nil && !strings.HasPrefix(d, "1") { // the year after 9999
				t.Errorf("%q is the day %q", s, d)
			}
		}
	})
}
