// Package pictures_test makes the pictures of README.md from the real program:
//
//	go test ./bench/pictures -update
//
// It builds sumbi, runs it on a terminal of its own against the imitated upstreams, and looks at the page of its demo in a
// browser. Without -update it looks whether the pictures are there.
package pictures_test

import (
	"bufio"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/cli/clitest"
	"sumbi/sim"
	"sumbi/web/browsertest"
)

var update = flag.Bool("update", false, "make the pictures anew")

const (
	root   = "../.."
	folder = root + "/docs/pictures"
	most   = 1_000_000 // bytes of all pictures together
	cols   = 100
)

// views are the parts of the page, besides the overview, of which a picture is taken at the end of the demo where the page
// leads to them.
var views = regexp.MustCompile(`href="/(map|review)"`)

// matching is a line of progress with most to see: some places are found, others are being looked for.
var matching = regexp.MustCompile(`mentions [1-9]\d+ of`)

// TestPictures looks whether every picture that a README shows is there, and that they are not too large.
func TestPictures(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	var same []string
	for _, name := range []string{"README.md", "README.ko.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		var here []string
		for _, m := range regexp.MustCompile(`docs/pictures/([\w.-]+)`).FindAllStringSubmatch(string(text), -1) {
			shown[m[1]] = true
			here = append(here, strings.Replace(m[1], "-ko.", ".", 1))
		}
		if same == nil {
			same = here
		}
		if diff := cmp.Diff(same, here); diff != "" || len(here) == 0 {
			t.Errorf("%s does not show the pictures of README.md (-want +got):\n%s", name, diff)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		if !shown[f.Name()] {
			t.Errorf("no README shows %s", f.Name())
		}
		delete(shown, f.Name())
	}
	for name := range shown {
		t.Errorf("there is no picture %s", name)
	}
	if total > most {
		t.Errorf("the pictures are %d bytes", total)
	}
}

// shot is a terminal on which commands are typed.
type shot struct {
	t    *testing.T
	dir  string
	env  []string
	rows [][]clitest.Cell
}

// start types a command.
func (s *shot) start(args ...string) *clitest.Terminal {
	s.t.Helper()
	if len(s.rows) > 0 {
		s.rows = append(s.rows, nil)
	}
	line := clitest.NewScreen(cols)
	_, _ = line.Write([]byte("\x1b[32m$\x1b[0m \x1b[1msumbi " + strings.Join(args, " ") + "\x1b[0m"))
	s.rows = append(s.rows, line.Cells()...)
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.dir, "sumbi"), args...)
	cmd.Dir, cmd.Env = s.dir, append(s.env, "TERM=xterm-256color", "HOME="+s.dir, "TMPDIR="+s.dir)
	term, err := clitest.Start(cmd, cols, 40)
	if err != nil {
		s.t.Fatal(err)
	}
	return term
}

// run types a command and waits for its end.
func (s *shot) run(args ...string) {
	s.t.Helper()
	term := s.start(args...)
	_ = term.Wait() // what is wrong is to be seen
	s.take(term)
}

func (s *shot) take(term *clitest.Terminal) {
	rows := term.Cells()
	for len(rows) > 0 && len(rows[len(rows)-1]) == 0 {
		rows = rows[:len(rows)-1]
	}
	s.rows = append(s.rows, rows...)
}

// write makes the picture, and clears the terminal.
func (s *shot) write(name, title string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(svg(s.rows, cols, title)), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.rows = nil
}

// program builds sumbi as it is shipped into a new folder.
func program(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "sumbi"), ".")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestMakeTerminal takes the pictures of the terminal.
func TestMakeTerminal(t *testing.T) {
	if !*update {
		t.Skip("-update makes the pictures")
	}
	world := sim.New(sim.Options{
		Seed: 7, Accounts: 6, Posts: 90, Hard: true, Latency: 800 * time.Millisecond, Jitter: 0.4, SearchLatency: 30 * time.Millisecond,
		InstagramPerSecond: 8, NaverPerSecond: 60, KakaoPerSecond: 60, BatchStep: time.Second,
	})
	base, stop, err := world.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s := &shot{t: t, dir: program(t), env: []string{
		"RAPIDAPI_KEY=" + sim.DefaultRapidAPIKey, "OPENAI_API_KEY=" + sim.DefaultOpenAIKey, "NAVER_CLIENT_ID=" + sim.DefaultNaverClientID,
		"NAVER_CLIENT_SECRET=" + sim.DefaultNaverClientSecret,
	}}
	conf := "[instagram]\nbase_url = \"" + base + sim.InstagramPath + "\"\n[openai]\nbase_url = \"" + base + sim.OpenAIPath + "\"\npoll = \"300ms\"\nsettle = \"1s\"\n" +
		"[naver]\nbase_url = \"" + base + sim.NaverPath + "\"\nper_second = 60\n[budget]\nmonth = 20.0\n[[pipeline]]\nkind = \"matzip\"\nevery = \"72h\"\naccounts = [\"" + strings.Join(world.Accounts(), "\", \"") + "\"]\n"
	if err := os.WriteFile(filepath.Join(s.dir, "sumbi.toml"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}

	s.run("plan", "matzip", "--probe")
	term := s.start("run", "matzip")
	half := regexp.MustCompile(`^[━─]+ .* pages [3-5]\d of about`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !slices.ContainsFunc(term.Lines(), half.MatchString) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("no progress")
		}
	}
	s.take(term)
	s.write("run.svg", "sumbi plan and a run under way")
	if err := term.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(term.Lines(), "\n"))
	}

	s.run("status")
	s.run("places", "list", "--limit", "6")
	s.run("review", "--list")
	s.rows = s.rows[:min(len(s.rows), 32)]
	s.write("status.svg", "sumbi status, places and what waits for a decision")

	s.env[0] += ",abgelaufen"
	s.run("doctor")
	s.write("doctor.svg", "sumbi doctor finds a wrong key")
}

// TestMakePage takes the pictures of the page, while the demo runs.
func TestMakePage(t *testing.T) {
	if !*update {
		t.Skip("-update makes the pictures")
	}
	out, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SUMBI_SCREENSHOTS", out)
	dir := program(t)
	demo := exec.CommandContext(t.Context(), filepath.Join(dir, "sumbi"), "demo", "--hard", "--stay", "--state", filepath.Join(dir, "demo.db"))
	demo.Cancel = func() error { return demo.Process.Signal(os.Interrupt) }
	pipe, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	url, taken := "", false
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		if u, ok := strings.CutPrefix(lines.Text(), "the page: "); ok {
			url = u
		}
		if url != "" && !taken && matching.MatchString(lines.Text()) {
			page(t, url, "en", "page")
			page(t, url, "ko", "page-ko")
			taken = true
		}
		if strings.HasPrefix(lines.Text(), "the page stays open") {
			break
		}
	}
	if !taken {
		t.Fatal("the demo shows no page")
	}
	for _, m := range views.FindAllStringSubmatch(get(t, url), -1) {
		page(t, url+m[1], "en", m[1])
		page(t, url+m[1], "ko", m[1]+"-ko")
	}
	_ = demo.Process.Signal(os.Interrupt)
	_ = demo.Wait()
}

// get reads the page as a browser does that runs no script.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// page takes one picture of an address as a desktop with a light theme shows it.
func page(t *testing.T, url, language, name string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		p := browsertest.Open(t, url, browsertest.Options{Width: 1440, Height: 900, Language: language})
		p.Allow("https://tile.openstreetmap.org/") // the map's ground is not to be had here: the outline of Korea is shown
		p.Screenshot(name)
	})
}
