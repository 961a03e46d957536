package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
)

// overviewOf is a server over s as a process has it that works.
func overviewOf(s *queue.Store) *web.Server {
	seconds := make([]int, 300)
	for i := 200; i < 300; i++ {
		seconds[i] = 7 + i%2
	}
	return &web.Server{
		Store: s, Log: slog.New(slog.DiscardHandler),
		Status:    func(context.Context, io.Writer) error { return nil },
		Pipelines: []*jobs.Pipeline{jobs.Matzip(&jobs.Pipeline{Name: "matzip", Lane: "instagram", Ask: &jobs.Ask{}, Find: &jobs.Find{}})},
		Rates: func() []web.Rate {
			return []web.Rate{{Upstream: "instagram", Limit: 8, Seconds: seconds}, {Upstream: "kakao", Limit: 10, Seconds: seconds}}
		},
		Forecast: func(context.Context, string) (web.Forecast, error) {
			return web.Forecast{Accounts: 200, Pages: 8350, Captions: 1200, Searches: 1500, Crawl: 20 * time.Minute, MicroUSD: 1_234_567, Priced: true}, nil
		},
	}
}

// big is a house over the large state, open to this machine.
func big(t *testing.T) *house {
	t.Helper()
	ho := &house{t: t, clock: clock{at: bigtest.Now()}, Server: overviewOf(bigtest.Open(t, postgres))}
	ho.Log = slog.New(slog.NewTextHandler(&ho.log, nil))
	ho.SetClock(ho.clock.now)
	ho.h = ho.Handler()
	t.Cleanup(ho.CloseLive)
	return ho
}

func local(r *http.Request) { r.Host = "localhost" }

func korean(r *http.Request) { r.Header.Set("Accept-Language", "ko") }

func TestOverview(t *testing.T) {
	t.Parallel()
	ho := big(t)
	began := time.Now()
	r := ho.ask("GET", "/", "", browser, local)
	first := time.Since(began)
	b := text(r)
	if r.StatusCode != 200 {
		t.Fatalf("%s\n%s\n%s", r.Status, b, &ho.log)
	}
	t.Logf("the first overview of %d posts took %s, %d bytes", bigtest.Posts, first, len(b))
	a, err := ho.Store.Attention(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	totals, err := ho.Store.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"100,000", "50,000", ">matzip<", ">running<", "of 200 accounts", "<polyline", "7.5", "of 8<",
		"Restaurants that wait for your decision: " + web.Grouped(totals.Review),
		fmt.Sprintf("Work that was given up: %d", a.DeadJobs+a.DeadQuestions), `href="/dead/retry" data-dialog`,
		fmt.Sprintf("Accounts that are gone: %d", a.Gone),
		fmt.Sprintf("Lists or accounts that were not seen whole: %d.", a.Gaps),
	} {
		if !strings.Contains(b, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(b, "<span>kakao</span>") {
		t.Error("an upstream is shown that no pipeline uses")
	}
	if a.DeadJobs == 0 || a.Gone == 0 || a.Gaps == 0 || totals.Review == 0 {
		t.Errorf("the large state has nothing to look at: %+v %+v", a, totals)
	}
	b = text(ho.ask("GET", "/", "", browser, local, korean))
	for _, want := range []string{"개요", "실행 중", "초당 요청", "결정을 기다리는 식당: " + web.Grouped(totals.Review) + "곳", "kakao: 11월\u00a029일\u00a011:48부터", "100,000"} {
		if !strings.Contains(b, want) {
			t.Errorf("in Korean nothing says %q", want)
		}
	}
	if r := ho.ask("GET", "/", "", local); !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("a program gets %s", r.Header.Get("Content-Type"))
	}
}

// finderOf is a finder by its name.
type finderOf string

func (f finderOf) Name() string { return string(f) }

func (finderOf) Find(context.Context, string) ([]adapters.Candidate, error) {
	return nil, errors.New("nobody is asked here")
}

// TestMatchingLeft has a crawl that is over, and restaurants that are still to be matched: how long that takes is what the finder
// was asked lately. While it is not asked nobody knows.
func TestMatchingLeft(t *testing.T) {
	t.Parallel()
	seconds := make([]int, 300)
	w, _, _ := serve(t, "")
	s := overviewOf(w.Store)
	s.Pipelines[0].Find.Finders = []jobs.Finder{finderOf("naver"), finderOf("kakao")}
	s.Rates = func() []web.Rate { return []web.Rate{{Upstream: "naver", Limit: 5, Seconds: seconds}} }
	ho := &house{t: t, clock: clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, Server: s}
	ho.SetClock(ho.clock.now)
	s.Store.Now = ho.clock.now // machines count what they ask by the second: all this is within one
	ho.h = ho.Handler()
	t.Cleanup(ho.CloseLive)
	extracted(t, s.Store, "p1", "식당", restaurants(200), nil)
	end := func(walk int64) {
		if err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
			w, err := tx.Walk(walk)
			if err != nil {
				return err
			}
			w.State = queue.WalkIdle
			return tx.Advance(&w)
		}); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(when, want, not string) {
		t.Helper()
		s.Forget()
		if b := text(ho.ask("GET", "/", "", browser, local)); !strings.Contains(b, want) || strings.Contains(b, not) {
			t.Errorf("%s: it says not %q or %q: %s", when, want, not, b)
		}
	}
	for i := range 20 {
		seconds[280+i] = 1 + i%2
	}
	wants("while it crawls", "Crawl time left", "Matching time left")
	end(1)
	wants("after the crawl", "Matching time left</dt><dd>about 2 min 13 s", "Crawl time left")
	if err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		_, _, err := tx.Ask("matzip", 1, "v2-p1", "식당")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wants("while a caption is to be read", "Crawl time left</dt><dd>–", "Matching time left")
	clear(seconds)
	wants("while nobody is asked", "Crawl time left</dt><dd>–", "Matching time left")
}

// TestOverviewSaysWhy has a key that the upstream refuses, and a run that waits because of it. In both languages the overview and the
// run say in plain words what is wrong and what to do, and no time at which it would be done.
func TestOverviewSaysWhy(t *testing.T) {
	t.Parallel()
	w, _, _ := serve(t, "")
	s := overviewOf(w.Store)
	ho := &house{t: t, clock: clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, Server: s}
	ho.SetClock(ho.clock.now)
	ho.h = ho.Handler()
	t.Cleanup(ho.CloseLive)
	const why = "instagram: stopped until the next start: instagram/1: GET /posts: status 401: Invalid <b>API key"
	err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("matzip", false, nil)
		if err != nil {
			return err
		}
		if err := tx.StartRun(run.ID); err != nil {
			return err
		}
		if _, err := tx.Begin(run, "을지로골목", []string{"posts"}); err != nil {
			return err
		}
		if _, err = tx.Add(queue.Job{Pipeline: "matzip", Lane: "instagram", Kind: queue.KindPage, Key: "page:1"}); err != nil {
			return err
		}
		return tx.StopRun(run.ID, why)
	})
	if err == nil {
		err = s.Store.SaveLimit(t.Context(), queue.Limit{Name: "instagram/1", Stopped: true, Reason: adapters.ReasonKey})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	worker := &queue.Worker{
		Store: s.Store, Log: slog.New(slog.DiscardHandler), Grace: time.Second, Lanes: []queue.Lane{{Name: "instagram", Workers: 1, Deadline: time.Minute}},
		Handlers: map[queue.Kind]queue.Handler{queue.KindPage: func(context.Context, queue.Job) (queue.Commit, error) {
			return nil, &adapters.Error{Kind: adapters.NeedsHuman, Err: errors.New(why)}
		}},
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	until(t, "the lane goes on", func() bool { stops, err := s.Store.Stops(t.Context()); return err == nil && len(stops) == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for lang, wants := range map[string][]string{
		"en": {"Set right what is wrong, then start sumbi again.", "The upstream does not accept the key.", "Crawl time left</dt><dd>–"},
		"ko": {"원인을 해결한 뒤 sumbi를 다시 시작하세요.", "외부 서비스가 키를 받아들이지 않습니다.", "남은 크롤링 시간</dt><dd>–"},
	} {
		b := text(ho.ask("GET", "/", "", browser, local, with("Accept-Language", lang)))
		for _, want := range wants {
			if !strings.Contains(b, want) {
				t.Errorf("the overview does not say %q: %s", want, b)
			}
		}
		if n := strings.Count(b, wants[1]); n != 3 || strings.Contains(b, "<bdi>key</bdi>") || strings.Contains(b, "<b>API") {
			t.Errorf("what is wrong is said %d times: %s", n, b)
		}
		if b := text(ho.ask("GET", "/runs/1", "", browser, local, with("Accept-Language", lang))); !strings.Contains(b, wants[1]) {
			t.Errorf("the run does not say %q: %s", wants[1], b)
		}
	}
}

// TestOverviewEmpty wants a state without anything to be told from a broken one.
func TestOverviewEmpty(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, "", func(s *web.Server) { s.Pipelines = overviewOf(s.Store).Pipelines })
	b := text(ho.ask("GET", "/", "", browser, local))
	for _, want := range []string{"Nothing. All is well.", "never", "by hand", "Run now", "No figures: this process calls nobody."} {
		if !strings.Contains(b, want) {
			t.Errorf("nothing says %q in\n%s", want, b)
		}
	}
	ho = newHouse(t, "")
	if b := text(ho.ask("GET", "/", "", browser, local)); !strings.Contains(b, "No pipeline is configured.") {
		t.Errorf("without a pipeline:\n%s", b)
	}
}

// TestRunNow asks for a run as the page does.
func TestRunNow(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, func(s *web.Server) {
		o := overviewOf(s.Store)
		s.Pipelines, s.Forecast = o.Pipelines, o.Forecast
	})
	page := text(ho.ask("GET", "/runs/new?pipeline=matzip", "", browser, bearer(token)))
	dialog := text(ho.ask("GET", "/runs/new?pipeline=matzip", "", browser, bearer(token), with("HX-Request", "true")))
	for _, want := range []string{"about 8,350", "about 20 min", "about $1.23", `action="/runs/new"`, `name="pipeline" value="matzip"`} {
		if !strings.Contains(page, want) || !strings.Contains(dialog, want) {
			t.Errorf("nothing says %q:\n%s", want, dialog)
		}
	}
	if !strings.Contains(page, "<html") || strings.Contains(dialog, "<html") {
		t.Error("a dialog is a page, or a page none")
	}
	post := func(pipeline string, change ...func(*http.Request)) *http.Response {
		change = append([]func(*http.Request){browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded")}, change...)
		return ho.ask("POST", "/runs/new", url.Values{"pipeline": {pipeline}}.Encode(), change...)
	}
	if r := post("matzip", with("Sec-Fetch-Site", "cross-site")); r.StatusCode != 403 {
		t.Errorf("another site's form: %s", r.Status)
	}
	if r := ho.ask("POST", "/runs/new", "pipeline=matzip"); r.StatusCode != 401 {
		t.Errorf("without the token: %s", r.Status)
	}
	if r := post("<없음>"); r.StatusCode != 404 {
		t.Errorf("an unknown pipeline: %s", r.Status)
	}
	if runs, err := ho.Store.OpenRuns(t.Context()); err != nil || len(runs) != 0 {
		t.Fatal(runs, err)
	}
	r := post("matzip")
	runs, err := ho.Store.OpenRuns(t.Context())
	if r.StatusCode != 303 || r.Header.Get("Location") != "/" || err != nil || len(runs) != 1 || runs[0].State != queue.RunAsked || runs[0].Whole {
		t.Fatalf("%s to %s, runs %v, %v", r.Status, r.Header.Get("Location"), runs, err)
	}
	b := text(ho.ask("GET", "/", "", browser, bearer(token), func(q *http.Request) { q.AddCookie(r.Cookies()[0]) }))
	if !strings.Contains(b, "Run 1 of "+isolated("matzip")+" begins.") || !strings.Contains(b, "about to begin") {
		t.Errorf("after it:\n%s", b)
	}
	if r := post("matzip", korean); r.StatusCode != 303 || len(r.Cookies()) != 1 {
		t.Errorf("twice: %s", r.Status)
	} else if b := text(ho.ask("GET", "/", "", browser, bearer(token), func(q *http.Request) { q.AddCookie(r.Cookies()[0]) })); !strings.Contains(b, "아직 끝나지 않아") {
		t.Errorf("twice:\n%s", b)
	}
	// What a run waits for is somebody else's text.
	err = ho.Store.Tx(t.Context(), func(tx *queue.Tx) error { return tx.StopRun(runs[0].ID, "<script>x</script>\u202e") })
	if err != nil {
		t.Fatal(err)
	}
	ho.Forget()
	if b := text(ho.ask("GET", "/", "", browser, bearer(token))); !strings.Contains(b, "<bdi>&lt;script&gt;x") || !strings.Contains(b, "waits for you") {
		t.Errorf("a run that waits:\n%s", b)
	}
	if b := text(ho.ask("GET", "/runs/new?pipeline=matzip", "", browser, bearer(token))); !strings.Contains(b, "Go on?") || !strings.Contains(b, "&lt;script&gt;x") || strings.Contains(b, `name="full"`) {
		t.Errorf("the question about a run that waits:\n%s", b)
	}
	post("matzip")
	if run, err := ho.Store.Run(t.Context(), runs[0].ID); err != nil || run.State != queue.RunRunning || run.Note != "" {
		t.Errorf("a run that is to go on: %+v, %v", run, err)
	}
	err = ho.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		id := runs[0].ID
		if err := errors.Join(tx.SeedRun(id), tx.Count(id, 1, 4711, 0, time.Second)); err != nil {
			return err
		}
		if _, err := tx.CrawledRun(id); err != nil {
			return err
		}
		_, err := tx.EndRun(id, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page, `type="checkbox" name="full"`) {
		t.Errorf("whole lists are not offered:\n%s", page)
	}
	ho.ask("POST", "/runs/new", "pipeline=matzip&full=1", browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"))
	if runs, err := ho.Store.OpenRuns(t.Context()); err != nil || len(runs) != 1 || !runs[0].Whole {
		t.Errorf("whole lists: %v, %v", runs, err)
	}
	ho.Forget()
	if b := text(ho.ask("GET", "/", "", browser, bearer(token))); !strings.Contains(b, "Run before this") || !strings.Contains(b, "new posts: 4,711") {
		t.Errorf("the run before the open one is not shown:\n%s", b)
	}
	ho.Forecast = func(context.Context, string) (web.Forecast, error) {
		return web.Forecast{}, errors.New("accounts.txt is <missing>")
	}
	if b := text(ho.ask("GET", "/runs/new?pipeline=matzip", "", browser, bearer(token))); !strings.Contains(b, "There is no forecast: accounts.txt is &lt;missing&gt;") {
		t.Errorf("without a forecast:\n%s", b)
	}
}

// TestRetryDead lets everything that was given up live again.
func TestRetryDead(t *testing.T) {
	t.Parallel()
	ho := big(t)
	before, err := ho.Store.Attention(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b := text(ho.ask("GET", "/dead/retry", "", browser, local, korean)); !strings.Contains(b, fmt.Sprintf("<bdi>%d</bdi>", before.DeadJobs)) {
		t.Errorf("the question is\n%s", b)
	}
	if r := ho.ask("POST", "/dead/retry", "", browser, local, with("Origin", "http://evil.test")); r.StatusCode != 403 {
		t.Errorf("another site: %s", r.Status)
	}
	if r := ho.ask("POST", "/dead/retry", "", browser, local); r.StatusCode != 400 {
		t.Errorf("who has not been asked: %s", r.Status)
	}
	retry := func(until time.Time) {
		t.Helper()
		if r := ho.ask("POST", fmt.Sprintf("/dead/retry?until=%d", until.UnixMilli()), "", browser, local); r.StatusCode != 303 {
			t.Errorf("%s\n%s", r.Status, &ho.log)
		}
	}
	// What was given up after the question stays so.
	dead, err := ho.Store.DeadOnes(t.Context(), 1)
	if err != nil || len(dead) == 0 {
		t.Fatal(dead, err)
	}
	retry(dead[0].At.Add(-time.Millisecond))
	if left, err := ho.Store.DeadOnes(t.Context(), 1000); err != nil || len(left) == 0 || left[len(left)-1].At.Before(dead[0].At) {
		t.Errorf("%d are left, %v", len(left), err)
	}
	retry(ho.Store.Now())
	after, err := ho.Store.Attention(t.Context())
	if err != nil || before.DeadJobs+before.DeadQuestions == 0 || after.DeadJobs+after.DeadQuestions != 0 {
		t.Errorf("dead before %+v, after %+v, %v", before, after, err)
	}
}

func TestSpeed(t *testing.T) {
	t.Parallel()
	seconds := make([]int, 300)
	for i := 290; i < 300; i++ {
		seconds[i] = 8
	}
	now, bound, line := web.Speed(web.Rate{Limit: 8, Seconds: seconds})
	points := strings.Fields(line)
	if now != 8 || bound <= 0 || bound >= 15 || len(points) != 150 || !strings.HasPrefix(points[0], "2,60") || points[149] != fmt.Sprintf("300,%g", bound) {
		t.Errorf("now %g, bound %g, %d points from %s to %s", now, bound, len(points), points[0], points[len(points)-1])
	}
	if now, bound, line := web.Speed(web.Rate{}); now != 0 || bound != 0 || line != "" {
		t.Errorf("of nothing: %g %g %q", now, bound, line)
	}
}

// TestTogether counts what several machines call by their common limits.
func TestTogether(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 14, 59, 50, 0, time.UTC)
	own := make([]int, 300)
	own[299] = 4
	rate := web.Rate{Upstream: "instagram", Limit: 16, Seconds: own}
	limits := func(day string, one, two int) []queue.Limit {
		return []queue.Limit{{Name: "instagram/1", Day: day, Used: one}, {Name: "instagram/2", Day: day, Used: two}, {Name: "instagrams/1", Day: day, Used: 1000 * one}}
	}
	var tg web.Together
	last := func(s []int, n int) []int { return s[len(s)-n:] }
	if got := tg.Seconds(at, rate, limits("2026-11-20", 100, 50)); !slices.Equal(got, own) {
		t.Errorf("at first %v", last(got, 3))
	}
	got := tg.Seconds(at.Add(2*time.Second), rate, limits("2026-11-20", 116, 65))
	if !slices.Equal(last(got, 3), []int{4, 15, 16}) || len(got) != 300 {
		t.Errorf("two seconds later %v", last(got, 3))
	}
	if got := tg.Seconds(at.Add(2*time.Second), rate, limits("2026-11-20", 120, 65)); !slices.Equal(last(got, 2), []int{15, 16}) {
		t.Errorf("within the second %v", last(got, 2))
	}
	// A new day counts from 0, and what is given back is no call.
	got = tg.Seconds(at.Add(12*time.Second), rate, limits("2026-11-21", 10, 0))
	if !slices.Equal(last(got, 11), []int{16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("on the next day %v", last(got, 11))
	}
	if got := tg.Seconds(at.Add(13*time.Second), rate, limits("2026-11-21", 9, 0)); last(got, 1)[0] != 0 {
		t.Errorf("given back: %v", last(got, 2))
	}
	if got := tg.Seconds(at.Add(time.Hour), rate, limits("2026-11-21", 9999, 0)); !slices.Equal(got, own) {
		t.Errorf("after an hour nobody knows when it was: %v", last(got, 3))
	}
	// A clock that goes back is followed: what was called meanwhile counts in the next second.
	tg.Seconds(at.Add(time.Hour+time.Second), rate, limits("2026-11-21", 9999, 3))
	if got := tg.Seconds(at.Add(time.Hour-10*time.Second), rate, limits("2026-11-21", 9999, 5)); !slices.Equal(last(got, 2), []int{4, 3}) || len(got) != 300 {
		t.Errorf("eleven seconds back: %v", last(got, 2))
	}
	if got := tg.Seconds(at.Add(time.Hour-9*time.Second), rate, limits("2026-11-21", 9999, 9)); !slices.Equal(last(got, 3), []int{4, 3, 6}) || len(got) != 300 {
		t.Errorf("a second after that: %v", last(got, 3))
	}
	if got := tg.Seconds(at, rate, limits("2026-11-21", 9999, 9)); !slices.Equal(got, own) {
		t.Errorf("an hour back nobody knows when it was: %v", last(got, 3))
	}
}

// TestOverviewWhenTheClockGoesBack shows the overview whatever the clock does.
func TestOverviewWhenTheClockGoesBack(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, func(s *web.Server) {
		o := overviewOf(s.Store)
		s.Pipelines, s.Rates = o.Pipelines, o.Rates
	})
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	for _, step := range []time.Duration{0, time.Second, -time.Second, -time.Minute, -time.Hour, time.Second} {
		now = now.Add(step)
		ho.Store.Now = func() time.Time { return now }
		ho.Forget()
		if r := ho.ask("GET", "/", "", browser, bearer(token)); r.StatusCode != 200 || !strings.Contains(text(r), "of 8<") {
			t.Errorf("after a step of %s: %s\n%s", step, r.Status, &ho.log)
		}
	}
}

// TestSlowly reads what takes long less often, but not never.
func TestSlowly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		took   time.Duration
		pauses []time.Duration
		want   []int
	}{
		{100 * time.Millisecond, []time.Duration{0, 0, 4 * time.Second, 2 * time.Second, time.Second}, []int{1, 1, 1, 2, 2}},
		{2 * time.Second, []time.Duration{0, web.KeptLongest - time.Second, 2 * time.Second}, []int{1, 1, 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var k web.Slowly
			n := 0
			read := func() (int, error) {
				n++
				time.Sleep(tt.took)
				return n, nil
			}
			for i, pause := range tt.pauses {
				time.Sleep(pause)
				if got, err := k.Read(read); got != tt.want[i] || err != nil {
					t.Errorf("of what takes %s: look %d got reading %d, %v, want %d", tt.took, i+1, got, err, tt.want[i])
				}
			}
		})
	}
	if _, err := (&web.Slowly{}).Read(func() (int, error) { return 0, errors.New("no") }); err == nil {
		t.Error("an error is kept back")
	}
}
