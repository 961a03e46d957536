package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

func (s *Server) jobsRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /jobs", s.jobList)
	mux.HandleFunc("GET /jobs/{id}", s.job)
	mux.HandleFunc("GET /jobs/ask", s.askJobs)
	mux.HandleFunc("POST /jobs/do", s.doJobs)
}

// jobLine is a job in a list.
type jobLine struct {
	queue.JobRow
	Path  string
	Badge badge
	Kind  string // in words
	Plain string // its error
	About subject
}

// subject is what a job is about.
type subject struct {
	Word       string // of ours, when there is no name
	Name, Path string // of the thing itself
	Of, OfPath string // of what it is a part
	List       string
}

// subjects says what jobs are about, with as few looks into the state as can be.
func (s *Server) subjects(ctx context.Context, rows []queue.JobRow) ([]subject, error) {
	about := make([]jobs.About, len(rows))
	var mentions, walks []int64
	for i, j := range rows {
		about[i] = jobs.AboutJob(j.Kind, j.Key, j.Args)
		if m := about[i].Mention; m > 0 {
			mentions = append(mentions, m)
		}
		if w := about[i].Walk; w > 0 {
			walks = append(walks, w)
		}
	}
	named, err := s.Store.Subjects(ctx, mentions)
	if err != nil {
		return nil, err
	}
	walked, err := s.Store.WalksByID(ctx, walks)
	if err != nil {
		return nil, err
	}
	all := make([]subject, len(rows))
	for i, a := range about {
		x := &all[i]
		if w, ok := walked[a.Walk]; ok {
			a.Pipeline, a.Target, a.List = w.Pipeline, w.Target, w.List
		}
		switch m, known := named[a.Mention]; {
		case a.Target != "":
			x.Name, x.Path, x.List = a.Target, accountPath(a.Pipeline, a.Target), a.List
		case known:
			x.Name, x.Path, x.Of, x.OfPath = m.Name, postPath(m.Stream, m.Key), m.Target, accountPath(rows[i].Pipeline, m.Target)
			if m.Name == "" {
				x.Name = m.Key
			}
		case a.Mention > 0:
			x.Word = say("a mention that is not there any more")
		case a.Batch > 0:
			x.Word, x.Name, x.Path = say("batch"), strconv.FormatInt(a.Batch, 10), batchPath(a.Batch)
		case a.Forms != "":
			x.Word = say("a new batch")
		case a.Sink != "":
			x.Name = a.Sink
		default:
			x.Name = rows[i].Key
		}
	}
	return all, nil
}

func (s *Server) jobLines(ctx context.Context, rows []queue.JobRow) ([]jobLine, error) {
	about, err := s.subjects(ctx, rows)
	if err != nil {
		return nil, err
	}
	lines := make([]jobLine, len(rows))
	for i, j := range rows {
		lines[i] = jobLine{j, jobPath(j.ID), badgeOf(j.State), kindWord(j.Kind), plain(j.Err), about[i]}
	}
	return lines, nil
}

// jobFilter reads which jobs are meant.
func jobFilter(r *http.Request) queue.JobFilter {
	return queue.JobFilter{Pipeline: r.FormValue("pipeline"), Lane: r.FormValue("lane"), Kind: r.FormValue("kind"), State: r.FormValue("state"), Cause: r.FormValue("cause"), Most: numberOf(r, "most")}
}

// jobStates are the states in the order in which they are of interest.
var jobStates = []string{"dead", "running", "ready", "waiting"}

// jobList lists what there is to do and what was given up.
func (s *Server) jobList(w http.ResponseWriter, r *http.Request) {
	f := jobFilter(r)
	f.Most = 0
	rows, err := s.Store.FindJobs(r.Context(), f, numberOf(r, "before"), rowsShown+1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	counts, err := s.Store.JobCounts(r.Context(), "")
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Jobs                           []jobLine
		Pipelines, Lanes, Kinds, Tabs  []option
		Filter                         queue.JobFilter
		Plain                          string // the cause
		NoCause                        string // where all causes are listed
		All                            int    // jobs of the filter
		Back, RetryAll, DropAll, State string
		pager
	}{Filter: f, Plain: plain(f.Cause), NoCause: sameWith(r, "cause", "", "before", ""), Back: sameWith(r)}
	var pipelines, lanes []string
	byState := map[string]int{}
	for _, c := range counts {
		pipelines, lanes = append(pipelines, c.Pipeline), append(lanes, c.Lane)
		if (f.Pipeline == "" || f.Pipeline == c.Pipeline) && (f.Lane == "" || f.Lane == c.Lane) && (f.Kind == "" || f.Kind == c.Kind) {
			byState[c.State] += c.N
			byState[""] += c.N
		}
	}
	data.Pipelines, data.Lanes = nameOptions(distinct(pipelines, f.Pipeline), f.Pipeline), nameOptions(distinct(lanes, f.Lane), f.Lane)
	data.Kinds = []option{{Word: say("all"), Selected: f.Kind == ""}}
	for _, k := range []queue.Kind{queue.KindPage, queue.KindBatch, queue.KindMatch, queue.KindDeliver} {
		data.Kinds = append(data.Kinds, option{Value: string(k), Word: kindWord(string(k)), Selected: string(k) == f.Kind})
	}
	for _, st := range append([]string{""}, jobStates...) {
		o := option{Value: sameWith(r, "state", st, "before", ""), Word: say("all"), N: byState[st], Selected: st == f.State}
		if st != "" {
			o.Word = badgeOf(st).Text
		}
		data.Tabs = append(data.Tabs, o)
	}
	data.All = byState[f.State]
	if f.Cause != "" {
		if _, data.All, err = s.Store.FindJobIDs(r.Context(), f, 0); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	ask := func(do string) string {
		q := r.URL.Query()
		for _, name := range []string{"lang", "before", "most"} {
			q.Del(name)
		}
		q.Set("all", "1")
		q.Set("do", do)
		q.Set("back", data.Back)
		return addressOf("/jobs/ask", q)
	}
	if (selection{do: "retry", f: f}).bounded() {
		data.RetryAll = ask("retry")
	}
	if (selection{do: "drop", f: f}).bounded() {
		data.DropAll = ask("drop")
	}
	rows, data.pager = pageRows(r, rows, func(j queue.JobRow) int64 { return j.ID })
	if data.Jobs, err = s.jobLines(r.Context(), rows); err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "jobs", say("Jobs"), data)
}

// distinct sorts names and leaves each in once; chosen is among them.
func distinct(all []string, chosen string) []string {
	if chosen != "" {
		all = append(all, chosen)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// storyLine is what went wrong with a job, as often as it did in a row.
type storyLine struct {
	queue.JobError
	Plain string
	Short string // the beginning of the error where that is long; "" where it is shown whole
	N     int
	Since time.Time // the first one, when there are several
	From  int       // its attempt
}

// errorShown is how much of an error is shown at once, in characters.
const errorShown = 300

// beginning is the first line of an error, or what of it is shown at once; "" when that is all of it.
func beginning(err string) string {
	line, _, more := strings.Cut(err, "\n")
	if r := []rune(line); len(r) > errorShown {
		line, more = string(r[:errorShown]), true
	}
	if !more {
		return ""
	}
	return line + "…"
}

// storyLines puts together what is the same.
func storyLines(all []queue.JobError) (lines []storyLine) {
	for _, x := range all {
		if n := len(lines); n > 0 && lines[n-1].Err == x.Err {
			last := &lines[n-1]
			last.N++
			last.JobError = x
			continue
		}
		lines = append(lines, storyLine{JobError: x, Plain: plain(x.Err), Short: beginning(x.Err), N: 1, Since: x.At, From: x.Attempt})
	}
	return lines
}

// job tells one job.
func (s *Server) job(w http.ResponseWriter, r *http.Request) {
	id, err := idOf(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	j, story, err := s.Store.Job(r.Context(), id)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if j.State == "ready" || j.State == "waiting" {
		j.State = "ready"
		if j.Due.After(s.Store.Now()) {
			j.State = "waiting"
		}
	}
	over := j.State == "done"
	if over {
		name, err := s.Store.JobName(r.Context(), id)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		j.Kind, j.Key = name.Kind, name.Key
	}
	lines, err := s.jobLines(r.Context(), []queue.JobRow{j})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		jobLine
		Over      bool // it has ended
		Story     []storyLine
		Walk      *walkLine
		Mention   *mentionFacts
		Batch     *batchLine
		LanePath  string
		Retry     string
		Drop      string
		Droppable bool
		OutboxOf  string // the sink that it delivers to
	}{jobLine: lines[0], Over: over, LanePath: addressOf("/jobs", url.Values{"lane": {j.Lane}})}
	data.Story = storyLines(story)
	live := j.State != "dead"
	data.Droppable = !over && j.State != "running" && (!live || (j.Kind != string(queue.KindBatch) && j.Kind != string(queue.KindDeliver)))
	data.Retry = addressOf("/jobs/ask", url.Values{"do": {"retry"}, "id": {strconv.FormatInt(id, 10)}, "back": {jobPath(id)}})
	data.Drop = addressOf("/jobs/ask", url.Values{"do": {"drop"}, "id": {strconv.FormatInt(id, 10)}, "back": {"/jobs"}})
	if err := s.jobThings(r.Context(), language(r), j, &data.Walk, &data.Mention, &data.Batch, &data.OutboxOf); err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "job", say("Job %d"), data, id)
}

// mentionFacts is a mention with the post that names it.
type mentionFacts struct {
	queue.Mention
	Badge                            badge
	Post, Account, Place, ReviewPath string // addresses
	Caption                          string
	Why                              []reason
}

// jobThings reads what a job is about as far as it is still there.
func (s *Server) jobThings(ctx context.Context, lang string, j queue.JobRow, walk **walkLine, mention **mentionFacts, batch **batchLine, sink *string) error {
	a := jobs.AboutJob(j.Kind, j.Key, j.Args)
	*sink = a.Sink
	if a.Walk > 0 {
		ws, err := s.Store.WalksByID(ctx, []int64{a.Walk})
		if err != nil {
			return err
		}
		if w, ok := ws[a.Walk]; ok {
			*walk = &walkLines([]queue.Walk{w})[0]
		}
	}
	if a.Batch > 0 {
		b, err := s.Store.Batch(ctx, a.Batch)
		if err == nil {
			l := lineOfBatch(queue.BatchRow{Batch: b})
			*batch = &l
		} else if !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	if a.Mention > 0 {
		m, err := s.Store.Mention(ctx, a.Mention)
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		f := &mentionFacts{Mention: m, Badge: badgeOf(m.State), Post: postPath(m.Record.Stream, m.Record.Key), Account: accountPath(m.Pipeline, m.Record.Target), Caption: jobs.PostOf(m).Caption, Why: reasons(lang, m.Reason)}
		if m.Place != "" {
			f.Place = placePath(m.Place)
		}
		*mention = f
	}
	return nil
}

// selection is what somebody wants to have done, and with what: some by their ids, all jobs of a filter, or all that was given up
// for one cause.
type selection struct {
	do    string // retry or drop
	ids   []string
	all   bool
	what  string // question: those that were given up for the filter's cause
	f     queue.JobFilter
	count int // at most so many of all
	back  string
}

func selectionOf(r *http.Request) (x selection, ok bool) {
	if err := r.ParseForm(); err != nil {
		return x, false
	}
	x = selection{do: r.Form.Get("do"), all: r.Form.Get("all") != "", what: r.Form.Get("what"), f: jobFilter(r), count: int(numberOf(r, "count")), back: r.Form.Get("back")}
	for _, id := range r.Form["id"] {
		if id != "" && !slices.Contains(x.ids, id) {
			x.ids = append(x.ids, id)
		}
	}
	if !isHere(x.back) {
		x.back = "/jobs"
	}
	return x, (x.do == "retry" || x.do == "drop") && (!x.all || x.bounded())
}

// bounded reports whether all of the selection may be done at once: what was given up, what has failed for one cause, and, to be
// tried again, what waits. Nobody means all work there is.
func (x selection) bounded() bool {
	return x.f.State == "dead" || x.f.Cause != "" || (x.do == "retry" && x.f.State == "waiting")
}

func (x selection) group() queue.DeadGroup {
	return queue.DeadGroup{What: queue.DeadQuestion, Pipeline: x.f.Pipeline, Cause: x.f.Cause, Most: x.f.Most}
}

// selected returns what of the selection there is: up to n ids, and how many in all.
func (s *Server) selected(ctx context.Context, x selection, n int) (ids []string, all int, err error) {
	switch {
	case !x.all:
		return x.ids, len(x.ids), nil
	case x.what == queue.DeadQuestion:
		return s.Store.DeadIDs(ctx, x.group(), n)
	}
	numbers, all, err := s.Store.FindJobIDs(ctx, x.f, n)
	for _, id := range numbers {
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	return ids, all, err
}

// askJobs asks whether something is to be done, and says with how many.
func (s *Server) askJobs(w http.ResponseWriter, r *http.Request) {
	x, ok := selectionOf(r)
	if !ok {
		s.fail(w, r, http.StatusBadRequest, say("This page cannot be asked for in this way."), say("Go back to the overview and start from there."))
		return
	}
	if x.all && x.f.Most == 0 && x.what != queue.DeadQuestion {
		// What comes later was not looked at.
		most, err := s.Store.HighestJob(r.Context())
		if err != nil {
			s.broken(w, r, err)
			return
		}
		x.f.Most = most
	}
	_, n, err := s.selected(r.Context(), x, 0)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if n == 0 {
		s.fail(w, r, http.StatusBadRequest, say("Nothing is selected."), say("Go back and choose what is meant."))
		return
	}
	c := confirmation{Title: say("Retry?"), Text: say("%d selected. Each goes on where it was; that may ask the upstreams, and cost, again."), Args: n, Action: "/jobs/do", Button: say("Retry"), Back: x.back}
	if x.do == "drop" {
		c.Title, c.Text, c.Button, c.Danger = say("Drop for good?"), say("%d selected. They will never be done: a page that was still to come leaves a gap that the next run makes good, a match ends without a place, a question is never asked again."), say("Drop"), true
	}
	c.Facts = append(c.Facts, fact{say("How many"), grouped(n)})
	if x.all {
		for _, f := range []fact{{say("Pipeline"), x.f.Pipeline}, {say("Lane"), x.f.Lane}, {say("Cause"), x.f.Cause}} {
			if f.Value != "" {
				c.Facts = append(c.Facts, f)
			}
		}
	}
	c.Fields = []fact{{"do", x.do}, {"back", x.back}}
	if x.all {
		c.Fields = append(c.Fields, fact{"all", "1"}, fact{"what", x.what}, fact{"pipeline", x.f.Pipeline}, fact{"lane", x.f.Lane}, fact{"kind", x.f.Kind}, fact{"state", x.f.State}, fact{"cause", x.f.Cause},
			fact{"most", strconv.FormatInt(x.f.Most, 10)}, fact{"count", strconv.Itoa(n)})
	}
	for _, id := range x.ids {
		if !x.all {
			c.Fields = append(c.Fields, fact{"id", id})
		}
	}
	s.confirm(w, r, c)
}

// doTime is how long what is done with many may take in one request; what is left is asked about again.
var doTime = 15 * time.Second // changed by tests

// unableShown is how many reasons are shown why something could not be done.
const unableShown = 20

// unableLine is why something could not be done, in plain words and as it was said.
type unableLine struct{ Plain, Err string }

// doJobs does it.
func (s *Server) doJobs(w http.ResponseWriter, r *http.Request) {
	x, ok := selectionOf(r)
	if !ok || (x.all && x.count == 0) {
		s.fail(w, r, http.StatusBadRequest, say("This page cannot be asked for in this way."), say("Go back to the overview and start from there."))
		return
	}
	ids, _, err := s.selected(r.Context(), x, x.count)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if len(ids) == 0 {
		s.done(w, r, x.back, say("Nothing of it is left: it was done before."))
		return
	}
	f := jobs.Retry
	if x.do == "drop" {
		f = jobs.DropOne
	}
	ctx, cancel := context.WithTimeout(r.Context(), doTime)
	defer cancel()
	looked, unable, err := jobs.DoMany(ctx, s.Store, ids, f)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	done, left := looked-len(unable), len(ids)-looked
	s.Log.Info("jobs by hand", "do", x.do, "done", done, "unable", len(unable), "left", left)
	if len(unable) > 0 {
		data := struct {
			Drop         bool
			Done, Unable int
			Left         int
			Why          []unableLine
			Back         string
		}{Drop: x.do == "drop", Done: done, Unable: len(unable), Left: left, Back: x.back}
		for _, u := range unable[:min(len(unable), unableShown)] {
			data.Why = append(data.Why, unableLine{plain(u.Err.Error()), u.Err.Error()})
		}
		s.render(w, r, http.StatusOK, "jobs-unable", say("Not all could be done"), data)
		return
	}
	switch {
	case left > 0:
		s.done(w, r, x.back, say("%d are done, %d are left: choose them again."), done, left)
	case x.do == "drop":
		s.done(w, r, x.back, say("Dropped: %d"), done)
	default:
		s.done(w, r, x.back, say("Retried: %d"), done)
	}
}
