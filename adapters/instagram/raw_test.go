package instagram_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

// again reads what is kept of a record anew and compares.
func again(t *testing.T, list string, r adapters.Record) {
	t.Helper()
	got, err := new(instagram.Source).Normalise(list, r.Raw)
	if err != nil {
		t.Fatalf("%s: %v", r.Key, err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("%s read again (-first +now):\n%s", r.Key, diff)
	}
}

func TestRawAgain(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range []string{"posts", "reels"} {
			page, err := fetch(t, list, "example_account", body)
			if err != nil || len(page.Records) == 0 {
				t.Fatal(f, err)
			}
			for _, r := range page.Records {
				again(t, list, r)
			}
		}
	}
}

func TestRawAgainSim(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Seed: 11, Accounts: 3, Posts: 50, PadBytes: 3000})
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
	fleeting := regexp.MustCompile(`cdninstagram|_url"|_versions|<MPD/>|"profile_pic`)
	n := 0
	for _, account := range s.Accounts() {
		for _, list := range []string{"posts", "reels"} {
			for q := (adapters.Query{List: list, Target: account}); ; {
				p, err := source.Fetch(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Records {
					again(t, list, r)
					if what := fleeting.Find(r.Raw); what != nil || len(r.Raw) > 6<<10 {
						t.Errorf("%d bytes are kept of %s, %q among them", len(r.Raw), r.Key, what)
					}
					n++
				}
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d items", n)
	}
}

func TestRawKeepsAndCuts(t *testing.T) {
	t.Parallel()
	const id = `"id":"3533250442263839403_1"`
	for name, c := range map[string]struct{ item, want string }{
		"unknown members as they are": {
			`{ ` + id + ` , "brand_new" : { "n" : 18446744073709551615.00 , "s" : "\ud55c\u0000\/ 글" , "l" : [ 1 , null, [ ] , { } ] }, "x":true }`,
			`{` + id + `,"brand_new":{"n":18446744073709551615.00,"s":"\ud55c\u0000\/ 글","l":[1,null,[],{}]},"x":true}`,
		},
		"addresses by name": {`{"thumbnail_url":"x",` + id + `,"video_url":1,"a":{"preview_urls":["x"]},"audioUrl":"x","subtitles_uri":"x"}`, `{` + id + `,"a":{}}`},
		"media by name": {
			`{"image_versions":{"items":[{"url":"u"}]},"image_versions2":{"candidates":[]},"video_versions":[{}],"video_dash_manifest":"<MPD/>","profile_pic_url":"p",` +
				`"hd_profile_pic_versions":[],` + id + `,"dash_manifest":"}\"]","carousel_media":[{"id":"1","image_versions":{},"is_video":false}]}`,
			`{` + id + `,"carousel_media":[{"id":"1","is_video":false}]}`,
		},
		"tokens": {`{"organic_tracking_token":"e","token":"e","loggingInfoToken":"e",` + id + `,"tokenised":1}`, `{` + id + `,"tokenised":1}`},
		"addresses by shape": {
			`{` + id + `,"preview":"https://scontent-vie1-1.cdninstagram.com/v/t51/4_n.jpg?oe=677753D4","list":["a","HTTPS:\/\/x.fbcdn.net\/y","//video.example/a.mp4"],"odd":"https://x.example/y?a=1&_nc_ht=2"}`,
			`{` + id + `,"list":["a"]}`,
		},
		"what a post leads to": {
			`{` + id + `,"link":{"url":"https://naver.me/5abc"},"external_url":"https://catchtable.co.kr/shop"}`,
			`{` + id + `,"link":{"url":"https://naver.me/5abc"},"external_url":"https://catchtable.co.kr/shop"}`,
		},
		"what somebody wrote": {
			`{` + id + `,"caption":{"text":"https://scontent.cdninstagram.com/a.jpg","hashtags":["//cdn.example/a"]},"location":{"name":"//cdn.example/b.jpg"}}`, "",
		},
		"braces and quotes in texts": {`{"video_versions":["}]\\\"{"],"s":"a\\\"}{[","t\"_url":"x","escaped_\u0075rl":"x",` + id + `}`, `{"s":"a\\\"}{[",` + id + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := one(t, "posts", c.item)
			want := c.want
			if want == "" {
				want = c.item
			}
			if name == "what somebody wrote" {
				want = strings.Replace(want, `"hashtags":["//cdn.example/a"]`, `"hashtags":[]`, 1) // no tag begins like an address
			}
			if got := string(r.Raw); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			again(t, "posts", r)
		})
	}
}

func TestNormaliseDamaged(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{``, `{`, `{"id":"1_2"} x`, `null`, `[]`, `{"caption":null}`} {
		if r, err := new(instagram.Source).Normalise("posts", json.RawMessage(raw)); err == nil {
			t.Errorf("%q gave %+v", raw, r)
		}
	}
}

// FuzzRaw reads items of any shape: nothing may break, and what is kept reads the same again.
func FuzzRaw(f *testing.F) {
	for _, s := range []string{`{"id":"1_2","a":[{"url":"x"},"//cdn"]}`, `[]`, `{"id":1,"":{"_url":{}}}`, `"x"`, `{"pk":7,"caption":{"text":"글"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		if !json.Valid(item) {
			t.Skip()
		}
		body := bytes.Join([][]byte{[]byte(`{"data":{"items":[`), item, []byte(`]}}`)}, nil)
		page, err := fetch(t, "reels", "seoul.matzip", body)
		if err != nil {
			return
		}
		for _, r := range page.Records {
			if !json.Valid(r.Raw) {
				t.Fatalf("%s became %s", item, r.Raw)
			}
			again(t, "reels", r)
		}
	})
}

// BenchmarkPage reads a page of 250 KB, mostly manifests, as the real one is.
func BenchmarkPage(b *testing.B) {
	s := sim.New(sim.Options{Seed: 11, Accounts: 1, Posts: 50, PadBytes: 18000})
	base, stop, err := s.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, base+sim.InstagramPath+"/posts?username_or_id_or_url="+s.Accounts()[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-RapidAPI-Key", sim.DefaultRapidAPIKey)
	req.Header.Set("X-RapidAPI-Host", req.URL.Host)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp.Status, err)
	}
	http.DefaultClient.CloseIdleConnections()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	source := open(rest.Options{BaseURL: "http://upstream.test", Transport: static(body)})
	for b.Loop() {
		p, err := source.Fetch(b.Context(), adapters.Query{List: "posts", Target: s.Accounts()[0]})
		if err != nil || len(p.Records) == 0 {
			b.Fatal(p, err)
		}
	}
}
