package naver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/naver"
	"sumbi/adapters/rest"
)

const (
	id     = adapters.Secret("client-아이디")
	secret = adapters.Secret("비밀-0123456789")
)

func newFinder(t *testing.T, dialect string, h http.HandlerFunc) *naver.Finder {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return naver.New(naver.Options{Dialect: dialect, Client: rest.New(rest.Options{
		Upstream: "naver",
		BaseURL:  server.URL,
		Limits:   []*rest.Limit{naver.Limit(id, secret, dialect, 0, 0, nil)},
		Classify: naver.Classify,
	})})
}

// answering serves a recorded body as Naver does: JSON that calls itself plain text.
func answering(t *testing.T, body []byte) *naver.Finder {
	return newFinder(t, naver.Hub, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		w.Write(body)
	})
}

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[string]string{
		"":           "/search/v1/local client-아이디 비밀-0123456789",
		naver.Hub:    "/search/v1/local client-아이디 비밀-0123456789",
		naver.Legacy: "/v1/search/local.json client-아이디 비밀-0123456789",
	} {
		f := newFinder(t, dialect, func(w http.ResponseWriter, r *http.Request) {
			prefix, suffix := "X-NCP-APIGW-API-KEY-ID", "X-NCP-APIGW-API-KEY"
			if dialect == naver.Legacy {
				prefix, suffix = "X-Naver-Client-Id", "X-Naver-Client-Secret"
			}
			if got := fmt.Sprint(r.URL.Path, " ", r.Header.Get(prefix), " ", r.Header.Get(suffix)); got != want {
				t.Errorf("%q: got %s, want %s", dialect, got, want)
			}
			if d := cmp.Diff(map[string][]string{"query": {"강남역 국밥"}, "display": {"5"}, "sort": {"random"}}, map[string][]string(r.URL.Query())); d != "" {
				t.Error(d)
			}
			io.WriteString(w, `{"total":0,"items":[]}`)
		})
		got, err := f.Find(t.Context(), "  강남역 국밥\n")
		if err != nil || len(got) != 0 {
			t.Errorf("%q: got %v, %v", dialect, got, err)
		}
		if f.Name() != "naver" {
			t.Errorf("name %q", f.Name())
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		want []adapters.Candidate
	}{
		{"gukbap.json", []adapters.Candidate{
			{
				Finder: "naver", Name: "농민백암순대", Category: "한식>순대,순댓국",
				Address: "서울특별시 강남구 역삼동 830-9", RoadAddress: "서울특별시 강남구 역삼로3길 20-4",
				Lat: 37.4949366, Lng: 127.0314467,
			},
			{
				Finder: "naver", Name: "보승회관 강남역직영점", Category: "음식점>한식>국밥", Link: "https://www.boseunghall.com/",
				Address: "서울특별시 강남구 역삼동 820-2 101호", RoadAddress: "서울특별시 강남구 테헤란로1길 17 101호",
				Lat: 37.4994834, Lng: 127.0276883,
			},
		}},
		{"hub.json", []adapters.Candidate{
			{
				Finder: "naver", Name: "이치니산도", Category: "음식점>카페,디저트", Link: "https://www.instagram.com/ichini_sando/",
				Address: "경상북도 경주시 사정동 124-1", RoadAddress: "경상북도 경주시 사정로 58", Lat: 35.83639, Lng: 129.2092884,
			},
			{
				Finder: "naver", Name: "두낫디스터브 경주본점", Category: "음식점>카페,디저트",
				Address: "경상북도 경주시 황남동 325-6", RoadAddress: "경상북도 경주시 첨성로 71-1", Lat: 35.8332105, Lng: 129.2101468,
			},
		}},
		{"katech.json", []adapters.Candidate{{ // metres of another grid are no degrees
			Finder: "naver", Name: "딘타이펑 명동점", Category: "중식>중식당", Link: "http://www.dintaifung.co.kr/",
			Address: "서울특별시 중구 명동1가 59-1", RoadAddress: "서울특별시 중구 명동7길 13 명동증권빌딩",
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			got, err := answering(t, recorded(t, tt.file)).Find(t.Context(), "국밥")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, title, want string }{
		{"whole name bold", "<b>조선옥</b>", "조선옥"},
		{"bold inside", "<b>스타벅스</b> 평택비전<b>DT</b>점", "스타벅스 평택비전DT점"},
		{"entity", "카페 &amp; 빵집", "카페 & 빵집"},
		{"once", "엔티티 &amp;lt; 분식", "엔티티 &lt; 분식"},
		{"escaped tag is part of the name", "&lt;b&gt;국밥&lt;/b&gt;", "<b>국밥</b>"},
		{"bold entity", "<b>A&amp;W</b> 명동", "A&W 명동"},
		{"number", "맘&#39;스터치 &#x1F35C;", "맘'스터치 🍜"},
		{"plain ampersand", "빵&커피", "빵&커피"},
		{"ampersand that looks like the beginning of one", "R&D분식, AT&T, a&copy빵", "R&D분식, AT&T, a&copy빵"},
		{"less than", "1 < 2 국수", "1 < 2 국수"},
		{"heart", "I <3 국수 > 밥", "I <3 국수 > 밥"},
		{"spaces stay", " 밥 집  ", " 밥 집  "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(map[string]any{"items": []map[string]any{{
				"title": tt.title, "category": tt.title, "address": tt.title, "roadAddress": tt.title, "link": tt.title,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := answering(t, body).Find(t.Context(), "밥")
			want := []adapters.Candidate{{
				Finder: "naver", Name: tt.want, Category: tt.want, Address: tt.want, RoadAddress: tt.want, Link: tt.want,
			}}
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		x, y     string // as JSON
		lat, lng float64
	}{
		{"Seoul", `"1269934389"`, `"375667917"`, 37.5667917, 126.9934389},
		{"Marado", `"1262681000"`, `"331200000"`, 33.12, 126.2681},
		{"Dokdo", `"1318690000"`, `"372400000"`, 37.24, 131.869},
		{"numbers", `1269934389`, `375667917`, 37.5667917, 126.9934389},
		{"KATECH", `"311277"`, `"552097"`, 0, 0},
		{"swapped", `"375667917"`, `"1269934389"`, 0, 0},
		{"half", `"1269934389"`, `""`, 0, 0},
		{"nothing", `""`, `""`, 0, 0},
		{"null", `null`, `null`, 0, 0},
		{"degrees", `"126.9934389"`, `"37.5667917"`, 0, 0},
		{"Qingdao", `"1203826000"`, `"360671000"`, 0, 0},
		{"Tokyo", `"1396917000"`, `"356895000"`, 0, 0},
		{"not numbers", `"NaN"`, `"가나다라마바사아자"`, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"items":[{"title":"밥집","mapx":%s,"mapy":%s}]}`, tt.x, tt.y)
			got, err := answering(t, []byte(body)).Find(t.Context(), "밥")
			if err != nil || len(got) != 1 || got[0].Lat != tt.lat || got[0].Lng != tt.lng {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestQueryRefused(t *testing.T) {
	t.Parallel()
	f := newFinder(t, naver.Hub, func(w http.ResponseWriter, r *http.Request) {
		if n := len([]rune(r.URL.Query().Get("query"))); n != 100 {
			t.Errorf("called with %d characters", n)
		}
		io.WriteString(w, `{"items":[]}`)
	})
	for _, query := range []string{"", " \t\n", strings.Repeat("밥", 101), "밥\xff"} {
		_, err := f.Find(t.Context(), query)
		if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != adapters.Permanent || e.Upstream != "naver" {
			t.Errorf("%.20q: %v", query, err)
		}
	}
	if _, err := f.Find(t.Context(), strings.Repeat("밥", 100)); err != nil {
		t.Error(err)
	}
}

// "No place" is an answer that is kept: it is never concluded from something else.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]adapters.Kind{
		``:                                adapters.Temporary,
		`null`:                            adapters.Temporary,
		`{}`:                              adapters.Temporary,
		`{"total":0}`:                     adapters.Temporary,
		`{"items":null}`:                  adapters.Temporary,
		`{"items":[{"title":"밥`:           adapters.Temporary,
		`<html>점검 중입니다</html>`:            adapters.Temporary,
		`{"message":"점검 중"}`:              adapters.Temporary,
		`{"errorCode":"SE99"}`:            adapters.Temporary,
		`{"errorCode":"012"}`:             adapters.Throttled,
		`{"error":{"errorCode":"010"}}`:   adapters.Throttled,
		`{"items":[{"title":["밥","국"]}]}`: adapters.Temporary,
	} {
		got, err := answering(t, []byte(body)).Find(t.Context(), "밥")
		if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != kind || got != nil {
			t.Errorf("%s: %v, %v; want %v", body, got, err, kind)
		}
	}
	got, err := answering(t, []byte(`{"items":[{"title":""},{"title":"<b></b>"}]}`)).Find(t.Context(), "밥")
	if err != nil || len(got) != 0 {
		t.Errorf("places without a name: %v, %v", got, err)
	}
}

func TestNewPanics(t *testing.T) {
	t.Parallel()
	client := rest.New(rest.Options{Upstream: "naver", BaseURL: "http://127.0.0.1"})
	for name, o := range map[string]naver.Options{"no client": {}, "dialect": {Client: client, Dialect: "사투리"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			naver.New(o)
		}()
	}
}

func FuzzFind(f *testing.F) {
	for _, name := range []string{"gukbap.json", "hub.json", "katech.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"items":[{"title":"&#0;&#x110000;<b>","mapx":1e9,"mapy":-1}]}`))
	finder := naver.New(naver.Options{Client: rest.New(rest.Options{
		Upstream: "naver", BaseURL: "http://127.0.0.1", Classify: naver.Classify, Transport: bodyFromContext{},
	})})
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := finder.Find(withBody(t.Context(), body), "밥")
		if (err == nil) != (found != nil) {
			t.Errorf("%v, %v", found, err)
		}
		for _, c := range found {
			if c.Name == "" || c.Finder != "naver" || (c.Lat == 0) != (c.Lng == 0) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func ExampleFinder_Find() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"items":[{"title":"<b>조선옥</b>","category":"한식>육류,고기요리","mapx":"1269934389","mapy":"375667917"}]}`)
	}))
	defer server.Close()
	finder := naver.New(naver.Options{Client: rest.New(rest.Options{Upstream: "naver", BaseURL: server.URL, Classify: naver.Classify})})
	found, err := finder.Find(context.Background(), "을지로 조선옥")
	fmt.Println(found[0].Name, found[0].Lat, found[0].Lng, err)
	// Output: 조선옥 37.5667917 126.9934389 <nil>
}
