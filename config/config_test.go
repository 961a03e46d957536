package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/config"
)

func TestNeed(t *testing.T) {
	t.Parallel()
	all := env{"RAPIDAPI_KEY": "a", "OPENAI_API_KEY": "b", "NAVER_CLIENT_ID": "c", "NAVER_CLIENT_SECRET": "d", "KAKAO_REST_API_KEY": "e"}
	const text = "[[pipeline]]\nkind='matzip'\naccounts=['a']\n[[pipeline]]\nkind='matzip'\nname='both'\naccounts=['a']\nfinders=['naver','kakao']"
	for name, test := range map[string]struct {
		pipeline string
		without  []string
		want     string
	}{
		"all there":       {"both", nil, "<nil>"},
		"not used":        {"matzip", []string{"KAKAO_REST_API_KEY"}, "<nil>"},
		"one":             {"matzip", []string{"RAPIDAPI_KEY"}, `RAPIDAPI_KEY is not set: pipeline "matzip" reads Instagram with it; put the value into the environment, or the name of a file that holds it into RAPIDAPI_KEY_FILE`},
		"second finder":   {"both", []string{"KAKAO_REST_API_KEY"}, `KAKAO_REST_API_KEY is not set: pipeline "both" searches Kakao with it; put the value into the environment, or the name of a file that holds it into KAKAO_REST_API_KEY_FILE`},
		"several":         {"matzip", []string{"OPENAI_API_KEY", "NAVER_CLIENT_ID", "NAVER_CLIENT_SECRET"}, `OPENAI_API_KEY, NAVER_CLIENT_ID and NAVER_CLIENT_SECRET are not set: pipeline "matzip" asks OpenAI and searches Naver with them; put the value into the environment, or the name of a file that holds it into NAME_FILE`},
		"no such":         {"bot", nil, `sumbi.toml: there is no pipeline "bot": did you mean "both"?`},
		"nothing like it": {"velog", nil, `sumbi.toml: there is no pipeline "velog": known are both, matzip`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := env{}
			for k, v := range all {
				e[k] = v
			}
			for _, k := range test.without {
				delete(e, k)
			}
			c, err := load(t, text, e)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Replace(fmt.Sprint(c.Need(test.pipeline)), c.Dir()+string(filepath.Separator), "", 1)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	if _, err := config.Default().Pipeline("matzip"); err == nil || err.Error() != `there is no pipeline "matzip": add a [[pipeline]] section` {
		t.Errorf("got %v", err)
	}
}

func TestSecretsFromFilesStayHidden(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("\ufeffhunter2-a, hunter2-b\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := env{"RAPIDAPI_KEY_FILE": file, "MONGODB_URI": " mongodb://sumbi:hunter2@localhost/ ", "SUMBI_TOKEN": "hunter2-hunter2-hunter2", "SUMBI_NOTIFY_URL": "https://example.com/hunter2"}
	c, err := load(t, "listen = '0.0.0.0:8080'", e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]adapters.Secret{"hunter2-a", "hunter2-b"}, c.Secrets.RapidAPI); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := c.Secrets.Mongo.Reveal(); got != "mongodb://sumbi:hunter2@localhost/" {
		t.Errorf("MONGODB_URI is %q", got)
	}
	masked := c.Masked()
	for name, text := range map[string]string{"Masked": masked, "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", *c)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows a secret:\n%s", name, text)
		}
	}
	for _, want := range []string{"# RAPIDAPI_KEY          set, 2 keys", "# MONGODB_URI           set\n", "# OPENAI_API_KEY        not set\n", "listen        = \"0.0.0.0:8080\""} {
		if !strings.Contains(masked, want) {
			t.Errorf("Masked() lacks %q:\n%s", want, masked)
		}
	}
}

func TestReadAccounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.txt":    "\ufeff# 서울\r\nSeoul_Matjib\r\n\r\n  @busan.matjib  # 부산\r\nhttps://instagram.com/jeju_matjib?hl=ko\r\nseoul_matjib\r\n",
		"empty.txt":   "# 아직 없음\n\n",
		"mistake.txt": "seoul\n\n맛집 서울\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		p    config.Pipeline
		want []string
		err  string
	}{
		"list":      {config.Pipeline{Accounts: []string{"@A", "b", "a"}}, []string{"a", "b"}, ""},
		"file":      {config.Pipeline{AccountsFile: "good.txt"}, []string{"seoul_matjib", "busan.matjib", "jeju_matjib"}, ""},
		"both":      {config.Pipeline{Accounts: []string{"z", "busan.matjib"}, AccountsFile: filepath.Join(dir, "good.txt")}, []string{"z", "busan.matjib", "seoul_matjib", "jeju_matjib"}, ""},
		"empty":     {config.Pipeline{AccountsFile: "empty.txt"}, nil, "empty.txt: there are no accounts in this file: write one a line"},
		"mistake":   {config.Pipeline{AccountsFile: "mistake.txt"}, nil, `mistake.txt:3: "맛집 서울" is not an Instagram account: write its name in at most 30 letters, digits, dots and underscores`},
		"not there": {config.Pipeline{AccountsFile: "none.txt"}, nil, "none.txt: the accounts cannot be read: no such file or directory; create the file with one account a line, or correct accounts_file"},
		"nothing":   {config.Pipeline{Name: "matzip"}, nil, `pipeline "matzip" has no accounts: add accounts = ["…"] or accounts_file = "accounts.txt"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.p.ReadAccounts(dir)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			text := ""
			if err != nil {
				text = strings.TrimPrefix(err.Error(), dir+string(filepath.Separator))
				if _, ok := errors.AsType[*config.Error](err); !ok {
					t.Errorf("%v is no *config.Error", err)
				}
			}
			if text != test.err {
				t.Errorf("got  %s\nwant %s", text, test.err)
			}
		})
	}
}

func TestAccountsFileIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := config.Pipeline{AccountsFile: "a.txt"}
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := p.ReadAccounts(dir)
		if err != nil || !cmp.Equal(got, []string{want}) {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		p           config.Pipeline
		after, want string
	}{
		"every":             {config.Pipeline{Every: 72 * time.Hour}, "2026-11-20T03:00:00Z", "2026-11-23T03:00:00Z"},
		"cron in Seoul":     {config.Pipeline{Cron: "0 4 * * *", Timezone: "Asia/Seoul"}, "2026-11-20T03:00:00Z", "2026-11-20T19:00:00Z"},
		"at the moment":     {config.Pipeline{Cron: "0 4 * * *", Timezone: "Asia/Seoul"}, "2026-11-20T19:00:00Z", "2026-11-21T19:00:00Z"},
		"by name":           {config.Pipeline{Cron: "@weekly", Timezone: "Asia/Seoul"}, "2026-11-20T03:00:00Z", "2026-11-21T15:00:00Z"},
		"either day":        {config.Pipeline{Cron: "0 0 1 * MON", Timezone: "UTC"}, "2026-11-20T03:00:00Z", "2026-11-23T00:00:00Z"},
		"clock goes back":   {config.Pipeline{Cron: "0 4 * * *", Timezone: "Europe/Berlin"}, "2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z"},
		"29th of February":  {config.Pipeline{Cron: "0 0 29 2 *", Timezone: "Asia/Seoul"}, "2026-11-20T03:00:00Z", "2028-02-28T15:00:00Z"},
		"only by hand":      {config.Pipeline{}, "2026-11-20T03:00:00Z", "0001-01-01T00:00:00Z"},
		"nonsense by hand":  {config.Pipeline{Cron: "x", Timezone: "Asia/Seoul"}, "2026-11-20T03:00:00Z", "0001-01-01T00:00:00Z"},
		"no zone like this": {config.Pipeline{Cron: "@daily", Timezone: "x"}, "2026-11-20T03:00:00Z", "0001-01-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, err := time.Parse(time.RFC3339, test.after)
			if err != nil {
				t.Fatal(err)
			}
			if got := test.p.Next(after).UTC().Format(time.RFC3339); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestPrice(t *testing.T) {
	t.Parallel()
	c := config.Default()
	for model, want := range map[string][3]any{
		"gpt-5-mini":            {int64(125_000), int64(1_000_000), true},
		"gpt-5-mini-2025-08-07": {int64(125_000), int64(1_000_000), true},
		"gpt-6-luna":            {int64(50_000), int64(250_000), true},
		"gpt-4o-mini":           {int64(75_000), int64(300_000), true},
		"gpt-99":                {int64(0), int64(0), false},
		"":                      {int64(0), int64(0), false},
	} {
		in, out, known := c.Price(model)
		if got := [3]any{in, out, known}; got != want {
			t.Errorf("Price(%q) = %v, want %v", model, got, want)
		}
	}
	for _, model := range c.Models() {
		in, out, known := c.Price(model)
		if !known || in <= 0 || out <= in {
			t.Errorf("Price(%q) = %d, %d, %v: that cannot be", model, in, out, known)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"72h": "72h", "3d": "72h", "1d12h": "36h", "0.5d": "12h", " 90m ": "1h30m", "500ms": "500ms", "1h0m1s": "1h0m1s", "0s": "0s", "10m": "10m", "-30m": "-30m"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%q: got %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "-1d", "NaNd", "1d1d", "1e9d", "세 시간", "1d5"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
}

func ExampleConfig_Price() {
	in, out, _ := config.Default().Price("gpt-5-mini")
	fmt.Printf("a million tokens: %d micro-dollars in, %d out\n", in, out)
	// Output: a million tokens: 125000 micro-dollars in, 1000000 out
}

// FuzzAccount wants a name that is accepted to be no path, no flag and no other name the next time.
func FuzzAccount(f *testing.F) {
	for _, s := range []string{"@Seoul.Matjib", "https://www.instagram.com/busan_matjib/?hl=ko", "../../etc/passwd", "맛집", "a\nb", "instagram.com/../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := config.Account(s)
		if err != nil {
			return
		}
		if again, err := config.Account(name); err != nil || again != name {
			t.Errorf("%q gives %q, which gives %q, %v", s, name, again, err)
		}
		if len(name) > 30 || strings.ContainsAny(name, "/\\ \t\n\x00-$`;%") || strings.Contains(name, "..") {
			t.Errorf("%q gives %q", s, name)
		}
	})
}
