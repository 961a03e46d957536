package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

type reviewCmd struct {
	Ask reviewAskCmd `cmd:"" default:"withargs" help:"Go through what is not certain, one after the other; the word ask may be left out."`
	Set reviewSetCmd `cmd:"" help:"Decide one mention, for scripts."`
}

type reviewAskCmd struct {
	Pipeline string  `help:"Only of this pipeline." placeholder:"NAME"`
	Post     *string `help:"Only of this post: its number, address or code." placeholder:"POST"`
	All      bool    `help:"Also what is decided: to correct a wrong place."`
	List     bool    `help:"List, and ask nothing."`
	JSON     bool    `name:"json" help:"With --list: print one JSON document, for programs."`
	By       string  `env:"USER" help:"Who decides."`
}

type reviewSetCmd struct {
	Post   string `arg:"" help:"The post: its number, address or code."`
	N      int    `arg:"" help:"Which restaurant of the post, from 0, as in v_mentions."`
	Choice string `arg:"" help:"Number of a candidate from 1, as \"sumbi jobs show POST\" lists them; none; or undo."`
	By     string `env:"USER" help:"Who decides."`
}

// reviewer is somebody who decides mentions.
type reviewer struct {
	*env
	s  *queue.Store
	by string
}

// defaultConfig is the configuration that is read when none is named.
const defaultConfig = "sumbi.toml"

// together says which places are one and who searches first, by the configuration of a pipeline, "" for the first. Its
// defaults hold only where no configuration is named and there is none: another one's rules would merge other places.
func (e *env) together(pipeline string) (one queue.One, lane string, err error) {
	c, err := config.Load(e.flags.Config, e.Getenv)
	if err != nil {
		if _, gone := os.Stat(e.flags.Config); e.flags.Config == defaultConfig && errors.Is(gone, fs.ErrNotExist) {
			finders := jobs.DefaultFinders()
			return jobs.Together(finders, false), finders[0], nil
		}
		return one, "", err
	}
	one, lane = togetherBy(c, pipeline)
	return one, lane, nil
}

// togetherBy is together by a configuration that is read already.
func togetherBy(c *config.Config, pipeline string) (one queue.One, lane string) {
	finders := jobs.DefaultFinders()
	for i, p := range c.Pipelines {
		if p.Name == pipeline || (pipeline == "" && i == 0) {
			finders = p.Finders
		}
	}
	return jobs.Together(finders, c.Naver.Keep == "own"), finders[0]
}

// label decides a mention and says so.
func (r reviewer) label(m queue.Mention, choices []queue.Option, choice int) error {
	one, _, err := r.together(m.Pipeline)
	if err != nil {
		return err
	}
	if err := jobs.Label(r.ctx, r.s, m.ID, choices, choice, r.by, one); err != nil {
		if errors.Is(err, queue.ErrNotFound) {
			return errors.New("the post has been read anew meanwhile; look at it again")
		}
		return err
	}
	what := "no place"
	if choice != jobs.None {
		what = firstOf(safe(choices[choice].Name), safe(choices[choice].Link))
	}
	fmt.Fprintf(r.Stdout, "%s %d %s: %s\n", m.Record.Key, m.N, safe(m.Name), what)
	return nil
}

// unlabel takes a decision back and says so.
func (r reviewer) unlabel(m queue.Mention) error {
	one, lane, err := r.together(m.Pipeline)
	if err != nil {
		return err
	}
	again, err := jobs.Unlabel(r.ctx, r.s, m, lane, one)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return fmt.Errorf("nobody has decided %s %d; there is nothing to take back", m.Record.Key, m.N)
	case err != nil:
		return err
	case again:
		fmt.Fprintf(r.Stdout, "%s %d %s: taken back; it is matched anew by the next run\n", m.Record.Key, m.N, safe(m.Name))
	default:
		fmt.Fprintf(r.Stdout, "%s %d %s: taken back\n", m.Record.Key, m.N, safe(m.Name))
	}
	return nil
}

// Run decides one mention.
func (c reviewSetCmd) Run(e *env) error {
	key, err := postKey(c.Post)
	if err != nil {
		return err
	}
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	r := reviewer{env: e, s: s, by: c.By}
	ms, err := s.Reviews(e.ctx, queue.ReviewFilter{Post: key, All: true}, 0, 1000)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.N != c.N {
			continue
		}
		if c.Choice == "undo" {
			return r.unlabel(m)
		}
		choices, _, err := jobs.Choices(e.ctx, s, m)
		if err != nil {
			return err
		}
		if c.Choice == "none" {
			return r.label(m, choices, jobs.None)
		}
		n, err := strconv.Atoi(c.Choice)
		if err != nil {
			return usageError{fmt.Errorf("%q is no choice: give the number of a candidate, none or undo", c.Choice)}
		}
		if n < 1 || n > len(choices) {
			return usageError{fmt.Errorf("there is no candidate %d of %s %d; `sumbi jobs show %s` lists %d", n, m.Record.Key, m.N, m.Record.Key, len(choices))}
		}
		return r.label(m, choices, n-1)
	}
	return fmt.Errorf("post %s has no mention %d; `sumbi jobs show %s` lists them", c.Post, c.N, c.Post)
}

// Run goes through what waits for a person.
func (c reviewAskCmd) Run(e *env) error {
	f := queue.ReviewFilter{Pipeline: c.Pipeline, All: c.All}
	if c.Post != nil {
		key, err := postKey(*c.Post)
		if err != nil {
			return err
		}
		f.Post = key
	}
	if c.JSON && !c.List {
		return usageError{errors.New("--json goes with --list")}
	}
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	n, err := s.CountReviews(e.ctx, f)
	if err != nil {
		return err
	}
	if n == 0 && !c.JSON {
		fmt.Fprintln(e.Stdout, "nothing to review")
		return nil
	}
	r := reviewer{env: e, s: s, by: c.By}
	if c.List {
		return r.list(f, c.JSON)
	}
	return r.ask(f, n)
}

// list prints what there is to review, one line each.
func (r reviewer) list(f queue.ReviewFilter, asJSON bool) error {
	var all []mentionStory
	for after := int64(0); ; {
		ms, err := r.s.Reviews(r.ctx, f, after, 200)
		if err != nil {
			return err
		}
		if len(ms) == 0 {
			break
		}
		some, err := readMentions(r.ctx, r.s, ms)
		if err != nil {
			return err
		}
		all = append(all, some...)
		after = ms[len(ms)-1].ID
	}
	if asJSON {
		return r.document("review --list", struct{ Mentions []mentionStory }{all})
	}
	t := table{columns: []column{
		{head: "POST"}, {head: "N", right: true}, {head: "NAME", least: 10}, {head: "STATE"}, {head: "SCORE", right: true}, {head: "SUGGESTED", least: 10}, {head: "REASON", least: 12},
	}}
	for _, m := range all {
		suggested := "-"
		if len(m.choices) > 0 {
			suggested = firstOf(safe(m.choices[0].Name), safe(m.choices[0].Link), "-")
		}
		t.add(m.Post.ID, m.N, safe(m.of.Name), stateStyle(m.State), fmt.Sprintf("%.3f", m.Score), suggested, m.Reason)
	}
	r.out.table(&t)
	return nil
}

// done is a decision that can be taken back.
type done struct {
	mention queue.Mention
	before  *queue.Label // what a person had decided before; nil: nobody had
}

const reviewKeys = "a accepts the first, a number chooses, n no place, s skip, u undo, q quit"

// ask shows one mention after the other and does what is typed, until the input ends.
func (r reviewer) ask(f queue.ReviewFilter, total int) error {
	if _, _, err := r.together(f.Pipeline); err != nil {
		return err
	}
	in := &lines{in: bufio.NewScanner(r.Stdin)}
	var undo []done
	after, n := int64(0), 0
	for {
		ms, err := r.s.Reviews(r.ctx, f, after, 1)
		if err != nil {
			return err
		}
		if len(ms) == 0 {
			fmt.Fprintf(r.Stdout, "that was all; %s decided\n", plural(len(undo), "mention", "mentions"))
			return nil
		}
		m := ms[0]
		choices, asked, err := jobs.Choices(r.ctx, r.s, m)
		if err != nil {
			return err
		}
		n++
		fmt.Fprintf(r.Stdout, "\n%d of %d\n", n, max(n, total))
		printPost(r.out, m)
		printMention(r.out, m, choices, asked)
		next, err := r.answer(in, m, choices, &undo)
		switch {
		case errors.Is(err, errQuit):
			fmt.Fprintf(r.Stdout, "%s decided\n", plural(len(undo), "mention", "mentions"))
			return nil
		case err != nil:
			return err
		}
		if next < m.ID {
			n = max(n-2, 0)
		}
		after = next
	}
}

var errQuit = errors.New("quit")

// answer does what is typed about a mention, and returns the number behind which to go on.
func (r reviewer) answer(in *lines, m queue.Mention, choices []queue.Option, undo *[]done) (after int64, err error) {
	for {
		fmt.Fprintf(r.Stdout, "%s > ", reviewKeys)
		key, ok := in.next(r.ctx)
		if !ok {
			fmt.Fprintln(r.Stdout)
			return 0, errQuit
		}
		choice := jobs.None
		switch key {
		case "q":
			return 0, errQuit
		case "s":
			return m.ID, nil
		case "u":
			if len(*undo) == 0 {
				fmt.Fprintln(r.Stdout, "nothing to undo")
				continue
			}
			last := (*undo)[len(*undo)-1]
			if err := r.takeBack(last); err != nil {
				return 0, err
			}
			*undo = (*undo)[:len(*undo)-1]
			return last.mention.ID - 1, nil
		case "n":
		case "a":
			choice = 0
		default:
			k, err := strconv.Atoi(key)
			if err != nil {
				continue
			}
			choice = k - 1
		}
		if key != "n" && (choice < 0 || choice >= len(choices)) {
			fmt.Fprintf(r.Stdout, "there is no candidate %d; there are %d\n", choice+1, len(choices))
			continue
		}
		d := done{mention: m}
		if l, err := r.s.LabelOf(r.ctx, m.ID); err == nil {
			d.before = &l
		} else if !errors.Is(err, queue.ErrNotFound) {
			return 0, err
		}
		if err := r.label(m, choices, choice); err != nil {
			if queue.Fatal(err) || r.ctx.Err() != nil {
				return 0, err
			}
			fmt.Fprintln(r.Stdout, err)
			continue
		}
		*undo = append(*undo, d)
		return m.ID, nil
	}
}

// takeBack makes a decision undone.
func (r reviewer) takeBack(d done) error {
	if d.before == nil {
		return r.unlabel(d.mention)
	}
	one, _, err := r.together(d.mention.Pipeline)
	if err != nil {
		return err
	}
	if err := r.s.Tx(r.ctx, func(tx *queue.Tx) error { return tx.SetLabel(d.mention, *d.before, one) }); err != nil {
		return err
	}
	fmt.Fprintf(r.Stdout, "%s %d %s: as it was decided before\n", d.mention.Record.Key, d.mention.N, safe(d.mention.Name))
	return nil
}

// lines reads what is typed, a line each.
type lines struct {
	in   *bufio.Scanner
	each chan string
}

// next returns the next line; false when the input or ctx has ended.
func (l *lines) next(ctx context.Context) (string, bool) {
	if l.each == nil {
		l.each = make(chan string)
		go func() { // a terminal gives a line or nothing: it is not waited for at the end
			defer close(l.each)
			for l.in.Scan() {
				select {
				case l.each <- strings.ToLower(strings.TrimSpace(l.in.Text())):
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	select {
	case line, ok := <-l.each:
		return line, ok
	case <-ctx.Done():
		return "", false
	}
}
