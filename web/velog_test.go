package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// velogStore has a user with three posts, of which one is gone, and one whose log-in is dead.
func velogStore(t *testing.T) *queue.Store {
	t.Helper()
	s := open(t)
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	if err := s.SetKey(t.Context(), bytes.Repeat([]byte{1}, 32), nil); err != nil {
		t.Fatal(err)
	}
	post := func(key, title string, likes int) adapters.Record {
		data, _ := json.Marshal(map[string]any{"title": title, "url": "https://velog.io/@dubu/" + key, "likes": likes})
		return adapters.Record{Stream: jobs.VelogPosts, Key: key, Time: now.AddDate(0, -2, 0), Data: data}
	}
	err := s.Tx(t.Context(), func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("velog", true, nil)
		if err != nil {
			return err
		}
		walks, err := tx.Begin(run, "dubu", []string{"posts"})
		if err != nil {
			return err
		}
		all, err := tx.Put(walks[0], []adapters.Record{post("a", "고루틴 <b>이해하기</b> \u202e거꾸로", 3), post("b", "커서", 1), post("c", "캐시", 2)})
		if err != nil {
			return err
		}
		for i, day := range []int{3, 2, 0} { // one day nobody looked
			at := now.AddDate(0, 0, -day)
			if day > 0 {
				at = at.Add(11*time.Hour + 50*time.Minute) // ten to midnight in Korea
			}
			for k, r := range all {
				if err := errors.Join(tx.Snap(r.ID, "views", at, int64(1000*(k+1)+i*10*(k+1))), tx.Snap(r.ID, "likes", at, int64(5-i))); err != nil {
					return err
				}
			}
		}
		result := jobs.VelogResult{Listed: true, Read: 3, Failed: 2, FailedWhy: "느림", Resting: 1, Missing: 9}
		secret := adapters.Credential{Values: map[string]string{"access_token": "비밀"}}
		if err := errors.Join(tx.HandIn("velog", "dubu", "u-1", secret), tx.HandIn("velog", "hodu", "u-2", secret),
			tx.TryTarget("velog", "dubu"), tx.NoteTarget("velog", "dubu", result.String())); err != nil {
			return err
		}
		l, err := tx.Login("velog", "hodu")
		if err != nil {
			return err
		}
		_, err = tx.BuryLogin(l, "세션이 끝났다")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func velogServer(t *testing.T) *web.Server {
	t.Helper()
	s := &web.Server{Log: slog.New(slog.DiscardHandler), Status: func(context.Context, io.Writer) error { return nil }}
	s.Store = velogStore(t)
	s.Pipelines = []*jobs.Pipeline{jobs.Velog(&jobs.Pipeline{Name: "velog", Lane: "velog"}, 0)}
	s.HandIn = func(_ context.Context, p *jobs.Pipeline, want, text string) (string, error) {
		if p.Name != "velog" || text != "access_token=가; refresh_token=나" {
			return "", errors.New("velog does not accept the session any more")
		}
		return "dubu", nil
	}
	return s
}

func ask(t *testing.T, h http.Handler, method, path string, form url.Values) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Host = "localhost"
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestVelogViews checks what the views show: sums, days that nobody knows, dead log-ins, and texts of others as texts.
func TestVelogViews(t *testing.T) {
	t.Parallel()
	h := velogServer(t).Handler()
	for path, want := range map[string][]string{
		"/velog":              {"<bdi>dubu</bdi>", "<bdi>hodu</bdi>", "log-in dead since 2026-11-29", "6,120", "statistics of 3 read", "/velog-login"},
		"/velog?lang=ko":      {"일별 조회수", "로그인 만료", "글 목록을 읽음; 통계 3개를 읽음, 2개는 실패하여 마지막 수치를 유지(느림), 1개는 잠시 쉬는 중; 목록에서 사라진 9개는 절반이 넘어 그대로 유지"},
		"/velog/velog/hodu":   {"The log-in has not been accepted since", "세션이 끝났다"},
		"/velog/velog/dubu":   {"6,120", "고루틴 &lt;b&gt;이해하기", `class="unknown"`, `aria-sort="descending"`, "60 views from 2026-10-31 to 2026-11-29, at most 60 a day"},
		"/velog/velog/dubu/b": {"<bdi>커서</bdi>", "2,040", "20 views from", `href="https://velog.io/@dubu/b"`},
		"/velog/velog/dubu/b?from=2026-11-26&to=2026-11-27": {"20 views from 2026-11-26 to 2026-11-27"},
		"/velog/velog/dubu/b?from=가&to=2999-01-01":          {"20 views from 2026-10-31 to 2026-11-29"},
		"/velog/velog/dubu?from=0000-01-01&to=0000-01-01":   {"60 views from 2026-10-31 to 2026-11-29"},
	} {
		status, body := ask(t, h, http.MethodGet, path, nil)
		if status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not show %q", path, w)
			}
		}
		if strings.Contains(body, "비밀") {
			t.Errorf("%s shows a token", path)
		}
	}
	for _, path := range []string{"/velog/다른일/dubu", "/velog/velog/nobody", "/velog/velog/hodu/b", "/velog/velog/dubu/없음"} {
		if status, _ := ask(t, h, http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

// TestVelogOnTheOverview shows what a pipeline has that reads no captions and matches no restaurants, and that a log-in is dead.
func TestVelogOnTheOverview(t *testing.T) {
	t.Parallel()
	s := velogServer(t)
	err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error { // statistics fail in two runs
		for run := range int64(2) {
			walks, err := tx.Begin(queue.Run{ID: run + 7, Pipeline: "velog"}, "dubu", []string{queue.ListOf("stats", "a"), queue.ListOf("stats", "b")})
			if err != nil {
				return err
			}
			for _, w := range walks {
				_, post := w.Of() // what is read of it is no further post
				if _, err := tx.Put(w, []adapters.Record{{Stream: "velog_stats", Key: post, Time: tx.Now(), Data: []byte("{}")}}); err != nil {
					return err
				}
				w.State, w.Cuts, w.Note = queue.WalkUnfinished, int(run)+1, "모르는 물음"
				if err := tx.Advance(&w); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Forecast = func(context.Context, string) (web.Forecast, error) {
		return web.Forecast{Accounts: 2, Pages: 34, Priced: true, Full: true}, nil
	}
	h := s.Handler()
	for path, words := range map[string]struct{ want, not []string }{
		"/": {
			[]string{
				"Log-ins that are not accepted any more: 1.", `<bdi>hodu</bdi>`, `href="/velog">Show<`, `<span class="badge bad">Log-in<`, "<span>Pages</span>",
				"velog: the stats of 2 of 2 records could not be read in several runs in a row.", "<bdi>모르는 물음</bdi>", "<dt>Posts</dt><dd>3 <",
			},
			[]string{"Captions read", "Restaurants matched", "All is well"},
		},
		"/?lang=ko": {
			[]string{"<dt>게시물</dt><dd>3 <", "만료된 로그인: 1건.", `<span class="badge bad">로그인<`, "<span>페이지</span>"},
			[]string{"읽은 캡션", "찾은 식당"},
		},
		"/accounts":                        {[]string{`data-label="Posts">3<`}, nil},
		"/accounts/velog/dubu":             {[]string{"<dt>Posts</dt><dd>3<", `href="/posts/velog_post/a"`}, []string{"velog_stats"}},
		"/runs/new?pipeline=velog":         {[]string{"Requests to velog", "about 34", "Accounts", "Cost"}, []string{"nstagram", "Captions", "Searches"}},
		"/runs/new?pipeline=velog&lang=ko": {[]string{"velog 요청", "약 34"}, []string{"인스타그램", "캡션", "검색"}},
	} {
		status, body := ask(t, h, http.MethodGet, path, nil)
		if status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
		_, body, _ = strings.Cut(body, "<main")
		for _, w := range words.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not say %q in\n%s", path, w, body)
			}
		}
		for _, w := range words.not {
			if strings.Contains(body, w) {
				t.Errorf("%s says %q in\n%s", path, w, body)
			}
		}
	}
	for path, want := range map[string]string{"/api/v1/status": `"records":5,"posts":3,`, "/api/v1/accounts/velog/dubu": `"posts":3,`} {
		if status, body := ask(t, h, http.MethodGet, path, nil); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, nothing says %s in\n%s", path, status, want, body)
		}
	}
}

// TestVelogUsersByPage turns the pages of a list of users: each has its turn once.
func TestVelogUsersByPage(t *testing.T) {
	t.Parallel()
	v := velogServer(t)
	err := v.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		for i := range 118 {
			name := fmt.Sprintf("콩이%03d", i)
			if err := tx.HandIn("velog", name, "id-"+name, adapters.Credential{Values: map[string]string{"access_token": "비밀"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := v.Handler()
	seen, pages := map[string]int{}, 0
	link := regexp.MustCompile(`href="(/velog\?page=\d+)" rel="next"`)
	for at := "/velog"; at != ""; pages++ {
		_, body := ask(t, h, http.MethodGet, at, nil)
		for _, m := range regexp.MustCompile(`<a href="/velog/velog/([^"]+)"`).FindAllStringSubmatch(body, -1) {
			seen[m[1]]++
		}
		at = ""
		if m := link.FindStringSubmatch(body); m != nil {
			at = m[1]
		}
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s comes %d times", name, n)
		}
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d users on %d pages, want 120 on 3", len(seen), pages)
	}
	if status, _ := ask(t, h, http.MethodGet, "/velog?page=99999999999999999999", nil); status != http.StatusOK {
		t.Errorf("a page far behind the end: status %d", status)
	}
}

func TestVelogSorts(t *testing.T) {
	t.Parallel()
	h := velogServer(t).Handler()
	for by, want := range map[string]string{"": "c b a", "views": "c b a", "title": "a c b", "released": "a b c"} {
		_, body := ask(t, h, http.MethodGet, "/velog/velog/dubu?sort="+by, nil)
		var got []string
		for _, part := range strings.Split(body, `href="/velog/velog/dubu/`)[1:] {
			got = append(got, part[:1])
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("sorted by %q: %s, want %s", by, g, want)
		}
	}
}

// TestVelogAPI asks for users, days and posts, and holds every answer against the description.
func TestVelogAPI(t *testing.T) {
	t.Parallel()
	counting := velogServer(t)
	a := newAsker(newHouse(t, token, func(w *web.Server) { w.Store, w.Pipelines = counting.Store, counting.Pipelines }))
	var names []string
	for next, pages := "", 0; pages < 5; pages++ {
		v := a.get("/velog", nil, "?limit=1&pipeline=velog"+next)
		for _, u := range items(v) {
			names = append(names, fmt.Sprint(u["user"], " ", u["postCount"], " ", u["views"], " ", u["loginDeadSince"]))
		}
		token, more := v["next"].(string)
		if !more {
			break
		}
		next = "&after=" + url.QueryEscape(token)
	}
	if d := cmp.Diff([]string{"dubu 3 6120 <nil>", "hodu 0 <nil> 2026-11-29T03:00:00Z"}, names); d != "" {
		t.Errorf("users (-want +got):\n%s", d)
	}
	if others := items(a.get("/velog", nil, "?pipeline=matzip")); len(others) != 0 {
		t.Errorf("of another pipeline: %v", others)
	}
	at := []string{"velog", "dubu"}
	days := func(v map[string]any) (all []string) {
		for _, d := range v["days"].([]any) {
			d := d.(map[string]any)
			all = append(all, fmt.Sprint(d["day"], " ", d["views"]))
		}
		return all
	}
	v := a.get("/velog/{pipeline}/{user}", at, "?from=2026-11-26&to=2026-11-28&sort=released")
	if d := cmp.Diff([]string{"2026-11-26 <nil>", "2026-11-27 60", "2026-11-28 <nil>"}, days(v)); d != "" {
		t.Errorf("days (-want +got):\n%s", d)
	}
	if today := v["today"].(map[string]any); today["day"] != "2026-11-29" {
		t.Errorf("today is %v where a range of the past is asked for", today)
	}
	if n := len(days(a.get("/velog/{pipeline}/{user}", at, ""))); n != 30 {
		t.Errorf("%d days unless it is said", n)
	}
	for by, want := range map[string]string{"views": "c b a", "likes": "a b c", "title": "a c b"} {
		var got []string
		for _, p := range a.get("/velog/{pipeline}/{user}", at, "?sort="+by)["posts"].([]any) {
			got = append(got, p.(map[string]any)["key"].(string))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("sorted by %s: %s, want %s", by, g, want)
		}
	}
	p := a.get("/velog/{pipeline}/{user}/{post}", []string{"velog", "dubu", "b"}, "?from=2026-11-27&to=2999-01-01")
	if d := cmp.Diff([]string{"2026-11-27 20", "2026-11-28 <nil>", "2026-11-29 <nil>"}, days(p)); d != "" || fmt.Sprint(p["user"], p["views"], p["title"]) != "dubu2040커서" {
		t.Errorf("%v\n%s", p, d)
	}
	for _, q := range []string{"?from=2026-11-28&to=2026-11-27", "?from=2027-01-01", "?from=2020-01-01", "?from=0000-01-01&to=0000-01-01", "?to=1999-12-31", "?sort=x"} {
		if status, v, _ := a.call("GET", "/api/v1/velog/{pipeline}/{user}", at, q, ""); status != 400 {
			t.Errorf("%s: %d %v", q, status, v)
		}
	}
	for path, values := range map[string][]string{
		"/api/v1/velog/{pipeline}/{user}":        {"다른일", "dubu"},
		"/api/v1/velog/{pipeline}/{user}/{post}": {"velog", "hodu", "b"},
	} {
		if status, v, _ := a.call("GET", path, values, "", ""); status != 404 {
			t.Errorf("%s %q: %d %v", path, values, status, v)
		}
	}
	get := a.ask("GET", "/api/v1/velog/velog/dubu", "", bearer(token))
	head := a.ask("HEAD", "/api/v1/velog/velog/dubu", "", bearer(token))
	if tag := get.Header.Get("ETag"); tag == "" || head.Header.Get("ETag") != tag || head.StatusCode != 200 {
		t.Errorf("HEAD %v, GET %v", head.Header, get.Header)
	}
	if body := text(get); strings.Contains(body, "비밀") || strings.ContainsAny(body, "<>") {
		t.Errorf("what no answer may hold: %s", body)
	}
}

// TestVelogHandIn checks the form: what velog does not accept is said and not repeated, what it accepts leads to the user.
func TestVelogHandIn(t *testing.T) {
	t.Parallel()
	h := velogServer(t).Handler()
	if status, body := ask(t, h, http.MethodGet, "/velog-login", nil); status != http.StatusOK || !strings.Contains(body, `type="password"`) {
		t.Errorf("form: %d", status)
	}
	status, body := ask(t, h, http.MethodPost, "/velog-login", url.Values{"pipeline": {"velog"}, "login": {"access_token=도둑"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "velog does not accept") || strings.Contains(body, "도둑") {
		t.Errorf("refused: %d %s", status, body)
	}
	if status, _ := ask(t, h, http.MethodPost, "/velog-login", url.Values{"pipeline": {"velog"}, "login": {"access_token=가; refresh_token=나"}}); status != http.StatusSeeOther {
		t.Errorf("accepted: %d", status)
	}
	if status, _ := ask(t, h, http.MethodPost, "/velog-login", url.Values{"pipeline": {"없는 일"}, "login": {"x"}}); status != http.StatusNotFound {
		t.Errorf("another pipeline: %d", status)
	}
}

// TestVelogHandInWithOtherCookies hands in all the cookies that a browser has, behind the token.
func TestVelogHandInWithOtherCookies(t *testing.T) {
	t.Parallel()
	s := velogServer(t)
	s.Token = "문을 여는 긴 말 한마디입니다"
	given := ""
	s.HandIn = func(_ context.Context, _ *jobs.Pipeline, _, text string) (string, error) {
		given = text
		return "dubu", nil
	}
	h := s.Handler()
	for _, tt := range []struct{ others, status int }{{20 << 10, http.StatusSeeOther}, {70 << 10, http.StatusBadRequest}} {
		login := "_ga=" + strings.Repeat("x", tt.others) + "; access_token=a; refresh_token=r"
		given = ""
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/velog-login", strings.NewReader(url.Values{"pipeline": {"velog"}, "login": {login}}.Encode()))
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || (given == login) != (tt.status == http.StatusSeeOther) {
			t.Errorf("%d bytes: status %d, %d bytes came", len(login), w.Code, len(given))
		}
	}
}

// TestVelogLogout forgets a log-in after asking; what was counted is shown as before.
func TestVelogLogout(t *testing.T) {
	t.Parallel()
	s := velogServer(t)
	h := s.Handler()
	const way = "/velog-logout?pipeline=velog&amp;user=dubu"
	if _, body := ask(t, h, http.MethodGet, "/velog/velog/dubu", nil); !strings.Contains(body, way) {
		t.Error("no way to log out")
	}
	if status, body := ask(t, h, http.MethodGet, strings.ReplaceAll(way, "&amp;", "&"), nil); status != http.StatusOK || !strings.Contains(body, "No call is made for "+isolated("dubu")+" any more") {
		t.Errorf("asked: %d %s", status, body)
	}
	do := url.Values{"pipeline": {"velog"}, "user": {"dubu"}}
	if status, _ := ask(t, h, http.MethodPost, "/velog-logout", do); status != http.StatusSeeOther {
		t.Errorf("done: %d", status)
	}
	if _, err := s.Store.Login(t.Context(), "velog", "dubu"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("the log-in: %v", err)
	}
	if status, body := ask(t, h, http.MethodGet, "/velog/velog/dubu", nil); status != http.StatusOK || !strings.Contains(body, "There is no log-in") || !strings.Contains(body, "6,120") || strings.Contains(body, way) {
		t.Errorf("afterwards: %d %s", status, body)
	}
	if status, _ := ask(t, h, http.MethodPost, "/velog-logout", do); status != http.StatusNotFound {
		t.Errorf("again: %d", status)
	}
	if _, err := s.Store.Login(t.Context(), "velog", "hodu"); err != nil {
		t.Errorf("the log-in of another: %v", err)
	}
}

// TestVelogPastDays checks that today stays today when the days asked for lie in the past.
func TestVelogPastDays(t *testing.T) {
	t.Parallel()
	h := velogServer(t).Handler()
	for _, path := range []string{"/api/v1/velog/velog/dubu", "/api/v1/velog/velog/dubu/b"} {
		var d struct {
			Today, Yesterday struct{ Day string }
			Days             []struct{ Day string }
		}
		_, body := ask(t, h, http.MethodGet, path+"?from=2026-11-20&to=2026-11-27", nil)
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			t.Fatal(err)
		}
		if d.Today.Day != "2026-11-29" || d.Yesterday.Day != "2026-11-28" || len(d.Days) != 8 || d.Days[7].Day != "2026-11-27" {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// TestVelogPostOfAnother checks that a post is shown below its own pipeline, and below none that does not count.
func TestVelogPostOfAnother(t *testing.T) {
	t.Parallel()
	s := velogServer(t)
	s.Pipelines = append(s.Pipelines, jobs.Velog(&jobs.Pipeline{Name: "다른 벨로그"}, 0), &jobs.Pipeline{Name: "matzip"})
	err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		c := adapters.Credential{Values: map[string]string{"access_token": "비밀"}}
		return errors.Join(tx.HandIn("다른 벨로그", "dubu", "u-1", c), tx.HandIn("matzip", "dubu", "u-1", c))
	})
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	for path, want := range map[string]int{"/velog/velog/dubu/b": 200, "/velog/matzip/dubu/b": 404, "/velog/matzip/dubu": 404, "/velog/" + url.PathEscape("다른 벨로그") + "/dubu/b": 404, "/velog/" + url.PathEscape("다른 벨로그") + "/dubu": 200} {
		if status, _ := ask(t, h, http.MethodGet, path, nil); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}

// TestVelogKeptDays checks that days which are not kept any more are unknown, also where the upstream itself counts days.
func TestVelogKeptDays(t *testing.T) {
	t.Parallel()
	s := velogServer(t)
	s.Pipelines = []*jobs.Pipeline{jobs.Velog(&jobs.Pipeline{Name: "velog"}, 30)} // from 2026-10-30 on
	err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		id, err := tx.RecordID(jobs.VelogPosts, "b") // of 2026-09-29
		if err != nil {
			return err
		}
		return errors.Join(tx.CountDay(id, "views", "2026-10-10", 7), tx.CountDay(id, "views", "2026-11-02", 4), s.Pipelines[0].Tidy(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Days []struct {
			Day   string
			Views *int64
		}
	}
	_, body := ask(t, s.Handler(), http.MethodGet, "/api/v1/velog/velog/dubu/b?from=2026-10-08&to=2026-11-02", nil)
	if err := json.Unmarshal([]byte(body), &d); err != nil || len(d.Days) != 26 {
		t.Fatalf("%v: %s", err, body)
	}
	for _, x := range d.Days {
		if want := x.Day >= "2026-10-30"; (x.Views != nil) != want {
			t.Errorf("%s is known: %v, want %v", x.Day, x.Views != nil, want)
		}
	}
}
