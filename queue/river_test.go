package queue_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// manyMachines skips what a file, which has one machine, does not have.
func manyMachines(t *testing.T) {
	t.Helper()
	if server == nil {
		t.Skip("a file has one machine")
	}
	t.Parallel()
}

// river gives a database for several machines.
func river(t *testing.T) string {
	t.Helper()
	manyMachines(t)
	return server.Database(t, like)
}

// machine opens the state as one of the machines that work on it.
func machine(t *testing.T, address string) *queue.Store {
	t.Helper()
	s, err := queue.OpenPostgres(context.Background(), queue.Database{Address: address, Release: "시험"}, schema, queue.Owner)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// patience is how long these tests wait for what takes a few seconds on an idle computer.
const patience = 90 * time.Second

// await waits until a query finds exactly the rows wanted.
func await(t *testing.T, s *queue.Store, query string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := s.Rows(ctx, query)
		if err == nil && fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v, %v; want %v", query, got, err, want)
		}
	}
}

// receive waits for a signal of a handler.
func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

// errServed marks the end of a job in its story: as often as it stands there, so often a commit ended the job.
var errServed = errors.New("다 먹었다")

func served(tx *queue.Tx) error { return tx.Complain(errServed) }

// servings is how often the jobs were ended: how many of them once, and how many more often.
const servings = `select count(*), coalesce(sum(case when n > 1 then 1 else 0 end), 0) from (select key, count(*) as n from job_error where err = '다 먹었다' group by key) x`

func dishes(n int) (all []queue.Job) {
	for i := range n {
		all = append(all, pageJob(fmt.Sprintf("냉면 %d", i)))
	}
	return all
}

func TestMachinesShareWork(t *testing.T) {
	address := river(t)
	const n = 100
	var mu sync.Mutex
	ran := map[string]int{}
	var both sync.WaitGroup // the first job of each machine ends when the other has one, too
	both.Add(2)
	var machines []*queue.Store
	var stops []func()
	for range 2 {
		s := machine(t, address)
		var first sync.Once
		_, stop := work(t, s, func(_ context.Context, j queue.Job) (queue.Commit, error) {
			first.Do(func() { both.Done(); both.Wait() })
			mu.Lock()
			defer mu.Unlock()
			ran[j.Key]++
			return served, nil
		}, queue.Lane{Name: "인스타", Workers: 2, Deadline: patience})
		machines, stops = append(machines, s), append(stops, stop)
	}
	rows(t, machines[0], `select count(*) from machine`, "2")
	add(t, machines[0], dishes(n)...)
	await(t, machines[1], `select count(*) from job`, "0")
	for _, stop := range stops {
		stop()
	}
	rows(t, machines[0], servings, fmt.Sprintf("%d|0", n))
	for key, times := range ran {
		if times != 1 {
			t.Errorf("%s ran %d times", key, times)
		}
	}
	same(t, "jobs that ran", len(ran), n)
}

// silence lets nobody hear of a machine any more, although it goes on: it was stopped, or the network is cut.
func silence(t *testing.T, s *queue.Store, id string) {
	t.Helper()
	check(t, s.Exec(context.Background(), `create function silence() returns trigger language plpgsql as $$ begin
			if tg_op = 'UPDATE' then new.seen_at = '2000-01-01T00:00:00.000Z'; return new; end if;
			return null;
		end $$;
		create trigger silence before insert or update on machine for each row when (new.id = '`+id+`') execute function silence();
		update machine set seen_at = '' where id = '`+id+`'`))
}

// What a machine held that is not heard of any more is done by another one. When it comes back it is too late to write anything,
// be the job done by then or still being done.
func TestLateMachineWritesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		done bool // the other machine has done it by then
	}{
		{"both have done it", nil, true},
		{"it has failed, the other not", errSoup, true},
		{"it has done it first", nil, false},
		{"it has failed, the other is at it", errSoup, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := river(t)
			late, other := machine(t, address), machine(t, address)
			taken, lateGoes, again, otherGoes := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
			lane := queue.Lane{Name: "인스타", Workers: 1, Deadline: patience, Attempts: 1}
			writes := func(who string) queue.Commit {
				return func(tx *queue.Tx) error { return errors.Join(tx.SetMeta(who, "냉면"), served(tx)) }
			}
			_, stopLate := work(t, late, func(context.Context, queue.Job) (queue.Commit, error) {
				close(taken)
				<-lateGoes
				return writes("늦은 기계"), tt.err
			}, lane)
			add(t, late, pageJob("냉면"))
			receive(t, "the job is taken", taken)
			ids, err := late.Rows(context.Background(), `select taken_by from job`)
			check(t, err)
			_, stopOther := work(t, other, func(context.Context, queue.Job) (queue.Commit, error) {
				close(again)
				<-otherGoes
				return writes("다른 기계"), nil
			}, lane)
			silence(t, other, ids[0])
			receive(t, "the job is taken again", again)
			if tt.done {
				close(otherGoes)
				await(t, other, `select count(*) from job`, "0")
			}
			close(lateGoes)
			stopLate()
			if !tt.done {
				rows(t, other, `select state, attempt, err from job`, "live|0|-")
				close(otherGoes)
				await(t, other, `select count(*) from job`, "0")
			}
			stopOther()
			rows(t, other, `select key from meta where value = '냉면'`, "다른 기계")
			rows(t, other, servings, "1|0")
			rows(t, other, `select count(*) from job_error where err <> '다 먹었다'`, "0")
		})
	}
}

// Whoever removes River's rows takes no work away.
func TestRowsOfRiverAreMadeGood(t *testing.T) {
	s := machine(t, river(t))
	add(t, s, dishes(7)...)
	rows(t, s, `select count(*) from river_job`, "7")
	check(t, s.Exec(context.Background(), `delete from river_job`))
	check(t, s.Exec(context.Background(), `update job set due = '2025-01-01T00:00:00.000Z'`)) // they have waited for long
	_, stop := work(t, s, func(context.Context, queue.Job) (queue.Commit, error) { return served, nil }, queue.Lane{Name: "인스타", Workers: 2})
	await(t, s, `select count(*) from job`, "0")
	stop()
	rows(t, s, servings, "7|0")
}

// The server goes down in the middle of everything and comes back: what was done meanwhile is written then, and once. A job whose
// taking was written but not heard of comes back when it has been held for too long.
func TestServerRestarts(t *testing.T) {
	manyMachines(t)
	own, err := pgtest.Own()
	check(t, err)
	t.Cleanup(func() { check(t, own.Close()) })
	address, err := own.Create(context.Background(), "")
	check(t, err)
	const n = 40
	var handed atomic.Int64
	busy, down := make(chan struct{}), make(chan struct{})
	var machines []*queue.Store
	var stops []func()
	for range 2 {
		s := machine(t, address)
		_, stop := work(t, s, func(context.Context, queue.Job) (queue.Commit, error) {
			switch k := handed.Add(1); {
			case k == 10:
				close(busy)
				fallthrough
			case k > 10:
				<-down
			}
			return served, nil
		}, queue.Lane{Name: "인스타", Workers: 2, Attempts: 1})
		machines = append(machines, s)
		stops = append(stops, stop)
	}
	add(t, machines[0], dishes(n)...)
	receive(t, "work goes on", busy)
	check(t, own.Stop())
	close(down)
	if _, err := machines[0].Rows(context.Background(), `select 1`); err == nil {
		t.Error("the server still answers")
	}
	check(t, own.Restart())
	// News whose end River could not write are brought again when they have taken longer than any step.
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if left, err := machines[0].Rows(context.Background(), `select count(*) from job`); err == nil && left[0] == "0" {
			break
		}
	}
	await(t, machines[0], `select count(*) from job`, "0")
	rows(t, machines[1], servings, fmt.Sprintf("%d|0", n))
	rows(t, machines[1], `select count(*) from job_error where err <> '다 먹었다'`, "0")
	add(t, machines[1], pageJob("후식"))
	await(t, machines[1], `select count(*) from job`, "0")
	for _, stop := range stops {
		stop()
	}
}

// What one machine has set apart the others do not spend; what a machine that is gone had set apart is free again.
func TestMachinesShareBudget(t *testing.T) {
	address := river(t)
	a, b := machine(t, address), machine(t, address)
	set := func(s *queue.Store, budget int64, want bool) func() {
		t.Helper()
		free, _, _, _, err := s.SetApart(t.Context(), "맛집", 60, queue.Terms{Month: budget})
		check(t, err)
		same(t, "granted", free != nil, want)
		return free
	}
	const apart = `select coalesce(sum(granted - freed), 0) from apart a join machine m on m.id = a.machine`
	free := set(a, 100, true)
	set(b, 100, false)
	free()
	await(t, b, apart, "0")
	free = set(b, 100, true)
	set(a, 100, false)
	set(a, 120, true)
	_, _, month, err := b.Spending(t.Context(), "맛집")
	check(t, err)
	same(t, "apart", month, queue.Spent{Apart: 120})

	// Together they never set apart more than there is.
	var got [2]atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			free, _, _, _, err := []*queue.Store{a, b}[i%2].SetApart(context.Background(), "맛집", 60, queue.Terms{Month: 120 + 15*60})
			if err != nil {
				t.Error(err)
			}
			if free != nil {
				got[i%2].Add(1)
			}
		})
	}
	wg.Wait()
	same(t, "granted together", got[0].Load()+got[1].Load(), int64(15))

	free()
	await(t, b, apart, fmt.Sprint(60+15*60))
	// A machine that was killed is gone when its row is.
	check(t, b.Exec(t.Context(), `delete from machine where started_at = (select min(started_at) from machine)`))
	await(t, b, apart, fmt.Sprint(got[1].Load()*60))
	_, _, month, err = b.Spending(t.Context(), "맛집")
	check(t, err)
	same(t, "apart in the end", month, queue.Spent{Apart: got[1].Load() * 60})
}

// A job that a commit has locked for a moment, as one that changes its priority does, is not forgotten.
func TestLockedJobIsTakenLater(t *testing.T) {
	address := river(t)
	s := machine(t, address)
	add(t, s, pageJob("냉면"))
	d := openSQL(t, address)
	lock, err := d.BeginTx(t.Context(), nil)
	check(t, err)
	_, err = lock.ExecContext(t.Context(), `select id from job for update`)
	check(t, err)
	_, stop := work(t, s, func(context.Context, queue.Job) (queue.Commit, error) { return served, nil }, queue.Lane{Name: "인스타", Workers: 1, Deadline: patience})
	defer stop()
	await(t, s, `select count(*) from river_job where metadata ->> 'snoozes' is not null`, "1") // River brings it again instead of believing it done
	check(t, lock.Rollback())
	await(t, s, `select count(*) from job`, "0")
	rows(t, s, servings, "1|0")
}

// TestManyWorkers runs a lane whose limit and answers want more workers than River starts in one process.
func TestManyWorkers(t *testing.T) {
	s := machine(t, river(t))
	add(t, s, pageJob("냉면"))
	_, stop := work(t, s, func(context.Context, queue.Job) (queue.Commit, error) { return served, nil }, queue.Lane{Name: "인스타", Workers: 12_001, Deadline: patience})
	defer stop()
	await(t, s, `select count(*) from job`, "0")
	rows(t, s, servings, "1|0")
}

// TestNoMoreThanCanBeStored lets no answer be stored: after those that were under way nothing more is asked for.
func TestNoMoreThanCanBeStored(t *testing.T) {
	s := machine(t, river(t))
	for i := range 300 {
		add(t, s, pageJob(fmt.Sprint("냉면", i)))
	}
	var asked atomic.Int64
	stored := make(chan struct{})
	handle := func(context.Context, queue.Job) (queue.Commit, error) {
		asked.Add(1)
		return func(tx *queue.Tx) error { <-stored; return served(tx) }, nil
	}
	_, stop := work(t, s, handle, queue.Lane{Name: "인스타", Workers: 300, Deadline: patience})
	defer stop()
	for began := time.Now(); asked.Load() < 32 && time.Since(began) < patience; {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Second)
	if n := asked.Load(); n < 32 || n > 64 { // what the window began with
		t.Errorf("%d were asked for while nothing could be stored, want 32 to 64", n)
	}
	close(stored)
	await(t, s, `select count(*) from job`, "0")
	rows(t, s, servings, "300|0")
}

// TestConnectionIsLost wants a commit whose connection dies in it to end, and the next one to have another connection.
func TestConnectionIsLost(t *testing.T) {
	s := machine(t, river(t))
	ended := make(chan error, 1)
	go func() {
		ended <- s.Tx(context.Background(), func(tx *queue.Tx) error {
			if err := tx.Exec(`select pg_terminate_backend(pg_backend_pid())`); err == nil {
				t.Error("the connection is still there")
			}
			return tx.SetMeta("국물", "식었다")
		})
	}()
	if err := receive(t, "the commit ends", ended); err == nil {
		t.Error("it was committed")
	}
	within(t, s, func(tx *queue.Tx) error { return tx.SetMeta("국물", "뜨겁다") })
	meta(t, s, "국물", "뜨겁다")
}

// TestSilentServer lets a connection be taken and nothing be answered, as behind a network that is cut: the database is away then,
// too, and no job is to blame.
func TestSilentServer(t *testing.T) {
	s := machine(t, river(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, err = pgx.Connect(t.Context(), "postgres://sumbi@"+l.Addr().String()+"/sumbi?connect_timeout=1&sslmode=disable")
	if !errors.Is(err, context.DeadlineExceeded) || !s.Away(err) {
		t.Errorf("it is not taken for one that does not answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = pgx.Connect(ctx, s.Where()); !errors.Is(err, context.Canceled) || s.Away(err) {
		t.Errorf("whoever gave up takes the database for one that does not answer: %v", err)
	}
}

// TestStoryWithoutStatistics checks that the errors of a job are found by its number before PostgreSQL knows the table, too.
func TestStoryWithoutStatistics(t *testing.T) {
	if server == nil {
		t.Skip("about PostgreSQL")
	}
	t.Parallel()
	s := fresh(t)
	check(t, s.Exec(t.Context(), `insert into job_error (job, kind, key, attempt, at, err) select i, 'page', 'ig:떡볶이', 1, '2026-11-29T00:00:00.000Z', '504' from generate_series(1, 20000) i`))
	for text, args := range queue.StoryTexts() {
		plan, err := s.Rows(t.Context(), "explain "+text, args...)
		check(t, err)
		if p := strings.Join(plan, "\n"); !strings.Contains(p, "job_error_job") {
			t.Errorf("%s walks another way:\n%s", text, p)
		}
	}
}
