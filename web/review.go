package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sumbi/jobs"
	"sumbi/queue"
)

const (
	reviewAhead = 5  // cards that a script is given at a time
	shownFirst  = 9  // candidates with a key of their own; the others are shown on demand
	mostAuthor  = 64 // characters of a name
)

func (s *Server) reviewRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /review", s.review)
	mux.HandleFunc("GET /review/cards", s.reviewCards)
	mux.HandleFunc("GET /review/waiting", s.reviewWaiting)
	mux.HandleFunc("GET /review/{mention}", s.reviewOne)
	mux.HandleFunc("POST /review/{mention}", s.reviewAnswer)
	mux.HandleFunc("POST /review/{mention}/undo", s.reviewUndo)
	mux.HandleFunc("POST /review/{mention}/search", s.reviewSearch)
	mux.HandleFunc("POST /review/author", s.reviewAuthor)
}

// reviewPage is what the view shows.
type reviewPage struct {
	Card     *reviewCard // nil: nothing is left
	Left     int
	Author   string
	Pipeline string // "" all
	Before   bool   // some that wait may have been skipped
	Undo     *undoable
	Alert    string
	Single   bool // one mention, and not the queue
}

// undoable is an answer that was just given.
type undoable struct {
	Mention int64
	Seen    string
}

// reviewCard is one mention as a person decides it.
type reviewCard struct {
	queue.Mention
	Seen     string // the version of its decision
	Options  string // the hash of its candidates
	Now      queue.Decision
	Caption  []piece
	Said     []said
	Fields   jobs.Restaurant
	Post     jobs.PostFacts
	PostPath string
	Why      []reason
	Choices  []choice
	More     []choice // beyond those with a key
	Asked    []queue.Asked
	Sketch   *sketch
	Found    foundCard
	Look     bool // words can be searched
	Back     string
}

// choice is one candidate.
type choice struct {
	queue.Option
	N        int    // from 1
	Value    string // of the form
	Form     string
	Why      []reason
	Distance string // from the place that the post is tagged with, else from the first candidate
	Taken    bool   // it is what is decided now
	Gone     bool   // nothing of it is kept, so that it cannot be chosen
}

// review shows the first mention that waits for a person behind after.
func (s *Server) review(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64) // 0: from the beginning
	p := reviewPage{Pipeline: r.FormValue("pipeline"), Before: after > 0}
	cards, err := s.cardsAfter(r, after, 1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if len(cards) > 0 {
		p.Card = cards[0]
	}
	if id, err := strconv.ParseInt(r.FormValue("done"), 10, 64); err == nil && r.FormValue("seen") != "" {
		p.Undo = &undoable{id, r.FormValue("seen")}
	}
	s.showReview(w, r, http.StatusOK, p)
}

func (s *Server) showReview(w http.ResponseWriter, r *http.Request, status int, p reviewPage) {
	var err error
	if p.Left, err = s.Store.CountReviews(r.Context(), queue.ReviewFilter{Pipeline: p.Pipeline}); err != nil {
		s.broken(w, r, err)
		return
	}
	p.Author = s.author(r)
	s.render(w, r, status, "review", say("Review"), p)
}

// reviewCards answers a script with the next cards; nothing when there are none.
func (s *Server) reviewCards(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64)
	cards, err := s.cardsAfter(r, after, reviewAhead)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.fragment(w, r, "review-cards", cards)
}

func (s *Server) cardsAfter(r *http.Request, after int64, n int) ([]*reviewCard, error) {
	f := queue.ReviewFilter{Pipeline: r.FormValue("pipeline")}
	who := s.reviewer(r)
	behind, others := s.reviewed.others(who, after, s.now())
	ms, err := s.Store.Reviews(r.Context(), f, after, n+behind)
	if err != nil {
		return nil, err
	}
	// Two people at once begin at different places; at the end they share what is left.
	free := slices.DeleteFunc(slices.Clone(ms), func(m queue.Mention) bool { return others[m.ID] })
	if len(free) > 0 {
		ms = free
	}
	ms = ms[:min(len(ms), n)]
	s.reviewed.lend(who, ms, s.now())
	cards := make([]*reviewCard, len(ms))
	for i, m := range ms {
		if cards[i], err = s.card(r, m); err != nil {
			return nil, err
		}
	}
	return cards, nil
}

// reviewOne shows one mention, whatever is decided about it: to correct a wrong place.
func (s *Server) reviewOne(w http.ResponseWriter, r *http.Request) {
	card, err := s.cardOf(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if scripted(r) {
		s.fragment(w, r, "review-cards", []*reviewCard{card})
		return
	}
	p := reviewPage{Card: card, Single: true}
	if r.FormValue("done") != "" && card.Now.Version() == r.FormValue("seen") {
		p.Undo = &undoable{card.ID, r.FormValue("seen")}
	}
	s.showReview(w, r, http.StatusOK, p)
}

// mentionOf reads the mention that the path names.
func (s *Server) mentionOf(r *http.Request) (queue.Mention, error) {
	id, err := strconv.ParseInt(r.PathValue("mention"), 10, 64)
	if err != nil {
		return queue.Mention{}, queue.ErrNotFound
	}
	return s.Store.Mention(r.Context(), id)
}

func (s *Server) cardOf(r *http.Request) (*reviewCard, error) {
	m, err := s.mentionOf(r)
	if err != nil {
		return nil, err
	}
	return s.card(r, m)
}

// card gathers what is known of a mention.
func (s *Server) card(r *http.Request, m queue.Mention) (*reviewCard, error) {
	now, err := s.Store.Decision(r.Context(), m.ID)
	if err != nil {
		return nil, err
	}
	options, asked, err := jobs.Choices(r.Context(), s.Store, m)
	if err != nil {
		return nil, err
	}
	lang := language(r)
	c := &reviewCard{
		Mention: m, Seen: now.Version(), Options: listHash(options), Now: now, Fields: jobs.FieldsOf(m), Post: jobs.PostOf(m), PostPath: postPath(m.Record.Stream, m.Record.Key),
		Why: reasons(lang, m.Reason), Asked: asked, Look: s.Look != nil, Found: foundCard{Mention: m.ID}, Back: r.FormValue("pipeline"),
	}
	c.Caption, c.Said = evidence(c.Post.Caption, c.Fields)
	c.Choices = choices(lang, m, c.Post, options, "")
	c.Sketch = cardSketch(c.Post, c.Choices)
	if len(c.Choices) > shownFirst {
		c.Choices, c.More = c.Choices[:shownFirst], c.Choices[shownFirst:]
	}
	return c, nil
}

// choices are options as a form offers them. kind is put before their numbers.
func choices(lang string, m queue.Mention, post jobs.PostFacts, options []queue.Option, kind string) []choice {
	all := make([]choice, len(options))
	for i, o := range options {
		key, distance := jobs.KeyOf(o), ""
		if far := apart(post.Lat, post.Lng, o.Lat, o.Lng); far != "" {
			distance = word(lang, "%s from the tag", far)
		} else if far := apart(options[0].Lat, options[0].Lng, o.Lat, o.Lng); far != "" && i > 0 {
			distance = word(lang, "%s from candidate 1", far)
		}
		all[i] = choice{
			Option: o, N: i + 1, Value: kind + strconv.Itoa(i+1), Form: fmt.Sprintf("answer-%d", m.ID), Why: reasons(lang, o.Why),
			Distance: distance, Taken: key != "" && key == m.Found, Gone: key == "",
		}
	}
	return all
}

func cardSketch(post jobs.PostFacts, cs []choice) *sketch {
	spots := []spot{{Lat: post.Lat, Lng: post.Lng}}
	for _, c := range cs[:min(len(cs), shownFirst)] {
		spots = append(spots, spot{N: c.N, Lat: c.Lat, Lng: c.Lng, Chosen: c.Taken})
	}
	return sketchOf(spots)
}

// reviewAuthor remembers who decides at this browser.
func (s *Server) reviewAuthor(w http.ResponseWriter, r *http.Request) {
	s.remember(w, r, "author", url.QueryEscape(authorName(r.PostFormValue("author"))))
	back := "/review"
	if p, err := url.Parse(r.Referer()); err == nil && p.Host == r.Host && (p.Path == back || strings.HasPrefix(p.Path, back+"/")) {
		back = (&url.URL{Path: p.Path, RawQuery: p.RawQuery}).String()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// author is who decides: the name that the visitor has given, else who has started the program.
func (s *Server) author(r *http.Request) string {
	if c, err := r.Cookie("author"); err == nil {
		if name, err := url.QueryUnescape(c.Value); err == nil && authorName(name) != "" {
			return authorName(name)
		}
	}
	return s.By
}

// authorName is a name on one line without what cannot be seen.
func authorName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if r := []rune(name); len(r) > mostAuthor {
		name = string(r[:mostAuthor])
	}
	return name
}

// Place is the address of a candidate as people read it.
func (c choice) Place() string { return firstText(c.RoadAddress, c.Address) }

// Web is a link that a browser may follow; "" when it is none.
func (c choice) Web() string { return webLink(c.Link) }

// Known reports whether something of the finder's text is there to be read.
func (c choice) Known() bool { return c.Name != "" }
