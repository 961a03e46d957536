package queue_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sumbi/queue"
)

// bothEngines skips, and says so, where there is no PostgreSQL to move to.
func bothEngines(t testing.TB) {
	t.Helper()
	if server == nil {
		t.Skip("SUMBI_TEST_ENGINE=postgres is not set: moving between a file and PostgreSQL was NOT checked")
	}
}

// freshFile opens an empty state file, whatever engine the tests are about.
func freshFile(t testing.TB) *queue.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "sumbi.db"), queue.Owner)
}

func inFile(path string) queue.Location { return queue.Location{File: path} }

func inDatabase(address string) queue.Location {
	return queue.Location{Database: queue.Database{Address: address}}
}

func move(t testing.TB, from, to queue.Location) []queue.Moved {
	t.Helper()
	moved, err := queue.Move(t.Context(), from, to, schema, nil)
	check(t, err)
	return moved
}

// shapes are the tables of a state file with the columns that both engines have, and its views.
func shapes(t testing.TB, s *queue.Store) (tables map[string]string, all []string) {
	t.Helper()
	tables = map[string]string{}
	names, err := s.Rows(t.Context(), `select name from sqlite_schema where type = 'table' and name not like 'sqlite%' and name <> 'goqite'`)
	check(t, err)
	for _, name := range names {
		columns, err := s.Rows(t.Context(), `select '"' || name || '"' from pragma_table_info('`+name+`')`)
		check(t, err)
		tables[name] = strings.Join(columns, ", ")
	}
	all, err = s.Rows(t.Context(), `select name from sqlite_schema where type = 'view'`)
	check(t, err)
	return tables, all
}

// content reads all of a state.
func content(t testing.TB, s *queue.Store, tables map[string]string, views []string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	read := func(name, query string) {
		all, err := s.Rows(t.Context(), query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		out[name] = all
	}
	for name, columns := range tables {
		switch name {
		case "meta":
			read(name, `select `+columns+` from meta where key not in ('running', 'schema', 'readable') order by key`)
		case "job":
			columns = strings.Replace(columns, `"message"`, `null as message`, 1)
			fallthrough
		default:
			var all []string
			for i := range strings.Count(columns, ",") + 1 {
				all = append(all, fmt.Sprint(i+1))
			}
			read(name, `select `+columns+` from `+name+` order by `+strings.Join(all, ", "))
		}
	}
	for _, v := range views {
		read(v, `select * from `+v+` order by 1, 2, 3`)
	}
	return out
}

// filled are states with something in every table.
func filled(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	s := freshFile(t)
	full(t, s)
	check(t, s.Exec(t.Context(), `update job set taken_at = '2025-03-10T03:00:00.000Z' where taken_at is not null`))
	all["everything"] = copyFile(t, s.Path(), t.TempDir()) // as a kill leaves it: with a log, and a job in flight
	check(t, s.Close())
	for _, name := range []string{"schema2-match", "schema2-crawl"} {
		all[name] = unpacked(t, name)
		s := open(t, all[name], queue.Owner)
		check(t, s.Close())
	}
	return all
}

func readAll(t testing.TB, path string) (all [][]byte) {
	t.Helper()
	for _, tail := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + tail)
		if !errors.Is(err, os.ErrNotExist) {
			check(t, err)
		}
		all = append(all, b)
	}
	return all
}

// TestMoveRoundTrip moves files into a database and back. All that is kept is the same in all three, and the source is untouched.
func TestMoveRoundTrip(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	for name, path := range filled(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := readAll(t, path)
			address, back := server.Database(t, ""), filepath.Join(t.TempDir(), "돌아온.db")
			check(t, os.WriteFile(filepath.Join(filepath.Dir(back), ".돌아온.db.move-1.part"), []byte("잘린 것"), 0o600))
			there := move(t, inFile(path), inDatabase(address))
			if after := readAll(t, path); !bytes.Equal(before[0], after[0]) || !bytes.Equal(before[1], after[1]) {
				t.Error("the file that was copied is not as it was")
			}
			same(t, "tables moved back", move(t, inDatabase(address), inFile(back)), there)
			left(t, filepath.Dir(back), "돌아온.db")

			file, database, again := open(t, path, queue.Guest), open(t, address, queue.Guest), open(t, back, queue.Guest)
			check(t, again.Check(t.Context()))
			tables, views := shapes(t, file)
			want := content(t, file, tables, views)
			same(t, "the file that came back", content(t, again, tables, views), want)
			same(t, "the database", content(t, database, tables, nil), content(t, file, tables, nil))
			const numbers = `select name || ' ' || seq from sqlite_sequence where name <> 'goqite' order by name`
			rows(t, again, numbers, column(t, openSQL(t, path), numbers)...)
			if name == "everything" && (len(want["record"]) == 0 || len(want["usage"]) == 0 || len(want["v_places"]) == 0) {
				t.Error("the state was empty")
			}
		})
	}
}

// TestMoveGoesOn works on what was moved: what was in flight and what waits is taken, and no number comes again.
func TestMoveGoesOn(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	s := freshFile(t)
	add(t, s, pageJob("먼저"), pageJob("나중"))
	within(t, s, func(tx *queue.Tx) error { // numbered, and gone
		_, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: "지난 일", Priority: 9})
		return err
	})
	check(t, s.Finish(t.Context(), take(t, s), note("끝", "났다")))
	begin(t, s, "을지로골목", "posts")
	if j := take(t, s); j.Key != "먼저" {
		t.Fatalf("took %q", j.Key)
	}
	file := copyFile(t, s.Path(), t.TempDir())

	for _, leg := range []string{"database", "file"} {
		where := server.Database(t, "")
		move(t, inFile(file), inDatabase(where))
		if leg == "file" {
			back := filepath.Join(t.TempDir(), "sumbi.db")
			move(t, inDatabase(where), inFile(back))
			where = back
		}
		g := open(t, where, queue.Owner)
		check(t, g.Promote(t.Context()))
		first, second := take(t, g), take(t, g)
		if first.Key != "먼저" || first.Lost() != 2 || second.Key != "나중" || second.Lost() != 1 {
			t.Errorf("%s: took %q (lost %d) and %q (lost %d)", leg, first.Key, first.Lost(), second.Key, second.Lost())
		}
		rows(t, g, `select lane, what from waste w join (select '인스타' as lane) x on x.lane = w.upstream`, "인스타|repeated")
		add(t, g, pageJob("새 일"))
		rows(t, g, `select id from job where key = '새 일'`, "4")
		_, walks := begin2(t, g)
		if walks[0].ID != 2 {
			t.Errorf("%s: the next walk is %d, want 2", leg, walks[0].ID)
		}
		check(t, g.Close())
	}
}

// begin2 begins another list within the run that is open.
func begin2(t testing.TB, s *queue.Store) (run queue.Run, walks []queue.Walk) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) (err error) {
		if run, _, err = tx.AskRun("matzip", false, nil); err != nil {
			return err
		}
		walks, err = tx.Begin(run, "성수동", []string{"posts"})
		return err
	})
	return run, walks
}

// TestMoveOddText moves what PostgreSQL keeps in no text, also in keys, whose order it changes.
func TestMoveOddText(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	s := freshFile(t)
	for _, query := range []string{"냉면\x00집", "냉면\x01집", "냉면\xff집!", "냉면집"} {
		check(t, s.Exec(t.Context(), `insert into search (finder, query, answer, at) values ('naver', ?, ?, '2025-03-01T03:00:00.000Z')`, query, "답\x00\xfe"))
	}
	check(t, s.Exec(t.Context(), `insert into slot (run, lane, what, n) values (1, '인스타', 'call', ?)`, 0.1))
	check(t, s.Exec(t.Context(), `insert into slot (run, lane, what, n) values (2, '인스타', 'call', -0.0)`))
	path := s.Path()
	check(t, s.Close())
	address := server.Database(t, "")
	move(t, inFile(path), inDatabase(address))
	d := open(t, address, queue.Guest)
	rows(t, d, `select query, answer from search order by query`, "냉면\x01집|답\uFFFD\uFFFD", "냉면집|답\uFFFD\uFFFD", "냉면\uFFFD집|답\uFFFD\uFFFD", "냉면\uFFFD집!|답\uFFFD\uFFFD")
	rows(t, d, `select n from slot order by run`, "0.1", "0")
}

// many is a state that is long enough to be told of in the middle of the copy.
func many(t testing.TB) string {
	t.Helper()
	s := freshFile(t)
	check(t, s.Exec(t.Context(), `insert into webhook (id, at) with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000) select 'hook ' || i, '2026-11-20T03:00:00.000Z' from n`))
	check(t, s.Close())
	return s.Path()
}

// TestMoveCutOff ends a move in the middle of the copy, and in the middle of reading it back. Nothing is there then, and the next
// move does it all.
func TestMoveCutOff(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	path := many(t)
	database := server.Database(t, "")
	move(t, inFile(path), inDatabase(database))
	for _, at := range []int64{2000, 7000} {
		address, file := server.Database(t, ""), filepath.Join(t.TempDir(), "sumbi.db")
		for _, leg := range []struct {
			name     string
			from, to queue.Location
			nothing  func()
		}{
			{"into a database", inFile(path), inDatabase(address), func() { rows(t, open(t, database, queue.Guest), `select count(*) from webhook`, "5000") }},
			{"into a file", inDatabase(database), inFile(file), func() { left(t, filepath.Dir(file)) }},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := queue.Move(ctx, leg.from, leg.to, schema, func(done, _ int64) {
				if done >= at {
					cancel()
				}
			})
			cancel()
			if err == nil {
				t.Fatalf("%s: was not cut off", leg.name)
			}
			leg.nothing()
			move(t, leg.from, leg.to)
		}
		rows(t, open(t, address, queue.Guest), `select count(*) from webhook`, "5000")
		rows(t, open(t, address, queue.Guest), `select reltuples from pg_class where relname = 'webhook'`, "5000")
		rows(t, open(t, file, queue.Guest), `select count(*) from webhook`, "5000")
	}
}

// TestMoveDiffers lets the target keep something else than it was given: the move says in which table, and nothing is written.
func TestMoveDiffers(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	path := filled(t)["everything"]
	address := server.Database(t, "")
	move(t, inFile(path), inDatabase(address))
	differs := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*queue.MoveError](err); !ok {
			t.Fatalf("got %v", err)
		}
		sentence(t, err.Error(), "in place (1 rows read, 1 found);", "nothing was written")
	}

	file := filepath.Join(t.TempDir(), "sumbi.db")
	spoilt := schema + `; create trigger spoil after insert on place begin update place set name = name || '?' where id = new.id; end`
	_, err := queue.Move(t.Context(), inDatabase(address), inFile(file), spoilt, nil)
	differs(err)
	left(t, filepath.Dir(file))

	bad := server.Database(t, "")
	d := openSQL(t, bad)
	for _, text := range []string{
		`create schema beside`,
		`create function beside.alter_row() returns trigger language plpgsql as $$ begin new.name := new.name || '?'; return new; end $$`,
		`create function beside.watch() returns event_trigger language plpgsql as $$ begin
			if to_regclass('public.place') is not null and not exists (select 1 from pg_trigger where tgname = 'spoil') then
				create trigger spoil before insert on public.place for each row execute function beside.alter_row();
			end if; end $$`,
		`create event trigger spoiling on ddl_command_end when tag in ('CREATE VIEW') execute function beside.watch()`,
	} {
		_, err := d.ExecContext(t.Context(), text)
		check(t, err)
	}
	_, err = queue.Move(t.Context(), inFile(path), inDatabase(bad), schema, nil)
	differs(err)
	if got := column(t, d, `select table_name from information_schema.tables where table_schema = 'public' and table_name not like 'river%'`); len(got) > 0 {
		t.Errorf("the database has %v", got)
	}
}

// TestMoveRefuses checks that what cannot be moved, or not there, is told in one sentence, and that nothing is touched.
func TestMoveRefuses(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	dir := t.TempDir()
	path, filledDatabase, empty := many(t), server.Database(t, ""), server.Database(t, "")
	move(t, inFile(path), inDatabase(filledDatabase))
	busy := freshFile(t)
	working := fresh(t)
	check(t, working.Exec(t.Context(), `update machine set seen_at = '2126-01-01T00:00:00.000Z'`)) // it is alive, however long the others take
	foreign := server.Database(t, "")
	_, err := openSQL(t, foreign).ExecContext(t.Context(), `create table mine (x integer)`)
	check(t, err)
	newer, newerFile := server.Database(t, ""), many(t)
	move(t, inFile(path), inDatabase(newer))
	_, err = openSQL(t, newer).ExecContext(t.Context(), `update meta set value = '99' where key = 'schema'`)
	check(t, err)
	_, err = openSQL(t, newerFile).ExecContext(t.Context(), `pragma user_version = 99`)
	check(t, err)
	there := filepath.Join(dir, "있다.db")
	check(t, os.WriteFile(there, []byte("오래된 것"), 0o600))
	log := filepath.Join(dir, "기록.db")
	check(t, os.WriteFile(log+"-wal", []byte("남은 기록"), 0o600))
	target := filepath.Join(dir, "새.db")

	tests := []struct {
		name     string
		from, to queue.Location
		want     []string
	}{
		{"a file to a file", inFile(path), inFile(target), []string{"in a file already", "sumbi backup"}},
		{"a database to a database", inDatabase(filledDatabase), inDatabase(empty), []string{"in PostgreSQL already"}},
		{"no such file", inFile(filepath.Join(dir, "없다.db")), inDatabase(empty), []string{"does not exist"}},
		{"a file in use", inFile(busy.Path()), inDatabase(empty), []string{queue.ErrLocked.Error()}},
		{"a database in use", inDatabase(working.Where()), inFile(target), []string{"1 processes work on it", "stop them all", "wait 15s"}},
		{"an empty database", inDatabase(empty), inFile(target), []string{"holds no state"}},
		{"into what holds a state", inFile(path), inDatabase(filledDatabase), []string{"is not empty", "search_path"}},
		{"into another program's", inFile(path), inDatabase(foreign), []string{"is not empty"}},
		{"into a file that is there", inDatabase(filledDatabase), inFile(there), []string{"is there already"}},
		{"into a file whose log is there", inDatabase(filledDatabase), inFile(log), []string{"기록.db-wal", "is there already"}},
		{"into no directory", inDatabase(filledDatabase), inFile(filepath.Join(dir, "없다", "새.db")), []string{"cannot be written"}},
		{"of an earlier schema", inFile(unpacked(t, "schema2-done")), inDatabase(empty), []string{"earlier sumbi (schema 2"}},
		{"of a newer schema", inFile(newerFile), inDatabase(empty), []string{"newer sumbi (schema 99"}},
		{"a database of a newer schema", inDatabase(newer), inFile(target), []string{"newer sumbi (schema 99"}},
		{"a password with a slash", inFile(path), inDatabase("postgres://sumbi:1/hunter2@127.0.0.1:1/x"), nil},
		{"no address", inFile(path), inDatabase("host=localhost password='hunter2"), []string{"not an address"}},
	}
	for _, tt := range tests {
		_, err := queue.Move(t.Context(), tt.from, tt.to, schema, nil)
		if err == nil {
			t.Errorf("%s: was not refused", tt.name)
			continue
		}
		sentence(t, err.Error(), tt.want...)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	left(t, dir, "기록.db-wal", "있다.db")
	if got := column(t, openSQL(t, empty), `select table_name from information_schema.tables where table_schema = 'public' and table_name not like 'river%'`); len(got) > 0 {
		t.Errorf("the empty database has %v", got)
	}
	move(t, inFile(path), inDatabase(empty))
}

// TestMoveChangedMeanwhile lets somebody work on the state while it is copied.
func TestMoveChangedMeanwhile(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	path, database := many(t), server.Database(t, "")
	move(t, inFile(path), inDatabase(database))
	guest, d := open(t, path, queue.Guest), openSQL(t, database)
	now := time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05.000Z")
	target, file := server.Database(t, ""), filepath.Join(t.TempDir(), "sumbi.db")
	for _, leg := range []struct {
		from, to queue.Location
		meddle   func()
		want     string
	}{
		{inFile(path), inDatabase(target), func() { within(t, guest, note("그 사이", "적었다")) }, "somebody has changed it"},
		{inDatabase(database), inFile(file), func() {
			_, err := d.ExecContext(t.Context(), `insert into machine (id, host, version, started_at, seen_at) values ('새것', '부엌', '', $1, $1)`, now)
			check(t, err)
		}, "one of them on 부엌"},
	} {
		met := false
		_, err := queue.Move(t.Context(), leg.from, leg.to, schema, func(int64, int64) {
			if !met {
				leg.meddle()
			}
			met = true
		})
		if err == nil || !met {
			t.Fatalf("%s: was not refused", leg.want)
		}
		sentence(t, err.Error(), leg.want)
	}
	left(t, filepath.Dir(file))
	move(t, inFile(path), inDatabase(target))
	rows(t, open(t, target, queue.Guest), `select value from meta where key = '그 사이'`, "적었다")
}

var hashed = regexp.MustCompile(`^[0-9a-f]{64}$`)

// TestMoveTells checks what the caller hears.
func TestMoveTells(t *testing.T) {
	bothEngines(t)
	t.Parallel()
	var told []string
	moved, err := queue.Move(t.Context(), inFile(many(t)), inDatabase(server.Database(t, "")), schema, func(done, all int64) {
		told = append(told, fmt.Sprintf("%d of %d", done, all))
	})
	check(t, err)
	if len(told) < 10 || told[len(told)-1] != "10000 of 10000" {
		t.Errorf("told %v", told)
	}
	for _, m := range moved {
		if !hashed.MatchString(m.Hash) {
			t.Errorf("%s: %d rows, hash %q", m.Table, m.Rows, m.Hash)
		}
		if m.Table == "webhook" && m.Rows != 5000 {
			t.Errorf("%d webhooks", m.Rows)
		}
	}
}

// openSQL opens a state behind the program's back.
func openSQL(t testing.TB, where string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if queue.IsPostgres(where) {
		driver = "pgx"
	}
	db, err := sql.Open(driver, where)
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
