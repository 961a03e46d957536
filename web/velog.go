package web

import (
	"cmp"
	"context"
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

// How many days are shown, unless the visitor says otherwise, and at most. The last of them is not before firstYear, in which
// there was no velog.
const (
	usualDays = 30
	mostDays  = 3 * 366
	firstYear = 2000
)

// velogLoginPath is where log-ins are handed in.
const velogLoginPath = "/velog-login"

// maxLogin is the size of what a person logs in with.
const maxLogin = 64 << 10

func (s *Server) velogRoutes(mux *http.ServeMux) {
	if len(s.counting()) == 0 {
		return
	}
	mux.HandleFunc("GET /velog", s.velogUsers)
	mux.HandleFunc("GET /velog/{pipeline}/{user}", s.velogUser)
	mux.HandleFunc("GET /velog/{pipeline}/{user}/{post}", s.velogPost)
	if s.HandIn != nil {
		mux.HandleFunc("GET "+velogLoginPath, s.velogLoginForm)
		mux.HandleFunc("POST "+velogLoginPath, s.velogLogin)
	}
	mux.HandleFunc("GET /velog-logout", s.velogAskLogout)
	mux.HandleFunc("POST /velog-logout", s.velogLogout)
}

// counting are the pipelines that count views by the day.
func (s *Server) counting() (all []*jobs.Pipeline) {
	for _, p := range s.Pipelines {
		if p.Counts != "" {
			all = append(all, p)
		}
	}
	return all
}

// figure is a count as people read it.
type figure struct {
	N    string // "–" while nobody knows
	Move string // against the day before: "up", "down" or ""
	By   string // by how much
}

func figureOf(n *int64) string {
	if n == nil {
		return "–"
	}
	return grouped(*n)
}

// moved compares two days.
func moved(today, before *int64) figure {
	f := figure{N: figureOf(today)}
	if today == nil || before == nil || *today == *before {
		return f
	}
	f.Move, f.By = "up", grouped(*today-*before)
	if *today < *before {
		f.Move, f.By = "down", grouped(*before-*today)
	}
	return f
}

// grown is a change of a sum that can fall.
func grown(n *int64) figure {
	f := figure{N: figureOf(n)}
	switch {
	case n == nil || *n == 0:
	case *n > 0:
		f.Move, f.By, f.N = "up", grouped(*n), ""
	default:
		f.Move, f.By, f.N = "down", grouped(-*n), ""
	}
	return f
}

// velogMember is a user in the list.
type velogMember struct {
	Pipeline, User, Path string
	Tried, Dead          time.Time
	LoggedIn             bool
	Result               velogResult
	Reason               string
	Posts                int
	Views, Likes         string
	Today                figure // views
	TodayLikes           figure
}

// velogResult is what came of a user's turn, as it is kept.
type velogResult string

// The words of a result.
var _ = []string{
	say("posts listed"), say("posts NOT listed: %s"), say("posts NOT listed, they are left alone for a while: %s"), say("statistics of %d read"),
	say("%d failed and keep their last numbers (%s)"), say("%d are left alone for a while"),
	say("%d that the list does not show any more are kept, because they are more than half"),
}

// In puts the result into a language. What is none stays as it is.
func (r velogResult) In(lang string) string {
	v, ok := jobs.ReadVelogResult(string(r))
	if !ok {
		return string(r)
	}
	return v.Words(func(text string, args ...any) string { return word(lang, text, args...) })
}

func memberOf(m queue.Member, d jobs.UserDocument) velogMember {
	return velogMember{
		Pipeline: m.Login.Pipeline, User: m.Target, Path: velogPath(m.Login.Pipeline, m.Target), Tried: m.Tried, Dead: m.Login.Dead, LoggedIn: !m.Login.Created.IsZero(), Result: velogResult(m.Result), Reason: m.Login.Reason,
		Posts: d.Posts, Views: figureOf(d.Views), Likes: figureOf(d.Likes), Today: moved(d.Today.Views, d.Yesterday.Views), TodayLikes: grown(d.Today.Likes),
	}
}

func velogPath(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/velog/" + strings.Join(parts, "/")
}

// velogUsers lists the users of all pipelines with their newest numbers, in each the newest log-in first.
func (s *Server) velogUsers(w http.ResponseWriter, r *http.Request) {
	data := struct {
		Users []velogMember
		Login bool
		pager
	}{Login: s.HandIn != nil}
	today, page, from := queue.Day(s.Store.Now()), min(max(1, numberOf(r, "page")), 1<<32), 0
	if page > 1 {
		data.First = sameWith(r, "page", "")
	}
	for _, p := range s.counting() {
		members, err := s.Store.Members(r.Context(), p.Name)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		for i, m := range members {
			switch at := int64(from + i); {
			case at < (page-1)*rowsShown:
				continue
			case at >= page*rowsShown:
				data.Next = sameWith(r, "page", strconv.FormatInt(page+1, 10))
				continue
			}
			d, err := jobs.VelogUser(r.Context(), s.Store, m, jobs.Span{First: today, Last: today, Today: today, Kept: p.KeptSince(today)})
			if err != nil {
				s.broken(w, r, err)
				return
			}
			data.Users = append(data.Users, memberOf(m, d))
		}
		from += len(members)
	}
	s.render(w, r, http.StatusOK, "velog", say("Views by the day"), data)
}

// dayRange is what the visitor wants to see.
type dayRange struct {
	From, To string
	today    string
}

func (d dayRange) span(p *jobs.Pipeline) jobs.Span {
	return jobs.Span{First: d.From, Last: d.To, Today: d.today, Kept: p.KeptSince(d.today)}
}

// days reads the range of a request. The last day is today at the latest.
func (s *Server) days(r *http.Request) dayRange {
	now := s.Store.Now().In(korea)
	read := func(name string, otherwise time.Time) time.Time {
		t, err := time.ParseInLocation(time.DateOnly, r.FormValue(name), korea)
		if err != nil || t.Year() < firstYear {
			return otherwise
		}
		return t
	}
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, korea)
	to := read("to", today)
	if to.After(today) {
		to = today
	}
	from := read("from", to.AddDate(0, 0, 1-usualDays))
	if from.After(to) {
		from = to
	}
	if least := to.AddDate(0, 0, 1-mostDays); from.Before(least) {
		from = least
	}
	return dayRange{from.Format(time.DateOnly), to.Format(time.DateOnly), today.Format(time.DateOnly)}
}

// member is a user of a pipeline that counts; queue.ErrNotFound when there is none.
func (s *Server) member(ctx context.Context, pipeline, user string) (*jobs.Pipeline, queue.Member, error) {
	all := s.counting()
	i := slices.IndexFunc(all, func(p *jobs.Pipeline) bool { return p.Name == pipeline })
	if i < 0 {
		return nil, queue.Member{}, queue.ErrNotFound
	}
	m, err := s.Store.Member(ctx, pipeline, user)
	return all[i], m, err
}

// velogOf reads a user with the days of a range; what he has today is there whatever the range is.
func (s *Server) velogOf(ctx context.Context, pipeline, user string, days dayRange, by string) (queue.Member, jobs.UserDocument, error) {
	p, m, err := s.member(ctx, pipeline, user)
	if err != nil {
		return m, jobs.UserDocument{}, err
	}
	d, err := jobs.VelogUser(ctx, s.Store, m, days.span(p))
	sortPosts(d.PostList, by)
	return m, d, err
}

// released is when a post was published; zero when that is not known.
func released(p jobs.PostRow) time.Time {
	t, err := time.Parse(time.RFC3339, p.ReleasedAt)
	if err != nil || t.Year() < 1000 {
		return time.Time{}
	}
	return t
}

// releasedDay is the Korean day on which a post was published.
func releasedDay(p jobs.PostRow) string {
	t := released(p)
	if t.IsZero() {
		return "–"
	}
	return queue.Day(t)
}

// sortPosts sorts by a column, the largest first; what nobody knows comes last.
func sortPosts(posts []jobs.PostRow, by string) {
	number := func(n *int64) int64 {
		if n == nil {
			return -1 << 62
		}
		return *n
	}
	slices.SortStableFunc(posts, func(a, b jobs.PostRow) int {
		switch by {
		case "released":
			return strings.Compare(b.ReleasedAt, a.ReleasedAt)
		case "title":
			return strings.Compare(a.Title, b.Title)
		case "likes":
			return cmp.Compare(number(b.Likes), number(a.Likes))
		case "today":
			return cmp.Compare(number(b.Today.Views), number(a.Today.Views))
		case "yesterday":
			return cmp.Compare(number(b.Yesterday.Views), number(a.Yesterday.Views))
		}
		return cmp.Compare(number(b.Views), number(a.Views))
	})
}

// velogRow is a post in the list.
type velogRow struct {
	Path, Title, Released          string
	Active                         bool
	Views, Today, Yesterday, Likes string
}

// column is a way to sort the list.
type column struct {
	Name, By, Path string
	On             bool
}

func (s *Server) velogUser(w http.ResponseWriter, r *http.Request) {
	days, by := s.days(r), cmp.Or(r.FormValue("sort"), "views")
	m, d, err := s.velogOf(r.Context(), r.PathValue("pipeline"), r.PathValue("user"), days, by)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	here := velogPath(m.Login.Pipeline, m.Target)
	q := url.Values{"from": {days.From}, "to": {days.To}}
	var rows []velogRow
	for _, p := range d.PostList {
		rows = append(rows, velogRow{
			Path: velogPath(m.Login.Pipeline, m.Target, p.ID) + "?" + q.Encode(), Title: p.Title, Released: releasedDay(p), Active: p.Active,
			Views: figureOf(p.Views), Today: figureOf(p.Today.Views), Yesterday: figureOf(p.Yesterday.Views), Likes: figureOf(p.Likes),
		})
	}
	var columns []column
	for _, c := range []column{
		{Name: say("Article"), By: "title"},
		{Name: say("Published"), By: "released"},
		{Name: say("Views in all"), By: "views"},
		{Name: say("Today"), By: "today"},
		{Name: say("Yesterday"), By: "yesterday"},
		{Name: say("Likes"), By: "likes"},
	} {
		q.Set("sort", c.By)
		c.Path, c.On = here+"?"+q.Encode(), c.By == by
		columns = append(columns, c)
	}
	unknown := 0
	series := make([]jobs.Day, len(d.Days))
	for i, x := range d.Days {
		series[i] = x.Day
		unknown += min(x.Unknown, 1)
	}
	member, logout := memberOf(m, d), ""
	if member.LoggedIn {
		logout = "/velog-logout?" + url.Values{"pipeline": {m.Login.Pipeline}, "user": {m.Target}}.Encode()
	}
	s.render(w, r, http.StatusOK, "velog-user", say("Views by the day"), struct {
		velogMember
		Range   dayRange
		Sort    string
		Graph   chart
		Rows    []velogRow
		Columns []column
		Unknown int // days of which something is not known
		Login   bool
		Logout  string // the way to it; "" there is no log-in
	}{member, days, by, chartOf(series), rows, columns, unknown, s.HandIn != nil, logout})
}

// onePost reads a post with the days of a range; it must be the user's.
func (s *Server) onePost(ctx context.Context, pipeline, user, post string, days dayRange) (jobs.PostDocument, error) {
	p, m, err := s.member(ctx, pipeline, user)
	if err != nil {
		return jobs.PostDocument{}, err
	}
	d, err := jobs.VelogPost(ctx, s.Store, post, days.span(p))
	if err == nil && (d.User != m.Target || d.Pipeline != p.Name) {
		err = queue.ErrNotFound
	}
	return d, err
}

func (s *Server) velogPost(w http.ResponseWriter, r *http.Request) {
	days := s.days(r)
	d, err := s.onePost(r.Context(), r.PathValue("pipeline"), r.PathValue("user"), r.PathValue("post"), days)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "velog-post", say("Views by the day"), struct {
		Title, URL, Back, User, Released string
		Active                           bool
		Views, Likes                     string
		Today, TodayLikes                figure
		Range                            dayRange
		Graph                            chart
	}{
		d.Title, d.URL, velogPath(r.PathValue("pipeline"), d.User) + "?" + url.Values{"from": {days.From}, "to": {days.To}}.Encode(), d.User, releasedDay(d.PostRow),
		d.Active, figureOf(d.Views), figureOf(d.Likes), moved(d.Today.Views, d.Yesterday.Views), grown(d.Today.Likes), days, chartOf(d.Days),
	})
}

// The size of a chart in its own units.
const (
	barsWidth  = 720.0
	barsHeight = 160.0
)

// chart is views by the day as bars.
type chart struct {
	Bars        []bar
	Days        []chartDay
	Most        string // the highest bar
	First, Last string
	Sum         string
}

// bar is one day; Unknown is one of which nobody knows.
type bar struct {
	X, Y, W, H float64
	Unknown    bool
	Day, N     string
}

// chartDay is a day in figures.
type chartDay struct {
	Day, Views string
	Likes      figure
}

func chartOf(days []jobs.Day) chart {
	c := chart{Sum: "–"}
	if len(days) == 0 {
		return c
	}
	c.First, c.Last = days[0].Day, days[len(days)-1].Day
	most, sum, known := int64(0), int64(0), false
	for _, d := range days {
		if d.Views != nil {
			most, sum, known = max(most, *d.Views), sum+*d.Views, true
		}
	}
	c.Most = grouped(most)
	if known {
		c.Sum = grouped(sum)
	}
	step := barsWidth / float64(len(days))
	for i, d := range days {
		b := bar{X: float64(i) * step, W: max(step-1, 0.5), Day: d.Day, N: figureOf(d.Views), Unknown: d.Views == nil}
		if b.H = barsHeight; d.Views != nil {
			b.H = barsHeight * float64(max(*d.Views, 0)) / float64(max(most, 1))
		}
		b.Y = barsHeight - b.H
		c.Bars = append(c.Bars, b)
		c.Days = append(c.Days, chartDay{d.Day, figureOf(d.Views), grown(d.Likes)})
	}
	slices.Reverse(c.Days)
	return c
}

// velogLoginData is what the form shows.
type velogLoginData struct {
	Pipelines []string
	Problem   string // why what was handed in was not taken
}

func (s *Server) loginData(problem string) velogLoginData {
	d := velogLoginData{Problem: problem}
	for _, p := range s.counting() {
		d.Pipelines = append(d.Pipelines, p.Name)
	}
	return d
}

func (s *Server) velogLoginForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "velog-login", say("Hand in a log-in"), s.loginData(""))
}

// velogLogin takes a log-in, which is believed once velog has accepted it. It is never shown again.
func (s *Server) velogLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		s.render(w, r, http.StatusBadRequest, "velog-login", say("Hand in a log-in"), s.loginData("the form did not come whole, or is larger than 64 KiB: only the two cookies are needed"))
		return
	}
	name := r.PostFormValue("pipeline")
	all := s.counting()
	i := slices.IndexFunc(all, func(p *jobs.Pipeline) bool { return p.Name == name })
	if i < 0 {
		s.broken(w, r, queue.ErrNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 25*time.Second)
	defer cancel()
	user, err := s.HandIn(ctx, all[i], strings.TrimSpace(r.PostFormValue("user")), r.PostFormValue("login"))
	if err != nil {
		s.Log.Warn("a log-in was not taken", "pipeline", name, "err", err)
		s.render(w, r, http.StatusUnprocessableEntity, "velog-login", say("Hand in a log-in"), s.loginData(fmt.Sprint(err)))
		return
	}
	s.done(w, r, velogPath(name, user), say("The log-in of %s is stored, encrypted. Its turn comes with the next run."), user)
}

// velogAskLogout asks whether a log-in is to be forgotten.
func (s *Server) velogAskLogout(w http.ResponseWriter, r *http.Request) {
	_, m, err := s.member(r.Context(), r.FormValue("pipeline"), r.FormValue("user"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.confirm(w, r, confirmation{
		Title: say("Forget the log-in?"), Text: say("No call is made for %s any more. What was counted stays."), Args: isolated(m.Target),
		Action: "/velog-logout", Fields: []fact{{"pipeline", m.Login.Pipeline}, {"user", m.Target}}, Button: say("Forget the log-in"), Danger: true, Back: velogPath(m.Login.Pipeline, m.Target),
	})
}

// velogLogout forgets a log-in.
func (s *Server) velogLogout(w http.ResponseWriter, r *http.Request) {
	p, m, err := s.member(r.Context(), r.PostFormValue("pipeline"), r.PostFormValue("user"))
	if err == nil {
		err = jobs.LogOut(r.Context(), s.Store, p, m.Target)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.done(w, r, velogPath(m.Login.Pipeline, m.Target), say("The log-in of %s is forgotten. What was counted stays."), m.Target)
}
