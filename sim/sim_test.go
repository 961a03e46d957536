package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

var epoch = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func TestSameSeedSameWorld(t *testing.T) {
	t.Parallel()
	world := func(seed uint64) string {
		b, err := json.Marshal(sim.New(sim.Options{Seed: seed, Accounts: 3, Posts: 20, Epoch: epoch}).Posts())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one, two, other := world(1), world(1), world(2)
	if one != two {
		t.Error("the same seed gives two worlds")
	}
	if one == other {
		t.Error("another seed gives the same world")
	}
}

func TestWorldHasEveryKindOfCaption(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Seed: 1, Accounts: 10, Posts: 100, Epoch: epoch})
	n := map[string]int{}
	texts := map[string]map[string]bool{}
	shared := map[string]map[string]bool{}
	for _, p := range s.Posts() {
		switch {
		case p.Caption == "":
			n["null"]++
		case len(p.Mentions) == 0:
			n["names nothing"]++
		case len(p.Mentions) > 2:
			n["list"]++
		}
		if len(p.Lists) == 2 {
			n["both lists"]++
		}
		if p.Guest != "" {
			n["collaboration"]++
		}
		if p.Caption != "" && len(p.Mentions) > 0 {
			if texts[p.Caption] == nil {
				texts[p.Caption] = map[string]bool{}
			}
			texts[p.Caption][p.Account] = true
		}
		for _, m := range p.Mentions {
			for what, yes := range map[string]bool{
				"address": m.Address != "", "area": m.Area != "", "branch": m.Branch != "", "phone": m.Phone != "", "ad": m.Ad,
				"hashtag": strings.HasPrefix(m.Quote, "#"), "no place": m.Place == nil, "price": len(m.Menu) > 0 && m.Menu[0].Price > 0,
			} {
				if yes {
					n[what]++
				}
			}
			if m.Place != nil {
				if shared[m.Place.ID] == nil {
					shared[m.Place.ID] = map[string]bool{}
				}
				shared[m.Place.ID][p.Account] = true
			}
		}
	}
	for _, accounts := range texts {
		if len(accounts) > 1 {
			n["repeated elsewhere"]++
		}
	}
	for _, accounts := range shared {
		if len(accounts) > 4 {
			n["popular place"]++
		}
	}
	for _, what := range []string{
		"null", "names nothing", "list", "both lists", "collaboration", "address", "area", "branch", "phone", "ad", "hashtag", "no place", "price",
		"repeated elsewhere", "popular place",
	} {
		if n[what] == 0 {
			t.Errorf("no post: %s", what)
		}
	}
}

func TestGrade(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Seed: 1, Accounts: 3, Posts: 30, Epoch: epoch})
	var posts []string
	found := map[string][]sim.Place{}
	var busy string // a post with a place
	for id, p := range s.Posts() {
		posts = append(posts, id)
		for _, m := range p.Mentions {
			if m.Place != nil {
				found[id] = append(found[id], sim.Place{Name: m.Place.Name, RoadAddress: m.Place.RoadAddress})
				busy = id
			}
		}
	}
	r := s.Grade(posts, found)
	if !r.Perfect() || r.Precision() != 1 || r.Recall() != 1 || r.MentionsRight == 0 || r.PlacesFound != r.PlacesExpected {
		t.Errorf("the truth is not perfect: %+v", r)
	}
	if !strings.Contains(r.String(), "recall 1.000") {
		t.Errorf("table:\n%s", r)
	}
	worse := map[string][]sim.Place{}
	for id, ps := range found {
		worse[id] = ps
	}
	wrong := sim.Place{Name: "없는 집", RoadAddress: "서울특별시 중구 세종대로 1"}
	worse[busy] = []sim.Place{wrong, wrong}
	bad := s.Grade(append(posts[1:], "17"), worse)
	want := []int{1, 1, 1, len(found[busy])}
	if d := cmp.Diff(want, []int{len(bad.PostsMissing), len(bad.PostsExtra), bad.MentionsWrong, bad.MentionsMissed}); d != "" {
		t.Errorf("missing, extra, wrong, missed: %s", d)
	}
	s.Delete(busy)
	if r := s.Grade(posts, found); !r.Perfect() || r.PostsExpected != len(posts)-1 {
		t.Errorf("a post deleted after it was stored counts: %+v", r)
	}
	if nothing := s.Grade(nil, nil); nothing.MentionsMissed != nothing.MentionsExpected || len(nothing.PostsMissing) != len(posts)-1 {
		t.Errorf("nothing: %+v", nothing)
	}
}

// Kakao prints another province, no floor, and now and then another name: it is the same place all the same.
func TestGradeTakesKakaosPrint(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 3, Posts: 60, Epoch: epoch})
	byID := map[string]map[string]string{}
	found := map[string][]sim.Place{}
	var posts []string
	for id, p := range c.s.Posts() {
		posts = append(posts, id)
		for _, m := range p.Mentions {
			if m.Place == nil {
				continue
			}
			if byID[m.Place.ID] == nil {
				for _, d := range c.kakao(m.Place.Name, "").Documents {
					byID[d["id"]] = d
				}
			}
			d := byID[m.Place.ID]
			if d == nil {
				t.Fatalf("Kakao does not find %s", m.Place.Name)
			}
			found[id] = append(found[id], sim.Place{Name: d["place_name"], RoadAddress: d["road_address_name"]})
		}
	}
	if r := c.s.Grade(posts, found); !r.Perfect() {
		t.Errorf("%s%v", r, r.Examples)
	}
}

func TestForPeople(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 2, Posts: 5})
	c.page("posts", c.s.Accounts()[0], "")
	var names []string
	if err := json.Unmarshal(c.do("GET", "/sim/accounts", nil, nil).body, &names); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.s.Accounts(), names); d != "" {
		t.Error(d)
	}
	wantStatus(200, `"requests":1`)(t, c.do("GET", "/sim/stats", nil, nil))
	if toml := c.s.TOML(c.base); !strings.Contains(toml, `base_url = "`+c.base+`/instagram/v1.2"`) {
		t.Errorf("configuration:\n%s", toml)
	}
	c.s.ResetStats()
	if st := c.s.Stats(); st.PagesServed != 0 || st.Calls["instagram"].Requests != 0 {
		t.Errorf("after the reset: %s", st)
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Accounts: 1, Posts: 3, BatchStep: time.Hour})
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, s, base, http.DefaultClient}
	c.create(c.file(line("1", "가")), "") // would end in hours
	stop()
	stop()
	if a := c.get("/batches"); a.err == nil {
		t.Errorf("it still answers: %d", a.status)
	}
}

func TestFaultCounts(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, Posts: 3})
	who := c.s.Accounts()[0]
	for range 2 { // setting faults begins their count anew
		c.s.SetFaults(sim.Faults{Instagram: sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Error500: sim.Fault{Skip: 1, Count: 2}}}})
		var got []int
		for range 4 {
			got = append(got, c.insta("posts", who, "").status)
		}
		if d := cmp.Diff([]int{200, 500, 500, 200}, got); d != "" {
			t.Error(d)
		}
	}
}

func ExampleServer() {
	s := sim.New(sim.Options{Seed: 1, Accounts: 2, Posts: 10})
	base, stop, err := s.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	fmt.Println(strings.HasPrefix(base, "http://127.0.0.1:"), s.Accounts())
	// Output: true [sim.matzip_hunter1 sim.foodie_hunter2]
}
