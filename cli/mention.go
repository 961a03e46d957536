package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sumbi/adapters"
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
	return strings.Join(strings.Fields(harmless(s)), " ")
}

// harmless makes spaces of line breaks and tabs and leaves out what would steer a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x061C, r == 0x200E, r == 0x200F, r == 0x2028, r == 0x2029:
			return -1
		}
		return r
	}, s)
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
func printPost(w *screen, m queue.Mention) {
	post := jobs.PostOf(m)
	w.mark(bold, "post", " %s of %s, %s  %s", m.Record.Key, safe(m.Record.Target), when(m.Record.Time)[:10], safe(post.URL))
	if text := excerpt(post.Caption, jobs.FieldsOf(m).Quote); text != "" {
		w.say("  %s", text)
	}
	if post.Place != "" {
		w.say("  tagged: %s", safe(post.Place))
	}
}

// printMention says what a post says of a restaurant, what was decided about it and why, with every candidate.
func printMention(w *screen, m queue.Mention, choices []queue.Option, asked []queue.Asked) {
	r := jobs.FieldsOf(m)
	var text strings.Builder
	text.WriteString(" " + safe(m.Name))
	for _, f := range [][2]string{{"branch", r.Branch}, {"area", r.Area}, {"address", r.Address}, {"phone", r.Phone}} {
		if f[1] != "" {
			fmt.Fprintf(&text, ", %s %s", f[0], safe(f[1]))
		}
	}
	var dishes []string
	for _, d := range r.Menu {
		dishes = append(dishes, safe(d.Name))
	}
	if len(dishes) > 0 {
		fmt.Fprintf(&text, "; menu: %s", strings.Join(dishes, ", "))
	}
	w.mark(bold, fmt.Sprintf("mention %d:", m.N), "%s", text.String())
	if m.State == "waiting" {
		w.say("  waiting: not matched yet")
	} else {
		w.mark(stateStyle(m.State).style, "  "+m.State, ", score %.3f: %s", m.Score, m.Reason)
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
		w.say("  searched: %s", strings.Join(qs, ", "))
	}
}

func printChoice(w *screen, n int, c queue.Option, found string, post jobs.PostFacts) {
	mark, st := " ", plainly
	if found != "" && found == jobs.KeyOf(c) {
		mark, st = "*", green
	}
	name := safe(c.Name)
	if name == "" {
		name = "(" + c.Finder + ", its text is not kept)"
	}
	var text strings.Builder
	for _, t := range []string{firstOf(c.RoadAddress, c.Address), c.Category, c.Phone} {
		if t != "" {
			text.WriteString("  " + safe(t))
		}
	}
	if post.Lat != 0 && c.Lat != 0 {
		fmt.Fprintf(&text, "  %s from the tag", distance(match.Distance(post.Lat, post.Lng, c.Lat, c.Lng)))
	}
	w.mark(st, fmt.Sprintf(" %s%2d. %s", mark, n, name), "%s", text.String())
	if c.Why != "" {
		w.say("      %.3f: %s", c.Score, c.Why)
	}
	if c.Link != "" {
		w.say("      %s", safe(c.Link))
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
func (e *env) showPost(s *queue.Store, arg string, asJSON bool) error {
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
	told, err := readMentions(e.ctx, s, ms)
	if err != nil {
		return err
	}
	if asJSON {
		return e.document("jobs show", struct{ Mentions []mentionStory }{told})
	}
	printPost(e.out, ms[0])
	for _, m := range told {
		m.print(e.out)
	}
	return nil
}

// mentionStory is a mention with what was decided about it, and why.
type mentionStory struct {
	Post       postOf
	N          int // 0 is the first of the post
	Restaurant jobs.Restaurant
	State      string // place, none, review, waiting
	Place      string // its id; "" none
	Score      float64
	Reason     string
	Candidates []candidate // best first
	Searches   []queue.Asked
	Decided    *decided // by a person

	of      queue.Mention
	choices []queue.Option
	label   *queue.Label
}

// postOf is the post that a mention is of.
type postOf struct {
	ID, Account, URL, Caption, Tagged string
	TakenAt                           time.Time
}

// candidate is an entry of a finder that could be the place.
type candidate struct {
	adapters.Candidate
	Score  float64
	Why    string
	Chosen bool
}

// decided is a decision of a person.
type decided struct {
	By     string
	At     time.Time
	Before string // what it was before: place, none, review, waiting
}

// readMentions reads the story of each mention.
func readMentions(ctx context.Context, s *queue.Store, ms []queue.Mention) ([]mentionStory, error) {
	var all []mentionStory
	for _, m := range ms {
		choices, asked, err := jobs.Choices(ctx, s, m)
		if err != nil {
			return nil, err
		}
		post := jobs.PostOf(m)
		t := mentionStory{
			Post: postOf{m.Record.Key, m.Record.Target, post.URL, post.Caption, post.Place, m.Record.Time},
			N:    m.N, Restaurant: jobs.FieldsOf(m), State: m.State, Place: m.Place, Score: m.Score, Reason: m.Reason, Searches: asked, of: m, choices: choices,
		}
		for _, c := range choices {
			t.Candidates = append(t.Candidates, candidate{c.Candidate, c.Score, c.Why, m.Found != "" && m.Found == jobs.KeyOf(c)})
		}
		if m.Label != 0 {
			l, err := s.LabelOf(ctx, m.ID)
			switch {
			case err == nil:
				t.label, t.Decided = &l, &decided{l.Author, l.At, l.Was.State}
			case !errors.Is(err, queue.ErrNotFound):
				return nil, err
			}
		}
		all = append(all, t)
	}
	return all, nil
}

func (t mentionStory) print(w *screen) {
	printMention(w, t.of, t.choices, t.Searches)
	if l := t.label; l != nil {
		w.say("  decided by %s, %s", firstOf(safe(l.Author), "a person"), when(l.At))
		if l.Was.State != "waiting" {
			w.say("  before that: %s, score %.3f: %s", l.Was.State, l.Was.Score, l.Was.Reason)
		}
	}
}

// mentionOf returns the mention that a match job is about; none when its post has been read anew.
func mentionOf(ctx context.Context, s *queue.Store, j queue.JobRow) ([]queue.Mention, error) {
	var a struct {
		Mention int64 `json:"mention"`
	}
	if json.Unmarshal([]byte(j.Args), &a) != nil {
		return nil, nil
	}
	m, err := s.Mention(ctx, a.Mention)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil
	}
	return []queue.Mention{m}, err
}
