package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// schema holds what sumbi's own tables hold of a page.
const schema = `
create table record (
  id         integer primary key,
  key        text not null unique,
  target     text not null,
  at         text not null,
  data       text not null,
  fetched_at text not null
) strict;
create table listing (walk integer not null, record integer not null, primary key (walk, record)) strict, without rowid;
create table walk (
  id      integer primary key,
  account text not null,
  list    text not null,
  cursor  text not null default '',
  pages   integer not null default 0,
  done    integer not null default 0
) strict;`

// step is one page to be fetched; it is the job that every engine carries.
type step struct {
	Walk    int64  `json:"walk"`
	Account string `json:"account"`
	List    string `json:"list"`
	Cursor  string `json:"cursor"`
	Page    int    `json:"page"` // those before it
}

// Kind names the job for River.
func (step) Kind() string { return "page" }

type record struct{ key, at, data string }

type page struct {
	records []record
	next    string // "" ends the list
}

// shop is what all engines share: how a page is fetched and what is written of it.
type shop struct {
	db    *sql.DB
	put   statements
	fetch func(ctx context.Context, st step) (page, error)
	first []step        // the first page of each list
	left  atomic.Int64  // lists that have not ended
	ended chan struct{} // closed when none is left
	steps atomic.Int64
}

func openShop(ctx context.Context, path string, plain bool) (*shop, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-8000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		db.Close()
		return nil, err
	}
	var put statements
	if !plain {
		if put, err = prepare(ctx, db); err != nil {
			db.Close()
			return nil, err
		}
	}
	return &shop{db: db, put: put, ended: make(chan struct{})}, nil
}

// The statements of a page.
const (
	moveWalk  = `update walk set cursor = ?, pages = pages + 1, done = ? where id = ? and pages = ?`
	putRecord = `insert into record (key, target, at, data, fetched_at) values (?, ?, ?, ?, ?)
			on conflict (key) do update set data = excluded.data, at = excluded.at returning id`
	listRecord = `insert into listing (walk, record) values (?, ?) on conflict do nothing`
)

// statements are compiled once; nil compiles each as often as it runs, as most programs do.
type statements map[string]*sql.Stmt

func prepare(ctx context.Context, db *sql.DB) (statements, error) {
	p := statements{}
	for _, text := range []string{moveWalk, putRecord, listRecord} {
		st, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		p[text] = st
	}
	return p, nil
}

func (p statements) exec(ctx context.Context, tx *sql.Tx, text string, args ...any) (sql.Result, error) {
	if st := p[text]; st != nil {
		return tx.StmtContext(ctx, st).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, text, args...)
}

func (p statements) row(ctx context.Context, tx *sql.Tx, text string, args ...any) *sql.Row {
	if st := p[text]; st != nil {
		return tx.StmtContext(ctx, st).QueryRowContext(ctx, args...)
	}
	return tx.QueryRowContext(ctx, text, args...)
}

// begin adds a list.
func (s *shop) begin(ctx context.Context, account, list string) error {
	st := step{Account: account, List: list}
	err := s.db.QueryRowContext(ctx, `insert into walk (account, list) values (?, ?) returning id`, account, list).Scan(&st.Walk)
	if err != nil {
		return err
	}
	s.first = append(s.first, st)
	s.left.Add(1)
	return nil
}

// write puts a page into the transaction and says what follows; nil at the end of the list. stale means that the page was
// written before: an engine may hand out a job twice.
func (s *shop) write(ctx context.Context, tx *sql.Tx, st step, pg page) (next *step, stale bool, err error) {
	res, err := s.put.exec(ctx, tx, moveWalk, pg.next, pg.next == "", st.Walk, st.Page)
	if err != nil {
		return nil, false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return nil, err == nil, err
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	for _, r := range pg.records {
		var id int64
		if err := s.put.row(ctx, tx, putRecord, r.key, st.Account, r.at, r.data, now).Scan(&id); err != nil {
			return nil, false, err
		}
		if _, err := s.put.exec(ctx, tx, listRecord, st.Walk, id); err != nil {
			return nil, false, err
		}
	}
	if pg.next == "" {
		return nil, false, nil
	}
	return &step{Walk: st.Walk, Account: st.Account, List: st.List, Cursor: pg.next, Page: st.Page + 1}, false, nil
}

// wrote counts a page whose transaction is over.
func (s *shop) wrote(next *step) {
	s.steps.Add(1)
	if next == nil && s.left.Add(-1) == 0 {
		close(s.ended)
	}
}

// commit writes a page in a transaction of its own; more runs in it, too.
func (s *shop) commit(ctx context.Context, st step, pg page, more func(tx *sql.Tx, next *step) error) (next *step, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	next, stale, err := s.write(ctx, tx, st, pg)
	if err != nil {
		return nil, err
	}
	if stale {
		return nil, more(tx, nil)
	}
	if err := more(tx, next); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	s.wrote(next)
	return next, nil
}

var caption = strconv.Quote(strings.Repeat("평양냉면 한 그릇, 을지로 골목 안쪽. ", 10))

// invented is a page that costs nothing, with records like those that sumbi's engine is measured with.
func invented(_ context.Context, st step) (page, error) {
	pg := page{next: fmt.Sprint(st.Page + 1)}
	for i := range 12 {
		key := fmt.Sprintf("%d-%d-%d", st.Walk, st.Page, i)
		pg.records = append(pg.records, record{key, "2026-11-20T03:00:00.000Z", fmt.Sprintf(`{"account":"bench_%d","url":"https://www.instagram.com/p/%s/","caption":%s}`, st.Walk, key, caption)})
	}
	return pg, nil
}
