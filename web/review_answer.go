package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sumbi/jobs"
	"sumbi/queue"
)

// reviewAnswer decides a mention.
func (s *Server) reviewAnswer(w http.ResponseWriter, r *http.Request) {
	m, err := s.mentionOf(r)
	if err != nil {
		s.reviewGone(w, r, err)
		return
	}
	options, _, err := jobs.Choices(r.Context(), s.Store, m)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	lang, n := language(r), jobs.None
	what := word(lang, "no place")
	if value := r.PostFormValue("choice"); value != "none" {
		if options, n = s.chosen(r, m, options, value); n < 0 {
			if now, err := s.Store.Decision(r.Context(), m.ID); err == nil && now.Version() != r.PostFormValue("seen") {
				s.notDecided(w, r, m, &jobs.Meanwhile{Now: now})
				return
			}
			s.problem(w, r, http.StatusBadRequest, m, word(lang, "There is no such candidate any more. Search again, or choose another one."))
			return
		}
		what = firstText(options[n].Name, options[n].Link, m.Name)
		options[n] = jobs.OwnOption(options[n])
	}
	one, _, err := s.rulesOf(m.Pipeline)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	defer s.mapped.stale()
	now, before, err := jobs.LabelSeen(r.Context(), s.Store, m.ID, r.PostFormValue("seen"), options, n, s.author(r), one)
	seen := now.Version()
	if err != nil {
		if !s.agrees(r, m.ID, options, n, err) {
			s.notDecided(w, r, m, err)
			return
		}
		seen = "" // the other one's decision is not his to take back
	}
	if before != nil {
		keep(&s.reviewed.mu, &s.reviewed.before, versionKey(m.ID, now.Version()), *before)
	}
	text := named(lang, "%s: %s", m.Name, what)
	if scripted(r) {
		answerJSON(w, http.StatusOK, answered{Said: text, Seen: seen})
		return
	}
	q := url.Values{}
	if seen != "" {
		q.Set("done", strconv.FormatInt(m.ID, 10))
		q.Set("seen", seen)
	}
	if p := r.PostFormValue("pipeline"); p != "" {
		q.Set("pipeline", p)
	}
	to := "/review"
	if r.PostFormValue("single") != "" {
		to = fmt.Sprintf("/review/%d", m.ID)
	} else {
		q.Set("after", strconv.FormatInt(m.ID, 10))
	}
	s.done(w, r, to+"?"+q.Encode(), say("%s: %s"), m.Name, what)
}

// agrees reports whether err only says that somebody else has decided a mention the same way meanwhile.
func (s *Server) agrees(r *http.Request, id int64, options []queue.Option, n int, err error) bool {
	other, ok := errors.AsType[*jobs.Meanwhile](err)
	if !ok || other.Now.Label == 0 {
		return false
	}
	if n == jobs.None {
		return other.Now.State == "none"
	}
	m, err := s.Store.Mention(r.Context(), id)
	return err == nil && m.State == "place" && m.Label == other.Now.Label && m.Found != "" && m.Found == jobs.KeyOf(options[n])
}

// chosen is the option that a form has chosen, and where it is among the options; -1 when there is none.
func (s *Server) chosen(r *http.Request, m queue.Mention, options []queue.Option, value string) ([]queue.Option, int) {
	number, found := strings.CutPrefix(value, "found")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return nil, -1
	}
	if found {
		// Somebody else may have searched the same words since, and found others.
		all, _ := kept(&s.reviewed.mu, s.reviewed.found, foundKey(m.ID, r.PostFormValue("words")))
		if n > len(all) || r.PostFormValue("found") != listHash(all) {
			return nil, -1
		}
		return append(options, all[n-1]), len(options)
	}
	// What seen names is one decision with its candidates; a candidate that is no longer kept would move the others up.
	if is := r.PostFormValue("options"); n > len(options) || (is != "" && is != listHash(options)) {
		return nil, -1
	}
	return options, n - 1
}

func versionKey(mention int64, seen string) string { return fmt.Sprint(mention, " ", seen) }

// answered is what a script learns of an answer.
type answered struct {
	Said    string `json:"said,omitempty"`
	Seen    string `json:"seen,omitempty"`
	Problem string `json:"problem,omitempty"` // why nothing was stored
}

func answerJSON(w http.ResponseWriter, status int, a answered) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // an error means that the visitor has gone
}

// problem says why an answer was not taken, beside the mention as it is now.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, m queue.Mention, text string) {
	if scripted(r) {
		answerJSON(w, status, answered{Problem: text})
		return
	}
	m, err := s.Store.Mention(r.Context(), m.ID)
	if err != nil {
		s.reviewGone(w, r, err)
		return
	}
	card, err := s.card(r, m)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.showReview(w, r, status, reviewPage{Card: card, Alert: text, Single: true})
}

// reviewGone answers who decides a mention that is not there any more.
func (s *Server) reviewGone(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case !errors.Is(err, queue.ErrNotFound):
		s.broken(w, r, err)
	case scripted(r):
		answerJSON(w, http.StatusNotFound, answered{Problem: word(language(r), "The post has been read anew meanwhile, so nothing was stored.")})
	default:
		s.fail(w, r, http.StatusNotFound, say("The post has been read anew meanwhile, so nothing was stored."), say("Look at what the post names now; it may wait in the queue again."))
	}
}

// notDecided says why a mention was not decided as asked.
func (s *Server) notDecided(w http.ResponseWriter, r *http.Request, m queue.Mention, err error) {
	lang := language(r)
	m2, meanwhile := errors.AsType[*jobs.Meanwhile](err)
	switch {
	case meanwhile && m2.Now.Label != 0:
		s.problem(w, r, http.StatusConflict, m, named(lang, "%s was decided by %s meanwhile: %s. Your answer was not stored.", m.Name, firstText(m2.Now.Author, word(lang, "somebody")), s.decided(lang, m2.Now)))
	case meanwhile:
		s.problem(w, r, http.StatusConflict, m, named(lang, "%s was matched anew meanwhile: %s. Your answer was not stored.", m.Name, s.decided(lang, m2.Now)))
	case errors.Is(err, queue.ErrNotFound):
		s.reviewGone(w, r, err)
	case queue.Fatal(err) || r.Context().Err() != nil:
		s.broken(w, r, err)
	default:
		s.problem(w, r, http.StatusBadRequest, m, err.Error())
	}
}

// decided is a decision in words.
func (s *Server) decided(lang string, d queue.Decision) string {
	switch d.State {
	case "place":
		return firstText(d.PlaceName, d.Place)
	case "none":
		return word(lang, "no place")
	case "review":
		return word(lang, "waits for a person")
	default:
		return word(lang, "not matched yet")
	}
}

// reviewUndo takes an answer back, unless somebody has given another one since.
func (s *Server) reviewUndo(w http.ResponseWriter, r *http.Request) {
	m, err := s.mentionOf(r)
	if err != nil {
		s.reviewGone(w, r, err)
		return
	}
	one, lane, err := s.rulesOf(m.Pipeline)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	seen := r.PostFormValue("seen")
	var before *queue.Label
	if l, ok := kept(&s.reviewed.mu, s.reviewed.before, versionKey(m.ID, seen)); ok {
		before = &l
	}
	defer s.mapped.stale()
	again, err := jobs.UnlabelSeen(r.Context(), s.Store, m, seen, before, lane, one)
	if err != nil {
		s.notDecided(w, r, m, err)
		return
	}
	if scripted(r) {
		card, err := s.cardOf(r)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		s.fragment(w, r, "review-cards", []*reviewCard{card})
		return
	}
	text := say("%s: taken back")
	if again {
		text = say("%s: taken back; it is matched anew")
	}
	q := url.Values{}
	if p := r.PostFormValue("pipeline"); p != "" {
		q.Set("pipeline", p)
	}
	to := "/review"
	if r.PostFormValue("single") != "" || again {
		to = fmt.Sprintf("/review/%d", m.ID)
	} else {
		q.Set("after", strconv.FormatInt(m.ID-1, 10))
	}
	s.done(w, r, to+"?"+q.Encode(), text, m.Name)
}

// rulesOf says which entries are one place, and in which lane a mention is matched anew.
func (s *Server) rulesOf(pipeline string) (queue.One, string, error) {
	if s.Together != nil {
		return s.Together(pipeline)
	}
	finders := jobs.DefaultFinders()
	return jobs.Together(finders, false), finders[0], nil
}
