package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
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
