package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"sumbi/jobs"
	"sumbi/queue"
)

const (
	mostWords  = 100 // characters of a search
	mostLink   = 2000
	mostSearch = 15 * time.Second
)

// foundCard is what a person has searched himself.
type foundCard struct {
	Mention int64
	Words   string
	Hash    string // of what was found
	Choices []choice
	Alert   string
}

// Most is how many characters are taken.
func (f foundCard) Most() int { return mostLink }

// reviewSearch searches words of a person's own, or the entry behind a link.
func (s *Server) reviewSearch(w http.ResponseWriter, r *http.Request) {
	m, err := s.mentionOf(r)
	if err != nil {
		s.reviewGone(w, r, err)
		return
	}
	lang := language(r)
	words := strings.Join(strings.Fields(r.PostFormValue("words")), " ")
	f := foundCard{Mention: m.ID, Words: words}
	options, err := s.find(r.Context(), m, words)
	switch {
	case err != nil && r.Context().Err() != nil:
		return
	case errors.Is(err, errWords):
		f.Alert = word(lang, "At most %d characters are searched. Enter fewer, or a link.", mostWords)
	case err != nil:
		s.Log.Warn("search for a review", "err", err)
		f.Alert = word(lang, "Not everything could be searched: %s", err)
	case len(options) == 0:
		f.Alert = word(lang, "Nothing was found.")
	}
	f.Choices, f.Hash = choices(lang, m, jobs.PostOf(m), options, "found"), listHash(options)
	keep(&s.reviewed.mu, &s.reviewed.found, foundKey(m.ID, words), options)
	if scripted(r) {
		s.fragment(w, r, "review-found", f)
		return
	}
	card, err := s.card(r, m)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	card.Found = f
	s.showReview(w, r, http.StatusOK, reviewPage{Card: card, Pipeline: r.PostFormValue("pipeline"), Single: r.PostFormValue("single") != ""})
}

// errWords says that there are more words than are searched.
var errWords = fmt.Errorf("at most %d characters are searched", mostWords)

// find returns what is found by words: what the state knows behind a link, else what the finders say.
func (s *Server) find(ctx context.Context, m queue.Mention, words string) ([]queue.Option, error) {
	if words == "" || utf8.RuneCountInString(words) > mostLink {
		return nil, nil
	}
	if link := linkIn(words); link != "" {
		forms, finder, id := linkForms(link)
		return s.Store.Linked(ctx, forms, finder, id)
	}
	if utf8.RuneCountInString(words) > mostWords {
		return nil, errWords
	}
	if s.Look == nil {
		return nil, errors.New("no finder is configured here")
	}
	ctx, cancel := context.WithTimeout(ctx, mostSearch)
	defer cancel()
	options, _, err := s.Look(ctx, m, words)
	if err != nil && ctx.Err() != nil {
		err = errors.New("no finder was free in time; try again")
	}
	return options, err
}

// listHash tells a list of candidates from every other one.
func listHash(options []queue.Option) string {
	h := sha256.New()
	for _, o := range options {
		fmt.Fprintf(h, "%q %q %q\n", o.Finder, jobs.KeyOf(o), o.Link)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func foundKey(mention int64, words string) string { return fmt.Sprint(mention, " ", words) }
