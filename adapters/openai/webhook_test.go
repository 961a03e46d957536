package openai_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sumbi/adapters"
	"sumbi/adapters/openai"
)

// The vector of OpenAI's own library.
func TestVerifyWebhookVector(t *testing.T) {
	t.Parallel()
	v := readJSON[struct {
		Secret  adapters.Secret
		Headers map[string]string
		RawBody string `json:"raw_body"`
	}](t, "webhook.json")
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	sent := time.Unix(1750861210, 0)
	id, batch, err := openai.VerifyWebhook(v.Secret, h, []byte(v.RawBody), sent)
	if err != nil || id != "wh_685c059ae39c8190af8c71ed1022a24d" || batch != "" {
		t.Errorf("got %q, %q, %v", id, batch, err)
	}
	if _, _, err := openai.VerifyWebhook(v.Secret, h, []byte(v.RawBody+" "), sent); err == nil {
		t.Error("a changed body passed")
	}
}

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	const body = `{"id":"evt_abc123","type":"batch.completed","created_at":1719168000,"data":{"id":"batch_abc123"},"메모":"끝"}`
	sent := time.Unix(1719168000, 0)
	key := []byte("숨비-비밀-열쇠")
	coded := adapters.Secret("whsec_" + base64.StdEncoding.EncodeToString(key))
	sign := func(key []byte, body string) string {
		hook, err := webhooks.NewWebhookRaw(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := hook.Sign("wh_1", sent, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := sign(key, body)
	tests := []struct {
		name   string
		secret adapters.Secret
		sign   string
		body   string
		now    time.Time
		batch  string
		ok     bool
	}{
		{"base64 secret", coded, good, body, sent, "batch_abc123", true},
		{"raw secret", adapters.Secret(key), good, body, sent, "batch_abc123", true},
		{"second of three signatures", coded, "v1,AAAA " + good + " v2,BBBB", body, sent, "batch_abc123", true},
		{"300 s late", coded, good, body, sent.Add(300 * time.Second), "batch_abc123", true},
		{"301 s late", coded, good, body, sent.Add(301 * time.Second), "", false},
		{"300 s early", coded, good, body, sent.Add(-300 * time.Second), "batch_abc123", true},
		{"301 s early", coded, good, body, sent.Add(-301 * time.Second), "", false},
		{"another key", "whsec_AAAA", good, body, sent, "", false},
		{"another version", coded, strings.Replace(good, "v1", "v2", 1), body, sent, "", false},
		{"no signature", coded, "", body, sent, "", false},
		{"empty secret", "", sign(nil, body), body, sent, "", false},
		{"empty key behind the prefix", "whsec_", sign(nil, body), body, sent, "", false},
		{"secret no base64", "whsec_비밀", good, body, sent, "", false},
		{"signed, but no JSON", coded, sign(key, "끝"), "끝", sent, "", false},
		{"another event", coded, sign(key, `{"type":"response.completed","data":{"id":"resp_1"}}`), `{"type":"response.completed","data":{"id":"resp_1"}}`, sent, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			h.Set("webhook-id", "wh_1")
			h.Set("webhook-timestamp", fmt.Sprint(sent.Unix()))
			if tt.sign != "" {
				h.Set("webhook-signature", tt.sign)
			}
			id, batch, err := openai.VerifyWebhook(tt.secret, h, []byte(tt.body), tt.now)
			if (err == nil) != tt.ok || batch != tt.batch || (id == "wh_1") != tt.ok {
				t.Errorf("got %q, %q, %v", id, batch, err)
			}
			if err != nil && strings.Contains(err.Error(), "숨비") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}
