package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/notify"
	"sumbi/adapters/openai"
	"sumbi/config"
	"sumbi/queue"
)

// Check asks one upstream whether it would serve.
type Check struct {
	Name     string
	Upstream string
	Unused   string // why nothing uses it; "" something does
	Do       func(ctx context.Context) error
}

// Checks is what doctor asks the upstreams.
type Checks struct {
	All   []Check
	Close func(context.Context) // lets the limits remember
}

type doctorCmd struct {
	Offline bool `help:"Call no upstream."`
	Notify  bool `help:"Send a test message to SUMBI_NOTIFY_URL."`
	jsonFlag
}

// verdict is what a check says.
type verdict string

const (
	fine verdict = "ok"
	note verdict = "note" // works, and a person may want to know
	bad  verdict = "bad"
)

// finding is what was found out about one thing.
type finding struct {
	Check   string
	Verdict verdict
	Text    string // "" there is nothing to say
	Fix     string // what to do, one sentence; "" nothing
}

// examination is a doctor at work.
type examination struct {
	*env
	doctorCmd
	c     *config.Config
	all   []finding
	clock skewWatch
}

func (x *examination) say(f finding) {
	x.all = append(x.all, f)
	if x.JSON {
		return
	}
	word, st := "ok  ", green
	switch f.Verdict {
	case note:
		word, st = "note", yellow
	case bad:
		word, st = "BAD ", red
	}
	text := f.Check
	if f.Text != "" {
		text += ": " + f.Text
	}
	x.out.hang(len(word)+1, st, word, " "+text)
	if f.Fix != "" {
		x.out.hang(0, plainly, "", "       "+f.Fix)
	}
}

// ask says what became of a check.
func (x *examination) ask(check string, err error, fix string) {
	if err == nil {
		x.say(finding{Check: check, Verdict: fine})
		return
	}
	x.say(finding{check, bad, err.Error(), fix})
}

// Run checks one thing after the other, and says what it finds and what to do.
func (d doctorCmd) Run(e *env) error {
	x := &examination{env: e, doctorCmd: d}
	err := x.run()
	if d.JSON {
		err = errors.Join(e.document("doctor", struct{ Checks []finding }{x.all}), err)
	}
	return err
}

func (x *examination) run() (err error) {
	x.c, err = x.config()
	x.ask("configuration "+x.flags.Config, err, "")
	if err != nil {
		return err
	}
	x.ask("secrets of all pipelines", need(x.c), "")
	for _, p := range x.c.Pipelines {
		accounts, err := p.ReadAccounts(x.c.Dir())
		x.ask(fmt.Sprintf("accounts of %s (%d)", p.Name, len(accounts)), err, "")
	}
	x.model()
	x.webhook()
	x.file()
	x.disk()
	if !x.Offline {
		x.upstreams()
	}
	x.time()
	x.notices()
	n := 0
	for _, f := range x.all {
		if f.Verdict == bad {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%s failed", plural(n, "check", "checks"))
	}
	return nil
}

// model says whether costs can be counted.
func (x *examination) model() {
	if _, _, known := x.c.Price(x.c.OpenAI.Model); !known {
		x.say(finding{"price of " + x.c.OpenAI.Model, note, "not known, so its cost is counted as 0", fmt.Sprintf("Add a [[price]] for it to %s.", x.flags.Config)})
	}
}

func (x *examination) webhook() {
	if x.c.Secrets.OpenAIWebhook == "" {
		return
	}
	x.ask("OPENAI_WEBHOOK_SECRET", openai.CheckWebhookSecret(x.c.Secrets.OpenAIWebhook), "Copy it from your project's webhook at platform.openai.com, with whsec_ in front.")
}

// file checks the state, and the database that DATABASE_URL names.
func (x *examination) file() {
	what := "state file " + x.c.State
	if x.c.State == config.Postgres {
		what = "database of DATABASE_URL"
	}
	s, err := x.open(x.c.State, queue.Guest)
	switch {
	case errors.Is(err, os.ErrNotExist):
		x.say(finding{what, fine, "there is none yet, the first run makes it", ""})
	case err != nil:
		x.ask(what, err, "")
	default:
		x.ask(what, s.Check(x.ctx), "Stop sumbi and restore the last copy that `sumbi backup` made.")
		s.Close()
	}
	if x.c.State == config.Postgres || x.c.Secrets.Database == "" || x.Offline {
		return
	}
	ctx, cancel := context.WithTimeout(x.ctx, checkTime)
	defer cancel()
	here := *x.env
	here.ctx = ctx
	if s, err = here.open(config.Postgres, queue.Guest); err == nil {
		s.Close()
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		x.ask("database of DATABASE_URL", err, "Correct DATABASE_URL, or unset it: the state is a file.")
		return
	}
	x.say(finding{"database of DATABASE_URL", note, "answers, and is not used: the state is a file", fmt.Sprintf("Set state = %q in %s to use it, after `sumbi move --to postgres`.", config.Postgres, x.flags.Config)})
}

// What is little room for a state that grows.
const (
	littleRoom = 1 << 30
	noRoom     = 100 << 20
)

// disk says how much room the state has.
func (x *examination) disk() {
	if x.c.State == config.Postgres {
		return
	}
	dir := filepath.Dir(x.c.State)
	room, known := freeBytes(dir)
	if !known {
		return
	}
	size := int64(0)
	if info, err := os.Stat(x.c.State); err == nil {
		size = info.Size()
	}
	f := finding{Check: "disk of " + dir, Verdict: fine, Text: fmt.Sprintf("%s free", megabytes(room))}
	switch {
	case room < noRoom:
		f.Verdict, f.Fix = bad, "Make room: sumbi stops when the disk is full."
	case room < max(littleRoom, size):
		f.Verdict, f.Fix = note, "Make room soon: a backup or an upgrade needs as much as the state file has."
	}
	x.say(f)
}

func megabytes(n int64) string {
	if n >= 10_000_000_000 {
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

// checkTime is how long one upstream may take.
const checkTime = 30 * time.Second

// upstreams makes one cheap call with each key. Where nobody works on the state the calls are counted in its quotas, and keep
// what refusals have taught of the pace.
func (x *examination) upstreams() {
	var limits *queue.Store
	s, err := x.open(x.c.State, queue.Guest)
	if err == nil {
		defer s.Close()
		release, err := s.Exclude(x.ctx)
		if err == nil {
			defer release()
			limits = s
		} else if errors.Is(err, queue.ErrLocked) {
			x.say(finding{"quotas", note, "another sumbi works on the state: what is asked now is in the books, not in the quotas", ""})
		}
	}
	checks := x.Checks(x.ctx, x.c, limits, x.clock.heard)
	meter := &adapters.Meter{}
	for _, ch := range checks.All {
		ctx, cancel := context.WithTimeout(adapters.WithMeter(x.ctx, meter), checkTime)
		x.upstream(ch, ch.Do(ctx))
		cancel()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), 10*time.Second)
	defer cancel()
	checks.Close(ctx)
	if s == nil {
		return // there is no state yet, or it was said before
	}
	if err := s.Tx(ctx, func(tx *queue.Tx) error { return tx.BookCalls("", meter, "") }); err != nil {
		x.ask("the books", err, "")
	}
}

func (x *examination) upstream(ch Check, err error) {
	f := finding{Check: ch.Name, Verdict: fine}
	e, classified := errors.AsType[*adapters.Error](err)
	switch {
	case classified && (e.Reason == adapters.ReasonGone || e.Reason == adapters.ReasonPrivate):
		f.Verdict, f.Text, f.Fix = note, "the key works, the account is "+e.Reason, "Look whether it has another name, or take it off the list."
	case err != nil:
		f.Verdict, f.Text, f.Fix = bad, err.Error(), fix(ch.Upstream, err)
	case ch.Unused != "":
		f.Verdict, f.Text = note, ch.Unused
	}
	x.say(f)
}

// credential says where the key of an upstream comes from.
type credential struct{ key, plan, base string }

// credentialOf says what to do about a key that is wrong, about one that has no right to what is asked, and where its address
// stands.
func credentialOf(upstream string) credential {
	switch upstream {
	case "instagram":
		return credential{
			"Copy the X-RapidAPI-Key from rapidapi.com into RAPIDAPI_KEY.",
			"Subscribe to the scraper at rapidapi.com with the account of this key, or correct base_url in [instagram].", "[instagram]",
		}
	case "openai":
		return credential{
			"Make a key at platform.openai.com, API keys, and put it into OPENAI_API_KEY.",
			"Let the key write files and batches, and look at the project's billing at platform.openai.com.", "[openai]",
		}
	case "naver":
		return credential{
			"Copy the client's id and secret into NAVER_CLIENT_ID and NAVER_CLIENT_SECRET; keys of developers.naver.com need dialect = \"legacy\" in [naver].",
			"Switch local search on for this key at NAVER API HUB.", "[naver]",
		}
	case "kakao":
		return credential{
			"Copy the REST API key of your app at developers.kakao.com into KAKAO_REST_API_KEY.",
			"Switch Kakao Map on for the app at developers.kakao.com.", "[kakao]",
		}
	case "velog":
		return credential{
			"Let the user log in again and hand the log-in in: `sumbi login PIPELINE`.",
			"Look whether velog.io still answers as before: its API is its own and may have changed.", "[velog]",
		}
	case "mongo":
		return credential{"Correct MONGODB_URI: its user, password and host.", "Give the user of MONGODB_URI the right to read and write the database.", "MONGODB_URI"}
	}
	section := "[" + upstream + "]"
	return credential{"Correct the key of " + upstream + ".", "Look whether the plan of the key allows this call, or correct " + section + ".", section}
}

// fix is what to do about an error of an upstream.
func fix(upstream string, err error) string {
	c := credentialOf(upstream)
	if _, own := errors.AsType[*queue.FileError](err); own {
		return "" // it says what to do
	}
	e, ok := errors.AsType[*adapters.Error](err)
	if !ok {
		return "It may be slow or away: try again in some minutes."
	}
	switch {
	case e.Reason == adapters.ReasonQuota:
		return fmt.Sprintf("Wait until %s, or take a bigger plan; after that `sumbi run --release PIPELINE` forgets the quota.", when(time.Now().Add(e.After)))
	case e.Kind == adapters.Throttled:
		return "Something else uses the same key: stop it, or try again in a minute."
	case e.Reason == adapters.ReasonPlan:
		return c.plan
	case e.Reason == adapters.ReasonPath:
		return "Correct the address in " + c.base + "."
	case e.Reason == adapters.ReasonKey, e.Reason == adapters.ReasonLogin, e.Kind == adapters.Unauthorized, e.Kind == adapters.NeedsHuman:
		return c.key
	case e.Reason == adapters.ReasonUnreachable:
		return "Look whether this machine reaches it (network, DNS, proxy, firewall), and at the address in " + c.base + "."
	case e.Kind == adapters.Permanent:
		return "Look at the address in " + c.base + " and at what the answer says."
	}
	return "The trouble is theirs: try again in some minutes."
}

// What a clock may be off. Signatures of webhooks bear five minutes, and quotas end at midnight.
const (
	slightlyOff = 5 * time.Second
	farOff      = time.Minute
)

// time compares this machine's clock with those of the upstreams.
func (x *examination) time() {
	f := finding{Check: "clock", Verdict: fine}
	skew, wrong, of := x.clock.read()
	switch {
	case of == "" && time.Now().Year() < 2025:
		f.Verdict, f.Text = bad, "it is "+time.Now().Format(time.DateOnly)
	case of != "" && skew.Abs() >= slightlyOff+wrong:
		f.Verdict, f.Text = note, fmt.Sprintf("%s behind that of %s", skew.Round(time.Second), of)
		if skew < 0 {
			f.Text = fmt.Sprintf("%s ahead of that of %s", -skew.Round(time.Second), of)
		}
		if skew.Abs() >= farOff {
			f.Verdict = bad
		}
	case of != "":
		f.Text = "agrees with that of " + of
	}
	if f.Verdict != fine {
		f.Fix = "Set the clock, best by NTP (`timedatectl set-ntp true`)."
	}
	x.say(f)
}

// notices checks where trouble is told.
func (x *examination) notices() {
	const what = "SUMBI_NOTIFY_URL"
	url := x.c.Secrets.NotifyURL
	ctx, cancel := context.WithTimeout(x.ctx, checkTime)
	defer cancel()
	sender := notify.New(notify.Options{URL: url, Private: x.c.AllowPrivate})
	const fix = "Make a new webhook and put its address into " + what + "."
	switch {
	case url == "" && x.Notify:
		x.say(finding{what, bad, "it is not set", "Put the address of a webhook into the environment."})
	case url == "":
		x.say(finding{what, fine, "it is not set: only `sumbi status` tells of trouble", ""})
	case x.Notify:
		x.ask("a test message to "+what, sender.Send(ctx, []adapters.Notice{{Event: "test", Text: "this is a test by `sumbi doctor`; trouble is told here", At: time.Now()}}), fix)
	case x.Offline:
		x.say(finding{what, fine, "it is set; `sumbi doctor --notify` sends a test message", ""})
	default:
		status, err := sender.Reach(ctx)
		switch {
		case err != nil:
			x.ask(what, err, fix)
		case status == http.StatusNotFound || status == http.StatusGone:
			x.say(finding{what, note, fmt.Sprintf("its host answers, but with status %d", status), "Look whether the webhook is still there: `sumbi doctor --notify` sends a test message."})
		default:
			x.say(finding{what, fine, "its host answers; `sumbi doctor --notify` sends a test message", ""})
		}
	}
}
