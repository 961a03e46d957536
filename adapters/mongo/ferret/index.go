package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"
)

// indexByID gives each collection the index that FerretDB's look-ups by _id need: its own covers another expression, so
// that each of them reads the whole table. Collections appear at any time, hence the ticker.
func indexByID(ctx context.Context, dir string) {
	done := map[string]bool{}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.sqlite"))
		for _, file := range files {
			// An error means that the file is busy or gone; the next tick looks again.
			_ = indexFile(ctx, file, done)
		}
	}
}

func indexFile(ctx context.Context, file string, done map[string]bool) error {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(1000)")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `select name from sqlite_master where type = 'table' and sql like '%_ferretdb_sjson%'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		if !done[file+table] {
			tables = append(tables, table)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, table := range tables {
		index := fmt.Sprintf(`create index if not exists %q on %q (_ferretdb_sjson->'$._id')`, table+"_by_id", table)
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
		done[file+table] = true
	}
	return nil
}
