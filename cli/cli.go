// Package cli is the command line: one file a verb.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters/rest"
	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // stopped by configuration, credential, budget or file
	exitUsage  = 2 // wrong usage or configuration
)

// Built is what a configuration becomes over a state file.
type Built struct {
	Engine *jobs.Engine
	Limits func() []rest.LimitInfo
	// Pace returns the calls a second that the credentials of a crawl's lane allow together, and those that are made of them; 0 unlimited.
	Pace  func(lane string) (limit, pace float64)
	Rates func() []web.Rate     // how fast each upstream is called
	Close func(context.Context) // lets the limits remember
}

// App is the program apart from its process.
type App struct {
	Schema  string
	Version string
	Build   func(ctx context.Context, c *config.Config, s *queue.Store, reg prometheus.Registerer, log *slog.Logger) (*Built, error)
	Batcher func(c *config.Config) (b jobs.Batcher, end func(context.Context)) // the model alone, without a state file
	// Checks wires the upstreams alone, over the limits of s, which may be nil. heard is told of each answer.
	Checks func(ctx context.Context, c *config.Config, s *queue.Store, heard rest.Listener) Checks
	Args   []string
	Getenv func(string) string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

type flags struct {
	Config  string `default:"sumbi.toml" env:"SUMBI_CONFIG" help:"The configuration: what to collect, and how." placeholder:"FILE"`
	State   string `env:"SUMBI_STATE" help:"The state file, instead of the one that the configuration names." placeholder:"FILE"`
	Verbose bool   `short:"v" help:"Log every step."`
	JSON    bool   `name:"log-json" help:"Log as JSON, for machines."`

	Demo        demoCmd        `cmd:"" help:"Run the whole job against built-in imitations of the upstreams: no keys, no cost."`
	Serve       serveCmd       `cmd:"" help:"Run the pipelines by their schedules, and serve the page."`
	Run         runCmd         `cmd:"" help:"Run a pipeline now, or go on with its unfinished run."`
	Login       loginCmd       `cmd:"" help:"Hand in the log-in of a user, for pipelines whose users log in."`
	Logout      logoutCmd      `cmd:"" help:"Forget the log-in of a user; what was collected stays."`
	Plan        planCmd        `cmd:"" help:"Forecast a run: requests, time, tokens and money, before anything is called."`
	Replay      replayCmd      `cmd:"" help:"Read what is stored again with this version; calls nobody."`
	Review      reviewCmd      `cmd:"" help:"Decide what sumbi is not certain of, or correct a wrong place."`
	Places      placesCmd      `cmd:"" help:"List places, make two of them one, or take one apart."`
	Status      statusCmd      `cmd:"" help:"Show what is going on and what waits for a person."`
	Jobs        jobsCmd        `cmd:"" help:"List, show, retry or drop jobs."`
	Backup      backupCmd      `cmd:"" help:"Copy the state file while sumbi works on it."`
	Move        moveCmd        `cmd:"" help:"Copy a stopped state from its file to PostgreSQL, or back."`
	Export      exportCmd      `cmd:"" help:"Print places or posts."`
	Eval        evalCmd        `cmd:"" help:"Measure the choice of places, or what the model reads, against labels."`
	Doctor      doctorCmd      `cmd:"" help:"Check configuration, keys, upstreams, state file and clock."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running serve whether it is well."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	Completion  completionCmd  `cmd:"" help:"Print the script that lets a shell complete verbs, flags and names."`
	Complete    completeCmd    `cmd:"" hidden:"" help:"What the scripts of completion ask."`
}

// env is what a verb works with.
type env struct {
	*App
	ctx   context.Context
	flags *flags
	log   *slog.Logger
	out   *screen     // Stdout, for people
	logs  *besideLive // Stderr; nil when it is no terminal
}

// usageError ends the program with status 2.
type usageError struct{ error }

// Run executes the command line and returns the exit status.
func (a App) Run(ctx context.Context) int {
	var f flags
	status, exited := 0, false
	p, err := kong.New(&f, kong.Name("sumbi"), kong.Description("Collects from third-party APIs at the pace they allow, remembers everything in one file, and delivers it."),
		kong.Writers(a.Stdout, a.Stderr), kong.Exit(func(code int) { status, exited = code, true }), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(a.Stderr, "sumbi:", err)
		return exitUsage
	}
	k, err := p.Parse(a.Args)
	if exited {
		return status
	}
	if err != nil {
		fmt.Fprintln(a.Stderr, "sumbi:", wrongWords(p.Model.Node, err))
		return exitUsage
	}
	if f.State != "" {
		if err := config.CheckState(f.State); err != nil {
			fmt.Fprintln(a.Stderr, "sumbi:", err)
			return exitUsage
		}
	}
	e := &env{App: &a, ctx: ctx, flags: &f, out: screenOf(a.Stdout, a.Getenv)}
	logs := a.Stderr
	if _, ok := terminal(a.Stderr); ok {
		e.logs = &besideLive{Writer: a.Stderr}
		logs = e.logs
	}
	e.log = a.logger(f, logs)
	if err := k.Run(e); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return exitFailed
		}
		fmt.Fprintln(a.Stderr, "sumbi:", err)
		_, usage := errors.AsType[usageError](err)
		_, conf := errors.AsType[*config.Error](err)
		if usage || conf {
			return exitUsage
		}
		return exitFailed
	}
	return exitDone
}

func (a App) logger(f flags, out io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if f.Verbose {
		level = slog.LevelDebug
	}
	if f.JSON {
		return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(out, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !colored(a.Stderr, a.Getenv)}))
}

// config reads the configuration; --state overrides what it says.
func (e *env) config() (*config.Config, error) {
	c, err := config.Load(e.flags.Config, e.Getenv)
	if err != nil {
		return nil, err
	}
	if e.flags.State != "" {
		c.State = e.flags.State
	}
	return c, nil
}

// pipeline reads the configuration, and what it says of one pipeline.
func (e *env) pipeline(name string) (*config.Config, config.Pipeline, error) {
	c, err := e.config()
	if err != nil {
		return nil, config.Pipeline{}, err
	}
	p, err := c.Pipeline(name)
	return c, p, err
}

// statePath is the state file's path for verbs that only look at it: they need no configuration when --state is given.
func (e *env) statePath() (string, error) {
	if e.flags.State != "" {
		return e.flags.State, nil
	}
	c, err := e.config()
	if err != nil {
		return "", err
	}
	return c.State, nil
}

// open opens the state: a file, or for "postgres" the database that DATABASE_URL names.
func (e *env) open(state string, mode queue.Mode) (*queue.Store, error) {
	if state != config.Postgres {
		return queue.Open(e.ctx, state, e.Schema, mode)
	}
	d, err := e.database()
	if err != nil {
		return nil, err
	}
	return queue.OpenPostgres(e.ctx, d, e.Schema, mode)
}

// database is the one that DATABASE_URL names.
func (e *env) database() (queue.Database, error) {
	secrets, err := config.ReadSecrets(e.Getenv)
	if err != nil {
		return queue.Database{}, err
	}
	if secrets.Database == "" {
		return queue.Database{}, &config.Error{Msg: "PostgreSQL needs DATABASE_URL, which is not set: put the address of the database into the environment, postgres://user:password@host:5432/name"}
	}
	return queue.Database{Address: secrets.Database.Reveal(), Release: e.Version}, nil
}

// guest opens the state file beside whoever drains it.
func (e *env) guest() (*queue.Store, error) {
	path, err := e.statePath()
	if err != nil {
		return nil, err
	}
	return e.open(path, queue.Guest)
}

// need checks the secrets of every pipeline that is to run.
func need(c *config.Config, names ...string) error {
	if len(c.Pipelines) == 0 {
		return &config.Error{File: c.Path, Msg: "there is no [[pipeline]]: add one, sumbi.example.toml shows how"}
	}
	for _, p := range c.Pipelines {
		if len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		if err := c.Need(p.Name); err != nil {
			return err
		}
	}
	return nil
}

type versionCmd struct {
	jsonFlag
}

// Run prints the version.
func (c versionCmd) Run(e *env) error {
	if c.JSON {
		return e.document("version", struct{ Version, Go, OS, Arch string }{e.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH})
	}
	fmt.Fprintln(e.Stdout, "sumbi", e.Version)
	return nil
}
