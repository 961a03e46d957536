package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"sumbi/jobs"
	"sumbi/queue"
)

const (
	reviewAhead = 5   // cards that a script is given at a time
	shownFirst  = 9   // candidates with a key of their own; the others are shown on demand
	mostWords   = 100 // characters of a search
	mostLink    = 2000
	mostAuthor  = 64 // characters of a name
	mostSearch  = 15 * time.Second
	mostLent    = 512 // mentions that are kept from others
	lendTime    = time.Minute
	mostKept    = 256 // searches, and labels that can be put back, which are remembered
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

// reviewed is what the server remembers of reviews. It may be lost: who searches searches again, and what is undone is then as
// the scorer had decided it.
type reviewed struct {
	mu     sync.Mutex
	found  map[string][]queue.Option // by mention and words
	before map[string]queue.Label    // what a person had decided before another one did, by mention and version
	lent   map[int64]lease           // mentions that somebody looks at
}

// lease keeps a mention from being given to somebody else as well.
type lease struct {
	who   string
	until time.Time
}

// others returns how many mentions behind after are lent to others, and which are at all. What who has himself stays his for
// another while.
func (v *reviewed) others(who string, after int64, now time.Time) (behind int, all map[int64]bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all = map[int64]bool{}
	for id, l := range v.lent {
		switch {
		case !l.until.After(now):
			delete(v.lent, id)
		case l.who == who:
			v.lent[id] = lease{who, now.Add(lendTime)}
		default:
			all[id] = true
			if id > after {
				behind++
			}
		}
	}
	return behind, all
}

// lend gives mentions to who, but for those that somebody else has.
func (v *reviewed) lend(who string, ms []queue.Mention, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lent == nil {
		v.lent = map[int64]lease{}
	}
	for _, m := range ms {
		l, ok := v.lent[m.ID]
		if (!ok || l.who == who || !l.until.After(now)) && (ok || len(v.lent) < mostLent) {
			v.lent[m.ID] = lease{who, now.Add(lendTime)}
		}
	}
}

func keep[V any](mu *sync.Mutex, m *map[string]V, key string, v V) {
	mu.Lock()
	defer mu.Unlock()
	if *m == nil {
		*m = map[string]V{}
	}
	for old := range maps.Keys(*m) {
		if len(*m) < mostKept {
			break
		}
		delete(*m, old) // any one
	}
	(*m)[key] = v
}

func kept[V any](mu *sync.Mutex, m map[string]V, key string) (V, bool) {
	mu.Lock()
	defer mu.Unlock()
	v, ok := m[key]
	return v, ok
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

// reviewer tells who reviews at this browser from others.
func (s *Server) reviewer(r *http.Request) string {
	return strings.Join([]string{s.author(r), s.cookie(r), s.client(r).String(), r.UserAgent()}, "\x00")
}

// mostAhead is how many mentions a script may ask about at a time.
const mostAhead = 64

// reviewWaiting tells a script which of the mentions that it has ahead still wait for a person, and in which version.
func (s *Server) reviewWaiting(w http.ResponseWriter, r *http.Request) {
	s.reviewed.others(s.reviewer(r), 0, s.now()) // he is still there
	waiting := map[string]string{}
	for i, text := range strings.Split(r.FormValue("ids"), ",") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || i >= mostAhead {
			break
		}
		d, err := s.Store.Decision(r.Context(), id)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			s.broken(w, r, err)
			return
		}
		if err == nil && d.State == "review" {
			waiting[text] = d.Version()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"waiting": waiting}) // an error means that the visitor has gone
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

// listHash tells a list of candidates from every other one.
func listHash(options []queue.Option) string {
	h := sha256.New()
	for _, o := range options {
		fmt.Fprintf(h, "%q %q %q\n", o.Finder, jobs.KeyOf(o), o.Link)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func versionKey(mention int64, seen string) string { return fmt.Sprint(mention, " ", seen) }
func foundKey(mention int64, words string) string  { return fmt.Sprint(mention, " ", words) }

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
		f.Alert = word(lang, "At most %d characters are searched. Put in less, or a link.", mostWords)
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

// rulesOf says which entries are one place, and in which lane a mention is matched anew.
func (s *Server) rulesOf(pipeline string) (queue.One, string, error) {
	if s.Together != nil {
		return s.Together(pipeline)
	}
	finders := jobs.DefaultFinders()
	return jobs.Together(finders, false), finders[0], nil
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

// firstText is the first text that is not empty.
func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Place is the address of a candidate as people read it.
func (c choice) Place() string { return firstText(c.RoadAddress, c.Address) }

// Web is a link that a browser may follow; "" when it is none.
func (c choice) Web() string { return webLink(c.Link) }

// webLink is a link to a page, "" for anything else.
func webLink(link string) string {
	if u, err := url.Parse(link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		return link
	}
	return ""
}

// Known reports whether something of the finder's text is there to be read.
func (c choice) Known() bool { return c.Name != "" }
