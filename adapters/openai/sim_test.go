package openai_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

// restaurants is the schema of the main job.
const restaurants = `{"type":"object","additionalProperties":false,"required":["restaurants"],"properties":{"restaurants":{"type":"array","items":{
	"type":"object","additionalProperties":false,"required":["name","branch","address","area","phone","menu","ad","quote"],"properties":{
		"name":{"type":"string"},"branch":{"type":["string","null"]},"address":{"type":["string","null"]},"area":{"type":["string","null"]},
		"phone":{"type":["string","null"]},"ad":{"type":"boolean"},"quote":{"type":["string","null"]},
		"menu":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["name","price"],
			"properties":{"name":{"type":"string"},"price":{"type":["integer","null"]}}}}}}}}}`

// world is a simulated upstream and the batcher that asks it.
func world(t *testing.T, f sim.OpenAIFaults) (*sim.Server, *openai.Batcher) {
	t.Helper()
	server := sim.New(sim.Options{Seed: 7, Accounts: 2, Posts: 20, BatchStep: 5 * time.Millisecond, Faults: sim.Faults{OpenAI: f}})
	base, stop, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return server, openai.New(openai.Options{
		Client: rest.New(openai.ClientOptions(base+sim.OpenAIPath, openai.Limit(sim.DefaultOpenAIKey, nil))),
		Model:  "gpt-5-mini", System: "캡션에서 식당을 찾아라.", SchemaName: "restaurants", Schema: json.RawMessage(restaurants),
	})
}

// file makes the input of all captions.
func file(t *testing.T, server *sim.Server, b *openai.Batcher) (input []byte, lines int) {
	t.Helper()
	posts := server.Posts()
	for _, id := range slices.Sorted(maps.Keys(posts)) {
		line, err := b.Line(adapters.Line{ID: id, Body: quote(posts[id].Caption)})
		if err != nil {
			t.Fatal(err)
		}
		input = append(input, line...)
	}
	return input, len(posts)
}

// wait asks until the batch has ended; each step of it takes some milliseconds.
func wait(t *testing.T, b *openai.Batcher, id string) adapters.Batch {
	t.Helper()
	for {
		batch, err := b.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if batch.State != adapters.BatchRunning {
			return batch
		}
	}
}

func TestSimulatedBatch(t *testing.T) {
	t.Parallel()
	server, b := world(t, sim.OpenAIFaults{Refusal: sim.Times(1), Length: sim.Times(1), LineError500: sim.Times(1)})
	input, n := file(t, server, b)
	id, err := b.Upload(t.Context(), "묶음.jsonl", int64(len(input)), bytes.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	created, err := b.Create(t.Context(), id, "묶음-1", n)
	if err != nil {
		t.Fatal(err)
	}
	batch := wait(t, b, created.ID)
	if batch.State != adapters.BatchEnded || batch.Total != n {
		t.Fatalf("batch = %+v of %d lines", batch, n)
	}
	fates, named := map[string]int{}, 0
	var in int64
	for _, name := range []string{batch.OutputFile, batch.ErrorFile} {
		var out bytes.Buffer
		if _, err := b.Download(t.Context(), name, &out); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			a, err := b.Answer(line)
			if err != nil {
				t.Fatal(err)
			}
			fate := "good"
			if a.Err != nil {
				fate = fmt.Sprintf("%s %s", a.Err.Kind, a.Err.Reason)
			}
			fates[fate]++
			in += a.InputTokens
			named += bytes.Count(a.Body, []byte(`"branch":`))
		}
	}
	want := map[string]int{"good": n - 3, "permanent refusal": 1, "temporary cut": 1, "temporary ": 1}
	if !maps.Equal(fates, want) || named == 0 {
		t.Errorf("got %v with %d restaurants, want %v", fates, named, want)
	}
	var estimate int64
	for line := range bytes.Lines(input) {
		estimate += b.Tokens(line)
	}
	if estimate < in {
		t.Errorf("%d tokens were estimated, %d billed", estimate, in)
	}
}

// The batch whose creation was not confirmed is found again, and is the only one.
func TestSimulatedLostCreate(t *testing.T) {
	t.Parallel()
	server, b := world(t, sim.OpenAIFaults{CreateLost: sim.Times(1)})
	input, n := file(t, server, b)
	id, err := b.Upload(t.Context(), "묶음.jsonl", int64(len(input)), bytes.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	_, err = b.Create(t.Context(), id, "묶음-1", n)
	if e := adapters.Classify(err); e == nil || e.Reason != adapters.ReasonUnknown {
		t.Fatalf("err = %v", err)
	}
	found, ok, err := b.Find(t.Context(), "묶음-1", before)
	if err != nil || !ok {
		t.Fatalf("not found: %v", err)
	}
	if got := wait(t, b, found.ID); got.Total != n {
		t.Errorf("got %+v, want %d lines", got, n)
	}
	if _, ok, err := b.Find(t.Context(), "묶음-2", before); ok || err != nil {
		t.Errorf("another batch: %v, %v", ok, err)
	}
}

func TestSimulatedTokenLimit(t *testing.T) {
	t.Parallel()
	server, b := world(t, sim.OpenAIFaults{TokenLimit: sim.Times(1)})
	input, n := file(t, server, b)
	id, err := b.Upload(t.Context(), "묶음.jsonl", int64(len(input)), bytes.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	created, err := b.Create(t.Context(), id, "묶음-1", n)
	if err != nil {
		t.Fatal(err)
	}
	batch := wait(t, b, created.ID)
	if batch.State != adapters.BatchRefused || len(batch.Problems) != 1 || batch.Problems[0].Limit <= 0 {
		t.Errorf("batch = %+v", batch)
	}
}
