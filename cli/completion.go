package cli

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sumbi/config"
	"sumbi/queue"
)

var (
	//go:embed completion.bash
	completionBash string
	//go:embed completion.zsh
	completionZsh string
	//go:embed completion.fish
	completionFish string
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script of a shell.
func (c completionCmd) Run(e *env) error {
	script := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}[c.Shell]
	_, err := fmt.Fprint(e.Stdout, script)
	return err
}

// completeCmd is what the scripts ask.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words of the command line, the last one unfinished."`
}

// Run prints what the last word may become, each with what it means behind a tab. Nothing stands for names of files.
func (c completeCmd) Run(e *env, k *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, s := range e.complete(k.Model.Node, words) {
		fmt.Fprintf(e.Stdout, "%s\t%s\n", s.word, s.meaning)
	}
	return nil
}

// completed is a word that may stand at the end of a command line.
type completed struct{ word, meaning string }

// commandLine is one that is being typed.
type commandLine struct {
	node  *kong.Node
	args  []string          // of the verb
	flags map[string]string // that have a value
	flag  *kong.Flag        // whose value comes next
	last  string            // the unfinished word
	lead  string            // of the last word, which its completion must repeat
}

// readLine follows words from the program's own node.
func readLine(n *kong.Node, words []string) commandLine {
	l := commandLine{node: n, flags: map[string]string{}}
	if len(words) == 0 {
		return l
	}
	bare := false // no flag comes any more
	take := func(word string) {
		name, value, valued := strings.Cut(word, "=")
		switch {
		case l.flag != nil:
			l.flags[l.flag.Name], l.flag = word, nil
		case bare || !strings.HasPrefix(word, "-"):
			for _, c := range l.node.Children {
				if c.Name == word && len(l.args) == 0 && !bare {
					l.node = c
					return
				}
			}
			l.args = append(l.args, word)
		case word == "--":
			bare = true
		case valued:
			l.flags[strings.TrimLeft(name, "-")] = value
		default:
			for _, f := range flagsOf(l.node) {
				if (name == "--"+f.Name || (f.Short != 0 && name == "-"+string(f.Short))) && !f.IsBool() {
					l.flag = f
				}
			}
		}
	}
	for i, word := range words[:len(words)-1] {
		if word == "=" && i > 0 { // bash takes --flag=value for three words
			continue
		}
		take(word)
	}
	l.last = words[len(words)-1]
	name, value, valued := strings.Cut(l.last, "=")
	switch {
	case l.last == "=" && l.flag != nil:
		l.last = ""
	case valued && strings.HasPrefix(name, "--") && l.flag == nil && !bare:
		take(name)
		l.last, l.lead = value, name+"="
	}
	return l
}

// complete returns what the last word may become.
func (e *env) complete(n *kong.Node, words []string) []completed {
	l := readLine(n, words)
	var all []completed
	switch {
	case l.flag != nil:
		all = e.values(l, l.flag.Value)
	case strings.HasPrefix(l.last, "-"):
		for _, f := range flagsOf(l.node) {
			all = append(all, completed{"--" + f.Name, f.Help})
		}
	default:
		if len(l.args) == 0 {
			for _, c := range l.node.Children {
				if !c.Hidden {
					all = append(all, completed{c.Name, c.Help})
				}
			}
		}
		if ps := l.node.Positional; len(ps) > 0 {
			i := min(len(l.args), len(ps)-1)
			if i == len(l.args) || ps[i].IsCumulative() {
				all = append(all, e.values(l, ps[i])...)
			}
		}
	}
	var fit []completed
	for _, c := range all {
		if strings.HasPrefix(c.word, l.last) {
			fit = append(fit, completed{l.lead + harmless(c.word), harmless(c.meaning)})
		}
	}
	return fit
}

// completionTime is how long a look at the state may take: somebody waits with a finger on the key.
const completionTime = time.Second

// shownIDs is how many jobs a completion offers.
const shownIDs = 50

// values are those that an argument or flag may have, as far as they are known.
func (e *env) values(l commandLine, v *kong.Value) (all []completed) {
	for _, word := range v.EnumSlice() {
		if word != "" {
			all = append(all, completed{word, ""})
		}
	}
	f := *e.flags
	for name, dst := range map[string]*string{"config": &f.Config, "state": &f.State} {
		if value, ok := l.flags[name]; ok {
			*dst = value
		}
	}
	here := *e
	here.flags = &f
	switch {
	case v.Name == "pipeline":
		if c, err := here.config(); err == nil {
			for _, p := range c.Pipelines {
				all = append(all, completed{p.Name, p.Kind})
			}
		}
	case v.Name == "targets" && len(l.args) > 0:
		all = append(all, here.accounts(l.args[0])...)
	case v.Name == "id" && l.node.Parent != nil && l.node.Parent.Name == "jobs":
		all = append(all, here.jobIDs()...)
	}
	return all
}

func (e *env) accounts(pipeline string) (all []completed) {
	c, p, err := e.pipeline(pipeline)
	if err != nil {
		return nil
	}
	names, err := p.ReadAccounts(c.Dir())
	if err != nil {
		return nil
	}
	for _, name := range names {
		all = append(all, completed{name, "account"})
	}
	return all
}

func (e *env) jobIDs() (all []completed) {
	if e.flags.State == config.Postgres {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, completionTime)
	defer cancel()
	path, err := e.statePath()
	if err != nil || path == config.Postgres { // a connection takes too long
		return nil
	}
	s, err := queue.Open(ctx, path, e.Schema, queue.Guest)
	if err != nil {
		return nil
	}
	defer s.Close()
	js, err := s.Jobs(ctx, "", "", shownIDs)
	if err != nil {
		return nil
	}
	for _, j := range js {
		all = append(all, completed{itoa(j.ID), j.State + ", " + firstOf(j.Key, j.Kind)})
	}
	return all
}
