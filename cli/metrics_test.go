package cli_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sumbi/adapters"
	"sumbi/adapters/rest"
	"sumbi/cli"
	"sumbi/config"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/queue/pgtest"
)

var postgres = sync.OnceValues(pgtest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if pgtest.Wanted() {
		if s, err := postgres(); err == nil {
			_ = s.Close()
		}
	}
	os.Exit(code)
}

func scrape(t *testing.T, h http.Handler) (text string, families map[string]*dto.MetricFamily) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	text = w.Body.String()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("no scraper reads this: %v\n%s", err, text)
	}
	return text, families
}

// well is the health of a process.
type well struct{ stuck string }

func (*well) Begun() bool              { return true }
func (w *well) Stuck(time.Time) string { return w.stuck }

// filled is a scrape of a state in which there is everything, after a request, a webhook and a notice of each sort.
func filled(t *testing.T) (http.Handler, *queue.Store) {
	t.Helper()
	s := bigtest.Open(t, postgres)
	if err := s.SetTerms(t.Context(), queue.Terms{Run: 5_000_000, Month: 20_000_000}); err != nil {
		t.Fatal(err)
	}
	err := s.Tx(t.Context(), func(tx *queue.Tx) error { // statistics of a record were read
		walks, err := tx.Begin(queue.Run{ID: 1, Pipeline: "velog"}, "두부", []string{queue.ListOf("stats", "글")})
		if err != nil {
			return err
		}
		walks[0].State = queue.WalkIdle
		return tx.Advance(&walks[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Pipelines: []config.Pipeline{{Name: "matzip", Every: 72 * time.Hour}}}
	h, reg, webhooked, counted := cli.ServeMetricsOf(s, c, &well{}, slog.New(slog.DiscardHandler), "mongo", "비었다")
	webhooked("accepted")
	_ = counted(func(context.Context, []adapters.Notice) error { return nil })(t.Context(), nil)
	_ = counted(func(context.Context, []adapters.Notice) error { return errors.New("쓰러짐") })(t.Context(), nil)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(upstream.Close)
	cl := rest.New(rest.Options{
		Upstream: "naver", BaseURL: upstream.URL, Private: true, Metrics: rest.NewMetrics(reg),
		Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/hub", PerSecond: 100, PerDay: 25000})},
	})
	ctx, back, err := cl.Permit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer back()
	var v any
	if _, err := cl.GetJSON(ctx, "/", nil, &v); err != nil {
		t.Fatal(err)
	}
	if err := s.Tx(t.Context(), func(*queue.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return h, s
}

// row is a line of a table of docs/metrics.md.
var row = regexp.MustCompile("(?m)^\\| `(sumbi_[a-z_]+)` \\| ([^|]*)\\| (.*) \\|$")

// TestMetricsAreDocumented wants docs/metrics.md to name what is scraped, all of it, with its labels: alerts and dashboard are held
// against that page.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		labels := []string{}
		for l := range strings.SplitSeq(m[2], ",") {
			if l = strings.Trim(l, "` "); l != "" {
				labels = append(labels, l)
			}
		}
		slices.Sort(labels)
		want[m[1]] = labels
	}
	h, _ := filled(t)
	text, families := scrape(t, h)
	got := map[string][]string{}
	for name, f := range families {
		if !strings.HasPrefix(name, "sumbi_") {
			if !regexp.MustCompile(`^(go|process|promhttp)_`).MatchString(name) {
				t.Errorf("%s is nobody's", name)
			}
			continue
		}
		got[name] = []string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			got[name] = append(got[name], l.GetName())
		}
		slices.Sort(got[name])
	}
	// Of these the state has none.
	for name := range want {
		if pgtest.Wanted() && name == "sumbi_state_free_bytes" {
			delete(want, name)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/metrics.md and the scrape (-docs +scrape):\n%s", d)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sumbi_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestMetricsAreBounded wants no series to be of an account, a job or a text.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	h, s := filled(t)
	text, families := scrape(t, h)
	n := 0
	for name, f := range families {
		n += len(f.GetMetric())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if v := l.GetValue(); len(v) > 40 || strings.ContainsAny(v, " <>@") {
					t.Errorf("%s has %s=%q", name, l.GetName(), v)
				}
			}
		}
	}
	if n > 400 {
		t.Errorf("%d series:\n%s", n, text)
	}
	accounts, err := s.Accounts(t.Context(), queue.AccountFilter{}, queue.AccountID{}, 1000)
	if err != nil || len(accounts) == 0 {
		t.Fatal(accounts, err)
	}
	for _, a := range accounts {
		if strings.Contains(text, `"`+a.Target+`"`) {
			t.Errorf("%s stands in the scrape", a.Target)
		}
	}
}

// TestMetricsSayWhatTheStateSays compares some with what the views say.
func TestMetricsSayWhatTheStateSays(t *testing.T) {
	t.Parallel()
	h, s := filled(t)
	_, families := scrape(t, h)
	got := map[string]float64{}
	for _, name := range []string{"sumbi_mentions", "sumbi_places", "sumbi_records", "sumbi_workers", "sumbi_budget_micro_usd", "sumbi_run_interval_seconds", "sumbi_notices_total", "sumbi_webhooks_total"} {
		for _, m := range families[name].GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			if v := m.GetGauge().GetValue() + m.GetCounter().GetValue(); v != 0 {
				got[key] = v
			}
		}
	}
	sum, err := s.Summary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"sumbi_mentions place": float64(sum.Placed), "sumbi_mentions none": float64(sum.None), "sumbi_mentions review": float64(sum.Review),
		"sumbi_mentions waiting": float64(sum.Mentions - sum.Placed - sum.None - sum.Review), "sumbi_places": bigtest.Places, "sumbi_records post": bigtest.Posts,
		"sumbi_budget_micro_usd run": 5_000_000, "sumbi_budget_micro_usd month": 20_000_000, "sumbi_run_interval_seconds matzip": 72 * 3600,
		"sumbi_notices_total sent": 1, "sumbi_notices_total failed": 1, "sumbi_webhooks_total accepted": 1,
	}
	if workers, err := s.Workers(t.Context()); err == nil && workers > 0 {
		want["sumbi_workers"] = float64(workers)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the state and the scrape (-state +scrape):\n%s", d)
	}
}

// gauges are the values of a metric by its labels.
func gauges(families map[string]*dto.MetricFamily, name string) map[string]float64 {
	all := map[string]float64{}
	for _, m := range families[name].GetMetric() {
		key := ""
		for _, l := range m.GetLabel() {
			key += l.GetValue()
		}
		all[key] = m.GetGauge().GetValue()
	}
	return all
}

// TestMetricsOfOutbox wants a sink that was told everything to have 0, and one that was not since when it waits.
func TestMetricsOfOutbox(t *testing.T) {
	t.Parallel()
	h, s := filled(t)
	_, families := scrape(t, h)
	waits, since := gauges(families, "sumbi_outbox"), gauges(families, "sumbi_outbox_since_seconds")
	if n, ok := waits["비었다"]; !ok || n != 0 || waits["mongo"] == 0 {
		t.Errorf("sinks wait for %v", waits)
	}
	if at := since["mongo"]; len(since) != 1 || at < 1.7e9 || at > float64(s.Now().Unix()) {
		t.Errorf("sinks wait since %v", since)
	}
}

// TestMetricsOfTrouble wants what cannot be counted to be told of beside what was counted before, and a process that is stuck, too.
func TestMetricsOfTrouble(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	w := &well{}
	var log bytes.Buffer
	h, until := cli.MetricsUntil(s, w, slog.New(slog.NewTextHandler(&log, nil)))
	text, before := scrape(t, h)
	if !strings.Contains(text, "sumbi_stuck 0") || !strings.Contains(text, "sumbi_count_failed 0") || log.Len() > 0 {
		t.Errorf("all is well, and it says\n%s", &log)
	}
	w.stuck = "멈춤"
	s.Close()
	*until = time.Time{}
	text, after := scrape(t, h)
	for _, want := range []string{"sumbi_stuck 1", "sumbi_count_failed 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if d := cmp.Diff(gauges(before, "sumbi_places"), gauges(after, "sumbi_places")); d != "" || len(gauges(after, "sumbi_jobs")) == 0 {
		t.Errorf("what was counted is gone (-before +after):\n%s", d)
	}
	if !strings.Contains(log.String(), "cannot be counted") || !strings.Contains(log.String(), "sumbi_outage_since_seconds") {
		t.Errorf("the log has\n%s", &log)
	}
}

// TestMetricsAreCheap counts once for many scrapes: what was counted is told again without a look at the state.
func TestMetricsAreCheap(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	h, until := cli.MetricsUntil(s, &well{}, slog.New(slog.DiscardHandler))
	began := time.Now()
	_, before := scrape(t, h)
	if kept := until.Sub(began); kept < cli.CountFor {
		t.Errorf("what was counted is kept for %s", kept)
	}
	*until = time.Now().Add(time.Hour) // however slow this machine is
	s.Close()
	for range 10 {
		text, after := scrape(t, h)
		if d := cmp.Diff(gauges(before, "sumbi_jobs"), gauges(after, "sumbi_jobs")); d != "" || !strings.Contains(text, "sumbi_count_failed 0") {
			t.Fatalf("each scrape counts (-before +after):\n%s", d)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	s := bigtest.Open(b, postgres)
	for b.Loop() {
		h, _, _, _ := cli.ServeMetrics(s, &config.Config{}) // has counted nothing yet
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
	}
}
