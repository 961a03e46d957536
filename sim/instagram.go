package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const pageSize = 12

// cursor is what a pagination token stands for.
type cursor struct {
	account *account
	list    string
	after   *post // last item served
	offset  int   // unpinned items served
	page    int   // of the page that it leads to, from 1
}

func (s *Server) routeInstagram() {
	g := gate{
		name: "instagram", faults: &s.dice.faults.Instagram.HTTPFaults, latency: s.o.Latency,
		perSecond: s.o.InstagramPerSecond, quota: s.o.InstagramQuota,
		period: func(now time.Time) string { return fmt.Sprint(int(now.Sub(s.started) / s.o.QuotaReset)) },
		key:    s.rapidKey, headers: s.rapidHeaders,
		refuse: func(w http.ResponseWriter, _ *http.Request, v verdict) {
			switch {
			case v == usedUp:
				reply(w, http.StatusTooManyRequests, object{"message": "You have exceeded the MONTHLY quota for Requests on your current plan, BASIC. Upgrade your plan at https://rapidapi.com/sim/api/instagram"})
			case s.dice.intN(3) == 0:
				reply(w, http.StatusTooManyRequests, object{"message": "Too many requests"})
			default:
				reply(w, http.StatusTooManyRequests, object{"message": "You have exceeded the rate limit per second for your plan, BASIC, by the API provider"})
			}
		},
		broken: func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusInternalServerError, object{"detail": "Internal Server Error"})
		},
		spent: func() bool { return s.dice.hit(&s.dice.faults.Instagram.Billed) },
		page:  s.pageOf,
	}
	for _, version := range []string{"/v1", "/v1.2"} {
		base := "GET /instagram" + version
		s.mux.HandleFunc(base+"/posts", s.through(g, s.list("posts")))
		s.mux.HandleFunc(base+"/reels", s.through(g, s.list("reels")))
		s.mux.HandleFunc(base+"/info", s.through(g, s.info))
	}
	s.mux.HandleFunc("/instagram/", func(w http.ResponseWriter, r *http.Request) {
		s.stats.misdirected("instagram")
		path := strings.TrimPrefix(r.URL.Path, "/instagram")
		reply(w, http.StatusNotFound, object{"message": fmt.Sprintf("Endpoint '%s' does not exist", path)})
	})
}

func (s *Server) rapidKey(w http.ResponseWriter, r *http.Request) (string, bool) {
	key, host := r.Header.Get("X-Rapidapi-Key"), r.Header.Get("X-Rapidapi-Host")
	i := slices.Index(s.o.Keys.RapidAPI, key)
	switch {
	case key == "":
		reply(w, http.StatusUnauthorized, object{"message": "Invalid API key. Go to https://docs.rapidapi.com/docs/keys for more info."})
	case slices.Contains(s.o.Keys.RapidUnsubscribed, key):
		reply(w, http.StatusForbidden, object{"message": "You are not subscribed to this API."})
	case i < 0:
		reply(w, http.StatusUnauthorized, object{"message": "Invalid API key. Go to https://docs.rapidapi.com/docs/keys for more info."})
	case host != r.Host && host != defaultRapidAPI: // an API is found by this header
		reply(w, http.StatusForbidden, object{"message": "You are not subscribed to this API."})
	default:
		return fmt.Sprintf("instagram/%d", i+1), true
	}
	return "", false
}

func (s *Server) rapidHeaders(h http.Header, key string) {
	limit := s.o.InstagramQuota
	if limit == 0 {
		limit = 500_000
	}
	used := 0
	s.meters.with(key, func(m *meter) { used = m.used })
	left := s.o.QuotaReset - time.Since(s.started)%s.o.QuotaReset
	reset := strconv.Itoa(int(left/time.Second) + 1)
	h.Set("Server", "RapidAPI-1.2.8")
	h.Set("X-Rapidapi-Version", "1.2.8")
	h.Set("X-Rapidapi-Region", "AWS - ap-northeast-2")
	h.Set("X-Rapidapi-Request-Id", fmt.Sprintf("%016x%016x", s.dice.intN(1<<62), s.dice.intN(1<<62)))
	h.Set("X-Ratelimit-Requests-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Requests-Remaining", strconv.Itoa(max(0, limit-used)))
	h.Set("X-Ratelimit-Requests-Reset", reset)
	h.Set("X-Ratelimit-Rapid-Free-Plans-Hard-Limit-Limit", "500000")
	h.Set("X-Ratelimit-Rapid-Free-Plans-Hard-Limit-Remaining", strconv.Itoa(max(0, 500_000-used)))
	h.Set("X-Ratelimit-Rapid-Free-Plans-Hard-Limit-Reset", reset)
}

func detail(w http.ResponseWriter, status int, text string) { reply(w, status, object{"detail": text}) }

// whom finds the account of a request by name, id or profile URL; it answers when there is none. The caller holds s.mu.
func (s *Server) whom(w http.ResponseWriter, r *http.Request) *account {
	name := r.URL.Query().Get("username_or_id_or_url")
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		name = strings.Trim(u.Path, "/")
	}
	switch a := s.world.byName[strings.TrimPrefix(name, "@")]; {
	case name == "":
		detail(w, http.StatusBadRequest, "username_or_id_or_url is required")
	case a == nil || a.gone:
		detail(w, http.StatusNotFound, "Not found")
	case s.dice.hit(&s.dice.faults.Instagram.FalseNotFound):
		took := drawnFor(r)
		s.stats.excuse(took.list, took.page, true)
		detail(w, http.StatusNotFound, "Not found")
	default:
		return a
	}
	return nil
}

func (s *Server) info(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.whom(w, r); a != nil {
		u := a.user()
		u["follower_count"], u["following_count"], u["media_count"] = a.followers, 321, len(a.grid)
		u["biography"], u["category"], u["account_type"] = "전국 맛집 기록 📍", "Food & beverage", 3
		reply(w, http.StatusOK, object{"data": u})
	}
}

// list serves one page of a list.
func (s *Server) list(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.RLock()
		a := s.whom(w, r)
		s.mu.RUnlock()
		if a != nil {
			status, body := s.listPage(a, name, r.URL.Query().Get("pagination_token"), drawnFor(r))
			reply(w, status, body)
		}
	}
}

// listPage makes the answer to one call of a list.
func (s *Server) listPage(a *account, list, asked string, took drawn) (status int, body object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.private {
		return s.o.PrivateStatus, object{"detail": "Private account"}
	}
	f := &s.dice.faults.Instagram
	at := cursor{account: a, list: list, page: 1}
	if asked != "" {
		known, ok := s.tokens[asked]
		if !ok || known.account != a || known.list != list || s.dice.hit(&f.RefuseToken) {
			s.stats.excuse(took.list, took.page, true)
			return http.StatusBadRequest, object{"detail": "Invalid pagination token"}
		}
		at = known
	}
	if s.dice.hit(&f.EmptyPage) {
		s.stats.excuse(took.list, took.page, false)
		return http.StatusOK, s.envelope(a, nil, s.hand(at))
	}
	items, next := s.cut(at)
	s.stats.page(a.name, list, at.page, took)
	token := ""
	if next != nil {
		token = s.hand(*next)
		if asked != "" && s.dice.hit(&f.RepeatToken) {
			token = asked
			s.stats.excuse(took.list, took.page, false)
		}
	}
	body = s.envelope(a, items, token)
	if s.dice.hit(&f.PostAppears) {
		s.appear(a)
	}
	if len(items) > 0 && s.dice.hit(&f.PostVanishes) {
		s.world.remove(items[s.rng.IntN(len(items))])
	}
	return http.StatusOK, body
}

// appear adds one post above everything. The caller holds s.mu.
func (s *Server) appear(a *account) {
	t := s.o.Epoch
	for _, l := range [][]*post{a.grid, a.reels} {
		if len(l) > 0 && l[0].takenAt.After(t) {
			t = l[0].takenAt
		}
	}
	s.world.addPost(s.rng, a, t.Add(time.Minute))
	slices.SortFunc(a.grid, older)
	slices.SortFunc(a.reels, older)
}

// shown returns a list as people see it: pinned ones and the rest.
func (a *account) shown(list string) (pinned, rest []*post) {
	all, isPinned := a.grid, func(p *post) bool { return p.gridPin && p.owner == a }
	if list == "reels" {
		all, isPinned = a.reels, func(p *post) bool { return p.reelPin && p.owner == a }
	}
	for _, p := range all {
		if isPinned(p) {
			pinned = append(pinned, p)
		} else {
			rest = append(rest, p)
		}
	}
	return pinned, rest
}

// cut returns the items at a cursor and the cursor of what follows, nil at the end.
func (s *Server) cut(at cursor) ([]*post, *cursor) {
	pinned, rest := at.account.shown(at.list)
	var items []*post
	from := 0
	switch {
	case at.page == 1:
		items = append(items, pinned...)
	case s.o.OffsetPaging:
		from = min(at.offset, len(rest))
	case at.after != nil:
		from, _ = slices.BinarySearchFunc(rest, at.after, older)
		for from < len(rest) && older(rest[from], at.after) <= 0 {
			from++
		}
	}
	to := min(from+pageSize-len(items), len(rest))
	items = append(items, rest[from:to]...)
	if to >= len(rest) {
		return items, nil
	}
	next := &cursor{account: at.account, list: at.list, offset: to, page: at.page + 1, after: at.after}
	if to > from {
		next.after = rest[to-1]
	}
	return items, next
}

// hand makes a token for a cursor and remembers it.
func (s *Server) hand(c cursor) string {
	token := fmt.Sprintf("djE6%016x%016x==", s.rng.Uint64(), s.rng.Uint64()) + "+/"
	s.tokens[token] = c
	return token
}

// ForgetTokens makes every pagination token that was handed out invalid.
func (s *Server) ForgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// envelope makes the body of a page. At the end the token is null, empty or absent, as chance has it.
func (s *Server) envelope(a *account, items []*post, token string) object {
	list := make([]object, 0, len(items))
	for _, p := range items {
		list = append(list, s.item(p, a))
	}
	out := object{"data": object{"count": len(list), "items": list, "user": a.user()}}
	switch chance := s.rng.IntN(3); {
	case token != "":
		out["pagination_token"] = token
	case chance == 0:
		out["pagination_token"] = nil
	case chance == 1:
		out["pagination_token"] = ""
	}
	return out
}
