package jobs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// What is asked: everything that could name a place, and nothing else.
func TestSkipRule(t *testing.T) {
	tests := []struct {
		caption string
		asked   bool
	}{
		{"", false},
		{" \n\t　", false},
		{"🍜🍜🔥", false},
		{"... ~~ ❤️ !!", false},
		{"#mat", false},
		{"@mat 🍜", false},
		{"#MAT @Mat", false},
		{"#mat#mat@mat", false},
		{"#", false},
		{"#을지로골목집맛집", true},
		{"🍜#을지로골목집맛집🍜", true},
		{"#mat#을지로골목집맛집", true},
		{"#matzip", true},
		{"@을지면옥", true},
		{"@other", true},
		{"mat", true}, // without a sign it is a word like any other
		{"123", true},
		{"１２３", true},
		{"집", true},
		{"ㅁ", true},
		{"鼎泰豐", true},
		{"café", true},
		{"👨‍👩‍👧 가족 외식", true},
	}
	bubble(t, func(t *testing.T, w *world) {
		var ps []post
		for i, tt := range tests {
			p := posts(i, 1)[0]
			p.caption = tt.caption
			ps = append(ps, p)
		}
		w.feed.size = len(ps)
		w.feed.put("mat", "posts", ps)
		w.model.answer = func(string) string { return restaurants() }
		w.run()
		for i, tt := range tests {
			want := "skipped"
			if tt.asked {
				want = "done"
			}
			if got := w.query(`select state from v_posts where post = ?`, fmt.Sprintf("p%d", i)); got != want {
				t.Errorf("%q: %s, want %s", tt.caption, got, want)
			}
		}
	})
}

// Captions that differ only in their Unicode form or in white space at the ends are one question.
func TestQuestionKey(t *testing.T) {
	same := []string{"을지면옥 카페 café", norm.NFD.String("을지면옥 카페 café"), "\n  을지면옥 카페 café\t", "을지면옥 카페 café　"}
	other := []string{"을지면옥  카페 café", "을지면옥 카페 Café", "을지면옥 카페 café.", "을지면옥\n카페 café"}
	bubble(t, func(t *testing.T, w *world) {
		var ps []post
		for i, c := range append(same, other...) {
			p := posts(i, 1)[0]
			p.caption = c
			ps = append(ps, p)
		}
		w.feed.size = len(ps)
		w.feed.put("mat", "posts", ps)
		w.model.answer = func(string) string { return restaurants() }
		w.run()
		equal(t, "sizes", w.model.sizes(), fmt.Sprint(1+len(other)))
		keys := strings.Split(w.query(`select q.key from record r join question q on q.id = r.question order by cast(substr(r.key, 2) as integer)`), "\n")
		for i, k := range keys {
			if (k == keys[0]) != (i < len(same)) {
				t.Errorf("%q has the key %s", ps[i].caption, k)
			}
			if !strings.HasPrefix(k, "v"+jobs.PromptVersion+"-") || len(k) > 64 {
				t.Errorf("key %s", k)
			}
		}
		for _, l := range w.model.batches[0].lines {
			if l.Text != norm.NFC.String(strings.TrimSpace(l.Text)) {
				t.Errorf("asked %q", l.Text)
			}
		}
	})
}

// The document of a place, to the letter.
func TestDocument(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.FixedZone("KST", 9*60*60))
	record := func(key, account string, at time.Time) queue.Stored {
		return queue.Stored{Target: account, Record: adapters.Record{
			Stream: "post", Key: key, Time: at,
			Data: json.RawMessage(`{"account":"` + account + `","url":"https://www.instagram.com/p/` + key + `/","caption":"…"}`),
		}}
	}
	place := queue.PlaceMentions{
		Place: queue.Place{
			ID: "p0123456789abcdef", Finder: "naver", FinderID: "77", Name: "을지면옥 & 수육", Compact: "을지면옥수육", Category: "음식점>한식", Address: "서울 중구 입정동 1",
			Road: "서울 중구 충무로14길 2", Phone: "02-2266-7052", Link: "https://example.com/1", Lat: 37.5, Lng: 127,
		},
		Mentions: []queue.Mention{
			{
				Name: "을지면옥", Score: 0.97, Record: record("3533250442263839403", "mat", at),
				Fields: json.RawMessage(`{"name":"을지면옥","branch":null,"address":null,"area":"을지로","phone":null,"menu":[{"name":"냉면","price":14000},{"name":"수육","price":null}],"ad":true,"quote":"을지면옥!"}`),
			},
			{Name: "을지 면옥", Score: 0.5, Record: record("11", "other", at.Add(-25*time.Hour)), Fields: json.RawMessage(`{"name":"을지 면옥","menu":[],"ad":false,"quote":"을지 면옥"}`)},
		},
	}
	bare := queue.PlaceMentions{Place: queue.Place{ID: "p1", Finder: "kakao", Name: "가", Query: "연남동 가"}, Mentions: []queue.Mention{{Record: record("1", "mat", at), Fields: json.RawMessage(`{"name":"가"}`)}}}
	for _, tt := range []struct {
		name  string
		place queue.PlaceMentions
		want  string
	}{
		{"all", place, `{"_id":"p0123456789abcdef","name":"을지면옥 \u0026 수육","category":"음식점\u003e한식","address":"서울 중구 입정동 1","roadAddress":"서울 중구 충무로14길 2","phone":"02-2266-7052","link":"https://example.com/1",` +
			`"location":{"type":"Point","coordinates":[127,37.5]},"finder":"naver","mentions":[` +
			`{"post":"3533250442263839403","account":"mat","url":"https://www.instagram.com/p/3533250442263839403/","takenAt":"2026-11-20T03:00:00.000Z","name":"을지면옥","menu":[{"name":"냉면","price":14000},{"name":"수육","price":null}],"ad":true,"quote":"을지면옥!","score":0.97},` +
			`{"post":"11","account":"other","url":"https://www.instagram.com/p/11/","takenAt":"2026-11-19T02:00:00.000Z","name":"을지 면옥","menu":[],"ad":false,"quote":"을지 면옥","score":0.5}],` +
			`"firstSeen":"2026-11-19T02:00:00.000Z","lastSeen":"2026-11-20T03:00:00.000Z","mentionCount":2}`},
		{"next to nothing", bare, `{"_id":"p1","name":"가","link":"","finder":"kakao","query":"연남동 가","mentions":[{"post":"1","account":"mat","url":"https://www.instagram.com/p/1/","takenAt":"2026-11-20T03:00:00.000Z","name":"가","menu":[],"ad":false,"quote":"","score":0}],` +
			`"firstSeen":"2026-11-20T03:00:00.000Z","lastSeen":"2026-11-20T03:00:00.000Z","mentionCount":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := jobs.Document(tt.place)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What the world delivers is such a document, too.
func TestDeliveredDocument(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", naming(posts(1, 1)))
		w.run()
		for key, doc := range w.sink.docs {
			var d jobs.PlaceDocument
			if err := json.Unmarshal([]byte(doc), &d); err != nil {
				t.Fatal(err)
			}
			if d.ID != key || d.Name != "p1식당" || d.RoadAddress == nil || *d.RoadAddress != addressOf("p1식당") || d.MentionCount != 1 || d.Mentions[0].Post != "p1" || d.Mentions[0].Menu[0].Name != "냉면" ||
				d.Mentions[0].TakenAt != "1999-01-01T01:00:00.000Z" || d.Mentions[0].Score <= 0.5 || d.Location != nil {
				t.Errorf("got %s", doc)
			}
		}
		equal(t, "documents", len(w.sink.docs), 1)
	})
}

// The schema keeps the rules of strict mode: every object closed, every property required; and it allows what Restaurant reads.
func TestSchema(t *testing.T) {
	t.Parallel()
	var root any
	if err := json.Unmarshal([]byte(jobs.Schema), &root); err != nil {
		t.Fatal(err)
	}
	objects := 0
	var check func(at string, v any)
	check = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for i, e := range v {
				check(fmt.Sprintf("%s[%d]", at, i), e)
			}
		case map[string]any:
			for k, e := range v {
				check(at+"."+k, e)
			}
			if v["type"] != "object" {
				return
			}
			objects++
			if v["additionalProperties"] != false {
				t.Errorf("%s is open", at)
			}
			required := map[string]bool{}
			for _, r := range v["required"].([]any) {
				required[r.(string)] = true
			}
			props := v["properties"].(map[string]any)
			for name := range props {
				if !required[name] {
					t.Errorf("%s.%s is not required", at, name)
				}
			}
			if len(required) != len(props) {
				t.Errorf("%s requires %d of %d properties", at, len(required), len(props))
			}
		}
	}
	check("schema", root)
	equal(t, "objects", objects, 3)

	var got struct {
		Properties struct {
			Restaurants struct {
				Items struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(jobs.Schema), &got); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(jobs.Restaurant{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if got.Properties.Restaurants.Items.Properties[name] == nil {
			t.Errorf("the schema has no %s", name)
		}
	}
	equal(t, "properties", len(got.Properties.Restaurants.Items.Properties), len(fields))
}

// A restaurant without a name is no mention, and the numbers of the others have no gap.
func TestNamelessRestaurant(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.ask(restaurants("을지면옥", "  ", "평양면옥"))
		w.is(`select n, name from v_mentions order by n`, "0|을지면옥\n1|평양면옥")
	})
}

// A post's own place tag is a hint for the match.
func TestLocationTag(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		near := adapters.Candidate{Finder: "naver", Name: "골목집식당 성수점", Category: "음식점>한식", RoadAddress: "서울 성동구 연무장길 1", Lat: 37.5434, Lng: 127.0547}
		far := adapters.Candidate{Finder: "naver", Name: "골목집식당 서면점", Category: "음식점>한식", RoadAddress: "부산 부산진구 서면로 1", Lat: 35.1577, Lng: 129.0592}
		w.naver.find = func(string) ([]adapters.Candidate, error) { return []adapters.Candidate{far, near}, nil }
		w.model.answer = func(string) string { return written("골목집식당", "", "", "") }
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			if q.List != "posts" {
				return adapters.Page{}, nil, false
			}
			data := json.RawMessage(`{"account":"mat","url":"https://www.instagram.com/p/p1/","caption":"골목집식당","location":{"name":"골목집식당 성수점","lat":37.5434,"lng":127.0547}}`)
			return adapters.Page{Records: []adapters.Record{{Stream: "post", Key: "p1", Time: day0, Data: data}}, Newest: day0}, nil, true
		}
		w.run()
		w.is(`select p.name from v_mentions m join place p on p.id = m.place`, near.Name)
	})
}
