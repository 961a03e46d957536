package sim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// webhookTries is how often a delivery is tried before it is given up.
const webhookTries = 12

// Sign returns the webhook-signature of a body in the scheme of standard webhooks. A secret that begins with whsec_
// is decoded, any other is the key itself.
func Sign(secret, id string, at time.Time, body []byte) string {
	key := []byte(secret)
	if b64, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if k, err := base64.StdEncoding.DecodeString(b64); err == nil {
			key = k
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// notify sends the event of a batch that has ended, until somebody takes it.
func (s *Server) notify(batchID, status string) {
	f := &s.dice.faults.OpenAI
	if s.dice.hit(&f.WebhookLost) {
		return
	}
	id := s.ai.id("wh_")
	body, _ := json.Marshal(object{ // plain values
		"id": s.ai.id("evt_"), "object": "event", "created_at": time.Now().Unix(), "type": "batch." + status, "data": object{"id": batchID},
	})
	times := 1
	if s.dice.hit(&f.WebhookTwice) {
		times = 2
	}
	for range times {
		s.deliver(id, body, webhookTries, s.o.WebhookRetry, 0)
	}
}

// deliver tries once after a pause and comes back with a longer one when nobody took it.
func (s *Server) deliver(id string, body []byte, tries int, retry, pause time.Duration) {
	s.after(pause, func() {
		if tries > 0 && !s.post(id, body) {
			next := retry
			if pause > 0 {
				next = pause * 2
			}
			s.deliver(id, body, tries-1, retry, next)
		}
	})
}

// post makes one delivery and reports whether it was answered with 2xx.
func (s *Server) post(id string, body []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.WebhookURL, bytes.NewReader(body))
	if err != nil {
		return true // an address that is none will never be one
	}
	f, now := &s.dice.faults.OpenAI, time.Now()
	if s.dice.hit(&f.WebhookOld) {
		now = now.Add(-10 * time.Minute)
	}
	wrong := Sign("whsec_d3Jvbmc=", id, now, body)
	signature := Sign(s.o.WebhookSecret, id, now, body)
	switch {
	case s.dice.hit(&f.WebhookBadSignature):
		signature = wrong
	case s.dice.hit(&f.WebhookTwoSigned):
		signature = wrong + " " + signature
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
	req.Header.Set("Webhook-Signature", signature)
	resp, err := s.client.Do(req)
	taken := err == nil && resp.StatusCode/100 == 2
	if err == nil {
		_ = resp.Body.Close() // its content says nothing
	}
	s.stats.add(func(st *Stats) {
		st.Webhooks++
		if taken {
			st.WebhooksTaken++
		}
	})
	return taken
}
