package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sumbi/adapters"
)

// Answer parses one line of an output or an error file. The error is for a line that is no JSON object with a custom_id, the
// last line of a download that broke off for example; everything else that can go wrong with a line is told in Answer.Err:
//
//   - ReasonRefusal, Permanent: the model refused, or a content filter did
//   - ReasonCut and ReasonInvalid, Temporary: the answer was cut short, or is not JSON of the schema's shape
//   - ReasonNotRun, Temporary: the batch expired or was cancelled first; such a line costs nothing
//   - Temporary: 429, 5xx, or no status at all; Permanent: any other status
//
// The tokens are filled whenever the line reports them, for they are billed.
func (b *Batcher) Answer(line []byte) (adapters.Answer, error) {
	var id struct {
		CustomID string `json:"custom_id"`
	}
	if err := json.Unmarshal(line, &id); err != nil {
		return adapters.Answer{}, fmt.Errorf("answer line: %w", err)
	}
	if id.CustomID == "" {
		return adapters.Answer{}, errors.New("answer line has no custom_id")
	}
	var out outputLine
	if err := json.Unmarshal(line, &out); err != nil {
		return adapters.Answer{}, fmt.Errorf("answer line: %w", err)
	}
	a := adapters.Answer{ID: id.CustomID}
	var resp lineResponse
	if json.Unmarshal(out.Response, &resp) != nil {
		resp.StatusCode = 0
	}
	a.InputTokens, a.OutputTokens = usage(resp.Body)
	if a.Err = notRun(out.Error); a.Err != nil {
		return a, nil
	}
	if resp.StatusCode != http.StatusOK {
		a.Err = refused(resp)
		return a, nil
	}
	a.Body, a.Err = b.content(resp.Body)
	return a, nil
}

// notRun reads the error of a line, which stands for a request that never ran to its end; nil when there is none.
func notRun(raw json.RawMessage) *adapters.Error {
	var e *wireError
	if json.Unmarshal(raw, &e) != nil || e == nil || *e == (wireError{}) {
		return nil
	}
	to := &adapters.Error{
		Kind: adapters.Temporary, Upstream: upstream, Err: fmt.Errorf("%s: %s", short(e.Code), short(e.Message)),
	}
	if e.Code == "batch_expired" || e.Code == "batch_cancelled" {
		to.Reason = adapters.ReasonNotRun
	}
	return to
}

// refused reads the response of a request that was run and turned down.
func refused(resp lineResponse) *adapters.Error {
	api := &APIError{Status: resp.StatusCode}
	var b errorBody
	if json.Unmarshal(resp.Body, &b) == nil && b.Error != nil {
		api.Type, api.Code = short(b.Error.Type), short(b.Error.Code)
		api.Param, api.Message = short(b.Error.Param), short(b.Error.Message)
	}
	kind := adapters.Permanent
	if s := resp.StatusCode; s == 0 || s == http.StatusTooManyRequests || s >= 500 {
		kind = adapters.Temporary
	}
	return &adapters.Error{Kind: kind, Upstream: upstream, Err: api}
}

// content returns the JSON that the model answered with, compacted.
func (b *Batcher) content(body json.RawMessage) (json.RawMessage, *adapters.Error) {
	bad := func(kind adapters.Kind, reason, format string, args ...any) (json.RawMessage, *adapters.Error) {
		return nil, &adapters.Error{Kind: kind, Reason: reason, Upstream: upstream, Err: fmt.Errorf(format, args...)}
	}
	var chat chatResponse
	if err := json.Unmarshal(body, &chat); err != nil {
		return bad(adapters.Temporary, adapters.ReasonInvalid, "completion: %w", err)
	}
	if len(chat.Choices) == 0 {
		return bad(adapters.Temporary, adapters.ReasonInvalid, "completion without a choice")
	}
	choice := chat.Choices[0]
	switch {
	case choice.Message.Refusal != nil && *choice.Message.Refusal != "":
		return bad(adapters.Permanent, adapters.ReasonRefusal, "the model refused: %s", short(*choice.Message.Refusal))
	case choice.FinishReason == "content_filter":
		return bad(adapters.Permanent, adapters.ReasonRefusal, "the content filter stopped the answer")
	case choice.FinishReason == "length":
		return bad(adapters.Temporary, adapters.ReasonCut, "the answer was cut short")
	case choice.Message.Content == nil:
		return bad(adapters.Temporary, adapters.ReasonInvalid, "completion without content (%s)", short(choice.FinishReason))
	}
	var v any
	text := []byte(*choice.Message.Content)
	if err := json.Unmarshal(text, &v); err != nil {
		return bad(adapters.Temporary, adapters.ReasonInvalid, "the answer is no JSON: %w", err)
	}
	if err := b.shape.fits("answer", v); err != nil {
		return bad(adapters.Temporary, adapters.ReasonInvalid, "the answer is not of the schema: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return bad(adapters.Temporary, adapters.ReasonInvalid, "the answer is no JSON: %w", err)
	}
	return out.Bytes(), nil
}

// usage reads what a completion is billed for; 0 where it does not say.
func usage(body json.RawMessage) (in, out int64) {
	var u chatUsage
	if json.Unmarshal(body, &u) != nil {
		return 0, 0
	}
	return max(u.Usage.PromptTokens, 0), max(u.Usage.CompletionTokens, 0)
}
