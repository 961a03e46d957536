package queue_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestViews selects every view with the sqlite3 command-line tool, as people do, while the store is open.
func TestViews(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	tool, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the sqlite3 command-line tool is not installed: the views were NOT checked")
		}
		t.Skip("the sqlite3 command-line tool is not installed: the views were NOT checked")
	}
	s := fresh(t)
	full(t, s)
	labelled(t, s)
	counted(t, s)
	ask := func(query string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), tool, "-readonly", "-batch", "-nullvalue", "-", s.Path(), query).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", query, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	const at = "2025-03-10T03:00:00.000Z"
	today := ask(`select substr(at, 1, 10) from job_error`) // which may be over by now
	views := map[string]string{
		"select post, account, lists, taken_at, fetched_at, state, url from v_posts order by post": `
p1|을지로골목|posts,reels|2025-03-01T03:00:00.000Z|` + at + `|done|https://www.instagram.com/p/p1/
p2|을지로골목|posts|2025-03-02T03:00:00.000Z|` + at + `|asked|https://www.instagram.com/p/p2/
p3|을지로골목|posts|2025-03-03T03:00:00.000Z|` + at + `|skipped|https://www.instagram.com/p/p3/
p4|을지로골목|posts|2025-03-04T03:00:00.000Z|` + at + `|new|https://www.instagram.com/p/p4/
p5|을지로골목|posts|2025-03-05T03:00:00.000Z|` + at + `|dead|https://www.instagram.com/p/p5/
p6|을지로골목|posts|2025-03-06T03:00:00.000Z|` + at + `|asked|https://www.instagram.com/p/p6/
p7|을지로골목|reels|2025-03-07T03:00:00.000Z|` + at + `|matching|https://www.instagram.com/p/p7/`,
		"select caption from v_posts where post = 'p1'": `평양냉면 <b>맛집</b>`,
		"select post, n, name, state, place, score, reason, account, fields from v_mentions order by post, n": `
p1|0|을밀대|place|naver:1|0.97|이름과 주소|을지로골목|{"name":"을밀대"}
p1|1|우래옥|none|-|0.0|못 찾음|을지로골목|{"name":"우래옥"}
p1|2|이름 모를 집|none|-|0.0|decided by a person|을지로골목|{"name":"이름 모를 집"}
p7|0|신승반점|waiting|-|-||을지로골목|{"name":"신승반점"}`,
		"select searches, labelled_by, labelled_at from v_mentions where post = 'p1' order by n": `
1|-|-
1|-|-
0|사장님|2025-03-10T03:00:00.000Z`,
		"select * from v_labels": `p1|이름모를집||none|사장님|2025-03-10T03:00:00.000Z|-|1|review|0.0|둘 중 하나`,
		"select place, entry, finder, name, by_hand, mentions from v_entries": `naver:1|naver:1|naver|을밀대|0|1`,
		"select * from v_places": `naver:1|을밀대|한식>냉면|서울 마포구 숭문길 24|서울 마포구 염리동 147-6|02-717-1922|https://example.com|37.5476|126.9511|naver|1|1|2025-03-01T03:00:00.000Z|2025-03-01T03:00:00.000Z`,
		"select pipeline, lane, kind, key, state, priority, attempt, err from v_jobs order by id": `
matzip|mongo|deliver|deliver:mongo:matzip|ready|0|0|-
matzip|인스타|page|마름|dead|0|1|인스타: 국물이 식었다
matzip|인스타|page|도는|running|0|0|-
matzip|인스타|page|나중|waiting|0|0|-
matzip|인스타|page|바로|ready|5|0|-`,
		"select what, pipeline, name, attempt, reason, id <> '' from v_dead order by what": `
job|matzip|page 마름|1|인스타: 국물이 식었다|1
question|matzip|본문 p5|0|거절|1`,
		"select run, pipeline, state, what, pages, new_posts, changed, lists_left, requests, micro_usd, note, started_at, ended_at from v_runs": `1|matzip|running|new only|2|7|0|3|3|50||` + at + `|-`,
		"select input_tokens, output_tokens, searches, reserved_micro_usd, wasted_micro_usd from v_runs":                                        `900|90|0|0|13`,
		"select * from v_slots order by what": `
1|인스타|call|3.0|66.7
1|인스타|no page|1.5|33.3`,
		"select * from v_accounts order by account": `
matzip|사라진집|gone|0|0|-|posts walking|1|` + at + `|계정이 없다|||-
matzip|을지로골목|ok|321|7|2025-03-07T03:00:00.000Z|posts walking, reels walking|0|` + at + `||||-`,
		"select * from v_batches": `1|matzip|gpt-5-mini|running|in_progress|4|2|1|900|batch_가|` + at + `|` + at + `|-||1|0|0`,
		"select * from v_gaps order by account, list": `
matzip|사라진집|posts|walking|-|-|0||0|-
matzip|을지로골목|posts|walking|-|-|0||0|-
matzip|을지로골목|reels|walking|-|-|0||0|-`,
		"select key, event, pipeline, text from v_troubles order by key": `
dead:matzip:job:` + today + `|dead|matzip|matzip has given up 1 job (` + "`sumbi jobs list`" + ` shows them), the last: page 마름: 인스타: 국물이 식었다
dead:matzip:question:2025-03-10|dead|matzip|matzip has given up 1 question (` + "`sumbi jobs list`" + ` shows them), the last: 본문 p5: 거절
login:velog:두부|credential|velog|the log-in of 두부 in velog is not accepted any more (세션이 끝났다); ` + "`sumbi login velog`" + ` takes a new one`,
		"select account, upstream_id, state, dead_since, reason, expires_at from v_credentials order by account": `
두부|u-2|dead|2025-03-11T03:00:00.000Z|세션이 끝났다|-
호두|u-1|ok|-||2025-03-11T03:00:00.000Z`,
		"select record, what, day, n, upstream_count from v_days order by record, what": `
p1|likes|2025-03-10|3|-
p1|views|2025-03-10|12|5`,
		"select * from v_spend order by upstream": `
2025-03-10|openai|0|900|90|20|0|0|2|3
2025-03-10|인스타|3|0|0|30|1|0|0|10`,
		"select * from v_run_spend order by upstream": `
1|openai|0|900|90|20|0|0|2|3
1|인스타|3|0|0|30|1|0|0|10`,
		"select * from v_books where wasted_n > 0 order by upstream": `
2025-03-10|1|openai|failed|0|0|2|3
2025-03-10|1|인스타|refused|0|0|1|10`,
	}
	for query, want := range views {
		if got, want := ask(query), strings.TrimSpace(want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
	}
	for _, view := range strings.Fields(ask(`select name from sqlite_schema where type = 'view'`)) {
		checked := false
		for query := range views {
			checked = checked || strings.Contains(query+" ", "from "+view+" ")
		}
		if !checked {
			t.Errorf("view %s is not checked", view)
		}
		ask("select * from " + view)
	}

	// A person's own write does not stand in the way.
	out, err := exec.CommandContext(t.Context(), tool, s.Path(), `update target set note = '내 메모' where target = '을지로골목'`).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	within(t, s, note2("그 뒤", "쓴다"))
	rows(t, s, `select note from target where target = '을지로골목'`, "내 메모")
}
