package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

const velogKey = "SUMBI_KEY=4f1d0a2b8c3e5d6f7081928374a5b6c7d8e9f00112233445566778899aabbccd"

// newVelogWorld is a world whose pipeline is velog. Time passes there as it does here, and when its clock is moved.
func newVelogWorld(t *testing.T, o sim.Options) *world {
	t.Helper()
	o.Velog.Now = time.Now
	o.Accounts, o.Posts = 1, 1
	w := newWorld(t, o, "")
	top := ""
	if w.database != "" {
		top = `state = "postgres"`
	}
	w.write("sumbi.toml", fmt.Sprintf(`listen = "127.0.0.1:0"
%s
[velog]
stats_url = "%s%s"
users_url = "%s%s"
per_second = 0
[queue]
backoff = "10ms"
[[pipeline]]
kind = "velog"
user_every = "0s"
`, top, w.base, sim.VelogCDNPath, w.base, sim.VelogV3Path))
	w.env = append(w.env, velogKey)
	return w
}

// login hands a session in on the standard input.
func (w *world) login(u sim.VelogUser, args ...string) (status int, text string) {
	w.t.Helper()
	c := w.cmd(append([]string{"login", "velog"}, args...)...)
	c.Stdin = strings.NewReader("access_token=" + u.AccessToken + "; refresh_token=" + u.RefreshToken + "\n")
	out, _ := c.CombinedOutput() // the status says it
	return c.ProcessState.ExitCode(), string(out)
}

// TestVelogFromEndToEnd hands sessions in, reads statistics, and meets a session that ends.
func TestVelogFromEndToEnd(t *testing.T) {
	t.Parallel()
	w := newVelogWorld(t, sim.Options{Seed: 21, Velog: sim.VelogOptions{Users: 3, Posts: 5}})
	v := w.Velog()
	all := v.Users()
	if out := w.mustRun("plan", "velog"); !strings.Contains(out, "sumbi login velog") && w.database == "" {
		t.Errorf("plan of nothing: %s", out)
	}
	var said strings.Builder
	for _, u := range all {
		status, text := w.login(u)
		if said.WriteString(text); status != 0 || !strings.Contains(text, "the log-in of "+u.Username+" is stored, encrypted") {
			t.Fatalf("login: %d %s", status, text)
		}
	}
	if status, text := w.login(all[2], all[0].Username); status != 1 || !strings.Contains(text, "not of "+all[0].Username) {
		t.Errorf("somebody else's: %d %s", status, text)
	}
	status, out, errs := w.run("run", "velog")
	if said.WriteString(out + errs); status != 0 {
		t.Fatalf("run: %d %s%s", status, out, errs)
	}
	// What is read of each post is no further post.
	posts := strings.TrimSpace(w.query("select count(*) from record where stream = 'velog_post'"))
	if posts == "0" || !strings.Contains(out, " "+posts+" new posts, 0 changed") {
		t.Errorf("run of %s posts: %s", posts, out)
	}
	if out := w.mustRun("status"); !strings.Contains(out, ": "+posts+" posts of 3 accounts") {
		t.Errorf("status of %s posts: %s", posts, out)
	}
	plan := w.mustRun("plan", "velog")
	if !strings.Contains(plan, "plan of velog: 3 users") {
		t.Errorf("plan: %s", plan)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "sumbi.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for per, slow := range map[string]bool{"0.01": false, "0.001": true} { // half an hour, five hours
		w.write("slow.toml", strings.Replace(string(text), "per_second = 0", "per_second = "+per, 1))
		if plan := w.mustRun("plan", "velog", "--config", "slow.toml"); strings.Contains(plan, "the ends of days will be missed") != slow {
			t.Errorf("plan at %s a second: %s", per, plan)
		}
	}
	if err := v.Kill(all[0].Username); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		status, out, errs = w.run("run", "velog", "-v")
		if said.WriteString(out + errs); status != 0 {
			t.Fatalf("run: %d %s%s", status, out, errs)
		}
	}
	st := v.Stats().All
	if st.Dead != 1 || st.DeadAgain != 0 || st.Foreign != 0 {
		t.Errorf("calls with a session that had ended %d, again %d, of somebody else %d", st.Dead, st.DeadAgain, st.Foreign)
	}
	out = w.mustRun("status")
	if said.WriteString(out); !strings.Contains(out, "WAITS FOR YOU: the log-in of "+all[0].Username+" in velog is dead since ") {
		t.Errorf("status: %s", out)
	}
	// A new session, and all is well.
	u, err := v.Login(all[0].Username)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := w.login(u); status != 0 {
		t.Errorf("login: %d %s", status, text)
	}
	w.mustRun("run", "velog")
	if out := w.mustRun("status"); strings.Contains(out, "WAITS FOR YOU") {
		t.Errorf("status: %s", out)
	}
	for _, u := range append(all, u) {
		for _, token := range []string{u.AccessToken, u.RefreshToken} {
			if strings.Contains(said.String(), token) {
				t.Error("a token is shown")
			}
			if w.database == "" && w.anyFileHas(token) {
				t.Error("a token can be read in the state")
			}
		}
	}

	// One who goes is not asked for any more; his numbers stay.
	if out := w.mustRun("logout", "velog", "@"+all[2].Username); !strings.Contains(out, "the log-in of "+all[2].Username+" is forgotten") {
		t.Errorf("logout: %s", out)
	}
	if status, _, errs := w.run("logout", "velog", all[2].Username); status != 1 || !strings.Contains(errs, all[2].Username+" has no log-in in velog") {
		t.Errorf("logout again: %d %s", status, errs)
	}
	before := v.Stats()
	w.mustRun("run", "velog")
	if after := v.Stats(); after.Users[all[2].ID].Requests != before.Users[all[2].ID].Requests || after.All.Requests == before.All.Requests {
		t.Errorf("asked after the log-out: %+v, before %+v", after, before)
	}
	if n := w.query("select count(*) from record where target = '" + all[2].Username + "' and stream = 'velog_post' and gone_at is null"); strings.TrimSpace(n) == "0" {
		t.Error("his posts are gone")
	}

	// Without its key, and with another one, nothing runs and nothing is lost.
	env := slices.Clone(w.env)
	w.env = w.env[:len(w.env)-1]
	if status, _, errs := w.run("run", "velog"); status != 2 || !strings.Contains(errs, `SUMBI_KEY is not set: pipeline "velog"`) {
		t.Errorf("without a key: %d %s", status, errs)
	}
	w.env = append(w.env, "SUMBI_KEY="+strings.Repeat("ab", 32))
	if status, _, errs := w.run("run", "velog"); status != 1 || !strings.Contains(errs, "which SUMBI_KEY does not open") {
		t.Errorf("with another key: %d %s", status, errs)
	}
	w.env = append(w.env, "SUMBI_KEY_OLD="+strings.TrimPrefix(velogKey, "SUMBI_KEY="))
	w.mustRun("run", "velog")
	w.env = w.env[:len(w.env)-1]
	w.mustRun("run", "velog")
	w.env = env
	if status, _, errs := w.run("run", "velog"); status != 1 {
		t.Errorf("with the old key: %d %s", status, errs)
	}
}

// TestVelogRunOfOneUser asks a serve for a run of some users, by the names that velog knows.
func TestVelogRunOfOneUser(t *testing.T) {
	t.Parallel()
	w := newVelogWorld(t, sim.Options{Seed: 23, Velog: sim.VelogOptions{Users: 1, Posts: 1}})
	w.mustRun("run", "velog") // or serve would begin with it
	sv := w.serve()
	for name, want := range map[string]string{
		"https://velog.io/@Some-Name_두부": `"accounts":["Some-Name_두부"]`,
		"두부 두모":                          "this is not a user of velog",
	} {
		resp, err := http.Post("http://"+sv.addr+"/api/v1/runs", "application/json", strings.NewReader(`{"pipeline":"velog","accounts":["`+name+`"]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %s, %v, want %s", name, resp.Status, body, err, want)
		}
	}
	sv.term()
}

func (w *world) anyFileHas(text string) bool {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// TestVelogKilledWhileSessionsAreRenewed kills the program while velog's answer with a new session is on its way or has just come,
// again and again. Nobody loses his session.
func TestVelogKilledWhileSessionsAreRenewed(t *testing.T) {
	t.Parallel()
	kills := 50
	if os.Getenv("SUMBI_TEST_ENGINE") != "" {
		kills = 10
	}
	w := newVelogWorld(t, sim.Options{Seed: 22, Velog: sim.VelogOptions{Users: 3, Posts: 2, Latency: 2 * time.Millisecond}})
	v := w.Velog()
	for _, u := range v.Users() {
		if status, text := w.login(u); status != 0 {
			t.Fatalf("login: %d %s", status, text)
		}
	}
	w.mustRun("run", "velog")
	died := 0
	for i := range kills {
		v.Advance(23*time.Hour + 45*time.Minute) // every session is due
		before := v.Stats().All.Renewed
		// What comes after the first answers waits, so that the program is still there when it is killed.
		w.SetFaults(sim.Faults{Velog: sim.VelogFaults{HTTPFaults: sim.HTTPFaults{Stall: sim.Fault{Rate: 1, Skip: 3}}}})
		c := w.cmd("run", "velog")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
	watch:
		for {
			select {
			case <-ended:
				break watch
			default:
			}
			if v.Stats().All.Renewed > before {
				time.Sleep(time.Duration(i%10) * 500 * time.Microsecond)
				if c.Process.Kill() == nil {
					<-ended
					died++
				}
				break watch
			}
			time.Sleep(100 * time.Microsecond)
		}
		w.SetFaults(sim.Faults{})
		if status, out, errs := w.run("run", "velog"); status != 0 {
			t.Fatalf("after kill %d: %d %s%s", i, status, out, errs)
		}
	}
	st := v.Stats().All
	t.Logf("killed %d times; %d sessions renewed, %d requests", died, st.Renewed, st.Requests)
	if died < kills {
		t.Errorf("killed %d times, want %d", died, kills)
	}
	if st.Dead+st.DeadAgain+st.Foreign+st.Cleared > 0 {
		t.Errorf("sessions were lost: %+v", st)
	}
	if out := w.mustRun("status"); strings.Contains(out, "WAITS FOR YOU") {
		t.Errorf("status: %s", out)
	}
	for _, u := range v.Users() {
		if n := v.Stats().Users[u.ID]; n.Renewed < kills {
			t.Errorf("%s: renewed %d times in %d days", u.Username, n.Renewed, kills)
		}
	}
}

// TestVelogDoctor looks at what doctor says of velog: without a log-in, with one that has to be renewed, and with a dead one.
func TestVelogDoctor(t *testing.T) {
	t.Parallel()
	w := newVelogWorld(t, sim.Options{Seed: 22, Velog: sim.VelogOptions{Users: 2, Posts: 2}})
	w.env = append(w.env, "RAPIDAPI_KEY=", "OPENAI_API_KEY=", "NAVER_CLIENT_ID=", "NAVER_CLIENT_SECRET=", "KAKAO_REST_API_KEY=", "OPENAI_WEBHOOK_SECRET=") // nothing else is asked
	v := w.Velog()
	look := func(when string, status int, wants ...string) {
		t.Helper()
		got, out, errs := w.run("doctor")
		if got != status {
			t.Errorf("%s: status %d: %s%s", when, got, out, errs)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: it does not say %q:\n%s", when, want, out)
			}
		}
		if strings.Contains(out, "instagram") {
			t.Errorf("%s: instagram is asked, which nothing uses:\n%s", when, out)
		}
	}
	look("nobody", 0, "ok   velog, without a log-in\n")
	u := v.Users()[0]
	if status, text := w.login(u); status != 0 {
		t.Fatalf("login: %d %s", status, text)
	}
	before := v.Stats().All
	look("one", 0, "ok   velog, the session of "+u.Username+"\n")
	if now := v.Stats().All; now.CurrentUser != before.CurrentUser+1 || now.Stats != before.Stats || now.Posts != before.Posts {
		t.Errorf("more than one cheap call: %+v, before %+v", now, before)
	}
	if err := v.Kill(u.Username); err != nil {
		t.Fatal(err)
	}
	look("a dead one", 1, "BAD  velog, the session of "+u.Username+": ", "Let the user log in again")
	look("a dead one again", 0, "ok   velog, without a log-in\n")
	if n := v.Stats().All.Dead; n != 1 {
		t.Errorf("%d calls with a dead session, want the one that showed it", n)
	}
}

// TestVelogLogoutByAnyName forgets log-ins by the name that a user goes by now and by his id, and refuses a name of two.
func TestVelogLogoutByAnyName(t *testing.T) {
	t.Parallel()
	w := newVelogWorld(t, sim.Options{Seed: 24, Velog: sim.VelogOptions{Users: 3, Posts: 2}})
	v := w.Velog()
	all := v.Users()
	for _, u := range all {
		if status, text := w.login(u); status != 0 {
			t.Fatalf("login: %d %s", status, text)
		}
	}
	w.mustRun("run", "velog")
	// The second takes the name that the first had, the third another one.
	for _, x := range [][2]string{{all[0].Username, "땅콩"}, {all[1].Username, all[0].Username}, {all[2].Username, "왕만두"}} {
		if err := v.Rename(x[0], x[1]); err != nil {
			t.Fatal(err)
		}
	}
	w.mustRun("run", "velog")
	for _, x := range []struct {
		user   string
		status int
		says   string
	}{
		{"@" + all[0].Username, 1, all[0].ID + " (first " + all[0].Username + ", now 땅콩)"},
		{all[0].Username, 1, all[1].ID + " (first " + all[1].Username + ", now " + all[0].Username + ")"},
		{"왕만두", 0, "the log-in of 왕만두 (kept as " + all[2].Username + ") is forgotten"},
		{"왕만두", 1, "has no log-in"},
		{all[1].ID, 0, "(kept as " + all[1].Username + ") is forgotten"},
		{all[0].Username, 0, "the log-in of " + all[0].Username + " is forgotten"},
	} {
		if status, out, errs := w.run("logout", "velog", x.user); status != x.status || !strings.Contains(out+errs, x.says) {
			t.Errorf("logout %s: %d %s%s, want %d and %q", x.user, status, out, errs, x.status, x.says)
		}
	}
}
