package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

type apiJob struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	Lane     string    `json:"lane"`
	Kind     string    `json:"kind"`
	Key      string    `json:"key,omitempty"`
	State    string    `json:"state"`
	Priority int       `json:"priority"`
	Attempt  int       `json:"attempt"`
	Created  time.Time `json:"createdAt,omitzero"`
	Due      time.Time `json:"dueAt,omitzero"`
	Taken    time.Time `json:"takenAt,omitzero"`
	Err      string    `json:"error,omitempty"`
	Cause    string    `json:"cause,omitempty"`
}

func jobJSON(j queue.JobRow) apiJob {
	return apiJob{
		ID: j.ID, Pipeline: j.Pipeline, Lane: j.Lane, Kind: j.Kind, Key: j.Key, State: j.State, Priority: j.Priority, Attempt: j.Attempt,
		Created: utc(j.Created), Due: utc(j.Due), Taken: utc(j.Taken), Err: j.Err, Cause: queue.Cause(j.Err),
	}
}

func (s *Server) apiJobs(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	f := queue.JobFilter{Pipeline: q.text("pipeline"), Lane: q.text("lane"), Cause: q.text("cause")}
	if f.State, err = q.choice("state", "ready", "running", "waiting", "dead"); err != nil {
		return nil, err
	}
	if f.Kind, err = q.choice("kind", string(queue.KindPage), string(queue.KindBatch), string(queue.KindMatch), string(queue.KindDeliver)); err != nil {
		return nil, err
	}
	js, err := s.Store.FindJobs(q.Context(), f, after, n+1)
	return paged(js, n, func(j queue.JobRow) string { return numbered(j.ID) }, jobJSON), err
}

type apiJobError struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Err     string    `json:"error"`
}

type apiAbout struct {
	Account string `json:"account,omitempty"`
	List    string `json:"list,omitempty"`
	Walk    int64  `json:"walk,omitempty"`
	Mention int64  `json:"mention,omitempty"`
	Batch   int64  `json:"batch,omitempty"`
	Sink    string `json:"sink,omitempty"`
	Stream  string `json:"stream,omitempty"`
	Post    string `json:"post,omitempty"`
	Place   string `json:"place,omitempty"`
}

type apiJobStory struct {
	apiJob
	Args   json.RawMessage `json:"args"`
	Errors []apiJobError   `json:"errors"`
	About  apiAbout        `json:"about"`
}

func (s *Server) apiJob(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	j, story, err := s.Store.Job(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("job %d; a job that has ended without an error is not kept", id), "/jobs")
	}
	if j.Kind == "" { // it has ended
		name, err := s.Store.JobName(q.Context(), id)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
		j.Kind, j.Key = name.Kind, name.Key
	}
	a := jobs.AboutJob(j.Kind, j.Key, j.Args)
	v := apiJobStory{
		apiJob: jobJSON(j), Args: raw([]byte(j.Args)),
		Errors: each(story, func(e queue.JobError) apiJobError { return apiJobError{utc(e.At), e.Attempt, e.Err} }),
		About:  apiAbout{Account: a.Target, List: a.List, Walk: a.Walk, Mention: a.Mention, Batch: a.Batch, Sink: a.Sink},
	}
	if a.Mention != 0 {
		of, err := s.Store.Subjects(q.Context(), []int64{a.Mention})
		if err != nil {
			return nil, err
		}
		x := of[a.Mention]
		v.About.Stream, v.About.Post, v.About.Place = x.Stream, x.Key, x.Place
	}
	return v, nil
}

type apiDead struct {
	What     string    `json:"what"`
	Pipeline string    `json:"pipeline"`
	Kind     string    `json:"kind,omitempty"`
	Cause    string    `json:"cause"`
	N        int       `json:"n"`
	First    time.Time `json:"firstAt"`
	Last     time.Time `json:"lastAt"`
	Err      string    `json:"error"`
}

func (s *Server) apiDead(q *query) (any, error) {
	gs, err := s.Store.DeadGroups(q.Context())
	return pageOf[apiDead]{Items: each(gs, func(g queue.DeadGroup) apiDead {
		return apiDead{g.What, g.Pipeline, g.Kind, g.Cause, g.N, utc(g.First), utc(g.Last), g.Err}
	})}, err
}

type apiPostName struct {
	Stream  string `json:"stream"`
	Key     string `json:"key"`
	Account string `json:"account"`
}

type apiDeadQuestion struct {
	ID       string        `json:"id"`
	Pipeline string        `json:"pipeline"`
	Body     string        `json:"body"`
	Err      string        `json:"error"`
	Attempt  int           `json:"attempt"`
	At       time.Time     `json:"at"`
	Posts    []apiPostName `json:"posts"`
	All      int           `json:"postCount"`
}

func (s *Server) apiDeadQuestions(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	if !q.values.Has("cause") {
		return nil, wrong("cause is missing; give the one of a group of %s/dead", apiVersion)
	}
	ts, err := s.Store.DeadTexts(q.Context(), queue.DeadGroup{What: queue.DeadQuestion, Pipeline: q.text("pipeline"), Cause: q.text("cause")}, after, n+1)
	return paged(ts, n, func(t queue.DeadText) string { return numbered(t.ID) }, func(t queue.DeadText) apiDeadQuestion {
		posts := each(t.Posts, func(p queue.PostName) apiPostName { return apiPostName{p.Stream, p.Key, p.Target} })
		return apiDeadQuestion{t.Key, t.Pipeline, t.Body, t.Err, t.Attempt, utc(t.At), posts, t.All}
	}), err
}
