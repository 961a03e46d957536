package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// keys joins the keys of notices.
func keys(ns []adapters.Notice) string {
	var ks []string
	for _, n := range ns {
		ks = append(ks, n.Key)
	}
	return strings.Join(ks, " ")
}

// A trouble is told once for as long as it stands, and again only when it was over for an hour.
func TestKeepNotices(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	a, b := adapters.Notice{Key: "a", Event: "run", Text: "첫째"}, adapters.Notice{Key: "b", Event: "dead", Text: "둘째"}
	look := func(what, want string, stand ...adapters.Notice) []adapters.Notice {
		t.Helper()
		untold, _, err := s.KeepNotices(t.Context(), stand)
		check(t, err)
		same(t, what, keys(untold), want)
		return untold
	}
	tell := func(ns []adapters.Notice) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error { return tx.Told(ns) })
	}
	look("nothing", "")
	look("new", "a", a)
	now = now.Add(time.Minute)
	first := look("not told yet, and another", "a b", a, b)
	same(t, "begun", first[0].At, day(1))
	look("over before anybody was told", "a", a)
	rows(t, s, `select key from notice`, "a")
	tell(look("still", "a", a))
	look("told", "", a)
	_, last, err := s.KeepNotices(t.Context(), []adapters.Notice{a})
	check(t, err)
	same(t, "last", last, now)

	look("over", "")
	now = now.Add(queue.Forget - time.Minute)
	look("back soon", "", a)
	rows(t, s, `select key, gone_at is null from notice`, "a|1")
	look("over again", "")
	now = now.Add(queue.Forget)
	look("forgotten", "")
	rows(t, s, `select count(*) from notice`, "0")
	tell(look("back for good", "a", a))

	// It ended while nobody looked, and another look finds it again after long: that is news.
	look("over", "")
	now = now.Add(24 * time.Hour)
	look("back after a day", "a", a)
	rows(t, s, `select key, at, coalesce(told_at, '-') from notice`, "a|"+now.UTC().Format("2006-01-02T15:04:05.000Z")+"|-")
}

// A look at what has not changed writes nothing.
func TestKeepNoticesIsQuiet(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := adapters.Notice{Key: "a", Event: "run", Text: "그대로"}
	_, _, err := s.KeepNotices(t.Context(), []adapters.Notice{a})
	check(t, err)
	changed := s.Changed()
	_, _, err = s.KeepNotices(t.Context(), []adapters.Notice{a})
	check(t, err)
	select {
	case <-changed:
		t.Error("the file was written")
	default:
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(10) }
	got := func() string {
		t.Helper()
		ns, err := s.Notices(t.Context())
		check(t, err)
		var lines []string
		for _, n := range ns {
			lines = append(lines, strings.Join([]string{n.Key, n.Event, n.Pipeline, n.Text}, "|"))
		}
		return strings.Join(lines, "\n")
	}
	same(t, "at first", got(), "")

	run, ws := begin(t, s, "을지로골목", "posts", "reels")
	for i := range ws {
		ws[i].State, ws[i].Cuts, ws[i].Note = queue.WalkUnfinished, i+1, "끊겼다"
	}
	add(t, s, pageJob("마름"))
	check(t, s.PutBack(t.Context(), lane, take(t, s), kind(adapters.Permanent, 0)))
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.Advance(&ws[0]), tx.Advance(&ws[1]), tx.StopRun(run.ID, "열쇠를 바꾸세요"))
	})
	for _, q := range []string{
		`insert into lane_stop (lane, at, reason) values ('openai', '2025-03-10T03:00:00.000Z', '열쇠가 틀렸다')`,
		`insert into upstream_limit (name, stopped, reason) values ('openai', 1, 'key'), ('instagram/2', 1, 'key'), ('naver/hub', 0, '')`,
		`update target set silent_since = '2024-05-01T00:00:00.000Z'`,
	} {
		check(t, s.Exec(t.Context(), q))
	}
	same(t, "while the run stands still", got(), strings.TrimSpace(`
credential:instagram/2|credential||the credential instagram/2 is not used until the next start: key
dead:matzip:job:2025-03-10|dead|matzip|matzip has given up 1 job (`+"`sumbi jobs list`"+` shows them), the last: page 마름: 인스타: 국물이 식었다
gap:matzip:을지로골목:reels|gap|matzip|the reels of 을지로골목 could not be walked to the end in 2 runs: 끊겼다
lane:openai|stopped||openai waits for you: 열쇠가 틀렸다
run:matzip|run|matzip|run 1 of matzip cannot go on: 열쇠를 바꾸세요
silent:matzip:을지로골목:2024-05-01T00:00:00.000Z|silent|matzip|을지로골목 of matzip has shown nothing new since 2024-05-01, far longer than usual; look whether it has moved`))

	check(t, s.Exec(t.Context(), `update run set state = 'done'`))
	within(t, s, func(tx *queue.Tx) error { return tx.MissTarget(ws[0], queue.WalkGone, "없다") })
	if text := got(); !strings.Contains(text, "unfinished:matzip|run|matzip|run 1 of matzip has ended; lists not walked to their end: 2, the next run comes by again") ||
		strings.Contains(text, "run:matzip|") || strings.Contains(text, "silent:") {
		t.Errorf("after its end:\n%s", text)
	}
}

// A count that is honest only roughly makes a gap only when much is missing, and only after every list ended cleanly.
func TestGapsByCount(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, c := range []struct {
		total, shown int
		want         string
	}{
		{3, 0, ""}, {4, 0, "short|4"}, {100, 95, ""}, {100, 94, "short|6"}, {100, 130, ""}, {2000, 1899, "short|101"}, {0, 0, ""},
	} {
		_, ws := begin(t, s, "을지로골목", "posts", "reels")
		within(t, s, func(tx *queue.Tx) error { return tx.KeepSeen("matzip", "을지로골목", c.shown, time.Time{}) })
		check(t, s.Exec(t.Context(), `update target set total = ?`, c.total))
		check(t, s.Exec(t.Context(), `delete from run`)) // the next one is begun anew
		short := `select state, missing from v_gaps where state = 'short'`
		rows(t, s, short)
		for _, w := range ws {
			w.State = queue.WalkIdle
			within(t, s, func(tx *queue.Tx) error { return tx.Advance(&w) })
		}
		if c.want == "" {
			rows(t, s, short)
		} else {
			rows(t, s, short, c.want)
			g, err := s.WorstGap(t.Context())
			check(t, err)
			same(t, "worst", g.Missing, c.total-c.shown)
		}
	}
}
