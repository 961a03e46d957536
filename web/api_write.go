package web

import (
	"errors"
	"fmt"
	"net/http"

	"sumbi/jobs"
	"sumbi/queue"
)

func apiWrites() []apiRoute {
	return []apiRoute{
		{http.MethodPost, "/runs", nil, (*Server).apiAskRun},
		{http.MethodPost, "/jobs/{id}/retry", nil, (*Server).apiRetry},
		{http.MethodPost, "/jobs/{id}/drop", nil, (*Server).apiDrop},
		{http.MethodPost, "/reviews/{mention}", nil, (*Server).apiReview},
	}
}

// mostTargets bounds the accounts that one request may name.
const mostTargets = 200

func (s *Server) apiAskRun(q *query) (any, error) {
	var ask struct {
		Pipeline string   `json:"pipeline"`
		Accounts []string `json:"accounts"`
		Full     bool     `json:"full"`
	}
	if err := q.body(&ask); err != nil {
		return nil, err
	}
	if !s.configured(ask.Pipeline) {
		return nil, &apiError{http.StatusNotFound, fmt.Sprintf("there is no pipeline %q; GET %s/pipelines lists them", ask.Pipeline, apiVersion)}
	}
	if len(ask.Accounts) > mostTargets {
		return nil, wrong("these are %d accounts; name at most %d, or none for all", len(ask.Accounts), mostTargets)
	}
	for i, a := range ask.Accounts {
		name, err := s.Account(ask.Pipeline, a)
		if err != nil {
			return nil, wrong("account %d: %s", i+1, err)
		}
		ask.Accounts[i] = name
	}
	var run queue.Run
	err := s.Store.Tx(q.Context(), func(tx *queue.Tx) error {
		r, fresh, err := tx.AskRun(ask.Pipeline, ask.Full, ask.Accounts)
		if err != nil {
			return err
		}
		run = r
		switch {
		case fresh:
			q.status = http.StatusCreated
		case ask.Full || len(ask.Accounts) > 0:
			return conflict("run %d of %s is not finished; accounts and full are for a new run, so ask again when it has ended", r.ID, r.Pipeline)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.situation.forget()
	s.Log.Info("a run was asked for", "pipeline", run.Pipeline, "run", run.ID)
	return runJSON(queue.RunRow{Run: run}), nil
}

// pipeline is the one of that name; nil when this process has none.
func (s *Server) pipeline(name string) *jobs.Pipeline {
	for _, p := range s.Pipelines {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// configured reports whether this process has a pipeline of that name.
func (s *Server) configured(pipeline string) bool {
	return s.pipeline(pipeline) != nil
}

func (s *Server) apiRetry(q *query) (any, error) { return nil, s.settle(q, "retried", jobs.Retry) }

func (s *Server) apiDrop(q *query) (any, error) { return nil, s.settle(q, "dropped", jobs.DropOne) }

// settle decides what becomes of a job, or of a question that was given up.
func (s *Server) settle(q *query, what string, f func(tx *queue.Tx, id string) error) error {
	if err := q.nothing(); err != nil {
		return err
	}
	id := q.PathValue("id")
	err := s.Store.Tx(q.Context(), func(tx *queue.Tx) error { return f(tx, id) })
	if err == nil {
		s.Log.Info("a job was decided on", "job", id, "what", what)
		return nil
	}
	if errors.Is(err, queue.ErrNotFound) {
		return &apiError{http.StatusNotFound, fmt.Sprintf("there is no job and no question %q that could be %s; GET %s/jobs lists jobs, %s/dead what was given up", id, what, apiVersion, apiVersion)}
	}
	if refusal, ok := errors.AsType[*queue.RefusedError](err); ok {
		return conflict("%s; nothing was changed", refusal)
	}
	return err
}

// The decisions of a review.
const (
	decidePlace = "place"
	decideNone  = "none"
	decideUndo  = "undo"
)

func (s *Server) apiReview(q *query) (any, error) {
	id, err := q.id("mention")
	if err != nil {
		return nil, err
	}
	var d struct {
		Decision  string `json:"decision"`
		Candidate int    `json:"candidate"`
		Version   string `json:"version"`
		By        string `json:"by"`
	}
	if err := q.body(&d); err != nil {
		return nil, err
	}
	m, err := s.Store.Mention(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("mention %d, or its post has been read anew", id), "/reviews")
	}
	if d.Version == "" { // whoever does not say what he has seen decides over whatever there is
		now, err := s.Store.Decision(q.Context(), id)
		if err != nil {
			return nil, absent(err, fmt.Sprintf("mention %d", id), "/reviews")
		}
		d.Version = now.Version()
	}
	if !s.configured(m.Pipeline) {
		return nil, conflict("the pipeline %s of this mention is not configured here, so what is one place is not known; decide it where it is", m.Pipeline)
	}
	defer s.mapped.stale()
	one, lane, err := s.rulesOf(m.Pipeline)
	if err != nil {
		return nil, err
	}
	choice := jobs.None
	choices, _, err := jobs.Choices(q.Context(), s.Store, m)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Decision == decidePlace && (d.Candidate < 1 || d.Candidate > len(choices)):
		return nil, wrong("there is no candidate %d; this mention has %d, counted from 1", d.Candidate, len(choices))
	case d.Decision == decidePlace && jobs.KeyOf(choices[d.Candidate-1]) == "":
		return nil, conflict("nothing of candidate %d is kept any more; choose another, or none", d.Candidate)
	case d.Decision == decidePlace:
		choice = d.Candidate - 1
	case d.Candidate != 0:
		return nil, wrong("a candidate is for the decision place; leave it out")
	case d.Decision == decideUndo:
		if _, err := s.Store.LabelOf(q.Context(), id); err != nil {
			return nil, absent(err, "decision of a person about this mention", "/reviews")
		}
		if _, err := jobs.UnlabelSeen(q.Context(), s.Store, m, d.Version, nil, lane, one); err != nil {
			return nil, err
		}
		return s.reviewJSON(q, id)
	case d.Decision != decideNone:
		return nil, wrong("decision cannot be %q; it is one of %s, %s, %s", d.Decision, decidePlace, decideNone, decideUndo)
	}
	if _, _, err := jobs.LabelSeen(q.Context(), s.Store, id, d.Version, choices, choice, firstText(authorName(d.By), s.By), one); err != nil {
		return nil, absent(err, fmt.Sprintf("mention %d any more: its post has been read anew", id), "/reviews")
	}
	return s.reviewJSON(q, id)
}
