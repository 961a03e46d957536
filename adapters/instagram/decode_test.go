package instagram_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type static []byte

func (b static) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: r,
		Body: io.NopCloser(bytes.NewReader(b)),
	}, nil
}

// fetch decodes body as a page of list.
func fetch(t testing.TB, list, account string, body []byte) (adapters.Page, error) {
	t.Helper()
	s := open(rest.Options{BaseURL: "http://upstream.test", Transport: static(body)})
	return s.Fetch(t.Context(), adapters.Query{List: list, Target: account})
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]string{"post_info": "razer", "feed": "example_account", "made_up": "seoul.matzip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			page, err := fetch(t, "posts", account, body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(page, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func one(t *testing.T, list, item string) (adapters.Record, instagram.Post) {
	t.Helper()
	page, err := fetch(t, list, "seoul.matzip", []byte(`{"data":{"items":[`+item+`]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Records) != 1 {
		t.Fatalf("%d records, want 1", len(page.Records))
	}
	var post instagram.Post
	if err := json.Unmarshal(page.Records[0].Data, &post); err != nil {
		t.Fatal(err)
	}
	return page.Records[0], post
}

func TestKeyAndCode(t *testing.T) {
	t.Parallel()
	// A real post: its id, pk and code say the same.
	for name, item := range map[string]string{
		"id":                 `{"id":"3533250442263839403_270603774"}`,
		"id without owner":   `{"id":"3533250442263839403","pk":1}`,
		"id as number":       `{"id":3533250442263839403}`,
		"pk":                 `{"pk":3533250442263839403}`,
		"pk as text":         `{"pk":"3533250442263839403","id":null}`,
		"code":               `{"code":"DEIoI6poMKr"}`,
		"code of a private":  `{"code":"DEIoI6poMKrAbCdEfGhIjKlMnOpQrStUvWxYz01234"}`,
		"id is an object":    `{"id":{},"pk":[],"code":"DEIoI6poMKr"}`,
		"rounded pk with id": `{"id":"3533250442263839403_1","pk":3533250442263839000}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, post := one(t, "posts", item)
			if r.Key != "3533250442263839403" || post.ID != r.Key || !strings.HasPrefix(post.Code, "DEIoI6poMKr") {
				t.Errorf("got key %s, code %s", r.Key, post.Code)
			}
			// Without taken_at the id's own clock counts; a video is uploaded before it is published.
			if late := time.Unix(1735416394, 0).Sub(r.Time); late < 0 || late > 100*time.Second {
				t.Errorf("got %v", r.Time)
			}
		})
	}
}

func TestPinned(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]bool{
		`{"pk":9,"is_pinned":true}`:                                       true,
		`{"pk":9,"timeline_pinned_user_ids":[72741069431]}`:               true,
		`{"pk":9,"is_pinned":false,"clips_tab_pinned_user_ids":["7"]}`:    true,
		`{"pk":9,"is_pinned":false,"timeline_pinned_user_ids":[]}`:        false,
		`{"pk":9,"is_pinned":null,"clips_tab_pinned_user_ids":null}`:      false,
		`{"pk":9,"timeline_pinned_user_ids":"no","is_pinned":{"a":true}}`: false,
	} {
		if r, _ := one(t, "posts", item); r.Pinned != want {
			t.Errorf("%s: pinned is %v, want %v", item, r.Pinned, want)
		}
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ list, item, want string }{
		{"posts", `{"pk":9,"media_name":"reel"}`, "reel"},
		{"posts", `{"pk":9,"media_name":"album","is_video":false}`, "album"},
		{"posts", `{"pk":9,"media_type":8}`, "album"},
		{"posts", `{"pk":9,"product_type":"carousel_container"}`, "album"},
		{"posts", `{"pk":9,"media_type":2,"product_type":"clips"}`, "reel"},
		{"posts", `{"pk":9,"media_type":2,"product_type":"igtv"}`, "post"},
		{"posts", `{"pk":9,"media_name":"story"}`, "post"},
		{"posts", `{"pk":9}`, "post"},
		{"reels", `{"pk":9}`, "reel"},
	} {
		if _, p := one(t, c.list, c.item); p.Kind != c.want {
			t.Errorf("%s %s: got %s, want %s", c.list, c.item, p.Kind, c.want)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		caption            string
		hashtags, mentions []string
	}{
		{`null`, []string{}, []string{}},
		{`{"text":"냉면 #맛집#서울_맛집 #1일1면 # @을지면옥 @eulji.myeonok. a@b.com","hashtags":null}`, []string{"맛집", "서울_맛집", "1일1면"}, []string{"eulji.myeonok"}},
		{`{"text":"#둘","hashtags":["#하나","하나",7,null,{}],"mentions":["@eulji","eulji"]}`, []string{"하나", "7"}, []string{"eulji"}},
		{`{"text":"#둘 @x","hashtags":[],"mentions":[]}`, []string{}, []string{}},
		{`"just text"`, []string{}, []string{}},
	} {
		_, p := one(t, "posts", `{"pk":9,"caption":`+c.caption+`}`)
		if diff := cmp.Diff(c.hashtags, p.Hashtags); diff != "" {
			t.Errorf("hashtags of %s (-want +got):\n%s", c.caption, diff)
		}
		if diff := cmp.Diff(c.mentions, p.Mentions); diff != "" {
			t.Errorf("mentions of %s (-want +got):\n%s", c.caption, diff)
		}
	}
}

func TestTotal(t *testing.T) {
	t.Parallel()
	const items = `{"data":{"user":{"media_count":7},"items":[
		{"pk":1,"user":{"username":"coauthor"},"metrics":{"user_media_count":999}},
		{"pk":2,"user":{"username":"seoul.matzip","id":"55"},"metrics":{"user_media_count":null},"user_media_count":412}]}}`
	for _, c := range []struct {
		list, account, body string
		want                int
	}{
		{"posts", "seoul.matzip", items, 412},
		{"posts", "55", items, 412},
		{"posts", "renamed", items, 7},
		{"reels", "seoul.matzip", items, 0},
		{"posts", "seoul.matzip", `{"data":{"items":[{"pk":1,"metrics":{"user_media_count":null}}]}}`, 0},
		{"posts", "seoul.matzip", `{"data":{"user":{"media_count":7},"items":[{"pk":1}]}}`, 7},
		{"posts", "seoul.matzip", `{"data":{"items":[{"pk":1,"user":{"username":"coauthor"},"metrics":{"user_media_count":999}},{"pk":2,"user":{"username":"seoul.matzip"}}]}}`, 0},
	} {
		p, err := fetch(t, c.list, c.account, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if p.Total != c.want {
			t.Errorf("%s of %s: total is %d, want %d", c.list, c.account, p.Total, c.want)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]adapters.Cursor{
		`{"data":{"items":[]},"pagination_token":"가나"}`:                                  "가나",
		`{"pagination_token":null,"data":{"items":[],"pagination_token":"b"}}`:           "b",
		`{"data":{"items":[],"next_max_id":"d"},"pagination_token":""}`:                  "d",
		`{"data":{"items":[],"next_max_id":"d"},"next_max_id":123456789012345678901234}`: "123456789012345678901234",
		`{"data":{"items":[]},"pagination_token":null}`:                                  "",
		`{"data":{"items":[]},"pagination_token":false}`:                                 "",
		`{"data":{"items":[]}}`: "",
	} {
		p, err := fetch(t, "posts", "seoul.matzip", []byte(body))
		if err != nil || p.Next != want {
			t.Errorf("%s: next is %q, %v, want %q", body, p.Next, err, want)
		}
	}
}

// Whatever comes, Fetch answers, and what it answers keeps the promises of a page.
func FuzzPage(f *testing.F) {
	for _, name := range []string{"post_info", "feed", "made_up"} {
		body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"data":{"items":[{"pk":1e400,"taken_at":-1,"code":"~","metrics":[[]],"caption":{"text":1}}],"user":[]},"next_max_id":{}}`))
	f.Add([]byte(`{"data":[{"items":[]}],"detail":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := fetch(t, "posts", "seoul.matzip", body)
		if err != nil {
			if _, ok := errors.AsType[*adapters.Error](err); !ok {
				t.Errorf("not classified: %v", err)
			}
			return
		}
		for _, r := range page.Records {
			var p instagram.Post
			if err := json.Unmarshal(r.Data, &p); err != nil {
				t.Fatalf("data of %s: %v", r.Key, err)
			}
			if r.Key == "" || p.ID != r.Key || p.Code == "" || p.Hashtags == nil || p.Mentions == nil || p.Tagged == nil || p.Coauthors == nil {
				t.Errorf("incomplete: %+v", p)
			}
			if _, err := r.Time.MarshalJSON(); err != nil {
				t.Errorf("time of %s: %v", r.Key, err)
			}
		}
		if page.Total < 0 {
			t.Errorf("total is %d", page.Total)
		}
	})
}
