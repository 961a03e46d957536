package queue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/bits"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Location is where a state lies: in a file, or, when File is "", in a database.
type Location struct {
	File     string
	Database Database
}

// Moved is a table that has been copied.
type Moved struct {
	Table string
	Rows  int64
	Hash  string // SHA-256 over all its rows in the order of their keys, hexadecimal
}

// MoveError is a move that could not be made. Its text is one sentence that says what to do.
type MoveError struct {
	Path string
	Text string
	Err  error
}

func (e *MoveError) Error() string { return fmt.Sprintf("move %s: %s", e.Path, e.Text) }

// Unwrap returns the cause.
func (e *MoveError) Unwrap() error { return e.Err }

// Move copies a state on which nobody works from a file into an empty database, or from a database into a new file, reads the
// copy back, and lets it be only when every table has the same rows. Where it came from stays as it is, and so does where it
// goes until the copy is whole. schema is the text of schema.sql. tell is called now and then with the rows copied and read back
// so far, and how many that will be; it may be nil. What was in flight is ready again once a process works on the copy. Errors
// are *MoveError, *FileError or ErrLocked.
func Move(ctx context.Context, from, to Location, schema string, tell func(done, all int64)) ([]Moved, error) {
	if (from.File == "") == (to.File == "") {
		if to.File == "" {
			return nil, &MoveError{Path: display(to.Database.Address), Text: "the state is in PostgreSQL already; name a file to move it into one"}
		}
		return nil, &MoveError{Path: to.File, Text: "the state is in a file already; `sumbi backup FILE` copies it"}
	}
	tables, err := tablesOf(ctx, schema)
	if err != nil {
		return nil, err
	}
	src, err := leave(ctx, from)
	if err != nil {
		return nil, err
	}
	defer src.close()
	dst, err := arrive(ctx, to, schema)
	if err != nil {
		return nil, err
	}
	defer dst.close()
	if tell == nil {
		tell = func(int64, int64) {}
	}
	m := &mover{src: src, dst: dst, to: to.File, tables: tables, tell: tell}
	if m.to == "" {
		m.to = display(to.Database.Address)
	}
	return m.run(ctx)
}

// source is a state that nobody works on, as it is at one moment.
type source interface {
	rows() querier
	// last is the highest id that a table has ever given.
	last(ctx context.Context, t table) (int64, error)
	// excused says that what was in flight is not suspected of having ended the process.
	excused() bool
	// same refuses when somebody has worked on the state meanwhile.
	same(ctx context.Context) error
	explain(err error) error
	close()
}

// target is an empty place. Nothing is there before commit.
type target interface {
	rows() querier
	put(ctx context.Context, t table, s *stream) error
	// follow makes the ids of a table go on after last.
	follow(ctx context.Context, t table, last int64) error
	// fit turns a text into what can be kept there.
	fit(s string) string
	commit(ctx context.Context) error
	explain(err error) error
	close()
}

// table is what the two engines have in common of one.
type table struct {
	name    string
	columns []string
	key     []int  // the columns of the primary key, in its order
	id      string // the column that numbers itself, "" for none
	never   bool   // the file remembers numbers that are no longer there
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (t table) list() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = quoted(c)
	}
	return strings.Join(names, ", ")
}

// selection reads all rows in the order of their keys.
func (t table) selection() string {
	keys := make([]string, len(t.key))
	for i, k := range t.key {
		keys[i] = quoted(t.columns[k])
	}
	return `select ` + t.list() + ` from ` + quoted(t.name) + ` order by ` + strings.Join(keys, ", ")
}

// tablesOf returns what schema keeps for good: goqite's rows are made anew from the jobs.
func tablesOf(ctx context.Context, schema string) (all []table, err error) {
	db := openDB(":memory:")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	all, err = list(ctx, db, `select name, sql like '%autoincrement%' from sqlite_schema where type = 'table' and name not like 'sqlite%' and name <> 'goqite' order by rowid`, nil, func(r *sql.Rows) (t table, err error) {
		return t, r.Scan(&t.name, &t.never)
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		t := &all[i]
		type column struct {
			name, kind string
			key        int
		}
		columns, err := list(ctx, db, `select name, type, pk from pragma_table_info(?) order by cid`, []any{t.name}, func(r *sql.Rows) (c column, err error) {
			return c, r.Scan(&c.name, &c.kind, &c.key)
		})
		if err != nil {
			return nil, err
		}
		for n, c := range columns {
			t.columns = append(t.columns, c.name)
			if c.key > 0 {
				t.key = append(t.key, n)
			}
		}
		slices.SortFunc(t.key, func(a, b int) int { return columns[a].key - columns[b].key })
		if len(t.key) == 1 && strings.EqualFold(columns[t.key[0]].kind, "integer") {
			t.id = columns[t.key[0]].name
		}
	}
	return all, nil
}

// tellEvery is after how many rows the caller hears of it.
const tellEvery = 1000

type mover struct {
	src       source
	dst       target
	to        string // its name
	tables    []table
	tell      func(done, all int64)
	done, all int64
}

func (m *mover) run(ctx context.Context) ([]Moved, error) {
	for _, t := range m.tables {
		var n int64
		if err := one(ctx, m.src.rows(), `select count(*) from `+quoted(t.name), nil, &n); err != nil {
			return nil, m.src.explain(err)
		}
		m.all += 2 * n
	}
	began := time.Now()
	wants := make([]*digest, len(m.tables))
	for i, t := range m.tables {
		var err error
		if wants[i], err = m.copy(ctx, t, began); err != nil {
			return nil, err
		}
	}
	var moved []Moved
	var differ []string
	for i, t := range m.tables {
		got, err := m.readBack(ctx, t)
		if err != nil {
			return nil, err
		}
		if !got.equal(wants[i]) {
			differ = append(differ, fmt.Sprintf("%s (%d rows read, %d found)", t.name, wants[i].rows, got.rows))
		}
		moved = append(moved, Moved{Table: t.name, Rows: got.rows, Hash: hex.EncodeToString(got.chain.Sum(nil))})
	}
	if len(differ) > 0 {
		return nil, &MoveError{Path: m.to, Text: "the copy does not have what was read, in " + strings.Join(differ, ", ") + "; nothing was written, check disk and memory of both machines and try again"}
	}
	if err := m.src.same(ctx); err != nil {
		return nil, err
	}
	m.tell(m.all, m.all)
	return moved, m.dst.explain(m.dst.commit(ctx))
}

// copy writes the rows of a table as the target keeps them, and returns what should be there then.
func (m *mover) copy(ctx context.Context, t table, began time.Time) (*digest, error) {
	rows, err := m.src.rows().QueryContext(ctx, t.selection())
	if err != nil {
		return nil, m.src.explain(err)
	}
	defer rows.Close()
	s := newStream(rows, t, m.step)
	change := m.change(t, began)
	s.adapt = func(row []any) bool {
		if change != nil && !change(row) {
			return false
		}
		for i, v := range row {
			switch v := v.(type) {
			case string:
				fit := m.dst.fit(v)
				if fit == v {
					continue
				}
				row[i] = fit
				s.sum.rekeyed = s.sum.rekeyed || slices.Contains(t.key, i)
			case float64:
				row[i] = v + 0 // a file keeps no negative zero
			}
		}
		return true
	}
	if err := m.dst.put(ctx, t, s); err != nil {
		if s.err != nil {
			return nil, m.src.explain(s.err)
		}
		return nil, m.dst.explain(err)
	}
	if s.err != nil {
		return nil, m.src.explain(s.err)
	}
	if t.id == "" {
		return s.sum, nil
	}
	last, err := m.src.last(ctx, t)
	if err != nil {
		return nil, m.src.explain(err)
	}
	return s.sum, m.dst.explain(m.dst.follow(ctx, t, last))
}

// readBack returns what the target has of a table.
func (m *mover) readBack(ctx context.Context, t table) (*digest, error) {
	rows, err := m.dst.rows().QueryContext(ctx, t.selection())
	if err != nil {
		return nil, m.dst.explain(err)
	}
	defer rows.Close()
	s := newStream(rows, t, m.step)
	s.adapt = own(t)
	for s.Next() {
	}
	return s.sum, m.dst.explain(s.err)
}

func (m *mover) step() {
	if m.done++; m.done%tellEvery == 0 {
		m.tell(m.done, m.all)
	}
}

// own leaves out what a place knows of itself; nil when a table has nothing of that.
func own(t table) func(row []any) bool {
	if t.name != "meta" {
		return nil
	}
	key := slices.Index(t.columns, "key")
	return func(row []any) bool {
		switch row[key] {
		case metaRunning, metaDamage, metaSchema, metaReadable:
			return false
		}
		return true
	}
}

// change returns what becomes of a table's rows on the way; nil when they stay as they are. The function reports false for a row
// that stays behind.
func (m *mover) change(t table, began time.Time) func(row []any) bool {
	if t.name != "job" {
		return own(t)
	}
	at := func(column string) int { return slices.Index(t.columns, column) }
	message, taken, lost, alone := at("message"), at("taken_at"), at("lost"), at("alone")
	_, toDatabase := m.dst.(*databaseTarget)
	past := stamp(began.Add(-2 * lostAfter))
	return func(row []any) bool {
		row[message] = nil // announced anew by whoever works on the copy
		since, flying := row[taken].(string)
		if !flying {
			return true
		}
		if m.src.excused() {
			row[alone] = int64(0)
			if n, _ := row[lost].(int64); n > 0 {
				row[lost] = n - 1
			}
		}
		// Nobody there has it. What was taken just now would be believed to be in the hands of a machine that is late.
		if toDatabase && since > past {
			row[taken] = past
		}
		return true
	}
}

// stream reads a table row by row, as CopyFrom wants it, and notes what it has handed out.
type stream struct {
	rows  *sql.Rows
	row   []any
	cells []any // pointers to those of row
	adapt func(row []any) bool
	step  func()
	sum   *digest
	err   error
}

func newStream(rows *sql.Rows, t table, step func()) *stream {
	s := &stream{rows: rows, row: make([]any, len(t.columns)), cells: make([]any, len(t.columns)), step: step, sum: &digest{chain: sha256.New()}}
	for i := range s.row {
		s.cells[i] = &s.row[i]
	}
	return s
}

// Next implements pgx.CopyFromSource.
func (s *stream) Next() bool {
	for s.err == nil && s.rows.Next() {
		if s.err = s.rows.Scan(s.cells...); s.err != nil {
			return false
		}
		s.step()
		if s.adapt != nil && !s.adapt(s.row) {
			continue
		}
		if s.err = s.sum.add(s.row); s.err != nil {
			return false
		}
		return true
	}
	if s.err == nil {
		s.err = s.rows.Err()
	}
	return false
}

// Values implements pgx.CopyFromSource.
func (s *stream) Values() ([]any, error) { return s.row, nil }

// Err implements pgx.CopyFromSource.
func (s *stream) Err() error { return s.err }

// digest sums up the rows of a table.
type digest struct {
	rows    int64
	chain   hash.Hash // over the hashes of the rows, in their order
	total   [4]uint64 // the sum of those hashes, whatever the order
	rekeyed bool      // a key was changed on the way, so that the order may be another one
	buf     []byte
}

// add takes in a row: the type of each value, and its bytes or their number before them.
func (d *digest) add(row []any) error {
	b := d.buf[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 2), math.Float64bits(v))
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 3), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 4), uint64(len(v))), v...)
		default:
			return fmt.Errorf("a value of type %T, which no table has", v)
		}
	}
	d.buf = b
	d.rows++
	h := sha256.Sum256(b)
	_, _ = d.chain.Write(h[:]) // it has no errors
	carry := uint64(0)
	for i := range d.total {
		d.total[i], carry = bits.Add64(d.total[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
	return nil
}

func (d *digest) equal(want *digest) bool {
	if d.rows != want.rows || d.total != want.total {
		return false
	}
	return want.rekeyed || string(d.chain.Sum(nil)) == string(want.chain.Sum(nil))
}

// leave opens where a state is to be copied from.
func leave(ctx context.Context, from Location) (source, error) {
	if from.File != "" {
		return leaveFile(ctx, from.File)
	}
	return leaveDatabase(ctx, from.Database)
}

// arrive opens where it is to be copied to.
func arrive(ctx context.Context, to Location, schema string) (target, error) {
	if to.File != "" {
		return arriveFile(ctx, to.File, schema)
	}
	return arriveDatabase(ctx, to.Database, schema)
}

// fileSource is a locked file. It is opened for reading only: not even its log is brought into it.
type fileSource struct {
	*file
	unsuspected bool
	conn, watch *sql.Conn
	tx          *sql.Tx
	version     int64 // of the data, before the first row was read
}

func leaveFile(ctx context.Context, path string) (_ *fileSource, err error) {
	f := &fileSource{file: &file{Store: newStore(Guest)}}
	f.engine, f.path = f.file, path
	if err := f.find(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = f.explain(err)
			f.close()
		}
	}()
	if err := f.hold(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)", "query_only(1)", "cache_size(-16000)"}, "mode": {"ro"}}
	f.read = openDB("file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + q.Encode())
	if _, err := f.look(ctx); err != nil {
		return nil, err
	}
	if err := f.check(ctx); err != nil {
		return nil, err
	}
	if f.watch, err = f.read.Conn(ctx); err != nil {
		return nil, err
	}
	if f.version, err = f.seen(ctx); err != nil {
		return nil, err
	}
	if f.conn, err = f.read.Conn(ctx); err != nil {
		return nil, err
	}
	f.tx, err = f.conn.BeginTx(ctx, nil)
	return f, err
}

// hold takes the owner's lock, and leaves what the lock file says.
func (f *fileSource) hold() error {
	name := f.path + ".lock"
	before, missing := os.Stat(name)
	f.unsuspected = missing == nil && before.Size() == 0
	l := flock.New(name, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return &FileError{Path: f.path, Text: "its directory cannot be written: " + short(err) + "; make it writable", Err: err}
	}
	if !ok {
		return ErrLocked
	}
	f.unlock = func() { _ = l.Unlock() }
	if missing != nil {
		return os.WriteFile(name, []byte(inUse), 0o600) // an empty one would excuse what was in flight
	}
	return nil
}

func (f *fileSource) seen(ctx context.Context) (version int64, err error) {
	return version, one(ctx, f.watch, `pragma data_version`, nil, &version)
}

func (f *fileSource) rows() querier { return f.tx }

func (f *fileSource) last(ctx context.Context, t table) (last int64, err error) {
	if err := one(ctx, f.tx, `select coalesce(max(`+quoted(t.id)+`), 0) from `+quoted(t.name), nil, &last); err != nil || !t.never {
		return last, err
	}
	var ever int64
	err = one(ctx, f.tx, `select coalesce(max(seq), 0) from sqlite_sequence where name = ?`, []any{t.name}, &ever)
	return max(last, ever), err
}

func (f *fileSource) excused() bool { return f.unsuspected }

func (f *fileSource) same(ctx context.Context) error {
	version, err := f.seen(ctx)
	if err != nil {
		return f.explain(err)
	}
	if version != f.version {
		return &MoveError{Path: f.path, Text: "somebody has changed it while it was copied; nothing was written, leave it alone and try again"}
	}
	return nil
}

func (f *fileSource) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	for _, c := range []*sql.Conn{f.conn, f.watch} {
		if c != nil {
			_ = c.Close()
		}
	}
	_ = f.closeAll()
}

// databaseSource is a database that no machine works on. Whoever wants to write there waits.
type databaseSource struct {
	*cluster
	conn *sql.Conn
	tx   *sql.Tx
}

func leaveDatabase(ctx context.Context, d Database) (_ *databaseSource, err error) {
	c, err := connect(ctx, d, Guest)
	if err != nil {
		return nil, err
	}
	f := &databaseSource{cluster: c}
	defer func() {
		if err != nil {
			err = c.explain(err)
			f.close()
		}
	}()
	have, _, err := c.version(ctx)
	switch {
	case err != nil:
		return nil, err
	case have == 0:
		return nil, &FileError{Path: c.path, Text: "holds no state; name the database that does in DATABASE_URL"}
	case have < version:
		return nil, &FileError{Path: c.path, Text: fmt.Sprintf("was written by an earlier sumbi (schema %d, this one writes %d); the next `sumbi run PIPELINE` or `sumbi serve` upgrades it", have, version)}
	case have > version:
		return nil, &FileError{Path: c.path, Text: fmt.Sprintf("was written by a newer sumbi (schema %d, this one knows %d); install that version or a later one", have, version)}
	}
	if err := c.look(ctx, c.write.db); err != nil {
		return nil, err
	}
	if f.conn, err = c.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	// The other side may take its time between two statements.
	if _, err := f.conn.ExecContext(ctx, `select pg_advisory_lock(?), set_config('idle_in_transaction_session_timeout', '0', false)`, lockWriters); err != nil {
		return nil, err
	}
	if err := f.same(ctx); err != nil {
		return nil, err
	}
	f.tx, err = f.conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	return f, err
}

func (f *databaseSource) rows() querier { return f.tx }

func (f *databaseSource) last(ctx context.Context, t table) (last int64, err error) {
	err = one(ctx, f.tx, `select coalesce(max(`+quoted(t.id)+`), 0) from `+quoted(t.name), nil, &last)
	if err != nil {
		return 0, err
	}
	var ever int64
	err = one(ctx, f.tx, `select coalesce(pg_sequence_last_value(pg_get_serial_sequence(?, ?)::regclass), 0)`, []any{quoted(t.name), t.id}, &ever)
	return max(last, ever), err
}

func (*databaseSource) excused() bool { return false }

func (f *databaseSource) same(ctx context.Context) error {
	type alive struct {
		host string
		seen time.Time
	}
	now := f.Now()
	all, err := list(ctx, f.read, `select host, seen_at from machine where seen_at >= ? order by seen_at desc`, []any{stamp(now.Add(-lostAfter))}, func(r *sql.Rows) (a alive, err error) {
		return a, r.Scan(&a.host, instant{&a.seen})
	})
	if err != nil || len(all) == 0 {
		return f.explain(err)
	}
	return &MoveError{Path: f.path, Text: fmt.Sprintf("%d processes work on it, one of them on %s; stop them all, and if they were killed wait %v", len(all), all[0].host, lostAfter)}
}

func (f *databaseSource) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	letGo(f.conn, lockWriters)
	_ = f.cluster.close()
}

// letGo returns a connection that holds an advisory lock.
func letGo(c *sql.Conn, lock int64) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = c.ExecContext(ctx, `select pg_advisory_unlock(?)`, lock) // the end of the process lets go, too
	_ = c.Close()
}

// databaseTarget is an empty database. Tables and rows come with one transaction, and nobody else makes them meanwhile.
type databaseTarget struct {
	*cluster
	conn *sql.Conn
	raw  *pgx.Conn
	tx   *sql.Tx
}

func arriveDatabase(ctx context.Context, d Database, schema string) (_ *databaseTarget, err error) {
	c, err := connect(ctx, d, Guest)
	if err != nil {
		return nil, err
	}
	f := &databaseTarget{cluster: c}
	defer func() {
		if err != nil {
			err = c.explain(err)
			f.close()
		}
	}()
	if f.conn, err = c.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	if _, err := f.conn.ExecContext(ctx, `select pg_advisory_lock(?)`, lockMigration); err != nil {
		return nil, err
	}
	used, err := c.foreign(ctx)
	if err != nil {
		return nil, err
	}
	if used {
		return nil, &MoveError{Path: c.path, Text: "is not empty; name another database, or another schema in the address (?search_path=sumbi)"}
	}
	if err := c.riverTables(ctx); err != nil {
		return nil, err
	}
	if f.raw, err = pgxOf(f.conn); err != nil {
		return nil, err
	}
	// Below put nobody but pgx may use the connection, not even to roll back when ctx ends.
	if f.tx, err = f.conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		return nil, err
	}
	if _, err := f.tx.ExecContext(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil { // nor may the source be hurried
		return nil, err
	}
	return f, alterTo(ctx, within{f.raw}, 0, schema)
}

func (f *databaseTarget) rows() querier { return f.tx }

func (f *databaseTarget) put(ctx context.Context, t table, s *stream) error {
	_, err := f.raw.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, s)
	return err
}

func (f *databaseTarget) follow(ctx context.Context, t table, last int64) error {
	if last == 0 {
		return nil
	}
	_, err := f.tx.ExecContext(ctx, `select setval(pg_get_serial_sequence(?, ?), ?)`, quoted(t.name), t.id, last)
	return err
}

func (*databaseTarget) fit(s string) string { return postgresText(s) }

// nobody is the process that had in flight what was so in a file: the first machine takes it back from there as from one that
// is gone.
const nobody = "moved"

func (f *databaseTarget) commit(ctx context.Context) error {
	if _, err := f.tx.ExecContext(ctx, `update job set taken_by = ? where taken_at is not null`, nobody); err != nil {
		return err
	}
	return f.tx.Commit()
}

func (f *databaseTarget) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	letGo(f.conn, lockMigration)
	_ = f.cluster.close()
}

// fileTarget is a hidden file that gets its name once it is whole.
type fileTarget struct {
	*file
	part string
	tx   *sql.Tx
}

func arriveFile(ctx context.Context, path, schema string) (_ *fileTarget, err error) {
	say := func(text string, err error) error { return &MoveError{Path: path, Text: text, Err: err} }
	for _, tail := range []string{"", "-wal", "-journal"} {
		info, err := os.Lstat(path + tail)
		if err == nil && tail != "" && info.Mode().IsRegular() && info.Size() == 0 {
			continue // a log with nothing in it is of no file
		}
		if err == nil {
			return nil, &MoveError{Path: path + tail, Text: "is there already; name another file, or move that one away"}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, say("cannot be looked at: "+short(err)+"; name another file", err)
		}
	}
	f := &fileTarget{file: &file{Store: newStore(Owner)}}
	f.engine, f.path = f.file, path
	prefix := "." + filepath.Base(path) + ".move-"
	removeParts(filepath.Dir(path), prefix)
	part, err := os.CreateTemp(filepath.Dir(path), prefix+"*.part")
	if err != nil {
		return nil, say("cannot be written: "+short(err)+"; make its directory or name another file", err)
	}
	f.part = part.Name()
	defer func() {
		if err != nil {
			err = f.explain(err)
			f.close()
		}
	}()
	abs, err := filepath.Abs(f.part)
	if err := errors.Join(err, part.Close()); err != nil {
		return nil, say("cannot be written: "+short(err)+"; name another file", err)
	}
	// Until it has its name a crash leaves nothing that must be whole.
	q := url.Values{"_pragma": {"journal_mode(off)", "synchronous(off)", "temp_store(memory)", "locking_mode(exclusive)", "cache_size(-64000)"}, "mode": {"rw"}}
	f.write.db = openDB("file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + q.Encode())
	f.write.db.SetMaxOpenConns(1)
	if f.write.conn, err = f.write.db.Conn(ctx); err != nil {
		return nil, err
	}
	if err := f.create(ctx, schema); err != nil {
		return nil, err
	}
	f.tx, err = f.write.conn.BeginTx(ctx, nil)
	return f, err
}

// removeParts removes what a move that was cut off has left: it is as large as the whole.
func removeParts(dir, prefix string) {
	entries, _ := os.ReadDir(dir) // where nothing can be listed nothing can be made either
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".part") {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func (f *fileTarget) rows() querier { return f.tx }

func (f *fileTarget) put(ctx context.Context, t table, s *stream) error {
	text := `insert into ` + quoted(t.name) + ` (` + t.list() + `) values (?` + strings.Repeat(", ?", len(t.columns)-1) + `)`
	for s.Next() {
		if _, err := f.tx.ExecContext(ctx, text, s.row...); err != nil {
			return err
		}
	}
	return s.err
}

func (f *fileTarget) follow(ctx context.Context, t table, last int64) error {
	if last == 0 || !t.never {
		return nil // the next number is one more than the highest
	}
	r, err := f.tx.ExecContext(ctx, `update sqlite_sequence set seq = ? where name = ?`, last, t.name)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = f.tx.ExecContext(ctx, `insert into sqlite_sequence (name, seq) values (?, ?)`, t.name, last)
	return err
}

func (*fileTarget) fit(s string) string { return s }

func (f *fileTarget) commit(ctx context.Context) error {
	say := func(text string, err error) error { return &MoveError{Path: f.path, Text: text, Err: err} }
	if err := errors.Join(f.tx.Commit(), f.write.conn.Close(), f.write.db.Close()); err != nil {
		return err
	}
	f.write.conn, f.write.db = nil, nil
	if err := intact(ctx, f.part); err != nil {
		return say("the copy is not good ("+err.Error()+"), so it was removed; try again on another disk", err)
	}
	if err := syncFile(f.part); err != nil {
		return say("cannot be written: "+short(err)+"; name another file", err)
	}
	switch err := os.Link(f.part, f.path); { // unlike a rename it takes no name away
	case errors.Is(err, os.ErrExist):
		return say("somebody has made it meanwhile; name another file", err)
	case err != nil: // not every file system has links
		if _, err := os.Lstat(f.path); err == nil {
			return say("somebody has made it meanwhile; name another file", nil)
		}
		if err := os.Rename(f.part, f.path); err != nil {
			return say("cannot be written: "+short(err)+"; name another file", err)
		}
	}
	return syncDir(filepath.Dir(f.path))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (f *fileTarget) explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
			return &MoveError{Path: f.path, Text: "there is no room for it or it cannot be written (" + e.Error() + "); make room or name a file on another disk, no half copy is left", Err: err}
		}
	}
	return f.file.explain(err)
}

func (f *fileTarget) close() {
	if f.tx != nil {
		_ = f.tx.Rollback()
	}
	_ = f.closeAll()
	for _, tail := range []string{"", "-journal"} {
		_ = os.Remove(f.part + tail) // it has another name once it is done
	}
}
