package web

import "net/http"

func (s *Server) overviewRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.overview)
}

// overview tells at a glance what is going on.
func (s *Server) overview(w http.ResponseWriter, r *http.Request) {
	if !html(r) {
		s.status(w, r)
		return
	}
	m, err := s.Store.Summary(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "overview", say("Overview"), m)
}
