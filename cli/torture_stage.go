package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sumbi/queue"
	"sumbi/sim"
)

// stage is a world and a directory in which sumbi works on it, as a process of its own.
type stage struct {
	exe, schema string
	dir, base   string
	world       *sim.Server
	close       func()

	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended
	status int           // its exit status then
	dead   map[string]string
}

func newStage(schema, dir, name string, o sim.Options, finder string) (*stage, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &stage{exe: exe, schema: schema, dir: filepath.Join(dir, name), world: sim.New(o), dead: map[string]string{}}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if s.base, s.close, err = s.world.Start(); err != nil {
		return nil, err
	}
	accounts, err := json.Marshal(s.world.Accounts()) // names without anything that TOML would write otherwise
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`state  = "sumbi.db"
listen = ""
[instagram]
base_url   = "%[1]s%[2]s"
host       = "instagram-scraper-api2.p.rapidapi.com"
per_second = %[3]d
timeout    = "15s"
[openai]
base_url  = "%[1]s%[4]s"
timeout   = "10s"
poll      = "100ms"
settle    = "1s"
max_lines = %[5]d
attempts  = 12
[naver]
base_url   = "%[1]s%[6]s"
per_second = %[7]d
timeout    = "5s"
[kakao]
base_url   = "%[1]s%[8]s"
per_second = %[7]d
timeout    = "5s"
[queue]
backoff     = "100ms"
backoff_max = "2s"
[[pipeline]]
kind     = "matzip"
finders  = [%[9]q]
accounts = %[10]s
`, s.base, sim.InstagramPath, tortureInstagramPerSecond, sim.OpenAIPath, tortureLines, sim.NaverPath, tortureSearchPerSecond, sim.KakaoPath, finder, accounts)
	return s, os.WriteFile(filepath.Join(s.dir, "sumbi.toml"), []byte(conf), 0o600)
}

// command is sumbi with nothing in its environment but what it needs here.
func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, s.exe, args...)
	c.Dir = s.dir
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir(), "RAPIDAPI_KEY=" + sim.DefaultRapidAPIKey, "OPENAI_API_KEY=" + sim.DefaultOpenAIKey,
		"NAVER_CLIENT_ID=" + sim.DefaultNaverClientID, "NAVER_CLIENT_SECRET=" + sim.DefaultNaverClientSecret, "KAKAO_REST_API_KEY=" + sim.DefaultKakaoKey,
	}
	return c
}

// counts are the calls that have arrived, by upstream.
func (s *stage) counts() map[string]int {
	n := map[string]int{}
	for name, c := range s.world.Calls() {
		n[name] = c.Requests
	}
	return n
}

func (s *stage) log() string { return filepath.Join(s.dir, "sumbi.log") }

// start starts sumbi; what it prints goes to the log.
func (s *stage) start(ctx context.Context, args ...string) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd, s.done = s.command(ctx, args...), make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // how it ended is in its state
	}()
	return nil
}

func (s *stage) wasKilled() bool {
	w, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && w.Signaled()
}

// ended reads how a process ended that was not killed by us.
func (s *stage) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.wasKilled() {
		return fmt.Errorf("sumbi was killed by somebody else:\n%s", s.tail())
	}
	if s.status = s.cmd.ProcessState.ExitCode(); s.status != exitDone && s.status != exitFailed {
		return fmt.Errorf("sumbi ended with status %d:\n%s", s.status, s.tail())
	}
	return nil
}

func (s *stage) tail() string {
	b, _ := os.ReadFile(s.log())
	return string(b[max(0, len(b)-3000):])
}

// quiet waits until the world has seen all that a killed process has sent, and that its connections are gone.
func (s *stage) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	// Connections are accepted in order: when this one is, all of the dead are known.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/sim/accounts", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	for s.world.Connections() > 0 {
		select {
		case <-ctx.Done():
			return errors.New("the connections of a killed process do not end")
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// seen is what the state file says between two processes.
type seen struct {
	busy  map[string]time.Time // lists with a page in flight, by account/list, since when
	ended bool                 // the last run is done
	quiet bool                 // and left nothing to be made good
}

// inspect reads a copy of the state file, so that the next process finds it as the last one has left it.
func (s *stage) inspect(ctx context.Context) (seen, error) {
	got := seen{busy: map[string]time.Time{}}
	dir, err := os.MkdirTemp(s.dir, "look-")
	if err != nil {
		return got, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sumbi.db")
	for _, tail := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(s.dir, "sumbi.db"+tail))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(path+tail, b, 0o600)
		}
		if err != nil {
			return got, err
		}
	}
	st, err := queue.Open(ctx, path, s.schema, queue.Guest)
	if err != nil {
		// Killed before it had made anything.
		if info, serr := os.Stat(path); errors.Is(serr, os.ErrNotExist) || serr == nil && info.Size() == 0 {
			return got, nil
		}
		return got, err
	}
	defer st.Close()
	return got, s.read(ctx, st, &got)
}

func (s *stage) read(ctx context.Context, st *queue.Store, got *seen) error {
	pages, err := st.Jobs(ctx, "running", string(queue.KindPage), 1000)
	if err != nil {
		return err
	}
	for _, j := range pages {
		if part := strings.Split(j.Key, ":"); len(part) == 4 {
			got.busy[part[2]+"/"+part[3]] = j.Taken
		}
	}
	dead, err := st.DeadOnes(ctx, 1000)
	if err != nil {
		return err
	}
	for _, d := range dead {
		s.dead[d.What+" "+d.ID+" "+d.Name] = d.Reason
	}
	run, err := st.LastRun(ctx, "matzip")
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	gaps, err := st.Gaps(ctx, run.ID)
	if err != nil {
		return err
	}
	away, err := st.Troubles(ctx)
	got.ended = run.State == queue.RunDone
	got.quiet = got.ended && gaps == 0 && len(away) == 0
	return err
}

// lines runs sumbi export and returns what it prints.
func (s *stage) lines(ctx context.Context, what string) ([]string, error) {
	c := s.command(ctx, "export", what)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("sumbi export %s: %w\n%s", what, err, &errs)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), nil
}

// places are the exported places, by id.
func (s *stage) places(ctx context.Context) (map[string]string, error) {
	lines, err := s.lines(ctx, "places")
	all := map[string]string{}
	for _, l := range lines {
		var p struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal([]byte(l), &p); err != nil {
			return nil, fmt.Errorf("exported place: %w", err)
		}
		all[p.ID] = l
	}
	return all, err
}

// posts are the ids of the exported posts, as often as they are exported.
func (s *stage) posts(ctx context.Context) ([]string, error) {
	lines, err := s.lines(ctx, "posts")
	var all []string
	for _, l := range lines {
		var p struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(l), &p); err != nil {
			return nil, fmt.Errorf("exported post: %w", err)
		}
		all = append(all, p.ID)
	}
	return all, err
}
