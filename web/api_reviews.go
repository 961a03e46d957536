package web

import (
	"errors"
	"fmt"
	"net/http"

	"sumbi/jobs"
	"sumbi/queue"
)

type apiCandidate struct {
	Finder   string    `json:"finder,omitempty"`
	Name     string    `json:"name,omitempty"`
	Category string    `json:"category,omitempty"`
	Road     string    `json:"roadAddress,omitempty"`
	Address  string    `json:"address,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Link     string    `json:"link,omitempty"`
	Location *apiPoint `json:"location"`
	Score    float64   `json:"score"`
	Why      string    `json:"why,omitempty"`
	Taken    bool      `json:"taken"`
}

type apiSearch struct {
	Finder string `json:"finder"`
	Query  string `json:"query"`
	Found  int    `json:"found"`
}

type apiReview struct {
	apiMention
	Caption    string         `json:"caption,omitempty"`
	Version    string         `json:"version"`
	Candidates []apiCandidate `json:"candidates"`
	Searches   []apiSearch    `json:"searches"`
}

// reviewJSON is a mention as a person needs it to decide.
func (s *Server) reviewJSON(q *query, id int64) (any, error) {
	m, err := s.Store.MentionStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("mention %d, or its post has been read anew", id), "/reviews")
	}
	now, err := s.Store.Decision(q.Context(), id)
	if err != nil {
		return nil, err
	}
	choices, asked, err := jobs.Choices(q.Context(), s.Store, m.Mention)
	if err != nil {
		return nil, err
	}
	return apiReview{
		apiMention: mentionJSON(m), Caption: jobs.PostOf(m.Mention).Caption, Version: now.Version(),
		Candidates: each(choices, func(o queue.Option) apiCandidate {
			taken := m.Found != "" && m.Found == jobs.KeyOf(o)
			return apiCandidate{o.Finder, o.Name, o.Category, o.RoadAddress, o.Address, o.Phone, o.Link, point(o.Lat, o.Lng), o.Score, o.Why, taken}
		}),
		Searches: each(asked, func(a queue.Asked) apiSearch { return apiSearch{a.Finder, a.Query, a.Found} }),
	}, nil
}

func (s *Server) apiReviewOf(q *query) (any, error) {
	id, err := q.id("mention")
	if err != nil {
		return nil, err
	}
	return s.reviewJSON(q, id)
}

func (s *Server) apiReviews(q *query) (any, error) {
	n, after, err := q.page(mostReviews)
	if err != nil {
		return nil, err
	}
	all, err := q.choice("all", "true", "false")
	if err != nil {
		return nil, err
	}
	ms, err := s.Store.Reviews(q.Context(), queue.ReviewFilter{Pipeline: q.text("pipeline"), Post: q.text("post"), All: all == "true"}, after, n+1)
	if err != nil {
		return nil, err
	}
	page := pageOf[any]{Items: []any{}}
	for i, m := range ms {
		if i == n {
			next := numbered(ms[n-1].ID)
			page.Next = &next
			break
		}
		r, err := s.reviewJSON(q, m.ID)
		if e, gone := errors.AsType[*apiError](err); gone && e.status == http.StatusNotFound {
			continue // read anew while this was read
		}
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, r)
	}
	return page, nil
}
