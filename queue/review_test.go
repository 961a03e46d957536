package queue_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// label lets a person decide a mention.
func label(t *testing.T, s *queue.Store, id int64, p *queue.Place) {
	t.Helper()
	m, err := s.Mention(t.Context(), id)
	check(t, err)
	l := queue.Label{Stream: "post", Key: m.Record.Key, Name: m.Name, State: "none", Fields: m.Fields, Chosen: -1, Author: "사장님"}
	if p != nil {
		l.State, l.Found, l.Chosen, l.Shown = "place", p, 0, []adapters.Candidate{{Finder: p.Finder, Name: p.Name}}
	}
	within(t, s, func(tx *queue.Tx) error { return tx.SetLabel(m, l, byID(p)) })
}

// labelled decides the mention of a full file that waits for a person.
func labelled(t *testing.T, s *queue.Store) {
	t.Helper()
	s.Now = func() time.Time { return day(10) }
	within(t, s, func(tx *queue.Tx) error {
		record, err := tx.RecordOf(3)
		if err != nil {
			return err
		}
		ms, err := tx.MentionsOf(record)
		if err != nil {
			return err
		}
		return tx.SetLabel(ms[2], queue.Label{Stream: "post", Key: "p1", Name: "이름모를집", State: "none", Chosen: -1, Author: "사장님"}, byID(nil))
	})
	s.Now = func() time.Time { return day(11) }
}

const decisions = `select n, name, state, place, score, reason, labelled_by from v_mentions order by post, n`

// TestLabelWins checks that nothing but a person changes what a person has decided, and that place and outbox follow at once.
func TestLabelWins(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sink(t, s, "mongo")
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	check(t, s.Exec(t.Context(), `delete from outbox`))

	label(t, s, ids[0], place("naver:2", "을밀대 강남점"))
	rows(t, s, told, "mongo|naver:1|1", "mongo|naver:2|1")
	rows(t, s, `select id from place`, "naver:2")
	want := []string{"0|을밀대|place|naver:2|1|decided by a person|사장님", "1|우래옥|waiting|-|-||-"}
	rows(t, s, decisions, want...)

	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[0], nil)
	rows(t, s, decisions, want...)
	rows(t, s, told, "mongo|naver:1|1", "mongo|naver:2|1")

	// A person may change it, and the scorer's decision is remembered all the same.
	label(t, s, ids[0], nil)
	rows(t, s, `select state, place, score from v_mentions where n = 0`, "none|-|0")
	rows(t, s, `select id from place`)
	rows(t, s, `select post, state, author, in_force, was_state, was_score, was_reason from v_labels`, "p1|none|사장님|1|place|0.97|이름과 주소")
	within(t, s, func(tx *queue.Tx) error {
		again, err := tx.Unlabel(ids[0], byID(nil))
		if again {
			t.Error("it is to be matched anew")
		}
		return err
	})
	rows(t, s, decisions, "0|을밀대|place|naver:1|0.97|이름과 주소|-", "1|우래옥|waiting|-|-||-")
	rows(t, s, `select id, name from place`, "naver:1|을밀대")
	rows(t, s, `select count(*) from label`, "0")
	within(t, s, func(tx *queue.Tx) error {
		if _, err := tx.Unlabel(ids[0], byID(nil)); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
		return nil
	})
}

// TestLabelOutlivesTheMention checks that a label is there for the next reading of the post, and what taking it back means then.
func TestLabelOutlivesTheMention(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	label(t, s, ids[0], place("naver:1", "을밀대"))
	extracted(t, s, st)
	rows(t, s, `select id from place`)
	rows(t, s, `select post, state, in_force from v_labels`, "p1|place|0")
	_, ids = extracted(t, s, st, "을밀대")
	within(t, s, func(tx *queue.Tx) error {
		ls, err := tx.Labels("post", "p1")
		if err != nil || len(ls) != 1 {
			t.Fatalf("labels %+v %v", ls, err)
		}
		return tx.TakeLabel(ids[0], ls[0], byID(nil))
	})
	rows(t, s, decisions, "0|을밀대|place|naver:1|1|decided by a person|사장님")
	rows(t, s, `select id, name, road_address from place`, "naver:1|을밀대|서울 마포구 숭문길 24")
	var shown []string
	check(t, s.Labelled(t.Context(), func(l queue.Label, data json.RawMessage) error {
		shown = append(shown, l.Key+" "+l.Shown[l.Chosen].Name+" "+string(l.Fields))
		if !json.Valid(data) {
			t.Errorf("data %q", data)
		}
		return nil
	}))
	same(t, "shown", shown, []string{`p1 을밀대 {"name":"을밀대"}`})
	within(t, s, func(tx *queue.Tx) error {
		again, err := tx.Unlabel(ids[0], byID(nil))
		if !again {
			t.Error("nothing is known of this mention, and it is not matched anew")
		}
		return err
	})
	rows(t, s, decisions, "0|을밀대|waiting|-|0||-")
}

// TestTakenLabelKeepsNewText checks that a decision which is taken once more, or taken back, does not put a shop's old name
// back that a search has replaced meanwhile, and that what it brings back is as old as it is.
func TestTakenLabelKeepsNewText(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "을밀대", "을밀대")
	const entries = `select id, name, substr(found_at, 1, 10) from place_entry order by id`
	s.Now = func() time.Time { return day(10) }
	decide(t, s, ids[0], place("naver:2", "옛 우래옥"))
	label(t, s, ids[0], place("naver:1", "옛 을밀대"))
	s.Now = func() time.Time { return day(11) }
	decide(t, s, ids[1], place("naver:1", "새 을밀대"))
	decide(t, s, ids[2], place("naver:2", "새 우래옥"))
	s.Now = func() time.Time { return day(12) }
	took := func(id int64) {
		t.Helper()
		within(t, s, func(tx *queue.Tx) error {
			ls, err := tx.Labels("post", "p1")
			if err != nil || len(ls) != 1 {
				t.Fatalf("labels %+v %v", ls, err)
			}
			return tx.TakeLabel(id, ls[0], byID(nil))
		})
	}
	eleventh, tenth := queue.Day(day(11)), queue.Day(day(10))
	took(ids[0])
	rows(t, s, entries, "naver:1|새 을밀대|"+eleventh, "naver:2|새 우래옥|"+eleventh)
	rows(t, s, `select name from place order by id`, "새 을밀대", "새 우래옥")
	within(t, s, func(tx *queue.Tx) error { _, err := tx.Unlabel(ids[0], byID(nil)); return err })
	rows(t, s, entries, "naver:1|새 을밀대|"+eleventh, "naver:2|새 우래옥|"+eleventh)

	// Nobody knows the entry any more: it is as old as the decision.
	s.Now = func() time.Time { return day(10) }
	label(t, s, ids[0], place("naver:3", "평양면옥"))
	s.Now = func() time.Time { return day(12) }
	extracted(t, s, st)
	rows(t, s, entries)
	_, ids = extracted(t, s, st, "평양면옥")
	took(ids[0])
	rows(t, s, entries, "naver:3|평양면옥|"+tenth)
}

// TestLabelByAnotherName checks that a mention which is decided anew under another name has one label, and that the scorer's
// own decision is not forgotten over it.
func TestLabelByAnotherName(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	label(t, s, ids[0], nil)
	m, err := s.Mention(t.Context(), ids[0])
	check(t, err)
	l := queue.Label{Stream: "post", Key: "p1", Name: "을밀대", Detail: "본점", State: "none", Author: "사장님"}
	within(t, s, func(tx *queue.Tx) error { return tx.SetLabel(m, l, byID(nil)) })
	rows(t, s, `select name, detail, in_force, was_state, was_score, was_reason from v_labels`, "을밀대|본점|1|place|0.97|이름과 주소")
	within(t, s, func(tx *queue.Tx) error { _, err := tx.Unlabel(ids[0], byID(nil)); return err })
	rows(t, s, decisions, "0|을밀대|place|naver:1|0.97|이름과 주소|-")
}

// TestLabelTooLate checks that a mention which has gone cannot be decided.
func TestLabelTooLate(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	m, err := s.Mention(t.Context(), ids[0])
	check(t, err)
	extracted(t, s, st, "을밀대")
	err = s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.SetLabel(m, queue.Label{State: "none"}, byID(nil)) })
	if !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	rows(t, s, `select count(*) from label`, "0")
}

// TestOptions checks what a person sees of a decision, with the finder's text and where none of it is kept.
func TestOptions(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	within(t, s, func(tx *queue.Tx) error { return tx.SaveSearch("naver", "을밀대", []adapters.Candidate{eulmildae}) })
	kept := search(t, s, "naver", "을밀대", eulmildae)
	m, err := s.Mention(t.Context(), ids[0])
	check(t, err)
	m.State, m.Score, m.Reason = "review", 0.4, "둘 중 하나"
	m.Candidates = []queue.Considered{
		{Candidate: kept[0], Finder: "naver", Score: 0.4, Why: "이름"},
		{Finder: "kakao", Score: 0.3, Why: "주소", Link: "https://place.map.kakao.com/1", Key: "p01", Query: "마포 \"을밀대\""},
		{Finder: "kakao", Score: 0.1},
	}
	m.Queries = []queue.Asked{{Finder: "naver", Query: "을밀대", Found: 1}}
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, nil, queue.One{}) })
	got, asked, err := s.Options(t.Context(), ids[0])
	check(t, err)
	same(t, "options", got, []queue.Option{
		{Candidate: eulmildae, Score: 0.4, Why: "이름"},
		{Candidate: adapters.Candidate{Finder: "kakao", Link: "https://place.map.kakao.com/1"}, Score: 0.3, Why: "주소", Key: "p01", Query: "마포 \"을밀대\""},
		{Candidate: adapters.Candidate{Finder: "kakao"}, Score: 0.1},
	})
	same(t, "asked", asked, m.Queries)
	rows(t, s, `select json_extract(c.value, '$.link') from v_mentions m, json_each(m.candidates) c`, eulmildae.Link, "https://place.map.kakao.com/1", "-")
	rows(t, s, `select searches from v_mentions`, "1")

	for _, f := range []struct {
		f    queue.ReviewFilter
		want int
	}{{queue.ReviewFilter{}, 1}, {queue.ReviewFilter{Pipeline: "matzip", Post: "p1"}, 1}, {queue.ReviewFilter{Pipeline: "다른"}, 0}, {queue.ReviewFilter{Post: "p2", All: true}, 0}} {
		ms, err := s.Reviews(t.Context(), f.f, 0, 9)
		check(t, err)
		same(t, "reviews", len(ms), f.want)
	}
	if _, _, err := s.Options(t.Context(), 99); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("no such mention: %v", err)
	}
	check(t, s.Exec(t.Context(), `update mention set candidates = '[[1', queries = '{}'`))
	got, asked, err = s.Options(t.Context(), ids[0])
	if err != nil || len(got)+len(asked) > 0 {
		t.Errorf("damaged: %v %v %v", got, asked, err)
	}
}

// TestReviewedCandidatesStay checks that what a person is still to choose from is not forgotten with the answers.
func TestReviewedCandidatesStay(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := day(1)
	s.Now = func() time.Time { return now }
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	within(t, s, func(tx *queue.Tx) error {
		return tx.SaveSearch("naver", "을밀대", []adapters.Candidate{eulmildae, branch})
	})
	kept := search(t, s, "naver", "을밀대", eulmildae, branch)
	m, err := s.Mention(t.Context(), ids[0])
	check(t, err)
	m.State, m.Candidates = "review", []queue.Considered{{Candidate: kept[1], Finder: "naver", Score: 0.4}}
	within(t, s, func(tx *queue.Tx) error { return tx.Decide(m, nil, queue.One{}) })
	for _, d := range []int{10, 20} {
		now = day(d)
		within(t, s, func(tx *queue.Tx) error { return tx.ForgetSearches(48 * time.Hour) })
		rows(t, s, `select name from candidate`, branch.Name)
	}
	label(t, s, ids[0], nil)
	now = day(28)
	within(t, s, func(tx *queue.Tx) error { return tx.ForgetSearches(48 * time.Hour) })
	rows(t, s, `select name from candidate`)
}

// TestSearchesAreCounted checks what a run says of the searches for its mentions.
func TestSearchesAreCounted(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	within(t, s, func(tx *queue.Tx) error { return tx.Book(1, "naver", "request", 1, 0) })
	rows(t, s, `select matched, answers, searches_per_mention, answers_per_mention from v_runs`, "0|0|-|-")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[1], nil)
	decide(t, s, ids[1], nil) // decided anew: no mention more
	rows(t, s, `select matched, answers, searches_per_mention, answers_per_mention from v_runs`, "2|2|0.5|1")
}

// TestLabelIsOneCommit lets every statement of a label, of its undoing, of a merge and of a split fail in turn, with all that
// follow. The mention, its place and what the sinks are told are then as before, or as afterwards, together.
func TestLabelIsOneCommit(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	full := queue.SQLiteError(t, `pragma max_page_count = 1`, `create table 국 (물)`)
	everything := func(s *queue.Store) (all []string) {
		for _, q := range []string{decisions, parts, `select id, name from place order by id`, `select key, rev from outbox order by key`, `select name, state from label`, `select a, b from place_apart`} {
			rs, err := s.Rows(t.Context(), q)
			check(t, err)
			all = append(all, rs...)
		}
		return all
	}
	steps := []struct {
		name string
		do   func(tx *queue.Tx, m queue.Mention) error
	}{
		{"label", func(tx *queue.Tx, m queue.Mention) error {
			p := place("kakao:2", "을밀대 강남점")
			return tx.SetLabel(m, queue.Label{Stream: "post", Key: "p1", Name: "을밀대", State: "place", Found: p}, byID(p))
		}},
		{"undo", func(tx *queue.Tx, m queue.Mention) error { _, err := tx.Unlabel(m.ID, byID(nil)); return err }},
		{"merge", func(tx *queue.Tx, _ queue.Mention) error { return tx.Merge("naver:3", "naver:1", byID(nil)) }},
		{"split", func(tx *queue.Tx, _ queue.Mention) error { _, _, err := tx.Split("naver:1", byID(nil)); return err }},
	}
	s := fresh(t)
	sink(t, s, "mongo")
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[1], place("naver:3", "우래옥"))
	for _, step := range steps {
		m, err := s.Mention(t.Context(), ids[0])
		check(t, err)
		before := everything(s)
		good := crashed(t, s)
		within(t, good, func(tx *queue.Tx) error { return step.do(tx, m) })
		after := everything(good)
		for n := 1; ; n++ {
			broken := crashed(t, s)
			fault := broken.FailFrom(n, full)
			err := broken.Tx(t.Context(), func(tx *queue.Tx) error { return step.do(tx, m) })
			hit := fault.Lift()
			want := before
			if err == nil {
				want = after
			}
			check(t, broken.Close())
			again := open(t, broken.Path(), queue.Owner)
			same(t, step.name, everything(again), want)
			check(t, again.Close())
			if !hit {
				if n < 5 {
					t.Errorf("%s is of %d statements only", step.name, n)
				}
				break
			}
		}
		within(t, s, func(tx *queue.Tx) error { return step.do(tx, m) })
	}
}

// TestLabelBesideAnOwner lets a guest decide while another process has the file.
func TestLabelBesideAnOwner(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sink(t, s, "mongo")
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	guest := open(t, s.Where(), queue.Guest)
	label(t, guest, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[0], nil)
	rows(t, s, decisions, "0|을밀대|place|naver:1|1|decided by a person|사장님")
	rows(t, s, told, "mongo|naver:1|1")
	rows(t, s, `select key from v_jobs where kind = 'deliver'`, queue.DeliverKey("mongo", "matzip"))
}
