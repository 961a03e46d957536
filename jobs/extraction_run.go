package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"sumbi/adapters"
)

const (
	recentBatch = 48 * time.Hour // a batch of the same captions since then is taken up instead of a new one
	mostTries   = 30             // of a call, one after the other; the pauses grow to ten times the first one
)

// Extractor asks the model about labelled captions in one batch. It writes nothing into the state.
type Extractor struct {
	Batcher Batcher
	Price   Price
	Poll    time.Duration // first pause between two looks at the batch; grows to ten times this
	Settle  time.Duration // how long a new batch may take to show in the upstream's list
	Now     func() time.Time
	Status  func(adapters.Batch) // sees what the upstream says while the batch runs
}

// Asked is the input of a batch.
type Asked struct {
	Input    []byte
	Lines    int
	Tokens   int64 // of the input, on the high side
	Output   int64 // at most, as a rule
	MicroUSD int64 // what both cost; 0 when the price is not known
	shard    string
}

// Prepare makes the input of a batch of these captions and says what it will cost.
func (x *Extractor) Prepare(ls []*Labelled) (Asked, error) {
	a := Asked{Lines: len(ls), Output: int64(len(ls)) * unknownOutput}
	for _, l := range ls {
		line, err := x.Batcher.Line(l.Question())
		if err != nil {
			return a, fmt.Errorf("%s: %w", l.ID, err)
		}
		a.Input = append(a.Input, line...)
		a.Tokens += x.Batcher.Tokens(line)
	}
	sum := sha256.Sum256(a.Input) // model, prompt, schema and captions
	a.shard = "eval-" + hex.EncodeToString(sum[:16])
	a.MicroUSD = x.Price.Cost(a.Tokens, a.Output)
	return a, nil
}

// Recent looks for a batch of the last two days that has asked the same.
func (x *Extractor) Recent(ctx context.Context, a Asked) (b adapters.Batch, ok bool, err error) {
	err = x.persist(ctx, func() error {
		b, ok, err = x.Batcher.Find(ctx, a.shard, x.Now().Add(-recentBatch))
		return err
	})
	return b, ok && b.State != adapters.BatchRefused, err
}

// Send starts the batch. When the outcome of the call is not known the upstream's list is asked, and no second batch is made.
func (x *Extractor) Send(ctx context.Context, a Asked) (adapters.Batch, error) {
	var file string
	err := x.persist(ctx, func() (err error) {
		file, err = x.Batcher.Upload(ctx, a.shard+".jsonl", int64(len(a.Input)), bytes.NewReader(a.Input))
		return err
	})
	if err != nil {
		return adapters.Batch{}, err
	}
	if err := ctx.Err(); err != nil {
		return adapters.Batch{}, err // nothing is paid yet
	}
	began := x.Now()
	// Whoever stops the program now has to learn the id all the same.
	sure := context.WithoutCancel(ctx)
	b, err := x.Batcher.Create(sure, file, a.shard, a.Lines)
	if c := adapters.Classify(err); c == nil || c.Reason != adapters.ReasonUnknown {
		return b, err
	}
	if err := pause(ctx, x.Settle); err != nil {
		return b, err
	}
	var found bool
	ferr := x.persist(sure, func() (err error) {
		b, found, err = x.Batcher.Find(sure, a.shard, began.Add(-5*time.Minute))
		return err
	})
	if ferr == nil && found {
		return b, nil
	}
	return b, errors.Join(fmt.Errorf("it is not known whether the batch was made: %w", err), ferr)
}

// Wait looks at a batch until it has ended.
func (x *Extractor) Wait(ctx context.Context, id string) (adapters.Batch, error) {
	nameless := 0
	for n := 0; ; n++ {
		var b adapters.Batch
		err := x.persist(ctx, func() (err error) { b, err = x.Batcher.Get(ctx, id); return err })
		if err != nil {
			return b, err
		}
		if x.Status != nil {
			x.Status(b)
		}
		switch {
		case b.State == adapters.BatchRefused && len(b.Problems) > 0:
			return b, fmt.Errorf("batch %s was refused: %s: %s", id, b.Problems[0].Code, b.Problems[0].Message)
		case b.State == adapters.BatchRefused:
			return b, fmt.Errorf("batch %s was refused", id)
		case b.State == adapters.BatchEnded && b.OutputFile == "" && (b.Completed > 0 || b.ErrorFile == "") && nameless < maxBroken:
			nameless++ // answers without the name of their file: it is there a little later
		case b.State == adapters.BatchEnded:
			return b, nil
		}
		if err := pause(ctx, min(x.Poll*time.Duration(1+n/3), x.Poll*10)); err != nil {
			return b, err
		}
	}
}

// Answers calls do with every answer of an ended batch.
func (x *Extractor) Answers(ctx context.Context, b adapters.Batch, do func(adapters.Answer) error) error {
	for _, file := range []string{b.OutputFile, b.ErrorFile} {
		if file == "" {
			continue
		}
		var all []adapters.Answer
		var body bytes.Buffer
		loads := 0
		err := x.persist(ctx, func() (err error) {
			body.Reset()
			if _, err = x.Batcher.Download(ctx, file, &body); err != nil {
				return err
			}
			all, err = x.parse(body.Bytes())
			if loads++; loads > maxBroken {
				return nil // a line that cannot be read has no answer, as if it were not there
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := do(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// parse reads the lines of a file. The error is for those that cannot be read: it may have been cut, or be something else.
func (x *Extractor) parse(body []byte) (all []adapters.Answer, err error) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		a, bad := x.Batcher.Answer(line)
		if bad != nil {
			err = &adapters.Error{Kind: adapters.Temporary, Upstream: batchLane, Err: bad}
			continue
		}
		all = append(all, a)
	}
	return all, err
}

// persist repeats a call that may be repeated until it is answered, ctx ends, or it has been tried for long.
func (x *Extractor) persist(ctx context.Context, call func() error) error {
	for n := 1; ; n++ {
		err := call()
		c := adapters.Classify(err)
		if c == nil || ctx.Err() != nil || n == mostTries || (c.Kind != adapters.Temporary && c.Kind != adapters.Throttled) {
			return err
		}
		if err := pause(ctx, max(c.After, min(x.Poll*time.Duration(n), x.Poll*10))); err != nil {
			return err
		}
	}
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
