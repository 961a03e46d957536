package bigtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sumbi/queue"
)

type mentionTables struct{ mention, label *table }

func (*world) wordings() []string {
	return []string{
		"chosen: name equal; in the area; menu fits",
		"chosen: name equal; road address equal",
		"name different; in the area; menu fits; another fits far better",
		"two candidates fit about equally: name equal; in the area",
		"name equal; area is elsewhere",
		"not certain enough: name similar; in the area",
		"no candidate fits; the best: name different; in the area; menu is of another kind",
		"the search found nothing",
		queue.ByHand,
	}
}

// writeMention writes what became of a restaurant of a post.
func (g *world) writeMention(t *mentionTables, post, n int, name naming) {
	g.mentions++
	id, p := g.mentions, g.places[name.place]
	other := func() int { return 1 + g.rand.IntN(g.Places) }
	queries, _ := json.Marshal([][]any{{"naver", *name.says.Area + " " + p.Name, 3}, {"kakao", p.Name, 1}})
	decided := stamp(g.postTime(post).Add(25 * time.Hour))
	pipeline := pipelineOf((post - 1) % g.Accounts)
	row := func(state string, place, score, reason, candidates, decided, found, label any) {
		t.mention.add(id, post, n, pipeline, post, n, state, place, score, reason, candidates, string(queries), decided, found, label, 2)
	}
	draw := g.rand.IntN(100)
	if g.taken[name.place] == 0 { // each place is named
		draw = 50
	}
	switch {
	case draw < 3:
		row("review", nil, 0.55, 4, fmt.Sprintf("[[%d,0.55,4],[%d,0.54,4],[%d,0.02,3]]", name.place+1, other(), other()), decided, nil, nil)
	case draw == 3:
		row("review", nil, 0.31, 6, fmt.Sprintf("[[%d,0.31,6]]", name.place+1), decided, nil, nil)
	case draw < 12:
		row("none", nil, 0.08, 7, fmt.Sprintf("[[%d,0.08,7],[%d,0.01,5]]", other(), other()), decided, nil, nil)
	case draw == 12:
		row("none", nil, 0, 8, nil, decided, nil, nil)
	case draw == 13 && len(g.waits) < 1000:
		g.waits = append(g.waits, id)
		t.mention.add(id, post, n, pipeline, post, n, "waiting", nil, nil, nil, nil, nil, nil, nil, nil, 0)
	default:
		g.taken[name.place]++
		candidates := fmt.Sprintf("[[%d,0.9812,%d],[%d,0.0123,3],[%d,0.004,5]]", name.place+1, 1+id%2, other(), other())
		if id%400 != 0 {
			row("place", p.ID, 0.9812, 1+id%2, candidates, decided, p.ID, nil)
			return
		}
		g.labels++
		row("place", p.ID, 1.0, 9, candidates, decided, p.ID, g.labels)
		g.writeLabel(t.label, post, n, name)
	}
}

func (g *world) writeLabel(t *table, post, n int, name naming) {
	p := g.places[name.place]
	found, _ := json.Marshal(p)
	fields, _ := json.Marshal(name.says)
	t.add(g.labels, "post", strconv.FormatUint(g.key(post), 10), p.Compact, strings.ReplaceAll(*name.says.Area, " ", "")+"#"+strconv.Itoa(n), 0, "place", string(found), string(fields), "[]", -1,
		"지영", g.ago(time.Duration(g.labels%40)*24*time.Hour), []string{"review", "none"}[g.labels%2], 0.41, "two candidates fit about equally: name equal; in the area")
}

func (g *world) writeBatches(lines map[int]int) {
	t := g.table("batch", "id, pipeline, model, state, shard, lines, bytes, tokens, input_file, upstream_id, status, output_file, error_file, polls, answered, failed, created_at, creating_at, sent_at, ended_at, note, run, reserved, output_tokens")
	for b := 1; b <= batches; b++ {
		at := g.now.AddDate(0, 0, -3*(batches+1-b))
		n := lines[b]
		t.add(b, first, "gpt-5-mini", "done", fmt.Sprintf("%032x", b), n, n*2600, n*870, fmt.Sprintf("file-in%d", b), fmt.Sprintf("batch_%024x", b), "completed", fmt.Sprintf("file-out%d", b), "",
			9, n-n/300, n/300, stamp(at), stamp(at), stamp(at.Add(time.Second)), stamp(at.Add(70*time.Minute)), "", 1+(b-1)*(runs-1)/batches, 0, n*110)
	}
	n := lines[batches+1]
	t.add(batches+1, first, "gpt-5-mini", "running", fmt.Sprintf("%032x", batches+1), n, n*2600, n*870, "file-running", "batch_running", "in_progress", "", "", 4, 0, 0,
		g.ago(40*time.Minute), g.ago(39*time.Minute), g.ago(39*time.Minute), nil, "", thisRun, 420_000, 0)
	t.add(batches+2, second, "gpt-5-mini", "refused", "", 40, 90_000, 30_000, "", "", "failed", "", "", 1, 0, 40, g.ago(50*time.Hour), nil, nil, g.ago(49*time.Hour), "token_limit_exceeded", 8, 0, 0)
	t.flush()
}

func (g *world) writeRuns() {
	run := g.table("run", "id, pipeline, state, whole, asked_at, started_at, seeded_at, crawled_at, ended_at, pages, fetch_ms, fresh, changed, note, matched, answers")
	slot := g.table("slot", "run, lane, what, n")
	usage := g.table("usage", "day, run, upstream, what, n, micro_usd")
	waste := g.table("waste", "day, run, upstream, what, n, micro_usd")
	minute := g.table("run_minute", "run, upstream, at, requests, refused")
	for r := 1; r <= runs; r++ {
		pipeline := first
		if r%4 == 0 {
			pipeline = second
		}
		began := g.now.AddDate(0, 0, -3*(runs-r)).Add(-20 * time.Minute)
		at := func(d time.Duration) any { return stamp(began.Add(d)) }
		if r == thisRun {
			run.add(r, pipeline, "running", 0, at(0), at(time.Second), at(2*time.Second), nil, nil, 240, 190_000, 830, 12, "", 300, 350)
		} else {
			run.add(r, pipeline, "done", r/5, at(0), at(time.Second), at(2*time.Second), at(18*time.Minute), at(95*time.Minute), 8600, 6_800_000, 11_000, 140, "", 15_000, 17_000)
		}
		for what, n := range map[string]float64{queue.SlotGuard: 410, "no page": 900, queue.LostOwn: 3, "call": 8600} {
			slot.add(r, "instagram", what, n)
		}
		for m := range 18 { // the last lists end one by one
			minute.add(r, "instagram", at(time.Duration(m)*time.Minute), min(505, 8600-505*m, 60*(18-m)), map[int]int{2: 3, 9: 1}[m])
		}
		if r != thisRun {
			for m := range 55 {
				minute.add(r, "naver", at(time.Duration(40+m)*time.Minute), 200, 0)
			}
		}
		day := queue.Day(began)
		usage.add(day, r, "instagram", "request", 8600, 2_150_000)
		usage.add(day, r, "naver", "request", 11_000, 0)
		usage.add(day, r, "kakao", "request", 1_900, 0)
		usage.add(day, r, "openai", "request", 14, 0)
		usage.add(day, r, "openai", "input_token", 8_700_000, 1_087_500)
		usage.add(day, r, "openai", "output_token", 1_100_000, 1_100_000)
		waste.add(day, r, "instagram", "refused", 4, 1000)
		waste.add(day, r, "openai", "failed", 33, 9000)
	}
	for _, t := range []*table{run, slot, usage, waste, minute} {
		t.flush()
	}
}

// deadCauses are why jobs were given up, and of which kind they are.
func deadCauses() [][3]string {
	return [][3]string{
		{"instagram", "page", "status 404: page not found"},
		{"instagram", "page", "the body is no JSON: invalid character '<' looking for beginning of value"},
		{"instagram", "page", "the upstream gave the same page again"},
		{"naver", "match", "status 500: Internal Server Error"},
		{"naver", "match", "dial tcp: i/o timeout"},
		{"mongo", "deliver", "document too large"},
		{"openai", "batch", "status 400: invalid_request_error: <b>input_file</b> has no such line"},
	}
}

type jobTables struct{ job, story, message *table }

// job adds a job; its message when it can be taken.
func (g *world) job(t jobTables, pipeline, lane, kind, key, args, state string, ready, taken bool, due time.Time, attempt int, err any) int {
	g.jobs++
	var message, since any
	if ready || taken {
		message = fmt.Sprintf("m_%032x", g.jobs)
		until := g.now
		if taken {
			since, until = g.ago(2*time.Second), g.now.Add(time.Minute)
		}
		t.message.add(message, stamp(due), stamp(due), lane, []byte(strconv.Itoa(g.jobs)), stamp(until), 0)
	}
	t.job.add(g.jobs, pipeline, lane, kind, key, args, g.jobs%40, attempt, attempt, state, message, stamp(due), since, err, stamp(due.Add(-time.Hour)))
	for a := 1; a <= attempt; a++ {
		t.story.add(g.jobs, kind, key, a, stamp(due.Add(-time.Duration(attempt-a+1)*time.Minute)), err)
	}
	return g.jobs
}

func (g *world) writeJobs() {
	t := jobTables{
		job:     g.table("job", "id, pipeline, lane, kind, key, args, priority, attempt, run, state, message, due, taken_at, err, created_at"),
		story:   g.table("job_error", "job, kind, key, attempt, at, err"),
		message: g.table("goqite", "id, created, updated, queue, body, timeout, priority"),
	}
	pages := 0
	for a := range walkers {
		for l := range 2 {
			walk := 2*a + l + 1
			if pipelineOf(a) != first || walk%3 == 0 || a%40 == 39 || a%50 == 17 {
				continue
			}
			pages++
			key, args := "page:"+first+":"+Account(a)+":"+[]string{"posts", "reels"}[l], fmt.Sprintf(`{"walk":%d}`, walk)
			switch {
			case pages <= 8:
				g.job(t, first, "instagram", "page", key, args, "live", false, true, g.now, 0, nil)
			case pages%5 == 0:
				g.job(t, first, "instagram", "page", key, args, "live", false, false, g.now.Add(3*time.Minute), 2, "status 502: bad gateway")
			default:
				g.job(t, first, "instagram", "page", key, args, "live", true, false, g.now.Add(-time.Minute), 0, nil)
			}
		}
	}
	for _, m := range g.waits {
		g.job(t, first, "naver", "match", fmt.Sprintf("match:%d", m), fmt.Sprintf(`{"mention":%d}`, m), "live", true, false, g.now.Add(-time.Minute), 0, nil)
	}
	g.job(t, first, "openai", "batch", fmt.Sprintf("batch:%d", batches+1), fmt.Sprintf(`{"batch":%d}`, batches+1), "live", false, false, g.now.Add(2*time.Minute), 0, nil)
	g.job(t, first, "mongo", "deliver", "deliver:mongo", "{}", "live", false, false, g.now.Add(time.Minute), 3, "server selection error: connection refused")
	causes := deadCauses()
	for i := range 420 {
		c := causes[i%len(causes)*i%len(causes)]
		g.job(t, pipelineOf(i%g.Accounts), c[0], c[1], fmt.Sprintf("%s:dead:%d", c[1], i), fmt.Sprintf(`{"walk":%d}`, 1+i%400), "dead", false, false, g.now.Add(-time.Duration(i)*time.Hour), 1+i%12, c[2])
	}
	for _, t := range []*table{t.job, t.story, t.message} {
		t.flush()
	}
}

func (g *world) writeRest() {
	one := func(name, columns string, values ...any) {
		t := g.table(name, columns)
		t.add(values...)
		t.flush()
	}
	one("lane_stop", "lane, at, reason", "mongo", g.ago(5*time.Minute), "server selection error: connection refused")
	one("outage", "upstream, since, next_at, reason, jobs", "kakao", g.ago(12*time.Minute), stamp(g.now.Add(time.Minute)), "status 503", 4)
	one("upstream_limit", "name, day, used, last_call, fingerprint, per_second, guard_us", "instagram/1", queue.Day(g.now), 8600, g.ago(time.Second), "0123abcd", 8.0, 32_000)
	one("upstream_limit", "name, day, used, last_call, fingerprint, per_second, guard_us", "naver/hub", queue.Day(g.now), 11_000, g.ago(time.Second), "4567abcd", 5.0, 30_000)
	one("schedule", "pipeline, spec, next_at, full_at", first, "every 72h", stamp(g.now.Add(71*time.Hour)), stamp(g.now.AddDate(0, 0, 20)))
	one("schedule", "pipeline, spec, next_at, full_at", second, "cron 0 4 * * * Asia/Seoul", stamp(g.now.Add(16*time.Hour)), nil)
	one("sink", "pipeline, sink, identity, active", first, "mongo", "mongodb:sumbi.places", 1)
	outbox := g.table("outbox", "sink, stream, key, pipeline, rev, at")
	for _, p := range g.places[:500] {
		outbox.add("mongo", "places", p.ID, first, 1, g.ago(10*time.Minute))
	}
	outbox.flush()
	search := g.table("search", "finder, query, answer, at")
	for i, p := range g.places[:5000] {
		search.add(p.Finder, p.Name+" "+strconv.Itoa(i), fmt.Sprintf("[%d]", i+1), g.ago(time.Hour))
	}
	search.flush()
}
