package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"sumbi/queue"
)

// written are state files as earlier versions of the program left them: run to the end, or killed in the crawl, while a batch
// ran, and in the middle of the matching. All crawled the same two invented accounts.
var written = []string{
	"schema1-done", "schema1-crawl", "schema1-batch", "schema1-match",
	"schema2-done", "schema2-crawl", "schema2-batch", "schema2-match",
	"schema3-done", "schema3-crawl", "schema3-batch", "schema3-match",
	"schema4-done", "schema4-crawl", "schema4-batch", "schema4-match",
}

// unpacked puts one of written into a directory of the test's own.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name+".db.zst"))
	check(t, err)
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	check(t, err)
	defer dec.Close()
	b, err := dec.DecodeAll(packed, nil)
	check(t, err)
	path := filepath.Join(t.TempDir(), "sumbi.db")
	check(t, os.WriteFile(path, b, 0o600))
	return path
}

// peek reads any SQLite file: for each query its rows as text.
func peek(t testing.TB, path string, queries ...string) (all [][]string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	for _, q := range queries {
		all = append(all, column(t, db, q))
	}
	return all
}

func column(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rs, err := db.QueryContext(context.Background(), query)
	check(t, err)
	defer rs.Close()
	got := []string{}
	for rs.Next() {
		var s string
		check(t, rs.Scan(&s))
		got = append(got, s)
	}
	check(t, rs.Err())
	return got
}

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	sqlSpace   = regexp.MustCompile(`\s+`)
	sqlMarks   = regexp.MustCompile(` ?([(),=<>|]) ?`)
)

// plain is SQL without what does not matter.
func plain(text string) string {
	text = sqlSpace.ReplaceAllString(sqlComment.ReplaceAllString(text, ""), " ")
	text = strings.ReplaceAll(sqlMarks.ReplaceAllString(text, "$1"), `"`, "")
	return strings.ToLower(strings.TrimSpace(text))
}

// shape is everything that a schema says: tables, columns, indexes, triggers and views.
func shape(t testing.TB, s *queue.Store) []string {
	t.Helper()
	ctx := context.Background()
	texts, err := s.Rows(ctx, `select type || ' ' || name || ': ' || sql from sqlite_schema where sql is not null order by type, name`)
	check(t, err)
	var out []string
	for _, text := range texts {
		out = append(out, plain(text))
	}
	for _, q := range []string{
		`select m.name, x.cid, x.name, x.type, x."notnull", coalesce(x.dflt_value, '-'), x.pk, x.hidden from sqlite_schema m, pragma_table_xinfo(m.name) x where m.type = 'table' order by m.name, x.cid`,
		`select name, strict, wr from pragma_table_list where schema = 'main' and type = 'table' order by name`,
		`select m.name, l."unique", l.origin, l.partial, group_concat(i.name || ' ' || i.desc || ' ' || i.coll) from sqlite_schema m, pragma_index_list(m.name) l, pragma_index_xinfo(l.name) i
			where m.type = 'table' group by m.name, l.name order by 1, 2, 3, 4, 5`,
	} {
		got, err := s.Rows(ctx, q)
		check(t, err)
		out = append(out, got...)
	}
	return out
}

// views reads every view once.
func views(t testing.TB, s *queue.Store) map[string][]string {
	t.Helper()
	names, err := s.Rows(context.Background(), `select name from sqlite_schema where type = 'view'`)
	check(t, err)
	out := map[string][]string{}
	for _, v := range names {
		out[v], err = s.Rows(context.Background(), `select * from `+v)
		check(t, err)
	}
	return out
}

// kept are the questions whose answers an upgrade must not change.
var kept = []string{
	`select key || ' ' || at || ' ' || data from record order by id`,
	`select 'listing ' || record || ' ' || walk || ' ' || first || ' ' || run from listing order by record, walk`,
	`select id || ' ' || target || ' ' || list || ' ' || state || ' ' || step || ' ' || cursor || ' ' || coalesce(mark, '-') || ' ' || pages from walk order by id`,
	`select id || ' ' || kind || ' ' || coalesce(key, '') || ' ' || args || ' ' || state from job order by id`,
	`select id || ' ' || state || ' ' || pages || ' ' || coalesce(ended_at, '-') from run order by id`,
	`select id || ' ' || state || ' ' || upstream_id || ' ' || lines || ' ' || position from batch order by id`,
	`select id || ' ' || name || ' ' || road_address from place order by id`,
	`select name || ' ' || seq from sqlite_sequence where name in ('job', 'run', 'batch', 'mention') order by name`,
	`select sink || ' ' || key || ' ' || rev from outbox order by sink, key`,
	`select day || ' ' || upstream || ' ' || what || ' ' || n || ' ' || micro_usd from usage where what <> 'request' order by day, run, upstream, what`, // a start books what was in flight
	`select name || ' ' || used || ' ' || coalesce(held_until, '-') || ' ' || fingerprint from upstream_limit order by name`,
	`select state || ' ' || attempt || ' ' || coalesce(batch, '-') || ' ' || coalesce(line, '-') || ' ' || coalesce(answer, body) from question order by asked_at, coalesce(answer, body), line`,
	`select post || ' ' || n || ' ' || name || ' ' || json(fields) || ' ' || state || ' ' || coalesce(place, '-') || ' ' || coalesce(score, '-') || ' ' || reason || ' ' || coalesce(decided_at, '-') from v_mentions order by post, n`,
	`select post || ' ' || state || ' ' || lists from v_posts order by post`,
	`select m.post || ' ' || m.n || ' ' || c.key || ' ' || coalesce(json_extract(c.value, '$.name'), '-') || ' ' || json_extract(c.value, '$.why') || ' ' || json_extract(c.value, '$.score')
		from v_mentions m, json_each(m.candidates) c order by m.post, m.n, c.key`,
	`select m.post || ' ' || m.n || ' ' || (q.value ->> 'finder') || ' ' || (q.value ->> 'query') || ' ' || (q.value ->> 'found') from v_mentions m, json_each(m.queries) q order by m.post, m.n, q.key`,
}

const searches = `select s.finder || ' ' || s.query from search s order by 1 limit 10`

// TestUpgrade checks that a file of every earlier schema opens, has the schema of a new one, keeps what is in it, and works.
func TestUpgrade(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	want := shape(t, fresh(t))
	names := written
	if slow {
		names = []string{"schema1-match", "schema1-batch", "schema2-crawl", "schema3-match", "schema4-batch"}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := unpacked(t, name)
			before := peek(t, path, append(kept, searches)...)

			s := open(t, path, queue.Owner)
			same(t, "schema", shape(t, s), want)
			for i, q := range kept {
				got, err := s.Rows(t.Context(), q)
				check(t, err)
				same(t, q, got, before[i])
			}
			for _, line := range before[len(kept)] {
				finder, query, _ := strings.Cut(line, " ")
				if _, _, err := s.Search(t.Context(), finder, query, 100*365*24*time.Hour); err != nil {
					t.Errorf("remembered search %q: %v", line, err)
				}
			}
			if strings.HasPrefix(name, "schema1") {
				rows(t, s, `select state, key from question where length(key) <> case state when 'sent' then 35 else 23 end`)
			}
			seen := views(t, s)
			drained(t, s)
			check(t, s.Close())

			u := s.Upgraded()
			if u == nil || u.NoCopy != nil {
				t.Fatalf("upgraded: %+v", u)
			}
			if got := fmt.Sprintf("schema%d", u.From); !strings.HasPrefix(name, got) {
				t.Errorf("upgraded from %s", got)
			}
			same(t, "copy", peek(t, u.Copy, kept[0], searches), [][]string{before[0], before[len(kept)]})

			s = open(t, path, queue.Owner)
			if s.Upgraded() != nil {
				t.Error("upgraded a second time")
			}
			again := views(t, s)
			for _, v := range []string{"v_mentions", "v_places", "v_runs", "v_spend"} {
				same(t, v, again[v], seen[v])
			}
		})
	}
}

// drained lets a worker do every job of a file and checks that each was done, what was in flight first of all.
func drained(t *testing.T, s *queue.Store) {
	t.Helper()
	lanes, err := s.Rows(t.Context(), `select distinct lane from job where state = 'live'`)
	check(t, err)
	wanted, err := s.Rows(t.Context(), `select id from job where state = 'live' order by id`)
	check(t, err)
	var mu sync.Mutex
	var did []string
	done := make(chan struct{})
	h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
		mu.Lock()
		defer mu.Unlock()
		if did = append(did, fmt.Sprint(j.ID)); len(did) == len(wanted) {
			close(done)
		}
		return nil, nil
	}
	if len(wanted) == 0 {
		return
	}
	w := &queue.Worker{Store: s, Log: slog.New(slog.DiscardHandler), Grace: time.Minute, Handlers: map[queue.Kind]queue.Handler{
		queue.KindPage: h, queue.KindBatch: h, queue.KindMatch: h, queue.KindDeliver: h,
	}}
	for _, l := range lanes {
		w.Lanes = append(w.Lanes, queue.Lane{Name: l, Workers: 4, Deadline: time.Minute})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Errorf("%d of %d jobs were done within a minute", len(did), len(wanted))
	}
	cancel()
	check(t, <-ended)
	if len(did) != len(wanted) {
		t.Errorf("did %d jobs, want %d", len(did), len(wanted))
	}
	rows(t, s, `select id from job where state = 'live'`)
}

// TestUpgradeCutOff checks that a process which ends at any moment of an upgrade leaves a file that the next one upgrades.
func TestUpgradeCutOff(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := unpacked(t, "schema1-crawl")
	before, err := os.ReadFile(path)
	check(t, err)
	s := open(t, path, queue.Owner)
	want := shape(t, s)
	posts := views(t, s)["v_posts"]
	wal, err := os.ReadFile(path + "-wal")
	check(t, err)
	check(t, s.Close())

	const cuts = 4
	olds := 0
	for i := range cuts + 1 {
		dir := t.TempDir()
		path := filepath.Join(dir, "sumbi.db")
		check(t, os.WriteFile(path, before, 0o600))
		check(t, os.WriteFile(path+"-wal", wal[:len(wal)*i/cuts], 0o600))
		s := open(t, path, queue.Owner)
		if s.Upgraded() != nil {
			olds++
		}
		same(t, fmt.Sprintf("schema after a cut at %d of %d", i, cuts), shape(t, s), want)
		same(t, "posts", views(t, s)["v_posts"], posts)
		check(t, s.Close())
	}
	if olds == 0 || olds > cuts {
		t.Errorf("%d of %d cuts left the earlier schema", olds, cuts+1)
	}
}

// TestUpgradeFails checks that a file which cannot be upgraded is left as it was.
func TestUpgradeFails(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := unpacked(t, "schema1-done")
	raw(t, path, `drop table listing`)
	all := []string{`select type || name || coalesce(sql, '') from sqlite_schema order by 1`, `select user_version from pragma_user_version`}
	before := peek(t, path, all...)
	_, err := queue.Open(t.Context(), path, schema, queue.Owner)
	if !queue.Fatal(err) {
		t.Fatalf("got %v", err)
	}
	sentence(t, err.Error(), "schema 1", "cannot be upgraded", "nothing was changed")
	same(t, "schema and version", peek(t, path, all...), before)
}

// TestUpgradeOfALargeFile checks that a file of an earlier schema opens, too, when it is too large to be checked whole at the start.
func TestUpgradeOfALargeFile(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	for _, name := range []string{"schema1-done", "schema2-done", "schema3-done"} {
		path := unpacked(t, name)
		raw(t, path, `create table pad (b blob)`)
		raw(t, path, `insert into pad values (zeroblob(17 << 20))`)
		raw(t, path, `drop table pad`)
		s := open(t, path, queue.Owner)
		if u := s.Upgraded(); u == nil {
			t.Errorf("%s was not upgraded", name)
		}
		rows(t, s, `select count(*) from record`, "42")
		check(t, s.Close())
	}
}

// TestUpgradeIsTheOwners checks what a guest says about an earlier file, and that it changes nothing.
func TestUpgradeIsTheOwners(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := unpacked(t, "schema2-done")
	before := hash(t, path)
	_, err := queue.Open(t.Context(), path, schema, queue.Guest)
	if !queue.Fatal(err) {
		t.Fatalf("got %v", err)
	}
	sentence(t, err.Error(), "earlier sumbi", "schema 2", "upgrades it")
	if hash(t, path) != before {
		t.Error("the file was changed")
	}
}

// TestUpgradeWithoutCopy checks that an upgrade does not fail for want of a copy.
func TestUpgradeWithoutCopy(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := unpacked(t, "schema1-done")
	check(t, os.Mkdir(filepath.Join(filepath.Dir(path), "sumbi.before-v6.db"), 0o700)) // the name is taken
	s := open(t, path, queue.Owner)
	u := s.Upgraded()
	if u == nil || u.NoCopy == nil || u.Copy != "" {
		t.Errorf("upgraded: %+v", u)
	}
	rows(t, s, `select count(*) from record`, "42")
}

// TestUpgradeLeavesNoHalfCopy checks that the copy of an upgrade that was cut off goes with the next one.
func TestUpgradeLeavesNoHalfCopy(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	path := unpacked(t, "schema2-crawl")
	dir := filepath.Dir(path)
	for _, name := range []string{".sumbi.before-v6.db.123.part", ".sumbi.before-v6.db.123.part-journal"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte("반"), 0o600))
	}
	check(t, open(t, path, queue.Owner).Close())
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	check(t, err)
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestUpgradeCopyIsPrivate checks who may read the copy.
func TestUpgradeCopyIsPrivate(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := open(t, unpacked(t, "schema1-crawl"), queue.Owner)
	info, err := os.Stat(s.Upgraded().Copy)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("there is no copy")
	}
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
