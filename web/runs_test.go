package web_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
)

// failing adds jobs of a lane, which has no others, and lets each die of its error. It returns their numbers.
func failing(t *testing.T, s *queue.Store, lane string, all map[string]error) map[string]int64 {
	t.Helper()
	ids := map[string]int64{}
	for key := range all {
		if err := s.Tx(t.Context(), func(tx *queue.Tx) error {
			_, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: lane, Kind: queue.KindMatch, Key: key})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	died := make(chan struct{}, len(all))
	s.Buried = func(tx *queue.Tx, j queue.Job, _ error) error {
		died <- struct{}{}
		return nil
	}
	w := &queue.Worker{
		Store: s, Log: slog.New(slog.DiscardHandler), Grace: time.Second, Lanes: []queue.Lane{{Name: lane, Workers: 2, Deadline: time.Minute}},
		Handlers: map[queue.Kind]queue.Handler{queue.KindMatch: func(_ context.Context, j queue.Job) (queue.Commit, error) {
			return nil, &adapters.Error{Kind: adapters.Permanent, Err: all[j.Key]}
		}},
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for range all {
		select {
		case <-died:
		case <-ctx.Done():
			t.Fatal("the jobs do not die")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	js, err := s.FindJobs(t.Context(), queue.JobFilter{State: "dead"}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range js {
		ids[j.Key] = j.ID
	}
	return ids
}

// look asks for a page as a browser does, and wants a status.
func (ho *house) look(path string, want int, change ...func(*http.Request)) string {
	ho.t.Helper()
	r := ho.ask("GET", path, "", append([]func(*http.Request){browser, bearer(token)}, change...)...)
	b := text(r)
	if r.StatusCode != want {
		ho.t.Fatalf("%s: %s\n%s", path, r.Status, b)
	}
	return b
}

// send posts a form as a browser does, and wants a status.
func (ho *house) send(path string, form url.Values, want int) (*http.Response, string) {
	ho.t.Helper()
	r := ho.ask("POST", path, form.Encode(), browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"))
	b := text(r)
	if r.StatusCode != want {
		ho.t.Fatalf("%s: %s\n%s", path, r.Status, b)
	}
	return r, b
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// answered are the fields of the question in a page.
func answered(page string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Add(m[1], html.UnescapeString(m[2]))
	}
	return v
}

func dead(t *testing.T, s *queue.Store) int {
	t.Helper()
	_, n, err := s.FindJobIDs(t.Context(), queue.JobFilter{State: "dead"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRetryAndDrop asks about some jobs, about all of a cause and about one, and does what was asked.
func TestRetryAndDrop(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	causes := map[string]error{}
	for i := range 6 {
		causes[fmt.Sprint("끊긴 ", i)] = fmt.Errorf("dial tcp: 10.0.0.%d: connection refused", i)
	}
	causes["그 밖"] = errors.New("a <b>mistake</b> of its own")
	ids := failing(t, ho.Store, "인스타", causes)
	const cause = "dial tcp: #.#.#.#: connection refused"
	list := "/jobs?" + url.Values{"state": {"dead"}, "cause": {cause}}.Encode()
	b := ho.look(list, 200)
	if !strings.Contains(b, "The upstream cannot be reached.") || !strings.Contains(b, "Drop all 6") || strings.Contains(b, "mistake") {
		t.Fatalf("the jobs of a cause: %s", b)
	}

	// Some: the question says how many, and nothing has happened yet.
	pick := url.Values{"id": {fmt.Sprint(ids["끊긴 0"]), fmt.Sprint(ids["끊긴 1"]), fmt.Sprint(ids["끊긴 1"])}, "do": {"retry"}, "back": {list}}
	b = ho.look("/jobs/ask?"+pick.Encode(), 200)
	if !strings.Contains(b, "2 selected.") || !strings.Contains(b, "<html") || dead(t, ho.Store) != 7 {
		t.Errorf("the question: %s", b)
	}
	if b := ho.look("/jobs/ask?"+pick.Encode(), 200, with("HX-Request", "true")); strings.Contains(b, "<html") || !strings.Contains(b, `id="dialog-title"`) {
		t.Errorf("the question for a script: %s", b)
	}
	r, _ := ho.send("/jobs/do", answered(b), 303)
	if r.Header.Get("Location") != list || dead(t, ho.Store) != 5 {
		t.Errorf("tried again: to %s, %d dead", r.Header.Get("Location"), dead(t, ho.Store))
	}

	// All of a cause, but for what was given up after the question. Somebody else has dropped one meanwhile.
	b = ho.look("/jobs/ask?"+url.Values{"all": {"1"}, "do": {"drop"}, "state": {"dead"}, "cause": {cause}, "back": {"/dead"}}.Encode(), 200)
	if !strings.Contains(b, "4 selected.") || !strings.Contains(b, cause) {
		t.Errorf("the question about all: %s", b)
	}
	if !strings.Contains(b, `data-close autofocus`) || strings.Count(b, "autofocus") != 1 {
		t.Errorf("Enter drops: %s", b)
	}
	form := answered(b)
	failing(t, ho.Store, "네이버", map[string]error{"늦은 것": errors.New("dial tcp: 10.0.0.9: connection refused")})
	ho.send("/jobs/do", url.Values{"do": {"drop"}, "id": {fmt.Sprint(ids["끊긴 2"])}}, 303)
	before := dead(t, ho.Store)
	r, _ = ho.send("/jobs/do", form, 303)
	if r.Header.Get("Location") != "/dead" || before-dead(t, ho.Store) != 3 {
		t.Errorf("dropped: to %s, %d of %d are left", r.Header.Get("Location"), dead(t, ho.Store), before)
	}
	if b := ho.look("/dead", 200, func(q *http.Request) {
		for _, c := range r.Cookies() {
			q.AddCookie(c)
		}
	}); !strings.Contains(b, "Dropped: 3") {
		t.Errorf("what was done is not said: %s", b)
	}
	r, _ = ho.send("/jobs/do", form, 303)
	if b := ho.look("/dead", 200, func(q *http.Request) {
		for _, c := range r.Cookies() {
			q.AddCookie(c)
		}
	}); !strings.Contains(b, "Nothing of it is left") {
		t.Errorf("the second press counts as a success: %s", b)
	}

	// One, from its own page.
	id := strconv.FormatInt(ids["그 밖"], 10)
	b = ho.look("/jobs/"+id, 200)
	if !strings.Contains(b, "a &lt;b&gt;mistake&lt;/b&gt; of its own") || strings.Contains(b, "<b>mistake") {
		t.Errorf("the job: %s", b)
	}
	ask := regexp.MustCompile(`href="(/jobs/ask\?[^"]*do=retry[^"]*)" data-dialog`).FindStringSubmatch(b)
	if ask == nil || strings.Contains(b, `action="/jobs/do"`) {
		t.Fatalf("the job is tried again without a question: %s", b)
	}
	if b = ho.look(html.UnescapeString(ask[1]), 200); !strings.Contains(b, `primary" autofocus`) || strings.Contains(b, `data-close autofocus`) {
		t.Errorf("the question about one: %s", b)
	}
	r, _ = ho.send("/jobs/do", answered(b), 303)
	if j, _, err := ho.Store.Job(t.Context(), ids["그 밖"]); err != nil || j.State == "dead" || r.Header.Get("Location") != "/jobs/"+id {
		t.Errorf("the job is %s (%v)", j.State, err)
	}
}

// TestNotAll wants those that can be done to be done, and to be told why the others cannot.
func TestNotAll(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	ids := failing(t, ho.Store, "인스타", map[string]error{"하나": errors.New("국물"), "둘": errors.New("국물")})
	if err := ho.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		_, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindMatch, Key: "둘"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, b := ho.send("/jobs/do", url.Values{"do": {"retry"}, "id": {fmt.Sprint(ids["둘"]), fmt.Sprint(ids["하나"]), "99", "q-<i>"}, "back": {"https://evil.test/"}}, 200)
	for _, want := range []string{"cannot live again: job 3 already does the same work", "there is no job 99", "It is not there any more.", "Another job does the same work.", "there is no dead question q-&lt;i&gt;", `href="/jobs"`} {
		if !strings.Contains(b, want) {
			t.Errorf("it does not say %q: %s", want, b)
		}
	}
	if dead(t, ho.Store) != 1 {
		t.Errorf("%d are dead", dead(t, ho.Store))
	}
}

// TestNothingUnbounded refuses what nobody means, before and after the question.
func TestNothingUnbounded(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	failing(t, ho.Store, "인스타", map[string]error{"하나": errors.New("국물")})
	for _, q := range []string{
		"", "do=eat&id=1", "do=drop", "do=drop&all=1", "do=drop&all=1&state=waiting", "do=drop&all=1&state=ready", "do=retry&all=1&state=running", "do=retry&all=1&pipeline=matzip",
		"do=drop&all=1&what=question", "do=drop&all=1&state=dead&cause=none",
	} {
		if b := ho.look("/jobs/ask?"+q, 400); strings.Contains(b, "<form class=\"confirm") {
			t.Errorf("%q is asked about", q)
		}
	}
	for _, q := range []string{"do=drop&all=1&count=9", "do=drop&all=1&state=dead", "do=eat&id=1", "id=1"} {
		v, _ := url.ParseQuery(q)
		ho.send("/jobs/do", v, 400)
	}
	if dead(t, ho.Store) != 1 {
		t.Error("something was done")
	}
	for _, back := range []string{"//evil.test/", "https://evil.test/", "/\\evil.test", "javascript:alert(1)", "jobs", "", "/a\r\nb"} {
		r, _ := ho.send("/jobs/do", url.Values{"do": {"retry"}, "id": {"1"}, "back": {back}}, 303)
		if to := r.Header.Get("Location"); to != "/jobs" {
			t.Errorf("%q leads back to %q", back, to)
		}
	}
}

// TestRunsAreThere asks for every view of a small state, and for what is not there.
func TestRunsAreThere(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	for _, path := range []string{"/runs", "/jobs", "/accounts", "/batches", "/dead", "/dead/questions?cause=x"} {
		if b := ho.look(path, 200); !strings.Contains(b, "empty") {
			t.Errorf("%s of an empty state: %s", path, b)
		}
	}
	for path, want := range map[string]string{
		"/jobs": "There is nothing to be done just now.", "/jobs?state=dead": "There is no such job.", "/accounts": "No account was looked at yet.", "/accounts?name=x": "There is no such account.",
		"/batches": "No batch was made yet.", "/batches?state=done": "There is no such batch.", "/map": "No place yet.", "/map?q=x": "No place fits.",
	} {
		if b := ho.look(path, 200); !strings.Contains(b, want) {
			t.Errorf("%s of an empty state does not say %q: %s", path, want, b)
		}
	}
	for _, path := range []string{"/runs/1", "/runs/x", "/runs/-1", "/runs/99999999999999999999", "/jobs/1", "/jobs/x", "/batches/1", "/accounts/matzip/x", "/accounts/matzip"} {
		ho.look(path, 404)
	}
	// An account may have any name that can be written.
	target := `a/b?c#d & "마라" <i>`
	err := ho.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("마켓/11번가", false, nil)
		if err != nil {
			return err
		}
		if err := tx.StartRun(run.ID); err != nil {
			return err
		}
		ws, err := tx.Begin(run, target, []string{"posts"})
		if err != nil {
			return err
		}
		_, err = tx.Add(queue.Job{Pipeline: "마켓/11번가", Lane: "instagram", Kind: queue.KindPage, Key: "page:마켓/11번가:" + target + ":posts", Args: fmt.Appendf(nil, `{"walk":%d}`, ws[0].ID)})
		return errors.Join(err, tx.SeeCount("마켓/11번가", target, 1), tx.AddSlots(run.ID, "instagram", map[string]float64{"call": 3, "<b>": 1, queue.LostOwn: -0.01, "held": 0.001}), tx.Book(run.ID, "instagram", queue.UsedRequests, 12, 0), tx.Book(run.ID, "openai", queue.UsedRequests, 2, 0), tx.Waste(run.ID, "instagram", queue.WasteRefused, 3, 0), jobs.WantBatch(tx, "마켓/11번가"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if b := ho.look("/runs/1", 200); strings.Contains(b, `class="stretches"`) {
		t.Errorf("a run of one minute has a picture of full bars: %s", b)
	}
	ho.Store.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	if err := ho.Store.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Book(1, "instagram", queue.UsedRequests, 9, 0) }); err != nil {
		t.Fatal(err)
	}
	path := "/accounts/" + url.PathEscape("마켓/11번가") + "/" + url.PathEscape(target)
	for _, from := range []string{"/accounts", "/jobs", "/jobs/1"} {
		if b := ho.look(from, 200); !strings.Contains(b, `href="`+html.EscapeString(path)+`"`) || strings.Contains(b, "<i>") {
			t.Errorf("%s does not lead to %s: %s", from, path, b)
		}
	}
	if b := ho.look(path, 200); !strings.Contains(b, "a/b?c#d &amp; &#34;마라&#34; &lt;i&gt;") || !strings.Contains(b, "/ 1</span>") {
		t.Errorf("the account: %s", b)
	}
	b := ho.look("/runs/1", 200, with("Accept-Language", "ko"))
	for _, want := range []string{"실행 1", "가격 미설정", "목록 준비", "instagram: 한도가", "&lt;b&gt;", "75.0 %", "instagram 요청(", "1분에 최대 12건", `height="1000.0"`, `class="refused" x="0.00" y="750.0"`, `data-events="view=run&arg=1"`} {
		if !strings.Contains(b, want) {
			t.Errorf("the run does not say %q: %s", want, b)
		}
	}
	if n := strings.Count(b, "가격 미설정"); n != 1 {
		t.Errorf("%d times no price is set: requests of OpenAI have none by nature: %s", n, b)
	}
	// Several of a kind are told apart by the names of their tabs.
	for path, want := range map[string]string{"/runs/1": "Run 1", "/jobs/1": "Job 1", path: "\u2068" + html.EscapeString(target) + "\u2069", "/runs": "Runs"} {
		if b := ho.look(path, 200); !strings.Contains(b, "<title>"+want+" · sumbi</title>") {
			t.Errorf("%s is not called %q: %s", path, want, b)
		}
	}
	if strings.Contains(b, `width="-`) || strings.Contains(b, "0.0 %") {
		t.Errorf("what is nothing, or less by a rounding, is shown: %s", b)
	}
}

// TestMoreThanCounted has more posts of an account than the upstream counts: some were deleted. That is not shown as "2 / 1".
func TestMoreThanCounted(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}}, candidates(1))
	accounts, err := ho.Store.Accounts(t.Context(), queue.AccountFilter{}, queue.AccountID{}, 2)
	if err != nil || len(accounts) != 1 {
		t.Fatal(accounts, err)
	}
	a := accounts[0]
	for total, want := range map[int]bool{5: true, 1: false} {
		if err := ho.Store.Tx(t.Context(), func(tx *queue.Tx) error { return tx.SeeCount(a.Pipeline, a.Target, total) }); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/accounts", "/accounts/" + url.PathEscape(a.Pipeline) + "/" + url.PathEscape(a.Target)} {
			if b := ho.look(path, 200); strings.Contains(b, fmt.Sprintf("/ %d</span>", total)) != want {
				t.Errorf("%d counted, %s: %s", total, path, b)
			}
		}
	}
}

// TestPages goes through each list of the large state page by page, and wants everything once.
func TestPages(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	ho := newHouse(t, token, func(w *web.Server) { w.Store = s })
	row := regexp.MustCompile(`<th scope="row" class="main[^"]*"><a href="([^"]*)"`)
	next := regexp.MustCompile(`href="([^"]*)" rel="next"`)
	for path, want := range map[string]int{"/jobs?state=dead": 420, "/accounts": bigtest.Accounts, "/jobs?state=dead&cause=" + url.QueryEscape("status 404: page not found"): 60} {
		seen := map[string]bool{}
		for p := path; p != ""; {
			b := ho.look(p, 200)
			for _, m := range row.FindAllStringSubmatch(b, -1) {
				if seen[m[1]] {
					t.Errorf("%s shows %s twice", path, m[1])
				}
				seen[m[1]] = true
			}
			p = ""
			if m := next.FindStringSubmatch(b); m != nil {
				p = html.UnescapeString(m[1])
			}
		}
		if len(seen) != want {
			t.Errorf("%s shows %d, want %d", path, len(seen), want)
		}
	}
}

// TestPlain says errors as sumbi's parts say them, and wants each to have the right plain words.
func TestPlain(t *testing.T) {
	t.Parallel()
	for err, want := range map[string]string{
		"instagram: GET /v1.2/posts: 503 Service Unavailable":                                   "trouble of its own",
		"instagram: GET /v1.2/posts: no answer within 30s: context deadline exceeded":           "did not answer in time",
		"naver: GET /v1/search/local.json: dial tcp 127.0.0.1:1: connect: connection refused":   "cannot be reached",
		"naver: GET /v1/search/local.json: 429 Too Many Requests":                               "fewer calls",
		"instagram: GET /v1.2/posts: 404 Not Found":                                             "is not there",
		"openai: POST /v1/files: 401 Unauthorized: Incorrect API key provided":                  "does not accept the key",
		"instagram: GET /v1.2/posts: 403 Forbidden: You are not subscribed to this API.":        "may not ask for this",
		"budget: the budget of this month is used up, $5 of $5":                                 "What may be spent is used up",
		"the budget of run 1 is used up, $0.02 of $0.02; goes on with a higher run in [budget]": "What may be spent is used up",
		"panic: runtime error: index out of range [3]\ngoroutine 7":                             "a mistake in sumbi itself",
		"the process ended while this job ran alone":                                            "the process died",
		"the process stopped: context canceled":                                                 "stopped before it was done",
		"dropped by hand":                                                                       "Somebody has dropped it",
		"instagram: the account is private: 404":                                                "is private",
		"instagram: the page is refused: 400 Bad Request":                                       "no longer knows where",
		"instagram: GET /posts: the answer is not the JSON expected: invalid character '<'":     "not what was asked for",
		"openai: file file-1 breaks off after 12 bytes: unexpected EOF":                         "came incomplete",
		"openai: the model refused: no":                                                         "The model refused",
		"openai: the content filter stopped the answer":                                         "stopped by a filter",
		"pipeline matzip no longer delivers to mongo; drop its jobs":                            "configuration no longer has",
		"kakao: it does not answer; `sumbi status` says since when":                             "does not answer anybody",
		"naver: it asks to be left alone until 2026-12-02 13:00 KST: GET /v1: status 503":       "says until when",
		"mongo: write exception: E11000 duplicate key error":                                    "another record where",
		"job 3 cannot live again: job 4 already does the same work; drop this one":              "Another job does the same",
		"this text cannot be put into a batch":                                                  "cannot be put to the model",
		"국물이 식었다":                                                                               "",
		"":                                                                                      "",
	} {
		if got := web.Plain(err); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q is said as %q, want %q", err, got, want)
		}
	}
}
