package web

import (
	"net/http"

	"sumbi/jobs"
	"sumbi/queue"
)

func (s *Server) batchesRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /batches", s.batchList)
	mux.HandleFunc("GET /batches/{id}", s.batch)
}

// batchLine is a batch in a list.
type batchLine struct {
	queue.BatchRow
	Path, RunPath string // RunPath "": outside a run
	Badge         badge
	Share         int // percent of its lines that are answered
}

// upstreamWords are what the upstream says of a batch.
var upstreamWords = map[string]string{
	"validating":  say("being checked"),
	"in_progress": say("in progress"),
	"finalizing":  say("being completed"),
	"completed":   say("completed"),
	"failed":      say("failed"),
	"expired":     say("expired"),
	"cancelling":  say("being cancelled"),
	"cancelled":   say("cancelled"),
}

// upstreamWord puts what the upstream says of a batch into a language; what is not known stays as it is.
func upstreamWord(lang, status string) string {
	if w := upstreamWords[status]; w != "" {
		return word(lang, w)
	}
	return status
}

func lineOfBatch(b queue.BatchRow) batchLine {
	l := batchLine{BatchRow: b, Path: batchPath(b.ID), Badge: badgeOf(b.State)}
	if b.Run > 0 {
		l.RunPath = runPath(b.Run)
	}
	if b.Lines > 0 {
		l.Share = 100 * b.Answered / b.Lines
	}
	return l
}

// batchList lists what was put to the model.
func (s *Server) batchList(w http.ResponseWriter, r *http.Request) {
	f := queue.BatchFilter{Pipeline: r.FormValue("pipeline"), State: r.FormValue("state")}
	rows, err := s.Store.Batches(r.Context(), f, numberOf(r, "before"), rowsShown+1)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	pipelines, err := s.Store.Pipelines(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		Batches           []batchLine
		Pipelines, States []option
		Filtered          bool
		pager
	}{
		Filtered:  f != queue.BatchFilter{},
		Pipelines: nameOptions(pipelines, f.Pipeline),
		States:    stateOptions([]string{"open", string(queue.BatchRunning), string(queue.BatchReading), string(queue.BatchDone), string(queue.BatchRefused)}, f.State),
	}
	rows, data.pager = pageRows(r, rows, func(b queue.BatchRow) int64 { return b.ID })
	for _, b := range rows {
		data.Batches = append(data.Batches, lineOfBatch(b))
	}
	s.render(w, r, http.StatusOK, "batches", say("Batches"), data)
}

// fateLine is what became of some lines.
type fateLine struct {
	Badge        badge
	Cause, Plain string
	N            int
}

func fateLines(all []queue.LineFate) (lines []fateLine) {
	for _, f := range all {
		b := badgeOf(f.State)
		switch f.State {
		case "sent":
			b = badge{"idle", say("no answer yet")}
			if f.Cause != "" {
				b = badge{"warn", say("not usable")}
			}
		case "waiting":
			b = badge{"idle", say("asked again")}
		}
		lines = append(lines, fateLine{b, f.Cause, plain(f.Cause), f.N})
	}
	return lines
}

// batch tells one batch.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	id, err := idOf(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	st, err := s.Store.BatchStory(r.Context(), id, jobs.BatchKey(id))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	data := struct {
		batchLine
		Fates, Still []fateLine
		JobPath      string
		Known        bool // what its lines cost was kept
	}{batchLine: lineOfBatch(st.BatchRow), Fates: fateLines(st.List()), Still: fateLines(st.Open), Known: st.MicroUSD > 0}
	if st.Job > 0 {
		data.JobPath = jobPath(st.Job)
	}
	s.render(w, r, http.StatusOK, "batch", say("Batch %d"), data, id)
}
