package instagram_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
)

func TestCount(t *testing.T) {
	t.Parallel()
	const (
		notFound = `{"detail":"Not found"}`
		noInfo   = `{"message":"Endpoint '/v1.2/info' does not exist"}`
		page     = `{"data":{"count":1,"items":[{"id":"3533250442263839403_1","user":{"id":"1","username":"seoul.matzip"},"taken_at":1734000000,"metrics":{"user_media_count":77}}]},"pagination_token":"x"}`
	)
	st := adaptertest.Status
	for _, c := range []struct {
		name   string
		info   http.Handler
		posts  http.Handler // nil: must not be asked
		want   int
		kind   adapters.Kind
		reason string
		fails  bool
	}{
		{name: "a profile", info: st(200, `{"data":{"id":"1","username":"seoul.matzip","full_name":"서울 맛집","is_private":false,"media_count":1234}}`), want: 1234},
		{name: "a profile below user", info: st(200, `{"data":{"user":{"id":"1","username":"seoul.matzip","media_count":5}}}`), want: 5},
		{name: "no number", info: st(200, `{"data":{"id":"1","username":"seoul.matzip","media_count":null}}`)},
		{name: "private", info: st(200, `{"data":{"id":"1","username":"seoul.matzip","is_private":true,"media_count":9}}`), fails: true, kind: adapters.Permanent, reason: adapters.ReasonPrivate},
		{name: "gone", info: st(404, notFound), fails: true, kind: adapters.Permanent, reason: adapters.ReasonGone},
		{name: "no such call: the first page tells it", info: st(404, noInfo), posts: st(200, page), want: 77},
		{name: "throttled", info: st(429, ""), fails: true, kind: adapters.Throttled, reason: adapters.ReasonRate},
		{name: "broken", info: st(200, `<html>`), fails: true, kind: adapters.Temporary, reason: adapters.ReasonInvalid},
		{name: "nothing", info: st(200, `{}`), fails: true, kind: adapters.Temporary, reason: adapters.ReasonInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			mux := http.NewServeMux()
			mux.HandleFunc("/info", func(w http.ResponseWriter, r *http.Request) {
				asked++
				if got := r.FormValue("username_or_id_or_url"); got != "seoul.matzip" {
					t.Errorf("asked for %q", got)
				}
				c.info.ServeHTTP(w, r)
			})
			mux.HandleFunc("/posts", func(w http.ResponseWriter, r *http.Request) {
				if c.posts == nil {
					t.Error("the posts were asked for")
					return
				}
				c.posts.ServeHTTP(w, r)
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			s, ok := open(rest.Options{BaseURL: server.URL, Transport: base}).(*instagram.Source)
			if !ok {
				t.Fatal("no source of this package")
			}
			n, err := s.Count(t.Context(), "@Seoul.Matzip")
			e := adapters.Classify(err)
			if (e != nil) != c.fails || n != c.want || (e != nil && (e.Kind != c.kind || e.Reason != c.reason)) {
				t.Errorf("got %d, %v, want %d, %v %q", n, err, c.want, c.kind, c.reason)
			}
			if asked != 1 {
				t.Errorf("%d calls of the profile, want one", asked)
			}
		})
	}
}
