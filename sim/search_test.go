package sim_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

var (
	hub     = map[string]string{"X-NCP-APIGW-API-KEY-ID": sim.DefaultNaverClientID, "X-NCP-APIGW-API-KEY": sim.DefaultNaverClientSecret}
	legacy  = map[string]string{"X-Naver-Client-Id": sim.DefaultNaverClientID, "X-Naver-Client-Secret": sim.DefaultNaverClientSecret}
	kakaoAK = map[string]string{"Authorization": "KakaoAK " + sim.DefaultKakaoKey}
)

const (
	hubPath    = sim.NaverPath + "/search/v1/local"
	legacyPath = sim.NaverPath + "/v1/search/local.json"
	kakaoPath  = sim.KakaoPath + "/v2/local/search/keyword.json"
)

type naverAnswer struct {
	LastBuildDate         string
	Total, Start, Display int
	Items                 []struct{ Title, Link, Category, Description, Telephone, Address, RoadAddress, MapX, MapY string }
}

func (c *client) naver(query, more string) naverAnswer {
	c.t.Helper()
	a := c.do("GET", hubPath+"?query="+url.QueryEscape(query)+more, hub, nil)
	var out naverAnswer
	if err := json.Unmarshal(a.body, &out); a.status != 200 || err != nil {
		c.t.Fatalf("%s: %d %v %s", query, a.status, err, a.body)
	}
	return out
}

func TestNaverRequests(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	only := start(t, sim.Options{NaverDialect: "legacy"})
	for _, tt := range []struct {
		name   string
		c      *client
		path   string
		header map[string]string
		status int
		body   string
	}{
		{"hub", c, hubPath + "?query=a", hub, 200, `"items"`},
		{"legacy", c, legacyPath + "?query=a", legacy, 200, `"items"`},
		{"xml", c, sim.NaverPath + "/v1/search/local.xml?query=a", legacy, 200, "<rss"},
		{"hub xml", c, hubPath + "?query=a&format=xml", hub, 200, "<channel>"},
		{"no key, hub", c, hubPath + "?query=a", nil, 401, `{"errorCode":"200","message":"Authentication Failed"}`},
		{"no key, legacy", c, legacyPath + "?query=a", nil, 401, `"errorCode":"024"`},
		{"other headers, hub", c, hubPath + "?query=a", legacy, 401, `"errorCode":"200"`},
		{"wrong secret", c, legacyPath + "?query=a", map[string]string{"X-Naver-Client-Id": sim.DefaultNaverClientID}, 401, "Authentication failed"},
		{"hub with an old key", only, hubPath + "?query=a", hub, 401, `"errorCode":"200"`},
		{"legacy with an old key", only, legacyPath + "?query=a", legacy, 200, `"items"`},
		{"unknown id", only, legacyPath + "?query=a", map[string]string{"X-Naver-Client-Id": "x", "X-Naver-Client-Secret": "y"}, 401, "Not Exist Client ID"},
		{"no query", c, legacyPath, legacy, 400, "SE01"},
		{"display 0", c, legacyPath + "?query=a&display=0", legacy, 400, "SE02"},
		{"start 0", c, hubPath + "?query=a&start=0", hub, 400, "SE03"},
		{"sort", c, legacyPath + "?query=a&sort=sim", legacy, 400, "SE04"},
		{"encoding", c, legacyPath + "?query=%EA%B0", legacy, 400, "SE06"},
		{"another search", c, sim.NaverPath + "/v1/search/lunch.json?query=a", legacy, 404, "SE05"},
		{"another path", c, sim.NaverPath + "/search/v2/local?query=a", hub, 404, `"errorCode":"300"`},
	} {
		t.Run(tt.name, func(t *testing.T) { wantStatus(tt.status, tt.body)(t, tt.c.do("GET", tt.path, tt.header, nil)) })
	}
	if ct := c.do("GET", hubPath+"?query=a", hub, nil).header.Get("Content-Type"); ct != "text/plain;charset=UTF-8" {
		t.Errorf("content type %q", ct)
	}
}

func TestNaverAnswers(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	byName := map[string][]sim.Place{}
	var amp sim.Place
	for _, p := range c.s.Places() {
		byName[p.Name] = append(byName[p.Name], p)
		if strings.Contains(p.Name, "&") {
			amp = p
		}
	}
	if n := len(c.naver("한그릇상회", "").Items); n != 1 {
		t.Errorf("the default display shows %d items", n)
	}
	five := c.naver("한그릇상회", "&display=10&start=3")
	if len(five.Items) != 5 || five.Total != 5 || five.Start != 1 || five.Display != 5 {
		t.Errorf("%d items, total %d, start %d, display %d", len(five.Items), five.Total, five.Start, five.Display)
	}
	if _, err := time.Parse(time.RFC1123Z, five.LastBuildDate); err != nil {
		t.Error(err)
	}
	for _, it := range five.Items {
		if !strings.HasPrefix(it.Title, "<b>한그릇상회</b> ") || it.Description != "" || it.Telephone != "" {
			t.Errorf("item %+v", it)
		}
		x, errX := strconv.Atoi(it.MapX)
		y, errY := strconv.Atoi(it.MapY)
		if errX != nil || errY != nil || x < 1240000000 || x > 1320000000 || y < 330000000 || y > 390000000 {
			t.Errorf("coordinates %s %s", it.MapX, it.MapY)
		}
	}
	if it := c.naver(amp.Name, "").Items[0]; html.UnescapeString(strings.NewReplacer("<b>", "", "</b>", "").Replace(it.Title)) != amp.Name {
		t.Errorf("title %q of %q", it.Title, amp.Name)
	}
	namesakes := 0
	for name, ps := range byName {
		sido := map[string]bool{}
		for _, p := range ps {
			sido[strings.Fields(p.Address)[0]] = true
		}
		if len(sido) > 2 {
			namesakes++
			if n := len(c.naver(name, "&display=5").Items); n < 3 {
				t.Errorf("%s: %d of %d namesakes", name, n, len(ps))
			}
		}
	}
	if namesakes < 10 {
		t.Errorf("%d names stand in three provinces", namesakes)
	}
	if wrong := c.naver("연남동 옹달샘피자", "&display=5"); wrong.Total == 0 {
		t.Error("an unknown name gives nothing, want wrong places")
	}
	if none := c.naver("분위기 좋은", "&display=5"); none.Total != 0 || none.Items == nil {
		t.Errorf("descriptive words give %d", none.Total)
	}
	swapped := 0
	for _, q := range []string{"성수동 국밥", "서울 커피", "을지로 골목집", "부산 횟집", "홍대 파스타"} {
		if a, b := c.naver(q, "&display=5"), c.naver(q, "&display=5&sort=comment"); a.Items[0] != b.Items[0] {
			swapped++
		}
	}
	if swapped == 0 {
		t.Error("sort=comment never changes the first")
	}
}

// A caption that names a place must say enough to find it among five.
func TestEveryMentionCanBeFound(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 4, Posts: 60})
	asked := map[string]naverAnswer{}
	ask := func(q string) naverAnswer {
		if _, ok := asked[q]; !ok {
			asked[q] = c.naver(q, "&display=5")
		}
		return asked[q]
	}
	var placed, none, vague int
	for id, p := range c.s.Posts() {
		for _, m := range p.Mentions {
			for field, text := range map[string]string{"name": m.Name, "branch": m.Branch, "address": m.Address, "area": m.Area, "phone": m.Phone, "quote": m.Quote} {
				if !strings.Contains(p.Caption, text) {
					t.Errorf("%s %q does not stand in the caption of %s", field, text, id)
				}
			}
			for _, d := range m.Menu {
				if !strings.Contains(p.Caption, d.Name) {
					t.Errorf("dish %q does not stand in the caption of %s", d.Name, id)
				}
			}
			if m.Place == nil {
				none++
				if m.Area+m.Address+m.Branch == "" {
					vague++
				}
				continue
			}
			placed++
			if m.Area+m.Address+m.Branch == "" {
				t.Errorf("%s: nothing says where %s is", id, m.Name)
			}
			queries := []string{m.Name + " " + m.Area, m.Name + " " + m.Branch}
			for _, word := range strings.Fields(m.Address) {
				queries = append(queries, word+" "+m.Name)
			}
			if !found(m, queries, ask) {
				t.Errorf("%s: %s %s is not found by %q", id, m.Place.Name, m.Place.RoadAddress, queries)
			}
		}
	}
	if placed < 200 || none == 0 || vague == 0 {
		t.Errorf("%d mentions with a place, %d without, %d vague", placed, none, vague)
	}
}

func found(m sim.Mention, queries []string, ask func(string) naverAnswer) bool {
	for _, q := range queries {
		for _, it := range ask(strings.TrimSpace(q)).Items {
			if it.Address == m.Place.Address && html.UnescapeString(strings.NewReplacer("<b>", "", "</b>", "").Replace(it.Title)) == m.Place.Name {
				return true
			}
		}
	}
	return false
}

func TestSearchLimitsAndFaults(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	nested := sim.NaverFaults{NestedHub: sim.Often(1), DayUsedUp: once}
	for _, tt := range []struct {
		name   string
		o      sim.Options
		path   string
		header map[string]string
		status int // of the second call
		body   string
	}{
		{"legacy rate", sim.Options{NaverPerSecond: 1}, legacyPath, legacy, 429, `"errorCode":"012"`},
		{"legacy day", sim.Options{NaverPerDay: 1}, legacyPath, legacy, 429, `"errorCode":"010"`},
		{"hub rate", sim.Options{NaverPerSecond: 1}, hubPath, hub, 429, ` Limited"}`},
		{"hub day", sim.Options{NaverPerDay: 1}, hubPath, hub, 429, `{"errorCode":"400","message":"Quota Exceeded"}`},
		{"hub nested", sim.Options{Faults: sim.Faults{Naver: nested}, NaverPerDay: 1}, hubPath, hub, 429, `{"error":{`},
		{"SE99", sim.Options{Faults: sim.Faults{Naver: sim.NaverFaults{HTTPFaults: sim.HTTPFaults{Error500: sim.Fault{Skip: 1, Count: 1}}}}}, hubPath, hub, 500, "SE99"},
		{"kakao rate", sim.Options{KakaoPerSecond: 1}, kakaoPath, kakaoAK, 429, "errorType"},
		{"kakao day", sim.Options{KakaoPerDay: 1}, kakaoPath, kakaoAK, 429, `{"code":-10,"msg":"API limit has been exceeded."}`},
		{"kakao quota as 400", sim.Options{Faults: sim.Faults{Kakao: sim.KakaoFaults{QuotaAs400: sim.Fault{Skip: 1, Count: 1}}}}, kakaoPath, kakaoAK, 400, `{"code":-10,`},
		{"kakao quota as 429", sim.Options{Faults: sim.Faults{Kakao: sim.KakaoFaults{QuotaAs429: sim.Fault{Skip: 1, Count: 1}}}}, kakaoPath, kakaoAK, 429, `{"code":-10,`},
		{"kakao 500", sim.Options{Faults: sim.Faults{Kakao: sim.KakaoFaults{HTTPFaults: sim.HTTPFaults{Error500: sim.Fault{Skip: 1, Count: 1}}}}}, kakaoPath, kakaoAK, 500, `"code":-1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, tt.o, func(t *testing.T, c *client) {
				path := tt.path + "?query=" + url.QueryEscape("성수동 커피")
				c.do("GET", path, tt.header, nil)
				wantStatus(tt.status, tt.body)(t, c.do("GET", path, tt.header, nil))
			})
		})
	}
	c := start(t, sim.Options{Faults: sim.Faults{Naver: sim.NaverFaults{Katech: once}}})
	if it := c.naver("성수동 커피", "").Items[0]; len(it.MapX) != 6 || len(it.MapY) != 6 {
		t.Errorf("old coordinates %s %s", it.MapX, it.MapY)
	}
	if it := c.naver("성수동 커피", "").Items[0]; len(it.MapX) != 10 {
		t.Errorf("new coordinates %s", it.MapX)
	}
}

type kakaoAnswer struct {
	Documents []map[string]string
	Meta      struct {
		Total    int  `json:"total_count"`
		Pageable int  `json:"pageable_count"`
		IsEnd    bool `json:"is_end"`
		SameName struct {
			Keyword  string
			Region   []string
			Selected string `json:"selected_region"`
		} `json:"same_name"`
	}
}

func (c *client) kakao(query, more string) kakaoAnswer {
	c.t.Helper()
	a := c.do("GET", kakaoPath+"?query="+url.QueryEscape(query)+more, kakaoAK, nil)
	var out kakaoAnswer
	if err := json.Unmarshal(a.body, &out); a.status != 200 || err != nil {
		c.t.Fatalf("%s: %d %v %s", query, a.status, err, a.body)
	}
	return out
}

func TestKakaoRequests(t *testing.T) {
	t.Parallel()
	o := sim.Options{Keys: sim.Keys{KakaoDisabled: []string{"off"}}}
	c := start(t, o)
	o.Faults.Kakao.OldBodies = sim.Often(1)
	old := start(t, o)
	auth := func(v string) map[string]string { return map[string]string{"Authorization": v} }
	for _, tt := range []struct {
		name   string
		c      *client
		more   string
		header map[string]string
		status int
		body   string
	}{
		{"good", c, "?query=a", kakaoAK, 200, `"documents"`},
		{"no header", c, "?query=a", nil, 401, `{"errorType":"AccessDeniedError","message":"wrong appKey"}`},
		{"wrong scheme", c, "?query=a", auth("Bearer " + sim.DefaultKakaoKey), 401, "wrong appKey"},
		{"two spaces", c, "?query=a", auth("KakaoAK  " + sim.DefaultKakaoKey), 401, "wrong appKey"},
		{"older body", old, "?query=a", auth("KakaoAK x"), 401, `{"code":-401,"msg":"wrong appKey"}`},
		{"not switched on", c, "?query=a", auth("KakaoAK off"), 403, "disabled OPEN_MAP_AND_LOCAL service."},
		{"no query", c, "", kakaoAK, 400, `{"errorType":"MissingParameter","message":"query parameter required"}`},
		{"size", c, "?query=a&size=16", kakaoAK, 400, "size"},
		{"page", c, "?query=a&page=46", kakaoAK, 400, "page"},
		{"radius", c, "?query=a&radius=20001", kakaoAK, 400, "radius"},
		{"distance without centre", c, "?query=a&sort=distance", kakaoAK, 400, "distance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantStatus(tt.status, tt.body)(t, tt.c.do("GET", kakaoPath+tt.more, tt.header, nil))
		})
	}
	wantStatus(404, "")(t, c.do("GET", sim.KakaoPath+"/v2/local/search/category.xml", kakaoAK, nil))
}

func TestKakaoAnswers(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{})
	seen := map[string]bool{}
	for page := 1; ; page++ {
		a := c.kakao("서울 커피", fmt.Sprintf("&page=%d", page))
		if a.Meta.Total <= 45 || a.Meta.Pageable != 45 {
			t.Fatalf("total %d, pageable %d", a.Meta.Total, a.Meta.Pageable)
		}
		for _, d := range a.Documents {
			if seen[d["id"]] {
				t.Errorf("%s comes twice", d["id"])
			}
			seen[d["id"]] = true
			if strings.HasPrefix(d["address_name"], "서울특별시") || d["distance"] != "" || strings.Contains(d["place_name"], "<") {
				t.Errorf("document %v", d)
			}
		}
		if a.Meta.IsEnd {
			break
		}
	}
	if len(seen) != 45 {
		t.Errorf("%d results, want 45", len(seen))
	}

	near := c.kakao("커피", "&x=127.0545&y=37.5430&radius=1000&sort=distance&category_group_code=CE7")
	last := 0
	for _, d := range near.Documents {
		n, err := strconv.Atoi(d["distance"])
		if err != nil || n > 1000 || n < last || d["category_group_code"] != "CE7" || !strings.Contains(d["category_name"], " > ") {
			t.Errorf("document %v", d)
		}
		last = n
	}
	if same := c.kakao("성수동 한그릇상회", "").Meta.SameName; same.Keyword != "한그릇상회" || same.Selected != "서울 성동구" {
		t.Errorf("same_name %+v", same)
	}
	naver := map[string]string{}
	for _, p := range c.s.Places() {
		naver[p.ID] = p.Name
	}
	renamed, jeju := 0, 0
	for _, p := range c.s.Places() {
		for _, d := range c.kakao(p.Name, "&size=1").Documents {
			if naver[d["id"]] == p.Name && d["place_name"] != p.Name {
				renamed++
			}
			if strings.HasPrefix(d["road_address_name"], "제주특별자치도 ") {
				jeju++
			}
		}
	}
	if renamed == 0 || jeju == 0 {
		t.Errorf("%d renamed, %d on Jeju", renamed, jeju)
	}
	if bus := c.kakao("한우", "&rect=126.0,33.0,127.0,34.0"); len(bus.Documents) > 0 && !strings.HasPrefix(bus.Documents[0]["address_name"], "제주") {
		t.Errorf("outside of the box: %v", bus.Documents[0])
	}
}
