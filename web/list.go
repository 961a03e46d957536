package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sumbi/queue"
)

// rowsShown is how many rows a list shows at once.
const rowsShown = 50

// badge is a state in one word.
type badge struct{ Class, Text string }

// stateBadges are the states of runs, jobs, walks, accounts, batches, questions, mentions and posts: one word means the same of
// each.
var stateBadges = map[string]badge{
	"ready":      {"ok", say("ready")},
	"running":    {"ok", say("running")},
	"waiting":    {"idle", say("waiting")},
	"dead":       {"bad", say("dead")},
	"done":       {"ok", say("done")},
	"asked":      {"idle", say("asked")},
	"stopped":    {"bad", say("stopped")},
	"idle":       {"ok", say("complete")},
	"walking":    {"ok", say("under way")},
	"unfinished": {"warn", say("unfinished")},
	"gone":       {"bad", say("gone")},
	"private":    {"warn", say("private")},
	"ok":         {"ok", say("fine")},
	"silent":     {"warn", say("silent")},
	"renamed":    {"idle", say("renamed")},
	"gap":        {"warn", say("has a gap")},
	"short":      {"warn", say("fewer posts than it says")},
	"choosing":   {"idle", say("being chosen")},
	"chosen":     {"idle", say("chosen")},
	"uploaded":   {"idle", say("uploaded")},
	"creating":   {"idle", say("being created")},
	"reading":    {"ok", say("being read")},
	"refused":    {"bad", say("refused")},
	"open":       {"idle", say("under way or waiting")},
	"new":        {"idle", say("new")},
	"skipped":    {"idle", say("nothing to ask")},
	"matching":   {"idle", say("being matched")},
	"place":      {"ok", say("placed")},
	"none":       {"idle", say("no place")},
	"review":     {"warn", say("to review")},
}

// badgeOf is a state's badge; what has none shows itself.
func badgeOf[T ~string](state T) badge {
	if b, ok := stateBadges[string(state)]; ok {
		return b
	}
	return badge{"idle", string(state)}
}

// kindWords are the kinds of job.
var kindWords = map[string]string{
	string(queue.KindPage):    say("page"),
	string(queue.KindBatch):   say("batch"),
	string(queue.KindMatch):   say("match"),
	string(queue.KindDeliver): say("delivery"),
}

func kindWord(kind string) string {
	if w := kindWords[kind]; w != "" {
		return w
	}
	return kind
}

// option is a choice of a filter.
type option struct {
	Value    string
	Word     string // in English, where it is a word of ours and no name
	N        int    // how many rows it leaves; 0 is not shown
	Selected bool
}

// nameOptions makes a filter of names; the first choice is all of them.
func nameOptions(all []string, chosen string) []option {
	options := []option{{Word: say("all"), Selected: chosen == ""}}
	for _, name := range all {
		options = append(options, option{Value: name, Selected: name == chosen})
	}
	return options
}

// stateOptions makes a filter of states.
func stateOptions(all []string, chosen string) []option {
	options := []option{{Word: say("all"), Selected: chosen == ""}}
	for _, state := range all {
		options = append(options, option{Value: state, Word: badgeOf(state).Text, Selected: state == chosen})
	}
	return options
}

// pager leads through a list, page by page.
type pager struct{ First, Next string }

// numberOf reads a parameter; 0 where there is none.
func numberOf(r *http.Request, name string) int64 {
	n, err := strconv.ParseInt(r.FormValue(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// sameWith is the address that r asks for with other parameters; an empty value takes one away.
func sameWith(r *http.Request, pairs ...string) string {
	q := r.URL.Query()
	q.Del("lang")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return addressOf(r.URL.Path, q)
}

func addressOf(path string, q url.Values) string {
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}

// pageRows cuts the row too much off that tells that there are more, and leads on from the last one that stays.
func pageRows[T any](r *http.Request, rows []T, id func(T) int64) ([]T, pager) {
	var p pager
	if r.FormValue("before") != "" {
		p.First = sameWith(r, "before", "")
	}
	if len(rows) > rowsShown {
		rows = rows[:rowsShown]
		p.Next = sameWith(r, "before", strconv.FormatInt(id(rows[rowsShown-1]), 10))
	}
	return rows, p
}

// The addresses of single things.
func accountPath(pipeline, target string) string {
	return "/accounts/" + url.PathEscape(pipeline) + "/" + url.PathEscape(target)
}
func placePath(id string) string { return "/places/" + url.PathEscape(id) }
func postPath(stream, key string) string {
	return "/posts/" + url.PathEscape(stream) + "/" + url.PathEscape(key)
}
func jobPath(id int64) string   { return "/jobs/" + strconv.FormatInt(id, 10) }
func runPath(id int64) string   { return "/runs/" + strconv.FormatInt(id, 10) }
func batchPath(id int64) string { return "/batches/" + strconv.FormatInt(id, 10) }

// isHere reports whether path is an address of this page, so that a form may lead back to it.
func isHere(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n\t")
}

// idOf reads the number in the path; what is none is not there.
func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, queue.ErrNotFound
	}
	return id, nil
}
