package main

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sumbi/config"
	"sumbi/sim"
)

// metrics reads the counters of a running serve whose names begin so, by name and labels.
func (s *served) metrics(prefix string) map[string]int64 {
	s.w.t.Helper()
	code, body := s.get("/metrics", "")
	if code != 200 {
		s.w.t.Fatalf("/metrics: %d", code)
	}
	out := map[string]int64{}
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || f != float64(int64(f)) {
			s.w.t.Fatalf("%s is no whole number", lines.Text())
		}
		out[name] = int64(f)
	}
	return out
}

// sums returns the rows of a statement that begin with a name and go on with whole numbers.
func (w *world) sums(query string) map[string][]int64 {
	w.t.Helper()
	rows, err := w.sql().QueryContext(w.t.Context(), query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]int64{}
	for rows.Next() {
		var name string
		ns := make([]int64, len(cols)-1)
		dest := []any{&name}
		for i := range ns {
			dest = append(dest, &ns[i])
		}
		if err := rows.Scan(dest...); err != nil {
			w.t.Fatal(err)
		}
		out[name] = ns
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// What v_spend has of an upstream.
const (
	requests = iota
	inputTokens
	outputTokens
	microUSD
	refused
	repeated
	failed
	wastedUSD
)

func (w *world) books() map[string][]int64 {
	return w.sums(`select upstream, sum(requests), sum(input_tokens), sum(output_tokens), sum(micro_usd), sum(refused), sum(repeated), sum(failed), sum(wasted_micro_usd) from v_spend group by upstream`)
}

// priced gives requests a price and adds a section.
func (w *world) priced(more string) {
	w.t.Helper()
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		w.t.Fatal(err)
	}
	conf, _, _ = strings.Cut(conf, "\n[budget]")
	if !strings.Contains(conf, "price") {
		conf = strings.NewReplacer("[instagram]\n", "[instagram]\nprice = 0.3\n", "[naver]\n", "[naver]\nprice = 0.007\n").Replace(conf)
	}
	w.write("sumbi.toml", conf+"\n"+more)
}

// What one request costs with priced, in micro-dollars.
const (
	instagramPrice = 300
	naverPrice     = 7
)

// wantBooks compares tokens and money with what the world has counted.
func (w *world) wantBooks() {
	w.t.Helper()
	b, st := w.books(), w.Stats()
	if b["openai"][inputTokens] != st.InputTokens || b["openai"][outputTokens] != st.OutputTokens {
		w.t.Errorf("%d and %d tokens are booked, the world counts %d and %d", b["openai"][inputTokens], b["openai"][outputTokens], st.InputTokens, st.OutputTokens)
	}
	for up, price := range map[string]int64{"instagram": instagramPrice, "naver": naverPrice} {
		if got, want := b[up][microUSD], b[up][requests]*price; got != want {
			w.t.Errorf("%s: %d requests cost %d micro-dollars, want %d", up, b[up][requests], got, want)
		}
	}
	in, out, _ := config.Default().Price("gpt-5-mini")
	for row, n := range w.sums(`select day || ' ' || run || ' ' || what, n, micro_usd from usage where upstream = 'openai'`) {
		price := int64(0)
		switch {
		case strings.HasSuffix(row, "input_token"):
			price = in
		case strings.HasSuffix(row, "output_token"):
			price = out
		}
		if want := (n[0]*price + 999_999) / 1_000_000; n[1] != want {
			w.t.Errorf("%s: %d cost %d micro-dollars, want %d", row, n[0], n[1], want)
		}
	}
}

// TestBooks compares the metrics, v_spend and what the upstreams have counted, to the unit, when much goes wrong.
func TestBooks(t *testing.T) {
	t.Parallel()
	faults := sim.Trouble(0.03)
	faults.OpenAI.LineMissing = sim.Fault{} // nobody tells the tokens of an answer that is nowhere
	faults.Instagram.Error500 = sim.Fault{Skip: 3, Count: 2}
	w := newWorld(t, sim.Options{Seed: 41, Accounts: 4, Posts: 50, Latency: 10 * time.Millisecond, BatchStep: 50 * time.Millisecond, Faults: faults},
		"every = \"72h\"\n\n[queue]\nbackoff = \"20ms\"\nbackoff_max = \"200ms\"\n")
	w.priced("[budget]\nrun = 9.5\nmonth = 10\n")
	sv := w.serve()
	w.until("the first run ends", w.runDone(w.state(), 1))
	w.wantBooks()

	books, st := w.books(), w.Stats()
	want := map[string]int64{`sumbi_budget_micro_usd{scope="run"}`: 9_500_000, `sumbi_budget_micro_usd{scope="month"}`: 10_000_000, `sumbi_month_micro_usd{what="reserved"}`: 0}
	vain := int64(0)
	for up, b := range books {
		if got, made := b[requests], int64(st.Calls[up].Requests); got != made {
			t.Errorf("%s: %d requests are booked, the world counts %d", up, got, made)
		}
		label := fmt.Sprintf("{upstream=%q", up)
		want["sumbi_usage_total"+label+`,what="request"}`] = b[requests]
		want["sumbi_spend_micro_usd_total"+label+"}"] = b[microUSD]
		want[`sumbi_month_micro_usd{what="spent"}`] += b[microUSD]
		if b[inputTokens] > 0 {
			want["sumbi_usage_total"+label+`,what="input_token"}`] = b[inputTokens]
			want["sumbi_usage_total"+label+`,what="output_token"}`] = b[outputTokens]
		}
		for i, what := range map[int]string{refused: "refused", repeated: "repeated", failed: "failed"} {
			if b[i] > 0 {
				want["sumbi_waste_total"+label+`,what="`+what+`"}`] = b[i]
			}
		}
		if b[refused]+b[repeated]+b[failed] > 0 {
			want["sumbi_waste_micro_usd_total"+label+"}"] = b[wastedUSD]
			vain += b[wastedUSD]
		}
	}
	got := map[string]int64{}
	for _, prefix := range []string{"sumbi_usage", "sumbi_spend", "sumbi_waste", "sumbi_budget", "sumbi_month"} {
		maps.Copy(got, sv.metrics(prefix))
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the metrics are not what v_spend says (-v_spend +metrics):\n%s", diff)
	}
	if n := books["instagram"]; n[failed] == 0 || n[refused] != int64(st.Calls["instagram"].Refused) || vain == 0 {
		t.Errorf("in vain: %v, of %+v", books, st.Calls["instagram"])
	}
	sv.term()
}

// TestBooksAfterKills counts rather a call too many than one too few, and tokens to the unit.
func TestBooksAfterKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 42, Accounts: 4, Posts: 60, InstagramPerSecond: 25, Latency: 60 * time.Millisecond, Jitter: 0.5, BatchStep: 100 * time.Millisecond}, "")
	w.priced("[budget]\nmonth = 10\n")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 6 {
		c := w.cmd("run", "matzip")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		select {
		case <-done:
		case <-time.After(time.Duration(200+rng.IntN(700)) * time.Millisecond):
			_ = c.Process.Signal(syscall.SIGKILL)
			<-done
		}
	}
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
	w.wantBooks()
	st := w.Stats()
	for up, b := range w.books() {
		if made := int64(st.Calls[up].Requests); b[requests] < made || b[requests] > made+b[repeated] {
			t.Errorf("%s: %d requests are booked, %d of them repeated; the world counts %d", up, b[requests], b[repeated], made)
		}
	}
}

// TestBudget runs out of money, says so, and goes on with more.
func TestBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Seed: 43, Accounts: 3, Posts: 30}, "")
	w.priced("[budget]\nrun = 0.003\nmonth = 20\n")
	status, out, errs := w.run("run", "matzip")
	const sentence = "the budget of run 1 is used up, $0.0027 of $0.003; goes on with a higher run in [budget]"
	if status != 1 || !strings.Contains(errs, "the run waits: "+sentence+"; nothing is lost") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if n := w.Stats().Calls["instagram"].Requests; n != 9 {
		t.Errorf("%d requests for 0.003 dollars at 0.0003", n)
	}
	status, out, errs = w.run("status")
	if status != 0 || !strings.Contains(out, "waits: matzip: "+sentence) || !strings.Contains(out, "money: this month $0.0027 of $20.00; run 1 $0.0027 of $0.003") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if out := w.mustRun("plan", "matzip"); !strings.Contains(out, "budget of a run: $0.0027 of $0.003: NOT enough") || !strings.Contains(out, "budget of this month: $0.0027 of $20.00: enough") {
		t.Errorf("plan: %s", out)
	}
	w.priced("[budget]\nrun = 2\nmonth = 20\n")
	w.mustRun("run", "matzip")
	w.grade()
	w.paidTwice()
	w.wantBooks()
	if n := w.Stats().PagesAgain; n != 0 {
		t.Errorf("%d pages fetched again", n)
	}
	before := w.books()
	w.mustRun("doctor")
	w.mustRun("run", "matzip")
	after := w.sums(`select upstream, requests, micro_usd from v_run_spend where run = 0`)
	if diff := gocmp.Diff(map[string][]int64{"instagram": {1, instagramPrice}, "kakao": {1, 0}, "naver": {1, naverPrice}, "openai": {1, 0}}, after); diff != "" || before["instagram"] == nil {
		t.Errorf("the calls of doctor are not booked (-want +got):\n%s", diff)
	}
	w.priced("[openai]\nmodel = 'gpt-맛'\n")
	conf, err := readFile(w.dir, "sumbi.toml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", strings.Replace(strings.Replace(conf, "[openai]\nmodel = 'gpt-맛'\n", "[budget]\nrun = 1\n", 1), "[openai]\n", "[openai]\nmodel = 'gpt-맛'\n", 1))
	if status, _, errs := w.run("run", "matzip"); status != 2 || !strings.Contains(errs, `the price of "gpt-맛" is not known: add a [[price]]`) {
		t.Errorf("status %d: %s", status, errs)
	}
}
