package web

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sumbi/queue"
)

const (
	mostLent = 512 // mentions that are kept from others
	lendTime = time.Minute
	mostKept = 256 // searches, and labels that can be put back, which are remembered
)

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

// reviewer tells who reviews at this browser from others.
func (s *Server) reviewer(r *http.Request) string {
	return strings.Join([]string{s.author(r), s.cookie(r), s.client(r).String(), r.UserAgent()}, "\x00")
}

// mostAhead is how many mentions a script may ask about at a time.
const mostAhead = 64

// reviewWaiting tells a script which of the mentions that it has ahead still wait for a person, and in which version; and how many
// wait in all.
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
	left, err := s.Store.CountReviews(r.Context(), queue.ReviewFilter{Pipeline: r.FormValue("pipeline")})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"waiting": waiting, "left": left}) // an error means that the visitor has gone
}
