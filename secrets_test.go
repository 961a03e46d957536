package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sumbi/sim"
)

// secrets are the credentials of a test, which need escaping wherever something can.
type secrets map[string]string

func newSecrets() secrets {
	s := secrets{}
	for i, name := range []string{
		"RAPIDAPI_KEY", "OPENAI_API_KEY", "NAVER_CLIENT_ID", "NAVER_CLIENT_SECRET", "KAKAO_REST_API_KEY", "SUMBI_TOKEN", "SUMBI_KEY",
	} {
		s[name] = fmt.Sprintf("%d/Geheim+%c%c==?%x&End%d", i, 'q'+rune(i), 'Q'+rune(i), 0xfeed0000+i*7919, 90-i)
	}
	s["OPENAI_WEBHOOK_SECRET"] = "whsec_" + base64.StdEncoding.EncodeToString([]byte("sehr/geheimer+webhook-schluessel"))
	s["SUMBI_NOTIFY_URL"] = "/hook/T0P/S3cr3t+Path=="
	return s
}

func (s secrets) env() (env []string) {
	for name, v := range s {
		if name == "SUMBI_NOTIFY_URL" {
			v = "http://127.0.0.1:1" + v // what is secret is the path
		}
		env = append(env, name+"="+v)
	}
	return env
}

func (s secrets) keys() sim.Keys {
	return sim.Keys{RapidAPI: []string{s["RAPIDAPI_KEY"]}, OpenAI: s["OPENAI_API_KEY"], NaverID: s["NAVER_CLIENT_ID"], NaverSecret: s["NAVER_CLIENT_SECRET"], Kakao: s["KAKAO_REST_API_KEY"]}
}

// search fails the test where text holds a secret, or much of one, in whatever writing.
func (s secrets) search(t *testing.T, where, text string) {
	t.Helper()
	for name, v := range s {
		quoted, _ := json.Marshal(v)
		forms := []string{v, string(quoted[1 : len(quoted)-1]), v[:14], v[len(v)-14:], url.QueryEscape(v), url.PathEscape(v), fmt.Sprintf("%x", v)}
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for before := range 3 {
				b := enc.EncodeToString([]byte(strings.Repeat("\x00", before) + v))
				forms = append(forms, b[4:len(b)-4])
			}
		}
		for _, f := range forms {
			if i := strings.Index(text, f); i >= 0 {
				t.Errorf("%s holds %s: …%q…", where, name, text[max(0, i-120):min(len(text), i+len(f)+40)])
				break
			}
		}
	}
}

// files searches everything that lies in the world's directory, the configuration aside.
func (s secrets) files(w *world) {
	w.t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen[d.Name()] = true
		if !strings.HasSuffix(path, ".secret") {
			s.search(w.t, d.Name(), string(text))
		}
		return nil
	})
	if err != nil || !seen["sumbi.toml"] {
		w.t.Errorf("%v, %v", err, seen)
	}
}

const impatient = "\nfinders = [\"naver\", \"kakao\"]\n[queue]\nbackoff = \"10ms\"\nbackoff_max = \"100ms\"\n"

// TestNoSecretAnywhere runs against upstreams that go wrong often and repeat in every error what they were sent. None of it is
// in what is printed, logged, shown, counted or kept.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	often := sim.HTTPFaults{Error500: sim.Fault{Rate: 0.1, Count: 2}, HTML502: sim.Often(0.1), Cut: sim.Often(0.05)}
	refused := often
	refused.Throttle = sim.Times(1)
	w := newWorld(t, sim.Options{
		Seed: 41, Accounts: 2, Posts: 15, Latency: 5 * time.Millisecond, BatchStep: 30 * time.Millisecond, Keys: s.keys(), Echo: true, WebhookSecret: s["OPENAI_WEBHOOK_SECRET"],
		Faults: sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: refused}, OpenAI: sim.OpenAIFaults{HTTPFaults: refused}, Naver: sim.NaverFaults{HTTPFaults: often}, Kakao: sim.KakaoFaults{HTTPFaults: often}},
	}, impatient)
	w.env = append(w.env, s.env()...)
	var all strings.Builder
	run := func(args ...string) {
		_, out, errs := w.run(args...)
		s.search(t, "output of "+strings.Join(args, " "), out)
		s.search(t, "log of "+strings.Join(args, " "), errs)
		all.WriteString(out + errs)
	}
	run("-v", "run", "matzip")
	s.files(w)

	// One secret comes from a file now.
	w.write("openai.secret", s["OPENAI_API_KEY"]+"\n")
	w.env = append(w.env, "OPENAI_API_KEY=", "OPENAI_API_KEY_FILE=openai.secret", "GOTRACEBACK=crash")
	sv := w.serve("-v", "--log-json")
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", sv.cmd.Process.Pid))
	if err == nil {
		s.search(t, "the command line", string(line))
	}
	run("run", "matzip")
	for _, token := range []string{"", "falsch", s["SUMBI_TOKEN"]} {
		for _, path := range []string{"/", "/metrics", "/login", "/healthz", "/nothing"} {
			_, body := sv.get(path, token)
			s.search(t, path, body)
		}
	}
	form := url.Values{"token": {s["SUMBI_TOKEN"]}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+sv.addr+"/login", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("log-in: %s", resp.Status)
	}
	var headers bytes.Buffer
	_ = resp.Header.Write(&headers)
	s.search(t, "the answer to the log-in", headers.String())
	for _, args := range [][]string{{"status"}, {"jobs", "list"}, {"doctor"}, {"export", "places"}, {"export", "posts"}, {"export", "places", "--format", "csv"}} {
		run(args...)
	}
	s.files(w)
	// What the runtime prints when a process dies: every goroutine with its arguments.
	if err := sv.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-sv.done
	if !strings.Contains(sv.text(), "goroutine ") {
		t.Errorf("no stacks:\n%s", sv.text())
	}
	s.search(t, "log of serve", sv.text())
	all.WriteString(sv.text())
	s.files(w)
	if !strings.Contains(all.String(), "[secret]") {
		t.Error("nobody repeated a credential: this test looked at nothing")
	}
}

// TestWrongKeysAreNotShown gives every upstream a key that it refuses and repeats.
func TestWrongKeysAreNotShown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"RAPIDAPI_KEY", "OPENAI_API_KEY", "NAVER_CLIENT_SECRET", "KAKAO_REST_API_KEY"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecrets()
			delete(s, "SUMBI_NOTIFY_URL")
			pipeline := impatient
			if name == "KAKAO_REST_API_KEY" {
				pipeline = strings.Replace(impatient, `"naver", `, "", 1)
			}
			w := newWorld(t, sim.Options{Seed: 42, Accounts: 1, Posts: 12, BatchStep: 30 * time.Millisecond, Keys: s.keys(), Echo: true}, pipeline)
			s[name] = strings.ToUpper(s[name]) + "-falsch-falsch"
			w.env = append(w.env, s.env()...)
			status, out, errs := w.run("-v", "run", "matzip")
			if status == 0 {
				t.Errorf("ran with a wrong key:\n%s%s", out, errs)
			}
			s.search(t, "output", out+errs)
			for _, args := range [][]string{{"status"}, {"jobs", "list"}, {"-v", "doctor"}} {
				_, out, errs := w.run(args...)
				s.search(t, strings.Join(args, " "), out+errs)
			}
			s.files(w)
		})
	}
}

// TestFilesAreTheOwnersOwn looks at everything that a run leaves under an umask that hides nothing.
func TestFilesAreTheOwnersOwn(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	// Answers that come incomplete stay where they are until they are asked for again.
	faults := sim.Faults{OpenAI: sim.OpenAIFaults{CutLine: sim.Often(1)}}
	w := newWorld(t, sim.Options{Seed: 43, Accounts: 1, Posts: 20, BatchStep: 200 * time.Millisecond, Faults: faults}, "")
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", strings.Replace(conf, `poll = "50ms"`, `poll = "2s"`, 1))
	c := w.cmd("run", "matzip")
	c.Args = append([]string{"sh", "-c", `umask 0; exec "$0" "$@"`}, c.Args...)
	c.Path = "/bin/sh"
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	seen, spool := map[string]fs.FileMode{}, false
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			running = false
		case <-time.After(2 * time.Millisecond):
		}
		_ = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == w.dir {
				return nil // gone already
			}
			if info, err := d.Info(); err == nil {
				seen[strings.TrimPrefix(path, w.dir)] |= info.Mode()
			}
			if !spool && filepath.Base(filepath.Dir(path)) == "sumbi-spool" {
				spool = true
				w.SetFaults(sim.Faults{})
			}
			return nil
		})
	}
	for name, mode := range seen {
		if mode.Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", name, mode)
		}
	}
	if !spool || len(seen) < 6 {
		t.Errorf("saw only %v", seen)
	}
}
