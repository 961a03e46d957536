package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"sumbi/jobs"
	"sumbi/queue"
)

// askRun asks whether a pipeline is to run now, and says what that would cost.
func (s *Server) askRun(w http.ResponseWriter, r *http.Request) {
	lang, name := language(r), r.URL.Query().Get("pipeline")
	p := s.pipeline(name)
	if p == nil {
		s.fail(w, r, http.StatusNotFound, say("There is no such pipeline."), say("Pipelines are named in sumbi.toml, which is read at the start."))
		return
	}
	last, err := s.Store.LastRun(r.Context(), name)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		s.broken(w, r, err)
		return
	}
	if last.State == queue.RunStopped {
		s.confirm(w, r, confirmation{
			Title: say("Go on?"), Text: say("Pipeline %s"), Args: name, Action: "/runs/new", Fields: []fact{{"pipeline", name}}, Button: say("Go on"), Back: "/",
			Note: last.Note + "\n" + word(lang, "It goes on where it was. If the reason is still there it stops again."),
		})
		return
	}
	c := confirmation{
		Title: say("Run now?"), Text: say("Pipeline %s"), Args: name, Action: "/runs/new", Fields: []fact{{"pipeline", name}},
		Button: say("Run now"), Back: "/",
	}
	if s.Forecast != nil {
		f, err := s.Forecast(r.Context(), name)
		if err != nil {
			c.Note = word(lang, "There is no forecast: %s", inWords(lang, err.Error()))
			s.confirm(w, r, c)
			return
		}
		cost := word(lang, "unknown")
		if f.Priced {
			cost = word(lang, "about %s", dollars(f.MicroUSD))
		}
		c.Facts = []fact{
			{say("Accounts"), grouped(f.Accounts)},
			{word(lang, "Requests to %s", p.Lane), word(lang, "about %s", grouped(f.Pages))},
			{say("Time of the crawl"), word(lang, "about %s", span(lang, f.Crawl))},
		}
		if p.Ask != nil {
			c.Facts = append(c.Facts, fact{say("Captions to be read"), word(lang, "about %s", grouped(f.Captions))})
		}
		if p.Find != nil {
			c.Facts = append(c.Facts, fact{say("Searches"), word(lang, "about %s", grouped(f.Searches))})
		}
		c.Facts = append(c.Facts, fact{say("Cost"), cost})
		c.Note = word(lang, "Only what is new, and all of accounts that are new.")
		c.Check = fact{"full", say("Walk whole lists: finds what was changed or missed before, with far more requests than above.")}
		if f.Full {
			c.Check = fact{}
			c.Note = word(lang, "Whole lists are walked.")
		}
	}
	s.confirm(w, r, c)
}

// startRun asks for a run; an unfinished one goes on.
func (s *Server) startRun(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("pipeline")
	if !s.configured(name) {
		s.fail(w, r, http.StatusNotFound, say("There is no such pipeline."), say("Pipelines are named in sumbi.toml, which is read at the start."))
		return
	}
	var run queue.Run
	var fresh bool
	err := s.Store.Tx(r.Context(), func(tx *queue.Tx) (err error) {
		run, fresh, err = tx.AskRun(name, r.PostFormValue("full") != "", nil)
		if err == nil && run.State == queue.RunStopped {
			err = tx.StartRun(run.ID)
		}
		return err
	})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.situation.forget()
	if !fresh {
		s.done(w, r, "/", say("Run %d of %s is not finished yet; it goes on."), run.ID, name)
		return
	}
	s.done(w, r, "/", say("Run %d of %s begins."), run.ID, name)
}

// askRetry asks whether everything that was given up is to be tried again.
func (s *Server) askRetry(w http.ResponseWriter, r *http.Request) {
	a, err := s.Store.Attention(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.confirm(w, r, confirmation{
		Title: say("Try again what was given up?"), Text: say("Each gets all its attempts anew. What costs money costs it again."),
		Fields: []fact{{"until", strconv.FormatInt(s.Store.Now().UnixMilli(), 10)}}, // what is given up later was not looked at
		Facts:  []fact{{say("Jobs"), grouped(a.DeadJobs)}, {say("Captions"), grouped(a.DeadQuestions)}},
		Action: "/dead/retry", Button: say("Try again"), Back: "/",
	})
}

// retryDead lets what was given up before it was asked about live again, as much as there is time for.
func (s *Server) retryDead(w http.ResponseWriter, r *http.Request) {
	until := numberOf(r, "until")
	if until == 0 {
		s.fail(w, r, http.StatusBadRequest, say("This page cannot be asked for in this way."), say("Go back to the overview and start from there."))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), doTime)
	defer cancel()
	dead, err := s.Store.DeadOnes(ctx, 1<<30)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	var ids []string
	for _, d := range dead {
		if d.At.UnixMilli() <= until {
			ids = append(ids, d.ID)
		}
	}
	looked, unable, err := jobs.DoMany(ctx, s.Store, ids, jobs.Retry)
	s.situation.forget()
	if err != nil {
		s.broken(w, r, err)
		return
	}
	done, left := looked-len(unable), len(ids)-looked
	s.Log.Info("what was given up is tried again", "done", done, "unable", len(unable), "left", left)
	if len(unable) > 0 {
		s.Log.Warn("not everything could be tried again", "err", unable[0].Err)
	}
	if left > 0 {
		s.done(w, r, "/", say("%d are done, %d are left: choose them again."), done, left)
		return
	}
	if done == 0 && len(unable) == 0 {
		s.done(w, r, "/", say("Nothing of it is left: it was done before."))
		return
	}
	s.done(w, r, "/", say("Tried again: %d"), done)
}
