package sim

import (
	"fmt"
	"strings"
)

// TOML returns the configuration that makes sumbi use a server at base, and the environment as comments.
func (s *Server) TOML(base string) string {
	dialect := s.o.NaverDialect
	if dialect == "" {
		dialect = "hub"
	}
	quoted := make([]string, 0, len(s.world.accounts))
	for _, a := range s.Accounts() {
		quoted = append(quoted, fmt.Sprintf("%q", a))
	}
	k := s.o.Keys
	return fmt.Sprintf(`# RAPIDAPI_KEY=%s OPENAI_API_KEY=%s NAVER_CLIENT_ID=%s NAVER_CLIENT_SECRET=%s KAKAO_REST_API_KEY=%s OPENAI_WEBHOOK_SECRET=%s
# %[7]s/sim/stats shows what was asked.

[instagram]
base_url = "%[7]s%[8]s"

[openai]
base_url = "%[7]s%[9]s"
poll     = "1s"

[naver]
dialect  = "%[10]s"
base_url = "%[7]s%[11]s"

[kakao]
base_url = "%[7]s%[12]s"

[[pipeline]]
kind     = "matzip"
every    = "72h"
accounts = [%[13]s]
finders  = ["naver"]
`, k.RapidAPI[0], k.OpenAI, k.NaverID, k.NaverSecret, k.Kakao, s.o.WebhookSecret,
		base, InstagramPath, OpenAIPath, dialect, NaverPath, KakaoPath, strings.Join(quoted, ", "))
}
