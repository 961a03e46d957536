package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sumbi/sim"
)

// TestRenamedAccount follows an account under its new name, and does not follow the name to somebody else.
func TestRenamedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 31, Accounts: 2, Posts: 20}, "")
	w.mustRun("run", "matzip")
	w.grade()
	old, moved := w.Accounts()[0], "sim.moved_house"
	w.Rename(old, moved)
	w.Publish(moved, 3)
	if out := w.mustRun("run", "matzip"); !strings.Contains(out, "3 new posts") || strings.Contains(out, "gone") {
		t.Errorf("after it was renamed: %s", out)
	}
	w.grade()
	if out := w.mustRun("status"); !strings.Contains(out, "renamed: "+old+" goes by "+moved+" now") {
		t.Errorf("status does not tell that it was renamed:\n%s", out)
	}
	before := w.Stats().Calls["instagram"].Requests
	w.mustRun("run", "matzip")
	if n := w.Stats().Calls["instagram"].Requests - before; n != 4 {
		t.Errorf("%d requests for nothing new in four lists", n)
	}

	w.Join(old, 4)
	w.Leave(moved)
	if out := w.mustRun("run", "matzip"); !strings.Contains(out, " 0 new posts") || !strings.Contains(out, "account "+old+" is gone") {
		t.Errorf("after it left: %s", out)
	}
	if out := w.mustRun("status"); !strings.Contains(out, "account "+old+" is gone") {
		t.Errorf("status does not tell that it is gone:\n%s", out)
	}
}

// TestNotify wants a wrong key to be told by one POST, and its address to be seen nowhere.
func TestNotify(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []map[string]any
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Errorf("%v: %s", err, b)
		}
		mu.Lock()
		got = append(got, m)
		mu.Unlock()
	}))
	t.Cleanup(hook.Close)
	const secret = "T0001234/xoxb-geheim"
	w := newWorld(t, sim.Options{Seed: 32, Accounts: 1, Posts: 5}, "")
	w.env = append(w.env, "SUMBI_NOTIFY_URL="+hook.URL+"/services/"+secret)
	var said strings.Builder
	run := func(want int, args ...string) {
		t.Helper()
		status, out, errs := w.run(append([]string{"-v"}, args...)...)
		if status != want {
			t.Errorf("sumbi %v: status %d\n%s%s", args, status, out, errs)
		}
		said.WriteString(out + errs)
	}
	messages := func(n int, want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if len(got) != n {
			t.Fatalf("%d messages, want %d: %v", len(got), n, got)
		}
		for _, s := range want {
			if text, _ := got[n-1]["text"].(string); !strings.Contains(text, s) || got[n-1]["content"] != text {
				t.Errorf("message %v does not say %q", got[n-1], s)
			}
		}
	}
	good := w.env[0]
	w.env[0] = "RAPIDAPI_KEY=falsch-0123456789"
	run(1, "run", "matzip")
	messages(1, "instagram waits for you", "run 1 of matzip cannot go on")
	run(1, "run", "matzip")
	messages(1)
	w.env[0] = good
	run(0, "run", "matzip")
	messages(1)
	run(0, "doctor", "--notify", "--offline")
	messages(2, "this is a test")
	hook.Close()
	run(1, "doctor", "--notify", "--offline")
	w.env[0] = "RAPIDAPI_KEY=falsch-0123456789"
	w.Publish(w.Accounts()[0], 1)
	run(1, "run", "matzip")
	file, err := readFile(w.dir, "sumbi.db")
	if err != nil && w.database == "" {
		t.Fatal(err)
	}
	wal, _ := readFile(w.dir, "sumbi.db-wal")
	for where, text := range map[string]string{"what was said": said.String(), "the state file": file, "its WAL": wal} {
		for _, s := range []string{secret, "xoxb", "geheim", "services", strings.TrimPrefix(hook.URL, "http://")} {
			if strings.Contains(text, s) {
				t.Errorf("%s is in %s (%s)", s, where, filepath.Base(w.dir))
			}
		}
	}
}
