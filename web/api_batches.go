package web

import (
	"fmt"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

type apiFate struct {
	State string `json:"state"`
	Cause string `json:"cause"`
	N     int    `json:"n"`
}

func fateJSON(f queue.LineFate) apiFate { return apiFate{f.State, f.Cause, f.N} }

type apiBatch struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	Model    string    `json:"model"`
	State    string    `json:"state"`
	Status   string    `json:"status,omitempty"`
	Upstream string    `json:"upstreamId,omitempty"`
	Run      int64     `json:"run,omitempty"`
	Lines    int       `json:"lines"`
	Answered int       `json:"answered"`
	Failed   int       `json:"failed"`
	Bytes    int64     `json:"bytes"`
	Tokens   int64     `json:"estimatedInputTokens"`
	Output   int64     `json:"outputTokens"`
	Spent    int64     `json:"spentMicroUsd"`
	Reserved int64     `json:"reservedMicroUsd"`
	Created  time.Time `json:"createdAt"`
	Sent     time.Time `json:"sentAt,omitzero"`
	Ended    time.Time `json:"endedAt,omitzero"`
	Note     string    `json:"note,omitempty"`
}

func batchJSON(b queue.BatchRow) apiBatch {
	return apiBatch{
		ID: b.ID, Pipeline: b.Pipeline, Model: b.Model, State: string(b.State), Status: b.Status, Upstream: b.UpstreamID, Run: b.Run, Lines: b.Lines, Answered: b.Answered, Failed: b.Failed,
		Bytes: b.Bytes, Tokens: b.Tokens, Output: b.Output, Spent: b.MicroUSD, Reserved: b.Reserved, Created: utc(b.Created), Sent: utc(b.Sent), Ended: utc(b.Ended), Note: b.Note,
	}
}

func (s *Server) apiBatches(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	f := queue.BatchFilter{Pipeline: q.text("pipeline")}
	if f.State, err = q.choice("state", "open", "choosing", "chosen", "uploaded", "creating", "running", "reading", "done", "refused"); err != nil {
		return nil, err
	}
	bs, err := s.Store.Batches(q.Context(), f, after, n+1)
	return paged(bs, n, func(b queue.BatchRow) string { return numbered(b.ID) }, batchJSON), err
}

type apiBatchStory struct {
	apiBatch
	Fates []apiFate `json:"fates"`
	Open  []apiFate `json:"unanswered"`
	Job   int64     `json:"job,omitempty"`
}

func (s *Server) apiBatch(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	b, err := s.Store.BatchStory(q.Context(), id, jobs.BatchKey(id))
	if err != nil {
		return nil, absent(err, fmt.Sprintf("batch %d", id), "/batches")
	}
	return apiBatchStory{batchJSON(b.BatchRow), each(b.List(), fateJSON), each(b.Open, fateJSON), b.Job}, nil
}
