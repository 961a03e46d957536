package sim

import (
	"net/http"
	"strings"
	"time"
)

// asked is what was called for of one list.
type asked struct {
	pages map[int]*pageCall // the last call of each page, by number from 1
	last  *pageCall
}

// pageCall is one call for a page. counters.mu guards it.
type pageCall struct {
	number int
	at     time.Time
	over   bool // it was answered well
	excuse bool // whoever asks again has reason to
}

// pageAsked notes a call that passed its limit.
func (c *counters) pageAsked(list string, number int, now time.Time) *pageCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lists[list]
	if l == nil {
		l = &asked{pages: map[int]*pageCall{}}
		c.lists[list] = l
	}
	if before := l.pages[number]; before != nil {
		c.st.Repeats++
		if before.excuse {
			c.st.RepeatsExcused++
		}
	}
	p := &pageCall{number: number, at: now}
	l.pages[number], l.last = p, p
	return p
}

// excuse says that a call got no good answer. What is refused in the middle of a list excuses the way there, too.
func (c *counters) excuse(list string, p *pageCall, wayThere bool) {
	if p == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.excuse = true
	if l := c.lists[list]; wayThere && l != nil {
		for n, before := range l.pages {
			if n <= p.number {
				before.excuse = true
			}
		}
	}
}

// Killed tells the server that its only caller was killed and has no connection left. Calls without an answer, and the last
// call of a list that came when since allows, were in flight: asking for their pages again is excused. since returns from
// when on the caller was busy with a list, by account/list; false when it was not.
func (s *Server) Killed(since func(list string) (time.Time, bool)) {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	for name, l := range s.stats.lists {
		for _, p := range l.pages {
			p.excuse = p.excuse || !p.over
		}
		if from, busy := since(name); busy && !l.last.at.Before(from) {
			l.last.excuse = true
		}
	}
}

// NextRun tells the server that its caller begins to walk lists anew: from now on no page counts as called for.
func (s *Server) NextRun() {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	clear(s.stats.lists)
}

// pageOf names the list and page that a request asks for; "" when it asks for none.
func (s *Server) pageOf(r *http.Request) (list string, number int) {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if name != "posts" && name != "reels" {
		return "", 0
	}
	q := r.URL.Query()
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := s.world.byName[q.Get("username_or_id_or_url")]
	if a == nil {
		return "", 0
	}
	number = 1
	if token := q.Get("pagination_token"); token != "" {
		number = s.tokens[token].page
	}
	return a.name + "/" + name, number
}
