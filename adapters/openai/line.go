package openai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"unicode"
	"unicode/utf8"

	"sumbi/adapters"
)

const (
	maxID   = 512     // bytes of a custom_id
	maxLine = 1 << 20 // bytes of one line: no caption comes near, and no model would read it
)

// Line returns the line of an input file that asks about l: l.ID is its custom_id, l.Body a JSON string, the user
// message. It ends in a newline. One bad line refuses the whole batch, so a line that may not go is an error here,
// Permanent with ReasonInvalid. That ids are unique in a file is the caller's care.
func (b *Batcher) Line(l adapters.Line) ([]byte, error) {
	if l.ID == "" || len(l.ID) > maxID || !utf8.ValidString(l.ID) {
		return nil, invalid("line %.40q: an id has 1 to %d bytes of UTF-8", l.ID, maxID)
	}
	if !utf8.Valid(l.Body) {
		return nil, invalid("line %s: the text is no UTF-8", l.ID)
	}
	var text *string // decoded and encoded again, so that half a surrogate pair does not go up
	if err := json.Unmarshal(l.Body, &text); err != nil || text == nil {
		return nil, invalid("line %s: the text is no JSON string", l.ID)
	}
	body := chatRequest{Model: b.model, ResponseFormat: b.format}
	if b.system != "" {
		body.Messages = append(body.Messages, message{Role: "system", Content: b.system})
	}
	body.Messages = append(body.Messages, message{Role: "user", Content: *text})

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(inputLine{CustomID: l.ID, Method: http.MethodPost, URL: string(endpoint), Body: body})
	if err != nil {
		return nil, invalid("line %s: %w", l.ID, err)
	}
	if out.Len() > maxLine {
		return nil, invalid("line %s: %d bytes are more than %d", l.ID, out.Len(), maxLine)
	}
	return out.Bytes(), nil
}

// Tokens estimates the prompt tokens of a line of Line, on the high side: the limit of enqueued tokens refuses a whole
// batch, while an estimate that is too high only makes batches a little smaller.
//
// There is no tokenizer behind it. A token is a run of bytes that is frequent in training text. English runs to four
// characters a token, JSON and names to three. A Hangul syllable is three bytes of UTF-8, the frequent ones are one token
// and frequent words less than one a syllable, so one a letter stays above. Rare symbols fall apart into two, emoji and
// single jamo of a decomposed text into three. The keys around the message pay for what the upstream adds to each message.
func (b *Batcher) Tokens(line []byte) int64 {
	var ascii, rest int64
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		line = line[size:]
		switch {
		case r < utf8.RuneSelf:
			ascii++
		case r > 0xFFFF, r >= 0x1100 && r <= 0x11FF:
			rest += 3
		case unicode.IsLetter(r):
			rest++
		default:
			rest += 2
		}
	}
	return (ascii+2)/3 + rest
}
