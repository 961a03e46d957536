package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"sumbi/jobs"
	"sumbi/queue"
)

// mostShown is how many bytes of a text are on a page; the whole of it is one click further.
const mostShown = 64 << 10

func (s *Server) postRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /posts/{stream}/{key}", s.post)
	mux.HandleFunc("GET /posts/{stream}/{key}/raw", s.rawItem)
}

// postView is a post with where it came from, what was asked about it, and what became of that.
type postView struct {
	queue.RecordStory
	Question *askedView // nil: nothing was asked
	Path     string
	Post     jobs.PostFacts
	Web      string
	Caption  []piece
	Asked    shownText // the text put to the model
	Answer   shownText
	Item     shownText // the upstream's own item
	Read     shownText // what is kept of it
	Lost     string    // why the item cannot be shown
	Mentions []postMention
}

// askedView is what was asked about a post.
type askedView struct{ *queue.QuestionStory }

// StateTitle says what became of the question, marked with say.
func (a askedView) StateTitle() string {
	switch a.State {
	case "waiting":
		return say("waits for a batch")
	case "sent":
		return say("in a batch")
	case "answered":
		return say("answered")
	case "dead":
		return say("given up")
	default:
		return say("dropped")
	}
}

// shownText is a text that may be long.
type shownText struct {
	Text  string
	Bytes int64 // of the whole
	Cut   bool
}

// postMention is a restaurant that a post names, with all that was considered.
type postMention struct {
	queue.MentionStory
	Fields  jobs.Restaurant
	Said    []said
	Why     []reason
	WasWhy  []reason
	Choices []choice
	Asked   []queue.Asked
	Sketch  *sketch
	Place   string
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	v, err := s.postView(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "post", "%s", v, v.Target+", "+day(v.Time))
}

func (s *Server) postView(r *http.Request) (v postView, err error) {
	ctx := r.Context()
	if v.RecordStory, err = s.Store.RecordStory(ctx, r.PathValue("stream"), r.PathValue("key")); err != nil {
		return v, err
	}
	v.Path, v.Post = postPath(v.Stream, v.Key), jobs.PostOf(queue.Mention{Record: v.Stored})
	v.Web, v.Read = webLink(v.Post.URL), shown(v.Data)
	if v.Raw != nil {
		raw, err := s.packer.Unpack(ctx, s.Store, v.RawRecord)
		if err != nil {
			v.Lost = err.Error()
		}
		v.Item = shown(raw)
	}
	if q := v.RecordStory.Question; q != nil {
		v.Question = &askedView{q}
		v.Answer = shown(q.Answer)
		if q.Body == "" {
			q.Body = jobs.AskedText(v.Post.Caption, q.Key)
		}
		v.Asked = text(q.Body)
	}
	ms, err := s.Store.RecordMentions(ctx, v.ID)
	if err != nil {
		return v, err
	}
	lang := language(r)
	var all []jobs.Restaurant
	for _, m := range ms {
		options, asked, err := jobs.Choices(ctx, s.Store, m.Mention)
		if err != nil {
			return v, err
		}
		pm := postMention{MentionStory: m, Fields: jobs.FieldsOf(m.Mention), Why: reasons(lang, m.Reason), WasWhy: reasons(lang, m.Was.Reason), Asked: asked}
		_, pm.Said = evidence(v.Post.Caption, pm.Fields)
		pm.Choices = choices(lang, m.Mention, v.Post, options, "")
		pm.Sketch = cardSketch(v.Post, pm.Choices)
		if m.Place != "" {
			pm.Place = placePath(m.Place)
		}
		all = append(all, pm.Fields)
		v.Mentions = append(v.Mentions, pm)
	}
	v.Caption = evidenceOf(v.Post.Caption, all)
	return v, nil
}

// shown is JSON as people read it; what is none stays as it is.
func shown(raw json.RawMessage) shownText {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") == nil {
		return text(b.String())
	}
	return text(string(raw))
}

func text(s string) shownText {
	t := shownText{Text: s, Bytes: int64(len(s))}
	if len(s) > mostShown {
		t.Text, t.Cut = strings.ToValidUTF8(s[:mostShown], ""), true
	}
	if !utf8.ValidString(t.Text) {
		t.Text = strings.ToValidUTF8(t.Text, "\uFFFD")
	}
	return t
}

// rawItem answers with the upstream's own item, as text: a browser does nothing else with it.
func (s *Server) rawItem(w http.ResponseWriter, r *http.Request) {
	rs, err := s.Store.RecordStory(r.Context(), r.PathValue("stream"), r.PathValue("key"))
	if err == nil && rs.Raw == nil {
		err = queue.ErrNotFound
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	raw, err := s.packer.Unpack(r.Context(), s.Store, rs.RawRecord)
	if err != nil {
		s.Log.Error("item", "err", err)
		s.fail(w, r, http.StatusInternalServerError, say("The kept item cannot be read."), say("The log says why; `sumbi doctor` checks the state."))
		return
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") == nil {
		raw = b.Bytes()
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", "inline; filename*=UTF-8''"+url.PathEscape(rs.Stream+"-"+rs.Key)+".json")
	_, _ = w.Write(raw) // an error means that the visitor has gone
}
