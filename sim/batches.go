package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// batch is guarded by openAI.mu, except what create sets.
type batch struct {
	id, input, endpoint, window string
	metadata                    map[string]string
	created                     time.Time
	ahead                       time.Duration // of the upstream's clock
	outputSeconds               int64

	status    string
	at        map[string]time.Time // when each state began
	problems  []object
	model     string
	estimate  int64 // enqueued tokens
	enqueued  bool  // estimate is in openAI.tokens
	total     int
	done      int
	failed    int
	in, out   int64
	output    string // file ids
	errorFile string
	shown     string // a state before the true one, shown while an early webhook is under way
	result    *results
	hidden    bool
}

// ended reports whether the state is final.
func (b *batch) ended() bool {
	return b.status == "completed" || b.status == "failed" || b.status == "expired" || b.status == "cancelled"
}

// view prints a batch. The caller holds ai.mu.
func (b *batch) view(step time.Duration) object {
	status := b.status
	if b.shown != "" {
		status = b.shown
	}
	when := func(state string) any {
		if t, ok := b.at[state]; ok && (b.shown == "" || state != b.status) {
			return t.Unix()
		}
		return nil
	}
	orNull := func(s string) any {
		if s == "" || b.shown != "" {
			return nil
		}
		return s
	}
	done, failed := b.done, b.failed
	if status == "in_progress" && b.total > 0 && step > 0 {
		done = min(b.total, int(float64(b.total)*float64(time.Since(b.at["in_progress"]))/float64(step)))
		failed = 0
	}
	var problems any
	if len(b.problems) > 0 {
		problems = object{"object": "list", "data": b.problems}
	}
	out := object{
		"id": b.id, "object": "batch", "endpoint": b.endpoint, "errors": problems, "input_file_id": b.input, "completion_window": b.window,
		"status": status, "output_file_id": orNull(b.output), "error_file_id": orNull(b.errorFile),
		"created_at": b.created.Add(b.ahead).Unix(), "in_progress_at": when("in_progress"), "expires_at": b.created.Unix() + 86400,
		"finalizing_at": when("finalizing"), "completed_at": when("completed"), "failed_at": when("failed"), "expired_at": when("expired"),
		"cancelling_at": when("cancelling"), "cancelled_at": when("cancelled"),
		"request_counts": object{"total": b.total, "completed": done, "failed": failed}, "metadata": b.metadata,
	}
	if b.model != "" {
		out["model"] = b.model
	}
	if b.ended() && b.shown == "" && b.in > 0 {
		out["usage"] = object{
			"input_tokens": b.in, "output_tokens": b.out, "total_tokens": b.in + b.out,
			"input_tokens_details": object{"cached_tokens": 0}, "output_tokens_details": object{"reasoning_tokens": 0},
		}
	}
	return out
}

var endpoints = []string{
	"/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations", "/v1/images/generations", "/v1/images/edits", "/v1/videos",
}

type createRequest struct {
	InputFileID      *string                    `json:"input_file_id"`
	Endpoint         string                     `json:"endpoint"`
	CompletionWindow string                     `json:"completion_window"`
	Metadata         map[string]json.RawMessage `json:"metadata"`
	OutputExpires    *struct {
		Anchor  string `json:"anchor"`
		Seconds int64  `json:"seconds"`
	} `json:"output_expires_after"`
}

// create takes POST /batches.
func (ai *openAI) create(w http.ResponseWriter, r *http.Request) {
	var q createRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
		invalid(w, http.StatusBadRequest, "We could not parse the JSON body of your request.", nil, nil)
		return
	}
	b := &batch{endpoint: q.Endpoint, window: q.CompletionWindow, created: time.Now(), ahead: ai.s.dice.skew(), status: "validating", at: map[string]time.Time{}}
	if !q.check(w, b) {
		return
	}
	faults := &ai.s.dice.faults.OpenAI
	if ai.s.dice.hit(&faults.TokensAt429) {
		apiError(w, http.StatusTooManyRequests, ai.s.tokenMessage("gpt-5-mini"), "tokens", nil, "token_limit_exceeded")
		return
	}
	ai.mu.Lock()
	f := ai.files[b.input]
	if f != nil && f.body.size > ai.s.o.MaxInputBytes {
		ai.mu.Unlock()
		invalid(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("The batch input file is larger than the %d maximum for the %s model", ai.s.o.MaxInputBytes, f.model()), nil, nil)
		return
	}
	b.id = ai.id("batch_")
	b.hidden = ai.s.dice.hit(&faults.HideFromList)
	ai.batches[b.id] = b
	ai.line = append(ai.line, b)
	again := false
	if shard := b.metadata["shard"]; shard != "" {
		earlier := ai.shards[shard]
		again = earlier != nil && earlier.status != "failed"
		ai.shards[shard] = b
	}
	view := b.view(ai.s.o.BatchStep)
	ai.mu.Unlock()
	ai.s.stats.add(func(st *Stats) {
		st.Batches++
		if again {
			st.BatchesAgain++
		}
	})
	if !ai.s.dice.hit(&faults.Stuck) {
		ai.s.after(ai.s.o.BatchStep, func() { ai.validate(b) })
	}
	switch {
	case ai.s.dice.hit(&faults.CreateLost):
		panic(http.ErrAbortHandler)
	case ai.s.dice.hit(&faults.CreateStall):
		ai.s.stall(r)
	}
	reply(w, http.StatusOK, view)
}

// check copies a good request into b; it answers when there is something wrong.
func (q *createRequest) check(w http.ResponseWriter, b *batch) bool {
	bad := func(message string, param, code any) bool {
		invalid(w, http.StatusBadRequest, message, param, code)
		return false
	}
	switch {
	case q.InputFileID == nil || *q.InputFileID == "":
		return bad("Missing required parameter: 'input_file_id'.", "input_file_id", "missing_required_parameter")
	case q.Endpoint == "":
		return bad("Missing required parameter: 'endpoint'.", "endpoint", "missing_required_parameter")
	case !slices.Contains(endpoints, q.Endpoint):
		return bad(fmt.Sprintf("Invalid value: '%s'. Supported values are: '%s'.", q.Endpoint, strings.Join(endpoints, "', '")), "endpoint", "invalid_value")
	case q.CompletionWindow == "":
		return bad("Missing required parameter: 'completion_window'.", "completion_window", "missing_required_parameter")
	case q.CompletionWindow != "24h":
		return bad(fmt.Sprintf("Invalid value: '%s'. Value must be '24h'.", q.CompletionWindow), "completion_window", "invalid_value")
	case len(q.Metadata) > 16:
		return bad(fmt.Sprintf("Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with %d properties instead.", len(q.Metadata)), "metadata", "object_above_max_properties")
	}
	if e := q.OutputExpires; e != nil {
		if e.Anchor != "created_at" {
			return bad("Invalid value for 'output_expires_after.anchor': expected 'created_at'.", "output_expires_after.anchor", "invalid_value")
		}
		if e.Seconds < 3600 || e.Seconds > 2592000 {
			return bad("Invalid 'output_expires_after.seconds': expected a value between 3600 and 2592000.", "output_expires_after.seconds", "integer_out_of_range")
		}
		b.outputSeconds = e.Seconds
	}
	b.input = *q.InputFileID
	for key, raw := range q.Metadata {
		var v string
		switch {
		case utf8.RuneCountInString(key) > 64:
			return bad("Invalid 'metadata': property name too long. Expected a maximum length of 64.", "metadata", "object_property_name_above_max_length")
		case json.Unmarshal(raw, &v) != nil || string(raw) == "null":
			return bad(fmt.Sprintf("Invalid type for 'metadata.%s': expected a string, but got %s instead.", key, jsonKind(raw)), "metadata."+key, "invalid_type")
		case utf8.RuneCountInString(v) > 512:
			return bad(fmt.Sprintf("Invalid 'metadata.%s': string too long. Expected a string with maximum length 512, but got a string with length %d instead.", key, utf8.RuneCountInString(v)), "metadata."+key, "string_above_max_length")
		}
		if b.metadata == nil {
			b.metadata = map[string]string{}
		}
		b.metadata[key] = v
	}
	return true
}

// jsonKind names the kind of a value as the API's messages do.
func jsonKind(raw json.RawMessage) string {
	switch raw[0] {
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// batchOf finds the batch of a request; it answers when there is none. The caller holds ai.mu.
func (ai *openAI) batchOf(w http.ResponseWriter, r *http.Request) *batch {
	b := ai.batches[r.PathValue("id")]
	if b == nil {
		invalid(w, http.StatusNotFound, fmt.Sprintf("No batch found with id '%s'.", r.PathValue("id")), nil, nil)
	}
	return b
}

// getBatch takes GET /batches/{id}.
func (ai *openAI) getBatch(w http.ResponseWriter, r *http.Request) {
	ai.mu.Lock()
	defer ai.mu.Unlock()
	if b := ai.batchOf(w, r); b != nil {
		reply(w, http.StatusOK, b.view(ai.s.o.BatchStep))
	}
}

// listBatches takes GET /batches.
func (ai *openAI) listBatches(w http.ResponseWriter, r *http.Request) {
	ai.mu.Lock()
	var all []object
	for _, b := range slices.Backward(ai.line) {
		if !b.hidden && time.Since(b.created) >= ai.s.o.ListDelay {
			all = append(all, b.view(ai.s.o.BatchStep))
		}
	}
	ai.mu.Unlock()
	paged(w, r, all, 20, 100, func(b object) string { return b["id"].(string) }, func(b object) any { return b })
}

// cancel takes POST /batches/{id}/cancel.
func (ai *openAI) cancel(w http.ResponseWriter, r *http.Request) {
	ai.mu.Lock()
	defer ai.mu.Unlock()
	b := ai.batchOf(w, r)
	switch {
	case b == nil:
	case b.status == "completed" || b.status == "failed" || b.status == "expired" || b.status == "finalizing":
		invalid(w, http.StatusConflict, fmt.Sprintf("Cannot cancel a batch with status '%s'.", b.status), nil, nil)
	default:
		if b.status != "cancelled" && b.status != "cancelling" {
			share := 0.0
			if b.status == "in_progress" {
				share = min(1, float64(time.Since(b.at["in_progress"]))/float64(max(1, ai.s.o.BatchStep)))
			}
			ai.stop(b, share)
		}
		reply(w, http.StatusOK, b.view(ai.s.o.BatchStep))
	}
}

// states counts the batches by state.
func (ai *openAI) states() map[string]int {
	ai.mu.Lock()
	defer ai.mu.Unlock()
	out := map[string]int{}
	for _, b := range ai.line {
		out[b.status]++
	}
	return out
}
