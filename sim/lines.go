package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// outcome is the fate of one line.
type outcome struct {
	line    []byte // of the output file, or of the error file when failed
	failed  bool
	missing bool // in no file
	good    bool // a whole answer
	id      string
	caption string
	in, out int64 // tokens; 0 when the line did not run
}

// keys are what good answers are remembered by: the line's id with its caption, and the caption alone. Hashes, since a world may have
// a million.
func (o outcome) keys() (id, caption uint64) {
	h := fnv.New64a()
	h.Write([]byte(o.caption))
	caption = h.Sum64()
	h.Write([]byte("\x00" + o.id))
	return h.Sum64(), caption
}

// run answers one line of a batch.
func (ai *openAI) run(raw []byte) outcome {
	var l inputLine
	var b chatBody
	var o outcome
	_ = json.Unmarshal(raw, &l)           // validated before
	_ = json.Unmarshal(l.CustomID, &o.id) // likewise
	_ = json.Unmarshal(l.Body, &b)        // likewise
	d, f := ai.s.dice, &ai.s.dice.faults.OpenAI
	switch {
	case d.hit(&f.LineStatus0):
		o.line = ai.printLine(o.id, object{"status_code": 0, "request_id": "", "body": object{}}, nil)
		return o
	case d.hit(&f.LineError500):
		return ai.failLine(o, 500, "The server had an error while processing your request. Sorry about that!", "server_error", nil)
	case d.hit(&f.LineError429):
		return ai.failLine(o, 429, "Rate limit reached for this model. Please try again later.", "tokens", "rate_limit_exceeded")
	}
	if message, param, code := b.refused(l.URL); message != "" {
		o = ai.failLine(o, 400, message, "invalid_request_error", code)
		o.line = bytes.Replace(o.line, []byte(`"param":null`), []byte(`"param":"`+param+`"`), 1)
		return o
	}
	text := b.caption()
	ai.s.mu.RLock()
	known := ai.s.world.captions[text]
	ai.s.mu.RUnlock()
	if known == nil {
		ai.s.stats.add(func(st *Stats) { st.UnknownCaptions++ })
	}
	var schema node
	if b.ResponseFormat != nil && b.ResponseFormat.Schema != nil {
		_ = json.Unmarshal(b.ResponseFormat.Schema.Schema, &schema) // checked by refused
	}
	answer := extract(known, &schema)
	o.caption = text
	o.in = b.promptTokens()
	o.out = int64(len(answer)/3 + 5)
	o.good = true
	var content, refusal any = answer, nil
	finish := "stop"
	limit := b.MaxCompletion
	if limit == nil {
		limit = b.MaxTokens
	}
	switch {
	case d.hit(&f.LineMissing):
		o.missing, o.good = true, false
	case d.hit(&f.Refusal):
		content, refusal, o.good = nil, "I'm sorry, but I can't assist with that request.", false
	case d.hit(&f.ContentFilter):
		content, finish, o.good = "", "content_filter", false
	case limit != nil && int64(*limit) < o.out:
		content, finish, o.good, o.out = head(answer, *limit*3), "length", false, int64(*limit)
	case d.hit(&f.Length):
		content, finish, o.good = head(answer, len(answer)/2), "length", false
	}
	o.line = ai.printLine(o.id, object{"status_code": 200, "request_id": fmt.Sprintf("%032x", d.intN(1<<62)), "body": object{
		"id": ai.id("chatcmpl-"), "object": "chat.completion", "created": time.Now().Unix(), "model": b.Model + "-2026-01-01",
		"choices": []object{{
			"index": 0, "message": object{"role": "assistant", "content": content, "refusal": refusal, "annotations": []any{}},
			"logprobs": nil, "finish_reason": finish,
		}},
		"usage": object{
			"prompt_tokens": o.in, "completion_tokens": o.out, "total_tokens": o.in + o.out,
			"prompt_tokens_details":     object{"cached_tokens": 0, "audio_tokens": 0},
			"completion_tokens_details": object{"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
		},
		"service_tier": "default", "system_fingerprint": nil,
	}}, nil)
	return o
}

// head is the beginning of s, whole letters of it.
func head(s string, n int) string {
	return strings.ToValidUTF8(s[:min(n, len(s))], "")
}

func (ai *openAI) printLine(id string, response, failure any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(object{"id": ai.id("batch_req_"), "custom_id": id, "response": response, "error": failure}) // plain values
	return b.Bytes()
}

// failLine is a request that the API refused.
func (ai *openAI) failLine(o outcome, status int, message, kind string, code any) outcome {
	o.failed = true
	o.line = ai.printLine(o.id, object{
		"status_code": status, "request_id": fmt.Sprintf("%032x", ai.s.dice.intN(1<<62)),
		"body": object{"error": object{"message": message, "type": kind, "param": nil, "code": code}},
	}, nil)
	return o
}

// notRun is a line that the end of its batch kept from running.
func (ai *openAI) notRun(raw []byte, code string) []byte {
	var l inputLine
	var id string
	_ = json.Unmarshal(raw, &l)         // validated before
	_ = json.Unmarshal(l.CustomID, &id) // likewise
	message := "This request could not be executed before the completion window expired."
	if code == "batch_cancelled" {
		message = "This request was not executed because the batch was cancelled."
	}
	return ai.printLine(id, nil, object{"code": code, "message": message})
}

// refused returns what the API says against a request; "" when it runs.
func (b *chatBody) refused(url *string) (message, param, code string) {
	reasoning := strings.HasPrefix(b.Model, "gpt-5") || strings.HasPrefix(b.Model, "gpt-6") || strings.HasPrefix(b.Model, "o")
	switch {
	case url != nil && *url != "/v1/chat/completions":
		return "This server runs chat completions only.", "url", "unsupported"
	case reasoning && b.MaxTokens != nil:
		return "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter"
	case reasoning && b.Temperature != nil && *b.Temperature != 1:
		return fmt.Sprintf("Unsupported value: 'temperature' does not support %g with this model. Only the default (1) value is supported.", *b.Temperature), "temperature", "unsupported_value"
	case b.ResponseFormat == nil || b.ResponseFormat.Type != "json_schema":
		// The real API would answer in prose; a program that wants JSON has to ask for it.
		return "Missing required parameter: 'response_format' of type 'json_schema'.", "response_format", "missing_required_parameter"
	case b.ResponseFormat.Schema == nil || len(b.ResponseFormat.Schema.Schema) == 0:
		return "Missing required parameter: 'response_format.json_schema'.", "response_format.json_schema", "missing_required_parameter"
	case b.ResponseFormat.Schema.Name == "":
		return "Missing required parameter: 'response_format.json_schema.name'.", "response_format.json_schema.name", "missing_required_parameter"
	case !b.ResponseFormat.Schema.Strict:
		return "Invalid value for 'response_format.json_schema.strict': this server wants true.", "response_format.json_schema.strict", "invalid_value"
	}
	if s := checkSchema(b.ResponseFormat); s != "" {
		return s, "response_format", "invalid_json_schema"
	}
	return "", "", ""
}

// caption finds the caption in the last user message: its text, or the key "caption" of the JSON in it.
func (b *chatBody) caption() string {
	for i := len(b.Messages) - 1; i >= 0; i-- {
		if b.Messages[i].Role != "user" {
			continue
		}
		text := plain(b.Messages[i].Content)
		var wrapped struct {
			Caption *string `json:"caption"`
		}
		if json.Unmarshal([]byte(text), &wrapped) == nil && wrapped.Caption != nil {
			text = *wrapped.Caption
		}
		return strings.TrimSpace(text)
	}
	return ""
}

// plain reads a content that is a string or a list of parts.
func plain(content json.RawMessage) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(content, &parts) // anything else is no text
	for _, p := range parts {
		text += p.Text
	}
	return text
}

// extract writes the truth about a caption in the form that the schema asks for.
func extract(c *caption, schema *node) string {
	list := []object{}
	if c != nil {
		one := schema.at("restaurants", "items")
		orNull := func(field, s string) any {
			if n := one.at(field); s == "" && (n == nil || n.is("null")) {
				return nil
			}
			return s
		}
		for _, m := range c.mentions {
			menu := []object{}
			for _, d := range m.Menu {
				var price any
				if d.Price > 0 {
					price = d.Price
				}
				menu = append(menu, object{"name": d.Name, "price": price})
			}
			list = append(list, object{
				"name": m.Name, "branch": orNull("branch", m.Branch), "address": orNull("address", m.Address), "area": orNull("area", m.Area),
				"phone": orNull("phone", m.Phone), "menu": menu, "ad": m.Ad, "quote": orNull("quote", m.Quote),
			})
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(object{"restaurants": list}) // plain values
	return strings.TrimSpace(b.String())
}
