// Sumbi collects data from third-party APIs at the pace they allow, remembers everything in one SQLite file, and delivers it.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters"
	"sumbi/adapters/instagram"
	"sumbi/adapters/kakao"
	"sumbi/adapters/mongo"
	"sumbi/adapters/naver"
	"sumbi/adapters/notify"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
	"sumbi/adapters/velog"
	"sumbi/cli"
	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

//go:embed schema.sql
var schema string

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once: from the first one on they have their usual effect again.
	context.AfterFunc(ctx, stop)
	app := cli.App{Schema: schema, Version: version, Build: build, Batcher: batcher, Checks: checks, Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(app.Run(ctx))
}

// build wires the configured pipelines to their upstreams over one state file.
func build(ctx context.Context, c *config.Config, store *queue.Store, reg prometheus.Registerer, log *slog.Logger) (*cli.Built, error) {
	b := &builder{c: c, mem: remember(store), metrics: rest.NewMetrics(reg), clients: map[string]*rest.Client{}}
	e := &jobs.Engine{Store: store, Log: log, Grace: 25 * time.Second, Held: b.held}
	terms := queue.Terms{Prices: c.RequestPrices(), Run: config.MicroUSD(c.Budget.Run), Month: config.MicroUSD(c.Budget.Month)}
	if err := store.SetTerms(ctx, terms); err != nil {
		return nil, err
	}
	if c.Secrets.NotifyURL != "" {
		e.Notify = notify.New(notify.Options{URL: c.Secrets.NotifyURL, Private: c.AllowPrivate}).Send
	}
	if err := setKey(ctx, c, store); err != nil {
		return nil, err
	}
	b.e, b.store = e, store
	if c.Secrets.Mongo != "" {
		m, err := mongo.Open(ctx, mongo.Options{
			URI: c.Secrets.Mongo, Database: c.Mongo.Database, Collection: collections(c), Indexes: map[string][]string{"users": {}, "postStats": {"user"}},
			Warn: func(msg string) { log.Warn("mongo", "msg", msg) },
		})
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, m.Close)
		b.sink = m
	}
	kinds := map[string]func(config.Pipeline, *jobs.Pipeline) *jobs.Pipeline{"matzip": b.matzip(), "velog": b.velog(ctx)}
	for _, p := range c.Pipelines {
		pl := &jobs.Pipeline{
			Name: p.Name, Next: p.Next, Spec: fmt.Sprintf("%s %s %s %s", p.Every, p.Cron, p.Timezone, p.FullEvery), FullEvery: p.FullEvery, Pause: p.Pause,
			Targets: func() ([]string, error) { return p.ReadAccounts(c.Dir()) },
		}
		e.Pipelines = append(e.Pipelines, kinds[p.Kind](p, pl))
	}
	return &cli.Built{Engine: e, Pace: b.pace, Rates: b.rates, Close: b.close, Limits: b.limits}, nil
}

// setKey gives the store the key of the log-ins, where there are any.
func setKey(ctx context.Context, c *config.Config, store *queue.Store) error {
	if c.Secrets.Key == "" || !slices.ContainsFunc(c.Pipelines, config.Pipeline.LogsIn) {
		return nil
	}
	keys := make([][]byte, 2)
	for i, s := range []struct {
		name   string
		secret adapters.Secret
	}{{"SUMBI_KEY", c.Secrets.Key}, {"SUMBI_KEY_OLD", c.Secrets.KeyOld}} {
		if s.secret == "" {
			continue
		}
		var err error
		if keys[i], err = queue.ReadKey(s.secret); err != nil {
			return &config.Error{Msg: s.name + " " + err.Error()}
		}
	}
	return store.SetKey(ctx, keys[0], keys[1])
}

// collections says where each stream goes.
func collections(c *config.Config) func(stream string) string {
	own := map[string]string{jobs.VelogUsers: "users", jobs.VelogPosts: "postStats"}
	return func(stream string) string { return cmp.Or(own[stream], c.Mongo.Collection) }
}

// batcher wires the model alone; nothing is remembered.
func batcher(c *config.Config) (jobs.Batcher, func(context.Context)) {
	b := &builder{c: c, metrics: rest.NewMetrics(prometheus.NewRegistry()), clients: map[string]*rest.Client{}}
	_, model := b.openai()
	return model, b.close
}

// sinkIdentity tells one collection of one server from another, without its credentials.
func sinkIdentity(c *config.Config, collection string) string {
	_, where, ok := strings.Cut(c.Secrets.Mongo.Reveal(), "@")
	if !ok {
		where = c.Secrets.Mongo.Reveal()
	}
	sum := sha256.Sum256([]byte(where + "\x00" + c.Mongo.Database + "\x00" + collection))
	return hex.EncodeToString(sum[:8])
}

// How long an answer may take before its lane runs out of workers. A worker that waits costs next to nothing.
const (
	pageLatency   = 15 * time.Second
	searchLatency = 3 * time.Second
	velogLatency  = 3 * time.Second
	mostSearches  = 64 // in flight, whatever a finder allows
	unlimited     = 64 // in flight where no rate says how many
)

// inFlight is how many calls are in flight at a rate, of which 0 is unlimited, when each takes so long.
func inFlight(perSecond float64, latency time.Duration) int {
	if perSecond == 0 {
		return unlimited
	}
	return int(perSecond*latency.Seconds()) + 1
}

func price(c *config.Config) jobs.Price {
	in, out, _ := c.Price(c.OpenAI.Model)
	return jobs.Price{Input: in, Output: out}
}

type builder struct {
	c       *config.Config
	mem     rest.Memory
	metrics *rest.Metrics
	clients map[string]*rest.Client
	closers []func(context.Context) error
	e       *jobs.Engine
	store   *queue.Store
	sink    adapters.Sink // nil when it is not used
	heard   rest.Listener // may be nil
}

// uses reports whether a pipeline of that kind is configured.
func (b *builder) uses(kind string) bool {
	return slices.ContainsFunc(b.c.Pipelines, func(p config.Pipeline) bool { return p.Kind == kind })
}

// matzip wires what its pipelines have in common, and returns what completes one.
func (b *builder) matzip() func(config.Pipeline, *jobs.Pipeline) *jobs.Pipeline {
	c, e := b.c, b.e
	if !b.uses("matzip") {
		return nil
	}
	if _, _, known := c.Price(c.OpenAI.Model); !known {
		e.Log.Warn("the price of this model is not known, so its cost is counted as 0; add a [[price]]", "model", c.OpenAI.Model)
	}
	finders := b.finders()
	instagramClient, source := b.instagram()
	openaiClient, batcher := b.openai()
	b.lane(e, instagramClient, "instagram", inFlight(c.Instagram.PerSecond*float64(max(len(c.Secrets.RapidAPI), 1)), pageLatency), c.Instagram.Timeout, c.Queue.Attempts)
	b.lane(e, openaiClient, "openai", 2, c.OpenAI.Timeout, 0)
	// A step may have to search with each finder, one after the other.
	for name, perSecond := range map[string]float64{"naver": c.Naver.PerSecond, "kakao": c.Kakao.PerSecond} {
		b.lane(e, b.clients[name], name, min(inFlight(perSecond, searchLatency), mostSearches), c.Naver.Timeout+c.Kakao.Timeout, c.Queue.Attempts)
	}
	if b.sink != nil {
		b.lane(e, nil, "mongo", 1, 5*time.Minute, 0)
	}
	return func(p config.Pipeline, pl *jobs.Pipeline) *jobs.Pipeline {
		pl.Lane, pl.Source = "instagram", source
		pl.Ask = &jobs.Ask{
			Batcher: batcher, MaxLines: c.OpenAI.MaxLines, MaxBytes: c.OpenAI.MaxBytes, EnqueuedTokens: c.OpenAI.EnqueuedTokens,
			Attempts: c.OpenAI.Attempts, MaxWait: c.OpenAI.MaxWait, Poll: c.OpenAI.Poll, Settle: c.OpenAI.Settle, Price: price(c),
		}
		pl.Find = &jobs.Find{Lane: p.Finders[0], Always: p.SecondOpinion == "always", Cache: map[string]time.Duration{"naver": c.Naver.Cache, "kakao": c.Kakao.Cache}, OwnOnly: c.Naver.Keep == "own"}
		for _, f := range p.Finders {
			pl.Find.Finders = append(pl.Find.Finders, finders[f])
		}
		if b.sink != nil {
			to := jobs.PlaceSink(b.store, "mongo", b.sink)
			to.Identity = sinkIdentity(c, c.Mongo.Collection)
			pl.Sinks = []jobs.Sink{to}
		}
		return jobs.Matzip(pl)
	}
}

// velog is like matzip.
func (b *builder) velog(ctx context.Context) func(config.Pipeline, *jobs.Pipeline) *jobs.Pipeline {
	c := b.c.Velog
	if !b.uses("velog") {
		return nil
	}
	stats, source := b.velogSource()
	// The first page of a user's posts is two calls, and a session that was refused is looked at again.
	b.lane(b.e, stats, "velog", min(inFlight(c.PerSecond, velogLatency), mostSearches), 4*c.Timeout, c.Attempts)
	return func(p config.Pipeline, pl *jobs.Pipeline) *jobs.Pipeline {
		pl.Lane, pl.Source, pl.Only = "velog", source, p.Accounts
		pl.Targets = jobs.Users(ctx, b.store, pl.Name, p.Accounts)
		if b.sink != nil {
			lane := "mongo/" + pl.Name
			to := jobs.VelogSink(b.store, lane, pl.Name, int(c.Keep/(24*time.Hour)), b.sink)
			to.Identity = sinkIdentity(b.c, "users, postStats")
			pl.Sinks = []jobs.Sink{to}
			b.lane(b.e, nil, lane, 1, 5*time.Minute, 0)
		}
		return jobs.Velog(pl, int(c.Keep/(24*time.Hour)))
	}
}

func (b *builder) velogSource() (stats *rest.Client, source *velog.Source) {
	c := b.c.Velog
	limit := velog.Limit(c.PerSecond, b.mem)
	users := b.client(rest.Options{Upstream: "velog", BaseURL: c.UsersURL, Timeout: c.Timeout, Limits: []*rest.Limit{limit}, Classify: velog.Classify})
	stats = b.client(rest.Options{Upstream: "velog", BaseURL: c.StatsURL, Timeout: c.Timeout, Limits: []*rest.Limit{limit}, Classify: velog.Classify})
	return stats, velog.New(velog.Options{V2: stats, V3: users, Posts: c.Posts, Slow: c.Slow})
}

// pace is that of the crawl of a lane.
func (b *builder) pace(lane string) (limit, pace float64) {
	cl := b.clients[lane]
	if cl == nil {
		return 0, 0
	}
	return cl.Pace()
}

func (b *builder) client(o rest.Options) *rest.Client {
	o.Metrics, o.Private, o.Heard = b.metrics, b.c.AllowPrivate, b.heard
	cl := rest.New(o)
	b.clients[o.Upstream] = cl
	b.closers = append(b.closers, cl.Close)
	return cl
}

func (b *builder) instagram() (*rest.Client, adapters.Source) {
	c := b.c.Instagram
	host := instagram.HostOf(c.BaseURL, c.Host)
	cl := b.client(rest.Options{Upstream: "instagram", BaseURL: c.BaseURL, Timeout: c.Timeout, Limits: instagram.Limits(b.c.Secrets.RapidAPI, host, c.PerSecond, b.mem), Classify: instagram.Classify})
	return cl, instagram.New(instagram.Options{BaseURL: c.BaseURL, Host: host, Client: cl})
}

func (b *builder) openai() (*rest.Client, jobs.Batcher) {
	o := openai.ClientOptions(b.c.OpenAI.BaseURL, openai.Limit(b.c.Secrets.OpenAI, b.mem))
	o.Timeout = b.c.OpenAI.Timeout
	cl := b.client(o)
	return cl, openai.New(openai.Options{Client: cl, Model: b.c.OpenAI.Model, System: jobs.Prompt, SchemaName: "restaurants", Schema: []byte(jobs.Schema)})
}

func (b *builder) finders() map[string]jobs.Finder {
	n, k := b.c.Naver, b.c.Kakao
	nc := b.client(rest.Options{
		Upstream: "naver", BaseURL: n.BaseURL, Timeout: n.Timeout, Classify: naver.Classify,
		Limits: []*rest.Limit{naver.Limit(b.c.Secrets.NaverID, b.c.Secrets.NaverSecret, n.Dialect, n.PerSecond, n.PerDay, b.mem)},
	})
	kc := b.client(rest.Options{
		Upstream: "kakao", BaseURL: k.BaseURL, Timeout: k.Timeout, Classify: kakao.Classify,
		Limits: []*rest.Limit{kakao.Limit(b.c.Secrets.Kakao, k.PerSecond, k.PerDay, b.mem)},
	})
	return map[string]jobs.Finder{"naver": naver.New(naver.Options{Client: nc, Dialect: n.Dialect}), "kakao": kakao.New(kakao.Options{Client: kc})}
}

// lane adds a lane: its deadline is the request's time-out and a little, so that a step ends before its job is handed out again.
func (b *builder) lane(e *jobs.Engine, cl *rest.Client, name string, workers int, timeout time.Duration, attempts int) {
	l := queue.Lane{Name: name, Workers: workers, Deadline: timeout + 5*time.Second, Attempts: attempts, Backoff: queue.Backoff{Base: b.c.Queue.Backoff, Cap: b.c.Queue.BackoffMax}}
	if cl != nil {
		l.Gate = cl
	}
	e.Lanes = append(e.Lanes, l)
}

// held tells until when every credential of a lane is held.
func (b *builder) held(lane string) (until time.Time, reason string) {
	cl := b.clients[lane]
	if cl == nil {
		return until, ""
	}
	for _, l := range cl.Limits() {
		if l.Stopped {
			continue
		}
		if until.IsZero() || l.HeldUntil.Before(until) {
			until, reason = l.HeldUntil, l.Reason
		}
		if until.IsZero() {
			return until, ""
		}
	}
	return until, reason
}

// checks wires one cheap call with each key that is set, over the limits of store, which may be nil.
func checks(ctx context.Context, c *config.Config, store *queue.Store, heard rest.Listener) cli.Checks {
	b := &builder{c: c, heard: heard, clients: map[string]*rest.Client{}}
	if store != nil {
		b.mem = remember(store)
	}
	all := b.rapidAPI()
	if c.Secrets.OpenAI != "" {
		_, model := b.openai()
		all = append(all, cli.Check{Name: "openai, list of batches", Upstream: "openai", Do: func(ctx context.Context) error {
			_, _, err := model.Find(ctx, "doctor", time.Now())
			return err
		}})
	}
	set := map[string]bool{"naver": c.Secrets.NaverID != "" && c.Secrets.NaverSecret != "", "kakao": c.Secrets.Kakao != ""}
	finders := b.finders()
	for _, name := range slices.Sorted(maps.Keys(finders)) {
		if !set[name] {
			continue
		}
		unused := "no pipeline searches with it"
		for _, p := range c.Pipelines {
			if slices.Contains(p.Finders, name) {
				unused = ""
			}
		}
		all = append(all, cli.Check{Name: name + ", one search", Upstream: name, Unused: unused, Do: func(ctx context.Context) error {
			_, err := finders[name].Find(ctx, "서울 김밥")
			return err
		}})
	}
	if b.uses("velog") {
		all = append(all, b.velogCheck(ctx, store))
	}
	if c.Secrets.Mongo != "" {
		all = append(all, cli.Check{Name: "mongo", Upstream: "mongo", Do: func(ctx context.Context) error { return ping(ctx, c) }})
	}
	return cli.Checks{All: all, Close: b.close}
}

// rapidAPI asks for one page with each key.
func (b *builder) rapidAPI() (all []cli.Check) {
	c := b.c.Instagram
	account := ""
	for _, p := range b.c.Pipelines {
		if p.Kind != "matzip" {
			continue
		}
		if accounts, err := p.ReadAccounts(b.c.Dir()); err == nil && account == "" {
			account = accounts[0]
		}
	}
	if account == "" {
		return nil
	}
	host := instagram.HostOf(c.BaseURL, c.Host)
	limits := instagram.Limits(b.c.Secrets.RapidAPI, host, c.PerSecond, b.mem)
	for i, l := range limits {
		name := "instagram, one page of " + account
		if len(limits) > 1 {
			name += fmt.Sprintf(" with key %d of %d", i+1, len(limits))
		}
		source := instagram.New(instagram.Options{BaseURL: c.BaseURL, Host: host, Client: b.client(rest.Options{
			Upstream: "instagram", BaseURL: c.BaseURL, Timeout: c.Timeout, Limits: []*rest.Limit{l}, Classify: instagram.Classify,
		})})
		all = append(all, cli.Check{Name: name, Upstream: "instagram", Do: func(ctx context.Context) error {
			_, err := source.Fetch(ctx, adapters.Query{List: "posts", Target: account})
			return err
		}})
	}
	return all
}

// velogCheck asks velog whose a stored session is, or, where there is none to ask with, whether it answers at all. Of the sessions
// that are accepted the one that lasts longest is taken; what velog renews of it is kept, and that it has ended is noted.
func (b *builder) velogCheck(ctx context.Context, store *queue.Store) cli.Check {
	_, source := b.velogSource()
	ch := cli.Check{Name: "velog, without a log-in", Upstream: "velog", Do: source.Reach}
	var l queue.Login
	for _, p := range b.c.Pipelines {
		if p.Kind != "velog" || store == nil || b.c.Secrets.Key == "" {
			continue
		}
		all, err := store.Logins(ctx, p.Name)
		if err != nil {
			ch.Do = func(context.Context) error { return err }
			return ch
		}
		for _, x := range all {
			if x.Dead.IsZero() && (l.Target == "" || x.Expires.After(l.Expires)) {
				l = x
			}
		}
	}
	if l.Target == "" {
		return ch
	}
	ch.Name = "velog, the session of " + l.Target
	ch.Do = func(ctx context.Context) error {
		if err := setKey(ctx, b.c, store); err != nil {
			return err
		}
		l, have, err := store.Credential(ctx, l.Pipeline, l.Target)
		if err != nil {
			return err
		}
		now, err := source.Known(ctx, l.Target, have)
		e, _ := errors.AsType[*adapters.Error](err)
		// What velog has said is kept even when whoever asked has gone by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		switch {
		case err == nil && !maps.Equal(now.Values, have.Values):
			return store.Tx(ctx, func(tx *queue.Tx) error { _, err := tx.RenewLogin(l, now); return err })
		case e != nil && e.Reason == adapters.ReasonLogin: // no other call is to be made with it
			return errors.Join(err, store.Tx(ctx, func(tx *queue.Tx) error { _, err := tx.BuryLogin(l, e.Error()); return err }))
		}
		return err
	}
	return ch
}

// ping asks MongoDB whether it is there.
func ping(ctx context.Context, c *config.Config) error {
	m, err := mongo.Open(ctx, mongo.Options{URI: c.Secrets.Mongo, Database: c.Mongo.Database, Collection: func(string) string { return c.Mongo.Collection }})
	if err != nil {
		return err
	}
	return errors.Join(m.Ping(ctx), m.Close(ctx))
}

// rates are how fast the upstreams are called, by name.
func (b *builder) rates() (all []web.Rate) {
	for _, name := range slices.Sorted(maps.Keys(b.clients)) {
		cl := b.clients[name]
		limit, _ := cl.Pace()
		all = append(all, web.Rate{Upstream: name, Limit: limit, Seconds: cl.Recent()})
	}
	return all
}

func (b *builder) limits() []rest.LimitInfo {
	var all []rest.LimitInfo
	for _, cl := range b.clients {
		all = append(all, cl.Limits()...)
	}
	return all
}

func (b *builder) close(ctx context.Context) {
	for _, f := range b.closers {
		_ = f(ctx)
	}
}
