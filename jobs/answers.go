package jobs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// What of a batch is being read.
const (
	readOutput = "output"
	readErrors = "errors"
	readRest   = "rest" // the lines that got no answer go back, which was a try
	readBack   = "back" // the same, but nothing was tried
)

const (
	maxBroken = 3 // times that answers which came incomplete are fetched or looked for anew, see brokenPause
	maxLine   = 16 << 20
)

// build writes the batch's file, checking every line, because one bad line refuses the whole. The file has no name and
// goes with its handle.
func (e *Engine) build(ctx context.Context, p *Pipeline, b queue.Batch) (f *os.File, size int64, shard string, err error) {
	dir, err := e.Store.SpoolDir()
	if err != nil {
		return nil, 0, "", err
	}
	if f, err = os.CreateTemp(dir, "upload-*.jsonl"); err != nil {
		return nil, 0, "", e.Store.SpoolError(err)
	}
	name := f.Name()
	defer func() {
		_ = os.Remove(name)
		if err != nil {
			_ = f.Close()
		}
	}()
	w := bufio.NewWriter(f)
	ids := func(yield func(string) bool) {
		for after := 0; ; {
			var qs []queue.Question
			if qs, err = e.Store.BatchQuestions(ctx, b.ID, after, chunk); err != nil || len(qs) == 0 {
				return
			}
			for _, q := range qs {
				var line []byte
				if line, err = p.Ask.line(q); err != nil {
					return
				}
				if _, err = w.Write(line); err != nil {
					return
				}
				size += int64(len(line))
				after = q.Line
				if !yield(q.ID) {
					return
				}
			}
		}
	}
	shard = shardKey(b, ids)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, "", e.Store.SpoolError(fmt.Errorf("file of batch %d: %w", b.ID, err))
	}
	return f, size, shard, nil
}

// read takes the next answers of an ended batch. The file is fetched once and kept beside the state until all of it is taken.
func (s batchStep) read(ctx context.Context) (queue.Commit, error) {
	if left, err := s.pausing(ctx); err != nil {
		return nil, err
	} else if left > 0 {
		return again(left), nil
	}
	file := s.b.OutputFile
	switch s.b.Reading {
	case readRest, readBack:
		return s.rest(), nil
	case readErrors:
		file = s.b.ErrorFile
	}
	if file == "" {
		return s.nextFile(), nil
	}
	path, err := s.spool(ctx, file)
	if c := adapters.Classify(err); c != nil && c.Kind == adapters.Permanent {
		switch {
		case s.b.Reading == readOutput:
			s.b.Note = gone + err.Error()
		case !strings.HasPrefix(s.b.Note, gone): // which weighs more: answers are paid
			s.b.Note = "errors are gone: " + err.Error()
		}
		return s.nextFile(), nil
	}
	if err != nil {
		return nil, err
	}
	answers, pos, eof, broken, err := s.lines(path)
	if err != nil {
		return nil, err
	}
	s.b.Position = pos
	return func(tx *queue.Tx) error {
		if err := s.take(tx, answers); err != nil {
			return err
		}
		if eof && !broken {
			if broken, err = s.short(tx); err != nil {
				return err
			}
		}
		switch {
		case broken && s.b.Broken < maxBroken:
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return s.broken(tx)
		case eof:
			return s.nextFile()(tx)
		}
		tx.Again(0)
		return tx.SaveBatch(s.b)
	}, nil
}

// broken counts answers that came incomplete and lets some time pass until they are looked for again: what comes instead of them
// may come for minutes, and to ask the model again costs money.
func (s *batchStep) broken(tx *queue.Tx) error {
	s.b.Broken++
	wait := s.brokenPause()
	tx.Again(wait)
	return errors.Join(tx.SaveBatch(s.b), tx.SetMeta(pauseKey(s.b), tx.Now().Add(wait).UTC().Format(time.RFC3339Nano)))
}

func (s *batchStep) brokenPause() time.Duration {
	return s.p.Ask.Poll << (2 * (s.b.Broken - 1)) // 1, 4 and 16 times
}

// pauseKey is where it is kept until when that lasts: a start makes every job due.
func pauseKey(b queue.Batch) string { return fmt.Sprintf("batch.pause.%d", b.ID) }

// pausing is how long a batch whose answers came incomplete is still to be left alone.
func (s *batchStep) pausing(ctx context.Context) (time.Duration, error) {
	if s.b.Broken == 0 {
		return 0, nil
	}
	text, err := s.e.Store.Meta(ctx, pauseKey(s.b))
	if err != nil {
		return 0, err
	}
	until, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, nil
	}
	return min(until.Sub(s.e.Store.Now()), s.brokenPause()), nil // the clock may have been set back
}

// short reports whether the only file of a completed batch ends before its last line: it may have been cut behind a whole one.
func (s *batchStep) short(tx *queue.Tx) (bool, error) {
	if s.b.Status != "completed" || s.b.Reading != readOutput || s.b.ErrorFile != "" {
		return false, nil
	}
	n, err := tx.Unheard(s.b.ID)
	return n > 0, err
}

// take stores answers and what follows from them.
func (s *batchStep) take(tx *queue.Tx, answers []adapters.Answer) error {
	ask := s.p.Ask
	var in, out, badIn, badOut, failed int64
	for _, a := range answers {
		in, out = in+a.InputTokens, out+a.OutputTokens
		var bad error
		if a.Err != nil {
			bad = a.Err
		} else if ask.Check != nil {
			bad = ask.Check(a.Body)
		}
		if bad != nil {
			if a.InputTokens+a.OutputTokens > 0 {
				badIn, badOut, failed = badIn+a.InputTokens, badOut+a.OutputTokens, failed+1
			}
			if err := tx.Unanswered(s.b.ID, a.ID, bad.Error()); err != nil {
				return err
			}
			continue
		}
		ok, err := tx.Answer(s.b.ID, a)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s.b.Answered++
		recs, err := tx.Askers(a.ID)
		if err != nil {
			return err
		}
		for _, r := range recs {
			if err := ask.Extracted(tx, r, a.Body); err != nil {
				return err
			}
		}
	}
	if err := s.pay(tx, in, out); err != nil {
		return err
	}
	return tx.Waste(s.b.Run, batchLane, queue.WasteFailed, failed, ask.Price.Cost(badIn, badOut))
}

// pay books tokens of the batch, for which its reservation is there.
func (s *batchStep) pay(tx *queue.Tx, in, out int64) error {
	price := s.p.Ask.Price
	s.b.Output += out
	if err := tx.PayBatch(s.b.ID, price.Cost(in, out)); err != nil {
		return err
	}
	s.b.Reserved = max(s.b.Reserved-price.Cost(in, out), 0)
	if in > 0 {
		if err := tx.Book(s.b.Run, batchLane, queue.UsedInput, in, price.Input); err != nil {
			return err
		}
	}
	if out > 0 {
		return tx.Book(s.b.Run, batchLane, queue.UsedOutput, out, price.Output)
	}
	return nil
}

func (s batchStep) nextFile() queue.Commit {
	return func(tx *queue.Tx) error {
		if s.b.Reading == readOutput {
			s.b.Reading = readErrors
		} else {
			s.b.Reading = readRest
			if err := s.payLost(tx); err != nil {
				return err
			}
		}
		s.b.Position, s.b.Broken = 0, 0
		return s.save(0)(tx)
	}
}

// gone is what the note of a batch begins with whose answers cannot be had any more.
const gone = "answers are gone: "

// payLost books answers that were made and cannot be had, or that a completed batch lacks. Nobody tells their tokens: those of
// the others stand for them, or what was kept back.
func (s *batchStep) payLost(tx *queue.Tx) error {
	if s.b.Status != "completed" && !strings.HasPrefix(s.b.Note, gone) {
		return nil
	}
	n, err := tx.Unheard(s.b.ID)
	if err != nil || n == 0 {
		return err
	}
	price, lines := s.p.Ask.Price, int64(max(s.b.Lines, 1))
	in, out := s.b.Tokens*n/lines, int64(0)
	if heard := lines - n; heard > 0 {
		out = (s.b.Output*n + heard - 1) / heard
	} else if left := s.b.Reserved*1_000_000 - in*price.Input; left > 0 && price.Output > 0 {
		out = left / price.Output
	}
	if err := s.pay(tx, in, out); err != nil {
		return err
	}
	return tx.Waste(s.b.Run, batchLane, queue.WasteRepeated, n, price.Cost(in, out))
}

// rest puts the lines without an answer back, and closes the batch when there are no more.
func (s batchStep) rest() queue.Commit {
	return func(tx *queue.Tx) error {
		why := s.b.Note
		if why == "" {
			why = "no answer came (" + s.b.Status + ")"
		}
		moved, err := tx.Requeue(s.b.ID, chunk, s.p.Ask.Attempts, s.b.Reading == readRest, why)
		if err != nil {
			return err
		}
		s.b.Failed += moved
		if moved == chunk {
			tx.Again(0)
			return tx.SaveBatch(s.b)
		}
		s.b.State = queue.BatchDone
		if s.b.UpstreamID == "" || s.b.Status == "failed" {
			s.b.State = queue.BatchRefused
		}
		s.b.Ended, s.b.Reserved = tx.Now(), 0
		if err := errors.Join(tx.SaveBatch(s.b), tx.DropMeta(pauseKey(s.b))); err != nil {
			return err
		}
		if s.b.State == queue.BatchDone {
			if err := s.relax(tx); err != nil {
				return err
			}
		}
		s.e.forgetSpool(s.b)
		more, err := tx.AnyWaiting(s.p.Name)
		if err != nil || !more {
			return err
		}
		if err := WantBatch(tx, s.p.Name); err != nil {
			return err
		}
		return tx.Hurry(formKey(s.p.Name))
	}
}

func (e *Engine) spoolPath(b queue.Batch, file string) (string, error) {
	dir, err := e.Store.SpoolDir()
	if err != nil {
		return "", err
	}
	// Another machine may still have what came incomplete: it is fetched anew there, too.
	return filepath.Join(dir, fmt.Sprintf("batch-%d-%x-%d.jsonl", b.ID, file, b.Broken)), nil
}

func (e *Engine) forgetSpool(b queue.Batch) {
	dir, err := e.Store.SpoolDir()
	if err != nil {
		return
	}
	left, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("batch-%d-*.jsonl", b.ID))) // the pattern is good
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// spool fetches a file of answers unless it is here already, and returns where it is.
func (s batchStep) spool(ctx context.Context, file string) (string, error) {
	path, err := s.e.spoolPath(s.b, file)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", s.e.Store.SpoolError(err)
	}
	defer os.Remove(path + ".part")
	if _, err := s.p.Ask.Batcher.Download(ctx, file, part); err != nil {
		_ = part.Close()
		return "", s.e.Store.SpoolError(err)
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return "", s.e.Store.SpoolError(err)
	}
	return path, s.e.Store.SpoolError(os.Rename(path+".part", path))
}

// lines reads up to chunk answers from the batch's position. broken says that the file is not what was asked for: nothing is at that
// position, or a line that cannot be read. Fetched often enough, such lines are passed over.
func (s batchStep) lines(path string) (answers []adapters.Answer, pos int64, eof, broken bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, false, false, err
	}
	defer f.Close()
	pos = s.b.Position
	if _, err := f.Seek(pos, io.SeekStart); err != nil {
		return nil, 0, false, false, err
	}
	r := bufio.NewReaderSize(f, 1<<16)
	if _, err := r.Peek(1); errors.Is(err, io.EOF) {
		// It was longer when it was read up to here; and answers without a line are none. There may be no errors.
		return nil, pos, true, pos > 0 || s.b.Reading == readOutput, nil
	}
	for len(answers) < chunk && !eof {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, false, false, err
		}
		if text := bytes.TrimSpace(line); len(text) > 0 && len(line) <= maxLine {
			a, err := s.p.Ask.Batcher.Answer(text)
			switch {
			case err == nil:
				answers = append(answers, a)
			case s.b.Broken < maxBroken:
				return answers, pos, true, true, nil
			}
		}
		pos += int64(len(line))
		_, err = r.Peek(1)
		eof = errors.Is(err, io.EOF)
	}
	return answers, pos, eof, false, nil
}
