package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// openAI is the state of the files and batches.
type openAI struct {
	s       *Server
	mu      sync.Mutex
	files   map[string]*file
	order   []*file // oldest first
	batches map[string]*batch
	line    []*batch // oldest first
	shards  map[string]*batch
	tokens  map[string]int64 // enqueued, by model
	goodID  map[uint64]int   // good answers that can be read or soon can, by custom_id and caption
	goodCap map[uint64]int   // the same by caption
}

func newOpenAI(s *Server) *openAI {
	return &openAI{
		s: s, files: map[string]*file{}, batches: map[string]*batch{}, shards: map[string]*batch{},
		tokens: map[string]int64{}, goodID: map[uint64]int{}, goodCap: map[uint64]int{},
	}
}

// id makes an identifier in OpenAI's manner. The caller holds ai.mu or needs no order.
func (ai *openAI) id(prefix string) string {
	return fmt.Sprintf("%s%08x%016x", prefix, time.Now().Unix(), ai.s.dice.intN(1<<62))
}

func (s *Server) routeOpenAI() {
	g := gate{
		name: "openai", faults: &s.dice.faults.OpenAI.HTTPFaults, latency: s.o.OpenAILatency,
		period: func(time.Time) string { return "" },
		key: func(w http.ResponseWriter, r *http.Request) (string, bool) {
			key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			switch {
			case ok && key == s.o.Keys.OpenAI:
				return "openai/1", true
			case key == "":
				apiError(w, http.StatusUnauthorized, "You didn't provide an API key.", "invalid_request_error", nil, nil)
			default:
				apiError(w, http.StatusUnauthorized, "Incorrect API key provided: "+key[:min(3, len(key))]+"****. You can find your API key at https://platform.openai.com/account/api-keys.", "invalid_request_error", nil, "invalid_api_key")
			}
			return "", false
		},
		refuse: s.openAIRefusal,
		broken: func(w http.ResponseWriter, _ *http.Request) {
			apiError(w, http.StatusInternalServerError, "The server had an error while processing your request. Sorry about that!", "server_error", nil, nil)
		},
		headers: func(h http.Header, _ string) {
			h.Set("Openai-Version", "2020-10-01")
			h.Set("Openai-Processing-Ms", fmt.Sprint(15+s.dice.intN(500)))
			h.Set("X-Request-Id", fmt.Sprintf("req_%016x%016x", s.dice.intN(1<<62), s.dice.intN(1<<62)))
		},
		spent: func() bool { return s.dice.hit(&s.dice.faults.OpenAI.QuotaSpent) },
	}
	ai := s.ai
	for pattern, h := range map[string]http.HandlerFunc{
		"POST /files":               ai.upload,
		"GET /files":                ai.listFiles,
		"GET /files/{id}":           ai.getFile,
		"DELETE /files/{id}":        ai.deleteFile,
		"GET /files/{id}/content":   ai.content,
		"POST /batches":             ai.create,
		"GET /batches":              ai.listBatches,
		"GET /batches/{id}":         ai.getBatch,
		"POST /batches/{id}/cancel": ai.cancel,
		"POST /chat/completions":    unsupported,
		"POST /responses":           unsupported,
		"GET /models":               ai.models,
		"POST /uploads":             unsupported,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.HandleFunc(method+" "+OpenAIPath+path, s.through(g, h))
	}
	s.mux.HandleFunc("/openai/", func(w http.ResponseWriter, r *http.Request) {
		s.stats.misdirected("openai")
		apiError(w, http.StatusNotFound, fmt.Sprintf("Invalid URL (%s %s)", r.Method, strings.TrimPrefix(r.URL.Path, "/openai")), "invalid_request_error", nil, nil)
	})
}

// openAIRefusal answers 429. Most come without Retry-After.
func (s *Server) openAIRefusal(w http.ResponseWriter, _ *http.Request, v verdict) {
	if v == usedUp {
		apiError(w, http.StatusTooManyRequests, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", nil, "insufficient_quota")
		return
	}
	if s.dice.hit(&s.dice.faults.OpenAI.RetryAfter) {
		w.Header().Set("Retry-After", "1")
	}
	apiError(w, http.StatusTooManyRequests, "Rate limit reached for requests in organization org-sim. Please try again later.", "requests", nil, "rate_limit_exceeded")
}

func unsupported(w http.ResponseWriter, _ *http.Request) {
	apiError(w, http.StatusNotImplemented, "This server runs batches only.", "invalid_request_error", nil, nil)
}

func (ai *openAI) models(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{"object": "list", "data": []object{{"id": "gpt-5-mini", "object": "model", "created": 1754425928, "owned_by": "system"}}})
}

// apiError answers with OpenAI's error body.
func apiError(w http.ResponseWriter, status int, message, kind string, param, code any) {
	reply(w, status, object{"error": object{"message": message, "type": kind, "param": param, "code": code}})
}

func invalid(w http.ResponseWriter, status int, message string, param, code any) {
	apiError(w, status, message, "invalid_request_error", param, code)
}

// paged cuts a list that is in its final order, by the parameters after and limit, into OpenAI's list object.
func paged[T any](w http.ResponseWriter, r *http.Request, all []T, def, most int, id func(T) string, view func(T) any) {
	limit, ok := number(r.URL.Query().Get("limit"), def)
	if !ok || limit < 1 || limit > most {
		invalid(w, http.StatusBadRequest, fmt.Sprintf("Invalid 'limit': expected an integer between 1 and %d.", most), "limit", "integer_out_of_range")
		return
	}
	from := 0
	if after := r.URL.Query().Get("after"); after != "" {
		i := slices.IndexFunc(all, func(t T) bool { return id(t) == after })
		if i < 0 {
			invalid(w, http.StatusBadRequest, fmt.Sprintf("Invalid 'after': no object with id '%s'.", after), "after", nil)
			return
		}
		from = i + 1
	}
	shown := all[from:min(from+limit, len(all))]
	data := make([]any, 0, len(shown))
	for _, t := range shown {
		data = append(data, view(t))
	}
	out := object{"object": "list", "data": data, "has_more": from+len(shown) < len(all), "first_id": nil, "last_id": nil}
	if len(shown) > 0 {
		out["first_id"], out["last_id"] = id(shown[0]), id(shown[len(shown)-1])
	}
	reply(w, http.StatusOK, out)
}
