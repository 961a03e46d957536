package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// Find is the match step of a pipeline: every mention is searched until the answer is sure or the queries are used up.
type Find struct {
	Finders []Finder // the first one's lane sets the pace
	Lane    string
	Cache   map[string]time.Duration // by finder: it is not asked the same within that; 0 = always asked anew
	OwnOnly bool                     // keep nothing of the finders' own text, only the post's words, the link and the search words
	Mention func(m queue.Mention) (match.Mention, error)
}

// fleeting says that a finder's answers are never in the file.
func (f *Find) fleeting(finder string) bool { return f.OwnOnly || f.Cache[finder] <= 0 }

// maxKept bounds the answers held in memory to a few megabytes.
const maxKept = 2000

// asking keeps two jobs from asking a finder the same at the same time, and holds answers that must not be in the file.
type asking struct {
	mu   sync.Mutex
	now  map[string]bool
	kept map[string][]adapters.Candidate
}

func (a *asking) keep(key string, cs []adapters.Candidate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept == nil {
		a.kept = map[string][]adapters.Candidate{}
	}
	if len(a.kept) >= maxKept {
		for k := range a.kept { // any one
			delete(a.kept, k)
			break
		}
	}
	a.kept[key] = cs
}

func (a *asking) known(key string) ([]adapters.Candidate, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	cs, ok := a.kept[key]
	return cs, ok
}

func (a *asking) forget(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, key)
}

func (a *asking) begin(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now[key] {
		return false
	}
	if a.now == nil {
		a.now = map[string]bool{}
	}
	a.now[key] = true
	return true
}

func (a *asking) end(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.now, key)
}

type matchArgs struct {
	Mention int64 `json:"mention"`
}

func (p *Pipeline) matchJob(mention int64) queue.Job {
	return queue.Job{Pipeline: p.Name, Lane: p.Find.Lane, Kind: queue.KindMatch, Key: fmt.Sprintf("match:%d", mention), Args: args(matchArgs{mention})}
}

// busyPause is how long a job waits for another one that asks the same.
const busyPause = 200 * time.Millisecond

// match asks one search that is still missing, or decides. What it learnt is kept even if the next search fails.
func (e *Engine) match(ctx context.Context, j queue.Job) (queue.Commit, error) {
	p, err := e.pipeline(j.Pipeline)
	if err != nil {
		return nil, err
	}
	a, err := readArgs[matchArgs](j)
	if err != nil {
		return nil, err
	}
	if p.Find == nil {
		return nil, leftOver("pipeline %s no longer searches places; drop its jobs", p.Name)
	}
	m, err := e.Store.Mention(ctx, a.Mention)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil // the post has been read anew meanwhile
	}
	if err != nil {
		return nil, err
	}
	mm, err := p.Find.Mention(m)
	if err != nil {
		return nil, &adapters.Error{Kind: adapters.Permanent, Err: err}
	}
	s := matchStep{find: p.Find, m: m, mm: mm}
	return s.run(ctx, e)
}

type matchStep struct {
	find  *Find
	m     queue.Mention
	mm    match.Mention
	done  []queue.Asked
	union []adapters.Candidate
	ids   []int64  // ids[i] is union[i]'s number in the file; 0 where it is not kept
	words []string // words[i] found union[i]
}

// answer is what a finder answered, with the candidates' numbers where they are kept in the file.
type answer struct {
	found []adapters.Candidate
	ids   []int64
}

func (s *matchStep) add(finder, query string, a answer) {
	s.done = append(s.done, queue.Asked{Finder: finder, Query: query, Found: len(a.found)})
	for i, c := range a.found {
		known := false
		for _, u := range s.union {
			known = known || (u.Finder == c.Finder && u.ID == c.ID && u.Name == c.Name && u.Address == c.Address && u.RoadAddress == c.RoadAddress)
		}
		if !known {
			var id int64
			if a.ids != nil {
				id = a.ids[i]
			}
			s.union = append(s.union, c)
			s.ids = append(s.ids, id)
			s.words = append(s.words, query)
		}
	}
}

func (s *matchStep) run(ctx context.Context, e *Engine) (queue.Commit, error) {
	f, q, err := s.recall(ctx, e)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return s.decide(e), nil
	}
	key := askKey(f.Name(), q)
	if !e.asking.begin(key) {
		return again(busyPause), nil
	}
	// The context ends with the step, however that ends.
	context.AfterFunc(ctx, func() { e.asking.end(key) })
	if err := e.affordCalls(ctx, s.m.Pipeline, f.Name(), 1); err != nil {
		return nil, err
	}
	if f.Name() != s.find.Lane { // the lane keeps watch over its own upstream only
		if err := e.worker.Admit(ctx, f.Name()); err != nil {
			return nil, err
		}
	}
	cs, err := f.Find(ctx, q)
	if c := adapters.Classify(err); c != nil && c.Kind == adapters.Permanent {
		cs, err = nil, nil // words that the finder does not take find nothing; the other queries are still asked
	}
	if err != nil {
		return nil, err
	}
	return func(tx *queue.Tx) error {
		tx.Again(0)
		if s.find.fleeting(f.Name()) {
			e.asking.keep(key, cs)
			return nil
		}
		return tx.SaveSearch(f.Name(), q, cs)
	}, nil
}

// recall gathers the answers that are remembered. It returns the first search whose answer is missing, nil when enough is
// known to decide.
func (s *matchStep) recall(ctx context.Context, e *Engine) (Finder, string, error) {
	for _, q := range match.Queries(s.mm) {
		if !match.Worth(s.mm, q, s.union) {
			continue
		}
		for _, f := range s.find.Finders {
			known, err := s.remembered(ctx, e, f.Name(), q)
			if errors.Is(err, queue.ErrNotFound) {
				return f, q, nil
			}
			if err != nil {
				return nil, "", err
			}
			s.add(f.Name(), q, known)
		}
		if match.Sure(s.mm, s.union) {
			break
		}
	}
	return nil, "", nil
}

func askKey(finder, query string) string { return finder + "\x00" + query }

// remembered is the answer to a question that was asked before; queue.ErrNotFound when it was not.
func (s *matchStep) remembered(ctx context.Context, e *Engine, finder, query string) (a answer, err error) {
	if !s.find.fleeting(finder) {
		a.found, a.ids, err = e.Store.Search(ctx, finder, query, s.find.Cache[finder])
		return a, err
	}
	if cs, ok := e.asking.known(askKey(finder, query)); ok {
		return answer{found: cs}, nil
	}
	return a, queue.ErrNotFound
}

// keptCandidates is how many candidates are kept with a decision.
const keptCandidates = 8

// choose decides for the one right place or none, with what was considered.
func (s *matchStep) choose() (queue.Mention, *queue.Place) {
	d := match.Decide(s.mm, s.union)
	m := s.m
	m.State, m.Score, m.Reason = string(d.State), d.Score, d.Reason
	m.Candidates, m.Queries = []queue.Considered{}, s.done
	for _, sc := range d.Scored[:min(len(d.Scored), keptCandidates)] {
		m.Candidates = append(m.Candidates, queue.Considered{Candidate: s.ids[sc.Index], Finder: s.union[sc.Index].Finder, Score: sc.Score, Why: sc.Why})
	}
	if d.State != match.Place {
		return m, nil
	}
	return m, s.place(s.union[d.Index], s.words[d.Index])
}

// decide stores what is chosen.
func (s *matchStep) decide(e *Engine) queue.Commit {
	m, place := s.choose()
	return func(tx *queue.Tx) error {
		for _, a := range s.done {
			if s.find.Cache[a.Finder] <= 0 {
				e.asking.forget(askKey(a.Finder, a.Query))
			}
		}
		return tx.Decide(m, place, func(known queue.Place) (queue.Place, bool) { return s.find.merge(known, *place) })
	}
}

// candidate is a place as the matcher compares it.
func candidate(p queue.Place) adapters.Candidate {
	return adapters.Candidate{Name: p.Name, Address: p.Address, RoadAddress: p.Road, Lat: p.Lat, Lng: p.Lng}
}

// merge reports whether two finds are one place, and what is known of it then: the text of the finder that is named first in
// the configuration, with what it does not say taken from the other. So it does not matter which was found first.
func (f *Find) merge(known, found queue.Place) (queue.Place, bool) {
	if known.ID != found.ID && (f.OwnOnly || !match.Same(candidate(known), candidate(found))) {
		return found, false
	}
	text, other := found, known
	before := f.rank(known.Finder) < f.rank(found.Finder)
	if f.OwnOnly {
		// The words are the posts' own, and differ.
		before = cmp.Compare(known.Name, found.Name) < 0 || (known.Name == found.Name && known.Query < found.Query)
	}
	if before {
		text, other = known, found
	}
	text.FinderID = cmp.Or(text.FinderID, other.FinderID)
	text.Category = cmp.Or(text.Category, other.Category)
	text.Address = cmp.Or(text.Address, other.Address)
	text.Road = cmp.Or(text.Road, other.Road)
	text.Phone = cmp.Or(text.Phone, other.Phone)
	text.Link = cmp.Or(text.Link, other.Link)
	if text.Lat == 0 || text.Lng == 0 {
		text.Lat, text.Lng = other.Lat, other.Lng
	}
	return text, true
}

// rank is a finder's turn; one that is no longer asked comes last.
func (f *Find) rank(finder string) int {
	for i, x := range f.Finders {
		if x.Name() == finder {
			return i
		}
	}
	return len(f.Finders)
}

func (s *matchStep) place(c adapters.Candidate, words string) *queue.Place {
	p := &queue.Place{ID: match.PlaceKey(c), Finder: c.Finder, Link: c.Link}
	if s.find.OwnOnly {
		p.Name, p.Compact, p.Query = s.m.Name, match.CompactName(s.m.Name), words
		return p
	}
	p.FinderID, p.Name, p.Compact, p.Category = c.ID, c.Name, match.CompactName(c.Name), c.Category
	p.Address, p.Road, p.Phone, p.Lat, p.Lng = c.Address, c.RoadAddress, c.Phone, c.Lat, c.Lng
	return p
}

// fieldsOf decodes what the model answered for one restaurant.
func fieldsOf(raw json.RawMessage) (Restaurant, error) {
	var r Restaurant
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("fields of a mention: %w", err)
	}
	return r, nil
}
