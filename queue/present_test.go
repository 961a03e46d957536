package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/queue"
)

// TestPresentMissRecord checks which single record is taken for gone: one that the list has shown before and does not show now,
// until the list shows it again.
func TestPresentMissRecord(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	// look walks the list of the next run, which shows these.
	look := func(shown ...string) (w queue.Walk, news []string) {
		t.Helper()
		check(t, s.Exec(t.Context(), `update run set state = 'done'`))
		_, walks := begin(t, s, "호두", "posts")
		w = walks[0]
		var recs []adapters.Record
		for i, k := range shown {
			recs = append(recs, velogRecord(k, day(20-i)))
		}
		put(t, s, w, recs...)
		within(t, s, func(tx *queue.Tx) (err error) {
			news, err = tx.Vanish(w, "velog_post")
			w.State, w.Clean = queue.WalkIdle, w.Run
			return errors.Join(err, tx.Advance(&w))
		})
		return w, news
	}
	look("가", "나", "다", "라")
	w, _ := look("가")
	for _, c := range []struct {
		what, stream, key string
		want              bool
	}{
		{"shown", "velog_post", "가", false},
		{"not shown", "velog_post", "나", true},
		{"gone already", "velog_post", "나", false},
		{"not shown either", "velog_post", "라", true},
		{"never heard of", "velog_post", "마", false},
		{"of another stream", "velog_stats", "다", false},
	} {
		within(t, s, func(tx *queue.Tx) error {
			got, err := tx.MissRecord(w, c.stream, c.key)
			same(t, c.what, got, c.want)
			return err
		})
	}
	rows(t, s, `select key from record where gone_at is not null order by key`, "나", "라")
	_, news := look("가", "나", "다")
	same(t, "back", news, []string{"나"})
	rows(t, s, `select key from record where gone_at is not null`, "라")
}

// TestTroublesOfRecordLists checks that the lists of records are no gap and no trouble, whatever becomes of them.
func TestTroublesOfRecordLists(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, ws := begin(t, s, "호두", "posts", queue.ListOf("stats", "고루틴"), queue.ListOf("stats", "채널"))
	ws[0].State = queue.WalkIdle
	ws[1].State, ws[1].Cuts, ws[1].Note = queue.WalkUnfinished, 9, "느리다"
	ws[2].State, ws[2].Cuts, ws[2].Note = queue.WalkPrivate, 9, "남의 글"
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.Advance(&ws[0]), tx.Advance(&ws[1]), tx.Advance(&ws[2]))
	})
	check(t, s.Exec(t.Context(), `update run set state = 'done'`))
	shown := func(what string, gaps int, want ...string) {
		t.Helper()
		ns, err := s.Notices(t.Context())
		check(t, err)
		same(t, what, keys(ns), strings.Join(want, " "))
		n, err := s.Gaps(t.Context(), run.ID)
		check(t, err)
		same(t, what+": gaps of the run", n, gaps)
		m, err := s.Summary(t.Context())
		check(t, err)
		same(t, what+": gaps", m.Gaps, gaps)
	}
	shown("lists of records", 0)
	ws[0].State, ws[0].Cuts, ws[0].Note = queue.WalkUnfinished, 2, "끊겼다"
	within(t, s, func(tx *queue.Tx) error { return tx.Advance(&ws[0]) })
	shown("and the target's own", 1, "gap:matzip:호두:posts", "unfinished:matzip")
	rows(t, s, `select text from v_troubles where event = 'run'`, "run 1 of matzip has ended; lists not walked to their end: 1, the next run comes by again")
}

// TestPostsAreCounted checks that what the list of one post shows, such as its statistics, is counted as no post: a record that the
// target's own list shows as well is one.
func TestPostsAreCounted(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, ws := begin(t, s, "호두", "posts", queue.ListOf("stats", "고루틴"), queue.ListOf("stats", "채널"))
	put(t, s, ws[0], velogRecord("고루틴", day(1)), velogRecord("채널", day(2)))
	for i, key := range []string{"고루틴", "채널"} {
		put(t, s, ws[1+i], adapters.Record{Stream: "velog_stats", Key: key, Time: day(3), Data: []byte(`{"total":1}`)})
	}
	put(t, s, ws[1], velogRecord("채널", day(2)))
	sum, err := s.Summary(t.Context())
	check(t, err)
	same(t, "the state at a glance", sum.Posts, 2)
	totals, err := s.Totals(t.Context())
	check(t, err)
	same(t, "the state, quickly", totals.Posts, 2)
	p, err := s.Progress(t.Context(), run.ID)
	check(t, err)
	same(t, "the run's pipeline", p.Posts, 2)
	as, err := s.Accounts(t.Context(), queue.AccountFilter{}, queue.AccountID{}, 10)
	check(t, err)
	same(t, "the account", as[0].Posts, 2)
	st, err := s.AccountStory(t.Context(), as[0].AccountID)
	check(t, err)
	same(t, "what became of them", st.States, []queue.AccountCount{{State: "new", N: 2}})
	var newest []string
	for _, p := range st.Newest {
		newest = append(newest, p.Stream+" "+p.Key)
	}
	same(t, "the newest", newest, []string{"velog_post 채널", "velog_post 고루틴"})
}

// TestPostsOfTwoPipelines has two pipelines that see the same post and its statistics: both are stored as the first one's.
func TestPostsOfTwoPipelines(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, pipeline := range []string{"velog", "velog2"} {
		var ws []queue.Walk
		var run queue.Run
		within(t, s, func(tx *queue.Tx) (err error) {
			if run, _, err = tx.AskRun(pipeline, false, nil); err == nil {
				ws, err = tx.Begin(run, "호두", []string{"posts", queue.ListOf("stats", "고루틴")})
			}
			return err
		})
		put(t, s, ws[0], velogRecord("고루틴", day(1)))
		put(t, s, ws[1], adapters.Record{Stream: "velog_stats", Key: "고루틴", Time: day(3), Data: []byte(`{"total":1}`)})
	}
	for run, want := range []int{1, 0} {
		p, err := s.Progress(t.Context(), int64(run+1))
		check(t, err)
		same(t, p.Run.Pipeline, p.Posts, want)
	}
	totals, err := s.Totals(t.Context())
	check(t, err)
	same(t, "in all", totals.Posts, 1)
}

// TestPostsAreCountedQuickly checks that what is no post is counted through the lists of one record, not by a look at all that any
// list has shown.
func TestPostsAreCountedQuickly(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	plan, err := s.Rows(t.Context(), `explain query plan `+queue.Details(s))
	check(t, err)
	if text := strings.Join(plan, "\n"); strings.Contains(text, "SCAN l ") || !strings.Contains(text, "listing_walk (walk=?)") {
		t.Errorf("the plan reads all listings:\n%s", text)
	}
}

// TestRecordsOfATarget checks which records are a target's, and that their counters are told apart.
func TestRecordsOfATarget(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "호두", "posts", "series")
	mine := append(put(t, s, walks[0], velogRecord("고루틴", day(1)), velogRecord("채널", day(2))), put(t, s, walks[1], velogRecord("채널", day(2)), velogRecord("셀렉트", day(3)))[1])
	put(t, s, walks[0], post("평양냉면", "을지로", 1)) // of another stream
	_, others := begin(t, s, "땅콩", "posts")
	other := put(t, s, others[0], velogRecord("남의 글", day(2)))[0]
	var ids []int64
	for i, r := range append(mine, other) {
		ids = append(ids, r.ID)
		within(t, s, func(tx *queue.Tx) error {
			if err := tx.CountDay(r.ID, "likes", "2025-03-01", int64(i)); err != nil {
				return err
			}
			return tx.Snap(r.ID, "views", day(4), int64(10+i))
		})
	}
	held, err := s.Records(t.Context(), "matzip", "호두", "velog_post")
	check(t, err)
	var keys []string
	for _, h := range held {
		keys = append(keys, h.Key)
	}
	same(t, "records", keys, []string{"셀렉트", "채널", "고루틴"})

	for _, what := range []string{"views", "likes"} {
		all, err := s.CountsOfRecords(t.Context(), []int64{ids[0], ids[2]}, what, "")
		check(t, err)
		got := map[int64]string{}
		for id, c := range all {
			for _, x := range c.Snapshots {
				got[id] += fmt.Sprint(x.N)
			}
			got[id] += fmt.Sprint(c.Daily)
		}
		want := map[string]map[int64]string{
			"views": {ids[0]: "10map[]", ids[2]: "12map[]"},
			"likes": {ids[0]: "map[2025-03-01:0]", ids[2]: "map[2025-03-01:2]"},
		}
		same(t, what, got, want[what])
	}
	none, err := s.CountsOfRecords(t.Context(), nil, "views", "")
	check(t, err)
	same(t, "of no record", len(none), 0)
}

// TestRecordsOfATargetAreFound checks that what is known of one user costs the same however many others there are: nothing goes
// through the records of all.
func TestRecordsOfATargetAreFound(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	const byID = "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)"
	tests := []struct {
		name  string
		texts int
		plan  []string // of each
		read  func() error
	}{
		{"records", 1, []string{"SEARCH w USING COVERING INDEX sqlite_autoindex_walk_1 (pipeline=? AND target=?)", "SEARCH l USING COVERING INDEX listing_walk (walk=?)", byID}, func() error {
			_, err := s.Records(t.Context(), "velog", "호두", "velog_post")
			return err
		}},
		{"counts", 2, []string{byID}, func() error {
			_, err := s.CountsOfRecords(t.Context(), []int64{1, 2}, "views", "2025-03-01")
			return err
		}},
	}
	for _, tt := range tests {
		texts, err := s.Texts(t.Context(), tt.read)
		check(t, err)
		if len(texts) != tt.texts {
			t.Errorf("%s: read by %q, want %d statements", tt.name, texts, tt.texts)
		}
		for _, text := range texts {
			plan, err := s.Rows(t.Context(), `explain query plan `+text, slices.Repeat([]any{"[1]"}, strings.Count(text, "?"))...)
			check(t, err)
			for _, want := range tt.plan {
				if got := strings.Join(plan, "\n"); !strings.Contains(got, want) {
					t.Errorf("%s: want %s\n%s\n%s", tt.name, want, text, got)
				}
			}
		}
	}
}
