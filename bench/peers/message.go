package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"maragu.dev/goqite"
)

// message measures what one goqite message costs that is sent, received and deleted in three transactions without a sync: so
// that figures of processor time can be compared between machines.
func message(ctx context.Context, length time.Duration) error {
	dir, err := os.MkdirTemp("", "message-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "message.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, goqiteSchema); err != nil {
		return err
	}
	q := goqite.New(goqite.NewOpts{DB: db, Name: "messages"})
	body := make([]byte, 200)
	m, cpu, began := measured{}, processCPU(), time.Now()
	for time.Since(began) < length {
		if err := q.Send(ctx, goqite.Message{Body: body}); err != nil {
			return err
		}
		got, err := q.Receive(ctx)
		if err != nil {
			return err
		}
		if err := q.Delete(ctx, got.ID); err != nil {
			return err
		}
		m.Steps++
	}
	m.Elapsed, m.CPU = time.Since(began), processCPU()-cpu
	return json.NewEncoder(os.Stdout).Encode(m)
}
