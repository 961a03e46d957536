package queue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// rawPost is a post with an item of the upstream's own, much like the others.
func rawPost(i int) adapters.Record {
	r := post(fmt.Sprintf("p%d", i), fmt.Sprintf("평양냉면 %d그릇", i), 1)
	r.Raw = json.RawMessage(fmt.Sprintf(`{"id":"%d_1","caption":{"text":"을지로 골목 안쪽 평양냉면 %d그릇","hashtags":["#평양냉면","#을지로"]},`+
		`"are_remixes_crosspostable":true,"can_reply":false,"can_reshare":true,"can_save":true,"integrity_review_decision":"pending","taken_at":%d}`, 4000000000000000000+i*7919, i, 1700000000+i*3601))
	return r
}

func rawPosts(n int) (all []adapters.Record) {
	for i := range n {
		all = append(all, rawPost(i))
	}
	return all
}

// keep stores records with their items, as a page does.
func keep(t *testing.T, p *queue.Packer, s *queue.Store, w queue.Walk, recs ...adapters.Record) (all []queue.Stored) {
	t.Helper()
	packed, err := p.Pack(t.Context(), s, recs)
	check(t, err)
	within(t, s, func(tx *queue.Tx) (err error) {
		all, err = tx.PutPacked(w, packed)
		return err
	})
	return all
}

// restored reads every kept item of the file in a process of its own: key, item.
func restored(t *testing.T, s *queue.Store) map[string]string {
	t.Helper()
	var p queue.Packer
	items := map[string]string{}
	var after int64
	for {
		rs, err := s.RawRecords(t.Context(), "matzip", after, 5)
		check(t, err)
		if len(rs) == 0 {
			return items
		}
		for _, r := range rs {
			after = r.ID
			if r.Raw == nil {
				items[r.Key] = "-"
				continue
			}
			raw, err := p.Unpack(t.Context(), s, r)
			check(t, err)
			items[r.Key] = string(raw)
		}
	}
}

func TestRawItems(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts", "reels")
	var first, second queue.Packer
	recs := rawPosts(30)
	bare := post("p99", "아무것도 없는 글", 1)
	keep(t, &first, s, ws[0], append(recs[:12:12], bare)...)
	keep(t, &second, s, ws[0], recs[12:]...) // another process
	keep(t, &first, s, ws[1], recs[3])       // shown by both lists
	want := map[string]string{"p99": "-"}
	for _, r := range recs {
		want[r.Key] = string(r.Raw)
	}
	same(t, "items", restored(t, s), want)
	rows(t, s, `select id, stream from dictionary`, "1|post")
	rows(t, s, `select max(length(raw)) < 130, min(length(raw)) > 20 from record`, "1|1")
	rs, err := s.RawRecords(t.Context(), "matzip", 3, 1)
	check(t, err)
	same(t, "lists", rs[0].Lists, []string{"posts", "reels"})
	if rs, err := s.RawRecords(t.Context(), "다른 일", 0, 9); err != nil || len(rs) > 0 {
		t.Errorf("another pipeline's: %v, %v", rs, err)
	}
}

// TestRawRewritten checks that an item is written again only with data that changed, or when none was kept.
func TestRawRewritten(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	var p queue.Packer
	r := rawPost(1)
	old := string(r.Raw)
	keep(t, &p, s, ws[0], r)
	r.Raw = json.RawMessage(`{"like_count":2}`)
	keep(t, &p, s, ws[0], r)
	same(t, "unchanged data", restored(t, s), map[string]string{"p1": old})

	r.Data = json.RawMessage(`{"caption":"고친 글"}`)
	keep(t, &p, s, ws[0], r)
	same(t, "changed data", restored(t, s), map[string]string{"p1": `{"like_count":2}`})
	r.Data, r.Raw = json.RawMessage(`{"caption":"또 고친 글"}`), nil
	keep(t, &p, s, ws[0], r)
	same(t, "changed data without an item", restored(t, s), map[string]string{"p1": "-"})

	fetched := `select fetched_at, data from record`
	before, err := s.Rows(t.Context(), fetched)
	check(t, err)
	s.Now = func() time.Time { return day(9) }
	r.Raw = json.RawMessage(`{"like_count":3}`)
	if st := keep(t, &p, s, ws[0], r)[0]; st.Changed || st.New {
		t.Errorf("got %+v", st)
	}
	same(t, "never kept", restored(t, s), map[string]string{"p1": `{"like_count":3}`})
	rows(t, s, fetched, before...)
}

// TestFewItems checks that few items are kept without a dictionary, and that a later page makes one.
func TestFewItems(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	var p queue.Packer
	recs := rawPosts(20)
	keep(t, &p, s, ws[0], recs[:3]...)
	rows(t, s, `select count(*) from dictionary`, "0")
	keep(t, &p, s, ws[0], recs[3:]...)
	rows(t, s, `select count(*) from dictionary`, "1")
	if got := restored(t, s); len(got) != 20 || got["p0"] != string(recs[0].Raw) || got["p19"] != string(recs[19].Raw) {
		t.Errorf("restored %v", got)
	}
}

func TestDamagedItems(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ damage, want string }{
		"a byte":               {`update record set raw = cast(substr(raw, 1, length(raw) - 6) || x'00' || substr(raw, length(raw) - 4) as blob)`, "p3"},
		"cut":                  {`update record set raw = substr(raw, 1, 20)`, "p3"},
		"no frame":             {`update record set raw = x'00'`, "p3"},
		"empty":                {`update record set raw = x''`, "p3"},
		"no dictionary":        {`delete from dictionary`, "dictionary"},
		"another dictionary":   {`update dictionary set body = (select raw from record where key = 'p3')`, "dictionary 1"},
		"a damaged dictionary": {`update dictionary set body = substr(body, 1, 50)`, "dictionary 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			_, ws := begin(t, s, "을지로골목", "posts")
			var p queue.Packer
			keep(t, &p, s, ws[0], rawPosts(12)...)
			check(t, s.Exec(t.Context(), tt.damage))
			rs, err := s.RawRecords(t.Context(), "matzip", 3, 1)
			check(t, err)
			var other queue.Packer
			raw, err := other.Unpack(t.Context(), s, rs[0])
			if err == nil {
				t.Fatalf("it reads %q", raw)
			}
			sentence(t, err.Error(), "the kept item of post p3 cannot be read", tt.want)
		})
	}
}

// TestDamagedDictionary checks that items are kept all the same, with a new dictionary, and that it is told once.
func TestDamagedDictionary(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"no frame":  `update dictionary set body = x'00'`,
		"empty":     `update dictionary set body = x''`,
		"cut":       `update dictionary set body = substr(body, 1, 50)`,
		"too short": `update dictionary set body = (select raw from record where key = 'p0')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			_, ws := begin(t, s, "을지로골목", "posts")
			var first, second, third queue.Packer
			short := rawPost(0)
			short.Raw = json.RawMessage(`[]`)
			keep(t, &first, s, ws[0], short) // before there is a dictionary
			recs := rawPosts(40)
			keep(t, &first, s, ws[0], recs[1:13]...)
			check(t, s.Exec(t.Context(), damage))

			keep(t, &second, s, ws[0], recs[13:15]...) // too few for a new one
			news := second.Damaged()
			if len(news) != 1 {
				t.Fatalf("told %v", news)
			}
			sentence(t, news[0].Error(), "dictionary 1, which kept items of post need, is damaged")
			keep(t, &second, s, ws[0], recs[15:30]...)
			keep(t, &third, s, ws[0], recs[30:]...) // another process
			rows(t, s, `select id, stream from dictionary`, "1|post", "2|post")
			if more := append(second.Damaged(), third.Damaged()...); len(more) > 0 {
				t.Errorf("told again: %v", more)
			}

			var p queue.Packer
			rs, err := s.RawRecords(t.Context(), "matzip", 0, 100)
			check(t, err)
			for _, r := range rs {
				raw, err := p.Unpack(t.Context(), s, r)
				var i int
				if _, serr := fmt.Sscanf(r.Key, "p%d", &i); serr != nil {
					t.Fatal(serr)
				}
				switch {
				case 1 <= i && i < 13:
					if err == nil {
						t.Fatalf("%s reads %q", r.Key, raw)
					}
					sentence(t, err.Error(), r.Key, "dictionary 1 is damaged")
				case err != nil:
					t.Error(err)
				case i > 0 && string(raw) != string(recs[i].Raw):
					t.Errorf("%s is %s", r.Key, raw)
				}
			}
			if len(rs) != 40 {
				t.Errorf("%d records", len(rs))
			}
		})
	}
}

// TestPackAtOnce packs pages at the same time, as the lanes do.
func TestPackAtOnce(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ws := begin(t, s, "을지로골목", "posts")
	var p queue.Packer
	var g sync.WaitGroup
	recs := rawPosts(120)
	for i := range 10 {
		g.Go(func() {
			packed, err := p.Pack(t.Context(), s, recs[i*12:i*12+12])
			if err == nil {
				err = s.Tx(t.Context(), func(tx *queue.Tx) error {
					_, err := tx.PutPacked(ws[0], packed)
					return err
				})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	rows(t, s, `select count(*) from dictionary`, "1")
	got := restored(t, s)
	for _, r := range recs {
		if got[r.Key] != string(r.Raw) {
			t.Fatalf("%s is %s", r.Key, got[r.Key])
		}
	}
}

// TestRenew checks that a record read anew is told to the sinks of the places that it names.
func TestRenew(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sink(t, s, "mongo")
	st, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	check(t, s.Exec(t.Context(), `delete from outbox`))
	st.Data, st.Time = json.RawMessage(`{"caption":"새로 읽은 글"}`), day(7)
	within(t, s, func(tx *queue.Tx) error { return tx.Renew(st) })
	rows(t, s, `select caption, taken_at from v_posts`, "새로 읽은 글|2025-03-07T03:00:00.000Z")
	rows(t, s, told, "mongo|naver:1|1")
}

func BenchmarkPack(b *testing.B) {
	s := fresh(b)
	var p queue.Packer
	recs := rawPosts(12)
	for i := range recs {
		recs[i].Raw = json.RawMessage(strings.Replace(string(recs[i].Raw), `"can_save"`, strings.Repeat(`"한 글자씩 다른 필드":null,`, 80)+`"can_save"`, 1))
	}
	for b.Loop() {
		if _, err := p.Pack(b.Context(), s, recs); err != nil {
			b.Fatal(err)
		}
	}
}
