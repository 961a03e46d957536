package kakao_test

import (
	"context"
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
	"sumbi/adapters/kakao"
	"sumbi/adapters/rest"
)

const key = adapters.Secret("열쇠-0123456789abcdef")

func newFinder(t *testing.T, h http.HandlerFunc) *kakao.Finder {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return kakao.New(kakao.Options{Client: rest.New(rest.Options{
		Upstream: "kakao",
		BaseURL:  server.URL,
		Limits:   []*rest.Limit{kakao.Limit(key, 0, 0, nil)},
		Classify: kakao.Classify,
	})})
}

func answering(t *testing.T, body string) *kakao.Finder {
	return newFinder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		io.WriteString(w, body)
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/keyword.json")
	if err != nil {
		t.Fatal(err)
	}
	f := newFinder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/local/search/keyword.json" || r.Header.Get("Authorization") != "KakaoAK "+key.Reveal() {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		if d := cmp.Diff(map[string][]string{"query": {"망원동 청어람"}, "page": {"1"}, "size": {"15"}}, map[string][]string(r.URL.Query())); d != "" {
			t.Error(d)
		}
		w.Write(body)
	})
	got, err := f.Find(t.Context(), " 망원동 청어람 ")
	if err != nil {
		t.Fatal(err)
	}
	want := []adapters.Candidate{
		{
			ID: "13292214", Finder: "kakao", Name: "청어람 망원점", Category: "음식점 > 한식 > 육류,고기 > 곱창,막창",
			Address: "서울 마포구 망원동 482-3", RoadAddress: "서울 마포구 망원로 97",
			Link: "http://place.map.kakao.com/13292214", Lat: 37.558105169041376, Lng: 126.907469581002,
		},
		{
			ID: "414395112", Finder: "kakao", Name: "스타벅스 제주성산DT점", Category: "음식점 > 카페 > 커피전문점 > 스타벅스",
			Address: "제주특별자치도 서귀포시 성산읍 고성리 238", RoadAddress: "제주특별자치도 서귀포시 성산읍 일출로 80", Phone: "064-782-3273",
			Link: "http://place.map.kakao.com/414395112", Lat: 33.4496930061935, Lng: 126.920676533644,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if f.Name() != "kakao" {
		t.Errorf("name %q", f.Name())
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		x, y     string // as JSON
		lat, lng float64
	}{
		{"Seoul", `"126.9934389"`, `"37.5667917"`, 37.5667917, 126.9934389},
		{"numbers", `126.9934389`, `37.5667917`, 37.5667917, 126.9934389},
		{"swapped", `"37.5667917"`, `"126.9934389"`, 0, 0},
		{"times ten million", `"1269934389"`, `"375667917"`, 0, 0},
		{"Qingdao", `"120.3826"`, `"36.0671"`, 0, 0},
		{"nothing", `""`, `""`, 0, 0},
		{"half", `"126.9934389"`, `null`, 0, 0},
		{"not a number", `"NaN"`, `"NaN"`, 0, 0},
		{"words", `"동경"`, `"북위"`, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := answering(t, fmt.Sprintf(`{"documents":[{"id":"1","place_name":"밥집","x":%s,"y":%s}]}`, tt.x, tt.y)).Find(t.Context(), "밥")
			if err != nil || len(got) != 1 || got[0].Lat != tt.lat || got[0].Lng != tt.lng {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// The texts are Kakao's own: what looks like an entity is a part of the name.
func TestTextsStay(t *testing.T) {
	t.Parallel()
	got, err := answering(t, `{"documents":[{"id":26,"place_name":" 카페 &amp; <빵> "},{"id":"27","place_name":""}]}`).Find(t.Context(), "빵")
	want := []adapters.Candidate{{ID: "26", Finder: "kakao", Name: " 카페 &amp; <빵> "}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestQueryRefused(t *testing.T) {
	t.Parallel()
	f := newFinder(t, func(w http.ResponseWriter, r *http.Request) {
		if n := len([]rune(r.URL.Query().Get("query"))); n != 100 {
			t.Errorf("called with %d characters", n)
		}
		io.WriteString(w, `{"documents":[],"meta":{"is_end":true}}`)
	})
	for _, query := range []string{"", " \t\n", strings.Repeat("밥", 101), "밥\xff"} {
		_, err := f.Find(t.Context(), query)
		if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != adapters.Permanent || e.Upstream != "kakao" {
			t.Errorf("%.20q: %v", query, err)
		}
	}
	if got, err := f.Find(t.Context(), strings.Repeat("밥", 100)); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

// "No place" is an answer that is kept: it is never concluded from something else.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]adapters.Kind{
		``:                                  adapters.Temporary,
		`null`:                              adapters.Temporary,
		`{}`:                                adapters.Temporary,
		`{"meta":{"total_count":0}}`:        adapters.Temporary,
		`{"documents":null}`:                adapters.Temporary,
		`{"documents":[{"place_name":"밥`:    adapters.Temporary,
		`<html>점검 중입니다</html>`:              adapters.Temporary,
		`{"msg":"점검 중"}`:                    adapters.Temporary,
		`{"code":-10,"msg":"API limit"}`:    adapters.Throttled,
		`{"documents":{"place_name":"밥집"}}`: adapters.Temporary,
	} {
		got, err := answering(t, body).Find(t.Context(), "밥")
		if e, ok := errors.AsType[*adapters.Error](err); !ok || e.Kind != kind || got != nil {
			t.Errorf("%s: %v, %v; want %v", body, got, err, kind)
		}
	}
}

func TestNewPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	kakao.New(kakao.Options{})
}

func FuzzFind(f *testing.F) {
	data, err := os.ReadFile("testdata/keyword.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"documents":[{"id":-1,"place_name":"밥","x":"Inf","y":1e400}]}`))
	finder := kakao.New(kakao.Options{Client: rest.New(rest.Options{
		Upstream: "kakao", BaseURL: "http://127.0.0.1", Classify: kakao.Classify, Transport: bodyFromContext{},
	})})
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := finder.Find(withBody(t.Context(), body), "밥")
		if (err == nil) != (found != nil) {
			t.Errorf("%v, %v", found, err)
		}
		for _, c := range found {
			if c.Name == "" || c.Finder != "kakao" || (c.Lat == 0) != (c.Lng == 0) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func ExampleFinder_Find() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"documents":[{"id":"13292214","place_name":"청어람 망원점","x":"126.9","y":"37.5"}]}`)
	}))
	defer server.Close()
	finder := kakao.New(kakao.Options{Client: rest.New(rest.Options{Upstream: "kakao", BaseURL: server.URL, Classify: kakao.Classify})})
	found, err := finder.Find(context.Background(), "망원동 청어람")
	fmt.Println(found[0].ID, found[0].Name, found[0].Lat, found[0].Lng, err)
	// Output: 13292214 청어람 망원점 37.5 126.9 <nil>
}
