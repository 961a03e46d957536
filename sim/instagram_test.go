package sim_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/sim"
)

func TestInstagramGateway(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{
		Accounts: 1, Posts: 5, Gone: []string{"gone.user"}, Private: []string{"private.user"},
		Keys: sim.Keys{RapidUnsubscribed: []string{"unsubscribed"}},
	})
	who := c.s.Accounts()[0]
	good := rapid(sim.DefaultRapidAPIKey)
	noHost := map[string]string{"X-RapidAPI-Key": sim.DefaultRapidAPIKey}
	for _, tt := range []struct {
		name, path string
		header     map[string]string
		status     int
		body       string
	}{
		{"posts", "/v1.2/posts?username_or_id_or_url=" + who, good, 200, `"pagination_token"|"data"`},
		{"older version", "/v1/reels?username_or_id_or_url=" + who, good, 200, `"items"`},
		{"by profile url", "/v1.2/posts?username_or_id_or_url=" + url.QueryEscape("https://www.instagram.com/"+who+"/"), good, 200, `"items"`},
		{"no key", "/v1.2/posts?username_or_id_or_url=" + who, nil, 401, `{"message":"Invalid API key`},
		{"wrong key", "/v1.2/posts?username_or_id_or_url=" + who, rapid("nonsense"), 401, `{"message":"Invalid API key`},
		{"not subscribed", "/v1.2/posts?username_or_id_or_url=" + who, rapid("unsubscribed"), 403, `{"message":"You are not subscribed to this API."}`},
		{"no host", "/v1.2/posts?username_or_id_or_url=" + who, noHost, 403, `{"message":"You are not subscribed to this API."}`},
		{"wrong path", "/v1.2/post_list", good, 404, `{"message":"Endpoint '/v1.2/post_list' does not exist"}`},
		{"gone", "/v1.2/posts?username_or_id_or_url=gone.user", good, 404, `{"detail":"Not found"}`},
		{"never was", "/v1.2/posts?username_or_id_or_url=nobody", good, 404, `{"detail":"Not found"}`},
		{"private", "/v1.2/posts?username_or_id_or_url=private.user", good, 404, `{"detail":"Private account"}`},
		{"private info", "/v1.2/info?username_or_id_or_url=private.user", good, 200, `"is_private":true`},
		{"unknown token", "/v1.2/posts?pagination_token=x&username_or_id_or_url=" + who, good, 400, `{"detail":"Invalid pagination token"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.do("GET", "/instagram"+tt.path, tt.header, nil)
			if a.status != tt.status {
				t.Fatalf("status %d, want %d: %s", a.status, tt.status, a.body)
			}
			first, second, _ := strings.Cut(tt.body, "|")
			if !strings.Contains(string(a.body), first) && (second == "" || !strings.Contains(string(a.body), second)) {
				t.Errorf("body %.300s lacks %s", a.body, tt.body)
			}
		})
	}
}

func TestInstagramPages(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 6, Posts: 60})
	truth := c.s.Posts()
	served := map[string]map[string]bool{}
	tokens := map[string]bool{}
	var pinned, silent, foreign, nullCaption, flat, located, codeless int
	for _, who := range c.s.Accounts() {
		for _, list := range []string{"posts", "reels"} {
			items, pages := c.walk(list, who)
			if want := (len(items) + 11) / 12; pages != want {
				t.Errorf("%s of %s: %d items on %d pages, want %d", list, who, len(items), pages, want)
			}
			newest, sawUnpinned := int64(1<<62), false
			for _, it := range items {
				pk := pkOf(it)
				if served[pk] == nil {
					served[pk] = map[string]bool{}
				}
				served[pk][list] = true
				n, _ := strconv.ParseInt(pk, 10, 64)
				taken, _ := it["taken_at"].(json.Number).Int64()
				if n < 1<<53 {
					t.Errorf("pk %s is not above 2^53", pk)
				}
				if clock := ((n >> 23) + 1314220021721) / 1000; taken-clock > 99 || clock-taken > 1 {
					t.Errorf("pk %s says %d, taken_at %d", pk, clock, taken)
				}
				raw, err := base64.RawURLEncoding.DecodeString(strings.Repeat("A", 12-len(it["code"].(string))) + it["code"].(string))
				if err != nil || binary.BigEndian.Uint64(raw[1:]) != uint64(n) {
					t.Errorf("code %v is not that of %s", it["code"], pk)
					codeless++
				}
				if !strings.HasPrefix(it["id"].(string), pk+"_") {
					t.Errorf("id %v does not begin with %s", it["id"], pk)
				}
				pins := it["timeline_pinned_user_ids"]
				if list == "reels" {
					pins = it["clips_tab_pinned_user_ids"]
				}
				if len(pins.([]any)) > 0 {
					pinned++
					if sawUnpinned {
						t.Errorf("%s of %s: pinned %s stands below others", list, who, pk)
					}
				} else {
					sawUnpinned = true
					if taken > newest {
						t.Errorf("%s of %s is not newest first at %s", list, who, pk)
					}
					newest = taken
				}
				if _, ok := it["is_pinned"]; !ok {
					silent++
				}
				if it["user"].(map[string]any)["username"] != who {
					foreign++
				}
				if it["caption"] == nil {
					nullCaption++
				} else if text := it["caption"].(map[string]any)["text"]; text != truth[pk].Caption {
					t.Errorf("caption of %s is not the truth's", pk)
				}
				if it["location"] != nil {
					located++
				}
				if _, ok := it["metrics"]; !ok {
					flat++
				}
				if it["media_type"].(json.Number) == "8" && it["is_video"] != false {
					t.Errorf("carousel %s is_video", pk)
				}
			}
			if p := c.page(list, who, ""); p.Token != nil && *p.Token != "" {
				if tokens[*p.Token] {
					t.Errorf("token %s was handed out before", *p.Token)
				}
				tokens[*p.Token] = true
			}
		}
	}
	for name, n := range map[string]int{"pinned": pinned, "without is_pinned": silent, "foreign": foreign, "null caption": nullCaption, "flat metrics": flat, "located": located} {
		if n == 0 {
			t.Errorf("no item is %s", name)
		}
	}
	for id, p := range truth {
		var lists []string
		for _, l := range []string{"posts", "reels"} {
			if served[id][l] {
				lists = append(lists, l)
			}
		}
		if d := cmp.Diff(p.Lists, lists); d != "" {
			t.Errorf("lists of %s: %s", id, d)
		}
	}
	if len(served) != len(truth) {
		t.Errorf("served %d posts, want %d", len(served), len(truth))
	}
}

func TestInstagramTokensBelongToOneList(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 2, Posts: 100})
	a, b := c.s.Accounts()[0], c.s.Accounts()[1]
	token := *c.page("posts", a, "").Token
	for _, tt := range []struct {
		name, list, account string
		status              int
	}{{"its own", "posts", a, 200}, {"another list", "reels", a, 400}, {"another account", "posts", b, 400}} {
		if got := c.insta(tt.list, tt.account, token).status; got != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.status)
		}
	}
	c.s.ForgetTokens()
	if got := c.insta("posts", a, token).status; got != 400 {
		t.Errorf("forgotten token: status %d, want 400", got)
	}
}

func TestInstagramLimits(t *testing.T) {
	t.Parallel()
	bubble(t, sim.Options{Accounts: 1, Posts: 5, InstagramPerSecond: 3, InstagramQuota: 5, Keys: sim.Keys{RapidAPI: []string{"one", "two"}}}, func(t *testing.T, c *client) {
		path := sim.InstagramPath + "/posts?username_or_id_or_url=" + c.s.Accounts()[0]
		var got []int
		for range 5 {
			a := c.do("GET", path, rapid("one"), nil)
			got = append(got, a.status)
			if a.status == http.StatusTooManyRequests {
				if a.header.Get("Retry-After") != "" {
					t.Error("429 has a Retry-After")
				}
				if m := a.object(t)["message"].(string); strings.Contains(m, "quota") {
					t.Errorf("429 speaks of the quota: %s", m)
				}
			}
		}
		if d := cmp.Diff([]int{200, 200, 200, 429, 429}, got); d != "" {
			t.Error(d)
		}
		other := c.do("GET", path, rapid("two"), nil)
		if other.status != 200 {
			t.Errorf("the other key is refused too: %d", other.status)
		}
		if r := other.header.Get("X-Ratelimit-Requests-Remaining"); r != "4" {
			t.Errorf("remaining %s, want 4", r)
		}
		if n, err := strconv.Atoi(other.header.Get("X-Ratelimit-Requests-Reset")); err != nil || n > 31*86400 {
			t.Errorf("reset %q is not a number of seconds to go", other.header.Get("X-Ratelimit-Requests-Reset"))
		}
		if w := c.s.Stats().WorstSecond["instagram/1"]; w != 5 {
			t.Errorf("worst second %d, want 5", w)
		}
	})
}

func TestInstagramQuota(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, Posts: 5, InstagramQuota: 1})
	who := c.s.Accounts()[0]
	c.page("posts", who, "")
	a := c.insta("posts", who, "")
	if a.status != 429 || !strings.Contains(string(a.body), "MONTHLY quota") {
		t.Errorf("second call: %d %s", a.status, a.body)
	}
	c.s.ResetQuotas()
	c.page("posts", who, "")
}

func TestInstagramFaults(t *testing.T) {
	t.Parallel()
	once := sim.Times(1)
	for _, tt := range []struct {
		name   string
		faults sim.InstagramFaults
		check  func(t *testing.T, a answer)
	}{
		{"throttle", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Throttle: once}}, wantStatus(429, "")},
		{"500", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Error500: once}}, wantStatus(500, `"detail"`)},
		{"502", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{HTML502: once}}, wantStatus(502, "<html>")},
		{"cut", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Cut: once}}, wantBroken},
		{"truncated", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Truncate: once}}, func(t *testing.T, a answer) {
			if a.err != nil || a.status != 200 || json.Valid(a.body) {
				t.Errorf("want half of a body with a good end, got %d %v", a.status, a.err)
			}
		}},
		{"stall", sim.InstagramFaults{HTTPFaults: sim.HTTPFaults{Stall: once}}, wantBroken},
		{"quota", sim.InstagramFaults{Billed: once}, wantStatus(429, "MONTHLY quota")},
		{"false 404", sim.InstagramFaults{FalseNotFound: once}, wantStatus(404, "Not found")},
		{"empty page", sim.InstagramFaults{EmptyPage: once}, func(t *testing.T, a answer) {
			o := a.object(t)
			if len(o["data"].(map[string]any)["items"].([]any)) != 0 || o["pagination_token"] == nil {
				t.Errorf("want no items and a token: %s", a.body)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, sim.Options{Accounts: 1, Posts: 40, Faults: sim.Faults{Instagram: tt.faults, StallFor: time.Millisecond}})
			who := c.s.Accounts()[0]
			tt.check(t, c.insta("posts", who, ""))
			if got := c.insta("posts", who, ""); got.status != 200 || !json.Valid(got.body) {
				t.Errorf("after the fault: %d", got.status)
			}
		})
	}
}

func wantStatus(status int, body string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if a.err != nil || a.status != status || !strings.Contains(string(a.body), body) {
			t.Errorf("got %d %v %.200s, want %d %s", a.status, a.err, a.body, status, body)
		}
	}
}

func wantBroken(t *testing.T, a answer) {
	t.Helper()
	if a.err == nil {
		t.Errorf("the connection held: %d %.100s", a.status, a.body)
	}
}

func TestInstagramFaultsOfAWalk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		faults sim.InstagramFaults
		offset bool
		twice  int // items that come twice
	}{
		{name: "none"},
		{name: "empty pages", faults: sim.InstagramFaults{EmptyPage: sim.Times(2)}},
		{name: "repeated token", faults: sim.InstagramFaults{RepeatToken: sim.Times(1)}, twice: 12},
		{name: "post appears, cursor", faults: sim.InstagramFaults{PostAppears: sim.Times(1)}},
		{name: "post appears, offset", faults: sim.InstagramFaults{PostAppears: sim.Times(1)}, offset: true, twice: 1},
		{name: "post vanishes, cursor", faults: sim.InstagramFaults{PostVanishes: sim.Times(1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, sim.Options{Accounts: 1, Posts: 120, OffsetPaging: tt.offset, Faults: sim.Faults{Instagram: tt.faults}})
			who := c.s.Accounts()[0]
			before := c.s.Posts()
			items, _ := c.walk("posts", who)
			n := map[string]int{}
			twice := 0
			for _, it := range items {
				if n[pkOf(it)]++; n[pkOf(it)] == 2 {
					twice++
				}
			}
			if twice != tt.twice {
				t.Errorf("%d items came twice, want %d", twice, tt.twice)
			}
			for id, p := range before {
				if slices.Contains(p.Lists, "posts") && n[id] == 0 {
					t.Errorf("post %s never came", id)
				}
			}
		})
	}
}

func TestPublishEditUnpinDelete(t *testing.T) {
	t.Parallel()
	c := start(t, sim.Options{Accounts: 1, Posts: 60})
	who := c.s.Accounts()[0]
	before := len(c.s.Posts())
	ids := c.s.Publish(who, 5)
	if len(ids) != 5 || len(c.s.Posts()) != before+5 {
		t.Fatalf("published %d, posts %d → %d", len(ids), before, len(c.s.Posts()))
	}
	seen := map[string]bool{}
	for _, list := range []string{"posts", "reels"} {
		for _, it := range c.page(list, who, "").Data.Items {
			seen[pkOf(it)] = true
		}
	}
	for _, id := range ids {
		if !seen[id] {
			t.Errorf("new post %s is on no first page", id)
		}
	}
	was := c.s.Posts()[ids[0]].Caption
	if !c.s.EditCaption(ids[0]) || c.s.Posts()[ids[0]].Caption == was {
		t.Error("the caption did not change")
	}
	for _, list := range []string{"posts", "reels"} {
		items, _ := c.walk(list, who)
		for _, it := range items {
			c.s.Unpin(pkOf(it))
		}
		for _, it := range c.page(list, who, "").Data.Items {
			if fmt.Sprint(it["timeline_pinned_user_ids"], it["clips_tab_pinned_user_ids"]) != "[] []" {
				t.Errorf("%s is still pinned", pkOf(it))
			}
		}
	}
	if !c.s.Delete(ids[1]) || c.s.Delete(ids[1]) {
		t.Error("a post can be deleted once")
	}
	if _, ok := c.s.Posts()[ids[1]]; ok {
		t.Error("the deleted post is still there")
	}
}
