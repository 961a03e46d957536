package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// pageWorker fetches a page and completes its job in the transaction of the page.
type pageWorker struct {
	river.WorkerDefaults[step]
	s *shop
}

// Work implements river.Worker. A refused call is no attempt: the job comes back after a second.
func (w *pageWorker) Work(ctx context.Context, job *river.Job[step]) error {
	pg, err := w.s.fetch(ctx, job.Args)
	if errors.Is(err, errThrottled) {
		return river.JobSnooze(time.Second)
	}
	if err != nil {
		return err
	}
	client := river.ClientFromContext[*sql.Tx](ctx)
	_, err = w.s.commit(ctx, job.Args, pg, func(tx *sql.Tx, next *step) error {
		if _, err := river.JobCompleteTx[*riversqlite.Driver](ctx, tx, job); err != nil || next == nil {
			return err
		}
		_, err := client.InsertTx(ctx, tx, *next, nil)
		return err
	})
	return err
}

// withRiver uses River on SQLite. Its default cool-down of 100 ms between two fetches would bound it.
func withRiver(ctx context.Context, s *shop, o options) error {
	driver := riversqlite.New(s.db)
	m, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &pageWorker{s: s})
	client, err := river.NewClient(driver, &river.Config{
		Logger:            slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Workers:           workers,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: o.workers}},
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, st := range s.first {
		if _, err := client.InsertTx(ctx, tx, st, nil); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return client.StopAndCancel(end)
}
