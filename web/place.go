package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// placePage is how many mentions of a place are shown at a time.
const placePage = 50

func (s *Server) placeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /places/{id}", s.place)
	mux.HandleFunc("GET /places/{id}/merge", s.askMerge)
	mux.HandleFunc("POST /places/{id}/merge", s.merge)
	mux.HandleFunc("GET /places/{id}/split", s.askSplit)
	mux.HandleFunc("POST /places/{id}/split", s.split)
}

// placeView is a place with everything that led to it.
type placeView struct {
	queue.PlaceFacts
	Path    string
	Web     string
	Parts   []placePart
	Alike   []queue.Alike
	Stories []placeStory
	More    string // where the next mentions are; "" nowhere
	Sketch  *sketch
}

// placePart is what one finder shows of a place.
type placePart struct {
	queue.PlaceEntry
	Web       string
	Splits    bool // it can be taken out
	SplitPath string
}

// placeStory is one mention of a place.
type placeStory struct {
	queue.MentionStory
	Fields   jobs.Restaurant
	Post     jobs.PostFacts
	Web      string
	PostPath string
	Why      []reason
}

func (s *Server) place(w http.ResponseWriter, r *http.Request) {
	v, err := s.placeView(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "place", say("Place"), v)
}

func (s *Server) placeView(r *http.Request) (v placeView, err error) {
	ctx, id := r.Context(), r.PathValue("id")
	if v.PlaceFacts, err = s.Store.PlaceFacts(ctx, id); err != nil {
		return v, err
	}
	v.Path, v.Web = placePath(id), webLink(v.Link)
	ids := entryIDs(v.Entries)
	spots := []spot{}
	for i, e := range v.Entries {
		part := placePart{PlaceEntry: e, Web: webLink(e.Link), SplitPath: v.Path + "/split?entry=" + url.QueryEscape(e.ID)}
		part.Splits = len(ids) > 1 && (i == 0 || v.Entries[i-1].ID != e.ID) && (e.ID != id || len(ids) == 2)
		v.Parts = append(v.Parts, part)
		spots = append(spots, spot{N: i + 1, Lat: e.Lat, Lng: e.Lng})
	}
	if len(spots) > 1 {
		v.Sketch = sketchOf(spots[:min(len(spots), shownFirst)])
	}
	if v.Alike, err = s.Store.Alike(ctx, id); err != nil {
		return v, err
	}
	stories, err := s.Store.PlaceStories(ctx, id, beforeOf(r), placePage+1)
	if err != nil {
		return v, err
	}
	if len(stories) > placePage {
		stories = stories[:placePage]
		last := stories[placePage-1]
		v.More = fmt.Sprintf("%s?before=%d-%d#mentions", v.Path, last.Record.Time.UnixMilli(), last.ID)
	}
	lang := language(r)
	for _, m := range stories {
		post := jobs.PostOf(m.Mention)
		v.Stories = append(v.Stories, placeStory{
			MentionStory: m, Fields: jobs.FieldsOf(m.Mention), Post: post, Web: webLink(post.URL),
			PostPath: postPath(m.Record.Stream, m.Record.Key), Why: reasons(lang, m.Reason),
		})
	}
	return v, nil
}

// beforeOf is where a page of mentions begins.
func beforeOf(r *http.Request) queue.MentionsBefore {
	at, id, _ := strings.Cut(r.FormValue("before"), "-")
	ms, err := strconv.ParseInt(at, 10, 64)
	n, err2 := strconv.ParseInt(id, 10, 64)
	if err != nil || err2 != nil {
		return queue.MentionsBefore{}
	}
	return queue.MentionsBefore{At: time.UnixMilli(ms), ID: n}
}

// entryIDs are the different ids of entries.
func entryIDs(es []queue.PlaceEntry) []string {
	var ids []string
	for _, e := range es {
		if !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// askMerge asks before another place is made a part of this one.
func (s *Server) askMerge(w http.ResponseWriter, r *http.Request) {
	into, other, err := s.pair(r)
	if err != nil {
		s.unmerged(w, r, err)
		return
	}
	s.confirm(w, r, confirmation{
		Title: say("Make them one place"), Text: say("What is found as either of them is one place from now on. Taking them apart undoes it."),
		Facts: []fact{
			{say("Stays"), placeFact(into.Place)},
			{say("Becomes a part of it"), placeFact(other.Place)},
			{say("Mentions that move"), grouped(other.Mentions)},
		},
		Action: placePath(into.ID) + "/merge", Fields: []fact{{"other", other.ID}}, Button: say("Make them one"), Danger: true, Back: placePath(into.ID),
	})
}

// placeFact is a place on one line.
func placeFact(p queue.Place) string {
	return strings.TrimSuffix(p.Name+", "+firstText(p.Road, p.Address), ", ")
}

// pair reads the two places that are to be one.
func (s *Server) pair(r *http.Request) (into, other queue.PlaceFacts, err error) {
	if into, err = s.Store.PlaceFacts(r.Context(), r.PathValue("id")); err != nil {
		return into, other, err
	}
	id := strings.TrimSpace(r.FormValue("other"))
	if i := strings.LastIndex(id, "/places/"); i >= 0 { // the address of its page
		if id, err = url.PathUnescape(strings.TrimRight(id[i+len("/places/"):], "/")); err != nil {
			return into, other, queue.ErrNotFound
		}
	}
	if id == into.ID {
		return into, other, errOnePlace
	}
	if other, err = s.Store.PlaceFacts(r.Context(), id); !errors.Is(err, queue.ErrNotFound) {
		return into, other, err
	}
	if of, known := s.Store.EntryOf(r.Context(), id); known == nil && of == into.ID {
		return into, other, errMerged
	}
	return into, other, err
}

var (
	errOnePlace = errors.New("it is one place already")
	errMerged   = fmt.Errorf("%w: it was made one", errOnePlace)
)

// merge makes another place a part of this one.
func (s *Server) merge(w http.ResponseWriter, r *http.Request) {
	into, other, err := s.pair(r)
	if errors.Is(err, errMerged) { // the form was sent twice
		s.done(w, r, placePath(into.ID), say("It is a part of this place now."))
		return
	}
	if err != nil {
		s.unmerged(w, r, err)
		return
	}
	one, _, err := s.rulesOf("")
	if err == nil {
		err = s.Store.Tx(r.Context(), func(tx *queue.Tx) error { return tx.Merge(into.ID, other.ID, one) })
	}
	if err != nil {
		s.unmerged(w, r, err)
		return
	}
	s.mapped.stale()
	s.Log.Info("places merged", "into", into.ID, "other", other.ID, "by", s.author(r))
	s.done(w, r, placePath(into.ID), say("%s is a part of this place now."), other.Name)
}

func (s *Server) unmerged(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errOnePlace):
		s.fail(w, r, http.StatusBadRequest, say("This is one place already."), say("Name another place: its id, or the address of its page here."))
	case errors.Is(err, queue.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, say("There is no such place."), say("Name another place: its id, or the address of its page here."))
	default:
		s.broken(w, r, err)
	}
}

// askSplit asks before an entry is taken out of its place.
func (s *Server) askSplit(w http.ResponseWriter, r *http.Request) {
	v, e, err := s.part(r)
	if err != nil {
		s.unsplit(w, r, err)
		return
	}
	s.confirm(w, r, confirmation{
		Title: say("Take it apart"), Text: say("The entry becomes a place of its own, with the mentions that chose it. Only a person can make them one again."),
		Facts: []fact{
			{say("Place"), placeFact(v.Place)},
			{say("Entry that leaves"), placeFact(e.Place)},
			{say("Mentions that move"), grouped(e.Mentions)},
		},
		Action: placePath(v.ID) + "/split", Fields: []fact{{"entry", e.ID}}, Button: say("Take it apart"), Danger: true, Back: placePath(v.ID),
	})
}

// part reads the entry that is to be taken out of a place.
func (s *Server) part(r *http.Request) (v queue.PlaceFacts, e queue.PlaceEntry, err error) {
	if v, err = s.Store.PlaceFacts(r.Context(), r.PathValue("id")); err != nil {
		return v, e, err
	}
	ids, id := entryIDs(v.Entries), r.FormValue("entry")
	i := slices.IndexFunc(v.Entries, func(e queue.PlaceEntry) bool { return e.ID == id })
	if i < 0 {
		return v, e, queue.ErrNotFound
	}
	if len(ids) < 2 || (id == v.ID && len(ids) > 2) {
		return v, e, errWhole
	}
	return v, v.Entries[i], nil
}

var errWhole = errors.New("it cannot be taken out of its place")

// split takes an entry out of its place.
func (s *Server) split(w http.ResponseWriter, r *http.Request) {
	_, e, err := s.part(r)
	if err != nil {
		s.unsplit(w, r, err)
		return
	}
	one, _, err := s.rulesOf("")
	var stays, leaves string
	if err == nil {
		err = s.Store.Tx(r.Context(), func(tx *queue.Tx) (err error) {
			stays, leaves, err = tx.Split(e.ID, one)
			return err
		})
	}
	if err != nil {
		s.unsplit(w, r, err)
		return
	}
	s.mapped.stale()
	s.Log.Info("place taken apart", "stays", stays, "leaves", leaves, "by", s.author(r))
	to := leaves
	if _, err := s.Store.PlaceRow(r.Context(), to); err != nil { // nobody names it: it has gone
		to = stays
	}
	s.done(w, r, placePath(to), say("%s and %s are two places now."), stays, leaves)
}

func (s *Server) unsplit(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errWhole):
		s.fail(w, r, http.StatusBadRequest, say("This entry cannot be taken out."), say("The place has its id from this entry, or has no other entry. Take out the others instead."))
	default:
		s.broken(w, r, err)
	}
}
