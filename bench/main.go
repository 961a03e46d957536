// Bench measures sumbi from end to end against the simulated upstreams of package sim, and its engine by itself.
//
//	go run ./bench [crawl|steady|kill|engine|start|memory|size|map|machines|watch|all] [--short] [--peers=false] [--out FILE]
//	go run ./bench soak [--posts 1000000] --peers=false
//	go run ./bench map [--than /path/of/another/sumbi] --peers=false
//
// It builds sumbi once as it is shipped, serves the upstream from a process of its own, runs `sumbi run` over a state file
// on a real disk, and prints Markdown. What the server saw counts: times go from the first call that arrived to the last answer.
// With --out the figures go between the marks of that file, which is how RESULTS.md is made:
//
//	go run ./bench all --out bench/RESULTS.md
//
// The peers are other engines doing the same work in the same run; they live in the module bench/peers, so that what they
// depend on stays out of this one. --short makes everything some three times quicker and the large file ten times smaller.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run of the benchmark.
type bench struct {
	root  string // of the module
	dir   string // of this run's files, on a disk that keeps what is synced
	sumbi string // the program
	peers string // the program of the peers; "" leaves them out
	than  string // another sumbi that the map is measured with, too; "" for none
	short bool
	posts int // of a soak
	out   *report

	recorded bool // the large file has its records
}

// part is something that can be measured by itself.
type part struct {
	name string
	run  func(b *bench, ctx context.Context) error
}

func parts() []part {
	return []part{
		{"crawl", (*bench).crawl},
		{"steady", (*bench).steady},
		{"kill", (*bench).kill},
		{"engine", (*bench).engine},
		{"start", (*bench).start},
		{"memory", (*bench).memory},
		{"size", (*bench).size},
		{"map", (*bench).maps},
		{"machines", (*bench).machines},
		{"watch", (*bench).watch},
	}
}

// soakPart takes hours with its posts: it is measured only when it is named.
var soakPart = part{"soak", (*bench).soak}

func main() {
	if len(os.Args) == 2 && os.Args[1] == simRole {
		if err := serveSim(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 2 && os.Args[1] == machineRole {
		if err := beMachine(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var which []part
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		i := slices.IndexFunc(parts(), func(p part) bool { return p.name == args[0] })
		switch {
		case args[0] == "all":
			which = parts()
		case args[0] == soakPart.name:
			which = append(which, soakPart)
		case i < 0:
			return fmt.Errorf("there is nothing called %q to measure", args[0])
		default:
			which = append(which, parts()[i])
		}
		args = args[1:]
	}
	if len(which) == 0 {
		which = parts()
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := fs.Bool("short", false, "quicker, with a smaller file; for a look, not for figures")
	peers := fs.Bool("peers", true, "measure the peers, too")
	out := fs.String("out", "", "`file` whose figures are replaced, instead of standard output")
	posts := fs.Int("posts", 1_000_000, "of a soak")
	than := fs.String("than", "", "`program` of another sumbi that the map is measured with, too")
	dir := fs.String("dir", "", "`directory` on a real disk for the files of the run, which are removed at its end")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q stands behind the flags: what to measure comes first", fs.Arg(0))
	}
	b := &bench{short: *short, posts: *posts, than: *than, out: &report{}}
	var err error
	if b.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	if b.dir, err = workDir(*dir, b.root); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.build(ctx, *peers); err != nil {
		return err
	}
	began := time.Now()
	if err := b.head(args, which); err != nil {
		return err
	}
	for _, p := range which {
		fmt.Fprintf(os.Stderr, "# %s\n", p.name)
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.out.note("The whole run took %s.", time.Since(began).Round(time.Second))
	return b.out.write(*out)
}

func moduleRoot(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sumbi").Output()
	if err != nil {
		return "", fmt.Errorf("run this inside the module: %w", err)
	}
	return strings.TrimSpace(string(mod)), nil
}

// build makes sumbi, and the peers, as they are shipped.
func (b *bench) build(ctx context.Context, peers bool) error {
	compile := func(dir, name string) (string, error) {
		bin := filepath.Join(b.dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("build %s: %w", name, err)
		}
		return bin, nil
	}
	var err error
	if b.sumbi, err = compile(b.root, "sumbi"); err != nil || !peers {
		return err
	}
	b.peers, err = compile(filepath.Join(b.root, "bench", "peers"), "peers")
	return err
}

// pick returns the first value, or the second one in a short run.
func pick[T any](b *bench, long, short T) T {
	if b.short {
		return short
	}
	return long
}
