package velog

import (
	"encoding/json"
	"errors"
	"strings"

	"sumbi/adapters"
)

// ReadCredential reads the two cookies as people hand them in: as a Cookie header, as lines of name=value, or as a JSON object of
// the two names. The error repeats nothing of the text.
func (s *Source) ReadCredential(text string) (adapters.Credential, error) {
	values := map[string]string{}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return adapters.Credential{}, errors.New("this is not a JSON object of access_token and refresh_token")
		}
	} else {
		for pair := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == '\n' || r == '\r' }) {
			name, value, _ := strings.Cut(pair, "=")
			name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "Cookie:"))
			values[name] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	// Whose it is, only velog says.
	out := map[string]string{AccessToken: values[AccessToken], RefreshToken: values[RefreshToken]}
	if out[AccessToken] == "" || out[RefreshToken] == "" {
		return adapters.Credential{}, errors.New("both cookies of velog.io are needed, as access_token=…; refresh_token=…")
	}
	return adapters.Credential{Values: out}, nil
}

// Identity returns who velog has said that a credential of Authenticate belongs to.
func (s *Source) Identity(c adapters.Credential) (id, name string) {
	return c.Values[UserID], c.Values[Username]
}
