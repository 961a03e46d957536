package sim

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Calls counts the requests of one upstream.
type Calls struct {
	Requests     int       `json:"requests"`     // all that arrived
	Served       int       `json:"served"`       // passed the gate; the answer may still be an error of the request
	Refused      int       `json:"refused"`      // 429
	RefusedQuota int       `json:"refusedQuota"` // those of Refused that mean the quota
	Injected     int       `json:"injected"`     // those of Refused that are a fault: the call broke no limit
	Unauthorized int       `json:"unauthorized"`
	Misdirected  int       `json:"misdirected"` // wrong path
	Faulted      int       `json:"faulted"`     // broken on purpose
	InFlight     int       `json:"inFlight"`    // passed the limit and are not answered yet
	First        time.Time `json:"first"`       // when the first call arrived
	Last         time.Time `json:"last"`        // and the last one
	LastAnswer   time.Time `json:"lastAnswer"`  // when the last whole answer was written
}

// Pages counts what was served of one list of one account.
type Pages struct {
	Served int         `json:"served"`
	Asked  map[int]int `json:"asked"` // how often each page was served, by number from 1

	// The sums over its pages, each counted the first time, in nanoseconds: nobody who asks page after page is faster.
	Latency time.Duration `json:"latency"` // of the answers
	Arrival time.Duration `json:"arrival"` // of the ways to the meter
}

// Stats is what the server has seen so far.
type Stats struct {
	Calls       map[string]Calls `json:"calls"`       // by upstream: instagram, openai, naver, kakao
	WorstSecond map[string]int   `json:"worstSecond"` // most arrivals in any sliding second, by key: instagram/1, naver/1, …
	Pages       map[string]Pages `json:"pages"`       // by account/list
	PagesServed int              `json:"pagesServed"`
	PagesAgain  int              `json:"pagesAgain"` // those of PagesServed that had been served before

	// Calls for a page that had been called for before. Excused are those whose last call had no good answer: a fault, or its
	// caller was killed meanwhile (Killed).
	Repeats        int `json:"repeats"`
	RepeatsExcused int `json:"repeatsExcused"`

	// Arrivals are the seconds from the first Instagram call to each one that passed the limit, at most 131,072 of them.
	Arrivals []float64 `json:"arrivals"`

	Files           int            `json:"files"`           // uploaded
	Batches         int            `json:"batches"`         // created
	BatchesAgain    int            `json:"batchesAgain"`    // created with the metadata "shard" of an earlier batch that had not failed
	BatchStates     map[string]int `json:"batchStates"`     // batches by their state now
	Lines           int            `json:"lines"`           // run, that is paid for
	LinesAgain      int            `json:"linesAgain"`      // run although custom_id and caption have a good answer, or are about to
	CaptionsAgain   int            `json:"captionsAgain"`   // run although their caption has one, or is about to
	UnknownCaptions int            `json:"unknownCaptions"` // run with a caption that the world does not know
	InputTokens     int64          `json:"inputTokens"`
	OutputTokens    int64          `json:"outputTokens"`
	PeakEnqueued    int64          `json:"peakEnqueued"` // most tokens in unfinished batches of one model
	Webhooks        int            `json:"webhooks"`     // deliveries tried
	WebhooksTaken   int            `json:"webhooksTaken"`
}

// counters is Stats while it grows.
type counters struct {
	mu    sync.Mutex
	st    Stats
	lists map[string]*asked // by account/list
}

func newCounters() *counters {
	return &counters{st: Stats{Calls: map[string]Calls{}, Pages: map[string]Pages{}}, lists: map[string]*asked{}}
}

func (c *counters) count(upstream string, f func(*Calls)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.st.Calls[upstream]
	f(&n)
	c.st.Calls[upstream] = n
}

func (c *counters) arrived(upstream string, now time.Time) {
	c.count(upstream, func(n *Calls) {
		n.Requests++
		if n.First.IsZero() || now.Before(n.First) {
			n.First = now
		}
		if now.After(n.Last) {
			n.Last = now
		}
	})
}

func (c *counters) misdirected(upstream string) {
	c.count(upstream, func(n *Calls) { n.Requests++; n.Misdirected++ })
}

func (c *counters) page(account, list string, number int, took drawn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := account + "/" + list
	p := c.st.Pages[key]
	if p.Asked == nil {
		p.Asked = map[int]int{}
	}
	p.Served++
	p.Asked[number]++
	c.st.Pages[key] = p
	c.st.PagesServed++
	if p.Asked[number] > 1 {
		c.st.PagesAgain++
	} else {
		p.Latency += took.latency
		p.Arrival += took.arrival
		c.st.Pages[key] = p
	}
}

// maxArrivals bounds the memory of a server that runs for days.
const maxArrivals = 1 << 17

// admitted notes a call that passed the limit.
func (c *counters) admitted(upstream string, now time.Time) {
	c.count(upstream, func(n *Calls) {
		n.InFlight++
		if upstream == "instagram" && len(c.st.Arrivals) < maxArrivals {
			at := math.Round(now.Sub(n.First).Seconds()*1e4) / 1e4
			i, _ := slices.BinarySearch(c.st.Arrivals, at) // calls are not always looked at in the order of their arrival
			c.st.Arrivals = slices.Insert(c.st.Arrivals, i, at)
		}
	})
}

// add changes the totals.
func (c *counters) add(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.st)
}

// Stats returns what the server has seen so far.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	out := s.stats.st
	out.Calls = maps.Clone(out.Calls)
	out.Arrivals = slices.Clone(out.Arrivals)
	out.Pages = map[string]Pages{}
	for k, p := range s.stats.st.Pages {
		p.Asked = maps.Clone(p.Asked)
		out.Pages[k] = p
	}
	s.stats.mu.Unlock()
	out.WorstSecond = s.meters.worst()
	out.BatchStates = s.ai.states()
	return out
}

// Calls returns the counts of the calls alone, by upstream.
func (s *Server) Calls() map[string]Calls {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return maps.Clone(s.stats.st.Calls)
}

// ResetStats begins to count anew, so that a second run can be told from the first. What was answered well is remembered, and
// calls take as long again as they did.
func (s *Server) ResetStats() {
	s.dice.again()
	fresh := newCounters()
	s.stats.mu.Lock()
	s.stats.st, s.stats.lists = fresh.st, fresh.lists
	s.stats.mu.Unlock()
	s.meters.mu.Lock()
	for _, m := range s.meters.m {
		m.worst = 0
	}
	s.meters.mu.Unlock()
}

// String is one line for people.
func (st Stats) String() string {
	return fmt.Sprintf("instagram %d requests (%d refused), %d pages (%d again); openai %d batches (%d again), %d lines (%d again), %d+%d tokens; naver %d (%d refused); kakao %d (%d refused)",
		st.Calls["instagram"].Requests, st.Calls["instagram"].Refused, st.PagesServed, st.PagesAgain,
		st.Batches, st.BatchesAgain, st.Lines, st.LinesAgain, st.InputTokens, st.OutputTokens,
		st.Calls["naver"].Requests, st.Calls["naver"].Refused, st.Calls["kakao"].Requests, st.Calls["kakao"].Refused)
}
