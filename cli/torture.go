package cli

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sumbi/sim"
)

// How often the imitations of a torture are called and how long they take. They allow more, so a start that does not wait for its window
// is looked for by itself.
const (
	tortureInstagramPerSecond = 24
	tortureSearchPerSecond    = 240
	tortureWindow             = 750 * time.Millisecond // the least between the last call and the first after a start; the real one is a second
	tortureLatency            = 500 * time.Millisecond
	tortureLines              = 60              // of a batch, so that there are many
	tortureRate               = 0.03            // of each fault
	tortureSilence            = 5 * time.Minute // without any call, after which sumbi hangs: the longest rest of a suspect that kills can cause is four
	quietRuns                 = 5               // runs without faults that may be needed to make good what faults have left
)

var errTorture = errors.New("the torture found what must not be; the table above says what")

// torture runs the main job undisturbed, then again while it is killed and everything goes wrong, and compares.
func (d demoCmd) torture(e *env) error {
	faults, err := d.faults()
	if err != nil {
		return usageError{err}
	}
	if d.Kills < 0 {
		return usageError{errors.New("--kills is a number from 0 up")}
	}
	dir, err := os.MkdirTemp("", "sumbi-torture-")
	if err != nil {
		return err
	}
	t := &torture{env: e, demo: d, began: time.Now(), most: tortureSilence}
	ok, err := t.run(dir, faults)
	t.clear()
	if err != nil || !ok {
		fmt.Fprintf(e.Stderr, "what it has left, logs and state files, is in %s\n", dir)
		if err == nil {
			err = errTorture
		}
		return err
	}
	return os.RemoveAll(dir)
}

func (d demoCmd) faults() (sim.Faults, error) {
	switch d.Faults {
	case "all":
		f := sim.AllFaults(tortureRate)
		f.StallFor = tortureLatency / 2
		return f, nil
	case "none", "":
		return sim.Faults{}, nil
	}
	f, err := sim.SomeFaults(tortureRate, strings.Split(d.Faults, ",")...)
	f.StallFor = tortureLatency / 2
	return f, err
}

// torture is one run of it.
type torture struct {
	env   *env
	demo  demoCmd
	began time.Time
	most  time.Duration // that a process may call nobody

	kills, stops, runs int
	early              int // starts that did not wait for their window
	phase              string
	shown              time.Time
	line               *live // nil: no terminal
}

func (t *torture) run(dir string, faults sim.Faults) (ok bool, err error) {
	o := sim.Options{
		Seed: t.demo.Seed, Accounts: t.demo.Accounts, Posts: t.demo.Posts, Epoch: time.Now().UTC().Truncate(24 * time.Hour),
		Latency: tortureLatency, Jitter: 0.4, OpenAILatency: tortureLatency / 10, SearchLatency: tortureLatency / 50, CountRefused: true,
		InstagramPerSecond: tortureInstagramPerSecond * spare, NaverPerSecond: tortureSearchPerSecond * spare, KakaoPerSecond: tortureSearchPerSecond * spare,
		BatchStep: 150 * time.Millisecond, ListDelay: 300 * time.Millisecond,
	}
	calm, err := newStage(t.env.Schema, dir, "calm", o, t.demo.Finder)
	if err != nil {
		return false, err
	}
	defer calm.close()
	fmt.Fprintf(t.env.Stdout, "%d invented influencers, %d posts; first undisturbed, then with %d kills and faults: %s\n", t.demo.Accounts, len(calm.world.Posts()), t.demo.Kills, t.demo.Faults)
	t.phase = "undisturbed"
	if err := t.toTheEnd(calm); err != nil {
		return false, fmt.Errorf("undisturbed: %w", err)
	}
	want, err := calm.places(t.env.ctx)
	if err != nil {
		return false, err
	}
	o.Faults = faults
	hurt, err := newStage(t.env.Schema, dir, "tortured", o, t.demo.Finder)
	if err != nil {
		return false, err
	}
	defer hurt.close()
	if err := t.hurt(hurt, calm.counts()); err != nil {
		return false, err
	}
	t.phase = "without faults, until nothing is left"
	hurt.world.SetFaults(sim.Faults{})
	for quiet := false; !quiet; {
		if t.runs++; t.runs > quietRuns {
			return false, fmt.Errorf("after %d runs without faults there are still lists that could not be walked to their end", quietRuns)
		}
		hurt.world.NextRun()
		if err := t.toTheEnd(hurt); err != nil {
			return false, err
		}
		seen, err := hurt.inspect(t.env.ctx)
		if err != nil {
			return false, err
		}
		quiet = seen.quiet
	}
	return t.report(hurt, want)
}

// hurt lets the main job run and kills it by the plan. A run that ends before all kills are used is followed by one over
// whole lists.
func (t *torture) hurt(s *stage, undisturbed map[string]int) error {
	rng := rand.New(rand.NewPCG(t.demo.Seed, 0x746f72747572))
	p := newPlan(rng, t.demo.Kills, undisturbed)
	args := []string{"run", "matzip"}
	fruitless := 0
	for {
		killed, err := t.once(s, p, args...)
		if err != nil {
			return err
		}
		if killed {
			fruitless = 0
			continue
		}
		if s.status != exitDone { // it stopped, as it does when a person is needed: the next start goes on
			t.stops++
			if fruitless++; fruitless > 10 {
				return fmt.Errorf("sumbi ended ten times in a row without being killed:\n%s", s.tail())
			}
			continue
		}
		s.world.NextRun()
		if p.left() == 0 {
			return nil
		}
		p.again(s.counts(), undisturbed)
		args = []string{"run", "matzip", "--full"}
	}
}

// once starts sumbi and kills it when the plan says so; killed is false when it ended by itself.
func (t *torture) once(s *stage, p *plan, args ...string) (killed bool, err error) {
	ctx := t.env.ctx
	if err := s.start(ctx, args...); err != nil {
		return false, err
	}
	began, before, first := time.Now(), s.world.Calls(), s.counts()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last, heard := first, began
	for {
		calls := s.counts()
		if !maps.Equal(calls, last) {
			last, heard = calls, time.Now()
		}
		if time.Since(heard) > t.most {
			_ = s.cmd.Process.Kill() // it may have ended by itself
			<-s.done
			return false, fmt.Errorf("sumbi called nobody for %s and did not end:\n%s", t.most, s.tail())
		}
		t.show(calls)
		t.tooEarly(s, before)
		if delay, now := p.due(calls, first, time.Since(began)); now {
			select {
			case <-s.done:
			case <-time.After(delay):
				_ = s.cmd.Process.Kill() // it may have ended by itself
				<-s.done
			}
			return t.afterKill(s)
		}
		select {
		case <-s.done:
			return false, s.ended(ctx)
		case <-tick.C:
		}
	}
}

// tooEarly counts the upstreams whose first call since the start came within one window of the last one before. Each is looked at once.
func (t *torture) tooEarly(s *stage, before map[string]sim.Calls) {
	for name, now := range s.world.Calls() {
		last, known := before[name]
		if name == "openai" || !known || now.Requests == last.Requests { // OpenAI has no limit of calls
			continue
		}
		if now.Last.Sub(last.Last) < tortureWindow {
			t.early++
		}
		delete(before, name)
	}
}

// afterKill tells the world what was in flight. A process that ended just before the kill was not killed.
func (t *torture) afterKill(s *stage) (killed bool, err error) {
	ctx := t.env.ctx
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if !s.wasKilled() {
		return false, s.ended(ctx)
	}
	t.kills++
	if err := s.quiet(ctx); err != nil {
		return true, err
	}
	seen, err := s.inspect(ctx)
	if err != nil {
		return true, err
	}
	s.world.Killed(func(list string) (time.Time, bool) {
		at, ok := seen.busy[list]
		return at, ok
	})
	if seen.ended {
		s.world.NextRun()
	}
	return true, nil
}

// toTheEnd runs sumbi until its run is done.
func (t *torture) toTheEnd(s *stage) error {
	for range 10 {
		if _, err := t.once(s, &plan{}, "run", "matzip"); err != nil {
			return err
		}
		if s.status == exitDone {
			return nil
		}
		t.stops++
	}
	return fmt.Errorf("the run does not come to its end:\n%s", s.tail())
}

// show keeps one line of progress on a terminal.
func (t *torture) show(calls map[string]int) {
	if time.Since(t.shown) < 200*time.Millisecond {
		return
	}
	t.shown = time.Now()
	if t.line == nil {
		if t.line = newLive(t.env); t.line == nil {
			return
		}
	}
	n := 0
	for _, c := range calls {
		n += c
	}
	text := fmt.Sprintf("%s  killed %d of %d, %d calls  %s", time.Since(t.began).Round(time.Second), t.kills, t.demo.Kills, n, t.phase)
	t.line.show(func(width int) string { return clip(text, width) })
}

func (t *torture) clear() {
	if t.line != nil {
		t.line.end()
	}
}

// report prints what the torture has done. ok is false when something is not zero that must be.
func (t *torture) report(s *stage, want map[string]string) (ok bool, err error) {
	ctx := t.env.ctx
	got, err := s.places(ctx)
	if err != nil {
		return false, err
	}
	posts, err := s.posts(ctx)
	if err != nil {
		return false, err
	}
	st, truth := s.world.Stats(), s.world.Posts()
	lost, more := 0, len(posts)
	for id := range truth {
		if !slices.Contains(posts, id) {
			lost++
		} else {
			more--
		}
	}
	refused, injected := 0, 0
	for _, c := range st.Calls {
		refused, injected = refused+c.Refused-c.Injected, injected+c.Injected
	}
	wrong := differing(want, got)
	t.clear()
	rows := []struct {
		what string
		n    int
		of   string
	}{
		{"posts lost", lost, fmt.Sprintf("of %d", len(truth))},
		{"posts doubled", more, ""},
		{"places wrong", len(wrong), fmt.Sprintf("of %d of the undisturbed run", len(want))},
		{"pages fetched again", st.Repeats - st.RepeatsExcused, fmt.Sprintf("and %d that were in flight at a kill, or whose answer was a fault", st.RepeatsExcused)},
		{"lines paid twice", st.LinesAgain + st.CaptionsAgain, fmt.Sprintf("of %d", st.Lines)},
		{"batches doubled", st.BatchesAgain, fmt.Sprintf("of %d", st.Batches)},
		{"calls refused", refused, fmt.Sprintf("and %d that are faults", injected)},
		{"starts that called too early", t.early, ""},
		{"healthy jobs that died", len(s.dead), ""},
	}
	w := tabwriter.NewWriter(t.env.Stdout, 0, 8, 2, ' ', 0)
	ok = true
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%6d\t%s\n", r.what, r.n, r.of)
		ok = ok && r.n == 0
	}
	if err := w.Flush(); err != nil {
		return false, err
	}
	t.explain(wrong, want, got, s.dead)
	d := t.demo
	again := fmt.Sprintf("sumbi demo --torture --kills %d --faults %s --seed %d --accounts %d --posts %d --finder %s", d.Kills, d.Faults, d.Seed, d.Accounts, d.Posts, d.Finder)
	fmt.Fprintf(t.env.Stdout, "%d kills, %d other stops, then %s without faults; %s. Repeat it with: %s\n", t.kills, t.stops, plural(t.runs, "run", "runs"), time.Since(t.began).Round(time.Second), again)
	return ok, nil
}

// explain shows some of what is wrong.
func (t *torture) explain(wrong []string, want, got map[string]string, dead map[string]string) {
	for _, id := range wrong[:min(len(wrong), 3)] {
		fmt.Fprintf(t.env.Stdout, "undisturbed: %s\ntortured:    %s\n", want[id], got[id])
	}
	for _, name := range slices.Sorted(maps.Keys(dead)) {
		fmt.Fprintf(t.env.Stdout, "dead: %s: %s\n", name, dead[name])
	}
}

// differing are the ids under which two exports do not say the same.
func differing(a, b map[string]string) []string {
	var ids []string
	for id, text := range a {
		if b[id] != text {
			ids = append(ids, id)
		}
	}
	for id := range b {
		if _, ok := a[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
