package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web"
)

// told is what a post tells of a restaurant.
type told struct {
	Name    string      `json:"name"`
	Branch  string      `json:"branch,omitempty"`
	Area    string      `json:"area,omitempty"`
	Address string      `json:"address,omitempty"`
	Menu    []jobs.Dish `json:"menu,omitempty"`
	Quote   string      `json:"quote,omitempty"`
}

// found is how a finder shows a shop.
func found(name string, n int) adapters.Candidate {
	return adapters.Candidate{
		ID: fmt.Sprint(1000 + n), Finder: "kakao", Name: name, Category: "음식점 > 한식", Address: fmt.Sprintf("서울 중구 을지로3가 %d", n), RoadAddress: fmt.Sprintf("서울 중구 을지로 %d", n),
		Phone: fmt.Sprintf("02-22%02d-%04d", n%100, n), Link: fmt.Sprintf("https://place.map.kakao.com/%d", 1000+n), Lat: 37.56 + float64(n)/1000, Lng: 126.99 + float64(n)/1000,
	}
}

// posted writes a post whose mentions wait for a person to choose from the candidates. It returns the mentions.
func posted(t testing.TB, s *queue.Store, key, caption string, all []told, candidates []adapters.Candidate) []int64 {
	t.Helper()
	ids := extracted(t, s, key, caption, all, candidates)
	decide(t, s, key, ids, len(candidates))
	return ids
}

// extracted writes a post of account 을지로골목 that names these restaurants, whose answer stands on a line of a batch, and whose
// mentions are to be matched. It returns the mentions.
func extracted(t testing.TB, s *queue.Store, key, caption string, all []told, candidates []adapters.Candidate) []int64 {
	t.Helper()
	ctx := t.Context()
	data, err := json.Marshal(map[string]any{"caption": caption, "url": "https://www.instagram.com/p/" + key + "/", "account": "을지로골목", "location": map[string]any{"name": "을지로", "lat": 37.5665, "lng": 126.992}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"id": key, "caption": map[string]string{"text": caption}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(map[string]any{"restaurants": all})
	if err != nil {
		t.Fatal(err)
	}
	rec := adapters.Record{Stream: "post", Key: key, Time: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), Data: data, Raw: raw}
	packed, err := (&queue.Packer{}).Pack(ctx, s, []adapters.Record{rec})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	err = s.Tx(ctx, func(tx *queue.Tx) error {
		run, fresh, err := tx.AskRun("matzip", false, nil)
		if err != nil {
			return err
		}
		if fresh {
			if err := tx.StartRun(run.ID); err != nil {
				return err
			}
		}
		walks, err := tx.Begin(run, "을지로골목", []string{"posts"})
		if err != nil {
			return err
		}
		walk := queue.Walk{ID: 1, Pipeline: "matzip", Target: "을지로골목", List: "posts", Run: run.ID}
		if len(walks) > 0 {
			walk = walks[0]
		}
		stored, err := tx.PutPacked(walk, packed)
		if err != nil {
			return err
		}
		question := "v1-" + key
		if _, _, err := tx.Ask("matzip", stored[0].ID, question, caption); err != nil {
			return err
		}
		b, err := tx.NewBatch("matzip", "gpt-5-mini")
		if err != nil {
			return err
		}
		if err := tx.Choose(&b, []queue.Question{{ID: question}}); err != nil {
			return err
		}
		b.State, b.UpstreamID = "done", fmt.Sprintf("batch_%s_%d", key, b.ID)
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		if _, err := tx.Answer(b.ID, adapters.Answer{ID: question, Body: answer}); err != nil {
			return err
		}
		entries := make([]int, len(all))
		for i := range entries {
			entries[i] = i
		}
		if ids, err = tx.Extracted(stored[0], question, entries); err != nil {
			return err
		}
		return tx.SaveSearch("kakao", "낱말 "+key, candidates)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// decide lets mentions wait for a person, with the candidates of the search for key.
func decide(t testing.TB, s *queue.Store, key string, ids []int64, n int) {
	t.Helper()
	_, numbers, err := s.Search(t.Context(), "kakao", "낱말 "+key, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Tx(t.Context(), func(tx *queue.Tx) error {
		for _, id := range ids {
			m := queue.Mention{ID: id, Pipeline: "matzip", State: "review", Score: 0.61, Reason: "two candidates fit about equally: name equal; in the area", Queries: []queue.Asked{{Finder: "kakao", Query: "낱말 " + key, Found: n}}}
			for i, number := range numbers {
				m.Candidates = append(m.Candidates, queue.Considered{Candidate: number, Finder: "kakao", Score: 0.61 - float64(i)/100, Why: "name equal; branch 을지로점 against none; same district; menu is of another kind"})
			}
			if err := tx.Decide(m, nil, queue.One{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func candidates(n int) (all []adapters.Candidate) {
	for i := range n {
		all = append(all, found(fmt.Sprintf("을밀대 %d호점", i+1), i+1))
	}
	return all
}

// reviewer is somebody with a browser whose script may run.
type reviewer struct {
	*house
	name     string
	scripted bool
}

func (v reviewer) send(method, path string, form url.Values) *http.Response {
	v.t.Helper()
	change := []func(*http.Request){browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"), with("Accept-Language", "en")}
	if v.scripted {
		change = append(change, with("HX-Request", "true"))
	}
	if v.name != "" {
		change = append(change, with("Cookie", "author="+url.QueryEscape(v.name)))
	}
	return v.ask(method, path, form.Encode(), change...)
}

var seenField = regexp.MustCompile(`name="seen" value="([^"]*)"`)

// card reads a mention and the version that its form names.
func (v reviewer) card(id int64) (body, seen string) {
	v.t.Helper()
	r := v.send("GET", fmt.Sprintf("/review/%d", id), nil)
	body = text(r)
	m := seenField.FindStringSubmatch(body)
	if r.StatusCode != 200 || m == nil {
		v.t.Fatalf("review %d: %s\n%s", id, r.Status, body)
	}
	return body, m[1]
}

// isolated is a name as it stands in texts of the page: its marks of direction end with it.
func isolated(name string) string { return "\u2068" + name + "\u2069" }

// is checks what is decided about a mention: its state, the name of its place and who has decided.
func is(t testing.TB, s *queue.Store, id int64, want string) {
	t.Helper()
	d, err := s.Decision(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(fmt.Sprint(d.State, " ", d.PlaceName, " ", d.Author)); got != want {
		t.Errorf("mention %d is %q, want %q", id, got, want)
	}
}

// TestReviewByForms decides without a script: choose, none, undo, skip.
func TestReviewByForms(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	v := reviewer{house: ho, name: "김 검토"}
	ids := posted(t, ho.Store, "p1", "을밀대 갔다가 우래옥", []told{{Name: "을밀대"}, {Name: "우래옥"}, {Name: "평양면옥"}}, candidates(3))
	r := v.send("GET", "/review", nil)
	b := text(r)
	for _, want := range []string{"을밀대", "To review: 3</span>", "을밀대 1호점", "서울 중구 을지로 2", "02-2203-0003", "https://place.map.kakao.com/1001", "two candidates fit about equally", "+ </span><bdi>name equal", `value="김 검토"`, "kakao “<bdi class=\"clamp\">낱말 p1</bdi>” (3)", "from the tag"} {
		if !strings.Contains(b, want) {
			t.Errorf("the page does not say %q:\n%s", want, b)
		}
	}
	_, seen := v.card(ids[0])
	r = v.send("POST", fmt.Sprintf("/review/%d", ids[0]), url.Values{"choice": {"2"}, "seen": {seen}})
	if r.StatusCode != 303 || !strings.HasPrefix(r.Header.Get("Location"), "/review?after=") {
		t.Fatalf("chosen: %s to %s", r.Status, r.Header.Get("Location"))
	}
	is(t, ho.Store, ids[0], "place 을밀대 2호점 김 검토")
	b = text(v.send("GET", r.Header.Get("Location"), nil))
	if !strings.Contains(b, "우래옥</bdi></h2>") || !strings.Contains(b, fmt.Sprintf(`action="/review/%d/undo"`, ids[0])) {
		t.Errorf("the next one is not there, or no undo:\n%s", b)
	}
	undo := url.Values{"seen": {seenField.FindStringSubmatch(b)[1]}}
	r = v.send("POST", fmt.Sprintf("/review/%d/undo", ids[0]), undo)
	if r.StatusCode != 303 {
		t.Fatalf("undo: %s\n%s", r.Status, text(r))
	}
	is(t, ho.Store, ids[0], "review")
	if b = text(v.send("GET", r.Header.Get("Location"), nil)); !strings.Contains(b, "을밀대</bdi></h2>") {
		t.Errorf("behind undo the mention is not shown:\n%s", b)
	}
	if r = v.send("POST", fmt.Sprintf("/review/%d/undo", ids[0]), undo); r.StatusCode != 409 {
		t.Errorf("undone twice: %s", r.Status)
	}
	_, seen = v.card(ids[1])
	if r = v.send("POST", fmt.Sprintf("/review/%d", ids[1]), url.Values{"choice": {"none"}, "seen": {seen}}); r.StatusCode != 303 {
		t.Errorf("none: %s", r.Status)
	}
	is(t, ho.Store, ids[1], "none  김 검토")
	if b = text(v.send("GET", fmt.Sprintf("/review?after=%d", ids[2]), nil)); !strings.Contains(b, "Nothing else waits") || !strings.Contains(b, "with what was skipped") {
		t.Errorf("at the end:\n%s", b)
	}
	for _, choice := range []string{"0", "4", "x", "", "found1", "-1"} {
		_, seen = v.card(ids[2])
		if r = v.send("POST", fmt.Sprintf("/review/%d", ids[2]), url.Values{"choice": {choice}, "seen": {seen}}); r.StatusCode != 400 {
			t.Errorf("choice %q: %s", choice, r.Status)
		}
	}
	is(t, ho.Store, ids[2], "review")
	for _, path := range []string{"/review/4711", "/review/x"} {
		if r = v.send("GET", path, nil); r.StatusCode != 404 {
			t.Errorf("%s: %s", path, r.Status)
		}
		if r = v.send("POST", path, url.Values{"choice": {"none"}}); r.StatusCode != 404 {
			t.Errorf("POST %s: %s", path, r.Status)
		}
	}
}

// TestTwoReviewers lets two people decide one mention: the second answer is not stored, and says so.
func TestTwoReviewers(t *testing.T) {
	t.Parallel()
	for _, scripted := range []bool{false, true} {
		t.Run(fmt.Sprint("scripted ", scripted), func(t *testing.T) {
			t.Parallel()
			ho := newHouse(t, token)
			kim, lee := reviewer{house: ho, name: "김", scripted: scripted}, reviewer{house: ho, name: "이", scripted: scripted}
			id := posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}}, candidates(2))[0]
			path := fmt.Sprintf("/review/%d", id)
			_, seen := kim.card(id)
			if r := kim.send("POST", path, url.Values{"choice": {"1"}, "seen": {seen}}); r.StatusCode != 303 && r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			r := lee.send("POST", path, url.Values{"choice": {"none"}, "seen": {seen}})
			b := text(r)
			if r.StatusCode != 409 || !strings.Contains(b, "was decided by "+isolated("김")+" meanwhile: "+isolated("을밀대 1호점")+". Your answer was not stored.") {
				t.Errorf("the second answer: %s\n%s", r.Status, b)
			}
			is(t, ho.Store, id, "place 을밀대 1호점 김")
			// Who has seen that decides anew, and then the first one's undo takes nothing back.
			_, theirs := kim.card(id)
			_, seen = lee.card(id)
			if r := lee.send("POST", path, url.Values{"choice": {"2"}, "seen": {seen}}); r.StatusCode != 303 && r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			if r := kim.send("POST", path+"/undo", url.Values{"seen": {theirs}}); r.StatusCode != 409 || !strings.Contains(text(r), "decided by "+isolated("이")+" meanwhile") {
				t.Errorf("undo of what was decided anew: %s", r.Status)
			}
			is(t, ho.Store, id, "place 을밀대 2호점 이")
			// What is undone is as it was decided before.
			_, seen = lee.card(id)
			if r := lee.send("POST", path+"/undo", url.Values{"seen": {seen}}); r.StatusCode != 303 && r.StatusCode != 200 {
				t.Fatal(r.Status, text(r))
			}
			is(t, ho.Store, id, "place 을밀대 1호점 김")
		})
	}
}

// TestReviewMeanwhileReadAnew answers for a mention whose post was read anew, and for one that was matched anew.
func TestReviewMeanwhileReadAnew(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	v := reviewer{house: ho, scripted: true}
	ids := posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}}, candidates(2))
	_, seen := v.card(ids[0])
	ho.Store.Now = func() time.Time { return time.Now().Add(time.Minute) }
	decide(t, ho.Store, "p1", ids, 2)
	r := v.send("POST", fmt.Sprintf("/review/%d", ids[0]), url.Values{"choice": {"1"}, "seen": {seen}})
	if b := text(r); r.StatusCode != 409 || !strings.Contains(b, "matched anew meanwhile") {
		t.Errorf("matched anew: %s %s", r.Status, b)
	}
	_, seen = v.card(ids[0])
	posted(t, ho.Store, "p1", "을밀대 새로", []told{{Name: "을밀대"}}, candidates(2))
	r = v.send("POST", fmt.Sprintf("/review/%d", ids[0]), url.Values{"choice": {"1"}, "seen": {seen}})
	if b := text(r); r.StatusCode != 404 || !strings.Contains(b, "read anew meanwhile") {
		t.Errorf("read anew: %s %s", r.Status, b)
	}
}

// TestReviewOther searches words of a person's own, or a link, and chooses what is found.
func TestReviewOther(t *testing.T) {
	t.Parallel()
	var asked []string
	other := found("을밀대 본점", 77)
	ho := newHouse(t, token, func(s *web.Server) {
		s.Look = func(_ context.Context, m queue.Mention, words string) ([]queue.Option, []queue.Asked, error) {
			asked = append(asked, m.Name+"/"+words)
			if words == "고장" {
				return nil, nil, errors.New("kakao: 503")
			}
			return []queue.Option{{Candidate: other, Score: 0.4, Why: "name similar"}}, nil, nil
		}
	})
	for _, scripted := range []bool{false, true} {
		v := reviewer{house: ho, name: "김", scripted: scripted}
		id := posted(t, ho.Store, fmt.Sprint("p", scripted), "을밀대", []told{{Name: "을밀대"}}, candidates(2))[0]
		path := fmt.Sprintf("/review/%d", id)
		b := text(v.send("POST", path+"/search", url.Values{"words": {"  을밀대   마포 "}}))
		if !strings.Contains(b, "을밀대 본점") || !strings.Contains(b, `value="found1"`) || !strings.Contains(b, `name="words" value="을밀대 마포"`) || strings.Contains(b, "<html") == scripted {
			t.Errorf("found:\n%s", b)
		}
		hash := regexp.MustCompile(`name="found" value="([^"]+)"`).FindStringSubmatch(b)
		if hash == nil {
			t.Fatalf("what was found has no mark:\n%s", b)
		}
		_, seen := v.card(id)
		if r := v.send("POST", path, url.Values{"choice": {"found1"}, "words": {"다른 말"}, "found": hash[1:], "seen": {seen}}); r.StatusCode != 400 {
			t.Errorf("what was not found: %s", r.Status)
		}
		// Somebody else finds another one with the same words before the button is pressed.
		other.ID, other.Name = "1078", "을밀대 분점"
		v.send("POST", path+"/search", url.Values{"words": {"을밀대 마포"}})
		if r := v.send("POST", path, url.Values{"choice": {"found1"}, "words": {"을밀대 마포"}, "found": hash[1:], "seen": {seen}}); r.StatusCode != 400 {
			t.Errorf("another one than was pressed: %s", r.Status)
		}
		other.ID, other.Name = "1077", "을밀대 본점"
		v.send("POST", path+"/search", url.Values{"words": {"을밀대 마포"}})
		if r := v.send("POST", path, url.Values{"choice": {"1"}, "options": {"0000000000000000"}, "seen": {seen}}); r.StatusCode != 400 {
			t.Errorf("one of another list: %s", r.Status)
		}
		if r := v.send("POST", path, url.Values{"choice": {"found1"}, "words": {"을밀대 마포"}, "found": hash[1:], "seen": {seen}}); r.StatusCode != 303 && r.StatusCode != 200 {
			t.Errorf("chosen: %s %s", r.Status, text(r))
		}
		is(t, ho.Store, id, "place 을밀대 본점 김")
		l, err := ho.Store.LabelOf(t.Context(), id)
		if err != nil || l.Chosen != 2 || len(l.Shown) != 3 || l.Shown[2] != other {
			t.Errorf("the label has %d of %+v, %v", l.Chosen, l.Shown, err)
		}
		if b := text(v.send("POST", path+"/search", url.Values{"words": {"고장"}})); !strings.Contains(b, "Not everything could be searched: kakao: 503") {
			t.Errorf("a finder that fails:\n%s", b)
		}
		// The link leads to the entry that is known now, whoever asks.
		b = text(v.send("POST", path+"/search", url.Values{"words": {"http://place.map.kakao.com/1077/"}}))
		if strings.Count(b, `value="found`) != 1 || !strings.Contains(b, "을밀대 본점") {
			t.Errorf("behind the link:\n%s", b)
		}
		if b = text(v.send("POST", path+"/search", url.Values{"words": {"https://evil.test/x"}})); !strings.Contains(b, "Nothing was found.") {
			t.Errorf("a strange link:\n%s", b)
		}
	}
	want := []string{"을밀대/을밀대 마포", "을밀대/을밀대 마포", "을밀대/을밀대 마포", "을밀대/고장", "을밀대/을밀대 마포", "을밀대/을밀대 마포", "을밀대/을밀대 마포", "을밀대/고장"}
	if d := cmp.Diff(want, asked); d != "" {
		t.Error(d)
	}
}

// TestReviewLinks tells links from words, and finds what is known behind a link as people copy it.
func TestReviewLinks(t *testing.T) {
	t.Parallel()
	var asked string
	ho := newHouse(t, token, func(s *web.Server) {
		s.Look = func(_ context.Context, _ queue.Mention, words string) ([]queue.Option, []queue.Asked, error) {
			asked = words
			return nil, nil, nil
		}
	})
	all := candidates(3)
	all[2].ID, all[2].Finder, all[2].Name, all[2].Link = "", "naver", "우래옥", "https://map.naver.com/p/entry/place/1234"
	id := posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}}, all)[0]
	v := reviewer{house: ho, name: "김", scripted: true}
	long := "?q=" + strings.Repeat("%EC%9D%84", 60)
	const kakao, naver = "을밀대 2호점", "우래옥"
	for _, tt := range []struct {
		words, asked, found string // what the finders are asked, and what the state knows
	}{
		{words: "https://place.map.kakao.com/1002", found: kakao},
		{words: "HTTP://Place.Map.Kakao.com/1002/", found: kakao},
		{words: "place.map.kakao.com/1002", found: kakao},
		{words: "https://place.map.kakao.com/1002?referrer=daumsearch_local", found: kakao},
		{words: "https://place.map.kakao.com/1002#comment", found: kakao},
		{words: "https://place.map.kakao.com/1002?a=b#comment", found: kakao},
		{words: "https://place.map.kakao.com/m/1002", found: kakao},
		{words: "https://map.kakao.com/?itemId=1002", found: kakao},
		{words: "https://map.kakao.com/" + long + "&itemId=1002#", found: kakao},
		{words: "https://map.kakao.com/link/map/1002", found: kakao},
		{words: "[카카오맵] 을밀대 https://place.map.kakao.com/1002", found: kakao},
		{words: "https://map.naver.com/p/entry/place/1234?c=15.00,0,0,0,dh", found: naver},
		{words: "https://map.naver.com/p/entry/place/1234/#", found: naver},
		{words: "https://map.naver.com/p/entry/place/1002"}, // Kakao's number
		{words: "https://naver.me/x1002?itemId=1002"},
		{words: "https://place.map.kakao.com/"},
		{words: "https://"},
		{words: "https://a@place.map.kakao.com/%zz"},
		{words: "반반 1/2 식당", asked: "반반 1/2 식당"},
		{words: "커피/와인", asked: "커피/와인"},
		{words: "와인 a.b/c", asked: "와인 a.b/c"},
		{words: "1.5/2인분", asked: "1.5/2인분"},
		{words: strings.Repeat("가", 100), asked: strings.Repeat("가", 100)},
	} {
		asked = ""
		b := text(v.send("POST", fmt.Sprintf("/review/%d/search", id), url.Values{"words": {tt.words}}))
		if asked != tt.asked {
			t.Errorf("%q: the finders are asked %q, want %q", tt.words, asked, tt.asked)
		}
		if n := strings.Count(b, `value="found`); n != min(len(tt.found), 1) || !strings.Contains(b, tt.found) {
			t.Errorf("%q: %d are found, want %q:\n%s", tt.words, n, tt.found, b)
		}
	}
	asked = ""
	b := text(v.send("POST", fmt.Sprintf("/review/%d/search", id), url.Values{"words": {strings.Repeat("가", 101)}}))
	if !strings.Contains(b, "At most 100 characters are searched.") || asked != "" {
		t.Errorf("too many words: asked %q\n%s", asked, b)
	}
	if b, _ := v.card(id); !strings.Contains(b, `name="words" maxlength="2000"`) {
		t.Errorf("a link does not go into the field:\n%s", b)
	}
}

// TestReviewCards wants the next cards for a script, in the order of the queue, each once.
func TestReviewCards(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	v := reviewer{house: ho, scripted: true}
	var all []told
	for i := range 8 {
		all = append(all, told{Name: fmt.Sprintf("식당 %d", i)})
	}
	ids := posted(t, ho.Store, "p1", "여덟 곳", all, candidates(12))
	card := regexp.MustCompile(`data-mention="(\d+)"`)
	var got []string
	for after, n := "0", 1; n > 0; {
		b := text(v.send("GET", "/review/cards?after="+after, nil))
		ms := card.FindAllStringSubmatch(b, -1)
		n = len(ms)
		for _, m := range ms {
			got, after = append(got, m[1]), m[1]
		}
		if strings.Contains(b, "<html") {
			t.Error("a page was sent, and not cards alone")
		}
		if n > 0 && !strings.Contains(b, "3 further candidates") {
			t.Errorf("candidates beyond the keys are not behind a fold:\n%s", b)
		}
	}
	var want []string
	for _, id := range ids {
		want = append(want, fmt.Sprint(id))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestReviewAuthor keeps who decides, without what cannot be seen.
func TestReviewAuthor(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token, func(s *web.Server) { s.By = "서버" })
	id := posted(t, ho.Store, "p1", "을밀대", []told{{Name: "을밀대"}}, candidates(1))[0]
	for _, tt := range []struct{ given, want string }{
		{"", "서버"}, {"  김 검토 ", "김 검토"}, {"\u202e김\n\x00", "김"}, {strings.Repeat("가", 100), strings.Repeat("가", 64)}, {"a;b=c", "a;b=c"},
	} {
		r := reviewer{house: ho}.send("POST", "/review/author", url.Values{"author": {tt.given}})
		if r.StatusCode != 303 || len(r.Cookies()) != 1 {
			t.Fatalf("%q: %s %v", tt.given, r.Status, r.Cookies())
		}
		send := func(method, path, form string) *http.Response {
			return ho.ask(method, path, form, browser, bearer(token), with("Content-Type", "application/x-www-form-urlencoded"), func(q *http.Request) { q.AddCookie(r.Cookies()[0]) })
		}
		seen := seenField.FindStringSubmatch(text(send("GET", fmt.Sprintf("/review/%d", id), "")))[1]
		send("POST", fmt.Sprintf("/review/%d", id), url.Values{"choice": {"none"}, "seen": {seen}}.Encode())
		is(t, ho.Store, id, "none  "+tt.want)
	}
}

// TestEvidence marks in captions what the model has read of them.
func TestEvidence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, caption string
		told          jobs.Restaurant
		want, absent  string
	}{
		{"name and quote", "오늘은 을밀대 평양냉면!", jobs.Restaurant{Name: "을밀대", Quote: "을밀대 평양냉면"}, "오늘은 |name+q:을밀대|quote+q: 평양냉면|!", ""},
		{"white space and case are not looked at", "CAFE\nonion 성수", jobs.Restaurant{Name: "Cafe Onion", Area: "성수"}, "name:CAFE\nonion| |area:성수", ""},
		{"all that is there", "을밀대 마포점, 서울 마포구 숭문길 24", jobs.Restaurant{Name: "을밀대", Branch: "마포점", Address: "서울 마포구 숭문길 24"}, "name:을밀대| |branch:마포점|, |address:서울 마포구 숭문길 24", ""},
		{"several times", "을밀대 하면 을밀대", jobs.Restaurant{Name: "을밀대"}, "name:을밀대| 하면 |name:을밀대", ""},
		{"not there", "평양냉면", jobs.Restaurant{Name: "을밀대", Quote: "평양냉면"}, "quote+q:평양냉면", "name"},
		{"one character is no name but where it is quoted", "봄날의 곰, 봄", jobs.Restaurant{Name: "봄", Quote: "곰, 봄"}, "봄날의 |quote+q:곰, |name+q:봄", ""},
		{"decomposed", norm.NFD.String("을밀대는"), jobs.Restaurant{Name: "을밀대"}, "name:을밀대|는", ""},
		{"HTML is text", "<b>을밀대</b>", jobs.Restaurant{Name: "<b>을밀대</b>"}, "name:<b>을밀대</b>", ""},
		{"no caption", "", jobs.Restaurant{Name: "을밀대"}, "", "name"},
		{"not UTF-8", "을밀대\xff", jobs.Restaurant{Name: "을밀대"}, "name:을밀대|\uFFFD", ""},
	} {
		got, absent := web.Evidence(tt.caption, tt.told)
		if got != tt.want || absent != tt.absent {
			t.Errorf("%s: got %q without %q, want %q without %q", tt.name, got, absent, tt.want, tt.absent)
		}
	}
}

// TestReasonsAreKnown wants a Korean word for everything that the matcher gives as a reason.
func TestReasonsAreKnown(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../jobs/match/why.go")
	if err != nil {
		t.Fatal(err)
	}
	phrase := regexp.MustCompile(`(?:return|add\(|Sprintf\()\s*"([^"]+)"`)
	all := phrase.FindAllStringSubmatch(string(source), -1)
	if len(all) < 40 {
		t.Fatalf("%d phrases", len(all))
	}
	for _, m := range all {
		text := strings.NewReplacer("%s", "가", "%d", "7").Replace(m[1])
		got := web.Reasons("ko", text)
		if len(got) != 1 || got[0] == text || strings.Contains(got[0], "%!") {
			t.Errorf("%q is %q in Korean", text, got)
		}
	}
	got := web.Reasons("ko", "not certain enough: name equal; branch 강남점 against none, is elsewhere; 처음 보는 이유")
	if want := []string{"확실하지 않음", "이름 같음", "지점 강남점, 후보는 없음, 다른 곳", "처음 보는 이유"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReviewersApart gives two people at work different mentions, shares what is left at the end, tells which wait no longer, and
// takes the same decision of both.
func TestReviewersApart(t *testing.T) {
	t.Parallel()
	ho := newHouse(t, token)
	kim, lee := reviewer{house: ho, name: "김", scripted: true}, reviewer{house: ho, name: "이", scripted: true}
	var all []told
	for i := range 8 {
		all = append(all, told{Name: fmt.Sprintf("식당 %d", i)})
	}
	ids := posted(t, ho.Store, "p1", "여덟 곳", all, candidates(2))
	card := regexp.MustCompile(`data-mention="(\d+)"`)
	cards := func(v reviewer, after int64) (got []int64) {
		for _, m := range card.FindAllStringSubmatch(text(v.send("GET", fmt.Sprint("/review/cards?after=", after), nil)), -1) {
			id, _ := strconv.ParseInt(m[1], 10, 64)
			got = append(got, id)
		}
		return got
	}
	steps := []struct {
		name  string
		who   reviewer
		after int64
		want  []int64
	}{
		{"the first", kim, 0, ids[:5]},
		{"the second begins behind him", lee, 0, ids[5:]},
		{"who comes again has his own", kim, 0, ids[:5]},
		{"at the end they share", kim, ids[4], ids[5:]},
	}
	for _, x := range steps {
		if d := cmp.Diff(x.want, cards(x.who, x.after)); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
	}
	_, seen := kim.card(ids[0])
	path := fmt.Sprintf("/review/%d", ids[0])
	answer := func(v reviewer, choice string) (a struct{ Said, Seen, Problem string }) {
		t.Helper()
		r := v.send("POST", path, url.Values{"choice": {choice}, "seen": {seen}})
		if err := json.Unmarshal([]byte(text(r)), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := answer(kim, "1"); a.Seen == "" {
		t.Fatalf("not stored: %+v", a)
	}
	if a := answer(lee, "1"); a.Problem != "" || a.Seen != "" || a.Said == "" {
		t.Errorf("the same decision: %+v", a)
	}
	if a := answer(lee, "2"); a.Problem == "" {
		t.Errorf("another decision: %+v", a)
	}
	is(t, ho.Store, ids[0], "place 을밀대 1호점 김")
	var still struct{ Waiting map[string]string }
	if err := json.Unmarshal([]byte(text(kim.send("GET", fmt.Sprintf("/review/waiting?ids=%d,%d,4711", ids[0], ids[1]), nil))), &still); err != nil {
		t.Fatal(err)
	}
	_, seen = kim.card(ids[1])
	if d := cmp.Diff(map[string]string{fmt.Sprint(ids[1]): seen}, still.Waiting); d != "" {
		t.Errorf("what waits: %s", d)
	}
	ho.clock.add(2 * time.Minute)
	if d := cmp.Diff(ids[1:6], cards(lee, 0)); d != "" {
		t.Errorf("who has gone keeps his mentions: %s", d)
	}
}
