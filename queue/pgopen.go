package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// clusterSQL is what only a state on PostgreSQL has, because several machines share it.
const clusterSQL = `
create table machine (
  id         text collate "C" primary key,
  host       text not null,
  version    text not null,
  started_at text collate "C" not null,
  seen_at    text collate "C" not null
);
alter table job add column taken_by text;
alter table upstream_limit add column due_us bigint, add column run bigint not null default 0, add column quiet_us bigint not null default 0, add column learnt text not null default '';
create index job_ready on job (lane, priority desc, due, id) where state = 'live' and message is not null and taken_at is null;
`

// readable is the oldest version of sumbi's schema whose programs may work on this one beside newer ones, as they do while
// machines are replaced one by one. Schema 5 only adds to schema 4.
const readable = 4

// connections is how many a process holds at most. The address may say otherwise (pool_max_conns).
const (
	connections      = 16
	leastConnections = 6
	quickConnections = 4 // beside them
)

// IsPostgres tells whether a state is an address of PostgreSQL and not a file.
func IsPostgres(state string) bool {
	return strings.HasPrefix(state, "postgres://") || strings.HasPrefix(state, "postgresql://")
}

// Database says which PostgreSQL holds the state.
type Database struct {
	Address string // postgres://user:password@host/name; as secret as its password
	Release string // the program's version, for the list of machines
	Plain   bool   // the process works alone and on its own clock, without River: for tests that make time pass
}

// OpenPostgres opens the state in a database; schema is the text of schema.sql. A store that was opened as Owner is one of the
// machines that work on it. Errors are *FileError.
func OpenPostgres(ctx context.Context, d Database, schema string, mode Mode) (*Store, error) {
	c, err := connect(ctx, d, mode)
	if err != nil {
		return nil, err
	}
	if err := c.enter(ctx, schema, d.Release); err != nil {
		c.closePools()
		return nil, c.explain(err)
	}
	c.entered.Store(true)
	return c.Store, nil
}

// connect is OpenPostgres without a look at what the database holds.
func connect(ctx context.Context, d Database, mode Mode) (*cluster, error) {
	address := d.Address
	c := &cluster{Store: newStore(mode), plain: d.Plain, holds: map[string]time.Duration{}, steps: map[int64]int{}, done: make(chan struct{}), rings: make(chan struct{}, 1)}
	c.engine, c.pg, c.path = c, c, display(address)
	c.health.sound.Store(true)
	if !d.Plain {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The library's words may quote the password.
		return nil, &FileError{Path: c.path, Text: "DATABASE_URL is not an address of PostgreSQL; it looks like postgres://user:password@host:5432/database"}
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = connections
	}
	// A commit may read beside its own connection, and River listens with one.
	config.MaxConns = max(config.MaxConns, leastConnections)
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "sumbi"
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	config.AfterConnect = settle
	if c.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, c.explain(err)
	}
	quick := config.Copy()
	quick.MinConns, quick.MaxConns = 0, quickConnections
	quick.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	if c.quickPool, err = pgxpool.NewWithConfig(ctx, quick); err != nil {
		c.pool.Close()
		return nil, c.explain(err)
	}
	c.read, c.write.db, c.quick = openPool(c.pool), openPool(c.pool), openPool(c.quickPool)
	c.read.SetMaxOpenConns(int(max(config.MaxConns/3, 1)))
	c.write.db.SetMaxOpenConns(int(max(config.MaxConns/2, 1)))
	c.scan = c.read
	if c.river, err = river.NewClient(riverpgxv5.New(c.pool), &river.Config{Logger: slog.New(slog.DiscardHandler), SkipUnknownJobCheck: true, MaxAttempts: riverAttempts}); err != nil {
		c.closePools()
		return nil, err
	}
	return c, nil
}

// closePools ends the connections. It does not wait for long for what somebody still uses.
func (c *cluster) closePools() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.quickPool.Close()
		c.pool.Close()
	}()
	select {
	case <-done:
	case <-time.After(closeAfter):
	}
}

// settle tells a new connection when to give up: a process that is stopped in the middle of a commit, or whose host is gone,
// must not keep its locks from the others until it is taken for dead.
func settle(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `select set_config(k, v, false) from (values ('idle_in_transaction_session_timeout', '5s'), ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
		('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10s')) s (k, v)`)
	return err
}

// enter makes the database ready and this machine one of those that work on it.
func (c *cluster) enter(ctx context.Context, schema, release string) error {
	for try := 1; ; try++ {
		err := c.migrate(ctx, schema)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "40P01" && try < migrateTries { // somebody read meanwhile
			sleep(ctx, awayPause)
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	if err := c.readTerms(ctx); err != nil {
		return err
	}
	if !c.owner {
		return c.look(ctx, c.write.db)
	}
	c.machine = strings.ToLower(rand.Text()[:12])
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if err := c.register(ctx, c.write.db, host, release); err != nil {
		return err
	}
	c.beaten, c.steady = time.Now(), time.Now()
	sweepSpools()
	c.apart.tell = make(chan struct{}, 1)
	if !c.plain {
		c.beats.Go(c.freeing)
		c.beats.Go(func() { c.beat(host, release) })
	}
	return c.Tx(ctx, func(tx *Tx) error {
		// A person may have started this process because the reason for a stop is gone, and so what waited long is looked at anew.
		var others bool
		if err := tx.one(`select exists (select 1 from machine where id <> ? and seen_at >= `+c.lostBefore()+`)`, []any{c.machine}, &others); err != nil {
			return err
		}
		if !others {
			if c.later, err = tx.hasten(newest); err != nil {
				return err
			}
			if _, err := tx.exec(`delete from lane_stop`); err != nil {
				return err
			}
		}
		if c.plain {
			if err := c.bury(tx); err != nil {
				return err
			}
		}
		return tx.clean()
	})
}

// migrateTries is how often a change of the schema is tried that meets others' readings.
const migrateTries = 5

// fits says whether this program can work on the database as it is. If not it must be brought to this program's schema, from have.
func (c *cluster) fits(ctx context.Context) (have int, done bool, err error) {
	have, oldest, err := c.version(ctx)
	switch {
	case err != nil:
		return have, false, err
	case have == version, have > version && oldest <= version: // a newer one works beside this one
		return have, true, nil
	case have > version:
		return have, false, &FileError{Path: c.path, Text: fmt.Sprintf("was written by a newer sumbi (schema %d, this one knows %d); install that version or a later one", have, version)}
	case !c.owner && have == 0:
		return have, false, &FileError{Path: c.path, Text: "is empty; `sumbi run PIPELINE` or `sumbi serve` fills it", Err: os.ErrNotExist}
	case !c.owner:
		return have, false, &FileError{Path: c.path, Text: fmt.Sprintf("was written by an earlier sumbi (schema %d, this one writes %d); the next `sumbi run PIPELINE` or `sumbi serve` upgrades it", have, version)}
	}
	return have, false, nil
}

// migrate brings the database to this program's schema. A lock lets one machine do it while the others wait.
func (c *cluster) migrate(ctx context.Context, schema string) error {
	if _, done, err := c.fits(ctx); err != nil || done {
		return err
	}
	conn, err := c.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, lockMigration); err != nil {
		return err
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock($1)`, lockMigration) }()
	have, done, err := c.fits(ctx)
	if err != nil || done {
		return err // another machine has done it
	}
	if have == 0 {
		foreign, err := c.foreign(ctx)
		if err != nil {
			return err
		}
		if foreign {
			return &FileError{Path: c.path, Text: "has tables of another program; name another database, or another schema in the address (?search_path=sumbi)"}
		}
	}
	if err := c.riverTables(ctx); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(t pgx.Tx) error {
		// Commits of older machines hold rows of the tables that are altered.
		if _, err := t.Exec(ctx, `select pg_advisory_xact_lock($1)`, lockWriters); err != nil {
			return err
		}
		return alterTo(ctx, t, have, schema)
	})
}

// foreign tells whether the database has tables that are not River's.
func (c *cluster) foreign(ctx context.Context) (some bool, err error) {
	err = one(ctx, c.read, `select exists (select 1 from information_schema.tables where table_schema = current_schema() and table_name not like 'river%')`, nil, &some)
	return some, err
}

// riverTables makes River's own tables, or brings them to its newest version.
func (c *cluster) riverTables(ctx context.Context) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(c.pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	// Its steps are transactions of their own; done twice they change nothing.
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("tables of River: %w", err)
	}
	return nil
}

// alterTo brings the tables from schema have to this program's.
func alterTo(ctx context.Context, t pgx.Tx, have int, schema string) error {
	texts, err := textsFrom(have, schema)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := t.Exec(ctx, text); err != nil {
			return fmt.Errorf("schema %d: %w", version, err)
		}
	}
	for key, value := range map[string]int{metaSchema: version, metaReadable: readable} {
		if _, err := t.Exec(ctx, `insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`, key, strconv.Itoa(value)); err != nil {
			return err
		}
	}
	return nil
}

// What a database remembers of its schema, in meta.
const (
	metaSchema   = "schema"
	metaReadable = "readable" // the oldest version that may work on it
)

// version returns the schema that the database has, 0 for none.
func (c *cluster) version(ctx context.Context) (have, oldest int, err error) {
	err = one(ctx, c.read, `select coalesce(max(case when key = ? then value end), '0'), coalesce(max(case when key = ? then value end), '0') from meta`, []any{metaSchema, metaReadable}, &have, &oldest)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" { // no such table
		return 0, 0, nil
	}
	return have, oldest, err
}

var viewName = regexp.MustCompile(`create or replace view (\w+)`)

// textsFrom returns what brings a database of schema have to this program's.
func textsFrom(have int, schema string) ([]string, error) {
	whole := schemaForPostgres(schema)
	if have == 0 {
		return []string{postgresSQL, whole, clusterSQL}, nil
	}
	steps, err := stepsFrom(have)
	if err != nil {
		return nil, err
	}
	texts := []string{postgresSQL}
	names := viewName.FindAllStringSubmatch(whole, -1)
	for i := range names {
		texts = append(texts, "drop view if exists "+names[len(names)-1-i][1])
	}
	for _, s := range steps {
		texts = append(texts, tablesForPostgres(s))
	}
	return append(texts, whole[strings.Index(whole, "create or replace view"):]), nil
}

// close ends the use of the database.
func (c *cluster) close() error {
	closed := true
	c.ended.Do(func() { closed = false; close(c.done) })
	if closed {
		return nil
	}
	c.beats.Wait()
	var err error
	if c.machine != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = c.leave(ctx)
	}
	err = errors.Join(err, c.read.Close(), c.write.db.Close(), c.quick.Close())
	c.closePools()
	return errors.Join(err, os.RemoveAll(c.spool()))
}

// check asks whether the database answers: it looks after its own files.
func (c *cluster) check(ctx context.Context) error {
	return c.explain(one(ctx, c.read, `select 1`, nil, new(int)))
}

func (c *cluster) backup(context.Context, string, bool) (int64, error) {
	return 0, &BackupError{Path: c.path, Text: "is a database: copy it with pg_dump, or into a file with `sumbi move`"}
}

// blameless frees what this machine holds without counting it against the jobs; while the database is away it cannot.
func (c *cluster) blameless() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.leave(ctx)
}

// sooner rings when a job that was put back for a short while is due.
func (c *cluster) sooner() <-chan struct{} { return c.rings }

// ring lets sooner ring at a moment, unless that is far off: then the next look comes first.
func (c *cluster) ring(at time.Time) {
	wait := at.Sub(c.Now())
	if wait > 2*poll {
		return
	}
	time.AfterFunc(max(wait, time.Millisecond), func() {
		select {
		case c.rings <- struct{}{}:
		default:
		}
	})
}

// hidden stands for an address of which nothing can be shown.
const hidden = "postgres"

// display is an address without what is secret in it.
func display(address string) string {
	u, err := url.Parse(address)
	// In another form of address, or after a password with a slash in it, there is no telling what is secret.
	if err != nil || !IsPostgres(address) || strings.Contains(u.Path, "@") || (u.User == nil && strings.Contains(address, "@")) {
		return hidden
	}
	return "postgres://" + u.Host + u.Path
}

// explain turns what the database says into one sentence for people; other errors pass through.
func (c *cluster) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	// A connection has a deadline of its own: a database that leaves it unanswered is away.
	if _, ok := errors.AsType[*pgconn.ConnectError](err); !ok && errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	say := func(busy bool, text string) error { return &FileError{Path: c.path, Text: text, Err: err, busy: busy} }
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code == "28P01" || e.Code == "28000":
			return say(false, "does not accept the user and password in DATABASE_URL; correct them")
		case e.Code == "3D000":
			return say(false, "there is no such database; make it, or correct DATABASE_URL")
		case e.Code == "42501":
			return say(false, "the user may not do that ("+e.Message+"); give it the right to make tables in the schema")
		case e.Code[:2] == "53" && e.Code != "53300":
			return say(true, "has no room left ("+e.Message+"); make room, nothing is lost")
		case away(err):
			return say(true, "does not answer now ("+e.Message+"); the work goes on when it does")
		}
		return err
	}
	if away(err) {
		if !c.entered.Load() {
			return say(true, "does not answer; look whether it runs, and whether DATABASE_URL names it")
		}
		return say(true, "does not answer; the work goes on when it does")
	}
	return err
}

// spool is where this machine keeps what is too large for one commit. Another one fetches it again.
func (c *cluster) spool() string { return filepath.Join(os.TempDir(), "sumbi-"+c.machine+"-spool") }

// sweepSpools removes what processes have left here that were killed days ago.
func sweepSpools() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "sumbi-*-spool")) // the pattern is good
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 48*time.Hour {
			_ = os.RemoveAll(dir)
		}
	}
}
