// Package bigtest makes a large state for tests: 200 accounts with 100,000 posts that name 50,000 places, and everything that
// comes with them. It is the same each time.
package bigtest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// How much there is in the state that tests open.
const (
	Accounts = 200
	Posts    = 100_000
	Places   = 50_000
)

// Size is how much there is in a state. Somebody names each place: there are to be no more than half as many as posts.
type Size struct{ Accounts, Posts, Places int }

// Now is the moment at which the state stands: its newest post is from the day before, one of its runs is under way.
func Now() time.Time { return time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC) }

// Nasty are texts that do harm to who does not take them for text. Each is the name of one of the first places, stands in the
// caption of a post that names it, and in the menu.
func Nasty() []string {
	return []string{
		`<script>document.title='맞았다'</script>`,
		`"><img src=x onerror="document.title='맞았다'">`,
		`<b>굵은</b> & <i>기운</i> 식당 &amp; &lt;`,
		"\u202e거꾸로 국밥 \u2067אבג\u2069 العربية",
		`=HYPERLINK("http://127.0.0.1/","여기")`,
		`@SUM(1+1)*cmd|' /C calc'!A0`,
		`{{.Secret}} ${7*7} {%raw%}`,
		`javascript:alert(1)//'"` + "`" + `--></style></textarea>`,
		`가나다라마바사아자차카타파하가나다라마바사아자차카타파하가나다라마바사아자차카타파하가나다라마바사아자차카타파하`,
		"🍜🥟🍣👩‍👩‍👧‍👦🏳️‍🌈🇰🇷",
	}
}

//go:embed *.go
var sources embed.FS

// templates makes each of the two once in a process.
type templates struct {
	mu       sync.Mutex
	file     string
	database string
}

var made templates

// Open opens a copy of the state that is the test's own, on the engine that the tests run on. Its clock stands at Now. postgres
// is the server of the test's package; it is not asked over a file and may be nil then.
func Open(t testing.TB, postgres func() (*pgtest.Server, error)) *queue.Store {
	t.Helper()
	s, err := open(t, postgres)
	if err != nil {
		t.Fatal(err)
	}
	s.Now = Now
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t testing.TB, postgres func() (*pgtest.Server, error)) (*queue.Store, error) {
	schema, err := Schema()
	if err != nil {
		return nil, err
	}
	if !pgtest.Wanted() {
		return queue.Open(t.Context(), File(t), schema, queue.Guest)
	}
	server, err := postgres()
	if err != nil {
		return nil, err
	}
	like, err := made.databaseOf(t.Context(), server, schema)
	if err != nil {
		return nil, err
	}
	return queue.OpenPostgres(t.Context(), queue.Database{Address: server.Database(t, like)}, schema, queue.Guest)
}

// File is the state as a file of the test's own. Who opens it as queue.Owner on another day than Now finds older things gone.
func File(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "큰.db")
	schema, err := Schema()
	if err == nil {
		var template string
		if template, err = made.fileOf(t.Context(), schema); err == nil {
			err = copyFile(template, path)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Schema is the text of schema.sql in the folder of the module that a test runs in.
func Schema() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			b, err := os.ReadFile(filepath.Join(dir, "schema.sql"))
			return string(b), err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = up
	}
}

// unusedAfter is how long a file stays in the cache that no test has used.
const unusedAfter = 24 * time.Hour

// fileOf returns the file that tests copy. It is made once for all packages and stays in the user's cache while it is used.
func (m *templates) fileOf(ctx context.Context, schema string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != "" {
		return m.file, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, "sumbi-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	sum, err := fingerprint(schema)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "big-"+sum+".db")
	// Its time says when it was used last: what another checkout uses stays.
	now := time.Now()
	if err := os.Chtimes(path, now, now); err == nil {
		m.file = path
		return path, nil
	}
	old, _ := filepath.Glob(filepath.Join(dir, "big-*.db")) // the pattern is good
	for _, o := range old {
		if info, err := os.Stat(o); err == nil && now.Sub(info.ModTime()) > unusedAfter {
			_ = os.Remove(o)
		}
	}
	work, err := os.MkdirTemp(dir, "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	part := filepath.Join(work, "big.db")
	if err := Make(ctx, part, schema, Now(), Size{Accounts, Posts, Places}); err != nil {
		return "", fmt.Errorf("make the large state: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return "", err
	}
	m.file = path
	return path, nil
}

func fingerprint(schema string) (string, error) {
	h := sha256.New()
	_, _ = io.WriteString(h, schema)
	files, err := sources.ReadDir(".")
	if err != nil {
		return "", err
	}
	for _, f := range files {
		b, err := sources.ReadFile(f.Name())
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// databaseOf returns the database that tests copy.
func (m *templates) databaseOf(ctx context.Context, server *pgtest.Server, schema string) (string, error) {
	file, err := m.fileOf(ctx, schema)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.database != "" {
		return m.database, nil
	}
	dir, err := os.MkdirTemp("", "big")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	from := filepath.Join(dir, "big.db")
	if err := copyFile(file, from); err != nil {
		return "", err
	}
	address, err := server.Create(ctx, "")
	if err != nil {
		return "", err
	}
	if _, err := queue.Move(ctx, queue.Location{File: from}, queue.Location{Database: queue.Database{Address: address}}, schema, nil); err != nil {
		return "", err
	}
	m.database = pgtest.Name(address)
	return m.database, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Make makes a state of a size, as it stands at a moment, in a new file.
func Make(ctx context.Context, path, schema string, now time.Time, size Size) error {
	s, err := queue.Open(ctx, path, schema, queue.Owner)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := os.Remove(path + ".lock"); err != nil {
		return err
	}
	return write(ctx, path, newWorld(now, size).all)
}
