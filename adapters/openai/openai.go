// Package openai is the OpenAI Batch API: lines go up as one file, a batch runs over it for at most a day, and its answers
// come down as files again. A batch is paid for even when nobody remembers it, so every batch carries the caller's own key.
package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"sumbi/adapters"
	"sumbi/adapters/rest"
)

const (
	upstream = "openai"
	app      = "sumbi" // metadata.app of every batch of ours
	endpoint = openai.BatchEndpointChatCompletions
	window   = "24h" // the only one there is

	minExpires = time.Hour
	maxExpires = 30 * 24 * time.Hour
	maxShard   = 512 // characters of a metadata value
	listLimit  = 100 // batches of one page, the most there can be

	maxResult   = 1 << 30          // bytes of a result file
	maxAnswer   = 8 << 20          // bytes of any other answer
	callTimeout = 60 * time.Second // of any other call
)

// FileTimeout is how long an upload or a download may take: a full file over a slow line.
const FileTimeout = 15 * time.Minute

// What OpenAI accepts in one batch.
const (
	MaxLines = 50_000      // lines of one file
	MaxFile  = 209_715_200 // bytes of one file
)

// Limit returns the pace of one API key: none of its own, for OpenAI counts batches and tokens, not calls.
func Limit(key adapters.Secret, mem rest.Memory) *rest.Limit {
	return rest.NewLimit(rest.LimitOptions{
		Name:   upstream + "/1",
		Header: http.Header{"Authorization": {"Bearer " + key.Reveal()}},
		Memory: mem,
	})
}

// ClientOptions returns the options of the rest client that New needs: result files are far larger than ordinary answers,
// and take longer.
func ClientOptions(baseURL string, limits ...*rest.Limit) rest.Options {
	return rest.Options{
		Upstream: upstream,
		BaseURL:  baseURL,
		Timeout:  FileTimeout,
		MaxBody:  maxResult,
		Limits:   limits,
		Classify: Classify,
	}
}

// Options say what is asked and how. Client and Model are required.
type Options struct {
	Client     *rest.Client
	Model      string
	System     string          // the system message of every line; "" sends none
	SchemaName string          // letters, digits, _ and -; "" is "answer"
	Schema     json.RawMessage // strict JSON schema of the answer; nil accepts any JSON
	Expires    time.Duration   // how long result files are kept, from one hour to the default of 30 days
}

// Batcher runs batches of one model with one prompt and one schema. It is safe for concurrent use and remembers nothing.
type Batcher struct {
	client  *rest.Client   // for files
	calls   calls          // for everything else
	api     *openai.Client // over calls
	model   string
	system  string
	format  *responseFormat
	shape   *shape
	expires time.Duration
}

// New returns a Batcher. It panics when Client or Model is missing or Schema is no JSON schema: that is a mistake in the
// program, not in the world.
func New(o Options) *Batcher {
	if o.Client == nil || o.Model == "" {
		panic("openai: New needs a Client and a Model")
	}
	b := &Batcher{
		client:  o.Client,
		calls:   calls{o.Client},
		model:   o.Model,
		system:  o.System,
		expires: min(max(cmp.Or(o.Expires, maxExpires), minExpires), maxExpires),
	}
	if len(o.Schema) > 0 {
		s, err := newShape(o.Schema)
		if err != nil {
			panic(fmt.Sprintf("openai: schema: %v", err))
		}
		b.shape = s
		b.format = &responseFormat{Type: "json_schema", JSONSchema: jsonSchema{
			Name: cmp.Or(o.SchemaName, "answer"), Strict: true, Schema: o.Schema,
		}}
	}
	config := openai.DefaultConfig("") // the key is set by the limit of the rest client
	config.BaseURL = ""                // and so is the host
	config.HTTPClient = b.calls
	b.api = openai.NewClientWithConfig(config)
	return b
}

// Model returns the model that every line asks for.
func (b *Batcher) Model() string { return b.model }

// Create starts a batch over an uploaded file. The metadata carries shard, by which Find knows the batch again, and n, the
// number of its lines. There is no idempotency key: an error with ReasonUnknown means that the batch may exist, and only
// Find can tell. When the enqueued tokens are used up the error is Throttled with ReasonTokenLimit, and the Batch beside
// it is refused with the Problem that names the limit.
func (b *Batcher) Create(ctx context.Context, file, shard string, n int) (adapters.Batch, error) {
	if file == "" || shard == "" || len(shard) > maxShard {
		return adapters.Batch{}, invalid("a batch needs a file and a shard of at most %d bytes", maxShard)
	}
	body, err := json.Marshal(createRequest{
		InputFileID:      file,
		Endpoint:         string(endpoint),
		CompletionWindow: window,
		Metadata:         map[string]string{"shard": shard, "app": app, "n": strconv.Itoa(n)},
		OutputExpires:    expiresAfter{Anchor: "created_at", Seconds: int64(b.expires / time.Second)},
	})
	if err != nil {
		return adapters.Batch{}, invalid("batch of %s: %w", file, err)
	}
	if err := ctx.Err(); err != nil {
		return adapters.Batch{}, err // nothing has left yet
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/batches", bytes.NewReader(body))
	if err != nil {
		return adapters.Batch{}, invalid("batch of %s: %w", file, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.calls.Do(req)
	if err != nil {
		return refusal(err), unsure(err)
	}
	defer resp.Body.Close()
	var created openai.Batch
	if err := json.NewDecoder(resp.Body).Decode(&created); err != nil {
		return adapters.Batch{}, unknown(fmt.Errorf("answer to a new batch: %w", err))
	}
	if created.ID == "" {
		return adapters.Batch{}, unknown(errors.New("the answer to a new batch has no id"))
	}
	return toBatch(created), nil
}

// Find looks for the newest batch of shard among those created at since or later, through all pages. Clocks differ: let
// since lie some minutes before the call to Create. The upstream cannot filter, so the cost is one call per 100 batches.
func (b *Batcher) Find(ctx context.Context, shard string, since time.Time) (adapters.Batch, bool, error) {
	since = since.Truncate(time.Second) // created_at has whole seconds
	limit, after := listLimit, (*string)(nil)
	for {
		page, err := b.api.ListBatch(ctx, after, &limit)
		if err != nil {
			return adapters.Batch{}, false, failed(ctx, "list batches", err)
		}
		if page.Object != "list" && page.Data == nil {
			return adapters.Batch{}, false, failed(ctx, "list batches", errors.New("the answer is no list"))
		}
		older := false
		for _, found := range page.Data {
			if time.Unix(int64(found.CreatedAt), 0).Before(since) {
				older = true
				continue
			}
			if s, _ := found.Metadata["shard"].(string); s == shard {
				return toBatch(found), true, nil
			}
		}
		if older || !page.HasMore || len(page.Data) == 0 {
			return adapters.Batch{}, false, nil
		}
		last := page.Data[len(page.Data)-1].ID
		if after != nil && last == *after { // a list that does not move would be read for ever
			return adapters.Batch{}, false, failed(ctx, "list batches", errors.New("the list does not go on"))
		}
		after = &last
	}
}

// Get returns where a batch stands. An unknown id, also that of another project's batch, is Permanent with ReasonGone.
func (b *Batcher) Get(ctx context.Context, id string) (adapters.Batch, error) {
	if err := checkID(id); err != nil {
		return adapters.Batch{}, err
	}
	got, err := b.api.RetrieveBatch(ctx, id)
	if err != nil {
		return adapters.Batch{}, failed(ctx, "batch "+id, err)
	}
	if got.ID != id {
		return adapters.Batch{}, failed(ctx, "batch "+id, fmt.Errorf("the answer is of batch %.60q", got.ID))
	}
	return toBatch(got.Batch), nil
}

// toBatch reduces the upstream's batch to what the caller must decide.
func toBatch(b openai.Batch) adapters.Batch {
	to := adapters.Batch{
		ID:        b.ID,
		State:     adapters.BatchRunning, // also for a status that does not exist yet: a day later it will be another
		Status:    short(b.Status),
		Total:     b.RequestCounts.Total,
		Completed: b.RequestCounts.Completed,
		Failed:    b.RequestCounts.Failed,
	}
	if b.CreatedAt > 0 {
		to.CreatedAt = time.Unix(int64(b.CreatedAt), 0).UTC()
	}
	if b.OutputFileID != nil {
		to.OutputFile = *b.OutputFileID
	}
	if b.ErrorFileID != nil {
		to.ErrorFile = *b.ErrorFileID
	}
	if b.Errors != nil {
		for _, e := range b.Errors.Data {
			p := adapters.Problem{Code: short(e.Code), Message: short(e.Message), Limit: tokenLimit(e.Code, e.Message)}
			if e.Line != nil {
				p.Line = *e.Line
			}
			to.Problems = append(to.Problems, p)
		}
	}
	switch b.Status {
	case "completed", "expired", "cancelled":
		to.State = adapters.BatchEnded
	case "failed":
		to.State = adapters.BatchRefused
		if to.OutputFile != "" { // lines ran, and were paid for: their answers must be read
			to.State = adapters.BatchEnded
		}
	}
	return to
}

// refusal is the Batch that stands beside an error of Create: empty unless the token limit was named.
func refusal(err error) adapters.Batch {
	e, ok := errors.AsType[*APIError](err)
	if !ok || !e.tokenLimit() {
		return adapters.Batch{}
	}
	return adapters.Batch{State: adapters.BatchRefused, Status: "failed", Problems: []adapters.Problem{
		{Code: codeTokenLimit, Message: e.Message, Limit: tokenLimit(codeTokenLimit, e.Message)},
	}}
}

// checkID keeps an id from meaning another path.
func checkID(id string) error {
	if id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/?#%\\ \r\n\t") {
		return invalid("%q is no id", id)
	}
	return nil
}
