package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sumbi/adapters"
	"sumbi/config"
	"sumbi/queue"
	"sumbi/sim"
	"sumbi/web"
)

type demoCmd struct {
	World string `arg:"" optional:"" enum:"matzip,velog" default:"matzip" help:"Which pipeline: matzip or velog."`

	Accounts int    `default:"6" help:"Influencers in the imitated world."`
	Posts    int    `default:"90" help:"Average number of posts of an account."`
	Seed     uint64 `default:"7" help:"Which invented world; the same number gives the same one."`
	Hard     bool   `help:"A world of namesakes, branches, closed shops and misleading first results; the report tells the kinds apart."`
	Finder   string `enum:"naver,kakao" default:"naver" help:"Who finds the places: naver or kakao."`
	Listen   string `default:"127.0.0.1:0" help:"Address of the page; \"-\" for none. Port 0 is any that is free." placeholder:"HOST:PORT"`
	Stay     bool   `help:"Leave the page open at the end until it is interrupted."`

	Torture bool   `help:"Kill sumbi at random moments while everything goes wrong, and count what was lost, doubled or paid twice."`
	Kills   int    `default:"10" help:"With --torture: how often."`
	Faults  string `default:"all" help:"With --torture: all, none, or names of faults separated by commas, each with =PROBABILITY if not 0.03."`
}

// How often the imitations are called and how long they take. Instagram is called at its real pace; the searches are called faster than
// the real ones so that nobody waits minutes for an example.
const (
	demoInstagramPerSecond = 8
	demoSearchPerSecond    = 60
	demoLatency            = 800 * time.Millisecond
	demoBatchStep          = time.Second
)

// spare is what imitations allow of what they are called: a fifth of each limit is left free, since a busy machine delays calls.
const spare = 1.25

// hardPrecision is the least share of right places among those chosen without a person in a hard world. The thresholds aim at
// 0.995; of some hundred decisions, of which several concern one place, less than this is more than bad luck.
const hardPrecision = 0.97

// demoWrong ends the program with status 1 after the report has said why.
var errDemoWrong = errors.New("the demo's result is not what it must be; the report above says where")

// Run runs the whole main job against the imitations and grades it against their truth.
func (d demoCmd) Run(e *env) error {
	if d.Torture && d.Hard {
		return usageError{errors.New("--torture and --hard are two demos: say one of them")}
	}
	if d.Torture {
		return d.torture(e)
	}
	if run, other := map[string]func(*env) error{"velog": d.velog}[d.World]; other {
		return run(e)
	}
	world := sim.New(sim.Options{
		Seed: d.Seed, Accounts: d.Accounts, Posts: d.Posts, Hard: d.Hard, Latency: demoLatency, Jitter: 0.4, SearchLatency: 30 * time.Millisecond,
		InstagramPerSecond: demoInstagramPerSecond * spare, NaverPerSecond: demoSearchPerSecond * spare, KakaoPerSecond: demoSearchPerSecond * spare, BatchStep: demoBatchStep,
	})
	base, stop, err := world.Start()
	if err != nil {
		return err
	}
	defer stop()
	c, err := d.config(e, base, world.Accounts())
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "%d invented influencers, %d posts, imitated Instagram (%d requests a second), OpenAI and %s on %s; the state is %s\n",
		len(world.Accounts()), len(world.Posts()), demoInstagramPerSecond, d.Finder, base, c.State)
	s, err := e.open(c.State, queue.Owner)
	if err != nil {
		return err
	}
	defer s.Close()
	m := newMetrics(s, c, e.Version, e.log)
	b, err := e.Build(e.ctx, c, s, m.reg, e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	shown, hide := d.show(e, e.page(c, s, b, m))
	defer hide()
	run, err := runCmd{Pipeline: "matzip"}.ask(e, s)
	if err != nil {
		return err
	}
	if err := e.runOnce(b, run); err != nil {
		return err
	}
	ok, err := d.report(e, world, s)
	if err != nil {
		return err
	}
	self := filepath.Base(os.Args[0])
	if strings.Contains(os.Args[0], "go-build") {
		self = "go run ."
	}
	fmt.Fprintf(e.Stdout, "look around:\n  sqlite3 -box %[1]s 'select name, mentions, accounts, road_address from v_places order by mentions desc limit 10'\n  %[2]s status --state %[1]s\n  %[2]s export places --state %[1]s --format geojson > places.geojson\n", c.State, self)
	if d.Stay && shown {
		fmt.Fprintln(e.Stdout, "the page stays open until you interrupt this")
		if err := b.Engine.Serve(e.ctx); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	if !ok {
		return errDemoWrong
	}
	return nil
}

// show opens the page beside the demo until hide is called. A page that cannot be opened stops nothing.
func (d demoCmd) show(e *env, w *web.Server) (shown bool, hide func()) {
	if d.Listen == "" || d.Listen == "-" {
		return false, func() {}
	}
	ctx, cancel := context.WithCancel(e.ctx)
	address := make(chan net.Addr, 1)
	w.Opened = func(a net.Addr) { address <- a }
	w.Log = slog.New(slog.DiscardHandler) // what is looked at is no news of the demo
	end := make(chan error, 1)
	go func() { end <- w.Listen(ctx, d.Listen) }()
	select {
	case a := <-address:
		fmt.Fprintf(e.Stdout, "the page: http://%s/\n", a)
		return true, func() {
			cancel()
			if err := <-end; err != nil {
				e.log.Warn("the page", "err", err)
			}
		}
	case err := <-end:
		cancel()
		e.log.Warn("there is no page", "err", err)
		return false, func() {}
	}
}

// config is a configuration whose upstreams are the imitations.
func (d demoCmd) config(e *env, base string, accounts []string) (*config.Config, error) {
	c := config.Default()
	c.State = e.flags.State
	if c.State == e.Getenv("SUMBI_STATE") {
		c.State = "" // that is where the real one lies
	}
	if _, err := os.Stat(c.State); c.State != "" && err == nil {
		return nil, usageError{fmt.Errorf("%s is there already; the demo wants a file of its own, name a new one or none", c.State)}
	}
	if c.State == "" {
		dir, err := os.MkdirTemp("", "sumbi-demo-")
		if err != nil {
			return nil, err
		}
		c.State = filepath.Join(dir, "demo.db")
	}
	c.Instagram.BaseURL, c.Instagram.PerSecond = base+sim.InstagramPath, demoInstagramPerSecond
	c.OpenAI.BaseURL, c.OpenAI.Poll, c.OpenAI.Settle = base+sim.OpenAIPath, 300*time.Millisecond, time.Second
	c.Naver.BaseURL, c.Naver.PerSecond = base+sim.NaverPath, demoSearchPerSecond
	c.Kakao.BaseURL, c.Kakao.PerSecond = base+sim.KakaoPath, demoSearchPerSecond
	c.Secrets = config.Secrets{
		RapidAPI: []adapters.Secret{sim.DefaultRapidAPIKey}, OpenAI: sim.DefaultOpenAIKey,
		NaverID: sim.DefaultNaverClientID, NaverSecret: sim.DefaultNaverClientSecret, Kakao: sim.DefaultKakaoKey,
	}
	c.Pipelines = []config.Pipeline{{Kind: "matzip", Name: "matzip", Accounts: accounts, Finders: []string{d.Finder}}}
	return c, nil
}

// report compares what was found with the world's truth.
func (d demoCmd) report(e *env, world *sim.Server, s *queue.Store) (bool, error) {
	posts, found, err := Findings(e.ctx, s)
	if err != nil {
		return false, err
	}
	r, st := world.Grade(posts, found), world.Stats()
	refused := 0
	for _, c := range st.Calls {
		refused += c.Refused
	}
	fmt.Fprintf(e.Stdout, "%s\n%s\n", r, st)
	ok := len(r.PostsMissing) == 0 && len(r.PostsExtra) == 0 && st.LinesAgain+st.CaptionsAgain+st.BatchesAgain == 0
	if !d.Hard {
		return ok && r.MentionsWrong == 0 && refused == 0, nil
	}
	for _, x := range r.Examples {
		if strings.HasPrefix(x, "wrong") {
			fmt.Fprintln(e.Stdout, x)
		}
	}
	decided, err := decisions(e.ctx, s)
	if err != nil {
		return false, err
	}
	kinds := world.GradeKinds(decided)
	all := kinds[len(kinds)-1]
	fmt.Fprintf(e.Stdout, "%s\nprecision %.3f of what was decided without a person; less than %.2f fails\n", kinds, all.Precision(), hardPrecision)
	return ok && all.Precision() >= hardPrecision, nil
}

// Findings reads from the state what a world can grade.
func Findings(ctx context.Context, s *queue.Store) (posts []string, found map[string][]sim.Place, err error) {
	found = map[string][]sim.Place{}
	err = s.PostMentions(ctx, func(m queue.PostMention) error {
		if len(posts) == 0 || posts[len(posts)-1] != m.Post {
			posts = append(posts, m.Post)
		}
		if m.Place != "" {
			found[m.Post] = append(found[m.Post], sim.Place{Name: m.PlaceName, RoadAddress: m.Road})
		}
		return nil
	})
	return posts, found, err
}

// decisions reads from the state what became of each mention.
func decisions(ctx context.Context, s *queue.Store) (map[string][]sim.Decision, error) {
	all := map[string][]sim.Decision{}
	err := s.PostMentions(ctx, func(m queue.PostMention) error {
		if m.State != "" {
			all[m.Post] = append(all[m.Post], sim.Decision{Name: m.Name, State: m.State, Place: sim.Place{Name: m.PlaceName, RoadAddress: m.Road}})
		}
		return nil
	})
	return all, err
}
