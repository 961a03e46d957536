package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
)

// maxProblems is how many problems a failed batch reports.
const maxProblems = 50

var knownModel = regexp.MustCompile(`^(gpt-|o\d|text-embedding-|omni-moderation)`)

// inputLine is one request of a batch.
type inputLine struct {
	CustomID json.RawMessage `json:"custom_id"`
	Method   *string         `json:"method"`
	URL      *string         `json:"url"`
	Body     json.RawMessage `json:"body"`
}

// chatBody is what a line asks the model.
type chatBody struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Input          json.RawMessage `json:"input"`
	Stream         bool            `json:"stream"`
	Temperature    *float64        `json:"temperature"`
	MaxTokens      *int            `json:"max_tokens"`
	MaxCompletion  *int            `json:"max_completion_tokens"`
	ResponseFormat *responseFormat `json:"response_format"`
}

type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Name   string          `json:"name"`
		Strict bool            `json:"strict"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// lines yields the lines of a file with their numbers from 1, without the newline.
func (f *file) lines() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		r := bufio.NewReaderSize(f.body.reader(), 256<<10)
		for n := 1; ; n++ {
			line, err := r.ReadBytes('\n')
			if len(line) == 0 && err != nil {
				return
			}
			if !yield(n, bytes.TrimRight(line, "\r\n")) || errors.Is(err, io.EOF) {
				return
			}
		}
	}
}

// model is that of the first line.
func (f *file) model() string {
	for _, line := range f.lines() {
		var l struct {
			Body struct {
				Model string `json:"model"`
			} `json:"body"`
		}
		_ = json.Unmarshal(line, &l) // a bad line names no model
		return l.Body.Model
	}
	return ""
}

// checker looks at every line of an input file.
type checker struct {
	endpoint string
	maxLines int
	problems []object
	seen     map[string]bool
	model    string
	total    int
	tokens   int64
}

func (c *checker) problem(line int, code, message string, param any) {
	if len(c.problems) < maxProblems {
		var at any
		if line > 0 {
			at = line
		}
		c.problems = append(c.problems, object{"code": code, "message": message, "param": param, "line": at})
	}
}

func (c *checker) file(f *file) {
	c.seen = map[string]bool{}
	for n, line := range f.lines() {
		c.total++
		c.line(n, line)
	}
	switch {
	case c.total == 0:
		c.problem(0, "empty_file", "The input file is empty. Please ensure that the batch contains at least one request.", nil)
	case c.total > c.maxLines:
		c.problem(0, "too_many_tasks", fmt.Sprintf("The batch contains too many requests: %d. The limit is %d.", c.total, c.maxLines), nil)
	}
}

func (c *checker) line(n int, raw []byte) {
	var l inputLine
	if err := json.Unmarshal(raw, &l); err != nil {
		c.problem(n, "invalid_json_line", "This line is not parseable as valid JSON.", nil)
		return
	}
	missing := func(name string) {
		c.problem(n, "missing_required_parameter", fmt.Sprintf("Missing required parameter: '%s'.", name), name)
	}
	var id string
	switch {
	case len(l.CustomID) == 0 || string(l.CustomID) == "null":
		missing("custom_id")
		return
	case json.Unmarshal(l.CustomID, &id) != nil:
		c.problem(n, "invalid_type", "Invalid type for 'custom_id': expected a string.", "custom_id")
		return
	case l.Method == nil:
		missing("method")
		return
	case *l.Method != "POST":
		c.problem(n, "invalid_method", "The method must be POST.", "method")
		return
	case l.URL == nil:
		missing("url")
		return
	case *l.URL != c.endpoint:
		c.problem(n, "invalid_url", "The URL provided for this request does not match the batch endpoint.", "url")
		return
	case len(l.Body) == 0 || l.Body[0] != '{':
		missing("body")
		return
	}
	if c.seen[id] {
		c.problem(n, "duplicate_custom_id", fmt.Sprintf("The custom_id '%s' for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch.", id), "custom_id")
		return
	}
	c.seen[id] = true
	c.body(n, l.Body)
}

func (c *checker) body(n int, raw json.RawMessage) {
	var b chatBody
	err := json.Unmarshal(raw, &b)
	switch {
	case err != nil:
		c.problem(n, "invalid_request", "The body of this request is not valid.", "body")
	case b.Model == "":
		c.problem(n, "invalid_request", "Model parameter is required.", "body.model")
	case !knownModel.MatchString(b.Model):
		c.problem(n, "model_not_found", fmt.Sprintf("The provided model '%s' is not supported by the Batch API.", b.Model), "body.model")
	case c.model != "" && c.model != b.Model:
		c.problem(n, "mismatched_model", fmt.Sprintf("The provided model '%s' does not match the model '%s' of another request. Each batch must contain requests for a single model.", b.Model, c.model), "body.model")
	case strings.HasSuffix(c.endpoint, "/chat/completions") && len(b.Messages) == 0:
		c.problem(n, "invalid_request", "Messages parameter is required.", "body.messages")
	case b.Stream:
		c.problem(n, "streaming_unsupported", "Chat Completions: Streaming is not supported in the Batch API.", "body.stream")
	default:
		c.model = b.Model
		c.tokens += b.promptTokens()
	}
}

// promptTokens is an estimate in the right order of magnitude for Korean.
func (b *chatBody) promptTokens() int64 {
	n := 20 + len(b.Input)
	for _, m := range b.Messages {
		n += len(m.Content)
	}
	if f := b.ResponseFormat; f != nil && f.Schema != nil {
		n += len(f.Schema.Schema) / 2
	}
	return int64(n / 3)
}
