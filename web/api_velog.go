package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// velogSorts are the columns that a list of posts is sorted by.
var velogSorts = []string{"views", "today", "yesterday", "likes", "released", "title"}

// apiVelogDay is a day; null is what nobody knows.
type apiVelogDay struct {
	Day   string `json:"day"`
	Views *int64 `json:"views"`
	Likes *int64 `json:"likes"`
}

func velogDayJSON(d jobs.Day) apiVelogDay { return apiVelogDay{d.Day, d.Views, d.Likes} }

// apiVelogSum is a day of all posts of a user.
type apiVelogSum struct {
	apiVelogDay
	Unknown int `json:"unknownPosts"`
}

func velogSumJSON(d jobs.UserDays) apiVelogSum { return apiVelogSum{velogDayJSON(d.Day), d.Unknown} }

type apiVelogUser struct {
	Pipeline  string      `json:"pipeline"`
	User      string      `json:"user"`
	UserID    string      `json:"userId,omitempty"`
	Attempted time.Time   `json:"attemptedAt,omitzero"`
	Result    string      `json:"result,omitempty"`
	Dead      time.Time   `json:"loginDeadSince,omitzero"`
	Reason    string      `json:"loginReason,omitempty"`
	Posts     int         `json:"postCount"`
	Views     *int64      `json:"views"`
	Likes     *int64      `json:"likes"`
	Today     apiVelogSum `json:"today"`
	Yesterday apiVelogSum `json:"yesterday"`
}

func velogUserJSON(m queue.Member, d jobs.UserDocument) apiVelogUser {
	return apiVelogUser{
		Pipeline: m.Login.Pipeline, User: m.Target, UserID: m.Login.UID, Attempted: utc(m.Tried), Result: m.Result, Dead: utc(m.Login.Dead), Reason: m.Login.Reason,
		Posts: d.Posts, Views: d.Views, Likes: d.Likes, Today: velogSumJSON(d.Today), Yesterday: velogSumJSON(d.Yesterday),
	}
}

type apiVelogPost struct {
	Key       string      `json:"key"`
	Title     string      `json:"title"`
	URL       string      `json:"url,omitempty"`
	Released  time.Time   `json:"releasedAt,omitzero"`
	Active    bool        `json:"active"`
	Views     *int64      `json:"views"`
	Likes     *int64      `json:"likes"`
	Today     apiVelogDay `json:"today"`
	Yesterday apiVelogDay `json:"yesterday"`
}

func velogPostJSON(p jobs.PostRow) apiVelogPost {
	return apiVelogPost{p.ID, p.Title, p.URL, utc(released(p)), p.Active, p.Views, p.Likes, velogDayJSON(p.Today), velogDayJSON(p.Yesterday)}
}

type apiVelogUserStory struct {
	apiVelogUser
	Days []apiVelogSum  `json:"days"`
	List []apiVelogPost `json:"posts"`
}

type apiVelogPostStory struct {
	Pipeline string `json:"pipeline"`
	User     string `json:"user"`
	apiVelogPost
	Days []apiVelogDay `json:"days"`
}

// apiVelog lists users by pipeline and name, which do not change, so that a page goes on where the one before has ended.
func (s *Server) apiVelog(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	var after queue.AccountID
	if token := q.text("after"); token != "" {
		var ok bool
		if after.Pipeline, after.Target, ok = strings.Cut(token, ":"); !ok {
			return nil, wrong("after must be what next was in the answer before")
		}
	}
	order := func(a, b queue.AccountID) int {
		return cmp.Or(strings.Compare(a.Pipeline, b.Pipeline), strings.Compare(a.Target, b.Target))
	}
	id := func(m queue.Member) queue.AccountID {
		return queue.AccountID{Pipeline: m.Login.Pipeline, Target: m.Target}
	}
	var all []queue.Member
	today := queue.Day(s.Store.Now())
	spans := map[string]jobs.Span{}
	for _, p := range s.counting() {
		spans[p.Name] = jobs.Span{First: today, Last: today, Today: today, Kept: p.KeptSince(today)}
		if only := q.text("pipeline"); only != "" && only != p.Name {
			continue
		}
		ms, err := s.Store.Members(q.Context(), p.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	all = slices.DeleteFunc(all, func(m queue.Member) bool { return order(id(m), after) <= 0 })
	slices.SortFunc(all, func(a, b queue.Member) int { return order(id(a), id(b)) })
	page := paged(all, n, func(m queue.Member) string { return m.Login.Pipeline + ":" + m.Target }, func(m queue.Member) queue.Member { return m })
	users := pageOf[apiVelogUser]{Items: []apiVelogUser{}, Next: page.Next}
	for _, m := range page.Items {
		d, err := jobs.VelogUser(q.Context(), s.Store, m, spans[m.Login.Pipeline])
		if err != nil {
			return nil, err
		}
		users.Items = append(users.Items, velogUserJSON(m, d))
	}
	return users, nil
}

// apiDays is the range of days that is asked for. A last day to come is today.
func (s *Server) apiDays(q *query) (dayRange, error) {
	from, err := q.day("from")
	if err != nil {
		return dayRange{}, err
	}
	to, err := q.day("to")
	if err != nil {
		return dayRange{}, err
	}
	days := s.days(q.Request)
	for name, day := range map[string]time.Time{"from": from, "to": to} {
		if !day.IsZero() && day.Year() < firstYear {
			return days, wrong("%s must not be before the year %d", name, firstYear)
		}
	}
	switch first := from.Format(time.DateOnly); {
	case from.IsZero() || first == days.From:
		return days, nil
	case first > days.To:
		return days, wrong("from must not be after to, nor after today")
	}
	return days, wrong("from must be less than %d days before to", mostDays)
}

func (s *Server) apiVelogUser(q *query) (any, error) {
	days, err := s.apiDays(q)
	if err != nil {
		return nil, err
	}
	by, err := q.choice("sort", velogSorts...)
	if err != nil {
		return nil, err
	}
	m, d, err := s.velogOf(q.Context(), q.PathValue("pipeline"), q.PathValue("user"), days, by)
	return apiVelogUserStory{velogUserJSON(m, d), each(d.Days, velogSumJSON), each(d.PostList, velogPostJSON)}, absent(err, "user of this name", "/velog")
}

func (s *Server) apiVelogPost(q *query) (any, error) {
	days, err := s.apiDays(q)
	if err != nil {
		return nil, err
	}
	d, err := s.onePost(q.Context(), q.PathValue("pipeline"), q.PathValue("user"), q.PathValue("post"), days)
	return apiVelogPostStory{q.PathValue("pipeline"), d.User, velogPostJSON(d.PostRow), each(d.Days, velogDayJSON)}, absent(err, "such post of this user", "/velog/{pipeline}/{user}")
}
