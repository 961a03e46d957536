package web_test

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/web"
)

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// urlValues are names and values in turn as an address has them.
func urlValues(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func hundredThousandths(f float64) string { return strconv.Itoa(int(math.Round(f * 1e5))) }

// documents are all places of a state as the export has them, by their ids.
func documents(t *testing.T, s *queue.Store) (all []jobs.PlaceDocument) {
	t.Helper()
	err := s.Places(t.Context(), func(p queue.PlaceMentions) error {
		d, err := jobs.Document(p)
		all = append(all, d)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

// address is the address of a place, the road's where there is one.
func address(d jobs.PlaceDocument) string {
	for _, a := range []*string{d.RoadAddress, d.Address} {
		if a != nil && *a != "" {
			return *a
		}
	}
	return ""
}

// points reads what /map/points says, in hundred-thousandths of a degree.
func points(t *testing.T, body string) (all [][2]int) {
	t.Helper()
	var p struct{ Points []int }
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err, body)
	}
	var at [2]int
	for i := 0; i < len(p.Points); i += 2 {
		at[0] += p.Points[i]
		at[1] += p.Points[i+1]
		all = append(all, at)
	}
	return all
}

// TestMapFilters compares what the map shows and what its files hold with a look at every place.
func TestMapFilters(t *testing.T) {
	t.Parallel()
	s, url := smallHouse(t)
	all := documents(t, s)
	seoul := time.FixedZone("", 9*3600)
	kst := func(m jobs.MentionDocument) string {
		at, err := time.Parse(time.RFC3339Nano, m.TakenAt)
		if err != nil {
			t.Fatal(err)
		}
		return at.In(seoul).Format(time.DateOnly)
	}
	some := func(f func(m jobs.MentionDocument) bool) func(jobs.PlaceDocument) bool {
		return func(d jobs.PlaceDocument) bool { return slices.ContainsFunc(d.Mentions, f) }
	}
	for _, tt := range []struct {
		name   string
		filter []string
		want   func(d jobs.PlaceDocument) bool
	}{
		{"all", nil, func(jobs.PlaceDocument) bool { return true }},
		{"an account", []string{"account", "을지로.bap"}, some(func(m jobs.MentionDocument) bool { return m.Account == "을지로.bap" })},
		{"nobody", []string{"account", "없는계정"}, func(jobs.PlaceDocument) bool { return false }},
		{"a category", []string{"category", "한식"}, func(d jobs.PlaceDocument) bool { return strings.HasPrefix(*d.Category, "한식") }},
		{"a category within another", []string{"category", "카페,디저트>카페"}, func(d jobs.PlaceDocument) bool { return *d.Category == "음식점>카페,디저트>카페" }},
		{"half a word is no category", []string{"category", "한"}, func(jobs.PlaceDocument) bool { return false }},
		{"a province", []string{"area", "서울"}, func(d jobs.PlaceDocument) bool { return strings.HasPrefix(address(d), "서울") }},
		{"a province with a long name", []string{"area", "충북"}, func(d jobs.PlaceDocument) bool { return strings.HasPrefix(address(d), "충청북도") }},
		{"a city", []string{"area", "서울 성동구"}, func(d jobs.PlaceDocument) bool { return strings.Contains(address(d), "성동구") }},
		{"a name", []string{"q", " 국 밥"}, func(d jobs.PlaceDocument) bool {
			return strings.Contains(strings.ReplaceAll(d.Name, " ", ""), "국밥")
		}},
		{"capital letters", []string{"q", "BAR"}, func(d jobs.PlaceDocument) bool { return strings.Contains(strings.ToLower(d.Name), "bar") }},
		{"advertising", []string{"ad", "yes"}, some(func(m jobs.MentionDocument) bool { return m.Ad })},
		{"no advertising", []string{"ad", "no"}, some(func(m jobs.MentionDocument) bool { return !m.Ad })},
		{"from", []string{"from", "2026-11-11"}, some(func(m jobs.MentionDocument) bool { return kst(m) >= "2026-11-11" })},
		{"to", []string{"to", "2026-11-10"}, some(func(m jobs.MentionDocument) bool { return kst(m) <= "2026-11-10" })},
		{"a day", []string{"from", "2026-11-11", "to", "2026-11-11"}, some(func(m jobs.MentionDocument) bool { return kst(m) == "2026-11-11" })},
		{"one mention must be all of it", []string{"account", "을지로.bap", "ad", "yes"}, some(func(m jobs.MentionDocument) bool { return m.Account == "을지로.bap" && m.Ad })},
		{"everything", []string{"account", "을지로.bap", "ad", "no", "area", "서울", "category", "한식", "q", "국밥", "from", "2026-11-01"}, func(d jobs.PlaceDocument) bool {
			return strings.HasPrefix(address(d), "서울") && strings.HasPrefix(*d.Category, "한식") && strings.Contains(d.Name, "국밥") &&
				slices.ContainsFunc(d.Mentions, func(m jobs.MentionDocument) bool {
					return m.Account == "을지로.bap" && !m.Ad && kst(m) >= "2026-11-01"
				})
		}},
		{"nonsense is no filter", []string{"from", "어제", "to", "2026-13-01", "ad", "maybe"}, func(jobs.PlaceDocument) bool { return true }},
	} {
		var want []jobs.PlaceDocument
		var wantPoints [][2]int
		for _, d := range all {
			if !tt.want(d) {
				continue
			}
			want = append(want, d)
			if d.Location != nil {
				wantPoints = append(wantPoints, [2]int{int(math.Round(d.Location.Coordinates[1] * 1e5)), int(math.Round(d.Location.Coordinates[0] * 1e5))})
			}
		}
		query := "?" + urlValues(tt.filter...)
		_, body, _ := call(t, "GET", url+"/map/points"+query, "")
		got := points(t, body)
		for _, ps := range [][][2]int{got, wantPoints} {
			slices.SortFunc(ps, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
		}
		if diff := cmp.Diff(wantPoints, got); diff != "" {
			t.Errorf("%s: points (-want +got):\n%s", tt.name, diff)
		}
		_, body, h := call(t, "GET", url+"/map.geojson"+query, "")
		if diff := cmp.Diff(geoJSON(t, want), body); diff != "" || h.Get("Content-Type") != "application/geo+json" {
			t.Errorf("%s: GeoJSON (-want +got), %s:\n%s", tt.name, h.Get("Content-Type"), diff)
		}
		_, body, _ = call(t, "GET", url+"/map.csv"+query, "")
		if diff := cmp.Diff(csvIDs(t, body), ids(want)); diff != "" {
			t.Errorf("%s: CSV (-got +want):\n%s", tt.name, diff)
		}
		_, body, _ = call(t, "GET", url+"/map"+query, "", "Accept", "text/html")
		for _, d := range all {
			if shown := strings.Contains(body, `data-place="`+d.ID+`"`); shown != slices.ContainsFunc(want, func(w jobs.PlaceDocument) bool { return w.ID == d.ID }) {
				t.Errorf("%s: %s is in the list: %t", tt.name, d.Name, shown)
			}
		}
	}
}

func geoJSON(t *testing.T, all []jobs.PlaceDocument) string {
	t.Helper()
	var b strings.Builder
	w := jobs.PlacesGeoJSON(&b)
	for _, d := range all {
		if err := w.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(b.String())) {
		t.Fatal(b.String())
	}
	return b.String()
}

func ids(all []jobs.PlaceDocument) (ids []string) {
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func csvIDs(t *testing.T, body string) (ids []string) {
	t.Helper()
	body, marked := strings.CutPrefix(body, "\ufeff")
	if !marked {
		t.Error("Excel takes it for another encoding")
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) == 0 || !slices.Equal(rows[0], jobs.PlaceColumns()) {
		t.Fatal(err, body)
	}
	for _, r := range rows[1:] {
		ids = append(ids, r[0])
		for _, cell := range r[1:] {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	return ids
}

// TestMapPlace asks for what is at a spot, and for one place.
func TestMapPlace(t *testing.T) {
	t.Parallel()
	s, url := smallHouse(t)
	all := documents(t, s)
	at := func(d jobs.PlaceDocument) string {
		return urlValues("lat", hundredThousandths(d.Location.Coordinates[1]), "lng", hundredThousandths(d.Location.Coordinates[0]))
	}
	i := slices.IndexFunc(all, func(d jobs.PlaceDocument) bool { return strings.HasPrefix(d.Name, "둘이") })
	j := slices.IndexFunc(all, func(d jobs.PlaceDocument) bool { return strings.HasPrefix(d.Name, "=1+1") })
	code, body, _ := call(t, "GET", url+"/map/at?"+at(all[i]), "", "HX-Request", "true", "Accept-Language", "ko")
	if code != 200 || !strings.Contains(body, "이 자리에 있는 장소 2곳") {
		t.Errorf("two at one spot: %d %s", code, body)
	}
	code, body, _ = call(t, "GET", url+"/map/at?"+at(all[j]), "", "HX-Request", "true", "Accept-Language", "ko")
	if code != 200 || !strings.Contains(body, "<bdi>=1&#43;1 국밥</bdi>") || !strings.Contains(body, "<bdi>이름 같음</bdi>") || strings.Contains(body, "name equal") || !strings.Contains(body, `href="/posts/post/`) || !strings.Contains(body, "9,000원") || strings.Contains(body, "<script") || strings.Contains(body, "javascript:") {
		t.Errorf("one: %d %s", code, body)
	}
	if _, body, _ := call(t, "GET", url+"/map/names?at="+hundredThousandths(all[j].Location.Coordinates[1])+","+hundredThousandths(all[j].Location.Coordinates[0])+",1,2,x", ""); !strings.Contains(body, `"=1+1 국밥"]}`) {
		t.Errorf("what a dot is called: %s", body)
	}
	for path, want := range map[string]int{"/map/at?lat=1&lng=x": 400, "/map/place/없다": 404, "/map/at?lat=0&lng=0": 200} {
		if code, body, _ := call(t, "GET", url+path, "", "HX-Request", "true", "Accept", "text/html"); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	code, body, _ = call(t, "GET", url+"/map?"+urlValues("place", all[j].ID), "", "Accept", "text/html")
	if code != 200 || !strings.Contains(body, `href="/places/`+all[j].ID+`"`) {
		t.Errorf("on the map: %d %s", code, body)
	}
	// A place that has gone is no reason to show no map.
	if code, body, _ := call(t, "GET", url+"/map?place=없다", "", "Accept", "text/html"); code != 200 || !strings.Contains(body, `id="map-panel"`) {
		t.Errorf("a place that is not there: %d %s", code, body)
	}
}

// TestMapFresh wants what changes to be seen.
func TestMapFresh(t *testing.T) {
	t.Parallel()
	w, url := smallServer(t)
	count := func() int {
		_, body, _ := call(t, "GET", url+"/map/points", "")
		return len(points(t, body))
	}
	before := count()
	ms, err := w.Store.Reviews(t.Context(), queue.ReviewFilter{}, 0, 1)
	if err != nil || len(ms) != 1 {
		t.Fatal(ms, err)
	}
	entry := &queue.Place{ID: "새집", Finder: "naver", Name: "새집", Compact: "새집", Road: "부산광역시 중구 광복로 1", Lat: 35.1, Lng: 129.03}
	err = w.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		ms[0].State = "place"
		return tx.Decide(ms[0], entry, jobs.Together(jobs.DefaultFinders(), false))
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(); n != before {
		t.Errorf("%d points at once, want %d as they were read", n, before)
	}
	w.MapStale()
	if n := count(); n != before+1 {
		t.Errorf("%d points, want %d", n, before+1)
	}
	_, body, _ := call(t, "GET", url+"/map/points?"+urlValues("area", "부산 중구"), "")
	if diff := cmp.Diff([][2]int{{3510000, 12903000}}, points(t, body)); diff != "" {
		t.Errorf("the new one (-want +got):\n%s", diff)
	}
}

// TestMapOfMany compares the map of a large state with a look at every mention, also when some have come and gone since it was read.
func TestMapOfMany(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	mapAsRead(t, s, srv.URL)

	// Some posts are read anew: their mentions go, others come, with places that nobody named, with known ones that are called
	// otherwise now, or without one.
	ms, err := s.Reviews(t.Context(), queue.ReviewFilter{All: true}, 50_000, 3000)
	if err != nil || len(ms) != 3000 {
		t.Fatal(len(ms), err)
	}
	one := jobs.Together(jobs.DefaultFinders(), false)
	err = s.Tx(t.Context(), func(tx *queue.Tx) error {
		for i, m := range ms {
			if i%10 > 0 || m.N > 0 {
				continue
			}
			ids, err := tx.Extracted(m.Record, fmt.Sprintf("v1-%020x", m.Record.ID), []int{0, 0})
			if err != nil {
				return err
			}
			name := "새집 " + strconv.Itoa(i)
			id := "새집" + strconv.Itoa(i)
			if i%20 == 0 && m.Place != "" {
				id = m.Place
			}
			entry := &queue.Place{ID: id, Finder: "naver", Name: name, Compact: name, Category: "음식점>새것", Road: fmt.Sprintf("부산 중구 광복로 %d", i), Lat: 35.1 + float64(i)/1e4, Lng: 129.03}
			if err := tx.Decide(queue.Mention{ID: ids[0], Pipeline: m.Pipeline, State: "place"}, entry, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.MapStale()
	mapAsRead(t, s, srv.URL)
}

var mapRowText = regexp.MustCompile(`data-place="([^"]*)"|<bdi class="clamp">([^<]*)</bdi></a>|>(1 mention|[0-9,]+ mentions) `)

// mapAsRead wants the map to show what is found by a look at everything.
func mapAsRead(t *testing.T, s *queue.Store, url string) {
	t.Helper()
	type place struct {
		queue.MapPlace
		mentions []queue.MapMention
		newest   int64
	}
	places, mentions := map[string]*place{}, map[int64]queue.MapMention{}
	err := errors.Join(
		s.MapPlaces(t.Context(), func(p queue.MapPlace) { places[p.ID] = &place{MapPlace: p} }),
		s.MapMentions(t.Context(), 0, func(m queue.MapMention) { mentions[m.ID] = m }),
		s.MapPlaced(t.Context(), func(m int64, id string) {
			p := places[id]
			p.mentions, p.newest = append(p.mentions, mentions[m]), max(p.newest, mentions[m].At.Unix())
		}))
	if err != nil {
		t.Fatal(err)
	}
	day := func(m queue.MapMention) string {
		return m.At.In(time.FixedZone("", 9*3600)).Format(time.DateOnly)
	}
	who := bigtest.Account(7)
	for _, tt := range []struct {
		name   string
		filter []string
		place  func(p *place) bool
		said   func(m queue.MapMention) bool
	}{
		{"all", nil, nil, nil},
		{"an account", []string{"account", who}, nil, func(m queue.MapMention) bool { return m.Account == who }},
		{"advertising of an account", []string{"account", who, "ad", "yes"}, nil, func(m queue.MapMention) bool { return m.Account == who && m.Ad }},
		{"no advertising in a month", []string{"ad", "no", "from", "2026-10-01", "to", "2026-10-31"}, nil, func(m queue.MapMention) bool { return !m.Ad && day(m) >= "2026-10-01" && day(m) <= "2026-10-31" }},
		{"a city", []string{"area", "부산 중구"}, func(p *place) bool { return web.AreaOf(p.Address) == "부산 중구" }, nil},
		{"a category", []string{"category", "새것"}, func(p *place) bool { return web.KindOf(p.Category) == "새것" }, nil},
		{"a name", []string{"q", "새 집"}, func(p *place) bool { return strings.Contains(p.Name, "새집") }, nil},
		{"a name and a day", []string{"q", "국밥", "from", "2026-11-11", "to", "2026-11-11"}, func(p *place) bool {
			return strings.Contains(strings.ReplaceAll(p.Name, " ", ""), "국밥")
		}, func(m queue.MapMention) bool { return day(m) == "2026-11-11" }},
	} {
		var want [][2]int
		var ranked []*place
		for _, p := range places {
			if len(p.mentions) == 0 || (tt.place != nil && !tt.place(p)) || (tt.said != nil && !slices.ContainsFunc(p.mentions, tt.said)) {
				continue
			}
			ranked = append(ranked, p)
			if p.Lat != 0 {
				want = append(want, [2]int{int(math.Round(p.Lat * 1e5)), int(math.Round(p.Lng * 1e5))})
			}
		}
		query := "?" + urlValues(tt.filter...)
		_, body, _ := call(t, "GET", url+"/map/points"+query, "")
		got := points(t, body)
		for _, ps := range [][][2]int{got, want} {
			slices.SortFunc(ps, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d points, want %d, or they lie elsewhere", tt.name, len(got), len(want))
		}
		slices.SortFunc(ranked, func(p, q *place) int {
			if n := len(q.mentions) - len(p.mentions); n != 0 {
				return n
			}
			if n := q.newest - p.newest; n != 0 {
				return int(n)
			}
			return strings.Compare(p.ID, q.ID)
		})
		_, body, _ = call(t, "GET", url+"/map/list"+query, "", "HX-Request", "true", "Accept-Language", "en")
		var rows, wantRows []string
		for _, m := range mapRowText.FindAllStringSubmatch(body, -1) {
			rows = append(rows, m[1]+html.UnescapeString(m[2])+strings.ReplaceAll(m[3], ",", ""))
		}
		for _, p := range ranked[:min(len(ranked), 50)] {
			n := strconv.Itoa(len(p.mentions)) + " mentions"
			if len(p.mentions) == 1 {
				n = "1 mention"
			}
			wantRows = append(wantRows, p.ID, p.Name, n)
		}
		if diff := cmp.Diff(wantRows, rows); diff != "" {
			t.Errorf("%s: the first rows (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestMapPacked wants the points to be sent small to who can unpack them.
func TestMapPacked(t *testing.T) {
	t.Parallel()
	_, url := smallHouse(t)
	_, plain, _ := call(t, "GET", url+"/map/points", "", "Accept-Encoding", "identity")
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/map/points", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil || string(b) != plain || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %q, want %q, %v", b, plain, err)
	}
}

// TestTiles wants only the tiles' own server to be let in.
func TestTiles(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"": "img-src 'self' data:;",
		"https://tile.openstreetmap.org/{z}/{x}/{y}.png":      "img-src 'self' data: https://tile.openstreetmap.org;",
		"https://{s}.tile.example:8443/{z}/{x}/{y}.png?key=1": "img-src 'self' data: https://*.tile.example:8443;",
		"http://[::1]:8080/{z}/{x}/{y}.png":                   "img-src 'self' data: http://[::1]:8080;",
		"https://x.example; script-src *//{z}/{x}/{y}":        "img-src 'self' data:;",
		"https://x.example'/{z}/{x}/{y}":                      "img-src 'self' data:;",
		"ftp://x.example/{z}/{x}/{y}":                         "img-src 'self' data:;",
	} {
		ho := newHouse(t, token, func(w *web.Server) { w.Tiles.Address = address })
		r := ho.ask("GET", "/map", "", browser, bearer(token))
		if got := r.Header.Get("Content-Security-Policy"); !strings.Contains(got, want) || strings.Count(got, "script-src") != 1 {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// naming is a mention of the small state: who names what, when.
type naming struct {
	account string
	at      string // Korean time
	ad      bool
	entry   *queue.Place // nil: waits for a person
}

// namings are the mentions of the small state, each in a post of its own.
func namings() []naming {
	n := 0
	place := func(name, category, road string, lat, lng float64) *queue.Place {
		n++
		return &queue.Place{ID: "p" + strconv.Itoa(n), Finder: "naver", Name: name, Compact: name, Category: category, Road: road, Address: road + " 지번", Link: "javascript:alert(1)", Lat: lat, Lng: lng}
	}
	gukbap := place("=1+1 국밥", "한식>국밥", "서울특별시 성동구 연무장길 1", 37.5430001, 127.0545)
	bar := place("Bar 봄", "음식점>술집>와인", "서울 용산구 이태원로 22", 37.5345, 127.002)
	cafe := place("<b>오후</b> 카페", "음식점>카페,디저트>카페", "충청북도 청주시 상당구 수암로 3", 36.645, 127.493)
	both := place("둘이 분식", "분식>떡볶이", "제주특별자치도 제주시 연동길 4", 33.489, 126.493)
	other := place("둘이 커피", "음식점>카페,디저트>카페", "제주특별자치도 제주시 연동길 44", 33.489, 126.493)
	nowhere := place("어디냐 국밥", "한식>국밥", "", 0, 0)
	nowhere.Address = ""
	return []naming{
		{"을지로.bap", "2026-11-10 23:59:59", true, gukbap},
		{"을지로.bap", "2026-11-11 00:00:00", false, gukbap},
		{"서울.먹보", "2026-11-11 23:59:59", false, gukbap},
		{"서울.먹보", "2026-11-12 00:00:00", true, bar},
		{"을지로.bap", "2026-10-01 12:00:00", false, bar},
		{"서울.먹보", "2026-11-11 12:00:00", false, cafe},
		{"을지로.bap", "2026-11-12 09:00:00", true, both},
		{"서울.먹보", "2026-11-12 09:00:00", true, other},
		{"을지로.bap", "2026-11-02 09:00:00", false, nowhere},
		{"서울.먹보", "2026-11-02 09:00:00", false, nil},
	}
}

// smallHouse serves the page over a few places.
func smallHouse(t *testing.T) (*queue.Store, string) {
	t.Helper()
	w, url := smallServer(t)
	return w.Store, url
}

func smallServer(t *testing.T) (*web.Server, string) {
	t.Helper()
	w, s, url := serve(t, "")
	one := jobs.Together(jobs.DefaultFinders(), false)
	for i, n := range namings() {
		at, err := time.ParseInLocation(time.DateTime, n.at, time.FixedZone("", 9*3600))
		if err != nil {
			t.Fatal(err)
		}
		key := strconv.Itoa(100 + i)
		name := "이름 모를 집"
		if n.entry != nil {
			name = n.entry.Name
		}
		data, _ := json.Marshal(map[string]any{"account": n.account, "url": "https://www.instagram.com/p/" + key + "/", "caption": name})
		answer, _ := json.Marshal(map[string]any{"restaurants": []any{map[string]any{"name": name, "ad": n.ad, "quote": name, "menu": []any{map[string]any{"name": "true", "price": 9000}}}}})
		var id int64
		err = s.Tx(t.Context(), func(tx *queue.Tx) error {
			run, _, err := tx.AskRun("matzip", false, nil)
			if err != nil {
				return err
			}
			if err := tx.StartRun(run.ID); err != nil {
				return err
			}
			walks, err := tx.Begin(run, n.account, []string{"posts" + key})
			if err != nil {
				return err
			}
			recs, err := tx.Put(walks[0], []adapters.Record{{Stream: "post", Key: key, Time: at, Data: data}})
			if err != nil {
				return err
			}
			if _, _, err := tx.Ask("matzip", recs[0].ID, "q"+key, name); err != nil {
				return err
			}
			b, err := tx.NewBatch("matzip", "gpt-시험")
			if err != nil {
				return err
			}
			if err := tx.Choose(&b, []queue.Question{{ID: "q" + key}}); err != nil {
				return err
			}
			if _, err := tx.Answer(b.ID, adapters.Answer{ID: "q" + key, Body: answer}); err != nil {
				return err
			}
			ids, err := tx.Extracted(recs[0], "q"+key, []int{0})
			if err == nil {
				id = ids[0]
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Mention(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		m.State, m.Score, m.Reason = "review", 0.5, "two places fit"
		if n.entry != nil {
			m.State, m.Score, m.Reason = "place", 0.97, "chosen: name equal; in the area"
		}
		if err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.Decide(m, n.entry, one) }); err != nil {
			t.Fatal(err)
		}
	}
	return w, url
}

func TestMapTexts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"서울특별시 성동구 연무장길 1": "서울 성동구", "서울 성동구 성수동2가 1": "서울 성동구", "경기도 성남시 분당구 정자일로 1": "경기 성남시", "경기 성남시": "경기 성남시",
		"충청북도 청주시 상당구": "충북 청주시", "충북 청주시": "충북 청주시", "전라남도 여수시": "전남 여수시", "전북특별자치도 전주시": "전북 전주시", "전라북도 전주시": "전북 전주시",
		"강원특별자치도 강릉시": "강원 강릉시", "강원도 강릉시": "강원 강릉시", "제주특별자치도 제주시": "제주 제주시", "제주도 서귀포시": "제주 서귀포시", "경상북도 경주시": "경북 경주시",
		"": "", "서울특별시": "", "가 나": "",
	} {
		if got := web.AreaOf(address); got != want {
			t.Errorf("%q is in %q, want %q", address, got, want)
		}
	}
	for category, want := range map[string]string{
		"한식>국밥": "한식>국밥", "음식점 > 한식 > 국밥": "한식>국밥", "음식점": "음식점", "카페,디저트": "카페,디저트", "": "", ">": "",
	} {
		if got := web.KindOf(category); got != want {
			t.Errorf("%q is %q, want %q", category, got, want)
		}
	}
}

// TestMapList shows what is in view, and what is without a position only where nothing is left out.
func TestMapList(t *testing.T) {
	t.Parallel()
	_, url := smallHouse(t)
	for _, tt := range []struct {
		query string
		head  string
		want  []string
	}{
		{"", "장소 6곳", []string{"=1&#43;1 국밥", "Bar 봄", "&lt;b&gt;오후&lt;/b&gt; 카페", "둘이 분식", "둘이 커피", "어디냐 국밥"}},
		{"box=37.5,126.9,37.6,127.1", "화면에 보이는 장소 2곳(전체 6곳)", []string{"=1&#43;1 국밥", "Bar 봄"}},
		{"box=33,126,34,127&q=" + urlEscape("커피"), "화면에 보이는 장소 1곳(전체 1곳)", []string{"둘이 커피"}},
		{"box=1,1,2,2", "화면에 보이는 장소 0곳(전체 6곳)", nil},
		{"q=" + urlEscape("없는 집"), "장소 0곳", nil},
		{"box=1,2,3", "장소 6곳", []string{"=1&#43;1 국밥", "Bar 봄", "&lt;b&gt;오후&lt;/b&gt; 카페", "둘이 분식", "둘이 커피", "어디냐 국밥"}},
		{"box=NaN,1,2,3&page=1000000", "장소 6곳", []string{"=1&#43;1 국밥", "Bar 봄", "&lt;b&gt;오후&lt;/b&gt; 카페", "둘이 분식", "둘이 커피", "어디냐 국밥"}},
		{"box=-1e300,-1e300,1e300,1e300", "화면에 보이는 장소 5곳(전체 6곳)", []string{"=1&#43;1 국밥", "Bar 봄", "&lt;b&gt;오후&lt;/b&gt; 카페", "둘이 분식", "둘이 커피"}},
	} {
		code, body, _ := call(t, "GET", url+"/map/list?"+tt.query, "", "HX-Request", "true", "Accept-Language", "ko")
		if code != 200 || !strings.Contains(body, "<h2>"+tt.head+"</h2>") || strings.Count(body, "data-place=") != len(tt.want) {
			t.Errorf("%s: %d\n%s", tt.query, code, body)
		}
		for _, name := range tt.want {
			if !strings.Contains(body, `<bdi class="clamp">`+name+"</bdi>") {
				t.Errorf("%s: %s is not in the list\n%s", tt.query, name, body)
			}
		}
	}
}

func urlEscape(s string) string { return url.QueryEscape(s) }

// TestMapFilesBounded wants few files to be sent at a time, and none for who asks only what one would be.
func TestMapFilesBounded(t *testing.T) {
	t.Parallel()
	w, _, url := serve(t, "")
	for _, path := range []string{"/map.csv", "/map.geojson"} {
		w.SendFiles(2)
		if code, _, h := call(t, "GET", url+path, ""); code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get("Content-Disposition") != "" {
			t.Errorf("%s beside two: %d %v", path, code, h)
		}
		if code, _, h := call(t, "HEAD", url+path, ""); code != 200 || h.Get("Content-Disposition") == "" {
			t.Errorf("HEAD %s: %d %v", path, code, h)
		}
		w.SendFiles(-2)
		if code, _, _ := call(t, "GET", url+path, ""); code != 200 {
			t.Errorf("%s when they have gone: %d", path, code)
		}
	}
}
