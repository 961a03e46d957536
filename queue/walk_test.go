package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/queue"
)

func TestBegin(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	run, ws := begin(t, s, "을지로골목", "posts", "reels")
	if len(ws) != 2 || ws[0].List != "posts" || ws[0].State != queue.WalkWalking || ws[0].Run != run.ID || ws[0].Cursor != "" || !ws[0].Mark.IsZero() {
		t.Fatalf("begun: %+v", ws)
	}
	if _, again := begin(t, s, "을지로골목", "posts", "reels", "tagged"); len(again) != 1 || again[0].List != "tagged" {
		t.Errorf("begun again within the run: %+v", again)
	}

	// The next run begins anew and remembers the mark.
	w := ws[0]
	w.State, w.Mark, w.Newest, w.Cursor, w.Pages, w.EndKey, w.Expected, w.Note = queue.WalkIdle, day(3), day(3), "다음", 4, "끝", 9, "메모"
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.Advance(&w); err != nil {
			return err
		}
		for _, x := range ws[1:] {
			x.State = queue.WalkUnfinished
			if err := tx.Advance(&x); err != nil {
				return err
			}
		}
		return tx.SetMeta("끝", "예")
	})
	check(t, s.Exec(t.Context(), `update run set state = 'done'`))
	second, ws2 := begin(t, s, "을지로골목", "posts")
	want := queue.Walk{ID: w.ID, Pipeline: "matzip", Target: "을지로골목", List: "posts", State: queue.WalkWalking, Run: second.ID, Step: w.Step + 1, Mark: day(3), EndKey: "끝", Expected: 9}
	if d := cmp.Diff([]queue.Walk{want}, ws2); d != "" {
		t.Errorf("next run (-want +got):\n%s", d)
	}
	got, err := s.Walk(t.Context(), w.ID)
	check(t, err)
	same(t, "walk", got, want)
	if _, err := s.Walk(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("walk 99: %v", err)
	}
}

// TestAdvance checks the compare-and-set: of two that read the same step only the first may go on.
func TestAdvance(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	first, second := ws[0], ws[0]
	first.Cursor, first.Pages, first.Newest, first.Oldest, first.LastKey = "2쪽", 1, day(9), day(5), "p5"
	first.Empties, first.Repeats, first.Known, first.Restarts, first.Note = 1, 2, 3, 4, "메모"
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.Advance(&first); err != nil {
			return err
		}
		got, err := tx.Walk(first.ID)
		same(t, "within", got, first)
		return err
	})
	got, err := s.Walk(t.Context(), first.ID)
	check(t, err)
	same(t, "walk", got, first)
	rows(t, s, `select ended_at from walk`, "-")

	second.Cursor = "남의 쪽"
	err = s.Tx(t.Context(), func(tx *queue.Tx) error {
		if _, err := tx.Put(second, []adapters.Record{post("p1", "늦은 글", 1)}); err != nil {
			return err
		}
		return tx.Advance(&second)
	})
	if !errors.Is(err, queue.ErrStale) {
		t.Errorf("second: %v, want ErrStale", err)
	}
	rows(t, s, `select cursor, step from walk`, "2쪽|2")
	rows(t, s, `select key from record`)

	s.Now = func() time.Time { return day(20) }
	first.State = queue.WalkIdle
	within(t, s, func(tx *queue.Tx) error { return tx.Advance(&first) })
	rows(t, s, `select state, ended_at from walk`, "idle|2025-03-20T03:00:00.000Z")
}

// TestStaleWalkInAJob checks that a job whose walk was moved by somebody else writes nothing at all.
func TestStaleWalkInAJob(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	add(t, s, pageJob("ig:을지로골목:posts"))
	j := take(t, s)
	moved, mine := ws[0], ws[0]
	within(t, s, func(tx *queue.Tx) error { return tx.Advance(&moved) })
	err := s.Finish(t.Context(), j, func(tx *queue.Tx) error {
		if _, err := tx.Put(mine, []adapters.Record{post("p1", "늦은 글", 1)}); err != nil {
			return err
		}
		return tx.Advance(&mine)
	})
	if !errors.Is(err, queue.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
	rows(t, s, `select key from record`)
	rows(t, s, `select count(*) from job`, "1")
}

func TestPut(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts", "reels")
	posts, reels := ws[0], ws[1]
	type flags struct{ New, Changed, Here, Again bool }
	var id int64
	tests := []struct {
		name string
		walk queue.Walk
		text string
		want flags
	}{
		{"first time", posts, "평양냉면", flags{New: true, Here: true}},
		{"again in the same walk", posts, "평양냉면", flags{Here: true, Again: true}},
		{"edited", posts, "평양냉면과 만두", flags{Changed: true, Here: true, Again: true}},
		{"in the other list", reels, "평양냉면과 만두", flags{Here: true}},
		{"in the other list again", reels, "육개장", flags{Changed: true, Here: true, Again: true}},
		{"in the next run, after a cut", queue.Walk{ID: posts.ID, Pipeline: "matzip", Target: "을지로골목", Run: posts.Run + 1}, "육개장", flags{Here: true}},
		{"after a clean end", queue.Walk{ID: posts.ID, Pipeline: "matzip", Target: "을지로골목", Run: posts.Run + 2, Clean: posts.Run + 1}, "육개장", flags{}},
		{"and once more", queue.Walk{ID: posts.ID, Pipeline: "matzip", Target: "을지로골목", Run: posts.Run + 2, Clean: posts.Run + 1}, "육개장", flags{Again: true}},
	}
	for i, tt := range tests {
		s.Now = func() time.Time { return day(10 + i) }
		got := put(t, s, tt.walk, post("p1", tt.text, 1))
		st := got[0]
		if i == 0 {
			id = st.ID
		}
		same(t, tt.name, flags{st.New, st.Changed, st.Here, st.Again}, tt.want)
		if st.ID != id || st.Pipeline != "matzip" || st.Target != "을지로골목" {
			t.Errorf("%s: %+v", tt.name, st)
		}
	}
	rows(t, s, `select post, lists, state, caption, fetched_at from v_posts`, "p1|posts,reels|new|육개장|2025-03-14T03:00:00.000Z")

	// The same key is something else in another stream, and a page may name a record twice.
	s.Now = time.Now
	order := adapters.Record{Stream: "order", Key: "p1", Time: day(1), Data: []byte(`{}`)}
	got := put(t, s, posts, order, order, post("p2", "", 2))
	if !got[0].New || got[1].New || !got[1].Again || !got[2].New {
		t.Errorf("got %+v", got)
	}
	var keys []string
	check(t, s.Posts(t.Context(), func(st queue.Stored) error {
		keys = append(keys, st.Stream+" "+st.Key)
		return nil
	}))
	same(t, "stored", keys, []string{"post p1", "order p1", "post p2"})
	if err := s.Posts(t.Context(), func(queue.Stored) error { return errSoup }); !errors.Is(err, errSoup) {
		t.Errorf("the caller's error: %v", err)
	}
}

// TestPutOfSeveralAccounts checks that a post that several accounts show belongs to its owner, else to the first by name,
// whoever showed it first, and that the sinks learn when it moves.
func TestPutOfSeveralAccounts(t *testing.T) {
	t.Parallel()
	accounts := []string{"을지로골목", "망원식탁", "성수한입"}
	for owner, want := range map[string]string{"": "망원식탁", "을지로골목": "을지로골목", "남의계정": "망원식탁"} {
		for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			s := fresh(t)
			r := post("p1", "함께 쓴 글", 1)
			r.Owner = owner
			for _, i := range order {
				_, w := begin(t, s, accounts[i], "posts")
				put(t, s, w[0], r)
			}
			rows(t, s, `select account, lists from v_posts`, want+"|posts")
		}
	}
	s := fresh(t)
	within(t, s, func(tx *queue.Tx) error { return addSink(tx, "matzip", "mongo", "") })
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	check(t, s.Exec(t.Context(), `delete from outbox`))
	_, w := begin(t, s, "망원식탁", "posts")
	put(t, s, w[0], post("p1", "함께 쓴 글", 1))
	rows(t, s, `select sink, key from outbox`, "mongo|naver:1")
}

func TestTargets(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts", "reels")
	got := func() queue.Target {
		tg, err := s.Target(t.Context(), "matzip", "을지로골목")
		check(t, err)
		return tg
	}
	same(t, "new", got(), queue.Target{Target: "을지로골목", State: queue.WalkIdle})
	within(t, s, func(tx *queue.Tx) error { return tx.SeeTarget("matzip", "을지로골목", 1234) })
	within(t, s, func(tx *queue.Tx) error { return tx.SeeTarget("matzip", "을지로골목", 0) })
	same(t, "seen", got(), queue.Target{Target: "을지로골목", State: queue.WalkIdle, Total: 1234})
	for _, w := range ws {
		within(t, s, func(tx *queue.Tx) error { return tx.MissTarget(w, queue.WalkGone, "사라진 계정") })
	}
	same(t, "gone, both lists of one run", got(), queue.Target{Target: "을지로골목", State: queue.WalkGone, Misses: 1, Total: 1234})
	w := ws[0]
	w.Run++
	within(t, s, func(tx *queue.Tx) error { return tx.MissTarget(w, queue.WalkPrivate, "비공개") })
	same(t, "private, next run", got(), queue.Target{Target: "을지로골목", State: queue.WalkPrivate, Misses: 2, Total: 1234})
	troubles, err := s.Troubles(t.Context())
	check(t, err)
	same(t, "troubles", troubles, []queue.AccountTrouble{{Pipeline: "matzip", Target: "을지로골목", State: "private", Note: "비공개"}})
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.SeeTarget("matzip", "을지로골목", 0); err != nil {
			return err
		}
		tg, err := tx.Target("matzip", "을지로골목")
		same(t, "back", tg, queue.Target{Target: "을지로골목", State: queue.WalkIdle, Total: 1234})
		return err
	})
	tg, err := s.Target(t.Context(), "matzip", "모르는 집")
	check(t, err)
	same(t, "unknown", tg, queue.Target{Target: "모르는 집", State: queue.WalkIdle})
}
