package main

import (
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// postgres is the server of all worlds when the tests run over PostgreSQL.
var postgres = sync.OnceValues(pgtest.Start)

// stopPostgres ends it.
func stopPostgres() {
	if !pgtest.Wanted() {
		return
	}
	if s, err := postgres(); err == nil {
		_ = s.Close()
	}
}

// database makes an empty database for a test; "" when the state is a file.
func database(t testing.TB) string {
	t.Helper()
	if !pgtest.Wanted() {
		return ""
	}
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	return s.Database(t, "")
}

// fileOnly skips what is about the file itself.
func fileOnly(t testing.TB) {
	t.Helper()
	if pgtest.Wanted() {
		t.Skip("about the file")
	}
}

// file is where the state lies when it is a file.
func (w *world) file() string { return filepath.Join(w.dir, "sumbi.db") }

// open opens the state as a process does.
func (w *world) open(ctx context.Context, mode queue.Mode) (*queue.Store, error) {
	if w.database != "" {
		return queue.OpenPostgres(ctx, queue.Database{Address: w.database}, schema, mode)
	}
	return queue.Open(ctx, w.file(), schema, mode)
}

// sql opens the state behind the program's back.
func (w *world) sql() *sql.DB {
	w.t.Helper()
	driver, name := "sqlite", "file:"+w.file()+"?_pragma=busy_timeout(5000)"
	if w.database != "" {
		driver, name = "pgx", w.database
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

// query asks the state as people do.
func (w *world) query(text string) string {
	w.t.Helper()
	c := exec.CommandContext(w.t.Context(), "sqlite3", w.file(), text)
	if w.database != "" {
		c = exec.CommandContext(w.t.Context(), "psql", "-At", w.database, "-c", text)
	}
	out, err := c.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", c.Path, err, out)
	}
	return string(out)
}

// keyless is the environment without a key of any upstream.
func (w *world) keyless() []string {
	if w.database == "" {
		return nil
	}
	return []string{"DATABASE_URL=" + w.database}
}
