package web

import (
	"net/http"
	"net/url"
	"strconv"

	"sumbi/queue"
)

func (s *Server) deadRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dead", s.deadList)
	mux.HandleFunc("GET /dead/questions", s.deadQuestions)
}

// deadLine is what was given up for one cause.
type deadLine struct {
	queue.DeadGroup
	Plain, Kind       string
	Look, Retry, Drop string // addresses
}

// deadList lists what was given up by cause.
func (s *Server) deadList(w http.ResponseWriter, r *http.Request) {
	groups, err := s.Store.DeadGroups(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Groups []deadLine
		N      int
	}{}
	for _, g := range groups {
		q := url.Values{"pipeline": {g.Pipeline}, "cause": {g.Cause}}
		l := deadLine{DeadGroup: g, Plain: plain(g.Err), Kind: say("question")}
		if g.What == queue.DeadJob {
			q.Set("kind", g.Kind)
			q.Set("state", "dead")
			l.Kind, l.Look = kindWord(g.Kind), addressOf("/jobs", q)
		} else {
			l.Look = addressOf("/dead/questions", q)
			q.Set("what", queue.DeadQuestion)
		}
		q.Set("all", "1")
		q.Set("most", strconv.FormatInt(g.Most, 10))
		q.Set("back", "/dead")
		q.Set("do", "retry")
		l.Retry = addressOf("/jobs/ask", q)
		q.Set("do", "drop")
		l.Drop = addressOf("/jobs/ask", q)
		data.Groups = append(data.Groups, l)
		data.N += g.N
	}
	s.render(w, r, http.StatusOK, "dead", say("Given up"), data)
}

// deadText is a question with the addresses of its posts.
type deadText struct {
	queue.DeadText
	Links []link
	More  int // posts that are not named
}

// deadQuestions lists the questions that were given up for one cause.
func (s *Server) deadQuestions(w http.ResponseWriter, r *http.Request) {
	g := queue.DeadGroup{What: queue.DeadQuestion, Pipeline: r.FormValue("pipeline"), Cause: r.FormValue("cause")}
	rows, err := s.Store.DeadTexts(r.Context(), g, numberOf(r, "before"), rowsShown+1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Cause, Plain, Back string
		Questions          []deadText
		pager
	}{Cause: g.Cause, Plain: plain(g.Cause), Back: sameWith(r)}
	rows, data.pager = pageRows(r, rows, func(d queue.DeadText) int64 { return d.ID })
	for _, d := range rows {
		t := deadText{DeadText: d, More: d.All - len(d.Posts)}
		for _, p := range d.Posts {
			t.Links = append(t.Links, link{postPath(p.Stream, p.Key), p.Target})
		}
		data.Questions = append(data.Questions, t)
	}
	s.render(w, r, http.StatusOK, "dead-questions", say("Questions given up"), data)
}
