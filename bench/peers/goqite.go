package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"time"

	"maragu.dev/goqite"
	"maragu.dev/goqite/jobs"
)

// goqiteSchema is what goqite asks its users to make.
//
//go:embed goqite.sql
var goqiteSchema string

// withGoqite uses goqite's jobs runner with its documented options: Limit, PollInterval and Extend. What follows a page is
// created in the transaction of the page; the runner deletes the message afterwards in one of its own.
func withGoqite(ctx context.Context, s *shop, o options) error {
	if _, err := s.db.ExecContext(ctx, goqiteSchema); err != nil {
		return err
	}
	q := goqite.New(goqite.NewOpts{DB: s.db, Name: "pages", MaxReceive: 1 << 30, Timeout: 30 * time.Second})
	r := jobs.NewRunner(jobs.NewRunnerOpts{Limit: o.workers, PollInterval: o.poll, Extend: 20 * time.Second, Queue: q})
	add := func(tx *sql.Tx, next *step) error {
		if next == nil {
			return nil
		}
		body, err := json.Marshal(next)
		if err != nil {
			return err
		}
		_, err = jobs.CreateTx(ctx, tx, q, "page", goqite.Message{Body: body})
		return err
	}
	r.Register("page", func(ctx context.Context, m []byte) error {
		var st step
		if err := json.Unmarshal(m, &st); err != nil {
			return err
		}
		pg, err := s.patiently(ctx, st)
		if err != nil {
			return err
		}
		_, err = s.commit(ctx, st, pg, add)
		return err
	})
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, st := range s.first {
		if err := add(tx, &st); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	r.Start(ctx)
	return nil
}
