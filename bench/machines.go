package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"sumbi/queue"
	"sumbi/queue/pgtest"
)

// machineRole is this program as one of several processes over PostgreSQL.
const machineRole = "be-a-machine"

// machineOrder says what such a process does.
type machineOrder struct {
	Address  string        `json:"address"`
	Root     string        `json:"root"` // of the module
	Duration time.Duration `json:"duration"`
	Bare     bool          `json:"bare"` // River alone, nothing of sumbi's
}

// machines measures the engine over PostgreSQL: so many processes on one database, beside River doing nothing but carrying jobs.
func (b *bench) machines(ctx context.Context) error {
	d := pick(b, 8*time.Second, 3*time.Second)
	server, err := pgtest.StartDurable()
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	b.out.section("Machines")
	b.out.line("So many processes over one PostgreSQL on this machine (fsync and synchronous_commit on), %d steps at a time in each, %s. A step is that of the engine above. River alone: a job that adds the next one and completes in one transaction, with no other write.\n", steps16, d)
	rows := [][]string{}
	for _, n := range []int{1, 2, 4, 8} {
		row := []string{count(n)}
		for _, bare := range []bool{false, true} {
			r, err := b.together(ctx, server, n, machineOrder{Root: b.root, Duration: d, Bare: bare})
			if err != nil {
				return fmt.Errorf("%d processes: %w", n, err)
			}
			row = append(row, fmt.Sprintf("%.0f", r.perSecond()), micros(r.CPU/time.Duration(max(r.Steps, 1))))
		}
		rows = append(rows, row)
	}
	b.out.table([]string{"processes", "sumbi, steps a second", "processor a step, without the server's", "River alone, jobs a second", "processor a job"}, rows)
	return b.crawlTogether(ctx, server)
}

// The crawls that several machines do together.
var (
	even    = workload{name: "even", lists: uniform(40, 15), limit: 40, latency: time.Second, pageBytes: 60_000}
	skewed  = workload{name: "skewed", lists: lengths(40, 1200, 30), limit: 8, latency: 5 * time.Second, pageBytes: 60_000}
	hundred = workload{name: "100 keys", lists: uniform(1000, 5), limit: 8, latency: time.Second, pageBytes: 60_000, keys: 100}
)

// crawlTogether measures crawls by one process and by four, over one PostgreSQL and one simulated upstream.
func (b *bench) crawlTogether(ctx context.Context, server *pgtest.Server) error {
	for _, w := range []workload{even, skewed, hundred} {
		switch {
		case b.short && w.name == hundred.name:
			w.lists = uniform(200, 5)
		case b.short && w.name == skewed.name:
			w.lists = unscaled.lists
		}
		b.out.section("Machines, " + w.name)
		keys := max(w.keys, 1)
		text := w.words()
		if keys > 1 {
			text += fmt.Sprintf(" %d keys, each with that limit.", keys)
		}
		b.out.line("%s\n", text)
		rows := [][]string{}
		var one *crawled
		for _, n := range []int{1, 4} {
			c, err := b.crawlBy(ctx, server, w, n)
			if err != nil {
				return fmt.Errorf("%s, %d processes: %w", w.name, n, err)
			}
			if one == nil {
				one = c
			}
			worst := 0
			for _, n := range c.stats.WorstSecond {
				worst = max(worst, n)
			}
			limit := float64(w.limit * keys)
			bd := bound(w.pages(), limit, longestChain(c.stats))
			rows = append(rows, []string{
				count(n), sec(c.took), ratio(c.took, bd), ratio(c.took, one.took), percent(share(c.stats.Arrivals, limit)), fmt.Sprintf("%.0f", float64(w.pages())/c.took.Seconds()),
				fmt.Sprint(c.calls().Refused), fmt.Sprint(c.stats.PagesAgain), fmt.Sprint(worst), sec(c.cpu),
			})
		}
		b.out.table([]string{"processes", "crawl", "÷ bound", "÷ one process", "share of the limit", "pages a second", "refused", "pages again", "worst second of a key", "CPU of the processes"}, rows)
	}
	return nil
}

// crawlBy lets n processes do one run together.
func (b *bench) crawlBy(ctx context.Context, server *pgtest.Server, w workload, n int) (*crawled, error) {
	address, err := server.Create(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Do(ctx, "drop database "+pgtest.Name(address)+" with (force)") }()
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return nil, err
	}
	defer up.close()
	pr, err := b.project("machines", up, settings{perSecond: w.rate(), database: address, keys: w.credentials()})
	if err != nil {
		return nil, err
	}
	defer pr.remove()
	c := &crawled{who: fmt.Sprintf("%d processes", n)}
	procs := make([]*proc, n)
	for i := range procs {
		if procs[i], err = pr.sumbi(ctx, "run", "matzip"); err != nil {
			return nil, err
		}
	}
	for _, p := range procs {
		if err := p.wait(ctx); err != nil {
			return nil, err
		}
		c.measures(p)
	}
	st, err := up.stats(ctx)
	if err != nil {
		return nil, err
	}
	c.sees(st)
	return c, c.check(w)
}

// together lets n processes work on a fresh database and adds up what they did.
func (b *bench) together(ctx context.Context, server *pgtest.Server, n int, o machineOrder) (sum engineRun, err error) {
	if o.Address, err = server.Create(ctx, ""); err != nil {
		return sum, err
	}
	defer func() { _ = server.Do(ctx, "drop database "+pgtest.Name(o.Address)+" with (force)") }()
	if err := b.seedMachines(ctx, o, n); err != nil {
		return sum, err
	}
	order, err := json.Marshal(o)
	if err != nil {
		return sum, err
	}
	self, err := os.Executable()
	if err != nil {
		return sum, err
	}
	var wg sync.WaitGroup
	runs, errs := make([]engineRun, n), make([]error, n)
	for i := range n {
		wg.Go(func() {
			cmd := exec.CommandContext(ctx, self, machineRole)
			cmd.Stdin, cmd.Stderr = bytes.NewReader(order), os.Stderr
			out, err := cmd.Output()
			if err == nil {
				err = json.Unmarshal(out, &runs[i])
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for i, r := range runs {
		if errs[i] != nil {
			return sum, errs[i]
		}
		sum.Steps, sum.CPU, sum.Elapsed = sum.Steps+r.Steps, sum.CPU+r.CPU, max(sum.Elapsed, r.Elapsed)
	}
	return sum, nil
}

func (b *bench) seedMachines(ctx context.Context, o machineOrder, n int) error {
	if o.Bare {
		return seedRiver(ctx, o.Address, n*chains)
	}
	s, err := openMachine(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	return seedChains(ctx, s)
}

func openMachine(ctx context.Context, o machineOrder) (*queue.Store, error) {
	schema, err := os.ReadFile(filepath.Join(o.Root, "schema.sql"))
	if err != nil {
		return nil, err
	}
	return queue.OpenPostgres(ctx, queue.Database{Address: o.Address, Release: "bench"}, string(schema), queue.Owner)
}

// beMachine does what in orders and writes to out what it did.
func beMachine(in io.Reader, out io.Writer) error {
	var o machineOrder
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	ctx := context.Background()
	work := ourMachine
	if o.Bare {
		work = bareRiver
	}
	r, err := work(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func ourMachine(ctx context.Context, o machineOrder) (engineRun, error) {
	s, err := openMachine(ctx, o)
	if err != nil {
		return engineRun{}, err
	}
	defer s.Close()
	b := &bench{root: o.Root}
	return b.stepsOn(ctx, s, o.Duration)
}

// bareJob is a job of River that adds the next one.
type bareJob struct {
	Chain int `json:"chain"`
	N     int `json:"n"`
}

// Kind implements river.JobArgs.
func (bareJob) Kind() string { return "bare" }

type bareWorker struct {
	river.WorkerDefaults[bareJob]
	pool *pgxpool.Pool
	done atomic.Int64
}

// Work implements river.Worker.
func (w *bareWorker) Work(ctx context.Context, job *river.Job[bareJob]) error {
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job); err != nil {
			return err
		}
		_, err := river.ClientFromContext[pgx.Tx](ctx).InsertTx(ctx, tx, bareJob{job.Args.Chain, job.Args.N + 1}, nil)
		return err
	})
	if err == nil {
		w.done.Add(1)
	}
	return err
}

func quietRiver() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

func seedRiver(ctx context.Context, address string, n int) error {
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return err
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: quietRiver()})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	c, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: quietRiver()})
	if err != nil {
		return err
	}
	all := make([]river.InsertManyParams, n)
	for i := range all {
		all[i] = river.InsertManyParams{Args: bareJob{Chain: i}}
	}
	_, err = c.InsertManyFast(ctx, all)
	return err
}

func bareRiver(ctx context.Context, o machineOrder) (r engineRun, err error) {
	pool, err := pgxpool.New(ctx, o.Address+"&pool_max_conns=16")
	if err != nil {
		return r, err
	}
	defer pool.Close()
	w := &bareWorker{pool: pool}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	c, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Logger: quietRiver(), Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: steps16}},
		FetchCooldown: 2 * time.Millisecond,
	})
	if err != nil {
		return r, err
	}
	if err := c.Start(ctx); err != nil {
		return r, err
	}
	if err := pause(ctx, o.Duration/4); err != nil {
		return r, err
	}
	before, cpu, began := w.done.Load(), processCPU(), time.Now()
	if err := pause(ctx, o.Duration); err != nil {
		return r, err
	}
	r = engineRun{Steps: w.done.Load() - before, Elapsed: time.Since(began), CPU: processCPU() - cpu}
	end, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return r, c.StopAndCancel(end)
}
