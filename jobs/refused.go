package jobs

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func fullKey(a *Ask) string { return "batch.full." + a.Batcher.Model() }

// guessed marks a learnt limit that the upstream did not name.
const guessed = "~"

func tokensKey(a *Ask) string { return "batch.tokens." + a.Batcher.Model() }

// tokenLimit is the configured limit of enqueued tokens, or less if the upstream said so.
func (e *Engine) tokenLimit(ctx context.Context, a *Ask) (int64, error) {
	v, err := e.Store.Meta(ctx, tokensKey(a))
	if err != nil || v == "" {
		return a.EnqueuedTokens, err
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(v, guessed), 10, 64)
	if err != nil || n <= 0 {
		return a.EnqueuedTokens, nil
	}
	if a.EnqueuedTokens > 0 {
		n = min(n, a.EnqueuedTokens)
	}
	return n, nil
}

// unknown handles a batch that the upstream says it does not know. It says so of another project's batches too, and its
// lines are paid for: they are asked again only when the window is over and the list does not show the batch either.
func (s batchStep) unknown(ctx context.Context, said error) (queue.Commit, error) {
	s.b.Polls++
	s.b.Note = "the upstream does not know this batch; is it another project's key? " + said.Error()
	if s.e.Store.Now().Sub(s.b.Sent) < window+time.Hour {
		return s.save(10 * s.p.Ask.Poll), nil
	}
	ub, ok, err := s.p.Ask.Batcher.Find(ctx, s.b.Shard, s.since())
	if err != nil {
		return nil, err
	}
	if ok {
		return s.adopt(ub), nil
	}
	s.b.State, s.b.Reading = queue.BatchReading, readRest
	return s.save(0), nil
}

// window is how long the upstream may take for a batch.
const window = 24 * time.Hour

// since is from when on the list of batches is searched. The clocks of the two sides need not agree.
func (s batchStep) since() time.Time { return s.b.Created.Add(-window) }

// refused handles a batch that the upstream did not take as a whole: nothing of it ran, its lines wait again.
func (s batchStep) refused(ub adapters.Batch) (queue.Commit, error) {
	ask := s.p.Ask
	why := "refused by the upstream"
	count, tooMuch := true, false
	var limit int64
	for i, pr := range ub.Problems {
		if i == 0 {
			why = pr.Code + ": " + pr.Message
		}
		switch pr.Code {
		case tokenLimitExceeded:
			tooMuch, limit = true, pr.Limit
			count = s.b.Lines == 1 && limit < s.b.Tokens // one line alone cannot be split
		case modelNotFound:
			count = false
			s.e.batches.setBad("the model " + strconv.Quote(s.b.Model) + " does not take batches, change [openai] model: " + pr.Message)
		}
	}
	s.b.Note, s.b.Reading = why, readRest
	return func(tx *queue.Tx) error {
		if tooMuch {
			others, err := tx.OtherBatches(s.b)
			if err != nil {
				return err
			}
			// With a limit that this batch alone keeps, the tokens in the way are somebody else's: they go by themselves.
			if others == 0 && (limit <= 0 || limit < s.b.Tokens) && s.b.Lines > 1 {
				learnt := strconv.FormatInt(limit, 10)
				if limit <= 0 {
					learnt = guessed + strconv.FormatInt(max(s.b.Tokens/2, 1), 10)
				}
				err = tx.SetMeta(tokensKey(ask), learnt)
			} else {
				err = tx.SetMeta(fullKey(ask), tx.Now().Add(10*ask.Poll).UTC().Format(time.RFC3339Nano))
			}
			if err != nil {
				return err
			}
		} else {
			for _, pr := range ub.Problems {
				if pr.Line > 0 && pr.Code != modelNotFound { // said of every line, and none is to blame
					count = false
					if err := tx.KillLine(s.b.ID, pr.Line, pr.Code+": "+pr.Message); err != nil {
						return err
					}
				}
			}
		}
		s.b.State = queue.BatchReading
		s.b.Status = "failed"
		if !count {
			s.b.Reading = readBack
		}
		tx.Again(0)
		return tx.SaveBatch(s.b)
	}, nil
}

// relax lets the next batches be larger again where the token limit was only guessed.
func (s batchStep) relax(tx *queue.Tx) error {
	if err := tx.SetMeta(fullKey(s.p.Ask), ""); err != nil {
		return err
	}
	learnt, err := tx.Meta(tokensKey(s.p.Ask))
	if err != nil {
		return err
	}
	guess, ok := strings.CutPrefix(learnt, guessed)
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(guess, 10, 64)
	if err != nil || (s.p.Ask.EnqueuedTokens > 0 && 2*n >= s.p.Ask.EnqueuedTokens) {
		return tx.SetMeta(tokensKey(s.p.Ask), "")
	}
	return tx.SetMeta(tokensKey(s.p.Ask), guessed+strconv.FormatInt(2*n, 10))
}
