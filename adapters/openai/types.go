package openai

import (
	"encoding/json"
	"strings"
)

// inputLine is one line of an input file. There are no sampling parameters: reasoning models refuse them.
type inputLine struct {
	CustomID string      `json:"custom_id"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Body     chatRequest `json:"body"`
}

type chatRequest struct {
	Model          string          `json:"model"`
	Messages       []message       `json:"messages"`
	ResponseFormat *responseFormat `json:"response_format,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type responseFormat struct {
	Type       string     `json:"type"`
	JSONSchema jsonSchema `json:"json_schema"`
}

type jsonSchema struct {
	Name   string          `json:"name"`
	Strict bool            `json:"strict"`
	Schema json.RawMessage `json:"schema"`
}

// createRequest is go-openai's CreateBatchRequest with output_expires_after, which the library does not have.
type createRequest struct {
	InputFileID      string            `json:"input_file_id"`
	Endpoint         string            `json:"endpoint"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata"`
	OutputExpires    expiresAfter      `json:"output_expires_after"`
}

type expiresAfter struct {
	Anchor  string `json:"anchor"`
	Seconds int64  `json:"seconds"`
}

type fileObject struct {
	ID    string `json:"id"`
	Bytes int64  `json:"bytes"`
}

// outputLine is one line of an output or error file. Its parts are decoded one by one, so that a strange part costs no
// more than itself.
type outputLine struct {
	Response json.RawMessage `json:"response"`
	Error    json.RawMessage `json:"error"`
}

type lineResponse struct {
	StatusCode int             `json:"status_code"`
	Body       json.RawMessage `json:"body"`
}

type chatUsage struct {
	Usage struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
	} `json:"usage"`
}

type chatResponse struct {
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content *string `json:"content"`
			Refusal *string `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
}

type errorBody struct {
	Error *wireError `json:"error"`
}

type wireError struct {
	Message looseText `json:"message"`
	Type    looseText `json:"type"`
	Param   looseText `json:"param"`
	Code    looseText `json:"code"`
}

type event struct {
	Type string `json:"type"`
	Data struct {
		ID string `json:"id"`
	} `json:"data"`
}

// looseText reads a field that is mostly a string, sometimes null, a number or a list.
type looseText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *looseText) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		s = strings.TrimSpace(string(data))
	}
	*t = looseText(s)
	return nil
}
