// Peers does the work of sumbi's crawl with other engines, so that the benchmark can tell what an engine is worth:
//
//	peers crawl  -engine loop|goqite|river -base URL -rate R -workers N -db FILE
//	peers engine -engine goqite|river -for 10s -db FILE
//	peers message -for 2s
//
// Everybody parses the same JSON and writes the same in one transaction a page: 12 records, where the list stands, and the
// next job. The database is modernc SQLite with WAL and synchronous FULL on one connection, as goqite's and River's own
// documentation advise.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	engine, base, db string
	rate             float64 // calls a second, the guard already taken off
	workers          int
	length           time.Duration // of the engine's measure
	poll             time.Duration // of goqite's runner
	plain            bool          // statements are compiled each time
}

// runner lets an engine work until every list has ended or ctx is over.
type runner func(ctx context.Context, s *shop, o options) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("what to do: crawl or engine")
	}
	var o options
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.StringVar(&o.engine, "engine", "", "loop, goqite or river")
	fs.StringVar(&o.base, "base", "", "`address` of the simulated upstream")
	fs.StringVar(&o.db, "db", "peer.db", "SQLite `file`")
	fs.Float64Var(&o.rate, "rate", 8, "calls a second")
	fs.IntVar(&o.workers, "workers", 16, "steps at a time")
	fs.DurationVar(&o.length, "for", 10*time.Second, "how long the engine is measured")
	fs.DurationVar(&o.poll, "poll", 10*time.Millisecond, "PollInterval of goqite's runner; its README has 10 ms, left out it is 100 ms")
	fs.BoolVar(&o.plain, "plain", false, "compile each statement each time, as most programs do")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "message" {
		return message(ctx, o.length)
	}
	engine, ok := map[string]runner{"loop": loop, "goqite": withGoqite, "river": withRiver}[o.engine]
	if !ok {
		return fmt.Errorf("no engine %q", o.engine)
	}
	s, err := openShop(ctx, o.db, o.plain)
	if err != nil {
		return err
	}
	defer s.db.Close()
	switch args[0] {
	case "crawl":
		return crawl(ctx, s, o, engine)
	case "engine":
		return measure(ctx, s, o, engine)
	}
	return fmt.Errorf("cannot %q", args[0])
}

// measured is what the steps of an engine cost; durations are in nanoseconds.
type measured struct {
	Steps   int64         `json:"steps"`
	Elapsed time.Duration `json:"elapsed"`
	CPU     time.Duration `json:"cpu"`
}

// measure lets an engine do nothing but steps, after a moment to warm up.
func measure(ctx context.Context, s *shop, o options, engine runner) error {
	s.fetch = invented
	for i := range 64 {
		if err := s.begin(ctx, fmt.Sprint("bench", i), "posts"); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- engine(ctx, s, o) }()
	pause := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case err := <-ended:
			return fmt.Errorf("ended early: %w", err)
		}
	}
	if err := pause(o.length / 10); err != nil {
		return err
	}
	steps, cpu, began := s.steps.Load(), processCPU(), time.Now()
	if err := pause(o.length); err != nil {
		return err
	}
	m := measured{Steps: s.steps.Load() - steps, Elapsed: time.Since(began), CPU: processCPU() - cpu}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second): // what counts has been measured
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
