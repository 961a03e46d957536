package queue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// migrate/N.sql brings a file of schema N-1 to schema N. Views are not in it: they are made anew from schema.sql.
//
//go:embed migrate/*.sql
var migrations embed.FS

// Upgrade is what opening a file of an earlier schema has done.
type Upgrade struct {
	From, To int
	Copy     string // the file as it was before
	NoCopy   error  // why there is none
}

// Upgraded returns what the opening of the file has changed in its schema; nil when there was nothing to change.
func (s *Store) Upgraded() *Upgrade { return s.upgraded }

// upgrade brings the file from an earlier schema to this program's. All steps are one transaction: whatever ends the process,
// the file is of the one version or of the other.
func (s *file) upgrade(ctx context.Context, schema string, from int) error {
	steps, err := stepsFrom(from)
	if err != nil {
		return err
	}
	views, err := viewsOf(ctx, schema)
	if err != nil {
		return err
	}
	u := &Upgrade{From: from, To: version, Copy: fmt.Sprintf("%s.before-v%d.db", strings.TrimSuffix(s.path, ".db"), version)}
	s.dropParts(u.Copy)
	if _, err := s.Backup(ctx, u.Copy, true); err != nil {
		u.Copy, u.NoCopy = "", err // the upgrade does not need it; it is for who wants to go back
	}
	if err := s.alter(ctx, steps, views); err != nil {
		if Fatal(s.explain(err)) {
			return err
		}
		return &FileError{Path: s.path, Text: fmt.Sprintf("is of schema %d and cannot be upgraded to %d (%v); nothing was changed, restore a copy or move the file away and crawl anew", from, version, err), Err: err}
	}
	s.upgraded = u
	return nil
}

// dropParts removes the half copies of upgrades that were cut off: each is as large as the file. Nobody else makes them, the
// file is locked.
func (s *file) dropParts(file string) {
	entries, _ := os.ReadDir(filepath.Dir(file)) // what cannot be listed cannot be copied to either
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+filepath.Base(file)+".") && strings.Contains(e.Name(), ".part") {
			_ = os.Remove(filepath.Join(filepath.Dir(file), e.Name()))
		}
	}
}

// stepsFrom returns the texts that lead from a schema to this program's.
func stepsFrom(from int) (steps []string, err error) {
	for v := from + 1; v <= version; v++ {
		text, err := migrations.ReadFile(fmt.Sprintf("migrate/%d.sql", v))
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

// viewsOf returns the statements of schema that make views.
func viewsOf(ctx context.Context, schema string) ([]string, error) {
	db := openDB(":memory:")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	return list(ctx, db, `select sql from sqlite_schema where type = 'view' order by rowid`, nil, scanText)
}

// alter takes the steps, with the views out of the way.
func (s *file) alter(ctx context.Context, steps, views []string) error {
	t, err := s.write.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	old, err := list(ctx, t, `select name from sqlite_schema where type = 'view'`, nil, scanText)
	if err != nil {
		return err
	}
	var all []string
	for _, v := range old {
		all = append(all, `drop view "`+strings.ReplaceAll(v, `"`, `""`)+`"`)
	}
	all = append(append(all, steps...), views...)
	all = append(all, fmt.Sprintf(`pragma user_version = %d`, version))
	for _, text := range all {
		if _, err := t.ExecContext(ctx, text); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return t.Commit()
}
