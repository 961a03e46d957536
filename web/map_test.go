package web_test

import (
	"encoding/json"
	"net/url"
)

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// urlValues are names and values in turn as an address has them.
func urlValues(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}
