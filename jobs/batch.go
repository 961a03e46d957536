package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// chunk is how many lines one commit takes.
const chunk = 500

// Ask is the batch step of a pipeline. A batch goes when it is full, when the crawl of its run has ended, or when its oldest
// question has waited MaxWait.
type Ask struct {
	Batcher        Batcher
	Lane           string
	MaxLines       int
	MaxBytes       int64
	EnqueuedTokens int64 // of the model, over all unfinished batches; learnt downwards
	Attempts       int   // of one question
	MaxWait        time.Duration
	Poll           time.Duration                      // first pause between two looks at a batch; grows to ten times this
	Settle         time.Duration                      // how long a new batch may take to show in the upstream's list
	Price          Price                              // zero: free, or not known
	Check          func(answer json.RawMessage) error // whether Extracted can take it; what it cannot is asked again
	Extracted      func(tx *queue.Tx, rec queue.Stored, answer json.RawMessage) error
}

// line makes the batch line of a question; its text becomes a JSON string.
func (a *Ask) line(q queue.Question) ([]byte, error) {
	return a.Batcher.Line(adapters.Line{ID: q.ID, Body: args(q.Body)})
}

// batchMemory is what only this process knows.
type batchMemory struct {
	mu  sync.Mutex
	bad string // the model that the upstream does not know, with its words
}

func (m *batchMemory) setBad(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad = why
}

func (m *batchMemory) isBad() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bad
}

type batchArgs struct {
	Batch int64 `json:"batch,omitempty"` // 0: form a new one
}

func formKey(pipeline string) string { return "batch:form:" + pipeline }

// BatchKey is the key of the job that leads a batch through its life.
func BatchKey(id int64) string { return "batch:" + strconv.FormatInt(id, 10) }

// batchLane is the lane of every batch job.
const batchLane = "openai"

// WantBatch makes sure that somebody forms a batch of what waits in a pipeline.
func WantBatch(tx *queue.Tx, pipeline string) error {
	_, err := tx.Add(queue.Job{Pipeline: pipeline, Lane: batchLane, Kind: queue.KindBatch, Key: formKey(pipeline), Args: args(batchArgs{}), Priority: 1})
	return err
}

// batch takes one step of a batch's life, or of forming one.
func (e *Engine) batch(ctx context.Context, j queue.Job) (queue.Commit, error) {
	p, err := e.pipeline(j.Pipeline)
	if err != nil {
		return nil, err
	}
	a, err := readArgs[batchArgs](j)
	if err != nil {
		return nil, err
	}
	if p.Ask == nil {
		return nil, leftOver("pipeline %s no longer asks a model; drop its jobs", p.Name)
	}
	if a.Batch == 0 {
		return e.form(ctx, p)
	}
	b, err := e.Store.Batch(ctx, a.Batch)
	if err != nil {
		return nil, err
	}
	s := batchStep{e: e, j: j, p: p, b: b}
	switch b.State {
	case queue.BatchChosen:
		return s.upload(ctx)
	case queue.BatchUploaded:
		return s.create(ctx)
	case queue.BatchCreating:
		return s.find(ctx)
	case queue.BatchRunning:
		return s.look(ctx)
	case queue.BatchReading:
		return s.read(ctx)
	}
	return nil, nil
}

// form chooses the questions of a new batch, a few hundred in a commit.
func (e *Engine) form(ctx context.Context, p *Pipeline) (queue.Commit, error) {
	ask := p.Ask
	if why := e.batches.isBad(); why != "" {
		return nil, &adapters.Error{Kind: adapters.NeedsHuman, Err: errors.New(why)}
	}
	open, err := e.Store.OpenBatches(ctx)
	if err != nil {
		return nil, err
	}
	var b queue.Batch
	var enqueued int64
	for _, o := range open {
		switch {
		case o.State == queue.BatchChoosing && o.Pipeline == p.Name:
			b = o
		case o.Model == ask.Batcher.Model():
			enqueued += o.Tokens
		}
	}
	limit, err := e.tokenLimit(ctx, ask)
	if err != nil {
		return nil, err
	}
	if b.ID == 0 {
		wait, err := e.notYet(ctx, p, enqueued, limit)
		if err != nil || wait > 0 {
			return again(wait), err
		}
	}
	qs, err := e.Store.WaitingQuestions(ctx, p.Name, chunk)
	if err != nil {
		return nil, err
	}
	room, err := e.room(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	output, err := e.answerTokens(ctx, ask.Batcher.Model())
	if err != nil {
		return nil, err
	}
	full := false
	var take []queue.Question
	var bad []string
	var sizes, tokens, cost, refused int64
	for _, q := range qs {
		line, err := ask.line(q)
		if err != nil {
			bad = append(bad, q.ID)
			continue
		}
		t := ask.Batcher.Tokens(line)
		first := b.Lines == 0 && len(take) == 0 && enqueued == 0 // one line must fit, or nothing ever goes
		over := limit > 0 && enqueued+b.Tokens+tokens+t > limit
		if !first && (over || b.Lines+len(take) >= ask.MaxLines || b.Bytes+sizes+int64(len(line)) > ask.MaxBytes) {
			full = true
			break
		}
		c := ask.Price.Cost(t, output)
		if cost+c > room {
			full, refused = true, c
			break
		}
		take = append(take, q)
		sizes += int64(len(line))
		tokens += t
		cost += c
	}
	// What is left of the budget makes a smaller batch; only when it is not enough for one line, all wait.
	if refused > 0 && b.ID == 0 && len(take) == 0 {
		cost = refused
	}
	if err := e.afford(ctx, p.Name, cost); err != nil {
		if c := adapters.Classify(err); c.Reason == adapters.ReasonBudget && len(take) > 0 {
			return again(0), nil // another call was faster; what is left is enough for fewer lines, or not for one
		}
		return nil, err
	}
	if full && b.ID == 0 && len(take) == 0 && len(bad) == 0 {
		return again(ask.Poll), nil // not one line more until a batch of ours has ended
	}
	return func(tx *queue.Tx) error {
		for _, id := range bad {
			if err := tx.KillQuestion(id, "this text cannot be put into a batch"); err != nil {
				return err
			}
		}
		if b.ID == 0 && len(take) > 0 {
			nb, err := tx.NewBatch(p.Name, ask.Batcher.Model())
			if err != nil {
				return err
			}
			b = nb
		}
		if b.ID != 0 {
			if err := tx.Choose(&b, take); err != nil {
				return err
			}
			b.Bytes += sizes
			b.Tokens += tokens
			b.Reserved += cost
			if full || len(qs) < chunk {
				b.State = queue.BatchChosen
				if b.Lines == 0 {
					b.State = queue.BatchRefused
				} else if _, err := tx.Add(queue.Job{Pipeline: p.Name, Lane: batchLane, Kind: queue.KindBatch, Key: BatchKey(b.ID), Args: args(batchArgs{b.ID})}); err != nil {
					return err
				}
			}
			if err := tx.SaveBatch(b); err != nil {
				return err
			}
		}
		more, err := tx.AnyWaiting(p.Name)
		if err == nil && (more || b.State == queue.BatchChoosing) {
			tx.Again(0)
		}
		return err
	}, nil
}

// notYet returns how long forming a batch has to wait still; 0 = go.
func (e *Engine) notYet(ctx context.Context, p *Pipeline, enqueued, limit int64) (time.Duration, error) {
	ask := p.Ask
	w, err := e.Store.Waiting(ctx, p.Name)
	if err != nil || w.Oldest.IsZero() {
		return 0, err
	}
	// The upstream said that it holds as much as it takes: not before one of ours has ended, or a while has passed.
	full, err := e.Store.Meta(ctx, fullKey(ask))
	if err != nil {
		return 0, err
	}
	if enqueued > 0 && (full != "" || (limit > 0 && enqueued >= limit)) {
		return ask.Poll, nil
	}
	if until, err := time.Parse(time.RFC3339Nano, full); err == nil && until.After(e.Store.Now()) {
		return until.Sub(e.Store.Now()), nil
	}
	if w.Fresh+w.Again >= ask.MaxLines || w.Bytes >= ask.MaxBytes || w.Fresh == 0 {
		return 0, nil
	}
	r, err := e.Store.LastRun(ctx, p.Name)
	if errors.Is(err, queue.ErrNotFound) || (err == nil && (r.State == queue.RunDone || !r.Crawled.IsZero())) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	left := ask.MaxWait - e.Store.Now().Sub(w.Oldest)
	if left <= 0 {
		return 0, nil
	}
	return min(left, 30*time.Second), nil // the end of the crawl hurries it
}

func again(d time.Duration) queue.Commit {
	return func(tx *queue.Tx) error {
		tx.Again(d)
		return nil
	}
}

// batchStep is one step in the life of one batch.
type batchStep struct {
	e *Engine
	j queue.Job
	p *Pipeline
	b queue.Batch
}

// save returns a commit that writes the batch back and comes again after d.
func (s batchStep) save(d time.Duration) queue.Commit {
	return func(tx *queue.Tx) error {
		tx.Again(d)
		return tx.SaveBatch(s.b)
	}
}

// upload builds the file, line by line, and sends it.
func (s batchStep) upload(ctx context.Context) (queue.Commit, error) {
	f, size, shard, err := s.e.build(ctx, s.p, s.b)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.b.Shard, s.b.Bytes = shard, size
	if s.b.InputFile, err = s.p.Ask.Batcher.Upload(ctx, shard+".jsonl", size, f); err != nil {
		return nil, forPeople(err)
	}
	s.b.State = queue.BatchUploaded
	return s.save(0), nil
}

// shardKey names a batch of questions. Lines that go again make another batch: the one before must not be taken for it.
func shardKey(b queue.Batch, ids func(yield func(string) bool)) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d", b.ID, b.Created.UnixMilli())
	for id := range ids {
		h.Write([]byte{0})
		h.Write([]byte(id))
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// create writes down that the batch is about to be created, and only then creates it. Whoever finds that note does not know
// what came of the call.
func (s batchStep) create(ctx context.Context) (queue.Commit, error) {
	s.b.State, s.b.Note = queue.BatchCreating, ""
	if err := s.e.Store.Note(ctx, s.j, func(tx *queue.Tx) error {
		s.b.Creating = tx.Now()
		return tx.SaveBatch(s.b)
	}); err != nil {
		return nil, err
	}
	if s.e.Store.Shared() {
		// Another machine that believes this one gone looks for the batch, waits so long for it to show, and creates it.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.p.Ask.Settle/2)
		defer cancel()
	}
	ub, err := s.p.Ask.Batcher.Create(ctx, s.b.InputFile, s.b.Shard, s.b.Lines)
	if err != nil {
		switch c := adapters.Classify(err); {
		case c.Reason == adapters.ReasonTokenLimit:
			if len(ub.Problems) == 0 {
				ub.Problems = []adapters.Problem{{Code: tokenLimitExceeded, Message: err.Error()}}
			}
			return s.refused(ub)
		case c.Kind == adapters.Permanent && c.Reason == adapters.ReasonGone:
			// Somebody has removed it, or the key is that of another project now. Another upload costs nothing. When that does not
			// help, a person does, and then it begins anew.
			enough := s.b.Broken == maxBroken
			s.b.Broken = (s.b.Broken + 1) % (maxBroken + 1)
			s.b.State, s.b.InputFile, s.b.Note = queue.BatchChosen, "", "the uploaded file is gone: "+err.Error()
			if !enough {
				return s.save(s.p.Ask.Poll), nil
			}
			if err := s.e.Store.Note(ctx, s.j, func(tx *queue.Tx) error { return tx.SaveBatch(s.b) }); err != nil {
				return nil, err
			}
		}
		return nil, forPeople(err)
	}
	return s.adopt(ub), nil
}

// looking marks a batch whose creation has an unknown outcome.
const looking = "looking whether the batch was created before"

// find looks in the upstream's list for a batch of which it is not known whether it was created, and gives the list time to
// show it. Only then it is created anew.
func (s batchStep) find(ctx context.Context) (queue.Commit, error) {
	ask := s.p.Ask
	ub, ok, err := ask.Batcher.Find(ctx, s.b.Shard, s.since())
	if err != nil {
		return nil, err
	}
	if ok {
		return s.adopt(ub), nil
	}
	if s.b.Note != looking {
		s.b.Note, s.b.Creating = looking, s.e.Store.Now()
		return s.save(ask.Settle), nil
	}
	if left := ask.Settle - s.e.Store.Now().Sub(s.b.Creating); left > 0 {
		return s.save(left), nil
	}
	return s.create(ctx)
}

func (s batchStep) adopt(ub adapters.Batch) queue.Commit {
	s.b.State, s.b.UpstreamID, s.b.Status, s.b.Note, s.b.Broken = queue.BatchRunning, ub.ID, ub.Status, "", 0
	return func(tx *queue.Tx) error {
		s.b.Sent = tx.Now()
		tx.Again(s.p.Ask.Poll)
		return tx.SaveBatch(s.b)
	}
}

// look asks how the batch is getting on.
func (s batchStep) look(ctx context.Context) (queue.Commit, error) {
	if left, err := s.pausing(ctx); err != nil {
		return nil, err
	} else if left > 0 {
		return again(left), nil
	}
	ask := s.p.Ask
	ub, err := ask.Batcher.Get(ctx, s.b.UpstreamID)
	if c := adapters.Classify(err); c != nil && c.Kind == adapters.Permanent {
		return s.unknown(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	s.b.Status, s.b.Polls, s.b.Note = ub.Status, s.b.Polls+1, ""
	switch ub.State {
	case adapters.BatchRefused:
		return s.refused(ub)
	case adapters.BatchEnded:
		// The names of the files are now and then missing although lines have answers. They are paid for: look again.
		if ub.OutputFile == "" && (ub.Completed > 0 || ub.ErrorFile == "") && s.b.Broken < maxBroken {
			s.b.Note = "ended without the name of its answers"
			return s.broken, nil
		}
		s.b.Broken = 0
		s.b.State, s.b.OutputFile, s.b.ErrorFile = queue.BatchReading, ub.OutputFile, ub.ErrorFile
		s.b.Reading, s.b.Position = readOutput, 0
		return s.save(0), nil
	}
	return s.save(min(ask.Poll*time.Duration(1+s.b.Polls/3), ask.Poll*10)), nil
}

// Problems of a refused batch that are acted upon.
const (
	tokenLimitExceeded = "token_limit_exceeded"
	modelNotFound      = "model_not_found"
)

// forPeople turns a refusal of a whole file or batch, which no repetition mends, into a stop of the lane.
func forPeople(err error) error {
	c := adapters.Classify(err)
	if c.Kind != adapters.Permanent {
		return err
	}
	return &adapters.Error{Kind: adapters.NeedsHuman, Reason: c.Reason, Err: fmt.Errorf("%s: the batch was not accepted: %w", c.Upstream, c.Err)}
}
