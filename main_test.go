package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"sumbi/cli"
	"sumbi/queue"
	"sumbi/sim"
)

func TestMain(m *testing.M) {
	testscript.Main(tidyUp{m}, map[string]func(){"sumbi": main})
}

// tidyUp removes what the tests have built.
type tidyUp struct{ *testing.M }

// Run implements testscript.TestingM.
func (t tidyUp) Run() int {
	defer os.RemoveAll(built)
	defer stopPostgres()
	return t.M.Run()
}

// built is where binary builds: only what is used is ever made.
var built = filepath.Join(os.TempDir(), fmt.Sprintf("sumbi-test-%d", os.Getpid()))

// binary builds the program as it is shipped, once, so that tests can start and kill what people run.
var binary = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(built, "sumbi")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return exe, err
})

// TestInFlight checks that a lane has as many workers as its rate needs, and that an unlimited one does not call one by one.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		perSecond float64
		want      int
	}{{8, 121}, {0.01, 1}, {0, unlimited}} {
		if got := inFlight(test.perSecond, pageLatency); got != test.want {
			t.Errorf("%g a second: %d in flight, want %d", test.perSecond, got, test.want)
		}
	}
}

// world is an imitated world with a directory and a configuration that point to it.
type world struct {
	*sim.Server
	t    *testing.T
	base string
	dir  string
	env  []string

	database  string // its address when the state is not a file
	perSecond int    // of Instagram
}

func newWorld(t *testing.T, o sim.Options, toml string) *world {
	t.Helper()
	if o.Epoch.IsZero() {
		o.Epoch = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	}
	s := sim.New(o)
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w := &world{Server: s, t: t, base: base, dir: t.TempDir(), env: []string{
		"RAPIDAPI_KEY=" + sim.DefaultRapidAPIKey, "OPENAI_API_KEY=" + sim.DefaultOpenAIKey, "NAVER_CLIENT_ID=" + sim.DefaultNaverClientID,
		"NAVER_CLIENT_SECRET=" + sim.DefaultNaverClientSecret, "KAKAO_REST_API_KEY=" + sim.DefaultKakaoKey, "OPENAI_WEBHOOK_SECRET=" + sim.DefaultWebhookSecret,
	}, perSecond: cmp.Or(o.InstagramPerSecond*4/5, 100)} // a busy machine delays calls, so a fifth is left free
	if w.database = database(t); w.database != "" {
		w.env = append(w.env, "DATABASE_URL="+w.database)
	}
	w.configure("", toml, s.Accounts())
	return w
}

// configure writes sumbi.toml and the list of accounts.
func (w *world) configure(top, pipeline string, accounts []string) {
	w.t.Helper()
	if w.database != "" {
		top += "\nstate = \"postgres\""
	}
	conf := fmt.Sprintf(`listen = "127.0.0.1:0"
%s
[instagram]
base_url = "%[2]s%s"
host = "instagram-scraper-api2.p.rapidapi.com"
per_second = %[8]d
[openai]
base_url = "%[2]s%[4]s"
poll = "50ms"
settle = "1s"
[naver]
base_url = "%[2]s%[5]s"
per_second = 500
[kakao]
base_url = "%[2]s%[6]s"
per_second = 500
[[pipeline]]
kind = "matzip"
accounts_file = "accounts.txt"
%[7]s
`, top, w.base, sim.InstagramPath, sim.OpenAIPath, sim.NaverPath, sim.KakaoPath, pipeline, w.perSecond)
	w.write("sumbi.toml", conf)
	w.write("accounts.txt", strings.Join(accounts, "\n")+"\n")
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// cmd is the program, not yet started.
func (w *world) cmd(args ...string) *exec.Cmd {
	exe, err := binary()
	if err != nil {
		w.t.Fatal(err)
	}
	c := exec.CommandContext(w.t.Context(), exe, args...)
	c.Dir = w.dir
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + os.TempDir()}, w.env...)
	return c
}

// run runs the program to its end and returns its exit status and what it printed.
func (w *world) run(args ...string) (status int, stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	c := w.cmd(args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if c.ProcessState == nil {
		w.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func (w *world) mustRun(args ...string) string {
	w.t.Helper()
	status, out, errs := w.run(args...)
	if status != 0 {
		w.t.Fatalf("sumbi %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

func (w *world) state() *queue.Store {
	w.t.Helper()
	s, err := w.open(w.t.Context(), queue.Guest)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// grade compares the state with the world's truth and wants every post and no wrong place.
func (w *world) grade() {
	w.t.Helper()
	s := w.state()
	posts, found, err := cli.Findings(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	if r := w.Grade(posts, found); !r.Perfect() {
		w.t.Errorf("the run is not perfect:\n%s\n%s", r, strings.Join(r.Examples, "\n"))
	}
}

// places are the exported places by id, without what depends on when they were made.
func (w *world) places() map[string]map[string]any {
	w.t.Helper()
	all := map[string]map[string]any{}
	for line := range strings.Lines(w.mustRun("export", "places")) {
		var p map[string]any
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			w.t.Fatal(err)
		}
		all[p["_id"].(string)] = p
	}
	return all
}

func (w *world) paidTwice() {
	w.t.Helper()
	if st := w.Stats(); st.LinesAgain+st.CaptionsAgain+st.BatchesAgain > 0 {
		w.t.Errorf("paid twice: %s", st)
	}
}

func TestSecondRunCostsOneRequestAList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 11, Accounts: 4, Posts: 40, InstagramPerSecond: 40}, "")
	w.mustRun("run", "matzip")
	w.grade()
	before := w.places()
	w.ResetStats()
	out := w.mustRun("run", "matzip")
	st := w.Stats()
	for list, p := range st.Pages {
		if p.Served > 2 {
			t.Errorf("%s: %d pages on the second run, want 1, or 2 where pins and news mix", list, p.Served)
		}
	}
	if got, want := st.PagesServed, 8; got > want+2 {
		t.Errorf("second run: %d requests for 8 lists", got)
	}
	if st.Lines != 0 || st.Batches != 0 || st.Calls["naver"].Requests != 0 {
		t.Errorf("second run asked the model or the finder: %s\n%s", st, out)
	}
	if diff := gocmp.Diff(before, w.places()); diff != "" {
		t.Errorf("places changed (-before +after):\n%s", diff)
	}
}

func TestNewsEditsAndPins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 12, Accounts: 3, Posts: 50}, "")
	w.mustRun("run", "matzip")
	for _, a := range w.Accounts() {
		w.Publish(a, 7)
	}
	w.ResetStats()
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
	if n := w.Stats().PagesServed; n > 3*2*2+3 {
		t.Errorf("%d pages for 7 new posts of each of 3 accounts", n)
	}
	posts := w.Posts()
	edited := 0
	for _, id := range slices.Sorted(maps.Keys(posts)) {
		if edited < 5 && w.EditCaption(id) {
			edited++
		}
	}
	w.mustRun("run", "--full", "matzip")
	w.grade()
	if n := w.Stats().Lines; n == 0 {
		t.Error("edited captions were not asked about")
	}
}

// TestKilled ends the process at ten random moments of one run. Nothing may be lost, doubled or paid twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	o := sim.Options{Seed: 13, Accounts: 4, Posts: 70, InstagramPerSecond: 12, CountRefused: true, Latency: 60 * time.Millisecond, Jitter: 0.5, BatchStep: 200 * time.Millisecond, ListDelay: 200 * time.Millisecond}
	calm := newWorld(t, o, "")
	calm.mustRun("run", "matzip")
	calm.grade()

	w := newWorld(t, o, "")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for kills < 10 {
		c := w.cmd("run", "matzip")
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("after %d kills: %v\n%s", kills, err, &out)
			}
			t.Logf("the run ended after %d kills", kills)
			kills = 1 << 10
		case <-time.After(time.Duration(150+rng.IntN(900)) * time.Millisecond):
			_ = c.Process.Signal(syscall.SIGKILL)
			<-done
			kills++
		}
	}
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
	if diff := gocmp.Diff(calm.places(), w.places()); diff != "" {
		t.Errorf("places differ from the undisturbed run (-undisturbed +killed):\n%s", diff)
	}
	// At a kill as many pages may be in flight as there are lists.
	if st := w.Stats(); st.PagesAgain > 10*len(w.Accounts())*2 {
		t.Errorf("%d pages fetched again after %d kills", st.PagesAgain, kills)
	}
	if n := w.Stats().Calls["instagram"].Refused; n > 0 {
		t.Errorf("%d calls were refused: a start right after a kill called too early", n)
	}
	s := w.state()
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func readFile(dir, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	return string(b), err
}

// TestTrouble lets everything go wrong now and then. What a fault may cost is another try, never a post or a second payment.
func TestTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 14, Accounts: 4, Posts: 60, Latency: 10 * time.Millisecond, BatchStep: 50 * time.Millisecond, Faults: sim.Trouble(0.03)}, "\n[queue]\nbackoff = \"20ms\"\nbackoff_max = \"200ms\"\n")
	// A fifth of all answers are none: of two hundred captions one would meet five of them in a row every now and then.
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", strings.Replace(conf, "[openai]\n", "[openai]\nattempts = 30\n", 1))
	w.mustRun("run", "matzip")
	// A walk that had to be left unfinished is made good by the next run.
	w.SetFaults(sim.Faults{})
	w.mustRun("run", "matzip")
	w.grade()
	if st := w.Stats(); st.BatchesAgain > 0 || st.LinesAgain > 0 {
		t.Errorf("paid twice: %s", st)
	}
}

// TestSeveralKeys gives each key its own limit and quota. When both quotas are used up the crawl waits for the reset.
func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	o := sim.Options{
		Seed: 15, Accounts: 8, Posts: 90, Latency: 30 * time.Millisecond, InstagramPerSecond: 10, CountRefused: true, InstagramQuota: 20, QuotaReset: 8 * time.Second,
		Keys: sim.Keys{RapidAPI: []string{"key-one", "key-two"}},
	}
	w := newWorld(t, o, "")
	w.env = append(w.env, "RAPIDAPI_KEY=key-one,key-two")
	w.mustRun("run", "matzip")
	w.grade()
	st := w.Stats()
	for _, key := range []string{"instagram/1", "instagram/2"} {
		if n := st.WorstSecond[key]; n == 0 || n > 10 {
			t.Errorf("%s: %d calls in a second, want 1 to 10", key, n)
		}
	}
	c := st.Calls["instagram"]
	if c.RefusedQuota > 12 {
		t.Errorf("%d refusals for a used-up quota, want a few", c.RefusedQuota)
	}
	if n := c.Refused - c.RefusedQuota; n > 0 {
		t.Errorf("%d calls were too fast", n)
	}
}

// TestKeepOwn keeps nothing of what the finder wrote.
func TestKeepOwn(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 16, Accounts: 2, Posts: 25}, "")
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", strings.Replace(conf, "[naver]\n", "[naver]\nkeep = \"own\"\n", 1))
	w.mustRun("run", "matzip")
	places := w.places()
	if len(places) < 10 {
		t.Fatalf("%d places", len(places))
	}
	for id, p := range places {
		for _, k := range []string{"category", "address", "roadAddress", "phone", "location"} {
			if _, ok := p[k]; ok {
				t.Errorf("place %s keeps the finder's %s", id, k)
			}
		}
		if p["name"] == "" || p["query"] == "" {
			t.Errorf("place %s lacks its own name or the search words: %v", id, p)
		}
	}
	// Neither does the file, in whatever table.
	raw, err := readFile(w.dir, "sumbi.db")
	if err != nil {
		t.Fatal(err)
	}
	wal, _ := readFile(w.dir, "sumbi.db-wal")
	for _, p := range w.Places() {
		if strings.Contains(p.Category, ">") && strings.Contains(raw+wal, p.Category) {
			t.Errorf("the file holds the category %q", p.Category)
			break
		}
	}
}

// TestDropLivePage drops a page that has not been fetched: its list has a gap then, and the run ends all the same.
func TestDropLivePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 3, Accounts: 3, Posts: 60, Latency: 400 * time.Millisecond}, "")
	c := w.cmd("run", "matzip")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.until("pages wait", func() bool {
		s, err := w.open(t.Context(), queue.Guest)
		if err != nil {
			return false
		}
		defer s.Close()
		js, err := s.Jobs(t.Context(), "", "page", 10)
		return err == nil && len(js) > 2
	})
	_ = c.Process.Kill()
	_ = c.Wait()
	s := w.state()
	// What was in flight becomes ready with the next start; until then nobody may drop it.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := w.open(t.Context(), queue.Owner)
	if err != nil {
		t.Fatal(err)
	}
	var js []queue.JobRow
	w.until("what was in flight is ready", func() bool { // over PostgreSQL once the process is known to be gone
		js, err = o.Jobs(t.Context(), "ready", "page", 1)
		if err == nil && len(js) == 0 && o.Close() == nil {
			o, err = w.open(t.Context(), queue.Owner)
		}
		return err != nil || len(js) > 0
	})
	if err != nil || len(js) == 0 {
		t.Fatal(err, len(js))
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	w.mustRun("jobs", "drop", strconv.FormatInt(js[0].ID, 10))
	if out := w.mustRun("run", "matzip"); !strings.Contains(out, "run 1 of matzip done") {
		t.Error(out)
	}
	// The next run makes the gap good.
	w.mustRun("run", "matzip")
	w.grade()
}

// TestTorture lets the user's own proof run, a short one.
func TestTorture(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Accounts: 1, Posts: 3}, "")
	out := w.mustRun("demo", "--torture", "--kills", "4", "--accounts", "2", "--posts", "20")
	for _, want := range []string{"posts lost                         0  of ", "healthy jobs that died             0", "\n4 kills, ", "sumbi demo --torture --kills 4 --faults all --seed 7 --accounts 2 --posts 20 --finder naver"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// TestTortureTells lets the upstream lie: batches that were made never show in its list, so they are made twice, and the torture says so.
func TestTortureTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Accounts: 1, Posts: 3}, "")
	status, out, errs := w.run("demo", "--torture", "--kills", "0", "--accounts", "1", "--posts", "12", "--faults", "createlost=0.7,hidefromlist=1")
	if status != 1 || !strings.Contains(errs, "the torture found what must not be") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	if !strings.Contains(out, "batches doubled") || strings.Contains(out, "batches doubled                    0") {
		t.Errorf("nothing is doubled:\n%s", out)
	}
	if dir := regexp.MustCompile(`/\S*sumbi-torture-\S+`).FindString(errs); dir == "" || os.RemoveAll(dir) != nil {
		t.Errorf("no directory to look at: %s", errs)
	}
}

// TestTwoFinders lets Kakao be the second opinion, or be asked always: the places are the right ones either way, each once.
func TestTwoFinders(t *testing.T) {
	t.Parallel()
	calls := map[string]int{}
	for _, opinion := range []string{"unsure", "always"} {
		w := newWorld(t, sim.Options{Seed: 22, Accounts: 3, Posts: 40}, fmt.Sprintf("finders = [\"naver\", \"kakao\"]\nsecond_opinion = %q\n", opinion))
		w.mustRun("run", "matzip")
		w.grade()
		st := w.Stats()
		calls[opinion] = st.Calls["kakao"].Requests
		if n := st.Calls["naver"].Requests; calls[opinion] == 0 || (opinion == "unsure" && calls[opinion] >= n) {
			t.Errorf("%s: %d searches with naver, %d with kakao", opinion, n, calls[opinion])
		}
		names, told := map[string]bool{}, 0
		for id, p := range w.places() {
			key := fmt.Sprint(p["name"], p["roadAddress"])
			if names[key] {
				t.Errorf("%s: place %s is there twice: %s", opinion, id, key)
			}
			names[key] = true
			if from, _ := p["sources"].(map[string]any); from["phone"] == "kakao" && p["phone"] != "" && p["finder"] == "naver" {
				told++
			}
		}
		if opinion == "always" && told < len(names)/4 {
			t.Errorf("Kakao's number is told for %d of %d places", told, len(names))
		}
	}
	if calls["unsure"]*2 > calls["always"] {
		t.Errorf("searches with kakao: %v", calls)
	}
}
