package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// Pipeline is one [[pipeline]] of the file.
type Pipeline struct {
	Kind         string        // what it does: "matzip", "velog"
	Name         string        // Kind unless set
	Every        time.Duration // pause between two runs; 0 when Cron or nothing says when
	Cron         string        // five fields, or @daily and its like
	Timezone     string        // of Cron
	FullEvery    time.Duration // how often whole lists are walked; 0 is never
	Accounts     []string      // as written in the file; use ReadAccounts
	AccountsFile string        // one account a line
	Finders      []string      // asked in this order

	SecondOpinion string // "unsure": a finder after the first is asked only while the place is not certain; "always"

	Pause time.Duration // a user's turn comes no sooner after the one before

	file string
}

// Next returns the start of the first run after the given moment, and the zero time when only a person starts runs.
func (p Pipeline) Next(after time.Time) time.Time {
	if p.Every > 0 {
		return after.Add(p.Every)
	}
	if p.Cron == "" {
		return time.Time{}
	}
	schedule, err := cronParser().Parse(p.Cron)
	if err != nil {
		return time.Time{}
	}
	zone, err := time.LoadLocation(p.Timezone)
	if err != nil {
		return time.Time{}
	}
	return schedule.Next(after.In(zone))
}

// ReadAccounts returns the accounts of the list and of the file, each once and in Account's form. The file is read at each
// call, relative to base unless its name is absolute. A mistake is an *Error.
func (p Pipeline) ReadAccounts(base string) ([]string, error) {
	var out []string
	for _, s := range p.Accounts {
		name, err := p.Target(s)
		if err != nil {
			return nil, &Error{File: p.file, Msg: fmt.Sprintf("pipeline %q: %v", p.Name, err)}
		}
		out = append(out, name)
	}
	if p.AccountsFile != "" {
		file := p.AccountsFile
		if !filepath.IsAbs(file) {
			file = filepath.Join(base, file)
		}
		names, err := p.accountsFile(file)
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	})
	if len(out) == 0 && p.kind().named {
		return nil, &Error{File: p.file, Msg: fmt.Sprintf("pipeline %q has no accounts: add accounts = [\"…\"] or accounts_file = \"accounts.txt\"", p.Name)}
	}
	return out, nil
}

func (p Pipeline) accountsFile(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{File: file, Msg: "the accounts cannot be read: " + cause(err) + "; create the file with one account a line, or correct accounts_file"}
	}
	var out []string
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, err := p.Target(line)
		if err != nil {
			return nil, &Error{File: file, Line: n, Msg: err.Error()}
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return nil, &Error{File: file, Msg: "there are no accounts in this file: write one a line"}
	}
	return out, nil
}

var accountName = regexp.MustCompile(`^[a-z0-9._]{1,30}$`)

// Account brings what people write for an Instagram account (@Name, its address) to the plain name in small letters.
func Account(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if _, path, ok := strings.Cut(name, "instagram.com/"); ok {
		name, _, _ = strings.Cut(path, "?")
		name, _, _ = strings.Cut(name, "/")
		if slices.Contains([]string{"p", "reel", "reels", "tv", "stories", "explore", "accounts", "direct", "about", "s", "share"}, name) {
			return "", fmt.Errorf("%q is not the page of an Instagram account, which is https://www.instagram.com/NAME/", s)
		}
	}
	name = strings.TrimPrefix(name, "@")
	if !accountName.MatchString(name) || strings.Contains(name, "..") || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
		return "", fmt.Errorf("%q is not an Instagram account: write its name in at most 30 letters, digits, dots and underscores", s)
	}
	return name, nil
}

func (p Pipeline) checkAccounts(list []string) string {
	for _, s := range list {
		if _, err := p.Target(s); err != nil {
			return "has a mistake: " + err.Error()
		}
	}
	return ""
}

func checkFinders(list []string) string {
	if len(list) == 0 {
		return "is empty: name one or both of naver and kakao"
	}
	for i, s := range list {
		if !slices.Contains(finders(), s) {
			return fmt.Sprintf("names an unknown finder %q: %s", s, Suggest(s, finders()))
		}
		if slices.Contains(list[:i], s) {
			return fmt.Sprintf("names %q twice: remove one", s)
		}
	}
	return ""
}

// cronParser reads crontab lines as crontab does: with a day of the month and a day of the week, either is enough.
func cronParser() cron.Parser {
	return cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)
}

func checkCron(line string) string {
	const like = `write it like "0 4 * * *", which is every day at 04:00`
	switch {
	case strings.Contains(line, "TZ="):
		return "must not hold a time zone: put it into timezone = \"Asia/Seoul\""
	case strings.HasPrefix(strings.TrimSpace(line), "@every"):
		return "must not be an interval: remove it and use every = \"72h\""
	}
	schedule, err := cronParser().Parse(line)
	if err != nil {
		return fmt.Sprintf("cannot be read: %q (%v); %s", line, err, like)
	}
	if schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Sprintf("names a day that never comes: %q; %s", line, like)
	}
	return ""
}

func checkZone(name string) string {
	if name == "" {
		return "is empty: write it like \"Asia/Seoul\", or leave the line out"
	}
	if _, err := time.LoadLocation(name); err != nil {
		return fmt.Sprintf("is no time zone: %q; write it like \"Asia/Seoul\"", name)
	}
	return ""
}
