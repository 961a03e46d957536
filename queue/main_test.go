package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// schema is the text of schema.sql; template is a state file that holds nothing yet.
var (
	schema   string
	template []byte
)

func TestMain(m *testing.M) {
	if path := os.Getenv("QUEUE_TEST_OPEN"); path != "" {
		openForParent(path)
		return
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = flag.Set("rapid.checks", sequences) // the command line may ask for more
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if server != nil {
			_ = server.Close()
		}
		os.Exit(code)
	}))
}

// openForParent opens a file for the test that started this process and prints what came of it.
func openForParent(path string) {
	mode := queue.Owner
	if os.Getenv("QUEUE_TEST_MODE") == "guest" {
		mode = queue.Guest
	}
	s, err := queue.Open(context.Background(), path, os.Getenv("QUEUE_TEST_SCHEMA"), mode)
	if err != nil {
		fmt.Print(err)
		return
	}
	defer s.Close()
	fmt.Print("opened")
}

// server is PostgreSQL, when that is the engine to be tested; like is the database there that holds nothing yet.
var (
	server *pgtest.Server
	like   string
)

// preparePostgres makes the database that others are made like. Where a test asks how much is announced, it asks for goqite.
func preparePostgres() (err error) {
	if server, err = pgtest.Start(); err != nil {
		return err
	}
	ctx := context.Background()
	address, err := server.Create(ctx, "")
	if err != nil {
		return err
	}
	s, err := queue.OpenPostgres(ctx, queue.Database{Address: address}, schema, queue.Owner)
	if err != nil {
		return err
	}
	like = pgtest.Name(address)
	return errors.Join(s.Exec(ctx, `create view goqite as select cast(id as text) as id, cast(id as text) as body from job where message is not null and state = 'live'`), s.Close())
}

// fileOnly skips what is about the file itself.
func fileOnly(t testing.TB) {
	t.Helper()
	if server != nil {
		t.Skip("about the file")
	}
}

func prepare() error {
	text, err := os.ReadFile("../schema.sql")
	if err != nil {
		return err
	}
	schema = string(text)
	if pgtest.Wanted() {
		return preparePostgres()
	}
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sumbi.db")
	s, err := queue.Open(context.Background(), path, schema, queue.Owner)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	template, err = os.ReadFile(path)
	return err
}

// fresh opens an empty state file of the test's own.
func fresh(t testing.TB) *queue.Store {
	t.Helper()
	if server != nil {
		return open(t, server.Database(t, like), queue.Owner)
	}
	path := filepath.Join(t.TempDir(), "sumbi.db")
	check(t, os.WriteFile(path, template, 0o600))
	return open(t, path, queue.Owner)
}

func open(t testing.TB, path string, mode queue.Mode) *queue.Store {
	t.Helper()
	s, err := reopen(path, mode)
	check(t, err)
	if _, bench := t.(*testing.B); !bench {
		check(t, s.NoSync())
	}
	if server == nil { // what a test has taken does not come back, however long it takes
		s.Hold("인스타", time.Hour)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func reopen(where string, mode queue.Mode) (*queue.Store, error) {
	if queue.IsPostgres(where) {
		return queue.OpenPostgres(context.Background(), queue.Database{Address: where, Plain: true}, schema, mode)
	}
	return queue.Open(context.Background(), where, schema, mode)
}

// crashed opens what a process that was killed now would leave: a copy of the file and of its log.
func crashed(t testing.TB, s *queue.Store) *queue.Store {
	t.Helper()
	if server != nil {
		copied := server.Database(t, like)
		check(t, pgtest.Copy(context.Background(), s.Where(), copied))
		return open(t, copied, queue.Owner)
	}
	return open(t, copyFile(t, s.Path(), t.TempDir()), queue.Owner)
}

// again opens the state as the next process does, with everything that was in flight.
func again(t testing.TB, s *queue.Store) *queue.Store {
	t.Helper()
	if server != nil {
		return crashed(t, s)
	}
	check(t, s.Close())
	return open(t, s.Where(), queue.Owner)
}

func copyFile(t testing.TB, from, dir string) string {
	t.Helper()
	to := filepath.Join(dir, "sumbi.db")
	for _, tail := range []string{"", "-wal"} {
		b, err := os.ReadFile(from + tail)
		if errors.Is(err, os.ErrNotExist) && tail != "" {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(to+tail, b, 0o600))
	}
	return to
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// within runs f in a transaction that must commit.
func within(t testing.TB, s *queue.Store, f func(tx *queue.Tx) error) {
	t.Helper()
	check(t, s.Tx(context.Background(), f))
}

// rows checks what a query finds.
func rows(t testing.TB, s *queue.Store, query string, want ...string) {
	t.Helper()
	got, err := s.Rows(context.Background(), query)
	check(t, err)
	if want == nil {
		want = []string{}
	}
	same(t, query, got, want)
}

// pageJob is a job of lane 인스타 that needs nothing but its key.
func pageJob(key string) queue.Job {
	return queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: key}
}

func add(t testing.TB, s *queue.Store, jobs ...queue.Job) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		for _, j := range jobs {
			added, err := tx.Add(j)
			if err != nil {
				return err
			}
			if !added {
				t.Errorf("job %q was not added", j.Key)
			}
		}
		return nil
	})
}

// take takes the best job of lane 인스타, which must be there.
func take(t testing.TB, s *queue.Store) queue.Job {
	t.Helper()
	j, ok, err := s.Take(context.Background(), "인스타")
	check(t, err)
	if !ok {
		t.Fatal("nothing to take")
	}
	return j
}

func nothing(t testing.TB, s *queue.Store) {
	t.Helper()
	j, ok, err := s.Take(context.Background(), "인스타")
	check(t, err)
	if ok {
		t.Errorf("took %q, want nothing", j.Key)
	}
}

// work starts a worker; the function returned stops it in order and checks that it had no complaint.
func work(t testing.TB, s *queue.Store, h queue.Handler, lanes ...queue.Lane) (w *queue.Worker, stop func()) {
	t.Helper()
	for i, l := range lanes {
		if l.Deadline == 0 {
			lanes[i].Deadline = 10 * time.Second
		}
	}
	w = &queue.Worker{
		Store: s, Lanes: lanes, Log: slog.New(slog.DiscardHandler), Grace: time.Second,
		Handlers: map[queue.Kind]queue.Handler{queue.KindPage: h, queue.KindMatch: h},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker: %v", err)
		}
	}
	t.Cleanup(stop)
	return w, stop
}

// note returns a commit that remembers a value.
func note(key, value string) queue.Commit {
	return func(tx *queue.Tx) error { return tx.SetMeta(key, value) }
}

func meta(t testing.TB, s *queue.Store, key, want string) {
	t.Helper()
	got, err := s.Meta(context.Background(), key)
	check(t, err)
	same(t, "meta "+key, got, want)
}

var errSoup = errors.New("국물이 식었다")

func kind(k adapters.Kind, after time.Duration) error {
	return &adapters.Error{Kind: k, After: after, Upstream: "인스타", Err: errSoup}
}

// day is an instant that tests can name.
func day(n int) time.Time { return time.Date(2025, 3, n, 3, 0, 0, 0, time.UTC) }

func post(key, caption string, n int) adapters.Record {
	b, _ := json.Marshal(map[string]string{"caption": caption, "url": "https://www.instagram.com/p/" + key + "/"})
	return adapters.Record{Stream: "post", Key: key, Time: day(n), Data: b}
}

// begin asks for a run of pipeline matzip and begins the lists of a target.
func begin(t testing.TB, s *queue.Store, target string, lists ...string) (run queue.Run, walks []queue.Walk) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) (err error) {
		if run, _, err = tx.AskRun("matzip", false, nil); err != nil {
			return err
		}
		if err = tx.StartRun(run.ID); err != nil {
			return err
		}
		walks, err = tx.Begin(run, target, lists)
		return err
	})
	return run, walks
}

// put writes a page of a walk.
func put(t testing.TB, s *queue.Store, w queue.Walk, recs ...adapters.Record) (all []queue.Stored) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) (err error) {
		all, err = tx.Put(w, recs)
		return err
	})
	return all
}

// sentence checks that a text for people is one line that says all of want.
func sentence(t testing.TB, text string, want ...string) {
	t.Helper()
	if text == "" || strings.ContainsAny(text, "\n\t") || strings.HasSuffix(text, ".") {
		t.Errorf("%q is not one sentence without its full stop", text)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}
