package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func TestCause(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, err, want string }{
		{"nothing", "", queue.NoCause},
		{"blank", " \n국물", queue.NoCause},
		{"a status stays", "instagram: GET /v1.2/posts: 503 Service Unavailable", "instagram: GET /#.#/posts: 503 Service Unavailable"},
		{"numbers go", "limit instagram/1 is free in 812ms (rate)", "limit instagram/# is free in # (rate)"},
		{"so does what is quoted", `"을지로골목" is no Instagram account`, `"…" is no Instagram account`},
		{"the first line", "panic: 국물\ngoroutine 1 [running]:", "panic: 국물"},
		{"ids", "openai: req_8f3a-가나: the answer was cut short", "openai: #: the answer was cut short"},
		{"Hangul", "국물이 식었다", "국물이 식었다"},
		{"other digits", "٣٤ 개", "# 개"},
		{"no UTF-8", "앞\xff뒤", "앞�뒤"},
		{"long", strings.Repeat("가나 ", 200), strings.Repeat("가나 ", 53) + "…"},
	} {
		if got := queue.Cause(tt.err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if again := queue.Cause(queue.Cause(tt.err)); again != tt.want {
			t.Errorf("%s: the cause of the cause is %q", tt.name, again)
		}
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	for range 3 { // three further runs of another pipeline
		within(t, s, func(tx *queue.Tx) error {
			_, _, err := tx.AskRun("velog", true, []string{"순대"})
			return err
		})
		check(t, s.Exec(t.Context(), `update run set state = 'done' where pipeline = 'velog'`))
	}
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.Book(3, "velog", "request", 7, 1e6), tx.Waste(3, "velog", queue.WasteRefused, 2, 2), tx.Waste(3, "velog", queue.WasteFailed, 1, 1))
	})
	check(t, s.Exec(t.Context(), `update batch set reserved = 40`))
	rs, err := s.Runs(t.Context(), "", 0, 3)
	check(t, err)
	ids := func(rs []queue.RunRow) (ids []int64) {
		for _, r := range rs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	same(t, "the newest", ids(rs), []int64{4, 3, 2})
	if r := rs[1]; r.Requests != 7 || r.Refused != 2 || r.Booked != 7 || r.Wasted != 3 || r.Reserved != 0 || r.Targets[0] != "순대" {
		t.Errorf("run 3: %+v", r)
	}
	rs, err = s.Runs(t.Context(), "", 2, 3)
	check(t, err)
	same(t, "the next ones", ids(rs), []int64{1})
	if r := rs[0]; r.Requests != 3 || r.Refused != 1 || r.Booked != 50 || r.Wasted != 13 || r.Reserved != 40 || r.Pages != 2 || r.Fresh != 7 || r.All() != 90 {
		t.Errorf("run 1: %+v", r)
	}
	rs, err = s.Runs(t.Context(), "velog", 4, 10)
	check(t, err)
	same(t, "of a pipeline", ids(rs), []int64{3, 2})
	rs, err = s.Runs(t.Context(), "없는 것", 0, 10)
	check(t, err)
	same(t, "of none", len(rs), 0)
	ps, err := s.Pipelines(t.Context())
	check(t, err)
	same(t, "pipelines", ps, []string{"matzip", "velog"})
}

func TestRunStory(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	s.Now = time.Now
	within(t, s, func(tx *queue.Tx) error {
		w, err := tx.Walk(2)
		if err != nil {
			return err
		}
		w.Pages, w.State, w.Note, w.Cuts = 9, queue.WalkUnfinished, "제자리", 2
		if err := tx.Advance(&w); err != nil {
			return err
		}
		w, err = tx.Walk(1)
		w.Pages = 4
		bs, err2 := s.OpenBatches(t.Context())
		if err := errors.Join(err, err2); err != nil || len(bs) != 1 {
			return fmt.Errorf("%d batches: %w", len(bs), err)
		}
		// What nothing explains may come out a little below nothing.
		return errors.Join(tx.Advance(&w), tx.PayBatch(bs[0].ID, 20), tx.AddSlots(1, "인스타", map[string]float64{queue.LostOwn: -0.02}))
	})
	st, err := s.RunStory(t.Context(), 1)
	check(t, err)
	same(t, "used", st.Used, []queue.Entry{{Upstream: "openai", What: "input_token", N: 900, MicroUSD: 12}, {Upstream: "openai", What: "output_token", N: 90, MicroUSD: 8}, {Upstream: "인스타", What: "request", N: 3, MicroUSD: 30}})
	same(t, "in vain", st.InVain, []queue.Entry{{Upstream: "openai", What: "failed", N: 2, MicroUSD: 3}, {Upstream: "인스타", What: "refused", N: 1, MicroUSD: 10}})
	same(t, "days", st.Days, []queue.DayUse{{Day: "2025-03-10", Upstream: "openai"}, {Day: "2025-03-10", Upstream: "인스타", Requests: 3, Refused: 1}})
	same(t, "slots", st.Slots, []queue.Slot{{Lane: "인스타", What: "call", N: 3, Share: 3 / 4.5}, {Lane: "인스타", What: "no page", N: 1.5, Share: 1.5 / 4.5}})
	if st.Lists != 3 || st.ListsLeft != 2 || len(st.Longest) != 2 || st.Longest[0].Pages != 9 || st.Longest[0].List != "reels" || len(st.Open) != 1 || st.Open[0].Note != "제자리" {
		t.Errorf("lists: %d, %d left, longest %+v, open %+v", st.Lists, st.ListsLeft, st.Longest, st.Open)
	}
	if len(st.Batches) != 1 || st.Batches[0].Lines != 4 || st.Batches[0].MicroUSD != 20 {
		t.Errorf("batches %+v", st.Batches)
	}
	if _, err := s.RunStory(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("run 99: %v", err)
	}
}

// TestRunStretches books requests over four hours: the picture has a stretch of two minutes for every two minutes.
func TestRunStretches(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(5) }
	run, _ := begin(t, s, "을지로골목", "posts")
	for _, x := range []struct {
		after    time.Duration
		upstream string
		n, no    int64
	}{{0, "인스타", 5, 1}, {59 * time.Second, "인스타", 3, 0}, {61 * time.Second, "인스타", 2, 2}, {2 * time.Minute, "인스타", 7, 0}, {4*time.Hour - time.Second, "네이버", 1, 0}, {time.Hour, "", 9, 9}} {
		s.Now = func() time.Time { return day(5).Add(x.after) }
		id := run.ID
		if x.upstream == "" { // of no run
			id, x.upstream = 0, "인스타"
		}
		within(t, s, func(tx *queue.Tx) error {
			return errors.Join(tx.Book(id, x.upstream, queue.UsedRequests, x.n, 0), tx.Book(id, x.upstream, queue.UsedInput, 100, 0), tx.Waste(id, x.upstream, queue.WasteRefused, x.no, 0), tx.Waste(id, x.upstream, queue.WasteFailed, 1, 0))
		})
	}
	st, err := s.RunStory(t.Context(), run.ID)
	check(t, err)
	same(t, "stretch", st.Stretch, 2*time.Minute)
	at := func(n int) time.Time { return day(5).Add(time.Duration(n) * time.Minute) }
	same(t, "stretches", st.Stretches, []queue.Stretch{{Upstream: "네이버", At: at(238), Requests: 1}, {Upstream: "인스타", At: at(0), Requests: 10, Refused: 3}, {Upstream: "인스타", At: at(2), Requests: 7}})
	rows(t, s, `select count(*), sum(requests), sum(refused) from run_minute`, "4|18|3")

	check(t, s.Exec(t.Context(), `update run set state = 'done', ended_at = '2020-01-01T00:00:00.000Z'`))
	check(t, s.Exec(t.Context(), `delete from walk`))
	within(t, s, func(tx *queue.Tx) error {
		return tx.AddSlots(run.ID, "인스타", map[string]float64{queue.SlotCall: 3})
	})
	const books = `select 'used', day, upstream, what, sum(n), sum(micro_usd) from usage group by day, upstream, what
		union all select 'in vain', day, upstream, what, sum(n), sum(micro_usd) from waste group by day, upstream, what order by 1, 2, 3, 4`
	before, err := s.Rows(t.Context(), books)
	check(t, err)
	for range 2 { // the second time there is nothing to forget
		within(t, s, func(tx *queue.Tx) error { return tx.ForgetRuns("matzip", day(5)) })
		rows(t, s, `select count(*) from run_minute`, "0")
		rows(t, s, `select count(*) from slot`, "0")
		rows(t, s, `select count(*) from usage where run <> 0`, "0")
		rows(t, s, `select count(*) from waste where run <> 0`, "0")
		rows(t, s, books, before...)
	}
}

// TestRunFailures wants the same thing to be counted once, whatever numbers it has, and the pages of other pipelines left out.
func TestRunFailures(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(5) }
	run, _ := begin(t, s, "을지로골목", "posts")
	for i, e := range []struct{ kind, key, at, err string }{
		{"page", "page:matzip:을지로골목:posts", "2025-03-05T03:00:01.000Z", "쪽 12에서 멎었다: 503"},
		{"page", "page:matzip:을지로골목:posts", "2025-03-05T03:00:03.000Z", "쪽 99에서 멎었다: 503"},
		{"page", "page:matzip:을지로골목:posts", "2025-03-05T03:00:02.000Z", "쪽 99에서 멎었다: 500"},
		{"page", "page:matzip2:남:posts", "2025-03-05T03:00:02.000Z", "쪽 1에서 멎었다: 503"},
		{"match", "match:7", "2025-03-05T03:00:02.000Z", "쪽 1에서 멎었다: 503"},
		{"match", "match:7", "2025-03-04T03:00:02.000Z", "그 전"},
		{"match", "match:7", "2025-03-06T03:00:02.000Z", "그 뒤"},
	} {
		check(t, s.Exec(t.Context(), fmt.Sprintf(`insert into job_error (job, kind, key, attempt, at, err) values (%d, '%s', '%s', 1, '%s', '%s')`, i+1, e.kind, e.key, e.at, e.err)))
	}
	s.Now = func() time.Time { return day(5).Add(time.Hour) }
	st, err := s.RunStory(t.Context(), run.ID)
	check(t, err)
	at := func(n int) time.Time { return day(5).Add(time.Duration(n) * time.Second) }
	same(t, "failures", st.Failures, []queue.Failure{
		{Kind: "page", Cause: "쪽 # 멎었다: 503", N: 2, Last: at(3), Err: "쪽 99에서 멎었다: 503", Job: 2},
		{Kind: "match", Cause: "쪽 # 멎었다: 503", N: 1, Last: at(2), Err: "쪽 1에서 멎었다: 503", Job: 5},
		{Kind: "page", Cause: "쪽 # 멎었다: 500", N: 1, Last: at(2), Err: "쪽 99에서 멎었다: 500", Job: 3},
	})
}

func TestFindJobs(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	s.Now = time.Now
	find := func(f queue.JobFilter, before int64, n int) (got []string) {
		t.Helper()
		js, err := s.FindJobs(t.Context(), f, before, n)
		check(t, err)
		for _, j := range js {
			got = append(got, fmt.Sprint(j.ID, " ", j.State, " ", j.Key))
		}
		return got
	}
	all := []string{"5 ready 바로", "4 waiting 나중", "3 running 도는", "2 dead 마름", "1 ready deliver:mongo:matzip"}
	same(t, "all", find(queue.JobFilter{}, 0, 9), all)
	same(t, "the first", find(queue.JobFilter{}, 0, 2), all[:2])
	same(t, "the next", find(queue.JobFilter{}, 4, 2), all[2:4])
	for _, tt := range []struct {
		name string
		f    queue.JobFilter
		want []string
	}{
		{"dead", queue.JobFilter{State: "dead"}, all[3:4]},
		{"running", queue.JobFilter{State: "running"}, all[2:3]},
		{"waiting", queue.JobFilter{State: "waiting"}, all[1:2]},
		{"ready", queue.JobFilter{State: "ready"}, []string{all[0], all[4]}},
		{"no state", queue.JobFilter{State: "먹는 중"}, nil},
		{"a kind", queue.JobFilter{Kind: "deliver"}, all[4:]},
		{"a lane", queue.JobFilter{Lane: "인스타", State: "ready"}, all[:1]},
		{"a pipeline", queue.JobFilter{Pipeline: "velog"}, nil},
		{"a cause", queue.JobFilter{Cause: "인스타: 국물이 식었다"}, all[3:4]},
		{"another cause", queue.JobFilter{Cause: "인스타: 국물이"}, nil},
		{"none told", queue.JobFilter{Cause: queue.NoCause}, []string{all[0], all[1], all[2], all[4]}},
		{"up to", queue.JobFilter{Most: 2}, all[3:]},
	} {
		same(t, tt.name, find(tt.f, 0, 9), tt.want)
		ids, n, err := s.FindJobIDs(t.Context(), tt.f, 1)
		check(t, err)
		if n != len(tt.want) || len(ids) != min(1, n) {
			t.Errorf("%s: %d ids of %d, want %d", tt.name, len(ids), n, len(tt.want))
		}
	}
	counts, err := s.JobCounts(t.Context(), "matzip")
	check(t, err)
	same(t, "counts", counts, []queue.JobCount{
		{"matzip", "mongo", "deliver", "ready", 1},
		{"matzip", "인스타", "page", "dead", 1},
		{"matzip", "인스타", "page", "ready", 1},
		{"matzip", "인스타", "page", "running", 1},
		{"matzip", "인스타", "page", "waiting", 1},
	})
	counts, err = s.JobCounts(t.Context(), "velog")
	check(t, err)
	same(t, "counts of another", len(counts), 0)
	name, err := s.JobName(t.Context(), 2)
	check(t, err)
	same(t, "name", name, queue.JobName{Kind: "page", Key: "마름"})
	if _, err := s.JobName(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("job 99: %v", err)
	}
	for key, want := range map[string]int64{"도는": 3, "마름": 0, "없는 것": 0} {
		id, err := s.LiveJob(t.Context(), key)
		check(t, err)
		same(t, "live job of "+key, id, want)
	}
	most, err := s.HighestJob(t.Context())
	check(t, err)
	same(t, "highest", most, int64(5))
}

// TestJobsOfACause finds a few jobs of one cause among more of another than are read at once.
func TestJobsOfACause(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.Exec(t.Context(), `insert into job (pipeline, lane, kind, state, due, err, created_at)
		with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)
		select 'matzip', '인스타', 'page', 'dead', '2025-03-01T03:00:00.000Z', case when i % 1000 = 0 then '쪽 ' || i || '이 없다' else '국물 ' || (10000 + i) end, '2025-03-01T03:00:00.000Z' from n`))
	f := queue.JobFilter{State: "dead", Cause: "쪽 # 없다"}
	js, err := s.FindJobs(t.Context(), f, 0, 3)
	check(t, err)
	if len(js) != 3 || js[0].ID != 5000 || js[2].ID != 3000 {
		t.Errorf("got %+v", js)
	}
	js, err = s.FindJobs(t.Context(), f, js[2].ID, 3)
	check(t, err)
	if len(js) != 2 || js[1].ID != 1000 {
		t.Errorf("got %+v", js)
	}
	ids, n, err := s.FindJobIDs(t.Context(), f, 2)
	check(t, err)
	same(t, "ids", ids, []int64{1000, 2000})
	same(t, "in all", n, 5)
	groups, err := s.DeadGroups(t.Context())
	check(t, err)
	if len(groups) != 2 || groups[0].N != 4995 || groups[1].N != 5 || groups[1].Most != 5000 || groups[1].Cause != f.Cause {
		t.Errorf("groups %+v", groups)
	}
}

func TestDeadGroups(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	groups, err := s.DeadGroups(t.Context())
	check(t, err)
	if len(groups) != 2 {
		t.Fatalf("groups %+v", groups)
	}
	job, text := groups[0], groups[1]
	if job.What != queue.DeadJob || job.Kind != "page" || job.Pipeline != "matzip" || job.N != 1 || job.Cause != "인스타: 국물이 식었다" || job.Most != 2 || job.First.IsZero() || !job.First.Equal(job.Last) {
		t.Errorf("job: %+v", job)
	}
	same(t, "question", text, queue.DeadGroup{What: queue.DeadQuestion, Pipeline: "matzip", Cause: "거절", N: 1, First: day(10), Last: day(10), Err: "거절", Most: text.Most})
	ids, n, err := s.DeadIDs(t.Context(), job, 5)
	check(t, err)
	same(t, "jobs", ids, []string{"2"})
	same(t, "jobs in all", n, 1)
	ids, n, err = s.DeadIDs(t.Context(), text, 5)
	check(t, err)
	same(t, "questions", ids, []string{"q-p5"})
	same(t, "questions in all", n, 1)
	for _, g := range []queue.DeadGroup{{What: "question", Cause: "남"}, {What: "question", Cause: "거절", Pipeline: "velog"}, {What: "question", Cause: "거절", Most: 1}} {
		if ids, n, err := s.DeadIDs(t.Context(), g, 5); err != nil || n != 0 || len(ids) != 0 {
			t.Errorf("%+v: %v, %d, %v", g, ids, n, err)
		}
	}
	texts, err := s.DeadTexts(t.Context(), text, 0, 5)
	check(t, err)
	same(t, "texts", texts, []queue.DeadText{{ID: text.Most, Key: "q-p5", Pipeline: "matzip", Body: "본문\np5", Err: "거절", At: day(10), Posts: []queue.PostName{{"post", "p5", "을지로골목"}}, All: 1}})
	texts, err = s.DeadTexts(t.Context(), text, text.Most, 5)
	check(t, err)
	same(t, "texts before that", len(texts), 0)
}

// TestDeadTextsNamePosts wants the first posts of each question to be named, and all of them to be counted.
func TestDeadTextsNamePosts(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	var posts []adapters.Record
	for n := range 9 {
		posts = append(posts, post(fmt.Sprint("p", n), "냉면", n+1))
	}
	kept := put(t, s, ws[0], posts...)
	within(t, s, func(tx *queue.Tx) error {
		for n, st := range kept {
			question := "많은"
			if n%4 == 3 { // p3 and p7
				question = "적은"
			}
			if _, _, err := tx.Ask("matzip", st.ID, question, question); err != nil {
				return err
			}
		}
		return nil
	})
	check(t, s.Exec(t.Context(), `update question set state = 'dead', err = '거절', answered_at = '2026-11-10T03:00:00.000Z'`))
	texts, err := s.DeadTexts(t.Context(), queue.DeadGroup{What: queue.DeadQuestion, Pipeline: "matzip", Cause: "거절"}, 0, 5)
	check(t, err)
	said := map[string]string{}
	for _, d := range texts {
		for _, p := range d.Posts {
			said[d.Key] += p.Key + " "
		}
		said[d.Key] += fmt.Sprint("of ", d.All)
	}
	same(t, "posts", said, map[string]string{"많은": "p0 p1 p2 p4 p5 of 7", "적은": "p3 p7 of 2"})
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	got, err := s.Subjects(t.Context(), []int64{1, 4, 99})
	check(t, err)
	same(t, "subjects", got, map[int64]queue.Subject{
		1: {1, "을밀대", "place", "naver:1", "post", "p1", "을지로골목"},
		4: {4, "신승반점", "waiting", "", "post", "p7", "을지로골목"},
	})
	got, err = s.Subjects(t.Context(), nil)
	check(t, err)
	same(t, "none", len(got), 0)
	ws, err := s.WalksByID(t.Context(), []int64{2, 99})
	check(t, err)
	if len(ws) != 1 || ws[2].List != "reels" {
		t.Errorf("walks %+v", ws)
	}
	ws, err = s.WalksByID(t.Context(), nil)
	check(t, err)
	same(t, "no walks", len(ws), 0)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	check(t, s.Exec(t.Context(), `insert into target (pipeline, target, name, silent_since, state) values ('velog', 'Gukbap', 'NewName', '2025-01-01T03:00:00.000Z', 'ok'), ('velog', '닫힌집', '', null, 'private')`))
	check(t, s.Exec(t.Context(), `update walk set state = 'unfinished', cuts = 2, note = '제자리' where list = 'reels'`))
	find := func(f queue.AccountFilter, after queue.AccountID, n int) (got []string) {
		t.Helper()
		as, err := s.Accounts(t.Context(), f, after, n)
		check(t, err)
		for _, a := range as {
			got = append(got, a.Target)
		}
		return got
	}
	same(t, "all", find(queue.AccountFilter{}, queue.AccountID{}, 9), []string{"사라진집", "을지로골목", "Gukbap", "닫힌집"})
	same(t, "the first", find(queue.AccountFilter{}, queue.AccountID{}, 2), []string{"사라진집", "을지로골목"})
	same(t, "the next", find(queue.AccountFilter{}, queue.AccountID{"matzip", "을지로골목"}, 1), []string{"Gukbap"})
	for _, tt := range []struct {
		f    queue.AccountFilter
		want []string
	}{
		{queue.AccountFilter{Pipeline: "velog"}, []string{"Gukbap", "닫힌집"}},
		{queue.AccountFilter{State: "ok"}, []string{"을지로골목", "Gukbap"}},
		{queue.AccountFilter{State: "gone"}, []string{"사라진집"}},
		{queue.AccountFilter{State: "private"}, []string{"닫힌집"}},
		{queue.AccountFilter{State: "silent"}, []string{"Gukbap"}},
		{queue.AccountFilter{State: "renamed"}, []string{"Gukbap"}},
		{queue.AccountFilter{State: "gap"}, []string{"을지로골목"}},
		{queue.AccountFilter{State: "배고픈"}, nil},
		{queue.AccountFilter{Name: "골목"}, []string{"을지로골목"}},
		{queue.AccountFilter{Name: "newn"}, []string{"Gukbap"}},
		{queue.AccountFilter{Name: "%"}, nil},
	} {
		same(t, fmt.Sprintf("%+v", tt.f), find(tt.f, queue.AccountID{}, 9), tt.want)
	}
	as, err := s.Accounts(t.Context(), queue.AccountFilter{Name: "을지로"}, queue.AccountID{}, 9)
	check(t, err)
	a := as[0]
	if a.Total != 321 || a.Seen != -1 || len(a.Walks) != 2 || a.Walks[0].List != "posts" || !a.Gap || !a.Checked.Equal(day(10)) {
		t.Errorf("account %+v", a)
	}
	same(t, "results", a.Results, queue.Results{Posts: 7, Mentions: 4, Places: 1})
	counts, err := s.AccountCounts(t.Context(), "")
	check(t, err)
	same(t, "counts", counts, []queue.AccountCount{{"", 4}, {"ok", 2}, {"gone", 1}, {"private", 1}, {"silent", 1}, {"renamed", 1}, {"gap", 1}})
	counts, err = s.AccountCounts(t.Context(), "없는 것")
	check(t, err)
	same(t, "counts of none", counts[0].N+counts[1].N, 0)
}

func TestAccountStory(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	full(t, s)
	check(t, s.Exec(t.Context(), `update walk set state = 'unfinished', cuts = 2, note = '제자리', pages = 3 where list = 'reels'`))
	st, err := s.AccountStory(t.Context(), queue.AccountID{"matzip", "을지로골목"})
	check(t, err)
	if st.Posts != 7 || st.Review != 1 || len(st.Walks) != 2 {
		t.Errorf("story %+v", st)
	}
	same(t, "gaps", st.Gaps, []queue.AccountGap{{Gap: queue.Gap{Pipeline: "matzip", Target: "을지로골목", List: "reels", Runs: 2, Note: "제자리"}, State: "unfinished", Pages: 3}})
	same(t, "states", st.States, []queue.AccountCount{{"asked", 2}, {"dead", 1}, {"done", 1}, {"matching", 1}, {"new", 1}, {"skipped", 1}})
	if len(st.Newest) != 7 {
		t.Fatalf("posts %+v", st.Newest)
	}
	same(t, "newest", st.Newest[0], queue.AccountPost{Stream: "post", Key: "p7", At: day(7), State: "matching", Caption: "짜장면", Mentions: 1})
	same(t, "oldest", st.Newest[6], queue.AccountPost{Stream: "post", Key: "p1", At: day(1), State: "done", Caption: "평양냉면 <b>맛집</b>", Mentions: 3, Places: 1, Review: 1})
	if len(st.Top) != 1 || st.Top[0].ID != "naver:1" || st.Top[0].Mentions != 1 || !st.Top[0].Last.Equal(day(1)) {
		t.Errorf("places %+v", st.Top)
	}
	if _, err := s.AccountStory(t.Context(), queue.AccountID{"matzip", "없는집"}); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("no account: %v", err)
	}
}

// TestBatchFates follows the lines of a batch until it has ended.
func TestBatchFates(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	asked(t, s, 6)
	check(t, s.Exec(t.Context(), `update question set attempt = 1 where key in ('q1', 'q2')`))
	b := chosen(t, s)
	answered(t, s, b, "q5", `{}`, true)
	within(t, s, func(tx *queue.Tx) error {
		b.State, b.Reserved = queue.BatchReading, 70
		return errors.Join(tx.Unanswered(b.ID, "q1", "답 7이 잘렸다"), tx.Unanswered(b.ID, "q2", "답 8이 잘렸다"), tx.Unanswered(b.ID, "q3", "거절"), tx.SaveBatch(b), tx.PayBatch(b.ID, 25), tx.PayBatch(b.ID, 0), tx.PayBatch(b.ID, 5))
	})
	add(t, s, queue.Job{Pipeline: "matzip", Lane: "openai", Kind: queue.KindBatch, Key: "batch:1"})
	st, err := s.BatchStory(t.Context(), b.ID, "batch:1")
	check(t, err)
	same(t, "open lines", st.Open, []queue.LineFate{{"sent", "", 2}, {"sent", "답 # 잘렸다", 2}, {"sent", "거절", 1}})
	if st.Job != 1 || st.MicroUSD != 30 || st.Reserved != 70 || len(st.List()) != 0 {
		t.Errorf("story %+v", st)
	}
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.KillLine(b.ID, 99, "없는 줄"); err != nil {
			return err
		}
		moved, err := tx.Requeue(b.ID, 9, 2, true, "답이 없다")
		if moved != 5 {
			t.Errorf("moved %d", moved)
		}
		b.State, b.Answered, b.Failed = queue.BatchDone, 1, moved
		return errors.Join(err, tx.SaveBatch(b))
	})
	st, err = s.BatchStory(t.Context(), b.ID, "batch:9")
	check(t, err)
	same(t, "fates", st.List(), []queue.LineFate{{"dead", "답 # 잘렸다", 2}, {"waiting", "답이 없다", 2}, {"waiting", "거절", 1}})
	if st.Job != 0 || len(st.Open) != 0 {
		t.Errorf("story %+v", st)
	}
	if _, err := s.BatchStory(t.Context(), 99, ""); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("batch 99: %v", err)
	}
	within(t, s, func(tx *queue.Tx) error { _, err := tx.NewBatch("velog", "gpt-5-nano"); return err })
	for _, tt := range []struct {
		f      queue.BatchFilter
		before int64
		want   []int64
	}{
		{queue.BatchFilter{}, 0, []int64{2, 1}},
		{queue.BatchFilter{}, 2, []int64{1}},
		{queue.BatchFilter{State: "open"}, 0, []int64{2}},
		{queue.BatchFilter{State: "done"}, 0, []int64{1}},
		{queue.BatchFilter{Pipeline: "velog", State: "done"}, 0, nil},
	} {
		bs, err := s.Batches(t.Context(), tt.f, tt.before, 9)
		check(t, err)
		var got []int64
		for _, b := range bs {
			got = append(got, b.ID)
			if b.ID == 1 && (b.MicroUSD != 30 || len(b.Again) != 2) {
				t.Errorf("batch 1: %+v", b)
			}
		}
		same(t, fmt.Sprintf("%+v", tt.f), got, tt.want)
	}
}

// TestManyFates wants what is kept of a batch to stay small, whatever is wrong with its lines.
func TestManyFates(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	const n = queue.MostFates + 5
	asked(t, s, n)
	b := chosen(t, s)
	within(t, s, func(tx *queue.Tx) error {
		for i := range n {
			if err := tx.Unanswered(b.ID, fmt.Sprint("q", i), strings.Repeat("탕", i+1)); err != nil {
				return err
			}
		}
		_, err := tx.Requeue(b.ID, n, 5, true, "")
		return err
	})
	st, err := s.BatchStory(t.Context(), b.ID, "")
	check(t, err)
	if len(st.Again) != queue.MostFates+1 || st.Again[""] != 5 {
		t.Errorf("kept %v", st.Again)
	}
}
