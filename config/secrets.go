package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"sumbi/adapters"
)

// Secrets come from the environment only. One that is not set is empty.
type Secrets struct {
	RapidAPI      []adapters.Secret // RAPIDAPI_KEY, separated by commas; each is a limit of its own
	OpenAI        adapters.Secret   // OPENAI_API_KEY
	OpenAIWebhook adapters.Secret   // OPENAI_WEBHOOK_SECRET
	NaverID       adapters.Secret   // NAVER_CLIENT_ID
	NaverSecret   adapters.Secret   // NAVER_CLIENT_SECRET
	Kakao         adapters.Secret   // KAKAO_REST_API_KEY
	Mongo         adapters.Secret   // MONGODB_URI
	Database      adapters.Secret   // DATABASE_URL
	Token         adapters.Secret   // SUMBI_TOKEN
	Key           adapters.Secret   // SUMBI_KEY
	KeyOld        adapters.Secret   // SUMBI_KEY_OLD: what it was before
	NotifyURL     adapters.Secret   // SUMBI_NOTIFY_URL
}

// A secret that is known by its variable's name.
type variable struct {
	name string
	dst  *adapters.Secret
}

func (s *Secrets) variables() []variable {
	return []variable{
		{"OPENAI_API_KEY", &s.OpenAI},
		{"OPENAI_WEBHOOK_SECRET", &s.OpenAIWebhook},
		{"NAVER_CLIENT_ID", &s.NaverID},
		{"NAVER_CLIENT_SECRET", &s.NaverSecret},
		{"KAKAO_REST_API_KEY", &s.Kakao},
		{"MONGODB_URI", &s.Mongo},
		{"DATABASE_URL", &s.Database},
		{"SUMBI_TOKEN", &s.Token},
		{"SUMBI_KEY", &s.Key},
		{"SUMBI_KEY_OLD", &s.KeyOld},
		{"SUMBI_NOTIFY_URL", &s.NotifyURL},
	}
}

const rapidAPIKey = "RAPIDAPI_KEY"

// ReadSecrets reads each secret from NAME, or from the file that NAME_FILE names. The error is an *Error and holds no secret.
func ReadSecrets(getenv func(string) string) (Secrets, error) {
	var s Secrets
	for _, v := range s.variables() {
		secret, err := ReadSecret(getenv, v.name)
		if err != nil {
			return Secrets{}, err
		}
		*v.dst = secret
	}
	keys, err := ReadSecret(getenv, rapidAPIKey)
	if err != nil {
		return Secrets{}, err
	}
	for key := range strings.SplitSeq(keys.Reveal(), ",") {
		key := adapters.Secret(strings.TrimSpace(key))
		// A key named twice would be called twice as often as it may be.
		if key != "" && !slices.Contains(s.RapidAPI, key) {
			s.RapidAPI = append(s.RapidAPI, key)
		}
	}
	if u := s.NotifyURL.Reveal(); u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
		return Secrets{}, &Error{Msg: "SUMBI_NOTIFY_URL must be an address that begins with https://"}
	}
	return s, nil
}

// ReadSecret reads one secret, from NAME or from the file that NAME_FILE names. The error is an *Error and holds no secret.
func ReadSecret(getenv func(string) string, name string) (adapters.Secret, error) {
	value := strings.TrimSpace(getenv(name))
	if file := getenv(name + "_FILE"); file != "" {
		if value != "" {
			return "", &Error{Msg: fmt.Sprintf("%s and %s_FILE are both set: unset one of them", name, name)}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", &Error{Msg: fmt.Sprintf("%s_FILE names %s, which cannot be read: %s", name, file, cause(err))}
		}
		if value = strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")); value == "" {
			return "", &Error{Msg: fmt.Sprintf("%s_FILE names %s, which is empty: write the secret into it", name, file)}
		}
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", &Error{Msg: name + " holds a line break or another control character: give the bare secret on one line"}
	}
	return adapters.Secret(value), nil
}

// Need tells which secrets the pipeline of that name lacks, all in one *Error, and nil when it can run.
func (c *Config) Need(pipeline string) error {
	p, err := c.Pipeline(pipeline)
	if err != nil {
		return err
	}
	var missing, uses []string
	lack := func(use string, names ...string) {
		missing = append(missing, names...)
		uses = append(uses, use)
	}
	p.kind().need(p, c.Secrets, lack)
	if len(missing) == 0 {
		return nil
	}
	verb, them, files := "is", "it", missing[0]+"_FILE"
	if len(missing) > 1 {
		verb, them, files = "are", "them", "NAME_FILE"
	}
	return &Error{Msg: fmt.Sprintf("%s %s not set: pipeline %q %s with %s; put the value into the environment, or the name of a file that holds it into %s",
		listing(missing), verb, p.Name, listing(uses), them, files)}
}

// listing joins words as people do: a, b and c.
func listing(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
