package velog

import (
	"net/http"
	"time"
)

// TokensOf and ParseToken let the fuzz tests reach the readers of what comes from outside.
func TokensOf(h http.Header, now time.Time) (got map[string]string, cleared bool) {
	return tokensOf(h, now)
}

// ParseToken returns what a token says of its user and its end in Unix seconds.
func ParseToken(token, kind string) (user, id string, expires int64, ok bool) {
	c, ok := parseToken(token, kind)
	return c.UserID, c.TokenID, int64(c.Expires), ok
}

// KoreanDay reads the day of a series.
func KoreanDay(s string) string { return koreanDay(s) }
