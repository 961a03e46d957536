package web

import (
	"encoding/json"
	"fmt"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

type apiVerdict struct {
	State  string  `json:"state"`
	Score  float64 `json:"score"`
	Reason string  `json:"reason,omitempty"`
}

type apiMention struct {
	ID       int64           `json:"id"`
	N        int             `json:"n"`
	Pipeline string          `json:"pipeline"`
	Name     string          `json:"name"`
	State    string          `json:"state"`
	Place    string          `json:"place,omitempty"`
	Score    float64         `json:"score"`
	Reason   string          `json:"reason,omitempty"`
	Fields   json.RawMessage `json:"fields"`
	Decided  time.Time       `json:"decidedAt,omitzero"`
	By       string          `json:"by,omitempty"`
	Was      *apiVerdict     `json:"was,omitempty"`
	Question string          `json:"question,omitempty"`
	Batch    int64           `json:"batch,omitempty"`
	Line     int             `json:"line,omitempty"`
	Stream   string          `json:"stream"`
	Post     string          `json:"post"`
	Account  string          `json:"account"`
	Taken    time.Time       `json:"takenAt"`
	URL      string          `json:"url,omitempty"`
}

func mentionJSON(m queue.MentionStory) apiMention {
	v := apiMention{
		ID: m.ID, N: m.N, Pipeline: m.Pipeline, Name: m.Name, State: m.State, Place: m.Place, Score: m.Score, Reason: m.Reason, Fields: raw(m.Fields), Decided: utc(m.Decided),
		Question: m.Question, Batch: m.Batch, Line: m.Line, Stream: m.Record.Stream, Post: m.Record.Key, Account: m.Record.Target, Taken: utc(m.Record.Time), URL: jobs.PostOf(m.Mention).URL,
	}
	if m.Label != 0 {
		v.By, v.Was = m.Author, &apiVerdict{m.Was.State, m.Was.Score, m.Was.Reason}
	}
	return v
}

type apiRequest struct {
	Pipeline string    `json:"pipeline"`
	Account  string    `json:"account"`
	List     string    `json:"list"`
	FirstRun int64     `json:"firstRun"`
	FirstAt  time.Time `json:"firstAt,omitzero"`
	LastRun  int64     `json:"lastRun"`
	LastAt   time.Time `json:"lastAt,omitzero"`
}

type apiQuestion struct {
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Attempt  int             `json:"attempt"`
	Err      string          `json:"error,omitempty"`
	Asked    time.Time       `json:"askedAt"`
	Answered time.Time       `json:"answeredAt,omitzero"`
	Batch    int64           `json:"batch,omitempty"`
	Line     int             `json:"line,omitempty"`
	Model    string          `json:"model,omitempty"`
	Posts    int             `json:"postCount"`
	Answer   json.RawMessage `json:"answer"`
}

type apiPost struct {
	Stream   string          `json:"stream"`
	Key      string          `json:"key"`
	Pipeline string          `json:"pipeline"`
	Account  string          `json:"account"`
	URL      string          `json:"url,omitempty"`
	Caption  string          `json:"caption,omitempty"`
	Taken    time.Time       `json:"takenAt"`
	Fetched  time.Time       `json:"fetchedAt"`
	Skipped  bool            `json:"skipped"`
	Data     json.RawMessage `json:"data"`
	Requests []apiRequest    `json:"requests"`
	Question *apiQuestion    `json:"question"`
	Mentions []apiMention    `json:"mentions"`
}

func (s *Server) apiPost(q *query) (any, error) {
	stream, key := q.PathValue("stream"), q.PathValue("key")
	r, err := s.Store.RecordStory(q.Context(), stream, key)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("record %q of the stream %q", key, stream), "/accounts/{pipeline}/{account}")
	}
	ms, err := s.Store.RecordMentions(q.Context(), r.ID)
	if err != nil {
		return nil, err
	}
	facts := jobs.PostOf(queue.Mention{Record: r.Stored})
	v := apiPost{
		Stream: r.Stream, Key: r.Key, Pipeline: r.Pipeline, Account: r.Target, URL: facts.URL, Caption: facts.Caption, Taken: utc(r.Time), Fetched: utc(r.Fetched), Skipped: r.Skipped, Data: raw(r.Data),
		Requests: each(r.Requests, func(x queue.Request) apiRequest {
			return apiRequest{x.Pipeline, x.Target, x.List, x.First, utc(x.FirstAt), x.Last, utc(x.LastAt)}
		}),
		Mentions: each(ms, mentionJSON),
	}
	if a := r.Question; a != nil {
		v.Question = &apiQuestion{a.Key, a.State, a.Attempt, a.Err, utc(a.Asked), utc(a.Answered), a.Batch, a.Line, a.Model, a.Records, raw(a.Answer)}
	}
	return v, nil
}
