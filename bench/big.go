package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// waiting is how many jobs wait in the large file, and how many records it holds.
func (b *bench) waiting() int { return pick(b, 1_000_000, 100_000) }

// bulkWalk is the list that the waiting jobs belong to. It is at rest, so that a job that is taken ends without a call.
const bulkWalk = 9_000_000_000

// bigFile returns the large file; it is made once. A tenth as many jobs as wait are delayed, or dead.
func (b *bench) bigFile(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "big.db")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	s, err := b.open(ctx, path)
	if err != nil {
		return "", err
	}
	if err := s.Close(); err != nil {
		return "", err
	}
	began := time.Now()
	n := b.waiting()
	later := time.Now().Add(24 * time.Hour)
	err = fill(ctx, path, func(add func(n int, statements ...string) error) error {
		return errors.Join(
			add(1, fmt.Sprintf(`insert into walk (id, pipeline, target, list) select %d, 'matzip', 'bulk', 'posts' from n`, bulkWalk)),
			add(n, `insert into goqite (id, queue, body, timeout) select 'm_' || lower(hex(randomblob(16))), 'instagram', cast(i as blob), '2026-01-01T00:00:00.000Z' from n`),
			add(n, bulkJobs(`'live', (select g.id from goqite g where g.rowid = n.i)`, time.Now())),
			add(n/20, bulkJobs(`'live', null`, later)),
			add(n/20, bulkJobs(`'dead', null`, time.Now())),
		)
	})
	fmt.Fprintf(os.Stderr, "%s jobs written in %s\n", count(n), time.Since(began).Round(time.Second))
	return path, err
}

// bulkJobs adds jobs that nobody will miss; their ids are those of their messages.
func bulkJobs(stateAndMessage string, due time.Time) string {
	return fmt.Sprintf(`insert into job (pipeline, lane, kind, key, args, state, message, due, created_at)
		select 'matzip', 'instagram', 'page', 'bulk:' || lower(hex(randomblob(8))), '{"walk":%d}', %s, '%[3]s', '%[3]s' from n`,
		bulkWalk, stateAndMessage, due.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// addRecords adds as many records to the large file as jobs wait in it, once.
func (b *bench) addRecords(ctx context.Context, path string) error {
	if b.recorded {
		return nil
	}
	b.recorded = true
	began := time.Now()
	err := fill(ctx, path, func(add func(n int, statements ...string) error) error {
		return add(b.waiting(), `insert into record (id, stream, key, pipeline, target, at, data, question, fetched_at, raw)
			select 1000000000 + i, 'post', 'bulk' || i, 'matzip', 'bulk', '2026-01-01T00:00:00.000Z', '{"account":"bulk","caption":`+caption+`}', 0, '2026-01-01T00:00:00.000Z', randomblob(600) from n`)
	})
	fmt.Fprintf(os.Stderr, "%s records written in %s\n", count(b.waiting()), time.Since(began).Round(time.Second))
	return err
}

// syncFile waits until the disk has what was written, so that it is not busy with it while something is measured.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// bigProject is a project over the large file with its records. The file is moved there, and back by the function returned.
func (b *bench) bigProject(ctx context.Context, w *world, s settings) (*project, func(), error) {
	big, err := b.bigFile(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := b.addRecords(ctx, big); err != nil {
		return nil, nil, err
	}
	pr, err := b.project("big", w, s)
	if err != nil {
		return nil, nil, err
	}
	move := func(from, to string) error {
		for _, tail := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(from+tail, to+tail); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	return pr, func() {
		if err := move(pr.state(), big); err == nil {
			pr.remove()
		}
	}, move(big, pr.state())
}

// serve starts `sumbi serve` and waits until it answers; ready is how long that took.
func (p *project) serve(ctx context.Context) (_ *proc, ready time.Duration, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, 0, err
	}
	pr, err := p.sumbi(ctx, "serve", "--listen", addr)
	if err != nil {
		return nil, 0, err
	}
	for {
		if p.url = "http://" + addr; well(ctx, p.url+"/healthz") {
			return pr, time.Since(pr.began), nil
		}
		select {
		case <-pr.done:
			return nil, 0, fmt.Errorf("serve: %w\n%s", pr.err, pr.tail())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(pr.began) > time.Minute {
			_ = pr.stop(ctx)
			return nil, 0, fmt.Errorf("serve was not ready within a minute\n%s", pr.tail())
		}
	}
}

func well(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// start measures how long a process needs over the large file until it is ready.
func (b *bench) start(ctx context.Context) error {
	pr, back, err := b.bigProject(ctx, &world{base: "http://127.0.0.1:9", accounts: []string{"bench"}}, settings{perSecond: 8})
	if err != nil {
		return err
	}
	defer back()
	var status, serve []time.Duration
	for range pick(b, 5, 3) {
		p, ready, err := pr.serve(ctx)
		if err != nil {
			return err
		}
		if err := p.stop(ctx); err != nil {
			return err
		}
		serve = append(serve, ready)
		if p, err = pr.sumbi(ctx, "status"); err != nil {
			return err
		}
		if err := p.wait(ctx); err != nil {
			return err
		}
		status = append(status, p.wall)
	}
	b.out.section("Start")
	b.out.line("Over a file of %s with %s jobs and as many records, %d times.\n", mb(pr.fileSize()), count(b.waiting()), len(serve))
	b.out.table([]string{"", "median", "slowest"}, [][]string{
		{"`sumbi serve` until /healthz answers", ms(quantile(serve, 0.5)), ms(quantile(serve, 1))},
		{"`sumbi status`, whole process", ms(quantile(status, 0.5)), ms(quantile(status, 1))},
	})
	return nil
}
