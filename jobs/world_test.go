package jobs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// pipeline is the name of every pipeline under test.
const pipeline = "matzip"

// errDead is what a fake says once its process has died.
var errDead = errors.New("the process is dead")

// world is a state, the process that drains it, and imitated upstreams that outlive both. It lives in a bubble, so
// that time is exact and costs nothing.
type world struct {
	tb    testing.TB
	dir   string
	path  string
	files int
	made  []string // databases

	accounts []string
	feed     *feed
	model    *model
	naver    *finder
	kakao    *finder
	sink     *sink
	tune     func(p *jobs.Pipeline) // changes the pipeline of each new process
	wire     func(e *jobs.Engine)   // changes the engine of each new process
	onCreate func()                 // called before a batch is created
	onNow    func()                 // called whenever the store looks at the clock
	limit    time.Duration          // of one run, in the bubble's time

	store  *queue.Store
	opened string // the state of store
	engine *jobs.Engine
	reader *sql.DB // of the state at read
	read   string

	readers sync.Mutex
	dead    atomic.Bool // the process has died; its state is the copy at path
	stop    context.CancelFunc
}

// postgres is the server of all worlds when the tests run over PostgreSQL.
var postgres = sync.OnceValues(pgtest.Start)

// empty is a state without a row: a file, or the name of a database. To copy it costs less than to make the schema again.
var empty = sync.OnceValues(func() ([]byte, error) {
	if pgtest.Wanted() {
		return emptyDatabase()
	}
	dir, err := os.MkdirTemp("", "sumbi-jobs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "empty.db")
	s, err := queue.Open(context.Background(), path, string(schema), queue.Owner)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func emptyDatabase() ([]byte, error) {
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		return nil, err
	}
	server, err := postgres()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	address, err := server.Create(ctx, "")
	if err != nil {
		return nil, err
	}
	s, err := queue.OpenPostgres(ctx, queue.Database{Address: address, Plain: true}, string(schema), queue.Owner)
	if err != nil {
		return nil, err
	}
	return []byte(pgtest.Name(address)), s.Close()
}

// bubble runs f in a world of its own.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	if _, err := empty(); err != nil { // outside: nothing of a bubble may outlive it
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		defer w.close()
		f(t, w)
	})
}

func newWorld(tb testing.TB, dir string) *world {
	w := &world{tb: tb, dir: dir, accounts: []string{"mat"}, limit: 10 * time.Minute}
	tb.Cleanup(w.drop)
	w.feed = &feed{w: w, size: 3, lists: map[string][]post{}}
	w.model = newModel(w)
	w.naver, w.kakao = &finder{w: w, name: "naver"}, &finder{w: w, name: "kakao"}
	w.sink = &sink{w: w, docs: map[string]string{}}
	return w
}

// newPath names a state of its own: a file, or an empty database.
func (w *world) newPath() string {
	w.files++
	if pgtest.Wanted() {
		return w.newDatabase()
	}
	return filepath.Join(w.dir, fmt.Sprintf("state-%d.db", w.files))
}

func (w *world) newDatabase() string {
	like, err := empty()
	if err != nil {
		w.tb.Fatal(err)
	}
	server, err := postgres()
	if err != nil {
		w.tb.Fatal(err)
	}
	address, err := server.Create(context.Background(), string(like))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.made = append(w.made, address)
	return address
}

// drop removes the databases of the world.
func (w *world) drop() {
	for _, address := range w.made {
		if server, err := postgres(); err == nil {
			_ = server.Do(context.Background(), "drop database if exists "+pgtest.Name(address)+" with (force)")
		}
	}
	w.made = nil
}

// open opens the state as a process does.
func (w *world) open() (*queue.Store, error) {
	schema, err := os.ReadFile("../schema.sql")
	if err != nil {
		return nil, err
	}
	ctx, path := context.Background(), w.where()
	if pgtest.Wanted() {
		return queue.OpenPostgres(ctx, queue.Database{Address: path, Plain: true}, string(schema), queue.Owner)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		b, err := empty()
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return queue.Open(ctx, path, string(schema), queue.Owner)
}

// boot is a new process on the state.
func (w *world) boot() {
	w.tb.Helper()
	w.closeStore()
	var err error
	if w.store, err = w.open(); err != nil {
		w.tb.Fatal(err)
	}
	w.opened = w.path
	w.dead.Store(false)
	w.store.Now = func() time.Time {
		if w.onNow != nil {
			w.onNow()
		}
		return time.Now()
	}
	p := jobs.Matzip(&jobs.Pipeline{
		Name: pipeline, Targets: func() ([]string, error) { return w.accounts, nil }, Lane: "instagram", Source: w.feed,
		Ask: &jobs.Ask{
			Batcher: w.model, MaxLines: 1000, MaxBytes: 1 << 20, Attempts: 3, MaxWait: 30 * time.Second, Poll: 100 * time.Millisecond, Settle: 2 * time.Second,
			Price: jobs.Price{Input: 1_000_000, Output: 2_000_000},
		},
		Find: &jobs.Find{Finders: []jobs.Finder{w.naver}, Lane: "naver", Cache: map[string]time.Duration{"naver": 24 * time.Hour, "kakao": 24 * time.Hour}},
	})
	p.PageSize = w.feed.size
	p.Sinks = []jobs.Sink{jobs.PlaceSink(w.store, "mongo", w.sink)}
	if w.tune != nil {
		w.tune(p)
	}
	backoff := queue.Backoff{Base: 10 * time.Millisecond, Cap: 50 * time.Millisecond}
	lane := func(name string, workers, attempts int) queue.Lane {
		return queue.Lane{Name: name, Workers: workers, Deadline: time.Minute, Attempts: attempts, Backoff: backoff}
	}
	w.engine = &jobs.Engine{
		Store: w.store, Pipelines: []*jobs.Pipeline{p}, Log: slog.New(slog.DiscardHandler),
		Lanes: []queue.Lane{lane("instagram", 2, 3), lane("openai", 2, 0), lane("naver", 2, 3), lane("mongo", 1, 0)},
	}
	if w.wire != nil {
		w.wire(w.engine)
	}
}

func (w *world) close() {
	w.closeStore()
	if w.reader != nil {
		_ = w.reader.Close()
		w.reader = nil
	}
}

func (w *world) closeStore() {
	if w.store != nil {
		_ = w.store.Close()
		w.store = nil
	}
}

// context is what a process of the world runs under.
func (w *world) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), w.limit)
	w.stop = cancel
	return ctx, cancel
}

// crash ends the process as a power cut does: what follows goes on in a copy of the state as it is now. It returns what the
// call in whose middle it happens must answer.
func (w *world) crash() error {
	if !w.dead.CompareAndSwap(false, true) {
		return errDead
	}
	to := w.newPath()
	w.copyTo(to)
	w.path = to
	w.stop()
	return errDead
}

// copyTo writes the committed state to another file or database.
func (w *world) copyTo(path string) {
	if pgtest.Wanted() {
		if err := pgtest.Copy(context.Background(), w.where(), path); err != nil {
			w.tb.Errorf("copy the state: %v", err)
		}
		return
	}
	if _, err := w.db().Exec(`vacuum into ?`, path); err != nil {
		w.tb.Errorf("copy the state: %v", err)
	}
}

// where is the state as the process has it, or as the next one will.
func (w *world) where() string {
	if w.store != nil {
		return w.opened
	}
	if w.path == "" {
		w.path = w.newPath()
	}
	return w.path
}

// db is a connection of the test's own to the state.
func (w *world) db() *sql.DB {
	path := w.where()
	w.readers.Lock()
	defer w.readers.Unlock()
	if w.reader != nil && w.read == path {
		return w.reader
	}
	if w.reader != nil {
		_ = w.reader.Close()
	}
	driver, name := "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	if pgtest.Wanted() {
		driver, name = "pgx", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		w.tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	w.reader, w.read = db, path
	return db
}

// try runs the pipeline in a new process until the run ends, stops or the process dies.
func (w *world) try(whole bool, targets ...string) (queue.Run, error) {
	w.tb.Helper()
	w.boot()
	return w.again(whole, targets...)
}

// again is try in the process that there is.
func (w *world) again(whole bool, targets ...string) (queue.Run, error) {
	w.tb.Helper()
	ctx, cancel := w.context()
	defer cancel()
	var r queue.Run
	err := w.store.Tx(ctx, func(tx *queue.Tx) (err error) {
		r, _, err = tx.AskRun(pipeline, whole, targets)
		return err
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	r, err = w.engine.RunOnce(ctx, r.ID)
	if err == nil && !w.dead.Load() && r.State != queue.RunDone {
		w.tb.Fatalf("run %d has not ended after %v: %s\njobs:\n%s\nbatches:\n%s", r.ID, w.limit, r.State,
			w.query(`select kind, coalesce(key, ''), state, attempt, due, coalesce(err, '') from job`),
			w.query(`select batch, state, status, lines, answered, failed, note from v_batches`))
	}
	return r, err
}

// attempt is one process that may be stopped in order; it reports whether the run has ended.
func (w *world) attempt() (bool, error) { return w.attemptFor(w.limit) }

// attemptFor is a process that is stopped in order after some time of the bubble at the latest.
func (w *world) attemptFor(d time.Duration) (bool, error) {
	w.boot()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer time.AfterFunc(d, cancel).Stop()
	w.stop = cancel
	var r queue.Run
	err := w.store.Tx(ctx, func(tx *queue.Tx) (err error) {
		r, _, err = tx.AskRun(pipeline, false, nil)
		return err
	})
	if err == nil {
		r, err = w.engine.RunOnce(ctx, r.ID)
	}
	return r.State == queue.RunDone, err
}

// run is try that must end well.
func (w *world) run() queue.Run {
	w.tb.Helper()
	r, err := w.try(false)
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// whole is run over whole lists.
func (w *world) whole() queue.Run {
	w.tb.Helper()
	r, err := w.try(true)
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// runThrough runs until the run has ended, however often the process dies.
func (w *world) runThrough() queue.Run {
	w.tb.Helper()
	for range 100 {
		if r := w.run(); !w.dead.Load() {
			return r
		}
	}
	w.tb.Fatal("the process dies for ever")
	return queue.Run{}
}

// serve lets a new process work for some time of the bubble.
func (w *world) serve(d time.Duration) {
	w.tb.Helper()
	w.boot()
	w.serveOn(d)
}

// serveOn is serve in the process that there is.
func (w *world) serveOn(d time.Duration) {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	w.stop = cancel
	if err := w.engine.Serve(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		w.tb.Fatal(err)
	}
}

// tx changes the state beside the process. It may be called by fakes.
func (w *world) tx(f func(tx *queue.Tx) error) {
	w.tb.Helper()
	if w.store == nil {
		w.boot()
	}
	if err := w.store.Tx(context.Background(), f); err != nil {
		w.tb.Error(err)
	}
}

// exec changes the state behind the process's back. It may be called by fakes.
func (w *world) exec(q string, args ...any) {
	w.tb.Helper()
	if _, err := w.db().Exec(placed(q), args...); err != nil {
		w.tb.Error(err)
	}
}

// placed writes the values of a statement as the state's engine wants them.
func placed(q string) string {
	if !pgtest.Wanted() {
		return q
	}
	parts := strings.Split(q, "?")
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(p)
	}
	return b.String()
}

// text reads a value as SQLite prints it.
type text struct{ *sql.NullString }

// Scan implements sql.Scanner.
func (t text) Scan(v any) error {
	if b, ok := v.(bool); ok {
		v = int64(0)
		if b {
			v = int64(1)
		}
	}
	return t.NullString.Scan(v)
}

// query returns the rows of a statement as text: columns divided by |, rows by a new line. It may be called by fakes.
func (w *world) query(q string, args ...any) string {
	w.tb.Helper()
	rows, err := w.db().Query(placed(q), args...)
	if err != nil {
		w.tb.Error(err)
		return ""
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		w.tb.Error(err)
		return ""
	}
	var lines []string
	for rows.Next() {
		vals, ptrs := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = text{&vals[i]}
		}
		if err := rows.Scan(ptrs...); err != nil {
			w.tb.Error(err)
			return ""
		}
		var row []string
		for _, v := range vals {
			row = append(row, v.String)
		}
		lines = append(lines, strings.Join(row, "|"))
	}
	if err := rows.Err(); err != nil {
		w.tb.Error(err)
		return ""
	}
	return strings.Join(lines, "\n")
}

// is checks the rows of a statement.
func (w *world) is(q, want string) {
	w.tb.Helper()
	if got := w.query(q); got != want {
		w.tb.Errorf("%s\ngot:\n%s\nwant:\n%s", q, got, want)
	}
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: got %v, want %v", what, got, want)
	}
}
