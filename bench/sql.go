package main

import (
	"context"
	"database/sql" //nolint:depguard // large files are filled past the engine, and looked at beside it
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver of the state file
)

// rowsAtOnce is how many rows one transaction adds.
const rowsAtOnce = 50_000

// fill writes rows past the engine. Each statement selects from n(i), the numbers that are its turn.
func fill(ctx context.Context, path string, f func(add func(n int, statements ...string) error) error) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=synchronous(off)&_pragma=cache_size(-64000)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	err = f(func(n int, statements ...string) error {
		for from := 1; from <= n; from += rowsAtOnce {
			numbers := fmt.Sprintf(`with recursive n(i) as (select %d union all select i + 1 from n where i < %d) `, from, min(from+rowsAtOnce-1, n))
			for _, s := range statements {
				if _, err := db.ExecContext(ctx, numbers+s); err != nil {
					return fmt.Errorf("fill %s: %w", filepath.Base(path), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `pragma synchronous = full; pragma wal_checkpoint(truncate)`); err != nil {
		return err
	}
	return syncFile(path)
}

// number asks the state file for one number, beside whoever works on it.
func (p *project) number(ctx context.Context, query string) (int64, error) {
	db, err := sql.Open("sqlite", "file:"+p.state()+"?_pragma=busy_timeout(5000)&_pragma=query_only(1)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var n sql.NullInt64
	err = db.QueryRowContext(ctx, query).Scan(&n)
	return n.Int64, err
}

// sizes tells the bytes a post that each table takes with its indexes, the largest first.
func (p *project) sizes(ctx context.Context, posts int64) ([][]string, error) {
	db, err := sql.Open("sqlite", "file:"+p.state()+"?_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `select coalesce(s.tbl_name, d.name), sum(d.pgsize) as bytes from dbstat d left join sqlite_schema s on s.name = d.name
		group by 1 having bytes > ? order by bytes desc`, 10*posts)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]string
	for rows.Next() {
		var name string
		var bytes int64
		if err := rows.Scan(&name, &bytes); err != nil {
			return nil, err
		}
		out = append(out, []string{name, fmt.Sprintf("%.0f", float64(bytes)/float64(posts))})
	}
	return out, rows.Err()
}
