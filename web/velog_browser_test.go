package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
	"sumbi/web/browsertest"
)

// nastyTitle is a title that would be more than text where it is not taken for text.
const nastyTitle = `<script>window.harm = 1</script><img src=x onerror="window.harm = 2"> & "따옴표" ` + "\u202e거꾸로\u2066" + ` 👩‍👩‍👧‍👦🔥`

// browseVelog serves users of velog with two months of days, in which nobody looked on some, and gives the address of the page.
func browseVelog(t *testing.T) string {
	t.Helper()
	s := velogServer(t)
	now := s.Store.Now()
	titles := []string{nastyTitle, "트랜잭션 격리 수준을 처음부터 끝까지 직접 확인해 보며 정리한 아주 긴 제목의 글", strings.Repeat("띄어쓰기없는긴제목", 12), "인덱스 회고", "큐 뜯어보기"}
	err := s.Store.Tx(t.Context(), func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("velog", true, nil)
		if err != nil {
			return err
		}
		walks, err := tx.Begin(run, "jindo", []string{"posts"})
		if err != nil {
			return err
		}
		var recs []adapters.Record
		for i, title := range titles {
			data, _ := json.Marshal(map[string]any{"title": title, "url": fmt.Sprint("https://velog.io/@jindo/", i), "likes": 40 - i})
			recs = append(recs, adapters.Record{Stream: jobs.VelogPosts, Key: fmt.Sprint("p", i), Time: now.AddDate(0, 0, -70+i), Data: data})
		}
		all, err := tx.Put(walks[0], recs)
		if err != nil {
			return err
		}
		for day := 60; day >= 0; day-- {
			if day == 20 || day == 21 {
				continue
			}
			for k, r := range all {
				n, at := int64(60-day), now.AddDate(0, 0, -day)
				if day > 0 {
					at = at.Add(11*time.Hour + 50*time.Minute) // ten to midnight in Korea
				}
				if err := errors.Join(tx.Snap(r.ID, "views", at, 400*int64(k)+n*int64(20+7*k)+n/7*50+n%7*3), tx.Snap(r.ID, "likes", at, 10+n/4-int64(k))); err != nil {
					return err
				}
			}
		}
		return errors.Join(tx.HandIn("velog", "jindo", "u-3", adapters.Credential{Values: map[string]string{"access_token": "비밀"}}),
			tx.TryTarget("velog", "jindo"), tx.NoteTarget("velog", "jindo", "posts listed; statistics of 5 read"))
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.CloseLive()
		srv.Close()
	})
	return srv.URL
}

// TestVelogInBrowser looks at the views of velog on a desktop and a telephone, by day and by night, in both languages.
func TestVelogInBrowser(t *testing.T) {
	t.Parallel()
	at := browseVelog(t)
	for name, o := range looks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if os.Getenv("SUMBI_SCREENSHOTS") != "" {
				o.Height = 1500
			}
			p := browsertest.Open(t, at+"/velog", o)
			for view, path := range map[string]string{"users": "/velog", "user": "/velog/velog/jindo", "dead": "/velog/velog/hodu", "post": "/velog/velog/jindo/p0", "login": "/velog-login"} {
				p.Go(at + path)
				if got := browsertest.Eval[string](p, `document.documentElement.lang`); got != o.Language {
					t.Errorf("%s: the language is %s", view, got)
				}
				if n := p.Wide(); n != 0 {
					t.Errorf("%s is %d pixels too wide", view, n)
				}
				if bad := browsertest.Eval[[]string](p, contrastScript); len(bad) > 0 {
					t.Errorf("%s: too little contrast: %q", view, bad)
				}
				if n := browsertest.Eval[int](p, `document.querySelectorAll("h1").length`); n != 1 {
					t.Errorf("%s has %d headings", view, n)
				}
				p.Screenshot("velog-" + view + "-" + name)
			}
			p.Go(at + "/velog/velog/jindo")
			graph := browsertest.Eval[map[string]float64](p, `(() => {
				const svg = document.querySelector(".chart svg"), box = svg.getBoundingClientRect();
				const bars = [...svg.querySelectorAll("rect.views")].filter(b => b.getBoundingClientRect().height > 1);
				return { wide: box.width, high: box.height, bars: bars.length, unknown: svg.querySelectorAll("rect.unknown").length, colours: new Set(bars.map(b => getComputedStyle(b).fill)).size };
			})()`)
			if graph["wide"] < 250 || graph["high"] < 100 || graph["bars"] != 27 || graph["unknown"] != 3 || graph["colours"] != 1 {
				t.Errorf("the graph is %v", graph)
			}
		})
	}
}

// TestVelogByHand sorts the posts, asks for a range of days, and wants titles to be nothing but text.
func TestVelogByHand(t *testing.T) {
	t.Parallel()
	p := browsertest.Open(t, browseVelog(t)+"/velog", browsertest.Options{Language: "en"})
	p.Click(`a[href="/velog/velog/jindo"]`)
	p.Wait(`document.querySelectorAll("tbody a[href*='/jindo/p']").length === 5`)
	titles := func() []string {
		return browsertest.Eval[[]string](p, `[...document.querySelectorAll("tbody a[href*='/jindo/p'] bdi")].map(e => e.textContent)`)
	}
	if got := titles(); got[4] != nastyTitle {
		t.Errorf("the title is %q", got[4])
	}
	p.Click(`th a[href*="sort=released"]`)
	p.Wait(`location.search.includes("sort=released") && document.querySelector("th[aria-sort=descending] a")?.href.includes("sort=released")`)
	if got := titles(); got[0] != "큐 뜯어보기" || got[4] != nastyTitle {
		t.Errorf("the newest first: %q", got)
	}
	p.Click(`th a[href*="sort=title"]`)
	p.Wait(`document.querySelector("th[aria-sort=ascending] a")?.href.includes("sort=title")`)
	if got := titles(); got[0] != nastyTitle || got[1] != strings.Repeat("띄어쓰기없는긴제목", 12) {
		t.Errorf("by title: %q", got)
	}

	p.Fill(`input[name=from]`, "2026-11-20")
	p.Fill(`input[name=to]`, "2026-11-26")
	p.Click(`.filters button`)
	p.Wait(`location.search.includes("from=2026-11-20") && document.querySelectorAll(".chart rect").length === 7`)
	if got := p.Text(".chart figcaption"); !strings.Contains(got, "from 2026-11-20 to 2026-11-26") {
		t.Errorf("the graph is of %q", got)
	}
	if sorted := browsertest.Eval[bool](p, `location.search.includes("sort=title")`); !sorted {
		t.Error("the range has forgotten how the posts are sorted")
	}
	p.Click(`details summary`)
	p.Wait(`document.querySelectorAll("details tbody tr").length === 7 && document.querySelector("details").open`)

	p.Click(`a[href*="/jindo/p0"]`)
	p.Wait(`location.pathname.endsWith("/jindo/p0") && document.querySelectorAll(".chart rect").length === 7`)
	if got := browsertest.Eval[string](p, `document.querySelector("h1").textContent`); got != nastyTitle {
		t.Errorf("the title is %q", got)
	}
	if harm := browsertest.Eval[bool](p, `"harm" in window || !!document.querySelector("main script, main img")`); harm {
		t.Error("a title has become more than text")
	}
	p.Click(`.title a[href^="/velog/velog/jindo"]`)
	p.Wait(`document.querySelectorAll(".chart rect").length === 7`)
}
