package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sumbi/sim"
)

// project is a folder with a configuration and a state file of its own.
type project struct {
	b   *bench
	dir string
	env []string
	url string // of the page, once it is served

	program string // instead of the bench's; "" is that one
}

// settings are what differs between the configurations.
type settings struct {
	perSecond float64  // of Instagram
	finder    float64  // of Naver; 0 is unlimited
	openai    string   // base URL instead of the world's
	every     string   // schedule; "" runs only when it is told to
	attempts  int      // of one caption; 0 is the default
	database  string   // address of PostgreSQL that holds the state; "" is a file
	keys      []string // of Instagram; nil is the usual one
}

func (b *bench) project(name string, w *world, s settings) (*project, error) {
	dir, err := os.MkdirTemp(b.dir, name+"-")
	if err != nil {
		return nil, err
	}
	if s.keys == nil {
		s.keys = []string{sim.DefaultRapidAPIKey}
	}
	p := &project{b: b, dir: dir, env: []string{
		"RAPIDAPI_KEY=" + strings.Join(s.keys, ","), "OPENAI_API_KEY=" + sim.DefaultOpenAIKey,
		"NAVER_CLIENT_ID=" + sim.DefaultNaverClientID, "NAVER_CLIENT_SECRET=" + sim.DefaultNaverClientSecret,
	}}
	if s.database != "" {
		p.env = append(p.env, "DATABASE_URL="+s.database)
	}
	return p, p.configure(w, s)
}

// configure writes sumbi.toml.
func (p *project) configure(w *world, s settings) error {
	if s.openai == "" {
		s.openai = w.base + sim.OpenAIPath
	}
	quoted := make([]string, len(w.accounts))
	for i, a := range w.accounts {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	if s.attempts == 0 {
		s.attempts = 5
	}
	state := "sumbi.db"
	if s.database != "" {
		state = "postgres"
	}
	schedule := ""
	if s.every != "" {
		schedule = fmt.Sprintf("every    = %q\n", s.every)
	}
	text := fmt.Sprintf(`state = %q

[instagram]
base_url   = "%s%s"
per_second = %g

[openai]
base_url = %q
poll     = "1s"
attempts = %d
enqueued_tokens = 1000000000

[naver]
base_url   = "%s%s"
per_second = %g
per_day    = 0

[queue]
backoff     = "200ms"
backoff_max = "1s"

[[pipeline]]
kind     = "matzip"
accounts = [%s]
finders  = ["naver"]
%s`, state, w.base, sim.InstagramPath, s.perSecond, s.openai, s.attempts, w.base, sim.NaverPath, s.finder, strings.Join(quoted, ", "), schedule)
	return os.WriteFile(filepath.Join(p.dir, "sumbi.toml"), []byte(text), 0o600)
}

func (p *project) state() string { return filepath.Join(p.dir, "sumbi.db") }

// sumbi starts the program in the folder.
func (p *project) sumbi(ctx context.Context, args ...string) (*proc, error) {
	return launch(ctx, p.dir, p.env, cmp.Or(p.program, p.b.sumbi), args...)
}

// remove frees the disk.
func (p *project) remove() { os.RemoveAll(p.dir) }

// fileSize is the state with what has not been moved from its log yet.
func (p *project) fileSize() int64 {
	var n int64
	for _, tail := range []string{"", "-wal"} {
		if info, err := os.Stat(p.state() + tail); err == nil {
			n += info.Size()
		}
	}
	return n
}

// pause waits, or returns early with the reason.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
