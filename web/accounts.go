package web

import (
	"net/http"
	"slices"
	"time"

	"sumbi/queue"
)

func (s *Server) accountsRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /accounts", s.accountList)
	mux.HandleFunc("GET /accounts/{pipeline}/{target}", s.account)
}

// accountsShown is how many accounts a list shows at once: what each has brought is counted when it is shown.
const accountsShown = 25

// accountLine is an account in a list.
type accountLine struct {
	queue.AccountRow
	Path   string
	Badges []badge
}

func lineOfAccount(a queue.AccountRow) accountLine {
	l := accountLine{AccountRow: a, Path: accountPath(a.Pipeline, a.Target)}
	walking := slices.ContainsFunc(a.Walks, func(w queue.WalkRow) bool { return w.State == queue.WalkWalking })
	for _, b := range []struct {
		state string
		is    bool
	}{
		{a.State, a.State != "ok"},
		{"silent", a.State == "ok" && !a.Silent.IsZero()},
		{"gap", a.Gap},
		{"renamed", a.Name != ""},
		{"walking", walking},
	} {
		if b.is {
			l.Badges = append(l.Badges, badgeOf(b.state))
		}
	}
	if len(l.Badges) == 0 {
		l.Badges = []badge{badgeOf("ok")}
	}
	return l
}

// accountList lists whom sumbi follows.
func (s *Server) accountList(w http.ResponseWriter, r *http.Request) {
	f := queue.AccountFilter{Pipeline: r.FormValue("pipeline"), State: r.FormValue("state"), Name: r.FormValue("name")}
	after := queue.AccountID{Pipeline: r.FormValue("after_pipeline"), Target: r.FormValue("after")}
	rows, err := s.Store.Accounts(r.Context(), f, after, accountsShown+1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	pipelines, err := s.Store.Pipelines(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	counts, err := s.Store.AccountCounts(r.Context(), f.Pipeline)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Accounts          []accountLine
		Pipelines, States []option
		Filter            queue.AccountFilter
		pager
	}{Pipelines: nameOptions(pipelines, f.Pipeline), Filter: f}
	for _, c := range counts {
		o := option{Value: c.State, Word: say("all"), N: c.N, Selected: c.State == f.State}
		if c.State != "" {
			o.Word = badgeOf(c.State).Text
		}
		data.States = append(data.States, o)
	}
	if after != (queue.AccountID{}) {
		data.First = sameWith(r, "after", "", "after_pipeline", "")
	}
	if len(rows) > accountsShown {
		rows = rows[:accountsShown]
		last := rows[accountsShown-1].AccountID
		data.Next = sameWith(r, "after_pipeline", last.Pipeline, "after", last.Target)
	}
	for _, a := range rows {
		data.Accounts = append(data.Accounts, lineOfAccount(a))
	}
	s.render(w, r, http.StatusOK, "accounts", say("Accounts"), data)
}

// accountWalk is a list of an account with what its walk has left out.
type accountWalk struct {
	queue.WalkRow
	Badge   badge
	RunPath string
}

// gapLine is something that was not seen.
type gapLine struct {
	queue.AccountGap
	Badge badge
}

// postLine is a post of an account.
type postLine struct {
	queue.AccountPost
	Path  string
	Badge badge
}

// namedPlace is a place that an account names.
type namedPlace struct {
	queue.AccountPlace
	Path string
}

// stateCount is how many posts are in a state.
type stateCount struct {
	Badge badge
	N     int
}

// account tells one account.
func (s *Server) account(w http.ResponseWriter, r *http.Request) {
	st, err := s.Store.AccountStory(r.Context(), queue.AccountID{Pipeline: r.PathValue("pipeline"), Target: r.PathValue("target")})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		accountLine
		Walks  []accountWalk
		Gaps   []gapLine
		States []stateCount
		Posts  []postLine
		Top    []namedPlace
		Review int
		Silent time.Duration // how long already; 0 not
		All    queue.Results
	}{accountLine: lineOfAccount(st.AccountRow), Review: st.Review, All: st.Results}
	if !st.Silent.IsZero() {
		data.Silent = s.Store.Now().Sub(st.Silent)
	}
	for _, x := range st.Walks {
		l := accountWalk{WalkRow: x, Badge: badgeOf(x.State)}
		if x.Run > 0 {
			l.RunPath = runPath(x.Run)
		}
		data.Walks = append(data.Walks, l)
	}
	for _, g := range st.Gaps {
		data.Gaps = append(data.Gaps, gapLine{g, badgeOf(g.State)})
	}
	for _, c := range st.States {
		data.States = append(data.States, stateCount{badgeOf(c.State), c.N})
	}
	for _, p := range st.Newest {
		data.Posts = append(data.Posts, postLine{p, postPath(p.Stream, p.Key), badgeOf(p.State)})
	}
	for _, p := range st.Top {
		data.Top = append(data.Top, namedPlace{p, placePath(p.ID)})
	}
	s.render(w, r, http.StatusOK, "account", "%s", data, data.Target)
}
