package jobs_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"sumbi/adapters"
)

// addressOf is the road address of the one place of that name in the world under test.
func addressOf(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("서울 중구 을지로 %d", h.Sum32()%900+1)
}

// place is how a finder shows a place.
func place(finder, name string) adapters.Candidate {
	return adapters.Candidate{Finder: finder, Name: name, Category: "음식점>한식", RoadAddress: addressOf(name), Link: "https://example.com/" + name, Phone: "02-000-0000"}
}

// finder is a Finder that finds a place for every name unless it is told otherwise.
type finder struct {
	w     *world
	name  string
	mu    sync.Mutex
	asked []string
	find  func(query string) ([]adapters.Candidate, error)
}

func (f *finder) Name() string { return f.name }

func (f *finder) Find(ctx context.Context, query string) ([]adapters.Candidate, error) {
	if f.w.dead.Load() {
		return nil, errDead
	}
	adapters.CountCall(ctx, f.name)
	f.mu.Lock()
	f.asked = append(f.asked, query)
	find := f.find
	f.mu.Unlock()
	if find != nil {
		return find(query)
	}
	words := strings.Fields(query)
	return []adapters.Candidate{place(f.name, words[len(words)-1])}, nil
}

// queries returns what was asked since the last queries, in order.
func (f *finder) queries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.asked
	f.asked = nil
	return q
}

// sink keeps what was written to it.
type sink struct {
	w      *world
	mu     sync.Mutex
	docs   map[string]string // by key
	writes []string          // "key" or "-key" for a deletion, in order
	names  []string          // of the batches
	fault  func(recs []adapters.Record) error
	during func() // called while a write is under way
}

func (s *sink) Write(_ context.Context, batch string, recs []adapters.Record) error {
	if s.w.dead.Load() {
		return errDead
	}
	s.mu.Lock()
	fault, during := s.fault, s.during
	s.mu.Unlock()
	if fault != nil {
		if err := fault(recs); err != nil {
			return err
		}
	}
	if during != nil {
		during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, batch)
	for _, r := range recs {
		if r.Data == nil {
			delete(s.docs, r.Key)
			s.writes = append(s.writes, "-"+r.Key)
			continue
		}
		s.docs[r.Key] = string(r.Data)
		s.writes = append(s.writes, r.Key)
	}
	return nil
}

// keys returns what the sink has.
func (s *sink) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ks []string
	for k := range s.docs {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
