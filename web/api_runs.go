package web

import (
	"fmt"
	"time"

	"sumbi/queue"
)

type apiRun struct {
	ID       int64     `json:"id"`
	Pipeline string    `json:"pipeline"`
	State    string    `json:"state"`
	Full     bool      `json:"full"`
	Accounts []string  `json:"accounts"`
	Asked    time.Time `json:"askedAt"`
	Started  time.Time `json:"startedAt,omitzero"`
	Crawled  time.Time `json:"crawledAt,omitzero"`
	Ended    time.Time `json:"endedAt,omitzero"`
	Pages    int       `json:"pages"`
	New      int       `json:"newRecords"`
	Changed  int       `json:"changedRecords"`
	Requests int64     `json:"requests"`
	Refused  int64     `json:"refused"`
	Spent    int64     `json:"spentMicroUsd"`
	Reserved int64     `json:"reservedMicroUsd"`
	Wasted   int64     `json:"wastedMicroUsd"`
	Note     string    `json:"note,omitempty"`
}

func runJSON(r queue.RunRow) apiRun {
	return apiRun{
		ID: r.ID, Pipeline: r.Pipeline, State: string(r.State), Full: r.Whole, Accounts: each(r.Targets, same),
		Asked: utc(r.Asked), Started: utc(r.Started), Crawled: utc(r.Crawled), Ended: utc(r.Ended),
		Pages: r.Pages, New: r.Fresh, Changed: r.Changed, Requests: r.Requests, Refused: r.Refused, Spent: r.Booked, Reserved: r.Reserved, Wasted: r.Wasted, Note: r.Note,
	}
}

func same(s string) string { return s }

func (s *Server) apiRuns(q *query) (any, error) {
	n, after, err := q.page(mostOnPage)
	if err != nil {
		return nil, err
	}
	rs, err := s.Store.Runs(q.Context(), q.text("pipeline"), after, n+1)
	return paged(rs, n, func(r queue.RunRow) string { return numbered(r.ID) }, runJSON), err
}

type apiEntry struct {
	Upstream string `json:"upstream"`
	What     string `json:"what"`
	N        int64  `json:"n"`
	MicroUSD int64  `json:"microUsd"`
}

func entryJSON(e queue.Entry) apiEntry { return apiEntry{e.Upstream, e.What, e.N, e.MicroUSD} }

type apiDay struct {
	Day      string `json:"day"`
	Upstream string `json:"upstream"`
	Requests int64  `json:"requests"`
	Refused  int64  `json:"refused"`
}

type apiSlot struct {
	Lane  string  `json:"lane"`
	What  string  `json:"what"`
	N     float64 `json:"n"`
	Share float64 `json:"share"`
}

type apiFailure struct {
	Kind  string    `json:"kind"`
	Cause string    `json:"cause"`
	N     int       `json:"n"`
	Last  time.Time `json:"lastAt"`
	Err   string    `json:"error"`
	Job   int64     `json:"job"`
}

type apiWalk struct {
	Account  string    `json:"account"`
	List     string    `json:"list"`
	State    string    `json:"state"`
	Run      int64     `json:"run"`
	Pages    int       `json:"pages"`
	Expected int       `json:"expectedPages,omitempty"`
	Mark     time.Time `json:"mark,omitzero"`
	Newest   time.Time `json:"newest,omitzero"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Cuts     int       `json:"cuts"`
	Note     string    `json:"note,omitempty"`
}

func walkJSON(w queue.Walk) apiWalk {
	return apiWalk{w.Target, w.List, string(w.State), w.Run, w.Pages, w.Expected, utc(w.Mark), utc(w.Newest), utc(w.Oldest), w.Cuts, w.Note}
}

type apiStretch struct {
	Upstream string    `json:"upstream"`
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Refused  int64     `json:"refused"`
}

type apiRunStory struct {
	apiRun
	Used       []apiEntry   `json:"used"`
	InVain     []apiEntry   `json:"inVain"`
	Days       []apiDay     `json:"days"`
	Stretch    int          `json:"stretchSeconds"`
	Stretches  []apiStretch `json:"stretches"`
	Slots      []apiSlot    `json:"slots"`
	Lists      int          `json:"lists"`
	ListsLeft  int          `json:"listsLeft"`
	Longest    []apiWalk    `json:"longestLists"`
	Unfinished []apiWalk    `json:"unfinishedLists"`
	Failures   []apiFailure `json:"failures"`
	Batches    []apiBatch   `json:"batches"`
	Matched    int          `json:"matchedMentions"`
	Answers    int          `json:"answers"`
}

func (s *Server) apiRun(q *query) (any, error) {
	id, err := q.id("id")
	if err != nil {
		return nil, err
	}
	r, err := s.Store.RunStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("run %d", id), "/runs")
	}
	return apiRunStory{
		apiRun: runJSON(r.RunRow), Used: each(r.Used, entryJSON), InVain: each(r.InVain, entryJSON),
		Days:    each(r.Days, func(d queue.DayUse) apiDay { return apiDay(d) }),
		Stretch: int(r.Stretch.Seconds()), Stretches: each(r.Stretches, func(x queue.Stretch) apiStretch {
			return apiStretch{x.Upstream, utc(x.At), x.Requests, x.Refused}
		}),
		Slots: each(r.Slots, func(x queue.Slot) apiSlot { return apiSlot(x) }),
		Lists: r.Lists, ListsLeft: r.ListsLeft, Longest: each(r.Longest, walkJSON), Unfinished: each(r.Open, walkJSON),
		Failures: each(r.Failures, func(f queue.Failure) apiFailure {
			return apiFailure{f.Kind, f.Cause, f.N, utc(f.Last), f.Err, f.Job}
		}),
		Batches: each(r.Batches, batchJSON),
		Matched: r.Mentions, Answers: r.Answers,
	}, nil
}
