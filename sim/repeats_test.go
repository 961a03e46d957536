package sim_test

import (
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

// repeats wants the calls for pages that were asked before, and how many of them had reason to.
func (c *client) repeats(what string, all, excused int) {
	c.t.Helper()
	if st := c.s.Stats(); st.Repeats != all || st.RepeatsExcused != excused {
		c.t.Errorf("%s: %d repeats, %d excused; want %d, %d", what, st.Repeats, st.RepeatsExcused, all, excused)
	}
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, Posts: 60})
	a := c.s.Accounts()[0]
	token := *c.page("posts", a, "").Token
	c.page("posts", a, token)
	c.repeats("a walk", 0, 0)
	c.page("posts", a, token)
	c.repeats("a page again", 1, 0)

	for what, f := range map[string]sim.InstagramFaults{
		"500":           {HTTPFaults: sim.HTTPFaults{Error500: sim.Times(1)}},
		"cut":           {HTTPFaults: sim.HTTPFaults{Cut: sim.Times(1)}},
		"same token":    {RepeatToken: sim.Times(1)},
		"no items":      {EmptyPage: sim.Times(1)},
		"refused token": {RefuseToken: sim.Times(1)},
	} {
		c.s.ResetStats()
		c.page("posts", a, "")
		c.s.SetFaults(sim.Faults{Instagram: f})
		c.insta("posts", a, token)
		c.s.SetFaults(sim.Faults{})
		c.page("posts", a, token)
		c.repeats(what, 1, 1)
		// Only a refused token sends its caller back to the top.
		c.page("posts", a, "")
		if what == "refused token" {
			c.repeats(what, 2, 2)
		} else {
			c.repeats(what, 2, 1)
		}
	}

	c.s.ResetStats()
	c.page("posts", a, "")
	c.s.NextRun()
	c.page("posts", a, "")
	c.repeats("another run", 0, 0)
}

func TestRepeatsAfterAKill(t *testing.T) {
	t.Parallel()
	busy := func(list string, since time.Time) func(string) (time.Time, bool) {
		return func(l string) (time.Time, bool) { return since, l == list }
	}
	for _, tt := range []struct {
		name    string
		list    string
		since   func(before, after time.Time) time.Time
		excused int
	}{
		{"answered, but not taken yet", "posts", func(before, _ time.Time) time.Time { return before }, 1},
		{"busy with the page behind it", "posts", func(_, after time.Time) time.Time { return after }, 0},
		{"busy with another list", "reels", func(before, _ time.Time) time.Time { return before }, 0},
	} {
		c := start(t, sim.Options{Accounts: 1, Posts: 60})
		a := c.s.Accounts()[0]
		before := time.Now()
		c.page("posts", a, "")
		c.s.Killed(busy(a+"/"+tt.list, tt.since(before, time.Now())))
		c.page("posts", a, "")
		c.repeats(tt.name, 1, tt.excused)
	}
}

// What is refused by chance is no call too many.
func TestInjectedRefusals(t *testing.T) {
	t.Parallel()
	bubble(t, sim.Options{Accounts: 1, InstagramPerSecond: 2, Faults: sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Throttle: sim.Times(1)}}}}, func(t *testing.T, c *client) {
		for range 4 {
			c.insta("posts", c.s.Accounts()[0], "")
		}
		n := c.s.Stats().Calls["instagram"]
		if n.Injected != 1 || n.Refused < 2 {
			t.Errorf("%d refused, %d by a fault; want at least 2, 1", n.Refused, n.Injected)
		}
	})
}

// Two batches that run at the same time pay for the same line twice, although none of them has shown an answer yet.
func TestPaidTwiceAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, BatchStep: 100 * time.Millisecond})
	var lines []string
	for id, p := range c.captions(3) {
		lines = append(lines, line(id, p.Caption))
	}
	file := c.file(strings.Join(lines, "\n") + "\n")
	first, second := c.create(file, "가").object(t)["id"].(string), c.create(file, "나").object(t)["id"].(string)
	c.until(first, "completed")
	c.until(second, "completed")
	if st := c.s.Stats(); st.LinesAgain != 3 || st.CaptionsAgain != 3 || st.BatchesAgain != 0 {
		t.Errorf("%d lines and %d captions again, %d batches; want 3, 3, 0", st.LinesAgain, st.CaptionsAgain, st.BatchesAgain)
	}
}

// Answers that nobody can ever see are no good ones: asking again is no second payment.
func TestLostAnswersAreNoPayment(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, Faults: sim.Faults{OpenAI: sim.OpenAIFaults{NoOutputFile: sim.Times(1)}}})
	for id, p := range c.captions(1) {
		c.batch(line(id, p.Caption))
		c.batch(line(id, p.Caption))
	}
	if st := c.s.Stats(); st.Lines != 2 || st.LinesAgain+st.CaptionsAgain != 0 {
		t.Errorf("%d lines, %d again; want 2, 0", st.Lines, st.LinesAgain)
	}
}

func TestNamedFaults(t *testing.T) {
	t.Parallel()
	f, err := sim.SomeFaults(0.5, "cut", "openai.createLost", "naver.slow=0.25")
	if err != nil {
		t.Fatal(err)
	}
	half := sim.Often(0.5)
	if f.Instagram.Cut != half || f.Kakao.Cut != half || f.OpenAI.CreateLost != half || f.Naver.Stall != (sim.Fault{}) || f.Naver.Slow != sim.Often(0.25) {
		t.Errorf("%+v", f)
	}
	if _, err := sim.SomeFaults(0.5, "맛없음"); err == nil || !strings.Contains(err.Error(), "createlost") {
		t.Errorf("an unknown fault: %v", err)
	}
	if _, err := sim.SomeFaults(0.5, "cut=2"); err == nil {
		t.Error("a probability of 2 is accepted")
	}
	all := sim.AllFaults(0.1)
	if all.OpenAI.Stuck != (sim.Fault{}) || all.Instagram.PostVanishes != (sim.Fault{}) || all.OpenAI.UploadCut == (sim.Fault{}) || all.Instagram.Stall == (sim.Fault{}) {
		t.Errorf("%+v", all)
	}
}
