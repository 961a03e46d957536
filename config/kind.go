package config

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kind is what the pipelines of one kind have of their own.
type kind struct {
	defaults Pipeline
	fields   func(p *Pipeline) []field
	target   func(s string) (string, error)                            // brings what people write to the plain name
	named    bool                                                      // it has nobody to ask for unless the file names them
	logsIn   bool                                                      // its targets log in
	need     func(p Pipeline, s Secrets, lack func(string, ...string)) // says which secrets are missing, and for what
}

func kinds() map[string]kind {
	return map[string]kind{
		"matzip": {
			defaults: Pipeline{Timezone: "Asia/Seoul", FullEvery: 720 * time.Hour, Finders: []string{"naver"}, SecondOpinion: "unsure"},
			fields:   (*Pipeline).matzipFields, target: Account, named: true, need: needMatzip,
		},
		"velog": {
			defaults: Pipeline{Timezone: "Asia/Seoul", Every: 5 * time.Minute, Pause: 10 * time.Minute},
			fields:   (*Pipeline).velogFields, target: velogUser, logsIn: true, need: needVelog,
		},
	}
}

func kindNames() []string { return slices.Sorted(maps.Keys(kinds())) }

// kind is that of the pipeline. An unknown one, which is complained of, is taken for the first.
func (p Pipeline) kind() kind {
	if k, ok := kinds()[p.Kind]; ok {
		return k
	}
	return kinds()["matzip"]
}

// newPipeline is one with the defaults of its kind.
func newPipeline(name any) Pipeline {
	p := Pipeline{}
	p.Kind, _ = name.(string)
	known := p.Kind
	p = p.kind().defaults
	p.Kind = known
	return p
}

// Target brings what people write for a target of the pipeline to its plain name.
func (p Pipeline) Target(s string) (string, error) { return p.kind().target(s) }

// LogsIn reports whether the targets of the pipeline log in: what they log in with is stored, encrypted with SUMBI_KEY.
func (p Pipeline) LogsIn() bool { return p.kind().logsIn }

func (p *Pipeline) matzipFields() []field {
	return []field{
		{"full_every", &p.FullEvery, notNegative(&p.FullEvery)},
		{"accounts", &p.Accounts, func() string { return p.checkAccounts(p.Accounts) }},
		{"accounts_file", &p.AccountsFile, filled(&p.AccountsFile)},
		{"finders", &p.Finders, func() string { return checkFinders(p.Finders) }},
		{"second_opinion", &p.SecondOpinion, oneOf(&p.SecondOpinion, opinions())},
	}
}

func (p *Pipeline) velogFields() []field {
	return []field{
		{"users", &p.Accounts, func() string { return p.checkAccounts(p.Accounts) }},
		{"user_every", &p.Pause, notNegative(&p.Pause)},
	}
}

func needMatzip(p Pipeline, s Secrets, lack func(string, ...string)) {
	if len(s.RapidAPI) == 0 {
		lack("reads Instagram", rapidAPIKey)
	}
	if s.OpenAI == "" {
		lack("asks OpenAI", "OPENAI_API_KEY")
	}
	if slices.Contains(p.Finders, "naver") {
		var names []string
		if s.NaverID == "" {
			names = append(names, "NAVER_CLIENT_ID")
		}
		if s.NaverSecret == "" {
			names = append(names, "NAVER_CLIENT_SECRET")
		}
		if len(names) > 0 {
			lack("searches Naver", names...)
		}
	}
	if slices.Contains(p.Finders, "kakao") && s.Kakao == "" {
		lack("searches Kakao", "KAKAO_REST_API_KEY")
	}
}

func needVelog(_ Pipeline, s Secrets, lack func(string, ...string)) {
	if s.Key == "" {
		lack("encrypts its users' log-ins", "SUMBI_KEY")
	}
}

var velogName = regexp.MustCompile(`^[\p{L}\p{N}_-]{1,64}$`)

// velogUser brings what people write for a user of velog (@name, its address) to the plain name.
func velogUser(s string) (string, error) {
	name := strings.TrimSpace(s)
	if _, path, ok := strings.Cut(name, "velog.io/"); ok {
		name, _, _ = strings.Cut(path, "/")
	}
	name = strings.TrimPrefix(name, "@")
	if !velogName.MatchString(name) {
		return "", errors.New("this is not a user of velog: write the name that stands behind @ in https://velog.io/@NAME")
	}
	return name, nil
}
