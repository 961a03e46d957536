package web

import (
	"fmt"
	"strings"
	"time"

	"sumbi/queue"
)

type apiAccount struct {
	Pipeline string    `json:"pipeline"`
	Account  string    `json:"account"`
	State    string    `json:"state"`
	Name     string    `json:"renamedTo,omitempty"`
	ID       string    `json:"upstreamId,omitempty"`
	Misses   int       `json:"misses"`
	Total    int       `json:"upstreamPosts"`
	Checked  time.Time `json:"checkedAt,omitzero"`
	Silent   time.Time `json:"silentSince,omitzero"`
	Note     string    `json:"note,omitempty"`
	Posts    int       `json:"posts"`
	Mentions int       `json:"mentions"`
	Places   int       `json:"places"`
	Newest   time.Time `json:"newestPostAt,omitzero"`
	Lists    []apiWalk `json:"lists"`
}

func accountJSON(a queue.AccountRow) apiAccount {
	return apiAccount{
		Pipeline: a.Pipeline, Account: a.Target, State: a.State, Name: a.Name, ID: a.ID, Misses: a.Misses, Total: a.Total, Checked: utc(a.Checked), Silent: utc(a.Silent), Note: a.Note,
		Posts: a.Posts, Mentions: a.Mentions, Places: a.Places, Newest: utc(a.Newest), Lists: each(a.Walks, func(w queue.WalkRow) apiWalk { return walkJSON(w.Walk) }),
	}
}

func (s *Server) apiAccounts(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	var after queue.AccountID
	if token := q.text("after"); token != "" {
		pipeline, target, ok := strings.Cut(token, ":")
		if !ok {
			return nil, wrong("after must be what next was in the answer before")
		}
		after = queue.AccountID{Pipeline: pipeline, Target: target}
	}
	f := queue.AccountFilter{Pipeline: q.text("pipeline"), Name: q.text("name")}
	if f.State, err = q.choice("state", "ok", "gone", "private", "silent", "renamed", "gap"); err != nil {
		return nil, err
	}
	as, err := s.Store.Accounts(q.Context(), f, after, n+1)
	return paged(as, n, func(a queue.AccountRow) string { return a.Pipeline + ":" + a.Target }, accountJSON), err
}

type apiGap struct {
	List    string    `json:"list,omitempty"`
	State   string    `json:"state"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Runs    int       `json:"runs"`
	Missing int       `json:"missing"`
	Note    string    `json:"note,omitempty"`
}

type apiAccountPost struct {
	Stream   string    `json:"stream"`
	Key      string    `json:"key"`
	At       time.Time `json:"takenAt"`
	State    string    `json:"state"`
	Mentions int       `json:"mentions"`
	Places   int       `json:"places"`
	Review   int       `json:"review"`
}

type apiAccountPlace struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Category string    `json:"category,omitempty"`
	Address  string    `json:"address,omitempty"`
	Mentions int       `json:"mentions"`
	Last     time.Time `json:"lastSeen"`
}

type apiAccountStory struct {
	apiAccount
	Gaps      []apiGap          `json:"gaps"`
	States    map[string]int    `json:"postStates"`
	Review    int               `json:"review"`
	Newest    []apiAccountPost  `json:"newestPosts"`
	TopPlaces []apiAccountPlace `json:"topPlaces"`
}

func (s *Server) apiAccount(q *query) (any, error) {
	id := queue.AccountID{Pipeline: q.PathValue("pipeline"), Target: q.PathValue("account")}
	a, err := s.Store.AccountStory(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("account %q in the pipeline %q", id.Target, id.Pipeline), "/accounts")
	}
	v := apiAccountStory{
		apiAccount: accountJSON(a.AccountRow), States: map[string]int{}, Review: a.Review,
		Gaps: each(a.Gaps, func(g queue.AccountGap) apiGap {
			return apiGap{g.List, g.State, utc(g.From), utc(g.To), g.Runs, g.Missing, g.Note}
		}),
		Newest: each(a.Newest, func(p queue.AccountPost) apiAccountPost {
			return apiAccountPost{p.Stream, p.Key, utc(p.At), p.State, p.Mentions, p.Places, p.Review}
		}),
		TopPlaces: each(a.Top, func(p queue.AccountPlace) apiAccountPlace {
			return apiAccountPlace{p.ID, p.Name, p.Category, p.Address, p.Mentions, utc(p.Last)}
		}),
	}
	for _, c := range a.States {
		v.States[c.State] = c.N
	}
	return v, nil
}
