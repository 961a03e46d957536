package jobs

import (
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
	Always  bool     // every search goes to all of them; false: to the next one only while the place is not certain
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

func (p *Pipeline) matchJob(mention int64) queue.Job { return matchJob(p.Name, p.Find.Lane, mention) }

func matchJob(pipeline, lane string, mention int64) queue.Job {
	return queue.Job{Pipeline: pipeline, Lane: lane, Kind: queue.KindMatch, Key: fmt.Sprintf("match:%d", mention), Args: args(matchArgs{mention})}
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
	if m.Label != 0 {
		return nil, nil // a person has decided it meanwhile
	}
	mm, err := p.Find.Mention(m)
	if err != nil {
		return nil, &adapters.Error{Kind: adapters.Permanent, Err: err}
	}
	s := matchStep{find: p.Find, lane: j.Lane, m: m, mm: mm}
	return s.run(ctx, e)
}

type matchStep struct {
	find  *Find
	lane  string // of the job
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
	if f.Name() != s.lane { // the lane keeps watch over its own upstream only
		if err := e.worker.Admit(ctx, f.Name()); err != nil {
			return nil, err
		}
	}
	cs, err := f.Find(ctx, q)
	if c := adapters.Classify(err); c != nil && c.Kind == adapters.Permanent && c.Reason == adapters.ReasonInvalid {
		e.Log.Warn("a finder does not take these words, so they find nothing; the other searches are still made", "mention", s.m.ID, "err", err)
		cs, err = nil, nil
	}
	if err != nil { // also a refusal for good that is not for the words: it says nothing of the place
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
// known to decide. A finder whose quota is used up is passed over as long as the others may still be certain.
func (s *matchStep) recall(ctx context.Context, e *Engine) (Finder, string, error) {
	var resting Finder
	var left string
	for _, q := range match.Queries(s.mm) {
		if !match.Worth(s.mm, q, s.union) {
			continue
		}
		for i, f := range s.find.Finders {
			known, err := s.remembered(ctx, e, f.Name(), q)
			switch {
			case errors.Is(err, queue.ErrNotFound) && len(s.find.Finders) > 1 && e.resting(f.Name()):
				if resting == nil {
					resting, left = f, q
				}
				continue
			case errors.Is(err, queue.ErrNotFound):
				return f, q, nil
			case err != nil:
				return nil, "", err
			}
			s.add(f.Name(), q, known)
			if (!s.find.Always || i == len(s.find.Finders)-1) && match.Sure(s.mm, s.union) {
				return nil, "", nil
			}
		}
	}
	if resting != nil && s.find.Always && match.Sure(s.mm, s.union) {
		return nil, "", nil
	}
	return resting, left, nil
}

// shortHold is what a finder is waited for although another one could answer.
const shortHold = time.Minute

// resting reports whether a finder makes no call for long because its quota is used up.
func (e *Engine) resting(finder string) bool {
	if e.Held == nil {
		return false
	}
	until, _ := e.Held(finder)
	return until.After(e.Store.Now().Add(shortHold))
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

// keptCandidates bounds the candidates that are kept with a decision, beyond what a few searches find.
const keptCandidates = 60

// choose decides for the one right place or none, with what was considered.
func (s *matchStep) choose() (queue.Mention, *queue.Place) {
	d := match.Decide(s.mm, s.union)
	m := s.m
	m.State, m.Score, m.Reason = string(d.State), d.Score, d.Reason
	m.Candidates, m.Queries = []queue.Considered{}, s.done
	for _, sc := range d.Scored[:min(len(d.Scored), keptCandidates)] {
		c := s.union[sc.Index]
		kept := queue.Considered{Candidate: s.ids[sc.Index], Finder: c.Finder, Score: sc.Score, Why: sc.Why}
		if kept.Candidate == 0 {
			kept.Link, kept.Key, kept.Query = c.Link, match.PlaceKey(c), s.words[sc.Index]
		}
		m.Candidates = append(m.Candidates, kept)
	}
	if d.State != match.Place {
		return m, nil
	}
	p := s.place(s.union[d.Index], s.words[d.Index])
	if !s.find.OwnOnly {
		m.Also = s.others(*p)
	}
	return m, p
}

// others are the entries of other finders that are the place of p: they may know its telephone number.
func (s *matchStep) others(p queue.Place) (also []queue.Place) {
	for _, c := range s.union {
		if c.Finder == p.Finder {
			continue
		}
		if x := entryOf(c); x.ID == p.ID || same(p, *x) {
			also = append(also, *x)
		}
	}
	return also
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
		return tx.Decide(m, place, s.find.one())
	}
}

// one says which finds are one place.
func (f *Find) one() queue.One {
	names := make([]string, len(f.Finders))
	for i, x := range f.Finders {
		names[i] = x.Name()
	}
	return Together(names, f.OwnOnly)
}

func (s *matchStep) place(c adapters.Candidate, words string) *queue.Place {
	if s.find.OwnOnly {
		return ownEntry(c.Finder, match.PlaceKey(c), s.m.Name, c.Link, words)
	}
	return entryOf(c)
}

// fieldsOf decodes what the model answered for one restaurant.
func fieldsOf(raw json.RawMessage) (Restaurant, error) {
	var r Restaurant
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("fields of a mention: %w", err)
	}
	return r, nil
}
