package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// BatchState says where a batch stands.
type BatchState string

// The states of a batch, in their order.
const (
	BatchChoosing BatchState = "choosing" // its lines are being chosen
	BatchChosen   BatchState = "chosen"   // its lines and its shard are fixed
	BatchUploaded BatchState = "uploaded" // the upstream has the file
	BatchCreating BatchState = "creating" // the call that creates it may have been made
	BatchRunning  BatchState = "running"  // the upstream has it
	BatchReading  BatchState = "reading"  // it has ended, its answers are being read
	BatchDone     BatchState = "done"
	BatchRefused  BatchState = "refused" // the upstream did not take it; its lines wait again
)

// Batch is one batch of questions.
type Batch struct {
	ID         int64
	Pipeline   string
	Model      string
	State      BatchState
	Shard      string // rides in the upstream's metadata, so that a batch whose id was lost is found again
	Lines      int
	Bytes      int64
	Tokens     int64 // estimated
	InputFile  string
	UpstreamID string
	Status     string
	OutputFile string
	ErrorFile  string
	Reading    string // output or errors: the file being read; rest or back: the lines without an answer
	Position   int64  // bytes of it taken
	Broken     int    // times its answers came incomplete, or, before it was created, its file was gone
	Polls      int
	Answered   int
	Failed     int
	Created    time.Time
	Creating   time.Time
	Sent       time.Time
	Ended      time.Time
	Note       string
	Run        int64 // that asked, and pays; 0: outside a run
	Reserved   int64 // micro-dollars kept back for answers that are not read yet
	Output     int64 // tokens of the answers read so far
}

const batchColumns = `id, pipeline, model, state, shard, lines, bytes, tokens, input_file, upstream_id, status, output_file, error_file, reading, position, broken, polls,
	answered, failed, created_at, creating_at, sent_at, ended_at, note, run, reserved, output_tokens`

func scanBatch(r *sql.Rows) (Batch, error) {
	var b Batch
	err := r.Scan(batchFields(&b)...)
	return b, err
}

func batchFields(b *Batch) []any {
	return []any{
		&b.ID, &b.Pipeline, &b.Model, &b.State, &b.Shard, &b.Lines, &b.Bytes, &b.Tokens, &b.InputFile, &b.UpstreamID, &b.Status, &b.OutputFile, &b.ErrorFile,
		&b.Reading, &b.Position, &b.Broken, &b.Polls, &b.Answered, &b.Failed,
		instant{&b.Created},
		instant{&b.Creating},
		instant{&b.Sent},
		instant{&b.Ended},
		&b.Note, &b.Run, &b.Reserved, &b.Output,
	}
}

// NewBatch begins a batch, which the pipeline's open run pays.
func (tx *Tx) NewBatch(pipeline, model string) (Batch, error) {
	run, err := openRun(tx.ctx, tx.tx, pipeline)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Pipeline: pipeline, Model: model, State: BatchChoosing, Created: tx.now, Run: run}
	err = tx.one(`insert into batch (pipeline, model, state, created_at, run) values (?, ?, 'choosing', ?, ?) returning id`, []any{pipeline, model, stamp(tx.now), run}, &b.ID)
	return b, err
}

// SaveBatch writes a batch back.
func (tx *Tx) SaveBatch(b Batch) error {
	_, err := tx.exec(`update batch set state = ?, shard = ?, lines = ?, bytes = ?, tokens = ?, input_file = ?, upstream_id = ?, status = ?, output_file = ?, error_file = ?,
		reading = ?, position = ?, broken = ?, polls = ?, answered = ?, failed = ?, creating_at = ?, sent_at = ?, ended_at = ?, note = ?, reserved = ?, output_tokens = ? where id = ?`,
		string(b.State), b.Shard, b.Lines, b.Bytes, b.Tokens, b.InputFile, b.UpstreamID, b.Status, b.OutputFile, b.ErrorFile,
		b.Reading, b.Position, b.Broken, b.Polls, b.Answered, b.Failed, text(b.Creating), text(b.Sent), text(b.Ended), b.Note, b.Reserved, b.Output, b.ID)
	if err != nil {
		return fmt.Errorf("save batch %d: %w", b.ID, err)
	}
	return nil
}

// Batch reads one batch.
func (s *Store) Batch(ctx context.Context, id int64) (Batch, error) {
	var b Batch
	err := one(ctx, s.read, `select `+batchColumns+` from batch where id = ?`, []any{id}, batchFields(&b)...)
	return b, s.explain(err)
}

// BatchByUpstream finds a batch by the upstream's id.
func (tx *Tx) BatchByUpstream(id string) (Batch, error) {
	var b Batch
	err := tx.one(`select `+batchColumns+` from batch where upstream_id = ?`, []any{id}, batchFields(&b)...)
	return b, err
}

// OpenBatches returns the batches that have not ended, oldest first.
func (s *Store) OpenBatches(ctx context.Context) ([]Batch, error) {
	bs, err := list(ctx, s.read, `select `+batchColumns+` from batch where state not in ('done', 'refused') order by id`, nil, scanBatch)
	return bs, s.explain(err)
}

// SeenWebhook notes a webhook's id; it reports whether the id was known already.
func (tx *Tx) SeenWebhook(id string) (bool, error) {
	n, err := tx.exec(`insert into webhook (id, at) values (?, ?) on conflict do nothing`, id, stamp(tx.now))
	return n == 0, err
}

// OtherBatches counts the batches of b's model that the upstream has or may have, b aside.
func (tx *Tx) OtherBatches(b Batch) (int, error) {
	var n int
	err := tx.one(`select count(*) from batch where model = ? and id <> ? and (state in ('creating', 'running') or state = 'reading' and reading not in ('rest', 'back'))`, []any{b.Model, b.ID}, &n)
	return n, err
}

// OutputMean returns the tokens of a mean answer of a model, and how many answers that is known from.
func (s *Store) OutputMean(ctx context.Context, model string) (mean float64, n int, err error) {
	var tokens int64
	err = one(ctx, s.read, `select coalesce(sum(output_tokens), 0), coalesce(sum(answered), 0) from batch where model = ? and output_tokens > 0`, []any{model}, &tokens, &n)
	if n > 0 {
		mean = float64(tokens) / float64(n)
	}
	return mean, n, s.explain(err)
}

// Unheard counts the lines of batch b of which no answer was seen, not even a bad one.
func (tx *Tx) Unheard(b int64) (n int64, err error) {
	err = tx.one(`select count(*) from question where batch = ? and state = 'sent' and err is null`, []any{b}, &n)
	return n, err
}
