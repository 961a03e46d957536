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

// Trouble is a mix of the faults that every run must survive without losing or doubling anything, each of the given
// probability.
func Trouble(rate float64) Faults {
	f := Often(rate)
	common := HTTPFaults{Throttle: f, Error500: f, HTML502: f, Cut: f, Truncate: f}
	return Faults{
		Instagram: InstagramFaults{HTTPFaults: common, EmptyPage: f, RepeatToken: f, RefuseToken: f},
		OpenAI: OpenAIFaults{
			HTTPFaults: common, RetryAfter: f, UploadLost: f, CreateLost: f, StateJump: f, Expires: f, CutDownload: f, CutLine: f,
			Refusal: f, Length: f, LineMissing: f, LineStatus0: f, LineError500: f, LineError429: f,
			WebhookLost: f, WebhookTwice: f, WebhookBadSignature: f, WebhookTwoSigned: f,
		},
		Naver: NaverFaults{HTTPFaults: common, NestedHub: f},
		Kakao: KakaoFaults{HTTPFaults: common, OldBodies: f},
	}
}
