package web_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"sumbi/web"
)

// TestWords wants a Korean word for every text of the page, with the same arguments and without particles behind them, and none
// that nothing says.
func TestWords(t *testing.T) {
	t.Parallel()
	said := map[string]string{} // text → where
	templates, err := filepath.Glob("templates/*.html")
	if err != nil || len(templates) == 0 {
		t.Fatal(templates, err)
	}
	for _, name := range templates {
		wordsOfTemplate(t, name, said)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if !strings.HasSuffix(name, "_test.go") {
			wordsOfSource(t, name, said)
		}
	}
	known := map[string]string{}
	files, err := filepath.Glob("text/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		var words map[string]string
		if _, err := toml.DecodeFile(name, &words); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for english, korean := range words {
			if before, twice := known[english]; twice && before != korean {
				t.Errorf("%s: %q is %q here and %q in another file", name, english, korean, before)
			}
			known[english] = korean
			if _, ok := said[english]; !ok {
				t.Errorf("%s: nothing says %q", name, english)
			}
			if diff := cmp.Diff(verbs(english), verbs(korean)); diff != "" {
				t.Errorf("%s: the arguments of %q and %q differ: %s", name, english, korean, diff)
			}
			if p := particle.FindString(korean); p != "" {
				t.Errorf("%s: %q in %q does not fit every argument", name, p, korean)
			}
		}
	}
	for _, english := range slices.Sorted(maps.Keys(said)) {
		if known[english] == "" {
			t.Errorf("%s: no Korean word for %q", said[english], english)
		}
	}
}

func wordsOfTemplate(t *testing.T, name string, said map[string]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(string(text), "", "", trees); err != nil {
		t.Fatal(err)
	}
	for _, tr := range trees {
		if tr.Root != nil {
			wordsOfNode(tr.Root, name, said)
		}
	}
}

func wordsOfNode(n parse.Node, name string, said map[string]string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			wordsOfNode(c, name, said)
		}
	case *parse.ActionNode:
		wordsOfNode(n.Pipe, name, said)
	case *parse.IfNode:
		wordsOfBranch(&n.BranchNode, name, said)
	case *parse.RangeNode:
		wordsOfBranch(&n.BranchNode, name, said)
	case *parse.WithNode:
		wordsOfBranch(&n.BranchNode, name, said)
	case *parse.TemplateNode:
		wordsOfNode(n.Pipe, name, said)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			wordsOfNode(c, name, said)
		}
	case *parse.CommandNode:
		if f, ok := n.Args[0].(*parse.IdentifierNode); ok && f.Ident == "t" && len(n.Args) > 1 {
			if s, ok := n.Args[1].(*parse.StringNode); ok {
				said[s.Text] = name
			}
		}
		for _, a := range n.Args {
			wordsOfNode(a, name, said)
		}
	}
}

func wordsOfBranch(n *parse.BranchNode, name string, said map[string]string) {
	wordsOfNode(n.Pipe, name, said)
	wordsOfNode(n.List, name, said)
	wordsOfNode(n.ElseList, name, said)
}

// wordsOfSource finds say("…") and word(language, "…").
func wordsOfSource(t *testing.T, name string, said map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, _ := call.Fun.(*ast.Ident)
		at := map[string]int{"say": 0, "word": 1, "named": 1}
		if f == nil {
			return true
		}
		if i, ok := at[f.Name]; ok && i < len(call.Args) {
			if lit, ok := call.Args[i].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				said[text] = name
			}
		}
		return true
	})
}

// particle is a Korean particle whose form depends on how the argument before it ends, and one that gives both forms.
var particle = regexp.MustCompile(`%(\[\d+\])?[.\d]*[a-z](은|는|이|가|을|를|과|와|으로|로)([^가-힣]|$)|(은|이|을|과|으)\((는|가|를|와|로)\)`)

var verb = regexp.MustCompile(`%(\[\d+\])?[.\d]*[a-z]`)

// verbs are the arguments of a text in their order, by number where the text gives it.
func verbs(text string) []string {
	all := verb.FindAllString(text, -1)
	if strings.Contains(text, "%[") {
		slices.Sort(all)
	}
	for i, v := range all {
		if _, kind, ok := strings.Cut(v, "]"); ok {
			all[i] = "%" + kind
		}
	}
	return all
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		d      time.Duration
		en, ko string
	}{
		{0, "now", "지금"},
		{42 * time.Second, "42 s ago", "42초 전"},
		{125 * time.Second, "2 min 5 s ago", "2분 5초 전"},
		{59 * time.Minute, "59 min ago", "59분 전"},
		{90 * time.Minute, "1 h 30 min ago", "1시간 30분 전"},
		{26 * time.Hour, "26 h ago", "26시간 전"},
		{72 * time.Hour, "3 days ago", "3일 전"},
		{-2 * time.Hour, "in 2 h", "2시간 후"},
	} {
		if got := web.Ago("en", now, now.Add(-tt.d)); got != tt.en {
			t.Errorf("%s: got %q, want %q", tt.d, got, tt.en)
		}
		if got := web.Ago("ko", now, now.Add(-tt.d)); got != tt.ko {
			t.Errorf("%s: got %q, want %q", tt.d, got, tt.ko)
		}
	}
	if got := web.When(now); got != "2026-11-20 12:00:00" {
		t.Errorf("in Seoul it is %s", got)
	}
}

// TestStylesheet wants each section of the stylesheet to close what it opens: else the next ones hold only within it.
func TestStylesheet(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("static/sumbi.css")
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for i, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "/* ") && open != 0 {
			t.Errorf("line %d: %d braces are open before %q", i+1, open, line)
		}
		open += strings.Count(line, "{") - strings.Count(line, "}")
	}
	if open != 0 {
		t.Errorf("%d braces are open at the end", open)
	}
}
