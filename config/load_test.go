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
	"github.com/google/go-cmp/cmp/cmpopts"

	"sumbi/config"
)

// env is an environment of its own.
type env map[string]string

func (e env) get(name string) string { return e[name] }

// load reads text as sumbi.toml of a new folder, and returns errors with that folder's name taken out.
func load(t testing.TB, text string, e env) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sumbi.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, e.get)
	if wrong, ok := errors.AsType[*config.Error](err); ok {
		short := *wrong
		short.File = strings.TrimPrefix(short.File, dir+string(filepath.Separator))
		return c, &short
	}
	if err != nil {
		t.Fatalf("the error is no *config.Error: %v", err)
	}
	return c, nil
}

func TestExampleIsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load("../sumbi.example.toml", env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Pipelines = []config.Pipeline{{
		Kind: "matzip", Name: "matzip", Every: 72 * time.Hour, Timezone: "Asia/Seoul", FullEvery: 720 * time.Hour,
		Accounts: []string{"your_account"}, Finders: []string{"naver"}, SecondOpinion: "unsure",
	}}
	unexported := cmpopts.IgnoreUnexported(config.Config{}, config.Pipeline{})
	if diff := cmp.Diff(want, got, unexported, cmpopts.IgnoreFields(config.Config{}, "Path")); diff != "" {
		t.Errorf("sumbi.example.toml does not show the defaults (-default +example):\n%s", diff)
	}
	if got.Dir() != ".." {
		t.Errorf("Dir() = %q, want ..", got.Dir())
	}
}

func TestExampleUncommented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../sumbi.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	// What stands in comments must load as well.
	s := strings.NewReplacer("# host     =", "host =", "# timezone =", "timezone =", "# accounts_file =", "accounts_file =",
		"# [[price]]", "[[price]]", "# model  =", "model =", "# input  =", "input =", "# output =", "output =").Replace(string(text))
	if _, err := load(t, s, nil); err != nil {
		t.Error(err)
	}
	if strings.Count(s, "\nhost =")+strings.Count(s, "\ntimezone =")+strings.Count(s, "\naccounts_file =")+strings.Count(s, "\noutput =") != 4 {
		t.Error("the example has lost one of its commented keys")
	}
}

func TestLoadEverything(t *testing.T) {
	t.Parallel()
	c, err := load(t, "\ufeff"+`
state = "/data/숨비.db"
listen = "[::1]:0"
openai.model = "gpt-6-luna"
openai.max_bytes = "10MiB"
openai.max_wait = "1d12h"
naver = { dialect = "legacy", per_second = 0.5, keep = "own", cache = "0s" }

[instagram]
"base_url" = "http://127.0.0.1:9/v1/"
price = 0.3
[queue]
attempts = 3
[budget]
month = 20.5
[map]
tiles = ""

[[pipeline]]
kind = "matzip"
cron = "0 4 * * *"
accounts = ["@Seoul.Matjib", "https://www.instagram.com/busan_matjib/?hl=ko"]
finders = ["kakao", "naver"]

[[pipeline]]
kind = "matzip"
name = "부산"
accounts_file = "accounts.txt"

[[price]]
model = "gpt-6-luna"
input = 1
output = 2.5
`, env{"RAPIDAPI_KEY": " k1, k2,k1,, "})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		c.State, c.Listen, c.OpenAI.Model, c.OpenAI.MaxBytes, c.OpenAI.MaxWait, c.Naver.BaseURL, c.Naver.PerSecond, c.Naver.PerDay, c.Naver.Keep, c.Naver.Cache,
		c.Instagram.BaseURL, c.Instagram.Host, c.Queue.Attempts, c.Pipelines[0].Name, c.Pipelines[0].Finders, c.Pipelines[1].Name, c.Pipelines[1].Every, len(c.Secrets.RapidAPI),
	}
	want := []any{
		"/data/숨비.db", "[::1]:0", "gpt-6-luna", int64(10 << 20), 36 * time.Hour, "https://openapi.naver.com", 0.5, 25000, "own", time.Duration(0),
		"http://127.0.0.1:9/v1", "127.0.0.1:9", 3, "matzip",
		[]string{"kakao", "naver"},
		"부산", time.Duration(0), 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in, out, known := c.Price("gpt-6-luna")
	if in != 500_000 || out != 1_250_000 || !known {
		t.Errorf("Price = %d, %d, %v; want half of what [[price]] says", in, out, known)
	}
	if diff := cmp.Diff(map[string]int64{"instagram": 300}, c.RequestPrices()); diff != "" || config.MicroUSD(c.Budget.Month) != 20_500_000 || c.Map.Tiles != "" || c.Map.Attribution == "" || c.Budget.Run != 0 {
		t.Errorf("budget %v, prices (-want +got):\n%s", c.Budget, diff)
	}
}

const pipeline = "\n[[pipeline]]\nkind = \"matzip\"\naccounts = [\"a\"]\n"

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		env  env
		want string // the whole sentence, or its beginning when it ends in …
	}{
		"unknown key":             {"[openai]\nmodle = 1", nil, `sumbi.toml:2: unknown key "modle" in [openai]: did you mean "model"?`},
		"two letters swapped":     {"[naver]\nkepe = 'own'", nil, `sumbi.toml:2: unknown key "kepe" in [naver]: did you mean "keep"?`},
		"unknown key far away":    {"[mongo]\nuser = 1", nil, `sumbi.toml:2: unknown key "user" in [mongo]: known are collection, database`},
		"unknown section":         {"\n[opnai]\nmodel = 'x'", nil, `sumbi.toml:2: unknown key "opnai" at the top of the file: did you mean "openai"?`},
		"unknown key of pipeline": {pipeline + "fulevery = '1h'", nil, `sumbi.toml:5: unknown key "fulevery" in [pipeline]: did you mean "full_every"?`},
		"key of another section":  {"[kakao]\ndialect = 'hub'", nil, `sumbi.toml:2: unknown key "dialect" in [kakao]: it belongs into [naver]`},
		"top key too late":        {"[mongo]\nlisten = ''", nil, `sumbi.toml:2: unknown key "listen" in [mongo]: it belongs to the top of the file, above the first [section]`},
		"secret in the file":      {"[openai]\napi_key = 'sk-1'", nil, `sumbi.toml:2: unknown key "api_key" in [openai]: a secret does not belong into this file, put it into the environment (see sumbi.example.toml)`},
		"number for text":         {"[openai]\n\nmodel = 5", nil, `sumbi.toml:3: openai.model must be text in quotes, not a whole number`},
		"text for number":         {"[kakao]\nper_day = '10'", nil, `sumbi.toml:2: kakao.per_day must be a whole number, not text`},
		"text for rate":           {"[kakao]\nper_second = '10'", nil, `sumbi.toml:2: kakao.per_second must be a number, not text`},
		"text for list":           {"[[pipeline]]\nkind='matzip'\naccounts = 'a'", nil, `sumbi.toml:1: pipeline "matzip" has no accounts: …`},
		"number in list":          {pipeline + "finders = ['naver', 1]", nil, `sumbi.toml:5: pipeline.finders must be a list of texts in quotes, but number 2 of it is a whole number`},
		"value for table":         {"mongo = 'x'", nil, `sumbi.toml:1: mongo must be a table: write it as a line [mongo] with its keys below`},
		"one pipeline":            {"[pipeline]\nkind = 'matzip'", nil, `sumbi.toml:1: pipeline must be a list of tables: write each as a line [[pipeline]] with its keys below`},
		"number for duration":     {"[kakao]\ntimeout = 10", nil, `sumbi.toml:2: kakao.timeout must be a duration in quotes, such as "30s", "90m", "72h" or "3d", not a whole number`},
		"bad duration":            {"[kakao]\ntimeout = '10 초'", nil, `sumbi.toml:2: kakao.timeout has a value that cannot be read: "10 초" is not a duration: write it like "30s", "90m", "72h" or "3d"`},
		"bad days":                {"[kakao]\ncache = 'xd'", nil, `sumbi.toml:2: kakao.cache has a value that cannot be read: "xd" …`},
		"no time":                 {"[kakao]\ntimeout = '0s'", nil, `sumbi.toml:2: kakao.timeout is 0s: it must be longer than zero`},
		"negative time":           {"[kakao]\ncache = '-1h'", nil, `sumbi.toml:2: kakao.cache is -1h: it must not be negative`},
		"part of a day":           {"[velog]\nkeep = '36h'", nil, `sumbi.toml:2: velog.keep is 36h: it must be whole days, such as "730d", or "0s" for ever`},
		"less than a day":         {"[velog]\nkeep = '12h'", nil, `sumbi.toml:2: velog.keep is 12h: …`},
		"behind a byte order":     {"\ufefflissten = ''", nil, `sumbi.toml:1: unknown key "lissten" at the top of the file: did you mean "listen"?`},
		"negative rate":           {"[instagram]\nper_second = -1", nil, `sumbi.toml:2: instagram.per_second is -1: it must be 0 or more`},
		"no number":               {"[instagram]\nper_second = nan", nil, `sumbi.toml:2: instagram.per_second is NaN: it must be 0 or more`},
		"negative day":            {"[naver]\nper_day = -1", nil, `sumbi.toml:2: naver.per_day is -1: it must be at least 0`},
		"too many lines":          {"[openai]\nmax_lines = 50001", nil, `sumbi.toml:2: openai.max_lines is 50001: it must be at most 50000`},
		"too many bytes":          {"[openai]\nmax_bytes = '201MiB'", nil, `sumbi.toml:2: openai.max_bytes is 210763776: it must be at most 209715200`},
		"bad size":                {"[openai]\nmax_bytes = '5GB'", nil, `sumbi.toml:2: openai.max_bytes has a size that cannot be read: "5GB"; write it like "190MiB" or 199229440`},
		"price too fine":          {"[instagram]\nprice = 0.0003", nil, `sumbi.toml:2: instagram.price is 0.0003: it is dollars for 1,000 requests, in steps of 0.001`},
		"negative request price":  {"[kakao]\nprice = -1", nil, `sumbi.toml:2: kakao.price is -1: it must be a number of dollars, 0 or more`},
		"negative budget":         {"[budget]\nmonth = -0.5", nil, `sumbi.toml:2: budget.month is -0.5: it must be a number of dollars, 0 or more`},
		"budget without a price":  {"[openai]\nmodel = 'gpt-맛'\n[budget]\nrun = 5", nil, `sumbi.toml:3: there is a budget, but the price of "gpt-맛" is not known: add a [[price]] for it, or remove [budget]`},
		"tiles of nowhere":        {"[map]\ntiles = 'tile.example/{z}/{x}/{y}'", nil, `sumbi.toml:2: map.tiles must be the address of a tile, such as "https://tile.example.com/{z}/{x}/{y}.png", or "" for none`},
		"a way out of the policy": {"[map]\ntiles = 'https://a.example; script-src */{z}/{x}/{y}'", nil, `sumbi.toml:2: map.tiles must be the address of a tile, such as "https://tile.example.com/{z}/{x}/{y}.png", or "" for none`},
		"one tile":                {"[map]\ntiles = 'https://tile.example/{z}/{x}.png'", nil, `sumbi.toml:2: map.tiles must have {z}, {x} and {y} where the number of a tile stands`},
		"a part nobody knows":     {"[map]\ntiles = 'https://tile.example/{z}/{x}/{y}.png?key={key}'", nil, `sumbi.toml:2: map.tiles has {key}: only {z}, {x}, {y}, {s} and {r} are known`},
		"whose tiles":             {"[map]\nattribution_url = 'javascript:alert(1)'", nil, `sumbi.toml:2: map.attribution_url must be an address that begins with https:// (or http://), or "" for none`},
		"no attempts":             {"[queue]\nattempts = 0", nil, `sumbi.toml:2: queue.attempts is 0: it must be at least 1`},
		"back-off upside down":    {"[queue]\nbackoff = '10m'", nil, `sumbi.toml:1: queue.backoff_max is shorter than queue.backoff: make it at least 10m`},
		"dialect":                 {"[naver]\ndialect = 'hup'", nil, `sumbi.toml:2: naver.dialect is unknown: "hup"; did you mean "hub"?`},
		"keep":                    {"[naver]\nkeep = 'none'", nil, `sumbi.toml:2: naver.keep is unknown: "none"; known are all, own`},
		"base URL":                {"[naver]\nbase_url = 'ftp://example.com'", nil, `sumbi.toml:2: naver.base_url must be an address that begins with https:// (or http://) and names a host`},
		"base URL without host":   {"[naver]\nbase_url = 'https:///v1'", nil, `sumbi.toml:2: naver.base_url must be an address …`},
		"base URL with query":     {"[naver]\nbase_url = 'https://example.com/?a=1'", nil, `sumbi.toml:2: naver.base_url must be a bare address, without ?, # or a user name`},
		"password":                {"[naver]\nbase_url = 'https://sumbi:hunter2@example.com'", nil, `sumbi.toml:2: naver.base_url holds an address with a password: remove it and put it into the environment (MONGODB_URI, DATABASE_URL)`},
		"password in state":       {"state = 'postgres://sumbi:hunter2@localhost/sumbi'", nil, `sumbi.toml:1: state holds an address with a password: …`},
		"password in unknown key": {"[mongo]\nuri = 'mongodb://sumbi:hunter2@localhost/'", nil, `sumbi.toml:2: mongo.uri holds an address with a password: …`},
		"password in a list":      {pipeline + "finders = ['x://a:hunter2@b']", nil, `sumbi.toml:5: pipeline.finders holds an address with a password: …`},
		"address as state":        {"state = 'postgres://localhost/sumbi'", nil, `sumbi.toml:1: state must be a file, such as "sumbi.db", not an address`},
		"postgres":                {"state = 'postgres'", nil, `sumbi.toml:1: state = "postgres" needs DATABASE_URL: put the address of the database into the environment, postgres://user:password@host:5432/name`},
		"no state":                {"state = ''", nil, `sumbi.toml:1: state is empty: name a file, such as "sumbi.db"`},
		"listen to all":           {"\nlisten = '0.0.0.0:8080'", nil, `sumbi.toml:2: listen is "0.0.0.0:8080", which others can reach: set SUMBI_TOKEN to protect it, or listen on 127.0.0.1`},
		"listen to all, short":    {"listen = ':8080'", nil, `sumbi.toml:1: listen is ":8080", which others can reach: …`},
		"listen to a name":        {"listen = 'example.com:8080'", nil, `sumbi.toml:1: listen is "example.com:8080", which others can reach: …`},
		"listen without port":     {"listen = '127.0.0.1'", nil, `sumbi.toml:1: listen is not an address: "127.0.0.1"; write it like "127.0.0.1:8080"`},
		"listen on a bad port":    {"listen = '127.0.0.1:99999'", nil, `sumbi.toml:1: listen has no port between 0 and 65535: "127.0.0.1:99999"; write it like "127.0.0.1:8080"`},
		"database name":           {"[mongo]\ndatabase = 'a.b'", nil, `sumbi.toml:2: mongo.database is no name that MongoDB accepts: "a.b"; use at most 63 letters, digits, - and _`},
		"empty model":             {"[openai]\nmodel = ' '", nil, `sumbi.toml:2: openai.model is empty: give it a value, or leave the line out`},
		"kind":                    {"[[pipeline]]\nkind = 'matsip'\naccounts = ['a']", nil, `sumbi.toml:2: pipeline.kind is unknown: "matsip"; did you mean "matzip"?`},
		"no kind":                 {"[[pipeline]]\nname = 'x'\naccounts = ['a']", nil, `sumbi.toml:1: the pipeline has no kind: add a line such as kind = "matzip"`},
		"finder":                  {pipeline + "finders = ['navr']", nil, `sumbi.toml:5: pipeline.finders names an unknown finder "navr": did you mean "naver"?`},
		"opinion":                 {pipeline + "second_opinion = 'unsur'", nil, `sumbi.toml:5: pipeline.second_opinion is unknown: "unsur"; did you mean "unsure"?`},
		"no finders":              {pipeline + "finders = []", nil, `sumbi.toml:5: pipeline.finders is empty: name one or both of naver and kakao`},
		"finder twice":            {pipeline + "finders = ['naver', 'naver']", nil, `sumbi.toml:5: pipeline.finders names "naver" twice: remove one`},
		"same name":               {pipeline + pipeline, nil, `sumbi.toml:6: pipeline "matzip" is already defined on line 2: give one of them another name`},
		"same name given":         {pipeline + pipeline + "name = 'matzip'", nil, `sumbi.toml:9: pipeline "matzip" is already defined on line 2: …`},
		"name":                    {pipeline + "name = 'a b'", nil, `sumbi.toml:5: pipeline.name is no good name: "a b"; …`},
		"no accounts":             {"\n[[pipeline]]\nkind = 'matzip'", nil, `sumbi.toml:2: pipeline "matzip" has no accounts: add accounts = ["…"] or accounts_file = "accounts.txt"`},
		"bad account":             {"[[pipeline]]\nkind = 'matzip'\naccounts = [\n 'a',\n '맛집']", nil, `sumbi.toml:3: pipeline.accounts has a mistake: "맛집" is not an Instagram account: write its name in at most 30 letters, digits, dots and underscores`},
		"every and cron":          {pipeline + "every = '1h'\ncron = '0 4 * * *'", nil, `sumbi.toml:6: pipeline "matzip" has both every and cron: keep one of them`},
		"second of two":           {pipeline + "every = '1h'\n[[pipeline]]\nkind = 'matzip'\nname = 'b'\naccounts = ['b']\nevery = 'x'", nil, `sumbi.toml:10: pipeline.every has a value that cannot be read: …`},
		"cron":                    {pipeline + "cron = '0 25 * * *'", nil, `sumbi.toml:5: pipeline.cron cannot be read: "0 25 * * *" (…`},
		"cron of seconds":         {pipeline + "cron = '0 0 4 * * *'", nil, `sumbi.toml:5: pipeline.cron cannot be read: …`},
		"cron with zone":          {pipeline + "cron = 'CRON_TZ=Asia/Seoul 0 4 * * *'", nil, `sumbi.toml:5: pipeline.cron must not hold a time zone: put it into timezone = "Asia/Seoul"`},
		"cron with broken zone":   {pipeline + "cron = 'TZ=0'", nil, `sumbi.toml:5: pipeline.cron must not hold a time zone: …`},
		"cron of intervals":       {pipeline + "cron = '@every 1h'", nil, `sumbi.toml:5: pipeline.cron must not be an interval: remove it and use every = "72h"`},
		"cron that never comes":   {pipeline + "cron = '0 4 30 2 *'", nil, `sumbi.toml:5: pipeline.cron names a day that never comes: "0 4 30 2 *"; …`},
		"empty cron":              {pipeline + "cron = ''", nil, `sumbi.toml:5: pipeline.cron cannot be read: …`},
		"time zone":               {pipeline + "timezone = 'Asia/Soul'", nil, `sumbi.toml:5: pipeline.timezone is no time zone: "Asia/Soul"; write it like "Asia/Seoul"`},
		"empty time zone":         {pipeline + "timezone = ''", nil, `sumbi.toml:5: pipeline.timezone is empty: write it like "Asia/Seoul", or leave the line out`},
		"half a price":            {"[[price]]\nmodel = 'x'\ninput = 1", nil, `sumbi.toml:1: the price has no output: a price is model, input and output, in dollars for a million tokens`},
		"negative price":          {"[[price]]\nmodel = 'x'\ninput = -1\noutput = 1", nil, `sumbi.toml:3: price.input is -1: it must be 0 or more`},
		"two prices":              {strings.Repeat("[[price]]\nmodel = 'x'\ninput = 1\noutput = 1\n", 2), nil, `sumbi.toml:5: model "x" has two prices: remove one`},
		"nearest to the top":      {"[naver]\nkeep = 'x'\n[kakao]\nper_day = -1\n[openai]\nmodel = 1", nil, `sumbi.toml:2: naver.keep is unknown: …`},
		"after a long text":       {"state = '''\nlisten = 1\n.db'''\n[naver]\nkeep = 'x'", nil, `sumbi.toml:5: naver.keep is unknown: …`},
		"broken TOML":             {"state = 'a'\nlisten = ", nil, `sumbi.toml:2: this is not TOML, correct the line: …`},
		"key twice":               {"state = 'a'\nstate = 'b'", nil, `sumbi.toml:2: this is not TOML, correct the line: …`},
		"other encoding":          {"state = '\xbd\xbb'", nil, `sumbi.toml:1: this is not TOML, correct the line: …`},
		"both NAME and NAME_FILE": {"", env{"OPENAI_API_KEY": "sk", "OPENAI_API_KEY_FILE": "/x"}, `OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set: unset one of them`},
		"NAME_FILE is not there":  {"", env{"RAPIDAPI_KEY_FILE": "/nowhere/key"}, `RAPIDAPI_KEY_FILE names /nowhere/key, which cannot be read: no such file or directory`},
		"NAME_FILE is empty":      {"", env{"RAPIDAPI_KEY_FILE": os.DevNull}, `RAPIDAPI_KEY_FILE names /dev/null, which is empty: write the secret into it`},
		"key on two lines":        {"", env{"SUMBI_TOKEN": "hunter2\nx"}, `SUMBI_TOKEN holds a line break or another control character: give the bare secret on one line`},
		"address to notify":       {"", env{"SUMBI_NOTIFY_URL": "hunter2"}, `SUMBI_NOTIFY_URL must be an address that begins with https://`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.text, test.env)
			if err == nil {
				t.Fatalf("no error, want %s", test.want)
			}
			got := err.Error()
			if start, open := strings.CutSuffix(test.want, "…"); open && strings.HasPrefix(got, start) {
				got = test.want
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the sentence holds a secret: %v", err)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load("/nowhere/sumbi.toml", env{}.get)
	want := &config.Error{File: "/nowhere/sumbi.toml", Msg: "there is no such file: copy sumbi.example.toml to it, or name another one with --config"}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := config.Load(t.TempDir(), env{}.get); err == nil || !strings.HasSuffix(err.Error(), ": the file cannot be read: is a directory") {
		t.Errorf("a folder: got %v", err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	for addr, open := range map[string]bool{"": false, "localhost:1": false, "127.1.2.3:1": false, "[::1]:http": false, "[::]:1": true, ":1": true, "192.168.0.1:1": true} {
		if err := config.CheckListen(addr, ""); (err != nil) != open {
			t.Errorf("CheckListen(%q) = %v", addr, err)
		}
		if err := config.CheckListen(addr, "열려라참깨열려라참깨열려라참깨!"); err != nil {
			t.Errorf("CheckListen(%q) with a token = %v", addr, err)
		}
		if err := config.CheckListen(addr, "열려라참깨열려라참깨열려라참깨"); (err != nil) != open {
			t.Errorf("CheckListen(%q) with a short token = %v", addr, err)
		}
	}
}

// TestNamesThatMayReachOut wants every address that is not this machine's own to need a token, however it is written.
func TestNamesThatMayReachOut(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		":8080", "0.0.0.0:8080", "[::]:8080", "0:8080", "127.1:8080", "localhost.example.org:80", "localhost.:80", "sumbi.local:80", "127.0.0.1.nip.io:80",
		"[fe80::1%lo]:80", "[fd00::1]:80", "[::ffff:10.0.0.1]:80", "숨비.kr:80",
	} {
		if err := config.CheckListen(addr, ""); err == nil || !strings.Contains(err.Error(), "SUMBI_TOKEN") {
			t.Errorf("CheckListen(%q) = %v", addr, err)
		}
	}
	for _, addr := range []string{"LOCALHOST:0", "127.0.0.1:0", "[::ffff:127.0.0.1]:0"} {
		if err := config.CheckListen(addr, ""); err != nil {
			t.Errorf("CheckListen(%q) = %v", addr, err)
		}
	}
}

func TestAccountsArePlainNames(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"../../etc/passwd", "a/../b", "a\nb", "a\x00b", "..", ".", "a..b", "맛집", "a b", "a%2fb", "$(id)", "`id`", "a;b", "-rf a", strings.Repeat("a", 31), "https://evil.example/../a b"} {
		if name, err := config.Account(s); err == nil {
			t.Errorf("Account(%q) = %q", s, name)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	for path, ok := range map[string]bool{"숨비.db": true, "/data/a b.db": true, "": false, "postgres://sumbi:hunter2@db/sumbi": false} {
		err := config.CheckState(path)
		if (err == nil) != ok || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("CheckState(%q) = %v", path, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../sumbi.example.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("[[pipeline]]\nkind = 'matzip'\ncron = '0 4 * * *'\naccounts = ['a']")
	f.Add("pipeline = [{kind = 'matzip'}, 1]\nprice = [[]]\nnaver = {per_second = inf}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load(t, text, nil)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		// What is accepted is accepted again as it is shown.
		if _, err := load(t, c.Masked(), nil); err != nil {
			t.Errorf("the dump does not load: %v\n%s", err, c.Masked())
		}
	})
}
