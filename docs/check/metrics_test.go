package check_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// row is a line of a table of docs/metrics.md.
var row = regexp.MustCompile("(?m)^\\| `(sumbi_[a-z_]+)` \\| ([^|]*)\\| (.*) \\|$")

// metrics are those of docs/metrics.md with their labels.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		names := []string{}
		for _, l := range strings.Split(m[2], ",") {
			if l = strings.Trim(l, "` "); l != "" {
				names = append(names, l)
			}
		}
		if strings.HasPrefix(m[3], "histogram") {
			all[m[1]+"_bucket"] = append(slices.Clone(names), "le")
			all[m[1]+"_sum"], all[m[1]+"_count"] = names, names
			continue
		}
		all[m[1]] = names
	}
	if len(all) < 30 {
		t.Fatalf("metrics.md names %d metrics", len(all))
	}
	return all
}

// scraped are labels that Prometheus adds.
var scraped = []string{"job", "instance"}

// foreign are metrics of Prometheus, of the Go and process collectors and of the scrapes.
var foreign = regexp.MustCompile(`^(up|go_[a-z_]+|process_[a-z_]+|promhttp_metric_handler_errors_total)$`)

// fixed are the labels of which what e gives has one value.
func fixed(e parser.Expr) map[string]string {
	all := map[string]string{}
	switch e := e.(type) {
	case *parser.VectorSelector:
		for _, m := range e.LabelMatchers {
			if m.Type == labels.MatchEqual && m.Name != model.MetricNameLabel {
				all[m.Name] = m.Value
			}
		}
	case *parser.MatrixSelector:
		return fixed(e.VectorSelector)
	case *parser.ParenExpr:
		return fixed(e.Expr)
	case *parser.Call:
		for _, a := range e.Args {
			maps.Copy(all, fixed(a))
		}
	case *parser.BinaryExpr:
		return fixed(e.LHS)
	}
	return all
}

// check parses an expression and wants each metric and each label that it names to be there.
func check(t *testing.T, where, expr string, known map[string][]string) {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	kept := map[string]bool{} // labels of the metrics that it names
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		names, ok := known[v.Name]
		if !ok && !foreign.MatchString(v.Name) {
			t.Errorf("%s names %s, which there is not", where, v.Name)
		}
		for _, l := range names {
			kept[l] = true
		}
		for _, m := range v.LabelMatchers {
			if m.Name != model.MetricNameLabel && !slices.Contains(names, m.Name) && !slices.Contains(scraped, m.Name) {
				t.Errorf("%s asks %s for the label %s, which it does not have", where, v.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		b, ok := n.(*parser.BinaryExpr)
		if !ok || b.VectorMatching == nil {
			return nil
		}
		m := b.VectorMatching
		left, right := fixed(b.LHS), fixed(b.RHS)
		for l, v := range left {
			if w, ok := right[l]; ok && v != w && b.Op != parser.LOR && slices.Contains(m.MatchingLabels, l) == m.On {
				t.Errorf("%s matches %s=%q with %s=%q, which are never the same", where, l, v, l, w)
			}
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		var by []string
		switch n := n.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = n.VectorMatching.MatchingLabels
			}
		}
		for _, l := range by {
			if !kept[l] && !slices.Contains(scraped, l) {
				t.Errorf("%s groups by %s, which nothing in it has", where, l)
			}
		}
		return nil
	})
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	known := metrics(t)
	seen := map[string]bool{}
	for _, r := range alerts(t) {
		check(t, r.Alert, r.Expr, known)
		if seen[r.Alert] || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
			t.Errorf("%s: twice, or without summary, description or severity", r.Alert)
		}
		seen[r.Alert] = true
	}
	if len(seen) < 10 {
		t.Errorf("there are %d alerts", len(seen))
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	known := metrics(t)
	b, err := os.ReadFile("../grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID        string
		Templating struct{ List []struct{ Name, Type string } }
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct {
				Expr       string
				Datasource struct{ Type, UID string }
			}
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	ids, shown := map[int]bool{}, map[string]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: its number twice, or it has no title or no room", p.ID, p.Title)
		}
		ids[p.ID] = true
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, x := range p.Targets {
			if x.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q asks %q", p.Title, x.Datasource.UID)
			}
			expr := strings.ReplaceAll(x.Expr, "$__rate_interval", "5m")
			check(t, p.Title, expr, known)
			for name := range known {
				shown[name] = shown[name] || strings.Contains(expr, name)
			}
		}
	}
	if len(d.Templating.List) != 1 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("its data source cannot be chosen: %+v", d.Templating)
	}
	for name := range known {
		if !shown[name] && !slices.Contains([]string{"sumbi_build_info", "sumbi_stuck", "sumbi_count_failed", "sumbi_outbox_since_seconds", "sumbi_state_damaged", "sumbi_run_interval_seconds", "sumbi_run_started_timestamp_seconds", "sumbi_usage_total"}, name) &&
			!strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			t.Errorf("no panel shows %s", name)
		}
	}
}
