package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/sim"
)

// The days that the velog demo lets pass, when it looks on each, and what goes wrong.
const (
	demoDays  = 7
	demoFails = 0.1 // of statistics
)

// velog runs a week of views against the imitation, whose clock it moves, and compares the days with the truth.
func (d demoCmd) velog(e *env) error {
	world := sim.New(sim.Options{
		Seed: d.Seed, Accounts: 1, Posts: 1,
		Velog:  sim.VelogOptions{Now: time.Now, Posts: 12, QuietDays: []int{3}},
		Faults: sim.Faults{Velog: sim.VelogFaults{Timeout: sim.Fault{Rate: demoFails / 2}, Internal: sim.Fault{Rate: demoFails / 2}}},
	})
	base, stop, err := world.Start()
	if err != nil {
		return err
	}
	defer stop()
	c, err := d.config(e, base, nil)
	if err != nil {
		return err
	}
	c.Velog.StatsURL, c.Velog.UsersURL, c.Velog.PerSecond = base+sim.VelogCDNPath, base+sim.VelogV3Path, 0
	c.Velog.Slow = time.Minute + time.Second
	c.Secrets.Key = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26" // of a world that is gone in a minute
	c.Pipelines = []config.Pipeline{{Kind: "velog", Name: "velog"}}
	s, err := e.open(c.State, queue.Owner)
	if err != nil {
		return err
	}
	defer s.Close()
	v := world.Velog()
	s.Now = v.Now
	m := newMetrics(s, c, e.Version, e.log)
	b, err := e.Build(e.ctx, c, s, m.reg, e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	shown, hide := d.show(e, e.page(c, s, b, m))
	defer hide()
	fmt.Fprintf(e.Stdout, "%d invented users of an imitated velog on %s, where a day passes in a moment; one statistic in ten fails; the state is %s\n", len(v.Users()), base, c.State)
	for _, u := range v.Users() {
		if _, err := b.Engine.HandIn(e.ctx, b.Engine.Pipelines[0], u.Username, "access_token="+u.AccessToken+"; refresh_token="+u.RefreshToken); err != nil {
			return err
		}
	}
	first := queue.Day(v.Now().Add(untilLook(v.Now(), 22)))
	for day := range demoDays {
		// Views end at 22:00 in Korea; who looks after that sees the whole day.
		for _, hour := range []int{22, 23} {
			v.Advance(untilLook(v.Now(), hour))
			run, err := runCmd{Pipeline: "velog"}.ask(e, s)
			if err != nil {
				return err
			}
			if run, err = b.Engine.RunOnce(e.ctx, run.ID); err != nil {
				return err
			}
			if run.State != queue.RunDone {
				return fmt.Errorf("stopped before the end")
			}
		}
		if day < demoDays-1 {
			v.Advance(2 * time.Hour)
		}
	}
	if err := d.reportVelog(e, s, v, first); err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "look around:\n  sqlite3 -box %[1]s \"select account, record, day, n from v_days where what = 'views' order by record, day limit 14\"\n", c.State)
	if d.Stay && shown {
		fmt.Fprintln(e.Stdout, "the page stays open until you interrupt this")
		<-e.ctx.Done()
	}
	return nil
}

// untilLook is how long it takes until the clock shows half past an hour in Korea: a clock never goes back.
func untilLook(now time.Time, hour int) time.Duration {
	now = now.In(korea)
	look := time.Date(now.Year(), now.Month(), now.Day(), hour, 30, 0, 0, korea)
	if look.Before(now) {
		look = look.AddDate(0, 0, 1)
	}
	return look.Sub(now)
}

// reportVelog prints the days of each user, and fails when one is not that of the truth.
func (d demoCmd) reportVelog(e *env, s *queue.Store, v *sim.Velog, first string) error {
	members, err := s.Members(e.ctx, "velog")
	if err != nil {
		return err
	}
	today := queue.Day(s.Now())
	days := jobs.Span{First: first, Last: today, Today: today}
	t := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	right, wrong := 0, 0
	for i, m := range members {
		doc, err := jobs.VelogUser(e.ctx, s, m, days)
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Fprint(t, "USER\tPOSTS\tIN ALL\t")
			for _, x := range doc.Days[1:] {
				fmt.Fprintf(t, "%s\t", x.Day.Day[5:])
			}
			fmt.Fprintln(t)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t", m.Target, doc.Posts, counted(doc.Views))
		for _, x := range doc.Days[1:] {
			fmt.Fprintf(t, "%s\t", counted(x.Views))
		}
		fmt.Fprintln(t)
		for _, p := range doc.PostList {
			post, err := jobs.VelogPost(e.ctx, s, p.ID, days)
			if err != nil {
				return err
			}
			views := map[string]*int64{}
			for _, x := range post.Days[1:] {
				views[x.Day] = x.Views
			}
			for _, want := range v.Truth(p.ID) {
				got, asked := views[want.Day]
				switch {
				case !asked || got == nil:
				case *got == want.Views:
					right++
				default:
					wrong++
				}
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	st := v.Stats().All
	fmt.Fprintf(e.Stdout, "%s of posts like the truth, %d not; %s, %d of %d statistics failed, %s renewed, %d calls with somebody else's session\n",
		plural(right, "day", "days"), wrong, plural(st.Requests, "request", "requests"), st.Failed, st.Stats, plural(st.Renewed, "session", "sessions"), st.Foreign)
	if wrong > 0 || st.Foreign > 0 || right == 0 {
		return errDemoWrong
	}
	return nil
}

func counted(n *int64) string {
	if n == nil {
		return "?"
	}
	return grouped(int(*n))
}
