package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sumbi/sim"
)

// TestScript runs the command line as the manual shows it. Each script has an imitated world of its own: $BASE, $ACCOUNTS.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"json": jsonCmd, "jsonenv": jsonEnvCmd, "more": moreCmd},
		Setup: func(e *testscript.Env) error {
			s := sim.New(sim.Options{Seed: 31, Accounts: 2, Posts: 15, Gone: []string{"sim.gone"}, Private: []string{"sim.private"}, BatchStep: 50_000_000})
			base, stop, err := s.Start()
			if err != nil {
				return err
			}
			e.Defer(stop)
			e.Setenv("BASE", base)
			for _, kv := range [][2]string{
				{"RAPIDAPI_KEY", sim.DefaultRapidAPIKey},
				{"OPENAI_API_KEY", sim.DefaultOpenAIKey},
				{"NAVER_CLIENT_ID", sim.DefaultNaverClientID},
				{"NAVER_CLIENT_SECRET", sim.DefaultNaverClientSecret},
				{"KAKAO_REST_API_KEY", sim.DefaultKakaoKey},
			} {
				e.Setenv(kv[0], kv[1])
			}
			e.Setenv("POST", namingPost(s))
			accounts := ""
			for _, a := range s.Accounts() {
				accounts += a + "\n"
			}
			if err := os.WriteFile(filepath.Join(e.WorkDir, "accounts.txt"), []byte("# 맛집 계정\n"+accounts), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "sumbi.toml"), []byte(`listen = "127.0.0.1:0"
[instagram]
base_url = "`+base+sim.InstagramPath+`"
per_second = 200
[openai]
base_url = "`+base+sim.OpenAIPath+`"
poll = "30ms"
[naver]
base_url = "`+base+sim.NaverPath+`"
per_second = 500
[kakao]
base_url = "`+base+sim.KakaoPath+`"
[queue]
attempts = 3
backoff = "10ms"
[[pipeline]]
kind = "matzip"
accounts_file = "accounts.txt"
`), 0o600)
		},
	})
}

// jsonCmd is "json FILE PATH PATTERN": the file is one JSON document, and what lies at the path matches.
func jsonCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH PATTERN")
	}
	got := jsonAt(ts, args[0], args[1])
	if regexp.MustCompile(args[2]).MatchString(got) == neg {
		ts.Fatalf("%s is %s", args[1], got)
	}
}

// jsonEnvCmd is "jsonenv NAME FILE PATH".
func jsonEnvCmd(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], jsonAt(ts, args[1], args[2]))
}

// moreCmd is "more FILE PATH N": the number at the path is greater.
func moreCmd(ts *testscript.TestScript, _ bool, args []string) {
	got, err := strconv.Atoi(jsonAt(ts, args[0], args[1]))
	least, lerr := strconv.Atoi(args[2])
	ts.Check(errors.Join(err, lerr))
	if got <= least {
		ts.Fatalf("%s is %d, not more than %d", args[1], got, least)
	}
}

// jsonAt is the text at a path of names and numbers, or the JSON of what is no text.
func jsonAt(ts *testscript.TestScript, file, path string) string {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one JSON value", file)
	}
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[part]
			if !ok {
				ts.Fatalf("there is no %s of %s: %v", part, path, slices.Sorted(maps.Keys(x)))
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(x) {
				ts.Fatalf("there is no %s of %s: %d", part, path, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("there is no %s of %s", part, path)
		}
	}
	if text, ok := v.(string); ok {
		return text
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	return string(b)
}

// namingPost is the first post that names a place.
func namingPost(s *sim.Server) string {
	posts := s.Posts()
	for _, id := range slices.Sorted(maps.Keys(posts)) {
		if ms := posts[id].Mentions; len(ms) > 0 && ms[0].Place != nil {
			return id
		}
	}
	return ""
}
