package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"sumbi/jobs"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// postKey is the key of a post that a person names by its number, its address or the code in that. An empty one is a usage
// error: it would be any post.
func postKey(arg string) (string, error) {
	arg = strings.TrimSpace(arg)
	switch {
	case arg == "":
		return "", usageError{errors.New("the post is empty: give its number, address or code")}
	case strings.Trim(arg, "0123456789") == "":
		return arg, nil
	}
	code := arg
	if u, err := url.Parse(arg); err == nil {
		code = strings.Trim(u.Path, "/")
	}
	if i := strings.LastIndex(code, "/"); i >= 0 {
		code = code[i+1:]
	}
	id := new(big.Int)
	for _, r := range code {
		digit := strings.IndexRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
		if digit < 0 {
			return arg, nil
		}
		id.Add(id.Lsh(id, 6), big.NewInt(int64(digit)))
	}
	return id.String(), nil
}

// safe is a text from outside on one line, without what would steer a terminal.
func safe(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x061C, r == 0x200E, r == 0x200F, r == 0x2028, r == 0x2029:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// shownCaption is how much of a caption stands around the part that names the shop, in characters.
const shownCaption = 90

// excerpt is the part of a caption around its first quote, which is marked; the beginning when it has none.
func excerpt(caption, quote string) string {
	caption, quote = safe(caption), safe(quote)
	before, after, found := strings.Cut(caption, quote)
	if !found || quote == "" {
		if utf8.RuneCountInString(caption) > 2*shownCaption {
			caption = string([]rune(caption)[:2*shownCaption]) + "…"
		}
		return caption
	}
	if r := []rune(before); len(r) > shownCaption {
		before = "…" + string(r[len(r)-shownCaption:])
	}
	if r := []rune(after); len(r) > shownCaption {
		after = string(r[:shownCaption]) + "…"
	}
	return before + "»" + quote + "«" + after
}

// printPost says which post it is, and what it says of the mention.
func printPost(w io.Writer, m queue.Mention) {
	post := jobs.PostOf(m)
	fmt.Fprintf(w, "post %s of %s, %s  %s\n", m.Record.Key, safe(m.Record.Target), when(m.Record.Time)[:10], safe(post.URL))
	if text := excerpt(post.Caption, jobs.FieldsOf(m).Quote); text != "" {
		fmt.Fprintf(w, "  %s\n", text)
	}
	if post.Place != "" {
		fmt.Fprintf(w, "  tagged: %s\n", safe(post.Place))
	}
}

// printMention says what a post says of a restaurant, what was decided about it and why, with every candidate.
func printMention(w io.Writer, m queue.Mention, choices []queue.Option, asked []queue.Asked) {
	r := jobs.FieldsOf(m)
	fmt.Fprintf(w, "mention %d: %s", m.N, safe(m.Name))
	for _, f := range [][2]string{{"branch", r.Branch}, {"area", r.Area}, {"address", r.Address}, {"phone", r.Phone}} {
		if f[1] != "" {
			fmt.Fprintf(w, ", %s %s", f[0], safe(f[1]))
		}
	}
	var dishes []string
	for _, d := range r.Menu {
		dishes = append(dishes, safe(d.Name))
	}
	if len(dishes) > 0 {
		fmt.Fprintf(w, "; menu: %s", strings.Join(dishes, ", "))
	}
	fmt.Fprintln(w)
	if m.State == "waiting" {
		fmt.Fprintln(w, "  waiting: not matched yet")
	} else {
		fmt.Fprintf(w, "  %s, score %.3f: %s\n", m.State, m.Score, m.Reason)
	}
	post := jobs.PostOf(m)
	for i, c := range choices {
		printChoice(w, i+1, c, m.Found, post)
	}
	if len(asked) > 0 {
		var qs []string
		for _, a := range asked {
			qs = append(qs, fmt.Sprintf("%s %q (%d)", a.Finder, safe(a.Query), a.Found))
		}
		fmt.Fprintf(w, "  searched: %s\n", strings.Join(qs, ", "))
	}
}

func printChoice(w io.Writer, n int, c queue.Option, found string, post jobs.PostFacts) {
	mark := " "
	if found != "" && found == jobs.KeyOf(c) {
		mark = "*"
	}
	name := safe(c.Name)
	if name == "" {
		name = "(" + c.Finder + ", its text is not kept)"
	}
	fmt.Fprintf(w, " %s%2d. %s", mark, n, name)
	for _, text := range []string{firstOf(c.RoadAddress, c.Address), c.Category, c.Phone} {
		if text != "" {
			fmt.Fprintf(w, "  %s", safe(text))
		}
	}
	if post.Lat != 0 && c.Lat != 0 {
		fmt.Fprintf(w, "  %s from the tag", distance(match.Distance(post.Lat, post.Lng, c.Lat, c.Lng)))
	}
	fmt.Fprintln(w)
	if c.Why != "" {
		fmt.Fprintf(w, "      %.3f: %s\n", c.Score, c.Why)
	}
	if c.Link != "" {
		fmt.Fprintf(w, "      %s\n", safe(c.Link))
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func distance(metres float64) string {
	if metres < 1000 {
		return fmt.Sprintf("%.0f m", metres)
	}
	return fmt.Sprintf("%.1f km", metres/1000)
}

// showPost prints every mention of a post with its story; queue.ErrNotFound when the file has no such post.
func (e *env) showPost(s *queue.Store, arg string) error {
	key, err := postKey(arg)
	if err != nil {
		return err
	}
	ms, err := s.Reviews(e.ctx, queue.ReviewFilter{Post: key, All: true}, 0, 1000)
	if err != nil {
		return err
	}
	if len(ms) == 0 {
		return fmt.Errorf("there is no job and no post with mentions %q; `sumbi jobs list` shows jobs, `select post, state from v_posts` posts", arg)
	}
	printPost(e.Stdout, ms[0])
	for _, m := range ms {
		if err := e.showMention(s, m); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) showMention(s *queue.Store, m queue.Mention) error {
	choices, asked, err := jobs.Choices(e.ctx, s, m)
	if err != nil {
		return err
	}
	printMention(e.Stdout, m, choices, asked)
	if m.Label == 0 {
		return nil
	}
	l, err := s.LabelOf(e.ctx, m.ID)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "  decided by %s, %s\n", firstOf(safe(l.Author), "a person"), when(l.At))
	if l.Was.State != "waiting" {
		fmt.Fprintf(e.Stdout, "  before that: %s, score %.3f: %s\n", l.Was.State, l.Was.Score, l.Was.Reason)
	}
	return nil
}

// showMatch prints the mention that a match job is about.
func (e *env) showMatch(s *queue.Store, j queue.JobRow) error {
	var a struct {
		Mention int64 `json:"mention"`
	}
	if json.Unmarshal([]byte(j.Args), &a) != nil {
		return nil
	}
	m, err := s.Mention(e.ctx, a.Mention)
	if errors.Is(err, queue.ErrNotFound) {
		return nil // the post has been read anew
	}
	if err != nil {
		return err
	}
	printPost(e.Stdout, m)
	return e.showMention(s, m)
}
