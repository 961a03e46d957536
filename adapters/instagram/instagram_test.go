package instagram_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "열쇠-0123456789abcdef"

func open(o rest.Options) adapters.Source {
	o.Upstream, o.Classify = "instagram", instagram.Classify
	o.Limits = instagram.Limits([]adapters.Secret{secret}, "scraper.test", 0, nil)
	return instagram.New(instagram.Options{BaseURL: o.BaseURL, Client: rest.New(o)})
}

// fake serves lists of three pages, each in another form of the envelope.
func fake() (http.Handler, []string) {
	const perPage = 12
	var items []map[string]any
	var keys []string
	for i := range 30 {
		taken := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(-time.Duration(i) * 26 * time.Hour)
		if i == 0 {
			taken = taken.AddDate(-1, 0, 0) // pinned on top
		}
		pk := uint64(taken.UnixMilli()-1314220021721)<<23 | uint64(i)
		items = append(items, map[string]any{
			"id": fmt.Sprintf("%d_%d", pk, 99), "taken_at": taken.Unix(), "is_pinned": i == 0,
			"caption": map[string]any{"text": fmt.Sprintf("오늘의 맛집 %d #맛집", i)},
		})
		keys = append(keys, strconv.FormatUint(pk, 10))
	}
	list := func(w http.ResponseWriter, r *http.Request) {
		page := 0
		if token := r.FormValue("pagination_token"); token != "" {
			if n, err := fmt.Sscanf(token, "tok+en/%d=", &page); n != 1 || err != nil || page > 2 {
				adaptertest.Status(400, `{"detail":"Invalid pagination token"}`).ServeHTTP(w, r)
				return
			}
		}
		data := map[string]any{"items": items[page*perPage : min(len(items), (page+1)*perPage)]}
		body := map[string]any{"data": data}
		next := fmt.Sprintf("tok+en/%d=", page+1)
		switch page {
		case 0:
			body["pagination_token"] = next
		case 1:
			body["pagination_token"], data["pagination_token"] = nil, next
		default:
			body["pagination_token"] = ""
		}
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /posts", list)
	mux.HandleFunc("GET /reels", list)
	return mux, keys
}

func TestSource(t *testing.T) {
	t.Parallel()
	upstream, keys := fake()
	for _, list := range []string{instagram.ListPosts, instagram.ListReels} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			adaptertest.Source(t, adaptertest.SourceOptions{
				Upstream:  upstream,
				Open:      open,
				Query:     adapters.Query{List: list, Target: "@Seoul.Matzip"},
				Keys:      keys,
				Secrets:   []string{secret},
				Throttled: adaptertest.Status(429, `{"message":"You have exceeded the rate limit per second for your plan, BASIC, by the API provider"}`),
			})
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		adaptertest.Status(200, `{"data":{"items":[]}}`).ServeHTTP(w, r)
	}))
	defer server.Close()
	c := rest.New(rest.Options{Upstream: "instagram", BaseURL: server.URL + "/v1.2", Limits: instagram.Limits([]adapters.Secret{secret}, "", 8, nil)})
	defer c.Close(context.WithoutCancel(t.Context()))
	for _, host := range []string{"", "instagram-scraper-api2.p.rapidapi.com"} {
		s := instagram.New(instagram.Options{BaseURL: server.URL + "/v1.2", Host: host, Client: c})
		q := adapters.Query{List: "reels", Target: "https://www.instagram.com/Seoul.Matzip/", Cursor: "a+/=&"}
		if _, err := s.Fetch(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if got.URL.Path != "/v1.2/reels" || got.FormValue("username_or_id_or_url") != "seoul.matzip" || got.FormValue("pagination_token") != "a+/=&" {
			t.Errorf("asked for %v", got.URL)
		}
		if host == "" {
			host = got.Host
		}
		if k, h := got.Header.Get("x-rapidapi-key"), got.Header.Get("x-rapidapi-host"); k != secret || h != host {
			t.Errorf("got key %q and host %q, want host %q", k, h, host)
		}
	}
	if l := c.Limits(); len(l) != 1 || l[0].Name != "instagram/1" || l[0].Used != 2 {
		t.Errorf("limits are %+v", l)
	}
}

func TestSim(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Seed: 3, Accounts: 2, Posts: 60, Gone: []string{"gone.user"}, Private: []string{"private.user"}})
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c := rest.New(rest.Options{
		Upstream: "instagram", BaseURL: base + sim.InstagramPath, Classify: instagram.Classify,
		Limits: instagram.Limits([]adapters.Secret{sim.DefaultRapidAPIKey}, "", 0, nil),
	})
	defer c.Close(context.WithoutCancel(t.Context()))
	source := instagram.New(instagram.Options{BaseURL: base + sim.InstagramPath, Client: c})
	truth := s.Posts()
	for _, list := range []string{"posts", "reels"} {
		var want, got []string
		for id, p := range truth {
			who := s.Accounts()[0]
			own := p.Account == who && slices.Contains(p.Lists, list)
			if own || (p.Guest == who && list == "posts") { // a guest shows it in the grid
				want = append(want, id)
			}
		}
		q := adapters.Query{List: list, Target: s.Accounts()[0]}
		for {
			p, err := source.Fetch(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				var post instagram.Post
				if err := json.Unmarshal(r.Data, &post); err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Key)
				if told := truth[r.Key]; post.Caption != told.Caption || !r.Time.Equal(told.TakenAt.Truncate(time.Second)) || post.Account == "" {
					t.Errorf("post %s is %+v, want %+v", r.Key, post, told)
				}
			}
			if q.Cursor = p.Next; q.Cursor == "" {
				break
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
	}
	for account, reason := range map[string]string{"gone.user": adapters.ReasonGone, "private.user": adapters.ReasonPrivate} {
		_, err := source.Fetch(t.Context(), adapters.Query{List: "posts", Target: account})
		if e := adapters.Classify(err); e == nil || e.Kind != adapters.Permanent || e.Reason != reason {
			t.Errorf("%s: got %v, want %s", account, err, reason)
		}
	}
}
