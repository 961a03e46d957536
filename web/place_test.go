package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sumbi/queue"
)

// visitor asks as a browser without a script does.
func visitor(ho *house) func(method, path string, form url.Values) *http.Response {
	return reviewer{house: ho, name: "김"}.send
}

// choose lets a person choose a candidate, from 1, of mentions.
func choose(t *testing.T, ho *house, choice string, ids ...int64) {
	t.Helper()
	v := reviewer{house: ho, name: "김"}
	for _, id := range ids {
		_, seen := v.card(id)
		if r := v.send("POST", fmt.Sprintf("/review/%d", id), url.Values{"choice": {choice}, "seen": {seen}}); r.StatusCode != 303 {
			t.Fatal(r.Status)
		}
	}
}

// placeOf is the place of a mention.
func placeOf(t *testing.T, s *queue.Store, id int64) string {
	t.Helper()
	d, err := s.Decision(t.Context(), id)
	if err != nil || d.Place == "" {
		t.Fatal(d, err)
	}
	return d.Place
}

// TestProvenance goes from a place to the post, the line of the batch, the raw item, the request and the candidates: each is
// behind one link of the place's page.
func TestProvenance(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	ask := visitor(ho)
	ids := posted(t, ho.Store, "p1", "오늘은 을밀대 마포점!", []told{{Name: "을밀대", Branch: "마포점", Quote: "을밀대 마포점"}}, candidates(2))
	choose(t, ho, "2", ids...)
	b := text(ask("GET", "/places/"+placeOf(t, ho.Store, ids[0]), nil))
	for _, want := range []string{"을밀대 2호점", "서울 중구 을지로 2", "을지로골목", "2026-11-20", "을밀대 마포점", "decided by <bdi>김</bdi>", "Batch 1, line 1", `href="https://www.instagram.com/p/p1/"`, `href="/review/1"`, "decided by a person"} {
		if !strings.Contains(b, want) {
			t.Errorf("the place does not say %q:\n%s", want, b)
		}
	}
	parts := map[string][]string{
		"/posts/post/p1":           {"<mark class=\"ev name quoted\">을밀대</mark>", "<mark class=\"ev branch quoted\">마포점</mark>"},
		"/posts/post/p1#mention-0": {`id="mention-0"`, "낱말 p1", "을밀대 1호점", "을밀대 2호점", "branch 을지로점 against none", "before that", "two candidates fit about equally"},
		"/posts/post/p1#line":      {`id="line"`, "batch_p1_1", "v1-p1", "gpt-5-mini", "&#34;branch&#34;: &#34;마포점&#34;", `href="/batches/1"`},
		"/posts/post/p1#item":      {`id="item"`, "&#34;text&#34;: &#34;오늘은 을밀대 마포점!&#34;"},
		"/posts/post/p1#request":   {`id="request"`, `href="/accounts/matzip/%EC%9D%84%EC%A7%80%EB%A1%9C%EA%B3%A8%EB%AA%A9"`, `href="/runs/1"`, ">posts</td>"},
	}
	for link, wants := range parts {
		if !strings.Contains(b, `href="`+link+`"`) {
			t.Errorf("the place has no link to %s", link)
		}
		path, _, _ := strings.Cut(link, "#")
		post := text(ask("GET", path, nil))
		for _, want := range wants {
			if !strings.Contains(post, want) {
				t.Errorf("%s does not say %q:\n%s", link, want, post)
			}
		}
	}
	if want := "<title>\u2068을지로골목, 2026-11-20\u2069 · sumbi</title>"; !strings.Contains(text(ask("GET", "/posts/post/p1", nil)), want) {
		t.Errorf("the post is not called %q", want)
	}
	r := ask("GET", "/posts/post/p1/raw", nil)
	if b := text(r); r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") || !strings.Contains(b, `"text": "오늘은 을밀대 마포점!"`) {
		t.Errorf("raw item: %s %s\n%s", r.Status, r.Header.Get("Content-Type"), b)
	}
	for _, path := range []string{"/places/nowhere", "/posts/post/p2", "/posts/post/p2/raw", "/posts/x/p1", "/places/" + url.PathEscape("../x")} {
		if r := ask("GET", path, nil); r.StatusCode != 404 {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

// TestMergeAndSplit makes two places one from the page, and takes them apart again; both ask first.
func TestMergeAndSplit(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	ask := visitor(ho)
	ids := posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}, {Name: "을밀대 옆"}}, candidates(2))
	choose(t, ho, "1", ids[0])
	choose(t, ho, "2", ids[1])
	one, two := placeOf(t, ho.Store, ids[0]), placeOf(t, ho.Store, ids[1])
	for other, want := range map[string]int{"": 404, "nowhere": 404, one: 400, "https://x.test/places/" + one: 400} {
		if r := ask("GET", "/places/"+one+"/merge?other="+url.QueryEscape(other), nil); r.StatusCode != want {
			t.Errorf("merge with %q: %s", other, r.Status)
		}
		if r := ask("POST", "/places/"+one+"/merge", url.Values{"other": {other}}); r.StatusCode != want {
			t.Errorf("POST merge with %q: %s", other, r.Status)
		}
	}
	r := ask("GET", "/places/"+one+"/merge?other="+url.QueryEscape("http://sumbi.test/places/"+two), nil)
	b := text(r)
	if r.StatusCode != 200 || !strings.Contains(b, "을밀대 1호점, 서울 중구 을지로 1") || !strings.Contains(b, "을밀대 2호점, 서울 중구 을지로 2") || !strings.Contains(b, `name="other" value="`+two+`"`) {
		t.Errorf("the question: %s\n%s", r.Status, b)
	}
	if placeOf(t, ho.Store, ids[1]) != two {
		t.Error("merged before it was confirmed")
	}
	if r = ask("POST", "/places/"+one+"/merge", url.Values{"other": {two}}); r.StatusCode != 303 || r.Header.Get("Location") != "/places/"+one {
		t.Fatalf("merge: %s to %s", r.Status, r.Header.Get("Location"))
	}
	if got := placeOf(t, ho.Store, ids[1]); got != one {
		t.Errorf("behind the merge it is %s, want %s", got, one)
	}
	if r = ask("POST", "/places/"+one+"/merge", url.Values{"other": {two}}); r.StatusCode != 303 || r.Header.Get("Location") != "/places/"+one {
		t.Errorf("the same form once more: %s", r.Status)
	}
	if r = ask("GET", "/places/"+one+"/merge?other="+two, nil); r.StatusCode != 400 {
		t.Errorf("the question about what is done: %s", r.Status)
	}
	b = text(ask("GET", "/places/"+one, nil))
	split := regexp.MustCompile(`href="(/places/[^"]+/split\?entry=[^"]+)"`).FindAllStringSubmatch(b, -1)
	if len(split) != 2 || !strings.Contains(b, "put by hand") {
		t.Fatalf("entries that can be taken out: %q\n%s", split, b)
	}
	path := "/places/" + one + "/split"
	if r = ask("GET", path+"?entry="+two, nil); r.StatusCode != 200 || !strings.Contains(text(r), "을밀대 2호점") {
		t.Errorf("the question: %s", r.Status)
	}
	if r = ask("GET", path+"?entry=nowhere", nil); r.StatusCode != 404 {
		t.Errorf("an entry that is not there: %s", r.Status)
	}
	if r = ask("POST", path, url.Values{"entry": {two}}); r.StatusCode != 303 || r.Header.Get("Location") != "/places/"+two {
		t.Fatalf("split: %s to %s", r.Status, r.Header.Get("Location"))
	}
	if got := placeOf(t, ho.Store, ids[1]); got != two {
		t.Errorf("behind the split it is %s, want %s", got, two)
	}
	if r = ask("POST", path, url.Values{"entry": {one}}); r.StatusCode != 400 {
		t.Errorf("the only entry: %s", r.Status)
	}
	if log := ho.log.String(); !strings.Contains(log, "places merged") || !strings.Contains(log, "by=김") {
		t.Errorf("the log: %s", log)
	}
}

// TestMentionsInPages shows the mentions of a place that many name in pages.
func TestMentionsInPages(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	ask := visitor(ho)
	var all []told
	for i := range 60 {
		all = append(all, told{Name: fmt.Sprintf("을밀대 %02d번째", i)})
	}
	ids := posted(t, ho.Store, "p1", "을밀대", all, candidates(1))
	choose(t, ho, "1", ids...)
	seen := map[string]bool{}
	more := regexp.MustCompile(`href="(/places/[^"]+\?before=[^"]+)"`)
	pages := 0
	for path := "/places/" + placeOf(t, ho.Store, ids[0]); path != ""; pages++ {
		b := text(ask("GET", path, nil))
		for _, m := range regexp.MustCompile(`을밀대 \d\d번째`).FindAllString(b, -1) {
			seen[m] = true
		}
		path = ""
		if m := more.FindStringSubmatch(b); m != nil {
			path, _, _ = strings.Cut(m[1], "#")
		}
	}
	if len(seen) != 60 || pages != 2 {
		t.Errorf("%d mentions on %d pages", len(seen), pages)
	}
}
