package queue

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
)

// cluster is the engine over PostgreSQL: River carries to all machines that something of a lane is ready, and which job that is
// is decided when the permit for its call is there. What was taken by a machine that is gone is ready again.
type cluster struct {
	*Store
	pool *pgxpool.Pool
	// For heartbeats and what else is short, comes often and is soon worth nothing: the next call of a limit. Its commits do not
	// wait for the disk, or the slowest disk would be the pace of a key; what a crash of the server takes with it is the last
	// moments, which have passed when it answers again.
	quick     *sql.DB
	quickPool *pgxpool.Pool
	river     *river.Client[pgx.Tx] // inserts only
	machine   string                // "" of a guest
	offset    atomic.Int64          // nanoseconds that the database's clock is ahead of ours

	plain   bool        // the lanes look for themselves
	entered atomic.Bool // the database was there once

	mu    sync.Mutex
	holds map[string]time.Duration // of the lanes that work here
	steps map[int64]int            // jobs that are in flight here
	// When the last heartbeat was, and since when they have come without a gap.
	beaten, steady time.Time
	next           time.Time     // look for machines that are gone
	done           chan struct{} // closed by close
	ended          sync.Once
	rings          chan struct{}
	unwritten      unwritten
	beats          sync.WaitGroup
}

// announced is the message of a job that River was told of.
const announced = "river"

const (
	heartbeat   = 2 * time.Second
	lostAfter   = 15 * time.Second // without a heartbeat
	reapPause   = 3 * time.Second
	remindAfter = 10 * time.Second
	permitPause = 20 * time.Second // a job of River waits no longer for a permit: another machine may have one
	awayPause   = 200 * time.Millisecond
	awayLimit   = 20 * time.Second // that a commit waits for a database that is away
)

// Machine is a process that works on a state on PostgreSQL.
type Machine struct {
	ID      string
	Host    string
	Version string
	Started time.Time
	Seen    time.Time
	Jobs    int // in flight
}

// Machines lists the processes that work on the state; none when it is a file.
func (s *Store) Machines(ctx context.Context) ([]Machine, error) {
	if s.pg == nil {
		return nil, nil
	}
	ms, err := list(ctx, s.read, `select id, host, version, started_at, seen_at, (select count(*) from job where taken_at is not null and taken_by = machine.id)
		from machine order by started_at, id`, nil, func(r *sql.Rows) (m Machine, err error) {
		return m, r.Scan(&m.ID, &m.Host, &m.Version, instant{&m.Started}, instant{&m.Seen}, &m.Jobs)
	})
	return ms, s.explain(err)
}

// ready is a job of River: a lane has something to do.
type ready struct {
	Lane string `json:"lane"`
}

// Kind names it in River's tables.
func (ready) Kind() string { return "ready" }

// riverQueue is the name of a lane among River's queues, which are plain ASCII.
func riverQueue(lane string) string {
	for _, c := range lane {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Sprintf("x%x", lane)
		}
	}
	return lane
}

// Advisory locks. What is written is the same as over a file with its one writer, because whoever writes holds the first one
// alone. A page holds it beside other pages: they touch the same rows only where the same post is in the lists of several
// accounts, and there the rows themselves are locked. The pages of one account's lists come one after the other.
const (
	lockWriters = 0x73756d62
	lockTargets = 0x73756d64
)

// lock waits until the transaction may write.
func (tx *Tx) lock() error {
	if tx.job == nil || tx.job.Kind != KindPage {
		_, err := tx.exec(`select pg_advisory_xact_lock(?)`, lockWriters)
		return err
	}
	account := tx.job.Key[:strings.LastIndexByte(tx.job.Key, ':')+1] // the key of a page ends with the list
	_, err := tx.exec(`select pg_advisory_xact_lock_shared(?), pg_advisory_xact_lock(?, hashtext(?))`, lockWriters, lockTargets, account)
	return err
}

// lockMigration is that of whoever changes the schema.
const lockMigration = lockWriters + 1

func (c *cluster) transact(ctx context.Context, _ weight, j *Job, f func(tx *Tx) error) error {
	for began := time.Now(); ; {
		again, err := c.once(ctx, j, f)
		if !again || ctx.Err() != nil || time.Since(began) > awayLimit {
			return c.explain(err)
		}
		sleep(ctx, awayPause)
	}
}

// once tries to commit f. again says that the database was away before f was called: it must not be called twice.
func (c *cluster) once(ctx context.Context, j *Job, f func(tx *Tx) error) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	conn, err := c.write.db.Conn(ctx)
	if err != nil {
		return away(err), err
	}
	defer func() { _ = conn.Close() }()
	// Once begun a commit comes to its end.
	inside := context.WithoutCancel(ctx)
	// What is read behind the lock must be what was written before it.
	t, err := conn.BeginTx(inside, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return away(err), err
	}
	defer func() { _ = t.Rollback() }()
	tx := &Tx{s: c.Store, ctx: inside, asked: ctx, job: j, tx: conn, wake: map[string]bool{}}
	tx.ctx = ctx // nothing has begun
	if err := tx.lock(); err != nil {
		return away(err), err
	}
	tx.ctx = inside
	tx.now = c.Now().UTC()
	if err := f(tx); err != nil {
		return false, err
	}
	if tx.lost != nil {
		return false, tx.lost
	}
	if err := c.tell(tx); err != nil {
		return false, err
	}
	if err := t.Commit(); err != nil {
		return false, err
	}
	for lane := range tx.wake {
		c.wakeLane(lane)
	}
	if !tx.due.IsZero() {
		c.ring(tx.due)
	}
	c.signal()
	return false, nil
}

// away says that the database was not there, or that others were in the way.
func away(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "40001", "40P01", // others were in the way
			"25006", // a standby
			"25P03": // it did not hear of us for too long
			return true
		case "57014": // we broke it off
			return false
		}
		switch e.Code[:2] {
		case "08", "53", "57": // no connection, no room for one, shut down
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn)
}

func (c *cluster) mark(at, now time.Time) any {
	if at.After(now) {
		return nil
	}
	return announced
}

func (c *cluster) announce(tx *Tx, j Job) (string, error) {
	if j.At.After(tx.now) {
		if tx.due.IsZero() || j.At.Before(tx.due) {
			tx.due = j.At
		}
		return "", nil
	}
	tx.news(j.Lane, 1)
	return announced, nil
}

// news has River told, with the commit, that n jobs of a lane are ready.
func (tx *Tx) news(lane string, n int) {
	if tx.told == nil {
		tx.told = map[string]int{}
	}
	tx.told[lane] += n
}

// tell tells River of what tx has made ready.
func (c *cluster) tell(tx *Tx) error {
	if len(tx.told) == 0 {
		return nil
	}
	var all []river.InsertManyParams
	for _, lane := range slices.Sorted(maps.Keys(tx.told)) {
		for range tx.told[lane] {
			all = append(all, river.InsertManyParams{Args: ready{lane}, InsertOpts: &river.InsertOpts{Queue: riverQueue(lane)}})
		}
	}
	conn, err := pgxOf(tx.tx)
	if err != nil {
		return err
	}
	_, err = c.river.InsertManyFastTx(tx.ctx, within{conn}, all)
	return err
}

// withdraw does nothing: whoever looks for the job does not find it.
func (c *cluster) withdraw(*Tx, Job) error { return nil }

// extend begins the time of a taken job anew.
func (c *cluster) extend(tx *Tx, j Job, _ time.Duration) error {
	_, err := tx.exec(`update job set taken_at = ? where id = ? and run = ?`, stamp(tx.now), j.ID, j.run)
	return err
}

func (c *cluster) promote(ctx context.Context) (next time.Time, err error) {
	const waits = `from job where state = 'live' and message is null and taken_at is null`
	for {
		if err := one(ctx, c.read, `select min(due) `+waits, nil, instant{&next}); err != nil || next.IsZero() || next.After(c.Now()) {
			if err == nil && !next.IsZero() {
				c.ring(next)
			}
			return next, c.explain(err)
		}
		if err := c.Tx(ctx, func(tx *Tx) error {
			lanes, err := list(tx.ctx, tx.tx, `update job set message = ? where id = any (array(select id `+waits+` and due <= ? order by due limit ? for update skip locked)) returning lane`,
				[]any{announced, stamp(tx.now), promoteChunk}, scanText)
			for _, l := range lanes {
				tx.news(l, 1)
			}
			return err
		}); err != nil {
			return next, err
		}
	}
}

// ready reports whether the lane has more than n jobs that can be taken now, else when the next one can be.
func (c *cluster) ready(ctx context.Context, lane string, n int) (ok bool, next time.Time, err error) {
	// What was announced is due, whatever the clock of this machine says.
	if err = one(ctx, c.read, `select exists (select 1 from job where lane = ? and state = 'live' and message is not null and taken_at is null offset ?)`, []any{lane, n}, &ok); err != nil || ok {
		return ok, next, c.explain(err)
	}
	err = one(ctx, c.read, `select min(due) from job where lane = ? and state = 'live' and taken_at is null and due > ?`, []any{lane, stamp(c.Now())}, instant{&next})
	return false, next, c.explain(err)
}

// take needs no transaction of its own: it is one statement, and nobody waits for anybody. Between a permit and the call for a
// page or a search nothing waits for the disk, or in line behind those who do. A server that dies before its next commit forgets
// that such a job was taken: it is handed out again, the first of its ends counts, and a call that nobody ended is not in the books.
func (c *cluster) take(ctx context.Context, lane string, n int, _ bool) (jobs []Job, err error) {
	if c.plain {
		jobs, err = c.takeFrom(ctx, c.write.db, "", lane, n)
	} else if jobs, err = c.takeFrom(ctx, c.quick, ` and kind in ('page', 'match')`, lane, n); err == nil && len(jobs) == 0 {
		jobs, err = c.takeFrom(ctx, c.write.db, ` and kind not in ('page', 'match')`, lane, n)
	}
	if err == nil && len(jobs) > 0 {
		c.signal()
	}
	slices.SortFunc(jobs, func(a, b Job) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return jobs, c.explain(err)
}

func (c *cluster) takeFrom(ctx context.Context, db *sql.DB, kinds, lane string, n int) ([]Job, error) {
	return list(ctx, db, `update job set run = run + 1, lost = lost + 1, taken_at = ?, taken_by = ? where id = any (array(
			select id from job where lane = ? and state = 'live' and message is not null and taken_at is null`+kinds+` order by priority desc, due, id limit ? for update skip locked))
		returning `+jobColumns, []any{stamp(c.Now()), c.machine, lane, n}, scanJob)
}

// beat tells the others that this machine is alive, until the store is closed. It has a pool of its own: a heartbeat must not
// stand in line behind commits.
func (c *cluster) beat(host, version string) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), lostAfter)
		err := c.register(ctx, c.quick, host, version)
		cancel()
		c.mu.Lock()
		switch now := time.Now(); {
		case err != nil, now.Sub(c.beaten) > lostAfter/2: // whoever was away cannot tell who else was
			c.steady = now
			fallthrough
		default:
			c.beaten = now
		}
		c.mu.Unlock()
	}
}

// register writes this machine's row, and learns how far the database's clock is ahead. In it the database's clock counts.
func (c *cluster) register(ctx context.Context, db *sql.DB, host, version string) error {
	now := `strftime('')`
	if c.plain {
		now = "'" + stamp(c.Now()) + "'"
	} else if err := c.look(ctx, db); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `insert into machine (id, host, version, started_at, seen_at) values (?, ?, ?, `+now+`, `+now+`) on conflict (id) do update set seen_at = excluded.seen_at`,
		c.machine, host, version)
	return err
}

// look learns how far the database's clock is ahead. All machines go by that one.
func (c *cluster) look(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	before := time.Now()
	var now time.Time
	if err := one(ctx, conn, `select strftime('')`, nil, instant{&now}); err != nil {
		return err
	}
	c.offset.Store(int64(now.Sub(before.Add(time.Since(before) / 2))))
	return nil
}

// lostBefore is the moment in SQL before which the last heartbeat of a machine is that of one which is gone.
func (c *cluster) lostBefore() string {
	if c.plain {
		return "'" + stamp(c.Now().Add(-lostAfter)) + "'"
	}
	return fmt.Sprintf("ago(%d)", int(lostAfter.Seconds()))
}

// awake says that this machine has been heard of without a gap for long enough to tell who has not.
func (c *cluster) awake() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plain || (time.Since(c.steady) >= lostAfter && time.Since(c.beaten) < lostAfter/2)
}

// leave takes this machine's row away, and frees what it held.
func (c *cluster) leave(ctx context.Context) error {
	return c.Tx(ctx, func(tx *Tx) error {
		if _, err := tx.exec(`update job set lost = case when lost > 0 then lost - 1 else 0 end where taken_at is not null and taken_by = ?`, c.machine); err != nil {
			return err
		}
		if err := c.free(tx, `taken_by = ?`, c.machine); err != nil {
			return err
		}
		if _, err := tx.exec(`delete from apart where machine = ?`, c.machine); err != nil {
			return err
		}
		_, err := tx.exec(`delete from machine where id = ?`, c.machine)
		return err
	})
}

// reap makes ready what was taken by machines that are gone, and what was held longer than its lane holds.
func (c *cluster) reap(ctx context.Context) error {
	c.mu.Lock()
	due := !time.Now().Before(c.next) || c.plain
	if due {
		c.next = time.Now().Add(reapPause/2 + rand.N(reapPause))
	}
	holds := maps.Clone(c.holds)
	c.mu.Unlock()
	if !due {
		return nil
	}
	if c.plain && c.machine != "" { // nobody else does it
		if err := c.register(ctx, c.write.db, "", ""); err != nil {
			return c.explain(err)
		}
	}
	var late bool
	if err := one(ctx, c.read, `select exists (select 1 from machine where seen_at < `+c.lostBefore()+` and id <> ?) or exists (select 1 from job where taken_at is not null and not exists (select 1 from machine where id = taken_by))
		or exists (select 1 from river_job where `+orphaned+`)`, []any{c.machine}, &late); err != nil {
		return c.explain(err)
	}
	if late && c.awake() {
		if err := c.Tx(ctx, c.bury); err != nil {
			return err
		}
	}
	if err := c.unheard(ctx); err != nil {
		return err
	}
	for lane, hold := range holds {
		if err := c.remind(ctx, lane); err != nil {
			return err
		}
		var some bool
		if err := one(ctx, c.read, `select exists (select 1 from job where taken_at < ? and lane = ?)`, []any{stamp(c.Now().Add(-hold)), lane}, &some); err != nil || !some {
			if err != nil {
				return c.explain(err)
			}
			continue
		}
		if err := c.Tx(ctx, func(tx *Tx) error { return c.free(tx, `lane = ? and taken_at < ?`, lane, stamp(tx.now.Add(-hold))) }); err != nil {
			return err
		}
	}
	return nil
}

// unheardAfter is how long a job may be taken by this machine before it knows of it.
const unheardAfter = 10 * time.Second

// unheard makes ready what this machine has taken without hearing so: the database was cut off before it could say.
func (c *cluster) unheard(ctx context.Context) error {
	if c.plain {
		return nil
	}
	taken, err := list(ctx, c.read, `select id from job where taken_at < ? and taken_by = ?`, []any{stamp(c.Now().Add(-unheardAfter)), c.machine}, func(r *sql.Rows) (id int64, err error) {
		return id, r.Scan(&id)
	})
	if err != nil {
		return c.explain(err)
	}
	c.mu.Lock()
	taken = slices.DeleteFunc(taken, func(id int64) bool { return c.steps[id] > 0 })
	c.mu.Unlock()
	for _, id := range taken {
		if err := c.Tx(ctx, func(tx *Tx) error {
			return c.free(tx, `id = ? and taken_by = ? and taken_at < ?`, id, c.machine, stamp(tx.now.Add(-unheardAfter)))
		}); err != nil {
			return err
		}
	}
	return nil
}

// flight notes that a step of a job runs here; the function returned ends that.
func (c *cluster) flight(id int64) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps[id]++ // after the server has died it may be handed out twice
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.steps[id]--; c.steps[id] == 0 {
			delete(c.steps, id)
		}
	}
}

// orphaned are the jobs of River that a machine has which is gone.
const orphaned = `state = 'running' and not exists (select 1 from machine where id = attempted_by[array_upper(attempted_by, 1)])`

// remind tells River again of a lane whose jobs wait although River knows of none: somebody has removed its rows.
func (c *cluster) remind(ctx context.Context, lane string) error {
	if c.plain {
		return nil
	}
	var forgotten bool
	if err := one(ctx, c.read, `select exists (select 1 from job where lane = ? and state = 'live' and message is not null and taken_at is null and due < ?)
		and not exists (select 1 from river_job where queue = ? and state in ('available', 'running', 'retryable', 'scheduled') and not (`+orphaned+`))`, []any{lane, stamp(c.Now().Add(-remindAfter)), riverQueue(lane)}, &forgotten); err != nil || !forgotten {
		return c.explain(err)
	}
	return c.Tx(ctx, func(tx *Tx) error {
		var n int
		err := tx.one(`select count(*) from (select 1 from job where lane = ? and state = 'live' and message is not null and taken_at is null limit ?) x`, []any{lane, promoteChunk}, &n)
		tx.news(lane, n)
		return err
	})
}

// bury judges what the machines that are gone had in flight, as a start does over a file.
func (c *cluster) bury(tx *Tx) error {
	gone, err := list(tx.ctx, tx.tx, `delete from machine where seen_at < `+c.lostBefore()+` and id <> ? returning id`, []any{c.machine}, scanText)
	if err != nil {
		return err
	}
	// Some may have taken a job when they were believed to be gone already.
	strays, err := list(tx.ctx, tx.tx, `select distinct coalesce(taken_by, '') from job where taken_at is not null and taken_at < ? and not exists (select 1 from machine where id = taken_by)`, []any{stamp(tx.now.Add(-lostAfter))}, scanText)
	if err != nil {
		return err
	}
	gone = append(gone, strays...)
	// What River had handed to them it would miss only much later.
	if _, err := tx.exec(`update river_job set state = 'available', scheduled_at = now() where ` + orphaned); err != nil {
		return err
	}
	slices.Sort(gone)
	for _, id := range slices.Compact(gone) {
		if err := tx.recoverFrom(id); err != nil {
			return err
		}
		if err := c.free(tx, `coalesce(taken_by, '') = ?`, id); err != nil {
			return err
		}
	}
	// Of machines that are gone nothing is under way. A run that goes on keeps the row: its machine may come back.
	if _, err := tx.exec(`delete from apart where not exists (select 1 from machine where id = apart.machine) and not exists (select 1 from run where id = apart.run and state <> 'done')`); err != nil {
		return err
	}
	if c.Buried == nil {
		return nil // at the start; whoever works tells of them
	}
	defer func() { c.graves = nil }()
	for _, j := range c.graves {
		if err := c.Buried(tx, j, errors.New("the process ended while this job ran alone")); err != nil {
			return err
		}
	}
	return nil
}

// First tells whether this process is the one of those that work on the state which does what only one should.
func (s *Store) First(ctx context.Context) (bool, error) {
	if s.pg == nil || s.pg.plain {
		return s.owner, nil
	}
	var first string
	err := one(ctx, s.read, `select id from machine where seen_at >= `+s.pg.lostBefore()+` order by started_at, id limit 1`, nil, &first)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return first == s.pg.machine, s.explain(err)
}

// free makes jobs in flight ready again. Whoever works on them still comes too late.
func (c *cluster) free(tx *Tx, which string, args ...any) error {
	lanes, err := list(tx.ctx, tx.tx, `update job set taken_at = null, alone = 0, run = run + 1, message = ? where taken_at is not null and state = 'live' and `+which+` returning lane`, append([]any{announced}, args...), scanText)
	for _, l := range lanes {
		tx.news(l, 1)
	}
	c.freed = c.freed || len(lanes) > 0
	return err
}

func (c *cluster) tend(ctx context.Context, _ *Worker) (changed bool, err error) {
	return true, c.reap(ctx)
}
