package openai

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sumbi/adapters"
)

const (
	secretPrefix = "whsec_"
	tolerance    = 5 * time.Minute // of a webhook's time stamp, in both directions
)

// VerifyWebhook checks that a webhook was signed with secret, at most five minutes before or after now, and returns its id, which
// a repeated delivery keeps, and the batch that it speaks of: "" when its type is not batch.*. A webhook says only
// "look at this batch", never what became of it. Any error means: do not act on it.
func VerifyWebhook(secret adapters.Secret, h http.Header, body []byte, now time.Time) (id, batch string, err error) {
	hook, err := webhookOf(secret)
	if err != nil {
		return "", "", err
	}
	if err := hook.VerifyIgnoringTimestamp(body, h); err != nil { // its own check of the time knows no other clock
		return "", "", fmt.Errorf("webhook: %w", err)
	}
	seconds, err := strconv.ParseInt(h.Get(webhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return "", "", fmt.Errorf("webhook time: %w", err)
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > tolerance || d < -tolerance {
		return "", "", fmt.Errorf("webhook is %s off", d.Round(time.Second))
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return "", "", fmt.Errorf("webhook body: %w", err)
	}
	if strings.HasPrefix(e.Type, "batch.") {
		batch = e.Data.ID
	}
	return h.Get(webhooks.HeaderWebhookID), batch, nil
}

// CheckWebhookSecret says what is wrong with the form of a secret.
func CheckWebhookSecret(secret adapters.Secret) error {
	_, err := webhookOf(secret)
	return err
}

// webhookOf reads the secret: base64 behind whsec_, the key itself without it. An empty key would let everybody sign.
func webhookOf(secret adapters.Secret) (*webhooks.Webhook, error) {
	key := []byte(secret.Reveal())
	if text, ok := strings.CutPrefix(secret.Reveal(), secretPrefix); ok {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("webhook secret: no base64 behind " + secretPrefix)
		}
		key = decoded
	}
	if len(key) == 0 {
		return nil, errors.New("webhook secret is empty")
	}
	return webhooks.NewWebhookRaw(key)
}
