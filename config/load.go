package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path, and the secrets through getenv, which is os.Getenv in a program. What the file leaves out
// has its default. A mistake is an *Error; of several it is the one nearest to the top of the file.
func Load(path string, getenv func(string) string) (*Config, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{File: path, Msg: "there is no such file: copy sumbi.example.toml to it, or name another one with --config"}
	case err != nil:
		return nil, &Error{File: path, Msg: "the file cannot be read: " + cause(err)}
	}
	c := Default()
	c.Path = path
	if c.Secrets, err = ReadSecrets(getenv); err != nil {
		return nil, err
	}
	d := &document{file: path, lines: indexLines(strings.TrimPrefix(string(text), "\ufeff"))}
	var root map[string]any
	if _, err := toml.Decode(string(text), &root); err != nil {
		return nil, syntaxError(path, err)
	}
	d.read(c, root)
	if err := d.first(); err != nil {
		return nil, err
	}
	return c, nil
}

// document is a file that is being read, with the mistakes found so far.
type document struct {
	file  string
	lines lineIndex
	wrong []*Error
}

func (d *document) complain(path, format string, args ...any) {
	d.wrong = append(d.wrong, &Error{File: d.file, Line: d.lines.of(path), Msg: fmt.Sprintf(format, args...)})
}

func (d *document) first() error {
	if len(d.wrong) == 0 {
		return nil
	}
	slices.SortStableFunc(d.wrong, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return d.wrong[0]
}

func (d *document) read(c *Config, root map[string]any) {
	d.passwords("", root)
	sections := c.sections()
	tables := []string{"pipeline", "price"}
	for _, s := range sections[1:] {
		tables = append(tables, s.name)
	}
	for _, s := range sections {
		table := root
		if s.name != "" {
			v, ok := root[s.name]
			if !ok {
				continue
			}
			if table, ok = v.(map[string]any); !ok {
				d.complain(s.name, "%s must be a table: write it as a line [%s] with its keys below", s.name, s.name)
				continue
			}
		}
		known := tables
		if s.name != "" {
			known = nil
		}
		d.fill(s.name, s.name, table, s.fields, known, sections)
	}
	d.derive(c, root)
	d.pipelines(c, root)
	d.prices(c, root)
	if _, _, known := c.Price(c.OpenAI.Model); !known && c.Budget != (Budget{}) {
		d.complain("budget", "there is a budget, but the price of %q is not known: add a [[price]] for it, or remove [budget]", c.OpenAI.Model)
	}
}

// fill sets the fields of one table. Its keys are the fields and, at the top, the names of the other tables.
func (d *document) fill(path, name string, table map[string]any, fields []field, tables []string, all []section) {
	known := slices.Clone(tables)
	for _, f := range fields {
		known = append(known, f.key)
		v, ok := table[f.key]
		if !ok {
			continue
		}
		complaint := f.set(v)
		if complaint == "" && f.check != nil {
			complaint = f.check()
		}
		if complaint != "" {
			d.complain(join(path, f.key), "%s %s", join(name, f.key), complaint)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, key) {
			d.complain(join(path, key), "%s", unknownKey(key, name, known, all))
		}
	}
}

var secretWord = regexp.MustCompile(`(?i)(key|secret|token|password|client_id|uri)$`)

func unknownKey(key, table string, known []string, all []section) string {
	where := "at the top of the file"
	if table != "" {
		where = "in [" + table + "]"
	}
	hint := Suggest(key, known)
	if secretWord.MatchString(key) && !slices.ContainsFunc(known, func(k string) bool { return distance(key, k) < 2 }) {
		hint = "a secret does not belong into this file, put it into the environment (see sumbi.example.toml)"
	} else if !strings.HasPrefix(hint, "did") {
		for _, s := range all {
			if s.name != table && slices.ContainsFunc(s.fields, func(f field) bool { return f.key == key }) {
				hint = "it belongs into [" + s.name + "]"
				if s.name == "" {
					hint = "it belongs to the top of the file, above the first [section]"
				}
				break
			}
		}
	}
	return fmt.Sprintf("unknown key %q %s: %s", key, where, hint)
}

// derive settles what depends on more than one key.
func (d *document) derive(c *Config, root map[string]any) {
	has := func(table, key string) bool {
		t, _ := root[table].(map[string]any)
		_, ok := t[key]
		return ok
	}
	if complaint := listenAddress(c.Listen, c.Secrets.Token); complaint != "" {
		d.complain("listen", "listen %s", complaint)
	}
	if c.State == Postgres && c.Secrets.Database == "" {
		d.complain("state", "state = %q needs DATABASE_URL: put the address of the database into the environment, postgres://user:password@host:5432/name", Postgres)
	}
	if !has("instagram", "host") {
		if u, err := url.Parse(c.Instagram.BaseURL); err == nil {
			c.Instagram.Host = u.Host
		}
	}
	if c.Naver.Dialect == "legacy" && !has("naver", "base_url") {
		c.Naver.BaseURL = naverLegacy
	}
	if c.Queue.BackoffMax < c.Queue.Backoff {
		d.complain("queue.backoff_max", "queue.backoff_max is shorter than queue.backoff: make it at least %s", Duration(c.Queue.Backoff))
	}
}

func (d *document) pipelines(c *Config, root map[string]any) {
	seen := map[string]int{}
	for i, table := range d.tables(root, "pipeline") {
		path := fmt.Sprintf("pipeline[%d]", i)
		p := newPipeline(table["kind"])
		p.file = c.Path
		d.fill(path, "pipeline", table, p.fields(), nil, nil)
		if _, ok := table["kind"]; !ok {
			d.complain(path, "the pipeline has no kind: add a line such as kind = \"matzip\"")
		}
		if p.Name == "" {
			p.Name = p.Kind
		}
		_, every := table["every"]
		_, cron := table["cron"]
		if every && cron {
			d.complain(join(path, "cron"), "pipeline %q has both every and cron: keep one of them", p.Name)
		}
		if cron {
			p.Every = 0
		}
		if p.kind().named && len(p.Accounts) == 0 && p.AccountsFile == "" {
			d.complain(path, "pipeline %q has no accounts: add accounts = [\"…\"] or accounts_file = \"accounts.txt\"", p.Name)
		}
		if line, twice := seen[p.Name]; twice && p.Name != "" {
			d.complain(join(path, "name"), "pipeline %q is already defined on line %d: give one of them another name", p.Name, line)
		}
		seen[p.Name] = d.lines.of(path)
		c.Pipelines = append(c.Pipelines, p)
	}
}

func (d *document) prices(c *Config, root map[string]any) {
	seen := map[string]bool{}
	for i, table := range d.tables(root, "price") {
		path := fmt.Sprintf("price[%d]", i)
		var p price
		d.fill(path, "price", table, p.fields(), nil, nil)
		for _, key := range []string{"model", "input", "output"} {
			if _, ok := table[key]; !ok {
				d.complain(path, "the price has no %s: a price is model, input and output, in dollars for a million tokens", key)
			}
		}
		if seen[p.Model] {
			d.complain(path, "model %q has two prices: remove one", p.Model)
		}
		seen[p.Model] = true
		c.prices[p.Model] = p
	}
}

// tables returns the tables of a [[name]].
func (d *document) tables(root map[string]any, name string) []map[string]any {
	v, ok := root[name]
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case []map[string]any:
		return v
	case []any:
		out := make([]map[string]any, 0, len(v))
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				break
			}
			out = append(out, t)
		}
		if len(out) == len(v) {
			return out
		}
	}
	d.complain(name, "%s must be a list of tables: write each as a line [[%s]] with its keys below", name, name)
	return nil
}

// passwords refuses addresses that carry one, wherever they stand; the sentence does not repeat them.
func (d *document) passwords(path string, v any) {
	switch v := v.(type) {
	case string:
		if withPassword.MatchString(v) {
			d.complain(path, "%s holds an address with a password: remove it and put it into the environment (MONGODB_URI, DATABASE_URL)", plainPath(path))
		}
	case []any:
		for _, e := range v {
			d.passwords(path, e)
		}
	case []map[string]any:
		for i, e := range v {
			d.passwords(fmt.Sprintf("%s[%d]", path, i), e)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			d.passwords(join(path, key), v[key])
		}
	}
}

func syntaxError(file string, err error) error {
	p, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return &Error{File: file, Msg: "this is not TOML: " + err.Error()}
	}
	msg := strings.TrimSuffix(p.Message, ".")
	if strings.Contains(msg, "UTF-8") {
		msg += "; save the file as UTF-8"
	}
	return &Error{File: file, Line: p.Position.Line, Msg: "this is not TOML, correct the line: " + msg}
}

// cause drops what a path error repeats.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
