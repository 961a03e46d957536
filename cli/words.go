package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"sumbi/config"
)

var (
	unexpectedWord = regexp.MustCompile(`^unexpected argument (\S+?)(, did you mean .*)?$`)
	unknownFlag    = regexp.MustCompile(`^unknown flag (\S+?)(, did you mean .*)?$`)
	notOneOf       = regexp.MustCompile(`^(\S+?)(?:=\S*)? must be one of (.*) but got "(.*)"$`)
)

// wrongWords says what is wrong with a command line, with the word that was probably meant.
func wrongWords(app *kong.Node, err error) string {
	node := app
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context != nil {
		for _, step := range p.Context.Path {
			if step.Command != nil || step.App != nil {
				node = step.Node()
			}
		}
	}
	if node.Hidden { // it stands for its parent
		node = node.Parent
	}
	help := "`" + strings.TrimSpace("sumbi "+node.Path()) + " --help` shows "
	text := err.Error()
	if m := unexpectedWord.FindStringSubmatch(text); m != nil {
		verbs := verbsOf(node)
		if len(verbs) == 0 {
			return fmt.Sprintf("unexpected word %q; %swhat it takes", m[1], help)
		}
		return fmt.Sprintf("unknown verb %q: %s", m[1], config.Suggest(m[1], verbs))
	}
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		var known []string
		for _, f := range flagsOf(node) {
			known = append(known, "--"+f.Name)
		}
		hint := config.Suggest(m[1], known)
		if !strings.HasPrefix(hint, "did") {
			hint = help + "the flags"
		}
		return fmt.Sprintf("unknown flag %q: %s", m[1], hint)
	}
	if m := notOneOf.FindStringSubmatch(text); m != nil {
		var known []string
		for word := range strings.SplitSeq(m[2], ",") {
			if word = strings.Trim(word, `"`); word != "" {
				known = append(known, word)
			}
		}
		return fmt.Sprintf("%s cannot be %q: %s", m[1], m[3], config.Suggest(m[3], known))
	}
	return fmt.Sprintf("%s; %smore", text, help)
}

// verbsOf are the verbs below a node that people should know.
func verbsOf(n *kong.Node) []string {
	var all []string
	for _, c := range n.Children {
		if !c.Hidden {
			all = append(all, c.Name)
		}
	}
	return all
}

// flagsOf are the flags that go with a node, also those of the verb that it stands for when it has none.
func flagsOf(n *kong.Node) []*kong.Flag {
	groups := n.AllFlags(true)
	if n.DefaultCmd != nil {
		groups = n.DefaultCmd.AllFlags(true)
	}
	return slices.Concat(groups...)
}
