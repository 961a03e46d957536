package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sumbi/queue"
	"sumbi/sim"
)

// upstreams are those that sim imitates.
var upstreams = []string{"instagram", "openai", "naver", "kakao"}

// everywhere is one fault of the form of answers, or of their absence, at every upstream.
func everywhere(f sim.HTTPFaults) sim.Faults {
	return sim.Faults{
		Instagram: sim.InstagramFaults{HTTPFaults: f}, OpenAI: sim.OpenAIFaults{HTTPFaults: f},
		Naver: sim.NaverFaults{HTTPFaults: f}, Kakao: sim.KakaoFaults{HTTPFaults: f}, StallFor: time.Minute,
	}
}

// both makes a world with two finders that comes again quickly after a failure.
func both(t *testing.T, o sim.Options) *world {
	t.Helper()
	return newWorld(t, o, "every = \"72h\"\nfinders = [\"naver\", \"kakao\"]\nsecond_opinion = \"always\"\n[queue]\nbackoff = \"20ms\"\nbackoff_max = \"200ms\"\n")
}

// impatient lets nobody wait for an answer longer than a busy machine may need.
func (w *world) impatient() {
	w.t.Helper()
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, up := range upstreams {
		conf = strings.Replace(conf, "["+up+"]\n", "["+up+"]\ntimeout = \"5s\"\n", 1)
	}
	w.write("sumbi.toml", conf)
}

// slowly lets an upstream be called so slowly that the first refusal is known before many calls are on their way, on whatever machine.
// It returns the configuration as it was.
func (w *world) slowly(up, perSecond string) (conf string) {
	w.t.Helper()
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("sumbi.toml", regexp.MustCompile(`(\[`+up+`\][^\[]*\nper_second = )\d+`).ReplaceAllString(conf, "${1}"+perSecond))
	return conf
}

// TestEveryFaultOfEveryUpstream lets each way to answer wrongly, or not at all, befall every upstream. Whatever it is, the run
// ends well, with every post once, the right places, and nothing paid twice.
func TestEveryFaultOfEveryUpstream(t *testing.T) {
	t.Parallel()
	// One call of each upstream meets it for certain, however few there are.
	few := sim.Fault{Count: 1, Skip: 1}
	often := sim.Fault{Rate: 0.3, Count: few.Count, Skip: few.Skip}
	// A file of answers that comes broken four times in a row is given up, and what it lacks is paid for again: rightly, but that is
	// not looked at here.
	seldom := sim.Fault{Rate: 0.03, Count: few.Count, Skip: few.Skip}
	but := func(f sim.Faults, openai sim.HTTPFaults) sim.Faults {
		f.OpenAI.HTTPFaults = openai
		return f
	}
	for name, f := range map[string]sim.Faults{
		"500":                everywhere(sim.HTTPFaults{Error500: often}),
		"HTML 502":           everywhere(sim.HTTPFaults{HTML502: often}),
		"cut body":           everywhere(sim.HTTPFaults{Cut: often}),
		"half a body":        but(everywhere(sim.HTTPFaults{Truncate: often}), sim.HTTPFaults{Truncate: seldom}),
		"reset":              everywhere(sim.HTTPFaults{Reset: often}),
		"stall":              everywhere(sim.HTTPFaults{Stall: few}),
		"slow drip":          everywhere(sim.HTTPFaults{Drip: few}),
		"wrong content type": everywhere(sim.HTTPFaults{Label: often}),
		"maintenance page":   but(everywhere(sim.HTTPFaults{Closed: often}), sim.HTTPFaults{Closed: seldom}),
		"huge body":          everywhere(sim.HTTPFaults{Huge: few}),
		"wrong JSON types":   everywhere(sim.HTTPFaults{Types: often}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := both(t, sim.Options{Seed: 31, Accounts: 1, Posts: 12, BatchStep: 20 * time.Millisecond, Faults: f})
			if name == "stall" || name == "slow drip" { // an answer of any other kind comes
				w.impatient()
			}
			out := w.mustRun("run", "matzip")
			w.grade()
			w.paidTwice()
			if strings.Contains(out, "given up") {
				t.Error(out)
			}
			calls := w.Stats().Calls
			for _, up := range upstreams {
				if calls[up].Faulted == 0 {
					t.Errorf("nothing went wrong at %s: %+v", up, calls[up])
				}
			}
			if js := w.jobs("dead"); len(js) > 0 {
				t.Errorf("died: %+v", js)
			}
			want, ok := noticed[name]
			if !ok {
				return
			}
			said := w.query(`select err from job_error`)
			for _, up := range []string{"instagram", "naver", "kakao"} { // OpenAI's files are asked for again in their own ways
				if !slices.ContainsFunc(strings.Split(said, "\n"), func(line string) bool { return strings.HasPrefix(line, up+": ") && strings.Contains(line, want) }) {
					t.Errorf("%s: nobody noticed %q:\n%s", up, want, said)
				}
			}
		})
	}
}

// noticed is what the story of some job says of a fault. Without it a run may end well although a guard is missing: the deadline
// of a step ends a call, too, and a search that finds nothing is no error.
var noticed = map[string]string{
	"stall": "no answer within 5s", "slow drip": "the answer was cut short", "maintenance page": "invalid character '<'", "wrong JSON types": "the answer ", "huge body": "is larger than",
}

// TestClocksApart sets the clocks of all upstreams hours ahead or behind. Refusals name instants by it; nothing waits for long.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"ahead": 7 * time.Hour, "behind": -7 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := everywhere(sim.HTTPFaults{Throttle: sim.Fault{Count: 1, Skip: 1}})
			f.Skew = skew
			f.OpenAI.CreateLost = sim.Times(1) // it is found by its shard although the list's clock is another one
			w := both(t, sim.Options{Seed: 32, Accounts: 1, Posts: 10, BatchStep: 20 * time.Millisecond, Faults: f})
			w.mustRun("run", "matzip")
			w.grade()
			w.paidTwice()
		})
	}
}

func (w *world) jobs(state string) []queue.JobRow {
	w.t.Helper()
	js, err := w.state().Jobs(w.t.Context(), state, "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

// wrongKeys are the environment with one credential that is refused, and what a person is told of it.
var wrongKeys = map[string]struct{ env, stdout string }{
	"instagram": {"RAPIDAPI_KEY", "Invalid API key"},
	"openai":    {"OPENAI_API_KEY", "OPENAI_API_KEY"},
	"naver":     {"NAVER_CLIENT_SECRET", "NAVER_CLIENT_SECRET"},
	"kakao":     {"KAKAO_REST_API_KEY", "KAKAO_REST_API_KEY"},
}

// TestWrongKeyOfEveryUpstream stops what needs the key with one clear sentence, after a call or two; the right key goes on.
func TestWrongKeyOfEveryUpstream(t *testing.T) {
	t.Parallel()
	for up, key := range wrongKeys {
		t.Run(up, func(t *testing.T) {
			t.Parallel()
			w := both(t, sim.Options{Seed: 33, Accounts: 3, Posts: 12, BatchStep: 20 * time.Millisecond})
			conf, right := w.slowly(up, "0.5"), w.env
			w.env = append(slices.Clone(w.env), key.env+"=falsch-falsch")
			status, _, errs := w.run("run", "matzip")
			if status != 1 || !strings.Contains(errs, "the run waits: "+up) {
				t.Errorf("status %d: %s", status, errs)
			}
			if n := w.Stats().Calls[up].Requests; n == 0 || n > 4 { // as many as were on their way at the first refusal
				t.Errorf("%d calls with a wrong key", n)
			}
			if out := w.mustRun("status"); !strings.Contains(out, "WAITS FOR YOU: ") || !strings.Contains(out, key.stdout) || strings.Contains(out, "falsch") {
				t.Error(out)
			}
			for _, j := range w.jobs("") {
				if j.Attempt != 0 || j.State == "dead" {
					t.Errorf("job %+v", j)
				}
			}
			w.env = right
			w.write("sumbi.toml", conf)
			w.mustRun("run", "matzip")
			w.grade()
			w.paidTwice()
		})
	}
}

// TestQuotaOfEveryUpstream lets the lane whose quota is used up wait, visibly; everything that does not need it goes on.
func TestQuotaOfEveryUpstream(t *testing.T) {
	t.Parallel()
	for up, f := range map[string]struct {
		faults sim.Faults
		held   string
		done   func(w *world) bool // what goes on meanwhile
	}{
		"instagram": {sim.Faults{Instagram: sim.InstagramFaults{Billed: sim.Fault{Rate: 1, Skip: 1}}}, "waits: instagram/1 until ", func(w *world) bool {
			return w.Stats().Calls["instagram"].Requests > 1
		}},
		"naver": {sim.Faults{Naver: sim.NaverFaults{DayUsedUp: sim.Fault{Rate: 1, Skip: 2}}}, "waits: naver/", func(w *world) bool {
			return w.Stats().Calls["naver"].Requests > 2 && w.crawled()
		}},
		"kakao": {sim.Faults{Kakao: sim.KakaoFaults{QuotaAs400: sim.Fault{Rate: 1, Skip: 2}}}, "waits: kakao/1 until ", func(w *world) bool {
			return w.Stats().Calls["kakao"].Requests > 2 && w.crawled()
		}},
	} {
		t.Run(up, func(t *testing.T) {
			t.Parallel()
			w := both(t, sim.Options{Seed: 34, Accounts: 2, Posts: 12, BatchStep: 20 * time.Millisecond, QuotaReset: 6 * time.Hour, Faults: f.faults})
			conf := w.slowly(up, "5")
			sv := w.serve()
			if out := w.mustRun("status"); strings.Contains(out, "no process") {
				t.Error(out)
			}
			w.until("the quota is used up and the rest goes on", func() bool { return f.done(w) })
			w.until("status says it", func() bool {
				out := w.mustRun("status")
				return strings.Contains(out, f.held) && strings.Contains(out, "quota")
			})
			// Those that were on their way when the first was refused; all of them would be more than thirty.
			if n := w.Stats().Calls[up].Requests; n > 16 {
				t.Errorf("%d calls although the quota was used up after two", n)
			}
			sv.term()
			for _, j := range w.jobs("") {
				if j.Attempt != 0 || j.State == "dead" {
					t.Errorf("job %+v", j)
				}
			}
			// The quota is renewed, or was extended.
			w.SetFaults(sim.Faults{})
			w.write("sumbi.toml", conf)
			w.mustRun("run", "--release", "matzip")
			w.grade()
			w.paidTwice()
		})
	}
}

// crawled says that every list of the run has been walked and its captions are answered.
func (w *world) crawled() bool {
	s, err := w.open(w.t.Context(), queue.Guest)
	if err != nil {
		return false
	}
	defer s.Close() // it is asked again and again, and a server has few connections
	r, err := s.LastRun(w.t.Context(), "matzip")
	if err != nil || r.Crawled.IsZero() {
		return false
	}
	p, err := s.Progress(w.t.Context(), r.ID)
	return err == nil && p.Waiting+p.InBatch == 0 && p.Answered > 0
}

// TestUpstreamAway cuts the upstreams off for a while, as a network does that is down. No job pays for it with an attempt, status
// says which upstream is away, and all goes on by itself.
func TestUpstreamAway(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"nothing listens", "502"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			o := sim.Options{Seed: 35, Accounts: 6, Posts: 12, BatchStep: 20 * time.Millisecond}
			if way == "502" {
				o.Faults = everywhere(sim.HTTPFaults{HTML502: sim.Often(1)})
			}
			w := both(t, o)
			conf, err := readFile(w.dir, "sumbi.toml")
			if err != nil {
				t.Fatal(err)
			}
			if way != "502" {
				w.write("sumbi.toml", strings.ReplaceAll(conf, w.base, "http://127.0.0.1:1"))
			}
			sv := w.serve()
			w.until("status says it", func() bool {
				return strings.Contains(w.mustRun("status"), "waits: instagram has not answered since ")
			})
			before, began := w.Stats().Calls["instagram"].Requests, time.Now()
			time.Sleep(2 * time.Second) // ten of the longest pauses, which chance halves at most
			took := time.Since(began)
			if n := w.Stats().Calls["instagram"].Requests - before; n > 10+int(took/(100*time.Millisecond)) {
				t.Errorf("%d calls in %s of an outage with pauses of 0.2 s", n, took)
			}
			for _, j := range w.jobs("") {
				if j.Attempt > 4 || j.State == "dead" {
					t.Errorf("job %+v", j)
				}
			}
			if _, body := sv.get("/metrics", ""); !strings.Contains(body, `sumbi_outage_since_seconds{upstream="instagram"}`) {
				t.Error("the metrics do not say it")
			}
			if way == "502" {
				w.SetFaults(sim.Faults{})
			} else {
				sv.term()
				w.write("sumbi.toml", conf)
				sv = w.serve()
			}
			w.until("the run ends", w.runDone(w.state(), 1))
			w.grade()
			if out := w.mustRun("status"); strings.Contains(out, "does not answer") {
				t.Error(out)
			}
			sv.term()
		})
	}
}

// TestStopOfEveryKindOfStep stops the program while a page, an upload and a search are in flight: by the signal of a terminal and
// by that of a supervisor. It ends in order; no attempt is counted, nothing is lost or paid twice.
func TestStopOfEveryKindOfStep(t *testing.T) {
	t.Parallel()
	slow := sim.HTTPFaults{Slow: sim.Often(1)}
	for name, f := range map[string]struct {
		faults sim.Faults
		flight string // upstream whose call is to be in flight
		sig    syscall.Signal
	}{
		"page, SIGTERM":   {sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: slow}}, "instagram", syscall.SIGTERM},
		"upload, SIGINT":  {sim.Faults{OpenAI: sim.OpenAIFaults{HTTPFaults: slow}}, "openai", syscall.SIGINT},
		"search, SIGTERM": {sim.Faults{Naver: sim.NaverFaults{HTTPFaults: slow}}, "naver", syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sim.Options{
				Seed: 36, Accounts: 3, Posts: 20, BatchStep: 20 * time.Millisecond,
				Latency: 30 * time.Millisecond, OpenAILatency: 30 * time.Millisecond, SearchLatency: 30 * time.Millisecond, Faults: f.faults,
			}, "")
			sv := w.begin("run", "matzip")
			w.until(f.flight+" is asked", func() bool { return w.Stats().Calls[f.flight].InFlight > 0 })
			sv.stop(f.sig, 20*time.Second)
			for _, j := range w.jobs("") {
				if j.Attempt != 0 || j.State == "running" || j.State == "dead" {
					t.Errorf("job %+v", j)
				}
			}
			w.mustRun("run", "matzip")
			w.grade()
			w.paidTwice()
			if n := w.Stats().PagesAgain; n != 0 {
				t.Errorf("%d pages fetched again after an orderly stop", n)
			}
		})
	}
}

// TestSecondSignal ends the process at once, although a call is in flight that would be waited for.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sim.Options{Seed: 37, Accounts: 2, Posts: 12, Faults: sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Stall: sim.Often(1)}}}}, `every = "72h"`)
			p := w.serve()
			w.until("a page is asked for", func() bool { return w.Stats().Calls["instagram"].InFlight > 0 })
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			w.until("the first signal is heard", func() bool { // two at once are one
				_, body := p.get("/readyz", "")
				return strings.Contains(body, "stopping")
			})
			time.Sleep(200 * time.Millisecond) // the next one has its usual effect a moment later
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.done:
			case <-time.After(15 * time.Second): // the calls in flight would be waited for 25 s
				t.Fatal("it does not end at the second signal")
			}
			if p.cmd.ProcessState.Exited() {
				t.Errorf("it ended by itself: %v", p.cmd.ProcessState)
			}
			w.SetFaults(sim.Faults{})
			for _, j := range w.jobs("") {
				if j.Attempt != 0 {
					t.Errorf("job %+v", j)
				}
			}
			w.mustRun("run", "matzip")
			w.grade()
		})
	}
}

// begin starts the program without waiting for anything.
func (w *world) begin(args ...string) *served {
	w.t.Helper()
	p := &served{w: w, cmd: w.cmd(args...), done: make(chan error, 1)}
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	w.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// stop sends a signal and wants the end within some time; its exit status is the program's own.
func (s *served) stop(sig syscall.Signal, within time.Duration) {
	s.w.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.w.t.Fatal(err)
	}
	select {
	case <-s.done:
		if !s.cmd.ProcessState.Exited() {
			s.w.t.Errorf("it was ended by the signal, not in order: %v", s.cmd.ProcessState)
		}
	case <-time.After(within):
		s.w.t.Fatalf("it does not stop after %v:\n%s", sig, s.text())
	}
}

// TestUpstreamsAreNamed keeps the tables above in step with sim.
func TestUpstreamsAreNamed(t *testing.T) {
	t.Parallel()
	if got := slices.Sorted(maps.Keys(wrongKeys)); !slices.Equal(got, slices.Sorted(slices.Values(upstreams))) {
		t.Errorf("wrong keys of %v", got)
	}
}
