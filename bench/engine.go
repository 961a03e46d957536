package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

const (
	steps16 = 16 // steps at a time
	chains  = 64 // lists that the steps belong to, so that there is always one to take
	lane    = "instagram"
)

// engineRun is what so many steps cost. The peers print it as JSON.
type engineRun struct {
	who     string
	Steps   int64         `json:"steps"`
	Elapsed time.Duration `json:"elapsed"`
	CPU     time.Duration `json:"cpu"`
}

func (r engineRun) perSecond() float64 { return float64(r.Steps) / r.Elapsed.Seconds() }

func (r engineRun) row(than float64) []string {
	return []string{
		r.who, fmt.Sprintf("%.0f", r.perSecond()), fmt.Sprintf("%.2f", than/r.perSecond()),
		micros(r.CPU / time.Duration(max(r.Steps, 1))), fmt.Sprintf("%.2f", r.CPU.Seconds()/r.Elapsed.Seconds()),
	}
}

// contender is an engine whose steps are counted.
type contender struct {
	who string
	run func(round int) (engineRun, error)
}

// engine measures the engine by itself: no latency, no limit, 16 steps at a time, synchronous FULL. The engines take turns,
// because a disk is not equally fast all the time; the median of their rounds counts.
func (b *bench) engine(ctx context.Context) error {
	d, rounds := pick(b, 8*time.Second, 3*time.Second), pick(b, 3, 1)
	dir, err := os.MkdirTemp(b.dir, "engine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	big, err := b.bigFile(ctx)
	if err != nil {
		return err
	}
	all := b.contenders(ctx, dir, big, d)
	runs := make([][]engineRun, len(all))
	for round := range rounds {
		for i, c := range all {
			r, err := c.run(round)
			if err != nil {
				return fmt.Errorf("%s: %w", c.who, err)
			}
			r.who = c.who
			runs[i] = append(runs[i], r)
		}
	}
	b.out.section("Engine")
	b.out.line("A step is: claim, a handler that returns at once, one commit with 12 records of about 600 bytes, the cursor and the next job. %d at a time over %d lists, synchronous FULL; the median of %d rounds of %s.\n", steps16, chains, rounds, d)
	rows := make([][]string, len(all))
	for i := range all {
		rows[i] = middle(runs[i]).row(middle(runs[0]).perSecond())
	}
	b.out.table([]string{"", "steps a second", "sumbi ÷ this", "processor a step", "cores used"}, rows)
	if b.peers != "" {
		m, err := b.message(ctx)
		if err != nil {
			return err
		}
		b.out.line("To compare processor time between machines: one goqite message, sent, received and deleted in three transactions without a sync, costs %s here.\n", micros(m.CPU/time.Duration(max(m.Steps, 1))))
	}
	return b.atRest(ctx, filepath.Join(dir, "rest.db"))
}

// contenders are the engines, ours first.
func (b *bench) contenders(ctx context.Context, dir, big string, d time.Duration) []contender {
	fresh := func(name string, alone bool) func(int) (engineRun, error) {
		return func(round int) (engineRun, error) {
			return b.ourSteps(ctx, filepath.Join(dir, fmt.Sprintf("%s-%d.db", name, round)), alone, d)
		}
	}
	all := []contender{
		{"sumbi, empty file", fresh("group", false)},
		{"sumbi, group commit off", fresh("alone", true)},
		{fmt.Sprintf("sumbi, %s jobs waiting, %s delayed or dead", count(b.waiting()), count(b.waiting()/10)), func(int) (engineRun, error) { return b.ourSteps(ctx, big, false, d) }},
	}
	if b.peers == "" {
		return all
	}
	for _, pe := range peerList()[1:] {
		all = append(all, contender{pe.label, func(int) (engineRun, error) { return b.peerEngine(ctx, pe, d) }})
		if pe.name == "goqite" {
			all = append(all, contender{pe.label + " with its own PollInterval", func(int) (engineRun, error) { return b.peerEngine(ctx, pe, d, "-poll", "0") }})
		}
		all = append(all, contender{pe.label + ", statements not prepared", func(int) (engineRun, error) { return b.peerEngine(ctx, pe, d, "-plain") }})
	}
	return all
}

// middle is the round of median speed.
func middle(rounds []engineRun) engineRun {
	slices.SortFunc(rounds, func(a, b engineRun) int { return cmp.Compare(a.perSecond(), b.perSecond()) })
	return rounds[len(rounds)/2]
}

// stepArgs carry where the list stands, so that a handler has nothing to read.
type stepArgs struct {
	Walk int64 `json:"walk"`
	Step int64 `json:"step"`
	Page int   `json:"page"`
}

// ourSteps works on a file for a while. What else waits in it has a lower priority.
func (b *bench) ourSteps(ctx context.Context, path string, alone bool, d time.Duration) (r engineRun, err error) {
	s, err := b.open(ctx, path)
	if err != nil {
		return r, err
	}
	defer s.Close()
	s.Separate = alone
	if err := seedChains(ctx, s); err != nil {
		return r, err
	}
	return b.stepsOn(ctx, s, d)
}

// stepsOn works on a state whose lists are there.
func (b *bench) stepsOn(ctx context.Context, s *queue.Store, d time.Duration) (r engineRun, err error) {
	var steps atomic.Int64
	w := b.worker(s, func(_ context.Context, j queue.Job) (queue.Commit, error) {
		var a stepArgs
		if err := json.Unmarshal(j.Args, &a); err != nil {
			return nil, err
		}
		if a.Page == 0 {
			return nil, nil // one of those that wait
		}
		recs := records(a)
		return func(tx *queue.Tx) error {
			if err := page(tx, j, a, recs); err != nil {
				return err
			}
			steps.Add(1)
			return nil
		}, nil
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	if err := pause(ctx, d/10); err != nil {
		return r, err
	}
	before, cpu, began := steps.Load(), processCPU(), time.Now()
	if err := pause(ctx, d); err != nil {
		return r, err
	}
	r = engineRun{Steps: steps.Load() - before, Elapsed: time.Since(began), CPU: processCPU() - cpu}
	cancel()
	return r, <-ended
}

// page is the commit of one step.
func page(tx *queue.Tx, j queue.Job, a stepArgs, recs []adapters.Record) error {
	w := queue.Walk{ID: a.Walk, Step: a.Step, Pipeline: "bench", Target: fmt.Sprint(a.Walk), List: "posts", State: queue.WalkWalking, Run: 1, Pages: a.Page, Cursor: adapters.Cursor(fmt.Sprint(a.Page))}
	if _, err := tx.Put(w, recs); err != nil {
		return err
	}
	if err := tx.Advance(&w); err != nil {
		return err
	}
	added, err := tx.Add(stepJob(stepArgs{Walk: a.Walk, Step: w.Step, Page: a.Page + 1}))
	if err == nil && !added {
		err = fmt.Errorf("job %s has a successor already", j.Key)
	}
	return err
}

func stepJob(a stepArgs) queue.Job {
	args, _ := json.Marshal(a) // numbers only
	return queue.Job{Pipeline: "bench", Lane: lane, Kind: queue.KindPage, Key: fmt.Sprintf("page:bench:%d:posts", a.Walk), Args: args, Priority: 10}
}

var caption = strconv.Quote(strings.Repeat("평양냉면 한 그릇, 을지로 골목 안쪽. ", 10))

// records are the 12 of one page, about 600 bytes each.
func records(a stepArgs) []adapters.Record {
	recs := make([]adapters.Record, 12)
	at := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	for i := range recs {
		key := fmt.Sprintf("%d-%d-%d", a.Walk, a.Page, i)
		recs[i] = adapters.Record{
			Stream: "post", Key: key, Time: at,
			Data: json.RawMessage(fmt.Sprintf(`{"account":"bench_%d","url":"https://www.instagram.com/p/%s/","caption":%s}`, a.Walk, key, caption)),
		}
	}
	return recs
}

// seedChains makes the lists and puts the first job of each into the file.
func seedChains(ctx context.Context, s *queue.Store) error {
	return s.Tx(ctx, func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("bench", false, nil)
		if err != nil {
			return err
		}
		for i := range chains {
			ws, err := tx.Begin(run, fmt.Sprintf("을지로골목%d", i), []string{"posts"})
			if err != nil {
				return err
			}
			for _, w := range ws {
				if _, err := tx.Add(stepJob(stepArgs{Walk: w.ID, Step: w.Step, Page: 1})); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (b *bench) worker(s *queue.Store, h queue.Handler) *queue.Worker {
	return &queue.Worker{
		Store: s, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Grace: 5 * time.Second,
		Lanes:    []queue.Lane{{Name: lane, Workers: steps16, Deadline: time.Minute}},
		Handlers: map[queue.Kind]queue.Handler{queue.KindPage: h},
	}
}

func (b *bench) open(ctx context.Context, path string) (*queue.Store, error) {
	schema, err := os.ReadFile(filepath.Join(b.root, "schema.sql"))
	if err != nil {
		return nil, err
	}
	return queue.Open(ctx, path, string(schema), queue.Owner)
}

// processCPU is what this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// count writes a number as people do.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
