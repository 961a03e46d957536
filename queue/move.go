package queue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
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
